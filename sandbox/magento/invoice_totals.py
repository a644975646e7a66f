"""The totals of an invoice, in the order of Magento's collectors: subtotal, discount, shipping, tax, grand total.

The first invoice carries all shipping and its tax; the last one takes what rounding left. From
`Sales/Model/Order/Invoice/Total/*` and recorded invoices of Magento Open Source 2.4.4.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.magento import weee, wrapping
from sandbox.magento.documents import Rounder, amount, total
from sandbox.magento.render import ZERO
from sandbox.magento.shop import Doc
from sandbox.magento.states import is_dummy, to_invoice

_PREFIXES = (("", ""), ("base_", "base"))
_HIDDEN = "discount_tax_compensation_"


def collect(order: Doc, invoice: Doc, quantities: list[tuple[Doc, Decimal]], previous: list[Doc]) -> None:
    """All totals of the document, in the order of Magento's collectors: subtotal, discount, shipping, tax."""
    rounder = Rounder()
    pairs = [
        (line, item)
        for line, (item, _) in zip(invoice["items"], quantities, strict=True)
        if not is_dummy(order, item)
    ]
    last = all(line["qty"] == to_invoice(order, item) for line, item in pairs)
    for prefix, kind in _PREFIXES:
        _subtotal(order, invoice, pairs, prefix, kind, rounder, last)
    for prefix, kind in _PREFIXES:
        _discount(order, invoice, pairs, prefix, kind, rounder, previous)
    live = [row for row in previous if row["state"] != 3]
    carries_shipping = not any(row.get("shipping_amount") for row in live)
    if carries_shipping:
        for name in ("shipping_amount", "shipping_incl_tax", "shipping_tax_amount"):
            for prefix, _ in _PREFIXES:
                invoice[prefix + name] = order[prefix + name]
        for name in (
            "shipping_discount_tax_compensation_amount",
            "base_shipping_discount_tax_compensation_amnt",
        ):
            invoice[name] = order[name]
    for prefix, kind in _PREFIXES:
        _tax(order, invoice, pairs, prefix, kind, rounder, last, carries_shipping)
    weee.take(invoice, pairs)
    wrapping.take(order, invoice)


def _part(whole: Decimal, line: Doc, item: Doc) -> Decimal:
    available = Decimal(item["qty_ordered"] - item["qty_invoiced"])
    return whole / available * Decimal(line["qty"])


def _subtotal(
    order: Doc,
    invoice: Doc,
    pairs: list[tuple[Doc, Doc]],
    prefix: str,
    kind: str,
    rounder: Rounder,
    last: bool,
) -> None:
    subtotal, gross = ZERO, ZERO
    for line, item in pairs:
        row = amount(item, f"{prefix}row_total") - amount(item, f"{prefix}row_invoiced")
        if line["qty"] != to_invoice(order, item):
            row = rounder.round(_part(row, line, item), kind)
        incl = amount(item, f"{prefix}row_total_incl_tax") / Decimal(item["qty_ordered"]) * line["qty"]
        line[f"{prefix}row_total"] = row
        line[f"{prefix}row_total_incl_tax"] = rounder.round(incl, f"including{kind}")
        subtotal += row
        gross += line[f"{prefix}row_total_incl_tax"]
    allowed = amount(order, f"{prefix}subtotal") - amount(order, f"{prefix}subtotal_invoiced")
    invoice[f"{prefix}subtotal"] = allowed if last else min(allowed, subtotal)
    invoice[f"{prefix}subtotal_incl_tax"] = gross


def _discount(
    order: Doc,
    invoice: Doc,
    pairs: list[tuple[Doc, Doc]],
    prefix: str,
    kind: str,
    rounder: Rounder,
    previous: list[Doc],
) -> None:
    discount = ZERO
    if not any(amount(row, "discount_amount") for row in previous):
        discount += amount(order, f"{prefix}shipping_discount_amount")
    for line, item in pairs:
        whole = amount(item, f"{prefix}discount_amount")
        if not whole:
            continue
        part = whole - amount(item, f"{prefix}discount_invoiced")
        if line["qty"] != to_invoice(order, item):
            part = rounder.round(_part(part, line, item), kind, negative=True)
        line[f"{prefix}discount_amount"] = part
        discount += part
    invoice[f"{prefix}discount_amount"] = -discount


def _tax(
    order: Doc,
    invoice: Doc,
    pairs: list[tuple[Doc, Doc]],
    prefix: str,
    kind: str,
    rounder: Rounder,
    last: bool,
    carries_shipping: bool,
) -> None:
    tax, hidden = ZERO, ZERO
    for line, item in pairs:
        if not amount(item, f"{prefix}tax_amount") and not amount(item, f"{prefix}{_HIDDEN}amount"):
            continue
        one = amount(item, f"{prefix}tax_amount") - amount(item, f"{prefix}tax_invoiced")
        two = amount(item, f"{prefix}{_HIDDEN}amount") - amount(item, f"{prefix}{_HIDDEN}invoiced")
        if line["qty"] != to_invoice(order, item):
            one = rounder.round(_part(one, line, item), kind)
            two = rounder.round(_part(two, line, item), kind)
        line[f"{prefix}tax_amount"] = one
        line[f"{prefix}{_HIDDEN}amount"] = two
        tax += one
        hidden += two
    of_shipping = ZERO
    if carries_shipping:
        tax += amount(order, f"{prefix}shipping_tax_amount")
        suffix = "amnt" if prefix else "amount"
        of_shipping = amount(order, f"{prefix}shipping_discount_tax_compensation_{suffix}")
    allowed_tax = amount(order, f"{prefix}tax_amount") - amount(order, f"{prefix}tax_invoiced")
    allowed_tax -= wrapping.tax_left(order, prefix, "invoiced")
    allowed_hidden = amount(order, f"{prefix}{_HIDDEN}amount") - amount(order, f"{prefix}{_HIDDEN}invoiced")
    invoice[f"{prefix}tax_amount"] = allowed_tax if last else min(allowed_tax, tax)
    invoice[f"{prefix}{_HIDDEN}amount"] = allowed_hidden if last else min(allowed_hidden, hidden)
    parts = ("subtotal", "discount_amount", "shipping_amount", "tax_amount", f"{_HIDDEN}amount")
    invoice[f"{prefix}grand_total"] = (
        total(amount(invoice, f"{prefix}{name}") for name in parts) + of_shipping
    )
