"""Random orders: any mix of carts, stores, redeemed means, invoices, refunds and cancellations, the same for the same seed.

Each order says what must become of it in the books: booked to the cent, or stopped for a person with a cause. Nothing here
knows how tieout maps any of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.people import Shopper, shopper
from sandbox.stand import Json, Stand, invoices_of, item, place, stamp
from sandbox.trade import TRADE_BEGINS, TRADE_DAYS, prepare

CAPTURED_AT_ONCE = ("cardpay", "paypal_express")
ON_TERMS = ("checkmo", "banktransfer", "cashondelivery", "purchaseorder")
NOTHING_TO_REFUND = "The credit memo's total must be positive."
_BUNDLE = [{"sku": "MUG-01", "qty": 1}, {"sku": "BOOK-01", "qty": 2}]


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomOrder:
    """One order: its number at the shop, what it is made of (for a person who looks into a failure), and its end.

    `stopped_by`: None when every document must be booked to the cent, else the cause of the dead letter or hold that one
    of its documents must end in.
    """

    order_id: int
    made_of: tuple[str, ...]
    stopped_by: str | None = None


def play(stand: Stand, orders: int, *, seed: int) -> list[RandomOrder]:
    """Place so many random orders and do with each what a shop may do."""
    prepare(stand, "full")
    played = []
    for number in range(orders):
        # One source of chance an order: order 17 of a seed is the same whatever was played before it.
        chance = random.Random(f"{seed}/{number}")
        at = TRADE_BEGINS + timedelta(minutes=number * TRADE_DAYS * 24 * 60 // max(1, orders))
        who = shopper(chance)
        who = who.renamed(who.firstname, f"{who.lastname} {seed}-{number}", f"r{seed}.{number}@example.com")
        played.append(_Order(stand, who, at, chance).play())
    return played


class _Order:
    def __init__(self, stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> None:
        self._stand, self._who, self._at, self._chance = stand, who, at, chance
        self._made_of: list[str] = []
        self._stopped_by: str | None = None
        self._order: Json = {}

    def play(self) -> RandomOrder:
        """Place, then invoice, refund or cancel."""
        self._place()
        self._invoice()
        if invoices_of(self._stand, self._order):
            self._refund()
        elif self._chance.random() < 0.5:
            self._do("cancel")
        return RandomOrder(
            order_id=int(self._order["entity_id"]),
            made_of=tuple(self._made_of),
            stopped_by=self._stopped_by,
        )

    def _place(self) -> None:
        chance = self._chance
        store = chance.choices(("default", "eu", "trade_en"), weights=(6, 2, 2))[0]
        country = chance.choices(("GB", "US", "CA"), weights=(7, 1, 1))[0] if store == "default" else "GB"
        if store == "eu":
            self._who, country = self._who.in_ireland(), "IE"
        elif country != "GB":
            self._who = self._who.moved("Elsewhere", "10001", country)
        pays = [*CAPTURED_AT_ONCE, "cardauth", *ON_TERMS, *(["cardbase"] if store == "eu" else [])]
        pay = chance.choice(pays)
        options: Json = {"store": store, "pay": pay, "coupon": chance.choice((None, None, "TEN", "TENSHIP"))}
        options["customer"] = chance.random() < 0.5 or store == "trade_en"
        if store == "default" and pay in (*CAPTURED_AT_ONCE, "cardauth") and chance.random() < 0.5:
            options |= self._redeemed(options)
        if store == "default" and country == "GB" and chance.random() < 0.15:
            options["gift_wrap"] = {"price": 4, "card_price": 1, "taxed": True}
        cart = self._cart(store, country)
        self._made_of += [store, country, pay, *(each["sku"] for each in cart), *map(str, options)]
        self._order = place(self._stand, self._who, self._at, cart, **options)

    def _cart(self, store: str, country: str) -> list[Json]:
        chance = self._chance
        makers = {
            "MUG-01": lambda: item("MUG-01", chance.randint(1, 4)),
            "LAMP-01": lambda: item("LAMP-01", chance.randint(1, 3)),
            "BOOK-01": lambda: item("BOOK-01", chance.randint(1, 5)),
            "SVC-INSTALL": lambda: item("SVC-INSTALL"),
            "PEN": lambda: item(f"PEN-{chance.randint(1, 20):02d}", chance.randint(1, 13)),
            "TEE": lambda: item("TEE", chance.randint(1, 2), simple_sku="TEE-M-RED"),
            "BUNDLE-DYN": lambda: item("BUNDLE-DYN", 1, selections=_BUNDLE),
            "BUNDLE-FIX": lambda: item("BUNDLE-FIX", 1, selections=_BUNDLE),
        }
        if store == "default" and country == "GB":
            makers["FRIDGE-01"] = lambda: item("FRIDGE-01", chance.randint(1, 2))
            makers["GIFT-CARD"] = lambda: item("GIFT-CARD", amount=50, recipient_name="Ann")
            makers["ODD-01"] = lambda: item("ODD-01")
        weights = [1 if sku == "ODD-01" else 6 for sku in makers]
        chosen = dict.fromkeys(chance.choices([*makers], weights=weights, k=chance.randint(1, 4)))
        if "ODD-01" in chosen:
            self._stopped_by = "lookup category_accounts: Uncharted"
        return [makers[sku]() for sku in chosen]

    def _redeemed(self, options: Json) -> Json:
        chance = self._chance
        means: Json = {}
        if chance.random() < 0.6:
            code = f"GC-{self._who.email}"
            means["gift_cards"] = [{"code": code, "amount": chance.choice((5, 20, 7.5))}]
        if options["customer"] and chance.random() < 0.4:
            means["customer_balance"] = chance.choice((3, 10))
        if options["customer"] and chance.random() < 0.4:
            means["reward_points"] = chance.choice((100, 250))
        return means

    def _invoice(self) -> None:
        """What is captured at once is invoiced; else nothing, everything, or everything in two or three parts."""
        if self._order["payment"]["method"] in CAPTURED_AT_ONCE or invoices_of(self._stand, self._order):
            return
        way = self._chance.choices(("nothing", "whole", "parts"), weights=(1, 4, 4))[0]
        self._made_of.append(f"invoiced {way}")
        if way == "nothing":
            return
        if way == "parts":
            pieces = self._part_of(self._order["items"])
            if pieces:
                self._do("invoice", items=pieces, capture=True)
        self._do("invoice", capture=True)

    def _refund(self) -> None:
        """Nothing, one piece of a line, everything, with or without shipping and adjustments, online or by hand."""
        way = self._chance.choices(("nothing", "part", "whole", "goodwill"), weights=(5, 3, 2, 1))[0]
        self._made_of.append(f"refunded {way}")
        if way == "nothing":
            return
        online = self._order["payment"]["method"] not in ON_TERMS and self._chance.random() < 0.7
        options: Json = {"online": True} if online else {}
        if way == "part":
            pieces = self._part_of(self._order["items"])
            if not pieces:
                return
            options |= {"items": pieces, "arguments": {"shipping_amount": 0, **self._adjusted()}}
        elif way == "goodwill":
            nothing = [
                {"order_item_id": line["item_id"], "qty": 0} for line in _own_lines(self._order["items"])
            ]
            options["items"] = nothing
            options["arguments"] = {"shipping_amount": 0, "adjustment_positive": 1, "adjustment_negative": 0}
        try:
            self._do("refund", **options)
        except RuntimeError as refused:
            # What was redeemed goes back first, and a memo that leaves nothing to give back is refused by the shop.
            if NOTHING_TO_REFUND not in str(refused):
                raise
            self._made_of.append("refused")

    def _adjusted(self) -> Json:
        plus, minus = self._chance.choice(((0, 0), (0, 0), (1, 0), (0, 1)))
        return {"adjustment_positive": plus, "adjustment_negative": minus}

    def _part_of(self, lines: Sequence[Json]) -> list[Json]:
        """One piece of a simple line of which there are more."""
        many = [
            line
            for line in _own_lines(lines)
            if line["product_type"] == "simple" and Decimal(str(line["qty_ordered"])) > 1
        ]
        if not many:
            return []
        return [{"order_item_id": self._chance.choice(many)["item_id"], "qty": 1}]

    def _do(self, verb: str, **options: object) -> None:
        self._at += timedelta(hours=self._chance.randint(1, 40))
        self._stand.shop(verb, order_id=self._order["entity_id"], at=stamp(self._at), **options)


def _own_lines(lines: Sequence[Json]) -> list[Json]:
    return [line for line in lines if not line.get("parent_item_id")]
