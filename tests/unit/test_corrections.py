"""What correcting a document of Xero posts: the old one reversed in full, the new one settled as far as the old one was."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.corrections import Ask, Correction
from cdc.postings import Setting, effect
from cdc.writers.xero_corrections import correct_document
from cdc.writers.xero_documents import CREDIT_NOTE, INVOICE, Kind
from cdc.writers.xero_postings import document_postings

KEY = "shop/order/7/1"
CONTACT = {"ContactID": {"$linked": {"entity": "contacts", "key": "shop/customer/7"}}}
SETTING = Setting(base_currency="GBP")


def line(account: str, amount: str, tax: str, **fields: Any) -> dict[str, Any]:
    price = Decimal(amount)
    plain = {"Quantity": Decimal(1), "UnitAmount": price, "LineAmount": price}
    return {
        "Description": "Bag",
        "AccountCode": account,
        "TaxType": "OUTPUT2",
        "TaxAmount": Decimal(tax),
        **plain,
        **fields,
    }


def ask(*lines: dict[str, Any], paid: str = "0", new_total: str | None = None, **fields: Any) -> Ask:
    total = sum((one["LineAmount"] + one["TaxAmount"] for one in lines), Decimal(0))
    record = {
        "InvoiceNumber": "WEB-1", "CreditNoteNumber": "WEB-1", "Status": "AUTHORISED", "Total": total, "AmountDue": total - Decimal(paid),
        "RemainingCredit": total - Decimal(paid), "Date": "/Date(1789344000000+0000)/", "CurrencyCode": "GBP", "LineAmountTypes": "Exclusive",
        "LineItems": list(lines), **fields,
    }  # fmt: skip
    return Ask(
        key=KEY, number=1, said={"Contact": CONTACT}, record=record, organisation=None, modelled={"InvoiceNumber": "WEB-1", "CreditNoteNumber": "WEB-1"},
        wanted={"Date": "2026-09-14", "DueDate": "2026-09-28"}, total=total if new_total is None else Decimal(new_total),
    )  # fmt: skip


def made(given: Ask) -> Correction:
    found = correct_document(INVOICE)(given)
    assert found is not None
    return found


def settled(correction: Correction) -> list[tuple[str, Decimal]]:
    """Which invoice each allocation settles, and by how much."""
    return [
        (part.payload["Invoice"]["InvoiceID"]["$linked"]["key"], part.total)
        for part in correction.parts
        if part.entity == "allocations"
    ]


@pytest.mark.parametrize(
    ("paid", "new_total", "expected", "rest"),
    [
        ("0", None, [(f"{KEY}/replaced/1", "114.00")], False),
        ("114.00", None, [(KEY, "114.00")], False),
        ("40.00", None, [(f"{KEY}/replaced/1", "74.00"), (KEY, "40.00")], False),
        ("114.00", "100.00", [(KEY, "100.00")], True),
        ("114.00", "120.00", [(KEY, "114.00")], False),
    ],
)
def test_the_reversal_settles_what_is_open_of_the_old_and_what_was_settled_of_the_new(
    paid: str, new_total: str | None, expected: list[tuple[str, str]], rest: bool
) -> None:
    correction = made(ask(line("200", "95.00", "19.00"), paid=paid, new_total=new_total))

    assert settled(correction) == [(key, Decimal(amount)) for key, amount in expected]
    assert ("14.00 stay as credit" in correction.sentence) == rest


def test_a_credit_note_is_reversed_by_an_invoice_which_the_new_credit_note_settles() -> None:
    correction = correct_document(CREDIT_NOTE)(ask(line("200", "95.00", "19.00"), paid="114.00"))

    assert correction is not None
    reversal, allocation = correction.parts
    assert (reversal.entity, reversal.payload["Type"], reversal.payload["InvoiceNumber"]) == (
        "invoices",
        "ACCREC",
        "WEB-1-REV",
    )
    assert allocation.payload["CreditNote"]["CreditNoteID"]["$linked"]["key"] == KEY
    assert allocation.payload["Invoice"]["InvoiceID"]["$linked"]["key"] == f"{KEY}/reversal/1"
    assert correction.overrides == {"CreditNoteNumber": "WEB-1-R1"}


def test_in_locked_books_both_are_dated_the_first_open_day() -> None:
    locked = {"PeriodLockDate": "2026-09-30"}
    correction = made(replace(ask(line("200", "95.00", "19.00")), organisation=locked))

    assert correction.day == "2026-10-01"
    assert correction.parts[0].payload["Date"] == "2026-10-01"
    assert correction.overrides == {
        "InvoiceNumber": "WEB-1-R1",
        "Date": "2026-10-01",
        "DueDate": "2026-10-01",
    }


@pytest.mark.parametrize("status", ["VOIDED", "DELETED", "DRAFT"])
def test_what_counts_no_more_or_not_yet_is_not_corrected(status: str) -> None:
    assert correct_document(INVOICE)(ask(line("200", "95.00", "19.00"), Status=status)) is None


amounts = st.decimals(min_value=0, max_value=1000, places=2)
lines = st.lists(
    st.builds(
        lambda account, amount, tax, quantity: line(
            account,
            str(amount),
            str(tax),
            **({} if quantity == 1 else {"Quantity": Decimal(quantity), "UnitAmount": Decimal("3.3333")}),
        ),
        st.sampled_from(["200", "210"]),
        amounts,
        amounts,
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=4,
)


@given(old=lines, new=lines, paid=amounts)
def test_the_reversal_undoes_every_account_and_only_the_new_document_is_left(
    old: list[dict[str, Any]], new: list[dict[str, Any]], paid: Decimal
) -> None:
    total = sum((one["LineAmount"] + one["TaxAmount"] for one in new), Decimal(0))
    given_ask = ask(*old, new_total=str(total))
    given_ask = replace(
        given_ask,
        record={
            **given_ask.record,
            "AmountDue": given_ask.record["Total"] - min(paid, given_ask.record["Total"]),
        },
    )
    correction = made(given_ask)

    invoice, note = document_postings(1), document_postings(-1)
    before, reversal = invoice(given_ask.record, SETTING), note(correction.parts[0].payload, SETTING)
    document = invoice({"Date": "2026-09-14", "CurrencyCode": "GBP", "LineItems": new}, SETTING)
    allocated = sum((amount for _, amount in settled(correction)), Decimal(0))

    assert effect([], [*before, *reversal]) == []
    assert effect([], [*before, *reversal, *document]) == effect([], document)
    assert allocated <= given_ask.record["Total"]
    assert all(amount > 0 for _, amount in settled(correction))


def test_what_is_gone_at_its_source_is_reversed_and_what_was_paid_stays_as_credit() -> None:
    correction = made(replace(ask(line("200", "95.00", "19.00"), paid="40.00"), is_gone=True))

    assert settled(correction) == [(f"{KEY}/replaced/1", Decimal("74.00"))]
    assert correction.overrides == {}
    assert "replaces it" not in correction.sentence
    assert "40.00 stay as credit on the contact" in correction.sentence


@pytest.mark.parametrize(("kind", "credited"), [(INVOICE, "14.00"), (CREDIT_NOTE, "0")])
def test_what_is_credited_already_and_a_credit_note_itself_are_left_to_a_person(
    kind: Kind, credited: str
) -> None:
    gone = replace(ask(line("200", "95.00", "19.00"), AmountCredited=Decimal(credited)), is_gone=True)

    assert correct_document(kind)(gone) is None
