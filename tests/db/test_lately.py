"""Limits over many small diffs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

from cdc import lately
from cdc.guard import Made, Standing, stops
from tieout.db import Database
from tieout.limits import Limits

Session = psycopg.Connection[dict[str, Any]]
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


def let_pass(connection: Session, made: Made, model: str = "out_invoices") -> bool:
    """What the end of a diff does."""
    with connection.transaction():
        found = stops(lately.with_passed(connection, model, [made]), LIMITS, Standing(posts=True))
        lately.note(connection, model, [made], found)
    return not found


def test_a_flood_that_comes_in_small_parts_is_held_as_one_that_comes_at_once(connection: Session) -> None:
    assert [let_pass(connection, creates(4)) for _ in range(4)] == [True, True, False, False]


def test_a_flood_through_two_processes_is_held_as_through_one(
    connection: Session, database: Database
) -> None:
    with database.connect() as other:
        passed = [let_pass(each, creates(4)) for each in (connection, other, connection)]

    assert passed == [True, True, False]


def test_money_counts_along_as_well_and_each_currency_by_itself(connection: Session) -> None:
    passed = [let_pass(connection, creates(1, amount)) for amount in (600, 600, 300)]

    assert passed == [True, False, True]


def test_what_is_longer_ago_and_other_models_and_operations_do_not_count(connection: Session) -> None:
    let_pass(connection, creates(9))

    updates = Made(operation="update", currency="EUR", entries=9, amount=Decimal(1), largest=Decimal(1))
    beside = [let_pass(connection, creates(9), "out_contacts"), let_pass(connection, updates)]
    connection.execute("update cdc.passed set passed_at = passed_at - interval '301 seconds'")

    assert beside == [True, True]
    assert let_pass(connection, creates(9))
    # And what is too long ago to count is not kept for ever.
    row = connection.execute(
        "select count(*) as kept from cdc.passed where model = 'out_invoices'"
    ).fetchone()
    assert row["kept"] == 1


def test_what_was_held_does_not_count(connection: Session) -> None:
    assert [let_pass(connection, creates(11)), let_pass(connection, creates(9))] == [False, True]
