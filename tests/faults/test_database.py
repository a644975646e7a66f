"""The sessions of a command are cut: what it knew is stored, and nothing is lost. A killed server is `make chaos`'s."""

from __future__ import annotations

from tests.faults.fix_faults import Faults

CUTS = (
    ("sync", "commit before cdc.diff._changed_round", False),
    ("drain", "call sent PUT Invoices", False),
    ("drain", "call before PUT Payments", True),
    ("drain", "commit after cdc.settle.settle", False),
)
"""Commands, points, and whether only the session with the sender's lock is cut."""


def test_sessions_that_are_cut_lose_nothing(faults: Faults) -> None:
    for command, point, only_lock in CUTS:
        faults.order()
        if command == "drain":
            faults.entries()
        victim = faults.paused(command, point=point)

        faults.cut(only_lock=only_lock)
        ended = victim.wake()

        assert ended.get("exit") in (0, 4), victim.said

    faults.check()
