"""What invoices and credit memos share: carried rounding, header fields copied from the order, comments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox.magento.errors import bad_request
from sandbox.magento.render import ZERO, cents
from sandbox.magento.shop import Doc, Shop

_COPIED = [
    "base_currency_code",
    "global_currency_code",
    "order_currency_code",
    "store_currency_code",
    "base_to_global_rate",
    "base_to_order_rate",
    "store_to_base_rate",
    "store_to_order_rate",
    "store_id",
    "billing_address_id",
    "shipping_address_id",
    "discount_description",
]


@dataclass(slots=True)
class Rounder:
    """`roundPrice` of a document: what rounding took from one amount is added to the next of the same kind.

    Row totals, discounts and taxes of one currency share the rest; a discount takes it with the sign turned.
    """

    _rest: dict[str, Decimal] = field(default_factory=dict)

    def round(self, amount: Decimal, kind: str = "", *, negative: bool = False) -> Decimal:
        """The amount to the cent."""
        if not amount:
            return amount
        sign = -1 if negative else 1
        amount += self._rest.get(kind, ZERO) * sign
        rounded = cents(amount)
        self._rest[kind] = (amount - rounded) * sign
        return rounded


def header(order: Doc) -> Doc:
    """The fields of a document that repeat the order's."""
    return {"order_id": order["entity_id"]} | {key: order[key] for key in _COPIED if key in order}


def shown(row: Doc) -> Doc:
    """A document as REST shows it: without the columns that it keeps to itself."""
    return {key: value for key, value in row.items() if not key.startswith("_")}


def amount(row: Doc, name: str) -> Decimal:
    """A money column; absent is 0."""
    return Decimal(row.get(name) or 0)


def add(row: Doc, name: str, value: Decimal) -> None:
    """Raise a running total, which exists from its first use on."""
    row[name] = amount(row, name) + value


def requested(body: Any) -> dict[int, Decimal]:
    """The quantities by order item id in a document body; an empty list is as good as none."""
    items = body.get("items") if isinstance(body, dict) else None
    found: dict[int, Decimal] = {}
    for entry in items or []:
        if not isinstance(entry, dict) or "order_item_id" not in entry:
            raise bad_request(
                '"%fieldName" is required. Enter and try again.', {"fieldName": "order_item_id"}
            )
        found[int(entry["order_item_id"])] = Decimal(str(entry.get("qty") or 0))
    return found


def comment_row(shop: Shop, table: str, parent_id: int, sent: Doc, at: str | None) -> Doc:
    """A comment on a document as the entity shows it."""
    row: Doc = {
        "is_customer_notified": sent.get("is_customer_notified") or 0,
        "parent_id": parent_id,
        "comment": sent.get("comment"),
        "is_visible_on_front": sent.get("is_visible_on_front") or 0,
    }
    if at is not None:
        row["created_at"] = at
    row["entity_id"] = shop.next_id(f"{table}_comments")
    return row


def history(
    shop: Shop,
    order: Doc,
    text: str,
    entity: str,
    at: str,
    *,
    notified: int | None = None,
    status: str | None = None,
) -> None:
    """Write an entry that Magento makes by itself into the order's history."""
    row: Doc = {
        "entity_id": shop.next_id("comments"),
        "parent_id": order["entity_id"],
        "comment": text,
        "created_at": at,
        "entity_name": entity,
        "is_customer_notified": notified,
        "is_visible_on_front": 0,
        "status": status or order.get("status"),
    }
    shop.put("comments", row)


def total(values: Iterable[Decimal]) -> Decimal:
    """A sum that starts at an exact zero."""
    return sum(values, ZERO)


def pounds(value: Decimal) -> str:
    """An amount as history texts print it: always base currency."""
    return f"£{cents(value):,.2f}"
