"""Echo on recordings of a real Magento 2.4.4: what it answers to our write, and what it shows to the load after it, is no
news in either direction, for a field of either owner.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from cdc.diff import diff
from cdc.lane import Lane, entries_of
from cdc.settle import Verdict, settle
from cdc.writing import open_writers
from loaders.records import RawRecord
from loaders.stage import merge
from tests.acceptance.fix_setup import admin, build_once
from tests.sandbox.fix_magento import recorded
from tieout.db import Database, json_dumps, next_version
from tieout.http import Answer
from tieout.settings import Connection, Settings, package_root

ITEM = {
    "ItemID": "i1", "Code": "MUG-01", "Name": "Enamel mug", "IsSold": True, "IsTrackedAsInventory": True,
    "QuantityOnHand": 1000, "SalesDetails": {"UnitPrice": Decimal("12.5"), "TaxType": "OUTPUT2"},
}  # fmt: skip
CONTACT = {
    "ContactID": "c1", "Name": "Ann Bell", "FirstName": "Ann", "LastName": "Bell", "ContactStatus": "ACTIVE",
    "EmailAddress": "ann.bell@example.com", "IsCustomer": True, "TaxNumber": "GB123",
    "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": "0113 000"}],
    "Addresses": [{"AddressType": "STREET", "AddressLine1": "1 High St", "AddressLine2": "Flat 2", "City": "Leeds",
                   "PostalCode": "LS1 1AA", "Country": "GB"}],
}  # fmt: skip
OWNERS = pytest.mark.parametrize("owner", ["shop", "books"])


@pytest.fixture
def books(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The built models, both directions on, and a ledger with one item and one contact."""
    template = build_once(server_url, tmp_path_factory.mktemp("build"))
    name = f"echo_{uuid.uuid4().hex}"
    admin(server_url, "create database {name} template {template} strategy file_copy", name, template)
    database = Database(f"{server_url.rpartition('/')[0]}/{name}")
    try:
        with database.connect() as session:
            session.execute(
                "insert into cdc.connections (connection, system) values ('shop', 'magento'), ('books', 'xero')"
            )
            session.execute(
                "insert into lookups.back_routes (connection, to_connection, entity, creates, website, attribute_set,"
                " source_code, price_tax) select 'books', 'shop', entity, 'yes', 'base', '4', 'default', 'net'"
                " from unnest(array['customers', 'products', 'base_prices', 'source_items']) as entity"
            )
            stage(session, "magento", "websites", "1", {"id": 1, "code": "base", "name": "Main"})
            stage(session, "xero", "items", "i1", ITEM, "books")
            stage(session, "xero", "contacts", "c1", CONTACT, "books")
        yield database
    finally:
        admin(server_url, "drop database {name} with (force)", name)


def stage(
    session: Any, system: str, stream: str, record_id: str, record: dict[str, Any], name: str = "shop"
) -> None:
    """As a load would."""
    raw = RawRecord(id=record_id, raw=json_dumps(record).encode())
    with session.transaction():
        merge(
            session, system=system, stream=stream, connection_name=name, records=[raw],
            asked_version=next_version(session), told_by="poll",
        )  # fmt: skip


def differences(database: Database) -> list[dict[str, Any]]:
    """What a diff of everything that changed wants to write."""
    root = package_root()
    settings = Settings(environment="test", data_dir=Path("/nonexistent"), project_dir=root, lookups_dir=root)
    diff(database, settings, run=None)
    with database.connect() as session:
        rows: list[dict[str, Any]] = session.execute(
            "select connection, entity, key, operation, fields, payload from cdc.outbox order by entry"
        ).fetchall()
        return rows


def answer_with(database: Database, entity: str, body: dict[str, Any]) -> None:
    """Settle the open entry of this entity with what the real shop answered."""
    write = open_writers("magento")[entity]
    with database.connect() as session:
        (row,) = session.execute(
            "select outbox.*, links.target_id, links.line_ids, links.returned, links.generation"
            " from cdc.outbox inner join cdc.links using (connection, entity, key) where entity = %s",
            (entity,),
        ).fetchall()
        lane = Lane(
            session=session, connection=Connection(name="shop", system="magento"), client=None,  # type: ignore[arg-type]
            writes={entity: write}, worker=None, run=None,  # type: ignore[arg-type]
        )  # fmt: skip
        (entry,), _ = entries_of(session, [row])
        answer = Answer(status=200, headers={}, content=json_dumps(body).encode(), seconds=0.0, is_write=True)
        (outcome,) = write.outcomes("create", [entry.outgoing], answer)
        settle(lane, write, [Verdict(entry=entry, outcome=outcome)], states=("held", "ready", "waiting"))


def owned_by(database: Database, owner: str) -> None:
    with database.connect() as session:
        session.execute("update lookups.field_owners set owner = %s", (owner,))


def exchange(name: str, title: str) -> dict[str, Any]:
    (found,) = [each for each in recorded(name) if each["title"] == title]
    body: dict[str, Any] = found["response"]["body"]
    return body


@OWNERS
def test_a_product_that_we_made_comes_back_without_an_echo(books: Database, owner: str) -> None:
    made = exchange("products.json", "create simple product")
    (shown,) = exchange("products.json", "list shows no stock_item")["items"]
    owned_by(books, owner)

    wanted = differences(books)
    assert ("products", "books/item/i1") in {(each["entity"], each["key"]) for each in wanted}
    answer_with(books, "products", made)
    with books.connect() as session:
        session.execute("delete from cdc.outbox where entity = 'customers'")
        sold(session, product_id=1)
        stage(session, "magento", "products", "1", shown)
        stage(session, "magento", "stock_items", "default/MUG-01", {
            "sku": "MUG-01", "source_code": "default", "quantity": 1000, "status": 1,
        })  # fmt: skip
        adopt(session, "base_prices", "1", {"sku": "MUG-01", "price": Decimal("12.5"), "store_id": 0})
        stock = {"sku": "MUG-01", "source_code": "default", "quantity": 1000, "status": 1}
        adopt(session, "source_items", "default/MUG-01", stock)
        item_link(session)

    assert [each for each in differences(books) if each["entity"] != "customers"] == []


@OWNERS
def test_a_customer_that_we_made_comes_back_without_an_echo(books: Database, owner: str) -> None:
    made = exchange("customers.json", "create as admin, password, two addresses")
    shown = exchange("customers.json", "get by id")
    owned_by(books, owner)

    wanted = differences(books)
    assert ("customers", "books/contact/c1") in {(each["entity"], each["key"]) for each in wanted}
    answer_with(books, "customers", made)
    with books.connect() as session:
        stage(session, "magento", "customers", "1", shown)

    assert [each for each in differences(books) if each["entity"] in ("customers", "contacts")] == []


def sold(session: Any, *, product_id: int) -> None:
    """An order of before the cut-over: the product becomes an item, the sale itself is nobody's."""
    line = {
        "item_id": 1,
        "product_id": product_id,
        "sku": "MUG-01",
        "product_type": "simple",
        "qty_ordered": 1,
    }
    order = {
        "entity_id": 1,
        "increment_id": "1",
        "state": "complete",
        "created_at": "2020-01-01 10:00:00",
        "items": [line],
    }
    stage(session, "magento", "orders", "1", order)


def adopt(session: Any, entity: str, target_id: str, said: dict[str, Any]) -> None:
    """What the first drain found in the shop already."""
    session.execute(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, said, returned,"
        " mirror_version) values ('shop', %s, 'books/item/i1', %s, 'books', 'i1', %s, %s, %s, 0)"
        " on conflict (connection, entity, key) do nothing",
        (entity, f"out_magento__{entity}", target_id, Jsonb(said), Jsonb(said)),
    )


def item_link(session: psycopg.Connection[Any]) -> None:
    """The item of the ledger is the product's, as the first drain found it."""
    session.execute(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, mirror_version)"
        " values ('books', 'items', 'shop/item/MUG-01', 'out_xero__items', 'shop', 'MUG-01', 'i1', 0)"
    )
    row = session.execute(
        "select jsonb_strip_nulls(to_jsonb(item)) as said from outbound.out_xero__items as item"
    ).fetchone()
    assert row is not None
    said = {name: value for name, value in row["said"].items() if not name.startswith("_")}
    returned = open_writers("xero")["items"].returned(said, ITEM)
    session.execute(
        "update cdc.links set said = %s, returned = %s where entity = 'items'", (Jsonb(said), Jsonb(returned))
    )
