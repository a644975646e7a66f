"""Whatever pays an order stands in the right account: each story with the entries that an accountant would make.

Beside each case what all journals of the order come to, by account, in base currency: debit positive.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox import trade
from sandbox.cases import money
from sandbox.people import shopper
from sandbox.stand import Json
from tests.acceptance.fix_setup import new_world
from tests.acceptance.fix_world import World
from tests.ledger.from_magento import fetch

BEGIN = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
ACCOUNTS = {
    "200": "sales", "201": "sales", "202": "shipping", "820": "vat", "610": "debtors", "611": "card", "830": "vouchers",
    "831": "points", "092": "deposits", "090": "bank", "499": "gains",
}  # fmt: skip
MUG = {"sales": "-12.50", "shipping": "-5.00", "vat": "-3.50"}
TWO_MUGS = {"sales": "-25.00", "shipping": "-5.00", "vat": "-6.00"}
LAMP = {"sales": "-33.33", "shipping": "-5.00", "vat": "-7.67"}
TWO_LAMPS = {"sales": "-66.66", "shipping": "-5.00", "vat": "-14.33"}
ENTRIES: dict[str, dict[str, str]] = {
    # Sold: a debt of the shop, no sale and no tax. Dr card 50, Cr vouchers 50.
    "gift_card_sold": {"card": "50.00", "vouchers": "-50.00"},
    # Redeemed: Dr vouchers and Dr card, Cr debtors, of the full invoice.
    "gift_card_redeemed_part": TWO_MUGS | {"vouchers": "20.00", "card": "16.00"},
    "gift_card_redeemed_whole": MUG | {"vouchers": "21.00"},
    "store_credit_used": LAMP | {"vouchers": "10.00", "card": "36.00"},
    "reward_points_used": LAMP | {"points": "5.00", "card": "41.00"},
    "all_liabilities_at_once": {
        "sales": "-37.50", "shipping": "-5.00", "vat": "-8.50", "vouchers": "24.00", "points": "3.00", "card": "24.00",
    },
    # Given back where it came from: nothing is left of it.
    "gift_card_order_refunded": {},
    # Dr debtors, Cr vouchers instead of Cr card: the money stays.
    "refunded_to_store_credit": {"card": "21.00", "vouchers": "-21.00"},
    # On terms: the accountant's own Dr bank, Cr debtors; until then open.
    "cod_paid_in_xero": MUG | {"bank": "21.00"},
    "cheque_paid_in_xero": TWO_LAMPS | {"bank": "85.99"},
    "purchase_order_terms": {"sales": "-62.50", "shipping": "-5.00", "vat": "-13.50", "debtors": "81.00"},
    # A person entered our payment first: one payment.
    "card_paid_by_hand_in_xero": MUG | {"card": "21.00"},
    # A person entered 10 of it: ours is 11; the other 10 wait for an answer.
    "card_part_paid_by_hand": MUG | {"card": "21.00"},
    # Seen only with its invoice: a payment like any other.
    "deposit_before_invoice": LAMP | {"card": "46.00"},
    # Seen before: a prepayment, used up by the first invoice.
    "deposit_two_invoices": TWO_LAMPS | {"deposits": "40.00", "card": "45.99"},
    "zero_order": {},
    # The credit note is allocated to the unpaid invoice, the bank receives the rest.
    "refund_before_payment": {"sales": "-33.33", "shipping": "-5.00", "vat": "-7.66", "bank": "45.99"},
}  # fmt: skip


@pytest.fixture(scope="module")
def world(server_url: str, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every story of money, told and delivered, on a route that takes deposits as prepayments."""
    with new_world(server_url, built, tmp_path_factory.mktemp("world"), edition="commerce") as world:
        world.rows("update lookups.routes set deposits = 'prepayment' returning 1 as changed")
        stand = world.stand
        trade.prepare(stand)
        for number, story in enumerate(money.STORIES):
            chance = random.Random(number)
            who = shopper(chance).renamed("Ann", f"Payer {number}", f"payer.{number}@example.com")
            order = story(stand, who, BEGIN + timedelta(hours=number), chance)
            world.played.append(
                trade.Played(
                    case=story.__name__,
                    order_id=int(order["entity_id"]),
                    increment_id=str(order["increment_id"]),
                )
            )
        world.first_run()
        trade.go_on(stand)
        world.sync(codes=(0, 5))
        world.run("holds", "approve", "--reason", "first allocation of a deposit")
        for _ in range(2):
            world.sync(codes=(0, 5))
        yield world


@pytest.fixture(scope="module")
def journals(world: World) -> list[Json]:
    """What the books say when all is delivered."""
    found: list[Json] = fetch(f"{world.books.address}/_sandbox/ledger")["journals"]
    return found


def entries(world: World, journals: list[Json], number: int) -> dict[str, Decimal]:
    """All journals of one order by account, without what comes to nothing."""
    invoices, notes = world.invoices(number), world.credit_notes(number)
    documents = {each.get("InvoiceID") or each.get("CreditNoteID") for each in (*invoices, *notes)}
    sources = {
        payment["PaymentID"]
        for payment in world.xero("Payments")
        if (payment.get("Invoice") or {}).get("InvoiceID") in documents
        or (payment.get("CreditNote") or {}).get("CreditNoteID") in documents
    }
    received = [
        each
        for each in world.xero("BankTransactions")
        if each.get("Reference", "").startswith(f"shop/order/{number}/")
    ]
    prepayments = {each.get("PrepaymentID") for each in received}
    allocations = {
        allocation["AllocationID"]
        for each in world.xero("Prepayments")
        if each["PrepaymentID"] in prepayments
        for allocation in each["Allocations"]
    }
    sources |= documents | allocations | {each["BankTransactionID"] for each in received}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for journal in journals:
        if journal["source_id"] in sources:
            for line in journal["lines"]:
                sums[ACCOUNTS[line["account_code"]]] += Decimal(str(line["base_amount"]))
    return {account: amount for account, amount in sums.items() if amount}


@pytest.mark.parametrize("case", ENTRIES)
def test_the_entries_of_a_case_are_those_of_an_accountant(
    world: World, journals: list[Json], case: str
) -> None:
    wanted = {account: Decimal(amount) for account, amount in ENTRIES[case].items()}

    assert entries(world, journals, world.story(case)) == wanted


def test_what_was_redeemed_goes_back_before_money(world: World) -> None:
    number = world.story("gift_card_order_refunded")

    paid = {each["Reference"].partition(f"/{number}/")[2]: each["Amount"] for each in world.payments(number)}
    assert paid == {
        "payment/1": 16,
        "payment/1/gift_card": 20,
        "credit/1/refund/1": 16,
        "credit/1/gift_card": 20,
    }


def test_money_in_base_currency_settles_a_foreign_invoice_at_the_rate_it_was_posted_with(
    world: World, journals: list[Json]
) -> None:
    """Dr card its base total, Cr debtors the same; an inverted CurrencyRate would post the difference as a gain."""
    number = world.story("euro_settled_in_base")
    base = Decimal(str(world.order(number)["base_grand_total"]))

    found = entries(world, journals, number)
    assert found["card"] == base
    assert "debtors" not in found
    assert abs(found.get("gains", Decimal(0))) <= Decimal("0.01")
    assert world.invoice(number)["CurrencyRate"] > 1, "euro for one pound"


def test_money_beyond_what_an_invoice_has_open_waits_for_a_person(world: World) -> None:
    key = f"shop/order/{world.story('card_part_paid_by_hand')}/payment/1/overpayment"

    (entry,) = world.rows("select state, held_for, amount, reason from cdc.outbox where key = %s", key)
    assert (entry["state"], entry["held_for"], entry["amount"]) == ("held", "hold", 10)
    assert "refund or keep?" in entry["reason"]


def test_each_movement_in_clearing_is_told_with_the_transaction_of_the_gateway(
    world: World, journals: list[Json]
) -> None:
    rows = world.rows("select * from proofs.clearing_transactions where account_code = '611' and is_posted")
    booked = sum(
        Decimal(str(line["base_amount"]))
        for journal in journals
        for line in journal["lines"]
        if line["account_code"] == "611"
    )

    by_hand = Decimal(10)
    assert sum(row["base_amount"] for row in rows) + by_hand == booked
    assert {row["key"] for row in rows if not row["transaction_id"]} == set()


def test_both_sides_of_all_money_agree(world: World) -> None:
    """The payment that a person entered bears that person's date, which may lie in another month than ours."""
    totals = [total for total in world.proof(codes=(0, 5))["totals"] if total["measure"] == "gross"]
    unexplained = {each["key"] for total in totals for each in total["records"] if not each["explained"]}

    assert {total["flow"] for total in totals} >= {
        "payments",
        "refunds",
        "deposits",
        "deposit_allocations",
        "allocations",
    }
    assert unexplained <= {f"shop/order/{world.story('card_paid_by_hand_in_xero')}/payment/1"}


def test_nothing_is_posted_twice_or_taken_back(world: World) -> None:
    with world.watched() as calls:
        world.sync(codes=(0, 5))

    assert calls == []
