"""A foreign document takes the rate that its route asks for; the table's is that of the nearest day before."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]
from psycopg.rows import dict_row

from tests.acceptance.fix_setup import admin, build_once
from tieout.settings import package_root

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


def _shop_says(shop: Session, day: str, rate: str, connection: str = "shop") -> None:
    payload = {"base_currency_code": "GBP", "day": day, "currency_to": "EUR", "rate": float(rate)}
    shop.execute(
        "insert into staging.magento__currency_rates (connection, id, payload, content_hash, version)"
        " values (%s, %s, %s, '', 1)",
        (connection, f"GBP/EUR/{day}", json.dumps(payload)),
    )


def test_the_rate_that_the_shop_had_counts_from_its_day_on(shop: Session) -> None:
    with shop.transaction(force_rollback=True):
        _shop_says(shop, "2026-02-07", "1.25")
        _shop_says(shop, "2026-02-09", "1.35")
        _shop_says(shop, "2026-02-08", "1.45", connection="another_shop")

        row = _document(shop, "table")

    assert row["currency_rate"] == Decimal("1.25")
    assert row["_problems"] is None


def test_of_one_day_the_accountants_row_counts_and_not_the_shops(shop: Session) -> None:
    with shop.transaction(force_rollback=True):
        _shop_says(shop, "2026-02-06", "1.25")

        assert _document(shop, "table")["currency_rate"] == Decimal("1.20")


def test_a_rate_of_the_shop_that_cannot_be_read_is_never_taken(shop: Session) -> None:
    with shop.transaction(force_rollback=True):
        _shop_says(shop, "2026-02-07", "0")

        (problem,) = _document(shop, "table")["_problems"]

    assert problem["cause"] == "lookup daily_rates: EUR"


def test_a_new_rate_leads_to_the_orders_of_its_day_and_later_where_a_route_asks_for_it(shop: Session) -> None:
    """The rule of the model, run as the engine runs it."""
    rule = next(each for each in _invoices_rules() if each["table"] == "magento__currency_rates")["sql"]
    changed = (
        "with changed as (select 'shop'::text as connection, 'GBP/EUR/' || %(day)s as id,"
        " jsonb_build_object('day', %(day)s::text) as keys) "
    )
    with shop.transaction(force_rollback=True):
        shop.execute("update staging.magento__orders set modified_at = '2026-02-08 10:00+00'")
        found = {}
        for source, day in (("table", "2026-02-08"), ("table", "2026-02-10"), ("effective", "2026-02-08")):
            shop.execute("update lookups.routes set rate_source = %s", (source,))
            rows = shop.execute(changed + rule, {"day": day}).fetchall()
            found[source, day] = [row["source_id"] for row in rows]

    assert found == {
        ("table", "2026-02-08"): ["1"],
        ("table", "2026-02-10"): [],
        ("effective", "2026-02-08"): [],
    }


def _invoices_rules() -> list[dict[str, Any]]:
    path = package_root() / "models/outbound/xero/out_xero__invoices.yml"
    (model,) = yaml.safe_load(path.read_text())["models"]
    rules = model["config"]["meta"]["tieout"]["dirty"]
    return [{"table": table, **rule} for table, rule in rules.items() if isinstance(rule, dict)]


def test_a_day_without_a_rate_is_told_with_the_row_to_add(shop: Session) -> None:
    shop.execute("delete from lookups.daily_rates where day < '2026-02-09' and currency = 'EUR'")

    row = _document(shop, "table")
    (problem,) = row["_problems"]

    assert row["currency_rate"] is None
    assert problem["cause"] == "lookup daily_rates: EUR"
    assert problem["cure"] == "Add to daily_rates.csv: GBP,EUR,2026-02-08,<EUR for 1 GBP>,<source>"
