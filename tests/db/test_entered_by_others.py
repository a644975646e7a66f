"""A payment that a person entered in the target stands for ours: never the money twice, whatever the order of events."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from cdc.why import why
from tests.db.fix_engine import MODELS, Engine, engine

__all__ = ["engine"]
PAYMENT = "shop/order/1/payment/1"
TOTAL = Decimal("12.00")


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """A shop with a customer, whose payments may be entered by hand in the ledger."""
    engine.writes["payments"].stands_in = True
    engine.customer()
    engine.sync()
    return engine


def invoice(shop: Engine, order_id: str = "1") -> str:
    """An invoice that is in the ledger."""
    shop.order(order_id)
    shop.sync()
    invoice_id = str(shop.link(f"shop/order/{order_id}/1")["target_id"])
    shop.target.open_amounts[invoice_id] = TOTAL
    return invoice_id


def enter(shop: Engine, invoice_id: str, amount: Decimal = TOTAL, **fields: Any) -> str:
    """A person enters a payment."""
    typed = {"Reference": "bank 17", "Account": "090"} | fields
    return shop.target.add("payments", Invoice={"InvoiceID": invoice_id}, Amount=amount, **typed)


def on(shop: Engine, invoice_id: str) -> list[dict[str, Any]]:
    return [
        one for one in shop.target.records["payments"].values() if one["Invoice"]["InvoiceID"] == invoice_id
    ]


def test_payment_entered_before_the_load_is_linked_as_it_is(shop: Engine) -> None:
    """Entered: Dr 090 12.00 Cr debtors 12.00. Ours would have been Dr 611 Cr debtors once more."""
    theirs = enter(shop, invoice(shop))
    before = len(shop.target.writes)
    shop.order(paid=TOTAL)

    drained = shop.sync()

    assert (drained.adopted, shop.states(), len(shop.target.writes)) == (1, {}, before)
    link = shop.link(PAYMENT)
    assert (link["target_id"], link["is_adopted"], link["yielded"]) == (
        theirs,
        True,
        {"Reference": "bank 17"},
    )
    shop.load()
    shop.diff()
    assert shop.states() == {}


def test_why_says_that_others_entered_it(shop: Engine) -> None:
    enter(shop, invoice(shop))
    shop.order(paid=TOTAL)
    shop.sync()
    for model in MODELS:
        shop.in_force(model)

    [reason] = why(shop.connection, PAYMENT)

    assert reason.verdict == (
        "Others entered it in the target, and it was linked as it is; theirs are: Reference."
    )


def test_part_of_a_payment_entered_after_the_load_is_seen_before_ours_is_sent(shop: Engine) -> None:
    """The target would not refuse it: 12.00 are open, 5.00 were entered, 5.00 are ours."""
    invoice_id = invoice(shop)
    shop.order(paid=Decimal("5.00"))
    shop.load()
    shop.diff()
    theirs = enter(shop, invoice_id, Decimal("5.00"))

    shop.drain()

    assert shop.link(PAYMENT)["target_id"] == theirs
    assert len(on(shop, invoice_id)) == 1


def test_payment_entered_while_ours_is_on_its_way_is_linked_after_the_refusal(shop: Engine) -> None:
    invoice_id = invoice(shop)
    shop.order(paid=TOTAL)
    shop.load()
    shop.diff()
    shop.target.on_write = once(lambda: enter(shop, invoice_id))

    drained = shop.drain()

    assert (drained.adopted, drained.rejected, shop.states()) == (1, 0, {})
    assert len(on(shop, invoice_id)) == 1


@pytest.mark.parametrize("fault", ["", "before", "after"])
def test_money_is_never_there_twice_whatever_the_order(shop: Engine, fault: str) -> None:
    """A person enters a payment, or not, before or after the load; our call of all of them is lost before or after its
    effect."""
    cases = [*itertools.product(("before the load", "after the load", "never"), (TOTAL, Decimal("5.00")))]
    invoices: dict[str, str] = {}
    for number, _ in enumerate(cases, start=1):
        shop.order(str(number))
    shop.sync()
    for number, (moment, amount) in enumerate(cases, start=1):
        order_id = str(number)
        invoices[order_id] = str(shop.link(f"shop/order/{order_id}/1")["target_id"])
        shop.target.open_amounts[invoices[order_id]] = TOTAL
        if moment == "before the load":
            enter(shop, invoices[order_id], amount)
        shop.order(order_id, paid=amount)
    shop.load()
    shop.diff()
    for number, (moment, amount) in enumerate(cases, start=1):
        if moment == "after the load":
            enter(shop, invoices[str(number)], amount)
    shop.target.faults = [fault]
    shop.drain()
    shop.sync()

    assert shop.states() == {}
    for order_id, invoice_id in invoices.items():
        held = shop.link(f"shop/order/{order_id}/payment/1")["target_id"]
        assert [one["PaymentID"] for one in on(shop, invoice_id)] == [held], cases[int(order_id) - 1]


def test_lost_call_is_not_sent_again_when_others_paid_meanwhile(shop: Engine) -> None:
    """Ours never arrived; before it goes out again a person has entered it."""
    invoice_id = invoice(shop)
    shop.order(paid=Decimal("5.00"))
    shop.load()
    shop.diff()
    shop.target.faults = ["before"]
    shop.drain()
    theirs = enter(shop, invoice_id, Decimal("5.00"))

    shop.load()
    shop.drain()

    assert shop.link(PAYMENT)["target_id"] == theirs
    assert len(on(shop, invoice_id)) == 1


def test_two_equal_payments_of_others_are_for_a_person(shop: Engine) -> None:
    invoice_id = invoice(shop)
    shop.order(paid=Decimal("5.00"))
    for _ in range(2):
        enter(shop, invoice_id, Decimal("5.00"))

    drained = shop.sync()

    assert (drained.held, shop.states()) == (1, {PAYMENT: "conflict"})
    entry = shop.entry(PAYMENT)
    assert entry is not None
    assert (entry["cause"], "link the right one" in entry["cure"]) == ("several records match", True)
    assert len(on(shop, invoice_id)) == 2


def test_payment_of_another_amount_is_refused_with_a_cure(shop: Engine) -> None:
    invoice_id = invoice(shop)
    enter(shop, invoice_id, Decimal("11.00"))
    shop.order(paid=TOTAL)

    drained = shop.sync()

    assert (drained.rejected, shop.states()) == (1, {PAYMENT: "rejected"})
    assert shop.entry(PAYMENT)["cause"] == "more than is open"
    assert len(on(shop, invoice_id)) == 1


@pytest.mark.parametrize("reference", ["shop/order/9/payment/1", "other/order/1/payment/1"])
def test_payment_with_a_key_of_another_is_never_taken(shop: Engine, reference: str) -> None:
    invoice_id = invoice(shop)
    theirs = enter(shop, invoice_id, Decimal("5.00"), Reference=reference)
    shop.order(paid=Decimal("5.00"))

    shop.sync()

    assert shop.link(PAYMENT)["target_id"] != theirs
    assert len(on(shop, invoice_id)) == 2


def test_payment_that_another_key_holds_is_not_taken_again(shop: Engine) -> None:
    """Entered by hand, and it stands for a payment of ours already: the next one is sent."""
    invoice_id = invoice(shop)
    theirs = enter(shop, invoice_id, Decimal("5.00"))
    shop.connection.execute(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id)"
        " values ('books', 'payments', 'shop/order/99/payment/1', 'out_payments', 'shop', '99', %s)",
        (theirs,),
    )
    shop.order(paid=Decimal("5.00"))

    shop.sync()

    assert shop.entry(PAYMENT) is None
    assert shop.link(PAYMENT)["target_id"] != theirs
    assert len(on(shop, invoice_id)) == 2


def test_removal_of_what_others_entered_waits_for_a_person(shop: Engine) -> None:
    invoice_id = invoice(shop)
    enter(shop, invoice_id)
    shop.order(paid=TOTAL)
    shop.sync()
    shop.order(paid=TOTAL, unpaid="the order was cancelled")

    shop.sync()

    entry = shop.entry(PAYMENT)
    assert entry is not None
    assert (entry["operation"], entry["held_for"], entry["cause"]) == (
        "remove",
        "hold",
        "removal of what others made",
    )
    assert len(on(shop, invoice_id)) == 1


def once(act: Callable[[], Any]) -> Callable[[], None]:
    """Acts the first time only."""
    left = [act]

    def run() -> None:
        if left:
            left.pop()()

    return run
