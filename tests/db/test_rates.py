"""A foreign document takes the rate that its route asks for; the table's is that of the nearest day before."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.acceptance.fix_setup import admin, build_once

Session = psycopg.Connection[dict[str, Any]]
EURO = {
    "base_currency_code": "GBP",
    "order_currency_code": "EUR",
    "store_id": "1",
    "base_to_order_rate": 1.15,
    "grand_total": 23.00,
    "base_grand_total": 20.00,
}


@pytest.fixture(scope="module")
def shop(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One order in euro with an invoice of 2026-02-08, a Sunday; the books are in pounds."""
    name = f"rates_{uuid.uuid4().hex}"
    template = build_once(server_url, tmp_path_factory.mktemp("build"))
    admin(server_url, "create database {name} template {template} strategy file_copy", name, template)
    url = f"{server_url.rpartition('/')[0]}/{name}"
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as session:
        order = EURO | {
            "created_at": "2026-02-07 10:00:00",
            "increment_id": "1",
            "items": [],
            "customer_email": "ann@example.com",
        }
        invoice = EURO | {"created_at": "2026-02-08 10:00:00", "order_id": 1, "state": 2, "items": []}
        for connection, table, number, payload in (
            ("shop", "magento__store_views", "1", {"code": "eu"}),
            ("shop", "magento__store_configs", "1", {"code": "eu", "timezone": "Europe/London"}),
            ("shop", "magento__orders", "1", order | {"payment": {"method": "cardpay"}}),
            ("shop", "magento__invoices", "1", invoice),
            ("books", "xero__organisations", "o", {"BaseCurrency": "GBP"}),
        ):
            session.execute(
                f"insert into staging.{table} (connection, id, payload, content_hash, version)"
                " values (%s, %s, %s, '', 1)",
                (connection, number, json.dumps(payload)),
            )
        session.execute(
            "insert into lookups.daily_rates (base_currency, currency, day, rate, source) values"
            " ('GBP', 'EUR', '2026-02-01', '1.10', 'bank'), ('GBP', 'EUR', '2026-02-06', '1.20', 'bank'),"
            " ('GBP', 'EUR', '2026-02-09', '1.30', 'bank'), ('GBP', 'USD', '2026-02-06', '1.50', 'bank')"
        )
        yield session
    admin(server_url, "drop database {name} with (force)", name)


def _document(shop: Session, rate_source: str) -> dict[str, Any]:
    shop.execute("update lookups.routes set rate_source = %s", (rate_source,))
    (row,) = shop.execute("select currency_rate, _problems from outbound.int_documents").fetchall()
    return row


@pytest.mark.parametrize(
    ("rate_source", "rate"),
    [("effective", "1.15"), ("order", "1.15"), ("table", "1.20"), ("xero", None)],
)
def test_the_route_says_which_rate_counts(shop: Session, rate_source: str, rate: str | None) -> None:
    row = _document(shop, rate_source)

    assert row["currency_rate"] == (Decimal(rate) if rate else None)
    assert row["_problems"] is None


def test_a_day_without_a_rate_is_told_with_the_row_to_add(shop: Session) -> None:
    shop.execute("delete from lookups.daily_rates where day < '2026-02-09' and currency = 'EUR'")

    row = _document(shop, "table")
    (problem,) = row["_problems"]

    assert row["currency_rate"] is None
    assert problem["cause"] == "lookup daily_rates: EUR"
    assert problem["cure"] == "Add to daily_rates.csv: GBP,EUR,2026-02-08,<EUR for 1 GBP>,<source>"
