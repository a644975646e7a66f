"""Correcting a document that may no longer change: a reversal of it and a new document, approved as one and sent in order.

While it is only proposed, all of it stands in the one held entry of the document's key (`control.correction`), whose hash
covers every part. Approval, in one transaction, lets the key go to its next generation: the old document is kept under
`<key>/replaced/<n>`, and entries are made for the reversal (`<key>/reversal/<n>`), for the new document, which bears the key
and waits for the reversal, and for what settles them (`<key>/reversal/<n>/allocation/<k>`). Of a document that is gone at its source only the reversal
is made: the key is left without a document. From then on they are entries as all
others: each is sent once in effect, none is lost by a crash, and what waits names the head of its chain.

Which documents can be corrected, and how, a system's writer module says (`CORRECTIONS`, by entity).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.links import after, merged, references
from cdc.outbox import Closed
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
MODEL = "corrections"
"""The `model` of links and entries that no model makes."""
CAUSE = "correction of a settled document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A document that is to be corrected."""

    key: str
    number: int
    """1 for the first correction of this key."""
    said: Mapping[str, Any]
    record: Mapping[str, Any]
    """The target's document as it is."""
    organisation: Mapping[str, Any] | None
    modelled: Mapping[str, Any]
    """What the model says, without what people or earlier corrections put over it."""
    wanted: Mapping[str, Any]
    """The same with it."""
    total: Decimal | None
    is_gone: bool = False
    """The source has it no more: it is reversed, and nothing replaces it."""

    @property
    def reversal_key(self) -> str:
        """Key of the document that reverses it."""
        return f"{self.key}/reversal/{self.number}"

    @property
    def replaced_key(self) -> str:
        """Key under which the old document is kept."""
        return f"{self.key}/replaced/{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A record that a correction makes beside the new document."""

    entity: str
    key: str
    payload: Mapping[str, Any]
    total: Decimal
    day: str

    def to_json(self) -> dict[str, Any]:
        """As the held entry keeps it."""
        return {
            "entity": self.entity,
            "key": self.key,
            "payload": dict(self.payload),
            "total": self.total,
            "day": self.day,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How a document is corrected: the reversal first, then what settles it and the new document."""

    number: int
    day: str
    """Date of the reversal and, unless the model dates it later, of the new document."""
    replaced: str
    overrides: Mapping[str, Any]
    """Fields of the new document that are not the model's: number, date."""
    parts: Sequence[Part] = field(default_factory=tuple)
    sentence: str = ""
    """What approving it posts."""


def corrected_by(key: str) -> str | None:
    """The key of the document that a part of a correction belongs to: its old document, reversal or allocation."""
    for name in ("/reversal/", "/replaced/"):
        head, found, _ = key.rpartition(name)
        if found:
            return head
    return None


Correct = Callable[[Ask], Correction | None]
"""None: this document cannot be corrected (it is void, say)."""


Unsettled = Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""A record as it will be without some payments and allocations, each with its `ids` in the target and its `amount`."""


def correct_of(system: str, entity: str) -> Correct | None:
    """How documents of an entity are corrected; None where it has none."""
    known: Mapping[str, Correct] = _declared(system, "CORRECTIONS")
    return known.get(entity)


def unsettled_of(system: str, entity: str) -> Unsettled:
    """How a record of an entity looks without payments and allocations; as it is where nothing settles it."""
    known: Mapping[str, Unsettled] = _declared(system, "UNSETTLED")
    return known.get(entity, lambda record, _settlements: record)


def _declared(system: str, name: str) -> Mapping[str, Any]:
    """What a system's writers declare by entity, under this name; nothing for a system that is only read."""
    try:
        module = importlib.import_module(f"cdc.writers.{system}")
    except ModuleNotFoundError as error:
        if error.name != f"cdc.writers.{system}":
            raise
        return {}
    found: Mapping[str, Any] = getattr(module, name, {})
    return found


def begin(session: Session, rows: Sequence[Row], *, by: str, reason: str | None) -> None:
    """Let approved corrections begin. `rows`: held entries, their links locked by the caller in this transaction."""
    for row in rows:
        correction: Row = row["control"]["correction"]
        _move_link(session, row, correction, by=by, reason=reason)
        told = f"corrected by {by}" + (f": {reason}" if reason else "")
        outbox.close(session, [Closed(entry=row["entry"], outcome="replaced", reason=told)])
        parts = [_part(row, part) for part in correction["parts"]]
        _make_links(session, row, parts)
        new = [_document(session, row, correction)] if "document" in correction else []
        outbox.insert(session, [*parts, *new], row["run"])


def _move_link(session: Session, row: Row, correction: Row, *, by: str, reason: str | None) -> None:
    """The key goes to its next generation; the old document keeps a link of its own."""
    place = {name: row[name] for name in ("connection", "entity", "key")}
    old = session.execute(query("corrections", "link"), place).fetchone()
    if old is None:
        raise AssertionError(f"the link of {row['key']} is locked by this transaction")
    overrides = {
        path: {"value": value, "who": by, "why": f"correction {correction['number']}: {reason or CAUSE}"}
        for path, value in correction["overrides"].items()
    }
    kept = {
        "number": correction["number"],
        "replaced": correction["replaced"],
        "waits_for": correction["waits_for"],
        "by": by,
        "reason": reason,
    }
    values = {
        **place,
        "overrides": Jsonb(overrides),
        "correction": Jsonb(kept),
        "approved_hash": correction["document"]["payload_hash"] if "document" in correction else None,
    }
    session.execute(query("corrections", "next_generation"), values)
    aside = {
        "key": correction["replaced"],
        "model": MODEL,
        "correction": {"of": row["key"], **kept},
        "reversal": None,
    }
    session.execute(query("corrections", "keep_old"), {"link": Jsonb({**old["link"], **aside})})


def _make_links(session: Session, row: Row, parts: Sequence[Row]) -> None:
    for entity in sorted({part["entity"] for part in parts}):
        keys = [part["key"] for part in parts if part["entity"] == entity]
        session.execute(
            query("links", "make"),
            {
                "entity": entity,
                "model": MODEL,
                "connections": [row["connection"]] * len(keys),
                "keys": keys,
                "source_connections": [row["source_connection"]] * len(keys),
                "source_ids": [row["source_id"]] * len(keys),
            },
        )


def _part(row: Row, part: Row) -> Row:
    return {
        **_entry(row, part["payload"]),
        "entity": part["entity"],
        "key": part["key"],
        "model": MODEL,
        "payload_hash": part["payload_hash"],
        "control": {"total": str(part["total"])},
        "link_version": 0,
        "waits_for": [one.to_json() for one in references(part["payload"])],
        "amount": part["total"],
        "document_date": part["day"],
    }


def _document(session: Session, row: Row, correction: Row) -> Row:
    place = {name: row[name] for name in ("connection", "entity", "key")}
    link = session.execute(query("corrections", "link"), place).fetchone()
    document: Row = correction["document"]
    return {
        **_entry(row, document["payload"]),
        "payload_hash": document["payload_hash"],
        "origin": _origin(row, correction),
        "control": document["control"],
        "link_version": link["link"]["version"] if link else 0,
        "waits_for": [
            one.to_json() for one in merged(references(document["payload"]), after(correction["waits_for"]))
        ],
        "amount": row["amount"],
        "document_date": correction["day"],
    }


def _origin(row: Row, correction: Row) -> Row | None:
    """The new document is the model's, with the number and date of the correction."""
    if row["origin"] is None:
        return None
    overrides = {path: {"value": value} for path, value in correction["overrides"].items()}
    return {**row["origin"], "overrides": {**row["origin"].get("overrides", {}), **overrides}}


def _entry(row: Row, payload: Row) -> Row:
    """What all entries of a correction have in common; `outbox.release` lets go what waits for nothing."""
    names = ("connection", "entity", "key", "model", "source_connection", "source_id", "currency")
    nothing = dict.fromkeys(("held_for", "fields", "cause", "reason", "cure", "who"))
    return {
        **{name: row[name] for name in names},
        **nothing,
        "build": row["build"],
        "origin": None,
        "operation": "create",
        "state": "waiting",
        "payload": payload,
    }
