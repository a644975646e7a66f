"""Payment methods and their transactions.

Offline methods take part in no gateway: every invoice counts as paid. The gateway-like ones stand for a
module that always says yes: `cardauth` authorises when the order is placed, `cardpay` and `paypal_express`
capture at once, and so does `cardbase`, which settles in base currency whatever the order's. `/transactions` nests children and lists them flat as well, and has no amounts. Source:
recorded exchanges with Magento Open Source 2.4.4 (order_life_online, made with such a stand-in module).
"""

from __future__ import annotations

import secrets
from decimal import Decimal

from sandbox.magento.columns import TRANSACTIONS
from sandbox.magento.criteria import read
from sandbox.magento.documents import add, history, pounds
from sandbox.magento.errors import not_found
from sandbox.magento.routing import Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop

TITLES = {
    "checkmo": "Check / Money order",
    "banktransfer": "Bank Transfer Payment",
    "cashondelivery": "Cash On Delivery",
    "purchaseorder": "Purchase Order",
    "free": "No Payment Information Required",
    "cardpay": "Card",
    "cardauth": "Card",
    "paypal_express": "PayPal Express Checkout",
    "cryptopay": "CryptoPay",
    "cardbase": "Card, charged in the shop's base currency",
}
CAPTURE_AT_ONCE = ("cardpay", "paypal_express", "cardbase")
_GATEWAY = ("cardauth", *CAPTURE_AT_ONCE)


def is_gateway(order: Doc) -> bool:
    """Whether the order is paid through a gateway that can capture and refund."""
    return order["payment"]["method"] in _GATEWAY


def payment(shop: Shop, order: Doc, method: str) -> Doc:
    """The payment row of a new order."""
    return {
        "account_status": None,
        "additional_information": [TITLES.get(method, method)],
        "amount_ordered": order["grand_total"],
        "base_amount_ordered": order["base_grand_total"],
        "base_shipping_amount": order["base_shipping_amount"],
        "cc_last4": None,
        "entity_id": shop.next_id("payments"),
        "method": method,
        "parent_id": order["entity_id"],
        "shipping_amount": order["shipping_amount"],
    }


def transaction(shop: Shop, order: Doc, kind: str, parent: str | None, at: str) -> str:
    """Record a transaction and make it the payment's last one; returns its gateway id."""
    short = {"authorization": "auth", "capture": "cap", "refund": "ref", "void": "void"}[kind]
    number = f"{short}-{secrets.token_hex(7)[:13]}" if kind != "void" else f"{parent}-void"
    row: Doc = {
        "transaction_id": shop.next_id("transactions"),
        "order_id": order["entity_id"],
        "payment_id": order["payment"]["entity_id"],
        "txn_id": number,
        "parent_txn_id": parent,
        "txn_type": kind,
        "is_closed": 1 if kind in ("refund", "void") else 0,
        "additional_information": [],
        "created_at": at,
    }
    above = next((entry for entry in shop.all("transactions") if entry["txn_id"] == parent), None)
    if above is not None:
        row["parent_id"] = above["transaction_id"]
        if kind in ("refund", "void"):
            shop.put("transactions", above | {"is_closed": 1})
    shop.put("transactions", row)
    order["payment"]["last_trans_id"] = number
    return number


def authorization(shop: Shop, order: Doc) -> str | None:
    """The gateway id of the order's authorisation."""
    for row in shop.all("transactions"):
        if row["order_id"] == order["entity_id"] and row["txn_type"] == "authorization":
            return str(row["txn_id"])
    return None


def capture(shop: Shop, order: Doc, invoice: Doc, at: str) -> None:
    """Ask the gateway for an invoice's money."""
    parent = authorization(shop, order)
    number = transaction(shop, order, "capture", parent, at)
    invoice["transaction_id"] = number
    shop.gateway.append(
        {"call": "capture", "amount": invoice["base_grand_total"], "order_id": order["entity_id"]}
    )
    add(order["payment"], "base_amount_paid_online", Decimal(invoice["base_grand_total"]))
    text = f'Captured amount of {pounds(invoice["base_grand_total"])} online. Transaction ID: "{number}"'
    history(shop, order, text, "invoice", at)


def void(shop: Shop, order: Doc, at: str) -> None:
    """Give an authorisation back when the order is cancelled."""
    parent = authorization(shop, order)
    if parent is None:
        return
    number = transaction(shop, order, "void", parent, at)
    amount = pounds(order["base_grand_total"])
    history(shop, order, f'Canceled order online Amount: {amount}. Transaction ID: "{number}"', "order", at)


def _shown(shop: Shop, row: Doc) -> Doc:
    children = [
        entry for entry in shop.all("transactions") if entry.get("parent_id") == row["transaction_id"]
    ]
    return row | {"child_transactions": [_shown(shop, child) for child in children]}


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("transactions"), criteria, TRANSACTIONS, past_end=shop.options.past_end)
    return listing([_shown(shop, dict(row)) for row in rows], criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    row = shop.peek("transactions", call.number("id"))
    if row is None:
        raise not_found()
    return _shown(shop, row)


ROUTES: tuple[Route, ...] = (
    route("GET", "/transactions", "Magento_Sales::transactions_fetch", _search),
    route("GET", "/transactions/{id}", "Magento_Sales::transactions_fetch", _get),
)
