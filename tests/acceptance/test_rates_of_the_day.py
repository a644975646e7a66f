"""A route that takes the rate of the day: what the shop had on the day is the rate of its documents, and of no other amount.

Two mugs to Ireland in euro: 30.00 and 6.00 shipping and 8.28 VAT are 44.28. On 2026-10-05 the shop has 1.25 euro for a pound
when its rates are read first, so the books take 24.00 + 4.80 + 6.62 = 35.42 pounds. Orders are placed at 1.20, where the same
is 36.90 pounds: what a gateway that charges pounds takes.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox import trade
from sandbox.people import shopper
from sandbox.stand import Json, item, place
from tests.acceptance.fix_entries import entries, of_order, pounds
from tests.acceptance.fix_world import World

MORNING = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
SOLD = {"a201": "-24.00", "a202": "-4.80", "a820": "-6.62"}
"""Sales, shipping and VAT at 1.25; with the rate turned round they would be 37.50, 7.50 and 10.35."""


@pytest.fixture(scope="module")
def orders(world: World) -> dict[str, Json]:
    """One order for each way to pay, and one of before the first rate, delivered."""
    stand = world.stand
    stand.shop("clock", now=MORNING.isoformat(), freeze=True)
    world.rows(
        "update lookups.routes set rate_source = 'table' where store_code = 'eu' returning 1 as changed"
    )
    trade.prepare(stand)
    stand.shop("currency_rate", currency="EUR", rate="1.25")
    world.run("connect", "shop")
    world.run("load", "shop", "--stream", "currency_rates")
    stand.shop("currency_rate", currency="EUR", rate="1.20")
    placed = {
        name: _two_mugs(world, name, MORNING + timedelta(hours=hours), pay)
        for name, hours, pay in (("euro", 1, "cardpay"), ("pounds", 2, "cardbase"), ("early", -48, "cardpay"))
    }
    for name in ("shop", "books"):
        world.run("connect", name)
    world.sync(codes=(0, 3, 5))
    world.go_live()
    world.run("holds", "approve", "--reason", "first run")
    for _ in range(2):
        world.sync(codes=(0, 3, 5))
    return placed


def _two_mugs(world: World, name: str, at: datetime, pay: str) -> Json:
    who = shopper(random.Random(name)).renamed("Ann", name, f"{name}@example.com").in_ireland()
    return place(world.stand, who, at, [item("MUG-01", 2)], store="eu", pay=pay)


def documents(world: World, order: Json) -> tuple[Json, list[Json]]:
    """The one invoice of an order in Xero, and its payments."""
    (invoice,) = of_order(world, "Invoices", order["increment_id"])
    return invoice, world.payments(int(order["entity_id"]))


def test_a_document_and_its_money_in_euro_take_the_rate_of_the_day(
    world: World, orders: dict[str, Json]
) -> None:
    """Dr debtors, Cr sales, shipping, VAT; Dr card, Cr debtors 35.42 pounds: nothing is gained or lost."""
    invoice, payments = documents(world, orders["euro"])

    assert (invoice["Total"], invoice["CurrencyRate"]) == (Decimal("44.28"), Decimal("1.25"))
    assert entries(world, invoice) == pounds(a610="35.42", **SOLD)
    assert entries(world, *payments) == pounds(a611="35.42", a610="-35.42")


def test_money_in_pounds_at_another_rate_realises_the_difference(
    world: World, orders: dict[str, Json]
) -> None:
    """Dr card 36.90, Cr debtors 35.42, Cr realised currency gains 1.48."""
    invoice, payments = documents(world, orders["pounds"])

    assert orders["pounds"]["base_grand_total"] == Decimal("36.90")
    assert entries(world, invoice) == pounds(a610="35.42", **SOLD)
    assert entries(world, *payments) == pounds(a611="36.90", a610="-35.42", a499="-1.48")
    assert invoice["AmountDue"] == 0


def test_a_document_of_before_the_first_rate_waits_with_the_row_to_add(
    world: World, orders: dict[str, Json]
) -> None:
    key = f"shop/order/{orders['early']['entity_id']}/1"

    letter = world.dead()[key]

    assert of_order(world, "Invoices", orders["early"]["increment_id"]) == []
    assert letter["cause"] == "lookup daily_rates: EUR"
    assert "GBP,EUR,2026-10-03,<EUR for 1 GBP>,<source>" in letter["cure"]
