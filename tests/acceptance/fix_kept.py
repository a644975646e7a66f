"""Databases of worlds, kept from world to world with the sessions that have planned the views in them.

A world leaves rows, next month's partitions and marts. These are removed, what the set in force had from the beginning is put
back, sequences are set back: the next world finds what it would find in a new copy. Rows are deleted and not truncated, numbers set
and not restarted, because a table or sequence that gets a new file makes all plans that read it invalid. A database in which
anything else changed (a build, a grant, a restored backup) is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from tests.acceptance.fix_warm import NAME, Warm
from tests.fix_databases import SHAPE
from tieout.db import Database

Name = tuple[str, str]
Session = psycopg.Connection[tuple[Any, ...]]

_OTHERS = """
select pg_terminate_backend(pid, 5000)
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name <> %s
"""
_TABLES = """
select n.nspname, c.relname
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'r' and c.oid > 16383 and c.relpersistence <> 't'
order by 1, 2
"""
_NUMBERS = "select schemaname, sequencename, start_value, last_value from pg_sequences where schemaname !~ '^pg_' order by 1, 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A database and the sessions in it."""

    database: Database
    warm: Warm


@dataclass(kw_only=True)
class Shelf:
    """The databases of this process that no world has at the moment, all copies of the same template."""

    _free: list[Kept] = field(default_factory=list)
    _fresh: _Fresh | None = None

    def take(self) -> Kept | None:
        """One that is as a new copy; None: make a new copy, and tell `made`."""
        return self._free.pop() if self._free else None

    def made(self, kept: Kept) -> None:
        """A new copy, before anything happened in it."""
        if self._fresh is None:
            with psycopg.connect(kept.database.url, autocommit=True) as session:
                self._fresh = _look(session)

    def put_back(self, kept: Kept) -> bool:
        """Is it as a new copy again? Else its sessions are closed, and it is the caller's to drop."""
        try:
            with psycopg.connect(kept.database.url, autocommit=True) as session:
                is_fresh = self._fresh is not None and _is_fresh_again(session, self._fresh)
        except psycopg.Error:
            is_fresh = False  # it went away with the world
        if is_fresh:
            self._free.append(kept)
        else:
            kept.warm.close()
        return is_fresh

    def close(self) -> None:
        """No more worlds: the databases go with their server."""
        for kept in self._free:
            kept.warm.close()
        self._free.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """What a new copy holds."""

    shape: str
    rows: Mapping[Name, tuple[str, bytes]]
    """Of the tables that are not empty: a digest, and the rows as COPY gives them."""
    numbers: Mapping[Name, int | None]
    tables: frozenset[Name]


def _look(session: Session) -> _Fresh:
    tables = frozenset(_named(session, _TABLES))
    filled = _filled(session, tables)
    return _Fresh(
        shape=_shape(session),
        rows={name: (_digest(session, name), _copied(session, name)) for name in filled},
        numbers={(row[0], row[1]): row[3] for row in session.execute(_NUMBERS).fetchall()},
        tables=tables,
    )


def _is_fresh_again(session: Session, fresh: _Fresh) -> bool:
    session.execute("set statement_timeout = '20s'")
    session.execute(_OTHERS, (NAME,))
    # The append-only tables refuse it otherwise.
    session.execute("set session_replication_role = replica")
    tables = frozenset(_named(session, _TABLES))
    for name in tables - fresh.tables:
        session.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(*name)))
    if _shape(session) != fresh.shape:
        return False
    for name in _filled(session, fresh.tables) | fresh.rows.keys():
        digest, copied = fresh.rows.get(name, (None, b""))
        if digest is None or _digest(session, name) != digest:
            session.execute(sql.SQL("delete from {}").format(sql.Identifier(*name)))
            if copied:
                statement = sql.SQL("copy {} from stdin").format(sql.Identifier(*name))
                with session.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write(copied)
    for schema, sequence, start, last in session.execute(_NUMBERS).fetchall():
        wanted = fresh.numbers.get((schema, sequence))
        if last != wanted:
            values = (f'"{schema}"."{sequence}"', start if wanted is None else wanted, wanted is not None)
            session.execute("select setval(%s::regclass, %s, %s)", values)
    return True


def _filled(session: Session, tables: frozenset[Name]) -> frozenset[Name]:
    """Those that hold rows."""
    asked = sql.SQL(" union all ").join(
        sql.SQL("select {}, {} where exists (select 1 from {})").format(*name, sql.Identifier(*name))
        for name in sorted(tables)
    )
    return frozenset((row[0], row[1]) for row in session.execute(asked).fetchall())


def _digest(session: Session, name: Name) -> str:
    asked = sql.SQL("select md5(coalesce(string_agg(r::text, ' ' order by r::text), '')) from {} as r")
    row = session.execute(asked.format(sql.Identifier(*name))).fetchone()
    assert row is not None
    return str(row[0])


def _copied(session: Session, name: Name) -> bytes:
    statement = sql.SQL("copy {} to stdout").format(sql.Identifier(*name))
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(some) for some in copy)


def _shape(session: Session) -> str:
    row = session.execute(SHAPE).fetchone()
    assert row is not None
    return str(row[0])


def _named(session: Session, statement: str) -> list[Name]:
    return [(row[0], row[1]) for row in session.execute(statement).fetchall()]
