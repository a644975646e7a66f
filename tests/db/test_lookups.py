"""Rows that documents wait for are printed ready to be pasted, with the money that waits."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from cdc.lookups import missing


def _problem(value: str, cure: str | None = None) -> dict[str, str]:
    return {
        "field": "AccountCode",
        "value": value,
        "reason": f"no account for the category {value}",
        "cure": cure or f"Add to models/lookups/accounts.csv: {value},<account_code>",
        "who": "accountant",
        "cause": f"lookup accounts: {value}",
    }


def _held(
    connection: Any, number: int, amount: str, *problems: dict[str, str], currency: str = "EUR"
) -> None:
    connection.execute(
        "insert into cdc.outbox (connection, entity, key, model, source_connection, source_id, operation, "
        "state, held_for, "
        "payload, payload_hash, link_version, amount, currency, control) values ('books', 'invoices', %s, "
        "'m', 'shop', %s, "
        "'create', 'held', 'problems', '{}', 'h', 0, %s, %s, %s)",
        (f"shop/order/{number}/1", str(number), amount, currency, json.dumps({"_problems": list(problems)})),
    )


def test_documents_that_wait_for_one_row_are_one_row_with_their_money(connection: Any) -> None:
    _held(connection, 1, "10.00", _problem("toys"), _problem("toys"))
    _held(connection, 2, "20.50", _problem("toys"))
    _held(connection, 3, "1.00", _problem("games"))

    rows = missing(connection)

    assert [(row.file, row.row, row.documents, row.amount) for row in rows] == [
        ("models/lookups/accounts.csv", "toys,<account_code>", 2, Decimal("30.50")),
        ("models/lookups/accounts.csv", "games,<account_code>", 1, Decimal("1.00")),
    ]
    assert rows[0].cause == "lookup accounts: toys"
    assert rows[0].example == "shop/order/1/1"


def test_money_of_different_currencies_is_never_added(connection: Any) -> None:
    _held(connection, 1, "10.00", _problem("toys"))
    _held(connection, 2, "10.00", _problem("toys"), currency="USD")

    assert {(row.currency, row.amount) for row in missing(connection)} == {
        ("EUR", Decimal("10.00")),
        ("USD", Decimal("10.00")),
    }


def test_other_problems_are_no_missing_rows(connection: Any) -> None:
    _held(
        connection,
        1,
        "10.00",
        {"field": "price", "cause": "bad number", "reason": "x", "cure": "y", "who": "shop"},
    )

    assert missing(connection) == []


def test_a_cure_without_a_file_is_shown_as_it_is(connection: Any) -> None:
    _held(connection, 1, "10.00", _problem("toys", cure="Ask the accountant"))

    assert [(row.file, row.row) for row in missing(connection)] == [("", "Ask the accountant")]
