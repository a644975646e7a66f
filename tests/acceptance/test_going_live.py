"""A shop and a ledger with a history that another app booked: linked without a write, completed without a duplicate.

The app has its own numbers (`APP-…`) and one line a document, and names the order in the reference. Planted by a seed: some
invoices it missed, some it booked twice, some with another amount, tax, date or contact. What an accountant then wants:

    missing     Dr Debtors Cr Sales Cr VAT, once, with our number; its payment Dr Card clearing Cr Debtors
    linked      nothing: the document of the app stays as it is, number, lines and accounts included
    different   nothing, until somebody has decided
    refund      of an invoice from before the cut-over: Dr Sales Dr VAT Cr Debtors, put on the app's own invoice
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from sandbox import trade
from sandbox.people import shopper
from sandbox.stories import cheque_customer
from tests.acceptance.fix_world import Json, World, now

ORDERS = 28
SEED = 41
CUT_OVER = date(2026, 10, 9)
PLANTS = ("missing", "twice", "amount", "tax", "date", "contact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """An invoice of the shop and what the app made of it."""

    key: str
    number: str
    what: str
    targets: tuple[str, ...]
    amount: Decimal
    day: date


@pytest.fixture(scope="module")
def planted(world: World) -> list[Planted]:
    """The trade, booked by the app; both systems connected and mirrored, nothing written by us."""
    world.play(ORDERS, seed=SEED)
    chance = random.Random(SEED)
    old = cheque_customer(world.stand, shopper(chance), datetime(2026, 10, 2, 9, tzinfo=UTC), chance)
    world.played.append(
        trade.Played(case="old_cheque", order_id=int(old["entity_id"]), increment_id=str(old["increment_id"]))
    )
    made = book_history(world, random.Random(SEED))
    for name in ("shop", "books"):
        world.run("connect", name)
    world.run("load")
    world.rows("update lookups.routes set cut_over = %s returning 1", str(CUT_OVER))
    return made


@pytest.fixture(autouse=True)
def needs_history(planted: list[Planted]) -> None:
    """Each test goes on where the one before it ended."""


def book_history(world: World, chance: random.Random) -> list[Planted]:
    """Every invoice of the shop as the app booked it."""
    stand, made = world.stand, []
    orders = {int(order["entity_id"]): order for order in stand.state("orders")}
    slots: Counter[int] = Counter()
    for count, invoice in enumerate(sorted(stand.state("invoices"), key=lambda each: int(each["entity_id"]))):
        order = orders[int(invoice["order_id"])]
        slots[int(order["entity_id"])] += 1
        # One of each kind, then mostly right; what is paid in another currency stays right.
        is_plain = order["order_currency_code"] == "GBP"
        what = PLANTS[count] if count < len(PLANTS) and is_plain else "right"
        if is_plain and count >= len(PLANTS) and chance.random() < 0.2:
            what = chance.choice(PLANTS)
        if int(order["entity_id"]) == world.story("old_cheque"):
            what = "right"
        gross, tax = (round(Decimal(str(invoice[name])), 2) for name in ("grand_total", "tax_amount"))
        day = local_day(invoice)
        targets = [
            app_invoice(world, order, gross, tax, day, what, number=f"APP-{7000 + count}{suffix}")
            for suffix in ([] if what == "missing" else ["", "B"] if what == "twice" else [""])
        ]
        made.append(
            Planted(
                key=f"shop/order/{order['entity_id']}/{slots[int(order['entity_id'])]}",
                number=f"WEB-{invoice['increment_id']}",
                what=what,
                targets=tuple(targets),
                amount=gross,
                day=day,
            )
        )
    return made


def app_invoice(
    world: World, order: Json, gross: Decimal, tax: Decimal, day: date, what: str, *, number: str
) -> str:
    """One invoice of the app; its InvoiceID."""
    person = order["billing_address"]
    name = f"{person['firstname']} {person['lastname']}"
    email = order["customer_email"]
    if what == "contact":
        name, email = "Zacharias Quixote Holdings", "accounts@quixote.example"
    gross += Decimal("1.00") if what == "amount" else 0
    tax -= Decimal("0.01") if what == "tax" and tax else 0
    line = {
        "Description": "Web sale",
        "Quantity": 1,
        "UnitAmount": gross - tax,
        "TaxAmount": tax,
        "AccountCode": "200",
        "TaxType": "OUTPUT2" if tax else "ZERORATEDOUTPUT",
    }
    made = world.stand.ledger(
        "records/Invoices",
        Type="ACCREC",
        InvoiceNumber=number,
        Reference=f"Order {order['increment_id']}",
        Contact={"ContactID": app_contact(world, name, email)},
        Date=str(day + timedelta(days=2 if what == "date" else 0)),
        DueDate=str(day + timedelta(days=30)),
        LineAmountTypes="Exclusive",
        CurrencyCode=order["order_currency_code"],
        Status="AUTHORISED",
        LineItems=[line],
    )
    return str(made["Invoices"][0]["InvoiceID"])


def app_contact(world: World, name: str, email: str) -> str:
    """The app's contact of a buyer, by e-mail; a name is there once."""
    contacts = world.stand.http.get(f"{world.books.address}/_sandbox/state/Contacts").json()
    for each in contacts:
        if each.get("EmailAddress") == email:
            return str(each["ContactID"])
    taken = {each["Name"] for each in contacts}
    made = world.stand.ledger(
        "records/Contacts", Name=name if name not in taken else f"{name} {len(taken)}", EmailAddress=email
    )
    return str(made["Contacts"][0]["ContactID"])


def local_day(invoice: Json) -> date:
    """The store's day of an invoice (stores of the sample trade lie in Europe/London)."""
    at = datetime.strptime(invoice["created_at"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return at.astimezone(ZoneInfo("Europe/London")).date()


def app_invoices(world: World) -> dict[str, Json]:
    """The app's invoices, by id."""
    return {
        each["InvoiceID"]: each for each in world.xero("Invoices") if each["InvoiceNumber"].startswith("APP-")
    }


def assert_marts_know_the_links(world: World) -> None:
    """Nothing changed but links: the marts that name the order of a document, and the documents of an order, follow all the same."""
    world.run("marts")
    for mart in ("receivables", "order_to_cash"):
        for one, other in ((f"marts.{mart}", f"marts_live.{mart}"), (f"marts_live.{mart}", f"marts.{mart}")):
            rest = world.rows(
                f"select to_jsonb(one) - 'as_of' as row from {one} as one"
                f" except select to_jsonb(other) - 'as_of' from {other} as other"
            )
            assert rest == [], f"only in {one}"


def test_a_shadow_names_the_planted_differences_and_nothing_else(
    world: World, planted: list[Planted]
) -> None:
    with world.watched() as calls:
        shown = world.run("prove", "--shadow", "2026-10", codes=(5,)).data

    october = [each for each in planted if each.day.month == 10]
    of_invoices = [each for each in shown["ledgers"][0]["findings"] if each["flow"] == "invoices"]
    found = {
        kind: {each["key"] for each in of_invoices if each["kind"] == kind}
        for kind in ("missing", "twice", "differs")
    }
    assert calls == []
    assert found["missing"] == {each.key for each in october if each.what == "missing"}
    assert found["twice"] == {each.key for each in october if each.what == "twice"}
    for what in ("amount", "tax", "date", "contact"):
        named = {each["key"] for each in of_invoices if what in each["what"]}
        expected = {each.key for each in october if each.what == what}
        # The adopted contact is another name to a shadow, until somebody says that it is the same party.
        expected |= {f"shop/order/{world.story('adopted')}/1"} if what == "contact" else set()
        assert named == expected, what
    assert [each for each in of_invoices if each["kind"] == "without source"] == []
    missing = [each for each in october if each.what == "missing"]
    assert f"{len(missing)} invoice" in shown["first_line"]
    assert f"{sum(each.amount for each in missing):,.2f}" in shown["first_line"]
    assert world.rows("select count(*) as links from cdc.links") == [{"links": 0}]


def test_the_first_drain_into_a_ledger_with_records_makes_nothing_until_somebody_looked(world: World) -> None:
    world.run("diff", codes=(0, 5))
    world.run("holds", "approve", "--reason", "first run")

    with world.watched() as calls:
        ended = world.run("drain", codes=(3,))

    assert not [call for call in calls if "Contacts" in call or "Invoices" in call]
    assert "nobody has looked" in ended.said
    assert "tieout link propose books" in ended.said


def test_proposals_pair_what_belongs_together_and_never_choose_between_two(
    world: World, planted: list[Planted]
) -> None:
    proposed = world.run("link", "propose", "books").data

    invoices = [each for each in proposed["proposals"] if each["entity"] == "invoices"]
    chosen = {each["key"]: each["target_id"] for each in invoices if each["standing"] == "chosen"}
    unsure: dict[str, set[str]] = {}
    for each in invoices:
        if each["standing"] == "unsure":
            unsure.setdefault(each["key"], set()).add(each["target_id"])
    single = {each.key: each.targets[0] for each in planted if len(each.targets) == 1}
    double = {each.key: set(each.targets) for each in planted if each.what == "twice"}
    # What agrees is sure. A record with another amount may be unsure, but it is shown for its row and for no other.
    assert chosen.items() <= single.items()
    assert {each.key for each in planted if each.what == "right"} <= chosen.keys()
    assert {key: unsure[key] for key in double} == double
    assert all(single[key] in unsure[key] for key in single.keys() - chosen.keys())
    assert all(each["evidence"] for each in invoices)


def test_approving_writes_nothing_and_the_doubled_ones_wait_for_a_name(
    world: World, planted: list[Planted]
) -> None:
    before = app_invoices(world)
    world.run("marts")

    with world.watched() as calls:
        approved = world.run("link", "approve", "--reason", "the app's history").data
        for each in (each for each in planted if each.what == "twice"):
            refused = world.run("link", "approve", each.key, codes=(5,)).data
            assert refused["decided"] == 0
            assert "--target" in refused["refused"][0]["reason"]
        left = world.run("link", "list", "--standing", "unsure", "--entity", "invoices").data["proposals"]
        for each in (each for each in planted if each.key in {row["key"] for row in left}):
            world.run("link", "approve", each.key, "--target", each.targets[0])

    assert calls == []
    assert approved["refused"] == []
    assert app_invoices(world) == before
    (linked,) = world.rows(
        "select count(*) as n from cdc.links where entity = 'invoices' and target_id is not null"
    )
    assert linked["n"] == sum(1 for each in planted if each.targets)
    assert_marts_know_the_links(world)


def test_afterwards_exactly_the_missing_invoices_are_made_and_what_differs_is_held(
    world: World, planted: list[Planted]
) -> None:
    before = app_invoices(world)

    for _ in range(3):
        world.sync(codes=(0, 5))
        world.run("holds", "approve", "--reason", "first run")

    ours = [each for each in world.xero("Invoices") if each["InvoiceNumber"].startswith("WEB-")]
    live = {each["InvoiceNumber"] for each in ours if each["Status"] in ("AUTHORISED", "PAID")}
    assert live == {each.number for each in planted if each.what == "missing" and each.day >= CUT_OVER}
    assert {number: each["Total"] for number, each in app_invoices(world).items()} == {
        number: each["Total"] for number, each in before.items()
    }
    held = world.rows(
        "select key, reason from cdc.outbox where entity = 'invoices' and held_for = 'target changed'"
        " union all select key, array_to_string(fields, ',') from cdc.drift where entity = 'invoices'"
    )
    assert {each["key"] for each in held} == {
        each.key
        for each in planted
        if each.what in ("amount", "tax", "date") or (each.what == "contact" and each.day >= CUT_OVER)
    }


def test_an_approval_is_taken_back_as_long_as_nothing_was_sent_on_it(
    world: World, planted: list[Planted]
) -> None:
    ours = world.rows("select key from cdc.links where target_id is not null and not is_adopted")
    built_on = {"/".join(row["key"].split("/")[:3]) for row in ours if "/order/" in row["key"]}
    right = [each for each in planted if each.what == "right" and each.day >= CUT_OVER]
    free = next(each for each in right if each.key.rpartition("/")[0] not in built_on)
    paid = {row["key"] for row in ours}
    used = next(each for each in right if each.key.replace("/1", "/payment/1") in paid)

    undone = world.run("link", "undo", free.key, "--entity", "invoices").data
    refused = world.run("link", "undo", used.key, "--entity", "invoices", codes=(5,)).data

    assert undone["decided"] == 1
    assert refused["decided"] == 0
    assert_marts_know_the_links(world)
    world.run("link", "approve", free.key)
    assert world.rows("select target_id from cdc.links where key = %s and entity = 'invoices'", free.key) == [
        {"target_id": free.targets[0]}
    ]


def test_a_refund_after_the_cut_over_is_put_on_the_linked_invoice_from_before_it(
    world: World, planted: list[Planted]
) -> None:
    number = world.story("old_cheque")
    old = next(each for each in planted if each.key == f"shop/order/{number}/1")
    assert old.day < CUT_OVER
    world.stand.shop("refund", order_id=number, at=now().strftime("%Y-%m-%d %H:%M:%S"))

    for _ in range(2):
        world.sync(codes=(0, 5))
        world.run("holds", "approve", "--reason", "refund")
    world.sync(codes=(0, 5))

    (note,) = world.credit_notes(number)
    (allocation,) = note["Allocations"]
    assert allocation["Invoice"]["InvoiceID"] == old.targets[0]
    assert allocation["Amount"] == note["Total"] == old.amount
