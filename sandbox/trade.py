"""The sample trade: orders of every ordinary kind, and one of each kind of bad input.

A trade is a list of *stories*. A story is what one shopper did and what the shop did about it: place, invoice, ship,
refund, cancel, each at its own time. :func:`play` performs them on the stand-ins over HTTP, through their control
addresses, as shop staff would; nothing here knows how tieout maps any of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox.bad_stories import BAD
from sandbox.people import Shopper, shopper
from sandbox.stand import Stand, Teller
from sandbox.stories import ORDINARY, adopted

TRADE_BEGINS = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
TRADE_DAYS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One story as it was played: `case` (its kind), `order_id` and `increment_id` of the order that it made."""

    case: str
    order_id: int
    increment_id: str


def stories(orders: int, *, seed: int = 2026, bad: bool = True) -> Iterator[tuple[Teller, Shopper, datetime]]:
    """`orders` stories in the order of time: one of each bad kind when `bad`, one adopted contact, the rest ordinary."""
    chance = random.Random(seed)
    special: list[Teller] = [adopted, *(BAD if bad else ())]
    tellers = [
        *special[:orders],
        *(ORDINARY[number % len(ORDINARY)] for number in range(max(0, orders - len(special)))),
    ]
    chance.shuffle(tellers)
    for number, teller in enumerate(tellers):
        at = TRADE_BEGINS + timedelta(minutes=number * TRADE_DAYS * 24 * 60 // max(1, orders))
        yield teller, shopper(chance), at


def play(
    stand: Stand,
    orders: int,
    *,
    seed: int = 2026,
    bad: bool = True,
    told: Callable[[Played], None] | None = None,
) -> list[Played]:
    """Play a trade of `orders` orders; `told` hears of each as it is done."""
    chance = random.Random(seed + 1)
    prepare(stand)
    played = []
    for teller, who, at in stories(orders, seed=seed, bad=bad):
        order = teller(stand, who, at, chance)
        played.append(
            Played(
                case=teller.__name__,
                order_id=int(order["entity_id"]),
                increment_id=str(order["increment_id"]),
            )
        )
        if told is not None:
            told(played[-1])
    return played


def prepare(stand: Stand) -> None:
    """Stock the one product that only the sample trade has: in a category whose account Xero lacks."""
    if any(product["sku"] == "GADGET-01" for product in stand.state("products")):
        return
    category = next(each["id"] for each in stand.state("categories") if each["name"] == "Gadgets")
    taxable = next(
        each["class_id"] for each in stand.state("tax_classes") if each["class_name"] == "Taxable Goods"
    )
    stand.shop(
        "products",
        sku="GADGET-01",
        name="Gadget",
        price=Decimal("24.99"),
        status=1,
        visibility=4,
        custom_attributes=[{"attribute_code": "tax_class_id", "value": str(taxable)}],
        extension_attributes={"category_links": [{"position": 0, "category_id": str(category)}]},
    )
