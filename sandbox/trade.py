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
from typing import Literal

from sandbox.bad_stories import BAD
from sandbox.cases import contacts, documents, money, taxes
from sandbox.people import Shopper, shopper
from sandbox.stand import Json, Stand, Teller
from sandbox.stories import ORDINARY, adopted

TRADE_BEGINS = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
TRADE_DAYS = 31
_GOES_ON = TRADE_BEGINS + timedelta(days=TRADE_DAYS + 14)
"""Stories go on at the shop's present time, but not before this: after the last stamp of what was played before.

An earlier stamp would lie behind the cursor of a poll that has read that far, and a later one would put the cursor
ahead of everything that the shop does next.
"""
_STOCKED_FOR = 1000
"""More orders than this ship more mugs and pens than a fresh shop has: then goods come in first."""
Trade = Literal["ordinary", "full"]
CASES: tuple[Teller, ...] = (*money.STORIES, *documents.STORIES, *taxes.STORIES, *contacts.STORIES)
"""What the full trade adds to the ordinary one; the shop must be Adobe Commerce (`edition`)."""
FULL: tuple[Teller, ...] = (*ORDINARY, *CASES, *BAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One story as it was played: `case` (its kind), `order_id` and `increment_id` of the order that it made."""

    case: str
    order_id: int
    increment_id: str


def stories(
    orders: int, *, seed: int = 2026, bad: bool = True, trade: Trade = "ordinary"
) -> Iterator[tuple[Teller, Shopper, datetime]]:
    """`orders` stories in the order of time: one of each bad kind when `bad`, one adopted contact, one of each case
    when the trade is `full`, the rest ordinary. The same numbers make the same stories.
    """
    chance = random.Random(seed)
    special: list[Teller] = [adopted, *(BAD if bad else ()), *(CASES if trade == "full" else ())]
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
    trade: Trade = "ordinary",
    told: Callable[[Played], None] | None = None,
) -> list[Played]:
    """Play a trade of `orders` stories; `told` hears of each as it is done.

    Some stories of the full trade go on once the books have their documents: then call :func:`go_on`.
    """
    chance = random.Random(seed + 1)
    prepare(stand, trade)
    if orders > _STOCKED_FOR:
        for sku in ("MUG-01", *(f"PEN-{kind:02d}" for kind in range(1, 21))):
            stand.shop("stock", sku=sku, quantity=orders)
    played = []
    for teller, who, at in stories(orders, seed=seed, bad=bad, trade=trade):
        played.append(_played(teller.__name__, teller(stand, who, at, chance)))
        if told is not None:
            told(played[-1])
    return played


def go_on(stand: Stand) -> list[Played]:
    """Go on with the stories that waited for the books: what the accountant and the shop do after a first sync.

    Returns the orders that were placed. Sync after it, and call it again while `stand.later` is not empty: a few
    stories have a third part.
    """
    waiting = [*stand.later]
    stand.later.clear()
    at = max(stand.now(), _GOES_ON)
    placed = [(case, act(at)) for case, act in waiting]
    return [_played(case, order) for case, order in placed if order is not None]


def _played(case: str, order: Json) -> Played:
    return Played(case=case, order_id=int(order["entity_id"]), increment_id=str(order["increment_id"]))


def prepare(stand: Stand, trade: Trade = "ordinary") -> None:
    """Stock the one product that only the sample trade has, in a category whose account Xero lacks, and what cases need."""
    if trade == "full":
        taxes.prepare(stand)
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
