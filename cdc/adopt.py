"""Before anything is created: does the target have it already?

The mirror is asked by our mark and by natural key, then, for what people enter too, the target itself. A record of ours is
linked; one that others made is linked and only completed, if the entity allows that and exactly one matches, or linked as
it is, if it does what ours would (`matching`); anything else is shown to a person. A mirror that was never read to its end
proves nothing: the entries stay until it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from cdc.going_live import undecided
from cdc.lane import Entry, Lane
from cdc.matching import made_twice, owners_of, stand_in, taken_by_another
from cdc.settle import Verdict
from cdc.writing import Found, Outcome, Write
from tieout.queries import query

UNREAD_SECONDS = 60


def already_there(lane: Lane, write: Write, entries: Sequence[Entry]) -> list[Verdict]:
    """Verdicts on the creates for which nothing is to be sent; the others are missing in it."""
    if write.stream is not None and not _was_read(lane, write.stream):
        reason = f"{write.stream} of {lane.name} were never loaded to the end; run `tieout load` first."
        later = Outcome(kind="later", seconds=UNREAD_SECONDS, reason=reason)
        return [Verdict(entry=entry, outcome=later) for entry in entries]
    verdicts = undecided(lane, write, entries)
    waiting = {verdict.entry.entry for verdict in verdicts}
    entries = [entry for entry in entries if entry.entry not in waiting]
    if not entries:
        return verdicts
    found = write.find_in_mirror(lane.session, lane.name, [entry.outgoing for entry in entries])
    return [*verdicts, *_judged(lane, write, entries, found)]


def entered_meanwhile(lane: Lane, write: Write, entries: Sequence[Entry]) -> list[Verdict]:
    """The same by a look at the target just before sending."""
    found = write.look(lane.client, [entry.outgoing for entry in entries])
    return _judged(lane, write, entries, found) if any(found) else []


def _judged(
    lane: Lane, write: Write, entries: Sequence[Entry], found: Sequence[Sequence[Found]]
) -> list[Verdict]:
    owners = owners_of(lane, write, found)
    verdicts: list[Verdict] = []
    for entry, some in zip(entries, found, strict=True):
        verdict = _judge(write, entry, some, owners)
        if verdict is not None:
            verdicts.append(verdict)
            if verdict.outcome.kind == "unchanged" and verdict.outcome.target_id is not None:
                owners[verdict.outcome.target_id] = entry.key
    return verdicts


def _judge(write: Write, entry: Entry, found: Sequence[Found], owners: dict[str, str]) -> Verdict | None:
    # A record of another key of ours is nobody's to adopt; a former generation of this key is not this record.
    free = [one for one in found if one.target_id not in owners]
    ours = [one for one in free if one.is_ours]
    if len(ours) == 1:
        return _link(entry, ours[0], is_foreign=False)
    if len(ours) > 1:
        return Verdict(entry=entry, outcome=made_twice(ours))
    entered = stand_in(found, owners)
    if entered is not None:
        return Verdict(entry=entry, outcome=entered)
    if not write.adopts:
        other = [one for one in found if not one.satisfies and owners.get(one.target_id) != entry.key]
        return Verdict(entry=entry, outcome=taken_by_another(other)) if other else None
    if len(free) == 1:
        return _link(entry, free[0], is_foreign=True)
    if len(free) > 1:
        several = Outcome(
            kind="conflict",
            cause="several records match",
            reason=f"The target has {len(free)} records that may be it: {', '.join(_named(one) for one in free)}.",
            cure="Merge them in the target, or archive all but the right one.",
            who="accountant",
        )
        return Verdict(entry=entry, outcome=several)
    return None


def _link(entry: Entry, found: Found, *, is_foreign: bool) -> Verdict:
    outcome = Outcome(
        kind="unchanged", target_id=found.target_id, record=found.record, line_ids=found.line_ids
    )
    return Verdict(entry=entry, outcome=outcome, is_adopted=True, is_foreign=is_foreign)


def _named(found: Found) -> str:
    return f"{found.label} ({found.target_id})" if found.label else found.target_id


def _was_read(lane: Lane, stream: str) -> bool:
    row = lane.session.execute(
        query("calls", "loaded"), {"connection": lane.name, "stream": stream}
    ).fetchone()
    return row is not None and row["backfilled_at"] is not None
