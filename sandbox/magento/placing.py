"""Placing an order: a cart of skus priced, then written as the rows a real checkout leaves behind.

Shapes and signs from recorded orders A to J of Magento Open Source 2.4.4: fields that were never used are
absent and not 0, a configurable's parent carries the child's sku and all money, a dynamic bundle's money
lies on the children.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import ROUND_HALF_DOWN, Decimal
from typing import Any

from sandbox.magento.catalog import scoped
from sandbox.magento.pricing import Cart, Line, Priced, Rule
from sandbox.magento.render import ZERO, cents, column
from sandbox.magento.seed import COLOR_ATTRIBUTE
from sandbox.magento.shop import Doc, Shop, StoreView

_BASE_CURRENCY = "GBP"
_FLAT_RATE = Decimal(5)


ADDRESS: Doc = {
    "firstname": "Gus",
    "lastname": "Green",
    "street": ["1 High St"],
    "city": "Leeds",
    "postcode": "LS1 1AA",
    "country_id": "GB",
    "telephone": "0113 000",
}


def is_dynamic(product: Doc) -> bool:
    """Whether the money of a bundle lies on its children."""
    return bool(product["type_id"] == "bundle" and product["attributes"].get("price_type") != "1")


def is_virtual(product: Doc) -> bool:
    """Whether nothing is shipped: services, and gift cards sent by e-mail."""
    return product["type_id"] in ("virtual", "giftcard")


def _both(name: str, base: Decimal, own: Decimal) -> Doc:
    return {f"base_{name}": column(base), name: column(own)}


def order_row(
    shop: Shop,
    view: StoreView,
    wanted: Mapping[str, Any],
    at: str,
    cart: Cart,
    base: Priced,
    own: Priced,
    virtual: bool,
) -> Doc:
    order_id = shop.next_id("orders")
    order: Doc = {"entity_id": order_id, "increment_id": _number(shop, view, wanted)}
    if cart.rule is not None:
        order |= {"applied_rule_ids": str(cart.rule.id), "coupon_code": cart.rule.code}
        order["discount_description"] = cart.rule.code
    order |= {
        "base_currency_code": _BASE_CURRENCY,
        "global_currency_code": _BASE_CURRENCY,
        "order_currency_code": view.currency,
        "store_currency_code": _BASE_CURRENCY,
        "base_to_global_rate": 1,
        "base_to_order_rate": Decimal(view.rate_text),
        "store_to_base_rate": 0,
        "store_to_order_rate": 0,
        **_both("discount_amount", -base.discount, -own.discount),
        **_both("grand_total", base.grand_total, own.grand_total),
        **_both("discount_tax_compensation_amount", base.compensation, own.compensation),
        **_both("shipping_amount", base.shipping.row_total, own.shipping.row_total),
        **_both("shipping_discount_amount", base.shipping_discount, own.shipping_discount),
        "base_shipping_discount_tax_compensation_amnt": base.shipping.compensation,
        "shipping_discount_tax_compensation_amount": own.shipping.compensation,
        **_both("shipping_incl_tax", base.shipping.row_total_incl_tax, own.shipping.row_total_incl_tax),
        **_both("shipping_tax_amount", base.shipping.tax, own.shipping.tax),
        **_both("subtotal", base.subtotal, own.subtotal),
        **_both("subtotal_incl_tax", base.subtotal_incl_tax, own.subtotal_incl_tax),
        **_both("tax_amount", base.tax, own.tax),
        **_both("total_due", base.grand_total, own.grand_total),
        "created_at": at,
        "updated_at": at,
        "customer_note_notify": 1,
        "email_sent": 1,
        "is_virtual": int(virtual),
        "protect_code": secrets.token_hex(16),
        "quote_id": shop.next_id("quotes"),
        "remote_ip": "192.0.2.10",
        "state": "new",
        "status": "pending",
        "store_id": view.id,
        "store_name": f"{view.website_name}\n{view.group_name}\n{view.name}",
        "total_qty_ordered": sum((line.qty for line in cart.lines), ZERO),
        "weight": ZERO,
    }
    order |= _customer(shop, wanted)
    order["shipping_address"] = None
    if not virtual:
        shipping = wanted.get("shipping_address") or wanted.get("billing_address") or ADDRESS
        order["shipping_address"] = address_row(shop, order, shipping, "shipping")
        order["shipping_method"] = wanted.get("shipping_method") or "flatrate_flatrate"
        order["shipping_description"] = "Flat Rate - Fixed"
        order["shipping_address_id"] = order["shipping_address"]["entity_id"]
    return order


def _number(shop: Shop, view: StoreView, wanted: Mapping[str, Any]) -> str:
    """The next number of the store; an edited order brings its own and takes none."""
    given = (wanted.get("extra") or {}).get("increment_id")
    return str(given) if given else shop.increment_id("order", view.id)


def _customer(shop: Shop, wanted: Mapping[str, Any]) -> Doc:
    names = {"firstname": "Gus", "lastname": "Green", "email": "gus@example.com"}
    number = wanted.get("customer_id")
    found: Doc = {"customer_is_guest": 1}
    if number is not None:
        row = shop.load("customers", int(number))
        names |= {key: row[key] for key in names} | ({"taxvat": row["taxvat"]} if row.get("taxvat") else {})
        found = {"customer_is_guest": 0, "customer_id": int(number), "customer_group_id": row["group_id"]}
    names |= {key: wanted[key] for key in names if wanted.get(key) is not None}
    return found | {f"customer_{key}": value for key, value in names.items()}


def address_row(shop: Shop, order: Doc, sent: Mapping[str, Any], kind: str) -> Doc:
    row: Doc = {"address_type": kind, "email": order["customer_email"]}
    row |= {key: value for key, value in sent.items() if value is not None}
    row["entity_id"] = shop.next_id("addresses")
    row["parent_id"] = order["entity_id"]
    return row


def item_rows(
    shop: Shop,
    view: StoreView,
    entries: list[Doc],
    cart: Cart,
    order: Doc,
    base: Priced,
    own: Priced,
    at: str,
) -> list[Doc]:
    rows: list[Doc] = []
    for entry, line in zip(entries, cart.lines, strict=True):
        product = entry["product"]
        parent = _row(shop, view, order, entry, at)
        _money(parent, line, base, own, cart.rule, entry["unit"], view)
        if line.by_children:
            for name in (
                "base_discount_tax_compensation_amount",
                "discount_tax_compensation_amount",
                "tax_percent",
            ):
                parent.pop(name)
            parent |= {"discount_percent": 0, "base_original_price": parent["base_price"]}
            parent["original_price"] = parent["price"]
        elif product["type_id"] == "bundle":
            original = Decimal(scoped(product, "price", view.id))
            parent |= {
                "base_original_price": original,
                "original_price": _converted(original, view),
            }
        if product["type_id"] == "configurable":
            parent["sku"] = entry["children"][0]["product"]["sku"]
        rows.append(parent)
        weight = Decimal(product.get("weight") or 0)
        for child, child_line in zip(entry["children"], line.children, strict=True):
            row = _row(shop, view, order, child, at)
            row["parent_item_id"] = parent["item_id"]
            if line.by_children:
                _money(row, child_line, base, own, cart.rule, child["unit"], view)
            else:
                row |= dict.fromkeys(_NO_MONEY, 0)
            row["row_weight"] = 0
            weight += Decimal(child["product"].get("weight") or 0) * child["each"]
            rows.append(row)
        if entry["children"] or product["type_id"] == "giftcard":
            parent["product_option"] = {"extension_attributes": _options(entry)}
        if not is_virtual(product):
            parent |= {"weight": weight, "row_weight": weight * entry["qty"]}
        order["weight"] += weight * entry["qty"]
    return rows


def with_products(items: list[Doc], entries: list[Doc]) -> list[tuple[Doc, Doc]]:
    """Each line of the order with its product, children after their parent as they were written."""
    products = [part["product"] for entry in entries for part in (entry, *entry["children"])]
    return list(zip(items, products, strict=True))


_NO_MONEY = [
    "base_discount_amount",
    "base_price",
    "base_row_total",
    "base_tax_amount",
    "discount_amount",
    "discount_percent",
    "original_price",
    "price",
    "row_total",
    "tax_amount",
    "tax_percent",
]


def _row(shop: Shop, view: StoreView, order: Doc, entry: Doc, at: str) -> Doc:
    product = entry["product"]
    item_id = shop.next_id("order_items")
    row: Doc = {
        "item_id": item_id,
        "order_id": order["entity_id"],
        "quote_item_id": item_id,
        "product_id": product["id"],
        "product_type": product["type_id"],
        "sku": product["sku"],
        "name": scoped(product, "name", view.id),
        "qty_ordered": entry["qty"],
        "is_virtual": int(is_virtual(product)),
        "store_id": view.id,
        "created_at": at,
        "updated_at": at,
        "row_weight": 0,
    }
    row |= dict.fromkeys(_UNUSED, 0)
    if not is_virtual(product):
        row["weight"] = product.get("weight") or 0
    if "each" in entry:
        row["_each"] = entry["each"]
    if product["type_id"] == "bundle":
        row["_by_children"] = is_dynamic(product)
    return row


_UNUSED = [
    "amount_refunded",
    "base_amount_refunded",
    "base_discount_invoiced",
    "base_row_invoiced",
    "base_tax_invoiced",
    "discount_invoiced",
    "free_shipping",
    "is_qty_decimal",
    "no_discount",
    "qty_canceled",
    "qty_invoiced",
    "qty_refunded",
    "qty_shipped",
    "row_invoiced",
    "tax_invoiced",
]


def _money(
    row: Doc, line: Line, base: Priced, own: Priced, rule: Rule | None, unit: Decimal, view: StoreView
) -> None:
    one, two = base.taxed[id(line)], own.taxed[id(line)]
    row |= {
        **_both("discount_amount", base.discounts[id(line)], own.discounts[id(line)]),
        **_both("discount_tax_compensation_amount", one.compensation, two.compensation),
        **_both("price", one.price, two.price),
        **_both("price_incl_tax", one.price_incl_tax, two.price_incl_tax),
        **_both("row_total", one.row_total, two.row_total),
        **_both("row_total_incl_tax", one.row_total_incl_tax, two.row_total_incl_tax),
        **_both("tax_amount", one.tax, two.tax),
        "base_original_price": cents(unit),
        "original_price": _converted(unit, view),
        "discount_percent": rule.percent if rule is not None else 0,
        "tax_percent": one.percent,
    }
    if rule is not None and "parent_item_id" not in row:
        row["applied_rule_ids"] = str(rule.id)


def _converted(unit: Decimal, view: StoreView) -> Decimal:
    """The price in order currency, to four places; PHP's binary product falls short of an exact half."""
    return (unit * Decimal(view.rate_text)).quantize(Decimal("0.0001"), rounding=ROUND_HALF_DOWN)


def _options(entry: Doc) -> Doc:
    if entry["product"]["type_id"] == "configurable":
        child = entry["children"][0]["product"]
        value = int(child["attributes"].get("color") or 0)
        return {"configurable_item_options": [{"option_id": COLOR_ATTRIBUTE, "option_value": value}]}
    if entry["product"]["type_id"] == "giftcard":
        amount = f"{entry['unit']:.4f}"
        return {"giftcard_item_option": {"giftcard_amount": amount, **entry["card"]}}
    return {
        "bundle_options": [
            {
                "option_id": child["link"]["option_id"],
                "option_qty": child["each"],
                "option_selections": [int(child["link"]["id"])],
            }
            for child in entry["children"]
        ]
    }


def applied_taxes(order: Doc, cart: Cart, base: Priced, own: Priced) -> Doc:
    """The applied taxes of the header and of each item; empty when the order bears no tax."""
    if not base.tax and not own.tax:
        return {"applied": [], "items": []}
    leaves = [line for parent in cart.lines for line in parent.money_lines()]
    rows = [item for item in order["items"] if "tax_percent" in item and "price_incl_tax" in item]
    codes: dict[str, list[Doc]] = {}
    for line, item in zip(leaves, rows, strict=True):
        for index, (rate, amount) in enumerate(own.taxed[id(line)].applied):
            share = _applied(rate.code, rate.percent, amount, base.taxed[id(line)].applied[index][1])
            entry = {"type": "product", "item_id": item["item_id"], "applied_taxes": [share]}
            codes.setdefault(rate.code, []).append(entry)
    shipping_first = order["entity_id"] > 2 and order["entity_id"] % 4 != 2
    for index, (rate, amount) in enumerate(own.shipping.applied):
        share = _applied(rate.code, rate.percent, amount, base.shipping.applied[index][1])
        entries = codes.setdefault(rate.code, [])
        entries.insert(0 if shipping_first else len(entries), {"type": "shipping", "applied_taxes": [share]})
    applied = []
    for entries in codes.values():
        shares = [entry["applied_taxes"][0] for entry in entries]
        header = dict(shares[0])
        header["amount"] = sum((share["amount"] for share in shares), ZERO)
        header["base_amount"] = sum((share["base_amount"] for share in shares), ZERO)
        applied.append(header)
    return {"applied": applied, "items": [entry for entries in codes.values() for entry in entries]}


def _applied(code: str, percent: Decimal, amount: Decimal, base: Decimal) -> Doc:
    return {
        "code": code,
        "title": code,
        "percent": percent,
        "amount": column(amount),
        "base_amount": column(base),
    }
