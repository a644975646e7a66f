"""A person's decision, killed before and after its commit: all of it or nothing, and the next run goes on."""

from __future__ import annotations

from tests.faults.fix_faults import Faults

REFUNDED = ("--model", "out_xero__credit_notes", "--reason", "looked at")


def test_a_decision_that_is_killed_was_made_whole_or_not_at_all(faults: Faults) -> None:
    """The first refunds are held: credit notes of a model that nobody said yes to."""
    first, second = faults.order(), faults.order()
    faults.settle_down()
    faults.refund(first)
    faults.refund(second)
    faults.world.sync(codes=(0, 4, 5))
    held = undecided(faults)
    assert len(held) == 2

    assert faults.struck("holds", "approve", *REFUNDED, point="commit before cdc.desk._decide")
    assert undecided(faults) == held

    assert faults.struck("holds", "approve", *REFUNDED, point="commit after cdc.desk._decide")
    assert undecided(faults) == []

    faults.world.run("holds", "approve", "--reason", "the money that goes back")
    faults.check()


def undecided(faults: Faults) -> list[str]:
    """Keys of credit notes that wait for a yes."""
    rows = faults.world.rows(
        "select key from cdc.outbox where entity = 'credit_notes' and state = 'held' order by key"
    )
    return [row["key"] for row in rows]
