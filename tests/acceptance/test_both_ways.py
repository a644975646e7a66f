"""Customers, items, prices and quantities in both directions, each field sent by its owner alone.

The shop owns names, e-mails and addresses; the ledger owns prices, descriptions, quantities and telephones. What a record
says is read by plain HTTP on both sides, whole, before and after: only owned fields may have moved.

Entries: master data makes none. The one invoice of the story is posted as ever (Dr 610 / Cr 200, 820), and the ledger's
quantity falls when it is approved, the shop's when the goods are shipped.
"""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from sandbox.people import shopper
from sandbox.stand import Json, item, place
from tests.acceptance.fix_world import World, now

OF_LEDGER = (("items", "price"), ("items", "description"), ("items", "stock"), ("customers", "phone"))
MOVES = {"updated_at", "UpdatedDateUTC"}


@pytest.fixture(scope="module", autouse=True)
def connected(world: World) -> None:
    """An order of a registered customer, delivered; an item and a customer that only the ledger has; both directions on."""
    with world.database.connect() as session:
        for entity, field in OF_LEDGER:
            statement = "update lookups.field_owners set owner = 'books' where entity = %s and field = %s"
            session.execute(statement, (entity, field))
        session.execute(
            "update lookups.field_owners set owner = 'both' where (entity, field) = ('items', 'name')"
        )
        session.execute(
            "insert into lookups.back_routes (connection, to_connection, entity, creates, website, attribute_set, tax_class,"
            " source_code, price_tax) select 'books', 'shop', entity, 'yes', 'base', '4', '2', 'default', 'net'"
            " from unnest(array['customers', 'products', 'base_prices', 'source_items']) as entity"
        )
    order(world, item("MUG-01", 2), item("LAMP-01"))
    ledger = world.stand.ledger
    price = {"UnitPrice": Decimal("40.00"), "AccountCode": "200", "TaxType": "OUTPUT2"}
    ledger("records/Items", Code="KETTLE-1", Name="Kettle", Description="Boils water", SalesDetails=price)
    bea = {"Name": "Bea Cole", "FirstName": "Bea", "LastName": "Cole", "EmailAddress": "bea@example.com"}
    phone = [{"PhoneType": "DEFAULT", "PhoneNumber": "0113 1"}]
    address = [{"AddressType": "STREET", "AddressLine1": "1 High St", "City": "Leeds", "Country": "GB"}]
    ledger("records/Contacts", **bea, Phones=phone, Addresses=address)
    ledger("records/Contacts", Name="Paper Mill", EmailAddress="mill@example.com")
    line = {
        "Description": "Advice",
        "Quantity": 1,
        "UnitAmount": 50,
        "AccountCode": "200",
        "TaxType": "OUTPUT2",
    }
    ledger(
        "records/Invoices", Type="ACCREC", Contact={"Name": "Bea Cole"}, LineItems=[line], Status="AUTHORISED",
        Date="2026-02-01", DueDate="2026-02-15",
    )  # fmt: skip
    world.first_run()
    accounts = {
        "InventoryAssetAccountCode": "630",
        "PurchaseDetails": {"UnitPrice": Decimal("4.00"), "COGSAccountCode": "310"},
    }
    edit_item(
        world,
        "MUG-01",
        IsTrackedAsInventory=True,
        QuantityOnHand=50,
        TotalCostPool=Decimal("200.00"),
        **accounts,
    )
    world.sync(codes=(0, 5))
    world.run("holds", "approve", "--reason", "both ways, first run")
    settle(world)


ANN = shopper(random.Random(11)).renamed("Ann", "Bell", "ann@example.com")


def order(world: World, *items: Json) -> int:
    return int(place(world.stand, ANN, now(), list(items), customer=True)["entity_id"])


def settle(world: World) -> None:
    """Until nothing is left to say."""
    for _ in range(4):
        with world.watched() as calls:
            world.sync(codes=(0, 5))
        if not calls:
            return
    raise AssertionError(f"it never comes to rest: {calls}")


def in_shop(world: World) -> dict[str, Json]:
    """Every product, customer and quantity as the shop's API shows it, by what names it."""
    shown = {f"product {each['sku']}": each for each in world.shop_list("products")}
    shown |= {f"customer {each['email']}": each for each in world.shop_list("customers/search")}
    return shown | {f"stock {each['sku']}": each for each in world.shop_list("inventory/source-items")}


def in_books(world: World) -> dict[str, Json]:
    """Every item and contact as the ledger's API shows it."""
    shown = {f"item {each['Code']}": each for each in world.xero("Items", unitdp=4)}
    return shown | {f"contact {each['Name']}": each for each in world.xero("Contacts")}


def moved(before: dict[str, Json], after: dict[str, Json]) -> dict[str, set[str]]:
    """Which fields moved, by record."""
    found = {
        name: {key for key in one.keys() | after[name].keys() if one.get(key) != after[name].get(key)} - MOVES
        for name, one in before.items()
    }
    return {name: fields for name, fields in found.items() if fields}


def attribute(product: Json, code: str) -> object:
    return {each["attribute_code"]: each["value"] for each in product["custom_attributes"]}.get(code)


def edit_item(world: World, code: str, **fields: object) -> None:
    number = in_books(world)[f"item {code}"]["ItemID"]
    world.stand.ledger("edit", entity="Items", id=number, fields=fields)


def edit_product(world: World, sku: str, **fields: object) -> None:
    (product,) = world.stand.state("products", sku=sku)
    world.stand.shop("edit", entity="products", id=product["id"], fields=fields)


def test_what_only_the_ledger_had_is_made_in_the_shop_and_nothing_that_it_may_not(world: World) -> None:
    shop = in_shop(world)
    kettle, bea = shop["product KETTLE-1"], shop["customer bea@example.com"]

    assert (kettle["name"], kettle["price"], kettle["status"], kettle["type_id"]) == (
        "Kettle",
        40,
        2,
        "simple",
    )
    assert (attribute(kettle, "description"), attribute(kettle, "tax_class_id")) == ("Boils water", "2")
    assert kettle["extension_attributes"]["website_ids"] == [1]
    assert (bea["firstname"], bea["lastname"], bea["website_id"]) == ("Bea", "Cole", 1)
    assert [each["telephone"] for each in bea["addresses"]] == ["0113 1"]
    assert "customer mill@example.com" not in shop, "a supplier is no customer"
    assert sum(name.startswith("customer ann@") for name in shop) == 1


def test_the_ledgers_fields_go_to_the_shop_and_nothing_else_moves(world: World) -> None:
    shop, books = in_shop(world), in_books(world)
    sales = books["item MUG-01"]["SalesDetails"] | {"UnitPrice": Decimal("13.25")}
    edit_item(world, "MUG-01", SalesDetails=sales, Description="Holds tea", QuantityOnHand=40)
    (contact,) = [each for each in books.values() if each.get("EmailAddress") == "ann@example.com"]
    phones = [{"PhoneType": "DEFAULT", "PhoneNumber": "0300 5"}]
    fields = {"Phones": phones, "FirstName": "Anne"}
    world.stand.ledger("edit", entity="Contacts", id=contact["ContactID"], fields=fields)
    told = in_books(world)

    world.sync()

    after = in_shop(world)
    assert moved(shop, after) == {
        "product MUG-01": {"price", "custom_attributes"},
        "customer ann@example.com": {"addresses"},
        "stock MUG-01": {"quantity"},
    }
    assert after["product MUG-01"]["price"] == Decimal("13.25")
    assert attribute(after["product MUG-01"], "description") == "Holds tea"
    for each in (
        *shop["customer ann@example.com"]["addresses"],
        *after["customer ann@example.com"]["addresses"],
    ):
        each.pop("region_id", None)
    (home,) = shop["customer ann@example.com"]["addresses"]
    assert after["customer ann@example.com"]["addresses"] == [home | {"telephone": "0300 5"}], (
        "ids and the rest kept"
    )
    assert moved(told, in_books(world)) == {}, "our own write is no news"


def test_what_is_invoiced_and_not_shipped_lies_at_the_source(world: World) -> None:
    """40 on hand, less nothing: the two mugs of the first order are invoiced and in the ledger, but still here."""
    assert in_shop(world)["stock MUG-01"]["quantity"] == 42


def test_the_shops_fields_go_to_the_ledger_and_of_two_changes_the_owners_stays(world: World) -> None:
    sales = in_books(world)["item LAMP-01"]["SalesDetails"] | {"UnitPrice": Decimal("35.00")}
    edit_item(world, "LAMP-01", SalesDetails=sales)
    edit_product(world, "LAMP-01", name="Reading lamp", price=99)
    (ann,) = world.stand.state("customers", email="ann@example.com")
    fields = {"addresses.0.telephone": "000", "addresses.0.city": "Hull"}
    world.stand.shop("edit", entity="customers", id=ann["id"], fields=fields)
    books, shop = in_books(world), in_shop(world)

    world.sync()

    after = in_books(world)
    assert moved(books, after) == {"item LAMP-01": {"Name"}}
    assert after["item LAMP-01"]["Name"] == "Reading lamp"
    assert moved(shop, in_shop(world)) == {
        "product LAMP-01": {"price"},
        "customer ann@example.com": {"addresses"},
    }
    assert in_shop(world)["product LAMP-01"]["price"] == 35
    (home,) = in_shop(world)["customer ann@example.com"]["addresses"]
    assert (home["telephone"], home["city"]) == ("0300 5", "Hull")


def test_a_sale_is_taken_off_once(world: World) -> None:
    """Invoiced and shipped, then posted: the shop's source falls by itself, the ledger follows, nobody writes a quantity."""
    number = order(world, item("MUG-01", 3))
    world.stand.shop("ship", order_id=number)
    shipped = in_shop(world)["stock MUG-01"]["quantity"]
    with world.watched() as calls:
        world.sync()
        world.sync()

    assert (shipped, in_books(world)["item MUG-01"]["QuantityOnHand"]) == (39, 37)
    assert in_shop(world)["stock MUG-01"]["quantity"] == 39
    assert not [call for call in calls if "source-items" in call]


def names(world: World) -> tuple[object, object]:
    """The lamp, as the shop and as the ledger name it."""
    return in_shop(world)["product LAMP-01"]["name"], in_books(world)["item LAMP-01"]["Name"]


def rename(world: World, *, shop: str | None = None, books: str | None = None) -> None:
    if shop is not None:
        edit_product(world, "LAMP-01", name=shop)
    if books is not None:
        edit_item(world, "LAMP-01", Name=books)


def test_a_field_of_both_travels_from_whoever_changed_it_and_its_echo_dies(world: World) -> None:
    rename(world, shop="Lamp one")
    with world.watched() as there:
        world.sync()
    rename(world, books="Lamp two")
    with world.watched() as back:
        world.sync()
    with world.watched() as quiet:
        world.sync()

    assert names(world) == ("Lamp two", "Lamp two")
    assert (len(there), len(back), quiet) == (1, 1, [])
    assert world.run("conflicts").data == {"conflicts": []}


def test_only_what_both_changed_differently_waits_and_one_decision_settles_it_on_both_sides(
    world: World,
) -> None:
    sales = in_books(world)["item LAMP-01"]["SalesDetails"] | {"UnitPrice": Decimal("36.00")}
    rename(world, shop="Lamp three", books="Lamp four")
    edit_item(world, "LAMP-01", SalesDetails=sales)
    world.sync()

    (one,) = world.run("conflicts").data["conflicts"]
    assert names(world) == ("Lamp three", "Lamp four")
    assert in_shop(world)["product LAMP-01"]["price"] == 36, "others travel"
    assert one["agreed"] == "Lamp two"
    assert {one["source"], one["target"]} == {"Lamp three", "Lamp four"}
    assert one["source_moved"]["at"] is not None
    assert one["target_moved"]["at"] is not None

    world.run(
        "conflicts", "settle", one["key"], "--field", one["field"], "--take", "books", "--keep-rule",
        "--reason", "the accountant asked",
    )  # fmt: skip
    settle(world)

    assert names(world) == ("Lamp four", "Lamp four")
    assert world.run("conflicts").data == {"conflicts": []}


def test_a_kept_rule_settles_the_next_one_until_it_is_withdrawn(world: World) -> None:
    rules = world.run("conflicts", "rules").data["rules"]
    rename(world, shop="Lamp five", books="Lamp six")
    settle(world)
    by_rule = names(world)
    world.run("conflicts", "withdraw", str(rules[0]["rule"]), "--reason", "asked too much")
    rename(world, shop="Lamp seven", books="Lamp eight")
    world.sync()
    (one,) = world.run("conflicts").data["conflicts"]
    world.run("conflicts", "settle", one["key"], "--take", "Lamp nine", "--reason", "both were wrong")
    settle(world)

    assert {(each["field"], each["take"]) for each in rules} == {("Name", "target"), ("name", "source")}
    assert by_rule == ("Lamp six", "Lamp six")
    assert names(world) == ("Lamp nine", "Lamp nine")
    verbs = world.rows(
        "select distinct verb from cdc.decisions where verb like '%%rule%%' or verb = 'settle'"
    )
    assert {row["verb"] for row in verbs} == {"keep rule", "settle", "withdraw rule"}


def test_then_nothing_is_left_to_say(world: World) -> None:
    with world.watched() as calls:
        world.sync()

    assert calls == []
    assert world.dead() == {}
