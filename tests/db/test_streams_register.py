"""The register of streams and the staging tables promise the same things."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from loaders.stream import Stream, find_stream, streams_of
from tieout.db import Database
from tieout.errors import UsageError
from tieout.systems import SYSTEMS

Session = psycopg.Connection[dict[str, Any]]
STREAMS = [stream for system in SYSTEMS if system.reads for stream in streams_of(system.name)]


def test_every_stream_has_its_staging_table_and_every_table_its_stream(connection: Session) -> None:
    statement = "select tablename from pg_catalog.pg_tables where schemaname = 'staging'"
    tables = {row["tablename"] for row in connection.execute(statement)}

    assert tables == {f"{stream.system}__{stream.name}" for stream in STREAMS}


def test_every_staging_table_has_the_columns_of_the_template(connection: Session) -> None:
    statement = """
        select table_schema, table_name, column_name
        from information_schema.columns
        where table_schema = 'staging' or table_name = 'staging_template'
    """
    columns: dict[str, set[str]] = {}
    for row in connection.execute(statement):
        columns.setdefault(row["table_name"], set()).add(row["column_name"])
    template = columns.pop("staging_template")

    assert [table for table, found in columns.items() if not template <= found] == []


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS if system.reads])
def test_names_are_unique_and_touched_streams_come_later(system: str) -> None:
    names = [stream.name for stream in streams_of(system)]

    assert len(set(names)) == len(names)
    for position, stream in enumerate(streams_of(system)):
        for touch in stream.touches:
            assert names.index(touch.stream) > position
            assert find_stream(system, touch.stream).find is not None


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: f"{stream.system}-{stream.name}")
def test_a_stream_can_notice_that_a_record_is_gone(stream: Stream) -> None:
    # Either it can be asked by id, or it is short enough to be read twice; or nothing of it is ever gone.
    assert stream.find is not None or stream.is_whole or stream.grows_only
    assert stream.sweep_days is None or stream.created is not None


def test_a_misspelt_stream_is_named_with_its_neighbour() -> None:
    with pytest.raises(UsageError) as wrong:
        find_stream("xero", "invoice")

    assert "invoices" in wrong.value.cure


def test_key_columns_are_empty_rather_than_blank(database: Database) -> None:
    statement = """
        insert into staging.magento__orders (connection, id, payload, content_hash, version)
        values ('shop', '1', '{"customer_email": "  ", "increment_id": ""}', 'x', 1),
            ('shop', '2', '{"customer_email": " Ann@Example.com "}', 'x', 1)
        returning customer_email, increment_id
    """
    with database.connect() as session:
        rows = session.execute(statement).fetchall()

    assert [row["customer_email"] for row in rows] == [None, "ann@example.com"]
    assert rows[0]["increment_id"] is None
