"""Documents beyond the ordinary: each ends in the ledger that an accountant would keep, or held with the way out.

Entries are in pounds; AR is debtors (610), CLR card clearing (611). The worlds' trade store makes drafts, the default store
does not.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from sandbox.people import Shopper, shopper
from sandbox.stand import Json, item, line_of, place
from tests.acceptance.fix_entries import entries, held, lock, of_order
from tests.acceptance.fix_world import World, now


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """A short trade, delivered; then the cases, one run."""
    world.play(12)
    world.first_run()


def buyer(name: str) -> Shopper:
    """Somebody who has not been there before."""
    mail = f"{name.lower().replace(' ', '.')}@example.com"
    return shopper(random.Random(7)).renamed("Case", name, mail)


def ordered(world: World, name: str, *cart: Json, **options: Any) -> Json:
    """An order of this moment."""
    return place(world.stand, buyer(name), now(), list(cart) or [item("MUG-01", 2)], **options)


def trade(world: World, name: str, *cart: Json) -> Json:
    """An order in the store that makes drafts, to be paid by bank transfer."""
    return ordered(world, name, *cart, store="trade_en", pay="banktransfer", customer=True)


def invoices(world: World, order: Json) -> list[Json]:
    """Its Xero invoices."""
    return of_order(world, "Invoices", order["increment_id"])


def credit_notes(world: World, order: Json) -> list[Json]:
    """Its Xero credit notes."""
    return of_order(world, "CreditNotes", order["increment_id"])


def test_an_edited_order_is_a_new_order_that_names_the_old_one_and_takes_the_place_of_its_draft(
    world: World,
) -> None:
    """The old draft is deleted (no entry); the new order's invoice: Dr AR 36.00, Cr Sales 25.00, 5.00; Cr VAT 6.00."""
    old = trade(world, "Edited", item("LAMP-01"))
    world.sync()
    assert [each["Status"] for each in invoices(world, old)] == ["DRAFT"]
    new = world.stand.shop(
        "revise",
        order_id=old["entity_id"],
        store="trade_en",
        customer_id=old["customer_id"],
        email=old["customer_email"],
        items=[item("MUG-01", 2)],
        billing_address=buyer("Edited").address(),
        shipping_address=buyer("Edited").address(),
        shipping_method="flatrate_flatrate",
        payment_method="banktransfer",
    )
    world.sync()
    world.stand.shop("invoice", order_id=new["entity_id"])
    world.sync()

    assert [each["Status"] for each in invoices(world, old)] == ["DELETED"]
    (invoice,) = invoices(world, new)
    assert invoice["Reference"] == f"{new['increment_id']} (replaces {old['increment_id']})"
    assert invoice["Status"] == "AUTHORISED"
    assert entries(world, invoice)["610"] == invoice["Total"]
    said = world.run("why", str(old["entity_id"])).data
    assert f"the order was replaced by {new['increment_id']}" in str(said)


def test_the_rest_of_an_order_that_is_cancelled_after_a_part_was_invoiced_is_taken_back(world: World) -> None:
    """Part: Dr AR, Cr Sales, Cr VAT for one mug of three; the draft of the rest goes without an entry."""
    order = trade(world, "Part Cancelled", item("MUG-01", 3))
    lines = [{"order_item_id": line_of(order, "MUG-01"), "qty": 1}]
    world.stand.shop("invoice", order_id=order["entity_id"], items=lines)
    world.sync()
    before = {each["InvoiceNumber"]: each["Status"] for each in invoices(world, order)}
    world.stand.shop("cancel", order_id=order["entity_id"])
    world.sync()
    after = {each["InvoiceNumber"]: each["Status"] for each in invoices(world, order)}

    assert sorted(before.values()) == ["AUTHORISED", "DRAFT"]
    assert sorted(after.values()) == ["AUTHORISED", "DELETED"]
    (live,) = [each for each in invoices(world, order) if each["Status"] == "AUTHORISED"]
    shop = world.of_order("invoices", order["entity_id"])[0]
    assert entries(world, live)["610"] == live["Total"] == round(Decimal(shop["grand_total"]), 2)


def test_an_open_invoice_that_the_shop_cancels_is_voided_and_one_in_a_locked_period_is_held(
    world: World,
) -> None:
    """Open period: the entry and its reverse, nothing is left. Locked: AR stays until a person credits it."""
    orders = [ordered(world, name, pay="cardauth") for name in ("Void Me", "Locked Void")]
    made = [world.stand.shop("invoice", order_id=each["entity_id"], not_captured=True) for each in orders]
    world.sync()
    assert [invoices(world, each)[0]["Status"] for each in orders] == ["AUTHORISED"] * 2
    world.stand.shop("cancel_invoice", invoice_id=made[0]["entity_id"])
    world.sync()
    (voided,) = invoices(world, orders[0])
    assert (voided["Status"], entries(world, voided)) == ("VOIDED", {})

    lock(world, now().date().isoformat())
    world.stand.shop("cancel_invoice", invoice_id=made[1]["entity_id"])
    world.sync(codes=(0, 5))
    entry = held(world, f"shop/order/{orders[1]['entity_id']}/1")
    lock(world, None)

    assert entry["held_for"] == "frozen"
    assert "locked up to" in entry["reason"]
    assert "approve, or refuse" in entry["cure"], "the reversal is ready for a person's yes"
    world.sync(codes=(0, 5))
    assert invoices(world, orders[1])[0]["Status"] == "VOIDED", "the period was opened again"


def test_a_paid_invoice_that_is_cancelled_waits_for_a_person_with_its_payment(world: World) -> None:
    """Dr AR 30.00 Cr Sales 25.00 … and Dr CLR, Cr AR stay until somebody says whether the money went back."""
    order = ordered(world, "Paid Cancelled")
    world.sync()
    (shop,) = world.of_order("invoices", order["entity_id"])
    world.stand.shop("edit", entity="invoices", id=shop["entity_id"], fields={"state": 3})
    world.sync(codes=(0, 5))
    (invoice,) = invoices(world, order)

    assert invoice["Status"] == "PAID"
    assert held(world, f"shop/order/{order['entity_id']}/1")["held_for"] == "frozen"
    payment = held(world, f"shop/order/{order['entity_id']}/payment/1")
    assert payment["held_for"] == "hold"
    assert "Was the money given back?" in payment["reason"]
    assert entries(world, invoice, *world.payments(order["entity_id"]))["611"] == invoice["Total"]


def test_refunds_above_what_was_invoiced_are_held_and_the_ones_before_go_through(world: World) -> None:
    """First memo: Dr Sales Dr VAT Cr AR, then Dr AR Cr CLR. The second of two at once: held, also its refund."""
    order = ordered(world, "Twice Refunded")
    number = order["entity_id"]
    world.stand.shop("refund", order_id=number, online=True, simultaneous=True)
    world.sync(codes=(0, 5))
    (invoice,), (note,) = invoices(world, order), credit_notes(world, order)

    assert len(world.of_order("creditmemos", number)) == 2
    assert (note["Status"], note["Total"]) == ("PAID", invoice["Total"])
    second = held(world, f"shop/order/{number}/credit/2")
    assert second["held_for"] == "hold"
    assert second["reason"].startswith("the refunds of the order exceed its invoices by ")
    assert held(world, f"shop/order/{number}/credit/2/refund/1")["state"] in ("waiting", "held")
    moved = entries(world, invoice, note, *world.payments(number))
    assert moved == {}, "the sale and its one refund leave nothing"

    world.run("holds", "approve", f"shop/order/{number}/credit/2", "--reason", "goodwill, seen")
    world.sync(codes=(0, 5))
    world.run("holds", "approve", "--reason", "goodwill, seen", codes=(0, 5))
    world.sync(codes=(0, 5))
    assert [each["Status"] for each in credit_notes(world, order)] == ["PAID", "PAID"]


def test_partial_refunds_with_and_without_goods_are_credit_notes_of_their_own(world: World) -> None:
    """One piece: Dr Sales 12.50 Dr VAT 2.50; shipping alone: Dr Shipping 5.00 Dr VAT 1.00; adjustment alone: Dr 203 2.00."""
    order = ordered(world, "Bit By Bit", item("MUG-01", 3))
    number, mug = order["entity_id"], line_of(order, "MUG-01")
    (shop,) = world.of_order("invoices", number)
    nothing = {"shipping_amount": 0, "adjustment_positive": 0, "adjustment_negative": 0}
    for qty, arguments in (
        (1, nothing),
        (1, nothing),
        (0, nothing | {"shipping_amount": 5}),
        (0, nothing | {"adjustment_positive": 2}),
    ):
        world.stand.shop(
            "refund",
            order_id=number,
            invoice_id=shop["entity_id"],
            online=True,
            items=[{"order_item_id": mug, "qty": qty}],
            arguments=arguments,
        )
    world.sync()
    notes = credit_notes(world, order)
    (invoice,) = invoices(world, order)

    assert [
        [(line["AccountCode"], line["LineAmount"], line["TaxAmount"]) for line in note["LineItems"]]
        for note in notes
    ] == [
        [("201", Decimal("12.50"), Decimal("2.50"))],
        [("201", Decimal("12.50"), Decimal("2.50"))],
        [("202", Decimal("5.00"), Decimal("1.00"))],
        [("203", Decimal("2.00"), Decimal("0.00"))],
    ]
    assert {note["Status"] for note in notes} == {"PAID"}
    refunded = sum((note["Total"] for note in notes), Decimal(0))
    moved = entries(world, invoice, *notes, *world.payments(number))
    assert moved["611"] == invoice["Total"] - refunded
    assert "610" not in moved


def test_a_cancelled_order_with_a_live_invoice_is_booked_by_its_documents(world: World) -> None:
    """The order's state says nothing about money: Dr AR, Cr Sales, Cr VAT; Dr CLR, Cr AR."""
    order = ordered(world, "Cancelled Alive")
    world.stand.shop(
        "edit", entity="orders", id=order["entity_id"], fields={"state": "canceled", "status": "canceled"}
    )
    world.sync()
    (invoice,) = invoices(world, order)

    assert invoice["Status"] == "PAID"
    assert entries(world, invoice, *world.payments(order["entity_id"]))["611"] == invoice["Total"]


def test_an_order_that_is_not_invoiced_says_so(world: World) -> None:
    order = ordered(world, "Waiting", pay="checkmo")
    world.sync()
    said = str(world.run("why", str(order["entity_id"])).data)
    assert "Rightly not sent: not invoiced yet: the route makes no drafts." in said
