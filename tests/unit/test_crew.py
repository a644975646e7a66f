"""Work in threads: who waits for whom, how many at once, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from loaders.crew import Stop, Stopping, work_off
from loaders.stream import streams_of, waits_for
from tieout.budget import Work, present_work, working_for
from tieout.systems import SYSTEMS


def test_a_job_begins_when_all_have_ended_that_it_comes_after() -> None:
    begun: list[str] = []
    jobs = {name: partial(begun.append, name) for name in ("orders", "notes", "invoices")}

    work_off(jobs, after={"orders": {"notes", "invoices", "another"}}, at_once=3, stop=Stop())

    assert begun[-1] == "orders"


def test_so_many_are_under_way_at_once_and_never_more() -> None:
    at_work, most, mutex = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=20)

    def job() -> None:
        nonlocal at_work, most
        with mutex:
            at_work += 1
            most = max(most, at_work)
        # Two of four are there at the same time, or this breaks.
        both.wait()
        with mutex:
            at_work -= 1

    work_off(dict.fromkeys("abcd", job), after={}, at_once=2, stop=Stop())

    assert most == 2


def test_the_first_failure_ends_the_others_and_is_the_one_that_is_raised() -> None:
    stop, failing = Stop(), threading.Event()

    def fail() -> str:
        failing.set()
        raise KeyError("first")

    def go_on() -> str:
        failing.wait(20)
        while not stop.is_set():
            pass
        stop.check()
        raise AssertionError("it was told to end")

    with pytest.raises(KeyError, match="first"):
        work_off({"a": fail, "b": go_on, "c": fail}, after={"c": {"b"}}, at_once=2, stop=stop)


def test_what_only_ended_because_it_was_told_to_is_no_failure_but_no_success_either() -> None:
    outer = Stop()
    own = Stop(outer)
    outer.set()
    never: Callable[[], None] = lambda: None  # noqa: E731

    with pytest.raises(Stopping):
        work_off({"a": never}, after={}, at_once=1, stop=own)


def test_an_interrupt_of_the_caller_ends_the_threads_first() -> None:
    stop, ended = Stop(), threading.Event()

    def quick() -> int:
        return 1

    def long() -> int:
        while not stop.is_set():
            pass
        ended.set()
        raise Stopping

    def interrupted(_name: str, _result: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_off({"quick": quick, "long": long}, after={}, at_once=2, stop=stop, finished=interrupted)

    assert ended.is_set()


def test_threads_call_for_the_same_reason_as_who_started_them() -> None:
    with working_for(Work.PERSON):
        found = work_off(dict.fromkeys("ab", present_work), after={}, at_once=2, stop=Stop())

    assert set(found.values()) == {Work.PERSON}


@pytest.mark.parametrize("system", [system.name for system in SYSTEMS if system.reads])
def test_whatever_changes_a_record_of_another_stream_is_read_before_it(system: str) -> None:
    order = waits_for(system)

    for stream in streams_of(system):
        assert order[stream.name] <= order.keys()
        for touch in stream.touches:
            assert stream.name in order[touch.stream]


def test_an_order_is_read_after_its_documents_and_an_invoice_after_what_settles_it() -> None:
    assert waits_for("magento")["orders"] >= {"shipments", "invoices", "credit_memos"}
    assert waits_for("xero")["invoices"] >= {"payments", "credit_notes", "overpayments", "prepayments"}
