"""The first run went into the books with the wrong prices: it is taken back as one, after a yes, and nothing is left of it.

Five orders of 36.00 (30.00 net, 6.00 tax; 2 mugs, shipping 5.00), one of 45.00 with half of it refunded:

    card        Dr Debtors 36.00  Cr 200/201 30.00  Cr VAT 6.00;  Dr Clearing 36.00  Cr Debtors 36.00
                the payment is removed, then the invoice is voided: both entries are gone
    account     the invoice is voided
    credited    the allocation is removed, then credit note and invoice are voided
    others      the accountant has booked the customer's 36.00: Dr Bank 36.00  Cr Debtors 36.00; nobody but him takes that back
                so the invoice is credited by WEB-…-REV: Dr 200/201 30.00  Dr VAT 6.00  Cr Debtors 36.00; the 36.00 stay as credit
    locked      dated in June, which is locked: credited by WEB-…-REV on 1 July, allocated to the invoice

What remains of all of it: Dr Bank 36.00  Cr Debtors 36.00.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox import trade
from sandbox.cases.books import receive
from sandbox.people import shopper
from sandbox.stand import Json, invoices_of, item, on_list, place, stamp
from tests.acceptance.fix_entries import lock
from tests.acceptance.fix_world import World
from tests.fix_http import LOCAL

DAYS = {
    "card": datetime(2026, 10, 5, 9, tzinfo=UTC),
    "account": datetime(2026, 10, 6, 9, tzinfo=UTC),
    "credited": datetime(2026, 10, 7, 9, tzinfo=UTC),
    "others": datetime(2026, 10, 8, 9, tzinfo=UTC),
    "locked": datetime(2026, 6, 11, 9, tzinfo=UTC),
}
PAID = Decimal("36.00")


@pytest.fixture(scope="module", autouse=True)
def delivered(world: World) -> None:
    """One order of each kind, delivered; then money came in, and June was closed."""
    stand = world.stand
    trade.prepare(stand)
    orders = {}
    for name, at in DAYS.items():
        who = shopper(random.Random(1)).renamed("Ann", name.title(), f"{name}@example.com")
        goods = item("LAMP-01", 2) if name == "credited" else item("MUG-01", 2)
        order = place(stand, who, at, [goods], pay="cardpay" if name == "card" else "checkmo")
        if name != "card":
            stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=1)))
        if name == "credited":
            back = on_list(order, "LAMP-01", 1)
            stand.shop("refund", order_id=order["entity_id"], items=back, at=stamp(at + timedelta(days=1)))
        orders[name] = order
        world.played.append(
            trade.Played(case=name, order_id=int(order["entity_id"]), increment_id=order["increment_id"])
        )
    world.first_run()
    (invoice,) = invoices_of(stand, orders["others"])
    receive(stand, invoice, PAID, DAYS["others"] + timedelta(days=1), account="090")
    lock(world, "2026-06-30")
    world.sync(codes=(0, 5))


def balances(world: World) -> dict[str, Decimal]:
    """The trial balance of the stand-in, debits positive, without what is zero."""
    shown: Json = LOCAL.get(f"{world.books.address}/_sandbox/ledger", timeout=30).json()
    found = {each["code"]: Decimal(str(each["base_balance"])) for each in shown["accounts"]}
    return {code: amount for code, amount in found.items() if amount}


def run_of(world: World) -> Json:
    """The run that wrote the invoices, as a person finds it."""
    runs: list[Json] = world.run("runs", "--limit", "50").data["runs"]
    (found,) = [
        run
        for run in runs
        if any(each["entity"] == "invoices" and each["operation"] == "create" for each in run["written"])
    ]
    return found


def key(world: World, name: str, last: str = "1") -> str:
    return f"shop/order/{world.story(name)}/{last}"


@pytest.fixture(scope="module")
def asked(world: World, delivered: None) -> Json:
    """`tieout reverse`, with what was written meanwhile."""
    with world.watched() as calls:
        found = world.run("reverse", run_of(world)["run"][:8], "--reason", "wrong prices").data
        world.sync(codes=(0, 5))
    assert calls == [], "nothing is sent before a yes"
    return found


def test_the_run_is_found_with_what_it_wrote(world: World) -> None:
    wrote = {(each["entity"], each["operation"]): each for each in run_of(world)["written"]}

    assert wrote["invoices", "create"]["entries"] == 5
    assert Decimal(wrote["payments", "create"]["amount"]) == PAID
    assert wrote["invoices", "create"]["currency"] == "GBP"


def test_each_record_says_how_it_is_taken_back_and_what_cannot_is_named(world: World, asked: Json) -> None:
    how = {(step["entity"], step["key"]): step["how"] for step in asked["steps"]}
    after = {step["key"]: step["after"] for step in asked["steps"] if step["entity"] == "invoices"}
    paid, closed = world.invoice(world.story("others")), world.invoice(world.story("locked"))

    assert {how["invoices", key(world, name)] for name in ("card", "account", "credited")} == {"removed"}
    assert (
        how["invoices", key(world, "others")]
        == f"credited by {paid['InvoiceNumber']}-REV, dated {paid['DateString'][:10]}"
    )
    assert (
        how["invoices", key(world, "locked")]
        == f"credited by {closed['InvoiceNumber']}-REV, dated 2026-07-01"
    )
    assert [one.partition(" ")[0] for one in after[key(world, "card")]] == ["payments"]
    assert [one.partition(" ")[0] for one in after[key(world, "credited")]] == ["allocations"]
    assert {left["entity"] for left in asked["cannot"]} == {"contacts", "items"}
    assert all("master data" in left["why"] for left in asked["cannot"])


def test_approved_and_sent_nothing_is_left_but_what_others_booked(world: World, asked: Json) -> None:
    before = balances(world)
    world.run("holds", "approve", "--cause", asked["cause"], "--reason", "agreed with Ada")
    with world.watched() as calls:
        world.run("drain", codes=(0, 5))

    ledger = [call for call in calls if "orders" not in call]
    assert before["611"] == PAID
    assert balances(world) == {"090": PAID, "610": -PAID}
    payments, invoices = (
        [place for place, call in enumerate(ledger) if name in call] for name in ("Payments", "POST Invoices")
    )
    assert max(payments) < max(invoices), "what nobody paid may be voided before"
    statuses = {name: world.invoice(world.story(name))["Status"] for name in DAYS}
    assert statuses == {
        "card": "VOIDED", "account": "VOIDED", "credited": "VOIDED", "others": "PAID", "locked": "PAID"
    }  # fmt: skip
    assert world.payments(world.story("card")) == []
    assert {note["Status"] for note in world.credit_notes(world.story("credited"))} == {"VOIDED"}


def test_the_shop_does_not_bring_it_back_and_everything_says_why(world: World, asked: Json) -> None:
    with world.watched() as calls:
        world.sync(codes=(0, 5))
        world.run("diff", "--full", codes=(0, 5))
        world.run("drain", codes=(0, 5))
    proof = world.proof(codes=(0, 5))
    named = {
        record["key"]: record
        for total in proof["totals"]
        for record in total["records"]
        if total["flow"] == "invoices" and total["measure"] == "gross" and record["kind"] == "missing"
    }

    assert [call for call in calls if "orders" not in call] == []
    assert set(named) == {key(world, name) for name in DAYS}
    assert all(record["explained"] and "wrong prices" in record["reason"] for record in named.values())
    for name in DAYS:
        (why,) = [
            each
            for each in world.run("why", key(world, name)).data["reasons"]
            if each["entity"] == "invoices"
        ]
        assert "taken back with run" in why["verdict"]
        assert "wrong prices" in why["verdict"]
