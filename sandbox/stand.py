"""The two stand-ins as a shop's staff and an accountant reach them: what every story of the sample trade is made of."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from sandbox.people import Shopper

Json = dict[str, Any]


@functools.cache
def _client() -> httpx.Client:
    """One for all: each new client reads every trusted certificate again."""
    return httpx.Client(timeout=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """The two stand-ins by their addresses, as a shop's staff (Magento) and an accountant (Xero) reach them."""

    magento: str
    xero: str
    http: httpx.Client = field(default_factory=_client)
    later: list[tuple[str, Act]] = field(default_factory=list)
    """What stories still want to do once the books have what they did first: name of the story and the act."""

    def after(self, story: Teller, act: Act) -> None:
        """Let a story go on after the next time that the two systems were brought in step."""
        self.later.append((story.__name__, act))

    def shop(self, verb: str, **body: Any) -> Any:
        """Perform `verb` (place, invoice, ship, refund, cancel, edit …) in the shop."""
        return self._post(f"{self.magento}/_sandbox/{verb}", body)

    def ledger(self, verb: str, **body: Any) -> Any:
        """Perform `verb` (edit, records/Contacts …) in the accounting system, as a person would."""
        return self._post(f"{self.xero}/_sandbox/{verb}", body)

    def state(self, entity: str, **fields: str | int) -> list[Json]:
        """Raw documents of one entity of the shop, those whose `fields` have these values."""
        answer = self.http.get(f"{self.magento}/_sandbox/state/{entity}", params=fields)
        answer.raise_for_status()
        documents: list[Json] = _decode(answer.content)
        return documents

    def now(self) -> datetime:
        """The time by the shop's clock."""
        answer = self.http.get(f"{self.magento}/_sandbox/clock")
        answer.raise_for_status()
        return datetime.fromisoformat(answer.json()["now"])

    def books(self, entity: str, **fields: str) -> list[Json]:
        """Records of the accounting system as it keeps them, those whose `fields` have these values."""
        answer = self.http.get(f"{self.xero}/_sandbox/state/{entity}")
        answer.raise_for_status()
        return [
            record
            for record in _decode(answer.content)
            if all(str(record.get(name)) == value for name, value in fields.items())
        ]

    def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        sent = _ENCODER.encode({key: value for key, value in body.items() if value is not None})
        answer = self.http.post(url, content=sent, headers={"Content-Type": "application/json"})
        if answer.is_error:
            raise RuntimeError(f"{url} refused {dict(body)}: {answer.status_code} {answer.text[:500]}")
        return _decode(answer.content) if answer.content else None


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _decode(content: bytes) -> Any:
    return json.loads(content, parse_float=Decimal)


Act = Callable[[datetime], Json | None]
"""The rest of a story, at a time later than all that was played before; returns the order that it placed, if any."""
Teller = Callable[[Stand, Shopper, datetime, random.Random], Json]
"""Plays one story at a stand for a shopper, starting at a time; returns the order as placed."""


def stamp(at: datetime) -> str:
    """Magento's form of a time: UTC, whole seconds."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def item(sku: str, qty: int = 1, **options: Any) -> Json:
    """One cart line."""
    return {"sku": sku, "qty": qty, **({"options": options} if options else {})}


def place(
    stand: Stand,
    who: Shopper,
    at: datetime,
    items: Sequence[Json],
    *,
    store: str = "default",
    pay: str = "cardpay",
    coupon: str | None = None,
    customer: bool = False,
    group: str = "General",
    taxvat: str | None = None,
    **extra: Any,
) -> Json:
    """Place one order for a shopper, as a guest or as a registered customer (of a group, with a VAT number)."""
    customer_id = register(stand, who, store, group=group, taxvat=taxvat) if customer else None
    order: Json = stand.shop(
        "place",
        store=store,
        customer_id=customer_id,
        email=who.email,
        firstname=who.firstname,
        lastname=who.lastname,
        billing_address=who.address(),
        shipping_address=who.address(),
        items=list(items),
        coupon=coupon,
        shipping_method="flatrate_flatrate",
        payment_method=pay,
        at=stamp(at),
        **extra,
    )
    return order


def register(
    stand: Stand, who: Shopper, store: str, *, group: str = "General", taxvat: str | None = None
) -> int:
    """The shopper's customer number on the store's website; registers them on their first order."""
    website_id, store_id = {"default": (1, 1), "eu": (1, 2), "trade_en": (2, 3)}[store]
    for customer in stand.state("customers", email=who.email, website_id=website_id):
        return int(customer["id"])
    group_id = 1 if group == "General" else stand.state("customer_groups", code=group)[0]["id"]
    made = stand.shop(
        "customers",
        email=who.email,
        firstname=who.firstname,
        lastname=who.lastname,
        website_id=website_id,
        store_id=store_id,
        group_id=group_id,
        taxvat=taxvat,
        addresses=[who.address() | {"default_billing": True}],
    )
    return int(made["id"])


def line_of(order: Json, sku: str) -> int:
    """`item_id` of the order line that carries the money of a SKU."""
    return int(
        next(
            line["item_id"]
            for line in order["items"]
            if line["sku"].startswith(sku) and not line.get("parent_item_id")
        )
    )


def edit_order(stand: Stand, order: Json, fields: Mapping[str, Any]) -> None:
    """Change an order behind the shop's back, as a broken extension does."""
    stand.shop("edit", entity="orders", id=order["entity_id"], fields=dict(fields), touch=True)


def on_list(order: Json, sku: str, qty: int) -> list[Json]:
    """Items of an invoice or a credit memo: so many pieces of one line."""
    return [{"order_item_id": line_of(order, sku), "qty": qty}]


def invoices_of(stand: Stand, order: Json) -> list[Json]:
    """The invoices of one order, oldest first."""
    found = stand.state("invoices", order_id=int(order["entity_id"]))
    return sorted(found, key=lambda invoice: int(invoice["entity_id"]))
