"""What people are told."""

from __future__ import annotations

from decimal import Decimal

from cdc import desk, report, why
from cdc.desk import Chosen
from tests.db.fix_engine import Engine, engine

__all__ = ["engine"]
INVOICE = "shop/order/1/1"


def test_dead_letters_are_grouped_by_cause_with_money_and_told_once(engine: Engine) -> None:
    engine.customer()
    for number in ("1", "2"):
        engine.order(number, lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()

    [group] = report.dead_letters(engine.connection)
    told = [report.newly_dead(engine.connection) for _ in range(2)]

    assert (group.cause, group.count, group.money) == ("unknown account", 2, {"EUR": Decimal("24.00")})
    assert (group.who, group.example, len(group.keys)) == ("accountant", INVOICE, 2)
    assert told == [2, 0]
    assert report.dead_total(engine.connection) == 2


def test_a_record_that_dies_again_is_told_again(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()
    report.newly_dead(engine.connection)

    engine.order(lines=[{"text": "Bag", "account": "998", "amount": Decimal("12.00")}])
    engine.sync()

    assert report.newly_dead(engine.connection) == 1


def test_a_retry_that_ends_the_same_way_is_not_told_again(engine: Engine) -> None:
    """A scheduler must not be woken for the same letter each time that the target gets another chance."""
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()
    report.newly_dead(engine.connection)

    desk.retry(engine.connection, Chosen(keys=(INVOICE,)), by="ann")
    engine.sync()

    assert report.dead_total(engine.connection) == 1
    assert report.newly_dead(engine.connection) == 0


def test_holds_name_the_model_and_why(engine: Engine) -> None:
    engine.customer(hold="look at this")
    engine.diff()

    [group] = report.holds(engine.connection)

    assert (group.model, group.held_for, group.operation, group.count) == (
        "out_contacts",
        "hold",
        "create",
        1,
    )


def test_status_says_what_waits_for_what(engine: Engine) -> None:
    engine.customer(hold="look")
    engine.order()
    engine.diff()

    status = report.status(engine.connection)

    [waiting] = status.waiting
    assert (waiting.key, waiting.head_state, waiting.amount) == ("shop/customer/7", "hold", Decimal("12.00"))
    assert (status.dead, status.held) == (0, 1)
    books = next(one for one in status.connections if one.connection == "books")
    assert books.states == {"held": 1, "waiting": 1}
    assert "wait for approval" in status.verdict


def test_money_that_waits_is_counted_once_for_an_order_with_its_invoice_and_its_payment(
    engine: Engine,
) -> None:
    """The invoice of 12.00 waits for the contact, its payment of 12.00 for the invoice: 12.00 wait, not 24.00."""
    engine.customer(hold="look")
    engine.order("1", paid="12.00")
    engine.order("2", paid="5.00")
    engine.diff()

    [waiting] = report.status(engine.connection).waiting

    assert (waiting.key, waiting.entries, waiting.amount) == ("shop/customer/7", 4, Decimal("24.00"))


def test_show_lays_one_record_side_by_side(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()

    [shown] = report.show(engine.connection, INVOICE)

    assert shown.source is not None
    assert shown.outbound is not None
    assert shown.target is not None
    assert shown.source["id"] == "1"
    assert shown.outbound["InvoiceNumber"] == shown.target["payload"]["InvoiceNumber"] == "WEB-000000001"
    assert [call["operation"] for call in shown.calls] == ["create"]
    assert [done["outcome"] for done in shown.done] == ["applied"]
    assert report.show(engine.connection, "1/1") == [shown]


def test_why_answers_for_a_number_of_the_source(engine: Engine) -> None:
    engine.put(
        "magento__orders",
        "5",
        {
            "increment_id": "000000005",
            "number": "5",
            "customer_id": "7",
            "lines": [],
            "skip": "before cut-over",
        },
    )
    engine.diff()

    reasons = why.why(engine.connection, "000000005")

    assert [(one.model, one.stage, one.verdict) for one in reasons] == [
        ("out_invoices", "model", "Rightly not sent: before cut-over."),
    ]


def test_why_answers_for_a_key_with_what_holds_it(engine: Engine) -> None:
    engine.customer(hold="name looks odd")
    engine.diff()

    [reason] = why.why(engine.connection, "shop/customer/7")

    assert (reason.stage, reason.verdict) == ("outbox", "Create is held (hold): name looks odd.")


def test_made_counts_what_targets_have_of_us(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()

    assert report.made(engine.connection) == {"contacts": 1, "invoices": 1}
