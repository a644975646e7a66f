"""A stand-in for the REST API of Magento Open Source 2.4.4: as strict and as quirky as the recorded one."""

from sandbox.magento.app import start

__all__ = ["start"]
