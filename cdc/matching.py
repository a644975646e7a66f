"""What a record that was found in a target means for a create: ours, made twice, another's, or another's in our place.

Some records that people enter do what ours would: the payment of the same amount on the same invoice, the allocation of
the same credit. Writing ours too would double the money, so the record of theirs is linked as it is and stands for ours:
its account, date and reference yield. Never one that carries a key of ours or that another link holds, and only when
exactly one would do. What people enter between the last look and our own sending no client can see: a target that knows
what is still open refuses ours then, and is asked; where it does not refuse (two parts of one invoice), both stand, and
the proof names the one that no key holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cdc.lane import Entry, Lane
from cdc.links import references
from cdc.writing import Found, Outcome, Write
from tieout.db import array_text
from tieout.queries import query


def owners_of(lane: Lane, write: Write, found: Sequence[Sequence[Found]]) -> dict[str, str]:
    """Which of our keys hold these records, by target id."""
    target_ids = sorted({one.target_id for some in found for one in some})
    if not target_ids:
        return {}
    values = {"connection": lane.name, "entity": write.entity, "target_ids": array_text(target_ids)}
    return {row["target_id"]: row["key"] for row in lane.session.execute(query("links", "owners"), values)}


def taken_meanwhile(lane: Lane, write: Write, wanted: Mapping[str, str]) -> dict[str, str]:
    """Keys whose record (its target id is given) another key of ours holds by now, with that key; of two that are given with
    one record the later one. Until the end of the transaction nobody else links one: links are locked by key, and two keys
    may want one record.
    """
    if not wanted:
        return {}
    values = {
        "connection": lane.name,
        "entity": write.entity,
        "target_ids": array_text(list(wanted.values())),
    }
    lane.session.execute(query("links", "lock_targets"), values)
    rows = lane.session.execute(query("links", "owners"), values)
    owners = {row["target_id"]: row["key"] for row in rows}
    for key, target_id in wanted.items():
        owners.setdefault(target_id, key)
    return {key: owners[target_id] for key, target_id in wanted.items() if owners[target_id] != key}


def found_as_ours(found: Found) -> Outcome:
    """The effect of our call is there."""
    return Outcome(kind="applied", target_id=found.target_id, record=found.record, line_ids=found.line_ids)


def made_twice(ours: Sequence[Found]) -> Outcome:
    """More than one record bears our mark."""
    return Outcome(
        kind="conflict",
        cause="made twice",
        reason=f"The target has it {len(ours)} times: {_ids(ours)}.",
        cure="Void all but one in the target, then retry.",
        who="accountant",
    )


def taken_by_another(found: Sequence[Found]) -> Outcome:
    """The target has a record with our number or name that is not ours."""
    return Outcome(
        kind="conflict",
        cause="number used by another record",
        reason=f"The target has another record with this number or name: {_ids(found)}.",
        cure="Give that record another number in the target, or correct it in the source: the next sync tries again.",
        who="accountant",
        in_the_way=tuple(one.target_id for one in found),
    )


def another_key_of_ours(found: Found, owners: Mapping[str, str]) -> Outcome:
    """The record is ours, under another key."""
    return linked_to_another(found.target_id, owners[found.target_id])


def linked_to_another(target_id: str, owner: str) -> Outcome:
    """Two of our keys name one record of the target: the first has it."""
    return Outcome(
        kind="conflict",
        cause="two keys for one record",
        reason=f"The target's record {target_id} is linked to {owner} already.",
        cure="Make the two one in the source, or tell them apart there; the next sync tries again.",
        who="analyst",
    )


def stand_in(found: Sequence[Found], owners: Mapping[str, str]) -> Outcome | None:
    """What others entered in place of ours; None when nothing of theirs would do."""
    free = [one for one in found if one.satisfies and one.target_id not in owners]
    if not free:
        return None
    if len(free) > 1:
        return Outcome(
            kind="conflict",
            cause="several records match",
            reason=f"Others entered {len(free)} records that may each be it: {_ids(free)}.",
            cure="Remove the one that is too many in the target, or link the right one; then retry.",
            who="accountant",
        )
    return Outcome(
        kind="unchanged",
        target_id=free[0].target_id,
        record=free[0].record,
        line_ids=free[0].line_ids,
        by_others=True,
        reason="Somebody else entered it in the target; it was linked as it is.",
    )


def with_holders(lane: Lane, write: Write, entry: Entry, outcome: Outcome) -> Outcome:
    """Where a name is taken, by whom: only their change makes one more try worth while."""
    if outcome.kind != "taken":
        return outcome
    return replace(outcome, in_the_way=write.holders(lane.session, lane.name, entry.outgoing))


def waits_for(write: Write, outcome: Outcome) -> list[str] | None:
    """What must change before a refused payload is worth one more try: streams of the target, or single records of one
    (`contacts:<id>`).
    """
    own = (write.stream,) if outcome.kind == "conflict" and write.stream else ()
    streams = outcome.depends_on or own
    if not outcome.in_the_way or write.stream is None:
        return list(streams) or None
    others = [stream for stream in streams if stream != write.stream]
    return others + [f"{write.stream}:{target_id}" for target_id in outcome.in_the_way]


def must_agree(value: Any) -> bool:
    """Of a record that stands in our place amounts and the records that it belongs to are what made it fit."""
    return isinstance(value, int | Decimal) or bool(references({"value": value}))


def difference(write: Write, entry: Entry, record: Mapping[str, Any], paths: Sequence[str]) -> str:
    """In words, what the answer shows otherwise than it was sent."""
    shown = write.returned(entry.outgoing.payload, record)
    parts = []
    for path in paths:
        if path == "_total":
            parts.append(f"the amount is not the {entry.outgoing.total} that was expected")
        elif path in entry.outgoing.payload:
            parts.append(f"{path}: sent {entry.outgoing.payload[path]}, the target shows {shown.get(path)}")
        else:
            parts.append(f"{path} is not as it was sent")
    return "The target took it, but shows other content: " + "; ".join(parts)


def _ids(found: Sequence[Found]) -> str:
    return ", ".join(one.target_id for one in found)
