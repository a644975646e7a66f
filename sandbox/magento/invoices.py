"""Invoices: the totals of one, the invoice action, capture, and the routes.

The first invoice carries all shipping and its tax; the last one takes what rounding left. Whether money
was captured or not, the invoice ends in state 2 and raises the order's `total_paid`. Totals from
`Sales/Model/Order/Invoice/Total/*` and recorded invoices of Magento Open Source 2.4.4.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.magento import commerce, payments
from sandbox.magento.columns import INVOICES
from sandbox.magento.criteria import read
from sandbox.magento.documents import add, amount, comment_row, header, requested, shown, total
from sandbox.magento.errors import bad_request, invalid_document
from sandbox.magento.invoice_totals import collect
from sandbox.magento.render import ZERO
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.states import (
    NOT_INVOICEABLE,
    can_invoice,
    children_of,
    is_dummy,
    parent_of,
    settle,
    to_invoice,
)

_PREFIXES = (("", ""), ("base_", "base"))


def create(shop: Shop, order_id: int, body: Any, at: str | None = None, *, not_captured: bool = False) -> int:
    """The invoice action; returns the new invoice's id. Holds the order lock, as on the real one.

    `not_captured` is "Not Capture" of the admin's form at a gateway: the invoice stays open, nothing is paid.
    """
    body = body if isinstance(body, dict) else {}
    with shop.mutex(order_id):
        at = at or shop.stamp()
        order = shop.load("orders", order_id)
        quantities = _quantities(order, requested(body))
        _check(order, quantities)
        previous = [row for row in shop.all("invoices") if row["order_id"] == order_id]
        invoice = header(order)
        invoice["items"] = [_line(item, qty) for item, qty in quantities]
        collect(order, invoice, quantities, previous)
        commerce.take(shop.options, order, invoice)
        shop.linger(short=True)
        _register(shop, order, invoice, quantities)
        if payments.is_gateway(order) and body.get("capture") and invoice["base_grand_total"]:
            payments.capture(shop, order, invoice, at)
        else:
            invoice["can_void_flag"] = 0
        _count(order, invoice)
        if not_captured and payments.is_gateway(order):
            invoice["state"] = 1
        else:
            _pay(order, invoice)
        _comment(shop, invoice, body, at)
        memos = sum(1 for row in shop.all("creditmemos") if row["order_id"] == order_id)
        settle(order, memos, in_process=True)
        shop.put("invoices", invoice, at)
        shop.put("orders", order, at)
        return int(invoice["entity_id"])


def _quantities(order: Doc, wanted: dict[int, Decimal]) -> list[tuple[Doc, Decimal]]:
    """The items of the document with their quantities; those of quantity 0 weigh on "is it the last"."""
    asked = dict(wanted)
    for item in order["items"]:
        parent = parent_of(order, item)
        if item["item_id"] in wanted and is_dummy(order, item):
            for child in children_of(order, item):
                asked[child["item_id"]] = wanted[item["item_id"]] * child.get("_each", 1)
        elif item["item_id"] not in asked and parent is not None and parent["item_id"] in wanted:
            asked[item["item_id"]] = wanted[parent["item_id"]] * item.get("_each", 1)
    found = []
    for item in order["items"]:
        if not _takes_part(order, item, asked):
            continue
        if item["item_id"] in asked:
            qty = Decimal(int(asked[item["item_id"]]))
        elif is_dummy(order, item):
            qty = Decimal(item["qty_ordered"]) or Decimal(1)
        else:
            qty = ZERO if asked else to_invoice(order, item)
        if not is_dummy(order, item) and qty > to_invoice(order, item):
            raise bad_request('We found an invalid quantity to invoice item "%1".', [item["name"]])
        found.append((item, qty))
    return found


def _takes_part(order: Doc, item: Doc, asked: dict[int, Decimal]) -> bool:
    if not is_dummy(order, item):
        return to_invoice(order, item) > 0
    relatives = children_of(order, item)
    if not relatives:
        parent = parent_of(order, item)
        relatives = [parent] if parent is not None else []
    if asked:
        return any(asked.get(relative["item_id"], ZERO) > 0 for relative in relatives)
    return any(to_invoice(order, relative) > 0 for relative in relatives)


def _check(order: Doc, quantities: list[tuple[Doc, Decimal]]) -> None:
    messages = []
    if not any(qty > 0 for _, qty in quantities):
        messages.append("The invoice can't be created without products. Add products and try again.")
    if order.get("state") in NOT_INVOICEABLE:
        messages.append(f"An invoice cannot be created when an order has a status of {order.get('status')}")
    elif not can_invoice(order):
        messages.append("The order does not allow an invoice to be created.")
    if messages:
        raise invalid_document("Invoice", messages)


def _line(item: Doc, qty: Decimal) -> Doc:
    line = {"name": item["name"], "product_id": item["product_id"], "sku": item["sku"]}
    for name in ("price", "price_incl_tax", "base_price", "base_price_incl_tax"):
        if name in item:
            line[name] = item[name]
    return line | {"order_item_id": item["item_id"], "qty": qty}


_HIDDEN = "discount_tax_compensation_"


def _register(shop: Shop, order: Doc, invoice: Doc, quantities: list[tuple[Doc, Decimal]]) -> None:
    """Raise the invoiced columns of the order's items and give the document its numbers."""
    invoice["entity_id"] = shop.next_id("invoices")
    invoice["increment_id"] = shop.increment_id("invoice", order["store_id"])
    invoice["state"] = 2
    for item in order["items"]:
        if not is_dummy(order, item):
            item.setdefault("weee_tax_applied", "[]")
    kept = []
    for line, (item, qty) in zip(invoice["items"], quantities, strict=True):
        if qty <= 0:
            continue
        item["qty_invoiced"] = item["qty_invoiced"] + qty
        for prefix, _ in _PREFIXES:
            for ours, theirs in (("tax_invoiced", "tax_amount"), ("discount_invoiced", "discount_amount")):
                add(item, f"{prefix}{ours}", amount(line, f"{prefix}{theirs}"))
            add(item, f"{prefix}row_invoiced", amount(line, f"{prefix}row_total"))
            add(item, f"{prefix}{_HIDDEN}invoiced", amount(line, f"{prefix}{_HIDDEN}amount"))
        kept.append({"entity_id": shop.next_id("invoice_items"), "parent_id": invoice["entity_id"], **line})
    invoice["items"] = kept
    invoice["total_qty"] = total(Decimal(line["qty"]) for line in kept)
    invoice["comments"] = []


def _count(order: Doc, invoice: Doc) -> None:
    for prefix, _ in _PREFIXES:
        for ours, theirs in (
            ("subtotal_invoiced", "subtotal"),
            ("tax_invoiced", "tax_amount"),
            (f"{_HIDDEN}invoiced", f"{_HIDDEN}amount"),
            ("shipping_invoiced", "shipping_amount"),
            ("discount_invoiced", "discount_amount"),
            ("total_invoiced", "grand_total"),
        ):
            add(order, f"{prefix}{ours}", amount(invoice, f"{prefix}{theirs}"))
    order["base_total_invoiced_cost"] = 0


def _pay(order: Doc, invoice: Doc) -> None:
    for prefix, _ in _PREFIXES:
        grand = amount(invoice, f"{prefix}grand_total")
        known = min(amount(order, f"_{prefix}deposit"), grand)  # a module that counts its deposits once
        if known:
            add(order, f"_{prefix}deposit", -known)
        add(order, f"{prefix}total_paid", grand - known)
        add(order["payment"], f"{prefix}amount_paid", grand - known)
        add(order["payment"], f"{prefix}shipping_captured", amount(invoice, f"{prefix}shipping_amount"))
        due = amount(order, f"{prefix}grand_total") - amount(order, f"{prefix}total_paid")
        order[f"{prefix}total_due"] = max(due, ZERO)


def _comment(shop: Shop, invoice: Doc, body: Doc, at: str) -> None:
    sent = body.get("comment")
    if body.get("appendComment") and isinstance(sent, dict):
        invoice["comments"].append(comment_row(shop, "invoices", invoice["entity_id"], sent, at))


def capture(shop: Shop, invoice_id: int, at: str | None = None) -> bool:
    """`POST /invoices/:id/capture`: an open one is paid; for one made with `capture: false`, `total_paid` rises again."""
    at = at or shop.stamp()
    invoice = shop.load("invoices", invoice_id)
    order = shop.load("orders", invoice["order_id"])
    if not payments.is_gateway(order) or "transaction_id" in invoice:
        raise bad_request("The capture action is not available.")
    shop.linger()
    payments.capture(shop, order, invoice, at)
    if invoice["state"] == 1:
        _pay(order, invoice)
        invoice["state"] = 2
    else:
        for prefix, _ in _PREFIXES:
            add(order, f"{prefix}total_paid", amount(invoice, f"{prefix}grand_total"))
            due = amount(order, f"{prefix}grand_total") - amount(order, f"{prefix}total_paid")
            order[f"{prefix}total_due"] = max(due, ZERO)
    shop.put("invoices", invoice, at)
    shop.put("orders", order, at)
    return True


def _action(shop: Shop, call: Call) -> str:
    return str(create(shop, call.number("id"), call.body))


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("invoices"), criteria, INVOICES, past_end=shop.options.past_end)
    return listing([shown(dict(row)) for row in rows], criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    return shown(shop.load("invoices", call.number("id")))


def _capture(shop: Shop, call: Call) -> bool:
    return capture(shop, call.number("id"))


def _void(shop: Shop, call: Call) -> bool:
    shop.load("invoices", call.number("id"))
    raise bad_request("The void action is not available.")


def _emails(shop: Shop, call: Call) -> bool:
    shop.load("invoices", call.number("id"))
    return True


def _comments(shop: Shop, call: Call) -> Doc:
    row = shop.load("invoices", call.number("id"))
    criteria = {"filter_groups": [{"filters": [_filter(row["entity_id"])]}]}
    return {"items": row["comments"], "search_criteria": criteria, "total_count": len(row["comments"])}


def _filter(number: int) -> Doc:
    return {"field": "parent_id", "value": str(number), "condition_type": "eq"}


def _add_comment(shop: Shop, call: Call) -> Doc:
    sent = call.wrapped("entity")
    invoice = shop.load("invoices", int(sent.get("parent_id") or 0))
    row = comment_row(shop, "invoices", invoice["entity_id"], sent, None)
    invoice["comments"].append(row | {"created_at": shop.stamp()})
    shop.put("invoices", invoice, shop.stamp())
    return row


def _raw(shop: Shop, call: Call) -> Doc:
    """`POST /invoices`: the repository's save, which inserts a bare row and touches no total."""
    sent = call.wrapped("entity")
    order = shop.load("orders", int(sent.get("order_id") or 0))
    row: Doc = {
        "entity_id": shop.next_id("invoices"),
        "increment_id": shop.increment_id("invoice", order["store_id"]),
        "order_id": order["entity_id"],
        "total_qty": None,
        "items": [],
        "comments": [],
    }
    shop.put("invoices", row, shop.stamp())
    return row


ROUTES: tuple[Route, ...] = (
    route("POST", "/order/{id}/invoice", "Magento_Sales::invoice", _action),
    route("GET", "/invoices", "Magento_Sales::sales_invoice", _search),
    route("POST", "/invoices/comments", "Magento_Sales::sales_invoice", _add_comment),
    route("GET", "/invoices/{id}", "Magento_Sales::sales_invoice", _get),
    route("GET", "/invoices/{id}/comments", "Magento_Sales::sales_invoice", _comments),
    route("POST", "/invoices/{id}/capture", "Magento_Sales::sales_invoice", _capture),
    route("POST", "/invoices/{id}/void", "Magento_Sales::sales_invoice", _void),
    route("POST", "/invoices/{id}/emails", "Magento_Sales::sales_invoice", _emails),
    route("POST", "/invoices", "Magento_Sales::sales_invoice", _raw),
)
