"""Documents: several invoices and refunds of an order, adjustments, edits, cancellations, memos that are too much."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.cases.books import pay_back, receive
from sandbox.people import Shopper
from sandbox.stand import Json, Stand, Teller, invoices_of, item, on_list, place, stamp


def three_invoices(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Three mugs and two lamps, shipped and captured in three parts; the first carries the shipping.

    Each Dr AR, Cr sales, Cr VAT (the first also Cr shipping), then Dr 611, Cr AR: three documents, three payments.
    """
    order = place(stand, who, at, [item("MUG-01", 3), item("LAMP-01", 2)], pay="cardauth", coupon="TEN")
    parts: tuple[list[Json], ...] = (on_list(order, "MUG-01", 2), on_list(order, "LAMP-01", 1), [])
    for day, items in enumerate(parts, start=1):
        _invoice(stand, order, at + timedelta(days=day), items)
    return order


def part_refund_twice(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Three mugs paid by card; one comes back, later another, both refunded by the gateway without shipping.

    The sale of 51.00; then twice Dr sales 12.50, Dr VAT 2.50, Cr AR 15.00 and Dr AR 15.00, Cr 611 15.00.
    """
    order = place(stand, who, at, [item("MUG-01", 3)])
    for days in (3, 8):
        _refund(stand, order, at + timedelta(days=days), on_list(order, "MUG-01", 1), shipping_amount=0)
    return order


def adjustment_only_refund(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Goodwill of 3.00 by card and nothing sent back: a memo without lines and without tax.

    Dr 203 adjustments 3.00 (no VAT), Cr AR 3.00; Dr AR 3.00, Cr 611 3.00.
    """
    order = place(stand, who, at, [item("MUG-01", 2)])
    nothing = on_list(order, "MUG-01", 0)
    _refund(
        stand,
        order,
        at + timedelta(days=5),
        nothing,
        shipping_amount=0,
        adjustment_positive=3,
        adjustment_negative=0,
    )
    return order


def refund_with_fee(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A lamp comes back and 4.00 are kept for its repacking.

    Dr sales 33.33, Dr VAT 6.67, Cr 203 adjustments 4.00, Cr AR 36.00; Dr AR 36.00, Cr 611 36.00.
    """
    order = place(stand, who, at, [item("LAMP-01", 2)], pay="paypal_express")
    _refund(
        stand,
        order,
        at + timedelta(days=5),
        on_list(order, "LAMP-01", 1),
        shipping_amount=0,
        adjustment_positive=0,
        adjustment_negative=4,
    )
    return order


def refund_above_invoiced(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An invoice of 21.00 was captured twice, so Magento takes 42.00 for paid and lets 30.00 be refunded.

    Dr AR 21.00, Cr sales, shipping, VAT; Dr 611 21.00, Cr AR. The credit note is **held**: it is more than was
    invoiced, and a person must say where 9.00 belong.
    """
    order = place(stand, who, at, [item("MUG-01")], pay="cardauth")
    made = stand.shop(
        "invoice", order_id=order["entity_id"], capture=False, at=stamp(at + timedelta(hours=2))
    )
    stand.shop("capture", invoice_id=made["entity_id"], at=stamp(at + timedelta(hours=3)))
    stand.shop(
        "refund",
        order_id=order["entity_id"],
        arguments={"adjustment_positive": 9, "adjustment_negative": 0},
        at=stamp(at + timedelta(days=2)),
    )
    return order


def simultaneous_memos(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Two people press refund at once: two full memos of 36.00, of which the order's totals know one.

    Dr AR 36.00, Cr sales, shipping, VAT; Dr 611 36.00, Cr AR. The first memo is booked; the second, more than was ever
    invoiced, is **held** for a person.
    """
    order = place(stand, who, at, [item("MUG-01", 2)], pay="paypal_express")
    stand.shop("refund", order_id=order["entity_id"], simultaneous=True, at=stamp(at + timedelta(days=3)))
    return order


def order_edited(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Three mugs by cheque, edited to two before anything was invoiced: a new order, the old one cancelled.

    Only the new order is booked, when invoiced: Dr AR 36.00, Cr sales 25.00, Cr shipping 5.00, Cr VAT 6.00.
    """
    order = place(stand, who, at, [item("MUG-01", 3)], pay="checkmo")
    edited: Json = stand.shop(
        "revise",
        order_id=order["entity_id"],
        email=who.email,
        firstname=who.firstname,
        lastname=who.lastname,
        billing_address=who.address(),
        shipping_address=who.address(),
        items=[item("MUG-01", 2)],
        payment_method="checkmo",
        at=stamp(at + timedelta(hours=1)),
    )
    _invoice(stand, edited, at + timedelta(hours=5))
    return edited


def cancelled_after_part_invoice(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """One of three lamps was invoiced and captured, the rest cancelled: the invoice stays.

    Dr AR 46.00, Cr sales 33.33, Cr shipping 5.00, Cr VAT 7.67; Dr 611 46.00, Cr AR 46.00.
    """
    order = place(stand, who, at, [item("LAMP-01", 3)], pay="cardauth")
    _invoice(stand, order, at + timedelta(hours=4), on_list(order, "LAMP-01", 1))
    stand.shop("cancel", order_id=order["entity_id"], at=stamp(at + timedelta(days=2)))
    return order


def invoice_cancelled(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An uncaptured invoice is in the books when the shop cancels it and invoices anew.

    Dr AR 36.00, Cr sales, shipping, VAT; voided, which takes those back; then once more for the second invoice, with
    Dr 611 36.00, Cr AR 36.00.
    """
    order = place(stand, who, at, [item("MUG-01", 2)], pay="cardauth")
    stand.shop("invoice", order_id=order["entity_id"], not_captured=True, at=stamp(at + timedelta(hours=2)))

    def act(on: datetime) -> Json | None:
        first = invoices_of(stand, order)[0]
        stand.shop("cancel_invoice", invoice_id=first["entity_id"], at=stamp(on))
        _invoice(stand, order, on)
        return None

    stand.after(invoice_cancelled, act)
    return order


def shipping_returned_only(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """The parcel was late: the shipping is refunded, the goods are kept.

    Dr 202 shipping 5.00, Dr VAT 1.00, Cr AR 6.00; Dr AR 6.00, Cr 611 6.00.
    """
    order = place(stand, who, at, [item("BOOK-01", 2)])
    _refund(stand, order, at + timedelta(days=4), on_list(order, "BOOK-01", 0))
    return order


def refund_offline_by_person(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Paid and refunded by bank transfer, both entered by the accountant; the shop refunds only after it was paid.

    Dr AR 34.90, Cr sales 28.00, Cr shipping 5.00, Cr VAT 1.90; by hand Dr 090 34.90, Cr AR. The credit note takes it all
    back: Dr sales, shipping, VAT, Cr AR 34.90; by hand Dr AR 34.90, Cr 090. None of the money is entered by us.
    """
    order = place(stand, who, at, [item("ZERO-01"), item("BOOK-01")], pay="banktransfer", customer=True)
    _invoice(stand, order, at + timedelta(hours=2))
    whole = Decimal(order["grand_total"])

    def paid(on: datetime) -> Json | None:
        receive(stand, invoices_of(stand, order)[0], whole, on)
        memo = stand.shop("refund", order_id=order["entity_id"], at=stamp(on))

        def sent_back(on: datetime) -> Json | None:
            pay_back(stand, memo, Decimal(memo["grand_total"]), on)
            return None

        stand.after(refund_offline_by_person, sent_back)
        return None

    stand.after(refund_offline_by_person, paid)
    return order


def _invoice(stand: Stand, order: Json, at: datetime, items: list[Json] | None = None) -> None:
    stand.shop("invoice", order_id=order["entity_id"], items=items, capture=True, at=stamp(at))


def _refund(stand: Stand, order: Json, at: datetime, items: list[Json], **arguments: int) -> None:
    stand.shop(
        "refund", order_id=order["entity_id"], online=True, items=items, arguments=arguments, at=stamp(at)
    )


STORIES: tuple[Teller, ...] = (
    three_invoices,
    part_refund_twice,
    adjustment_only_refund,
    refund_with_fee,
    refund_above_invoiced,
    simultaneous_memos,
    order_edited,
    cancelled_after_part_invoice,
    invoice_cancelled,
    shipping_returned_only,
    refund_offline_by_person,
)
