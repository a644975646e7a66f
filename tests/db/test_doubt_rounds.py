"""What is in doubt ends: asking and sending are bounded, stop only what they must, and all of it is on record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cdc import desk, report
from cdc.desk import Chosen
from cdc.judging import MOST_SENDINGS
from tests.db.fix_engine import Engine, engine
from tieout.budget import Work
from tieout.errors import RetryLater

__all__ = ["engine"]
CONTACT = "shop/customer/7"


def rounds(engine: Engine, many: int = 12) -> None:
    """Syncs with an hour between them."""
    for _ in range(many):
        engine.sync()
        engine.later()


def test_an_update_that_is_never_answered_ends_as_a_dead_letter(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.customer(email="new@example.com")
    engine.target.poison = lambda element: element.get("EmailAddress") == "new@example.com"
    before = len(engine.target.writes)

    rounds(engine)

    entry = engine.entry(CONTACT)
    assert entry is not None
    assert (entry["state"], entry["cause"], entry["who"]) == ("rejected", "never answered", "vendor")
    assert "answered by 500" in entry["reason"]
    assert len(engine.target.writes) - before == MOST_SENDINGS


def test_what_is_never_answered_takes_nothing_else_along(engine: Engine) -> None:
    """The call of many is sent again whole, once; then each alone, and the one at fault after a pause."""
    for number in "789":
        engine.customer(number)
    engine.target.poison = lambda element: element.get("Name") == "Jane 7"

    for _ in range(4):
        engine.sync()
    early = dict(engine.states())
    rounds(engine)

    assert set(early) == {CONTACT}, "the others went on before the first was given up"
    assert engine.states() == {CONTACT: "rejected"}
    assert sorted(record["Name"] for record in engine.target.records["contacts"].values()) == [
        "Jane 8",
        "Jane 9",
    ]


def test_a_person_retries_what_was_never_answered(engine: Engine) -> None:
    engine.customer()
    engine.target.poison = lambda _element: True
    rounds(engine)
    engine.target.poison = lambda _element: False

    desk.retry(engine.connection, Chosen(keys=(CONTACT,)), by="ann")
    engine.drain()

    assert engine.states() == {}
    assert len(engine.target.records["contacts"]) == 1


def test_a_target_that_cannot_be_asked_stops_only_the_entries_of_that_call(engine: Engine) -> None:
    def silent() -> None:
        raise RetryLater("/contacts answers 500")

    engine.customer()
    engine.order()
    engine.diff()
    engine.target.faults = ["after"]
    engine.target.on_read = silent
    stopped = engine.drain()
    for _ in range(4):
        engine.later()
        engine.drain()
    engine.customer("8")
    engine.diff()

    drained = engine.drain()
    letters = report.dead_letters(engine.connection)

    assert [str(error) for error in stopped.errors] == ["/contacts answers 500"]
    assert drained.errors == ()
    assert engine.states() == {CONTACT: "in_doubt", "shop/order/1/1": "waiting"}
    assert [(one.cause, one.count, one.example) for one in letters] == [("outcome unknown", 1, CONTACT)]
    assert [record["Name"] for record in engine.target.records["contacts"].values()] == ["Jane 7", "Jane 8"]


def test_what_was_given_up_is_settled_by_itself_once_the_target_answers(engine: Engine) -> None:
    test_a_target_that_cannot_be_asked_stops_only_the_entries_of_that_call(engine)
    engine.target.on_read = None

    engine.drain()

    assert engine.states() == {}
    assert len(engine.target.records["contacts"]) == 2
    call = engine.row("select asked, asked_rounds, outcome from cdc.calls where asked_rounds > 0")
    assert call is not None
    assert call["outcome"] == "settled by asking"
    assert [each["error"] for each in call["asked"]["earlier"]] == ["/contacts answers 500"] * call[
        "asked_rounds"
    ]


def test_what_was_given_up_may_be_discarded_and_is_not_sent_again(engine: Engine) -> None:
    test_a_target_that_cannot_be_asked_stops_only_the_entries_of_that_call(engine)
    before = len(engine.target.writes)

    desk.discard(engine.connection, Chosen(keys=(CONTACT,)), by="ann", reason="it is there")
    engine.drain()
    engine.diff(full=True)
    engine.drain()

    assert CONTACT not in engine.states()
    assert len(engine.target.writes) == before
    assert engine.row("select count(*) as open from cdc.calls where settled_at is null") == {"open": 0}


def test_each_question_and_what_it_showed_stays_with_the_call(engine: Engine) -> None:
    engine.customer()
    engine.customer("8")
    engine.diff()
    engine.target.faults = ["after"]

    engine.drain()

    call = engine.row("select asked from cdc.calls")
    assert call is not None
    asked: dict[str, Any] = call["asked"]
    assert asked["questions"] == [{"path": "/contacts", "status": 200}]
    for key in (CONTACT, "shop/customer/8"):
        target_id = engine.link(key)["target_id"]
        assert asked["found"][key]["kind"] == "applied"
        assert [(each["id"], each["is_ours"]) for each in asked["found"][key]["records"]] == [
            (target_id, True)
        ]


def test_questions_about_a_doubt_go_before_all_other_work_of_the_budget(engine: Engine) -> None:
    engine.customer()
    engine.diff()
    engine.target.faults = ["after"]

    engine.drain()

    assert engine.target.reads == [Work.PERSON]


def test_a_target_that_offers_no_way_to_know_is_never_sent_it_twice(engine: Engine) -> None:
    write = engine.writes["contacts"]
    write.finding = replace(write.finding, can_tell=False)
    engine.customer()
    engine.diff()
    engine.target.faults = ["before"]

    rounds(engine, 3)

    assert engine.states() == {CONTACT: "conflict"}
    assert len(engine.target.writes) == 1


def test_a_late_verdict_leaves_alone_what_was_sent_again_meanwhile(engine: Engine) -> None:
    """Two drains ask; the slower one has its answer when the other has sent the entry again."""
    engine.customer()
    engine.diff()
    engine.target.faults = ["before"]
    engine.drain()
    engine.load()

    def the_other_sends_it_again() -> None:
        engine.target.on_read = None
        engine.target.during_answer = look
        engine.drain()

    seen: list[dict[str, str]] = []

    def look() -> None:
        engine.target.during_answer = None
        seen.append(engine.states())

    engine.target.on_read = the_other_sends_it_again
    engine.drain()
    engine.sync()

    assert seen == [{CONTACT: "sending"}]
    assert engine.states() == {}
    assert len(engine.target.writes) == 2
    assert len(engine.target.records["contacts"]) == 1


def test_not_there_is_believed_only_of_what_was_read_after_the_same_call_went_out_again(
    engine: Engine,
) -> None:
    engine.writes["contacts"].replay_seconds = 300
    engine.customer()
    engine.diff()
    engine.target.faults = ["before", "before"]

    def loaded_while_it_is_sent() -> None:
        engine.target.on_write = None
        engine.load()

    engine.target.on_write = loaded_while_it_is_sent
    engine.drain()
    engine.later()
    early = dict(engine.states())
    engine.sync()
    engine.sync()

    assert early == {CONTACT: "in_doubt"}
    assert engine.states() == {}
    assert len(engine.target.records["contacts"]) == 1


def test_two_keys_that_find_one_record_are_told_and_stop_nothing(engine: Engine) -> None:
    """Without a mark both are equal to it; the second is not linked to what the first has."""
    write = engine.writes["contacts"]
    write.adopts = False
    engine.customer("7", name="Jane", email="same@example.com")
    engine.customer("8", name="Jane", email="same@example.com", if_taken=None)
    engine.diff()
    write.size = 1
    engine.target.faults = ["after", "after"]

    engine.drain()
    engine.sync()

    assert set(engine.states().values()) <= {"conflict"}
    assert len(engine.target.records["contacts"]) == 1
    assert engine.row("select count(target_id) as linked from cdc.links") == {"linked": 1}


def test_a_taken_name_is_tried_again_only_when_who_has_it_changed(engine: Engine) -> None:
    holder = engine.target.add("contacts", Name="Jane 7", EmailAddress="another@example.com")
    other = engine.target.add("contacts", Name="Somebody", EmailAddress="else@example.com")
    engine.customer()
    engine.sync()
    before = len(engine.target.writes)

    engine.target.records["contacts"][other] |= {"Phone": "1"}
    engine.sync()
    engine.sync()
    unmoved = len(engine.target.writes)
    engine.target.records["contacts"][holder] |= {"Name": "Jane the elder"}
    engine.sync()

    assert (before, unmoved) == (1, 1)
    assert engine.states() == {}
    assert engine.link(CONTACT)["target_id"] not in (holder, other)


def test_a_call_that_broke_in_its_middle_is_answered_so_again_and_then_asked_about(engine: Engine) -> None:
    """Inside the vendor's window the same call goes out again first: the target repeats its error, and nothing is made twice."""
    for number in "78":
        engine.customer(number)
        engine.order(number, customer_id=number, paid=12)
    engine.writes["payments"].replay_seconds = 300
    engine.target.faults = ["", "", "half"]  # contacts, invoices, payments
    for _ in range(3):
        engine.sync()
        engine.later(0)

    assert engine.target.broken
    payments = [one["Reference"] for one in engine.target.records["payments"].values()]
    assert sorted(payments) == ["shop/order/7/payment/1", "shop/order/8/payment/1"]
    assert engine.states() == {}
