"""Databases for tests: made once, used again as long as nothing but rows was left in them.

Making a database copies several hundred files, which takes longer than most tests. After a test its rows are removed and
its sequences set back; a database in which a test left anything else (a role setting, a changed table) is dropped.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

MEMORY = Path("/dev/shm")  # of Linux; the folders that tests make in it are private
_ROOM = 8 * 2**30
"""Bytes. A whole run takes less than two of these."""

# All that a test could leave but rows: any new, dropped or altered object shows in the number, oid or xmin of its rows. What the
# server itself brings has lower oids.
SHAPE = """
select md5(string_agg(told, ' ' order by told)) as shape
from (
    select concat_ws(':', 'class', c.oid, c.relname, c.relkind, c.relnatts, c.relhasrules, c.reloptions::text, c.relacl::text) as told
    from pg_class as c
    where c.oid > 16383 and c.relkind <> 't' and c.relpersistence <> 't'
    union all
    select concat_ws(':', 'system class', count(*), max(xmin::text::bigint)) from pg_class
    where oid <= 16383
    union all
    select concat_ws(':', 'attribute', count(*), max(a.xmin::text::bigint), max(a.attrelid)) from pg_attribute as a
    inner join pg_class as c on c.oid = a.attrelid and c.relpersistence <> 't' and c.relkind <> 't'
    where a.attrelid > 16383 and a.attnum > 0
    union all
    select concat_ws(':', 'proc', count(*), max(oid), max(xmin::text::bigint)) from pg_proc
    union all
    select concat_ws(':', 'rewrite', count(*), max(oid), max(xmin::text::bigint)) from pg_rewrite
    union all
    select concat_ws(':', 'namespace', count(*), max(oid), max(xmin::text::bigint)) from pg_namespace
    where nspname !~ '^pg_(toast_)?temp'
    union all
    select concat_ws(':', 'trigger', count(*), max(oid), max(xmin::text::bigint)) from pg_trigger
    union all
    select concat_ws(':', 'constraint', count(*), max(k.oid), max(k.xmin::text::bigint)) from pg_constraint as k
    left join pg_class as c on c.oid = k.conrelid
    where c.relpersistence is distinct from 't'
    union all
    select concat_ws(':', 'database', datacl::text) from pg_database where datname = current_database()
    union all
    select concat_ws(':', 'setting', count(*)) from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
) as objects
"""
# Tables that have or had rows. Up to ten pages, as long as nobody analysed it, the planner takes a table for one that is new
# (PostgreSQL: plancat.c, estimate_rel_size): deleting rows is then as good as a new file, and takes a fraction of the time.
_FILLED = """
select
    c.oid::regclass::text as name,
    pg_stat_get_tuples_inserted(c.oid) as inserted,
    pg_relation_size(c.oid) > 4 * 8192 or c.reltuples >= 0 as is_changed
from pg_class as c
where c.relkind = 'r' and c.oid > 16383 and c.relpersistence <> 't' and (pg_relation_size(c.oid) > 0 or c.reltuples >= 0)
order by 1
"""
_COUNTED = """
select s.seqrelid::regclass::text as name, pg_sequence_last_value(s.seqrelid) as value
from pg_sequence as s
inner join pg_class as c on c.oid = s.seqrelid and c.relpersistence <> 't'
where pg_sequence_last_value(s.seqrelid) is not null
order by 1
"""
_RESTART = "select setval(seqrelid::regclass, seqstart, false) from pg_sequence where seqrelid::regclass::text = any(%s)"
_NEW_SCHEMAS = "select quote_ident(nspname) as name from pg_namespace where oid > %s and nspname !~ '^pg_'"
_NEW_RELATIONS = """
select c.oid::regclass::text as name, c.relkind::text as kind
from pg_class as c
where c.oid > %s and c.relkind in ('r', 'v', 'm', 'p') and c.relpersistence <> 't'
"""
_NEWEST = (
    "select greatest((select max(oid) from pg_class), (select max(oid) from pg_namespace))::bigint as newest"
)
# A load takes the statistics of what it loaded.
_FORGET_STATISTICS = "delete from pg_statistic where starelid > 16383"
_OTHERS = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
# The append-only tables refuse to be emptied otherwise; who inserted what must be read anew each time.
_OF_KEEPER = """
set statement_timeout = '20s';
set session_replication_role = replica;
set allow_system_table_mods = on;
set stats_fetch_consistency = none
"""


@dataclass(kw_only=True)
class Copy:
    """A copy of the template, with the session that cleans it: kept, because a new one first reads the whole catalogue."""

    name: str
    url: str
    inserted: dict[str, int] = field(default_factory=dict)
    """Rows that were ever inserted, by table, when it was clean last: where no more were, there is nothing to remove."""
    _keeper: psycopg.Connection[Any] | None = None

    def ask(self, statement: str, *values: object) -> list[Any]:
        """The rows of a statement that is asked after each test."""
        session = self._session()
        return session.execute(statement.encode(), values or None, prepare=True).fetchall()

    def tell(self, statement: str) -> None:
        """Run a statement."""
        self._session().execute(statement.encode(), prepare=False)

    def close(self) -> None:
        """The session ends; what was counted may be counted from nothing (a server that crashed forgets it)."""
        if self._keeper is not None:
            self._keeper.close()
        self._keeper = None
        self.inserted = {}

    def _session(self) -> psycopg.Connection[Any]:
        if self._keeper is None:
            self._keeper = psycopg.connect(self.url, autocommit=True, application_name="keeper")
            self._keeper.execute(_OF_KEEPER.encode(), prepare=False)
        return self._keeper


@dataclass(frozen=True, kw_only=True)
class Clean:
    """What a fresh copy looks like."""

    shape: str
    newest: int
    """The highest oid of its schemas and relations."""
    filled: frozenset[str]
    """Tables that have rows from the start."""
    state: tuple[Any, ...]


@dataclass(kw_only=True)
class Pool:
    """Copies of one template, on one server, for one process."""

    server_url: str
    template: str
    _free: list[Copy] = field(default_factory=list)
    _made: list[Copy] = field(default_factory=list)
    _clean: Clean | None = None

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of a database that is as the template, for one test."""
        copy = self._free.pop() if self._free else self._make()
        try:
            yield copy.url
        finally:
            if self._is_clean_again(copy):
                self._free.append(copy)
            else:
                self._drop(copy)

    def close(self) -> None:
        """Drop what was made."""
        for copy in [*self._made]:
            self._drop(copy)

    def _make(self) -> Copy:
        name = f"t_{uuid.uuid4().hex}"
        # Copying files takes a tenth of writing the template again through the log.
        admin(
            self.server_url,
            "create database {name} template {template} strategy file_copy",
            name,
            self.template,
        )
        copy = Copy(name=name, url=with_name(self.server_url, name))
        self._made.append(copy)
        if self._clean is None:
            filled = frozenset(row[0] for row in copy.ask(_FILLED))
            self._clean = Clean(
                shape=copy.ask(SHAPE)[0][0],
                newest=copy.ask(_NEWEST)[0][0],
                filled=filled,
                state=self._look(copy, filled),
            )
        return copy

    def _is_clean_again(self, copy: Copy) -> bool:
        for _ in range(2):
            try:
                return self._is_cleaned(copy)
            except psycopg.OperationalError:
                copy.close()  # A test ended all sessions, this one too.
            except psycopg.Error:
                break  # It is not to be trusted: the next test gets a new one.
        return False  # It went away with the test.

    def _is_cleaned(self, copy: Copy) -> bool:
        clean = self._clean
        assert clean is not None
        copy.ask(_OTHERS)
        for (name,) in copy.ask(_NEW_SCHEMAS, clean.newest):
            copy.tell(f"drop schema {name} cascade")
        for name, kind in copy.ask(_NEW_RELATIONS, clean.newest):
            copy.tell(f"drop {_KINDS.get(kind, 'table')} if exists {name} cascade")
        filled = [row for row in copy.ask(_FILLED) if row[0] not in clean.filled]
        changed = [name for name, _, is_changed in filled if is_changed]
        touched = [
            name
            for name, inserted, is_changed in filled
            if not is_changed and copy.inserted.get(name) != inserted
        ]
        if changed:
            copy.tell(f"truncate {', '.join(changed)} cascade")
        if touched:
            copy.tell("; ".join(f"delete from {name}" for name in touched))
        copy.inserted = {name: inserted for name, inserted, _ in filled}
        copy.tell(_FORGET_STATISTICS)
        counted = [row[0] for row in copy.ask(_COUNTED) if row not in clean.state[0]]
        if counted:
            copy.ask(_RESTART, counted)
        return self._look(copy, clean.filled) == clean.state and copy.ask(SHAPE)[0][0] == clean.shape

    def _look(self, copy: Copy, filled: frozenset[str]) -> tuple[Any, ...]:
        """Sequences that count, and the rows that are there from the start."""
        kept = [
            copy.ask(f"select md5(coalesce(string_agg(r::text, ' ' order by r::text), '')) from {name} as r")
            for name in sorted(filled)
        ]
        return copy.ask(_COUNTED), kept

    def _drop(self, copy: Copy) -> None:
        copy.close()
        self._made.remove(copy)
        admin(self.server_url, "drop database if exists {name} with (force)", copy.name)


_KINDS = {"v": "view", "m": "materialized view"}


def roomy() -> Path | None:
    """Where a server's files are in memory, if there is room for them: a database is a thousand small files, and copying these to
    a disk costs five to fifteen times the work. None: where temporary files usually are.
    """
    # The programs of the server lie beside its data (`tieout.embedded`): containers often mount it so that nothing can be started there.
    if not MEMORY.is_dir() or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return None
    free = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
    return MEMORY if free > _ROOM else None


def admin(url: str, statement: str, name: str, template: str = "") -> None:
    """A statement about whole databases."""
    composed = sql.SQL(statement).format(name=sql.Identifier(name), template=sql.Identifier(template))
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(composed)


def with_name(url: str, name: str) -> str:
    """The same server, another database."""
    return f"{url.rpartition('/')[0]}/{name}"
