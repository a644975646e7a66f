"""Credit memos: refund by order (offline), refund by invoice (gateway methods only), and the routes.

No order lock in 2.4.4: two refunds at once both succeed, and the order's totals count one. Source:
recorded exchanges with Magento Open Source 2.4.4 (order life, concurrency) and
`Sales/Model/RefundOrder.php`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

from sandbox.magento import commerce, payments
from sandbox.magento.columns import CREDITMEMOS
from sandbox.magento.criteria import read
from sandbox.magento.documents import add, amount, comment_row, header, history, pounds, requested, shown
from sandbox.magento.errors import bad_request, invalid_document
from sandbox.magento.memo_totals import collect
from sandbox.magento.render import ZERO, cents, column
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.states import (
    NOT_REFUNDABLE,
    children_of,
    is_dummy,
    item_by_id,
    parent_of,
    settle,
    to_refund,
)
from sandbox.magento.stock import give_back

_PREFIXES = ("", "base_")
_HIDDEN = "discount_tax_compensation_"
_TOO_MUCH = (
    'The quantity to creditmemo must not be greater than the unrefunded quantity for product SKU "{}".'
)
Pairs = list[tuple[Doc, Doc]]


def refund_order(
    shop: Shop, order_id: int, body: Any, at: str | None = None, *, by_person: bool = False
) -> int:
    """`POST /order/:id/refund`: always offline; `by_person` is the admin's form, which also takes a memo of 0."""
    with shop.mutex(order_id) if shop.options.order_mutex else nullcontext():
        return _refund(shop, order_id, body, None, online=False, at=at, by_person=by_person)


def refund_invoice(shop: Shop, invoice_id: int, body: Any, at: str | None = None) -> int:
    """`POST /invoice/:id/refund`: refused for offline methods whether online or not."""
    invoice = shop.load("invoices", invoice_id)
    order = shop.load("orders", invoice["order_id"])
    if not payments.is_gateway(order):
        raise invalid_document("Creditmemo", ["We can't create creditmemo for the invoice."])
    online = bool(body.get("isOnline", body.get("is_online"))) if isinstance(body, dict) else False
    return _refund(shop, order["entity_id"], body, invoice, online=online, at=at)


def _refund(
    shop: Shop,
    order_id: int,
    body: Any,
    invoice: Doc | None,
    *,
    online: bool,
    at: str | None,
    by_person: bool = False,
) -> int:
    body = body if isinstance(body, dict) else {}
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    before = _memos(shop, order_id)
    arguments = _arguments(body)
    pairs = _pairs(shop, order, requested(body), invoice)
    memo = header(order)
    collect(order, memo, pairs, arguments, invoice)
    commerce.give_back(shop.options, order, memo)
    _check(order, memo, pairs, by_person)
    if online:
        shop.gateway.append(
            {"call": "refund", "amount": column(memo["base_grand_total"]), "order_id": order_id}
        )
    shop.linger()
    if online and len(_memos(shop, order_id)) != len(before):
        raise bad_request("Could not save a Creditmemo, see error log for details")
    _save(shop, order, memo, pairs, invoice, body, online, at)
    if by_person and body.get("to_store_credit"):
        commerce.to_store_credit(order, memo, body["to_store_credit"])
    settle(order, len(before) + 1)
    _note(shop, order, memo, body, online, at)
    if invoice is not None and not online:
        _mark_invoice(shop, invoice, memo, at)
    shop.put("orders", order, at)
    give_back(shop, pairs, body)
    return int(memo["entity_id"])


def _memos(shop: Shop, order_id: int) -> list[Doc]:
    return [row for row in shop.all("creditmemos") if row["order_id"] == order_id]


def _arguments(body: Doc) -> dict[str, Decimal | None]:
    sent = body.get("arguments")
    if not isinstance(sent, dict):
        return {}
    found: dict[str, Decimal | None] = {"adjustment_positive": ZERO, "adjustment_negative": ZERO}
    for name in ("shipping_amount", "adjustment_positive", "adjustment_negative"):
        if sent.get(name) is not None:
            found[name] = Decimal(str(sent[name]))
    for name in ("adjustment_positive", "adjustment_negative"):
        if name not in sent:
            found.pop(name)
    return found


def _pairs(shop: Shop, order: Doc, wanted: dict[int, Decimal], invoice: Doc | None) -> Pairs:
    limits = _limits(shop, order, invoice) if invoice is not None else None
    pairs: Pairs = []
    for item in order["items"]:
        if not _takes_part(order, item, wanted):
            continue
        if is_dummy(order, item):
            parent = parent_of(order, item)
            each = Decimal(item.get("_each", 1))
            if parent is None:
                qty = wanted.get(item["item_id"], Decimal(item["qty_invoiced"] - item["qty_refunded"]))
            elif parent["item_id"] in wanted:
                qty = wanted[parent["item_id"]] * each
            else:
                qty = to_refund(order, parent) * each
        elif item["item_id"] in wanted:
            qty = wanted[item["item_id"]]
            if limits is None and qty > to_refund(order, item):
                raise bad_request('We found an invalid quantity to refund item "%1".', [item["name"]])
        elif wanted:
            continue
        else:
            qty = to_refund(order, item)
        if limits is not None:
            qty = min(qty, limits.get(item["item_id"], ZERO))
        pairs.append((_line(item, qty), item))
    return pairs


def _limits(shop: Shop, order: Doc, invoice: Doc) -> dict[int, Decimal]:
    """What of an invoice was not refunded through it yet."""
    left = {line["order_item_id"]: Decimal(line["qty"]) for line in invoice["items"]}
    for memo in _memos(shop, order["entity_id"]):
        if memo.get("invoice_id") == invoice["entity_id"]:
            for line in memo["items"]:
                left[line["order_item_id"]] = left.get(line["order_item_id"], ZERO) - line["qty"]
    return {number: min(qty, _open(order, number)) for number, qty in left.items()}


def _open(order: Doc, item_id: int) -> Decimal:
    item = item_by_id(order, item_id)
    return Decimal(item["qty_invoiced"] - item["qty_refunded"]) if item is not None else ZERO


def _takes_part(order: Doc, item: Doc, wanted: dict[int, Decimal]) -> bool:
    if not is_dummy(order, item):
        return to_refund(order, item) >= 0
    children = children_of(order, item)
    if children:
        if wanted:
            return any(wanted.get(child["item_id"], ZERO) > 0 for child in children)
        return any(to_refund(order, child) >= 0 for child in children)
    parent = parent_of(order, item)
    return parent is not None and (not wanted or wanted.get(parent["item_id"], ZERO) > 0)


def _line(item: Doc, qty: Decimal) -> Doc:
    line: Doc = {"base_cost": None, "name": item["name"], "order_item_id": item["item_id"]}
    for name in ("price", "price_incl_tax", "base_price", "base_price_incl_tax", "product_id", "sku"):
        if name in item:
            line[name] = item[name]
    return line | {"qty": qty}


def _check(order: Doc, memo: Doc, pairs: Pairs, by_person: bool) -> None:
    messages = []
    elsewhere = by_person and commerce.redeemed(memo) > 0
    paid, refunded = amount(order, "total_paid"), amount(order, "total_refunded")
    if order.get("state") in NOT_REFUNDABLE:
        messages.append(
            f"A creditmemo can not be created when an order has a status of {order.get('status')}"
        )
    elif abs(cents(paid) - refunded) < Decimal("0.0001") and not elsewhere:
        messages.append("The order does not allow a creditmemo to be created.")
    for _, item in pairs:
        parent = parent_of(order, item) if is_dummy(order, item) else None
        if parent is not None and to_refund(order, parent) <= 0:
            messages.append(_TOO_MUCH.format(item["sku"]))
    if memo["grand_total"] <= 0 and not elsewhere:
        messages.append("The credit memo's total must be positive.")
    base_paid, base_refunded = amount(order, "base_total_paid"), amount(order, "base_total_refunded")
    if cents(base_refunded + memo["base_grand_total"]) > cents(base_paid):
        left = format((base_paid - base_refunded).normalize(), "f")
        messages.append(f"The most money available to refund is {left}.")
    if messages:
        raise invalid_document("Creditmemo", messages)


def _save(
    shop: Shop, order: Doc, memo: Doc, pairs: Pairs, invoice: Doc | None, body: Doc, online: bool, at: str
) -> None:
    """Give the memo its numbers and raise the order's and the items' refunded columns."""
    memo["entity_id"] = shop.next_id("creditmemos")
    memo["increment_id"] = shop.increment_id("creditmemo", order["store_id"])
    memo["state"] = 2
    if invoice is not None:
        memo["invoice_id"] = invoice["entity_id"]
    if online and invoice is not None:
        parent = invoice.get("transaction_id")
        memo["transaction_id"] = payments.transaction(shop, order, "refund", parent, at)
    order["customer_note_notify"] = int(bool(body.get("notify")))
    _raise_order(order, memo, online)
    memo["items"] = _raise_items(shop, order, memo, pairs)
    for name, value in memo.items():
        if isinstance(value, Decimal):
            memo[name] = column(value)
    sent = body.get("comment")
    memo["comments"] = []
    if body.get("appendComment") and isinstance(sent, dict):
        memo["comments"].append(comment_row(shop, "creditmemos", memo["entity_id"], sent, at))
    shop.put("creditmemos", memo, at)


def _raise_order(order: Doc, memo: Doc, online: bool) -> None:
    way = "total_online_refunded" if online else "total_offline_refunded"
    for prefix in _PREFIXES:
        for ours, theirs in (
            ("subtotal_refunded", "subtotal"),
            ("tax_refunded", "tax_amount"),
            (f"{_HIDDEN}refunded", f"{_HIDDEN}amount"),
            ("shipping_refunded", "shipping_amount"),
            ("shipping_tax_refunded", "shipping_tax_amount"),
            ("adjustment_positive", "adjustment_positive"),
            ("adjustment_negative", "adjustment_negative"),
            ("discount_refunded", "discount_amount"),
            (way, "grand_total"),
        ):
            add(order, f"{prefix}{ours}", column(amount(memo, f"{prefix}{theirs}")))
        grand = amount(memo, f"{prefix}grand_total")
        order[f"{prefix}total_refunded"] = cents(amount(order, f"{prefix}total_refunded") + grand)
        add(order["payment"], f"{prefix}shipping_refunded", amount(memo, f"{prefix}shipping_amount"))
    add(order["payment"], "amount_refunded", column(amount(memo, "grand_total")))
    add(order["payment"], "base_amount_refunded", cents(amount(memo, "base_grand_total")))
    if online:
        add(order["payment"], "base_amount_refunded_online", cents(amount(memo, "base_grand_total")))


def _raise_items(shop: Shop, order: Doc, memo: Doc, pairs: Pairs) -> list[Doc]:
    kept = []
    for line, item in pairs:
        if line["qty"] <= 0:
            continue
        whole = Decimal(int(line["qty"]))
        item["qty_refunded"] = item["qty_refunded"] + whole
        for prefix in _PREFIXES:
            for ours, theirs in (
                ("amount_refunded", "row_total"),
                ("tax_refunded", "tax_amount"),
                ("discount_refunded", "discount_amount"),
                (f"{_HIDDEN}refunded", f"{_HIDDEN}amount"),
            ):
                add(item, f"{prefix}{ours}", amount(line, f"{prefix}{theirs}"))
        if not whole:
            continue
        if not is_dummy(order, item):
            line = {
                "weee_tax_applied": "[]",
                "weee_tax_applied_row_amount": 0,
                "weee_tax_row_disposition": 0,
                "base_weee_tax_row_disposition": 0,
            } | line
        kept.append({"entity_id": shop.next_id("creditmemo_items"), "parent_id": memo["entity_id"], **line})
    return kept


def _note(shop: Shop, order: Doc, memo: Doc, body: Doc, online: bool, at: str) -> None:
    """Magento's own history entry, always with the base amount."""
    text = f"We refunded {pounds(memo['base_grand_total'])} {'online' if online else 'offline'}."
    if online:
        text += f' Transaction ID: "{memo["transaction_id"]}"'
    history(shop, order, text, "creditmemo", at, notified=int(bool(body.get("notify"))))


def _mark_invoice(shop: Shop, invoice: Doc, memo: Doc, at: str) -> None:
    """Only an offline refund by invoice leaves a trace on the invoice."""
    invoice["is_used_for_refund"] = 1
    add(invoice, "base_total_refunded", amount(memo, "base_grand_total"))
    shop.put("invoices", invoice, at)


def _by_order(shop: Shop, call: Call) -> str:
    return str(refund_order(shop, call.number("id"), call.body))


def _by_invoice(shop: Shop, call: Call) -> str:
    return str(refund_invoice(shop, call.number("id"), call.body))


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("creditmemos"), criteria, CREDITMEMOS, past_end=shop.options.past_end)
    return listing([shown(dict(row)) for row in rows], criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    return shown(shop.load("creditmemos", call.number("id")))


def _cancel(shop: Shop, call: Call) -> bool:
    shop.load("creditmemos", call.number("id"))
    raise bad_request("You can not cancel Credit Memo")


def _emails(shop: Shop, call: Call) -> bool:
    shop.load("creditmemos", call.number("id"))
    return True


def _comments(shop: Shop, call: Call) -> Mapping[str, Any]:
    row = shop.load("creditmemos", call.number("id"))
    entry = {"field": "parent_id", "value": str(row["entity_id"]), "condition_type": "eq"}
    criteria = {"filter_groups": [{"filters": [entry]}]}
    return {"items": row["comments"], "search_criteria": criteria, "total_count": len(row["comments"])}


def _add_comment(shop: Shop, call: Call) -> Doc:
    sent = call.wrapped("entity")
    memo = shop.load("creditmemos", call.number("id"))
    row = comment_row(shop, "creditmemos", memo["entity_id"], sent, None)
    memo["comments"].append(row | {"created_at": shop.stamp()})
    shop.put("creditmemos", memo, shop.stamp())
    return row


ROUTES: tuple[Route, ...] = (
    route("POST", "/order/{id}/refund", "Magento_Sales::creditmemo", _by_order),
    route("POST", "/invoice/{id}/refund", "Magento_Sales::sales_invoice", _by_invoice),
    route("GET", "/creditmemos", "Magento_Sales::sales_creditmemo", _search),
    route("GET", "/creditmemo/{id}", "Magento_Sales::sales_creditmemo", _get),
    route("PUT", "/creditmemo/{id}", "Magento_Sales::sales_creditmemo", _cancel),
    route("GET", "/creditmemo/{id}/comments", "Magento_Sales::sales_creditmemo", _comments),
    route("POST", "/creditmemo/{id}/comments", "Magento_Sales::sales_creditmemo", _add_comment),
    route("POST", "/creditmemo/{id}/emails", "Magento_Sales::sales_creditmemo", _emails),
)
