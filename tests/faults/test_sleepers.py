"""Stopped at a point, for longer than every deadline, and then awake again: what it left was done by others, once."""

from __future__ import annotations

import pytest

from tests.faults.fix_faults import Faults

POINTS = (
    "commit after cdc.calls.claim",
    "commit before cdc.calls.claim",
    "call leaving PUT Invoices",
    "call sent PUT Payments",
    "call answered PUT Payments",
    "commit before cdc.settle.settle",
    "commit before cdc.diff._changed_round",
    "commit after cdc.diff._changed_round",
    "read after shop",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_sleeper_loses_what_it_held_and_does_no_harm_when_it_wakes(faults: Faults, point: str) -> None:
    faults.order()
    sleeper = faults.sleeping("sync", point=point)

    faults.check(asleep=True)
    ended = sleeper.wake()

    assert ended.get("exit") in (0, 4, 5), sleeper.said
    faults.check()
