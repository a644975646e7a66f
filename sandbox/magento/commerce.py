"""What Adobe Commerce adds to orders: gift cards, store credit and reward points redeemed, and gift wrapping.

Switched on by `edition = "commerce"`; Open Source shows none of the fields and refuses to redeem. Names and nesting are
those of the published swagger (2.4.8); an unused order's fields are those of a public answer of a Commerce shop (gift
cards an empty list and 0, wrapping an **empty text**). Values of `gw_*` are texts, as the swagger declares.

Known [k], from what Commerce documents and shows, not recorded here: redeemed amounts lower `grand_total` of the order,
and each invoice takes all that is left of a means before the next means and before any money (so the first invoice
takes it first); a credit memo gives back all that was invoiced of a means before any money. Reward points have amounts
on the order alone: REST shows none on invoices and memos. **Unknown**: in which order the means are taken where several
meet (`redeeming` turns it), whether REST accepts a memo whose whole amount goes back to such means (here it does not:
"must be positive", while the admin's form, our control call, does), and how a refund of redeemed gift cards reaches the
shopper: only what a person sends to the store credit shows, in the order's `customer_balance_total_refunded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.magento.documents import amount
from sandbox.magento.errors import bad_request
from sandbox.magento.options import Options
from sandbox.magento.render import ZERO, cents
from sandbox.magento.shop import Doc

_PREFIXES = ("", "base_")
POINTS_PER_UNIT = 100
"""Reward points that pay one unit of base currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """One way to redeem: its column, the stem of its running totals, and whether REST shows it on documents."""

    column: str
    stem: str
    shown: bool


MEANS = {
    "giftcardaccount": Means(column="gift_cards_amount", stem="gift_cards", shown=True),
    "reward": Means(column="reward_currency_amount", stem="reward", shown=False),
    "customerbalance": Means(column="customer_balance_amount", stem="customer_balance", shown=True),
}
_UNUSED: Doc = {
    "gift_cards": [],
    "base_gift_cards_amount": 0,
    "gift_cards_amount": 0,
    "gw_base_price": "",
    "gw_price": "",
    "gw_items_base_price": "",
    "gw_items_price": "",
    "gw_card_base_price": "",
    "gw_card_price": "",
}


def start_fields(options: Options) -> Doc:
    """`extension_attributes` of a new order before anything is redeemed."""
    return {**_UNUSED, "gift_cards": []} if options.edition == "commerce" else {}


def redeem(options: Options, order: Doc, wanted: Mapping[str, Any], next_card: int) -> None:
    """Lower a new order's total by what the shopper redeems.

    `gift_cards` [{"code", "amount"}], `customer_balance` (amount) and `reward_points` (points) of `wanted` are in base
    currency; no more than the total is taken.
    """
    cards = wanted.get("gift_cards") or []
    asked = {
        "giftcardaccount": sum((Decimal(str(card["amount"])) for card in cards), ZERO),
        "reward": Decimal(int(wanted.get("reward_points") or 0)) / POINTS_PER_UNIT,
        "customerbalance": Decimal(str(wanted.get("customer_balance") or 0)),
    }
    if not any(asked.values()):
        return
    if options.edition != "commerce":
        raise bad_request("Gift cards, store credit and reward points need Adobe Commerce")
    rate = Decimal(order["base_to_order_rate"])
    shown = order["extension_attributes"]
    for name in options.redeeming:
        if not asked[name]:
            continue
        column = MEANS[name].column
        base = min(asked[name], order["base_grand_total"])
        whole = base == order["base_grand_total"]
        own = order["grand_total"] if whole else min(cents(base * rate), order["grand_total"])
        shown[column], shown[f"base_{column}"] = own, base
        for prefix, used in (("", own), ("base_", base)):
            order[f"{prefix}grand_total"] -= used
            order[f"{prefix}total_due"] -= used
    if cards:
        shown["gift_cards"] = _cards(cards, shown["base_gift_cards_amount"], rate, next_card)
    if asked["reward"]:
        shown["reward_points_balance"] = int(shown["base_reward_currency_amount"] * POINTS_PER_UNIT)


def _cards(cards: list[Doc], used: Decimal, rate: Decimal, number: int) -> list[Doc]:
    """The cards in the order they were given, until the total was met."""
    found = []
    for position, card in enumerate(cards):
        base = min(Decimal(str(card["amount"])), used)
        used -= base
        entry = {"id": number + position, "code": card["code"], "amount": cents(base * rate)}
        found.append(entry | {"base_amount": base})
    return found


def take(options: Options, order: Doc, invoice: Doc) -> None:
    """Lower an invoice's total by what is left of each means, and raise what the order counts as invoiced."""
    for name in options.redeeming:
        wanted, column = order.get("extension_attributes", {}), MEANS[name].column
        _move(order, invoice, name, {p: amount(wanted, f"{p}{column}") for p in _PREFIXES}, "invoiced")


def give_back(options: Options, order: Doc, memo: Doc) -> None:
    """Lower a memo's total by what goes back to each means, and raise what the order counts as refunded."""
    for name in options.redeeming:
        counted, stem = _counted(order, MEANS[name]), MEANS[name].stem
        _move(order, memo, name, {p: amount(counted, f"{p}{stem}_invoiced") for p in _PREFIXES}, "refunded")


def redeemed(document: Doc) -> Decimal:
    """What means other than money take of a document, in base currency."""
    return sum((Decimal(used) for used in document.get("_redeemed", {}).values()), ZERO)


def release(order: Doc, invoice: Doc) -> None:
    """A cancelled invoice leaves its means to the next one."""
    for name, base in invoice.get("_redeemed", {}).items():
        means = MEANS[name]
        counted = _counted(order, means)
        own = amount(invoice["_redeemed_own"], name)
        for prefix, used in (("", own), ("base_", base)):
            counted[f"{prefix}{means.stem}_invoiced"] -= used


def to_store_credit(order: Doc, memo: Doc, wanted: Any) -> None:
    """A person sends a memo's value to the shopper's store credit: all of it (`true`) or an amount in base currency.

    At most what the memo pays back in money and in redeemed means together; the money then stays with the shop.
    """
    most = memo["base_grand_total"] + redeemed(memo)
    base = most if wanted is True else min(Decimal(str(wanted)), most)
    counted = order["extension_attributes"]
    own = cents(base * Decimal(order["base_to_order_rate"]))
    for prefix, used in (("", own), ("base_", base)):
        name = f"{prefix}customer_balance_total_refunded"
        counted[name] = amount(counted, name) + used


def _counted(order: Doc, means: Means) -> Doc:
    """Where an order keeps the running totals of a means: those of reward points are columns REST does not show."""
    counted: Doc = order.setdefault("extension_attributes" if means.shown else "_counted", {})
    return counted


def _move(order: Doc, document: Doc, name: str, whole: Mapping[str, Decimal], verb: str) -> None:
    means = MEANS[name]
    counted = _counted(order, means)
    left = {prefix: whole[prefix] - amount(counted, f"{prefix}{means.stem}_{verb}") for prefix in _PREFIXES}
    if left["base_"] <= 0 or document["base_grand_total"] <= 0:
        return
    if left["base_"] >= document["base_grand_total"]:
        left = {prefix: document[f"{prefix}grand_total"] for prefix in _PREFIXES}
    document.setdefault("_redeemed", {})[name] = left["base_"]
    document.setdefault("_redeemed_own", {})[name] = left[""]
    for prefix, used in left.items():
        document[f"{prefix}grand_total"] -= used
        running = f"{prefix}{means.stem}_{verb}"
        counted[running] = amount(counted, running) + used
        if means.shown:
            document.setdefault("extension_attributes", {})[f"{prefix}{means.column}"] = used
