"""A lookup is corrected after documents were frozen, each kind of them: shown with account, month and money, never sent.

Goods go from 201 to 260, the clearing of card payments from 611 to 613. Nothing is posted; what the books would hold instead:

    invoices        Dr 201  Cr 260   2 mugs 25.00 each, 2 lamps 66.66, in the month of each invoice
    credit note     Dr 260  Cr 201   1 lamp 33.33
    payment         Dr 613  Cr 611   36.00: 25.00 mugs, 5.00 shipping, 6.00 tax

Put back, nothing is left of it. An invoice that was paid and then cancelled by the shop is reversed by a credit note once a
person approved it, and what was paid stays as credit on the contact, until somebody gives it back:

    reversal        Dr 200  Dr VAT  Cr Debtors, in full

What an accountant recodes for a report (Reference, Tracking of a line) is the accountant's.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox import trade
from sandbox.cases.books import CARD, receive
from sandbox.people import shopper
from sandbox.stand import Json, invoices_of, item, on_list, place, stamp
from tests.acceptance.fix_entries import lock
from tests.acceptance.fix_world import World
from tests.fix_http import LOCAL

DAYS = {
    "old": datetime(2026, 2, 10, 9, tzinfo=UTC),
    "locked": datetime(2026, 6, 11, 9, tzinfo=UTC),
    "paid": datetime(2026, 9, 7, 9, tzinfo=UTC),
    "part_paid": datetime(2026, 9, 14, 9, tzinfo=UTC),
    "credited": datetime(2026, 10, 5, 9, tzinfo=UTC),
    "reconciled": datetime(2026, 10, 6, 9, tzinfo=UTC),
    "recoded": datetime(2026, 10, 7, 9, tzinfo=UTC),
    "cancelled": datetime(2026, 10, 8, 9, tzinfo=UTC),
}
MUGS, LAMP, PAID = Decimal("25.00"), Decimal("33.33"), Decimal("36.00")
SERVICE = item("SVC-INSTALL")
FROZEN = {
    ("invoices", "old"): "before cut-over",
    ("invoices", "locked"): "dated in a period that is locked up to 2026-06-30",
    ("invoices", "paid"): "paid",
    ("invoices", "part_paid"): "part-paid",
    ("invoices", "credited"): "credited",
    ("credit_notes", "credited"): "paid",
    ("invoices", "reconciled"): "paid",
    ("payments", "reconciled"): "matched with a bank statement line (reconciled)",
}
MOVED = {
    ("invoices", "2026-02"): MUGS,
    ("invoices", "2026-06"): MUGS,
    ("invoices", "2026-09"): 2 * MUGS,
    ("invoices", "2026-10"): 2 * LAMP + MUGS,
    ("credit_notes", "2026-10"): -LAMP,
    ("payments", "2026-10"): PAID,
}
ACCOUNTS = {"invoices": ("201", "260"), "credit_notes": ("201", "260"), "payments": ("611", "613")}


def placed(world: World, name: str, at: datetime) -> Json:
    """An order on account, invoiced; by card where a payment of ours is wanted."""
    stand = world.stand
    who = shopper(random.Random(1)).renamed("Ann", name.title(), f"{name}@example.com")
    goods = {"credited": item("LAMP-01", 2), "recoded": SERVICE, "cancelled": SERVICE}.get(
        name, item("MUG-01", 2)
    )
    pay = {"reconciled": "cardpay", "cancelled": "cardauth"}.get(name, "checkmo")
    order = place(stand, who, at, [goods], pay=pay)
    if name != "reconciled":
        uncaptured = {"not_captured": True} if name == "cancelled" else {}
        stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=1)), **uncaptured)
    if name == "credited":
        back = on_list(order, "LAMP-01", 1)
        stand.shop("refund", order_id=order["entity_id"], items=back, at=stamp(at + timedelta(days=1)))
    world.played.append(
        trade.Played(case=name, order_id=int(order["entity_id"]), increment_id=order["increment_id"])
    )
    return order


@pytest.fixture(scope="module", autouse=True)
def frozen(world: World) -> None:
    """One document of each kind, delivered, then frozen; mirrored so."""
    trade.prepare(world.stand)
    orders = {name: placed(world, name, at) for name, at in DAYS.items()}
    world.first_run()
    for name, amount, account in (("paid", PAID, "090"), ("part_paid", Decimal(10), CARD)):
        (invoice,) = invoices_of(world.stand, orders[name])
        receive(world.stand, invoice, amount, DAYS[name] + timedelta(days=3), account=account)
    (invoice,) = invoices_of(world.stand, orders["cancelled"])
    total = Decimal(str(invoice["grand_total"]))
    receive(world.stand, invoice, total, DAYS["cancelled"] + timedelta(days=1), account="090")
    (payment,) = world.payments(world.story("reconciled"))
    world.stand.ledger("reconcile", payment_id=payment["PaymentID"])
    lock(world, "2026-06-30")
    recode(world, world.invoice(world.story("recoded")))
    world.rows("update lookups.routes set cut_over = '2026-03-01' returning 1 as changed")


def recode(world: World, invoice: Json) -> None:
    """The accountant's own Reference, and another option of the tracking on the first line."""
    names = ("LineItemID", "Description", "Quantity", "UnitAmount", "TaxType", "AccountCode", "Tracking")
    first, *others = [{name: line[name] for name in names if name in line} for line in invoice["LineItems"]]
    assert [each["Option"] for each in first["Tracking"]] == ["UK shop"]
    first["Tracking"] = [{"Name": "Channel", "Option": "EU shop"}]
    fields = {"Reference": "as Ada files it", "LineItems": [first, *others]}
    world.stand.ledger("edit", entity="Invoices", id=invoice["InvoiceID"], fields=fields)


def use(world: World, goods: str, clearing: str) -> list[str]:
    """The lookups say so, and everything is compared afresh; the calls that came of it."""
    world.rows(
        "update lookups.category_accounts set account = %s where category = 'Goods' returning 1 as n", goods
    )
    world.rows(
        "update lookups.payment_methods set account = %s where method = 'cardpay' returning 1 as n", clearing
    )
    with world.watched() as calls:
        world.run("diff", "--full", codes=(0, 5))
        world.run("drain", codes=(0, 5))
    return calls


def test_what_the_accountant_filed_otherwise_is_left_so(world: World) -> None:
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    (invoice,) = [each for each in world.xero("Invoices") if each.get("Reference") == "as Ada files it"]
    first = invoice["LineItems"][0]
    key = f"shop/order/{world.story('recoded')}/1"
    assert calls == ["POST orders/comments"], "the shop hears what was paid, the books hear nothing"
    assert [each["Option"] for each in first["Tracking"]] == ["EU shop"]
    assert key not in world.dead()
    (link,) = world.rows("select yielded from cdc.links where key = %s and entity = 'invoices'", key)
    assert {path.rpartition("/")[2] for path in link["yielded"]} == {"Reference", "Tracking"}


def test_each_kind_of_frozen_document_drifts_with_its_money_and_nothing_is_sent(world: World) -> None:
    calls = use(world, "260", "613")

    shown = world.run("drift", "--rows", "100").data
    stories = {each.order_id: each.case for each in world.played}
    found = {
        (row["entity"], stories[int(row["key"].split("/")[2])]): row["frozen_because"]
        for row in shown["rows"]
    }
    assert calls == []
    assert found == FROZEN
    effects: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(dict)
    for row in shown["accounts"]:
        effects[row["entity"], row["period"]][row["account"]] = Decimal(row["amount"])
        assert row["base"] == row["amount"]
    wanted = {}
    for (entity, period), amount in MOVED.items():
        before, after = ACCOUNTS[entity]
        wanted[entity, period] = {before: -amount, after: amount}
    assert effects == wanted


def test_put_back_nothing_is_left_of_it(world: World) -> None:
    calls = use(world, "201", "611")

    assert calls == []
    assert world.run("drift").data["documents"] == 0
    assert world.rows("select key from cdc.outbox where held_for in ('frozen', 'target changed')") == []


def balances(world: World) -> dict[str, Decimal]:
    """The trial balance of the stand-in, debits positive."""
    shown: Json = LOCAL.get(f"{world.books.address}/_sandbox/ledger", timeout=30).json()
    return {each["code"]: Decimal(str(each["base_balance"])) for each in shown["accounts"]}


def test_a_paid_invoice_that_the_shop_cancelled_is_reversed_once_a_person_approved_it(world: World) -> None:
    number = world.story("cancelled")
    key, old, before = f"shop/order/{number}/1", world.invoice(number), balances(world)
    (cancelled,) = world.of_order("invoices", number)
    world.stand.shop("cancel_invoice", invoice_id=cancelled["entity_id"])
    with world.watched() as calls:
        world.sync(codes=(0, 5))
    (held,) = world.rows(
        "select operation, held_for, reason from cdc.outbox where key = %s and entity = 'invoices'", key
    )
    untouched = balances(world)

    world.run("holds", "approve", key, "--reason", "the shop gave it up")
    for _ in range(2):
        world.sync(codes=(0, 5))

    assert [call for call in calls if call != "POST orders/comments"] == []
    assert (untouched, held["operation"], held["held_for"]) == (before, "remove", "frozen")
    assert (
        f"{old['InvoiceNumber']}-REV over {old['Total']} reverses it, dated {day_of(old)}" in held["reason"]
    )
    assert f"{old['Total']} stay as credit on the contact" in held["reason"]
    (note,) = [
        each
        for each in world.xero("CreditNotes")
        if each["CreditNoteNumber"] == f"{old['InvoiceNumber']}-REV"
    ]
    assert (note["Status"], note["RemainingCredit"], note["Date"]) == (
        "AUTHORISED",
        old["Total"],
        old["Date"],
    )
    assert [(each["InvoiceNumber"], each["Status"]) for each in world.invoices(number)] == [
        (old["InvoiceNumber"], "PAID")
    ]
    after = balances(world)
    moved = {code: after[code] - before.get(code, 0) for code in after if after[code] != before.get(code, 0)}
    assert moved == {"200": old["SubTotal"], "820": old["TotalTax"], "610": -old["Total"]}
    assert world.rows("select key from cdc.outbox where entity = 'invoices' and key = %s", key) == []
    with world.watched() as calls:
        world.run("diff", "--full", codes=(0, 5))
        world.run("drain", codes=(0, 5))
    assert calls == []
    (why,) = [each for each in world.run("why", key).data["reasons"] if each["entity"] == "invoices"]
    assert f"{key}/reversal/1 reverses it" in why["verdict"]
    assert "the shop gave it up" in why["verdict"]


def day_of(document: Json) -> str:
    """The day of a document, as ISO text."""
    return str(document["DateString"])[:10]
