"""Every difference between a source and its target is put down to a record, or the proof fails."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdc.proof_match import compare
from cdc.proof_records import ControlRecord, Proof, SourceDocument, Total

DAY = date(2026, 2, 1)


def _document(number: int = 1, **changes: Any) -> SourceDocument:
    values: dict[str, Any] = {
        "flow": "invoices",
        "key": f"shop/order/{number}/1",
        "source_connection": "shop",
        "source_id": str(number),
        "number": f"W-{number}",
        "reference": f"{number:09d}",
        "currency": "EUR",
        "day": DAY,
        "amount": Decimal("12.10"),
        "tax": Decimal("2.10"),
        "skip": None,
        "target_id": f"id-{number}",
        "pending": None,
    }
    return SourceDocument(**(values | changes))


def _record(order: int = 1, **changes: Any) -> ControlRecord:
    values: dict[str, Any] = {
        "flow": "invoices",
        "number": f"W-{order}",
        "reference": "",
        "target_id": f"id-{order}",
        "currency": "EUR",
        "day": DAY,
        "amount": Decimal("12.10"),
        "tax": Decimal("2.10"),
        "status": "AUTHORISED",
    }
    return ControlRecord(**(values | changes))


def _compare(
    documents: list[SourceDocument], records: list[ControlRecord], ours: Mapping[str, str] | None = None
) -> Proof:
    linked = {document.target_id: document.key for document in documents if document.target_id}
    totals = compare(
        documents, records, ours if ours is not None else linked, target="books", sources=["shop"]
    )
    return Proof(totals=tuple(totals), skipped=0)


def _gross(proof: Proof) -> Total:
    (total,) = [total for total in proof.totals if total.measure == "gross"]
    return total


def test_equal_sides_are_proved_in_gross_and_tax() -> None:
    proof = _compare([_document()], [_record()])

    assert proof.is_proved
    assert [(total.measure, total.source_amount, total.is_equal, total.named) for total in proof.totals] == [
        ("gross", Decimal("12.10"), True, ()),
        ("net", Decimal("10.00"), True, ()),
        ("tax", Decimal("2.10"), True, ()),
    ]


def test_a_missing_document_with_an_open_entry_is_explained() -> None:
    proof = _compare([_document(target_id=None, pending="rejected: unknown account 0999")], [])

    total = _gross(proof)
    assert proof.is_proved
    assert not total.is_equal
    assert (total.explained_count, total.explained_amount) == (1, Decimal("12.10"))
    assert total.named[0].reason == "rejected: unknown account 0999"


def test_a_missing_document_that_nobody_knows_of_fails_the_proof() -> None:
    proof = _compare([_document(target_id=None)], [])

    assert not proof.is_proved
    assert [(named.key, named.kind) for named in proof.unexplained] == [("shop/order/1/1", "missing")]


def test_an_amount_that_differs_by_a_cent_is_named() -> None:
    proof = _compare([_document()], [_record(amount=Decimal("12.11"))])

    assert not proof.is_proved
    assert "12.10 with 2.10 tax here, 12.11 with 2.10 tax in the target" in proof.unexplained[0].reason


def test_differences_that_cancel_out_are_no_proof() -> None:
    documents = [_document(1, amount=Decimal(10), tax=None), _document(2, amount=Decimal(20), tax=None)]
    records = [_record(1, amount=Decimal(20)), _record(2, amount=Decimal(10))]

    proof = _compare(documents, records)

    assert _gross(proof).is_equal
    assert not proof.is_proved


def test_tax_alone_may_differ() -> None:
    proof = _compare([_document()], [_record(tax=Decimal("2.09"))])

    assert [(total.measure, total.is_proved) for total in proof.totals] == [
        ("gross", True),
        ("net", False),
        ("tax", False),
    ]


def test_another_day_in_the_target_is_named_on_both_days() -> None:
    proof = _compare([_document()], [_record(day=date(2026, 2, 3))])

    gross = [total for total in proof.totals if total.measure == "gross"]
    assert [(total.day.day, total.source_count, total.target_count) for total in gross] == [
        (1, 1, 0),
        (3, 0, 1),
    ]
    assert not proof.is_proved
    assert len(proof.unexplained) == 1


def test_a_record_that_was_there_before_may_be_dated_as_others_dated_it() -> None:
    proof = _compare([_document(is_adopted=True)], [_record(day=date(2026, 2, 3))])

    assert proof.is_proved
    assert "dated as others dated it" in proof.totals[0].named[0].reason
    assert proof.totals[0].named[0].kind == "dated by others"
    assert proof.open == (), "their date stays theirs: a month that waited for it would never close"


def test_our_own_record_on_another_day_keeps_the_month_open() -> None:
    assert [named.kind for named in _compare([_document()], [_record(day=date(2026, 2, 3))]).open] == [
        "differs"
    ]


def test_a_document_of_a_correction_keeps_no_month_open() -> None:
    proof = _compare([], [_record()], {"id-1": "shop/order/1/1/replaced/1"})

    assert [named.kind for total in proof.totals for named in total.named][:1] == ["corrected"]
    assert proof.open == ()


def test_a_frozen_difference_is_explained() -> None:
    proof = _compare([_document(pending="frozen: paid")], [_record(amount=Decimal(12))])

    assert proof.is_proved
    assert _gross(proof).explained_amount == Decimal("0.10")


def test_a_record_of_others_is_explained_and_listed() -> None:
    proof = _compare([_document()], [_record(), _record(9, amount=Decimal(500))])

    assert proof.is_proved
    assert [(named.kind, named.number) for named in _gross(proof).named] == [("not ours", "W-9")]


def test_a_second_record_with_our_number_is_never_explained() -> None:
    proof = _compare([_document()], [_record(), _record(target_id="id-other")])

    assert [(named.kind, named.target_id) for named in proof.unexplained] == [("twice", "id-other")]


def test_somebody_elses_record_with_our_number_explains_itself() -> None:
    document = _document(target_id=None, pending="held (conflict): the number is in use")

    proof = _compare([document], [_record(target_id="id-theirs")])

    assert proof.is_proved
    assert sorted(named.kind for named in _gross(proof).named) == ["missing", "not ours"]


def test_what_we_made_and_the_source_no_longer_says_fails_the_proof() -> None:
    proof = _compare([], [_record()], ours={"id-1": "shop/order/1/1"})

    assert [(named.kind, named.key) for named in proof.unexplained] == [("unexpected", "shop/order/1/1")]


def test_a_skipped_document_is_named_and_in_no_total() -> None:
    proof = _compare([_document(skip="before cut-over", target_id=None)], [])

    total = _gross(proof)
    assert proof.is_proved
    assert total.is_equal
    assert (total.source_count, total.named[0].reason, total.named[0].amount) == (
        0,
        "before cut-over",
        Decimal("12.10"),
    )


def test_a_skipped_document_that_the_target_has_from_us_fails_the_proof() -> None:
    proof = _compare([_document(skip="test order")], [_record()])

    assert [named.kind for named in proof.unexplained] == ["unexpected"]


_amounts = st.decimals(min_value=0, max_value=1000, places=2)


@given(
    st.lists(st.tuples(_amounts, st.sampled_from([None, "held"]), st.booleans()), max_size=8),
    st.lists(_amounts, max_size=8),
)
def test_every_difference_is_the_sum_of_its_named_records(
    wanted: list[tuple[Decimal, str | None, bool]], held: list[Decimal]
) -> None:
    documents = [
        _document(
            number, amount=amount, pending=pending, tax=None, target_id=f"id-{number}" if linked else None
        )
        for number, (amount, pending, linked) in enumerate(wanted)
    ]
    records = [_record(number, amount=amount, number=f"X-{number}") for number, amount in enumerate(held)]

    for total in _compare(documents, records).totals:
        named = [each for each in total.named if each.kind != "skipped"]
        assert total.source_amount - total.target_amount == sum(each.amount for each in named)
        assert total.source_count - total.target_count == sum(each.count for each in named)
