"""The budget that all processes share: it counts, it tightens, it frees itself, and people go first."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from sandbox.xero.limits import Limits
from tests.fix_http import resets, says
from tieout.budget import SLOT_SECONDS, Budget, CallLimits, Slot, Work, forecast
from tieout.db import Database
from tieout.errors import BudgetDenied, BudgetExhausted, UnknownOutcome
from tieout.http import Http, boottime

Session = psycopg.Connection[dict[str, Any]]


def budget(database: Database, **limits: Any) -> Budget:
    return Budget(database, "books", CallLimits(**limits))


def draw_all(source: Budget, work: Work = Work.PERSON, most: int = 100) -> int:
    """How many calls may start one after the other, each over before the next."""
    for count in range(most):
        try:
            source.draw(work).release()
        except BudgetDenied:
            return count
    return most


def pass_time(database: Database, seconds: float) -> None:
    """As if so much time had passed."""
    with database.connect() as connection:
        move_back(connection, seconds)


def move_back(connection: Session, seconds: float) -> None:
    """Everything that is known happened so much earlier."""
    connection.execute(
        """
        with moved as (
            delete from cdc.budget_used returning owner, kind, at, amount
        ),
        slots as (update cdc.budget_slots set drawn_at = drawn_at - %(by)s, expires_at = expires_at - %(by)s),
        queue as (update cdc.budget_queue set since = since - %(by)s, due_at = due_at - %(by)s),
        windows as (update cdc.budget_windows set told_at = told_at - %(by)s, told_until = told_until - %(by)s),
        rows as (
            update cdc.budget
            set blocked_until = blocked_until - %(by)s, last_backfill = last_backfill - %(by)s
        )
        insert into cdc.budget_used (owner, kind, at, amount)
        select owner, kind, at - %(by)s, amount from moved order by at
        """,
        {"by": timedelta(seconds=seconds)},
    )


def value(database: Database, statement: str) -> int:
    with database.connect() as connection:
        found = connection.execute(statement).fetchone()  # type: ignore[call-overload,unused-ignore]
        assert found is not None
        return int(next(iter(found.values())) or 0)


def used(database: Database, kind: str = "minute", owner: str = "books") -> int:
    """Calls that are over, still in the tables."""
    return value(
        database, f"select sum(amount) from cdc.budget_used where kind = '{kind}' and owner = '{owner}'"
    )


def test_without_limits_calls_are_only_counted(database):
    assert draw_all(budget(database), most=20) == 20
    assert used(database, "day") == 20


def test_a_minute_holds_so_many_calls_over_all_processes(database):
    first, second = budget(database, minute=10), budget(database, minute=10)

    assert draw_all(first, most=6) == 6
    assert draw_all(second) == 4
    with pytest.raises(BudgetDenied, match="minute") as caught:
        first.draw(Work.PERSON)
    assert 0 < caught.value.seconds <= 61


def test_a_call_counts_for_a_minute_after_its_end_wherever_the_vendors_minute_begins(database):
    """Two halves of a minute that a vendor's window may join: together they hold no more than one."""
    source = budget(database, minute=10, day=16)

    long_one = source.draw(Work.PERSON)
    assert draw_all(source, most=5) == 5
    pass_time(database, 40)
    long_one.release()
    assert draw_all(source) == 4
    pass_time(database, 30)
    assert draw_all(source) == 5  # the first five have left; the long call ended later
    pass_time(database, 61)
    assert draw_all(source) == 1
    with pytest.raises(BudgetDenied, match="day") as caught:
        source.draw(Work.PERSON)
    assert caught.value.seconds > 3600
    pass_time(database, 90_000)
    assert draw_all(source) == 10


def test_people_go_first_then_fresh_changes_then_backfill(database):
    source = budget(database, day=100)

    taken = [draw_all(source, work) for work in (Work.BACKFILL, Work.FRESH, Work.PERSON)]

    assert taken == [70, 25, 5]


def test_backfill_spreads_its_calls_so_that_a_change_waits_for_a_moment_only(database):
    source = budget(database, minute=60)

    assert draw_all(source, Work.BACKFILL) == 29
    with pytest.raises(BudgetDenied, match="pace") as caught:
        source.draw(Work.BACKFILL)
    assert 0 < caught.value.seconds <= 2
    assert draw_all(budget(database, minute=60), Work.FRESH) == 59 - 29
    assert draw_all(budget(database, minute=60), Work.PERSON) == 1


def test_even_backfill_gets_a_call_of_a_small_limit(database):
    assert draw_all(budget(database, minute=1), Work.BACKFILL) == 1


def test_who_was_told_to_wait_goes_before_who_comes_later_and_a_person_before_both(database):
    def process() -> Budget:
        return budget(database, minute=3)

    assert draw_all(process(), most=3) == 3
    early, late, person = process(), process(), process()
    for waits, work in ((early, Work.FRESH), (person, Work.PERSON)):
        with pytest.raises(BudgetDenied):
            waits.draw(work)
    with database.connect() as connection:
        connection.execute("update cdc.budget_used set at = at - interval '61 seconds' where kind = 'minute'")
        connection.execute("update cdc.budget_queue set due_at = clock_timestamp() + interval '1 minute'")

    # Three calls are free again, two of them for fresh work, and two wait for them.
    with pytest.raises(BudgetDenied, match="turn"):
        late.draw(Work.FRESH)
    person.draw(Work.PERSON).release()
    early.draw(Work.FRESH).release()
    with pytest.raises(BudgetDenied, match="minute"):
        late.draw(Work.FRESH)


def test_a_place_that_nobody_comes_back_for_holds_nobody_up(database):
    assert draw_all(budget(database, minute=2)) == 2
    with pytest.raises(BudgetDenied):
        budget(database, minute=2).draw(Work.PERSON)

    pass_time(database, 70)

    assert draw_all(budget(database, minute=2)) == 2


def test_what_waits_for_hours_keeps_no_place(database):
    source = budget(database, day=1)
    source.draw(Work.PERSON).release()

    with pytest.raises(BudgetDenied, match="day"):
        source.draw(Work.PERSON)

    assert value(database, "select count(*) from cdc.budget_queue") == 0


def test_calls_at_once_are_limited_and_a_finished_one_makes_room(database):
    source = budget(database, concurrent=2)
    first, _second = source.draw(), source.draw(Work.PERSON)

    with pytest.raises(BudgetDenied, match="concurrency"):
        source.draw(Work.PERSON)
    first.release()

    with source.draw(Work.PERSON):
        assert value(database, "select count(*) from cdc.budget_slots") == 2
    assert value(database, "select count(*) from cdc.budget_slots") == 1


def test_releasing_twice_frees_one_slot_and_counts_one_call(database):
    source = budget(database, concurrent=3)
    source.draw(Work.PERSON)
    slot = source.draw(Work.PERSON)

    slot.release()
    slot.release()
    slot.unused()

    assert value(database, "select count(*) from cdc.budget_slots") == 1
    assert used(database, "day") == 1


def test_a_slot_without_a_call_does_not_count(database):
    source = budget(database, minute=1)

    source.draw().unused()

    assert draw_all(source) == 1


def test_the_slot_of_a_process_that_died_frees_itself_and_its_call_counts(database):
    budget(database, concurrent=1, minute=10).draw(Work.PERSON)
    pass_time(database, SLOT_SECONDS + 1)

    assert draw_all(budget(database, concurrent=1, minute=10), most=3) == 3
    assert used(database, "day") == 4


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
    assert used(database) == len(taken)


def test_an_answer_that_tells_of_less_tightens_the_count(database):
    source = budget(database, minute=60, day=5000)
    slot = source.draw()

    source.learn({"minute": 2, "day": 4000}, slot=slot)
    slot.release()

    assert draw_all(source) == 2
    with database.connect() as connection:
        assert forecast(connection)[0].used == 1002


def test_an_answer_that_tells_of_more_changes_nothing(database):
    source = budget(database, minute=10)
    slot = source.draw()
    assert draw_all(source, most=8) == 8

    source.learn({"minute": 9}, slot=slot)

    assert draw_all(source) == 1


def test_an_old_answer_does_not_take_back_what_a_newer_one_told(database):
    source = budget(database, minute=10)
    old, new = source.draw(), source.draw()

    source.learn({"minute": 1}, slot=new)
    source.learn({"minute": 8}, slot=old)

    assert draw_all(source) == 1


def test_what_others_used_is_free_again_when_the_vendors_own_count_falls_or_a_span_is_over(database):
    source = budget(database, day=100)
    with source.draw(Work.PERSON) as slot:
        source.learn({"day": 10}, slot=slot)
    assert draw_all(source, most=4) == 4
    with source.draw(Work.PERSON) as slot:
        source.learn({"day": 99}, slot=slot)  # a new day began at the vendor
    assert draw_all(source, most=50) == 50

    with source.draw(Work.PERSON) as slot:
        source.learn({"day": 0}, slot=slot)
    assert draw_all(source) == 0
    pass_time(database, 90_000)
    assert draw_all(source) == 100


def test_an_answer_from_before_the_window_changes_nothing_in_it(database):
    source = budget(database, minute=10)
    old = source.draw()
    assert old.drawn_at is not None
    pass_time(database, 61)
    source.draw()

    source.learn({"minute": 0}, slot=dataclasses.replace(old, drawn_at=old.drawn_at - timedelta(seconds=61)))

    assert draw_all(source) == 8


def test_a_wait_that_the_vendor_asks_for_holds_for_all_and_a_shorter_one_does_not_shorten_it(database):
    source = budget(database)
    source.blocked(50)
    source.blocked(5)

    with pytest.raises(BudgetExhausted, match="blocked") as caught:
        budget(database).draw(Work.PERSON)
    assert 40 < caught.value.seconds <= 50

    pass_time(database, 51)
    assert draw_all(source, most=1) == 1


def test_connections_have_budgets_of_their_own(database):
    assert draw_all(Budget(database, "books", CallLimits(minute=2))) == 2
    assert draw_all(Budget(database, "shop", CallLimits(minute=3))) == 3


def test_connections_of_one_app_share_its_minute_and_its_wait(database):
    def organisation(name: str) -> Budget:
        return Budget(database, name, CallLimits(minute=60, app="ours", app_minute=10))

    books, shop = organisation("books"), organisation("shop")

    assert draw_all(books, most=6) == 6
    assert draw_all(shop) == 4
    with pytest.raises(BudgetDenied, match="minute of the app"):
        books.draw(Work.PERSON)
    pass_time(database, 61)
    books.blocked(30, of_app=True)
    with pytest.raises(BudgetDenied, match="blocked"):
        shop.draw(Work.PERSON)
    assert draw_all(Budget(database, "other", CallLimits(app="theirs", app_minute=3))) == 3


def test_bytes_are_reserved_and_then_counted_as_they_were_sent(database):
    source = budget(database, bytes_minute=1000)

    slot = source.draw(Work.PERSON, size=700)
    with pytest.raises(BudgetDenied, match="bytes"):
        source.draw(Work.PERSON, size=400)
    slot.release(size=500)

    source.draw(Work.PERSON, size=400).release()
    assert used(database, "bytes") == 900
    with pytest.raises(BudgetDenied, match="bytes"):
        source.draw(Work.PERSON, size=101)
    pass_time(database, 61)
    source.draw(Work.PERSON, size=5000).release()  # too large for any minute: it goes alone


def test_the_forecast_says_until_when_the_day_lasts_at_the_pace_of_the_last_hour(database):
    source = budget(database, day=50)
    budget_of_shop = Budget(database, "shop", CallLimits())
    budget_of_shop.draw().release()
    for _ in range(3):
        draw_all(source, most=10)
        pass_time(database, 1000)

    with database.connect() as connection:
        books, shop = forecast(connection)
        now = connection.execute("select clock_timestamp() as now").fetchone()["now"]

    assert (books.connection, books.used, books.limit) == ("books", 30, 50)
    assert 30 <= books.an_hour <= 40
    assert timedelta(minutes=25) < books.lasts_until - now < timedelta(minutes=45)
    assert (shop.used, shop.limit, shop.lasts_until) == (1, None, None)


@pytest.mark.parametrize("rolling", [False, True], ids=["fixed", "rolling"])
def test_eight_processes_use_nearly_all_of_a_minute_and_are_never_refused(database, rolling):
    """A vendor's minute that begins at an instant that we do not know, or rolls. Time is moved, not waited for."""
    vendor = Limits(rolling=rolling, most={"minute": 40, "day": None, "concurrent": 5, "appminute": None})
    works = [Work.FRESH, Work.BACKFILL] * 4
    processes = [Budget(database, "books", CallLimits(minute=40, concurrent=5)) for _ in works]
    wakes = [0.01 * number for number in range(8)]
    slots: dict[int, Slot] = {}
    served: list[float] = []
    start, began, moved = datetime(2026, 9, 24, 12, 0, 17, tzinfo=UTC), time.monotonic(), 0.0
    with database.connect() as connection:
        while len(served) < 39 + 12:
            now = time.monotonic() - began + moved
            number = min(range(8), key=lambda each: wakes[each])
            if wakes[number] > now:
                move_back(connection, wakes[number] - now)
                moved += wakes[number] - now
            elif number in slots:
                vendor.leave("app", "tenant")
                slots.pop(number).release()
            else:
                try:
                    slots[number] = processes[number].draw(works[number])
                except BudgetDenied as denied:
                    wakes[number] = now + (denied.seconds or 0)
                    continue
                arrival = time.monotonic() - began + moved
                # Raises 429 when it is too much.
                vendor.enter("app", "tenant", start + timedelta(seconds=arrival))
                served.append(arrival)
                wakes[number] = arrival + 0.3
    for source in processes:
        source.close()

    spans = [later - earlier for earlier, later in zip(served, served[39:], strict=False)]
    assert max(spans) <= 60 * 39 / (0.95 * 40)


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
