"""Stock: legacy stock items, MSI sources and source items, reservations and salable quantities.

Salable is the source quantity minus open reservations (orders not shipped). The legacy item and the source
item are two views of one number. Source items accept unknown skus and negative quantities. None of it
moves a product's stamp. Source: recorded exchanges with Magento Open Source 2.4.4 (stock).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sandbox.magento.catalog import find_product
from sandbox.magento.columns import SOURCE_ITEMS, SOURCES, STOCK_SOURCE_LINKS, STOCKS
from sandbox.magento.criteria import read
from sandbox.magento.errors import ApiError, bad_request, masked, not_found, required, wrong_type
from sandbox.magento.render import ZERO
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop

_SOURCE_ITEM = frozenset({"sku", "source_code", "quantity", "status", "extension_attributes"})
_STOCKED = ("simple", "virtual")
_SOURCE: Doc = {
    "source_code": "default",
    "name": "Default Source",
    "enabled": True,
    "description": "Default Source",
    "latitude": 0,
    "longitude": 0,
    "country_id": "US",
    "postcode": "00000",
    "use_default_carrier_config": True,
    "carrier_links": [],
    "extension_attributes": {"is_pickup_location_active": False, "frontend_name": ""},
}
_STOCK: Doc = {
    "stock_id": 1,
    "name": "Default Stock",
    "extension_attributes": {
        "sales_channels": [{"type": "website", "code": "base"}, {"type": "website", "code": "trade"}]
    },
}
_ITEM: Doc = {
    "stock_id": 1,
    "qty": 0,
    "is_in_stock": True,
    "is_qty_decimal": False,
    "show_default_notification_message": False,
    "use_config_min_qty": True,
    "min_qty": 0,
    "use_config_min_sale_qty": 1,
    "min_sale_qty": 1,
    "use_config_max_sale_qty": True,
    "max_sale_qty": 10000,
    "use_config_backorders": True,
    "backorders": 0,
    "use_config_notify_stock_qty": True,
    "notify_stock_qty": 1,
    "use_config_qty_increments": True,
    "qty_increments": 0,
    "use_config_enable_qty_inc": True,
    "enable_qty_increments": False,
    "use_config_manage_stock": True,
    "manage_stock": True,
    "low_stock_date": None,
    "is_decimal_divided": False,
    "stock_status_changed_auto": 0,
}


def reserve(shop: Shop, order: Doc, event: str, quantities: Mapping[int, Decimal]) -> None:
    """Reserve the stock of an order's simple items."""
    _entries(shop, order, event, quantities, Decimal(-1))


def release(shop: Shop, order: Doc, quantities: Mapping[int, Decimal]) -> None:
    """Give reserved stock free again."""
    _entries(shop, order, "order_canceled", quantities, Decimal(1))


def lacks(shop: Shop, shipped: list[tuple[Doc, Decimal]]) -> bool:
    """Whether the source holds less of something than is to be shipped of it: MSI lets no source go below nothing."""
    wanted: dict[str, Decimal] = {}
    for item, qty in shipped:
        if item["product_type"] == "simple" or item["product_type"] == "configurable":
            wanted[item["sku"]] = wanted.get(item["sku"], ZERO) + qty
    with shop.lock:
        rows = {sku: _source_row(shop, sku) for sku in wanted}
    return any(row is not None and row["quantity"] < wanted[sku] for sku, row in rows.items())


def deduct(shop: Shop, order: Doc, shipped: list[tuple[Doc, Decimal]]) -> None:
    """A shipment takes the stock from the source and closes the reservation."""
    quantities: dict[int, Decimal] = {}
    for item, qty in shipped:
        children = [row for row in order["items"] if row.get("parent_item_id") == item["item_id"]]
        if item["product_type"] == "configurable":
            quantities |= {child["item_id"]: qty for child in children}
        elif item["product_type"] != "bundle":
            quantities[item["item_id"]] = qty
    _entries(shop, order, "shipment_created", quantities, Decimal(1))
    for item in order["items"]:
        if item["item_id"] in quantities:
            _move(shop, item["sku"], -quantities[item["item_id"]])


def give_back(shop: Shop, pairs: list[tuple[Doc, Doc]], body: Doc) -> None:
    """A refund returns the items that `return_to_stock_items` names."""
    arguments = body.get("arguments")
    extension = arguments.get("extension_attributes") if isinstance(arguments, dict) else None
    wanted = extension.get("return_to_stock_items") if isinstance(extension, dict) else None
    for line, item in pairs:
        if item["item_id"] in (wanted or []) and item["product_type"] in _STOCKED:
            _move(shop, item["sku"], Decimal(line["qty"]))


def _entries(shop: Shop, order: Doc, event: str, quantities: Mapping[int, Decimal], sign: Decimal) -> None:
    for item in order["items"]:
        qty = quantities.get(item["item_id"])
        if qty and item["product_type"] in _STOCKED:
            entry = {
                "sku": item["sku"],
                "quantity": sign * qty,
                "event": event,
                "order_id": order["entity_id"],
            }
            shop.reservations.append(entry)


def _move(shop: Shop, sku: str, qty: Decimal) -> None:
    with shop.lock:
        row = _source_row(shop, sku)
        if row is not None:
            row["quantity"] = row["quantity"] + qty


def _source_row(shop: Shop, sku: str, source: str = "default") -> Doc | None:
    for row in shop.rows["source_items"].values():
        if row["sku"].casefold() == sku.casefold() and row["source_code"] == source:
            return row
    return None


def set_source(shop: Shop, sku: str, quantity: Decimal, status: int, source: str = "default") -> None:
    """Set a quantity, absolutely."""
    with shop.lock:
        row = _source_row(shop, sku, source)
        if row is None:
            row = {"sku": sku, "source_code": source}
            shop.rows["source_items"][shop.next_id("source_items")] = row
        row |= {"quantity": quantity, "status": status}


def salable(shop: Shop, sku: str) -> Decimal:
    """Source quantity plus (negative) open reservations."""
    row = _source_row(shop, sku)
    held = sum((entry["quantity"] for entry in shop.reservations if entry["sku"] == sku), ZERO)
    return (Decimal(row["quantity"]) if row is not None and row["status"] else ZERO) + held


def stock_item(shop: Shop, product: Doc) -> Doc:
    """The legacy stock item of a product."""
    item = {"item_id": product["id"], "product_id": product["id"], **_ITEM}
    row = _source_row(shop, product["sku"])
    if row is not None:
        item |= {"qty": row["quantity"], "is_in_stock": bool(row["status"])}
    return item


def _product(shop: Shop, sku: str) -> Doc:
    product = find_product(shop, sku)
    if product is None:
        raise not_found('The Product with the "%1" SKU doesn\'t exist.', [sku])
    return product


def _get_item(shop: Shop, call: Call) -> Doc:
    return stock_item(shop, _product(shop, call.path["sku"]))


def _put_item(shop: Shop, call: Call) -> int:
    """The item id in the path is ignored; only quantity and availability are kept here."""
    sent = call.wrapped("stock_item")
    product = _product(shop, call.path["sku"])
    item = stock_item(shop, product)
    qty = number(sent.get("qty", item["qty"]), "qty")
    status = int(bool(sent.get("is_in_stock", item["is_in_stock"])))
    set_source(shop, product["sku"], qty, status)
    return int(item["item_id"])


def number(value: Any, name: str) -> Decimal:
    """A float of the body; text that is no number is refused."""
    try:
        return Decimal(str(value))
    except ArithmeticError:
        raise wrong_type(value, "float", name) from None


def _source_items(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find([dict(row) for row in shop.all("source_items")], criteria, SOURCE_ITEMS)
    return listing(rows, criteria, count)


def _save_source_items(shop: Shop, call: Call) -> list[Any]:
    sent = call.body.get("sourceItems") if isinstance(call.body, dict) else None
    if not isinstance(sent, list):
        raise required("sourceItems")
    if not sent:
        raise bad_request("Input data is empty")
    rows = [(entry, number(entry.get("quantity", 0), "quantity")) for entry in sent]
    if any(set(entry) - _SOURCE_ITEM for entry in sent):
        raise masked()
    empty = [name for name in ("sku", "source_code") if any(not entry.get(name) for entry in sent)]
    if empty:
        message = '"%field" can not be empty.'
        errors = [{"message": message, "parameters": {"field": name}} for name in empty]
        raise ApiError(400, "Validation Failed", errors=errors)
    for entry, _ in rows:
        if entry.get("source_code") != "default":
            raise bad_request("Could not save Source Item")
    for entry, quantity in rows:
        set_source(shop, str(entry["sku"]), quantity, int(entry.get("status") or 0))
    return []


def _delete_source_items(shop: Shop, call: Call) -> list[Any]:
    sent = call.body.get("sourceItems") if isinstance(call.body, dict) else None
    if not isinstance(sent, list):
        raise required("sourceItems")
    wanted = {(str(entry.get("sku")), entry.get("source_code")) for entry in sent}
    with shop.lock:
        table = shop.rows["source_items"]
        for key in [key for key, row in table.items() if (row["sku"], row["source_code"]) in wanted]:
            del table[key]
    return []


def _sources(_shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find([_SOURCE], criteria, SOURCES)
    return listing(rows, criteria, count)


def _source(_shop: Shop, call: Call) -> Doc:
    if call.path["code"] != "default":
        raise not_found('Source with code "%value" does not exist.', {"value": call.path["code"]})
    return _SOURCE


def _stocks(_shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find([_STOCK], criteria, STOCKS)
    return listing(rows, criteria, count)


def _links(_shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(
        [{"stock_id": 1, "source_code": "default", "priority": 1}], criteria, STOCK_SOURCE_LINKS
    )
    return listing(rows, criteria, count)


def _resolve(shop: Shop, call: Call) -> Doc:
    if call.path["code"] not in {view.website for view in shop.views}:
        raise not_found("No linked stock found")
    return _STOCK


def _salable(shop: Shop, call: Call) -> Decimal:
    return salable(shop, _product(shop, call.path["sku"])["sku"])


def _is_salable(shop: Shop, call: Call) -> bool:
    return salable(shop, _product(shop, call.path["sku"])["sku"]) > 0


_TOPIC = "async.magento.inventoryapi.api.sourceitemssaveinterface.execute.post"
_DELETE_TOPIC = "async.magento.inventoryapi.api.sourceitemsdeleteinterface.execute.post"
ROUTES: tuple[Route, ...] = (
    route("GET", "/stockItems/{sku}", "Magento_CatalogInventory::cataloginventory", _get_item),
    route(
        "PUT", "/products/{sku}/stockItems/{item}", "Magento_CatalogInventory::cataloginventory", _put_item
    ),
    route("GET", "/inventory/sources", "Magento_InventoryApi::source", _sources),
    route("GET", "/inventory/sources/{code}", "Magento_InventoryApi::source", _source),
    route("GET", "/inventory/stocks", "Magento_InventoryApi::stock", _stocks),
    route("GET", "/inventory/stock-source-links", "Magento_InventoryApi::stock_source_link", _links),
    route("GET", "/inventory/stock-resolver/{type}/{code}", "Magento_InventorySalesApi::stock", _resolve),
    route("GET", "/inventory/source-items", "Magento_InventoryApi::source", _source_items),
    route("POST", "/inventory/source-items", "Magento_InventoryApi::source", _save_source_items, _TOPIC),
    route(
        "POST",
        "/inventory/source-items-delete",
        "Magento_InventoryApi::source",
        _delete_source_items,
        _DELETE_TOPIC,
    ),
    route(
        "GET",
        "/inventory/get-product-salable-quantity/{sku}/{stock}",
        "Magento_InventorySalesApi::stock",
        _salable,
    ),
    route(
        "GET", "/inventory/is-product-salable/{sku}/{stock}", "Magento_InventorySalesApi::stock", _is_salable
    ),
)
