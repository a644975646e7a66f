"""What the Xero stand-in refuses, in the vendor's words."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from sandbox.xero.errors import ZERO_ID
from tests.sandbox.fix_xero import Books, line

LONG = "x" * 256

INVOICES: list[tuple[str, dict[str, Any], str]] = [
    ("no lines", {"LineItems": []}, "One or more line items must be specified"),
    ("no contact", {"Contact": None}, "A Contact must be specified for this type of transaction"),
    (
        "contact without identity",
        {"Contact": {"EmailAddress": "a@b.co"}},
        "The Contact must contain at least 1 of the following elements to identify the contact:"
        " Name, ContactID, ContactNumber",
    ),
    ("status", {"Status": "PAID"}, "Invoice not of valid status for creation"),
    ("type", {"Type": None}, "Invoice not of valid type for creation"),
    ("due date", {"DueDate": None}, "The document DueDate field must be specified."),
    ("currency", {"CurrencyCode": "USD"}, "Organisation is not subscribed to currency USD"),
    (
        "number too long",
        {"InvoiceNumber": LONG},
        "InvoiceNumber is too long. Maximum of 255 characters allowed",
    ),
    ("total", {"Total": 119.99}, "The invoice total does not equal the sum of the lines."),
    (
        "no account",
        {"LineItems": [line(AccountCode=None)]},
        "Account code must be specified",
    ),
    (
        "unknown account",
        {"LineItems": [line(AccountCode="476")]},
        "Account code '476' is not a valid code for this document.",
    ),
    (
        "debtors",
        {"LineItems": [line(AccountCode="610")]},
        "Account code '610' is not a valid code for this document.",
    ),
    (
        "bank",
        {"LineItems": [line(AccountCode="090")]},
        "Account code '090' is not a valid code for this document.",
    ),
    (
        "archived account",
        {"LineItems": [line(AccountCode="299")]},
        "Account code '299' has been archived, or has been deleted."
        " Each line item must reference a valid account.",
    ),
    (
        "unknown tax",
        {"LineItems": [line(TaxType="GST on Income")]},
        "The TaxType code GST on Income does not exist or cannot be used for this type of transaction.",
    ),
    (
        "tax of another class",
        {"LineItems": [line(TaxType="INPUT2")]},
        "The TaxType code 'INPUT2' cannot be used with account code '201'.",
    ),
    (
        "line total",
        {"LineItems": [line(LineAmount=99)]},
        "The line total 99 does not match the expected line total 100.00",
    ),
    (
        "price that does not multiply back",
        {"LineItems": [line(Quantity=3000, UnitAmount=None, LineAmount=100)]},
        "The line total 100 does not match the expected line total 99.90",
    ),
    (
        "zero discount",
        {"LineItems": [line(DiscountRate=Decimal("0.00"))]},
        "The discount rate '0.00' is invalid. Discount must not be greater than the line total.",
    ),
    ("no description", {"LineItems": [line(Description=None)]}, "Description must be specified"),
]


@pytest.mark.parametrize(
    ("fields", "message"), [case[1:] for case in INVOICES], ids=[case[0] for case in INVOICES]
)
def test_invoice_is_refused(books: Books, fields: dict[str, Any], message: str) -> None:
    refused = books.invoice(**fields)

    assert books.last.status_code == 400
    assert (refused["ErrorNumber"], refused["Type"]) == (10, "ValidationException")
    assert books.messages() == [message]
    assert refused["Elements"][0]["InvoiceID"] == ZERO_ID
    assert not books.get("Invoices")


CONTACTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "name taken, whatever its case",
        {"Name": "tAKEN  name "},
        "The contact name tAKEN name is already assigned to another contact."
        " The contact name must be unique across all active contacts.",
    ),
    (
        "number taken",
        {"Name": "New", "ContactNumber": "SHOP/1"},
        "The contact number SHOP/1 is already assigned to another contact."
        " The contact number must be unique across all contacts.",
    ),
    ("e-mail", {"Name": "New", "EmailAddress": "nonsense"}, "Email address must be valid."),
    (
        "no identity",
        {"FirstName": "New"},
        "The Contact must contain at least 1 of the following elements to identify the contact:"
        " Name, ContactID, ContactNumber",
    ),
    (
        "number too long",
        {"Name": "New", "ContactNumber": "x" * 51},
        "ContactNumber is too long. Maximum of 50 characters allowed",
    ),
]


@pytest.mark.parametrize(
    ("fields", "message"), [case[1:] for case in CONTACTS], ids=[case[0] for case in CONTACTS]
)
def test_contact_is_refused(books: Books, fields: dict[str, Any], message: str) -> None:
    books.contact("Somebody", ContactNumber="shop/1")

    books.put("Contacts", fields)

    assert books.messages() == [message]


def test_archived_contact_takes_neither_edits_nor_documents(books: Books) -> None:
    archived = books.get("Contacts", {"includeArchived": "true", "where": 'ContactStatus=="ARCHIVED"'})[0]
    words = (
        "The specified contact details matched an archived contact."
        " Archived contacts cannot currently be edited via the API."
    )

    books.post("Contacts", {"ContactID": archived["ContactID"], "FirstName": "New"})
    assert books.messages() == [words]

    books.invoice(Contact={"ContactID": archived["ContactID"]})
    assert books.messages() == [words]


def test_name_of_an_archived_contact_is_free(books: Books) -> None:
    assert books.contact("Archived Person")


PAYMENTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "too much",
        {"Amount": Decimal("120.01")},
        "Payment amount exceeds the amount outstanding on this document",
    ),
    ("unknown account", {"Account": {"Code": "999"}}, "Account could not be found"),
    ("account without payments", {"Account": {"Code": "201"}}, "Account must be valid."),
    ("no date", {"Date": None}, "The Date field must be specified."),
    ("nothing", {"Amount": 0}, "Payment amount must be greater than zero."),
    ("part of a cent", {"Amount": Decimal("1.001")}, "Payment amount must be greater than zero."),
    (
        "unknown invoice",
        {"Invoice": {"InvoiceID": "5f3b9a1e-0000-4d0a-9a54-2d6a4f1c0b01"}},
        "An existing Invoice with the specified InvoiceID could not be found",
    ),
]


@pytest.mark.parametrize(
    ("fields", "message"), [case[1:] for case in PAYMENTS], ids=[case[0] for case in PAYMENTS]
)
def test_payment_is_refused(books: Books, fields: dict[str, Any], message: str) -> None:
    made = books.invoice()

    books.pay(made, 10, **fields)

    assert books.messages() == [message]


def test_draft_takes_no_payment(books: Books) -> None:
    books.pay(books.invoice(Status="DRAFT"), 10)

    assert books.messages() == ["Payments can only be made against Authorised documents"]


def test_payment_takes_no_update_but_its_deletion(books: Books) -> None:
    paid = books.pay(books.invoice(), 10)

    books.post(f"Payments/{paid['PaymentID']}", {"Amount": 9})

    assert books.messages() == ["Only Status accepted for updates."]


def test_reconciled_payment_stays(books: Books) -> None:
    paid = books.pay(books.invoice(), 10)
    books.control("reconcile", {"payment_id": paid["PaymentID"]})

    books.post(f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})

    assert books.last.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("Items", {"Code": "A-1"}, "Price List Item with Code 'A-1' already exists"),
        ("Accounts", {"Code": "201", "Name": "New", "Type": "REVENUE"}, "Please enter a unique Code."),
        ("Accounts", {"Code": "999", "Name": "goods", "Type": "REVENUE"}, "Please enter a unique Name."),
        (
            "Accounts",
            {"Code": "12345678901", "Name": "New", "Type": "REVENUE"},
            "Code is too long. Maximum of 10 characters allowed",
        ),
        (
            "ManualJournals",
            {
                "Narration": "n",
                "JournalLines": [
                    {"LineAmount": 100, "AccountCode": "404"},
                    {"LineAmount": -10, "AccountCode": "970"},
                ],
            },
            "The total debits (100.00) must equal total credits (-10.00)",
        ),
        (
            "ManualJournals",
            {
                "Narration": "n",
                "JournalLines": [
                    {"LineAmount": 1, "AccountCode": "610"},
                    {"LineAmount": -1, "AccountCode": "970"},
                ],
            },
            "Account code '610' is not a valid code for this document.",
        ),
    ],
)
def test_settings_and_journals_are_refused(
    books: Books, path: str, body: dict[str, Any], message: str
) -> None:
    books.put("Items", {"Code": "A-1"})

    books.put(path, body)

    assert books.messages() == [message]


@pytest.mark.parametrize(
    ("body", "number", "words"),
    [
        ("{", 14, "JSON request body could not be read"),
        ("", 17, "No data has been processed for this endpoint"),
        ({"Invoice": []}, 17, "expecting Contact data to be specifed"),
        ({"Contacts": []}, 17, "No data has been processed"),
        ({"Contacts": [{"Name": "A", "Nmae": "B"}]}, 14, "The element 'Nmae' was not recognised"),
        ({"Name": "A", "ValidationErrors": []}, 14, "The element 'ValidationErrors' was not recognised"),
        (
            {"Name": "A", "UpdatedDateUTC": "2026-01-01"},
            14,
            "The element 'UpdatedDateUTC' was not recognised",
        ),
        ('{"Name": "A", "Name": "B"}', 14, "no duplicate elements of the same name"),
        ({"Name": "A", "ContactID": "nonsense"}, 14, "System.Guid"),
        ({"Name": "A\u0007"}, 14, "Invalid character"),
    ],
)
def test_unreadable_body(books: Books, body: Any, number: int, words: str) -> None:
    refused = books.call("PUT", "Contacts", body)

    assert (books.last.status_code, refused["ErrorNumber"]) == (400, number)
    assert words in refused["Message"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"LineAmountTypes": "NO_TAX"}, "Error converting value \"NO_TAX\" to type 'Xero.LineAmountType'"),
        ({"Date": "2017-12-14 00:00:00"}, "The string '2017-12-14 00:00:00' is not a valid AllXsd value."),
        ({"FullyPaidOnDate": "2026-01-01"}, "The element 'FullyPaidOnDate' was not recognised"),
    ],
)
def test_unreadable_value(books: Books, fields: dict[str, Any], words: str) -> None:
    refused = books.invoice(**fields)

    assert refused["ErrorNumber"] == 14
    assert words in refused["Message"]


def test_local_time_with_offset_becomes_the_previous_day(books: Books) -> None:
    made = books.invoice(Date="2026-10-01T00:00:00+13:00")

    assert made["DateString"] == "2026-09-30T00:00:00"


def test_unknown_tracking_is_dropped_in_silence(books: Books) -> None:
    tracking = [{"Name": "Channel", "Option": "uk shop"}, {"Name": "Region", "Option": "North"}]

    made = books.invoice(LineItems=[line(Tracking=tracking)])

    assert [pair["Option"] for pair in made["LineItems"][0]["Tracking"]] == ["UK shop"]


def test_draft_loses_an_unknown_account_with_a_warning(books: Books) -> None:
    made = books.invoice(Status="DRAFT", LineItems=[line(AccountCode="476")])

    assert "AccountCode" not in made["LineItems"][0]
    assert made["Warnings"] == [
        {"Message": "Account code '476' has been removed as it does not match a recognised account."}
    ]


def test_lock_dates_close_the_books(books: Books) -> None:
    made = books.invoice(Date="2026-08-31")
    paid = books.pay(made, 10, Date="2026-08-31")
    books.control("organisation", {"PeriodLockDate": "2026-08-31"})
    words = ["The document date cannot be before the period lock date, currently set at 31 Aug 2026"]

    books.invoice(Date="2026-08-31")
    assert books.messages() == words
    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Reference": "new"})
    assert books.messages() == words
    books.pay(made, 1, Date="2026-08-30")
    assert books.messages() == words
    books.post(f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    assert books.messages() == words
    books.pay(made, 1, Date="2026-09-01")
    assert books.last.status_code == 200


def test_plan_limit_stops_approvals(books: Books) -> None:
    books.control("options", {"invoice_limit": 1})
    books.invoice()

    books.invoice()

    assert books.messages() == ["You have reached the limit of invoices you can approve"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Invoices/5f3b9a1e-0000-4d0a-9a54-2d6a4f1c0b01", 404),
        ("GET", "Nonsense", 404),
        ("PUT", "Organisation", 501),
        ("DELETE", "Invoices/W-1", 501),
        ("PUT", "Users", 501),
    ],
)
def test_wrong_address_or_method(books: Books, method: str, path: str, status: int) -> None:
    answer = books.call(method, path, {} if method == "PUT" else None)

    assert books.last.status_code == status
    if status == 404:
        assert answer == "The resource you're looking for cannot be found"


def test_unknown_id_refuses_the_whole_request_unless_errors_are_not_summarised(books: Books) -> None:
    body = {"InvoiceID": "5f3b9a1e-0000-4d0a-9a54-2d6a4f1c0b01", "Status": "VOIDED"}

    books.call("POST", "Invoices", body)
    assert books.last.status_code == 404

    answer = books.call("POST", "Invoices?summarizeErrors=false", body)
    assert answer["Invoices"][0]["StatusAttributeString"] == "ERROR"


def test_batch_answers_in_the_order_of_the_request(books: Books) -> None:
    batch = {"Contacts": [{"Name": "One"}, {"Name": "taken name"}, {"Name": "Two"}, {"Name": "one"}]}

    refused = books.call("PUT", "Contacts", batch)
    assert [each["Name"] for each in refused["Elements"]] == ["taken name", "one"]
    assert not books.get("Contacts", {"where": 'Name=="One"'})

    answer = books.call("PUT", "Contacts?summarizeErrors=false", batch)
    marks = [each["StatusAttributeString"] for each in answer["Contacts"]]
    assert (books.last.status_code, marks) == (200, ["OK", "ERROR", "OK", "ERROR"])
    assert answer["Contacts"][1]["ContactID"] == ZERO_ID


def test_refused_element_leaves_nothing_of_it_behind(books: Books) -> None:
    """A contact that a refused invoice would have created is not created."""
    books.invoice(Contact={"Name": "Brand New"}, LineItems=[line(AccountCode="476")])

    assert books.last.status_code == 400
    assert not books.get("Contacts", {"where": 'Name=="Brand New"'})


def test_xml_is_the_default(books: Books) -> None:
    text = books.call("GET", "Currencies", Accept="*/*")

    assert books.last.mimetype == "text/xml"
    assert "<Currency><Code>GBP</Code>" in text


def test_answer_is_json_as_the_vendor_writes_it(books: Books) -> None:
    books.invoice()
    text = books.last.get_data(as_text=True)

    assert '\r\n  "Status": "OK"' in text
    assert '"Total": 120.00' in text
    assert '"Date": "\\/Date(1790812800000+0000)\\/"' in text
    assert json.loads(text)["Invoices"][0]["DateString"] == "2026-10-01T00:00:00"
