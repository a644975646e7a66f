"""Retention: what grows for ever lies in months, and an old month goes to a file before it leaves the database.

    default partition → its month → file written, read back, compared → in one transaction: nobody changes the month any more,
    its rows are still those of the file, what is needed of them is carried over, the file is noted, the month is dropped

| group | tables | what is never dropped |
| --- | --- | --- |
| history | history (months), links_before | nothing depends on it: `why` and `audit recompute` name the file |
| entries | outbox_done (months), calls | the money of each living link (cdc.last_entries); a month with entries of a call in doubt, of a reversal or of a plan under way stays; calls that are open, of an open entry, or the last one |
| runs | proofs, runs | the last proof of each target; runs of which a call or a total is still here, or that are being taken back |
| audit | audit (months) | facts about rows that are still there are noted again; the digest at which the rest continues |

A crash leaves at most a file that nobody knows of (`archives` alone says what stands where) and which the next run makes again
under the same name. `cdc.archives` is append-only and part of the audit, so that a file cannot be exchanged either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc import archive_file, audit
from cdc.archive_file import Content
from cdc.months import TABLES, Month, Table, columns_of, make_months, months_of, span
from tieout.db import try_lock, unlock
from tieout.errors import ConfigurationError, LockHeld, RetryLater
from tieout.events import Event, emit
from tieout.migrate import newest
from tieout.queries import compose, query
from tieout.retention import Retention

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
WAIT_MILLISECONDS = "10000"
"""For readers and writers of a table, before a month is left for the next run."""
LOCK = "retain"
_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A month of a table, and what became of it."""

    relation: str
    month: date
    rows: int
    bytes: int
    """In the database before; in the file, uncompressed, afterwards."""
    file: str | None = None
    because: str = ""
    """Why it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What one run did, or would do."""

    is_done: bool
    parts: tuple[Part, ...]
    moved: tuple[Part, ...]
    """Rows that found their month, out of the default partition."""
    made: int
    """Months ahead."""


def retain(
    session: Session,
    keep: Retention,
    folder: Path,
    *,
    by: str,
    is_done: bool,
    today: date | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Retained:
    """Move rows to their months, and archive the months that are older than `keep` says. Not `is_done`: only look.

    `session` is a direct one. Raises ConfigurationError when this user does not own the tables or the folder takes no
    file, LockHeld when another run is at it, RetryLater when a month is read or changed all the time.
    """
    row = session.execute(query("retention", "is_owner")).fetchone()
    if row is None or not row["is_owner"]:
        raise ConfigurationError(
            "This user does not own the tables of tieout: only their owner takes months out of them.",
            cure="Run it as the user that runs `tieout migrate`.",
        )
    if not try_lock(session, LOCK):
        raise LockHeld("Another `tieout retain` is at work.")
    try:
        today = today or datetime.now(UTC).date()
        made = make_months(session) if is_done else 0
        moved = tuple(_moved(session, is_done=is_done, told=told))
        parts = tuple(_parts(session, keep, folder, today=today, by=by, is_done=is_done, told=told))
        if not is_done:
            parts = (*(part for part in moved if _goes(part, keep, today)), *parts)
        if is_done:
            session.execute(query("retention", "tidy"))
            audit.seal(session)
        return Retained(is_done=is_done, parts=parts, moved=moved, made=made)
    finally:
        if not session.broken:
            unlock(session, LOCK)


def first_kept(today: date, months: int) -> date:
    """The first day of the oldest month that stays: `months` whole ones beside the one under way."""
    number = today.year * 12 + today.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def _goes(part: Part, keep: Retention, today: date) -> bool:
    table = next(each for each in TABLES if each.name == part.relation)
    months = _kept_months(keep, table)
    return bool(months) and part.month < first_kept(today, months)


def _kept_months(keep: Retention, table: Table) -> int:
    return int(getattr(keep, f"{table.group}_months"))


def _moved(session: Session, *, is_done: bool, told: Callable[[str], None]) -> Iterator[Part]:
    for table in TABLES:
        if not table.in_months:
            continue
        default, moment = sql.Identifier("cdc", f"{table.name}_default"), sql.Identifier(table.moment)
        found = session.execute(compose("retention", "strays", default=default, moment=moment)).fetchall()
        for row in found:
            if is_done:
                told(f"{table.name} {row['month']:%Y-%m}: {row['rows']} rows to their month")
                _move(session, table, row["month"], default, moment)
            yield Part(relation=table.name, month=row["month"], rows=row["rows"], bytes=0)


def _move(
    session: Session, table: Table, month: date, default: sql.Composable, moment: sql.Composable
) -> None:
    """One month in one transaction: nobody sees it half."""
    name = f"{table.name}_{month:%Y_%m}"
    partition, parent = sql.Identifier("cdc", name), sql.Identifier("cdc", table.name)
    start, end = span(month)
    with _unhurried(), session.transaction():
        session.execute(query("retention", "begin"), {"milliseconds": WAIT_MILLISECONDS})
        session.execute(compose("retention", "lock_default", default=default))
        session.execute(compose("retention", "make_table", partition=partition, parent=parent))
        move = compose("retention", "move", default=default, moment=moment, partition=partition)
        session.execute(move, {"from": start, "until": end})
        session.execute(
            query("retention", "attach"), {"parent": table.name, "partition": name, "from": start}
        )


def _parts(
    session: Session,
    keep: Retention,
    folder: Path,
    *,
    today: date,
    by: str,
    is_done: bool,
    told: Callable[[str], None],
) -> Iterator[Part]:
    for table in TABLES:
        months = _kept_months(keep, table)
        if not months:
            continue
        if is_done:
            audit.seal(session)
        for month in months_of(session, table, first_kept(today, months)):
            if not month.rows:
                # Empty: nothing to keep.
                if is_done:
                    _drop_empty(session, month)
                continue
            because = month.needed(session)
            if because or not is_done:
                yield Part(
                    relation=table.name, month=month.month, rows=month.rows, bytes=month.size, because=because
                )
                continue
            told(f"{table.name} {month.month:%Y-%m}: {month.rows} rows")
            yield _archived(session, month, folder, by)


def _archived(session: Session, month: Month, folder: Path, by: str) -> Part:
    """Write a month to a file, and take it out of the database."""
    _carry_facts(session, month)
    stem = f"{month.table.name.replace('_', '-')}-{month.month:%Y-%m}"
    path, content = archive_file.write(month.copied(session), folder, stem)
    columns = columns_of(session, month.table.name)
    noted = _noted(session, month, path, content, columns, by)
    archive_file.write_manifest(path, noted)
    with _unhurried(), session.transaction():
        if not month.table.in_months:
            session.execute(query("retention", "repeatable"))
        session.execute(query("retention", "begin"), {"milliseconds": WAIT_MILLISECONDS})
        _leave(session, month, content)
        session.execute(query("retention", "note"), {**noted, "columns": Jsonb(columns)})
    emit(
        Event.MONTH_ARCHIVED,
        relation=month.table.name,
        month=f"{month.month:%Y-%m}",
        rows=content.rows,
        bytes=content.bytes,
        file=path.name,
    )
    return Part(
        relation=month.table.name, month=month.month, rows=content.rows, bytes=content.bytes, file=path.name
    )


def _drop_empty(session: Session, month: Month) -> None:
    with _unhurried(), session.transaction():
        session.execute(query("retention", "begin"), {"milliseconds": WAIT_MILLISECONDS})
        _leave(session, month, Content(rows=0, bytes=0, sha256=""))


def _carry_facts(session: Session, month: Month) -> None:
    """Of the audit: facts about what stays are chained again before the month is written."""
    if month.table.name == "audit":
        session.execute(compose("retention", "carry_audit", relation=month.relation))
        audit.seal(session)


def _leave(session: Session, month: Month, content: Content) -> None:
    """Drop the month in the transaction under way, if its rows are those of the file and nothing needs them."""
    if month.table.in_months:
        session.execute(compose("retention", "lock_month", relation=month.relation))
    if content.rows:
        found = archive_file.measured(month.copied(session))
    else:
        counted = session.execute(
            compose("retention", "count", relation=month.relation, where=month.where)
        ).fetchone()
        found = Content(rows=counted["rows"] if counted else 0, bytes=0, sha256="")
    because = month.needed(session)
    if found != content or because:
        raise RetryLater(
            f"cdc.{month.table.name} of {month.month:%Y-%m} changed while it was archived{': ' + because if because else ''}."
        )
    if month.table.carry is not None:
        session.execute(compose("retention", month.table.carry, relation=month.relation))
    if month.table.in_months:
        parent = sql.Identifier("cdc", month.table.name)
        session.execute(compose("retention", "detach", parent=parent, relation=month.relation))
        session.execute(compose("retention", "drop", relation=month.relation))
        return
    deleted = session.execute(
        compose("retention", "delete", relation=month.relation, where=month.where)
    ).rowcount
    if deleted != content.rows:
        raise RetryLater(f"cdc.{month.table.name} of {month.month:%Y-%m} changed while it was archived.")


def _noted(
    session: Session, month: Month, path: Path, content: Content, columns: list[Row], by: str
) -> dict[str, Any]:
    """The manifest of a file: what `cdc.archives` notes, and the columns."""
    start, end = span(month.month)
    ends: Mapping[str, Any] = {"first_position": None, "last_position": None, "last_digest": None}
    if month.table.name == "audit":
        ends = session.execute(compose("retention", "ends_audit", relation=month.relation)).fetchone() or ends
    return {
        "relation": month.table.name, "month": month.month, "from_at": start, "until_at": end, "file": path.name,
        "rows": content.rows, "bytes": content.bytes, "sha256": content.sha256, "columns": columns,
        "migration": newest(), **ends, "archived_by": by,
    }  # fmt: skip


@contextmanager
def _unhurried() -> Iterator[None]:
    """Whoever reads or writes a table goes first: the month is left for the next run."""
    try:
        yield
    except _BUSY as error:
        raise RetryLater(
            "Somebody reads or writes the table all the time; what was archived before stays so."
        ) from error
