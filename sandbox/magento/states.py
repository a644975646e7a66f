"""What may be done with an order and its items, and the state that follows.

From `Sales/Model/Order.php`, `Order/Item.php` and `ResourceModel/Order/Handler/State.php`, checked against
recorded orders of Magento Open Source 2.4.4. Children of a configurable or of a fixed-price bundle are
"dummies" for money; for shipping the parent counts and the children follow.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.magento.render import ZERO, cents
from sandbox.magento.shop import Doc

NOT_INVOICEABLE = ("payment_review", "holded", "canceled", "complete", "closed")
NOT_REFUNDABLE = ("payment_review", "holded", "canceled", "closed")
_NOT_HOLDABLE = ("canceled", "payment_review", "complete", "closed", "holded")
_NEARLY = Decimal("0.0001")


def item_by_id(order: Doc, item_id: int) -> Doc | None:
    """The item of an order."""
    return next((item for item in order["items"] if item["item_id"] == item_id), None)


def parent_of(order: Doc, item: Doc) -> Doc | None:
    """The parent line of a child."""
    number = item.get("parent_item_id")
    return item_by_id(order, number) if number is not None else None


def children_of(order: Doc, item: Doc) -> list[Doc]:
    """The child lines of a parent."""
    return [child for child in order["items"] if child.get("parent_item_id") == item["item_id"]]


def is_dummy(order: Doc, item: Doc) -> bool:
    """Whether the line carries no money of its own."""
    parent = parent_of(order, item)
    if parent is not None:
        return not parent.get("_by_children", False)
    return bool(item.get("_by_children", False))


def to_invoice(order: Doc, item: Doc) -> Decimal:
    """Quantity left to invoice; dummies have none."""
    if is_dummy(order, item):
        return ZERO
    return max(Decimal(item["qty_ordered"] - item["qty_invoiced"] - item["qty_canceled"]), ZERO)


def to_refund(order: Doc, item: Doc) -> Decimal:
    """Quantity left to refund; dummies have none."""
    return ZERO if is_dummy(order, item) else Decimal(item["qty_invoiced"] - item["qty_refunded"])


def simple_to_ship(item: Doc) -> Decimal:
    """Quantity left to ship, whether the line is shipped by itself or with its parent."""
    gone = max(item["qty_shipped"], item["qty_refunded"])
    return max(Decimal(item["qty_ordered"] - gone - item["qty_canceled"]), ZERO)


def to_ship(item: Doc) -> Decimal:
    """Quantity left to ship of a line that is shipped by itself."""
    return ZERO if "parent_item_id" in item else simple_to_ship(item)


def can_invoice(order: Doc) -> bool:
    """Whether anything may be invoiced."""
    if order.get("state") in NOT_INVOICEABLE:
        return False
    return any(to_invoice(order, item) > 0 for item in order["items"])


def can_ship(order: Doc) -> bool:
    """Whether anything may be shipped."""
    if order.get("state") in ("holded", "payment_review", "canceled") or order.get("is_virtual"):
        return False
    return any(
        to_ship(item) > 0 and not item["is_virtual"] and item["qty_refunded"] != item["qty_ordered"]
        for item in order["items"]
    )


def can_cancel(order: Doc) -> bool:
    """Whether quantity is left to cancel and the state allows it."""
    if order.get("state") in ("holded", "payment_review", "canceled", "complete", "closed"):
        return False
    return any(to_invoice(order, item) > 0 for item in order["items"])


def can_hold(order: Doc) -> bool:
    """Whether the order may be put on hold."""
    return order.get("state") not in _NOT_HOLDABLE


def can_credit(order: Doc, memos: int) -> bool:
    """Whether more may be refunded; `memos` is how many credit memos exist."""
    if order.get("state") in NOT_REFUNDABLE:
        return False
    paid = Decimal(order.get("total_paid") or 0)
    refunded = Decimal(order.get("total_refunded") or 0)
    left = cents(paid) - refunded
    fee = Decimal(order.get("adjustment_negative") or 0)
    total = Decimal(order["grand_total"])
    if abs(total) < _NEARLY:
        enough = paid <= total
        due = can_invoice(order) and enough
        all_back = refunded == paid and memos > 0
        return not (due or all_back or (not enough and abs(left - fee) < _NEARLY))
    return not (abs(left) < _NEARLY or abs(left - fee) < _NEARLY)


def settle(order: Doc, memos: int, *, in_process: bool = False) -> None:
    """Move the state on as every order save does; the status follows the state."""
    if in_process and order.get("state") == "new":
        enter(order, "processing")
    if order.get("state") in ("canceled", "holded", "payment_review") or can_invoice(order):
        return
    state = order.get("state")
    if state in ("processing", "complete") and not can_credit(order, memos) and not can_ship(order):
        enter(order, "closed")
    elif state == "processing" and not can_ship(order):
        enter(order, "complete")


def enter(order: Doc, state: str) -> None:
    """Set a state and its default status."""
    order["state"] = state
    order["status"] = state
