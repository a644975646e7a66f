"""What keeps the suite fast must not hide what a user would meet: a kept session knows nothing of the command before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cdc.diff_rows import organisations
from tests.acceptance.fix_warm import Warm
from tieout.db import Database, lock, try_lock

SCHEMAS = "select count(*) as schemas from pg_namespace"


@pytest.fixture
def warm() -> Iterator[Warm]:
    kept = Warm()
    yield kept
    kept.close()


def backend(session: psycopg.Connection[dict[str, Any]]) -> int:
    return session.info.backend_pid


def test_a_command_gets_the_session_of_the_one_before_but_not_what_it_left(
    warm: Warm, database: Database
) -> None:
    with warm.sessions(), database.connect(direct=True) as first:
        before = backend(first)
        lock(first, "of a command")
        first.execute("create temporary table left_over as select 1 as one")
        first.execute("set statement_timeout = '7s'")

    with warm.sessions(), database.connect(direct=True) as second:
        again = backend(second)
        table = second.execute("select to_regclass('pg_temp.left_over') as oid").fetchone()
        setting = second.execute("show statement_timeout").fetchone()
    with database.connect() as other:
        is_free = try_lock(other, "of a command")

    assert again == before
    assert (table, setting) == ({"oid": None}, {"statement_timeout": "0"})
    assert is_free


def test_a_transaction_that_a_command_left_open_is_undone(warm: Warm, database: Database) -> None:
    with database.connect() as session:
        session.execute("create table noted (one int)")

    with warm.sessions():
        left = database.connect()
        left.execute("begin")
        left.execute("insert into noted values (1)")
        left.close()

    with database.connect() as session:
        assert session.execute("select * from noted").fetchall() == []


def test_sessions_in_use_at_once_are_different_and_one_that_was_lost_is_replaced(
    warm: Warm, database: Database
) -> None:
    with warm.sessions(), database.connect() as one, database.connect() as two:
        pair = {backend(one), backend(two)}
    with database.connect() as other:
        for pid in pair:
            other.execute("select pg_terminate_backend(%s, 5000)", (pid,))
    with warm.sessions(), database.connect() as three:
        new = backend(three)

    assert len(pair) == 2
    assert new not in pair


def test_a_first_temporary_table_makes_no_schema_which_would_throw_away_the_plans_of_all_sessions(
    database: Database,
) -> None:
    with database.connect() as session, database.connect() as other:
        before = session.execute(SCHEMAS).fetchone()
        other.execute("create temporary table first_of_its_session (one int)")
        after = session.execute(SCHEMAS).fetchone()

    assert after == before


def test_a_target_that_tells_nothing_about_itself_costs_a_session_none_of_its_plans(
    connection: psycopg.Connection[dict[str, Any]],
) -> None:
    """psycopg forgets all prepared statements of a session that rolls back, and a diff for the shop asks this each time."""
    connection.execute("select 'kept' as word", prepare=True)

    told = organisations(connection, "magento")

    (left,) = connection.execute(
        "select count(*) as prepared from pg_prepared_statements where statement = %s",
        ("select 'kept' as word",),
    ).fetchall()
    assert (told, left["prepared"]) == ({}, 1)
