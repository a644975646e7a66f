"""Whose debt a sale is: companies with their buyers, people with several accounts, addresses that are not unique, shops
with one contact.

Each order is a MUG-01 of 12.50 with 5.00 shipping and 3.50 VAT, paid by cheque, so that each invoice stays open:

    Dr 610 Debtors 21.00      Cr 201 Sales of goods 12.50      Cr 202 Shipping 5.00      Cr 820 VAT 3.50

What is looked at is whose debt it is: the debtors of the ledger by contact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sandbox.people import Shopper
from sandbox.stand import edit_order, item, place
from tests.acceptance.fix_world import Json, World, now
from tests.fix_http import LOCAL

A_SALE = Decimal("21.00")
A_TRADE_SALE = Decimal("18.50")
"""The trade store has prices with tax."""


def person(first: str, last: str, email: str, postcode: str = "LS1 1AA") -> Shopper:
    return Shopper(
        firstname=first, lastname=last, email=email, street="1 High Street", town="Leeds", postcode=postcode
    )


def route(world: World, store: str, **columns: str) -> None:
    """What an accountant would change in routes.csv."""
    with world.database.connect() as session, session.transaction():
        for name, value in columns.items():
            session.execute(f"update lookups.routes set {name} = %s where store_code = %s", (value, store))


def buy(
    world: World, who: Shopper, *, store: str = "default", customer: bool = False, billing: Json | None = None
) -> int:
    """An invoiced order; `billing` are further fields of the billing address."""
    order = place(world.stand, who, now(), [item("MUG-01")], store=store, pay="checkmo", customer=customer)
    if billing:
        edit_order(world.stand, order, {f"billing_address.{name}": value for name, value in billing.items()})
    world.stand.shop("invoice", order_id=order["entity_id"])
    return int(order["entity_id"])


def known(world: World, **fields: Any) -> str:
    """A contact that the accountant has already. Its id."""
    made: Json = world.stand.ledger("records/Contacts", **fields)
    return str(made["Contacts"][0]["ContactID"])


def contact_of(world: World, order: int) -> Json:
    return world.contact(world.invoice(order))


def debts(world: World, *orders: int) -> dict[str, Decimal]:
    """What the contacts of these orders owe by the ledger, by name."""
    ids = {world.invoice(order)["Contact"]["ContactID"] for order in orders}
    answer = LOCAL.get(f"{world.books.address}/_sandbox/ledger", timeout=30)
    return {
        each["name"]: Decimal(str(each["base_balance"]))
        for each in answer.json()["debtors"]
        if each["contact_id"] in ids
    }


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> dict[str, int]:
    """First every store by person, but the euro store, which has one contact; then the default store by company."""
    orders: dict[str, int] = {}
    route(world, "trade_en", draft_on_order="no")
    route(world, "eu", contacts="one_per_store")

    ann = person("Ann", "Both", "ann.both@example.com")
    orders["first shop"] = buy(world, ann, customer=True)
    orders["trade shop"] = buy(world, ann, store="trade_en", customer=True)

    known(world, Name="Twin One", EmailAddress="twin@example.com")
    known(world, Name="Twin Two", EmailAddress="twin@example.com", TaxNumber="GB 111 2223 34")
    twin = person("Tom", "Twin", "twin@example.com")
    orders["by tax number"] = buy(world, twin, billing={"vat_id": "GB111222334"})
    for number, email in enumerate(("one@example.com", "two@example.com")):
        orders[f"euro {number}"] = buy(world, person("Euro", email[:3], email).in_ireland(), store="eu")

    mover = person("Mia", "Mover", "mia.old@example.com")
    orders["old address"] = buy(world, mover, store="trade_en", customer=True)
    orders["before the change"] = buy(
        world, person("Cora", "Cog", "cora@example.com"), billing={"company": "Early Ltd"}
    )
    world.first_run()
    return orders


def test_one_email_in_shops_of_both_rules_is_one_contact(world: World, traded: dict[str, int]) -> None:
    """Dr 610 21.00 and 18.50, all of it owed by Ann: the rule of the shop in which she bought first names the contact."""
    first, second = (contact_of(world, traded[name]) for name in ("first shop", "trade shop"))

    assert first["ContactID"] == second["ContactID"]
    assert first["ContactNumber"] == "shop/guest/ann.both@example.com"
    assert debts(world, traded["first shop"], traded["trade shop"]) == {"Ann Both": A_SALE + A_TRADE_SALE}


def test_of_two_contacts_with_the_address_the_tax_number_decides_and_only_gaps_are_filled(
    world: World, traded: dict[str, int]
) -> None:
    contact = contact_of(world, traded["by tax number"])

    assert (contact["Name"], contact["TaxNumber"]) == ("Twin Two", "GB 111 2223 34"), "as it was entered"
    assert (contact["FirstName"], contact["ContactNumber"]) == ("Tom", "shop/guest/twin@example.com")
    assert debts(world, traded["by tax number"]) == {"Twin Two": A_SALE}


def test_two_contacts_that_nothing_tells_apart_are_named_and_the_sale_waits_until_one_is_left(
    world: World,
) -> None:
    known(world, Name="Pair One", EmailAddress="pair@example.com")
    known(world, Name="Pair Two", EmailAddress="pair@example.com")
    order = buy(world, person("Pat", "Pair", "pair@example.com"))
    world.sync(codes=(0, 5))
    letter = world.dead()["shop/guest/pair@example.com"]

    assert letter["cause"] == "several records match"
    assert "Pair One (" in letter["reason"]
    assert "Pair Two (" in letter["reason"]
    assert world.invoices(order) == []
    (one,) = [each for each in world.xero("Contacts") if each["Name"] == "Pair One"]
    world.stand.ledger("edit", entity="Contacts", id=one["ContactID"], fields={"ContactStatus": "ARCHIVED"})
    world.sync(codes=(0, 5))
    assert debts(world, order) == {"Pair Two": A_SALE}


def test_a_shop_with_one_contact_books_everybody_on_it(world: World, traded: dict[str, int]) -> None:
    orders = (traded["euro 0"], traded["euro 1"])
    contacts = [contact_of(world, order) for order in orders]

    assert [each["Name"] for each in contacts] == ["EU shop customers"] * 2
    assert not contacts[0].get("EmailAddress"), "nobody in particular"
    total = sum(world.invoice(order)["Total"] / world.invoice(order)["CurrencyRate"] for order in orders)
    assert abs(debts(world, *orders)["EU shop customers"] - total) <= Decimal("0.01")


def test_a_customer_who_changes_the_address_stays_the_same_contact(
    world: World, traded: dict[str, int]
) -> None:
    (mover,) = [each for each in world.stand.state("customers") if each["email"] == "mia.old@example.com"]
    world.stand.shop("edit", entity="customers", id=mover["id"], fields={"email": "mia.new@example.com"})
    later = buy(world, person("Mia", "Mover", "mia.new@example.com"), store="trade_en", customer=True)
    world.sync(codes=(0, 5))

    contact = contact_of(world, later)
    assert contact["ContactNumber"] == f"shop/customer/{mover['id']}"
    assert contact["EmailAddress"] == "mia.new@example.com"
    assert debts(world, traded["old address"], later) == {"Mia Mover": 2 * A_TRADE_SALE}


@pytest.fixture(scope="module")
def companies(world: World, traded: dict[str, int]) -> dict[str, int]:
    """The route says by_company from now on."""
    route(world, "default", contacts="by_company", name_taken="number")
    acme = {"company": "ACME Ltd", "vat_id": "GB 436 5870 12"}
    orders = {
        "jane": buy(world, person("Jane", "Jones", "jane@acme.example.com"), billing=acme),
        "joe": buy(
            world,
            person("Joe", "Jenkins", "joe@acme.example.com"),
            customer=True,
            billing={"company": "Acme Limited", "vat_id": "GB436587012"},
        ),
        "bolt": buy(world, person("Bea", "Bolt", "bea@example.com"), billing={"company": "Bolt Ltd"}),
        "other bolt": buy(
            world,
            person("Bob", "Bolt", "bob@example.com"),
            billing={"company": "BOLT Limited", "postcode": "BS1 4ST"},
        ),
        "no company": buy(world, person("Nora", "None", "nora@example.com"), billing={"company": "n/a"}),
    }
    known(
        world,
        Name="Cog Works",
        TaxNumber="GB 987654012",
        EmailAddress="office@cog.example.com",
        ContactPersons=[{"FirstName": "Olga", "LastName": "Office"}],
    )
    orders["cog"] = buy(
        world,
        person("Cyd", "Charles", "cyd@cog.example.com"),
        billing={"company": "COG Holding", "vat_id": "GB987654012"},
    )
    orders["sole trader"] = buy(
        world, person("Sue", "Sole", "sue@example.com"), billing={"company": "Sue Sole"}
    )
    orders["the person"] = buy(world, person("Sue", "Sole", "sue.home@example.com"))
    orders["early again"] = buy(
        world, person("Cora", "Cog", "cora@example.com"), billing={"company": "Early Ltd"}
    )
    world.sync(codes=(0, 5))
    world.run("holds", "approve", "--reason", "companies")
    world.sync(codes=(0, 5))
    return orders


def test_a_company_is_one_contact_with_its_buyers_as_persons(world: World, companies: dict[str, int]) -> None:
    """Dr 610 42.00 owed by ACME Ltd, however its name and number are typed."""
    contact = contact_of(world, companies["jane"])

    assert (contact["Name"], contact["TaxNumber"]) == ("ACME Ltd", "GB 436 5870 12")
    assert contact["ContactNumber"] == "shop/company/GB436587012/acme"
    assert [
        (each["FirstName"], each["EmailAddress"], each["IncludeInEmails"])
        for each in contact["ContactPersons"]
    ] == [("Jane", "jane@acme.example.com", False), ("Joe", "joe@acme.example.com", False)]
    assert debts(world, companies["jane"], companies["joe"]) == {"ACME Ltd": 2 * A_SALE}


def test_two_companies_of_one_name_never_share_a_contact(world: World, companies: dict[str, int]) -> None:
    assert debts(world, companies["bolt"], companies["other bolt"]) == {
        "Bolt Ltd": A_SALE,
        "BOLT Limited": A_SALE,
    }


def test_a_company_and_a_person_of_one_name_are_two_contacts(world: World, companies: dict[str, int]) -> None:
    """Names are unique in Xero: the second one gets its postcode or e-mail in brackets, as the route says (number)."""
    assert debts(world, companies["sole trader"], companies["the person"]) == {
        "Sue Sole": A_SALE,
        "Sue Sole (LS1 1AA)": A_SALE,
    }


def test_a_company_that_was_there_is_found_by_its_tax_number_and_keeps_name_and_persons(
    world: World, companies: dict[str, int]
) -> None:
    contact = contact_of(world, companies["cog"])

    assert (contact["Name"], contact["EmailAddress"]) == ("Cog Works", "office@cog.example.com")
    assert [each["FirstName"] for each in contact["ContactPersons"]] == ["Olga"]
    again = buy(
        world,
        person("Cal", "Second", "cal@cog.example.com"),
        billing={"company": "Cog", "vat_id": "GB987654012"},
    )
    world.sync(codes=(0, 5))
    contact = contact_of(world, again)
    assert [each["FirstName"] for each in contact["ContactPersons"]] == ["Olga"], (
        "the list is the accountant's"
    )
    assert debts(world, companies["cog"], again) == {"Cog Works": 2 * A_SALE}


def test_what_customers_type_instead_of_a_company_is_none(world: World, companies: dict[str, int]) -> None:
    assert contact_of(world, companies["no company"])["ContactNumber"] == "shop/guest/nora@example.com"


def test_a_document_that_is_out_keeps_its_contact_when_the_route_changes(
    world: World, traded: dict[str, int], companies: dict[str, int]
) -> None:
    world.run("diff", "--full")
    with world.watched() as calls:
        world.run("drain", codes=(0, 5))

    assert calls == []
    before, after = (
        contact_of(world, number) for number in (traded["before the change"], companies["early again"])
    )
    assert before["ContactNumber"] == "shop/guest/cora@example.com"
    assert after["ContactNumber"] == "shop/company/GB/ls11aa/early ltd"


def test_a_company_that_was_taken_for_two_is_made_one_by_merging_it_in_xero(
    world: World, companies: dict[str, int]
) -> None:
    """Dr 610 63.00 owed by Bolt Ltd: what was there, and what the merged one buys from then on."""
    split, kept = (contact_of(world, companies[name]) for name in ("other bolt", "bolt"))
    world.stand.ledger("merge", **{"from": split["ContactID"], "into": kept["ContactID"]})
    world.sync(codes=(0, 5))
    later = buy(
        world,
        person("Bob", "Bolt", "bob@example.com"),
        billing={"company": "BOLT Limited", "postcode": "BS1 4ST"},
    )
    world.sync(codes=(0, 5))

    assert debts(world, companies["bolt"], companies["other bolt"], later) == {"Bolt Ltd": 3 * A_SALE}
