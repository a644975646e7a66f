"""The sample trade: orders of every ordinary kind, and one of each kind of bad input.

A trade is a list of *stories*. A story is what one shopper did and what the shop did about it: place, invoice, ship,
refund, cancel, each at its own time. :func:`play` performs them on the stand-ins over HTTP, through their control
addresses, as shop staff would; nothing here knows how tieout maps any of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from sandbox.people import Shopper, shopper

Json = dict[str, Any]

CUT_OVER = datetime(2026, 1, 1, tzinfo=UTC)
"""First day that the demo's routes bill; `before cut-over` is placed earlier."""

TRADE_BEGINS = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
TRADE_DAYS = 31
INVOICE_PREFIX = "WEB-"
"""The prefix of invoice numbers in the demo's routes: used to plant a number that somebody else already took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One story as it was played: `case` (its kind), `order_id` and `increment_id` of the order that it made."""

    case: str
    order_id: int
    increment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """The two stand-ins by their addresses, as a shop's staff (Magento) and an accountant (Xero) reach them."""

    magento: str
    xero: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def shop(self, verb: str, **body: Any) -> Any:
        """Perform `verb` (place, invoice, ship, refund, cancel, edit …) in the shop."""
        return self._post(f"{self.magento}/_sandbox/{verb}", body)

    def ledger(self, verb: str, **body: Any) -> Any:
        """Perform `verb` (edit, records/Contacts …) in the accounting system, as a person would."""
        return self._post(f"{self.xero}/_sandbox/{verb}", body)

    def state(self, entity: str) -> list[Json]:
        """Raw documents of one entity of the shop."""
        answer = self.http.get(f"{self.magento}/_sandbox/state/{entity}")
        answer.raise_for_status()
        body = answer.json()
        return (
            list(body.values())
            if isinstance(body, dict) and entity not in body
            else body[entity]
            if isinstance(body, dict)
            else body
        )

    def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        sent = _ENCODER.encode({key: value for key, value in body.items() if value is not None})
        answer = self.http.post(url, content=sent, headers={"Content-Type": "application/json"})
        if answer.is_error:
            raise RuntimeError(f"{url} refused {dict(body)}: {answer.status_code} {answer.text[:500]}")
        return _decode(answer.content) if answer.content else None


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _decode(content: bytes) -> Any:
    return json.loads(content, parse_float=Decimal)


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
    **extra: Any,
) -> Json:
    """Place one order for a shopper, as a guest or as a registered customer."""
    customer_id = register(stand, who, store) if customer else None
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


def register(stand: Stand, who: Shopper) -> int:
    """The shopper's customer number; registers them on their first order."""
    for customer in stand.state("customers"):
        if customer["email"].lower() == who.email.lower():
            return int(customer["id"])
    made = stand.shop(
        "customers",
        email=who.email,
        firstname=who.firstname,
        lastname=who.lastname,
        website_id=1,
        store_id=1,
        group_id=1,
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


# --- ordinary stories ---------------------------------------------------------------------------------------------


def card_guest(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A guest pays a mug or two by card; it is shipped the next day."""
    order = place(stand, who, at, [item("MUG-01", chance.randint(1, 4))])
    stand.shop("ship", order_id=order["entity_id"], at=stamp(at + timedelta(days=1)))
    return order


def cheque_customer(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A customer with a coupon pays by cheque: invoiced, open until somebody really pays."""
    order = place(
        stand, who, at, [item("TEE", 2, simple_sku="TEE-M-RED")], pay="checkmo", coupon="TEN", customer=True
    )
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=3)))
    return order


def several_rates(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Standard, reduced and zero rated goods in one order, paid by PayPal."""
    return place(
        stand,
        who,
        at,
        [item("MUG-01"), item("BOOK-01", chance.randint(1, 3)), item("ZERO-01")],
        pay="paypal_express",
    )


def services(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A virtual order for a service, complete as soon as it is invoiced."""
    return place(
        stand, who, at, [item("SVC-INSTALL"), item("SVC-CONSULT", chance.randint(1, 2))], customer=True
    )


def goods_and_service(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A lamp and its installation: two accounts and shipping on one invoice; discount also on shipping."""
    return place(
        stand, who, at, [item("LAMP-01", chance.randint(1, 3)), item("SVC-INSTALL")], coupon="TENSHIP"
    )


def euro(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """The euro view, with Irish tax: every figure rounded on its own in two currencies."""
    return place(
        stand, who.in_ireland(), at, [item("LAMP-01", chance.randint(1, 4)), item("BOOK-01")], store="eu"
    )


def trade_account(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """The trade store, prices with tax, discount, paid by bank transfer on an invoice."""
    order = place(
        stand,
        who,
        at,
        [item("MUG-01", 6), item("PEN-03", chance.randint(3, 9))],
        store="trade_en",
        pay="banktransfer",
        coupon="TEN",
    )
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=5)))
    return order


def two_invoices(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Authorised by card, captured with each of two partial invoices."""
    order = place(stand, who, at, [item("MUG-01", 3), item("LAMP-01", 2)], pay="cardauth")
    mug, lamp = line_of(order, "MUG-01"), line_of(order, "LAMP-01")
    number = order["entity_id"]
    stand.shop(
        "invoice",
        order_id=number,
        items=[{"order_item_id": mug, "qty": 2}],
        capture=True,
        at=stamp(at + timedelta(hours=2)),
    )
    stand.shop(
        "invoice",
        order_id=number,
        items=[{"order_item_id": mug, "qty": 1}, {"order_item_id": lamp, "qty": 2}],
        capture=True,
        at=stamp(at + timedelta(days=2)),
    )
    return order


def bundles(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Both kinds of bundle: money on the children, and money on the parent."""
    selections = [{"sku": "MUG-01", "qty": 1}, {"sku": "BOOK-01", "qty": 2}]
    return place(
        stand,
        who,
        at,
        [
            item("BUNDLE-DYN", chance.randint(1, 2), selections=selections),
            item("BUNDLE-FIX", selections=selections),
        ],
    )


def pens(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Odd prices in odd quantities with a coupon: where cents go astray."""
    kinds = chance.sample(range(1, 21), 5)
    order = place(
        stand,
        who,
        at,
        [item(f"PEN-{kind:02d}", chance.randint(1, 13)) for kind in kinds],
        pay="paypal_express",
        coupon="TEN",
    )
    stand.shop("ship", order_id=order["entity_id"], at=stamp(at + timedelta(days=2)))
    return order


def refunded_card(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Paid by card, everything sent back and refunded."""
    order = place(stand, who, at, [item("LAMP-01"), item("MUG-01", 2)])
    invoice = invoices_of(stand, order)[0]
    stand.shop(
        "refund",
        order_id=order["entity_id"],
        invoice_id=invoice["entity_id"],
        online=True,
        at=stamp(at + timedelta(days=3)),
    )
    return order


def partly_refunded(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """One of three pieces comes back, with a goodwill adjustment and without shipping."""
    order = place(stand, who, at, [item("MUG-01", 3)], pay="paypal_express")
    invoice = invoices_of(stand, order)[0]
    stand.shop(
        "refund",
        order_id=order["entity_id"],
        invoice_id=invoice["entity_id"],
        online=True,
        items=[{"order_item_id": line_of(order, "MUG-01"), "qty": 1}],
        arguments={"shipping_amount": 0, "adjustment_positive": 2, "adjustment_negative": 0},
        at=stamp(at + timedelta(days=4)),
    )
    return order


def credited_unpaid(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Invoiced on account, then credited before anybody paid: the credit note settles the invoice."""
    order = place(stand, who, at, [item("LAMP-01", 2)], pay="banktransfer", customer=True)
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=1)))
    stand.shop("refund", order_id=order["entity_id"], at=stamp(at + timedelta(days=2)))
    return order


def cancelled(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Cancelled before anything was invoiced: nothing to book."""
    order = place(stand, who, at, [item("MUG-01")], pay="checkmo")
    stand.shop("cancel", order_id=order["entity_id"], at=stamp(at + timedelta(hours=6)))
    return order


def pending(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Placed and not yet invoiced."""
    return place(stand, who, at, [item("BOOK-01", 2)], pay="cashondelivery")


def free_of_charge(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A coupon takes everything off; the invoice is for nothing."""
    order = place(stand, who, at, [item("SVC-CONSULT")], pay="free", coupon="FREE100")
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(minutes=30)))
    return order


def adopted(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A shopper whom the accountant already has as a contact, by the same e-mail."""
    return place(stand, who.renamed("Alice", "Adopted", "adopted@example.com"), at, [item("MUG-01")])


ORDINARY: tuple[Teller, ...] = (
    card_guest,
    cheque_customer,
    several_rates,
    services,
    goods_and_service,
    euro,
    trade_account,
    two_invoices,
    bundles,
    pens,
    refunded_card,
    partly_refunded,
    credited_unpaid,
    cancelled,
    pending,
    free_of_charge,
    card_guest,
    pens,
    several_rates,
)


# --- bad input ----------------------------------------------------------------------------------------------------


def price_is_text(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An extension wrote a text where a price belongs."""
    order = place(stand, who, at, [item("MUG-01")])
    edit_order(stand, order, {"items.0.price": "twelve"})
    for invoice in invoices_of(stand, order):
        stand.shop(
            "edit", entity="invoices", id=invoice["entity_id"], fields={"items.0.price": "twelve"}, touch=True
        )
    return order


def tax_unknown(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A tax code that no lookup names."""
    order = place(stand, who, at, [item("MUG-01")])
    applied = order["extension_attributes"]["item_applied_taxes"]
    edit_order(
        stand,
        order,
        {
            f"extension_attributes.item_applied_taxes.{row}.applied_taxes.{column}.code": "GB-LUXURY"
            for row, taxes in enumerate(applied)
            for column, _ in enumerate(taxes["applied_taxes"])
        }
        | {
            f"extension_attributes.applied_taxes.{row}.code": "GB-LUXURY"
            for row, _ in enumerate(order["extension_attributes"]["applied_taxes"])
        },
    )
    return order


def category_unknown(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A product in a category without an account."""
    return place(stand, who, at, [item("ODD-01", 2)])


def account_unknown(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A product in a category whose account Xero does not have."""
    return place(stand, who, at, [item("GADGET-01")])


def payment_unlisted(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A payment method that no lookup lists."""
    return place(stand, who, at, [item("MUG-01")], pay="cryptopay")


def email_missing(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A guest order without an e-mail."""
    order = place(stand, who, at, [item("MUG-01", 2)])
    edit_order(stand, order, {"customer_email": None, "billing_address.email": None})
    return order


def name_too_long(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A name longer than a contact's name may be."""
    return place(
        stand,
        who.renamed("Maximiliana " * 16, "Featherstonehaugh " * 8, "long.name@example.com"),
        at,
        [item("MUG-01")],
    )


def name_taken(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Another person of the same name is a contact already."""
    return place(stand, who.renamed("Taken", "Name", "another.taken@example.com"), at, [item("BOOK-01")])


def contact_archived(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """The shopper's contact was archived in Xero."""
    email = "retired.shopper@example.com"
    made = stand.ledger(
        "records/Contacts", Name="Retired Shopper", ContactNumber=f"shop/guest/{email}", EmailAddress=email
    )
    stand.ledger("edit", entity="Contacts", id=made["ContactID"], fields={"ContactStatus": "ARCHIVED"})
    return place(stand, who.renamed("Retired", "Shopper", email), at, [item("MUG-01")])


def currency_lacking(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A currency to which the organisation is not subscribed."""
    order = place(stand, who, at, [item("MUG-01")], store="eu")
    edit_order(stand, order, {"order_currency_code": "USD"})
    for invoice in invoices_of(stand, order):
        stand.shop(
            "edit",
            entity="invoices",
            id=invoice["entity_id"],
            fields={"order_currency_code": "USD"},
            touch=True,
        )
    return order


def cents_unexplained(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A surcharge of 0.50 in the total that no field explains."""
    order = place(stand, who, at, [item("MUG-01")])
    for invoice in invoices_of(stand, order):
        total = f"{float_free(invoice['grand_total']):.2f}"
        whole, cents = total.split(".")
        raised = int(whole) * 100 + int(cents) + 50
        stand.shop(
            "edit",
            entity="invoices",
            id=invoice["entity_id"],
            fields={"grand_total": raised / 100},
            touch=True,
        )
    return order


def number_used(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Somebody typed an invoice with our next number into Xero."""
    order = place(stand, who, at, [item("LAMP-01")])
    number = INVOICE_PREFIX + invoices_of(stand, order)[0]["increment_id"]
    stand.ledger(
        "records/Invoices",
        Type="ACCREC",
        Contact={"Name": "Walk-in customer"},
        InvoiceNumber=number,
        Date="2026-10-02",
        DueDate="2026-10-30",
        Status="AUTHORISED",
        LineItems=[
            {
                "Description": "Typed by hand",
                "Quantity": 1,
                "UnitAmount": 10,
                "AccountCode": "260",
                "TaxType": "NONE",
            }
        ],
    )
    return order


def before_cut_over(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An order from before the day on which tieout took over: mirrored, never posted, counted."""
    return place(stand, who, CUT_OVER - timedelta(days=17), [item("MUG-01", 3)])


BAD: tuple[Teller, ...] = (
    price_is_text,
    tax_unknown,
    category_unknown,
    account_unknown,
    payment_unlisted,
    email_missing,
    name_too_long,
    name_taken,
    contact_archived,
    currency_lacking,
    cents_unexplained,
    number_used,
    before_cut_over,
)


# --- playing ------------------------------------------------------------------------------------------------------


def stories(orders: int, *, seed: int = 2026, bad: bool = True) -> Iterator[tuple[Teller, Shopper, datetime]]:
    """`orders` stories in the order of time: one of each bad kind when `bad`, one adopted contact, the rest ordinary."""
    chance = random.Random(seed)
    special: list[Teller] = [adopted, *(BAD if bad else ())]
    tellers = [
        *special[:orders],
        *(ORDINARY[number % len(ORDINARY)] for number in range(max(0, orders - len(special)))),
    ]
    chance.shuffle(tellers)
    for number, teller in enumerate(tellers):
        at = TRADE_BEGINS + timedelta(minutes=number * TRADE_DAYS * 24 * 60 // max(1, orders))
        yield teller, shopper(chance), at


def play(
    stand: Stand,
    orders: int,
    *,
    seed: int = 2026,
    bad: bool = True,
    told: Callable[[Played], None] | None = None,
) -> list[Played]:
    """Play a trade of `orders` orders; `told` hears of each as it is done."""
    chance = random.Random(seed + 1)
    prepare(stand)
    played = []
    for teller, who, at in stories(orders, seed=seed, bad=bad):
        order = teller(stand, who, at, chance)
        played.append(
            Played(
                case=teller.__name__,
                order_id=int(order["entity_id"]),
                increment_id=str(order["increment_id"]),
            )
        )
        if told is not None:
            told(played[-1])
    return played


def prepare(stand: Stand) -> None:
    """Stock the one product that only the sample trade has: in a category whose account Xero lacks."""
    if any(product["sku"] == "GADGET-01" for product in stand.state("products")):
        return
    stand.shop(
        "products", sku="GADGET-01", name="Gadget", price=24.99, tax_class="Taxable Goods", category="Gadgets"
    )


def edit_order(stand: Stand, order: Json, fields: Mapping[str, Any]) -> None:
    """Change an order behind the shop's back, as a broken extension does."""
    stand.shop("edit", entity="orders", id=order["entity_id"], fields=dict(fields), touch=True)


def invoices_of(stand: Stand, order: Json) -> list[Json]:
    """The invoices of one order, oldest first."""
    found = [
        invoice for invoice in stand.state("invoices") if int(invoice["order_id"]) == int(order["entity_id"])
    ]
    return sorted(found, key=lambda invoice: int(invoice["entity_id"]))
