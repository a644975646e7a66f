"""What the diff makes of models, links and the target, and what it leaves alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from cdc import desk
from cdc.desk import Chosen
from tests.db.fix_engine import MODELS, Engine, engine
from tieout.errors import BuildError

__all__ = ["engine"]
CONTACT = "shop/customer/7"
INVOICE = "shop/order/1/1"
PAYMENT = "shop/order/1/payment/1"


def test_a_payload_is_the_api_s_fields_with_lines_nested_and_nulls_left_out(engine: Engine) -> None:
    engine.order()

    engine.diff()

    entry = engine.entry(INVOICE)
    assert entry is not None
    assert entry["payload"] == {
        "InvoiceNumber": "WEB-000000001",
        "Contact": {"ContactID": {"$linked": {"entity": "contacts", "key": CONTACT}}},
        "Status": "AUTHORISED",
        "LineItems": [
            {"_line": "1", "Description": "Bag", "AccountCode": "200", "LineAmount": Decimal("12.00")}
        ],
    }
    assert (entry["amount"], entry["currency"]) == (Decimal("12.00"), "EUR")


def test_applying_a_diff_twice_changes_nothing(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"))
    engine.diff()
    before = engine.rows("select * from cdc.outbox order by entry")

    engine.diff(full=True)

    assert engine.rows("select * from cdc.outbox order by entry") == before


def test_a_row_with_problems_is_held_with_reason_cure_and_who_and_cures_itself(engine: Engine) -> None:
    problem = {
        "field": "AccountCode",
        "value": "Bags",
        "reason": "no account",
        "cure": "add a row",
        "who": "analyst",
        "cause": "unknown category",
    }
    engine.customer(problems=[problem])

    engine.diff()
    held = engine.entry(CONTACT)
    engine.customer()
    engine.diff()

    assert held is not None
    assert (held["held_for"], held["cause"], held["cure"], held["who"]) == (
        "problems",
        "unknown category",
        "add a row",
        "analyst",
    )
    assert held["reason"] == "AccountCode (Bags): no account"
    assert engine.states() == {CONTACT: "ready"}


def test_a_problem_of_a_line_holds_its_document(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[{"text": "Bag", "problems": [{"field": "TaxType", "reason": "no tax type"}]}])

    engine.diff()

    assert engine.states()[INVOICE] == "problems"


def test_a_document_without_lines_is_never_sent(engine: Engine) -> None:
    engine.customer()
    engine.order(lines=[])

    engine.diff()

    assert engine.states()[INVOICE] == "problems"


def test_a_skipped_row_makes_no_entry_and_takes_back_an_unsent_one(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.customer(skip="test order")

    engine.diff()

    assert engine.states() == {}
    [done] = engine.rows("select outcome, reason from cdc.outbox_done")
    assert done == {"outcome": "replaced", "reason": "test order"}


def test_a_held_row_goes_after_approval_and_another_payload_is_looked_at_again(engine: Engine) -> None:
    engine.customer(hold="name looks odd")
    engine.diff()
    desk.approve(engine.connection, Chosen(keys=(CONTACT,)), by="ann")
    engine.diff()
    approved = engine.states()

    engine.customer(hold="name looks odd", name="Other")
    engine.diff()

    assert approved == {CONTACT: "ready"}
    assert engine.states() == {CONTACT: "hold"}


def test_what_was_refused_does_not_come_back_until_it_changes(engine: Engine) -> None:
    engine.customer(hold="look")
    engine.diff()
    desk.refuse(engine.connection, Chosen(keys=(CONTACT,)), by="ann", reason="no")

    engine.diff(full=True)
    after_refusal = engine.states()
    engine.customer(hold="look", name="Other")
    engine.diff()

    assert after_refusal == {}
    assert engine.states() == {CONTACT: "hold"}
    assert engine.row("select verb, decided_by, reason from cdc.decisions") == {
        "verb": "refuse",
        "decided_by": "ann",
        "reason": "no",
    }


def test_an_edit_is_an_input_of_the_diff(engine: Engine) -> None:
    engine.customer()
    engine.diff()

    desk.edit(engine.connection, CONTACT, "Name", "Edited", by="ann", reason="typing error in the shop")
    engine.diff(full=True)

    entry = engine.entry(CONTACT)
    assert entry is not None
    assert entry["payload"]["Name"] == "Edited"


def test_a_new_model_is_held_until_its_first_run_was_approved(engine: Engine) -> None:
    engine.in_force(replace(MODELS[0], is_new=True))
    engine.customer()
    engine.diff()
    held = engine.states()

    desk.approve(engine.connection, by="ann")
    engine.diff()
    engine.customer("8")
    engine.diff()

    assert held == {CONTACT: "guard"}
    assert engine.states() == {CONTACT: "ready", "shop/customer/8": "ready"}


def test_a_changed_model_creates_but_holds_what_it_does_to_linked_records(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.in_force(replace(MODELS[0], is_changed=True))
    engine.customer(name="Other")
    engine.customer("8")

    engine.diff()

    assert engine.states() == {CONTACT: "guard", "shop/customer/8": "ready"}


def test_over_a_limit_all_entries_of_that_kind_are_held(engine: Engine) -> None:
    engine.limit(creates=2)
    for number in range(3):
        engine.customer(str(number))

    engine.diff()

    assert set(engine.states().values()) == {"guard"}
    assert engine.rows("select distinct cause from cdc.outbox") == [{"cause": "over the limit of creates"}]


def test_content_that_changes_under_the_guard_stays_held(engine: Engine) -> None:
    engine.limit(creates=2)
    for number in range(3):
        engine.customer(str(number))
    engine.diff()

    engine.customer("1", name="Other")
    engine.diff()

    assert engine.states()["shop/customer/1"] == "guard"


def test_a_diff_that_died_before_its_end_leaves_nothing_that_could_be_sent(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.customer()

    def die(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cdc.diff.guard", die)
        with pytest.raises(KeyboardInterrupt):
            engine.diff()
    dead = engine.row("select state, cause from cdc.outbox")
    drained = engine.drain()
    engine.diff()

    assert dead == {"state": "held", "cause": "counting"}
    assert drained.calls == 0
    assert engine.states() == {CONTACT: "ready"}


def test_what_a_model_makes_leaves_while_others_are_looked_at_unless_its_own_limit_holds_it(
    engine: Engine,
) -> None:
    engine.limit(models={"out_invoices": {"creates": 1}})
    engine.customer()
    engine.order("1", paid=Decimal("12.00"))
    engine.order("2")
    calls: dict[str, int] = {}

    engine.diff(progress=lambda name: calls.update({name: engine.drain().calls}))

    assert calls == {"out_contacts": 0, "out_invoices": 1, "out_payments": 0}
    assert engine.states() == {INVOICE: "guard", "shop/order/2/1": "guard", PAYMENT: "waiting"}


def test_what_others_refer_to_is_looked_at_first(engine: Engine) -> None:
    contacts, invoices, payments = MODELS
    engine.in_force(replace(invoices, position=0))
    engine.in_force(replace(payments, position=1, refers_to=("invoices",)))
    engine.customer()
    engine.order(paid=Decimal("12.00"))
    told: list[str] = []

    engine.diff(progress=told.append)

    assert contacts.position == 0
    assert told == ["out_invoices", "out_contacts", "out_payments"]


def test_a_key_given_twice_fails_loudly_and_keeps_the_changed_keys(engine: Engine) -> None:
    engine.connection.execute("create or replace view outbound.out_contacts as " + _doubled(engine))
    engine.customer()
    engine.order()

    with pytest.raises(BuildError, match="shop/customer/7 2 times"):
        engine.diff()

    assert engine.states() == {INVOICE: "problems"}
    assert engine.rows("select model from cdc.changed_keys") == [{"model": "out_contacts"}]


def test_a_key_given_by_two_driving_records_fails_loudly(engine: Engine) -> None:
    engine.customer("7")
    engine.diff()
    view = _definition(engine).replace("('shop/customer/'::text || id)", "'shop/customer/7'::text")
    engine.connection.execute("create or replace view outbound.out_contacts as " + view)
    engine.customer("8")

    with pytest.raises(BuildError, match="twice"):
        engine.diff()


def test_a_view_that_is_suddenly_empty_removes_nothing_and_fails(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    view = _definition(engine).rstrip(";") + " and false"
    engine.connection.execute("create or replace view outbound.out_contacts as " + view)

    with pytest.raises(BuildError, match="empty"):
        engine.diff(full=True)

    assert engine.states() == {}


def test_a_view_that_is_missing_fails_and_the_others_go_on(engine: Engine) -> None:
    engine.connection.execute("drop view outbound.out_contacts")
    engine.customer()
    engine.order()

    with pytest.raises(BuildError, match="out_contacts"):
        engine.diff()

    assert INVOICE in engine.states()


def test_a_row_that_merely_vanished_is_held_and_never_removed(engine: Engine) -> None:
    engine.customer()
    engine.customer("8")
    engine.sync()
    engine.delete("magento__customers", "7")

    engine.sync()

    assert engine.states() == {CONTACT: "vanished"}
    assert engine.link(CONTACT)["is_gone"] is False


def test_a_row_that_says_it_is_gone_is_removed_and_one_never_sent_is_dropped(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    engine.customer("8")
    engine.diff()
    engine.order(gone="cancelled")
    engine.customer("8", gone="deleted")

    engine.sync()

    [invoice] = engine.target.records["invoices"].values()
    assert invoice["Status"] == "VOIDED"
    assert engine.link(INVOICE)["is_gone"] is True
    assert engine.states() == {}
    assert len(engine.target.records["contacts"]) == 1


def test_a_removal_waits_for_the_removal_of_what_refers_to_it(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"))
    engine.sync()

    engine.order(paid=Decimal("12.00"), gone="cancelled", unpaid="cancelled")
    before_payments: dict[str, str] = {}
    engine.diff(
        progress=lambda name: before_payments.update(engine.states() if name == "out_payments" else {})
    )
    states = engine.states()
    engine.drain()

    # Until the model of what refers to it was looked at, nobody knows that it must wait.
    assert before_payments == {INVOICE: "guard"}
    assert states == {INVOICE: "waiting", PAYMENT: "ready"}
    assert [path for _, path, _ in engine.target.writes[-2:]] == ["/payments", "/invoices"]


def test_a_settled_document_drifts_instead_of_changing(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    _as_person(engine, "invoices", Status="PAID")

    engine.order(
        total=Decimal("13.00"), lines=[{"text": "Bag", "account": "201", "amount": Decimal("13.00")}]
    )
    engine.sync()

    drift = engine.row("select frozen_because, fields, amount_effect from cdc.drift")
    assert drift == {"frozen_because": "paid", "fields": ["LineItems"], "amount_effect": Decimal("1.00")}
    assert engine.states() == {}


def test_paid_counts_as_authorised(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    _as_person(engine, "invoices", Status="PAID")

    drained = engine.sync()

    assert (drained.calls, engine.states()) == (0, {})


def test_a_change_in_the_target_is_held_and_accepting_it_ends_the_matter(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    _as_person(engine, "contacts", Name="Renamed in Xero")
    engine.sync()
    held = engine.states()

    desk.accept_as_is(engine.connection, Chosen(keys=(CONTACT,)), by="ann", reason="she married")
    drained = engine.sync()
    engine.sync()

    assert held == {CONTACT: "target changed"}
    assert (drained.calls, engine.states()) == (0, {})
    [contact] = engine.target.records["contacts"].values()
    assert contact["Name"] == "Renamed in Xero"


def test_a_change_in_the_target_is_written_over_when_a_person_says_so(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    _as_person(engine, "contacts", Name="Renamed in Xero")
    engine.sync()

    desk.approve(engine.connection, Chosen(keys=(CONTACT,)), by="ann", reason="no")
    engine.sync()
    engine.sync()

    [contact] = engine.target.records["contacts"].values()
    assert contact["Name"] == "Jane 7"
    assert engine.states() == {}


def test_a_field_that_yields_keeps_the_target_s_value_for_good(engine: Engine) -> None:
    engine.customer()
    engine.order(reference="PO 1")
    engine.sync()
    _as_person(engine, "invoices", Reference="PO 2")
    calls = len(engine.target.writes)

    engine.sync()
    engine.order(reference="PO 3")
    engine.sync()

    [invoice] = engine.target.records["invoices"].values()
    assert (invoice["Reference"], len(engine.target.writes)) == ("PO 2", calls)
    assert engine.states() == {}


def test_a_line_s_account_yields_and_stays_when_the_line_is_sent_again(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    [invoice] = engine.target.records["invoices"].values()
    _as_person(engine, "invoices", LineItems=[{**invoice["LineItems"][0], "AccountCode": "201"}])
    engine.sync()

    engine.order(lines=[{"text": "Big bag", "account": "200", "amount": Decimal("12.00")}])
    engine.sync()

    [invoice] = engine.target.records["invoices"].values()
    assert invoice["LineItems"] == [
        {"Description": "Big bag", "AccountCode": "201", "LineAmount": Decimal("12.00")}
    ]
    assert engine.states() == {}


def test_a_field_that_overwrites_is_written_again(engine: Engine) -> None:
    engine.customer(phone="1")
    engine.sync()
    _as_person(engine, "contacts", Phone="2")

    engine.sync()
    engine.sync()

    [contact] = engine.target.records["contacts"].values()
    assert contact["Phone"] == "1"
    assert engine.states() == {}


def test_a_number_that_the_source_used_again_is_held(engine: Engine) -> None:
    engine.customer(identity={"created_at": "2026-01-01"})
    engine.sync()

    engine.customer(name="Somebody else", identity={"created_at": "2026-06-01"})
    engine.diff()

    entry = engine.entry(CONTACT)
    assert entry is not None
    assert (entry["held_for"], entry["cause"]) == ("hold", "source number used again")


def test_a_linked_key_never_changes_its_target(engine: Engine) -> None:
    engine.connection.execute(
        "insert into cdc.connections (connection, system, target_identity) values ('other', 'xero', 'org-2')"
    )
    engine.customer()
    engine.sync()

    engine.customer(to="other")
    engine.diff()

    rows = engine.rows("select connection, held_for from cdc.outbox order by connection")
    assert {"connection": "other", "held_for": "moved"} in rows
    assert {"connection": "other", "held_for": None} not in rows


def test_a_route_that_moves_writes_nothing_anywhere_and_moves_back_without_a_trace(engine: Engine) -> None:
    engine.connection.execute(
        "insert into cdc.connections (connection, system, target_identity) values ('other', 'xero', 'org-2')"
    )
    engine.customer()
    engine.sync()
    before = (dict(engine.target.records["contacts"]), len(engine.target.writes))

    engine.customer(to="other", name="Jane Moved")
    engine.sync()
    held = engine.rows("select reason from cdc.outbox where held_for = 'moved'")
    engine.customer()
    engine.sync()

    assert [row["reason"] for row in held] == [
        "The record is linked in books; a linked key never changes its target."
    ]
    assert (engine.target.records["contacts"], len(engine.target.writes)) == before
    assert engine.rows(
        "select connection, target_id is not null as linked from cdc.links where not is_gone and target_id is not null"
    ) == [{"connection": "books", "linked": True}]
    assert engine.rows("select key from cdc.outbox") == []


def test_a_reference_to_nothing_is_a_dead_letter_at_once_and_heals_when_it_appears(engine: Engine) -> None:
    engine.order()
    engine.diff()
    missing = engine.entry(INVOICE)

    engine.customer()
    engine.diff()

    assert missing is not None
    assert (missing["held_for"], missing["cause"]) == ("problems", "reference to nothing")
    assert engine.states() == {CONTACT: "ready", INVOICE: "waiting"}


def test_a_slow_diff_makes_no_second_create(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The review's first case: the diff has read, the sender settles, the diff goes on."""
    engine.customer()
    engine.diff()
    engine.customer(email="other@example.com")
    settled: list[int] = []

    from cdc.diff_round import Round

    lock = Round._lock

    def settle_in_between(self: Round, rows: list[dict[str, object]]) -> None:
        if not settled:
            settled.append(engine.drain().applied)
        lock(self, rows)

    monkeypatch.setattr(Round, "_lock", settle_in_between)
    engine.diff()

    entry = engine.entry(CONTACT)
    assert settled == [1]
    assert entry is not None
    assert (entry["operation"], entry["fields"]) == ("update", ["EmailAddress"])


def test_a_change_while_sending_is_not_lost(engine: Engine) -> None:
    """Consumed by a diff while the entry was on its way: the settlement puts the key back."""
    engine.customer()
    engine.diff()

    def change_and_diff() -> None:
        engine.target.during_answer = None
        engine.customer(name="Changed meanwhile")
        engine.diff()
        assert engine.rows("select 1 as one from cdc.changed_keys") == []

    engine.target.during_answer = change_and_diff
    engine.drain()
    engine.diff()

    entry = engine.entry(CONTACT)
    assert entry is not None
    assert (entry["operation"], entry["payload"]["Name"]) == ("update", "Changed meanwhile")


def test_two_changes_of_one_record_in_one_round_are_one_look(engine: Engine) -> None:
    engine.customer()
    engine.customer(name="Second")

    diffed = engine.diff()

    assert diffed.models[0].drivers == 1
    entry = engine.entry(CONTACT)
    assert entry is not None
    assert entry["payload"]["Name"] == "Second"


def test_a_sweep_that_is_due_looks_at_everything_once(engine: Engine) -> None:
    engine.customer()
    engine.connection.execute("delete from cdc.changes")
    engine.connection.execute("update cdc.models set sweep_due = true")

    engine.diff()

    assert engine.states() == {CONTACT: "ready"}
    assert engine.rows("select 1 as one from cdc.models where sweep_due") == []


def test_a_sweep_made_due_while_one_runs_stays_due(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.customer()
    engine.connection.execute("update cdc.models set sweep_due = true where model = 'out_contacts'")

    def change(_connection: object, _model: object) -> None:
        engine.connection.execute("update cdc.models set sweep_due = true where model = 'out_contacts'")

    monkeypatch.setattr("cdc.diff_sweep.refuse_rows_without_driver", change)
    engine.diff()

    assert engine.row("select sweep_due from cdc.models where model = 'out_contacts'") == {"sweep_due": True}


def test_one_diff_at_a_time_a_model(engine: Engine) -> None:
    engine.customer()
    counts: list[int] = []

    def one() -> None:
        counts.append(engine.diff().models[0].created)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(counts) == [0, 0, 1]
    assert engine.states() == {CONTACT: "ready"}


def _as_person(engine: Engine, entity: str, **fields: object) -> None:
    """Somebody edits the only record of an entity in the target."""
    [(target_id, record)] = engine.target.records[entity].items()
    engine.target.records[entity][target_id] = {**record, **fields}


def _definition(engine: Engine) -> str:
    row = engine.row("select pg_get_viewdef('outbound.out_contacts'::regclass) as text")
    assert row is not None
    return str(row["text"])


def _doubled(engine: Engine) -> str:
    view = _definition(engine).rstrip(";")
    return f"{view} union all {view}"
