"""Status machines, matching, frozen fields and uniqueness at the Xero stand-in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.fix_xero import Books, line

FROZEN = "This document cannot be edited as it has a payment or credit note allocated to it."


@pytest.mark.parametrize(
    ("start", "wanted", "allowed"),
    [
        ("DRAFT", "SUBMITTED", True),
        ("DRAFT", "AUTHORISED", True),
        ("DRAFT", "DELETED", True),
        ("DRAFT", "VOIDED", False),
        ("DRAFT", "PAID", False),
        ("SUBMITTED", "DRAFT", True),
        ("SUBMITTED", "DELETED", True),
        ("AUTHORISED", "VOIDED", True),
        ("AUTHORISED", "DELETED", False),
        ("AUTHORISED", "DRAFT", False),
        ("AUTHORISED", "PAID", False),
    ],
)
@pytest.mark.parametrize("entity", ["Invoices", "CreditNotes"])
def test_moves(books: Books, entity: str, start: str, wanted: str, allowed: bool) -> None:
    made = books.invoice(Status=start) if entity == "Invoices" else books.credit_note(Status=start)
    name = f"{entity[:-1]}ID"

    moved = books.post(entity, {name: made[name], "Status": wanted})

    if allowed:
        assert moved["Status"] == wanted
    else:
        words = "Invoice" if entity == "Invoices" else "Credit Note"
        assert books.messages() == [f"{words} not of valid status for modification"]


@pytest.mark.parametrize("end", ["VOIDED", "DELETED"])
def test_what_is_gone_stays_as_it_is(books: Books, end: str) -> None:
    made = books.invoice(Status="AUTHORISED" if end == "VOIDED" else "DRAFT")
    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": end})

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Reference": "new"})

    assert books.messages() == ["Invoice not of valid status for modification"]


def test_paid_comes_from_payments_and_goes_with_them(books: Books) -> None:
    made = books.invoice()
    first = books.pay(made, 100)
    second = books.pay(made, 20)
    paid = books.get(f"Invoices/{made['InvoiceID']}")[0]

    books.post(f"Payments/{first['PaymentID']}", {"Status": "DELETED"})
    opened = books.get(f"Invoices/{made['InvoiceID']}")[0]

    assert (paid["Status"], paid["AmountDue"], len(paid["Payments"])) == ("PAID", 0, 2)
    assert "FullyPaidOnDate" in paid
    assert (opened["Status"], opened["AmountDue"]) == ("AUTHORISED", Decimal("100.00"))
    assert [each["PaymentID"] for each in opened["Payments"]] == [second["PaymentID"]]
    assert "FullyPaidOnDate" not in opened


def test_invoice_over_nothing_is_paid_at_once(books: Books) -> None:
    made = books.invoice(LineItems=[line(UnitAmount=0)])

    assert (made["Status"], made["AmountDue"]) == ("PAID", 0)


def test_void_needs_an_invoice_without_payments(books: Books) -> None:
    made = books.invoice()
    books.pay(made, 10)

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "VOIDED"})

    assert books.messages() == [
        "The status VOIDED cannot be applied to the invoice because it has payments"
        " or credit notes allocated to it."
    ]


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"Reference": "new"}, True),
        ({"DueDate": "2026-12-31"}, True),
        ({"InvoiceNumber": "new"}, True),
        ({"Url": "https://example.com/"}, True),
        ({"Date": "2026-10-01"}, True),
        ({"Date": "2026-10-02"}, False),
        ({"CurrencyCode": "EUR"}, False),
        ({"LineAmountTypes": "Inclusive"}, False),
    ],
    ids=str,
)
def test_fields_after_a_payment(books: Books, fields: dict[str, Any], allowed: bool) -> None:
    made = books.invoice()
    books.pay(made, 10)

    books.post("Invoices", {"InvoiceID": made["InvoiceID"]} | fields)

    assert books.last.status_code == (200 if allowed else 400)
    if not allowed:
        assert books.messages() == [FROZEN]


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"Description": "Other words"}, True),
        ({"AccountCode": "200"}, True),
        ({"Tracking": [{"Name": "Channel", "Option": "EU shop"}]}, True),
        ({"UnitAmount": 90}, False),
        ({"TaxType": "ZERORATEDOUTPUT"}, False),
        ({"LineItemID": None}, False),
    ],
    ids=str,
)
def test_lines_after_a_payment(books: Books, change: dict[str, Any], allowed: bool) -> None:
    made = books.invoice()
    books.pay(made, 10)
    sent = line(LineItemID=made["LineItems"][0]["LineItemID"]) | change

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "LineItems": [sent]})

    assert books.last.status_code == (200 if allowed else 400)
    books.balances()


def test_sent_lines_replace_the_set(books: Books) -> None:
    made = books.invoice(LineItems=[line(Description="one"), line(Description="two")])
    first = made["LineItems"][0]["LineItemID"]

    sent = [{"LineItemID": first, "Description": "one, again"}, line(Description="three")]
    again = books.post("Invoices", {"InvoiceID": made["InvoiceID"], "LineItems": sent})

    assert [each["Description"] for each in again["LineItems"]] == ["one, again", "three"]
    assert again["LineItems"][0]["LineItemID"] == first
    assert again["LineItems"][1]["LineItemID"] != made["LineItems"][1]["LineItemID"]


def test_status_alone_keeps_the_lines(books: Books) -> None:
    made = books.invoice(Status="DRAFT")

    again = books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "AUTHORISED"})

    assert again["LineItems"] == made["LineItems"]


def test_draft_without_accounts_cannot_be_approved(books: Books) -> None:
    made = books.invoice(Status="DRAFT", LineItems=[line(AccountCode=None)])

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "AUTHORISED"})

    assert books.messages() == ["Account code must be specified"]


def test_post_matches_by_number_and_overwrites(books: Books) -> None:
    """The danger that creates by PUT avoid: somebody else's invoice of that number is changed."""
    theirs = books.invoice(InvoiceNumber="000000001")

    ours = books.post("Invoices", books.document(InvoiceNumber="000000001", LineItems=[line(UnitAmount=1)]))

    assert ours["InvoiceID"] == theirs["InvoiceID"]
    assert ours["Total"] == Decimal("1.20")


def test_put_refuses_a_number_that_is_taken(books: Books) -> None:
    books.invoice(InvoiceNumber="W-1")

    books.invoice(InvoiceNumber="w-1")

    assert books.messages() == ["Invoice # must be unique."]


@pytest.mark.parametrize("reuse", [False, True])
def test_number_of_a_voided_invoice(reuse: bool) -> None:
    books = Books(number_reuse=reuse)
    made = books.invoice(InvoiceNumber="W-1")
    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "VOIDED"})

    books.invoice(InvoiceNumber="W-1")

    assert books.last.status_code == (200 if reuse else 400)


def test_numbers_of_bills_are_free(books: Books) -> None:
    bill = {"Type": "ACCPAY", "InvoiceNumber": "7", "LineItems": [line(AccountCode="310", TaxType="INPUT2")]}

    first, second = books.invoice(**bill), books.invoice(**bill)

    assert first["InvoiceID"] != second["InvoiceID"]


def test_numbers_are_given_where_none_is_sent(books: Books) -> None:
    assert [books.invoice()["InvoiceNumber"] for _ in range(2)] == ["INV-0001", "INV-0002"]


def test_contact_is_matched_by_number_then_by_name(books: Books) -> None:
    made = books.contact("ACME", ContactNumber="shop/1")

    by_number = books.post("Contacts", {"ContactNumber": "shop/1", "Name": "ACME Ltd"})
    by_name = books.post("Contacts", {"Name": "acme ltd", "FirstName": "Jane"})

    assert by_number["ContactID"] == by_name["ContactID"] == made
    assert by_name["FirstName"] == "Jane"


def test_contact_in_a_document_is_created_or_updated(books: Books) -> None:
    made = books.invoice(Contact={"Name": "Jane Doe", "EmailAddress": "jane@example.com"})
    person = made["Contact"]["ContactID"]

    again = books.invoice(Contact={"ContactID": person, "Name": "Jane Roe"})

    assert again["Contact"]["ContactID"] == person
    assert books.get(f"Contacts/{person}")[0]["Name"] == "Jane Roe"


def test_archived_contact_hides_and_keeps_its_documents(books: Books) -> None:
    made = books.invoice()
    person = made["Contact"]["ContactID"]

    archived = books.post("Contacts", {"ContactID": person, "ContactStatus": "ARCHIVED"})

    assert archived["ContactStatus"] == "ARCHIVED"
    assert person not in {each["ContactID"] for each in books.get("Contacts")}
    assert person in {each["ContactID"] for each in books.get("Contacts", {"includeArchived": "true"})}
    assert books.get(f"Contacts/{person}")[0]["ContactStatus"] == "ARCHIVED"


def test_merge_archives_the_loser_and_moves_its_documents(books: Books) -> None:
    made = books.invoice()
    loser, winner = made["Contact"]["ContactID"], books.contact("Winner")

    books.control("merge", {"from": loser, "into": winner})

    assert books.get(f"Contacts/{loser}")[0]["MergedToContactID"] == winner
    assert books.get(f"Invoices/{made['InvoiceID']}")[0]["Contact"]["ContactID"] == winner
    books.invoice(Contact={"ContactID": loser})
    assert books.last.status_code == 400


def test_allocation_is_bound_by_both_sides(books: Books) -> None:
    made, note = books.invoice(), books.credit_note()
    other = books.invoice(Contact={"Name": "Somebody else"})
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"

    books.put(
        path, {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": Decimal("12.01"), "Date": "2026-10-03"}
    )
    assert books.last.status_code == 400
    books.put(path, {"Invoice": {"InvoiceID": other["InvoiceID"]}, "Amount": 1, "Date": "2026-10-03"})
    assert books.last.status_code == 400
    books.put(path, {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 12, "Date": "2026-10-03"})
    assert books.last.status_code == 200

    after = books.get(f"Invoices/{made['InvoiceID']}")[0]
    assert (after["AmountCredited"], after["AmountDue"]) == (Decimal("12.00"), Decimal("108.00"))
    assert after["CreditNotes"][0]["AppliedAmount"] == Decimal("12.00")
    assert "Allocations" not in after["CreditNotes"][0]
    assert books.get(f"CreditNotes/{note['CreditNoteID']}")[0]["Status"] == "PAID"


def test_fully_credited_invoice_takes_no_payment(books: Books) -> None:
    made, note = books.invoice(), books.credit_note(LineItems=[line()])
    books.put(
        f"CreditNotes/{note['CreditNoteID']}/Allocations",
        {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 120, "Date": "2026-10-03"},
    )

    books.pay(made, 1)

    assert books.messages() == ["Payment amount exceeds the amount outstanding on this document"]


def test_even_put_updates_a_purchase_order_by_its_number(books: Books) -> None:
    person = books.contact("Supplier")
    bought = [line(AccountCode="310", TaxType="INPUT2")]
    body = {"Contact": {"ContactID": person}, "PurchaseOrderNumber": "PO-7", "LineItems": bought}
    first = books.put("PurchaseOrders", body)

    second = books.put("PurchaseOrders", body | {"Reference": "again"})
    books.post("PurchaseOrders", {"PurchaseOrderID": first["PurchaseOrderID"], "Status": "DELETED"})
    books.put("PurchaseOrders", body)

    assert second["PurchaseOrderID"] == first["PurchaseOrderID"]
    assert books.messages() == ["Order number must be unique"]


def test_purchase_order_never_creates_its_contact(books: Books) -> None:
    books.put("PurchaseOrders", {"Contact": {"Name": "Supplier"}, "LineItems": [line()]})

    assert books.last.status_code == 400
    assert not books.get("Contacts", {"where": 'Name=="Supplier"'})


@pytest.mark.parametrize(
    ("start", "wanted", "allowed"),
    [("DRAFT", "BILLED", False), ("AUTHORISED", "BILLED", True), ("AUTHORISED", "DRAFT", False)],
)
def test_purchase_order_moves(books: Books, start: str, wanted: str, allowed: bool) -> None:
    bought = [line(AccountCode="310", TaxType="INPUT2")]
    made = books.put(
        "PurchaseOrders", {"Contact": {"ContactID": books.contact()}, "Status": start, "LineItems": bought}
    )

    books.post("PurchaseOrders", {"PurchaseOrderID": made["PurchaseOrderID"], "Status": wanted})

    assert (books.last.status_code == 200) is allowed
    if not allowed:
        assert books.messages() == ["PurchaseOrder status change is invalid"]


def test_item_is_deleted_for_good(books: Books) -> None:
    made = books.put("Items", {"Code": "A-1"})

    books.call("DELETE", f"Items/{made['ItemID']}")

    assert books.last.status_code == 204
    assert not books.get("Items")


def test_used_tracking_is_only_archived(books: Books) -> None:
    category = books.get("TrackingCategories")[0]
    option = next(each for each in category["Options"] if each["Name"] == "UK shop")
    books.invoice(LineItems=[line(Tracking=[{"Name": "Channel", "Option": "UK shop"}])])
    path = f"TrackingCategories/{category['TrackingCategoryID']}/Options/{option['TrackingOptionID']}"

    books.call("DELETE", path)
    assert books.last.status_code == 400
    assert books.post(path, {"Status": "ARCHIVED"})["Status"] == "ARCHIVED"


def test_account_is_archived_in_a_call_of_its_own(books: Books) -> None:
    account = next(each for each in books.get("Accounts") if each["Code"] == "203")
    path = f"Accounts/{account['AccountID']}"

    books.post(path, {"Status": "ARCHIVED", "Name": "Old"})
    assert books.last.status_code == 400
    assert books.post(path, {"Status": "ARCHIVED"})["Status"] == "ARCHIVED"


def test_person_edits_what_the_api_refuses(books: Books) -> None:
    made = books.invoice()
    books.pay(made, 10)
    sent = [line(LineItemID=made["LineItems"][0]["LineItemID"], UnitAmount=110)]

    books.control("edit", {"entity": "Invoices", "id": made["InvoiceID"], "fields": {"LineItems": sent}})

    after = books.get(f"Invoices/{made['InvoiceID']}")[0]
    assert (after["Total"], after["AmountDue"]) == (Decimal("132.00"), Decimal("122.00"))
    books.balances()
