"""What moved between saving a plan and starting it: named entry by entry, because nothing is sent when anything did."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdc.plan_batch import WITH_HOLDS, BatchEntry, Place, Row
from tieout.errors import NotAsPlanned

SHOWN = 10
"""Entries that the message names; `tieout plans show` names all."""
_WORDS: Mapping[str, str] = {
    "operation": "the operation",
    "target_id": "the record of the target",
    "generation": "the record of the target",
    "is_gone": "the record of the target",
    "said": "what was last agreed with the target",
    "waits_for": "what it refers to",
    "amount": "the amount",
    "currency": "the currency",
    "day": "the date",
    "model": "the model that makes it",
    "control": "what is expected of the target",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An entry that is not what was planned."""

    connection: str
    entity: str
    key: str
    what: str


def compare(
    planned: Sequence[Row],
    now: Mapping[Place, tuple[Row, BatchEntry]],
    unmet: Mapping[Place, Collection[Place]],
    in_plan: Collection[Place],
) -> list[Moved]:
    """What moved: rows of the plan against the entries that are open now. `in_plan`: all places of the plan.

    `unmet`: what each entry still waits for; an entry of the plan that a person refused is not sent, so nothing may wait for it.
    """
    goes = {_place(row) for row in planned}
    moved = []
    for row in planned:
        place = _place(row)
        what = _what(row, now.get(place)) or _missing(unmet.get(place, ()), goes, in_plan)
        if what is not None:
            moved.append(Moved(connection=place[0], entity=place[1], key=place[2], what=what))
    return moved


def refusal(plan: str, moved: Sequence[Moved], entries: int) -> NotAsPlanned:
    """The message that names them."""
    named = "; ".join(f"{one.entity} {one.key}: {one.what}" for one in moved[:SHOWN])
    more = f"; and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
    yes = all(one.what.startswith(WAITS_FOR_YES) for one in moved)
    cure = (
        f"Approve them with `tieout holds approve --plan {plan[:12]}`, or refuse them with keys; then the same command again."
        if yes
        else "Save a new plan (`tieout plan --save`): it shows what is to be sent now. Nothing of this one was sent."
    )
    return NotAsPlanned(
        f"Plan {plan[:12]} does not start: {len(moved)} of its {entries} entries are not as planned: {named}{more}.",
        cure=cure,
        moved=tuple(f"{one.connection} {one.entity} {one.key}: {one.what}" for one in moved),
    )


WAITS_FOR_YES = "it waits for a yes"


def _what(planned: Row, found: tuple[Row, BatchEntry] | None) -> str | None:
    if found is None:
        return "it is no longer open (sent, refused or not wanted any more)"
    row, entry = found
    if row["plan"] is not None:
        return f"plan {row['plan'][:12]} binds it"
    if row["state"] in ("sending", "in_doubt"):
        return "it is on its way"
    if entry.digest != planned["digest"]:
        return _difference(planned, entry)
    if row["link_version"] != row["link_now"]:
        return "its link moved"
    if row["state"] == "held" and row["held_for"] in WITH_HOLDS:
        return f"{WAITS_FOR_YES} ({row['cause'] or row['reason'] or row['held_for']})"
    if row["state"] not in ("ready", "waiting"):
        return f"it is {row['state']}: {row['reason'] or row['cause']}"
    return None


def _difference(planned: Row, now: BatchEntry) -> str:
    """Which fields are others; else what else the digest covers."""
    content: Row = planned["content"] or {"before": {}, "after": {}}
    names = _names(content["after"], now.after)
    if names and planned["content"] is not None:
        return f"its content changed: {', '.join(names)}"
    names = _names(content["before"], now.before)
    if names and planned["content"] is not None:
        return f"the target's side changed: {', '.join(names)}"
    basis: Row = planned["basis"]
    words = [_WORDS.get(name, "what is not sent of it") for name in _names(basis, now.basis)]
    return "it changed: " + (", ".join(dict.fromkeys(words)) or "its content")


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _missing(unmet: Collection[Place], goes: Collection[Place], in_plan: Collection[Place]) -> str | None:
    for connection, entity, key in sorted(unmet):
        if (connection, entity, key) not in goes:
            was = "was refused" if (connection, entity, key) in in_plan else "is not in this plan"
            return f"it waits for {entity} {key}, which {was} and is not in the target"
    return None


def _place(row: Row) -> Place:
    return (row["connection"], row["entity"], row["key"])
