"""One target during one drain: its client, its writers, and what entries look like on their way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import psycopg

from cdc.links import Target, Unlinked, references, resolved
from cdc.standing import Identity
from cdc.worker import Worker
from cdc.writing import Outgoing, Reading, Write
from tieout.budget import Slot, Work
from tieout.db import array_text
from tieout.http import Answer
from tieout.queries import query
from tieout.settings import Connection

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


class Sending(Reading, Protocol):
    """The part of `tieout.http.Http` that sends."""

    @property
    def calls_at_once(self) -> int | None:
        """The vendor's limit on calls at the same time; None: there is none."""

    def read(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        work: Work | None = ...,
    ) -> Answer: ...

    def ready_to_write(self, work: Work | None = ..., *, size: int = ...) -> Slot: ...

    def write(
        self,
        method: str,
        path: str,
        *,
        slot: Slot,
        content: bytes,
        deadline: float,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer: ...


class Client(Protocol):
    """The part of a client module's client that a drain needs."""

    @property
    def http(self) -> Sending: ...

    def identity(self) -> Identity: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Everything about one target that settling and sending need."""

    session: Session
    connection: Connection
    client: Client
    writes: Mapping[str, Write]
    worker: Worker
    run: UUID | None
    note_call: Callable[[int], None] = lambda _: None
    """Remembers outside the database that the call of this number leaves (`tieout.witness`)."""
    reserved: set[int] = field(default_factory=set)
    """Entries that other senders pass over for now (`cdc/picking.py`)."""

    @property
    def name(self) -> str:
        """The connection's name."""
        return self.connection.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry on its way: the row (outbox with its link) and what the writer sees of it."""

    row: Row
    outgoing: Outgoing

    @property
    def entry(self) -> int:
        """Its number."""
        return self.outgoing.entry

    @property
    def key(self) -> str:
        """Our key."""
        return self.outgoing.key


def entries_of(
    session: Session, rows: Sequence[Row], *, also_gone: bool = False
) -> tuple[list[Entry], list[int]]:
    """Rows of `peek` or `of_call` as entries, references resolved; and entries whose reference is not linked (any more).

    `also_gone`: a removed record still counts, for entries that were sent when it was there.
    """
    targets = _targets(session, rows, also_gone=also_gone)
    entries: list[Entry] = []
    unlinked: list[int] = []
    for row in rows:
        try:
            entries.append(Entry(row=row, outgoing=outgoing_of(row, targets[row["entry"]])))
        except Unlinked:
            unlinked.append(row["entry"])
    return entries, unlinked


def outgoing_of(row: Row, targets: Mapping[tuple[str, str], Target]) -> Outgoing:
    """What the writer sees of an entry. Raises Unlinked for a reference that is not among `targets`."""
    control: Row = row["control"]
    is_create = row["operation"] == "create"
    return Outgoing(
        entry=row["entry"],
        key=row["key"],
        operation=row["operation"],
        payload=resolved(row["payload"], targets),
        fields=tuple(row["fields"]) if row["fields"] is not None else None,
        target_id=None if is_create else row["target_id"],
        line_ids={} if is_create else row["line_ids"],
        returned=None if is_create else row["returned"],
        generation=int(control.get("generation") or row["generation"]),
        expect=control.get("expect"),
        total=Decimal(control["total"]) if control.get("total") is not None else None,
    )


def _targets(
    session: Session, rows: Iterable[Row], *, also_gone: bool
) -> dict[int, dict[tuple[str, str], Target]]:
    """For each entry the records that its payload refers to."""
    wanted: dict[int, list[tuple[str, str, str]]] = {
        row["entry"]: [
            (reference.connection or row["connection"], reference.entity, reference.key)
            for reference in references(row["payload"])
        ]
        for row in rows
    }
    names = sorted({name for some in wanted.values() for name in some})
    values = {
        "connections": array_text([name[0] for name in names]),
        "entities": array_text([name[1] for name in names]),
        "keys": array_text([name[2] for name in names]),
        "also_gone": also_gone,
    }
    found = (
        {
            (row["connection"], row["entity"], row["key"]): Target(
                target_id=row["target_id"], returned=row["returned"]
            )
            for row in session.execute(query("links", "targets"), values)
        }
        if names
        else {}
    )
    return {
        entry: {
            (entity, key): found[(connection, entity, key)]
            for connection, entity, key in some
            if (connection, entity, key) in found
        }
        for entry, some in wanted.items()
    }
