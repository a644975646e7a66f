"""An order as REST shows it: rewritten row totals, embedded parents, shipping assignments, history newest
first.

`row_total` and its kin are rewritten for order items only
(`Sales/Model/Order/Webapi/ChangeOutputArray.php`); which way depends on the release. Source for the shape:
recorded orders of Magento Open Source 2.4.4.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.magento import weee
from sandbox.magento.documents import amount
from sandbox.magento.render import ZERO
from sandbox.magento.shop import NESTED, Doc, Shop

_SHIPPING_TOTALS = [
    "shipping_amount",
    "shipping_canceled",
    "shipping_discount_amount",
    "shipping_incl_tax",
    "shipping_invoiced",
    "shipping_refunded",
    "shipping_tax_amount",
    "shipping_tax_refunded",
]
_HIDDEN_COLUMNS = ("shipping_method", "shipping_address_id")


def show(shop: Shop, order: Doc) -> Doc:
    """The whole order."""
    items = show_items(shop, order)
    row = {
        key: value
        for key, value in order.items()
        if key not in NESTED and key not in _HIDDEN_COLUMNS and not key.startswith("_") and value is not None
    }
    row["items"] = items
    row["billing_address"] = order["billing_address"]
    row["payment"] = order["payment"]
    row["status_histories"] = [
        show_comment(entry) for entry in reversed(comments_of(shop, order["entity_id"]))
    ]
    row["extension_attributes"] = _extension(order, items) | order.get("extension_attributes", {})
    return row


def show_items(shop: Shop, order: Doc) -> list[Doc]:
    """All items with their parents embedded."""
    shown: dict[int, Doc] = {}
    for item in order["items"]:
        row = _item(shop, item)
        parent = shown.get(item.get("parent_item_id", 0))
        if parent is not None:
            row["parent_item"] = parent
        shown[item["item_id"]] = row
    return list(shown.values())


def comments_of(shop: Shop, order_id: int) -> list[Doc]:
    """The order's history, oldest first."""
    return [row for row in shop.all("comments") if row["parent_id"] == order_id]


def show_comment(row: Doc) -> Doc:
    """A history entry: the status is absent when null."""
    return {
        key: value
        for key, value in row.items()
        if value is not None or key in ("comment", "is_customer_notified")
    }


def _item(shop: Shop, item: Doc) -> Doc:
    row = {key: value for key, value in item.items() if not key.startswith("_") and value is not None}
    mode = shop.options.row_total
    if mode == "raw":
        return row
    for prefix in ("", "base_"):
        gross = amount(item, f"{prefix}row_total")
        discount = amount(item, f"{prefix}discount_amount")
        tax = amount(item, f"{prefix}tax_amount") + amount(item, f"{prefix}discount_tax_compensation_amount")
        first = amount(item, f"{prefix}price") if mode == "V2" else gross
        row[f"{prefix}row_total"] = _at_least_zero(first - discount)
        row[f"{prefix}row_total_incl_tax"] = _at_least_zero(
            gross + tax + weee.row_of(item, prefix) - discount
        )
    return row


def _at_least_zero(value: Decimal) -> Decimal:
    return max(value, ZERO)


def _extension(order: Doc, items: list[Doc]) -> Doc:
    totals: Doc = {}
    for name in _SHIPPING_TOTALS:
        for key in (f"base_{name}", name):
            if key in order:
                totals[key] = order[key]
    totals["base_shipping_discount_tax_compensation_amnt"] = order[
        "base_shipping_discount_tax_compensation_amnt"
    ]
    totals["shipping_discount_tax_compensation_amount"] = order["shipping_discount_tax_compensation_amount"]
    shipping: Doc = {}
    if order.get("shipping_address"):
        shipping["address"] = order["shipping_address"]
        shipping["method"] = order["shipping_method"]
    shipping["total"] = totals
    title = order["payment"]["additional_information"][0]
    shown: Doc = {
        "shipping_assignments": [{"shipping": shipping, "items": items}],
        "payment_additional_info": [
            {"key": key, "value": value}
            for key, value in {"method_title": title, **order.get("_information", {})}.items()
        ],
        "applied_taxes": order["taxes"]["applied"],
        "item_applied_taxes": order["taxes"]["items"],
    }
    if order["taxes"]["items"]:
        shown["converting_from_quote"] = True
    return shown
