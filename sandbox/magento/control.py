"""Magento's own control routes under `/_sandbox`: what shoppers, staff and broken extensions do, without a
login.

POST place, pay, invoice, ship, refund, cancel, hold, unhold, comment, revise (edit an order), deposit,
capture, cancel_invoice, edit (stored fields), delete, customers, products, customer_groups, tax_classes,
tax_rates, tax_rules, stock, currency_rate, consume; GET state/<table>. Bodies and answers are JSON; a refusal of the shop is answered as REST would
answer it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import flask

from sandbox.magento import (
    bulk,
    checkout,
    creditmemos,
    customers,
    desk,
    directory,
    invoices,
    orders,
    products,
    shipments,
    stock,
)
from sandbox.magento.catalog import save
from sandbox.magento.errors import ApiError, Crash, bad_request, not_found
from sandbox.magento.orderview import show
from sandbox.magento.render import dumps, loads
from sandbox.magento.shop import Doc, Shop

TABLES = [
    "orders",
    "invoices",
    "creditmemos",
    "shipments",
    "transactions",
    "comments",
    "products",
    "customers",
    "categories",
    "tax_classes",
    "tax_rates",
    "tax_rules",
    "customer_groups",
    "source_items",
]
_MISSING = object()


def blueprint(shop: Shop) -> flask.Blueprint:
    """The routes, to be mounted at `/_sandbox`."""
    routes = flask.Blueprint("magento_control", __name__)
    actions: dict[str, Callable[[Shop, Doc], Any]] = {
        "place": _place,
        "pay": _pay,
        "invoice": _invoice,
        "ship": _ship,
        "refund": _refund,
        "cancel": _cancel,
        "hold": _hold,
        "unhold": _unhold,
        "comment": _comment,
        "edit": _edit,
        "delete": _delete,
        "customers": _customer,
        "products": _product,
        "consume": _consume,
        "stock": _stock,
        "currency_rate": _currency_rate,
        "revise": _revise,
        "deposit": _deposit,
        "capture": _capture,
        "cancel_invoice": _cancel_invoice,
        "tax_classes": lambda shop, body: {"class_id": int(directory.add_tax_class(shop, body))},
        "tax_rates": directory.add_tax_rate,
        "tax_rules": directory.add_tax_rule,
        "customer_groups": directory.add_customer_group,
    }

    def act(name: str) -> flask.Response:
        try:
            body = loads(flask.request.get_data(as_text=True) or "{}")
            return _answer(actions[name](shop, body))
        except ApiError as refused:
            return _answer(refused.body(), refused.status)
        except Crash as crash:
            return flask.Response(crash.body, 500, content_type=crash.content_type)

    for name in actions:
        routes.add_url_rule(f"/{name}", name, act, methods=["POST"], defaults={"name": name})

    @routes.get("/state/<table>")
    def state(table: str) -> flask.Response:
        special: dict[str, Any] = {"reservations": shop.reservations, "gateway": shop.gateway}
        if table in special:
            return _answer(special[table])
        if table not in TABLES:
            return _answer({"error": f"tables are {', '.join([*TABLES, *special])}"}, 404)
        asked = [*flask.request.args.items()]
        return _answer(
            [
                row
                for row in shop.all(table)
                if all(_text(row, name) == value.lower() for name, value in asked)
            ]
        )

    return routes


def _text(row: Doc, name: str) -> str | None:
    """A field as a question in the address asks for it (`?order_id=7`): letter case does not matter."""
    return str(row[name]).lower() if name in row else None


def _answer(value: Any, status: int = 200) -> flask.Response:
    return flask.Response(dumps(value), status, content_type="application/json; charset=utf-8")


def _order_id(body: Doc) -> int:
    if "order_id" not in body:
        raise bad_request("order_id is missing")
    return int(body["order_id"])


def _shown(shop: Shop, order_id: int) -> Doc:
    return show(shop, shop.load("orders", order_id))


def _place(shop: Shop, body: Doc) -> Doc:
    return _shown(shop, checkout.place(shop, body))


def _pay(shop: Shop, body: Doc) -> Doc:
    """Money came in: everything left is invoiced, captured where there is a gateway."""
    return _invoice(shop, {"capture": True, **body})


def _invoice(shop: Shop, body: Doc) -> Doc:
    """`not_captured` is the admin's "Not Capture": the invoice stays open."""
    chosen = bool(body.get("not_captured"))
    number = invoices.create(shop, _order_id(body), body, body.get("at"), not_captured=chosen)
    return shop.load("invoices", number)


def _revise(shop: Shop, body: Doc) -> Doc:
    """Edit an order: the body of `place`, and `order_id` of the one it replaces."""
    return _shown(shop, desk.revise(shop, _order_id(body), body))


def _deposit(shop: Shop, body: Doc) -> Doc:
    counted = str(body.get("counted") or "twice")
    desk.deposit(shop, _order_id(body), Decimal(str(body["amount"])), body.get("at"), counted=counted)
    return _shown(shop, _order_id(body))


def _capture(shop: Shop, body: Doc) -> Doc:
    invoices.capture(shop, int(body["invoice_id"]), body.get("at"))
    return shop.load("invoices", int(body["invoice_id"]))


def _cancel_invoice(shop: Shop, body: Doc) -> Doc:
    desk.cancel_invoice(shop, int(body["invoice_id"]), body.get("at"))
    return shop.load("invoices", int(body["invoice_id"]))


def _ship(shop: Shop, body: Doc) -> Doc:
    return shop.load("shipments", shipments.create(shop, _order_id(body), body, body.get("at")))


def _refund(shop: Shop, body: Doc) -> Doc:
    """By order; by invoice if `invoice_id` is given or `online` is true (then the order's last one).

    By order it is the admin's form: on Commerce `to_store_credit` (true, or an amount) goes to the store credit.
    `simultaneous` (true) makes two of them at once, as seen on a real 2.4.4 (concurrency).
    """
    if body.get("simultaneous"):
        return _at_once(shop, body)
    number = body.get("invoice_id")
    if number is None and body.get("online"):
        found = [row["entity_id"] for row in shop.all("invoices") if row["order_id"] == _order_id(body)]
        if not found:
            raise not_found()
        number = found[-1]
    if number is None:
        memo = creditmemos.refund_order(shop, _order_id(body), body, body.get("at"), by_person=True)
    else:
        sent = {"isOnline": bool(body.get("online")), **body}
        memo = creditmemos.refund_invoice(shop, int(number), sent, body.get("at"))
    return shop.load("creditmemos", memo)


def _at_once(shop: Shop, body: Doc) -> Doc:
    """Two refunds read the order before either wrote it: both memos stay, its totals count the last one alone."""
    order = shop.load("orders", _order_id(body))
    single = {key: value for key, value in body.items() if key != "simultaneous"}
    _refund(shop, single)
    shop.put("orders", order)
    return _refund(shop, single)


def _cancel(shop: Shop, body: Doc) -> Doc:
    orders.cancel(shop, _order_id(body), body.get("at"))
    return _shown(shop, _order_id(body))


def _hold(shop: Shop, body: Doc) -> Doc:
    orders.hold(shop, _order_id(body), body.get("at"))
    return _shown(shop, _order_id(body))


def _unhold(shop: Shop, body: Doc) -> Doc:
    orders.unhold(shop, _order_id(body), body.get("at"))
    return _shown(shop, _order_id(body))


def _comment(shop: Shop, body: Doc) -> Doc:
    """The status it has is kept unless `status` is given, null included."""
    order = shop.load("orders", _order_id(body))
    sent = {"status": order.get("status"), "is_customer_notified": 0, **body}
    orders.comment(shop, order["entity_id"], sent, body.get("at"))
    return _shown(shop, order["entity_id"])


def _edit(shop: Shop, body: Doc) -> Doc:
    """Change stored fields past all rules; `touch` (true by default) decides whether the stamp moves."""
    table = str(body.get("entity"))
    if table not in TABLES:
        raise bad_request(f"entity is one of {', '.join(TABLES)}")
    row = copy.deepcopy(shop.peek(table, int(body["id"])))
    if row is None:
        raise not_found()
    for path, value in (body.get("fields") or {}).items():
        _set(row, str(path).split("."), value)
    for path in body.get("remove") or []:
        _set(row, str(path).split("."), _MISSING)
    if body.get("touch", True) and "updated_at" in row:
        row["updated_at"] = body.get("at") or shop.stamp()
    with shop.lock:
        shop.rows[table][int(body["id"])] = row
    return row


def _set(node: Any, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    last = path[-1]
    if isinstance(node, list):
        node[int(last)] = value
    elif value is _MISSING:
        node.pop(last, None)
    elif isinstance(value, dict) and isinstance(node.get(last), dict):
        for key, inner in value.items():
            _set(node[last], [key], inner)
    else:
        node[last] = value


def _delete(shop: Shop, body: Doc) -> Doc:
    table = str(body.get("entity"))
    if table not in TABLES or not shop.remove(table, int(body["id"])):
        raise not_found()
    return {"deleted": True}


def _customer(shop: Shop, body: Doc) -> Doc:
    """A customer by its fields, or under `customer` as REST takes it."""
    at, sent = body.get("at"), body.get("customer", body)
    sent = {key: value for key, value in sent.items() if key != "at"}
    names = {"firstname": "Ann", "lastname": "Bell"}
    return customers.show(customers.create(shop, names | sent, body.get("password"), at))


def _product(shop: Shop, body: Doc) -> Doc:
    """A product by its fields, with a name, attribute set and stock if none are given.

    `weee` {country: amount a piece} is its fixed product tax.
    """
    sent: Doc = body.get("product", body)
    names: Doc = {"name": sent.get("sku"), "attribute_set_id": 4, "type_id": "simple", "weight": 1}
    stock = {"stock_item": {"qty": 1000, "is_in_stock": True}, "website_ids": [1, 2]}
    extension = stock | (sent.get("extension_attributes") or {})
    weee = sent.get("weee")
    sent = {key: value for key, value in sent.items() if key != "weee"}
    row = products.upsert(shop, names | sent | {"extension_attributes": extension}, None, 0)
    if weee is not None:
        row["weee"] = weee
        save(shop, row, None)
    return products.single(shop, row, 0)


def _stock(shop: Shop, body: Doc) -> Doc:
    """Goods came in: the source holds `quantity` of `sku`."""
    stock.set_source(shop, str(body["sku"]), Decimal(str(body["quantity"])), 1)
    return {"sku": body["sku"], "salable": stock.salable(shop, str(body["sku"]))}


def _currency_rate(shop: Shop, body: Doc) -> Doc:
    """The shop imported rates: from now on `currency` is sold at `rate` for one unit of the base currency."""
    code, rate = str(body["currency"]), str(Decimal(str(body["rate"])))
    shop.views = tuple(
        replace(view, rate_text=rate) if view.currency == code else view for view in shop.views
    )
    return {"currency": code, "rate": Decimal(rate)}


def _consume(shop: Shop, body: Doc) -> Doc:
    return {"worked": bulk.consume(shop, body.get("bulk_uuid"))}
