"""Time travel for tests: dumps of the engine's database, put back in the same or in another place."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from cdc.recover import Recovery, recover
from loaders.poll import Loaded
from tests.db.fix_engine import Engine, FakeClient
from tieout.db import Database
from tieout.settings import Connection


def recovered(engine: Engine, *, by: str = "jane", anyway: bool = False) -> Recovery:
    """`tieout recover`, the ledger read by the engine's own load."""

    def load(_connection: Connection, _wholly: Sequence[str]) -> Sequence[Loaded]:
        engine.load()
        return []

    return recover(
        engine.database,
        engine.settings,
        by=by,
        run=engine.run,
        anyway=anyway,
        open_client=lambda _connection: FakeClient(engine.target, engine.identity),
        writers=engine.writers,
        load=load,
    )


@contextmanager
def copy_of(engine: Engine) -> Iterator[Database]:
    """The database as it is now, under another name: what `createdb --template` or a dump put back beside it gives."""
    name = f"copy_{uuid.uuid4().hex}"
    server, _, source = engine.database.url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as session:
        engine.connection.close()
        session.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (source,)
        )
        session.execute(
            sql.SQL("create database {name} template {source} strategy file_copy").format(
                name=sql.Identifier(name), source=sql.Identifier(source)
            )
        )
        engine.connection = engine.database.connect()
        try:
            yield Database(f"{server}/{name}")
        finally:
            session.execute(
                sql.SQL("drop database if exists {name} with (force)").format(name=sql.Identifier(name))
            )


def moved_to(engine: Engine, database: Database) -> Engine:
    """The same shop, ledger and machine, on another database."""
    settings = replace(engine.settings, database_url=database.url)
    other = replace(engine, database=database, connection=database.connect(), settings=settings)
    other.writes = engine.writes
    return other


def forget(engine: Engine, *tables: str) -> None:
    """What a database without these rows is like; the audit trail refuses it to everybody but a restore."""
    engine.connection.execute("set session_replication_role = replica")
    engine.connection.execute(f"truncate {', '.join(tables)}".encode())
    engine.connection.execute("set session_replication_role = origin")


EMPTY = ("cdc.installation", "cdc.calls", "cdc.links", "cdc.outbox", "cdc.outbox_done", "cdc.changed_keys")
"""The tables in which a database knows what it wrote."""
