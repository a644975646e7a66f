"""`tieout plan`: what the next drain would send, field by field, with the money and the calls it would cost.

Reads the outbox as the last diff left it: nothing is computed again and nothing is sent. An entry that waits or is held is
shown too, because approving or curing it would send it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from cdc.writing import Operation, open_writers
from tieout.queries import query
from tieout.settings import Settings

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedField:
    """One field of one entry; `before` is what the target holds as far as we know, None where nothing is."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """One change to make in one record of a target."""

    connection: str
    entity: str
    key: str
    operation: Operation
    state: str
    """ready, waiting, held, rejected, sending or in_doubt."""
    reason: str | None
    amount: Decimal | None
    currency: str | None
    fields: tuple[PlannedField, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSum:
    """Entries of one kind: how many, how much money, how many calls when all of them are sent."""

    connection: str
    entity: str
    operation: Operation
    state: str
    currency: str | None
    entries: int
    amount: Decimal
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The outbox as it stands."""

    sums: tuple[PlannedSum, ...]
    entries: tuple[PlannedEntry, ...]
    """The first of them, as many as were asked for."""

    @property
    def total(self) -> int:
        """All open entries."""
        return sum(each.entries for each in self.sums)


def plan(
    session: Session,
    settings: Settings,
    *,
    connection: str | None = None,
    entity: str | None = None,
    key: str | None = None,
    limit: int = 50,
) -> Plan:
    """The open entries, summed, and the first `limit` of them field by field.

    `key`: only entries whose key begins so.
    """
    wanted = {"connection": connection, "entity": entity, "key": key}
    sums = tuple(_sum(row, settings) for row in session.execute(query("plan", "sums"), wanted))
    rows = session.execute(query("plan", "entries"), {**wanted, "limit": limit})
    return Plan(sums=sums, entries=tuple(entry for row in rows for entry in _entries(row)))


def _sum(row: Mapping[str, Any], settings: Settings) -> PlannedSum:
    operation: Operation = row["operation"]
    write = open_writers(settings.connection(row["connection"]).system)[row["entity"]]
    batch = write.batch(operation)
    return PlannedSum(
        connection=row["connection"],
        entity=row["entity"],
        operation=operation,
        state=row["state"],
        currency=row["currency"],
        entries=row["entries"],
        amount=row["amount"],
        calls=-(-row["entries"] // batch),
    )


def _entries(row: Mapping[str, Any]) -> Iterator[PlannedEntry]:
    """An entry; of a proposed correction also the documents that approving it makes beside the new one."""
    yield _entry(row)
    correction = row["correction"]
    for part in correction["parts"] if correction else ():
        yield PlannedEntry(
            connection=row["connection"],
            entity=part["entity"],
            key=part["key"],
            operation="create",
            state=row["state"],
            reason=f"part of the correction of {row['key']}",
            amount=part["total"],
            currency=row["currency"],
            fields=tuple(
                PlannedField(name=name, before=None, after=value) for name, value in part["payload"].items()
            ),
        )


def _entry(row: Mapping[str, Any]) -> PlannedEntry:
    payload, said = row["payload"], row["said"] or {}
    names = row["fields"] or sorted(payload)
    if row["operation"] == "remove":
        fields: tuple[PlannedField, ...] = ()
    else:
        fields = tuple(
            PlannedField(name=name, before=said.get(name), after=payload.get(name)) for name in names
        )
    return PlannedEntry(
        connection=row["connection"],
        entity=row["entity"],
        key=row["key"],
        operation=row["operation"],
        state=row["state"],
        reason=row["reason"],
        amount=row["amount"],
        currency=row["currency"],
        fields=fields,
    )
