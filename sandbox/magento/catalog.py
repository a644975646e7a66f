"""Finding products and reading and writing their attributes by store scope.

A product row has global values; `scoped` holds overrides by store id. Scope `all` (store 0) is the global
row; a call without a code reads and writes the default view. Source: recorded exchanges with Magento Open
Source 2.4.4 (products).
"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from sandbox.magento.attributes import GLOBAL
from sandbox.magento.shop import Doc, Shop

OWN = ("id", "sku", "name", "attribute_set_id", "price", "status", "visibility", "type_id")
SCOPED_FIELDS = ("name", "price", "status", "visibility", "weight")


def find_product(shop: Shop, sku: str) -> Doc | None:
    """A copy of the product; letter case is ignored."""
    wanted = sku.casefold()
    for row in shop.all("products"):
        if str(row["sku"]).casefold() == wanted:
            return copy.deepcopy(row)
    return None


def scoped(product: Doc, name: str, store_id: int) -> Any:
    """A field or attribute as a store view sees it."""
    override = product["scoped"].get(store_id, {})
    if name in override:
        return override[name]
    return product[name] if name in product else product["attributes"].get(name)


def write(product: Doc, name: str, value: Any, store_id: int) -> None:
    """Set a field or attribute globally (store 0) or as an override of one view, if its scope allows one."""
    if store_id and name not in GLOBAL:
        product["scoped"].setdefault(store_id, {})[name] = value
    elif name in OWN or name == "weight":
        product[name] = value
    elif value is None:
        product["attributes"].pop(name, None)
    else:
        product["attributes"][name] = value


def save(shop: Shop, product: Doc, at: str | None) -> None:
    """Write the row back; with a stamp `updated_at` moves even if nothing changed."""
    with shop.lock:
        if at is not None:
            product.setdefault("created_at", at)
            product["updated_at"] = at
        shop.rows["products"][product["id"]] = product


def show(product: Doc, store_id: int) -> Doc:
    """The product as lists show it."""
    row: Doc = {name: scoped(product, name, store_id) for name in OWN}
    row |= {"created_at": product["created_at"], "updated_at": product["updated_at"]}
    if product["type_id"] != "virtual":
        row["weight"] = scoped(product, "weight", store_id) or 0
    extension = copy.deepcopy(product["extension"])
    categories = product["attributes"].get("category_ids") or []
    if categories:
        links = [{"position": 0, "category_id": str(number)} for number in categories]
        extension = {"website_ids": extension.pop("website_ids"), "category_links": links, **extension}
    row["extension_attributes"] = extension
    row |= {
        "product_links": product.get("product_links", []),
        "options": product.get("options", []),
        "media_gallery_entries": product.get("media_gallery_entries", []),
        "tier_prices": product["tier_prices"],
    }
    codes = dict.fromkeys([*product["attributes"], *product["scoped"].get(store_id, {})])
    row["custom_attributes"] = [
        {"attribute_code": code, "value": attribute(scoped(product, code, store_id))}
        for code in codes
        if code not in SCOPED_FIELDS
    ]
    return row


def attribute(value: Any) -> Any:
    """A custom attribute's value: numbers are text, prices with six decimals."""
    if isinstance(value, Decimal):
        return f"{value:.6f}"
    return value if isinstance(value, (list, str)) else str(value)


def columns(product: Doc, store_id: int) -> Doc:
    """What lists filter and sort by."""
    row = {**product["attributes"], **product, **product["scoped"].get(store_id, {})}
    row["entity_id"] = product["id"]
    row["category_id"] = [str(number) for number in product["attributes"].get("category_ids") or []]
    row["website_id"] = product["extension"].get("website_ids", [])
    row["store_id"] = row["store"] = [1, 2, 3]
    return row
