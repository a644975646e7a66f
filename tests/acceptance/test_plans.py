"""The first batch of a shop, looked at as a plan, approved by an accountant, and sent: exactly that, whatever comes between.

Two trade customers order a mug each, with postage, and pay by card; the second buyer's telephone changes while the plan is sent. What the plan
says beforehand is what the books hold afterwards, of the order that was sent (the other is not, with its payment):

    invoice     Dr Debtors (610)  Cr Sales  Cr Postage  Cr Tax (820)
    payment     Dr Card clearing  Cr Debtors (610)
"""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from sandbox.people import Shopper, shopper
from sandbox.stand import item, place
from tests.acceptance.fix_world import Json, World, now
from tests.fix_http import LOCAL


def buyer(number: int) -> Shopper:
    return shopper(random.Random(number)).renamed("Plan", f"Buyer {number}", f"plan.{number}@example.com")


@pytest.fixture(scope="module")
def orders(world: World) -> tuple[Json, Json]:
    """Two orders, and everything about them in the outbox, held as the first run of each model."""
    first, second = (
        place(world.stand, buyer(number), now(), [item("MUG-01")], store="trade_en", customer=True)
        for number in (1, 2)
    )
    for name in ("shop", "books"):
        world.run("connect", name)
    world.run("load")
    world.run("diff", codes=(0, 5))
    world.go_live()
    world.run("diff", codes=(0, 5))
    return first, second


@pytest.fixture(scope="module")
def plan(world: World, orders: tuple[Json, Json]) -> Json:
    """The plan of all that goes to the books."""
    return world.run("plan", "--save", "--connection", "books", "--limit", "100").data


def _killed(*_arguments: object) -> None:
    raise KeyboardInterrupt


def trial_balance(world: World) -> dict[str, Decimal]:
    """Of the stand-in's ledger: debits positive, in base currency, without what is nil."""
    shown: Json = LOCAL.get(f"{world.books.address}/_sandbox/ledger", timeout=30).json()
    found = {each["code"]: Decimal(str(each["base_balance"])) for each in shown["accounts"]}
    return {code: amount for code, amount in found.items() if amount}


def planned(rows: list[Json]) -> dict[str, Decimal]:
    """Effects as the trial balance has them."""
    found: dict[str, Decimal] = {}
    for row in rows:
        code = (
            "610"
            if row["account"] == "debtors"
            else "820"
            if row["account"].startswith("tax")
            else row["account"]
        )
        amount = Decimal(row["base"]) * (1 if row["side"] == "debit" else -1)
        found[code] = found.get(code, Decimal(0)) + amount
    return {code: amount for code, amount in found.items() if amount}


def test_a_plan_says_what_is_sent_what_it_costs_and_what_is_not_in_it(plan: Json) -> None:
    kinds = {each["entity"]: each for each in plan["summary"]["sums"]}
    costs = {each["entity"]: each for each in plan["summary"]["costs"]}
    (invoice, *_) = [each for each in plan["plan_entries"] if each["entity"] == "invoices"]

    assert {"contacts", "invoices", "payments"} <= set(kinds)
    assert (kinds["invoices"]["entries"], costs["invoices"]["calls"]) == (2, 1)
    assert costs["invoices"]["size"] > 1000
    assert invoice["content"]["after"]["LineItems"][0]["AccountCode"]
    assert any(need[1] == "contacts" for need in invoice["needs"])
    assert "out_magento__order_statuses" in {each["model"] for each in plan["summary"]["afterwards"]}
    assert sum(planned(plan["summary"]["accounts"]).values()) == 0


def test_nothing_is_sent_before_the_yes(world: World, plan: Json) -> None:
    with world.watched() as calls:
        refused = world.run("drain", "--plan", plan["plan"], codes=(3,))

    assert calls == []
    assert "waits for a yes" in refused.data["message"]
    assert "tieout holds approve --plan" in refused.data["cure"]


def test_after_the_yes_exactly_that_is_sent_and_what_moved_meanwhile_is_held(
    world: World, plan: Json, orders: tuple[Json, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = plan["plan"][:12]
    world.run("holds", "approve", "--plan", name, "--reason", "seen")
    with monkeypatch.context() as killed, world.watched() as calls:
        killed.setattr("cdc.send.Sender.send", _killed)
        world.run("drain", "--plan", name, codes=(1,))
        killed.undo()
        world.run("drain", codes=(0, 5))
    open_plans = world.run("plans", "list", "--open").data["plans"]
    fields = {"addresses.0.telephone": "01632 960 001"}
    world.stand.shop("edit", entity="customers", id=orders[1]["customer_id"], fields=fields)
    world.run("load", codes=(0, 5))
    before = trial_balance(world)

    done = world.run("drain", "--plan", name, codes=(0, 5)).data["plan"]

    assert calls == [], "nothing left before the kill, and no other drain sends what the plan binds"
    assert [(each["plan"], each["to_send"]) for each in open_plans] == [(plan["plan"], plan["entries"])]
    assert done["stands"] == "finished"
    second = orders[1]["entity_id"]
    held = {each["key"]: each for each in done["others"] if each["fate"] == "held"}
    assert f"shop/customer/{orders[1]['customer_id']}" in held
    assert (
        "Its content changed since the plan was started"
        in held[f"shop/customer/{orders[1]['customer_id']}"]["reason"]
    )
    assert {each["fate"] for each in done["others"] if f"/{second}/" in each["key"]} == {"let go"}
    sent = [
        effect
        for each in plan["plan_entries"]
        if f"/{second}/" not in each["key"]
        for effect in each["effects"]
    ]
    after = trial_balance(world)
    moved = {code: after.get(code, Decimal(0)) - before.get(code, Decimal(0)) for code in {*after, *before}}
    assert {code: amount for code, amount in moved.items() if amount} == planned(sent)
    assert world.invoice(orders[0]["entity_id"])["Status"] == "PAID"
    assert world.invoices(second) == []


def test_what_the_plan_did_not_send_goes_its_ordinary_way_afterwards(
    world: World, plan: Json, orders: tuple[Json, Json]
) -> None:
    world.run("diff", codes=(0, 5))
    world.run("holds", "approve", "--reason", "the rest")
    world.run("drain", codes=(0, 5))

    invoice = world.invoice(orders[1]["entity_id"])
    assert invoice["Status"] == "PAID"
    assert "01632 960 001" in [phone["PhoneNumber"] for phone in world.contact(invoice)["Phones"]]
    shown = world.run("plans", "show", plan["plan"][:12]).data
    assert shown["stands"] == "finished"
    assert {each["verb"] for each in shown["decisions"]} == {"approve"}
