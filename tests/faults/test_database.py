"""The sessions of a command are cut: what it knew is stored, and nothing is lost. A killed server is `make chaos`'s."""

from __future__ import annotations

from tests.faults.fix_faults import Faults

CUTS = (
    ("commit before cdc.diff._changed_round", False),
    ("call sent PUT Invoices", False),
    ("call before PUT Payments", True),
    ("commit after cdc.settle.settle", False),
)
"""Points, and whether only the session with the sender's lock is cut."""


def test_sessions_that_are_cut_lose_nothing(faults: Faults) -> None:
    for point, only_lock in CUTS:
        faults.order()
        victim = faults.paused("sync", point=point)

        faults.cut(only_lock=only_lock)
        ended = victim.wake()

        assert ended.get("exit") in (0, 4), victim.said

    faults.check()
