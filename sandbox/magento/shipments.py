"""Shipments and tracks: the ship action takes stock from the source and moves the order's stamp only with
its state.

Two shipments of one order at once: the second finds its stock already taken and is refused. Source:
recorded exchanges with Magento Open Source 2.4.4 (order life, concurrency).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.magento.columns import SHIPMENTS
from sandbox.magento.criteria import read
from sandbox.magento.documents import comment_row, requested, total
from sandbox.magento.errors import bad_request, invalid_document
from sandbox.magento.render import ZERO
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.states import can_ship, children_of, settle, simple_to_ship, to_ship
from sandbox.magento.stock import deduct, lacks


def create(shop: Shop, order_id: int, body: Any, at: str | None = None) -> int:
    """The ship action; returns the new shipment's id."""
    body = body if isinstance(body, dict) else {}
    at = at or shop.stamp()
    order = shop.load("orders", order_id)
    before = _count(shop, order_id)
    quantities = _quantities(order, requested(body))
    messages = []
    if not can_ship(order):
        messages.append("The order does not allow a shipment to be created.")
    if not any(qty > 0 for _, qty in quantities):
        messages.append("You can't create a shipment without products.")
    if messages:
        raise invalid_document("Shipment", messages)
    shop.linger()
    if _count(shop, order_id) != before or lacks(shop, quantities):
        raise bad_request("Could not save a shipment, see error log for details")
    shipment = _shipment(shop, order, quantities, body, at)
    shop.put("shipments", shipment, at)
    for item, qty in quantities:
        item["qty_shipped"] = item["qty_shipped"] + qty
    memos = sum(1 for row in shop.all("creditmemos") if row["order_id"] == order_id)
    settle(order, memos, in_process=True)
    shop.put("orders", order, at)
    deduct(shop, order, quantities)
    return int(shipment["entity_id"])


def _count(shop: Shop, order_id: int) -> int:
    return sum(1 for row in shop.all("shipments") if row["order_id"] == order_id)


def _quantities(order: Doc, wanted: dict[int, Decimal]) -> list[tuple[Doc, Decimal]]:
    """The lines to ship; a bundle's children follow their parent, a configurable's do not appear."""
    found: list[tuple[Doc, Decimal]] = []
    for item in order["items"]:
        if "parent_item_id" in item or item["is_virtual"]:
            continue
        left = to_ship(item)
        qty = wanted.get(item["item_id"], ZERO) if wanted else left
        if qty > left:
            message = (
                'The quantity to ship must not be greater than the unshipped quantity for product SKU "{}".'
            )
            raise invalid_document("Shipment", [message.format(item["sku"])])
        if qty <= 0:
            continue
        found.append((item, qty))
        if item["product_type"] == "bundle":
            found.extend(
                (child, min(qty * child.get("_each", 1), simple_to_ship(child)))
                for child in children_of(order, item)
            )
    return found


def _shipment(shop: Shop, order: Doc, quantities: list[tuple[Doc, Decimal]], body: Doc, at: str) -> Doc:
    number = shop.next_id("shipments")
    shipment: Doc = {
        "billing_address_id": order["billing_address_id"],
        "entity_id": number,
        "increment_id": shop.increment_id("shipment", order["store_id"]),
        "order_id": order["entity_id"],
        "packages": [],
        "shipping_address_id": order.get("shipping_address_id"),
        "store_id": order["store_id"],
        "total_qty": total(qty for _, qty in quantities),
        "items": [
            {
                "entity_id": shop.next_id("shipment_items"),
                "name": item["name"],
                "parent_id": number,
                "price": item["price"],
                "product_id": item["product_id"],
                "sku": item["sku"],
                "weight": item.get("weight", 0),
                "order_item_id": item["item_id"],
                "qty": qty,
            }
            for item, qty in quantities
        ],
        "tracks": [_track(shop, order["entity_id"], number, sent, at) for sent in body.get("tracks") or []],
        "comments": [],
    }
    if "customer_id" in order:
        shipment["customer_id"] = order["customer_id"]
    sent = body.get("comment")
    if body.get("appendComment") and isinstance(sent, dict):
        shipment["comments"].append(comment_row(shop, "shipments", number, sent, at))
    arguments = body.get("arguments")
    extension = arguments.get("extension_attributes") if isinstance(arguments, dict) else None
    source = extension.get("source_code") if isinstance(extension, dict) else None
    shipment["extension_attributes"] = {"source_code": source or "default"}
    return shipment


def _track(shop: Shop, order_id: int, parent: int, sent: Doc, at: str) -> Doc:
    return {
        "order_id": order_id,
        "created_at": at,
        "entity_id": shop.next_id("tracks"),
        "parent_id": parent,
        "updated_at": at,
        "weight": sent.get("weight"),
        "qty": sent.get("qty"),
        "description": sent.get("description") or None,
        "track_number": sent.get("track_number"),
        "title": sent.get("title"),
        "carrier_code": sent.get("carrier_code"),
    }


def _action(shop: Shop, call: Call) -> str:
    return str(create(shop, call.number("id"), call.body))


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("shipments"), criteria, SHIPMENTS, past_end=shop.options.past_end)
    return listing(rows, criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    return shop.load("shipments", call.number("id"))


def _add_track(shop: Shop, call: Call) -> Doc:
    """A track moves neither the shipment's nor the order's stamp."""
    sent = call.wrapped("entity")
    shipment = shop.load("shipments", int(sent.get("parent_id") or 0))
    row = _track(
        shop, int(sent.get("order_id") or shipment["order_id"]), shipment["entity_id"], sent, shop.stamp()
    )
    shipment["tracks"].append(row)
    shop.put("shipments", shipment, shop.stamp())
    return row | {"description": sent.get("description")}


def _delete_track(shop: Shop, call: Call) -> bool:
    number = call.number("id")
    for shipment in shop.all("shipments"):
        if any(track["entity_id"] == number for track in shipment["tracks"]):
            kept = [track for track in shipment["tracks"] if track["entity_id"] != number]
            shop.put("shipments", shipment | {"tracks": kept})
            return True
    shop.load("tracks", number)
    return False


def _add_comment(shop: Shop, call: Call) -> Doc:
    sent = call.wrapped("entity")
    shipment = shop.load("shipments", call.number("id"))
    row = comment_row(shop, "shipments", shipment["entity_id"], sent, None)
    shipment["comments"].append(row | {"created_at": shop.stamp()})
    shop.put("shipments", shipment, shop.stamp())
    return row


def _comments(shop: Shop, call: Call) -> Doc:
    row = shop.load("shipments", call.number("id"))
    entry = {"field": "parent_id", "value": str(row["entity_id"]), "condition_type": "eq"}
    criteria = {"filter_groups": [{"filters": [entry]}]}
    return {"items": row["comments"], "search_criteria": criteria, "total_count": len(row["comments"])}


def _emails(shop: Shop, call: Call) -> bool:
    shop.load("shipments", call.number("id"))
    return True


ROUTES: tuple[Route, ...] = (
    route("POST", "/order/{id}/ship", "Magento_Sales::ship", _action),
    route("GET", "/shipments", "Magento_Sales::shipment", _search),
    route("POST", "/shipment/track", "Magento_Sales::shipment", _add_track),
    route("DELETE", "/shipment/track/{id}", "Magento_Sales::shipment", _delete_track),
    route("GET", "/shipment/{id}", "Magento_Sales::shipment", _get),
    route("GET", "/shipment/{id}/comments", "Magento_Sales::shipment", _comments),
    route("POST", "/shipment/{id}/comments", "Magento_Sales::shipment", _add_comment),
    route("POST", "/shipment/{id}/emails", "Magento_Sales::shipment", _emails),
)
