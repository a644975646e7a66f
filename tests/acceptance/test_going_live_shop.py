"""A shop and a ledger that both have customers and products, before the ledger first writes to the shop.

One customer and two products came to the ledger from this shop; another customer and a product were entered on both sides by
hand, one customer under two e-mails; a customer and an item are the ledger's alone. Only these two may be made.

Entries: none, master data makes none. The one order is posted as ever (Dr 610 Debtors / Cr 200 Sales, Cr 820 VAT) before, and
nothing is posted afterwards.
"""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from sandbox.people import Shopper, shopper
from sandbox.stand import Json, item, place, register
from tests.acceptance.fix_world import World, now

MOVES = {"updated_at"}
ANN = shopper(random.Random(11)).renamed("Ann", "Bell", "ann@example.com")
BEA = shopper(random.Random(12)).renamed("Bea", "Cole", "bea@example.com")
CYRIL = shopper(random.Random(13)).renamed("Cyril", "Marsh", "cyril@example.com")
DAN = shopper(random.Random(14)).renamed("Dan", "Firth", "dan@example.com")


@pytest.fixture(scope="module", autouse=True)
def met(world: World) -> dict[str, Json]:
    """Both sides with their records, the shop's order in the ledger, then both directions on; the shop as it was."""
    place(world.stand, ANN, now(), [item("MUG-01"), item("LAMP-01")], customer=True)
    world.first_run()
    for who in (BEA, CYRIL):
        register(world.stand, who, "default")
    world.stand.shop("products", sku="POSTER-2", name="Poster of Leeds", price=9)
    for who in (BEA, replace(CYRIL, email="cyril@work.example"), DAN):
        entered(world, who)
    for code, name in (("KETTLE-1", "Kettle"), ("poster 2", "Poster of Leeds")):
        price = {"UnitPrice": Decimal("40.00"), "AccountCode": "200", "TaxType": "OUTPUT2"}
        world.stand.ledger(
            "records/Items", Code=code, Name=name, Description=f"{name}, new", SalesDetails=price
        )
    with world.database.connect() as session:
        for entity, field in (("items", "description"), ("customers", "phone")):
            statement = "update lookups.field_owners set owner = 'books' where entity = %s and field = %s"
            session.execute(statement, (entity, field))
        session.execute(
            "insert into lookups.back_routes (connection, to_connection, entity, creates, website, attribute_set, tax_class,"
            " source_code, price_tax) select 'books', 'shop', entity, 'yes', 'base', '4', '2', 'default', 'net'"
            " from unnest(array['customers', 'products']) as entity"
        )
    return in_shop(world)


def entered(world: World, who: Shopper) -> None:
    """A contact that was invoiced, as the accountant enters it."""
    at = who.address()
    name = f"{at['firstname']} {at['lastname']}"
    address = {
        "AddressType": "STREET", "AddressLine1": "1 High St", "City": at["city"], "PostalCode": at["postcode"], "Country": "GB",
    }  # fmt: skip
    world.stand.ledger(
        "records/Contacts", Name=name, FirstName=at["firstname"], LastName=at["lastname"], EmailAddress=who.email,
        Phones=[{"PhoneType": "DEFAULT", "PhoneNumber": at["telephone"]}], Addresses=[address],
    )  # fmt: skip
    line = {
        "Description": "Advice",
        "Quantity": 1,
        "UnitAmount": 50,
        "AccountCode": "200",
        "TaxType": "OUTPUT2",
    }
    world.stand.ledger(
        "records/Invoices", Type="ACCREC", Contact={"Name": name}, LineItems=[line], Status="AUTHORISED",
        Date="2026-02-01", DueDate="2026-02-15",
    )  # fmt: skip


def in_shop(world: World) -> dict[str, Json]:
    """Every product and customer as the shop's API shows it, by what names it."""
    shown = {f"product {each['sku']}": each for each in world.shop_list("products")}
    return shown | {f"customer {each['email']}": each for each in world.shop_list("customers/search")}


def proposed(world: World, entity: str) -> dict[str, Json]:
    """Open proposals by the title of the shop's record."""
    shown = world.run("link", "list", "--entity", entity).data["proposals"]
    return {each["theirs"]["title"]: each for each in shown}


def test_nothing_is_made_in_the_shop_until_somebody_looked(world: World) -> None:
    world.sync(codes=(0, 3, 5))
    world.run("holds", "approve", "--reason", "both ways")

    with world.watched() as calls:
        ended = world.run("drain", codes=(3,))

    assert calls == []
    assert "tieout link propose shop" in ended.said


def test_records_are_known_by_where_they_came_from_by_what_names_them_and_by_likeness(world: World) -> None:
    world.run("link", "propose", "shop")

    customers, products = proposed(world, "customers"), proposed(world, "products")
    assert {title: each["standing"] for title, each in (customers | products).items()} == {
        "ann@example.com": "chosen", "bea@example.com": "chosen", "cyril@example.com": "unsure",
        "MUG-01": "chosen", "LAMP-01": "chosen", "POSTER-2": "chosen",
    }  # fmt: skip
    for email in ("ann@example.com", "bea@example.com"):
        assert f"same e-mail {email}" in customers[email]["evidence"]
    assert any(words.startswith("same postcode") for words in customers["cyril@example.com"]["evidence"])
    assert products["MUG-01"]["evidence"][0] == "ours was made from it"
    assert Decimal(str(products["MUG-01"]["score"])) == 1
    assert any("written otherwise" in words for words in products["POSTER-2"]["evidence"])


def test_what_is_linked_is_not_made_again_and_loses_nothing(world: World, met: dict[str, Json]) -> None:
    world.run("link", "approve", "--reason", "looked at")
    (cyril,) = proposed(world, "customers").values()
    world.run(
        "link", "approve", cyril["key"], "--target", cyril["target_id"], "--reason", "his other address"
    )
    for _ in range(3):
        world.sync(codes=(0, 5))
        world.run("holds", "approve", "--reason", "both ways")
    with world.watched() as calls:
        world.sync()

    after = in_shop(world)
    assert calls == []
    assert after.keys() - met.keys() == {"customer dan@example.com", "product KETTLE-1"}
    moved = {
        name: {key for key in one.keys() | after[name].keys() if one.get(key) != after[name].get(key)} - MOVES
        for name, one in met.items()
    }
    # What differed when it was linked stays the shop's until the ledger changes it.
    assert {name: fields for name, fields in moved.items() if fields} == {}
