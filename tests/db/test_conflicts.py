"""Fields that both sides may change: what waits is listed with three values, and people's decisions and rules hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdc import conflicts
from cdc.writing import Operation, Outcome, Outgoing
from tests.db.fix_engine import BOOKS, MODELS, Engine, engine
from tieout.errors import UsageError

__all__ = ["engine"]
KEY = "shop/customer/7"


@pytest.fixture
def shared(engine: Engine) -> Engine:
    """A contact whose name and e-mail both sides send; it is made."""
    both = replace(
        MODELS[0],
        amend="always",
        on_target_change={"default": "overwrite"},
        both_ways={"Name": ("name",), "EmailAddress": ("email",)},
        on_both_changed={"default": "hold"},
    )
    engine.in_force(both)
    put(engine, "Ann")
    engine.sync()
    engine.target.requests.clear()
    return engine


def put(engine: Engine, name: str, email: str = "7@example.com", **fields: str) -> None:
    engine.customer(name=name, email=email, both_ways=["Name", "EmailAddress"], **fields)


def person(engine: Engine, **fields: object) -> None:
    (contact,) = engine.target.records["contacts"].values()
    contact.update(fields)


def contact(engine: Engine) -> dict[str, object]:
    (found,) = engine.target.records["contacts"].values()
    return found


def test_one_sided_changes_travel_equal_ones_agree_and_only_the_rest_waits(shared: Engine) -> None:
    person(shared, EmailAddress="new@example.com")
    put(shared, "Anna")
    shared.sync()
    first = dict(contact(shared))
    person(shared, Name="Anne")
    put(shared, "Anne", "other@example.com")
    shared.sync()
    agreed = conflicts.conflicts(shared.connection)
    person(shared, Name="Hanna")
    put(shared, "Nan", "third@example.com")
    shared.sync()
    (waits,) = conflicts.conflicts(shared.connection)

    assert (first["Name"], first["EmailAddress"]) == ("Anna", "new@example.com")
    assert agreed == []
    assert (waits.field, waits.agreed, waits.source, waits.target) == ("Name", "Anne", "Nan", "Hanna")
    assert (waits.why, waits.rule) == ("both sides changed", "hold")
    assert (contact(shared)["Name"], contact(shared)["EmailAddress"]) == ("Hanna", "third@example.com")
    assert shared.states() == {}, "nothing else of the record waits"
    assert conflicts.count(shared.connection) == 1


@pytest.mark.parametrize(
    ("take", "name"), [("source", "Nan"), ("target", "Hanna"), (BOOKS, "Hanna"), ("Hannelore", "Hannelore")]
)
def test_a_decision_settles_the_field_and_holds_until_the_source_says_something_else(
    shared: Engine, take: str, name: str
) -> None:
    person(shared, Name="Hanna")
    put(shared, "Nan")
    shared.sync()

    conflicts.settle(shared.connection, KEY, field="Name", take=take, by="ada", reason="asked her")
    shared.sync()
    shared.diff(full=True)
    settled = contact(shared)["Name"]
    put(shared, "Nanette")
    shared.sync()

    assert settled == name
    assert conflicts.conflicts(shared.connection) == []
    assert contact(shared)["Name"] == "Nanette"
    decision = shared.row("select * from cdc.decisions where verb = 'settle'")
    assert decision is not None
    assert (decision["decided_by"], decision["reason"]) == ("ada", "asked her")
    assert (decision["detail"]["source"], decision["detail"]["target"]) == ("Nan", "Hanna")


def test_a_kept_rule_decides_alike_until_it_is_withdrawn_and_a_value_is_none(shared: Engine) -> None:
    person(shared, Name="Hanna")
    put(shared, "Nan")
    shared.sync()
    with pytest.raises(UsageError, match="no rule"):
        conflicts.settle(
            shared.connection, KEY, field="Name", take="Hannelore", by="ada", reason="r", keep=True
        )
    conflicts.settle(shared.connection, KEY, field=None, take="target", by="ada", reason="r", keep=True)
    shared.sync()
    person(shared, Name="Johanna")
    put(shared, "Nana")
    shared.sync()
    by_rule = (contact(shared)["Name"], conflicts.conflicts(shared.connection))
    (rule,) = conflicts.rules(shared.connection)
    conflicts.withdraw(shared.connection, rule.rule, by="bob", reason="no more")
    person(shared, Name="Hans")
    put(shared, "Nando")
    shared.sync()

    assert (rule.field, rule.take, rule.kept_by) == ("Name", "target", "ada")
    assert by_rule == ("Johanna", [])
    assert conflicts.rules(shared.connection) == []
    assert [each.field for each in conflicts.conflicts(shared.connection)] == ["Name"]
    assert [row["verb"] for row in shared.rows("select verb from cdc.decisions order by decision")] == [
        "settle",
        "keep rule",
        "withdraw rule",
    ]


def test_a_field_that_somebody_sets_back_again_and_again_waits_with_its_rule(shared: Engine) -> None:
    put(shared, "Ann", phone="1")
    shared.sync()
    for _ in range(3):
        person(shared, Phone="2")
        shared.sync()
    (waits,) = conflicts.conflicts(shared.connection)
    phone = contact(shared)["Phone"]
    conflicts.settle(shared.connection, KEY, field="Phone", take="target", by="ada", reason="r")
    shared.sync()

    assert (waits.is_fight, waits.rule, waits.source, waits.target) == (True, "overwrite", "1", "2")
    assert phone == "2", "nothing is written while it waits"
    assert conflicts.conflicts(shared.connection) == []
    assert contact(shared)["Phone"] == "2"


def test_what_both_changed_is_not_written_over_an_edit_that_was_not_seen_yet(shared: Engine) -> None:
    def looks(_operation: Operation, one: Outgoing) -> Outcome | None:
        """As the writers do with what an entry expects."""
        now = contact(shared)
        moved = [name for name, value in (one.expect or {}).items() if now[name] != value]
        return Outcome(kind="conflict", target_id=one.target_id, record=dict(now)) if moved else None

    shared.writes["contacts"].checks = looks
    put(shared, "Nan")
    shared.diff()
    person(shared, Name="Hanna")
    shared.drain()
    shared.sync()

    assert contact(shared)["Name"] == "Hanna"
    assert [each.field for each in conflicts.conflicts(shared.connection)] == ["Name"]


def test_an_edit_that_only_the_answer_to_our_write_shows_is_not_taken_for_ours(shared: Engine) -> None:
    put(shared, "Ann", "other@example.com")
    shared.diff()
    person(shared, Name="Hanna")
    shared.drain()
    put(shared, "Nan", "other@example.com")
    shared.sync()

    assert [each.target for each in conflicts.conflicts(shared.connection)] == ["Hanna"]
    assert (contact(shared)["Name"], contact(shared)["EmailAddress"]) == ("Hanna", "other@example.com")


def test_what_waits_nowhere_cannot_be_settled(shared: Engine) -> None:
    with pytest.raises(UsageError, match="No field Name"):
        conflicts.settle(shared.connection, KEY, field="Name", take="source", by="ada", reason="r")
