"""Each stream of Xero against its stand-in."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from loaders import xero_walks
from loaders.poll import Loaded, load_connection
from loaders.xero import STREAMS
from tests.contracts.conftest import Source
from tieout.errors import BudgetExhausted, RetryLater

# stream: entity of the stand-in, key, a field that a person may change
EDITABLE = {
    "contacts": ("Contacts", "ContactID", "FirstName"),
    "items": ("Items", "ItemID", "Description"),
    "invoices": ("Invoices", "InvoiceID", "Reference"),
    "credit_notes": ("CreditNotes", "CreditNoteID", "Reference"),
    "payments": ("Payments", "PaymentID", "Reference"),
    "bank_transactions": ("BankTransactions", "BankTransactionID", "Reference"),
    "overpayments": ("Overpayments", "OverpaymentID", "Reference"),
    "prepayments": ("Prepayments", "PrepaymentID", "Reference"),
    "manual_journals": ("ManualJournals", "ManualJournalID", "Narration"),
    "purchase_orders": ("PurchaseOrders", "PurchaseOrderID", "Reference"),
}
PAGED = [name for name in EDITABLE if name != "items"]


def trade(books: Source, count: int = 3, *, first: int = 0, apart: int = 1) -> None:
    """So many records of every entity, so many seconds apart, numbered from `first` on."""
    name = f"Everybody {first}" if first else "Everybody"
    contact = {"ContactID": books.make("Contacts", {"Name": name})[0]["ContactID"]}
    line = {"Description": "Work", "Quantity": 1, "UnitAmount": 10, "AccountCode": "200", "TaxType": "NONE"}
    for number in range(first, first + count):
        books.control("clock", advance_seconds=apart)
        books.make("Contacts", {"Name": f"Contact {number}"})
        books.make("Items", {"Code": f"I{number}"})
        document = {"Contact": contact, "LineItems": [line], "Date": "2026-01-05", "Status": "AUTHORISED"}
        sale = document | {"Type": "ACCREC", "DueDate": "2026-02-05", "InvoiceNumber": f"INV-{number}"}
        invoice = books.make("Invoices", sale)[0]
        books.make("CreditNotes", document | {"Type": "ACCRECCREDIT"})
        payment = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Account": {"Code": "611"}, "Amount": 1}
        books.make("Payments", payment | {"Date": "2026-01-06"})
        bank = {"Contact": contact, "BankAccount": {"Code": "090"}, "LineItems": [line], "Date": "2026-01-05"}
        books.make("BankTransactions", bank | {"Type": "RECEIVE"})
        over = {"Description": "Over", "UnitAmount": 10}
        books.make("BankTransactions", bank | {"Type": "RECEIVE-OVERPAYMENT", "LineItems": [over]})
        books.make("BankTransactions", bank | {"Type": "RECEIVE-PREPAYMENT"})
        journal = [{"LineAmount": 5, "AccountCode": "404"}, {"LineAmount": -5, "AccountCode": "260"}]
        books.make("ManualJournals", {"Narration": "Move", "JournalLines": journal, "Date": "2026-01-05"})
        books.make("PurchaseOrders", {"Contact": contact, "LineItems": [line], "Date": "2026-01-05"})


def edit(books: Source, name: str, record_id: str, value: str, **arguments: Any) -> None:
    """Change one field as a person would."""
    entity, _, field = EDITABLE[name]
    books.control("edit", entity=entity, id=record_id, fields={field: value}, **arguments)


def ids(books: Source, name: str) -> list[str]:
    """The stand-in's ids of a stream, the longest unchanged first."""
    entity, key, _ = EDITABLE[name]
    return [
        str(record[key])
        for record in sorted(books.state(entity), key=lambda each: str(each["UpdatedDateUTC"]))
    ]


def test_every_stream_is_loaded_once_and_then_costs_one_read_and_no_write(books: Source) -> None:
    trade(books)
    books.make("Currencies", {"Code": "EUR"})
    transfer = {"FromBankAccount": {"Code": "090"}, "ToBankAccount": {"Code": "091"}, "Amount": 5}
    books.make(
        "Accounts", {"Code": "091", "Name": "Savings", "Type": "BANK", "BankAccountNumber": "20000099345678"}
    )
    books.make("BankTransfers", transfer | {"Date": "2026-01-05"})
    first = load_connection(books.database, books.settings, books.client.connection, client=books.client)
    assert [loaded.error for loaded in first] == [None] * len(STREAMS)
    assert [loaded.stream for loaded in first if loaded.changed == 0] == []
    before = {stream.name: books.rows(stream.name) for stream in STREAMS}
    changes = len(books.table("changes"))

    for stream in STREAMS:
        books.forget()
        loaded = books.load(stream.name)
        assert loaded.changed == 0, stream.name
        assert len(books.requests()) == 1, stream.name

    assert {stream.name: books.rows(stream.name) for stream in STREAMS} == before
    assert len(books.table("changes")) == changes


@pytest.mark.parametrize("name", PAGED)
def test_a_load_cut_off_between_pages_continues_and_loses_nothing(books: Source, name: str) -> None:
    trade(books, 5)
    books.control("faults", kind="500_before", path=books.stream(name).path, skip=2, times=1000)

    with pytest.raises(RetryLater):
        books.load(name, page_size=2)
    kept = books.rows(name)
    books.calm()
    books.load(name, page_size=2)

    assert 0 < len(kept) < len(ids(books, name))
    assert set(books.rows(name)) == set(ids(books, name))


@pytest.mark.parametrize("name", PAGED)
def test_a_record_that_changes_while_its_list_is_paged_hides_no_other(books: Source, name: str) -> None:
    trade(books, 6)
    books.load(name)
    for number, record_id in enumerate(ids(books, name)):
        books.control("clock", advance_seconds=200)
        edit(books, name, record_id, f"new {number}")
    first, pages = ids(books, name)[0], 0

    def disturb(loaded: Loaded) -> None:
        nonlocal pages
        pages += 1
        if pages == 1:
            books.control("clock", advance_seconds=200)
            edit(books, name, first, "moved")

    books.load(name, page_size=2, progress=disturb)

    _, _, field = EDITABLE[name]
    said = {record_id: row["payload"].get(field) for record_id, row in books.rows(name).items()}
    assert said == {
        record_id: ("moved" if record_id == first else said[record_id]) for record_id in ids(books, name)
    }
    assert all(str(value).startswith(("new", "moved")) for value in said.values())


@pytest.mark.parametrize("since", [">", ">="])
@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_more_records_of_one_second_than_a_page_holds_are_all_read(
    books: Source, since: str, page_size: int
) -> None:
    books.control("options", modified_since=since)
    books.make("Contacts", {"Name": "Before"})
    books.load("contacts")
    books.control("clock", advance_seconds=3600, freeze=True)
    books.make("Contacts", *({"Name": f"Crowd {number}"} for number in range(7)))
    books.control("clock", advance_seconds=5)
    books.make("Contacts", {"Name": "After"}, {"Name": "Later"})

    books.load("contacts", page_size=page_size)

    assert set(books.rows("contacts")) == set(ids(books, "contacts"))
    assert books.load("contacts").changed == 0


def test_a_row_that_comes_late_behind_a_crowded_second_is_met(books: Source) -> None:
    books.control("clock", freeze=True)
    books.make("Contacts", *({"Name": f"Crowd {number}"} for number in range(5)))
    books.control("clock", advance_seconds=10)
    books.make("Contacts", {"Name": "After"})
    books.control("clock", advance_seconds=50)
    books.make("Contacts", {"Name": "Later"}, {"Name": "Last"})
    books.load("contacts")
    books.control("clock", advance_seconds=-30)
    late = books.make("Contacts", {"Name": "Late"})[0]["ContactID"]
    books.control("clock", advance_seconds=60)

    books.load("contacts", page_size=2)

    assert late in books.rows("contacts")


def test_lines_prices_and_archived_records_come_in_full(books: Source) -> None:
    trade(books, 1)
    contact = ids(books, "contacts")[-1]
    books.control("edit", entity="Contacts", id=contact, fields={"ContactStatus": "ARCHIVED"})

    books.load("contacts")
    books.load("invoices")

    assert books.rows("contacts")[contact]["payload"]["ContactStatus"] == "ARCHIVED"
    (invoice,) = books.rows("invoices").values()
    assert invoice["payload"]["LineItems"][0]["Description"] == "Work"
    assert invoice["invoice_number"] == "INV-0"
    assert invoice["modified_at"] is not None


def test_the_cursor_comes_from_rows_and_never_from_the_clock(books: Source) -> None:
    trade(books, 2)
    books.control("clock", advance_seconds=86_400)

    books.load("invoices")

    newest = max(row["modified_at"] for row in books.rows("invoices").values())
    (cursor,) = books.table("cursors")
    assert cursor["cursor"] == {"since": newest.isoformat()}


def sizes(books: Source, name: str, **how: Any) -> list[str]:
    """Sizes of the pages that a load asks for."""
    books.forget()
    books.load(name, **how)
    return [parse_qs(entry["query"])["pageSize"][0] for entry in books.requests()]


def test_rows_that_were_met_are_only_peeked_at_and_what_comes_late_is_met(books: Source) -> None:
    books.control("clock", freeze=True)
    made = books.make("Contacts", *({"Name": f"Crowd {number}"} for number in range(30)))
    assert sizes(books, "contacts") == ["1000"]
    books.control("clock", advance_seconds=300)

    assert [sizes(books, "contacts") for _ in range(3)] == [["1000"], ["1"], ["1"]]
    books.control("clock", advance_seconds=-310)
    late = books.make("Contacts", {"Name": "Late"})[0]["ContactID"]
    books.control("clock", advance_seconds=310)

    assert ids(books, "contacts").index(late) < ids(books, "contacts").index(made[0]["ContactID"])
    assert sizes(books, "contacts") == ["1", "1000"]
    assert late in books.rows("contacts")
    # Two that become one stay two records.
    loser, winner = made[0]["ContactID"], made[1]["ContactID"]
    books.control("merge", **{"from": loser, "into": winner})
    assert sizes(books, "contacts") == ["1", "1000"]
    assert books.rows("contacts")[loser]["payload"]["MergedToContactID"] == winner
    assert sizes(books, "contacts", swept=True) == ["1000", "1000"]
    assert sizes(books, "contacts", full=True) == ["1000"]


def test_every_list_that_is_sorted_can_be_peeked_at_and_shows_what_was_edited(
    books: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xero_walks, "FEW_ROWS", 0)
    trade(books, 2)
    names = [name for name in PAGED if books.stream(name).order is not None]
    assert set(PAGED) - set(names) == {"manual_journals"}
    for name in names:
        books.load(name)
    books.control("clock", advance_seconds=300)

    for name in names:
        oldest, field = ids(books, name)[0], EDITABLE[name][2]
        assert [sizes(books, name) for _ in range(2)] == [["1000"], ["1"]], name
        edit(books, name, oldest, "edited")
        assert sizes(books, name) == ["1", "1000"], name
        assert books.rows(name)[oldest]["payload"][field] == "edited"


@pytest.mark.parametrize("since", [">", ">="])
def test_known_items_are_read_again_each_fifteenth_time_and_when_something_came(
    books: Source, since: str
) -> None:
    books.control("options", modified_since=since)
    books.control("clock", freeze=True)
    books.make("Items", *({"Code": f"I{number}"} for number in range(30)))
    books.load("items")
    books.control("clock", advance_seconds=300)

    assert [books.load("items").rows for _ in range(17)] == [30, *[0] * 14, 30, 0]
    books.control("clock", advance_seconds=-310)
    late = books.make("Items", {"Code": "Late"})[0]["ItemID"]
    books.control("clock", advance_seconds=310)
    assert books.load("items").rows == 0
    edited = next(each for each in ids(books, "items") if each != late)
    edit(books, "items", edited, "edited")
    books.forget()

    assert books.load("items").rows == 31
    assert len(books.requests()) == 2
    assert late in books.rows("items")
    assert books.rows("items")[edited]["payload"]["Description"] == "edited"
    assert books.load("items", full=True).rows == 31


def test_a_bank_transfer_that_is_deleted_is_met_when_all_are_read_again(
    books: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xero_walks, "FEW_ROWS", 0)
    savings = {"Code": "091", "Name": "Savings", "Type": "BANK", "BankAccountNumber": "20000099345678"}
    books.make("Accounts", savings)
    transfer = {"FromBankAccount": {"Code": "090"}, "ToBankAccount": {"Code": "091"}, "Date": "2026-01-05"}
    made = books.make("BankTransfers", *(transfer | {"Amount": amount} for amount in (5, 6)))
    books.load("bank_transfers")
    books.control("clock", advance_seconds=300)
    assert [books.load("bank_transfers").rows for _ in range(2)] == [2, 0]
    gone = made[0]["BankTransferID"]
    books.make("BankTransfers", {"BankTransferID": gone, "Status": "DELETED"})

    told = [books.load("bank_transfers").changed for _ in range(xero_walks.LOADS_A_WINDOW)]

    assert sum(told) == 1
    assert books.rows("bank_transfers")[gone]["payload"]["Status"] == "DELETED"
    assert books.load("bank_transfers", swept=True).rows >= 2


def test_what_moves_no_stamp_is_found_by_a_sweep(books: Source) -> None:
    trade(books, 2)
    books.load("contacts")
    books.control("clock", advance_seconds=3600)
    books.make("Contacts", {"Name": "Newer"})
    books.load("contacts")
    quiet = ids(books, "contacts")[0]
    edit(books, "contacts", quiet, "silent", silent=True)
    assert books.load("contacts").changed == 0

    books.load("contacts", swept=True)

    assert books.rows("contacts")[quiet]["payload"]["FirstName"] == "silent"


def test_a_deleted_item_is_found_by_a_sweep(books: Source) -> None:
    trade(books, 3)
    books.load("items")
    gone = ids(books, "items")[0]
    token = books.client.tokens.access_token()  # type: ignore[attr-defined]
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{books.address}/api.xro/2.0/Items/{gone}"
    assert books.send("DELETE", address, headers) == 204
    assert books.load("items").deleted == 0

    assert books.load("items", swept=True).deleted == 1
    assert books.rows("items")[gone]["deleted_at"] is not None


def test_a_credit_note_that_is_allocated_brings_its_invoice_up_to_date(books: Source) -> None:
    trade(books, 1)
    books.load("credit_notes")
    books.load("invoices")
    note, invoice = ids(books, "credit_notes")[0], ids(books, "invoices")[0]
    books.control("clock", advance_seconds=600)
    trade_more = {"Name": "Newer"}
    books.make("Contacts", trade_more)
    headers = {"Authorization": f"Bearer {books.client.tokens.access_token()}"}  # type: ignore[attr-defined]
    address = f"{books.address}/api.xro/2.0/CreditNotes/{note}/Allocations"
    body = {"Allocations": [{"Invoice": {"InvoiceID": invoice}, "Amount": 2, "Date": "2026-01-07"}]}
    assert books.send("PUT", address, headers, body) == 200

    books.load("credit_notes")
    books.load("invoices")

    assert books.rows("invoices")[invoice]["payload"]["AmountCredited"] == 2


def test_an_expired_token_is_renewed_once_and_the_load_goes_on(books: Source) -> None:
    trade(books, 1)
    books.control("clock", advance_seconds=3600)

    assert books.load("invoices").changed == 1


@pytest.mark.parametrize("kind", ["503", "reset_before", "not_json", "500_before", "expired_token"])
def test_a_passing_fault_of_the_network_is_not_noticed(books: Source, kind: str) -> None:
    trade(books, 1)
    books.control("faults", kind=kind, times=1)

    assert books.load("contacts").changed > 0


def test_a_limit_of_the_day_ends_the_load_and_says_how_long_to_wait(books: Source) -> None:
    trade(books, 1)
    books.control("faults", kind="429", problem="day")

    with pytest.raises(BudgetExhausted) as stopped:
        books.load("contacts")

    assert stopped.value.seconds == 66_975
