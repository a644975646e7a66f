"""A saved plan is sent exactly as it was looked at, or not at all; what moves while it is sent is held."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from cdc import desk
from cdc.desk import Chosen
from cdc.plan_batch import Batch, Scope
from cdc.plan_read import materialise
from cdc.plan_store import find, plans, release, save
from tests.db.fix_engine import BOOKS, MODELS, Engine, engine
from tieout.errors import ConfigurationError, NotAsPlanned, RetryLater, UsageError

__all__ = ["engine"]
JANE = "shop/customer/7"


def batch(engine: Engine, **scope: object) -> Batch:
    return materialise(engine.connection, engine.settings, Scope(**scope), engine.writers)  # type: ignore[arg-type]


def saved(engine: Engine, **scope: object) -> str:
    return save(engine.connection, batch(engine, **scope), by="Ann")


def orders(engine: Engine, *numbers: str) -> None:
    engine.customer()
    for number in numbers:
        engine.order(number)
    engine.diff()


def keys(engine: Engine, plan: str) -> list[str]:
    return [
        row["key"]
        for row in engine.rows("select key from cdc.plan_entries where plan = %s order by position", plan)
    ]


def bound(engine: Engine) -> set[str]:
    return {row["key"] for row in engine.rows("select key from cdc.outbox where plan is not null")}


def put_off(engine: Engine) -> None:
    """The target wants no call for an hour."""
    engine.target.errors.append(RetryLater("later", seconds=3600))


def test_a_plan_holds_every_field_the_accounts_the_cost_and_what_depends_on_what(engine: Engine) -> None:
    orders(engine, "1")

    plan = saved(engine)

    contact, invoice = engine.rows("select * from cdc.plan_entries where plan = %s order by position", plan)
    summary = find(engine.connection, plan).summary
    assert (contact["key"], invoice["key"]) == (JANE, "shop/order/1/1")
    assert invoice["content"]["after"]["LineItems"][0]["LineAmount"] == Decimal("12.00")
    assert invoice["content"]["before"] == {}
    assert invoice["needs"] == [[BOOKS, "contacts", JANE]]
    assert [(one["account"], one["side"], one["amount"]) for one in invoice["effects"]] == [
        ("200", "credit", Decimal("12.00")),
        ("debtors", "debit", Decimal("12.00")),
    ]
    assert [(one["entity"], one["calls"]) for one in summary["costs"]] == [("contacts", 1), ("invoices", 1)]
    assert all(one["size"] > 50 for one in summary["costs"])
    assert [(one["period"], one["account"], one["amount"]) for one in summary["accounts"]] == [
        ("2026-10", "200", Decimal("12.00")),
        ("2026-10", "debtors", Decimal("12.00")),
    ]


def test_a_change_is_planned_with_its_lines_before_and_after(engine: Engine) -> None:
    orders(engine, "1")
    engine.drain()
    engine.order(
        "1",
        lines=[{"text": "Bag", "account": "201", "amount": Decimal("12.00")}],
    )
    engine.diff()

    (entry,) = batch(engine).entries

    assert [line["AccountCode"] for line in entry.before["LineItems"]] == ["200"]
    assert [line["AccountCode"] for line in entry.after["LineItems"]] == ["201"]
    assert {(one.account, one.amount) for one in entry.effects} == {
        ("200", Decimal("-12.00")),
        ("201", Decimal("12.00")),
    }


def test_the_same_batch_has_the_same_hash_after_another_diff(engine: Engine) -> None:
    orders(engine, "1", "2")
    first = saved(engine)

    engine.diff(full=True)

    assert saved(engine) == first
    assert len(plans(engine.connection)) == 1


def test_a_plan_is_sent_whole_and_its_entries_know_it(engine: Engine) -> None:
    orders(engine, "1", "2")
    plan = saved(engine)

    done = engine.drain(plan=plan[:8], by="Ann")

    assert done.plan is not None
    assert (done.plan.what, done.plan.counts["sent"], done.applied) == ("finished", 3, 3)
    assert {row["plan"] for row in engine.rows("select plan from cdc.outbox_done")} == {plan}
    assert [row["what"] for row in engine.rows("select what from cdc.plan_events order by event")] == [
        "saved",
        "started",
        "finished",
    ]


def test_only_entries_of_the_plan_are_sent(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    engine.order("2")
    engine.diff()

    done = engine.drain(plan=plan)

    assert done.applied == 2
    assert engine.states() == {"shop/order/2/1": "ready"}


def test_nothing_is_sent_or_bound_when_one_entry_moved_and_it_is_named(engine: Engine) -> None:
    orders(engine, "1", "2")
    plan = saved(engine)
    engine.order("2", reference="another")

    with pytest.raises(NotAsPlanned, match=r"1 of its 3 entries .* shop/order/2/1: .*Reference") as told:
        engine.drain(plan=plan)

    assert "tieout plan --save" in told.value.cure
    assert engine.target.writes == []
    assert bound(engine) == set()


def test_a_plan_does_not_start_when_models_or_lookups_were_built_anew(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    engine.connection.execute("insert into cdc.builds (build, switched_at) values ('b2', now())")
    engine.connection.execute("update cdc.models set build = 'b2'")

    with pytest.raises(NotAsPlanned, match="other models or lookups"):
        engine.drain(plan=plan)

    assert engine.target.writes == []


def test_a_plan_does_not_start_when_its_link_moved(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    engine.connection.execute("update cdc.links set version = version + 1 where key = %s", (JANE,))
    engine.connection.execute("delete from cdc.changed_keys")

    with pytest.raises(NotAsPlanned, match=f"contacts {JANE}: its link moved"):
        engine.drain(plan=plan)

    assert bound(engine) == set()


def test_a_plan_does_not_start_when_what_it_refers_to_went(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    desk.discard(engine.connection, Chosen(keys=(JANE,)), by="Ann", reason="no", writers=engine.writers)

    with pytest.raises(NotAsPlanned, match="shop/order/1/1: it is held: it refers to contacts") as told:
        engine.drain(plan=plan)

    assert "tieout plan --save" in told.value.cure
    assert engine.target.writes == []


def test_a_plan_does_not_start_on_a_target_that_may_not_be_written_to(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    books = replace(engine.settings.connections[BOOKS], writes="off")
    engine.settings = replace(engine.settings, connections={**engine.settings.connections, BOOKS: books})

    with pytest.raises(ConfigurationError, match="writes are off"):
        engine.drain(plan=plan)

    assert bound(engine) == set()


def test_a_plan_does_not_start_on_another_organisation(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    engine.identity = replace(engine.identity, id="org-2")

    with pytest.raises(ConfigurationError):
        engine.drain(plan=plan)

    assert bound(engine) == set()


def test_an_entry_whose_input_moves_while_the_plan_runs_is_held_and_never_sent(engine: Engine) -> None:
    orders(engine, "1", "2")
    plan = saved(engine)
    for write in engine.writes.values():
        write.size = 1

    def meanwhile() -> None:
        engine.target.on_write = None
        engine.order("2", reference="another")

    engine.target.on_write = meanwhile

    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert (done.plan.counts["sent"], done.plan.counts["held"]) == (2, 1)
    (held,) = done.plan.others
    assert (held.key, held.fate) == ("shop/order/2/1", "held")
    assert held.reason == "Its content changed since the plan was started: Reference."
    assert [body["elements"][0].get("InvoiceNumber") for _, path, body in engine.target.writes] == [
        None,
        "WEB-000000001",
    ]


def test_what_was_held_goes_its_ordinary_way_when_the_plan_is_over(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    put_off(engine)
    engine.drain(plan=plan)
    engine.order("1", reference="another")
    engine.diff()
    held = engine.entry("shop/order/1/1")
    engine.drain(plan=plan)
    ended = find(engine.connection, plan).what

    engine.sync()

    assert held is not None
    assert (held["state"], held["cause"]) == ("held", "moved since plan")
    assert ended == "finished"
    assert [one["Reference"] for one in engine.target.records["invoices"].values()] == ["another"]
    assert engine.states() == {}


def test_no_other_drain_and_no_diff_touches_what_an_unfinished_plan_binds(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    put_off(engine)
    first = engine.drain(plan=plan)

    ordinary = engine.drain()
    engine.diff(full=True)

    assert first.plan is not None
    assert first.plan.counts["not yet"] == 2
    assert ordinary.applied == 0
    assert bound(engine) == {JANE, "shop/order/1/1"}


def test_a_plan_that_was_stopped_goes_on_with_the_same_command(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    put_off(engine)
    engine.drain(plan=plan)
    engine.connection.execute("update cdc.outbox set not_before = now()")

    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert (done.plan.what, done.plan.counts["sent"]) == ("finished", 2)
    assert len(engine.target.writes) == 3  # the first was refused for now
    assert engine.drain(plan=plan).plan == done.plan


def test_a_lost_answer_under_a_plan_is_asked_for_and_the_plan_goes_on(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    engine.target.faults = ["after"]
    engine.drain(plan=plan)

    engine.load()
    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert done.plan.counts["sent"] + done.plan.counts["linked"] == 2
    assert len(engine.target.records["contacts"]) == len(engine.target.records["invoices"]) == 1


def test_a_released_plan_leaves_its_entries_to_others(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    put_off(engine)
    engine.drain(plan=plan)
    engine.connection.execute("update cdc.outbox set not_before = now()")

    count = release(engine.connection, plan, by="Ann", reason="not today")

    assert (count, bound(engine)) == (2, set())
    assert engine.drain().applied == 2
    with pytest.raises(UsageError, match="binds nothing"):
        release(engine.connection, plan, by="Ann", reason="again")


def test_a_record_that_the_target_has_already_is_linked_and_not_written_to(engine: Engine) -> None:
    engine.customer(phone=None)
    engine.diff()
    plan = saved(engine)
    engine.target.add("contacts", Name="Jane 7", EmailAddress="7@example.com")
    engine.put("magento__customers", "7", {"name": "Jane 7", "email": "7@example.com"})
    engine.load()

    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert engine.target.writes == []
    assert engine.link(JANE)["target_id"] is not None


def test_the_first_run_of_a_model_is_approved_by_plan_and_then_sent(engine: Engine) -> None:
    engine.in_force(replace(MODELS[1], is_new=True))
    orders(engine, "1")
    plan = saved(engine)
    with pytest.raises(NotAsPlanned, match="waits for a yes") as told:
        engine.drain(plan=plan)

    approved = desk.approve(engine.connection, Chosen(plan=plan[:10]), by="Bob", writers=engine.writers)
    done = engine.drain(plan=plan)

    assert "tieout holds approve --plan" in told.value.cure
    assert approved == 1
    assert done.plan is not None
    assert done.plan.counts["sent"] == 2
    (kept,) = engine.rows("select decided_by, detail from cdc.decisions")
    assert (kept["decided_by"], kept["detail"]) == ("Bob", {"plan": plan, "held_for": "guard"})


def test_a_plan_is_refused_in_part_and_the_rest_is_sent(engine: Engine) -> None:
    engine.in_force(replace(MODELS[1], is_new=True))
    orders(engine, "1", "2")
    plan = saved(engine)

    desk.refuse(
        engine.connection,
        Chosen(plan=plan, keys=("shop/order/2/1",)),
        by="Bob",
        reason="test order",
        writers=engine.writers,
    )
    desk.approve(engine.connection, Chosen(plan=plan), by="Bob", writers=engine.writers)
    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert (done.plan.counts["sent"], done.plan.counts["refused"]) == (2, 1)
    assert [(one.key, one.reason) for one in done.plan.others] == [
        ("shop/order/2/1", "refuse by Bob: test order")
    ]
    engine.diff(full=True)
    assert engine.states() == {}


def test_a_yes_does_not_pass_to_another_payload(engine: Engine) -> None:
    engine.in_force(replace(MODELS[1], is_new=True))
    orders(engine, "1")
    plan = saved(engine)
    engine.order("1", reference="another")
    engine.diff()

    with pytest.raises(NotAsPlanned, match="another content by now: invoices shop/order/1/1"):
        desk.approve(engine.connection, Chosen(plan=plan), by="Bob", writers=engine.writers)

    assert engine.states()["shop/order/1/1"] == "guard"


def test_keys_that_a_plan_does_not_hold_are_told(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)

    with pytest.raises(UsageError, match="does not hold shop/order/9/1"):
        desk.refuse(
            engine.connection, Chosen(plan=plan, keys=("shop/order/9/1",)), by="Bob", writers=engine.writers
        )


def test_what_moved_under_a_plan_cannot_be_approved(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)
    put_off(engine)
    engine.drain(plan=plan)
    engine.order("1", reference="another")
    engine.diff()

    with pytest.raises(UsageError, match="invoices shop/order/1/1 in books is held"):
        desk.approve(engine.connection, Chosen(keys=("shop/order/1/1",)), by="Bob", writers=engine.writers)

    assert engine.states()["shop/order/1/1"] == "moved"


def test_what_waits_for_something_outside_of_the_plan_is_left_out_and_said(engine: Engine) -> None:
    engine.customer(problems=[{"field": "name", "reason": "no name", "who": "shop", "cause": "no name"}])
    engine.order("1", paid=Decimal("12.00"))
    engine.customer("8")
    engine.diff()

    made = batch(engine)

    assert [entry.key for entry in made.entries] == ["shop/customer/8"]
    assert {(one.entity, one.reason) for one in made.left_out} == {
        ("contacts", "problems: no name"),
        ("invoices", "waits for what is not in this plan"),
        ("payments", "waits for what is not in this plan"),
    }


def test_a_plan_is_narrowed_to_a_target_an_entity_or_a_key(engine: Engine) -> None:
    orders(engine, "1", "2")
    engine.customer("8")
    engine.diff()

    assert [one.key for one in batch(engine, entity="contacts").entries] == [JANE, "shop/customer/8"]
    assert [one.key for one in batch(engine, key="shop/customer/8").entries] == ["shop/customer/8"]
    assert batch(engine, entity="invoices").entries == ()


def test_nothing_to_send_is_no_plan(engine: Engine) -> None:
    with pytest.raises(UsageError, match="nothing to plan"):
        saved(engine)


def test_a_stuck_head_ends_the_plan_and_lets_go_of_what_waits_for_it(engine: Engine) -> None:
    engine.customer()
    engine.order("1", paid=Decimal("12.00"))
    engine.diff()
    engine.target.accounts = set()
    plan = saved(engine)

    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert {one.key: one.fate for one in done.plan.others} == {
        "shop/order/1/1": "rejected",
        "shop/order/1/payment/1": "let go",
    }
    assert done.plan.what == "finished"
    assert bound(engine) == set()


def test_two_drains_of_one_plan_at_once_send_each_entry_once(engine: Engine) -> None:
    orders(engine, *(str(number) for number in range(1, 7)))
    plan = saved(engine)
    for write in engine.writes.values():
        write.size = 1
    failed: list[Exception] = []

    def drain() -> None:
        try:
            engine.drain(plan=plan)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    workers = [threading.Thread(target=drain) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done = engine.drain(plan=plan).plan

    assert failed == []
    assert done is not None
    assert (done.what, done.counts["sent"]) == ("finished", 7)
    assert (len(engine.target.records["contacts"]), len(engine.target.records["invoices"])) == (1, 6)


def test_a_build_while_a_plan_runs_lets_go_on_what_it_does_not_change(engine: Engine) -> None:
    orders(engine, "1")
    plan = saved(engine)

    def meanwhile() -> None:
        engine.target.on_write = None
        engine.connection.execute("insert into cdc.builds (build, switched_at) values ('b2', now())")
        engine.connection.execute("update cdc.models set build = 'b2', sweep_due = true")

    engine.target.on_write = meanwhile

    done = engine.drain(plan=plan)

    assert done.plan is not None
    assert (done.plan.what, done.plan.counts["sent"]) == ("finished", 2)


def test_a_plan_that_is_over_can_be_saved_and_started_again_when_the_same_is_to_be_sent(
    engine: Engine,
) -> None:
    orders(engine, "1")
    plan = saved(engine)
    put_off(engine)
    engine.drain(plan=plan)
    release(engine.connection, plan, by="Ann", reason="not today")
    engine.connection.execute("update cdc.outbox set not_before = now()")

    again = saved(engine)

    assert again == plan
    done = engine.drain(plan=plan).plan
    assert done is not None
    assert done.counts["sent"] == 2


def test_whole_amounts_come_back_from_a_saved_plan_as_the_exact_numbers_that_they_were(
    engine: Engine,
) -> None:
    engine.customer()
    engine.order("1", total=12, lines=[{"text": "Bag", "account": "200", "amount": 12}])
    engine.diff()

    summary = find(engine.connection, saved(engine)).summary

    amounts = [each["amount"] for name in ("sums", "accounts") for each in summary[name]]
    assert Decimal(12) in amounts
    assert {type(amount) for amount in amounts} == {Decimal}
