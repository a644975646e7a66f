"""Products, base prices and quantities at a source of a Magento shop: all known by sku.

A product PUT keeps what it does not name, but replaces whole collections that it names (website ids, category links,
media, tier prices, options, links). So an update names our plain fields and our own custom attributes and nothing else,
and goes to scope `all`, where it writes the global value and no store view's. Prices and quantities have endpoints of
their own that set absolute values and touch nothing else; neither moves the product's stamp. Quantities are physical:
Magento itself takes off what is ordered and not shipped. Source: recorded exchanges with Magento Open Source 2.4.4
(products, stock).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import psycopg

from cdc.writers import magento_values as values
from cdc.writers.magento_record import Answered
from cdc.writers.magento_values import Record
from cdc.writing import Finding, Operation, Outcome, Outgoing, TargetClient, WriteCall

_ONLY_NEW = frozenset({"extension_attributes"})
"""Collections that a PUT replaces: sent when a product is made, never again."""

PRODUCT_FOUND = Finding(
    mark=None,
    natural="`sku`; ours if all that we sent is in it",
    asked="GET products by `sku`, before each create too",
    twice="changes the product: so none is sent while there is one",
    window="Staff give the new product another sku before we ask: it is made again, and the next load shows both.",
)
PRICE_FOUND = Finding(
    mark=None,
    natural="`sku` with the price that we sent",
    asked="GET products by `sku`",
    twice="sets the same price again",
    window="",
)
STOCK_FOUND = Finding(
    mark=None,
    natural="`source_code` and `sku` with the quantity that we sent",
    asked="GET inventory/source-items by `sku`",
    twice="sets the same quantity again",
    window="What the shop itself took off the quantity meanwhile comes back, until the next stock is read.",
)


def sku_of(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The sku; letter case does not count in Magento."""
    return (values.text_key(record["sku"]),) if record.get("sku") else None


def ask_products(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[tuple[str, Record]]:
    """By sku, from the list: an address with a slash in the sku does not reach every shop."""
    skus = (str(one.payload["sku"]) for one in outgoing if one.payload.get("sku"))
    return [(str(each["id"]), each) for each in values.read_list(client, "products", "sku", skus)]


def read_products(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[tuple[str, Record]]:
    """By id, in the form of the list, which is what is mirrored."""
    ids = (str(one.target_id) for one in outgoing)
    return [(str(each["id"]), each) for each in values.read_list(client, "products", "entity_id", ids)]


def mirrored_products(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> list[tuple[str, Record]]:
    """By sku from the mirror."""
    skus = [str(one.payload["sku"]) for one in outgoing if one.payload.get("sku")]
    found = values.in_mirror(connection, name, "products", "sku", skus)
    return [(str(each["id"]), each) for each in found]


def before_product(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Outcome | None]:  # noqa: ARG001
    """What was read says all."""
    return [None for _ in outgoing]


def call_products(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """One product."""
    one = outgoing[0]
    sent = {name: values.wire(one.payload[name]) for name in values.sent_fields(one)}
    if operation == "create":
        return WriteCall(method="POST", path="/products", body={"product": sent})
    sku = str((one.held or one.payload)["sku"])
    plain = {name: value for name, value in sent.items() if name not in _ONLY_NEW}
    return WriteCall(
        method="PUT", path=f"/products/{quote(sku, safe='')}", body={"product": {**plain, "sku": sku}}
    )


def answered_product(operation: Operation, outgoing: Sequence[Outgoing], body: Any) -> list[Answered]:
    """The product as lists show it: the answer adds the stock item, and lacks two lists when it is new."""
    record = dict(body)
    extension = dict(record.get("extension_attributes") or {})
    extension.pop("stock_item", None)
    record["extension_attributes"] = extension
    is_full = operation != "create"
    return [Answered(target_id=str(int(record["id"])), record=record, full=is_full) for _ in outgoing]


def shown_product(payload: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """As the record says; of attributes and extension attributes those that are ours."""
    found = values.shown_plain(payload, record)
    ours = payload.get("custom_attributes")
    if isinstance(ours, list):
        codes = [str(each.get("attribute_code")) for each in ours if isinstance(each, Mapping)]
        known = {
            each.get("attribute_code"): each.get("value") for each in record.get("custom_attributes") or []
        }
        found["custom_attributes"] = [{"attribute_code": code, "value": known.get(code)} for code in codes]
    extension = payload.get("extension_attributes")
    if isinstance(extension, Mapping):
        held = record.get("extension_attributes") or {}
        found["extension_attributes"] = {name: held.get(name) for name in extension}
    return found


def before_price(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Outcome | None]:  # noqa: ARG001
    """A price needs its product."""
    return [None if one.held is not None else _no_product(one) for one in outgoing]


def call_prices(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:  # noqa: ARG001
    """All of them in one list; store 0 is the global price."""
    prices = [
        {"sku": one.payload["sku"], "price": one.payload["price"], "store_id": one.payload.get("store_id", 0)}
        for one in outgoing
    ]
    return WriteCall(method="POST", path="/products/base-prices", body={"prices": prices})


def answered_price(operation: Operation, outgoing: Sequence[Outgoing], body: Any) -> list[Answered]:  # noqa: ARG001
    """An empty list, or a row for each that was refused; the others are saved.

    A row names the sku, or only the price at fault. Where a row fits none or several of them, all that no other row
    names are told as refused: the same price is safe to send again.
    """
    if not isinstance(body, list):
        raise TypeError("the answer is not a list")
    refused: dict[int, list[str]] = {}
    for row in body:
        said = [str(part) for part in _parts(row.get("parameters"))]
        sentence = _sentence(str(row.get("message", "")), said)
        fitting = [one for one in outgoing if str(one.payload["sku"]) in said]
        fitting = fitting or [one for one in outgoing if _names_price(one, said)]
        for one in fitting or outgoing:
            refused.setdefault(one.entry, []).append(sentence)
    return [
        Answered(refused=tuple(refused[one.entry])) if one.entry in refused else _priced(one)
        for one in outgoing
    ]


def shown_price(payload: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """The price of the product."""
    plain = values.shown_plain(payload, record)
    return plain | ({"store_id": payload["store_id"]} if "store_id" in payload else {})


def stock_key(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Source and sku."""
    source, sku = record.get("source_code"), record.get("sku")
    return (values.text_key(source), values.text_key(sku)) if source and sku else None


def ask_stock(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[tuple[str, Record]]:
    """By sku, at every source."""
    skus = (str(one.payload["sku"]) for one in outgoing if one.payload.get("sku"))
    return [
        (_stock_id(each), each) for each in values.read_list(client, "inventory/source-items", "sku", skus)
    ]


def mirrored_stock(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> list[tuple[str, Record]]:
    """By sku from the mirror."""
    skus = [str(one.payload["sku"]) for one in outgoing if one.payload.get("sku")]
    return [
        (_stock_id(each), each) for each in values.in_mirror(connection, name, "stock_items", "sku", skus)
    ]


def before_stock(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Outcome | None]:
    """Magento keeps quantities of skus that do not exist, and quantities below zero, without a word."""
    known = {sku_of(record) for _, record in ask_products(client, outgoing)}
    return [
        _unfit_quantity(one) or (None if sku_of(one.payload) in known else _no_product(one))
        for one in outgoing
    ]


def call_stock(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:  # noqa: ARG001
    """All of them in one list, with the status, which does not follow from the quantity."""
    names = ("sku", "source_code", "quantity", "status")
    items = [{name: one.payload[name] for name in names} for one in outgoing]
    return WriteCall(method="POST", path="/inventory/source-items", body={"sourceItems": items})


def answered_stock(operation: Operation, outgoing: Sequence[Outgoing], body: Any) -> list[Answered]:  # noqa: ARG001
    """An empty list: all were set. A source item has these four fields and no more."""
    if not isinstance(body, list):
        raise TypeError("the answer is not a list")
    found = []
    for one in outgoing:
        held = one.held or {}
        record = {
            "sku": held.get("sku", one.payload["sku"]),
            "source_code": held.get("source_code", one.payload["source_code"]),
            "quantity": one.payload["quantity"],
            "status": one.payload["status"],
        }
        found.append(Answered(target_id=_stock_id(record), record=record))
    return found


def shown_stock(payload: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """As the record says."""
    return values.shown_plain(payload, record)


def _priced(one: Outgoing) -> Answered:
    if one.held is None:
        return Answered()
    # The answer shows nothing: the product as it was just read, with the new price; the loader reads it again.
    return Answered(
        target_id=str(one.held["id"]), record={**one.held, "price": one.payload["price"]}, full=False
    )


def _parts(parameters: object) -> Sequence[object]:
    if isinstance(parameters, Mapping):
        return list(parameters.values())
    return parameters if isinstance(parameters, list) else []


def _sentence(message: str, said: Sequence[str]) -> str:
    """The parameters are a list though the message names them."""
    rest = iter(said)
    words = [next(rest, word) if word.startswith("%") else word for word in message.rstrip(".").split(" ")]
    return " ".join(words) + "."


def _names_price(one: Outgoing, said: Sequence[str]) -> bool:
    price = values.as_number(one.payload["price"])
    return any(values.as_number(part) == price for part in said if values.as_number(part) is not None)


def _stock_id(item: Mapping[str, Any]) -> str:
    return f"{item['source_code']}/{item['sku']}"


def _unfit_quantity(one: Outgoing) -> Outcome | None:
    quantity = values.as_number(one.payload.get("quantity"))
    if quantity is not None and quantity >= 0:
        return None
    return Outcome(
        kind="rejected",
        cause="quantity below zero",
        field="quantity",
        reason=f"There cannot be {one.payload.get('quantity')} pieces at a source.",
        cure="Correct the quantity in the ledger.",
        who="accountant",
    )


def _no_product(one: Outgoing) -> Outcome:
    return Outcome(
        kind="rejected",
        cause="not in the shop",
        field="sku",
        reason=f"The shop has no product {one.payload.get('sku')}.",
        cure="Make the product in the shop, or let it be made (creates in back_routes.csv).",
        who="shop",
        depends_on=("products",),
    )
