"""A stand-in for the Xero Accounting API 2.0, as strict as the vendor: `start()` serves it on a free port."""

from sandbox.xero.app import create_app
from sandbox.xero.server import start

__all__ = ["create_app", "start"]
