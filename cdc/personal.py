"""Which parts of a record are a person's data, and the same record without them.

Fields are named in `personal.json`, by system, with what to do in a system that still shows a person; ids, amounts, dates and states are in none of them. A name that is given
by a plain `Name` is personal where its neighbours say that it is a contact's. Beside fields, the person's e-mail is taken out of
every text, because keys, messages and reasons are made of it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORGOTTEN = "[forgotten]"
"""Stands where a person's data stood."""
_CONTACT = frozenset({"contactid", "contactnumber", "emailaddress", "firstname", "lastname"})
"""Neighbours that make a `Name` a person's."""


@functools.cache
def _systems() -> Mapping[str, Any]:
    known: Mapping[str, Any] = json.loads(
        Path(__file__).with_name("personal.json").read_text(encoding="utf-8")
    )
    return known


@functools.cache
def fields() -> frozenset[str]:
    """Names of fields that hold a person's data, in any system, in small letters."""
    return frozenset(name.lower() for system in _systems().values() for name in system["fields"])


def what_to_do(system: str, stream: str) -> str:
    """How a person is taken out of a record where it stands: in the system itself."""
    shown: Mapping[str, str] = _systems().get(system, {}).get("shown", {})
    return shown.get(stream) or shown.get("*") or "Take the person out of it there."


def is_forgotten(value: Any) -> bool:
    """Does a value, or any part of it, say that a person was forgotten?"""
    if isinstance(value, str):
        return FORGOTTEN in value or "forgotten-" in value
    if isinstance(value, Mapping):
        return any(is_forgotten(item) for item in value.values())
    if isinstance(value, list):
        return any(is_forgotten(item) for item in value)
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrub:
    """How one person is taken out of what is kept."""

    texts: Mapping[str, str]
    """Texts that name the person alone (e-mails, keys), in small letters, and what takes their place."""
    names: Sequence[str] = ()
    """Names: taken out of texts of the person's own records only, since others may have the same."""
    marks: frozenset[str] = frozenset()
    """Texts by which a part of a larger record is the person's: e-mails, keys, ids of the contact; in small letters."""
    keeps_keys: bool = False
    """Keys stay as they are (`shop/guest/<e-mail>`): the models still make them."""

    def text(self, value: str, *, names: bool) -> str:
        """A text without the person. `names`: it belongs to the person's own records, so names are taken out too."""
        for found, instead in self.texts.items():
            if found in value.lower():
                before = r"(?<!/)" if self.keeps_keys else ""
                value = re.sub(before + re.escape(found), instead, value, flags=re.IGNORECASE)
        for name in self.names if names else ():
            if name.lower() in value.lower():
                value = re.sub(re.escape(name), FORGOTTEN, value, flags=re.IGNORECASE)
        return value

    def json(self, value: Any, *, names: bool, fields: bool) -> Any:
        """A JSON value without the person. `fields`: all of it is the person's; else only what bears a mark is."""
        if isinstance(value, Mapping):
            mine = fields or self._is_marked(value)
            return {
                self.text(name, names=names): self._field(name, item, value, names or mine, mine)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.json(item, names=names, fields=fields) for item in value]
        return self.text(value, names=names) if isinstance(value, str) else value

    def _field(self, name: str, item: Any, record: Mapping[str, Any], names: bool, fields: bool) -> Any:
        if isinstance(item, str) and item.strip().lower() in self.texts:
            # One text for one e-mail wherever it stands, so that what belonged together still does.
            return self.texts[item.strip().lower()]
        if (
            fields
            and item not in (None, "", [], {})
            and not isinstance(item, bool)
            and _is_personal(name, record)
        ):
            return FORGOTTEN
        return self.json(item, names=names, fields=fields)

    def _is_marked(self, value: Any) -> bool:
        """Does a record name the person, outside the lists in it, which hold records of their own?"""
        if isinstance(value, str):
            lowered = value.lower()
            return lowered in self.marks or any(text in lowered for text in self.texts)
        if isinstance(value, Mapping):
            return any(self._is_marked(item) for item in value.values())
        return False


def _is_personal(name: str, record: Mapping[str, Any]) -> bool:
    lowered = name.lower()
    if lowered == "name":
        return any(other.lower() in _CONTACT for other in record)
    return lowered in fields()
