"""Contacts that people merged in the target: documents go to the survivor, nothing is written to either."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.why import why
from tests.db.fix_engine import MODELS, Engine, engine

__all__ = ["engine"]
CONTACT = "shop/customer/7"
INVOICE = "shop/order/1/1"


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """A customer whose contact and first invoice are in the ledger, and a contact that people made."""
    engine.customer()
    engine.order()
    engine.sync()
    engine.load()
    return engine


def merge(shop: Engine, loser: str, winner: str, *, with_documents: bool = True) -> None:
    contacts = shop.target.records["contacts"]
    contacts[loser] = {**contacts[loser], "Status": "ARCHIVED", "MergedInto": winner}
    for number, invoice in shop.target.records["invoices"].items():
        if with_documents and invoice["Contact"]["ContactID"] == loser:
            shop.target.records["invoices"][number] = {**invoice, "Contact": {"ContactID": winner}}


def contact_of(shop: Engine, number: str) -> Any:
    invoices = shop.target.records["invoices"].values()
    return next(one["Contact"]["ContactID"] for one in invoices if one["InvoiceNumber"] == number)


def test_documents_go_to_the_survivor_and_nothing_is_written_to_the_merged_one(shop: Engine) -> None:
    loser = shop.link(CONTACT)["target_id"]
    winner = shop.target.add("contacts", Name="ACME", EmailAddress="acme@example.com")
    merge(shop, loser, winner)
    shop.customer(email="new@example.com")
    shop.order("2")
    writes = len(shop.target.writes)

    shop.sync()

    assert shop.states() == {}
    assert contact_of(shop, "WEB-000000002") == winner
    assert [path for _, path, _ in shop.target.writes[writes:]] == ["/invoices"]
    link = shop.link(CONTACT)
    assert (link["target_id"], link["followed_id"]) == (loser, winner)


def test_moved_documents_are_no_quarrel(shop: Engine) -> None:
    """The target moved the invoice with its contact: its contact is the one that we mean."""
    merge(shop, shop.link(CONTACT)["target_id"], shop.target.add("contacts", Name="ACME", EmailAddress=""))

    shop.sync()
    shop.sync()

    assert shop.states() == {}


def test_contact_that_is_neither_ours_nor_the_survivor_is_a_quarrel(shop: Engine) -> None:
    merge(shop, shop.link(CONTACT)["target_id"], shop.target.add("contacts", Name="ACME", EmailAddress=""))
    other = shop.target.add("contacts", Name="Other", EmailAddress="")
    number = shop.link(INVOICE)["target_id"]
    invoice = shop.target.records["invoices"][number]
    shop.target.records["invoices"][number] = {**invoice, "Contact": {"ContactID": other}}

    shop.sync()

    assert shop.states() == {INVOICE: "target changed"}


def test_survivor_that_is_merged_again_is_followed(shop: Engine) -> None:
    first = shop.target.add("contacts", Name="ACME", EmailAddress="")
    merge(shop, shop.link(CONTACT)["target_id"], first)
    shop.sync()
    last = shop.target.add("contacts", Name="ACME Ltd", EmailAddress="")
    merge(shop, first, last)
    shop.order("2")

    shop.sync()

    assert (shop.link(CONTACT)["followed_id"], contact_of(shop, "WEB-000000002")) == (last, last)


def test_two_customers_may_follow_one_contact(shop: Engine) -> None:
    shop.customer("8")
    shop.order("2", customer_id="8")
    shop.sync()
    merge(shop, shop.link("shop/customer/8")["target_id"], shop.link(CONTACT)["target_id"])
    shop.order("3", customer_id="8")

    shop.sync()
    shop.load()
    shop.diff()

    assert shop.states() == {}
    survivor = shop.link(CONTACT)["target_id"]
    assert {contact_of(shop, f"WEB-00000000{number}") for number in (1, 2, 3)} == {survivor}
    assert (shop.link("shop/customer/8")["followed_id"], shop.link(CONTACT)["followed_id"]) == (
        survivor,
        None,
    )


def test_contacts_merged_in_a_circle_end_somewhere(shop: Engine) -> None:
    """No vendor should do so; a diff that never ends would be worse."""
    loser = shop.link(CONTACT)["target_id"]
    winner = shop.target.add("contacts", Name="ACME", EmailAddress="", MergedInto=loser)
    merge(shop, loser, winner)

    shop.sync()

    assert shop.link(CONTACT)["followed_id"] in (loser, winner)


def test_why_says_where_it_went(shop: Engine) -> None:
    winner = shop.target.add("contacts", Name="ACME", EmailAddress="")
    merge(shop, shop.link(CONTACT)["target_id"], winner)
    shop.sync()
    for model in MODELS:
        shop.in_force(model)

    [reason] = why(shop.connection, CONTACT)

    assert reason.verdict.startswith(f"The target merged it into {winner}")


def test_document_that_moved_before_we_knew_why_is_looked_at_again(shop: Engine) -> None:
    """The invoice was loaded first: its new contact is a quarrel until the merge is loaded too."""
    contacts = shop.target.records["contacts"]
    loser = shop.link(CONTACT)["target_id"]
    before = dict(contacts[loser])
    winner = shop.target.add("contacts", Name="ACME", EmailAddress="")
    merge(shop, loser, winner)
    merged, contacts[loser] = contacts[loser], before
    shop.sync()
    assert shop.states() == {INVOICE: "target changed"}

    contacts[loser] = merged
    shop.sync()
    shop.diff()

    assert shop.states() == {}
