"""Random trades, each order's ledger computed by a separate script from Magento's documents: equal to the cent, or stopped
for the reason that the trade itself gives.

`TIEOUT_TEST_TRADES` sets how many (`make trades` plays more), `TIEOUT_TEST_SEED` another trade.
"""

from __future__ import annotations

import os
from pathlib import Path

from sandbox import magento, random_trade
from sandbox.stand import Stand
from tests.acceptance.fix_setup import new_world
from tests.acceptance.fix_world import World
from tests.ledger import from_magento as ledger

ORDERS = int(os.environ.get("TIEOUT_TEST_TRADES", "200"))
SEED = int(os.environ.get("TIEOUT_TEST_SEED", "2026"))


def test_random_orders_are_booked_to_the_cent_or_stopped_for_their_own_reason(
    server_url: str, built: str, tmp_path: Path
) -> None:
    with new_world(server_url, built, tmp_path, edition="commerce") as world:
        played = random_trade.play(world.stand, ORDERS, seed=SEED)
        world.first_run()

        wrong = [
            f"{each.order_id} {' '.join(each.made_of)}: {problem}"
            for each, problem in compared(world, played)
            if problem
        ]
        assert not wrong, "\n".join(wrong)
        assert world.proof()["proved"]


def compared(
    world: World, played: list[random_trade.RandomOrder]
) -> list[tuple[random_trade.RandomOrder, str | None]]:
    """Each order with what is wrong with its books."""
    token = ledger.log_in(world.shop.address, *world.administrator)
    orders, invoices, memos, categories, exempt = ledger.read_shop(world.shop.address, token)
    found = ledger.by_order(world.books.address, orders)
    causes = world.causes()
    by_id = {int(order["entity_id"]): order for order in orders}
    results: list[tuple[random_trade.RandomOrder, str | None]] = []
    for each in played:
        number = each.order_id
        stopped = causes.get(number, set())
        if each.stopped_by is not None:
            # What was never invoiced has nothing to stop.
            due = [document for document in invoices if int(document["order_id"]) == number]
            is_right = stopped == ({each.stopped_by} if due else set())
            results.append((each, None if is_right else f"stopped by {stopped or 'nothing'}"))
            continue
        try:
            wanted = ledger.expected(
                [by_id[number]],
                [document for document in invoices if int(document["order_id"]) == number],
                [document for document in memos if int(document["order_id"]) == number],
                categories,
                exempt,
            ).plain()
        except ledger.Unexplained as unexplained:
            is_right = stopped == {"amount unexplained"}
            results.append(
                (each, None if is_right else f"{unexplained}, but stopped by {stopped or 'nothing'}")
            )
            continue
        held = found[number].plain() if number in found else ledger.Books().plain()
        problem = f"stopped by {stopped}" if stopped else None
        results.append((each, problem or (None if wanted == held else f"wanted {wanted}, found {held}")))
    return results


def test_the_same_seed_makes_the_same_trade() -> None:
    made = []
    for _ in range(2):
        shop = magento.start(race_window_ms=0, edition="commerce")
        try:
            made.append(random_trade.play(Stand(magento=shop.address, xero=""), 12, seed=1))
        finally:
            shop.stop()

    assert made[0] == made[1]
    assert len({order.made_of for order in made[0]}) > 6
