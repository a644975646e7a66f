"""The proof, against people who change the books behind our back: it names exactly the record, and fails or explains."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from sandbox.people import shopper
from sandbox.stories import cheque_customer
from tests.acceptance.fix_world import Json, World, now


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """Twenty ordinary orders, delivered and proved."""
    world.play(20)
    world.first_run()
    assert all(total["equal"] for total in world.proof()["totals"])


def unexplained(world: World) -> dict[str, Json]:
    """Records that a proof which fails cannot explain."""
    return {key: record for key, record in world.behind(codes=(5,)).items() if not record["explained"]}


@contextmanager
def edited(world: World, entity: str, record: str, now: Json, before: Json) -> Iterator[None]:
    """A person's change in Xero, taken back afterwards."""
    world.stand.ledger("edit", entity=entity, id=record, fields=now)
    yield
    world.stand.ledger("edit", entity=entity, id=record, fields=before)


def test_an_amount_that_a_person_changed_is_named_and_fails_the_proof(world: World) -> None:
    number = world.story("cheque_customer")
    invoice = world.invoice(number)
    lines = [{name: line[name] for name in ("LineItemID", "Description", "Quantity", "UnitAmount", "TaxType", "AccountCode", "DiscountAmount")
              if line.get(name) is not None} for line in invoice["LineItems"]]  # fmt: skip
    dearer = [lines[0] | {"UnitAmount": 60}, *lines[1:]]

    with edited(world, "Invoices", invoice["InvoiceID"], {"LineItems": dearer}, {"LineItems": lines}):
        found = unexplained(world)
        orders = [
            total
            for total in world.proof(codes=(5,))["totals"]
            if total["flow"] == "orders" and not total["proved"]
        ]

    assert set(found) == {f"shop/order/{number}/1"}
    (record,) = found.values()
    assert (record["kind"], Decimal(record["amount"])) == ("differs", Decimal("-24.00"))
    assert "114.00" in record["reason"]
    assert "138.00" in record["reason"]
    assert {each["key"] for total in orders for each in total["records"]} == {f"shop/order/{number}"}


def test_an_invoice_that_a_person_voided_is_named_and_fails_the_proof(world: World) -> None:
    number = world.story("cheque_customer")
    invoice = world.invoice(number)

    with edited(world, "Invoices", invoice["InvoiceID"], {"Status": "VOIDED"}, {"Status": "AUTHORISED"}):
        found = unexplained(world)

    assert set(found) == {f"shop/order/{number}/1"}
    (record,) = found.values()
    assert (record["kind"], Decimal(record["amount"])) == ("missing", Decimal("114.00"))
    assert "voided" in record["reason"]


def test_a_date_that_a_person_changed_is_named_on_both_days(world: World) -> None:
    number = world.story("cheque_customer")
    invoice = world.invoice(number)
    before = invoice["DateString"][:10]

    with edited(world, "Invoices", invoice["InvoiceID"], {"Date": "2026-10-30"}, {"Date": before}):
        totals = world.proof(codes=(5,))["totals"]

    days = {total["day"] for total in totals if total["flow"] == "invoices" and not total["proved"]}
    assert days == {before, "2026-10-30"}


def test_a_payment_of_ours_that_a_person_removed_is_named_and_fails_the_proof(world: World) -> None:
    number = world.story("card_guest")
    (payment,) = world.payments(number)

    with edited(world, "Payments", payment["PaymentID"], {"Status": "DELETED"}, {"Status": "AUTHORISED"}):
        found = unexplained(world)

    assert set(found) == {f"shop/order/{number}/payment/1"}


def test_after_the_next_sync_the_change_is_a_dead_letter_that_explains_the_difference(world: World) -> None:
    number = world.story("cheque_customer")
    key = f"shop/order/{number}/1"
    world.stand.ledger(
        "edit", entity="Invoices", id=world.invoice(number)["InvoiceID"], fields={"Status": "VOIDED"}
    )
    with world.watched() as calls:
        world.sync(codes=(5,))

    assert calls == [], "what a person did is not undone"
    assert world.dead()[key]["who"] == "accountant"
    record = world.behind()[key]
    assert (record["kind"], record["explained"]) == ("missing", True)
    assert "voided" in record["reason"]


def test_a_payment_that_a_person_added_is_named_as_theirs_and_does_not_fail_the_proof(world: World) -> None:
    invoice = world.invoice(world.story("trade_account"))
    made = world.stand.ledger(
        "records/Payments", Invoice={"InvoiceID": invoice["InvoiceID"]}, Account={"Code": "613"},
        Date=invoice["DateString"][:10], Amount=Decimal("20.00"),
    )["Payments"][0]  # fmt: skip

    record = world.behind()[made["PaymentID"]]

    assert (record["kind"], Decimal(record["amount"]), record["explained"]) == (
        "not ours",
        Decimal("-20.00"),
        True,
    )


def test_an_order_that_nobody_has_loaded_yet_is_no_difference_and_one_not_sent_says_why(world: World) -> None:
    number = world.story("pending")
    world.stand.shop("invoice", order_id=number)
    assert f"shop/order/{number}/1" not in world.behind()

    world.run("load")
    world.run("diff")

    record = world.behind()[f"shop/order/{number}/1"]
    assert record["explained"] is True
    assert record["reason"] in ("ready to be sent", f"waits for contacts {contact_of(world, number)}")


def contact_of(world: World, number: int) -> str:
    """The key of an order's contact."""
    return f"shop/guest/{world.order(number)['customer_email']}"


def test_a_journal_on_our_account_is_named_in_the_trial_balance(world: World) -> None:
    """The accountant journals: Dr 404 Bank fees 25.00, Cr 200 Sales 25.00."""
    world.stand.ledger(
        "records/ManualJournals",
        Narration="Reclass",
        Status="POSTED",
        Date="2026-10-20",
        JournalLines=[{"LineAmount": 25, "AccountCode": "404"}, {"LineAmount": -25, "AccountCode": "200"}],
    )

    totals = world.proof()["totals"]

    (sales,) = [each for each in totals if (each["flow"], each["detail"]) == ("trial balance", "200")]
    assert [
        (each["number"], Decimal(each["amount"])) for each in sales["records"] if "Reclass" in each["number"]
    ] == [("ManualJournal Reclass", Decimal("25.00"))]
    assert {each["detail"] for each in totals if each["flow"] == "debtors"} == {"610"}


def test_a_month_end_script_is_stopped_while_something_due_is_missing(world: World) -> None:
    at = now()
    block = ("prove", "--period", f"{at + timedelta(hours=3):%Y-%m}", "--block")
    before = {*world.run(*block, codes=(0, 3)).data["blocked_by"]}
    chance = random.Random(5)
    order = cheque_customer(world.stand, shopper(chance), at, chance)
    number = order["entity_id"]
    world.run("load")
    world.run("diff")

    blocked = world.run(*block, codes=(3,)).data
    elsewhere = world.run("prove", "--period", "2026-09", "--block").data

    assert blocked["proved"] is True
    assert {*blocked["blocked_by"]} - before == {f"shop/order/{number}/1"}
    assert elsewhere["blocked_by"] == []
