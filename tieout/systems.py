"""The register: one line a system. Adding a system starts here and needs no edit of anybody else's module."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from types import ModuleType

from tieout.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class System:
    """A kind of software that tieout knows."""

    name: str
    """As in settings, table names and module names."""
    title: str
    reads: bool
    """Its records are mirrored: `tieout/clients`, `loaders`, `sql/staging` and `models/staging` have its
    name.
    """
    writes: bool
    """Its records are written: `cdc/writers` and `models/outbound` have its name."""
    vendor_page: str
    """Where the vendor describes the API."""


SYSTEMS: tuple[System, ...] = (
    System("magento", "Magento 2", True, True, "https://developer.adobe.com/commerce/webapi/rest/"),
    System("xero", "Xero", True, True, "https://developer.xero.com/documentation/api/accounting/overview"),
)


def find_system(name: str) -> System:
    """The register's line of a system; ConfigurationError, with the nearest name, when there is none."""
    for system in SYSTEMS:
        if system.name == name:
            return system
    names = [system.name for system in SYSTEMS]
    near = difflib.get_close_matches(name, names, n=1)
    raise ConfigurationError(
        f"tieout knows no system {name!r}.",
        cure=f'Write system = "{near[0]}".' if near else f"Choose one of: {', '.join(names)}.",
    )


def client_module(name: str) -> ModuleType:
    """The module `tieout.clients.<name>` of a registered system."""
    return importlib.import_module(f"tieout.clients.{find_system(name).name}")
