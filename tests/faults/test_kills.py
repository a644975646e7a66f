"""Killed at a point, whatever it is: one document, nothing lost, nothing stuck, and no hand was needed.

Here one point of each kind, each killed run cleaning up after the one before it; `make chaos` tries all of them, one by one.
What stands in the outbox by then needs no new diff, which plans every view in a new process: there a drain is killed.
"""

from __future__ import annotations

from tests.faults.fix_faults import Faults

POINTS = {
    "sync": (
        "write before loaders.load.run",
        "commit before loaders.load._read",
        "read after shop",
        "commit after cdc.diff._changed_round",
        "commit before cdc.marts._by_keys",
    ),
    "drain": (
        "commit after cdc.calls.claim",
        "call leaving PUT Contacts",
        "call past PUT Invoices",
        "call sent PUT Payments",
        "call answered PUT Invoices",
        "commit before cdc.settle.settle",
        "commit after cdc.settle.settle",
    ),
}
"""By the command that is killed there."""


def test_each_document_exists_once_wherever_a_run_is_killed(faults: Faults) -> None:
    for command, points in POINTS.items():
        for point in points:
            faults.order()
            if command == "drain":
                faults.entries()

            assert faults.struck(command, point=point), point
            faults.time_passes()

    faults.check()


def test_a_run_that_is_killed_with_a_new_token_is_followed_by_one_that_gets_another(faults: Faults) -> None:
    for point in ("token before", "token after"):
        faults.order()
        faults.forget_tokens()

        assert faults.struck("sync", point=point), point

    faults.check()


def test_what_is_told_while_a_call_of_a_killed_run_may_be_on_its_way(faults: Faults) -> None:
    """Nobody asks before the deadline, and nobody is told that all is well."""
    faults.order()
    faults.entries()
    assert faults.struck("drain", point="call sent PUT Invoices")

    with faults.world.watched() as calls:
        early = faults.world.run("sync", codes=(4,))

    assert calls == []
    assert "may still be on their way" in str(early.data["drain"]["errors"])
    faults.check()
