"""The full trade: every case is told, the same numbers make the same trade, and its documents add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest

from sandbox import magento, trade, xero
from sandbox.stand import Json, Stand
from sandbox.stories import ORDINARY

Played = tuple[Stand, list[trade.Played]]


@pytest.fixture(scope="module")
def full() -> Iterator[Played]:
    shop = magento.start(race_window_ms=0, edition="commerce")
    books = xero.start(minute=None, day=None)
    stand = Stand(magento=shop.address, xero=books.address)
    try:
        yield stand, trade.play(stand, 70, trade="full")
    finally:
        shop.stop()
        books.stop()


def test_every_case_is_in_the_full_trade_once(full: Played) -> None:
    counts = Counter(each.case for each in full[1])

    assert {teller.__name__ for teller in trade.FULL} <= {*counts, *(each.__name__ for each in ORDINARY)}
    assert {counts[teller.__name__] for teller in trade.CASES} == {1}
    assert sum(counts.values()) == 70


def test_the_ordinary_trade_has_none_of_the_cases() -> None:
    names = {teller.__name__ for teller in trade.CASES}

    assert not names & {teller.__name__ for teller, _, _ in trade.stories(300)}


def test_the_same_numbers_make_the_same_stories() -> None:
    one, two = (list(trade.stories(120, seed=5, trade="full")) for _ in range(2))

    assert one == two
    assert one != list(trade.stories(120, seed=6, trade="full"))


def _redeemed(document: Json, order: Json) -> Decimal:
    extension = document.get("extension_attributes") or {}
    names = ("gift_cards_amount", "customer_balance_amount")
    shown = sum((Decimal(str(extension.get(name) or 0)) for name in names), Decimal(0))
    whole = document is order
    return shown + (Decimal(str(extension.get("reward_currency_amount") or 0)) if whole else Decimal(0))


def test_totals_add_up_when_redeemed_means_are_added_back(full: Played) -> None:
    """Of each order: subtotal, shipping, tax, discount, compensation, fixed taxes, wrapping = total + redeemed."""
    terms = (
        "subtotal",
        "shipping_amount",
        "tax_amount",
        "discount_amount",
        "discount_tax_compensation_amount",
        "shipping_discount_tax_compensation_amount",
    )
    for order in full[0].state("orders"):
        extension = order["extension_attributes"]
        lines = sum((Decimal(str(order.get(name) or 0)) for name in terms), Decimal(0))
        lines += sum(
            (Decimal(str(item.get("weee_tax_applied_row_amount") or 0)) for item in order["items"]),
            Decimal(0),
        )
        lines += sum(
            (Decimal(extension.get(name) or 0) for name in ("gw_price", "gw_card_price")), Decimal(0)
        )
        if any(each.order_id == order["entity_id"] for each in full[1] if each.case != "cents_unexplained"):
            assert lines == Decimal(str(order["grand_total"])) + _redeemed(order, order), order["entity_id"]


def test_only_the_held_cases_refund_more_than_was_invoiced(full: Played) -> None:
    stand, played = full
    cases = {each.order_id: each.case for each in played}
    billed: dict[int, Decimal] = defaultdict(Decimal)
    for table, sign in (("invoices", 1), ("creditmemos", -1)):
        for row in stand.state(table):
            billed[row["order_id"]] += sign * (Decimal(str(row["grand_total"])) + _redeemed(row, {}))

    over = {cases[number] for number, left in billed.items() if left < 0}

    assert over == {"refund_above_invoiced", "simultaneous_memos"}


def test_stories_that_need_the_books_wait_for_them(full: Played) -> None:
    """Nothing is in the books yet: the stories that go on there say so, instead of acting on nothing."""
    stand, _ = full
    waiting = {case for case, _ in stand.later}

    assert waiting == {
        "archived_contact",
        "card_paid_by_hand_in_xero",
        "card_part_paid_by_hand",
        "cheque_paid_in_xero",
        "cod_paid_in_xero",
        "deposit_two_invoices",
        "invoice_cancelled",
        "merged_contact",
        "refund_before_payment",
        "refund_offline_by_person",
    }
    act = dict(stand.later)["cod_paid_in_xero"]
    with pytest.raises(RuntimeError, match="the books have 0 records"):
        act(trade.TRADE_BEGINS)


def test_stories_go_on_after_every_stamp_and_before_every_later_one(full: Played) -> None:
    """A stamp behind the newest is behind a poll's cursor; one ahead of the clock puts what comes next behind it."""
    stand = Stand(magento=full[0].magento, xero=full[0].xero)
    times: list[datetime] = []
    stand.after(ORDINARY[0], times.append)

    assert trade.go_on(stand) == []

    stamps = [row["updated_at"] for table in ("orders", "invoices") for row in stand.state(table)]
    assert max(stamps) <= times[0].strftime("%Y-%m-%d %H:%M:%S")
    assert stand.later == []
