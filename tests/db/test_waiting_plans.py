"""Many entries that a person let go wait for others: each is judged by its own keys, whatever the planner was told before."""

from __future__ import annotations

from typing import Any

import pytest

from cdc import desk, outbox
from tests.db.fix_engine import BOOKS, Engine, engine
from tieout.queries import query

__all__ = ["engine"]
MANY = 150
KEYS = [f"shop/customer/{number}" for number in range(50)]


@pytest.fixture
def let_go(engine: Engine) -> Engine:
    """So many contacts that are ready, an invoice waiting for each, and statistics from when all of it was held."""
    engine.limit(creates=1, updates=1, updates_share=1)
    for number in range(MANY):
        engine.customer(str(number))
        engine.order(str(number), customer_id=str(number))
    engine.diff()
    engine.connection.execute("analyze cdc.outbox")
    engine.connection.execute("analyze cdc.links")
    with engine.database.connect() as session:
        desk.approve(session, by="test", reason="test")
    return engine


def read_by(engine: Engine, statement: str | Any, values: dict[str, object]) -> set[str]:
    """How the planner would read tables for a statement: indexes by name, tables read whole as `all of …`."""
    text = statement if isinstance(statement, str) else statement.as_string(engine.connection)
    row = engine.connection.execute(f"explain (format json) {text}".encode(), values).fetchone()
    assert row is not None
    return set(_read(row["QUERY PLAN"][0]["Plan"]))


def _read(plan: dict[str, Any]) -> list[str]:
    below = [name for child in plan.get("Plans", []) for name in _read(child)]
    if plan["Node Type"] == "Seq Scan":
        return [f"all of {plan['Relation Name']}", *below]
    return [plan["Index Name"], *below] if "Index Name" in plan else below


def waiters(engine: Engine) -> set[str]:
    values: dict[str, object] = {"entity": "contacts", "keys": KEYS}
    return read_by(engine, query("waiting", "release_waiters"), values)


def test_what_waits_for_a_settled_key_is_found_by_that_key_right_after_many_were_let_go(
    let_go: Engine,
) -> None:
    before = waiters(let_go)
    during: list[set[str]] = []
    let_go.target.on_write = lambda: during.append(waiters(let_go))

    drained = let_go.drain(connections=[BOOKS])

    assert drained.applied == 2 * MANY
    assert "outbox_waiting" not in before, "nothing to cure"
    assert "outbox_waiting" in during[0]


def test_what_each_waiting_entry_needs_is_looked_up_by_its_key(let_go: Engine) -> None:
    read = read_by(let_go, outbox.judging("release_waiting"), {"connection": BOOKS})

    assert {"links_pkey", "outbox_key"} <= read
    assert "all of links" not in read


def test_records_that_others_refer_to_are_looked_up_by_key_while_the_planner_takes_them_for_none(
    let_go: Engine,
) -> None:
    let_go.drain(connections=[BOOKS])
    many = len(KEYS)
    values: dict[str, object] = {
        "connections": [BOOKS] * many,
        "entities": ["contacts"] * many,
        "keys": KEYS,
        "also_gone": False,
    }

    assert read_by(let_go, query("links", "targets"), values) == {"links_pkey"}
    assert len(let_go.connection.execute(query("links", "targets"), values).fetchall()) == many
