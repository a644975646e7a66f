"""Gift wrapping and printed cards of an order (Adobe Commerce): `gw_*` texts, in `grand_total` and in no other total.

Modelled for the order as a whole, not by item. Tax on them, when wrapping has a tax class, is part of the header's
`tax_amount` and an entry of `item_applied_taxes` of its own type (`quote_gw`, `printed_card_gw`: the swagger's word for
the field is "shipping, product, weee, quote_gw, etc..."). The first invoice carries all of it and the first credit memo
gives all of it back. Source: swagger 2.4.8 for names and types; which document carries it is [k].
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sandbox.magento.documents import amount
from sandbox.magento.render import ZERO, cents, column
from sandbox.magento.shop import Doc
from sandbox.magento.taxes import Rate, total_percent

_TYPES = {"gw": "quote_gw", "gw_card": "printed_card_gw"}
_PREFIXES = ("", "base_")


def wrap(order: Doc, wanted: Mapping[str, Any], rates: list[Rate]) -> None:
    """Add wrapping to a new order: `gift_wrap` {"price", "card_price", "taxed"} of `wanted`, in base currency, net."""
    sent = wanted.get("gift_wrap")
    if not sent:
        return
    rate = Decimal(order["base_to_order_rate"])
    percent = total_percent(rates) if sent.get("taxed") else ZERO
    order["_wrapping"] = {}
    for stem, name in (("gw", "price"), ("gw_card", "card_price")):
        base = Decimal(str(sent.get(name) or 0))
        if not base:
            continue
        own = cents(base * rate)
        tax = {"": cents(own * percent / 100), "base_": cents(base * percent / 100)}
        order["_wrapping"][stem] = {
            "price": own,
            "base_price": base,
            "tax": tax[""],
            "base_tax": tax["base_"],
        }
        shown = order["extension_attributes"]
        for prefix, price in (("", own), ("base_", base)):
            shown[f"{stem}_{prefix}price"] = _text(price)
            shown[f"{stem}_{prefix}tax_amount"] = _text(tax[prefix])
            shown[f"{stem}_{prefix}price_incl_tax"] = _text(price + tax[prefix])
            order[f"{prefix}tax_amount"] += tax[prefix]
            order[f"{prefix}grand_total"] += price + tax[prefix]
            order[f"{prefix}total_due"] += price + tax[prefix]
        if tax[""]:
            _tax_entries(order, stem, rates, tax, percent)


def _tax_entries(
    order: Doc, stem: str, rates: list[Rate], tax: Mapping[str, Decimal], percent: Decimal
) -> None:
    for rate in rates:
        share = {
            "code": rate.code,
            "title": rate.title,
            "percent": rate.percent,
            "amount": column(tax[""] * rate.percent / percent),
            "base_amount": column(tax["base_"] * rate.percent / percent),
        }
        order["taxes"]["items"].append({"type": _TYPES[stem], "applied_taxes": [share]})
        for header in order["taxes"]["applied"]:
            if header["code"] == rate.code:
                header["amount"] += share["amount"]
                header["base_amount"] += share["base_amount"]


def tax_left(order: Doc, prefix: str, verb: str) -> Decimal:
    """Wrapping's part of what the order has left of tax (`invoiced`, `refunded`): collectors of tax leave it out."""
    return sum(
        (each[f"{prefix}tax"] for each in order.get("_wrapping", {}).values() if verb not in each), ZERO
    )


def take(order: Doc, invoice: Doc) -> None:
    """The first invoice carries all wrapping."""
    _carry(order, invoice, "invoiced", None)


def give_back(order: Doc, memo: Doc) -> None:
    """The first credit memo gives back all wrapping that was invoiced."""
    _carry(order, memo, "refunded", "invoiced")


def _carry(order: Doc, document: Doc, verb: str, needs: str | None) -> None:
    for stem, each in order.get("_wrapping", {}).items():
        if verb in each or (needs is not None and needs not in each):
            continue
        each[verb] = True
        shown = document.setdefault("extension_attributes", {})
        counted = order["extension_attributes"]
        for prefix in _PREFIXES:
            price, tax = each[f"{prefix}price"], each[f"{prefix}tax"]
            shown[f"{stem}_{prefix}price"] = _text(price)
            shown[f"{stem}_{prefix}tax_amount"] = _text(tax)
            counted[f"{stem}_{prefix}price_{verb}"] = _text(price)
            word = "tax_amount" if stem == "gw" else "tax"
            counted[f"{stem}_{prefix}{word}_{verb}"] = _text(tax)
            document[f"{prefix}tax_amount"] = amount(document, f"{prefix}tax_amount") + tax
            document[f"{prefix}grand_total"] += price + tax


def _text(value: Decimal) -> str:
    return f"{value:.4f}"
