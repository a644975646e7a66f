"""Bad input in the sample trade: one function a kind. Each must end as one dead letter or skip, and stop nobody else."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox.people import Shopper
from sandbox.stand import Json, Stand, Teller, edit_order, invoices_of, item, place, stamp

CUT_OVER = datetime(2026, 1, 1, tzinfo=UTC)
"""First day that the demo's routes bill; `before_cut_over` is placed earlier."""

INVOICE_PREFIX = "WEB-"
"""The prefix of invoice numbers in the demo's routes: used to plant a number that somebody else already took."""


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
    luxury = [
        {**entry, "applied_taxes": [{**tax, "code": "GB-LUXURY"} for tax in entry["applied_taxes"]]}
        for entry in order["extension_attributes"]["item_applied_taxes"]
    ]
    edit_order(stand, order, {"extension_attributes.item_applied_taxes": luxury})
    return order


def category_unknown(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A product in a category without an account."""
    return place(stand, who, at, [item("ODD-01", 2)])


def account_unknown(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A product in a category whose account Xero does not have."""
    return place(stand, who, at, [item("GADGET-01")])


def payment_unlisted(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A payment method that no lookup lists."""
    order = place(stand, who, at, [item("MUG-01")], pay="cryptopay")
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(minutes=20)))
    return order


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
    stand.ledger(
        "edit", entity="Contacts", id=made["Contacts"][0]["ContactID"], fields={"ContactStatus": "ARCHIVED"}
    )
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
        raised = Decimal(invoice["grand_total"]) + Decimal("0.50")
        stand.shop(
            "edit", entity="invoices", id=invoice["entity_id"], fields={"grand_total": raised}, touch=True
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
