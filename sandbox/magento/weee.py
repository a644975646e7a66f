"""Fixed product taxes ("weee"): a fixed amount a piece by country, in no header field but in `grand_total`.

As Magento's defaults have it: not part of the subtotal, not discounted, and itself untaxed. `weee_tax_applied` of an
order item is a JSON *text*; invoice items show no field of it at all (they have none in the swagger), so an invoice's
share is found from the order's item; memo items show theirs. One field's twin is misspelt by the vendor:
`base_weee_tax_applied_row_amnt`. Source: `Weee/Model/Total/*` and the swagger 2.4.8; no recording here has one [k].
"""

from __future__ import annotations

import json
from decimal import Decimal

from sandbox.magento.documents import amount
from sandbox.magento.render import ZERO, cents, number
from sandbox.magento.shop import Doc

TITLE = "Eco contribution"
Pairs = list[tuple[Doc, Doc]]
_ROW = {"": "weee_tax_applied_row_amount", "base_": "base_weee_tax_applied_row_amnt"}


def charge(order: Doc, item: Doc, product: Doc, country: str) -> None:
    """Put a product's fixed tax on a new order item, and on the order's total."""
    unit = (product.get("weee") or {}).get(country)
    if not unit:
        return
    base = Decimal(str(unit))
    own = cents(base * Decimal(order["base_to_order_rate"]))
    qty = Decimal(item["qty_ordered"])
    applied = {
        "title": TITLE,
        "base_amount": number(base),
        "amount": number(own),
        "row_amount": number(own * qty),
        "base_row_amount": number(base * qty),
        "base_amount_incl_tax": number(base),
        "amount_incl_tax": number(own),
        "row_amount_incl_tax": number(own * qty),
        "base_row_amount_incl_tax": number(base * qty),
    }
    item |= {
        "weee_tax_applied": json.dumps([applied]),
        "weee_tax_applied_amount": own,
        "base_weee_tax_applied_amount": base,
        _ROW[""]: own * qty,
        _ROW["base_"]: base * qty,
        "weee_tax_disposition": 0,
        "base_weee_tax_disposition": 0,
        "weee_tax_row_disposition": 0,
        "base_weee_tax_row_disposition": 0,
    }
    for prefix, row in (("", own * qty), ("base_", base * qty)):
        order[f"{prefix}grand_total"] += row
        order[f"{prefix}total_due"] += row


def take(invoice: Doc, pairs: Pairs) -> None:
    """Raise an invoice's total by its lines' share; the last one takes what is left."""
    for line, item in pairs:
        for prefix, row in _ROW.items():
            share = _share(item, row, line["qty"], f"_{prefix}weee_invoiced", item["qty_invoiced"])
            invoice[f"{prefix}grand_total"] += share


def give_back(memo: Doc, pairs: Pairs) -> None:
    """Raise a memo's total, and show the amounts on its lines."""
    for line, item in pairs:
        for prefix, row in _ROW.items():
            share = _share(item, row, line["qty"], f"_{prefix}weee_refunded", item["qty_refunded"])
            memo[f"{prefix}grand_total"] += share
            if share:
                line[row] = share
                line[f"{prefix}weee_tax_applied_amount"] = item[f"{prefix}weee_tax_applied_amount"]
                line["weee_tax_applied"] = item["weee_tax_applied"]


def row_of(item: Doc, prefix: str) -> Decimal:
    """What REST adds to an item's `row_total_incl_tax`; for the base twin by a piece, a fault of the vendor's."""
    return amount(item, "base_weee_tax_applied_amount" if prefix else _ROW[""])


def _share(item: Doc, row: str, qty: Decimal, running: str, done: Decimal) -> Decimal:
    whole = amount(item, row)
    if not whole or qty <= 0:
        return ZERO
    ordered = Decimal(item["qty_ordered"])
    last = qty + Decimal(done) >= ordered
    share = whole - amount(item, running) if last else cents(whole / ordered * qty)
    item[running] = amount(item, running) + share
    return share
