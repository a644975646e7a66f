"""What all decisions about proposals share: which are meant, and how they are kept. Each function holds the caller's locks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc import outbox
from tieout.events import Event, emit
from tieout.queries import query

UNDECIDED = "may be in the target already"
"""Cause of entries that wait until somebody decides about their proposals."""

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Proposals that a decision is about; None means any."""

    keys: tuple[str, ...] | None = None
    target_id: str | None = None
    connection: str | None = None
    entity: str | None = None
    least: str | None = None
    """Only pairs with at least this score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A pair that was not decided as asked."""

    entity: str
    key: str
    target_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a decision."""

    done: int
    refused: tuple[Refused, ...] = ()
    differing: int = 0
    """Of those linked, how many differ in money, tax, currency, date or contact."""


def chosen(session: Session, named: Named, *, state: str, standing: str | None) -> list[Row]:
    """Proposals by what is named."""
    values = {
        "state": state,
        "standing": standing,
        "connection": named.connection,
        "entity": named.entity,
        "keys": list(named.keys) if named.keys is not None else None,
        "target_id": named.target_id,
        "least": named.least,
    }
    return session.execute(query("linking", "chosen"), values).fetchall()


def open_decided(session: Session, rows: Sequence[Row], by: str) -> None:
    """Let records be made where no chosen proposal is left undecided."""
    connections = sorted({row["connection"] for row in rows})
    session.execute(query("linking", "open_decided"), {"connections": connections, "by": by})


def lock_rows(session: Session, rows: Sequence[Row]) -> None:
    """Lock the keys of proposals, in their order."""
    outbox.lock_keys(session, [name_of(row) for row in rows])


def record(session: Session, verb: str, by: str, reason: str, rows: Sequence[Row]) -> None:
    """Keep who decided what and why."""
    places = [
        {
            **{name: row[name] for name in ("connection", "entity", "key")},
            "payload_hash": None,
            "detail": {"target_id": row["target_id"], "proposal": row["proposal"]},
        }
        for row in rows
    ]
    session.execute(
        query("desk", "record"), {"verb": verb, "by": by, "reason": reason or None, "rows": Jsonb(places)}
    )


def tell(verb: str, rows: Sequence[Row], done: int, by: str, reason: str) -> None:
    """One event a decision."""
    if rows:
        emit(
            Event.DECISION_MADE, verb=verb, connection=", ".join(sorted({row["connection"] for row in rows})),
            entries=done, by=by, reason=reason,
        )  # fmt: skip


def refuse(row: Row, reason: str) -> Refused:
    """A pair that is not decided as asked."""
    return Refused(entity=row["entity"], key=row["key"], target_id=row["target_id"], reason=reason)


def ids(rows: Sequence[Row]) -> list[Row]:
    """Which proposals, as the statements want it."""
    return [{"proposal": row["proposal"]} for row in rows]


def by_place(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """By target and entity."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["connection"], row["entity"]].append(row)
    return found


def keys_by_entity(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Keys by entity."""
    return {entity: [row["key"] for row in some] for (_, entity), some in by_place(rows).items()}


def name_of(row: Row) -> tuple[str, str, str]:
    """Which link a proposal is about."""
    return (row["connection"], row["entity"], row["key"])
