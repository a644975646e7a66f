"""Least privilege: each role does its work and nothing else, also after a build put new relations in place of the old."""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from console.setup import _roles as checked_roles
from tests.db.fix_build import Place
from tests.fix_databases import roomy
from tieout import embedded
from tieout.db import Database
from tieout.migrate import migrate
from tieout.roles import grant_roles, missing_roles

READER, ANALYST, LOADER, WRITER = "tieout_reader", "tieout_analyst", "tieout_loader", "tieout_writer"


@contextmanager
def acting_as(database: Database, role: str) -> Iterator[psycopg.Connection[dict[str, object]]]:
    with database.connect() as session:
        grant_roles(session)  # a copied database has lost what was granted on the database itself
        session.execute(sql.SQL("set role {role}").format(role=sql.Identifier(role)))
        yield session


ALLOWED = [
    (READER, "select * from canonical.orders"),
    (READER, "select * from marts.sales"),
    (ANALYST, "select * from canonical.orders"),
    (ANALYST, "select * from outbound.out_xero__invoices"),
    (ANALYST, "select * from staging.magento__orders"),
    (ANALYST, "select * from cdc.outbox"),
    (ANALYST, "select * from cdc.history"),
    (
        ANALYST,
        "create schema dev_of_ann; create view dev_of_ann.mine as select * from staging.magento__orders",
    ),
    (LOADER, "update staging.magento__orders set deleted_at = null"),
    (LOADER, "analyze staging.magento__orders"),
    (LOADER, "select nextval('cdc.version')"),
    (LOADER, "delete from cdc.vault"),
    (LOADER, "insert into cdc.changes (connection, stream, id, version) values ('shop', 'orders', '1', 1)"),
    (WRITER, "select * from outbound.out_xero__invoices"),
    (WRITER, "delete from cdc.outbox"),
    (WRITER, "delete from marts.sales"),
    (WRITER, "update staging.magento__orders set deleted_at = null"),
    (WRITER, "delete from cdc.vault"),
]
FORBIDDEN = [
    (READER, "select * from staging.magento__orders"),
    (READER, "select * from outbound.out_xero__invoices"),
    (READER, "select * from cdc.calls"),
    (READER, "select * from cdc.vault"),
    (READER, "delete from marts.sales"),
    (READER, "create schema mine"),
    (ANALYST, "select * from cdc.vault"),
    (ANALYST, "update cdc.outbox set state = 'ready'"),
    (ANALYST, "update staging.magento__orders set deleted_at = now()"),
    (ANALYST, "delete from marts.sales"),
    (ANALYST, "alter schema canonical rename to gone"),
    (ANALYST, "create view canonical.mine as select 1 as one"),
    (LOADER, "select * from cdc.outbox"),
    (LOADER, "update cdc.links set target_id = 'x'"),
    (LOADER, "select * from canonical.orders"),
    (LOADER, "delete from cdc.history"),
    (LOADER, "update cdc.migrations set checksum = ''"),
    (LOADER, "drop table staging.magento__orders"),
    (WRITER, "delete from cdc.audit"),
    (WRITER, "update cdc.migrations set checksum = ''"),
    (WRITER, "drop table cdc.outbox"),
    (WRITER, "create schema mine"),
    (
        WRITER,
        "create or replace function cdc.refuse_always() returns trigger language plpgsql as 'begin return old; end'",
    ),
]


@pytest.fixture
def database(built: Place) -> Database:
    """One with models and marts."""
    return built.database


def test_each_role_may_do_its_work_and_nothing_else(database: Database) -> None:
    wrong = []
    for role, statement in ALLOWED:
        with acting_as(database, role) as session, session.transaction(force_rollback=True):
            try:
                session.execute(statement)
            except psycopg.errors.InsufficientPrivilege as error:
                wrong.append(f"{role} must be able to {statement}: {error}")
    for role, statement in FORBIDDEN:
        with acting_as(database, role) as session, session.transaction(force_rollback=True):
            try:
                session.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                continue
            wrong.append(f"{role} must not be able to {statement}")

    assert wrong == []


def test_bi_reads_every_model_of_canonical_and_marts_and_no_relation_of_another_schema(
    database: Database,
) -> None:
    with database.connect() as session:
        rows = session.execute(
            """
            select
                namespace.nspname in ('canonical', 'marts') as is_for_bi,
                has_table_privilege('tieout_reader', class.oid, 'SELECT')
                and has_schema_privilege('tieout_reader', namespace.oid, 'USAGE') as is_readable,
                count(*) as relations
            from pg_class as class
            inner join pg_namespace as namespace on class.relnamespace = namespace.oid
            where
                class.relkind in ('r', 'p', 'v', 'm')
                and namespace.nspname not like 'pg\\_%'
                and namespace.nspname <> 'information_schema'
            group by is_for_bi, is_readable
            """
        ).fetchall()

    assert {(row["is_for_bi"], row["is_readable"]) for row in rows} == {(True, True), (False, False)}


def test_grants_survive_a_build_those_of_ours_and_those_that_were_given_by_hand(built: Place) -> None:
    role = f"bi_{uuid.uuid4().hex[:8]}"
    built.run(f"create role {role}")
    try:
        built.run(f"grant usage on schema canonical to {role}; grant select on canonical.orders to {role}")
        built.edit("models/canonical/orders.sql", "select", "select /* changed */")

        before = built.rows("select to_regclass('canonical.orders')::oid as number")
        built.build()
        assert built.rows("select to_regclass('canonical.orders')::oid as number") != before

        for allowed in (role, READER, ANALYST, WRITER):
            with acting_as(built.database, allowed) as session:
                session.execute("select * from canonical.orders")
        with acting_as(built.database, role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("select * from marts.sales")
    finally:
        built.run(f"drop owned by {role}")
        built.run(f"drop role {role}")


def test_roles_of_a_server_are_made_once_by_many_and_asked_for_where_a_user_may_not() -> None:
    """Two databases of one server are migrated at the same moment, and one by a user who may not make roles."""
    above = Path(tempfile.mkdtemp(prefix="tieout-roles-", dir=roomy()))
    above.chmod(0o711)  # as root the server runs as another user, who must pass through
    folder = above / "data"
    url = embedded.ensure_running(folder, server_settings={"fsync": "off"})
    try:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("create role plain login password 'plain'")
            session.execute("create database plain owner plain")
            session.execute("create database one")
            session.execute("create database two")
        plain = Database(psycopg.conninfo.make_conninfo(url, dbname="plain", user="plain", password="plain"))
        migrate(plain)
        with plain.connect() as session:
            assert grant_roles(session) == [LOADER, ANALYST, WRITER, READER]
            assert missing_roles(session) == sorted([LOADER, ANALYST, WRITER, READER])
            assert "create role tieout_reader nologin;" in checked_roles(session)[1]

        both = [Database(psycopg.conninfo.make_conninfo(url, dbname=name)) for name in ("one", "two")]
        threads = [threading.Thread(target=migrate, args=(database,)) for database in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        for database in both:
            with acting_as(database, LOADER) as session:
                session.execute("select * from staging.magento__orders")
        # They are there now: the next migration of the third grants what it could not grant before.
        migrate(plain)
        with plain.connect() as session:
            assert missing_roles(session) == []
        with psycopg.connect(url, dbname="plain", autocommit=True) as session:
            session.execute("set role tieout_loader")
            session.execute("select * from staging.magento__orders")
    finally:
        embedded.stop(folder)
        shutil.rmtree(above)
