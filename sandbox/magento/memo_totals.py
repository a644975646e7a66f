"""The totals of a credit memo.

The shipping discount of a memo is taken from gross shipping and not rounded, so figures can keep four
decimals and a full refund can miss the paid amount by a cent. Shipping's tax compensation is folded into
the memo's. Totals from `Sales/Model/Order/Creditmemo/Total/*` and recorded memos of Magento Open Source
2.4.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sandbox.magento import weee, wrapping
from sandbox.magento.documents import Rounder, amount, pounds, total
from sandbox.magento.errors import bad_request
from sandbox.magento.render import ZERO, cents
from sandbox.magento.shop import Doc
from sandbox.magento.states import is_dummy, to_invoice, to_refund

_PREFIXES = (("", ""), ("base_", "base"))
_HIDDEN = "discount_tax_compensation_"
Pairs = list[tuple[Doc, Doc]]


def collect(
    order: Doc, memo: Doc, pairs: Pairs, arguments: Mapping[str, Decimal | None], invoice: Doc | None
) -> None:
    """Fill in the memo; `arguments` are in base currency, no `shipping_amount` means all that is left."""
    rounder = Rounder()
    money = [(line, item) for line, item in pairs if not is_dummy(order, item)]
    for prefix, kind in _PREFIXES:
        _subtotal(memo, order, money, prefix, kind, rounder)
    wanted = _wanted_shipping(order, arguments, invoice)
    _discounts(order, memo, money, wanted, rounder)
    _shipping(order, memo, wanted)
    last = _is_last(order, money)
    for prefix, kind in _PREFIXES:
        _tax(order, memo, money, prefix, kind, rounder, last, invoice)
    _adjustments(order, memo, arguments)
    for prefix, _ in _PREFIXES:
        parts = (
            "subtotal",
            "discount_amount",
            "shipping_amount",
            "tax_amount",
            f"{_HIDDEN}amount",
            "adjustment",
        )
        memo[f"{prefix}grand_total"] = total(amount(memo, f"{prefix}{name}") for name in parts)
    weee.give_back(memo, money)
    wrapping.give_back(order, memo)


def _is_last(order: Doc, money: Pairs) -> bool:
    """Whether nothing stays behind to be refunded later."""
    taken = {item["item_id"]: line["qty"] for line, item in money}
    return all(
        to_refund(order, item) == taken.get(item["item_id"], ZERO) and not to_invoice(order, item)
        for item in order["items"]
        if not is_dummy(order, item)
    )


def _line_is_last(order: Doc, line: Doc, item: Doc) -> bool:
    return bool(line["qty"] == to_refund(order, item)) and not to_invoice(order, item)


def _part(whole: Decimal, qty: Decimal, item: Doc) -> Decimal:
    return whole / Decimal(item["qty_invoiced"] - item["qty_refunded"]) * qty


def _subtotal(memo: Doc, order: Doc, money: Pairs, prefix: str, kind: str, rounder: Rounder) -> None:
    subtotal, gross = ZERO, ZERO
    for line, item in money:
        whole_pieces = Decimal(int(line["qty"]))
        row = amount(item, f"{prefix}row_invoiced") - amount(item, f"{prefix}amount_refunded")
        left = item["qty_invoiced"] - item["qty_refunded"]
        if not _line_is_last(order, line, item) and item["qty_invoiced"] > 0 and line["qty"] >= 0 and left:
            row = rounder.round(_part(row, whole_pieces, item), kind)
        elif line["qty"] < 0:
            row = _part(row, line["qty"], item) if left else ZERO
        elif not left:
            row = ZERO
        incl = amount(item, f"{prefix}row_total_incl_tax") / Decimal(item["qty_ordered"]) * whole_pieces
        line[f"{prefix}row_total"] = row
        line[f"{prefix}row_total_incl_tax"] = rounder.round(incl, f"including{kind}")
        subtotal += row
        gross += line[f"{prefix}row_total_incl_tax"]
    memo[f"{prefix}subtotal"] = subtotal
    memo[f"{prefix}subtotal_incl_tax"] = gross


def _wanted_shipping(
    order: Doc, arguments: Mapping[str, Decimal | None], invoice: Doc | None
) -> Decimal | None:
    wanted = arguments.get("shipping_amount")
    if wanted is None and invoice is not None:
        left = amount(order, "base_shipping_amount") - amount(order, "base_shipping_refunded")
        return min(left, amount(invoice, "base_shipping_amount"))
    return wanted


def _discounts(order: Doc, memo: Doc, money: Pairs, wanted: Decimal | None, rounder: Rounder) -> None:
    """Item discounts, and shipping's share of the shipping discount.

    Without an amount (or with 0) the share is taken of "shipping including tax minus its tax", where the tax
    is the whole order's: the fault that makes full refunds of discounted shipping miss by a cent.
    """
    net = amount(order, "base_shipping_amount")
    asked = wanted or ZERO
    if not asked:
        incl = amount(order, "base_shipping_incl_tax") if wanted is None else ZERO
        asked = incl - amount(order, "base_shipping_tax_amount")
    share = {"base_": ZERO, "": ZERO}
    if asked and amount(order, "base_shipping_discount_amount"):
        if net <= 0:
            raise bad_request("You can not refund shipping if there is no shipping amount.")
        share["base_"] = asked * amount(order, "base_shipping_discount_amount") / net
        share[""] = amount(order, "shipping_amount") * share["base_"] / net
    for prefix, kind in _PREFIXES:
        discount = share[prefix]
        for line, item in money:
            whole = amount(item, f"{prefix}discount_invoiced")
            if not whole or not item["qty_invoiced"]:
                continue
            part = whole - amount(item, f"{prefix}discount_refunded")
            if not _line_is_last(order, line, item):
                left = item["qty_invoiced"] - item["qty_refunded"]
                part = rounder.round(_part(part, line["qty"], item), kind, negative=True) if left else ZERO
            line[f"{prefix}discount_amount"] = part
            discount += part
        memo[f"{prefix}discount_amount"] = -discount


def _shipping(order: Doc, memo: Doc, wanted: Decimal | None) -> None:
    left = {
        prefix: amount(order, f"{prefix}shipping_amount") - amount(order, f"{prefix}shipping_refunded")
        for prefix, _ in _PREFIXES
    }
    tax_left = {
        prefix: amount(order, f"{prefix}shipping_tax_amount")
        - amount(order, f"{prefix}shipping_tax_refunded")
        for prefix, _ in _PREFIXES
    }
    if wanted is None:
        memo |= {"shipping_amount": left[""], "base_shipping_amount": left["base_"]}
        memo["shipping_incl_tax"] = cents(left[""] + tax_left[""])
        hidden = amount(order, "base_shipping_discount_tax_compensation_amnt")
        memo["base_shipping_incl_tax"] = cents(left["base_"] + tax_left["base_"] + hidden)
        return
    wanted = cents(wanted)
    if wanted > cents(left["base_"]):
        raise bad_request("Maximum shipping amount allowed to refund is: %1", [pounds(left["base_"])])
    base = amount(order, "base_shipping_amount")
    ratio = wanted / base if base > 0 else ZERO
    everything = wanted >= left["base_"]
    for prefix, _ in _PREFIXES:
        whole = cents(amount(order, f"{prefix}shipping_amount") * ratio)
        memo[f"{prefix}shipping_amount"] = left[prefix] if everything else whole
        memo[f"{prefix}shipping_incl_tax"] = cents(amount(order, f"{prefix}shipping_incl_tax") * ratio)


def _tax(
    order: Doc,
    memo: Doc,
    money: Pairs,
    prefix: str,
    kind: str,
    rounder: Rounder,
    last: bool,
    invoice: Doc | None,
) -> None:
    tax, hidden = ZERO, ZERO
    for line, item in money:
        if line["qty"] <= 0 or not item["qty_invoiced"]:
            continue
        one = amount(item, f"{prefix}tax_invoiced") - amount(item, f"{prefix}tax_refunded")
        two = amount(item, f"{prefix}{_HIDDEN}invoiced") - amount(item, f"{prefix}{_HIDDEN}refunded")
        if not _line_is_last(order, line, item):
            one = rounder.round(_part(one, line["qty"], item), kind)
            two = rounder.round(_part(two, line["qty"], item), kind)
        line[f"{prefix}tax_amount"] = one
        line[f"{prefix}{_HIDDEN}amount"] = two
        tax += one
        hidden += two
    ship_tax, ship_hidden = _shipping_tax(order, memo, prefix, kind, rounder, invoice)
    tax += ship_tax
    hidden += ship_hidden
    suffix = "amnt" if prefix else "amount"
    of_shipping = amount(order, f"{prefix}shipping_discount_tax_compensation_{suffix}")
    allowed_tax = amount(order, f"{prefix}tax_invoiced") - amount(order, f"{prefix}tax_refunded")
    allowed_tax -= wrapping.tax_left(order, prefix, "refunded")
    allowed_hidden = (
        amount(order, f"{prefix}{_HIDDEN}invoiced")
        + of_shipping
        - amount(order, f"{prefix}{_HIDDEN}refunded")
    )
    whole = last and memo["base_shipping_amount"] == amount(order, "base_shipping_amount") - amount(
        order, "base_shipping_refunded"
    )
    memo[f"{prefix}tax_amount"] = allowed_tax if whole else min(allowed_tax, tax)
    memo[f"{prefix}{_HIDDEN}amount"] = allowed_hidden if whole else min(allowed_hidden, hidden)
    memo[f"{prefix}shipping_tax_amount"] = ship_tax


def _shipping_tax(
    order: Doc, memo: Doc, prefix: str, kind: str, rounder: Rounder, invoice: Doc | None
) -> tuple[Decimal, Decimal]:
    suffix = "amnt" if prefix else "amount"
    hidden = amount(order, f"{prefix}shipping_discount_tax_compensation_{suffix}")
    base = amount(order, "base_shipping_amount")
    if not base:
        return ZERO, ZERO
    left = base - amount(order, "base_shipping_refunded")
    source = order if invoice is None else invoice
    if invoice is None and memo["base_shipping_amount"] == left:
        return amount(order, f"{prefix}shipping_tax_amount") - amount(
            order, f"{prefix}shipping_tax_refunded"
        ), hidden
    part = memo[f"{prefix}shipping_amount"] / amount(order, f"{prefix}shipping_amount")
    tax = rounder.round(amount(source, f"{prefix}shipping_tax_amount") * part, kind)
    return tax, rounder.round(hidden * part, kind)


def _adjustments(order: Doc, memo: Doc, arguments: Mapping[str, Decimal | None]) -> None:
    rate = Decimal(order["base_to_order_rate"])
    for prefix, _ in _PREFIXES:
        memo[f"{prefix}adjustment"] = ZERO
    for name, sign in (("adjustment_positive", 1), ("adjustment_negative", -1)):
        if name not in arguments:
            continue
        base = arguments[name] or ZERO
        own = cents(base * rate)
        memo |= {f"base_{name}": base, name: own}
        memo["base_adjustment"] += sign * base
        memo["adjustment"] += sign * own
