"""Products and categories: upserts by sku, store scopes, children of configurables.

POST and PUT are both upserts; only what is sent is written, each save moves the stamp even if nothing
changed. A collection that is sent (tier prices, pictures, links, options, websites, categories) is the final set:
what it leaves out is gone. Attributes that the shop does not know are dropped without a word. Unknown keys are a masked 500, a missing sku the plain-text one. Source: recorded exchanges with
Magento Open Source 2.4.4 (products, concurrency).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from sandbox.magento.attributes import KNOWN, LONGEST_SKU
from sandbox.magento.catalog import columns, find_product, save, scoped, show, write
from sandbox.magento.columns import CATEGORIES, PRODUCTS
from sandbox.magento.criteria import read
from sandbox.magento.errors import MISSING_PRODUCT, Crash, bad_request, masked, not_found
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.stock import number, set_source, stock_item

_FIELDS = ("name", "price", "status", "visibility", "weight")
_KNOWN = frozenset(
    [
        "id",
        "sku",
        "name",
        "attribute_set_id",
        "price",
        "status",
        "visibility",
        "type_id",
        "created_at",
        "updated_at",
        "weight",
        "extension_attributes",
        "product_links",
        "options",
        "media_gallery_entries",
        "tier_prices",
        "custom_attributes",
    ]
)
_REPLACED = (
    "website_ids",
    "configurable_product_options",
    "configurable_product_links",
    "bundle_product_options",
)
_COLLECTIONS = {
    "tier_prices": None,
    "product_links": None,
    "options": "option_id",
    "media_gallery_entries": "id",
}
"""Lists of a product that a body replaces whole, with the id that each entry gets."""
_BUSY = 4


def upsert(shop: Shop, sent: Doc, sku: str | None, store_id: int) -> Doc:
    """Create or change a product; returns the stored row."""
    name, price = _checked(sent, sku)
    product = find_product(shop, str(name))
    created = product is None
    if product is None:
        product = _new(str(name), sent)
    at = shop.stamp()
    with shop.lock:
        shop.product_writes += 1
        crowded = shop.product_writes >= _BUSY
    try:
        shop.linger()
    finally:
        with shop.lock:
            shop.product_writes -= 1
    if crowded:
        raise bad_request("The stock item was unable to be saved. Please try again.")
    if created and find_product(shop, str(name)) is not None:
        raise bad_request("Unique constraint violation found")
    scope = 0 if created else store_id
    for field in _FIELDS:
        if sent.get(field) is not None:
            write(product, field, price if field == "price" else sent[field], scope)
    _attributes(product, sent, scope)
    _url_key(shop, product, sent, scope, created)
    _extension(shop, product, sent)
    _collections(shop, product, sent)
    if created:
        product["id"] = shop.next_id("products")
    if product["type_id"] in ("configurable", "bundle") and product["attributes"].get("price_type") != "1":
        product["price"] = Decimal(0)
    save(shop, product, at)
    _stock(shop, product, sent, created)
    return product


def _checked(sent: Doc, sku: str | None) -> tuple[str, Decimal | None]:
    """The sku and the price that a body asks for."""
    if set(sent) - _KNOWN:
        raise masked()
    price = number(sent["price"], "price") if sent.get("price") is not None else None
    name = sku or sent.get("sku")
    if not name:
        raise Crash
    if len(str(name)) > LONGEST_SKU:
        raise bad_request("SKU length should be %1 characters maximum.", [str(LONGEST_SKU)])
    return str(name), price


def _new(sku: str, sent: Doc) -> Doc:
    if not sent.get("attribute_set_id"):
        raise bad_request("Invalid product data: %1", ["Invalid attribute set entity type"])
    if not sent.get("name"):
        raise bad_request('The "Product Name" attribute value is empty. Set the attribute and try again.')
    kind = sent.get("type_id") or "simple"
    product: Doc = {
        "sku": sku,
        "name": sent["name"],
        "attribute_set_id": sent["attribute_set_id"],
        "price": Decimal(0),
        "status": 1,
        "visibility": 4,
        "type_id": kind,
        "extension": {"website_ids": [1]},
        "attributes": {
            "options_container": "container2",
            "msrp_display_actual_price_type": "0",
            "required_options": "0",
            "has_options": "0" if kind in ("simple", "virtual") else "1",
            "tax_class_id": "2",
            "category_ids": [],
        },
        "tier_prices": [],
        "scoped": {},
    }
    if kind != "virtual":
        product["weight"] = Decimal(0)
    return product


def _attributes(product: Doc, sent: Doc, scope: int) -> None:
    for entry in sent.get("custom_attributes") or []:
        code, value = str(entry["attribute_code"]), entry.get("value")
        if code not in KNOWN:
            continue
        if code in ("special_price", "cost") and value not in (None, ""):
            value = number(value, code)
        if code == "category_ids":
            value = [str(each) for each in value or []]
        write(product, code, value if isinstance(value, (list, Decimal, type(None))) else str(value), scope)


def _url_key(shop: Shop, product: Doc, sent: Doc, scope: int, created: bool) -> None:
    """Derived from the name when that is written; two products of one name collide."""
    codes = [entry["attribute_code"] for entry in sent.get("custom_attributes") or []]
    if "url_key" not in codes:
        if not (created or (scope and sent.get("name"))):
            return
        key = re.sub(r"[^0-9a-z]+", "-", str(sent.get("name") or product["name"]).lower()).strip("-")
        write(product, "url_key", key, scope)
    key = scoped(product, "url_key", scope)
    for other in shop.all("products"):
        if (
            other["sku"] != product["sku"]
            and other["attributes"].get("url_key") == key
            and other["visibility"] != 1
        ):
            raise bad_request("URL key for specified store already exists.")


def _extension(shop: Shop, product: Doc, sent: Doc) -> None:
    extension = sent.get("extension_attributes")
    if not isinstance(extension, dict):
        return
    for name in _REPLACED:
        if name in extension:
            product["extension"][name] = extension[name]
    if "category_links" in extension:
        links = extension["category_links"] or []
        product["attributes"]["category_ids"] = [str(link["category_id"]) for link in links]
    for option in product["extension"].get("configurable_product_options", []):
        option.setdefault("id", shop.next_id("configurable_options"))
    for option in product["extension"].get("bundle_product_options", []):
        option.setdefault("option_id", shop.next_id("bundle_options"))
        option["sku"] = product["sku"]
        for link in option.get("product_links", []):
            link.setdefault("id", str(shop.next_id("bundle_selections")))
            link["option_id"] = option["option_id"]


def _collections(shop: Shop, product: Doc, sent: Doc) -> None:
    """An entry that is sent with its id keeps it; without one it is a new entry, on every retry."""
    for name, number_ in _COLLECTIONS.items():
        if name not in sent:
            continue
        entries = [dict(entry) for entry in sent[name] or []]
        if number_ is not None:
            for entry in entries:
                entry.setdefault(number_, shop.next_id(f"product_{name}"))
        product[name] = entries


def _stock(shop: Shop, product: Doc, sent: Doc, created: bool) -> None:
    if product["type_id"] not in ("simple", "virtual"):
        return
    extension = sent.get("extension_attributes")
    item = extension.get("stock_item") if isinstance(extension, dict) else None
    if isinstance(item, dict):
        qty = number(item.get("qty", stock_item(shop, product)["qty"]), "qty")
        set_source(shop, product["sku"], qty, int(bool(item.get("is_in_stock", True))))
    elif created:
        set_source(shop, product["sku"], Decimal(0), 1)


def store_of(call: Call) -> int:
    """The store id of the path's scope: 0 for `all`, the default view without a code."""
    if call.scope == "all":
        return 0
    return call.view.id if call.view is not None else 1


def single(shop: Shop, product: Doc, store_id: int) -> Doc:
    """The product as the single GET shows it: with its stock item."""
    row = show(product, store_id)
    extension = row["extension_attributes"]
    stock = {"stock_item": stock_item(shop, product)}
    head = {name: extension.pop(name) for name in ("website_ids", "category_links") if name in extension}
    row["extension_attributes"] = head | stock | extension
    return row


def _known(shop: Shop, sku: str) -> Doc:
    product = find_product(shop, sku)
    if product is None:
        raise not_found(MISSING_PRODUCT)
    return product


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    store_id = store_of(call)
    rows, count = find(
        [columns(row, store_id) for row in shop.all("products")],
        criteria,
        PRODUCTS,
        unknown="name",
        past_end=shop.options.past_end,
        page_limit=shop.options.page_limit,
    )
    products = {row["id"]: row for row in shop.all("products")}
    return listing([show(products[row["id"]], store_id) for row in rows], criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    return single(shop, _known(shop, call.path["sku"]), store_of(call))


def _create(shop: Shop, call: Call) -> Doc:
    """The answer to a new product lacks two lists that every later answer has."""
    store_id = store_of(call)
    sent = call.wrapped("product")
    is_new = find_product(shop, str(sent.get("sku"))) is None
    row = single(shop, upsert(shop, sent, None, store_id), store_id)
    if is_new:
        del row["product_links"], row["tier_prices"]
    return row


def _update(shop: Shop, call: Call) -> Doc:
    store_id = store_of(call)
    return single(shop, upsert(shop, call.wrapped("product"), call.path["sku"], store_id), store_id)


def _delete(shop: Shop, call: Call) -> bool:
    return shop.remove("products", _known(shop, call.path["sku"])["id"])


def _children(shop: Shop, call: Call) -> list[Doc]:
    product = _known(shop, call.path["sku"])
    found = []
    for number_ in product["extension"].get("configurable_product_links", []):
        child = shop.peek("products", int(number_))
        if child is not None:
            row = show(child, store_of(call))
            for name in ("extension_attributes", "options", "media_gallery_entries"):
                row.pop(name)
            found.append(row)
    return found


def _add_option(shop: Shop, call: Call) -> str:
    call.wrapped("option")
    shop.sequences["attribute_options"] = max(shop.sequences["attribute_options"], 3)
    return str(shop.next_id("attribute_options"))


def _tree(shop: Shop, call: Call) -> Doc:
    rows = shop.all("categories")
    root = next((row for row in rows if row["id"] == int(call.query.get("rootCategoryId") or 2)), None)
    if root is None:
        raise not_found("No such entity with %fieldName = %fieldValue", {"fieldName": "id", "fieldValue": 0})
    return _branch(shop, root, rows)


def _branch(shop: Shop, row: Doc, rows: list[Doc]) -> Doc:
    number_ = str(row["id"])
    count = sum(
        1 for product in shop.all("products") if number_ in (product["attributes"].get("category_ids") or [])
    )
    branch = {key: row[key] for key in ("id", "parent_id", "name", "is_active", "position", "level")}
    children = [_branch(shop, child, rows) for child in rows if child["parent_id"] == row["id"]]
    return branch | {"product_count": count, "children_data": children}


def _category(shop: Shop, row: Doc) -> Doc:
    children = [str(child["id"]) for child in shop.all("categories") if child["parent_id"] == row["id"]]
    return {**row, "children": ",".join(children), "available_sort_by": [], "custom_attributes": []}


def _category_list(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(
        [{**row, "entity_id": row["id"]} for row in shop.all("categories")],
        criteria,
        CATEGORIES,
        unknown="name",
    )
    known = {row["id"]: row for row in shop.all("categories")}
    return listing([_category(shop, known[row["id"]]) for row in rows], criteria, count)


def _category_get(shop: Shop, call: Call) -> Doc:
    number_ = call.number("id")
    row = shop.peek("categories", number_)
    if row is None:
        named = {"fieldName": "id", "fieldValue": number_}
        raise not_found("No such entity with %fieldName = %fieldValue", named)
    return _category(shop, row)


def _category_products(shop: Shop, call: Call) -> list[Doc]:
    wanted = str(_category_get(shop, call)["id"])
    return [
        {"sku": row["sku"], "position": 0, "category_id": wanted}
        for row in shop.all("products")
        if wanted in (row["attributes"].get("category_ids") or [])
    ]


def _attribute_sets(_shop: Shop, call: Call) -> Any:
    criteria = read(call.query)
    row = {"attribute_set_id": 4, "attribute_set_name": "Default", "sort_order": 1, "entity_type_id": 4}
    return listing([row], criteria, 1)


_ACL, _CATEGORY = "Magento_Catalog::products", "Magento_Catalog::categories"
_TOPIC = "async.magento.catalog.api.productrepositoryinterface."
ROUTES: tuple[Route, ...] = (
    route("GET", "/products", _ACL, _search),
    route("POST", "/products", _ACL, _create, _TOPIC + "save.post"),
    route("GET", "/products/attribute-sets/sets/list", "Magento_Catalog::sets", _attribute_sets),
    route(
        "POST", "/products/attributes/color/options", "Magento_Catalog::attributes_attributes", _add_option
    ),
    route("GET", "/products/{sku}", _ACL, _get),
    route("PUT", "/products/{sku}", _ACL, _update, _TOPIC + "save.put"),
    route("DELETE", "/products/{sku}", _ACL, _delete, _TOPIC + "deletebyid.delete"),
    route("GET", "/configurable-products/{sku}/children", _ACL, _children),
    route("GET", "/categories", _CATEGORY, _tree),
    route("GET", "/categories/list", _CATEGORY, _category_list),
    route("GET", "/categories/{id}", _CATEGORY, _category_get),
    route("GET", "/categories/{id}/products", _CATEGORY, _category_products),
)
