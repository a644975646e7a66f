"""What wakes a process that waits for changes: notifications that come with the commit, and only when there is news."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cdc import desk
from cdc.desk import Chosen
from loaders.stage import RawRecord, ToldBy, mark_deleted, merge
from loaders.stream import find_stream
from tests.db.fix_engine import Engine, engine
from tieout.db import Database, next_version

__all__ = ["engine"]
Session = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def heard(database: Database) -> Iterator[Session]:
    """A session that listens to both channels."""
    with database.connect(direct=True) as session:
        session.execute("listen tieout_changes")
        session.execute("listen tieout_ready")
        yield session


def told(session: Session) -> list[tuple[str, str]]:
    """Channel and payload of what has come by now."""
    session.execute("select 1")
    return [(each.channel, each.payload) for each in session.notifies(timeout=0)]


def put(session: Session, number: int, told_by: ToldBy = "poll") -> None:
    """Merge a page of two invoices; the caller's transaction."""
    records = [
        RawRecord(id=name, raw=json.dumps({"InvoiceID": name, "Total": number}).encode()) for name in "ab"
    ]
    merge(
        session,
        system="xero",
        stream="invoices",
        connection_name="books",
        records=records,
        asked_version=next_version(session),
        told_by=told_by,
    )


def test_a_page_that_changed_something_is_told_once_and_with_its_commit(
    connection: Session, heard: Session
) -> None:
    with connection.transaction():
        put(connection, 1)
        before = told(heard)

    assert before == []
    assert told(heard) == [("tieout_changes", "invoices")]


def test_an_equal_page_and_the_answer_to_our_own_write_wake_nobody(
    connection: Session, heard: Session
) -> None:
    with connection.transaction():
        put(connection, 1)
    told(heard)

    with connection.transaction():
        put(connection, 1)
    with connection.transaction():
        put(connection, 2, "write answer")

    assert told(heard) == []


def test_a_record_that_is_gone_is_told(connection: Session, heard: Session) -> None:
    with connection.transaction():
        put(connection, 1)
    told(heard)

    with connection.transaction():
        mark_deleted(
            connection,
            stream=find_stream("xero", "invoices"),
            connection_name="books",
            ids=["a"],
            before_version=next_version(connection),
            told_by="sweep",
        )

    assert told(heard) == [("tieout_changes", "invoices")]


def test_entries_that_became_ready_are_told_by_their_target_and_held_ones_are_not(
    engine: Engine, heard: Session
) -> None:
    engine.customer(hold="look")

    engine.diff()
    held = told(heard)
    with engine.database.connect() as session:
        desk.approve(session, Chosen(held_for=("hold",)), by="test")
    approved = told(heard)
    engine.customer("8")
    engine.diff()

    assert [each for each in held if each[0] == "tieout_ready"] == []
    assert ("tieout_ready", "books") in approved
    assert ("tieout_ready", "books") in told(heard)
