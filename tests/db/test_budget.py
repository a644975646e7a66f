"""The budget that all processes share: it counts, it tightens, it frees itself, and people go first."""

from __future__ import annotations

import threading

import pytest

from tests.fix_http import resets, says
from tieout.budget import Budget, CallLimits, Work
from tieout.db import Database
from tieout.errors import BudgetExhausted, UnknownOutcome
from tieout.http import Http, boottime


def budget(database: Database, **limits: int) -> Budget:
    return Budget(database, "books", CallLimits(**limits))


def draw_all(source: Budget, work: Work = Work.PERSON, most: int = 100) -> int:
    """How many calls may start one after the other, each over before the next."""
    for count in range(most):
        try:
            source.draw(work).release()
        except BudgetExhausted:
            return count
    return most


def turn_back(database: Database, column: str, interval: str) -> None:
    """As if so much time had passed."""
    with database.connect() as connection:
        connection.execute(f"update cdc.budget set {column} = {column} - interval '{interval}'")  # type: ignore[arg-type,unused-ignore]


def row(database: Database) -> dict[str, object]:
    with database.connect() as connection:
        found = connection.execute("select * from cdc.budget").fetchone()
        assert found is not None
        return found


def test_without_limits_calls_are_only_counted(database):
    assert draw_all(budget(database), most=20) == 20
    assert row(database)["minute_used"] == 20


def test_a_minute_holds_so_many_calls_over_all_processes(database):
    first, second = budget(database, minute=10), budget(database, minute=10)

    assert draw_all(first, most=6) == 6
    assert draw_all(second) == 4
    with pytest.raises(BudgetExhausted, match="minute") as caught:
        first.draw(Work.PERSON)
    assert 0 < caught.value.seconds <= 60


def test_a_new_minute_begins_afresh_and_the_day_goes_on(database):
    source = budget(database, minute=5, day=8)

    assert draw_all(source) == 5
    turn_back(database, "minute_started", "61 seconds")
    assert draw_all(source) == 3
    turn_back(database, "minute_started", "61 seconds")
    with pytest.raises(BudgetExhausted, match="day") as caught:
        source.draw(Work.PERSON)
    assert caught.value.seconds > 3600
    turn_back(database, "day_started", "1 day")
    assert draw_all(source) == 5


def test_people_go_first_then_fresh_changes_then_backfill(database):
    source = budget(database, minute=100)

    taken = [draw_all(source, work) for work in (Work.BACKFILL, Work.FRESH, Work.PERSON)]

    assert taken == [70, 25, 5]


def test_even_backfill_gets_a_call_of_a_small_limit(database):
    assert draw_all(budget(database, minute=1), Work.BACKFILL) == 1


def test_calls_at_once_are_limited_and_a_finished_one_makes_room(database):
    source = budget(database, concurrent=2)
    first, _second = source.draw(), source.draw(Work.PERSON)

    with pytest.raises(BudgetExhausted, match="concurrency"):
        source.draw(Work.PERSON)
    first.release()

    with source.draw(Work.PERSON):
        assert row(database)["in_flight"] == 2
    assert row(database)["in_flight"] == 1


def test_releasing_twice_frees_one_slot(database):
    source = budget(database, concurrent=3)
    source.draw(Work.PERSON)
    slot = source.draw(Work.PERSON)

    slot.release()
    slot.release()

    with database.connect() as connection:
        left = connection.execute("select count(*) as count from cdc.budget_slots").fetchone()
    assert left == {"count": 1}


def test_the_slot_of_a_process_that_died_frees_itself(database):
    budget(database, concurrent=1).draw(Work.PERSON)
    with database.connect() as connection:
        connection.execute("update cdc.budget_slots set expires_at = now() - interval '1 second'")

    assert draw_all(budget(database, concurrent=1), most=3) == 3


def test_threads_that_draw_at_once_never_overdraw(database):
    taken = []
    everybody = threading.Barrier(6)

    def process() -> None:
        source = budget(database, minute=20, concurrent=4)
        everybody.wait()
        for _ in range(10):
            try:
                slot = source.draw(Work.PERSON)
            except BudgetExhausted:
                continue
            taken.append(slot)
            slot.release()
        source.close()

    threads = [threading.Thread(target=process) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 0 < len(taken) <= 20
    assert row(database)["minute_used"] == len(taken)


def test_an_answer_that_tells_of_less_tightens_the_count(database):
    source = budget(database, minute=60, day=5000)
    slot = source.draw()

    source.learn({"minute": 2, "day": 4000}, slot=slot)

    assert row(database)["day_used"] == 1000
    assert draw_all(source) == 2


def test_an_answer_that_tells_of_more_changes_nothing(database):
    source = budget(database, minute=10)
    slot = source.draw()
    assert draw_all(source, most=8) == 8

    source.learn({"minute": 9}, slot=slot)

    assert draw_all(source) == 1


def test_an_answer_from_before_the_window_changes_nothing_in_it(database):
    source = budget(database, minute=10)
    old = source.draw()
    turn_back(database, "minute_started", "61 seconds")
    source.draw()

    source.learn({"minute": 0}, slot=old)

    assert row(database)["minute_used"] == 1


def test_a_wait_that_the_vendor_asks_for_holds_for_all_and_a_shorter_one_does_not_shorten_it(database):
    source = budget(database)
    source.blocked(50)
    source.blocked(5)

    with pytest.raises(BudgetExhausted, match="blocked") as caught:
        budget(database).draw(Work.PERSON)
    assert 40 < caught.value.seconds <= 50

    turn_back(database, "blocked_until", "51 seconds")
    assert draw_all(source, most=1) == 1


def test_connections_have_budgets_of_their_own(database):
    assert draw_all(Budget(database, "books", CallLimits(minute=2))) == 2
    assert draw_all(Budget(database, "shop", CallLimits(minute=3))) == 3


def test_a_lost_session_is_replaced(database):
    source = budget(database)
    source.draw()
    with database.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    with pytest.raises(Exception, match="went away"):
        source.draw()

    assert draw_all(source, most=1) == 1


def test_giving_a_slot_back_never_hides_the_answer_of_its_call(database):
    source = budget(database)
    slot = source.draw()
    with database.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    slot.release()

    assert slot.identifier is not None


def test_a_refusal_by_limit_holds_back_the_calls_of_every_process(database, scripted_server):
    """The other process must not have to be told by a 429 of its own."""
    scripted_server.scripts = [says(429, "{}", "Retry-After: 3600")]
    client = Http(
        base_url=scripted_server.address,
        authorise=None,
        refusals=lambda answer: None,
        budget=budget(database),
    )

    with pytest.raises(BudgetExhausted):
        client.read("things")
    with pytest.raises(BudgetExhausted, match="blocked"):
        budget(database).draw(Work.PERSON)

    client.close()
    assert len(scripted_server.received) == 1


def test_a_call_whose_answer_is_lost_gives_its_slot_back(database, scripted_server):
    scripted_server.scripts = [resets]
    source = budget(database, concurrent=1)
    client = Http(
        base_url=scripted_server.address, authorise=None, refusals=lambda answer: None, budget=source
    )

    with pytest.raises(UnknownOutcome):
        client.write("PUT", "things", slot=client.ready_to_write(), content=b"{}", deadline=boottime() + 60)

    assert draw_all(source, most=2) == 2
    client.close()


def test_what_an_answer_tells_is_learned_for_all(database, scripted_server):
    scripted_server.scripts = [says(200, "{}", "X-MinLimit-Remaining: 1")]
    source = budget(database, minute=60)
    client = Http(
        base_url=scripted_server.address,
        authorise=None,
        refusals=lambda answer: None,
        budget=source,
        observe=lambda answer, slot: source.learn(
            {"minute": int(answer.headers["x-minlimit-remaining"])}, slot=slot
        ),
    )

    client.read("things")

    client.close()
    assert draw_all(budget(database, minute=60)) == 1
