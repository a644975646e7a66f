"""Taxes and dates: each case of the full trade with the entries that its story states, and late documents of a closed period.

Accounts: 610 debtors, 611 card clearing, 612 PayPal, 201 goods, 202 shipping, 204 wrapping, 820 VAT, 835 fixed product taxes.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from sandbox.cases import taxes
from sandbox.people import shopper
from sandbox.stand import Json, item, place, stamp
from tests.acceptance.fix_entries import entries, held, journals, lock, of_order, pounds
from tests.acceptance.fix_world import World

BEGINS = datetime(2026, 10, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def told(world: World) -> dict[str, Json]:
    """The order of each story by its name; the default store dates late documents on the next open day, the others hold."""
    chance = random.Random(11)
    taxes.prepare(world.stand)
    found = {}
    for number, teller in enumerate(taxes.STORIES):
        who, at = shopper(chance), BEGINS + timedelta(hours=5 * number)
        found[teller.__name__] = teller(world.stand, who, at, chance)
    late = datetime(2026, 9, 29, 9, 0, tzinfo=UTC)
    found["late_trade"] = place(
        world.stand,
        shopper(chance),
        late,
        [item("MUG-01")],
        store="trade_en",
        pay="banktransfer",
        customer=True,
    )
    world.stand.shop("invoice", order_id=found["late_trade"]["entity_id"], at=stamp(late))
    with world.database.connect() as session:
        session.execute("update lookups.routes set re_date = 'next_open_day' where store_code = 'default'")
    world.first_run()
    return found


def booked(world: World, order: Json) -> SimpleNamespace:
    """Its one invoice, its credit notes, tax types by account, and the entries of the invoice and its payments."""
    (invoice,) = of_order(world, "Invoices", order["increment_id"])
    notes = of_order(world, "CreditNotes", order["increment_id"])
    payments = world.payments(order["entity_id"])
    return SimpleNamespace(
        invoice=invoice,
        notes=notes,
        payments=payments,
        types={(line["AccountCode"], line["TaxType"]) for line in invoice["LineItems"]},
        entries=entries(world, invoice),
        all=entries(world, invoice, *notes, *payments),
    )


def test_reverse_charge_export_and_exempt_sales_are_nought_each_by_its_own_tax_type(
    world: World, told: dict[str, Json]
) -> None:
    """Dr 610, Cr 201, Cr 202, no VAT; the types put them into different boxes of the return."""
    expected = {
        "reverse_charge_business": "ECZROUTPUT",
        "export_order": "ZERORATEDOUTPUT",
        "exempt_group": "EXEMPTOUTPUT",
    }
    for case, tax_type in expected.items():
        seen = booked(world, told[case])
        assert seen.types == {("201", tax_type), ("202", tax_type)}, case
        assert seen.invoice["TotalTax"] == 0
        assert set(seen.entries) == {"610", "201", "202"}
        assert set(seen.all) == {"611", "201", "202"}, "paid by card"


def test_several_rates_of_a_line_are_one_composite_rate(world: World, told: dict[str, Json]) -> None:
    """Dr 610 48.86, Cr 201 37.50, Cr 202 5.00, Cr 820 6.36 (14.975 %)."""
    seen = booked(world, told["stacked_rates_line"])

    assert {tax_type for _, tax_type in seen.types} == {"TAX002"}
    assert seen.entries == pounds(a610="48.86", a201="-37.50", a202="-5.00", a820="-6.36")


def test_fixed_product_taxes_and_wrapping_are_lines_of_their_own(world: World, told: dict[str, Json]) -> None:
    """Fridges: Cr 835 5.00 and no VAT of it; wrapped mug: Cr 204 5.00 and VAT of it."""
    fridges, wrapped = booked(world, told["weee_line"]), booked(world, told["gift_wrapped"])

    assert fridges.entries == pounds(a610="490.98", a201="-399.98", a202="-5.00", a820="-81.00", a835="-5.00")
    assert ("835", "NONE") in fridges.types
    assert wrapped.entries == pounds(a610="27.00", a201="-12.50", a202="-5.00", a204="-5.00", a820="-4.50")
    assert booked(world, told["weee_refunded"]).all == {}, "sold, and all of it given back"


def test_prices_with_tax_tie_with_the_discount_on_gross_and_on_net(
    world: World, told: dict[str, Json]
) -> None:
    """Dr 610 the total of the shop, Cr 820 its tax, without a rounding line."""
    for case in ("gross_discount_on_gross", "gross_discount_on_net", "discount_after_tax"):
        seen = booked(world, told[case])
        (shop,) = world.of_order("invoices", told[case]["entity_id"])
        assert seen.entries["610"] == round(Decimal(shop["grand_total"]), 2), case
        assert seen.entries["820"] == -round(Decimal(shop["tax_amount"]), 2), case
        assert {account for account, _ in seen.types} == {"201", "202"}


def test_a_late_document_is_dated_on_the_first_open_day_with_its_true_date_in_the_reference(
    world: World, told: dict[str, Json]
) -> None:
    """All on 1 October: Dr 610 21.00, Cr 201 12.50, Cr 202 5.00, Cr 820 3.50; Dr 611 21.00, Cr 610."""
    order = told["late_in_locked_period"]
    seen = booked(world, order)
    ids = {seen.invoice["InvoiceID"], *(payment["PaymentID"] for payment in seen.payments)}

    assert seen.invoice["Reference"] == f"{order['increment_id']} (2026-09-28)"
    assert seen.invoice["DateString"][:10] == seen.invoice["DueDateString"][:10] == "2026-10-01"
    assert seen.all == pounds(a611="21.00", a201="-12.50", a202="-5.00", a820="-3.50")
    dates = {journal["JournalDate"][:10] for journal in journals(world) if journal["SourceID"] in ids}
    assert dates == {"2026-10-01"}


def test_a_late_document_of_a_route_that_holds_waits_and_says_what_releases_it(
    world: World, told: dict[str, Json]
) -> None:
    number = told["late_trade"]["entity_id"]
    entry = held(world, f"shop/order/{number}/1")

    assert (entry["held_for"], entry["cause"]) == (
        "lock date",
        "the target's books: dated in a period that is locked up to 2026-09-30",
    )
    assert of_order(world, "Invoices", told["late_trade"]["increment_id"]) == []


def test_what_is_posted_stays_where_it_is_when_the_lock_date_moves(
    world: World, told: dict[str, Json]
) -> None:
    """October is closed too: nothing moves. What comes of October after that is of November: Dr 201 …, Cr 611."""
    order = told["late_in_locked_period"]
    before = {each["InvoiceID"]: (each["DateString"], each["Reference"]) for each in world.xero("Invoices")}
    lock(world, "2026-10-31")
    with world.watched() as calls:
        world.sync(codes=(0, 5))
    assert calls == []
    assert world.rows("select key from cdc.drift") == []
    world.stand.shop("refund", order_id=order["entity_id"], online=True, at="2026-10-20 10:00:00")
    world.sync(codes=(0, 5))
    seen = booked(world, order)
    (note,) = seen.notes

    assert {
        each["InvoiceID"]: (each["DateString"], each["Reference"]) for each in world.xero("Invoices")
    } == before
    assert (note["DateString"][:10], note["Reference"]) == (
        "2026-11-01",
        f"{order['increment_id']} (2026-10-20)",
    )
    assert seen.all == {}
    assert {each["PaymentID"] for each in seen.payments if each["Date"] != seen.payments[0]["Date"]}

    lock(world, None)
    with world.watched() as calls:
        world.sync(codes=(0, 5))
    assert calls == ["PUT Invoices"], "only what was held goes, under its own date"
    (released,) = of_order(world, "Invoices", told["late_trade"]["increment_id"])
    assert (released["DateString"][:10], released["Reference"]) == (
        "2026-09-29",
        told["late_trade"]["increment_id"],
    )


def test_a_late_document_that_its_route_drafts_waits_for_an_accountant_and_so_does_its_money(
    world: World, told: dict[str, Json]
) -> None:
    """Before the approval nothing; then all on 1 November: Dr 610 21.00, Cr 201 12.50, Cr 202 5.00, Cr 820 3.50; Dr 611, Cr 610."""
    with world.database.connect() as session:
        session.execute("update lookups.routes set re_date = 'draft' where store_code = 'default'")
    lock(world, "2026-10-31")
    order = place(
        world.stand,
        shopper(random.Random(77)),
        datetime(2026, 10, 25, 10, tzinfo=UTC),
        [item("MUG-01")],
    )
    world.sync(codes=(0, 5))
    drafted = booked(world, order)
    world.stand.ledger(
        "edit",
        entity="Invoices",
        id=drafted.invoice["InvoiceID"],
        fields={"Status": "AUTHORISED"},
    )
    with world.watched() as calls:
        world.sync(codes=(0, 5))
        world.sync(codes=(0, 5))
    seen = booked(world, order)
    lock(world, None)

    assert (drafted.invoice["Status"], drafted.payments, drafted.all) == ("DRAFT", [], {})
    assert drafted.invoice["DateString"][:10] == "2026-11-01"
    assert drafted.invoice["Reference"] == f"{order['increment_id']} (2026-10-25)"
    assert [call for call in calls if call.endswith(("Invoices", "Payments"))] == ["PUT Payments"]
    assert seen.all == pounds(a611="21.00", a201="-12.50", a202="-5.00", a820="-3.50")


def test_both_sides_agree_by_the_dates_of_the_books(world: World, told: dict[str, Json]) -> None:
    assert world.proof(codes=(0, 5))["totals"]
