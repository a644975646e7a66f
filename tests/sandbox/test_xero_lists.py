"""Lists of the Xero stand-in: modified since, pages, summaries, where and order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sandbox.fix_xero import Books, line

NOON = "2026-10-01T12:00:00Z"


@pytest.fixture
def still(books: Books) -> Books:
    """A stand-in whose clock stands at noon."""
    books.control("clock", {"now": NOON, "freeze": True})
    books.login()
    return books


def names(rows: Any) -> list[str]:
    return [each["Name"] for each in rows]


def test_modified_since_is_strict_on_whole_seconds(still: Books) -> None:
    still.contact("At noon")
    still.advance(0.9)
    still.contact("Within the second")
    still.advance(0.1)
    still.contact("A second later")

    def since(text: str) -> list[str]:
        return names(still.get("Contacts", If_Modified_Since=text))

    assert since("2026-10-01T12:00:00") == ["A second later"]
    assert since("2026-10-01T11:59:59.9") == ["At noon", "Within the second", "A second later"]


def test_modified_since_may_include_its_second() -> None:
    books = Books(modified_since=">=")
    books.control("clock", {"now": NOON, "freeze": True})
    books.login()
    books.contact("At noon")

    assert names(books.get("Contacts", If_Modified_Since="2026-10-01T12:00:00")) == ["At noon"]


def test_blind_fields_change_without_a_stamp(still: Books) -> None:
    person = still.contact()
    still.advance(60)

    still.invoice(Contact={"ContactID": person})

    assert still.get(f"Contacts/{person}")[0]["IsCustomer"] is True
    assert not still.get("Contacts", If_Modified_Since="2026-10-01T12:00:30")


def test_person_may_edit_without_a_stamp(still: Books) -> None:
    made = still.invoice()
    still.advance(60)
    order = {"entity": "Invoices", "id": made["InvoiceID"], "fields": {"DueDate": "2026-12-01"}}

    still.control("edit", order | {"silent": True})
    assert not still.get("Invoices", If_Modified_Since="2026-10-01T12:00:30")

    still.control("edit", order)
    assert still.get("Invoices", If_Modified_Since="2026-10-01T12:00:30")[0]["DueDateString"].startswith(
        "2026-12-01"
    )


def test_payment_stamps_the_invoice_and_an_allocation_does_not(still: Books) -> None:
    made, note = still.invoice(), still.credit_note()
    still.advance(60)
    body = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 1, "Date": "2026-10-03"}

    still.put(f"CreditNotes/{note['CreditNoteID']}/Allocations", body)
    assert not still.get("Invoices", If_Modified_Since="2026-10-01T12:00:30")
    assert still.get("CreditNotes", If_Modified_Since="2026-10-01T12:00:30")

    still.pay(made, 1)
    assert still.get("Invoices", If_Modified_Since="2026-10-01T12:00:30")


def test_archived_contact_is_not_seen_by_modified_since(still: Books) -> None:
    person = still.contact()
    still.advance(60)
    still.post("Contacts", {"ContactID": person, "ContactStatus": "ARCHIVED"})

    assert not still.get("Contacts", If_Modified_Since="2026-10-01T12:00:30")
    assert still.get("Contacts", {"includeArchived": "true"}, If_Modified_Since="2026-10-01T12:00:30")


def test_pages_are_clamped_and_counted(books: Books) -> None:
    for number in range(5):
        books.contact(f"C{number}")

    def page(**query: Any) -> tuple[int, dict[str, int]]:
        answer = books.call("GET", "Contacts?" + "&".join(f"{name}={value}" for name, value in query.items()))
        return len(answer["Contacts"]), answer["pagination"]

    assert page(page=1, pageSize=3) == (3, {"page": 1, "pageSize": 3, "pageCount": 3, "itemCount": 7})
    assert page(page=9, pageSize=3)[0] == 0
    assert page(page=0, pageSize=0)[1]["pageSize"] == 1
    assert page(page=1, pageSize=5000)[1]["pageSize"] == 1000
    assert page(page=1)[1]["pageSize"] == 100
    assert "pagination" not in books.call("GET", "Contacts")


def test_walking_pages_loses_a_row_when_another_is_edited(still: Books) -> None:
    """Offsets into a list ordered by change: the reason to seek by time instead."""
    made = []
    for number in range(4):
        still.advance(1)
        made.append(still.contact(f"C{number}"))
    query = {"pageSize": 2, "where": 'Name.StartsWith("C")'}

    first = names(still.get("Contacts", {"page": 1} | query))
    still.advance(1)
    still.post("Contacts", {"ContactID": made[0], "FirstName": "New"})
    second = names(still.get("Contacts", {"page": 2} | query))

    assert (first, second) == (["C0", "C1"], ["C3", "C0"])


def test_summary_without_pages(books: Books) -> None:
    made = books.invoice()

    summary = books.get("Invoices")[0]
    full = books.get("Invoices", {"page": 1})[0]
    single = books.get(f"Invoices/{made['InvoiceID']}")[0]

    assert summary["LineItems"] == []
    assert len(full["LineItems"]) == len(single["LineItems"]) == 1
    assert "EmailAddress" not in full["Contact"]
    assert "EmailAddress" in single["Contact"]


def test_summary_only_leaves_more_out(books: Books) -> None:
    made = books.invoice()

    row = books.get("Invoices", {"summaryOnly": "true"})[0]
    person = books.get("Contacts", {"summaryOnly": "true", "where": 'Name=="ACME"'})[0]

    assert row["InvoiceID"] == made["InvoiceID"]
    assert not {"LineItems", "Payments", "HasAttachments"} & set(row)
    assert not {"Addresses", "ContactPersons", "IsCustomer", "Balances"} & set(person)


def test_contact_without_pages_has_no_balances(books: Books) -> None:
    books.invoice()

    assert "Balances" not in books.get("Contacts", {"where": 'Name=="ACME"'})[0]
    full = books.get("Contacts", {"where": 'Name=="ACME"', "page": 1})[0]
    assert full["Balances"]["AccountsReceivable"]["Outstanding"] == 120


def test_list_filters(books: Books) -> None:
    one = books.invoice(InvoiceNumber="W-1", Reference="order 7")
    two = books.invoice(InvoiceNumber="W-2", Status="DRAFT", Contact={"Name": "Other"})

    def ids(**query: str) -> list[str]:
        return [each["InvoiceID"] for each in books.get("Invoices", query)]

    # Both may be stamped in the same millisecond; then the id decides their order.
    assert set(ids(IDs=f"{one['InvoiceID']},{two['InvoiceID']}")) == {one["InvoiceID"], two["InvoiceID"]}
    assert ids(InvoiceNumbers="w-2") == [two["InvoiceID"]]
    assert ids(ContactIDs=two["Contact"]["ContactID"]) == [two["InvoiceID"]]
    assert ids(Statuses="DRAFT,PAID") == [two["InvoiceID"]]
    assert ids(searchTerm="ORDER 7") == [one["InvoiceID"]]
    assert len(ids(createdByMyApp="true")) == 2


def test_deleted_invoice_is_due_by_id_only(books: Books) -> None:
    made = books.invoice(Status="DRAFT")
    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "DELETED"})

    assert books.get("Invoices", {"page": 1})[0]["AmountDue"] == 0
    assert books.get(f"Invoices/{made['InvoiceID']}")[0]["AmountDue"] == 120


WHERE: list[tuple[str, str]] = [
    ('InvoiceNumber=="W-1"', "1"),
    ('InvoiceNumber = "W-1"', "1"),
    ('InvoiceNumber=="w-1"', ""),
    ('Status=="DRAFT" OR InvoiceNumber=="W-1"', "12"),
    ('Status=="AUTHORISED" AND Type=="ACCREC"', "1"),
    ('Type=="ACCREC"&&(Status=="DRAFT"||Total>1000)', "2"),
    ("Total >= 120 AND Total < 120.01", "1"),
    ("Total != 120", "2"),
    ("AmountDue > 0", "12"),
    ("Date >= DateTime(2026, 10, 02)", "2"),
    ('Date == DateTime.Parse("2026-10-01T00:00:00")', "1"),
    ("DueDate == null", "2"),
    ("DueDate != null AND DueDate <= DateTime(2026,10,31)", "1"),
    ('Reference.Contains("der")', "1"),
    ('Reference != null AND Reference.StartsWith("order")', "1"),
    ('Reference.EndsWith("9")', "2"),
    ("SentToContact == true", ""),
    ('Contact.Name == "Other"', "2"),
    ("UpdatedDateUTC >= DateTime(2020,1,1)", "12"),
]


@pytest.mark.parametrize(("where", "numbers"), WHERE, ids=[case[0] for case in WHERE])
def test_where(books: Books, where: str, numbers: str) -> None:
    books.invoice(InvoiceNumber="W-1", Reference="order 7")
    books.invoice(
        InvoiceNumber="W-2",
        Reference="nr 9",
        Status="DRAFT",
        Date="2026-10-02",
        DueDate=None,
        Contact={"Name": "Other"},
        LineItems=[line(UnitAmount=50)],
    )

    found = books.get("Invoices", {"where": where, "page": 1})

    assert "".join(sorted(each["InvoiceNumber"][-1] for each in found)) == numbers


def test_where_by_guid(books: Books) -> None:
    made = books.invoice()
    paid = books.pay(made, 10)

    by_contact = {"where": f'Contact.ContactID==guid("{made["Contact"]["ContactID"]}")'}
    by_invoice = {
        "where": f'Invoice.InvoiceID==Guid("{made["InvoiceID"]}") AND Status=="AUTHORISED"',
        "page": 1,
    }

    assert books.get("Invoices", by_contact)[0]["InvoiceID"] == made["InvoiceID"]
    assert books.get("Payments", by_invoice)[0]["PaymentID"] == paid["PaymentID"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("Name==", "Expression expected"),
        ("Nmae==1", "No property or field 'Nmae' exists in type 'Contact'"),
        ("Name==1", "Operator '==' incompatible with operand types 'String' and 'Decimal'"),
        ('ContactID=="x"', "Operator '==' incompatible with operand types 'Guid' and 'String'"),
        ("Name=='A'", "Character literal must contain exactly one character"),
        ("Name", "Expression of type 'Boolean' expected"),
        ('(Name=="A"', "')' expected"),
        ('Name.Like("A")', "No applicable method 'Like' exists in type 'Contact'"),
        ('Contact.Name=="A"', "No property or field 'Contact' exists in type 'Contact'"),
    ],
)
def test_where_that_cannot_be_parsed(books: Books, where: str, message: str) -> None:
    refused = books.get("Contacts", {"where": where})

    assert (books.last.status_code, refused["ErrorNumber"], refused["Type"]) == (
        400,
        16,
        "QueryParseException",
    )
    assert refused["Message"] == message


def test_method_on_null_breaks_unless_it_is_guarded(books: Books) -> None:
    books.contact()

    broken = books.get("Contacts", {"where": 'FirstName.StartsWith("A")'})
    guarded = books.get("Contacts", {"where": 'FirstName!=null AND FirstName.StartsWith("A")'})

    assert (broken["ErrorNumber"], guarded) == (500, [])


def test_text_of_contacts_compares_without_case_and_accents(books: Books) -> None:
    books.contact("Café Zoë")

    assert len(books.get("Contacts", {"where": 'Name=="CAFE ZOE"'})) == 1


def test_order(books: Books) -> None:
    for name in ("B", "C", "A"):
        books.contact(name)

    found = books.get(
        "Contacts", {"order": "Name DESC", "where": 'Name.Contains("A") OR Name=="B" OR Name=="C"'}
    )

    assert names(found)[-3:] == ["C", "B", "A"]
    assert books.get("Contacts", {"order": "Nmae"})["ErrorNumber"] == 16


def test_purchase_orders_are_always_paged(books: Books) -> None:
    bought = [line(AccountCode="310", TaxType="INPUT2")]
    books.put(
        "PurchaseOrders",
        {"Contact": {"ContactID": books.contact()}, "LineItems": bought, "Date": "2026-10-01"},
    )

    answer = books.call("GET", "PurchaseOrders?DateFrom=2026-10-01&DateTo=2026-10-01")

    assert answer["pagination"]["itemCount"] == 1
    assert len(answer["PurchaseOrders"][0]["LineItems"]) == 1
    assert not books.get("PurchaseOrders", {"DateFrom": "2026-10-02"})


def test_high_volume_refuses_wide_queries() -> None:
    books = Books(high_volume=1)
    books.contact()

    assert books.get("Contacts")["ErrorNumber"] == 51
    assert books.get("Contacts", {"where": 'FirstName=="A"', "page": 1})["ErrorNumber"] == 51
    assert isinstance(books.get("Contacts", {"page": 1}), list)
    assert isinstance(books.get("Contacts", {"where": 'Name=="ACME"'}), list)
    assert isinstance(books.get("Contacts", If_Modified_Since="2026-01-01T00:00:00"), list)


def test_journals_are_numbered_and_read_by_offset() -> None:
    books = Books(journals=True)
    books.login("accounting.journals.read accounting.transactions accounting.contacts")
    for _ in range(3):
        books.invoice()

    found = books.get("Journals", {"offset": 1})

    assert [each["JournalNumber"] for each in found] == [2, 3]
    assert found[0]["SourceType"] == "ACCREC"
    assert sum(each["NetAmount"] for each in found[0]["JournalLines"]) == 0
    assert "SourceType" not in books.get(f"Journals/{found[0]['JournalID']}")[0]


def test_stamps_are_utc_with_milliseconds(still: Books) -> None:
    still.advance(0.123)
    made = still.invoice()

    milliseconds = int(made["UpdatedDateUTC"].removeprefix("/Date(").partition("+")[0])

    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    assert (at.isoformat(), milliseconds % 1000) == ("2026-10-01T12:00:00+00:00", 123)
    assert made["UpdatedDateUTCString"] == "2026-10-01T12:00:00Z"
