"""Sessions and values: exact there and back, in UTC, with locks that end with the session."""

from __future__ import annotations

import dataclasses
import socket
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from tieout.db import (
    Database,
    array_text,
    canonical_hash,
    copy_rows,
    json_dumps,
    json_loads,
    lock,
    next_version,
    numbers_text,
    open_database,
    together,
    try_lock,
    unlock,
)
from tieout.errors import ConfigurationError, DatabaseDown

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "number", ["0.1", "0.10", "1.00", "12345678901234567890.123456789", "-0.005", "100", "1e3"], ids=str
)
def test_jsonb_numbers_come_back_digit_for_digit(connection, number):
    sent = {"amount": Decimal(number)}

    row = connection.execute("select %(value)s::jsonb as value", {"value": Jsonb(sent)}).fetchone()

    assert row["value"] == sent
    assert isinstance(row["value"]["amount"], (Decimal, int))


def test_sessions_run_in_utc_whatever_the_server_says(database):
    with database.connect() as connection:
        connection.execute("alter database " + connection.info.dbname + " set timezone to 'Australia/Sydney'")
    with database.connect() as connection:
        row = connection.execute("select current_setting('timezone') as zone").fetchone()

    assert row == {"zone": "UTC"}


def test_a_peer_that_vanishes_is_noticed_in_ten_seconds(connection):
    parameters = connection.info.get_parameters()

    assert (parameters["tcp_user_timeout"], parameters["keepalives_idle"]) == ("10000", "10")


@pytest.mark.parametrize(
    ("is_direct", "lease"), [(False, "0"), (True, "10min")], ids=["through a pooler", "direct"]
)
def test_the_server_ends_what_a_process_that_sleeps_holds(database, is_direct, lease):
    with database.connect(direct=is_direct) as session:
        shown = {
            name: session.execute(f"show {name}").fetchone()[name]
            for name in (
                "idle_in_transaction_session_timeout",
                "idle_session_timeout",
                "tcp_keepalives_idle",
                "TimeZone",
            )
        }

    assert shown == {
        "idle_in_transaction_session_timeout": "2min",
        "idle_session_timeout": lease,
        "tcp_keepalives_idle": "10",
        "TimeZone": "UTC",
    }


def test_rows_are_copied_with_text_jsonb_and_nulls(connection):
    connection.execute("create temporary table copied (id text, payload jsonb, amount numeric)")
    rows = [("1", json_dumps({"a": Decimal("1.10")}), Decimal("2.50")), ('tab\t"quote"\\', None, None)]

    count = copy_rows(connection, sql.Identifier("copied"), ["id", "payload", "amount"], iter(rows))

    stored = connection.execute("select id, payload, amount from copied order by id").fetchall()
    assert count == 2
    assert stored == [
        {"id": "1", "payload": {"a": Decimal("1.10")}, "amount": Decimal("2.50")},
        {"id": 'tab\t"quote"\\', "payload": None, "amount": None},
    ]


def test_statements_that_leave_together_fail_with_what_failed_first(connection):
    """The server passes over what follows; that says nothing, and would be taken for a lost session."""
    connection.execute("create temporary table told (number integer)")

    def tell() -> None:
        with together(connection):
            for divisor in (1, 0, 2, 3):
                connection.execute("insert into told values (1 / %s)", (divisor,))

    with pytest.raises(psycopg.errors.DivisionByZero):
        tell()

    assert connection.execute("select * from told").fetchall() == [], "outside a transaction they are one"


def test_a_statement_that_leaves_with_others_sees_what_the_one_before_it_waited_for(database):
    lock_it = "select pg_advisory_xact_lock(4711)"

    def look() -> list[Any]:
        with database.connect() as other, other.transaction(), together(other):
            other.execute(lock_it)
            return [*other.execute("select number from told")]

    with database.connect() as session, ThreadPoolExecutor(1) as pool:
        session.execute("create table told (number integer)")
        with session.transaction():
            session.execute(lock_it)
            looking = pool.submit(look)
            while session.execute("select 1 from pg_locks where not granted").fetchone() is None:
                pass
            session.execute("insert into told values (1)")

        assert looking.result(10) == [{"number": 1}]


def test_versions_only_grow_over_sessions(database):
    with database.connect() as first, database.connect() as second:
        numbers = [next_version(first), next_version(second), next_version(first)]

    assert numbers == sorted(set(numbers))


def test_a_lock_is_one_sessions_until_it_ends(database):
    with database.connect() as first, database.connect() as second:
        lock(first, "stream")
        taken = [try_lock(second, "stream"), try_lock(second, "other stream")]
        unlock(first, "stream")
        afterwards = try_lock(second, "stream")

    assert (taken, afterwards) == ([False, True], True)
    with database.connect() as third:
        assert try_lock(third, "stream")
        assert unlock(third, "nobody's") is False


def test_a_database_that_does_not_answer_is_for_later():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

        with pytest.raises(DatabaseDown, match="does not answer"):
            Database(f"postgresql://me@127.0.0.1:{port}/books").connect()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda url: url.replace("tieout:", "tieout:tell-nobody"), "refuses the user", id="password"
        ),
        pytest.param(lambda url: url.rpartition("/")[0] + "/nothing", "no such database", id="name"),
        pytest.param(lambda url: "postgresql://me:tell-nobody@h:port/x", "does not answer", id="no-url"),
        pytest.param(lambda url: "nonsense", "not valid", id="nonsense"),
    ],
)
def test_a_wrong_url_is_a_matter_of_settings_and_shows_no_password(server_url, change, message):
    with pytest.raises((ConfigurationError, DatabaseDown), match=message) as caught:
        Database(change(server_url)).connect()

    assert "tell-nobody" not in str(caught.value)


def test_a_database_does_not_show_its_password(database):
    assert "postgresql" not in repr(database)


def test_a_url_of_the_settings_is_used_as_it_is(settings):
    assert open_database(settings).url == settings.database_url


def test_a_database_that_is_down_is_noticed_when_it_is_opened(settings):
    with pytest.raises(DatabaseDown):
        open_database(dataclasses.replace(settings, database_url="postgresql://me@127.0.0.1:1/books"))


@given(JSON)
def test_json_survives_the_round_trip(value):
    assert json_loads(json_dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [1.5, Decimal("NaN"), Decimal("Infinity"), [{"a": 0.1}], {"a": [1, ("b", Decimal("NaN"))]}],
    ids=str,
)
def test_numbers_that_are_not_exact_are_refused(value):
    with pytest.raises(TypeError, match="not an exact number"):
        json_dumps(value)
    with pytest.raises(TypeError, match="not an exact number"):
        canonical_hash(value)


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "[-Infinity]"])
def test_json_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="is not JSON"):
        json_loads(text)


@pytest.mark.parametrize(
    "texts", [[], ["a"], ["", " ", "a,b", "NULL", "{}", "ä\n"], ['a"b', "c\\d", '","']], ids=str
)
def test_lists_arrive_as_arrays_of_just_these_values(connection, texts):
    numbers = [len(texts), -1, 2**63 - 1][: len(texts)]

    row = connection.execute(
        "select %s::text[] as texts, %s::bigint[] as numbers", (array_text(texts), numbers_text(numbers))
    ).fetchone()

    assert row == {"texts": texts, "numbers": numbers}


@given(JSON)
def test_the_hash_of_a_value_does_not_depend_on_how_it_was_written(value):
    assert canonical_hash(value) == canonical_hash(json_loads(json_dumps(value)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="order"),
        pytest.param(1, Decimal("1.00"), id="scale"),
        pytest.param(Decimal("0.0"), Decimal(-0), id="zero"),
        pytest.param(100, Decimal("1E+2"), id="exponent"),
        pytest.param(
            Decimal("123456789012345678901234567890.10"),
            Decimal("123456789012345678901234567890.1"),
            id="long",
        ),
        pytest.param((1, 2), [1, 2], id="tuple"),
    ],
)
def test_equal_content_has_one_hash(one, other):
    assert canonical_hash(one) == canonical_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, "1", id="number-and-text"),
        pytest.param(1, True, id="number-and-boolean"),
        pytest.param(None, "", id="nothing-and-empty"),
        pytest.param([1, 2], [2, 1], id="order"),
        pytest.param({"a": None}, {}, id="null-and-absent"),
        pytest.param(Decimal("0.1"), Decimal("0.10000000000000000000000000000000000001"), id="last-digit"),
    ],
)
def test_other_content_has_another_hash(one, other):
    assert canonical_hash(one) != canonical_hash(other)
