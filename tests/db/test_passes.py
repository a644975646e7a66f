"""Where much is ready, one drain sends several calls at the same time; and it asks only for what is ready."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from cdc import standing
from cdc.drain import Drained
from cdc.picking import Picker
from cdc.writing import Operation, Outcome, Outgoing
from tests.db.fix_engine import Engine, FakeHttp, engine
from tests.db.test_picking import _lanes, said
from tieout.db import Database
from tieout.errors import ConnectionRefused, DatabaseDown
from tieout.sections import Draining

__all__ = ["engine", "said"]
SECONDS = 30.0
"""Longest that a sender waits for others that should be there."""


class Meeting:
    """Senders that are about to send, each kept until so many have come."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.threads: set[int] = set()
        self.most = 0
        self._inside: set[int] = set()
        self._changed = threading.Condition()

    def __call__(self, _operation: Operation, _outgoing: Outgoing) -> Outcome | None:
        with self._changed:
            self.threads.add(threading.get_ident())
            self._inside.add(threading.get_ident())
            self.most = max(self.most, len(self._inside))
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self.threads) >= self.wanted, SECONDS)
            self._inside.discard(threading.get_ident())
        return None


@pytest.fixture
def many(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Twelve contacts that are ready, each a call of its own, for a target that takes four calls at once."""
    monkeypatch.setattr(FakeHttp, "calls_at_once", 4)
    engine.writes["contacts"].size = 1
    for number in range(1, 13):
        engine.customer(str(number))
    engine.diff()
    return engine


def _names(engine: Engine) -> list[str]:
    return sorted(record["Name"] for record in engine.target.records["contacts"].values())


def test_several_calls_are_under_way_at_once_and_each_entry_is_sent_once(many: Engine) -> None:
    meeting = Meeting(3)
    many.writes["contacts"].checks = meeting

    drained = many.drain()

    assert (drained.calls, drained.applied, drained.errors) == (12, 12, ())
    assert _names(many) == sorted(f"Jane {number}" for number in range(1, 13))
    assert meeting.most == 3, "one call less than the target takes is left to others"
    assert many.states() == {}


def test_the_settings_say_how_many_calls_there_are_at_once(many: Engine) -> None:
    many.settings = replace(many.settings, draining=Draining(calls_at_once=1))
    meeting = Meeting(1)
    many.writes["contacts"].checks = meeting

    assert many.drain().applied == 12
    assert meeting.most == len(meeting.threads) == 1


def test_a_few_calls_open_no_more_sessions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(FakeHttp, "calls_at_once", 4)
    for number in range(1, 13):
        engine.customer(str(number))
    engine.diff()
    opened: list[int] = []
    connect = Database.connect

    def counted(self: Database, **options: Any) -> Any:
        opened.append(1)
        return connect(self, **options)

    monkeypatch.setattr(Database, "connect", counted)

    assert engine.drain().applied == 12
    assert len(opened) == 2, "the drain's own and its worker's"


def test_what_is_ready_is_sent_though_the_database_takes_no_more_sessions(
    many: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, main = Database.connect, threading.get_ident()

    def only_here(self: Database, **options: Any) -> Any:
        if threading.get_ident() != main:
            raise DatabaseDown("sorry, too many clients already")
        return connect(self, **options)

    monkeypatch.setattr(Database, "connect", only_here)

    assert many.drain().applied == 12


def test_a_refusal_of_the_whole_connection_ends_all_senders_and_what_others_sent_is_settled(
    many: Engine,
) -> None:
    many.writes["contacts"].checks = Meeting(3)
    many.target.errors = [ConnectionRefused("the plan's limit is reached")]

    drained = many.drain()

    made, states = len(_names(many)), many.states()
    assert [str(error) for error in drained.errors] == ["the plan's limit is reached"]
    assert made == drained.applied <= 2 + 3, (
        "a call that is under way ends; each sender may have had one more in hand"
    )
    assert list(states.values()) == ["ready"] * (12 - made)
    row = standing.read(many.connection, "books")
    assert row is not None
    assert row["stopped_reason"] == "the plan's limit is reached"
    assert many.row("select 1 from cdc.calls where settled_at is null") is None


def test_after_an_unknown_outcome_no_sender_starts_another_call_until_it_is_settled(many: Engine) -> None:
    many.writes["contacts"].checks = Meeting(3)
    many.target.faults = ["after"]
    numbers: list[int] = []
    many.target.on_write = lambda: numbers.append(len(many.target.requests))

    drained: Drained = many.drain()
    many.load()
    again = many.drain()

    assert drained.errors == again.errors == ()
    assert _names(many) == sorted(f"Jane {number}" for number in range(1, 13)), "each once"
    lost = many.row("select number, settled_at from cdc.calls where outcome = 'settled by asking'")
    assert lost is not None
    started = many.rows(
        "select number from cdc.calls where number > %s and sent_at < %s", lost["number"], lost["settled_at"]
    )
    assert len(started) <= 2, "only what the two others had claimed before"


def test_a_pause_holds_for_every_sender(many: Engine) -> None:
    def pausing(_operation: Operation, _outgoing: Outgoing) -> Outcome | None:
        standing.pause(many.connection, "books", by="Ann", reason="month end")
        return None

    many.writes["contacts"].checks = pausing

    drained = many.drain()

    assert drained.calls == 0
    assert list(drained.not_written) == ["books"]
    assert list(many.states().values()) == ["ready"] * 12


def test_what_is_ready_is_counted_by_kind_as_calls_and_not_beyond_what_is_asked(many: Engine) -> None:
    many.connection.execute(
        "update cdc.outbox set not_before = now() + interval '1 hour' where key like '%/1'"
    )
    batches: dict[tuple[str, Operation], int] = {
        ("contacts", "create"): 2,
        ("contacts", "update"): 2,
        ("invoices", "create"): 2,
    }

    with _lanes(many, 1) as (lane,):
        picker = Picker(lane, None)

        assert picker.ready(batches, enough=100) == {("contacts", "create"): 6}
        assert picker.ready(batches, enough=3) == {("contacts", "create"): 3}
        assert Picker(lane, "another plan").ready(batches, enough=100) == {}


def test_a_drain_looks_for_entries_of_those_kinds_alone_that_are_ready(
    engine: Engine, said: list[str]
) -> None:
    engine.customer("1")
    engine.diff()
    said.clear()

    assert engine.drain().calls == 1

    # One batch, and the look behind it that finds no more.
    assert len([each for each in said if "pg_try_advisory_lock(hashtext" in each]) == 2


class Killed(BaseException):
    """The process ends here: nothing of ours is carried out any more."""


def test_calls_of_all_senders_of_a_process_that_died_are_found_out_and_each_record_is_made_once(
    many: Engine,
) -> None:
    many.writes["contacts"].checks = Meeting(3)

    def killed() -> None:
        raise Killed

    many.target.during_answer = killed
    with pytest.raises(Killed):
        many.drain()
    left = list(many.states().values()).count("sending")
    made = len(_names(many))
    many.target.during_answer = None
    many.later()
    many.load()
    again = many.drain()

    assert left == made == 3, "the target carried out what all three had sent, and nobody heard of it"
    assert again.errors == ()
    assert _names(many) == sorted(f"Jane {number}" for number in range(1, 13)), "each once"
    assert many.states() == {}
    assert many.row("select 1 from cdc.calls where settled_at is null") is None


def test_nothing_is_asked_about_what_must_wait_for_a_call_that_is_under_way(engine: Engine) -> None:
    looked: list[object] = []
    meanwhile: list[Drained | None] = []

    def look(_operation: Operation, outgoing: Outgoing) -> Outcome | None:
        looked.append(outgoing.payload["Name"])
        return None

    def drain_too() -> None:
        if not meanwhile:
            meanwhile.append(None)
            meanwhile[0] = engine.drain()

    write = engine.writes["contacts"]
    write.size, write.serial, write.checks = 1, lambda _outgoing: "the catalogue", look
    engine.target.on_write = drain_too
    for number in ("1", "2"):
        engine.customer(number)
    engine.diff()

    drained = engine.drain()

    assert meanwhile[0] is not None
    assert (meanwhile[0].calls, drained.calls) == (0, 2)
    assert sorted(map(str, looked)) == ["Jane 1", "Jane 2"], "each once"
