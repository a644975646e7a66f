"""Money that is no card payment of the whole: vouchers, store credit, points, receipts by hand, terms, deposits."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.cases.books import CARD, receive
from sandbox.people import Shopper
from sandbox.stand import Act, Json, Stand, Teller, invoices_of, item, on_list, place, stamp


def gift_card_sold(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A gift card of 50.00 is bought by card: a debt of the shop, no sale and no tax.

    Dr AR 50.00, Cr 830 gift cards 50.00; then Dr 611 card clearing 50.00, Cr AR 50.00.
    """
    return place(stand, who, at, [item("GIFT-CARD", amount=50, recipient_name="Ann")])


def gift_card_redeemed_part(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Two mugs with shipping cost 36.00; a gift card pays 20.00, the card 16.00 (Magento's total says 16.00).

    Dr AR 36.00, Cr sales 25.00, Cr shipping 5.00, Cr VAT 6.00; then Dr 830 20.00 and Dr 611 16.00, Cr AR 36.00.
    """
    return place(stand, who, at, [item("MUG-01", 2)], gift_cards=[{"code": "GC-PART", "amount": 20}])


def gift_card_redeemed_whole(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A gift card pays everything: an invoice whose total says 0.00, by the method `free`.

    Dr AR 21.00, Cr sales 12.50, Cr shipping 5.00, Cr VAT 3.50; then Dr 830 21.00, Cr AR 21.00.
    """
    order = place(stand, who, at, [item("MUG-01")], gift_cards=[{"code": "GC-WHOLE", "amount": 60}])
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=1)))
    return order


def store_credit_used(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A customer pays 10.00 of 46.00 by store credit, the rest by card.

    Dr AR 46.00, Cr sales 33.33, Cr shipping 5.00, Cr VAT 7.67; then Dr 830 10.00 and Dr 611 36.00, Cr AR 46.00.
    """
    return place(stand, who, at, [item("LAMP-01")], customer=True, customer_balance=10)


def reward_points_used(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A customer pays 5.00 with 500 points, which REST shows on the order alone, the rest by card.

    Dr AR 46.00, Cr sales 33.33, Cr shipping 5.00, Cr VAT 7.67; then Dr 831 points 5.00 and Dr 611 41.00, Cr AR.
    """
    return place(stand, who, at, [item("LAMP-01")], customer=True, reward_points=500)


def all_liabilities_at_once(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Gift card 20.00, points 3.00, store credit 4.00 and the card 24.00 pay 51.00 over two invoices.

    The first (21.00) is settled without money: Dr 830 20.00, Dr 831 1.00, Cr AR 21.00. The second (30.00):
    Dr 831 2.00, Dr 830 4.00, Dr 611 24.00, Cr AR 30.00.
    """
    order = place(
        stand,
        who,
        at,
        [item("MUG-01", 3)],
        pay="cardauth",
        customer=True,
        gift_cards=[{"code": "GC-ALL-1", "amount": 15}, {"code": "GC-ALL-2", "amount": 5}],
        reward_points=300,
        customer_balance=4,
    )
    for qty, days in ((1, 1), (2, 2)):
        stand.shop(
            "invoice",
            order_id=order["entity_id"],
            items=on_list(order, "MUG-01", qty),
            capture=True,
            at=stamp(at + timedelta(days=days)),
        )
    return order


def gift_card_order_refunded(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Paid 20.00 by gift card and 16.00 by card, then all sent back: what was redeemed goes back first.

    The sale as in `gift_card_redeemed_part`. Refund: Dr sales 25.00, Dr shipping 5.00, Dr VAT 6.00, Cr AR 36.00;
    then Dr AR 36.00, Cr 830 20.00, Cr 611 16.00.
    """
    order = place(stand, who, at, [item("MUG-01", 2)], gift_cards=[{"code": "GC-BACK", "amount": 20}])
    stand.shop("refund", order_id=order["entity_id"], online=True, at=stamp(at + timedelta(days=3)))
    return order


def refunded_to_store_credit(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Paid by card, sent back, and given as store credit: no money leaves.

    Dr sales 12.50, Dr shipping 5.00, Dr VAT 3.50, Cr AR 21.00; then Dr AR 21.00, Cr 830 21.00. 611 keeps its 21.00.
    """
    order = place(stand, who, at, [item("MUG-01")], customer=True)
    stand.shop("refund", order_id=order["entity_id"], to_store_credit=True, at=stamp(at + timedelta(days=2)))
    return order


def cod_paid_in_xero(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Cash on delivery: Magento calls it paid when invoiced; the carrier pays days later, seen at the bank.

    Dr AR 21.00, Cr sales 12.50, Cr shipping 5.00, Cr VAT 3.50, and it stays open until the accountant's own
    Dr 090 bank 21.00, Cr AR 21.00.
    """
    order = place(stand, who, at, [item("MUG-01")], pay="cashondelivery")
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=2)))
    stand.shop("ship", order_id=order["entity_id"], at=stamp(at + timedelta(days=1)))
    stand.after(cod_paid_in_xero, _paid_at_the_bank(stand, order))
    return order


def cheque_paid_in_xero(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A cheque for two lamps, paid in at the bank by the accountant.

    Dr AR 85.99, Cr sales 66.66, Cr shipping 5.00, Cr VAT 14.33; then by hand Dr 090 85.99, Cr AR 85.99.
    """
    order = place(stand, who, at, [item("LAMP-01", 2)], pay="checkmo", customer=True)
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=3)))
    stand.after(cheque_paid_in_xero, _paid_at_the_bank(stand, order))
    return order


def purchase_order_terms(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A company orders on terms: due in thirty days, open.

    Dr AR 81.00, Cr sales 62.50, Cr shipping 5.00, Cr VAT 13.50. Nothing more until somebody pays.
    """
    order = place(stand, who, at, [item("MUG-01", 5)], pay="purchaseorder", customer=True)
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=4)))
    return order


def card_paid_by_hand_in_xero(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An invoice waits for its capture; the accountant sees the card money and enters it; then the shop captures.

    Dr AR 21.00, Cr sales 12.50, Cr shipping 5.00, Cr VAT 3.50; by hand Dr 611 21.00, Cr AR 21.00. Ours is that
    payment: none of our own.
    """
    order = _uncaptured(stand, who, at)
    stand.after(card_paid_by_hand_in_xero, _entered_then_captured(stand, order, Decimal(21)))
    return order


def card_part_paid_by_hand(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """As before, but the accountant entered 10.00 of another customer's money; the capture brings the whole 21.00.

    By hand Dr 611 10.00, Cr AR 10.00; ours Dr 611 11.00, Cr AR 11.00. The 10.00 too many: by the route held, or
    Dr 092 10.00, Cr AR 10.00 as an overpayment of the contact.
    """
    order = _uncaptured(stand, who, at)
    stand.after(card_part_paid_by_hand, _entered_then_captured(stand, order, Decimal(10)))
    return order


def deposit_before_invoice(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A module takes 20.00 of 46.00 by card when the order is placed; the rest with the invoice three days later.

    By the route: wait, then Dr 611 46.00, Cr AR 46.00 with the invoice; or at once Dr 092 20.00, Cr AR (prepayment)
    20.00, allocated to the invoice of 46.00, and Dr 611 26.00, Cr AR 26.00.
    """
    order = place(stand, who, at, [item("LAMP-01")], pay="cardauth", customer=True)
    number = order["entity_id"]
    stand.shop("deposit", order_id=number, amount=20, counted="once", at=stamp(at + timedelta(minutes=5)))
    stand.shop("invoice", order_id=number, capture=True, at=stamp(at + timedelta(days=3)))
    return order


def deposit_two_invoices(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A deposit of 40.00 before anything was invoiced; the invoices (46.00 and 39.99) follow after the first sync.

    At once, by the route, Dr 092 40.00, Cr AR (prepayment) 40.00. Invoices: Dr AR 46.00 and 39.99, Cr sales, shipping,
    VAT; the prepayment is allocated to the first (40.00), Dr 611 6.00 and Dr 611 39.99, Cr AR. Where the route waits:
    Dr 611 46.00 and 39.99, Cr AR.
    """
    order = place(stand, who, at, [item("LAMP-01", 2)], pay="cardauth", customer=True)
    number = order["entity_id"]
    stand.shop("deposit", order_id=number, amount=40, counted="once", at=stamp(at + timedelta(minutes=5)))

    def invoice(on: datetime) -> Json | None:
        for _ in range(2):
            stand.shop(
                "invoice",
                order_id=number,
                items=on_list(order, "LAMP-01", 1),
                capture=True,
                at=stamp(on),
            )
        return None

    stand.after(deposit_two_invoices, invoice)
    return order


def zero_order(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A coupon takes everything off, shipping too: an invoice for 0.00, which Xero calls paid by itself. No entry."""
    order = place(stand, who, at, [item("MUG-01")], coupon="FREE100")
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(minutes=10)))
    stand.shop("ship", order_id=order["entity_id"], at=stamp(at + timedelta(days=1)))
    return order


def refund_before_payment(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """One of two lamps is credited before anybody paid; then the bank receives the rest.

    Dr AR 85.99, Cr sales 66.66, Cr shipping 5.00, Cr VAT 14.33; Dr sales 33.33, Dr VAT 6.67, Cr AR 40.00; the credit note
    is allocated to the invoice; by hand Dr 090 45.99, Cr AR 45.99.
    """
    order = place(stand, who, at, [item("LAMP-01", 2)], pay="banktransfer", customer=True)
    number = order["entity_id"]
    stand.shop("invoice", order_id=number, at=stamp(at + timedelta(hours=1)))
    memo = stand.shop(
        "refund",
        order_id=number,
        items=on_list(order, "LAMP-01", 1),
        arguments={"shipping_amount": 0},
        at=stamp(at + timedelta(days=2)),
    )
    left = Decimal(order["grand_total"]) - Decimal(memo["grand_total"])
    stand.after(refund_before_payment, _paid_at_the_bank(stand, order, left))
    return order


def euro_settled_in_base(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An order in euro whose gateway charges pounds (`cardbase`): settled by exactly its base total, no gain or loss.

    Dr AR, Cr sales, Cr shipping, Cr Irish VAT in euro at the order's effective rate; Dr 611 (pounds), Cr AR for the base
    total; what rounding leaves in base goes to 499 realised gains.
    """
    return place(
        stand,
        who.in_ireland(),
        at,
        [item("LAMP-01", 3), item("BOOK-01")],
        store="eu",
        pay="cardbase",
    )


def _paid_at_the_bank(stand: Stand, order: Json, amount: Decimal | None = None) -> Act:
    def act(on: datetime) -> Json | None:
        receive(stand, invoices_of(stand, order)[0], amount or Decimal(order["grand_total"]), on)
        return None

    return act


def _uncaptured(stand: Stand, who: Shopper, at: datetime) -> Json:
    order = place(stand, who, at, [item("MUG-01")], pay="cardauth")
    stand.shop("invoice", order_id=order["entity_id"], not_captured=True, at=stamp(at + timedelta(hours=2)))
    return order


def _entered_then_captured(stand: Stand, order: Json, entered: Decimal) -> Act:
    def act(on: datetime) -> Json | None:
        invoice = invoices_of(stand, order)[0]
        receive(stand, invoice, entered, on, account=CARD)
        stand.shop("capture", invoice_id=invoice["entity_id"], at=stamp(on))
        return None

    return act


STORIES: tuple[Teller, ...] = (
    gift_card_sold,
    gift_card_redeemed_part,
    gift_card_redeemed_whole,
    store_credit_used,
    reward_points_used,
    all_liabilities_at_once,
    gift_card_order_refunded,
    refunded_to_store_credit,
    cod_paid_in_xero,
    cheque_paid_in_xero,
    purchase_order_terms,
    card_paid_by_hand_in_xero,
    card_part_paid_by_hand,
    deposit_before_invoice,
    deposit_two_invoices,
    zero_order,
    refund_before_payment,
    euro_settled_in_base,
)
