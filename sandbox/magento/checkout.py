"""Checkout: wanted skus become a priced cart, the cart an order, and a gateway does its part.

Offline methods leave the order `new`; an authorising gateway starts it in `processing`, a capturing one
with its invoice. Source: recorded orders of Magento Open Source 2.4.4 (order_placing, order_life_online).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sandbox.magento import commerce, invoices, payments, placing, weee, wrapping
from sandbox.magento.catalog import find_product, scoped
from sandbox.magento.documents import history, pounds
from sandbox.magento.errors import MISSING_PRODUCT, bad_request, not_found
from sandbox.magento.pricing import Cart, Line, Rule, price
from sandbox.magento.render import ZERO
from sandbox.magento.seed import RULES
from sandbox.magento.shop import Doc, Shop, StoreView
from sandbox.magento.states import enter
from sandbox.magento.stock import reserve
from sandbox.magento.taxes import CUSTOMER_CLASS, rates_for, total_percent

_FLAT_RATE = Decimal(5)
_CARD_NAMES = ("sender_name", "sender_email", "recipient_name", "recipient_email")


def place(shop: Shop, wanted: Mapping[str, Any]) -> int:
    """Write the order described by the control call and return its id."""
    view = shop.view_by_code(wanted.get("store") or "default")
    if view is None:
        raise bad_request("Specified request cannot be processed.")
    at: str = wanted.get("at") or shop.stamp()
    shipping_address = wanted.get("shipping_address") or wanted.get("billing_address") or placing.ADDRESS
    billing_address = wanted.get("billing_address") or shipping_address
    entries = [_entry(shop, view, item) for item in wanted["items"]]
    virtual = all(placing.is_virtual(_product(entry)) for entry in entries)
    country = str((billing_address if virtual else shipping_address).get("country_id", "GB"))
    rule = _rule(wanted.get("coupon"))
    cart = _cart(shop, view, entries, country, rule, virtual, _customer_class(shop, wanted))
    for name in ("discount_on_gross", "tax_before_discount"):
        if name in wanted:  # the setting as it was when this order was placed
            setattr(cart, name, bool(wanted[name]))
    rate = Decimal(view.rate_text)
    base, own = price(cart, Decimal(1)), price(cart, rate)
    shop.linger()
    order = placing.order_row(shop, view, wanted, at, cart, base, own, virtual)
    order["items"] = placing.item_rows(shop, view, entries, cart, order, base, own, at)
    order["total_item_count"] = sum(len(entry["children"]) or 1 for entry in entries)
    order["billing_address"] = placing.address_row(shop, order, billing_address, "billing")
    order["billing_address_id"] = order["billing_address"]["entity_id"]
    order["taxes"] = placing.applied_taxes(order, cart, base, own)
    order["extension_attributes"] = commerce.start_fields(shop.options)
    for item, product in placing.with_products(order["items"], entries):
        if "parent_item_id" not in item:
            weee.charge(order, item, product, country)
    wrapping.wrap(order, wanted, cart.shipping_rates)
    commerce.redeem(shop.options, order, wanted, shop.next_id("gift_cards"))
    order |= wanted.get("extra") or {}
    method = wanted.get("payment_method") or "checkmo"
    order["payment"] = payments.payment(shop, order, method if order["base_grand_total"] else "free")
    shop.put("orders", order, at)
    reserve(shop, order, "order_placed", {item["item_id"]: item["qty_ordered"] for item in order["items"]})
    _on_placed(shop, int(order["entity_id"]), at)
    return int(order["entity_id"])


def _rule(code: str | None) -> Rule | None:
    if not code:
        return None
    if code not in RULES:
        raise not_found("The coupon code isn't valid. Verify the code and try again.")
    return RULES[code]


def _customer_class(shop: Shop, wanted: Mapping[str, Any]) -> int:
    """The tax class of the customer's group; a guest is taxed as the group NOT LOGGED IN."""
    number = wanted.get("customer_id")
    group = shop.load("customers", int(number))["group_id"] if number is not None else 0
    row = shop.peek("customer_groups", int(group))
    return int(row["tax_class_id"]) if row is not None else CUSTOMER_CLASS


def _product(entry: Doc) -> Doc:
    product: Doc = entry["product"]
    return product


def _known(shop: Shop, sku: str) -> Doc:
    product = find_product(shop, sku)
    if product is None:
        raise not_found(MISSING_PRODUCT)
    return product


def _unit(shop: Shop, view: StoreView, product: Doc) -> Decimal:
    """The price now: the special price while it runs."""
    amount: Decimal = Decimal(scoped(product, "price", view.id))
    special = scoped(product, "special_price", view.id)
    start, end = scoped(product, "special_from_date", view.id), scoped(product, "special_to_date", view.id)
    today = shop.stamp()
    if special is not None and (not start or str(start) <= today) and (not end or today <= str(end)):
        return min(amount, Decimal(special))
    return amount


def _entry(shop: Shop, view: StoreView, item: Mapping[str, Any]) -> Doc:
    """One wanted item with its product and chosen children."""
    product = _known(shop, str(item["sku"]))
    qty = Decimal(str(item.get("qty", 1)))
    chosen = item.get("options") or {}
    entry: Doc = {"product": product, "qty": qty, "children": [], "unit": _unit(shop, view, product)}
    if product["type_id"] == "configurable":
        links = product["extension"]["configurable_product_links"]
        child = (
            _known(shop, chosen["simple_sku"]) if "simple_sku" in chosen else shop.load("products", links[0])
        )
        entry["children"] = [{"product": child, "qty": qty, "each": Decimal(1), "unit": ZERO}]
        entry["unit"] = _unit(shop, view, child)
    elif product["type_id"] == "giftcard":
        entry["unit"] = Decimal(str(chosen["amount"]))
        entry["card"] = {f"giftcard_{name}": chosen.get(name) or "Gus" for name in _CARD_NAMES}
    elif product["type_id"] == "bundle":
        entry["children"] = _selections(shop, view, product, qty, chosen.get("selections"))
        if product["attributes"].get("price_type") == "1":
            entry["unit"] += sum((child["unit"] * child["each"] for child in entry["children"]), ZERO)
    return entry


def _selections(shop: Shop, view: StoreView, bundle: Doc, qty: Decimal, chosen: Any) -> list[Doc]:
    fixed = bundle["attributes"].get("price_type") == "1"
    found = []
    wanted = {str(entry["sku"]): entry for entry in chosen} if chosen else None
    for option in bundle["extension"]["bundle_product_options"]:
        for link in option["product_links"]:
            if wanted is not None and link["sku"] not in wanted:
                continue
            sent = wanted[link["sku"]].get("qty") if wanted is not None else None
            each = Decimal(str(sent if sent is not None else link["qty"]))
            product = _known(shop, link["sku"])
            unit = Decimal(link.get("price") or 0) if fixed else _unit(shop, view, product)
            found.append({"product": product, "qty": qty * each, "each": each, "unit": unit, "link": link})
    return found


def _cart(
    shop: Shop,
    view: StoreView,
    entries: list[Doc],
    country: str,
    rule: Rule | None,
    virtual: bool,
    customer_class: int,
) -> Cart:
    origin = shop.options.shipping_origin

    def line(entry: Doc, by: Doc) -> Line:
        tax_class = int(by["attributes"].get("tax_class_id") or 0)
        return Line(
            sku=_product(entry)["sku"],
            qty=entry["qty"],
            unit=entry["unit"],
            rates=rates_for(shop, tax_class, country, customer_class),
            origin_percent=total_percent(rates_for(shop, tax_class, origin)),
        )

    lines = []
    for entry in entries:
        parent = line(entry, entry["product"])
        parent.by_children = placing.is_dynamic(entry["product"])
        parent.children = [line(child, child["product"]) for child in entry["children"]]
        lines.append(parent)
    shipping_class = int(shop.settings["shipping_tax_class"])
    flat = shop.options.trade_shipping if view.prices_include_tax else _FLAT_RATE
    return Cart(
        lines=lines,
        included=view.prices_include_tax,
        discount_on_gross=shop.options.discount_on_gross,
        tax_before_discount=shop.options.tax_before_discount,
        rule=rule,
        shipping=ZERO if virtual else flat,
        shipping_rates=rates_for(shop, shipping_class, country, customer_class),
        shipping_origin_percent=total_percent(rates_for(shop, shipping_class, origin)),
    )


def _on_placed(shop: Shop, order_id: int, at: str) -> None:
    """What a gateway does while the order is placed: authorise, or capture by a full invoice."""
    order = shop.load("orders", order_id)
    if not payments.is_gateway(order):
        return
    enter(order, "processing")
    order.pop("email_sent", None)
    order["payment"]["base_amount_authorized"] = order["base_grand_total"]
    order["payment"]["amount_authorized"] = order["grand_total"]
    if order["payment"]["method"] in payments.CAPTURE_AT_ONCE:
        shop.put("orders", order, at)
        invoices.create(shop, order_id, {"capture": True}, at)
        return
    number = payments.transaction(shop, order, "authorization", None, at)
    text = f'Authorized amount of {pounds(order["base_grand_total"])}. Transaction ID: "{number}"'
    history(shop, order, text, "order", at)
    shop.put("orders", order, at)
