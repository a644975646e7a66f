"""Every entity that is written, every way to lose an answer: each is settled by asking, and nothing is made twice.

The real drain with the real writers against the stand-ins (`fix_doubt`). What the faults do: `sandbox/control.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from cdc.writing import Outgoing, Write, open_writers
from tests.contracts import fix_writers
from tests.contracts.fix_doubt import Desk, open_desk
from tests.contracts.fix_writers import CASES, Case, changed, ours, removed
from tieout.settings import Settings, package_root

# A first sending that comes to be while we wait.
SETTLING = 1.0


@pytest.fixture(scope="module")
def desks(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Desk]]:
    """Both stand-ins, each with a database of its own."""
    with ExitStack() as stack:
        made = {}
        for system in ("xero", "magento"):
            database = stack.enter_context(fix_writers.own_database(server_url))
            folder = tmp_path_factory.mktemp(system)
            root = package_root()
            settings = Settings(environment="test", data_dir=folder, project_dir=root, lookups_dir=root)
            books = stack.enter_context(contextmanager(fix_writers.open_books)(system, database, settings))
            made[system] = stack.enter_context(open_desk(books, folder))
        yield made


@pytest.fixture
def desk(request: pytest.FixtureRequest, desks: dict[str, Desk]) -> Iterator[Desk]:
    """The case's target."""
    case: Case = request.node.callspec.params["case"]
    found = desks[case.system]
    found.fresh()
    yield found
    found.books.calm()


def name(case: Case) -> str:
    return f"{case}-{case.payload.__name__}"


def batches(case: Case) -> bool:
    return open_writers(case.system)[case.entity].batch("create") > 1


every_case = pytest.mark.parametrize("case", CASES, ids=name)
batched = pytest.mark.parametrize("case", [case for case in CASES if batches(case)], ids=name)
replayed = pytest.mark.parametrize(
    "case", [case for case in CASES if open_writers(case.system)[case.entity].replay_seconds], ids=name
)
changing = pytest.mark.parametrize("case", [case for case in CASES if case.change is not None], ids=name)
removable = pytest.mark.parametrize("case", [case for case in CASES if case.is_removable], ids=name)
numbered = pytest.mark.parametrize("case", [case for case in CASES if case.renamed is not None], ids=name)


def create(desk: Desk, case: Case, *, alone: bool = False) -> Outgoing:
    """An entry that makes a new record."""
    return desk.put(case.entity, desk.books.outgoing(case.payload(desk.books)), alone=alone)


def made(desk: Desk, case: Case, one: Outgoing) -> list[str]:
    """Our records in the target."""
    return list(ours(desk.books.write(case.entity), desk.books, replace(one, operation="create")))


def method(case: Case, one: Outgoing, write: Write) -> str:
    return write.request("create", [one]).method


def settled(desk: Desk, case: Case, one: Outgoing, *, sendings: int) -> None:
    """It is there once, linked, nothing is open, and it was sent so often."""
    found = made(desk, case, one)
    assert len(found) == 1
    # Where the answer names no id, our mark in the record names it.
    assert desk.linked(one) in (found[0], one.key)
    assert desk.entry(one) is None
    assert sum(one.key in call["keys"] for call in desk.calls()) == sendings
    assert all(call["settled_at"] is not None for call in desk.calls())


def asked(desk: Desk, one: Outgoing) -> dict[str, Any]:
    """What the record of its first call says of the question about it."""
    told: dict[str, Any] = next(call["asked"] for call in desk.calls() if one.key in call["keys"])
    assert told["questions"]
    assert all(question["status"] in (200, 404) for question in told["questions"])
    verdict: dict[str, Any] = told["found"][one.key]
    return verdict


@every_case
def test_a_lost_answer_is_found_by_asking(case: Case, desk: Desk) -> None:
    """One call each: the connection is reset, a 500, and a success that is cut off, all after the effect."""
    desk.fresh(replay_seconds=0)
    faults = ("reset_after", "500_after", "not_json")
    entries = [create(desk, case, alone=True) for _ in faults]
    for fault in faults:
        desk.books.fault(fault, method=method(case, entries[0], desk.writers[case.entity]))

    drained = desk.drain()

    assert drained.applied == len(faults)
    for one, fault in zip(entries, faults, strict=True):
        settled(desk, case, one, sendings=1)
        if fault == "not_json" and case.entity == "order_comments":
            # Any success means that the comment was made: there is nothing in the answer to read.
            continue
        verdict = asked(desk, one)
        assert (verdict["kind"], verdict["target_id"]) == ("applied", made(desk, case, one)[0])
        found = {"id": verdict["target_id"], "is_ours": True, "satisfies": False, "may_be": False}
        assert found in verdict["records"]


@every_case
def test_what_had_no_effect_is_sent_again_once_that_is_believed(case: Case, desk: Desk) -> None:
    """First the connection is reset, then it is a 500, both before any effect."""
    desk.fresh(replay_seconds=0)
    one = create(desk, case)
    write = desk.writers[case.entity]
    for fault in ("reset_before", "500_before"):
        desk.books.fault(fault, method=method(case, one, write))

    early = []
    for _ in range(3):
        desk.drain()
        early.append(desk.entry(one))
        desk.load()
        desk.session.execute("update cdc.outbox set not_before = now()")
    desk.drain()

    if write.stream is not None:
        states = [entry["state"] for entry in early[:2] if entry is not None]
        assert states == ["in_doubt", "in_doubt"], "not there is not believed before the list was read"
    settled(desk, case, one, sendings=3)
    assert (asked(desk, one)["kind"], asked(desk, one)["records"]) == ("later", [])


@replayed
@pytest.mark.parametrize("fault", ["reset_after", "reset_before"])
def test_inside_the_window_the_same_call_settles_it(case: Case, desk: Desk, fault: str) -> None:
    one = create(desk, case)
    desk.books.fault(fault, method="PUT")

    desk.drain()

    settled(desk, case, one, sendings=1)
    assert desk.calls()[0]["asked"]["how"] == "the same call was answered"


@every_case
def test_an_effect_that_comes_while_the_target_settles_is_found(case: Case, desk: Desk) -> None:
    """A time-out, or a list that lags: the work is done after we gave up waiting for the answer."""
    desk.fresh(replay_seconds=0)
    one = create(desk, case)
    settling = desk.writers[case.entity].settling_seconds
    assert settling > SETTLING
    desk.books.fault("late", method=method(case, one, desk.writers[case.entity]), seconds=SETTLING)
    desk.on_wait = lambda seconds: desk.books.post("clock", {"advance_seconds": seconds})

    desk.drain()

    settled(desk, case, one, sendings=1)


@batched
def test_answers_in_another_order_reach_their_entries(case: Case, desk: Desk) -> None:
    entries = [create(desk, case) for _ in range(3)]
    desk.books.fault("shuffled", method=method(case, entries[0], desk.writers[case.entity]))

    desk.drain()

    for one in entries:
        settled(desk, case, one, sendings=1)


@batched
def test_of_a_call_that_was_done_by_half_only_the_rest_is_sent_again(case: Case, desk: Desk) -> None:
    """Inside the window the repeat is answered by the same error, and then the target is asked."""
    write = open_writers(case.system)[case.entity]
    entries = [create(desk, case) for _ in range(3)]
    desk.books.fault("half", method=method(case, entries[0], write))

    desk.drain()
    desk.load()
    desk.drain()

    for one, sendings in zip(entries, (1, 1, 2), strict=True):
        settled(desk, case, one, sendings=sendings)


@removable
def test_what_was_made_and_removed_before_we_ask_is_not_made_again(case: Case, desk: Desk) -> None:
    desk.fresh(replay_seconds=0)
    one = create(desk, case)
    write, books = desk.books.write(case.entity), desk.books

    def remove(_seconds: float) -> None:
        found = write.find(books.client, [one])[0][0]
        removal = replace(
            one,
            operation="remove",
            target_id=found.target_id,
            returned=write.returned(one.payload, found.record),
        )
        assert books.send(write, removal)[0].kind == "applied"

    desk.on_wait = remove
    desk.books.fault("reset_after", method=method(case, one, desk.writers[case.entity]))
    desk.drain()
    desk.on_wait = lambda _seconds: None
    entry = desk.entry(one)
    if case.is_shown_when_gone:
        # It is linked; that it is void is the target's change, for the diff and a person to see.
        assert desk.linked(one) is not None
        assert entry is None or entry["held_for"] == "answer differs"
        return
    desk.load()
    desk.drain()

    assert sum(one.key in call["keys"] for call in desk.calls()) == 2, "nothing of it is shown any more"
    assert len(made(desk, case, one)) == 1


@numbered
def test_what_a_person_renamed_before_we_ask_is_not_made_again(case: Case, desk: Desk) -> None:
    desk.fresh(replay_seconds=0)
    one = create(desk, case)
    write, books = desk.books.write(case.entity), desk.books
    assert case.renamed is not None
    fields = {field: value(one) for field, value in case.renamed.items()}

    def rename(_seconds: float) -> None:
        found = write.find(books.client, [one])[0][0]
        books.post("edit", {"entity": case.entity.replace("_", ""), "id": found.target_id, "fields": fields})

    desk.on_wait = rename
    desk.books.fault("reset_after", method=method(case, one, desk.writers[case.entity]))
    desk.drain()
    desk.on_wait = lambda _seconds: None
    desk.load()
    desk.drain()

    entry = desk.entry(one)
    assert entry is not None
    assert entry["held_for"] == "conflict"
    assert entry["cause"] in ("perhaps there under another number", "number used by another record")
    assert len(desk.calls()) == 1


@pytest.mark.parametrize("case", [case for case in CASES if case.is_refused_twice], ids=name)
def test_another_s_record_of_our_number_is_never_taken_for_ours(case: Case, desk: Desk) -> None:
    """Our sending had no effect; before we ask, somebody makes a record of that number."""
    desk.fresh(replay_seconds=0)
    one = create(desk, case)
    write = desk.books.write(case.entity)
    assert case.theirs is not None
    other = {**one.payload, **case.theirs}

    def make_theirs(_seconds: float) -> None:
        desk.on_wait = lambda _seconds: None
        assert desk.books.send(write, desk.books.outgoing(other))[0].kind == "applied"

    desk.on_wait = make_theirs
    desk.books.fault("reset_before", method=method(case, one, write))
    desk.drain()
    desk.load()
    desk.drain()

    entry = desk.entry(one)
    assert entry is not None
    assert entry["state"] in ("held", "rejected")
    assert desk.linked(one) is None
    assert made(desk, case, one) == []


@every_case
def test_two_keys_that_find_one_record_are_told(case: Case, desk: Desk) -> None:
    """The same record under two keys: one is linked, and the other waits for a person or makes its own."""
    desk.fresh(replay_seconds=0)
    one = create(desk, case)
    desk.drain()
    again = desk.put(case.entity, replace(desk.books.outgoing({}), payload=one.payload))
    desk.books.fault("reset_before", method=method(case, one, desk.writers[case.entity]))

    for _ in range(3):
        desk.drain()
        desk.load()

    entry = desk.entry(again)
    assert desk.linked(one) is not None
    assert desk.linked(again) != desk.linked(one)
    assert entry is None or entry["state"] in ("held", "rejected")


@changing
@pytest.mark.parametrize("fault", ["reset_after", "500_after", "reset_before"])
def test_an_update_in_doubt_is_judged_by_what_the_record_says(case: Case, desk: Desk, fault: str) -> None:
    desk.fresh(replay_seconds=0)
    one, outcome = desk.books.made(case.entity, case.payload(desk.books))
    write = desk.writers[case.entity]
    found = write.find(desk.books.client, [one])[0][0]
    outcome = replace(outcome, target_id=found.target_id, record=found.record)
    update = desk.put(case.entity, changed(one, outcome, case.change or {}, write))
    desk.books.fault(fault, method=case.change_method)

    desk.drain()

    assert desk.entry(update) is None
    assert len(desk.calls()) == (2 if fault == "reset_before" else 1)
    assert [each.is_ours for each in write.find(desk.books.client, [update])[0]] == [True]
    assert asked(desk, update)["kind"] == ("later" if fault == "reset_before" else "applied")


@removable
@pytest.mark.parametrize("fault", ["reset_after", "reset_before"])
def test_a_removal_in_doubt_is_judged_by_whether_it_is_gone(case: Case, desk: Desk, fault: str) -> None:
    desk.fresh(replay_seconds=0)
    one, outcome = desk.books.made(case.entity, case.payload(desk.books))
    write = desk.writers[case.entity]
    removal = desk.put(case.entity, removed(one, outcome, write))
    desk.books.fault(fault, method=write.request("remove", [removal]).method)

    desk.drain()

    assert desk.entry(removal) is None
    assert len(desk.calls()) == (2 if fault == "reset_before" else 1)
    assert [each.is_ours for each in write.find(desk.books.client, [removal])[0]] in ([], [True])


def test_every_writer_says_how_its_writes_are_found_and_how_long_the_target_takes() -> None:
    for system in ("xero", "magento"):
        for write in open_writers(system).values():
            finding = write.finding
            assert finding.can_tell
            assert finding.natural
            assert finding.asked
            assert finding.twice
            assert 0 < write.settling_seconds <= 20, "a drain stays for it"
