"""Limits over many small diffs of one process."""

from __future__ import annotations

from decimal import Decimal

from cdc.guard import Made, Standing, stops
from cdc.lately import Lately
from tieout.limits import Limits

LIMITS = Limits(creates=10, updates=10, amounts={"EUR": Decimal(1000)})


def creates(entries: int, amount: int = 1, currency: str = "EUR") -> Made:
    """New entries of one currency."""
    return Made(
        operation="create",
        currency=currency,
        entries=entries,
        amount=Decimal(amount),
        largest=Decimal(amount),
    )


def let_pass(lately: Lately, made: Made, model: str = "out_invoices") -> bool:
    """What the end of a diff does."""
    found = stops(lately.with_passed(model, [made]), LIMITS, Standing(posts=True))
    lately.note(model, [made], found)
    return not found


def test_a_flood_that_comes_in_small_parts_is_held_as_one_that_comes_at_once() -> None:
    lately = Lately()

    passed = [let_pass(lately, creates(4)) for _ in range(4)]

    assert passed == [True, True, False, False]


def test_money_counts_along_as_well_and_each_currency_by_itself() -> None:
    lately = Lately()

    passed = [
        let_pass(lately, creates(1, 600)),
        let_pass(lately, creates(1, 600)),
        let_pass(lately, creates(1, 300)),
    ]

    assert passed == [True, False, True]


def test_what_is_longer_ago_and_other_models_and_operations_do_not_count() -> None:
    now = [0.0]
    lately = Lately(300, clock=lambda: now[0])
    let_pass(lately, creates(9))

    updates = Made(operation="update", currency="EUR", entries=9, amount=Decimal(1), largest=Decimal(1))
    beside = [let_pass(lately, creates(9), "out_contacts"), let_pass(lately, updates)]
    now[0] = 301.0

    assert beside == [True, True]
    assert let_pass(lately, creates(9))


def test_what_was_held_does_not_count() -> None:
    lately = Lately()

    passed = [let_pass(lately, creates(11)), let_pass(lately, creates(9))]

    assert passed == [False, True]
