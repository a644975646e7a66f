"""The process that stays: woken by commits, caught up by the clock, going on after what it can survive, ended by what it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cdc import desk
from cdc.desk import Chosen
from cdc.follow import Follow, Pace
from cdc.warm import changing, distance
from loaders.poll import Loaded
from tests.db.fix_engine import Engine, FakeClient, engine
from tieout.errors import MigrationMismatch, NotSent, RetryLater, TieoutError

__all__ = ["engine"]
NEVER = 3600.0
SOON = 0.02


def following(
    engine: Engine,
    *,
    look: float = SOON,
    load: Callable[..., list[Loaded]] | None = None,
    every: float = NEVER,
) -> Follow:
    """The parts, over the ledger in memory; nothing is loaded unless a test says what."""
    return Follow(
        engine.database,
        engine.settings,
        pace=Pace(load=every, marts=NEVER, look=look, house=NEVER, waiting=SOON),
        run=lambda: engine.run,
        writers=engine.writers,
        open_client=lambda _connection: FakeClient(engine.target, engine.identity),
        load=load or (lambda *_, **__: []),
    )


@contextmanager
def at_work(*follows: Follow) -> Iterator[list[BaseException]]:
    """They work while this runs; what ended them unasked is in the list afterwards."""
    ends: list[BaseException] = []

    def work(follow: Follow) -> None:
        try:
            follow.work()
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            ends.append(error)

    threads = [threading.Thread(target=work, args=(follow,)) for follow in follows]
    for thread in threads:
        thread.start()
    try:
        yield ends
    finally:
        for follow in follows:
            follow.ending.ask()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def until(fact: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something that another thread does."""
    ends = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.005)


def listening(engine: Engine) -> bool:
    """Does a session of this database wait for notifications?"""
    return bool(
        engine.row(
            "select 1 from pg_stat_activity where datname = current_database() and query = 'listen tieout_ready'"
        )
    )


def written(engine: Engine, entity: str = "contacts") -> int:
    return len(engine.target.records[entity])


def test_a_lost_notification_is_caught_up_by_the_clock(engine: Engine) -> None:
    with at_work(following(engine)) as ends:
        until(lambda: listening(engine))
        engine.customer()  # as by a loader, but nobody is told
        until(lambda: written(engine) == 1)

    assert ends == []


def test_a_commit_wakes_diff_and_drain_without_the_clock(engine: Engine) -> None:
    with at_work(following(engine, look=NEVER)) as ends:
        until(lambda: listening(engine))
        with engine.connection.transaction():
            engine.customer()
            engine.connection.execute("select pg_notify('tieout_changes', 'customers')")
        until(lambda: written(engine) == 1)

    assert ends == []


def test_what_waits_for_another_record_follows_it_without_a_word(engine: Engine) -> None:
    with at_work(following(engine)) as ends:
        engine.order(paid=12)
        engine.customer()
        until(lambda: written(engine, "payments") == 1)

    assert ends == []
    assert [path for method, path, _ in engine.target.writes] == ["/contacts", "/invoices", "/payments"]


def test_it_goes_on_after_every_session_was_lost(engine: Engine) -> None:
    with at_work(following(engine)) as ends:
        engine.customer("7")
        until(lambda: written(engine) == 1)
        engine.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        engine.customer("8")
        until(lambda: written(engine) == 2)

    assert ends == []


def test_a_target_that_refuses_for_now_gets_it_when_it_takes_it_again(engine: Engine) -> None:
    engine.target.errors = [NotSent("busy", seconds=0), RetryLater("down")]

    with at_work(following(engine)) as ends:
        engine.customer()
        until(lambda: written(engine) == 1)

    assert ends == []
    assert len(engine.target.writes) == 3


def test_a_load_that_fails_is_tried_again_and_stops_nothing_else(engine: Engine) -> None:
    tried: list[str] = []

    def load(_database: object, _settings: object, connection: Any, **_: object) -> list[Loaded]:
        tried.append(connection.name)
        if connection.name == "shop" and tried.count("shop") < 2:
            raise RetryLater("down")
        return []

    with at_work(following(engine, load=load)) as ends:
        engine.customer()
        until(lambda: written(engine) == 1 and tried.count("shop") == 2)

    assert ends == []


def test_two_beside_each_other_make_one_effect(engine: Engine) -> None:
    with at_work(following(engine), following(engine)) as ends:
        for number in range(5):
            engine.customer(str(number))
        until(lambda: written(engine) == 5 and not engine.rows("select 1 from cdc.outbox"))

    assert ends == []
    assert len({each["EmailAddress"] for each in engine.target.records["contacts"].values()}) == 5


def test_a_person_s_yes_is_sent_at_once(engine: Engine) -> None:
    with at_work(following(engine, look=NEVER)) as ends:
        until(lambda: listening(engine))
        engine.customer(hold="look")
        engine.connection.execute("select pg_notify('tieout_changes', 'customers')")
        until(lambda: engine.states() == {"shop/customer/7": "hold"})
        desk.approve(engine.connection, Chosen(held_for=("hold",)), by="test")
        until(lambda: written(engine) == 1)

    assert ends == []


def test_a_database_of_another_version_ends_it(engine: Engine) -> None:
    with at_work(following(engine)) as ends:
        until(lambda: listening(engine))
        engine.connection.execute(
            "insert into cdc.migrations (name, number, checksum) values ('9999_later.sql', 9999, 'x')"
        )
        engine.customer()
        until(lambda: ends)

    assert [type(end) for end in ends] == [MigrationMismatch]


def test_a_mistake_of_ours_ends_it_as_one(engine: Engine) -> None:
    def load(*_: object, **__: object) -> list[Loaded]:
        raise ZeroDivisionError

    with at_work(following(engine, load=load)) as ends:
        until(lambda: ends)

    assert [type(end) for end in ends] == [ZeroDivisionError]


def test_the_call_in_flight_is_finished_and_nothing_is_sent_after_it(engine: Engine) -> None:
    for write in engine.writes.values():
        write.size = 1
    follow = following(engine)

    def end() -> None:
        follow.ending.ask()
        follow.ending.asked.wait(60)

    engine.target.during_answer = end
    engine.customer("7")
    engine.customer("8")

    with at_work(follow) as ends:
        until(follow.ending.asked.is_set)

    assert ends == []
    assert len(engine.target.writes) == 1
    assert engine.rows("select 1 from cdc.calls where settled_at is null") == []
    assert written(engine) == 1


def test_a_diff_waits_for_the_end_of_a_load(engine: Engine) -> None:
    """Its pages are one change to the limits: each for itself would pass, all of them do not."""
    engine.limit(creates=5)

    def load(_database: object, _settings: object, connection: Any, **how: Any) -> list[Loaded]:
        if connection.name == "shop":
            # The diff of the beginning is over: what it looks at is not the question here.
            until(lambda: follow.counts["diffs"])
            with engine.database.connect() as session:
                shop = Engine(database=engine.database, connection=session, settings=engine.settings)
                for page in (1, 2, 3):
                    how["progress"](Loaded(connection="shop", stream="customers", pages=page, changed=3))
                    for number in range(3):
                        shop.customer(f"{page}{number}")
        return []

    follow = following(engine, load=load)
    with at_work(follow) as ends:
        until(
            lambda: (
                len(engine.rows("select 1 from cdc.outbox where held_for = 'guard' and cause like 'over%%'"))
                == 9
            )
        )

    assert ends == []
    assert written(engine) == 0


def test_a_diff_waits_for_the_end_of_a_load_of_another_host(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what the first page brings would be sent, and only the rest be held."""
    engine.limit(creates=5)
    beside = following(engine)
    looks: list[bool] = []
    has_news = beside._has_news

    def looking(session: Any) -> bool:
        looks.append(has_news(session))
        return looks[-1]

    monkeypatch.setattr(beside, "_has_news", looking)

    def load(_database: object, _settings: object, connection: Any, **how: Any) -> list[Loaded]:
        if connection.name == "shop":
            until(lambda: loading.counts["diffs"] and beside.counts["diffs"])
            with engine.database.connect() as session:
                shop = Engine(database=engine.database, connection=session, settings=engine.settings)
                for page in (1, 2, 3):
                    how["progress"](Loaded(connection="shop", stream="customers", pages=page, changed=3))
                    for number in range(3):
                        shop.customer(f"{page}{number}")
                    looked = len(looks)
                    until(lambda: len(looks) >= looked + 3)  # noqa: B023 (asked in this round alone)
        return []

    loading = following(engine, load=load)
    with at_work(loading, beside) as ends:
        until(lambda: len(engine.rows("select 1 from cdc.outbox where cause like 'over%%'")) == 9)

    assert ends == []
    assert written(engine) == 0


@pytest.mark.parametrize("error", [TieoutError("odd"), RetryLater("later")])
def test_an_ending_is_not_delayed_by_what_keeps_failing(engine: Engine, error: TieoutError) -> None:
    def load(*_: object, **__: object) -> list[Loaded]:
        raise error

    with at_work(following(engine, load=load)) as ends:
        until(lambda: listening(engine))

    assert ends == []


def test_lists_that_change_seldom_are_not_read_at_every_load(engine: Engine) -> None:
    asked: list[Any] = []

    def load(_database: object, _settings: object, connection: Any, **how: Any) -> list[Loaded]:
        if connection.name == "books":
            asked.append(how["streams"])
        return []

    with at_work(following(engine, load=load, every=SOON)) as ends:
        until(lambda: len(asked) >= 3)

    assert ends == []
    assert asked[:3] == [None, changing("xero"), changing("xero")]
    assert "invoices" in changing("xero")
    assert "tax_rates" not in changing("xero")


def test_loads_leave_half_of_a_day_s_calls_to_others() -> None:
    assert distance(60, 11, None) == 60
    assert distance(60, 1, 5000) == 60
    assert distance(60, 11, 5000) * 2500 / 11 == pytest.approx(86_400)
