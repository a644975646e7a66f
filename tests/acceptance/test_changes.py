"""Orders changed in between make exactly the calls that they need: no more, no fewer, and none the time after."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from sandbox.people import Shopper, shopper
from sandbox.stand import Json, item, place
from tests.acceptance.fix_world import World, now


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """Twenty ordinary orders, delivered."""
    world.play(20)
    world.first_run()


def calls(world: World, rounds: int = 1) -> list[list[str]]:
    """The write calls of the next `sync` runs. What one too few would leave shows in the test after it."""
    made: list[list[str]] = []
    for _ in range(rounds):
        with world.watched() as seen:
            world.sync()
        made.append(seen)
    return made


def buyer(number: int) -> Shopper:
    """Somebody who has not been there before."""
    return shopper(random.Random(number)).renamed("New", f"Shopper {number}", f"new.{number}@example.com")


def place_now(world: World, who: Shopper, *items: Json, **options: str | bool) -> int:
    """An order of this moment."""
    return int(place(world.stand, who, now(), list(items) or [item("MUG-01")], **options)["entity_id"])  # type: ignore[arg-type]


def invoice_now(world: World, number: int) -> None:
    """Invoice whatever is left of an order."""
    world.stand.shop("invoice", order_id=number)


def test_nothing_changed_is_no_call(world: World) -> None:
    assert calls(world) == [[]]


def test_a_new_order_is_a_contact_an_invoice_a_payment_and_then_a_comment(world: World) -> None:
    number = place_now(world, buyer(1))

    assert calls(world, 2) == [["PUT Contacts", "PUT Invoices", "PUT Payments"], ["POST orders/comments"]]
    assert world.invoice(number)["Status"] == "PAID"
    assert len(world.comments(number)) == 1


def test_several_new_orders_share_their_calls(world: World) -> None:
    numbers = [place_now(world, buyer(each)) for each in (2, 3, 4)]

    first, second = calls(world, 2)
    assert first == ["PUT Contacts", "PUT Invoices", "PUT Payments"]
    assert second == ["POST orders/comments"] * 3, "one order at a time: Magento loses totals when two meet"
    assert [world.invoice(number)["Status"] for number in numbers] == ["PAID"] * 3


def test_a_guest_who_comes_back_is_the_same_contact(world: World) -> None:
    number = place_now(world, buyer(1))

    assert calls(world, 2) == [["PUT Invoices", "PUT Payments"], ["POST orders/comments"]]
    contact = world.contact(world.invoice(number))
    assert contact["ContactNumber"] == "shop/guest/new.1@example.com"
    assert [each["Reference"] for each in world.xero("Invoices") if each["Contact"]["ContactID"] == contact["ContactID"]] == [
        world.order(order)["increment_id"] for order in range(1, number + 1) if world.order(order)["customer_email"] == "new.1@example.com"
    ]  # fmt: skip


def test_a_guest_who_registers_meanwhile_keeps_one_contact(world: World) -> None:
    number = place_now(world, buyer(2), customer=True)

    assert calls(world, 2) == [["PUT Invoices", "PUT Payments"], ["POST orders/comments"]]
    assert world.contact(world.invoice(number))["ContactNumber"] == "shop/guest/new.2@example.com"


def test_a_shipment_is_one_comment_with_the_status(world: World) -> None:
    number = world.story("several_rates")
    world.stand.shop("ship", order_id=number)

    assert calls(world) == [["POST orders/comments"]]
    assert sorted(comment.rpartition("/")[2] for comment in world.comments(number)) == ["complete]", "paid]"]
    assert world.order(number)["status"] == "complete"


def test_a_refund_of_card_money_is_a_credit_note_and_a_refund(world: World) -> None:
    number = world.story("card_guest")
    world.stand.shop("refund", order_id=number, online=True)

    assert calls(world) == [["PUT CreditNotes", "PUT Payments"]]
    (note,) = world.credit_notes(number)
    assert (note["Status"], note["Total"]) == ("PAID", world.invoice(number)["Total"])


def test_a_credit_of_an_unpaid_invoice_is_a_credit_note_and_an_allocation(world: World) -> None:
    number = world.story("cheque_customer")
    world.stand.shop("refund", order_id=number)

    assert calls(world) == [["PUT CreditNotes", "PUT CreditNotes/Allocations"]]
    assert (world.invoice(number)["AmountDue"], world.invoice(number)["AmountPaid"]) == (0, 0)


def test_money_that_the_accountant_books_is_told_to_the_shop(world: World) -> None:
    number = world.story("trade_account")
    invoice = world.invoice(number)
    world.stand.ledger(
        "records/Payments",
        Invoice={"InvoiceID": invoice["InvoiceID"]},
        Account={"Code": "613"},
        Date=invoice["DateString"][:10],
        Amount=invoice["Total"],
    )

    assert calls(world) == [["POST orders/comments"]]
    assert invoice["InvoiceNumber"] in world.comments(number)[0]


def test_an_order_of_the_trade_store_is_a_draft_until_it_is_invoiced(world: World) -> None:
    number = place_now(world, buyer(5), item("LAMP-01"), store="trade_en", pay="banktransfer", customer=True)
    assert calls(world) == [["PUT Contacts", "PUT Invoices"]]
    draft = world.invoice(number)
    invoice_now(world, number)
    after = calls(world)
    invoice = world.invoice(number)

    assert (draft["Status"], draft["InvoiceNumber"]) == (
        "DRAFT",
        f"WEB-DRAFT-{world.order(number)['increment_id']}-1",
    )
    assert after == [["POST Invoices"]]
    assert invoice["InvoiceID"] == draft["InvoiceID"], "the draft becomes the invoice"
    assert (invoice["Status"], invoice["InvoiceNumber"]) == (
        "AUTHORISED",
        "WEB-" + world.of_order("invoices", number)[0]["increment_id"],
    )


def test_a_draft_of_an_order_that_is_cancelled_is_taken_back(world: World) -> None:
    number = place_now(world, buyer(5), item("MUG-01"), store="trade_en", pay="banktransfer", customer=True)
    calls(world)
    world.stand.shop("cancel", order_id=number)

    assert calls(world) == [["POST Invoices"]]
    assert world.invoice(number)["Status"] == "DELETED"


def test_a_cheque_that_was_invoiced_later_is_an_invoice_alone(world: World) -> None:
    number = world.story("pending")
    invoice_now(world, number)

    assert calls(world) == [["PUT Contacts", "PUT Invoices"]]
    assert world.invoice(number)["Status"] == "AUTHORISED"


def test_a_changed_telephone_is_one_update_of_the_contact(world: World) -> None:
    order = world.order(world.story("trade_account"))
    (customer,) = [each for each in world.stand.state("customers") if each["id"] == order["customer_id"]]
    path = "addresses.0.telephone"
    world.stand.shop("edit", entity="customers", id=customer["id"], fields={path: "01632 960 001"})

    assert calls(world) == [["POST Contacts"]]
    contact = world.contact(world.invoice(order["entity_id"]))
    assert "01632 960 001" in [phone["PhoneNumber"] for phone in contact["Phones"]]


def test_a_comment_in_the_shop_concerns_nobody(world: World) -> None:
    world.stand.shop("comment", order_id=world.story("card_guest"), comment="called the customer")

    assert calls(world) == [[]]


def test_then_nothing_is_left_to_say(world: World) -> None:
    assert calls(world) == [[]]


def test_after_all_that_the_books_equal_the_separate_ledger(world: World) -> None:
    by_hand = world.invoice(world.story("trade_account"))
    wanted, found = world.ledgers()

    # The transfer that the accountant booked is in the books only.
    found["accounts"]["610"] += by_hand["Total"]
    found["accounts"]["613"] = Decimal(str(found["accounts"]["613"])) - by_hand["Total"]
    assert {name: amount for name, amount in found["accounts"].items() if amount} == wanted["accounts"]
    assert found["taxes"] == wanted["taxes"]
