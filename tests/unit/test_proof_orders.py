"""An order is what its invoices are, on both sides."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from cdc.proof_match import compare
from cdc.proof_orders import orders
from cdc.proof_records import ControlRecord, SourceDocument, Total

DAY = date(2026, 2, 1)


def _invoice(
    slot: int, amount: str, *, target: str | None = None, pending: str | None = None, skip: str | None = None
):
    return SourceDocument(
        flow="invoices", key=f"shop/order/7/{slot}", source_connection="shop", source_id="7", number=f"W-{slot}",
        reference="000000007", currency="GBP", day=DAY, amount=Decimal(amount), tax=Decimal(0), skip=skip,
        target_id=target, pending=pending,
    )  # fmt: skip


def _held(target: str, amount: str, day: date = DAY) -> ControlRecord:
    return ControlRecord(
        flow="invoices", number="", reference="000000007", target_id=target, currency="GBP", day=day,
        amount=Decimal(amount), tax=Decimal(0), status="AUTHORISED",
    )  # fmt: skip


def _total(documents: list[SourceDocument], records: list[ControlRecord]) -> Total:
    by_order, of_orders = orders(documents, records)
    [gross] = [
        total
        for total in compare(by_order, of_orders, {}, target="books", sources=["shop"])
        if total.measure == "gross"
    ]
    return gross


def test_partial_invoices_are_one_order():
    total = _total(
        [_invoice(1, "21.00", target="a"), _invoice(2, "99.98", target="b")],
        [_held("a", "21.00"), _held("b", "99.98")],
    )

    assert (total.flow, total.source_count, total.target_count) == ("orders", 1, 1)
    assert (total.source_amount, total.target_amount) == (Decimal("120.98"), Decimal("120.98"))
    assert total.is_equal


def test_an_invoice_that_waits_explains_what_its_order_lacks():
    total = _total(
        [_invoice(1, "21.00", target="a"), _invoice(2, "99.98", pending="held: no account")],
        [_held("a", "21.00")],
    )

    assert not total.is_equal
    assert total.is_proved
    assert "no account" in total.named[0].reason


def test_an_amount_that_somebody_changed_is_no_proof():
    total = _total([_invoice(1, "21.00", target="a")], [_held("a", "20.00")])

    assert not total.is_proved


def test_an_order_of_which_nothing_is_due_is_skipped_with_its_amount():
    total = _total([_invoice(1, "21.00", skip="before cut-over")], [])

    assert (total.source_count, total.named[0].kind, total.named[0].amount) == (
        0,
        "skipped",
        Decimal("21.00"),
    )
    assert total.is_proved
