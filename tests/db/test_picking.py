"""What a drain costs follows its entries, and several senders work side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from cdc import picking
from cdc.calls import claim, prepare
from cdc.lane import Entry, Lane
from cdc.picking import Picker, Place
from cdc.worker import Worker
from tests.db.fix_engine import Engine, FakeClient, engine
from tieout.queries import query

__all__ = ["engine"]
MOST_STATEMENTS = 32
"""Of a call with its answer merged into the mirror, however many entries it has."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that goes to the database from now on."""
    heard: list[str] = []
    execute = psycopg.Connection.execute

    def listen(self: Any, statement: Any, *values: Any, **options: Any) -> Any:
        heard.append(str(statement))
        return execute(self, statement, *values, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", listen)
    return heard


@contextmanager
def _lanes(engine: Engine, count: int) -> Iterator[list[Lane]]:
    """So many senders of the one target."""
    connection = engine.settings.connection("books")
    with ExitStack() as opened:
        yield [
            Lane(
                session=opened.enter_context(engine.database.connect(direct=True)),
                connection=connection,
                client=FakeClient(engine.target, engine.identity),
                writes=engine.writes,
                worker=opened.enter_context(Worker(engine.database)),
                run=None,
            )
            for _ in range(count)
        ]


def _next(lane: Lane, place: Place | None = None) -> tuple[list[Entry], Place]:
    return Picker(lane, None).next(lane.writes["contacts"], "create", place or Place())


def _keys(entries: list[Entry]) -> list[str]:
    return [entry.key for entry in entries]


def _customers(engine: Engine, first: int, last: int) -> None:
    for number in range(first, last + 1):
        engine.customer(str(number))
    engine.diff()


def _drained_before(engine: Engine) -> None:
    """The first drain of all says more: which database this is."""
    _customers(engine, 100, 100)
    engine.drain()


def test_a_call_says_as_much_to_the_database_for_forty_entries_as_for_five(
    engine: Engine, said: list[str]
) -> None:
    _drained_before(engine)
    counts = []
    for first, last in ((1, 5), (6, 45)):
        _customers(engine, first, last)
        said.clear()
        drained = engine.drain()
        counts.append(len(said))
        assert (drained.calls, drained.applied) == (1, last - first + 1)

    assert counts[0] == counts[1]


def test_each_further_call_costs_a_fixed_number_of_statements(engine: Engine, said: list[str]) -> None:
    _drained_before(engine)
    engine.writes["contacts"].size = 5
    counts = []
    for first, last, calls in ((1, 5, 1), (6, 15, 2), (16, 30, 3)):
        _customers(engine, first, last)
        said.clear()
        assert engine.drain().calls == calls
        counts.append(len(said))

    assert counts[1] - counts[0] == counts[2] - counts[1] <= MOST_STATEMENTS


def test_two_senders_take_different_batches_of_one_entity(engine: Engine) -> None:
    engine.writes["contacts"].size = 2
    _customers(engine, 1, 4)

    with _lanes(engine, 2) as (one, other):
        first, _ = _next(one)
        second, place = _next(other)
        third, _ = _next(other, place)

    assert len(_keys(first)) == len(_keys(second)) == 2
    assert not set(_keys(first)) & set(_keys(second))
    assert third == []


def test_what_a_sender_gives_back_is_there_for_the_others(engine: Engine) -> None:
    _customers(engine, 1, 3)

    with _lanes(engine, 2) as (one, other):
        picker = Picker(one, None)
        mine, _ = picker.next(one.writes["contacts"], "create", Place())
        nothing, _ = _next(other)
        picker.release()
        theirs, _ = _next(other)

    assert (nothing, _keys(theirs)) == ([], _keys(mine))


def test_a_sender_that_fell_asleep_over_ready_entries_is_not_waited_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _customers(engine, 1, 3)
    monkeypatch.setattr(picking, "ASLEEP_SECONDS", -1)

    with _lanes(engine, 2) as (one, other):
        mine, _ = _next(one)
        theirs, _ = _next(other)

    assert _keys(theirs) == _keys(mine) != []


def test_an_entry_that_another_sender_settled_and_readied_again_is_not_sent_as_it_was_read(
    engine: Engine,
) -> None:
    _customers(engine, 7, 7)

    with _lanes(engine, 1) as (lane,):
        entries, _ = _next(lane)
        write = lane.writes["contacts"]
        # As after "name taken": once more, with the other fields of `_if_taken`.
        engine.connection.execute(
            "update cdc.outbox set payload = payload || '{\"Name\": \"Jane 7 (2)\"}', payload_hash = 'other', link_version = 1"
        )
        engine.connection.execute("update cdc.links set version = 1")
        claimed = claim(lane, write, "create", entries, prepare(write, "create", entries))

    assert claimed is None
    assert engine.states() == {"shop/customer/7": "ready"}


def test_a_drain_with_nothing_that_could_be_sent_asks_no_target(engine: Engine) -> None:
    engine.customer("7", hold="look first")
    engine.order("1")
    engine.diff()
    assert engine.states() == {"shop/customer/7": "hold", "shop/order/1/1": "waiting"}
    engine.target.requests.clear()
    engine.identity = None  # type: ignore[assignment]

    drained = engine.drain()

    assert (drained.waiting, drained.calls, drained.errors) == (1, 0, ())
    assert engine.target.requests == []


@pytest.fixture
def crowd(engine: Engine) -> Engine:
    """Five thousand entries that wait for each one record of their own, as many that are ready."""
    engine.connection.execute(
        """
        insert into cdc.outbox (
            connection, entity, key, model, source_connection, source_id, operation, state, payload, payload_hash, link_version,
            waits_for
        )
        select
            'books', case when n <= 5000 then 'payments' else 'contacts' end, 'crowd/' || n, 'out_crowd', 'shop', n::text, 'create',
            case when n <= 5000 then 'waiting' else 'ready' end, '{}', '', 0,
            case
                when n <= 5000 then jsonb_build_array(jsonb_build_object('entity', 'invoices', 'key', 'crowd/invoice/' || n))
                else '[]'
            end
        from generate_series(1, 10000) as n
        """
    )
    engine.connection.execute(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id)"
        " select connection, entity, key, model, source_connection, source_id from cdc.outbox"
    )
    engine.connection.execute("vacuum analyze cdc.outbox")
    engine.connection.execute("analyze cdc.links")
    return engine


def test_what_a_batch_reads_does_not_grow_with_the_open_entries(crowd: Engine) -> None:
    reserve = {
        "connection": "books",
        "entity": "contacts",
        "operation": "create",
        "after": 0,
        "tried": [],
        "limit": 50,
        "window": 50,
        "plan": None,
        "from_sleepers": False,
        "seconds": 60,
    }
    release = {"entity": "invoices", "keys": ["crowd/invoice/1", "crowd/invoice/2"]}

    assert _most_rows(crowd, picking.bound_to("reserve", is_bound=False).as_string(), reserve) <= 50
    assert _most_rows(crowd, query("waiting", "release_waiters"), release) <= 4


def _most_rows(engine: Engine, statement: str, values: dict[str, Any]) -> float:
    """The rows that the busiest step of a statement gives or throws away, of the outbox or of links."""
    explained = f"explain (analyze, format json) {statement}".encode()
    row = engine.connection.execute(explained, values).fetchone()
    assert row is not None
    plan = row["QUERY PLAN"]
    steps = list(_steps((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    return max(
        float(step["Actual Rows"]) * float(step["Actual Loops"])
        + float(step.get("Rows Removed by Filter", 0))
        for step in steps
        if step.get("Relation Name") in ("outbox", "links")
    )


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _steps(part)
