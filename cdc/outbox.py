"""The open entries: at most one a key, each the difference between a model and its link.

Whoever changes an entry holds the lock of its key (`cdc.links`), taken before the entry is read. Only the release of
waiting entries goes without: it moves `waiting` to `ready` and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tieout.db import array_text
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
FIELDS = (
    "connection", "entity", "key", "model", "source_connection", "source_id", "operation", "state", "held_for", "payload",
    "payload_hash", "fields", "control", "link_version", "waits_for", "amount", "currency", "document_date", "cause",
    "reason", "cure", "who", "build", "origin",
)  # fmt: skip


TIDY_EVERY = 5_000
"""Entries; each leaves two or three dead rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What became of an entry."""

    entry: int
    outcome: str
    """applied, unchanged, replaced, discarded or satisfied."""
    target_id: str | None = None
    reason: str | None = None


@functools.cache
def judging(statement: str) -> sql.Composed:
    """A statement of `waiting.sql` with its part that says which entries still wait, or refer to nothing."""
    parts = {name: sql.SQL(query("waiting", name)) for name in ("unmet", "missing")}
    return compose("waiting", statement, **parts)


@functools.cache
def looked_at_again(statement: str) -> sql.Composed:
    """A statement of `links.sql` that ends by putting its keys back for the diff."""
    return compose("links", statement, again=sql.SQL(query("links", "again")))


def insert(connection: Session, rows: Sequence[Mapping[str, Any]], run: UUID | None) -> None:
    """New entries; each row has FIELDS."""
    if rows:
        connection.execute(query("outbox", "insert"), {"rows": Jsonb(list(rows)), "run": run})


def close(connection: Session, closed: Iterable[Closed]) -> None:
    """Move entries to `cdc.outbox_done`."""
    rows = [
        {"entry": one.entry, "outcome": one.outcome, "target_id": one.target_id, "reason": one.reason}
        for one in closed
    ]
    if rows:
        connection.execute(query("outbox", "close"), {"rows": Jsonb(rows)})


def hold_moved(connection: Session, reasons: Mapping[int, str]) -> None:
    """Hold entries that a started plan binds and whose input moved. `reasons`: what moved, by entry."""
    if reasons:
        rows = [{"entry": entry, "reason": reason} for entry, reason in reasons.items()]
        connection.execute(query("plans", "held_since"), {"rows": Jsonb(rows)})


def release(connection: Session, target: str) -> int:
    """Make ready what waits for records that exist by now. How many."""
    return connection.execute(judging("release_waiting"), {"connection": target}).rowcount


def tidy(connection: Session) -> None:
    """Make the room of finished entries free for the next ones. Not in a transaction; nothing happens where another session
    is at it, or where the role may not (autovacuum comes by later).
    """
    connection.execute(query("outbox", "tidy"))


def know_states(connection: Session) -> None:
    """Let the planner know how many entries wait, when many changed since it was told; a role that may not is passed over.

    A person lets a thousand entries go at once, and autovacuum comes by a minute later. Until then the planner takes `waiting` for
    a state that no entry is in, and a settlement looks through all that wait for each of its keys.
    """
    row = connection.execute(query("outbox", "is_unknown_to_planner")).fetchone()
    if row is not None and row["is_unknown"]:
        connection.execute(query("outbox", "analyze_outbox"))


def check_references(connection: Session, target: str) -> None:
    """Waiting entries that refer to nothing become dead letters, and those whose reference came back wait again."""
    with connection.transaction():
        connection.execute(judging("restore_references"), {"connection": target})
        connection.execute(judging("mark_missing_references"), {"connection": target})
        connection.execute(judging("release_waiting"), {"connection": target})


def lock_keys(connection: Session, keys: Iterable[tuple[str, str, str]]) -> None:
    """Lock (connection, entity, key), in their order, waiting for whoever has them. Keys without a link are passed over."""
    ordered = sorted(set(keys))
    connection.execute(query("links", "lock"), _columns(ordered))


def put_back(connection: Session, keys: Iterable[tuple[str, str, str]], because: str) -> None:
    """Let the diff look at these keys again: what it reads about them has changed."""
    ordered = sorted(set(keys))
    if ordered:
        connection.execute(looked_at_again("put_back"), {**_columns(ordered), "because": because})


def _columns(keys: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return {
        "connections": array_text([key[0] for key in keys]),
        "entities": array_text([key[1] for key in keys]),
        "keys": array_text([key[2] for key in keys]),
    }
