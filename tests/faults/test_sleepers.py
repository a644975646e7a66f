"""Stopped at a point, for longer than every deadline, and then awake again: what it left was done by others, once."""

from __future__ import annotations

from tests.faults.fix_faults import Faults

POINTS = (
    ("sync", "read after shop"),
    ("sync", "commit before cdc.diff._changed_round"),
    ("drain", "commit before cdc.calls.claim"),
    ("drain", "call leaving PUT Invoices"),
    ("drain", "call answered PUT Payments"),
    ("drain", "commit before cdc.settle.settle"),
)


def test_sleepers_lose_what_they_held_and_do_no_harm_when_they_wake(faults: Faults) -> None:
    """In a page with its stream's lock, in a diff, in a claim, before the request leaves, with an answer, while storing it."""
    asleep = []
    for command, point in POINTS:
        faults.order()
        if command == "drain":
            faults.entries()
        asleep.append(faults.sleeping(command, point=point))

    faults.check(asleep=True)
    ended = [(each.wake().get("exit"), each) for each in asleep]

    assert [each.said for code, each in ended if code not in (0, 4, 5)] == []
    faults.check()
