"""The price storage endpoints: base, special and tier prices and cost, written in bulk.

A row that fails is one entry of the answer (HTTP 200) while the good rows are saved; the error's
parameters are a list though its message names them. Types that have no price of their own, unknown stores and dates
in another form are such rows too (`Catalog/Model/Product/Price/*Storage.php`, unrecorded). None of them moves a product's stamp. Source: recorded
exchanges with Magento Open Source 2.4.4 (products).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.magento.catalog import find_product, save, scoped, write
from sandbox.magento.errors import required
from sandbox.magento.render import number as text_of
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.stock import number

_BAD = "Invalid attribute %fieldName = %fieldValue."
_NO_STORE = "Requested store is not found. Row ID: SKU = %SKU, Store ID: %storeId."
_DATES = {"price_from": "Price From", "price_to": "Price To"}
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_PRICED = ("simple", "virtual", "downloadable", "giftcard")
Writer = Callable[[Doc, Doc, Decimal, int], None]


def _rows(call: Call) -> list[Doc]:
    sent = call.body.get("prices") if isinstance(call.body, dict) else None
    if not isinstance(sent, list):
        raise required("prices")
    return sent


def _write_all(shop: Shop, call: Call, writer: Writer) -> list[Doc]:
    errors: list[Doc] = []
    for entry in [(row, number(row.get("price", row.get("cost", 0)), "price")) for row in _rows(call)]:
        row, price = entry
        product = find_product(shop, str(row.get("sku")))
        if product is None or not _may_have_a_price(product):
            errors.append({"message": _BAD, "parameters": ["SKU", str(row.get("sku"))]})
        elif int(row.get("store_id") or 0) not in {0, *(view.id for view in shop.views)}:
            errors.append({"message": _NO_STORE, "parameters": [str(row["sku"]), str(row["store_id"])]})
        elif any(row.get(name) and not _STAMP.fullmatch(str(row[name])) for name in _DATES):
            name = next(name for name in _DATES if row.get(name) and not _STAMP.fullmatch(str(row[name])))
            errors.append({"message": _BAD, "parameters": [_DATES[name], str(row[name])]})
        elif price < 0:
            errors.append({"message": _BAD, "parameters": ["Price", text_of(price)]})
        else:
            writer(product, row, price, int(row.get("store_id") or 0))
            save(shop, product, None)
    return errors


def _may_have_a_price(product: Doc) -> bool:
    """Configurable and grouped products have none of their own, and a bundle only where its price is fixed."""
    fixed = product["type_id"] == "bundle" and product["attributes"].get("price_type") == "1"
    return fixed or product["type_id"] in _PRICED


def _base_writer(product: Doc, _row: Doc, price: Decimal, store_id: int) -> None:
    write(product, "price", price, store_id)


def _special_writer(product: Doc, row: Doc, price: Decimal, store_id: int) -> None:
    write(product, "special_price", price, store_id)
    for ours, theirs in (("special_from_date", "price_from"), ("special_to_date", "price_to")):
        if row.get(theirs):
            write(product, ours, row[theirs], store_id)


def _cost_writer(product: Doc, _row: Doc, price: Decimal, store_id: int) -> None:
    write(product, "cost", price, store_id)


def _tier_writer(product: Doc, row: Doc, price: Decimal, _store_id: int) -> None:
    group = 32000 if row.get("customer_group") in (None, "ALL GROUPS") else 0
    extension: Doc = {"website_id": int(row.get("website_id") or 0)}
    if row.get("price_type") == "discount":
        extension = {"percentage_value": price, **extension}
    qty = Decimal(str(row.get("quantity") or 1))
    entry = {"customer_group_id": group, "qty": qty, "value": price, "extension_attributes": extension}
    kept = [old for old in product["tier_prices"] if (old["customer_group_id"], old["qty"]) != (group, qty)]
    product["tier_prices"] = [*kept, entry]


def _base(shop: Shop, call: Call) -> list[Doc]:
    return _write_all(shop, call, _base_writer)


def _special(shop: Shop, call: Call) -> list[Doc]:
    return _write_all(shop, call, _special_writer)


def _cost(shop: Shop, call: Call) -> list[Doc]:
    return _write_all(shop, call, _cost_writer)


def _tier(shop: Shop, call: Call) -> list[Doc]:
    return _write_all(shop, call, _tier_writer)


def _special_delete(shop: Shop, call: Call) -> list[Doc]:
    for row in _rows(call):
        product = find_product(shop, str(row.get("sku")))
        if product is not None:
            for name in ("special_price", "special_from_date", "special_to_date"):
                product["attributes"].pop(name, None)
            save(shop, product, None)
    return []


def _asked(shop: Shop, call: Call) -> list[Doc]:
    """Unknown skus are silently missing."""
    skus = call.body.get("skus") if isinstance(call.body, dict) else None
    if not isinstance(skus, list):
        raise required("skus")
    return [product for product in (find_product(shop, str(sku)) for sku in skus) if product is not None]


def _base_information(shop: Shop, call: Call) -> list[Doc]:
    return [{"price": row["price"], "store_id": 0, "sku": row["sku"]} for row in _asked(shop, call)]


def _special_information(shop: Shop, call: Call) -> list[Doc]:
    found = []
    for row in _asked(shop, call):
        price: Any = scoped(row, "special_price", 0)
        if price is not None:
            entry = {"price": price, "store_id": 0, "sku": row["sku"]}
            entry["price_from"] = scoped(row, "special_from_date", 0)
            found.append(entry | {"price_to": scoped(row, "special_to_date", 0)})
    return found


_ACL = "Magento_Catalog::catalog"
_TOPIC = "async.magento.catalog.api.{}interface.update.post"
ROUTES: tuple[Route, ...] = (
    route("POST", "/products/base-prices", _ACL, _base, _TOPIC.format("basepricestorage")),
    route("POST", "/products/base-prices-information", _ACL, _base_information),
    route("POST", "/products/special-price", _ACL, _special, _TOPIC.format("specialpricestorage")),
    route("POST", "/products/special-price-delete", _ACL, _special_delete),
    route("POST", "/products/special-price-information", _ACL, _special_information),
    route("POST", "/products/tier-prices", _ACL, _tier, _TOPIC.format("tierpricestorage")),
    route("POST", "/products/cost", _ACL, _cost, _TOPIC.format("coststorage")),
)
