"""What the shop's staff and its modules do to orders that REST has no call for: edit, deposit, cancel an invoice.

An edited order is a **new** order (`AdminOrder/Create.php`): its number is the original's with `-1`, `-2` …, it names
the original and its parent, the parent names it and is cancelled. Orders with an invoice cannot be edited. An invoice
is cancelled only while it is open (state 1: made in the admin with "Not Capture" at a gateway); what it invoiced is
free again and the order goes back to `processing` (`Order/Invoice.php`).

A deposit is a module's work, no core feature: money that a gateway took before anything was invoiced. It raises
`total_paid` of the order and `amount_paid` of its payment, leaves a capture transaction without an invoice, and names
the amount in `payment_additional_info`. **Unknown**, as modules differ: whether a later invoice counts the deposit
again. The core's `pay()` adds each invoice's whole total to `total_paid`, so by default (`counted = "twice"`) the order
shows `total_paid` above its invoices for ever; `"once"` is a module that takes the deposit off again.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sandbox.magento import checkout, commerce, orders, payments
from sandbox.magento.documents import add, amount, history, pounds
from sandbox.magento.errors import bad_request
from sandbox.magento.render import ZERO, cents
from sandbox.magento.shop import Shop
from sandbox.magento.states import is_dummy, item_by_id

_HIDDEN = "discount_tax_compensation_"
_NOT_EDITABLE = ("canceled", "payment_review", "complete", "closed", "holded")
_PREFIXES = ("", "base_")


def revise(shop: Shop, order_id: int, wanted: Mapping[str, Any]) -> int:
    """Edit an order: places the new one as `wanted` describes it, cancels the old one; returns the new id."""
    old = shop.load("orders", order_id)
    invoiced = any(row["order_id"] == order_id for row in shop.all("invoices"))
    if old.get("state") in _NOT_EDITABLE or invoiced:
        raise bad_request("The order can't be edited.")
    original = old.get("original_increment_id") or old["increment_id"]
    edits = int(old.get("edit_increment") or 0) + 1
    related = {
        "original_increment_id": original,
        "edit_increment": str(edits),
        "relation_parent_id": str(order_id),
        "relation_parent_real_id": old["increment_id"],
        "increment_id": f"{original}-{edits}",
    }
    number = checkout.place(shop, {**wanted, "extra": {**(wanted.get("extra") or {}), **related}})
    child = {"relation_child_id": str(number), "relation_child_real_id": related["increment_id"]}
    shop.put("orders", shop.load("orders", order_id) | child, wanted.get("at") or shop.stamp())
    orders.cancel(shop, order_id, wanted.get("at"))
    return number


def deposit(
    shop: Shop, order_id: int, base: Decimal, at: str | None = None, *, counted: str = "twice"
) -> None:
    """A module records money (base currency) that the gateway took for an order before its invoices."""
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    own = cents(base * Decimal(order["base_to_order_rate"]))
    for prefix, value in (("", own), ("base_", base)):
        add(order, f"{prefix}total_paid", value)
        add(order["payment"], f"{prefix}amount_paid", value)
        due = amount(order, f"{prefix}grand_total") - amount(order, f"{prefix}total_paid")
        order[f"{prefix}total_due"] = max(due, ZERO)
        if counted == "once":
            add(order, f"_{prefix}deposit", value)
    add(order["payment"], "base_amount_paid_online", base)
    order["payment"]["additional_information"] = [
        *order["payment"]["additional_information"],
        f"{amount(order, 'total_paid'):.2f}",
    ]
    order["_information"] = {"deposit_amount": f"{amount(order, 'total_paid'):.2f}"}
    number = payments.transaction(shop, order, "capture", None, at)
    shop.gateway.append({"call": "capture", "amount": base, "order_id": order_id})
    text = f'Registered notification about captured amount of {pounds(base)}. Transaction ID: "{number}"'
    history(shop, order, text, "order", at)
    shop.put("orders", order, at)


def cancel_invoice(shop: Shop, invoice_id: int, at: str | None = None) -> None:
    """Cancel an open invoice; its quantities and amounts may be invoiced anew."""
    at = at or shop.stamp()
    invoice = shop.load("invoices", invoice_id)
    if invoice["state"] != 1:
        raise bad_request("The invoice can't be canceled.")
    order = shop.load("orders", invoice["order_id"])
    for line in invoice["items"]:
        item = item_by_id(order, line["order_item_id"])
        if item is None:
            continue
        item["qty_invoiced"] -= line["qty"]
        if is_dummy(order, item):
            continue
        for prefix in _PREFIXES:
            for ours, theirs in (
                ("tax_invoiced", "tax_amount"),
                ("discount_invoiced", "discount_amount"),
                ("row_invoiced", "row_total"),
                (f"{_HIDDEN}invoiced", f"{_HIDDEN}amount"),
            ):
                add(item, f"{prefix}{ours}", -amount(line, f"{prefix}{theirs}"))
    for prefix in _PREFIXES:
        for ours, theirs in (
            ("subtotal_invoiced", "subtotal"),
            ("tax_invoiced", "tax_amount"),
            (f"{_HIDDEN}invoiced", f"{_HIDDEN}amount"),
            ("shipping_invoiced", "shipping_amount"),
            ("discount_invoiced", "discount_amount"),
            ("total_invoiced", "grand_total"),
        ):
            add(order, f"{prefix}{ours}", -amount(invoice, f"{prefix}{theirs}"))
    commerce.release(order, invoice)
    invoice["state"] = 3
    order["state"] = order["status"] = "processing"
    shop.put("invoices", invoice, at)
    shop.put("orders", order, at)
