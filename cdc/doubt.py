"""Calls of which nobody knows whether they were carried out: settled before anything else is sent to that target.

A call comes here when its answer was lost, or when its sender died (its lock is free and its deadline has passed by the
database's clock). Inside the vendor's window the same call goes out again, with the same key and body: the target answers
what it answered before. Else the target is asked, once for the whole call: a record with our mark is the effect; "not
there" is believed only when the stream was also read to its end after the sending. Two records with our mark are shown to
a person. An update is judged by content, a removal by whether the record is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from cdc.calls import SECONDS_IN_FLIGHT, exchange, finish_call
from cdc.lane import Entry, Lane, entries_of
from cdc.matching import found_as_ours, made_twice, owners_of, stand_in, taken_by_another
from cdc.settle import Verdict, settle
from cdc.worker import is_gone
from cdc.writing import Found, Outcome, Write, WriteCall
from tieout.errors import ConnectionRefused, NotSent, UnknownOutcome
from tieout.events import Event, emit
from tieout.queries import query

Row = dict[str, Any]
Wait = Callable[[float], None]
LONGEST_WAIT_SECONDS = 20.0
"""A drain stays for a target to settle this long; else the next drain asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What was found out."""

    is_clear: bool
    """Nothing is in doubt any more: the target may be written to."""
    kinds: Counter[str]


def settle_doubts(lane: Lane, wait: Wait) -> Doubts:
    """Take over what dead senders left, then settle every call in doubt. Reads and, inside the window, repeats calls."""
    session = lane.session
    for row in session.execute(query("calls", "abandoned"), {"connection": lane.name}).fetchall():
        if is_gone(session, row["lock_key"]):
            lose(lane, row["call"])
    kinds: Counter[str] = Counter()
    for row in session.execute(query("calls", "doubtful"), {"connection": lane.name}).fetchall():
        with session.transaction():
            locked = session.execute(query("calls", "lock_call"), {"call": row["call"]}).fetchone()
            rows = (
                session.execute(
                    query("outbox", "of_call"), {"call": row["call"], "entries": row["entries"]}
                ).fetchall()
                if locked is not None
                else []
            )
            if locked is not None and not rows:
                finish_call(
                    lane, row["call"], outcome="settled by asking", asked={"verdict": "no entry is left"}
                )
        if rows:
            kinds += _settle_call(lane, row, rows, wait)
    state = session.execute(query("outbox", "is_in_doubt"), {"connection": lane.name}).fetchone()
    return Doubts(is_clear=state is None or not state["is_in_doubt"], kinds=kinds)


def lose(lane: Lane, call: UUID) -> None:
    """Nobody knows what became of the call."""
    with lane.session.transaction():
        lane.session.execute(query("calls", "lost"), {"call": call})
        lane.session.execute(query("calls", "doubt_entries"), {"call": call})


def _settle_call(lane: Lane, call: Row, rows: Sequence[Row], wait: Wait) -> Counter[str]:
    write = lane.writes[call["entity"]]
    entries, _ = entries_of(lane.session, rows, also_gone=True)
    is_whole = [entry.entry for entry in entries] == list(call["entries"])
    if (
        is_whole
        and float(call["seconds_since_sent"]) < write.replay_seconds
        and float(call["seconds_since"]) >= 0
    ):
        return _repeat(lane, write, call, entries)
    missing = write.settling_seconds - float(call["seconds_since"])
    if missing > LONGEST_WAIT_SECONDS:
        return Counter()
    if missing > 0:
        wait(missing)
    return _ask(lane, write, call, entries)


def _repeat(lane: Lane, write: Write, call: Row, entries: Sequence[Entry]) -> Counter[str]:
    """The same call, the same key: the target answers what it answered the first time, or carries it out."""
    values = {"call": call["call"], "worker": lane.worker.identifier, "seconds": SECONDS_IN_FLIGHT}
    slot = lane.client.http.ready_to_write()
    try:
        if not lane.session.execute(query("calls", "repeat"), values).rowcount:
            return Counter()
        path, _, parameters = call["path"].partition("?")
        again = WriteCall(
            method=call["method"], path=path, params=dict(parse_qsl(parameters)), body=call["body"]
        )
        answer = exchange(lane, again, call["call"], call["number"], slot)
        outcomes = write.outcomes(call["operation"], [entry.outgoing for entry in entries], answer)
    except (UnknownOutcome, NotSent, ConnectionRefused):
        # As unknown as before: a refusal of the second sending says nothing about the first.
        lane.session.execute(query("calls", "lost"), {"call": call["call"]})
        return Counter()
    finally:
        slot.release()
    verdicts = [
        Verdict(entry=entry, outcome=outcome) for entry, outcome in zip(entries, outcomes, strict=True)
    ]
    return _conclude(lane, write, call, verdicts, "the same call was answered")


def _ask(lane: Lane, write: Write, call: Row, entries: Sequence[Entry]) -> Counter[str]:
    found = write.find(lane.client, [entry.outgoing for entry in entries])
    is_believed = _was_loaded_since(lane, write, call["number"])
    owners = owners_of(lane, write, found)
    verdicts = []
    for entry, some in zip(entries, found, strict=True):
        outcome = _verdict(write, entry, some, owners, is_believed=is_believed)
        if outcome.by_others and outcome.target_id is not None:
            owners[outcome.target_id] = entry.key
        verdicts.append(Verdict(entry=entry, outcome=outcome))
    return _conclude(lane, write, call, verdicts, "the target was asked")


def _conclude(lane: Lane, write: Write, call: Row, verdicts: Sequence[Verdict], how: str) -> Counter[str]:
    is_settled = all(verdict.outcome.kind != "unknown" for verdict in verdicts)
    asked = {"how": how, "found": {verdict.entry.key: _told(verdict.outcome) for verdict in verdicts}}
    ending = {
        "outcome": "settled by asking" if is_settled else "unknown",
        "asked": asked,
        "is_settled": is_settled,
    }
    kinds = settle(
        lane,
        write,
        verdicts,
        states=("in_doubt", "sending"),
        number=call["number"],
        call=call["call"],
        ending=ending,
    )
    emit(
        Event.DRAIN_DOUBT_SETTLED,
        connection=lane.name,
        entity=write.entity,
        call=str(call["call"]),
        entries=len(verdicts),
        verdict=", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())),
    )
    return kinds


def _told(outcome: Outcome) -> dict[str, Any]:
    return {"kind": outcome.kind, "target_id": outcome.target_id, "reason": outcome.reason}


def _verdict(
    write: Write, entry: Entry, found: Sequence[Found], owners: Mapping[str, str], *, is_believed: bool
) -> Outcome:
    match entry.outgoing.operation:
        case "create":
            return _created(found, owners, is_believed=is_believed)
        case "update":
            return _updated(write, entry, found)
        case "remove":
            return _removed(entry, found)


def _created(found: Sequence[Found], owners: Mapping[str, str], *, is_believed: bool) -> Outcome:
    ours = [one for one in found if one.is_ours]
    if len(ours) > 1:
        return made_twice(ours)
    if ours:
        return found_as_ours(ours[0])
    others = [one for one in found if not one.satisfies]
    if others:
        return taken_by_another(others)
    if not is_believed:
        return Outcome(
            kind="unknown",
            reason="The target does not show it; its records must be loaded before that is believed.",
        )
    # Ours is surely not there: what others entered in its place may stand for it.
    entered = stand_in(found, owners)
    if entered is not None:
        return entered
    return Outcome(kind="later", seconds=0, reason="The target does not have it: it is sent again.")


def _updated(write: Write, entry: Entry, found: Sequence[Found]) -> Outcome:
    if not found:
        return Outcome(
            kind="conflict",
            cause="deleted in the target",
            reason="The record that was being updated is not in the target.",
            cure="Accept it as it is, or restore it in the target.",
            who="accountant",
        )
    now = found[0]
    if now.is_ours:
        return found_as_ours(now)
    before = entry.outgoing.returned or {}
    shown = write.returned(before, now.record)
    if all(write.same(name, before[name], shown.get(name)) for name in before):
        return Outcome(kind="later", seconds=0, reason="The target is as it was before: it is sent again.")
    return Outcome(
        kind="conflict",
        cause="changed in the target",
        reason="While the outcome of our update was unknown, somebody else changed the record.",
        cure="Look at both, then retry, or accept it as it is.",
        who="accountant",
    )


def _removed(entry: Entry, found: Sequence[Found]) -> Outcome:
    if not found or found[0].is_ours:
        record = found[0].record if found else None
        return Outcome(kind="applied", target_id=entry.outgoing.target_id, record=record)
    return Outcome(kind="later", seconds=0, reason="The record is still there: the removal is sent again.")


def _was_loaded_since(lane: Lane, write: Write, number: int) -> bool:
    if write.stream is None:
        return True
    row = lane.session.execute(
        query("calls", "loaded"), {"connection": lane.name, "stream": write.stream}
    ).fetchone()
    return row is not None and row["loaded_version"] is not None and int(row["loaded_version"]) > number
