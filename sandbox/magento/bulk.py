"""Asynchronous and bulk calls: accepted with 202, done when the consumer runs.

Accepted does not mean valid: a row that is refused later ends as status 3 with error code 0. An element of
the wrong shape refuses the whole bulk. Bulk routes with a path parameter always fail with the plain-text
500 (a known fault of 2.4.3 to 2.4.4). Source: recorded exchanges with Magento Open Source 2.4.4
(async_bulk).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sandbox.magento.errors import ApiError, Crash, bad_request, not_found, required
from sandbox.magento.render import dumps
from sandbox.magento.routing import Call, Handler, Route, route
from sandbox.magento.shop import Doc, Shop

COMPLETE, RETRIABLE, FAILED, OPEN, REJECTED = 1, 2, 3, 4, 5
_WRAPPERS = {
    "/inventory/source-items": "sourceItems",
    "/inventory/source-items-delete": "sourceItems",
    "/products": "product",
    "/products/{sku}": "product",
}


def accept(shop: Shop, entry: Route, calls: Sequence[Call]) -> Doc:
    """Take the elements in; they are worked on when the consumer runs."""
    if not shop.options.broker:
        raise bad_request("Something went wrong while processing the request.")
    wrapper = _WRAPPERS.get(entry.template, "prices")
    for call in calls:
        if not isinstance(call.body, dict) or wrapper not in call.body:
            raise required(wrapper)
    number = str(uuid.uuid4())
    operations = [
        {"id": index, "status": OPEN, "result_message": None, "error_code": None}
        for index in range(len(calls))
    ]
    shop.bulks[number] = {
        "bulk_id": number,
        "topic": entry.topic,
        "start_time": shop.stamp(),
        "operations": operations,
        "work": [(entry.handler, call) for call in calls],
        "user_id": calls[0].user_id,
    }
    items = [
        {
            "id": index,
            "data_hash": hashlib.sha256(dumps(call.body).encode()).hexdigest(),
            "status": "accepted",
        }
        for index, call in enumerate(calls)
    ]
    return {"bulk_uuid": number, "request_items": items, "errors": False}


def calls_of(entry: Route, call: Call) -> list[Call]:
    """The elements of a bulk body, one call each; a path parameter breaks the route."""
    if "{" in entry.template:
        raise Crash
    if not isinstance(call.body, list):
        raise required(_WRAPPERS.get(entry.template, "prices"))
    return [replace(call, body=element) for element in call.body]


def consume(shop: Shop, number: str | None = None) -> int:
    """Run the consumer over open operations; returns how many it worked on."""
    worked = 0
    for bulk in list(shop.bulks.values()):
        if number is not None and bulk["bulk_id"] != number:
            continue
        for operation, (handler, call) in zip(bulk["operations"], bulk["work"], strict=True):
            if operation["status"] == OPEN:
                _work(shop, operation, handler, call)
                worked += 1
    return worked


def _work(shop: Shop, operation: Doc, handler: Handler, call: Call) -> None:
    try:
        handler(shop, call)
    except ApiError as refused:
        operation |= {"status": FAILED, "result_message": refused.message, "error_code": 0}
    except Crash:
        operation |= {"status": FAILED, "result_message": "Sorry, something went wrong.", "error_code": 0}
    else:
        operation |= {"status": COMPLETE, "result_message": f"Service execution success {handler.__module__}"}


def _load(shop: Shop, call: Call) -> Doc:
    number = call.path["uuid"]
    if number not in shop.bulks:
        raise not_found("Bulk uuid %bulkUuid not exist", {"bulkUuid": number})
    return shop.bulks[number]


def _head(bulk: Doc, operations: list[Doc]) -> Doc:
    return {
        "operations_list": operations,
        "user_type": 2,
        "bulk_id": bulk["bulk_id"],
        "description": f"Topic {bulk['topic']}",
        "start_time": bulk["start_time"],
        "user_id": bulk["user_id"],
        "operation_count": len(bulk["operations"]),
    }


def _status(shop: Shop, call: Call) -> Doc:
    bulk = _load(shop, call)
    return _head(bulk, [dict(operation) for operation in bulk["operations"]])


def _detailed(shop: Shop, call: Call) -> Doc:
    bulk = _load(shop, call)
    found = []
    for operation, (_, sent) in zip(bulk["operations"], bulk["work"], strict=True):
        failed = operation["status"] not in (COMPLETE, OPEN)
        meta = dumps({"entity_id": None, "entity_link": "", "meta_information": dumps(sent.body)})
        found.append(
            {
                "id": operation["id"],
                "bulk_uuid": bulk["bulk_id"],
                "topic_name": bulk["topic"],
                "serialized_data": meta if failed else None,
                "result_serialized_data": None,
                "status": operation["status"],
                "result_message": operation["result_message"],
                "error_code": operation["error_code"],
            }
        )
    return _head(bulk, found)


def _count(shop: Shop, call: Call) -> Any:
    bulk = _load(shop, call)
    wanted = call.number("status")
    return sum(1 for operation in bulk["operations"] if operation["status"] == wanted)


_ACL = "Magento_Logging::system_magento_logging_bulk_operations"
ROUTES: tuple[Route, ...] = (
    route("GET", "/bulk/{uuid}/status", _ACL, _status),
    route("GET", "/bulk/{uuid}/detailed-status", _ACL, _detailed),
    route("GET", "/bulk/{uuid}/operation-status/{status}", _ACL, _count),
)
