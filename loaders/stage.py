"""The merge: records into a staging table, in the caller's transaction, so that a page and its cursor commit
together.

Order: records that cannot be stored go to cdc.bad_records; of equal ids the last counts; hashes are asked
first, so that what did not change does not travel. What is not known goes by COPY straight into the staging table; the
rest, and what another session made known meanwhile, goes by COPY to a temporary table and is compared again under row
locks. A record that really changed takes a version and leaves one row in cdc.changes and one in cdc.history.

What never happens: content of a higher version replaced by an answer that was asked for before it (the record
is asked for again, unless the source's own time of change decides), a full record replaced by a poorer form
of it, or a page stopped by one odd record. Merging the same records twice is merging them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql

from loaders.records import BadRecord, RawRecord, content_hash, record_of, timed
from loaders.stream import Cursor, Stream, find_stream
from tieout.db import array_text, copy_binary, json_dumps
from tieout.events import Event, emit
from tieout.queries import compose, query

ToldBy = Literal["poll", "webhook", "write answer", "backfill", "sweep", "ask again"]
PgConnection = psycopg.Connection[dict[str, Any]]

__all__ = [
    "BadRecord",
    "Cursor",
    "Merged",
    "RawRecord",
    "ToldBy",
    "mark_deleted",
    "merge",
    "record_of",
    "staging_table",
]

_TOUCHING = ("poll", "webhook", "write answer", "ask again")
"""A backfill or sweep touches nothing: it reads the touched stream whole as well, in its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What became of the records of one merge; counts."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    """Not taken: older than what is known, or poorer."""
    bad: int = 0
    """New in cdc.bad_records."""

    @property
    def changed(self) -> int:
        """Rows whose content changed."""
        return self.inserted + self.updated

    def __add__(self, other: Merged) -> Merged:
        return Merged(
            inserted=self.inserted + other.inserted,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            stale=self.stale + other.stale,
            bad=self.bad + other.bad,
        )


def merge(
    connection: PgConnection,
    *,
    system: str,
    stream: str,
    connection_name: str,
    records: Iterable[RawRecord | BadRecord],
    asked_version: int,
    told_by: ToldBy,
    form: str = "full",
    run: UUID | None = None,
    cursor: Cursor | None = None,
) -> Merged:
    """Merge records into `staging.<system>__<stream>`; must be called inside a transaction.

    `asked_version` is the number from cdc.version that was drawn before the request left. `form` names the
    form of all records: `full`, or any other name for a poorer one. With `cursor` the stream's position moves
    in the same transaction.
    """
    target = _Target.of(
        connection, find_stream(system, stream), connection_name, told_by=told_by, form=form, run=run
    )
    good, bad = _sorted_out(timed(target.stream, records))
    asked = target.ask(good)
    merged = target.store(asked.unknown, asked_version, target.add)
    merged += target.store(asked.differing, asked_version, target.compare)
    sent = merged.inserted + merged.updated + merged.unchanged + merged.stale + len(target.refused)
    merged += Merged(unchanged=len(good) - sent)
    if asked.has_bad:
        target.forget_bad([record.id for record in good])
    merged += Merged(bad=sum(target.keep_bad(record) for record in [*bad, *target.refused]))
    if merged.changed and told_by in _TOUCHING:
        target.touch([record.id for record in [*asked.unknown, *asked.differing]], asked_version)
    if merged.changed:
        target.tell()
    if cursor is not None or merged.inserted:
        connection.execute(
            query("stage", "save_cursor"),
            {
                "connection": connection_name,
                "stream": stream,
                "cursor": json_dumps(dict(cursor.value)) if cursor is not None else None,
                "inserted": merged.inserted,
            },
        )
    return merged


def mark_deleted(
    connection: PgConnection,
    *,
    stream: Stream,
    connection_name: str,
    ids: Sequence[str],
    before_version: int,
    told_by: ToldBy,
    run: UUID | None = None,
) -> int:
    """Set `deleted_at` on records that the system was asked for and no longer has; how many rows changed.

    `before_version` is the number drawn before asking: rows that changed since are left alone. Inside a
    transaction.
    """
    target = _Target.of(connection, stream, connection_name, told_by=told_by, form="full", run=run)
    row = target.execute("mark_deleted", ids=list(ids), before_version=before_version).fetchone()
    deleted = int(row["deleted"]) if row is not None else 0
    if deleted:
        target.tell()
    return deleted


def staging_table(stream: Stream) -> sql.Identifier:
    """The staging table of a stream."""
    return sql.Identifier("staging", f"{stream.system}__{stream.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the staging table says of the records of a page by their hashes."""

    unknown: Sequence[RawRecord] = ()
    differing: Sequence[RawRecord] = ()
    """Of other content or form, or marked as deleted."""
    has_bad: bool = False
    """The stream has records in cdc.bad_records."""


class _Target:
    """One staging table during one merge."""

    def __init__(
        self, connection: PgConnection, stream: Stream, keys: sql.Composable, values: dict[str, Any]
    ) -> None:
        self.connection = connection
        self.stream = stream
        self.refused: list[BadRecord] = []
        self._keys = keys
        self._values = values

    @classmethod
    def of(
        cls,
        connection: PgConnection,
        stream: Stream,
        connection_name: str,
        *,
        told_by: str,
        form: str,
        run: UUID | None,
    ) -> _Target:
        columns = _generated_columns(connection, stream)
        pairs = [part for name in columns for part in (sql.Literal(name), sql.Identifier("known", name))]
        keys = sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs))
        values = {
            "connection": connection_name,
            "stream": stream.name,
            "told_by": told_by,
            "form": form,
            "run": run,
            "noise": list(stream.noise),
        }
        return cls(connection, stream, keys, values)

    def execute(self, statement: str, **values: object) -> psycopg.Cursor[dict[str, Any]]:
        return self.connection.execute(self._text(statement), self._values | values)

    def _text(self, statement: str) -> bytes:
        """Composed once a process: composing takes longer than a small statement runs."""
        key = (self.stream.system, self.stream.name, statement)
        if key not in _STATEMENTS:
            composed = compose("stage", statement, table=staging_table(self.stream), keys=self._keys)
            _STATEMENTS[key] = composed.as_bytes(self.connection)
        return _STATEMENTS[key]

    def ask(self, records: Sequence[RawRecord]) -> _Asked:
        """Which records are worth sending."""
        if not records:
            return _Asked()
        ids = array_text([record.id for record in records])
        row = (
            self.execute("differing", ids=ids, hashes=array_text(list(map(_hash, records)))).fetchone() or {}
        )
        return _Asked(
            unknown=[records[place - 1] for place in row["unknown"]],
            differing=[records[place - 1] for place in row["differing"]],
            has_bad=row["has_bad"],
        )

    def store(self, records: Sequence[RawRecord], asked_version: int, send: _Send) -> Merged:
        """Send and merge; when Postgres refuses a value, halve until the record that has it stands alone."""
        if not records:
            return Merged()
        try:
            with self.connection.transaction():
                return send(records, asked_version)
        except psycopg.errors.UniqueViolation:
            # Another session (a write's answer) made one of them known since the hashes were asked.
            return self.store(records, asked_version, self.compare)
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
            if len(records) > 1:
                middle = len(records) // 2
                return self.store(records[:middle], asked_version, send) + self.store(
                    records[middle:], asked_version, send
                )
            self.refused.append(_refused(self.stream, records[0], error))
            return Merged()

    def add(self, records: Sequence[RawRecord], asked_version: int) -> Merged:
        """Records that are not known go straight into the staging table: parsed, compressed and written once."""
        if self._values["form"] != "full":
            return self.compare(records, asked_version)
        row = self.connection.execute(query("stage", "versions"), {"count": len(records)}).fetchone() or {}
        versions: list[int] = row["versions"]
        name, form = self._values["connection"], self._values["form"]
        # In one order for all sessions, so that two that add the same records wait for each other instead of deadlocking.
        ordered = sorted(records, key=_id)
        copy_binary(
            self.connection,
            staging_table(self.stream),
            _COPIED,
            (
                (name, record.id, record.raw, _hash(record), form, record.modified_at, version)
                for record, version in zip(ordered, versions, strict=True)
            ),
        )
        self.execute("tell_added", ids=array_text([record.id for record in ordered]))
        return Merged(inserted=len(records))

    def compare(self, records: Sequence[RawRecord], asked_version: int) -> Merged:
        """Records that may be known are compared again, under row locks."""
        name = self._values["connection"]
        self.connection.execute(query("stage", "make_incoming"))
        self.connection.execute(query("stage", "clear_incoming"))
        copy_binary(
            self.connection,
            sql.Identifier("pg_temp", "incoming"),
            _INCOMING,
            ((name, record.id, record.raw, _hash(record), record.modified_at) for record in records),
        )
        inserted = _count(self.execute("insert_new"), "inserted")
        if inserted == len(records):
            return Merged(inserted=inserted)
        self.execute("lock_known")
        row = self.execute("change_known", asked_version=asked_version).fetchone() or {}
        return Merged(
            inserted=inserted,
            updated=int(row["updated"]),
            unchanged=int(row["unchanged"]),
            stale=int(row["stale"]),
        )

    def forget_bad(self, ids: Sequence[str]) -> None:
        refused = {record.id for record in self.refused}
        readable = [record_id for record_id in ids if record_id not in refused]
        if readable:
            self.connection.execute(query("stage", "forget_bad"), self._values | {"ids": readable})

    def keep_bad(self, record: BadRecord) -> int:
        """1 when the record was not known as bad before."""
        values = {"id": record.id, "raw": record.raw, "reason": record.reason, "cure": record.cure}
        row = self.connection.execute(query("stage", "keep_bad"), self._values | values).fetchone()
        if row is None or not row["is_new"]:
            return 0
        emit(
            Event.LOAD_RECORD_REFUSED,
            connection=self._values["connection"],
            stream=self.stream.name,
            id=record.id,
            reason=record.reason,
        )
        return 1

    def tell(self) -> None:
        """Wake `tieout run`, when this commits. Our own write is no news, and its commits need not queue for the server's
        one list of notifications.
        """
        if self._values["told_by"] != "write answer":
            self.connection.execute(query("stage", "tell"), {"stream": self.stream.name})

    def touch(self, ids: Sequence[str], asked_version: int) -> None:
        for touch in self.stream.touches:
            self.execute(
                "touch", ids=list(ids), asked_version=asked_version, touched=touch.stream, path=touch.path
            )


def _sorted_out(records: Sequence[RawRecord | BadRecord]) -> tuple[list[RawRecord], list[BadRecord]]:
    """Good and bad apart; of equal ids the last counts, whichever it is."""
    last: dict[str, RawRecord | BadRecord] = {record.id: record for record in records}
    good = [record for record in last.values() if type(record) is RawRecord]
    return good, [record for record in last.values() if isinstance(record, BadRecord)] if len(good) < len(
        last
    ) else []


def _refused(stream: Stream, record: RawRecord, error: psycopg.Error) -> BadRecord:
    return BadRecord(
        id=record.id,
        raw=record.raw,
        reason=f"Postgres cannot store it: {error.diag.message_primary or error}.",
        cure=f"Correct the value in {stream.system}; the next load takes the record in by itself.",
    )


def _count(cursor: psycopg.Cursor[dict[str, Any]], name: str) -> int:
    row = cursor.fetchone()
    return int(row[name]) if row is not None else 0


def _id(record: RawRecord) -> str:
    return record.id


def _hash(record: RawRecord) -> str:
    return record.content_hash or content_hash(record.raw)


_Send = Callable[[Sequence[RawRecord], int], Merged]
_COPIED = {
    "connection": "text",
    "id": "text",
    "payload": "jsonb",
    "content_hash": "text",
    "form": "text",
    "modified_at": "timestamptz",
    "version": "int8",
}
_INCOMING = {
    "connection": "text",
    "id": "text",
    "payload": "jsonb",
    "content_hash": "text",
    "modified_at": "timestamptz",
}
_STATEMENTS: dict[tuple[str, str, str], bytes] = {}
_COLUMNS: dict[str, tuple[str, ...]] = {}
"""Key columns by table, asked once a process: a migration changes them, and after one a process starts anew.
"""


def _generated_columns(connection: PgConnection, stream: Stream) -> tuple[str, ...]:
    table = f"staging.{stream.system}__{stream.name}"
    if table not in _COLUMNS:
        rows = connection.execute(query("stage", "generated_columns"), {"table": table}).fetchall()
        _COLUMNS[table] = tuple(str(row["name"]) for row in rows)
    return _COLUMNS[table]
