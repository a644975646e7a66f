"""Databases for tests: made once, used again as long as nothing but rows was left in them.

Making a database copies several hundred files, which takes longer than most tests. After a test its rows are removed and
its sequences set back; a database in which a test left anything else (a role setting, a changed table) is dropped.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

# All that a test could leave but rows: any new, dropped or altered object shows in the number, oid or xmin of its rows.
_SHAPE = """
select md5(string_agg(told, ' ' order by told)) as shape
from (
    select concat_ws(':', 'class', c.oid, c.relname, c.relkind, c.relnatts, c.relhasrules, c.reloptions::text, c.relacl::text) as told
    from pg_class as c
    where c.relkind <> 't' and c.relpersistence <> 't'
    union all
    select concat_ws(':', 'attribute', count(*), max(a.xmin::text::bigint), max(a.attrelid)) from pg_attribute as a
    inner join pg_class as c on c.oid = a.attrelid and c.relpersistence <> 't' and c.relkind <> 't'
    where a.attnum > 0
    union all
    select concat_ws(':', 'proc', count(*), max(oid), max(xmin::text::bigint)) from pg_proc
    union all
    select concat_ws(':', 'namespace', count(*), max(oid), max(xmin::text::bigint)) from pg_namespace
    where nspname !~ '^pg_(toast_)?temp'
    union all
    select concat_ws(':', 'trigger', count(*), max(oid), max(xmin::text::bigint)) from pg_trigger
    union all
    select concat_ws(':', 'constraint', count(*), max(oid), max(xmin::text::bigint)) from pg_constraint
    union all
    select concat_ws(':', 'setting', count(*)) from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
) as objects
"""
_FILLED = """
select n.nspname as schema, c.relname as name
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'r' and c.oid > 16383 and pg_relation_size(c.oid) > 0 and c.relpersistence <> 't'
order by 1, 2
"""
_COUNTED = """
select schemaname, sequencename, last_value
from pg_sequences
where last_value is not null and schemaname !~ '^pg_'
order by 1, 2
"""
_SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
_RELATIONS = """
select n.nspname as schema, c.relname as name, c.relkind::text as kind
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'm', 'p') and c.oid > 16383 and c.relpersistence <> 't'
"""
# A load takes the statistics of what it loaded.
_FORGET_STATISTICS = """
do $$
begin
    set local allow_system_table_mods = on;
    delete from pg_statistic where starelid > 16383;
end
$$
"""
_OTHERS = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


@dataclass(kw_only=True)
class Pool:
    """Copies of one template, on one server, for one process."""

    server_url: str
    template: str
    _free: list[str] = field(default_factory=list)
    _made: list[str] = field(default_factory=list)
    _clean: tuple[Any, ...] | None = None
    """What a fresh copy looks like."""
    _names: tuple[set[Any], set[Any]] = (set(), set())
    """Its schemas and relations."""

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of a database that is as the template, for one test."""
        name = self._free.pop() if self._free else self._make()
        try:
            yield self._url(name)
        finally:
            if self._is_clean_again(name):
                self._free.append(name)
            else:
                self._drop(name)

    def close(self) -> None:
        """Drop what was made."""
        for name in [*self._made]:
            self._drop(name)

    def _make(self) -> str:
        name = f"t_{uuid.uuid4().hex}"
        # Copying files takes a tenth of writing the template again through the log.
        admin(
            self.server_url,
            "create database {name} template {template} strategy file_copy",
            name,
            self.template,
        )
        self._made.append(name)
        if self._clean is None:
            with psycopg.connect(self._url(name), autocommit=True) as session:
                self._clean = self._look(session)
                self._names = self._list(session)
        return name

    def _is_clean_again(self, name: str) -> bool:
        try:
            with psycopg.connect(self._url(name), autocommit=True) as session:
                session.execute("set statement_timeout = '20s'")
                session.execute(_OTHERS)
                assert self._clean is not None
                self._drop_new(session)
                shape, filled, counted, kept = self._clean
                known = set(filled)
                rows = [(row[0], row[1]) for row in session.execute(_FILLED).fetchall()]
                new = [sql.Identifier(*row) for row in rows if row not in known]
                if new:
                    # The append-only tables refuse it otherwise.
                    session.execute("set session_replication_role = replica")
                    session.execute(sql.SQL("truncate {} cascade").format(sql.SQL(", ").join(new)))
                session.execute(_FORGET_STATISTICS)
                for schema, sequence, value in session.execute(_COUNTED).fetchall():
                    if (schema, sequence, value) not in counted:
                        session.execute(
                            sql.SQL("alter sequence {} restart").format(sql.Identifier(schema, sequence))
                        )
                return self._look(session) == (shape, filled, counted, kept)
        except psycopg.Error:
            return False  # It went away with the test, or is not to be trusted: the next test gets a new one.

    def _drop_new(self, session: psycopg.Connection[Any]) -> None:
        schemas, relations = self._names
        schemas_now, relations_now = self._list(session)
        for (schema,) in schemas_now - schemas:
            session.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        for schema, relation, kind in relations_now - relations:
            word = sql.SQL({"v": "view", "m": "materialized view"}.get(kind, "table"))
            session.execute(
                sql.SQL("drop {} if exists {} cascade").format(word, sql.Identifier(schema, relation))
            )

    def _list(self, session: psycopg.Connection[Any]) -> tuple[set[Any], set[Any]]:
        return set(session.execute(_SCHEMAS).fetchall()), set(session.execute(_RELATIONS).fetchall())

    def _look(self, session: psycopg.Connection[Any]) -> tuple[Any, ...]:
        shape = session.execute(_SHAPE).fetchone()
        filled = tuple((row[0], row[1]) for row in session.execute(_FILLED).fetchall())
        counted = tuple(session.execute(_COUNTED).fetchall())
        kept = tuple(
            session.execute(
                sql.SQL(
                    "select md5(coalesce(string_agg(r::text, ' ' order by r::text), '')) from {} as r"
                ).format(sql.Identifier(*name))
            ).fetchone()
            for name in filled
        )
        return shape, filled, counted, kept

    def _drop(self, name: str) -> None:
        self._made.remove(name)
        admin(self.server_url, "drop database if exists {name} with (force)", name)

    def _url(self, name: str) -> str:
        return with_name(self.server_url, name)


def admin(url: str, statement: str, name: str, template: str = "") -> None:
    """A statement about whole databases."""
    composed = sql.SQL(statement).format(name=sql.Identifier(name), template=sql.Identifier(template))
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(composed)


def with_name(url: str, name: str) -> str:
    """The same server, another database."""
    return f"{url.rpartition('/')[0]}/{name}"
