"""Records as they were: history walked backwards from the present.

History keeps of each change the top-level fields that differ, before and after. What a record was at an earlier moment is
what it is now, with the `before` of every later change put back, the latest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
DELETED = "_deleted_at"
"""In history: the record was marked as deleted, which is no field of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a mirrored record."""

    version: int
    told_by: str
    at: Any
    before: Mapping[str, Any] | None
    """None: the record came into being here."""
    after: Mapping[str, Any] | None


def changes_of(session: Session, name: str, stream: str, record_id: str) -> list[Change]:
    """The changes of a record, the oldest first."""
    place = {"connection": name, "stream": stream, "id": record_id}
    rows = session.execute(query("why", "history"), place).fetchall()
    return [
        Change(
            version=row["version"],
            told_by=row["told_by"],
            at=row["changed_at"],
            before=row["before"],
            after=row["after"],
        )
        for row in rows
    ]


def payload_now(session: Session, table: str, name: str, record_id: str) -> Row | None:
    """The record as it is mirrored now; None when it is not, or marked as deleted."""
    statement = compose("report", "staging_row", table=sql.Identifier("staging", table))
    row = session.execute(statement, {"connection": name, "id": record_id}).fetchone()
    return row["payload"] if row is not None and row["deleted_at"] is None else None


def undone(payload: Mapping[str, Any] | None, later: Sequence[Change]) -> Row | None:
    """The record before these changes (oldest first, up to now); None when it did not exist yet."""
    then: Row | None = dict(payload or {})
    for change in reversed(later):
        if change.before is None:
            then = None
            continue
        fields = dict(then or {})
        for field in change.after or {}:
            fields.pop(field, None)
        fields |= change.before
        deleted = fields.pop(DELETED, None)
        then = None if deleted is not None and DELETED not in (change.after or {}) else fields
    return then
