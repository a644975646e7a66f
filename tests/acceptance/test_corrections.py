"""A lookup is corrected after documents were settled: drift with its money, a correction approved as one, acceptance as it is.

Goods belong to account 260 and went to 201. What is only approved may still change and waits for a yes; what is paid is frozen.
Correcting the paid invoice of 114.00 (95.00 net, 19.00 tax), dated its own day, since the period is open:

    before      Dr Debtors 114.00  Cr 201 95.00  Cr Tax 19.00     and the payment: Dr Clearing 114.00  Cr Debtors 114.00
    reversal    Dr 201 95.00  Dr Tax 19.00  Cr Debtors 114.00     credit note WEB-…-REV
    new         Dr Debtors 114.00  Cr 260 95.00  Cr Tax 19.00     invoice WEB-…-R1, settled by the credit note

so that account 201 holds 95.00 less, 260 holds 95.00 more, and nobody owes anything else than before.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.acceptance.fix_world import Json, World
from tests.fix_http import LOCAL


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """Ordinary orders, delivered."""
    world.play(12)
    world.first_run()


def accounts(world: World) -> dict[str, Decimal]:
    """The trial balance of the stand-in, debits positive, without what is zero."""
    shown: Json = LOCAL.get(f"{world.books.address}/_sandbox/ledger", timeout=30).json()
    return {
        each["code"]: Decimal(str(each["base_balance"]))
        for each in shown["accounts"]
        if Decimal(str(each["base_balance"]))
    }


def moved(before: dict[str, Decimal], after: dict[str, Decimal]) -> dict[str, Decimal]:
    """What changed, by account."""
    changed = {code: after.get(code, Decimal(0)) - before.get(code, Decimal(0)) for code in {*before, *after}}
    return {code: amount for code, amount in changed.items() if amount}


def goods_to(world: World, account: str) -> None:
    """The analyst edits the lookup."""
    file = world.lookups / "category_accounts.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    edited = [f"shop,Goods,{account},," if line.startswith("shop,Goods,") else line for line in lines]
    file.write_text("\n".join(edited) + "\n", encoding="utf-8")


def edit_lines(world: World, number: int, **fields: object) -> list[Json]:
    """A person edits each line of the order's invoice in Xero. The lines before."""
    invoice = world.invoice(number)
    names = (
        "LineItemID",
        "Description",
        "Quantity",
        "UnitAmount",
        "TaxType",
        "AccountCode",
        "DiscountAmount",
    )
    lines = [
        {name: line[name] for name in names if line.get(name) is not None} for line in invoice["LineItems"]
    ]
    changed = [{**line, **fields} for line in lines]
    world.stand.ledger("edit", entity="Invoices", id=invoice["InvoiceID"], fields={"LineItems": changed})
    return lines


def effects(rows: list[Json]) -> dict[str, Decimal]:
    """Amounts by account, over all months and kinds of document."""
    found: dict[str, Decimal] = {}
    for row in rows:
        found[row["account"]] = found.get(row["account"], Decimal(0)) + Decimal(row["amount"])
    return found


def drift(world: World, *arguments: str) -> Json:
    return world.run("drift", *arguments).data


def test_what_an_accountant_recodes_on_a_line_yields_and_an_amount_is_held(world: World) -> None:
    """Account, text and due date are the accountant's; the customer's money is not."""
    recoded, dearer = world.story("cheque_customer"), world.story("trade_account")
    lines = edit_lines(world, recoded, AccountCode="203", Description="Sundries")
    world.stand.ledger(
        "edit", entity="Invoices", id=world.invoice(recoded)["InvoiceID"], fields={"DueDate": "2026-12-24"}
    )
    edit_lines(world, dearer, UnitAmount=999)
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    assert calls == []
    assert f"shop/order/{recoded}/1" not in world.dead()
    assert (
        {line["AccountCode"] for line in world.invoice(recoded)["LineItems"]}
        == {"203"}
        != {lines[0]["AccountCode"]}
    )
    letter = world.dead()[f"shop/order/{dearer}/1"]
    assert letter["who"] == "accountant"
    assert "UnitAmount" in letter["reason"]


def test_what_a_person_voided_says_so_and_stays_so_once_accepted(world: World) -> None:
    key, invoice = f"shop/order/{world.story('trade_account')}/1", world.invoice(world.story("trade_account"))
    world.stand.ledger("edit", entity="Invoices", id=invoice["InvoiceID"], fields={"Status": "VOIDED"})
    world.sync(codes=(0, 5))
    letter = world.dead()[key]
    (before,) = [each for each in world.run("why", key).data["reasons"] if each["entity"] == "invoices"]
    world.run("holds", "accept-as-is", key, "--reason", "entered twice")
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    assert (letter["cause"], letter["who"]) == ("voided in the target", "accountant")
    assert "Somebody voided the document in the target" in letter["reason"]
    assert "Somebody voided the document in the target" in before["verdict"]
    assert "Accept it as it is" in before["cure"]
    assert calls == []
    assert key not in world.dead()
    (reason,) = [each for each in world.run("why", key).data["reasons"] if each["entity"] == "invoices"]
    assert "entered twice" in reason["verdict"]


def test_a_changed_lookup_shows_the_drift_of_settled_documents_by_account_and_month(world: World) -> None:
    goods_to(world, "260")
    world.run("build")
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    shown = drift(world, "--rows", "100")
    paid = world.story("card_guest")
    (row,) = [each for each in shown["rows"] if each["key"] == f"shop/order/{paid}/1"]
    assert calls == []
    assert (row["frozen_because"], [each["path"].rpartition("/")[2] for each in row["fields"]]) == (
        "paid",
        ["AccountCode"],
    )
    found = effects(shown["accounts"])
    assert set(found) == {"201", "260"}
    assert found["201"] == -found["260"] < 0
    assert all(each["period"] and each["base"] for each in shown["accounts"])
    assert world.run("status").data["work"]["drift"] == shown["documents"] == len(shown["rows"])
    assert world.run("plan").data["drift"]["accounts"] == shown["accounts"]


def test_correcting_a_paid_invoice_is_a_reversal_and_a_new_invoice_that_nobody_owes(world: World) -> None:
    number = world.story("card_guest")
    key, old = f"shop/order/{number}/1", world.invoice(number)
    before = accounts(world)

    planned = world.run("correct", key, "--reason", "goods were booked to 201").data["plan"]
    untouched = accounts(world)
    made = [(each["entity"], each["operation"], each["state"]) for each in planned["entries"]]
    assert made == [
        ("invoices", "update", "held"),
        ("credit_notes", "create", "held"),
        ("allocations", "create", "held"),
    ]
    assert untouched == before

    world.run("holds", "approve", key, "--reason", "agreed with Ada")
    with world.watched() as calls:
        world.run("drain")
    assert calls == ["PUT CreditNotes", "PUT Invoices", "PUT CreditNotes/Allocations"]

    (note,) = [
        each
        for each in world.xero("CreditNotes")
        if each["CreditNoteNumber"] == f"{old['InvoiceNumber']}-REV"
    ]
    first, second = world.invoices(number)
    assert (first["InvoiceNumber"], first["Status"]) == (old["InvoiceNumber"], "PAID")
    assert (second["InvoiceNumber"], second["Status"], second["Total"]) == (
        f"{old['InvoiceNumber']}-R1",
        "PAID",
        old["Total"],
    )
    assert (note["Status"], note["Total"], note["Date"]) == ("PAID", old["Total"], old["Date"])
    goods = sum(Decimal(str(line["LineAmount"])) for line in old["LineItems"] if line["AccountCode"] == "201")
    assert moved(before, accounts(world)) == {"201": goods, "260": -goods}


def test_a_lost_answer_in_the_middle_of_a_correction_leaves_each_document_once(world: World) -> None:
    rows = drift(world, "--entity", "invoices", "--rows", "100")["rows"]
    key = next(row["key"] for row in rows if row["frozen_because"] == "paid")
    number = int(key.split("/")[2])
    old = world.invoice(number)
    world.run("correct", key, "--reason", "the same")
    world.run("holds", "approve", key)
    world.fault(world.books, "reset_after", "PUT", "/Invoices$")
    for _ in range(2):
        world.sync(codes=(0, 4, 5))

    assert world.unstruck() == [], "the fault struck"
    assert [(each["InvoiceNumber"], each["AmountDue"]) for each in world.invoices(number)] == [
        (old["InvoiceNumber"], 0),
        (f"{old['InvoiceNumber']}-R1", 0),
    ]
    reversals = [
        each
        for each in world.xero("CreditNotes")
        if each["CreditNoteNumber"] == f"{old['InvoiceNumber']}-REV"
    ]
    assert [each["RemainingCredit"] for each in reversals] == [0]


def test_the_proof_explains_both_documents_of_a_correction(world: World) -> None:
    named = world.behind(codes=(0, 5))
    corrected = {key: record for key, record in named.items() if record["kind"] == "corrected"}
    numbers = {key.partition("/1/re")[0] for key in corrected}

    assert len(numbers) == 2, "two corrections, each with the old invoice and its reversal"
    assert {f"{number}/1/{part}/1" for number in numbers for part in ("replaced", "reversal")} <= set(
        corrected
    )
    assert all(record["explained"] for record in corrected.values())


def test_then_nothing_is_left_to_say_and_the_story_is_told(world: World) -> None:
    number = world.story("card_guest")
    key = f"shop/order/{number}/1"
    with world.watched() as calls:
        world.sync(codes=(0, 5))
    why = world.run("why", key).data

    assert calls == []
    assert key not in {each["key"] for each in drift(world, "--rows", "100")["rows"]}
    verdict = next(each["verdict"] for each in why["reasons"] if each["entity"] == "invoices")
    assert "correct" in verdict
    assert [row[1] for row in why["history"][key] if "correct" in row[1]] != []
    assert key in world.run("why", f"{key}/reversal/1").data["reasons"][0]["verdict"]


def test_a_correction_that_was_refused_posts_nothing_and_is_drift_again(world: World) -> None:
    rows = [each for each in drift(world, "--rows", "100")["rows"] if each["entity"] == "invoices"]
    key = next(each["key"] for each in rows if each["frozen_because"] != "voided")
    voided = next(each["key"] for each in rows if each["frozen_because"] == "voided")
    nothing = world.run("correct", voided, "--reason", "perhaps", codes=(2,))
    proposed = world.run("correct", key, "--reason", "perhaps")
    world.run("holds", "refuse", key, "--reason", "not worth a document")
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    assert nothing.data["plan"]["total"] == 0 < proposed.data["plan"]["total"]
    assert calls == []
    assert key in {each["key"] for each in drift(world, "--rows", "100")["rows"]}
    assert "correction" not in str(world.run("holds").data["groups"])


def test_what_is_accepted_as_it_is_does_not_return(world: World) -> None:
    keys = [each["key"] for each in drift(world, "--rows", "100")["rows"]]
    accepted = world.run("holds", "accept-as-is", *keys, "--reason", "the year is closed").data
    world.run("diff", "--full", codes=(0, 5))

    assert accepted["decided"] == len(keys) > 0
    assert drift(world)["documents"] == 0
    verdicts = [
        each["verdict"] for each in world.run("why", keys[0]).data["reasons"] if each["key"] == keys[0]
    ]
    assert "the year is closed" in verdicts[0]
