"""Paid and outstanding, base currency, accounts and tax types: every difference is put down to a record here too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.proof_accounts import by_account_and_tax
from cdc.proof_ledger import Balances, Ledger, Posting
from cdc.proof_match import compare
from cdc.proof_period import Period
from cdc.proof_records import ControlLine, ControlRecord, Measure, Proof, SourceDocument, Total
from tieout.errors import UsageError

DAY = date(2026, 2, 1)
INVOICE = "shop/order/1/1"
PAYMENT = "shop/order/1/payment/1"


def _document(**changes: Any) -> SourceDocument:
    values: dict[str, Any] = {
        "flow": "invoices", "entity": "invoices", "key": INVOICE, "source_connection": "shop", "source_id": "1", "number": "W-1",
        "reference": "1", "currency": "EUR", "day": DAY, "amount": Decimal("12.10"), "tax": Decimal("2.10"), "skip": None,
        "target_id": "i1", "pending": None, "base": Decimal("10.00"),
        "lines": (ControlLine(account="200", tax_type="OUTPUT2", net=Decimal("10.00"), tax=Decimal("2.10")),),
    }  # fmt: skip
    return SourceDocument(**(values | changes))


def _payment(**changes: Any) -> SourceDocument:
    values: dict[str, Any] = {
        "flow": "payments", "entity": "payments", "key": PAYMENT, "number": PAYMENT, "tax": None, "target_id": "p1",
        "base": None, "lines": (), "settles": f"invoices {INVOICE}",
    }  # fmt: skip
    return _document(**(values | changes))


def _record(**changes: Any) -> ControlRecord:
    values: dict[str, Any] = {
        "flow": "invoices", "number": "W-1", "reference": "", "target_id": "i1", "currency": "EUR", "day": DAY,
        "amount": Decimal("12.10"), "tax": Decimal("2.10"), "status": "AUTHORISED", "base": Decimal("10.00"),
        "outstanding": Decimal(0),
        "lines": (ControlLine(account="200", tax_type="OUTPUT2", net=Decimal("10.00"), tax=Decimal("2.10")),),
    }  # fmt: skip
    return ControlRecord(**(values | changes))


def _paid(**changes: Any) -> ControlRecord:
    values: dict[str, Any] = {
        "flow": "payments", "number": PAYMENT, "target_id": "p1", "tax": Decimal(0), "outstanding": None, "settles": "i1",
        "lines": (),
    }  # fmt: skip
    return _record(**(values | changes))


def _compare(documents: list[SourceDocument], records: list[ControlRecord]) -> Proof:
    ours = {each.target_id: each.key for each in documents if each.target_id}
    totals = compare(documents, records, ours, target="books", sources=["shop"])
    return Proof(totals=tuple(totals), skipped=0)


def _of(proof: Proof, measure: Measure) -> Total:
    (total,) = [each for each in proof.totals if (each.flow, each.measure) == ("invoices", measure)]
    return total


def test_what_is_paid_on_both_sides_is_proved_in_paid_and_outstanding() -> None:
    proof = _compare([_document(), _payment()], [_record(), _paid()])

    assert proof.is_proved
    assert (_of(proof, "paid").source_amount, _of(proof, "paid").target_amount) == (Decimal("12.10"),) * 2


def test_a_receipt_that_the_accountant_booked_is_named_and_explains_what_is_paid() -> None:
    """A bank transfer: the shop says nothing of money, the accountant booked the receipt."""
    theirs = _paid(target_id="theirs", number="BACS 77", reference="BACS 77", amount=Decimal("12.10"))

    proof = _compare([_document()], [_record(), theirs])

    assert proof.is_proved
    (named,) = _of(proof, "outstanding").named
    assert (named.kind, named.amount) == ("not ours", Decimal("12.10"))
    assert named.reason == "settled by others in the target: payment of 2026-02-01 (BACS 77)"


def test_a_payment_that_waits_explains_what_is_outstanding() -> None:
    waits = _payment(target_id=None, pending="ready to be sent")

    proof = _compare([_document(), waits], [_record(outstanding=Decimal("12.10"))])

    assert proof.is_proved
    assert [named.reason for named in _of(proof, "paid").named] == [f"{PAYMENT}: ready to be sent"]


def test_an_invoice_that_the_target_shows_as_paid_without_any_payment_fails_the_proof() -> None:
    proof = _compare([_document()], [_record(outstanding=Decimal(0))])

    assert [(named.kind, named.reason) for named in proof.unexplained] == [
        ("differs", "0 settled here, 12.10 in the target")
    ]


def test_an_inverted_rate_fails_the_proof_although_the_currency_agrees() -> None:
    proof = _compare(
        [_document(), _payment()], [_record(base=Decimal("14.64")), _paid(base=Decimal("14.64"))]
    )

    assert [named.reason for named in proof.unexplained] == [
        "10.00 in base currency here, 14.64 in the target: another rate"
    ]


def _controls(
    documents: list[SourceDocument], records: list[ControlRecord]
) -> dict[tuple[str, str, str], Total]:
    ours = {each.target_id: each.key for each in documents if each.target_id}
    totals = by_account_and_tax(documents, records, ours, target="books", sources=["shop"])
    return {(each.flow, each.detail, each.measure): each for each in totals}


def test_a_recoded_line_is_named_on_both_accounts_and_explained() -> None:
    recoded = (ControlLine(account="210", tax_type="OUTPUT2", net=Decimal("10.00"), tax=Decimal("2.10")),)

    totals = _controls([_document()], [_record(lines=recoded)])

    assert totals["accounts", "200", "net"].explained_amount == Decimal("10.00")
    assert totals["accounts", "210", "net"].explained_amount == Decimal("-10.00")
    assert totals["tax types", "OUTPUT2", "tax"].is_equal
    assert all(each.is_proved for each in totals.values())


def test_another_tax_type_is_never_explained() -> None:
    other = (ControlLine(account="200", tax_type="ZERORATEDOUTPUT", net=Decimal("12.10"), tax=Decimal(0)),)

    totals = _controls([_document()], [_record(lines=other)])

    assert not totals["tax types", "OUTPUT2", "tax"].is_proved
    assert not totals["tax types", "ZERORATEDOUTPUT", "net"].is_proved


def test_a_credit_note_counts_against_sales() -> None:
    credit = {
        "flow": "credit_notes",
        "entity": "credit_notes",
        "key": "shop/order/1/credit/1",
        "target_id": "c1",
    }

    totals = _controls(
        [_document(), _document(**credit)], [_record(), _record(flow="credit_notes", target_id="c1")]
    )

    assert totals["accounts", "200", "net"].source_amount == 0
    assert totals["accounts", "200", "net"].source_count == 2


def test_what_others_posted_to_our_accounts_is_named() -> None:
    totals = _controls([], [_record(target_id="x", number="T-9")])

    (named,) = totals["accounts", "200", "net"].named
    assert (named.kind, named.number, named.amount) == ("not ours", "T-9", Decimal("-10.00"))


_lines = st.lists(
    st.builds(
        ControlLine,
        account=st.sampled_from(["200", "201", "202"]),
        tax_type=st.sampled_from(["OUTPUT2", "NONE"]),
        net=st.decimals(min_value=-99, max_value=99, places=2),
        tax=st.decimals(min_value=0, max_value=9, places=2),
    ),
    max_size=3,
).map(tuple)


@given(st.lists(st.tuples(_lines, _lines, st.sampled_from([None, "held"]), st.booleans()), max_size=5))
def test_every_difference_by_account_is_the_sum_of_its_named_documents(
    trade: list[tuple[tuple[ControlLine, ...], tuple[ControlLine, ...], str | None, bool]],
) -> None:
    documents = [
        _document(
            key=f"k{number}", lines=here, pending=pending, target_id=f"i{number}" if is_linked else None
        )
        for number, (here, _, pending, is_linked) in enumerate(trade)
    ]
    records = [_record(target_id=f"i{number}", lines=there) for number, (_, there, _, _) in enumerate(trade)]

    totals: Mapping[tuple[str, str, str], Total] = _controls(documents, records)

    for total in totals.values():
        assert total.source_amount - total.target_amount == sum(each.amount for each in total.named)
        assert total.source_count - total.target_count == sum(each.count for each in total.named)


def test_a_payment_in_another_clearing_account_is_named_on_both() -> None:
    here = (ControlLine(account="611", tax_type="", net=Decimal("12.10"), tax=Decimal(0)),)
    there = (ControlLine(account="090", tax_type="", net=Decimal("12.10"), tax=Decimal(0)),)

    totals = _controls([_payment(lines=here)], [_paid(lines=there)])

    assert totals["clearing", "611", "gross"].explained_amount == Decimal("12.10")
    assert totals["clearing", "090", "gross"].target_amount == Decimal("12.10")
    assert {each.kind for total in totals.values() for each in total.named} == {"recoded"}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2026-02-03", date(2026, 2, 3), date(2026, 2, 3)),
        ("2026-02..2026-04-15", date(2026, 2, 1), date(2026, 4, 15)),
    ],
)
def test_a_period_is_a_year_a_month_a_day_or_from_one_to_another(text: str, start: date, end: date) -> None:
    period = Period.parse(text)

    assert (period.start, period.end) == (start, end)


@pytest.mark.parametrize("text", ["october", "2026-13", "2026-02-30", "2026-03..2026-02", ""])
def test_what_is_no_period_is_refused_with_a_cure(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Period.parse(text)

    assert refused.value.cure


BALANCES = Balances(
    currency="GBP",
    start=DAY,
    end=DAY,
    codes={"a": "610"},
    moved={"a": Decimal("30.00")},
    debtors_account="a",
    debtors=Decimal("30.00"),
)


def _ledger(*postings: tuple[str, str, bool]) -> list[Total]:
    ledger = Ledger({"ours": "shop/order/1/1"})
    for target_id, amount, is_converted in postings:
        posting = Posting(
            account="a",
            amount=Decimal(amount),
            target_id=target_id,
            name=f"invoice {target_id}",
            is_converted=is_converted,
        )
        ledger.post(posting)
        ledger.is_open(posting)
    return [*ledger.totals(BALANCES, source="shop", target="books", with_debtors=True)]


def test_the_trial_balance_is_made_up_of_our_records_and_those_of_others() -> None:
    for total in _ledger(("ours", "20.00", False), ("theirs", "10.00", False)):
        assert total.is_proved
        assert [(each.kind, each.number, each.amount) for each in total.named] == [
            ("not ours", "invoice theirs", Decimal("-10.00"))
        ]


def test_what_no_record_posts_to_our_account_fails_the_proof() -> None:
    for total in _ledger(("ours", "20.00", False)):
        assert not total.is_proved
        assert total.named[-1].reason == "10.00 on account 610 that no record read here explains"


def test_cents_of_conversion_are_explained_up_to_one_an_amount() -> None:
    assert all(total.is_proved for total in _ledger(("ours", "29.99", True)))
    assert not any(total.is_proved for total in _ledger(("ours", "29.98", True)))


def test_cents_of_conversion_keep_no_month_open_and_more_than_cents_do() -> None:
    cents = Proof(totals=tuple(_ledger(("ours", "29.99", True))), skipped=0)
    more = Proof(totals=tuple(_ledger(("ours", "29.98", True))), skipped=0)

    assert {named.kind for total in cents.totals for named in total.named} == {"converted"}
    assert cents.open == ()
    assert {named.kind for named in more.open} == {"differs"}
