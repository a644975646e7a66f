"""Net and tax of a document's lines make its total to the cent, whatever the shop's prices, discounts and taxes are."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from sandbox import magento
from sandbox.people import shopper
from sandbox.stand import Json, Stand, item, line_of, place, stamp
from tests.acceptance.fix_setup import admin, build_once
from tests.ledger import from_magento

Session = psycopg.Connection[dict[str, Any]]
ORDERS = 40
BEGINS = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)
SKUS = ("MUG-01", "BOOK-01", "ZERO-01", "LAMP-01", *(f"PEN-{number:02d}" for number in range(1, 21)))


@pytest.fixture(scope="module")
def session(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """The models in force over the documents of a shop that sold at random."""
    template = build_once(server_url, tmp_path_factory.mktemp("build"))
    name = f"totals_{uuid.uuid4().hex}"
    admin(server_url, "create database {name} template {template} strategy file_copy", name, template)
    shop = magento.start(race_window_ms=0)
    try:
        _trade(Stand(magento=shop.address, xero=""))
        words = shop.credentials
        token = from_magento.log_in(shop.address, words["admin_username"], words["admin_password"])
        orders, invoices, memos, *_ = from_magento.read_shop(shop.address, token)
        url = f"{server_url.rpartition('/')[0]}/{name}"
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as session:
            for table, records in (("orders", orders), ("invoices", invoices), ("credit_memos", memos)):
                for record in records:
                    _mirror(session, table, record)
            yield session
    finally:
        shop.stop()
        admin(server_url, "drop database {name} with (force)", name)


def _mirror(session: Session, table: str, record: Json) -> None:
    statement = (
        f"insert into staging.magento__{table} (connection, id, payload, content_hash, version)"
        " values ('shop', %s, %s, '', 1)"
    )
    session.execute(statement, (str(record["entity_id"]), json.dumps(record, default=str)))


def _trade(stand: Stand) -> None:
    """Random carts: prices with and without tax, discounts on gross and net, part invoices, part refunds, adjustments."""
    chance = random.Random(12)
    for number in range(ORDERS):
        at = BEGINS + timedelta(hours=number)
        store = chance.choice(("default", "eu", "trade_en"))
        who = shopper(chance).in_ireland() if store == "eu" else shopper(chance)
        cart = [item(sku, chance.randint(2, 9)) for sku in chance.sample(SKUS, chance.randint(1, 5))]
        order = place(
            stand,
            who,
            at,
            cart,
            store=store,
            pay="cardauth",
            coupon=chance.choice((None, "TEN", "TENSHIP")),
            discount_on_gross=chance.random() < 0.5,
        )
        first = [{"order_item_id": line_of(order, cart[0]["sku"]), "qty": 1}]
        for items in (first, []) if chance.random() < 0.6 else ([],):
            stand.shop("invoice", order_id=order["entity_id"], items=items, capture=True, at=stamp(at))
        arguments = {
            "shipping_amount": 0,
            # A memo must be of more than nothing, and some pens cost a penny.
            "adjustment_positive": chance.choice((2, 5)),
            "adjustment_negative": chance.choice((0, 1)),
        }
        stand.shop("refund", order_id=order["entity_id"], items=first, arguments=arguments, at=stamp(at))


def test_every_document_of_a_random_trade_is_explained_to_the_cent(session: Session) -> None:
    rows = session.execute(
        "select key, document, total_amount, lines_net_amount, lines_tax_amount from outbound.int_documents_checked"
        " where not is_draft"
    ).fetchall()
    counts = {kind: sum(1 for row in rows if row["document"] == kind) for kind in ("invoice", "credit")}

    assert counts["invoice"] > ORDERS
    assert counts["credit"] == ORDERS
    missed = {
        row["key"]: row["total_amount"] - row["lines_net_amount"] - row["lines_tax_amount"]
        for row in rows
        if row["total_amount"] - row["lines_net_amount"] - row["lines_tax_amount"] != Decimal(0)
    }
    assert missed == {}
