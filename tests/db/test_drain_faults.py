"""What the drain does when answers are lost, senders die, targets refuse, and two processes meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from cdc import desk, standing
from cdc.desk import Chosen
from cdc.writing import Operation, Outcome, Outgoing
from tests.db.fix_engine import Engine, FakeIdentity, FakeTarget, engine
from tieout.errors import (
    ConfigurationError,
    ConnectionRefused,
    CredentialsError,
    NotSent,
    RetryLater,
    TieoutError,
)
from tieout.settings import Connection

__all__ = ["engine"]
CONTACT = "shop/customer/7"
INVOICE = "shop/order/1/1"
PAYMENT = "shop/order/1/payment/1"


def test_an_answer_lost_after_the_effect_is_found_and_nothing_is_sent_twice(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.faults = ["after"]

    drained = engine.drain()

    assert (drained.applied, drained.in_doubt, engine.states()) == (1, 0, {})
    assert len(engine.target.writes) == 1
    assert len(engine.target.records["contacts"]) == 1
    call = engine.row("select outcome, asked, settled_at is not null as settled from cdc.calls")
    assert call is not None
    assert (call["outcome"], call["settled"]) == ("settled by asking", True)


def test_not_there_is_believed_only_after_the_stream_was_loaded_again(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.faults = ["before"]

    first = engine.drain()
    second = engine.drain()
    engine.load()
    third = engine.drain()

    assert (first.in_doubt, second.in_doubt, third.in_doubt) == (1, 1, 0)
    assert len(engine.target.writes) == 2
    assert len(engine.target.records["contacts"]) == 1


def test_while_a_call_is_in_doubt_nothing_else_is_sent_to_that_target(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.faults = ["before"]
    engine.drain()
    engine.customer("8")
    engine.diff()

    engine.drain()

    assert len(engine.target.writes) == 1
    assert engine.states() == {CONTACT: "in_doubt", "shop/customer/8": "ready"}


def test_inside_the_vendor_s_window_the_same_call_goes_out_again_with_the_same_key(engine: Engine) -> None:
    engine.writes["contacts"].replay_seconds = 300
    engine.customer()
    engine.diff()
    engine.target.faults = ["after"]

    drained = engine.drain()

    assert (drained.applied, engine.states()) == (1, {})
    assert [request[0] for request in engine.target.requests] == ["PUT", "PUT"]
    assert len(engine.target.memory) == 1
    assert len(engine.target.records["contacts"]) == 1


def test_an_update_in_doubt_is_judged_by_content(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.customer(email="new@example.com")
    engine.diff()
    engine.target.faults = ["before"]

    drained = engine.drain()

    assert (drained.applied, engine.states()) == (1, {})
    assert len(engine.target.writes) == 3
    [contact] = engine.target.records["contacts"].values()
    assert contact["EmailAddress"] == "new@example.com"


def test_an_update_in_doubt_that_meets_another_s_edit_is_held(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.customer(email="new@example.com")
    engine.diff()
    [(target_id, record)] = engine.target.records["contacts"].items()

    def edit() -> None:
        engine.target.records["contacts"][target_id] = {**record, "EmailAddress": "by-hand@example.com"}

    engine.target.on_write = edit
    engine.target.faults = ["before"]
    drained = engine.drain()

    assert (drained.held, engine.states()) == (1, {CONTACT: "conflict"})


def test_two_records_with_our_mark_are_shown_to_a_person(engine: Engine) -> None:
    engine.writes["contacts"].adopts = False
    engine.customer()
    engine.diff()
    fields = {"Name": "Jane 7", "EmailAddress": "7@example.com"}

    def twice() -> None:
        engine.target.add("contacts", **fields)
        engine.target.add("contacts", **fields)

    engine.target.on_write = twice
    engine.target.faults = ["before"]
    engine.drain()

    entry = engine.entry(CONTACT)
    assert entry is not None
    assert (entry["held_for"], entry["cause"]) == ("conflict", "made twice")


def test_a_sender_that_died_is_taken_over_only_after_its_deadline(engine: Engine) -> None:
    _die_while_sending(engine)

    early = engine.drain()
    engine.connection.execute("update cdc.calls set deadline = clock_timestamp()")
    late = engine.drain()

    assert (early.applied, early.in_doubt, late.applied) == (0, 0, 1)
    assert len(engine.target.records["contacts"]) == 1
    assert engine.states() == {}


def test_a_sender_that_sleeps_past_its_deadline_is_taken_over_and_its_late_answer_still_counts(
    engine: Engine,
) -> None:
    """Its lock would be held for as long as it sleeps: whoever takes over ends that session."""
    engine.customer()
    engine.diff()
    seen: list[dict[str, str]] = []

    def other_drain() -> None:
        engine.target.on_write = None
        engine.drain()
        seen.append(engine.states())
        engine.connection.execute("update cdc.calls set deadline = clock_timestamp()")
        engine.drain()
        seen.append(engine.states())

    engine.target.on_write = other_drain
    engine.drain()

    assert seen == [{CONTACT: "sending"}, {CONTACT: "in_doubt"}]
    assert engine.states() == {}
    assert len(engine.target.writes) == 1


def test_an_answer_is_stored_though_all_sessions_are_cut_while_it_comes(engine: Engine) -> None:
    engine.customer()
    engine.diff()

    def cut() -> None:
        engine.connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    engine.target.on_write = cut
    with pytest.raises(psycopg.OperationalError):
        engine.drain()

    assert engine.states() == {}
    assert engine.row("select outcome, settled_at is not null as is_settled from cdc.calls") == {
        "outcome": "answered",
        "is_settled": True,
    }
    assert (engine.drain().calls, len(engine.target.writes)) == (0, 1)


def test_a_call_of_a_sender_that_died_is_told_until_its_deadline(engine: Engine) -> None:
    _die_while_sending(engine)

    early = engine.drain()

    (error,) = early.errors
    assert isinstance(error, RetryLater)
    assert "1 record(s) may still be on their way" in str(error)
    assert error.seconds is not None
    assert 0 < error.seconds <= 120


def test_senders_that_died_leave_no_rows_behind(engine: Engine) -> None:
    _die_while_sending(engine)
    engine.connection.execute("update cdc.calls set deadline = clock_timestamp()")

    engine.drain()
    engine.drain()

    assert engine.row("select count(*) as found from cdc.workers") == {"found": 0}


def test_what_never_left_is_ready_again_and_the_target_is_left(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.errors = [NotSent("no connection")]

    drained = engine.drain()

    assert engine.states() == {CONTACT: "ready"}
    assert [type(error) for error in drained.errors] == [NotSent]
    assert engine.row("select outcome from cdc.calls") == {"outcome": "not sent"}
    assert len(engine.target.writes) == 1


def test_a_long_wait_is_left_to_a_later_run(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.errors = [NotSent("the limit of the day", seconds=3600)]

    engine.drain()
    again = engine.drain()

    entry = engine.row("select state, not_before > now() as is_later from cdc.outbox")
    assert entry == {"state": "ready", "is_later": True}
    assert (again.calls, len(engine.target.writes)) == (0, 1)


def test_a_short_wait_is_stayed_for_but_not_for_ever(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.errors = [NotSent("the limit of the minute", seconds=30)]
    once = engine.drain()
    engine.customer("8")
    engine.diff()
    engine.target.errors = [NotSent("the limit of the minute", seconds=30) for _ in range(9)]

    again = engine.drain()

    assert (once.applied, once.errors) == (1, ())
    assert [type(error) for error in again.errors] == [NotSent]
    assert len(engine.target.errors) == 4


def test_a_refusal_of_the_whole_connection_stops_it_once(engine: Engine) -> None:
    engine.customer()
    engine.customer("8")
    engine.diff()
    engine.target.errors = [ConnectionRefused("the organisation is offline")]

    first = engine.drain()
    second = engine.drain()

    assert [str(error) for error in first.errors] == ["the organisation is offline"]
    assert second.errors == ()
    assert "offline" in second.not_written["books"]
    assert set(engine.states().values()) == {"ready"}
    assert len(engine.target.writes) == 1


@pytest.mark.parametrize(
    "error",
    [
        CredentialsError("the refresh token was revoked", cure="Log in again."),
        ConfigurationError("another organisation answers"),
    ],
)
def test_a_login_that_ends_between_two_calls_leaves_nothing_half_written(
    engine: Engine, error: TieoutError
) -> None:
    engine.customer()
    engine.customer("8")
    engine.writes["contacts"].size = 1
    engine.diff()
    engine.target.on_write = lambda: engine.target.errors.append(error) if not engine.target.errors else None

    first = engine.drain()
    engine.target.on_write, engine.target.errors = None, []
    second = engine.drain()

    assert first.errors == (error,)
    assert engine.rows("select call from cdc.calls where settled_at is null") == []
    assert (first.applied, second.applied) == (1, 1)
    assert len(engine.target.records["contacts"]) == 2


def test_one_bad_element_does_not_harm_the_others_of_its_batch(engine: Engine) -> None:
    engine.customer()
    engine.order("1")
    engine.order("2", lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.order("3")

    drained = engine.sync()

    assert (drained.applied, drained.rejected) == (3, 1)
    assert engine.states() == {"shop/order/2/1": "rejected"}
    entry = engine.entry("shop/order/2/1")
    assert entry is not None
    assert entry["reason"] == "Account code '999' is not a valid code"
    assert (entry["cause"], entry["who"]) == ("unknown account", "accountant")


def test_a_rejected_payload_is_not_sent_again_until_what_it_names_has_changed(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()
    engine.diff(full=True)
    engine.drain()
    calls = len(engine.target.writes)

    engine.target.accounts.add("999")
    engine.put("xero__accounts", "a-999", {"Code": "999"}, "books")
    drained = engine.sync()

    assert calls == 2
    assert (drained.applied, engine.states()) == (1, {})


def test_a_rejected_record_is_sent_again_when_its_source_was_corrected(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()

    engine.order()
    drained = engine.sync()

    assert (drained.applied, engine.states()) == (1, {})


def test_a_person_can_retry_a_dead_letter(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()
    engine.target.accounts.add("999")

    assert desk.retry(engine.connection, Chosen(keys=(INVOICE,)), by="ann") == 1
    drained = engine.drain()

    assert (drained.applied, engine.states()) == (1, {})


def test_a_discarded_dead_letter_stays_away(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.sync()

    desk.discard(engine.connection, Chosen(keys=(INVOICE,)), by="ann", reason="test order")
    engine.diff(full=True)

    assert engine.states() == {}


def test_a_payment_waits_for_its_invoice_and_for_nothing_being_open_on_it(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"), lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    first = engine.sync()

    engine.order(paid=Decimal("12.00"))
    engine.sync()

    assert (first.applied, first.waiting) == (1, 1)
    assert engine.states() == {}
    assert len(engine.target.records["payments"]) == 1


def test_money_waits_for_a_document_that_somebody_approves_first(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"), status="DRAFT")
    first = engine.sync()
    waits = engine.states()

    engine.order(paid=Decimal("12.00"))
    engine.sync()
    engine.sync()

    assert (first.applied, waits) == (2, {"shop/order/1/payment/1": "waiting"})
    assert engine.states() == {}
    assert len(engine.target.records["payments"]) == 1


def test_an_answer_with_other_content_stops_the_chain(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"))
    engine.target.mangle = lambda record: (
        {**record, "Reference": "dropped"} if "InvoiceNumber" in record else record
    )
    engine.order(paid=Decimal("12.00"), reference="PO 1")

    drained = engine.sync()
    engine.sync()

    assert drained.held == 1
    assert engine.states() == {INVOICE: "answer differs", PAYMENT: "waiting"}
    assert engine.target.records["payments"] == {}


def test_accepting_a_different_answer_lets_the_chain_go_on(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"), reference="PO 1")
    engine.target.mangle = lambda record: (
        {**record, "Reference": "PO-1"} if "InvoiceNumber" in record else record
    )
    engine.sync()

    desk.accept_as_is(engine.connection, Chosen(keys=(INVOICE,)), by="ann", reason="their spelling")
    engine.sync()
    engine.sync()

    assert engine.states() == {}
    assert len(engine.target.records["payments"]) == 1
    assert len(engine.target.writes) == 3


def test_a_contact_that_others_made_is_completed_and_never_changed(engine: Engine) -> None:
    contact_id = engine.target.add("contacts", Name="J. Doe", EmailAddress="7@example.com")
    engine.customer(phone="555")

    drained = engine.sync()
    again = engine.sync()

    assert (drained.adopted, drained.calls, again.calls) == (1, 1, 0)
    assert engine.target.records["contacts"] == {
        contact_id: {
            "ContactID": contact_id,
            "Name": "J. Doe",
            "EmailAddress": "7@example.com",
            "Phone": "555",
        }
    }
    assert engine.link(CONTACT)["is_adopted"] is True
    assert engine.states() == {}


def test_a_contact_that_lacks_nothing_is_linked_without_a_call(engine: Engine) -> None:
    engine.target.add("contacts", Name="J. Doe", EmailAddress="7@example.com")
    engine.customer()

    drained = engine.sync()
    again = engine.sync()

    assert (drained.adopted, drained.calls, again.calls, engine.states()) == (1, 0, 0, {})


def test_two_records_that_match_are_shown_to_a_person(engine: Engine) -> None:
    engine.target.add("contacts", Name="J. Doe", EmailAddress="7@example.com")
    engine.target.add("contacts", Name="Jane", EmailAddress="7@example.com")
    engine.customer()

    engine.sync()

    assert engine.states() == {CONTACT: "conflict"}


def test_two_of_our_keys_never_adopt_one_record(engine: Engine) -> None:
    engine.target.add("contacts", Name="J. Doe", EmailAddress="same@example.com")
    engine.customer("7", email="same@example.com")
    engine.customer("8", email="same@example.com")

    drained = engine.sync()

    assert (drained.adopted, drained.applied) == (1, 1)
    assert len(engine.target.records["contacts"]) == 2


def test_a_number_used_by_another_s_invoice_is_a_dead_letter_and_is_never_overwritten(engine: Engine) -> None:
    invoice_id = engine.target.add("invoices", InvoiceNumber="WEB-000000001", Reference="typed by hand")
    engine.customer()
    engine.order()

    engine.sync()

    entry = engine.entry(INVOICE)
    assert entry is not None
    assert (entry["held_for"], entry["cause"]) == ("conflict", "number used by another record")
    assert list(engine.target.records["invoices"]) == [invoice_id]


def test_a_number_that_others_took_since_the_last_load_is_refused_by_the_target(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.diff()
    engine.target.add("invoices", InvoiceNumber="WEB-000000001", Reference="typed by hand")

    engine.drain()

    assert engine.states() == {INVOICE: "conflict"}


def test_nothing_is_created_before_the_target_was_loaded_once(engine: Engine) -> None:
    engine.connection.execute("update cdc.cursors set backfilled_at = null")
    engine.customer()
    engine.diff()

    drained = engine.drain()

    assert (drained.calls, drained.later) == (0, 1)


def test_a_name_that_is_taken_is_replaced_once_and_the_choice_is_kept(engine: Engine) -> None:
    engine.target.add("contacts", Name="Jane 7", EmailAddress="another@example.com")
    engine.customer(if_taken={"Name": "Jane 7 (7)"})

    engine.sync()
    again = engine.sync()
    engine.customer(if_taken={"Name": "Jane 7 (7)"}, phone="5")
    engine.sync()

    ours = engine.target.records["contacts"][engine.link(CONTACT)["target_id"]]
    assert (ours["Name"], ours["Phone"], again.calls) == ("Jane 7 (7)", "5", 0)
    assert engine.states() == {}


def test_the_writer_s_check_settles_entries_without_sending(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.customer(name="Other")

    def moved(operation: Operation, _outgoing: Outgoing) -> Outcome | None:
        return (
            Outcome(kind="conflict", cause="moved at the target", reason="no")
            if operation == "update"
            else None
        )

    engine.writes["contacts"].checks = moved
    drained = engine.sync()

    assert (drained.calls, engine.states()) == (0, {CONTACT: "conflict"})


def test_an_entry_whose_link_moved_is_not_sent_and_looked_at_again(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.connection.execute("update cdc.links set version = version + 1")

    drained = engine.drain()
    engine.diff()

    assert drained.calls == 0
    assert engine.states() == {CONTACT: "ready"}


def test_what_must_not_meet_is_sent_one_after_the_other(engine: Engine) -> None:
    engine.writes["contacts"].serial = lambda outgoing: outgoing.payload["Phone"]
    engine.customer("7", phone="a")
    engine.customer("8", phone="b")
    engine.customer("9", phone="a")

    engine.sync()

    sizes = [len(body["elements"]) for _, _, body in engine.target.writes]
    assert sorted(sizes) == [1, 2]


def test_what_was_sent_is_on_the_disk_before_it_leaves_also_where_one_waits_for_another(
    engine: Engine,
) -> None:
    """A commit that does not wait for the disk may be lost with the server, and the call that left is sent again."""
    engine.writes["contacts"].serial = lambda outgoing: outgoing.payload["Phone"]
    engine.customer("7", phone="a")
    engine.load()
    engine.diff()
    name = engine.database.url.rpartition("/")[2]
    engine.connection.execute(f"alter database {name} set synchronous_commit = on")
    engine.connection.execute("create table public.seen (waits_for_disk text)")
    engine.connection.execute(
        "create function public.see() returns trigger language plpgsql as $$ begin"
        " insert into public.seen values (current_setting('synchronous_commit')); return new; end $$"
    )
    engine.connection.execute(
        "create trigger see before insert on cdc.calls for each row execute function public.see()"
    )

    engine.drain()

    assert engine.rows("select waits_for_disk from public.seen") == [{"waits_for_disk": "on"}]


def test_two_drains_at_once_send_each_entry_once(engine: Engine) -> None:
    engine.writes["contacts"].size = 5
    engine.limit(creates=1000)
    for number in range(60):
        engine.customer(str(number))
    engine.load()
    engine.diff()

    threads = [threading.Thread(target=engine.drain) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.drain()

    assert len(engine.target.records["contacts"]) == 60
    assert sum(len(body["elements"]) for _, _, body in engine.target.writes) == 60
    assert engine.states() == {}


def test_our_own_write_is_no_news(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.drain()

    told = engine.rows("select told_by from cdc.history where stream = 'contacts' and connection = 'books'")
    diffed = engine.diff()

    assert told == [{"told_by": "write answer"}]
    assert sum(one.created + one.updated for one in diffed.models) == 0


def test_a_late_answer_does_not_hide_an_edit_that_was_read_before_it(engine: Engine) -> None:
    """A person edits after our write; the edit is polled before our answer is stored."""
    engine.customer()
    engine.sync()
    engine.customer(email="new@example.com")
    engine.diff()

    def edited_and_polled() -> None:
        engine.target.during_answer = None
        [(target_id, record)] = engine.target.records["contacts"].items()
        engine.target.records["contacts"][target_id] = {**record, "Name": "Edited"}
        engine.load()

    engine.target.during_answer = edited_and_polled
    engine.drain()
    engine.sync()

    assert engine.states() == {CONTACT: "target changed"}


def test_writes_off_paused_and_foreign_targets_are_not_written_to(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    books = engine.settings.connections["books"]

    engine.settings.connections["books"] = replace(books, writes="off")
    off = engine.drain()
    engine.settings.connections["books"] = books
    engine.identity = FakeIdentity(id="somebody else")
    foreign = engine.drain()
    engine.identity = FakeIdentity(is_demo=False)
    production = engine.drain()
    engine.connection.execute(
        "update cdc.connections set paused_at = now(), paused_by = 'ann' where connection = 'books'"
    )
    paused = engine.drain()

    assert off.not_written == {"books": "writes are off in the settings"}
    assert "belongs to" in str(foreign.errors[0])
    assert "no demo organisation" in str(production.errors[0])
    assert paused.not_written["books"].startswith("paused by ann since ")
    assert engine.target.writes == []


def test_a_pause_holds_from_the_next_call_on_while_a_drain_is_running(engine: Engine) -> None:
    """Somebody sees a wrong document and pauses: the call on its way ends, and no other leaves."""
    engine.customer()
    engine.order("1")
    engine.order("2")
    engine.diff()
    engine.target.on_write = lambda: standing.pause(engine.connection, "books", by="ann", reason="month end")

    drained = engine.drain()

    assert drained.calls == len(engine.target.writes) == 1
    assert drained.not_written["books"].startswith("paused by ann since ")
    assert drained.not_written["books"].endswith(": month end")
    engine.target.on_write = None
    standing.resume(engine.connection, "books", by="ann")
    engine.drain()
    assert engine.states() == {}


def test_a_pause_between_the_look_and_the_call_sends_nothing(engine: Engine) -> None:
    engine.customer()
    engine.diff()

    def pause(_operation: object, _outgoing: object) -> None:
        standing.pause(engine.connection, "books", by="ann", reason="")

    engine.writes["contacts"].checks = pause

    assert engine.drain().calls == 0
    assert engine.target.writes == []
    assert engine.states() == {CONTACT: "ready"}


def test_a_stand_in_on_this_machine_may_be_written_to(engine: Engine) -> None:
    local = Connection(
        name="books", system="xero", writes="on", options={"api_url": "http://127.0.0.1:1/api"}
    )
    engine.settings.connections["books"] = local
    engine.identity = FakeIdentity(is_demo=False)
    engine.customer()

    assert engine.sync().applied == 1


def test_a_record_wanted_again_after_its_removal_waits_for_a_person_and_is_made_anew(engine: Engine) -> None:
    engine.writes["invoices"].adopts = False
    engine.customer()
    engine.order()
    engine.sync()
    engine.order(gone="cancelled")
    engine.sync()

    engine.order(number="000000001-2")
    engine.diff()
    held = engine.states()
    desk.approve(engine.connection, Chosen(keys=(INVOICE,)), by="ann")
    engine.drain()

    link = engine.link(INVOICE)
    assert held == {INVOICE: "hold"}
    assert (link["generation"], link["is_gone"]) == (2, False)
    assert len(engine.target.records["invoices"]) == 2


def test_a_mistake_after_sending_leaves_the_call_in_doubt(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.customer()
    engine.diff()
    write = engine.writes["contacts"]
    outcomes: Callable[..., list[Outcome]] = write.outcomes

    def broken(*_arguments: Any) -> list[Outcome]:
        raise ZeroDivisionError

    monkeypatch.setattr(write, "outcomes", broken)
    with pytest.raises(ZeroDivisionError):
        engine.drain()
    states = engine.states()
    monkeypatch.setattr(write, "outcomes", outcomes)
    engine.drain()

    assert states == {CONTACT: "in_doubt"}
    assert engine.states() == {}
    assert len(engine.target.records["contacts"]) == 1


def _die_while_sending(engine: Engine) -> None:
    """The effect happens, the process is killed before the answer."""
    engine.customer()
    engine.diff()

    class Killed(BaseException):
        """Nothing of ours catches it."""

    def die() -> None:
        engine.target.during_answer = None
        raise Killed

    engine.target.during_answer = die
    with pytest.raises(Killed):
        engine.drain()
    assert engine.states() == {CONTACT: "sending"}
    assert isinstance(engine.target, FakeTarget)


def test_an_entry_made_while_its_reference_is_being_linked_is_not_forgotten(engine: Engine) -> None:
    """The lost wake-up: the diff sees no link, the settlement sees no waiter."""
    engine.customer()
    engine.diff()

    def order_in_between() -> None:
        engine.target.during_answer = None
        engine.order()
        engine.diff()
        assert engine.states()[INVOICE] == "waiting"

    engine.target.during_answer = order_in_between
    engine.drain()

    assert engine.states() == {}
    assert len(engine.target.records["invoices"]) == 1


def test_a_create_that_landed_late_and_was_sent_again_is_shown(engine: Engine) -> None:
    """The window that no client can close: the target carries out the first sending after it was asked."""
    engine.order("1", paid=Decimal("12.00"))
    engine.customer()
    engine.sync()
    engine.order("2", paid=Decimal("7.00"))
    engine.load()
    engine.diff()
    key = "shop/order/2/payment/1"
    engine.target.faults = ["", "before"]
    engine.drain()
    engine.load()

    def late() -> None:
        engine.target.on_write = None
        invoice = engine.link("shop/order/2/1")["target_id"]
        engine.target.add("payments", Invoice={"InvoiceID": invoice}, Amount=Decimal("7.00"), Reference=key)

    engine.target.on_write = late
    engine.drain()

    entry = engine.entry(key)
    assert entry is not None
    assert (entry["held_for"], entry["cause"]) == ("answer differs", "made twice")
    assert len(engine.target.records["payments"]) == 3


def test_a_request_that_leaves_after_others_sent_it_again_is_shown(engine: Engine) -> None:
    """The gap between the look at the deadline and the socket: a sender sleeps there while others settle its call."""
    engine.order("1", paid=Decimal("12.00"))
    engine.customer()
    engine.sync()
    engine.order("2", paid=Decimal("7.00"))
    engine.load()
    engine.diff()
    key = "shop/order/2/payment/1"
    writes = 0

    def sleep_in_the_payment() -> None:
        nonlocal writes
        writes += 1
        if writes != 2:
            return
        engine.connection.execute(
            "update cdc.calls set deadline = clock_timestamp() where settled_at is null"
        )
        engine.drain()
        engine.load()
        engine.drain()
        engine.connection.execute("update cdc.outbox set not_before = now()")
        engine.drain()
        assert engine.states() == {}, "others sent it, and it is linked"

    engine.target.on_write = sleep_in_the_payment
    engine.drain()

    entry = engine.entry(key)
    assert entry is not None
    assert (entry["held_for"], entry["cause"]) == ("answer differs", "made twice")
    linked = engine.link(key)["target_id"]
    assert linked in entry["reason"]
    assert len(engine.target.records["payments"]) == 3


def test_a_poorer_answer_is_asked_for_again_and_judged_by_the_read(engine: Engine) -> None:
    write = engine.writes["contacts"]
    outcomes: Callable[..., list[Outcome]] = write.outcomes
    write.outcomes = lambda *arguments: [replace(one, full=False) for one in outcomes(*arguments)]  # type: ignore[method-assign]
    engine.customer()
    engine.diff()

    engine.drain()
    asked = engine.rows("select stream from cdc.ask_again")
    before = engine.link(CONTACT)["returned"]
    [(target_id, record)] = engine.target.records["contacts"].items()
    engine.put("xero__contacts", target_id, record, "books")
    engine.diff()

    assert asked == [{"stream": "contacts"}]
    assert before is None
    assert engine.link(CONTACT)["returned"] == {"Name": "Jane 7", "EmailAddress": "7@example.com"}
    assert engine.states() == {}


def test_a_record_for_which_the_target_names_no_id_is_linked_and_made_once(engine: Engine) -> None:
    write = engine.writes["payments"]
    outcomes: Callable[..., list[Outcome]] = write.outcomes
    write.outcomes = lambda *arguments: [Outcome(kind="applied") for _ in outcomes(*arguments)]  # type: ignore[method-assign]
    write.stream = None
    engine.customer()
    engine.order(paid=Decimal("12.00"))

    engine.sync()
    again = engine.sync()

    assert again.calls == 0
    assert len(engine.target.records["payments"]) == 1
    assert engine.states() == {}


def test_a_change_while_sending_is_not_lost_where_the_target_is_not_mirrored(engine: Engine) -> None:
    """No answer is merged, so nothing but the settlement itself can put the key back."""
    engine.writes["contacts"].stream = None
    engine.customer()
    engine.diff()

    def change_and_diff() -> None:
        engine.target.during_answer = None
        engine.customer(name="Changed meanwhile")
        engine.diff()

    engine.target.during_answer = change_and_diff
    engine.drain()
    engine.diff()

    entry = engine.entry(CONTACT)
    assert entry is not None
    assert (entry["operation"], entry["payload"]["Name"]) == ("update", "Changed meanwhile")
