"""What people are told."""

from __future__ import annotations

from decimal import Decimal

from psycopg.types.json import Jsonb

from cdc import desk, glance, report, standing, why
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

    status = glance.status(engine.connection)

    [waiting] = status.waiting
    assert (waiting.key, waiting.head_state, waiting.money) == (
        "shop/customer/7",
        "hold",
        {"EUR": Decimal("12.00")},
    )
    assert (status.dead, status.held) == (0, 1)
    books = next(one for one in status.connections if one.connection == "books")
    assert books.states == {"held": 1, "waiting": 1}
    assert status.verdict == (
        "The ledger was not proved yet (`tieout prove`). Running again is safe. Waiting for accountant: 1 (12.00 EUR)."
    )


def test_a_letters_money_is_what_stands_still_because_of_it(engine: Engine) -> None:
    """A contact has no amount of its own: its dead letter stops an invoice of 12.00 and its payment, which are 12.00."""
    engine.customer(
        problems=[{"field": "Name", "reason": "is missing", "cause": "name missing", "who": "shop"}]
    )
    engine.order("1", paid="12.00")
    engine.diff()

    [group] = report.dead_letters(engine.connection)

    assert (group.cause, group.count, group.money) == ("name missing", 1, {"EUR": Decimal("12.00")})


def test_each_person_reads_what_waits_for_them_and_no_order_counts_twice(engine: Engine) -> None:
    engine.customer(
        problems=[{"field": "Name", "reason": "is missing", "cause": "name missing", "who": "shop"}]
    )
    engine.order("1", paid="12.00", hold="look at this")
    engine.order("2", paid="5.00")
    engine.diff()

    status = glance.status(engine.connection)

    people = {each.who: (each.letters, each.holds, each.money) for each in status.people}
    # The held invoice of order 1 is the accountant's, with its payment; what it refers to is not its matter.
    assert people["accountant"] == (0, 1, {"EUR": Decimal("12.00")})
    assert people["shop"] == (1, 0, {"EUR": Decimal("12.00")})
    assert status.verdict.endswith("Waiting for accountant: 1 (12.00 EUR); shop: 1 (12.00 EUR).")
    assert not status.is_good


def test_amounts_of_several_currencies_are_never_added(engine: Engine) -> None:
    engine.customer(hold="look")
    engine.order("1")
    engine.order("2")
    engine.diff()
    engine.connection.execute("update cdc.outbox set currency = 'USD' where key = 'shop/order/2/1'")

    status = glance.status(engine.connection)

    both = {"EUR": Decimal("12.00"), "USD": Decimal("12.00")}
    assert status.people[0].money == status.waiting[0].money == both
    assert "accountant: 1 (12.00 EUR, 12.00 USD)" in status.verdict


def test_the_first_line_says_whether_the_last_proof_succeeded(engine: Engine) -> None:
    def proved(is_proved: bool) -> str:
        engine.connection.execute(
            """
            insert into cdc.proofs (run, flow, source_connection, target_connection, currency, day, measure, source_count,
                source_amount, target_count, target_amount, is_equal, is_proved, proved_at)
            values (gen_random_uuid(), 'invoices', 'shop', 'books', 'EUR', '2026-02-01', 'gross', 1, 1, 1, 1, true, %s,
                '2026-02-03 04:05:06Z')
            """,
            [is_proved],
        )
        return glance.status(engine.connection).ledger

    assert glance.status(engine.connection).is_right is None
    assert proved(True) == "The ledger is right: proved 2026-02-03 04:05 UTC."
    assert proved(False) == "The ledger is NOT proved: books at 2026-02-03 04:05 UTC (`tieout prove books`)."
    assert not glance.status(engine.connection).is_good
    assert proved(True) == "The ledger is right: proved 2026-02-03 04:05 UTC."


def test_a_pause_is_told_with_who_since_when_and_why(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    standing.pause(engine.connection, "books", by="ann", reason="month end")

    status = glance.status(engine.connection)

    [books] = [one for one in status.connections if one.connection == "books"]
    assert books.closed_because is not None
    assert books.closed_because.startswith("paused by ann since 20")
    assert books.closed_because.endswith(" UTC: month end")
    assert status.safety == "Running again is safe, but writes nothing to books."


def test_money_that_waits_is_counted_once_for_an_order_with_its_invoice_and_its_payment(
    engine: Engine,
) -> None:
    """The invoice of 12.00 waits for the contact, its payment of 12.00 for the invoice: 12.00 wait, not 24.00."""
    engine.customer(hold="look")
    engine.order("1", paid="12.00")
    engine.order("2", paid="5.00")
    engine.diff()

    [waiting] = glance.status(engine.connection).waiting

    assert (waiting.key, waiting.entries, waiting.money) == ("shop/customer/7", 4, {"EUR": Decimal("24.00")})


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


def test_why_and_show_name_what_a_waiting_record_waits_for_in_the_end(engine: Engine) -> None:
    """The payment waits for its invoice, and that for its customer: it is the customer that a person must look at."""
    engine.customer(hold="name looks odd")
    engine.order(paid="12.00")
    engine.diff()

    for key in ("shop/order/1/1", "shop/order/1/payment/1"):
        [reason] = why.why(engine.connection, key)
        [shown] = report.show(engine.connection, key)

        assert reason.verdict == "Create is waiting for contacts shop/customer/7 (name looks odd)."
        assert shown.open is not None
        assert shown.open["reason"] == "for contacts shop/customer/7 (name looks odd)"


def test_a_number_that_is_not_in_the_target_yet_names_the_record_that_is_to_have_it(engine: Engine) -> None:
    engine.customer(hold="name looks odd")
    engine.order()
    engine.order("2")
    engine.diff()

    found = report.show(engine.connection, "WEB-000000002")

    assert [(each.entity, each.key) for each in found] == [("invoices", "shop/order/2/1")]
    assert report.show(engine.connection, "WEB-000000003") == []


def test_made_counts_what_targets_have_of_us(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()

    assert report.made(engine.connection) == {"contacts": 1, "invoices": 1}


def test_what_waits_for_a_draft_is_shown_as_a_chain_that_somebody_must_approve(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"), status="DRAFT")
    engine.sync()

    [chain] = glance.status(engine.connection).waiting
    shown = report.show(engine.connection, "shop/order/1/payment/1")

    assert (chain.entity, chain.key, chain.head_state, chain.entries) == (
        "invoices",
        INVOICE,
        "not in the outbox",
        1,
    )
    assert chain.reason == "a draft in the target: somebody approves it there first"
    assert shown[0].open is not None
    assert "a draft in the target" in shown[0].open["reason"]


def test_nothing_waits_for_a_change_of_a_record_that_is_there_already(engine: Engine) -> None:
    """Invoice 2 refers to contact 7, which is made and has a change of its own that waits for 9; it waits for contact 8 alone."""
    engine.customer("7")
    engine.sync()
    for number in ("8", "9"):
        engine.customer(number, hold="look")
    engine.customer("7", name="Another")
    engine.order("2", customer_id="8")
    engine.diff()
    for key, waits_for in (("shop/customer/7", "shop/customer/9"), ("shop/order/2/1", "shop/customer/7")):
        engine.connection.execute(
            "update cdc.outbox set state = 'waiting', waits_for = waits_for || %s where key = %s",
            (Jsonb([{"entity": "contacts", "key": waits_for}]), key),
        )

    rows = engine.connection.execute(
        "select stopped.waiting_entity, stopped.key from cdc.stopped order by stopped.waiting_entity"
    ).fetchall()

    assert [tuple(row.values()) for row in rows] == [
        ("contacts", "shop/customer/9"),
        ("invoices", "shop/customer/8"),
    ]
