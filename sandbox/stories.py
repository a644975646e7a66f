"""Ordinary stories of the sample trade: one function a kind of order."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from sandbox.people import Shopper
from sandbox.stand import Json, Stand, Teller, invoices_of, item, line_of, place, stamp


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
    """A registered trade customer, prices with tax, discount, paid by bank transfer on an invoice."""
    buyer = who.renamed(who.firstname, f"{who.lastname} Trading", f"trade.{who.email}")
    cart = [item("MUG-01", 6), item("PEN-03", chance.randint(3, 9))]
    order = place(stand, buyer, at, cart, store="trade_en", pay="banktransfer", coupon="TEN", customer=True)
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
