"""How payloads are stored: small ones as they are, large ones compressed in the row, with lz4 where the server has it."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from loaders.stage import RawRecord, merge
from tieout.db import Database, next_version
from tieout.migrate import migrate
from tieout.queries import query
from tieout.settings import package_root

Session = psycopg.Connection[dict[str, Any]]


def stored(session: Session, size: int) -> dict[str, Any]:
    """How an invoice of so many lines of 100 characters lies on the disk."""
    lines = [
        {"Description": f"{number:>5} {'merino throw, oatmeal, row of a document':<94}"}
        for number in range(size)
    ]
    record = RawRecord(
        id=f"of-{size}", raw=json.dumps({"InvoiceID": f"of-{size}", "LineItems": lines}).encode()
    )
    with session.transaction():
        merge(
            session, system="xero", stream="invoices", connection_name="books", records=[record],
            asked_version=next_version(session), told_by="poll",
        )  # fmt: skip
    found = session.execute(
        "select pg_column_compression(payload) as by, pg_column_size(payload) as bytes, pg_column_toast_chunk_id(payload) as chunk"
        " from staging.xero__invoices where id = %s",
        (record.id,),
    ).fetchone()
    assert found is not None
    return found


def unlike(session: Session) -> list[str]:
    """Staging tables that store payloads in another way, or of whose payloads or hashes the planner keeps statistics, or which vacuum
    leaves alone until a fifth of them is new.
    """
    rows = session.execute(
        "select relname as name from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'"
        " and not (coalesce(reloptions @> array['toast_tuple_target=4080', 'autovacuum_vacuum_insert_scale_factor=0.02'], false) and 2 = ("
        "   select count(*) from pg_attribute"
        "   where attrelid = pg_class.oid and attname in ('payload', 'content_hash') and attstattarget = 0))"
    )
    return [row["name"] for row in rows]


def test_payloads_of_up_to_4_kb_stay_as_they_are_and_larger_ones_stay_in_their_row(
    connection: Session,
) -> None:
    small, large = stored(connection, 25), stored(connection, 90)

    assert (small["by"], small["chunk"]) == (None, None)
    assert small["bytes"] > 2500
    assert (large["by"] is not None, large["chunk"]) == (True, None)


def test_a_load_compresses_with_lz4_where_the_server_has_it(connection: Session) -> None:
    connection.execute(query("load", "begin"))
    row = connection.execute(
        "select enumvals from pg_settings where name = 'default_toast_compression'"
    ).fetchone()
    assert row is not None
    if "lz4" not in row["enumvals"]:
        assert stored(connection, 90)["by"] == "pglz"
        pytest.skip("this server was built without lz4; a load compresses with pglz there")
    assert stored(connection, 90)["by"] == "lz4"


def test_tables_from_before_are_changed_too_and_so_is_every_new_one(empty_database: Database) -> None:
    migrate(empty_database)
    with empty_database.connect() as session:
        assert unlike(session) == []
        session.execute("alter table staging.xero__invoices reset (toast_tuple_target)")
        session.execute("alter table staging.xero__contacts reset (autovacuum_vacuum_insert_scale_factor)")
        session.execute("alter table staging.xero__payments alter column payload set statistics default")
        session.execute("alter table staging.xero__items alter column content_hash set statistics default")
        session.execute("delete from cdc.staging_files where name = 'xero.sql'")
        assert sorted(unlike(session)) == [
            "xero__contacts",
            "xero__invoices",
            "xero__items",
            "xero__payments",
        ]

        assert migrate(empty_database) == ["xero.sql"]

        assert unlike(session) == []


def test_staging_tables_of_an_older_version_get_the_key_that_knows_hashes(connection: Session) -> None:
    before = keys(connection)
    connection.execute(
        "alter table staging.xero__payments drop constraint xero__payments_pkey, add primary key (connection, id)"
    )
    (older,) = {name for name, _ in before - keys(connection)}

    text = (package_root() / "sql" / "schema" / "0041_known_by_index.sql").read_text(encoding="utf-8")
    connection.execute(text.encode())

    assert older == "xero__payments"
    assert keys(connection) == before
    assert {columns for _, columns in before} == {"connection id content_hash form deleted_at"}


def keys(session: Session) -> set[tuple[str, str]]:
    """The staging tables and the columns in the index of their primary key."""
    rows = session.execute(
        "select indrelid::regclass::text as name, string_agg(attname, ' ' order by place) as columns"
        " from pg_index, unnest(indkey) with ordinality as part (number, place)"
        " inner join pg_attribute on true"
        " where indisprimary and attrelid = indrelid and attnum = number"
        " and indrelid::regclass::text like 'staging.%'"
        " group by indrelid, indexrelid"
    )
    return {(row["name"].removeprefix("staging."), row["columns"]) for row in rows}
