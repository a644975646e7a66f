"""What became of entries: one transaction that moves links, entries, the target's mirror and whoever waited.

The links are locked first, then the entries are read again: what another process settled meanwhile is left alone. The target's
answer is merged into its staging table in the same transaction, so that our own write is no news. Every key that was settled is
put back, because the diff reads what changed here; it finds nothing to do, unless the model moved meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.calls import finish_call
from cdc.lane import Entry, Lane
from cdc.links import with_path
from cdc.matching import difference, linked_to_another, must_agree, taken_meanwhile, waits_for, with_holders
from cdc.news import merge_answers, tell_links
from cdc.outbox import Closed
from cdc.plan_bound import completion
from cdc.target_change import as_agreed
from cdc.wanted import fingerprint
from cdc.writing import Outcome, Write
from loaders.stage import RawRecord
from tieout.db import json_dumps, next_version, numbers_text, together
from tieout.events import Event, emit
from tieout.queries import query

LATER_SECONDS = 60  # When a writer does not say how long.
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one entry."""

    entry: Entry
    outcome: Outcome
    is_adopted: bool = False
    """Nothing was sent: a record of the target was linked."""
    is_foreign: bool = False
    """The adopted record was made by others: only its empty fields are completed."""
    twice: tuple[str, ...] = ()
    """Records that bear our mark, when a look after a second sending found more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """What a settlement does, collected before it is stored."""

    links: list[Row] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    records: dict[bool, list[RawRecord]] = field(default_factory=lambda: {True: [], False: []})
    linked: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    """Records whose link moves although their mirror stays as it is."""
    kinds: Counter[str] = field(default_factory=Counter)


def settle(
    lane: Lane,
    write: Write,
    verdicts: Sequence[Verdict],
    *,
    states: Sequence[str],
    number: int | None = None,
    call: UUID | None = None,
    ending: Mapping[str, Any] | None = None,
) -> Counter[str]:
    """Store verdicts on entries that are still in one of `states`. Counts by kind, `differs` and `adopted` among them.

    `number` is the call's, or the number drawn before the target was asked. `call` and `ending` (outcome, status, answer,
    asked, is_settled) say how the call ended, in the same transaction.
    """
    steps = _Steps()
    with lane.session.transaction():
        keys = [(lane.name, write.entity, verdict.entry.key) for verdict in verdicts]
        with together(lane.session):
            outbox.lock_keys(lane.session, keys)
            known = lane.session.execute(
                query("outbox", "alive"),
                {
                    "entries": numbers_text(verdict.entry.entry for verdict in verdicts),
                    "states": list(states),
                    # Sent again meanwhile, an entry is another call's to settle.
                    "call": call,
                },
            )
        alive = {row["entry"] for row in known}
        verdicts = [
            replace(each, outcome=with_holders(lane, write, each.entry, each.outcome))
            for each in _unclaimed(lane, write, verdicts)
        ]
        asked = number if number is not None else next_version(lane.session)
        for verdict in verdicts:
            if verdict.entry.entry in alive:
                _judge(write, verdict, asked, steps)
        for is_full, records in steps.records.items():
            steps.silent.extend(merge_answers(lane, write, records, asked, is_full=is_full))
        with together(lane.session):
            _store(lane, write, steps)
            if call is not None and ending is not None:
                finish_call(lane, call, **ending)
    _tell(lane, write, verdicts)
    return steps.kinds


def _unclaimed(lane: Lane, write: Write, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts; a record that another key of ours holds by now is not linked twice.

    What was only to be linked is put off, to be looked at again; what was made or found under two keys is a person's.
    """
    wanted: dict[str, str] = {}
    for verdict in verdicts:
        outcome, operation = verdict.outcome, verdict.entry.outgoing.operation
        if outcome.target_id is None or outcome.kind not in ("applied", "unchanged"):
            continue
        if verdict.is_adopted or outcome.by_others or operation == "create":
            wanted[verdict.entry.key] = outcome.target_id
    lost = taken_meanwhile(lane, write, wanted)
    later = Outcome(kind="later", seconds=0, reason="Another key of ours took that record meanwhile.")

    def again(verdict: Verdict) -> Verdict:
        owner = lost.get(verdict.entry.key)
        if owner is None:
            return verdict
        if verdict.is_adopted or verdict.outcome.by_others:
            return replace(verdict, outcome=later, is_adopted=False)
        return replace(verdict, outcome=linked_to_another(wanted[verdict.entry.key], owner))

    return [again(verdict) for verdict in verdicts]


def _judge(write: Write, verdict: Verdict, number: int, steps: _Steps) -> None:
    outcome = verdict.outcome
    steps.kinds[outcome.kind] += 1
    match outcome.kind:
        case "applied" | "unchanged":
            if verdict.is_adopted or outcome.by_others:
                _adopt(write, verdict, number, steps)
            else:
                _applied(write, verdict, number, steps)
        case "rejected" | "conflict":
            _refused(write, verdict, steps)
        case "taken":
            _taken(write, verdict, steps)
        case "later":
            seconds = (
                outcome.seconds if outcome.seconds is not None else 0 if outcome.alone else LATER_SECONDS
            )
            control: Row = {"alone": True} if outcome.alone else {}
            if outcome.unanswered:
                control["unanswered"] = outcome.unanswered
            steps.changes.append(_change(verdict, "ready", seconds=Decimal(str(seconds)), control=control))
        case "unknown":
            # What was told to a person about it stays until there is an outcome.
            told = {name: verdict.entry.row.get(name) for name in ("cause", "reason", "cure", "who")}
            steps.changes.append(_change(verdict, "in_doubt", **told))


def _applied(write: Write, verdict: Verdict, number: int, steps: _Steps) -> None:
    entry, outcome, record = verdict.entry, verdict.outcome, verdict.outcome.record
    # Some targets name no id for what they made (Magento: `true` for a comment): our mark in it names it.
    target_id = outcome.target_id or entry.outgoing.target_id or entry.key
    is_removal = entry.outgoing.operation == "remove"
    differing = () if record is None or is_removal else write.differs(entry.outgoing, record)
    shown = write.returned(entry.outgoing.payload, record) if record is not None and outcome.full else None
    returned, is_seen = as_agreed(entry.outgoing, shown, write.same)
    link: Row = {
        "key": entry.key,
        "entry": entry.entry,
        "target_id": target_id,
        "line_ids": dict(outcome.line_ids) if outcome.line_ids is not None else None,
        "mirror_version": number if is_seen else None,
        "generation": entry.outgoing.generation,
        "is_gone": is_removal,
        "is_read": not is_removal,
        "returned": returned,
        "is_said": not is_removal,
    }
    steps.links.append(link)
    steps.linked.append(entry.key)
    if record is not None and write.stream is not None:
        steps.records[outcome.full].append(RawRecord(id=target_id, raw=json_dumps(record).encode()))
    if len(verdict.twice) > 1:
        steps.kinds["differs"] += 1
        steps.changes.append(_made_twice(verdict))
        return
    if not differing:
        steps.closed.append(Closed(entry=entry.entry, outcome=outcome.kind, target_id=target_id))
        return
    steps.kinds["differs"] += 1
    steps.changes.append(
        _change(
            verdict,
            "held",
            held_for="answer differs",
            operation="update",
            fields=sorted({re.split(r"[\[./]", path)[0] for path in differing if not path.startswith("_")}),
            cause=f"the target's answer differs: {', '.join(differing)}",
            reason=difference(write, entry, record or {}, differing),
            cure="Correct the record in the target or at its source; accept it as it is if the target is right.",
            who="accountant",
            link_version=entry.row["link_version"] + 1,
        )
    )


def _made_twice(verdict: Verdict) -> Row:
    """The chain stops: what follows must not be posted on one of two documents unseen."""
    return _change(
        verdict,
        "held",
        held_for="answer differs",
        operation="update",
        fields=[],
        cause="made twice",
        reason=f"After a lost answer it was sent again, and the target has it twice: {', '.join(verdict.twice)}.",
        cure="Void the one that is not linked in the target, then accept the other as it is.",
        who="accountant",
        link_version=verdict.entry.row["link_version"] + 1,
    )


def _adopt(write: Write, verdict: Verdict, number: int, steps: _Steps) -> None:
    """Link a record that the target has already. What others made is only completed, never changed."""
    entry, outcome = verdict.entry, verdict.outcome
    is_foreign = verdict.is_foreign or outcome.by_others
    record, payload = outcome.record or {}, entry.outgoing.payload
    returned = write.returned(payload, record)
    wanted: Row = entry.row["payload"]
    # What stands in our place (`by_others`) is left as it is, empty fields too.
    lacking = set(write.lacking(payload, record)) if verdict.is_foreign and not outcome.by_others else set()
    differing = {
        name for name in wanted if not write.same(name, payload.get(name), returned.get(name))
    } - lacking
    # Whatever others entered is theirs from now on, equal or not: a later change of ours must not rename it.
    yielded = (
        {
            name: returned[name]
            for name in wanted
            if name not in lacking
            and returned.get(name) is not None
            and (name in differing or not outcome.by_others or not must_agree(wanted[name]))
        }
        if is_foreign
        else {}
    )
    agreed = dict(wanted)
    for name, value in yielded.items():
        agreed = with_path(agreed, name, value)
    unsaid = lacking if is_foreign else differing
    steps.kinds["adopted"] += 1
    if outcome.target_id is not None:
        steps.silent.append(outcome.target_id)
    steps.linked.append(entry.key)
    steps.links.append(
        {
            "key": entry.key,
            "target_id": outcome.target_id,
            "said": {name: value for name, value in agreed.items() if name not in unsaid},
            "is_read": True,
            "returned": returned,
            "line_ids": dict(outcome.line_ids) if outcome.line_ids is not None else None,
            "mirror_version": number,
            "yielded": yielded or None,
            "is_adopted": is_foreign,
            "is_gone": False,
            "generation": entry.outgoing.generation,
        }
    )
    if not lacking:
        # Ours, but not as we want it now: the diff sees the difference and judges it by the model's rules.
        steps.closed.append(Closed(entry=entry.entry, outcome="satisfied", target_id=outcome.target_id))
        return
    steps.changes.append(
        _change(
            verdict,
            **completion(entry.row["plan"]),
            operation="update",
            payload=agreed,
            payload_hash=fingerprint("update", agreed, entry.row["control"]),
            fields=sorted(lacking),
            origin={"yielded": yielded},
            link_version=entry.row["link_version"] + 1,
        )
    )


def _refused(write: Write, verdict: Verdict, steps: _Steps) -> None:
    entry, outcome = verdict.entry, verdict.outcome
    is_conflict = outcome.kind == "conflict"
    steps.links.append(
        {
            "key": entry.key,
            "is_read": False,
            "rejected_hash": entry.row["payload_hash"],
            "rejected_on": waits_for(write, outcome),
        }
    )
    words = "; ".join(outcome.messages)
    steps.changes.append(
        _change(
            verdict,
            "held" if is_conflict else "rejected",
            held_for="conflict" if is_conflict else None,
            cause=outcome.cause or (words[:80] if words else "refused without words"),
            reason=outcome.reason or words or "The target refused it without saying why.",
            cure=outcome.cure
            or "Correct the record at its source; it is sent again by itself after a change.",
            who=outcome.who or "operator",
            answer={"messages": list(outcome.messages), "field": outcome.field},
            link_version=entry.row["link_version"] + 1,
        )
    )


def _taken(write: Write, verdict: Verdict, steps: _Steps) -> None:
    """The target says that a name is in use: once more with the fields of `_if_taken`, kept on the link."""
    entry = verdict.entry
    control: Row = entry.row["control"]
    other = control.get("if_taken")
    if not other or {**entry.row["payload"], **other} == entry.row["payload"]:
        clash = replace(
            verdict.outcome,
            kind="conflict",
            cause=verdict.outcome.cause or "name already taken",
            reason=verdict.outcome.reason
            or "; ".join(verdict.outcome.messages)
            or "The name is already taken.",
            cure=verdict.outcome.cure or "Rename one of the two, or link the existing record.",
        )
        _refused(write, replace(verdict, outcome=clash), steps)
        return
    payload = {**entry.row["payload"], **other}
    steps.links.append({"key": entry.key, "is_read": False, "if_taken": True})
    steps.changes.append(
        _change(
            verdict,
            "ready",
            payload=payload,
            payload_hash=fingerprint(entry.outgoing.operation, payload, control),
            origin={"if_taken": other},
            link_version=entry.row["link_version"] + 1,
        )
    )


def _change(verdict: Verdict, state: str, **columns: Any) -> Row:
    return {"entry": verdict.entry.entry, "state": state, **columns}


def _store(lane: Lane, write: Write, steps: _Steps) -> None:
    session = lane.session
    values = {"connection": lane.name, "entity": write.entity}
    if steps.links:
        session.execute(outbox.looked_at_again("settle"), {**values, "rows": Jsonb(steps.links)})
    if steps.changes:
        session.execute(query("outbox", "change"), {"rows": Jsonb(steps.changes)})
    outbox.close(session, steps.closed)
    tell_links(
        session,
        system=lane.connection.system,
        stream=write.stream,
        connection=lane.name,
        target_ids=steps.silent,
    )
    if steps.linked:
        session.execute(query("waiting", "release_waiters"), {"entity": write.entity, "keys": steps.linked})


def _tell(lane: Lane, write: Write, verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.outcome.kind in ("rejected", "conflict"):
            emit(
                Event.DRAIN_ENTRY_REJECTED,
                connection=lane.name,
                entity=write.entity,
                key=verdict.entry.key,
                cause=verdict.outcome.cause,
                reason=verdict.outcome.reason or "; ".join(verdict.outcome.messages),
                cure=verdict.outcome.cure,
                who=verdict.outcome.who,
            )
