"""Numbered migrations: forward only, each file once and in its own transaction, safe twice and by many at
once.

`sql/schema/NNNN_name.sql` begins with `-- additive` or `-- breaking: why`. A process that migrates holds one
advisory lock of the session alone; every unit of work holds it shared and looks at the numbers, so that no
worker meets a table that changes between a request and its answer. Dying in between loses only the file that
was being applied. After the numbered files, `sql/staging/*.sql` (`create table if not exists …`, safe to
repeat) are applied whenever their text has changed.
"""

from __future__ import annotations

import functools
import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from tieout.db import Database, lock_key, unlock
from tieout.errors import ConfigurationError, LockHeld, MigrationMismatch, RetryLater
from tieout.events import Event, emit
from tieout.queries import query
from tieout.roles import grant_roles
from tieout.settings import package_root

LOCK = "tieout.migrate"
WAIT_SECONDS = 60

_NAME = re.compile(r"(?P<number>\d{4})_\w+\.sql")
_FIRST_LINE = re.compile(r"-- (additive|breaking: \S.*)")

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    name: str
    number: int | None
    """None for a staging file."""
    text: str
    checksum: str


def migrate(database: Database, *, root: Path | None = None) -> list[str]:
    """Bring the database to this version; the names of the files that were applied, in order.

    `root` holds `schema/` and `staging/`; by default what tieout ships. Raises MigrationMismatch when the
    database is newer than this tieout or an applied file was edited, RetryLater when units of work keep the
    lock for a minute.
    """
    files = _files(root or package_root() / "sql")
    with database.connect(direct=True) as connection:
        _take(connection, "lock_migrations")
        try:
            connection.execute(query("migrate", "prepare"))
            applied = _applied(connection)
            _refuse_mismatch(files, applied)
            started = time.monotonic()
            done = [file.name for file in files if _apply(connection, file, applied)]
            # Also when nothing was applied: an administrator may have made the roles since.
            grant_roles(connection)
            if done:
                emit(Event.MIGRATION_APPLIED, files=done, seconds=round(time.monotonic() - started, 3))
            return done
        finally:
            if not connection.closed:
                unlock(connection, LOCK)


def check_migrated(connection: Session, *, root: Path | None = None) -> None:
    """Raise MigrationMismatch unless the database has exactly the files of this version."""
    files = _files(root or package_root() / "sql")
    try:
        applied = _applied(connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise MigrationMismatch("The database has no tables of tieout yet.") from error
    _refuse_mismatch(files, applied)
    missing = [file.name for file in files if applied.get(file.name) != file.checksum]
    if missing:
        raise MigrationMismatch(f"The database lacks {', '.join(missing)}.")


@contextmanager
def unit_of_work(connection: Session) -> Iterator[Session]:
    """Hold the migration lock shared, on a database of this version, for one bounded piece of work."""
    # Hardly ever does anybody migrate: the lock is free, and whoever asks first of all whether it is saves three round trips.
    row = connection.execute(query("migrate", "try_share_migrations"), {"key": lock_key(LOCK)}).fetchone()
    if row is None or not row["is_shared"]:
        _take(connection, "share_migrations")
    try:
        check_migrated(connection)
        yield connection
    finally:
        # A session that broke has given its locks back by ending.
        if not connection.closed and not connection.broken:
            connection.execute(query("migrate", "unshare_migrations"), {"key": lock_key(LOCK)})


@contextmanager
def alone(connection: Session, *, doing: str, again: str) -> Iterator[None]:
    """No unit of work runs meanwhile, anywhere. RetryLater when one does not end within a minute."""
    _take(connection, "lock_migrations", doing=doing, again=again)
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            unlock(connection, LOCK)


def newest() -> int:
    """The number of the last migration that this version has."""
    return max(file.number or 0 for file in _files(package_root() / "sql"))


def _take(
    connection: Session, statement: LiteralString, *, doing: str = "migrated", again: str = "tieout migrate"
) -> None:
    try:
        with connection.transaction():
            connection.execute(query("migrate", "limit_wait"), {"milliseconds": str(WAIT_SECONDS * 1000)})
            # A lock of the session: it outlives this transaction, the limit on waiting does not.
            connection.execute(query("migrate", statement), {"key": lock_key(LOCK)})
    except psycopg.errors.LockNotAvailable as error:
        if statement == "share_migrations":
            raise LockHeld(
                "The database is being migrated.", cure="Run the command again afterwards."
            ) from error
        raise RetryLater(
            f"Other commands have been at work for {WAIT_SECONDS} s; nothing was {doing}.",
            cure=f"Run `{again}` again when they are done.",
        ) from error


def _apply(connection: Session, file: _File, applied: Mapping[str, str]) -> bool:
    if applied.get(file.name) == file.checksum:
        return False
    note = "note_staging" if file.number is None else "note_migration"
    values = {"name": file.name, "number": file.number, "checksum": file.checksum}
    with connection.transaction():
        connection.execute(query("migrate", "limit_wait"), {"milliseconds": str(WAIT_SECONDS * 1000)})
        # Files of ours, many statements each: sent as they are, without parameters.
        connection.execute(file.text)
        if file.number is None:
            connection.execute(query("migrate", "keep_payloads_plain"))
        connection.execute(query("migrate", note), values)
    return True


def _applied(connection: Session) -> dict[str, str]:
    return {row["name"]: row["checksum"] for row in connection.execute(query("migrate", "applied"))}


def _refuse_mismatch(files: tuple[_File, ...], applied: Mapping[str, str]) -> None:
    known = {file.name: file for file in files}
    newer = sorted(name for name in applied if name not in known)
    if newer:
        raise MigrationMismatch(
            f"The database is newer than this tieout: it has {', '.join(newer)}.",
            cure="Install the version of tieout that the other processes run.",
        )
    highest = max((file.number or 0 for file in files if file.name in applied), default=0)
    late = [file.name for file in files if file.number and file.number < highest and file.name not in applied]
    if late:
        raise MigrationMismatch(
            f"{', '.join(late)} comes before a migration that this database already has.",
            cure="Give the file the next number.",
        )
    edited = [
        file.name
        for file in files
        if file.number is not None and applied.get(file.name, file.checksum) != file.checksum
    ]
    if edited:
        raise MigrationMismatch(
            f"{', '.join(edited)} differs from what was applied to this database.",
            cure="Migrations are never edited: restore the file and add a new one.",
        )


@functools.cache
def _files(root: Path) -> tuple[_File, ...]:
    """Numbered files in order, then staging files by name."""
    numbered = [_numbered(path) for path in sorted((root / "schema").glob("*.sql"))]
    numbers = [file.number for file in numbered if file.number is not None]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise ConfigurationError(
            f"Two migrations have the number {twice}.",
            cure="Give each file in sql/schema a number of its own.",
        )
    staging = [_file(path, None) for path in sorted((root / "staging").glob("*.sql"))]
    return (*numbered, *staging)


def _numbered(path: Path) -> _File:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise ConfigurationError(
            f"{path.name} in sql/schema is not named NNNN_words.sql.", cure="Rename the file."
        )
    file = _file(path, int(name["number"]))
    if not _FIRST_LINE.fullmatch(file.text.partition("\n")[0]):
        raise ConfigurationError(
            f"{path.name} does not say whether it is additive.",
            cure='Begin it with the line "-- additive" or "-- breaking: why".',
        )
    return file


def _file(path: Path, number: int | None) -> _File:
    text = path.read_text(encoding="utf-8")
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return _File(name=path.name, number=number, text=text, checksum=checksum)
