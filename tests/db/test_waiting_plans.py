"""Many entries that a person let go wait for others: a settlement finds those of its keys without a look at all that wait."""

from __future__ import annotations

from typing import Any

from cdc import desk
from tests.db.fix_engine import BOOKS, Engine, engine
from tieout.queries import query

__all__ = ["engine"]
MANY = 150


def waiters_of(engine: Engine, keys: list[str]) -> set[str]:
    """The indexes by which the planner would find what waits for these keys."""
    row = engine.connection.execute(
        b"explain (format json) " + query("waiting", "release_waiters").encode(),
        {"entity": "contacts", "keys": keys},
    ).fetchone()
    assert row is not None
    return set(_indexes(row["QUERY PLAN"][0]["Plan"]))


def _indexes(plan: dict[str, Any]) -> list[str]:
    below = [name for child in plan.get("Plans", []) for name in _indexes(child)]
    return [plan["Index Name"], *below] if "Index Name" in plan else below


def test_what_waits_for_a_settled_key_is_found_by_that_key_right_after_many_were_let_go(
    engine: Engine,
) -> None:
    engine.limit(creates=1, updates=1, updates_share=1)
    for number in range(MANY):
        engine.customer(str(number))
        engine.order(str(number), customer_id=str(number))
    engine.diff()
    engine.connection.execute("analyze cdc.outbox")
    with engine.database.connect() as session:
        desk.approve(session, by="test", reason="test")
    keys = [f"shop/customer/{number}" for number in range(50)]
    before = waiters_of(engine, keys)
    during: list[set[str]] = []
    engine.target.on_write = lambda: during.append(waiters_of(engine, keys))

    drained = engine.drain(connections=[BOOKS])

    assert drained.applied == 2 * MANY
    assert "outbox_waiting" not in before, "nothing to cure"
    assert "outbox_waiting" in during[0]
