"""What the target's answer to "do you have it?" means for an entry in doubt: a function of what was found.

A create is there when one record bears our mark; an update when the record shows what was sent; a removal when the record
is gone. What is surely not there is sent again, but not for ever: after some sendings that nobody answered it is a dead
letter, and from the second on it goes in a call of its own, after a pause, so that it takes nobody else along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdc.lane import Entry
from cdc.matching import another_key_of_ours, found_as_ours, made_twice, stand_in, taken_by_another
from cdc.writing import Found, Outcome, Write

Row = dict[str, Any]
PAUSES = (0.0, 60.0, 240.0, 600.0)
"""Seconds before what was never answered is sent again: at once, then later and later."""
MOST_SENDINGS = len(PAUSES) + 1


def judge_doubt(
    write: Write,
    entry: Entry,
    found: Sequence[Found],
    owners: Mapping[str, str],
    call: Row,
    *,
    is_believed: bool,
) -> Outcome:
    """The outcome of one entry of a call in doubt; `owners` says which of our keys hold the records that were found."""
    match entry.outgoing.operation:
        case "create":
            return _created(entry, found, owners, call, is_believed=is_believed)
        case "update":
            return _updated(write, entry, found, call)
        case "remove":
            return _removed(entry, found, call)


def never_to_know() -> Outcome:
    """The target offers no way to find the record again: it is never sent twice."""
    return Outcome(
        kind="conflict",
        cause="outcome unknown",
        reason="It was sent, its answer never came, and this target offers no way to ask what became of it.",
        cure="Look in the target. If it is there, discard this entry or link the record; only if it is not, retry.",
        who="operator",
    )


def _created(
    entry: Entry, found: Sequence[Found], owners: Mapping[str, str], call: Row, *, is_believed: bool
) -> Outcome:
    ours = [one for one in found if one.is_ours]
    free = [one for one in ours if owners.get(one.target_id, entry.key) == entry.key]
    if len(free) > 1:
        return made_twice(free)
    if free:
        return found_as_ours(free[0])
    if ours:
        return another_key_of_ours(ours[0], owners)
    others = [one for one in found if not one.satisfies and not one.may_be]
    if others:
        return taken_by_another(others)
    alike = [one for one in found if one.may_be and one.target_id not in owners]
    if alike:
        return _perhaps_renamed(alike)
    if not is_believed:
        return Outcome(
            kind="unknown",
            reason="The target does not show it; its records must be loaded before that is believed.",
        )
    # Ours is surely not there: what others entered in its place may stand for it.
    entered = stand_in(found, owners)
    if entered is not None:
        return entered
    return _again(entry, call, "The target does not have it")


def _perhaps_renamed(alike: Sequence[Found]) -> Outcome:
    ids = ", ".join(f"{one.label} ({one.target_id})" if one.label else one.target_id for one in alike)
    return Outcome(
        kind="conflict",
        cause="perhaps there under another number",
        reason=f"Its answer never came, the target has nothing of its number, but a record that is alike in all else: {ids}.",
        cure="If it is ours, give it its number back and retry, or link it; if it is not, give ours another and retry.",
        who="accountant",
    )


def _updated(write: Write, entry: Entry, found: Sequence[Found], call: Row) -> Outcome:
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
        return _again(entry, call, "The target is as it was before")
    return Outcome(
        kind="conflict",
        cause="changed in the target",
        reason="While the outcome of our update was unknown, somebody else changed the record.",
        cure="Look at both, then retry, or accept it as it is.",
        who="accountant",
    )


def _removed(entry: Entry, found: Sequence[Found], call: Row) -> Outcome:
    if not found or found[0].is_ours:
        record = found[0].record if found else None
        return Outcome(kind="applied", target_id=entry.outgoing.target_id, record=record)
    return _again(entry, call, "The record is still there")


def _again(entry: Entry, call: Row, state: str) -> Outcome:
    """It surely had no effect: once more, until it is plain that it will never be answered."""
    unanswered = 1 + int(entry.row["control"].get("unanswered") or 0)
    if unanswered >= MOST_SENDINGS:
        words = str((call["answer"] or {}).get("error") or "no answer")
        return Outcome(
            kind="rejected",
            cause="never answered",
            reason=f"{state}, and none of {unanswered} sendings was answered. The last time: {words}",
            cure="Ask the vendor, or see whether the record itself is at fault; then retry. It was asked about each time.",
            who="vendor",
        )
    return Outcome(
        kind="later",
        # Of several in one call any may be at fault: each by itself, now. One by itself waits.
        seconds=0.0 if len(call["entries"]) > 1 else PAUSES[unanswered - 1],
        alone=unanswered > 1,
        unanswered=unanswered,
        reason=f"{state}: it is sent again.",
    )
