"""Orders: lists, items, comments, hold, cancel, the entity patch, address edits.

A comment without a status sets the order's status to null; `POST /orders` answers with a misleading body.
Source: recorded exchanges with Magento Open Source 2.4.4 (order life, lists, concurrency).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.magento import payments
from sandbox.magento.columns import COMMENTS, ORDER_ITEMS, ORDERS
from sandbox.magento.criteria import by_field, read
from sandbox.magento.documents import amount
from sandbox.magento.errors import bad_request, masked, not_found
from sandbox.magento.orderview import comments_of, show, show_comment, show_items
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.states import can_cancel, can_hold, is_dummy, to_invoice
from sandbox.magento.stock import release

_STATUSES = {
    "new": ("pending",),
    "pending_payment": ("pending_payment",),
    "processing": ("processing", "fraud"),
    "payment_review": ("payment_review", "fraud"),
    "complete": ("complete",),
    "closed": ("closed",),
    "canceled": ("canceled",),
    "holded": ("holded",),
}


def comment(shop: Shop, order_id: int, sent: Doc, at: str | None = None) -> bool:
    """Add a comment; while an invoice holds the order, the database answers with a deadlock."""
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    if shop.order_lock(order_id).locked():
        raise masked()
    status = sent.get("status")
    if shop.options.strict_comment_status and status not in _STATUSES.get(str(order.get("state")), ()):
        message = 'Unable to add comment: The status "%1" is not part of the order status history.'
        raise bad_request(message, [status])
    first = not comments_of(shop, order_id)
    shop.linger()
    row: Doc = {
        "entity_id": shop.next_id("comments"),
        "parent_id": order_id,
        "comment": sent.get("comment") or None,
        "created_at": at,
        "is_customer_notified": sent.get("is_customer_notified"),
        "is_visible_on_front": sent.get("is_visible_on_front") or 0,
        "status": status,
    }
    shop.put("comments", row)
    order["status"] = status
    if status is None:
        order.pop("status")
    shop.put("orders", order, at)
    if first:
        _touch_first_item(shop, order_id, at)
    return True


def _touch_first_item(shop: Shop, order_id: int, at: str) -> None:
    """The first comment moves a configurable's stamp (its options are written anew), not the order's."""
    order = shop.load("orders", order_id)
    if order["items"][0]["product_type"] != "configurable":
        return
    order["items"][0]["updated_at"] = at
    shop.put("orders", order)


def hold(shop: Shop, order_id: int, at: str | None = None) -> bool:
    """Put on hold."""
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    if not can_hold(order):
        raise bad_request("A hold action is not available.")
    shop.linger()
    order["hold_before_state"] = order.get("state")
    order["hold_before_status"] = order.get("status")
    order["state"] = order["status"] = "holded"
    shop.put("orders", order, at)
    return True


def unhold(shop: Shop, order_id: int, at: str | None = None) -> bool:
    """Take off hold."""
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    if order.get("state") != "holded":
        raise bad_request("You cannot remove the hold.")
    shop.linger()
    order["state"] = order.pop("hold_before_state")
    order["status"] = order.pop("hold_before_status")
    shop.put("orders", order, at)
    return True


def cancel(shop: Shop, order_id: int, at: str | None = None) -> bool:
    """Cancel what is not invoiced; false, not an error, if there is nothing to cancel."""
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    if not can_cancel(order):
        return False
    shop.linger()
    canceled: dict[int, Decimal] = {}
    state = "canceled"
    for item in order["items"]:
        if item["qty_invoiced"] - item["qty_refunded"] > 0 and not is_dummy(order, item):
            state = "processing" if item["qty_shipped"] < item["qty_invoiced"] else "complete"
    for item in order["items"]:
        qty = to_invoice(order, item)
        canceled[item["item_id"]] = qty if not is_dummy(order, item) else Decimal(item["qty_ordered"])
        if is_dummy(order, item):
            continue
        item["qty_canceled"] = item["qty_canceled"] + qty
        share = qty / Decimal(item["qty_ordered"])
        item["tax_canceled"] = amount(item, "tax_amount") * share
        item["discount_tax_compensation_canceled"] = amount(item, "discount_tax_compensation_amount") * share
    for prefix in ("", "base_"):
        for name in ("subtotal", "tax", "shipping", "discount"):
            source = name if name == "subtotal" else f"{name}_amount"
            value = abs(amount(order, f"{prefix}{source}")) - abs(amount(order, f"{prefix}{name}_invoiced"))
            order[f"{prefix}{name}_canceled"] = value
        paid = amount(order, f"{prefix}total_paid")
        order[f"{prefix}total_canceled"] = amount(order, f"{prefix}grand_total") - paid
    order["state"] = order["status"] = state
    payments.void(shop, order, at)
    shop.put("orders", order, at)
    release(shop, order, canceled)
    return True


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    options = shop.options
    rows, count = find(
        shop.all("orders"), criteria, ORDERS, past_end=options.past_end, page_limit=options.page_limit
    )
    return listing([show(shop, dict(row)) for row in rows], criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    return show(shop, shop.load("orders", call.number("id")))


def _items(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    orders = shop.all("orders")
    shown = {item["item_id"]: item for order in orders for item in show_items(shop, order)}
    rows, count = find(
        [item for order in orders for item in order["items"]],
        criteria,
        ORDER_ITEMS,
        past_end=shop.options.past_end,
    )
    return listing([shown[row["item_id"]] for row in rows], criteria, count)


def _item(shop: Shop, call: Call) -> Doc:
    number = call.number("id")
    for order in shop.all("orders"):
        for item in show_items(shop, order):
            if item["item_id"] == number:
                return item
    raise not_found()


def _comments(shop: Shop, call: Call) -> Doc:
    number = call.number("id")
    criteria = by_field("parent_id", str(number))
    rows, count = find(shop.all("comments"), criteria, COMMENTS)
    return listing([show_comment(dict(row)) for row in rows], criteria, count)


def _comment(shop: Shop, call: Call) -> bool:
    shop.load("orders", call.number("id"))
    return comment(shop, call.number("id"), call.wrapped("status_history"))


def _status(shop: Shop, call: Call) -> Any:
    return shop.load("orders", call.number("id")).get("status")


def _hold(shop: Shop, call: Call) -> bool:
    return hold(shop, call.number("id"))


def _unhold(shop: Shop, call: Call) -> bool:
    return unhold(shop, call.number("id"))


def _cancel(shop: Shop, call: Call) -> bool:
    return cancel(shop, call.number("id"))


def _emails(shop: Shop, call: Call) -> bool:
    shop.load("orders", call.number("id"))
    return True


def _patch(shop: Shop, call: Call) -> Doc:
    """`POST /orders` with an id: only the sent columns change; the answer has nulls for the rest."""
    sent = call.wrapped("entity")
    columns = {key: value for key, value in sent.items() if key in ORDERS}
    unknown = (
        set(sent)
        - ORDERS
        - {"items", "payment", "billing_address", "status_histories", "extension_attributes"}
    )
    if unknown:
        raise masked()
    if not sent.get("entity_id"):
        raise bad_request("Please provide payment for the order.")
    order = shop.load("orders", int(sent["entity_id"]))
    shop.linger()
    order |= columns
    at = shop.stamp()
    shop.put("orders", order, at)
    answer: Doc = {
        "base_grand_total": None,
        "base_total_due": 0,
        "billing_address_id": order["billing_address_id"],
        "created_at": order["created_at"],
        "customer_email": None,
        "grand_total": None,
        "total_due": 0,
    }
    answer |= columns
    answer["updated_at"] = order["updated_at"]
    answer |= {"items": show_items(shop, order), "billing_address": order["billing_address"]}
    answer["payment"] = order["payment"]
    entries = [show_comment(row) for row in reversed(comments_of(shop, order["entity_id"]))]
    return answer | {"status_histories": entries}


def _address(shop: Shop, call: Call) -> Doc:
    """`PUT /orders/:parent_id` saves an address of the order; no stamp moves."""
    sent = call.wrapped("entity")
    order = shop.load("orders", call.number("id"))
    for name in ("billing_address", "shipping_address"):
        row = order.get(name)
        if row and row["entity_id"] == sent.get("entity_id"):
            row |= sent
            shop.put("orders", order)
            return dict(row)
    raise not_found()


_VIEW = "Magento_Sales::actions_view"
ROUTES: tuple[Route, ...] = (
    route("GET", "/orders", _VIEW, _search),
    route("POST", "/orders", "Magento_Sales::create", _patch),
    route("GET", "/orders/items", _VIEW, _items),
    route("GET", "/orders/items/{id}", _VIEW, _item),
    route("GET", "/orders/{id}", _VIEW, _get),
    route("PUT", "/orders/{id}", "Magento_Sales::create", _address),
    route("GET", "/orders/{id}/comments", _VIEW, _comments),
    route("POST", "/orders/{id}/comments", "Magento_Sales::comment", _comment),
    route("GET", "/orders/{id}/statuses", _VIEW, _status),
    route("POST", "/orders/{id}/hold", "Magento_Sales::hold", _hold),
    route("POST", "/orders/{id}/unhold", "Magento_Sales::unhold", _unhold),
    route("POST", "/orders/{id}/cancel", "Magento_Sales::cancel", _cancel),
    route("POST", "/orders/{id}/emails", "Magento_Sales::emails", _emails),
)
