"""What an auditor asks, on a real trade: the story of a document, its payload computed again, the record whole, a person forgotten."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cdc.recompute import recompute
from sandbox import trade
from sandbox.people import shopper
from sandbox.stand import Json, edit_order, item, place
from tests.acceptance.fix_entries import entries
from tests.acceptance.fix_world import World

MAIL = "jane.audit@example.com"
ENTRIES = {
    # One mug and its shipping, paid by card: Dr card 21.00, Cr sales 12.50, shipping 5.00, tax 3.50.
    "201": Decimal("-12.50"), "202": Decimal("-5.00"), "611": Decimal("21.00"), "820": Decimal("-3.50"),
}  # fmt: skip


@pytest.fixture(scope="module")
def order(world: World) -> Json:
    """Jane, a guest, buys a mug; she and it are in the books."""
    trade.prepare(world.stand, "ordinary")
    who = shopper(random.Random(5)).renamed("Jane", "Audit", MAIL)
    placed = place(world.stand, who, datetime(2026, 10, 5, 9, 0, tzinfo=UTC), [item("MUG-01")])
    world.first_run()
    return placed


def key_of(order: Json) -> str:
    return f"shop/order/{order['entity_id']}/1"


def posted(world: World, order: Json) -> dict[str, Decimal]:
    number = int(order["entity_id"])
    return entries(world, world.invoice(number), *world.payments(number))


def test_the_story_of_an_invoice_is_the_same_by_every_name_of_it(world: World, order: Json) -> None:
    invoice = world.invoice(int(order["entity_id"]))
    told = [
        world.run("why", name).data
        for name in (key_of(order), invoice["InvoiceNumber"], invoice["InvoiceID"], order["increment_id"])
    ]

    steps = [
        next(
            each["steps"]
            for each in data["story"]
            if each["key"] == key_of(order) and each["entity"] == "invoices"
        )
        for data in told
    ]
    assert posted(world, order) == ENTRIES
    assert all(each == steps[0] for each in steps)
    assert [step["what"] for step in steps[0] if step["what"] != "target"][-4:] == [
        "entry",
        "decision",
        "call",
        "result",
    ]
    made = next(step for step in steps[0] if step["what"] == "entry")
    assert made["lines"][0].startswith("made by mapping out_xero__invoices ")
    result = next(step for step in steps[0] if step["what"] == "result")
    assert "the target held nothing before" in result["lines"]
    assert ("Status", None, "AUTHORISED") in {
        (one["field"], one["before"], one["after"])
        for one in result["edits"]
        if isinstance(one["after"], str)
    }
    paid = next(step for step in steps[0] if step["what"] == "target")
    assert ("Status", "AUTHORISED", "PAID") in {
        (one["field"], one["before"], one["after"]) for one in paid["edits"] if isinstance(one["after"], str)
    }


def test_every_sent_payload_is_computed_again_and_equal(world: World, order: Json) -> None:
    sent = world.rows(
        "select distinct on (model) model, entry from cdc.outbox_done where outcome = 'applied' order by model, entry"
    )

    with world.database.connect() as session:
        found = {row["model"]: recompute(session, entry=row["entry"]) for row in sent}

    assert {"out_xero__guest_contacts", "out_xero__invoices", "out_xero__payments"} <= found.keys()
    assert {model: one.sentence for model, one in found.items() if one.is_equal is not True} == {}


def test_the_record_is_whole_and_a_change_behind_its_back_is_found(world: World, order: Json) -> None:
    whole = world.run("audit", "verify").data
    head = world.run("audit", "head").data

    with world.database.connect() as session:
        session.execute("set session_replication_role = replica")
        session.execute("update cdc.outbox_done set amount = amount + 1 where entity = 'invoices'")
    tampered = world.run("audit", "verify", codes=(3,)).data
    with world.database.connect() as session:
        session.execute("set session_replication_role = replica")
        session.execute("update cdc.outbox_done set amount = amount - 1 where entity = 'invoices'")

    assert whole["ok"]
    assert whole["compared_with"] == ["The witness file"]
    assert [each["what"] for each in tampered["findings"]] == ["changed"]
    assert key_of(order) in tampered["findings"][0]["sentence"]
    kept = f"{head['position']}:{head['digest']}"
    assert world.run("audit", "verify", "--head", kept).data["ok"]


def test_a_guest_is_forgotten_once_the_shop_shows_her_no_more(world: World, order: Json) -> None:
    """Dr card 21.00, Cr sales 12.50, shipping 5.00, tax 3.50 stay posted, and nothing is sent."""
    first = world.run("forget", MAIL, "--reason", "a letter").data
    nobody = "forgotten@example.invalid"
    blank = {"firstname": "-", "lastname": "-", "email": nobody, "street": ["-"], "telephone": "0"}
    fields = {"customer_email": nobody, "customer_firstname": "-", "customer_lastname": "-"} | {
        f"{address}.{name}": value
        for address in ("billing_address", "shipping_address")
        for name, value in blank.items()
    }
    edit_order(world.stand, order, fields)
    world.sync(codes=(0, 5))
    before = posted(world, order)

    done = world.run("forget", MAIL, "--reason", "a letter", "--yes").data
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    assert not first["done"]
    assert ("shop", "orders", str(order["entity_id"])) in {
        (one["connection"], one["stream"], one["id"]) for one in first["shown"]
    }
    assert done["done"]
    assert [one for one in done["shown"] if one["is_source"]] == []
    assert done["kept"] == {}
    assert before == posted(world, order) == ENTRIES
    assert calls == []
    assert world.run("audit", "verify").data["ok"]
    tables = world.rows("select tablename as name from pg_tables where schemaname = 'cdc'")
    again = world.rows(
        "select entry from cdc.outbox_done where model = 'out_xero__guest_contacts' and outcome = 'applied'"
    )
    computed = world.run("audit", "recompute", "--entry", str(again[0]["entry"])).data
    assert computed["fields"] == []
    left = [
        each["name"]
        for each in tables
        if world.rows(f"select 1 from cdc.{each['name']} t where t::text ilike %s limit 1", f"%{MAIL}%")
    ]
    assert left == []
