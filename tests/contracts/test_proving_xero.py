"""The proof reads Xero as it is: whole lists in pages, every status, payments in their document's currency."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cdc.proving import xero, xero_lists
from tests.contracts.conftest import Source

SINCE = date(2026, 3, 1)


def _line(amount: str) -> dict[str, Any]:
    return {
        "Description": "Goods",
        "Quantity": 1,
        "UnitAmount": amount,
        "AccountCode": "200",
        "TaxType": "NONE",
    }


def _document(kind: str, number: str, day: str, amount: str, status: str = "AUTHORISED") -> dict[str, Any]:
    named = "CreditNoteNumber" if kind.endswith("CREDIT") else "InvoiceNumber"
    return {
        "Type": kind,
        named: number,
        "Contact": {"Name": "Jane Doe"},
        "Date": day,
        "DueDate": day,
        "Status": status,
        "LineAmountTypes": "Exclusive",
        "LineItems": [_line(amount)],
    }


@pytest.fixture
def ledger(books: Source) -> Source:
    """Three sales invoices, a purchase, a credit note and a payment."""
    books.make("Contacts", {"Name": "Jane Doe"})
    books.make(
        "Invoices",
        _document("ACCREC", "W-1", "2026-03-01", "10.00"),
        _document("ACCREC", "W-2", "2026-03-02", "20.50"),
        _document("ACCREC", "W-3", "2026-03-03", "30.00", status="DRAFT"),
        _document("ACCREC", "W-0", "2026-02-28", "5.00"),
        _document("ACCPAY", "P-1", "2026-03-02", "99.00"),
    )
    books.make("CreditNotes", _document("ACCRECCREDIT", "C-1", "2026-03-04", "7.00"))
    books.make(
        "Payments",
        {
            "Invoice": {"InvoiceNumber": "W-2"},
            "Account": {"Code": "090"},
            "Date": "2026-03-05",
            "Amount": 20.5,
            "Reference": "shop/order/2/payment/1",
        },
    )
    return books


def test_each_sales_document_since_the_day_is_read_once(
    ledger: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xero_lists, "PAGE_SIZE", 2)

    records = [*xero.control_records(ledger.client, SINCE)]

    found = {
        record.number: (record.flow, record.day.isoformat(), record.amount, record.status)
        for record in records
    }
    assert found == {
        "W-1": ("invoices", "2026-03-01", Decimal("10.00"), "AUTHORISED"),
        "W-2": ("invoices", "2026-03-02", Decimal("20.50"), "PAID"),
        "W-3": ("invoices", "2026-03-03", Decimal("30.00"), "DRAFT"),
        "C-1": ("credit_notes", "2026-03-04", Decimal("7.00"), "AUTHORISED"),
        "shop/order/2/payment/1": ("payments", "2026-03-05", Decimal("20.50"), "AUTHORISED"),
    }
    assert len(records) == len(found)
    assert len({record.currency for record in records}) == 1
    assert [record.number for record in records if not xero.has_effect(record)] == ["W-3"]


def test_one_document_is_found_by_its_id_whatever_its_date(ledger: Source) -> None:
    every = [*xero.control_records(ledger.client, date(2026, 1, 1))]
    early = next(record for record in every if record.number == "W-0")

    assert xero.control_record(ledger.client, "invoices", early.target_id) == early


def test_a_document_that_xero_does_not_have_is_none(ledger: Source) -> None:
    nobody = "11111111-1111-4111-8111-111111111111"

    assert xero.control_record(ledger.client, "invoices", nobody) is None
    assert xero.control_record(ledger.client, "payments", nobody) is None
