"""Calls of which nobody knows whether they were carried out: settled before anything else is sent to that target.

A call comes here when its answer was lost, or when its sender died (its lock is free and its deadline has passed by the
database's clock). Inside the vendor's window the same call goes out again, with the same key and body: the target answers
what it answered before. Else the target is asked, once for the whole call, and every question, what it showed and the
verdict stay on the call's record. "Not there" is believed only when the stream was also read to its end after the last
sending (`cdc/judging.py`).

Neither asking nor sending goes on for ever. What is sent again and again without an answer is a dead letter, after its
second try in a call and a pause of its own, so that it stops nothing else. A target that cannot be asked stops, after some
rounds, only the entries of that call: they stay in doubt, a person sees them, and every drain asks once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from psycopg.types.json import Jsonb

from cdc.asking import Asking, verdict_of, with_earlier
from cdc.calls import SECONDS_IN_FLIGHT, START_SECONDS, Prepared, body_bytes, exchange, finish_call
from cdc.judging import judge_doubt, never_to_know
from cdc.lane import Entry, Lane, entries_of
from cdc.matching import owners_of
from cdc.settle import Verdict, settle
from cdc.worker import is_gone
from cdc.writing import Found, Write, WriteCall
from tieout.budget import Work
from tieout.errors import (
    BudgetExhausted,
    ConnectionRefused,
    DatabaseDown,
    LockHeld,
    NotSent,
    Rejected,
    RetryLater,
    SchemaDrift,
    UnknownOutcome,
)
from tieout.events import Event, emit
from tieout.http import boottime
from tieout.queries import query

Row = dict[str, Any]
Wait = Callable[[float], None]
LONGEST_WAIT_SECONDS = 20.0
"""A drain stays for a target to settle this long; else the next drain asks."""
MOST_ROUNDS = 5
SECONDS_OF_ROUNDS = 600.0
"""After so many rounds, and not before so long, a call that could not be settled no longer stops the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What was found out."""

    is_clear: bool
    """Nothing is in doubt any more, but for what was given up to a person: the target may be written to."""
    kinds: Counter[str]


def settle_doubts(lane: Lane, wait: Wait) -> Doubts:
    """Take over what dead senders left, then settle every call in doubt. Reads and, inside the window, repeats calls.

    Raises what keeps the target from being asked (RetryLater, Rejected, SchemaDrift), until that call is given up.
    """
    session = lane.session
    for row in session.execute(query("calls", "abandoned"), {"connection": lane.name}).fetchall():
        if is_gone(session, row["lock_key"]):
            lose(lane, row["call"], "The process that sent it ended before the answer.")
    kinds: Counter[str] = Counter()
    read_at = boottime()
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
                    lane,
                    row["call"],
                    outcome="settled by asking",
                    asked=with_earlier({"verdict": "no entry is left"}, row["asked"]),
                )
        if rows:
            kinds += _settle_call(lane, row, rows, wait, read_at)
    state = session.execute(query("claiming", "is_in_doubt"), {"connection": lane.name}).fetchone()
    return Doubts(is_clear=state is None or not state["is_in_doubt"], kinds=kinds)


def lose(lane: Lane, call: UUID, why: str, status: int | None = None) -> None:
    """Nobody knows what became of the call; `why` is what came instead of its answer."""
    with lane.session.transaction():
        values = {"call": call, "status": status, "answer": Jsonb({"error": why})}
        lane.session.execute(query("calls", "lost"), values)
        lane.session.execute(query("calls", "doubt_entries"), {"call": call})


def _settle_call(lane: Lane, call: Row, rows: Sequence[Row], wait: Wait, read_at: float) -> Counter[str]:
    write = lane.writes[call["entity"]]
    entries, _ = entries_of(lane.session, rows, also_gone=True)
    is_whole = [entry.entry for entry in entries] == list(call["entries"])
    left = write.replay_seconds - float(call["seconds_since_sent"])
    missing = write.settling_seconds - float(call["seconds_since"])
    if is_whole and left > 0 and float(call["seconds_since"]) >= 0:
        again = _repeat(lane, write, call, entries, read_at + min(left, START_SECONDS))
        if again is None:
            return Counter()
        if isinstance(again, Counter):
            return again
        # Unanswered once more: it may have had its effect only now.
        call = {**call, "repeat_number": again}
        missing = write.settling_seconds
    if missing > LONGEST_WAIT_SECONDS:
        return Counter()
    if missing > 0:
        wait(missing)
    return _ask(lane, write, call, entries)


def _repeat(
    lane: Lane, write: Write, call: Row, entries: Sequence[Entry], deadline: float
) -> Counter[str] | int | None:
    """The same call, the same key: the target answers what it answered the first time, or carries it out.

    The number of the repeat when it was not answered either; None when another process is at it.
    """
    values = {"call": call["call"], "worker": lane.worker.identifier, "seconds": SECONDS_IN_FLIGHT}
    slot = lane.client.http.ready_to_write(Work.PERSON)
    try:
        repeated = lane.session.execute(query("calls", "repeat"), values).fetchone()
        if repeated is None:
            return None
        path, _, parameters = call["path"].partition("?")
        again = WriteCall(
            method=call["method"], path=path, params=dict(parse_qsl(parameters)), body=call["body"]
        )
        latest = min(deadline, boottime() + START_SECONDS)
        same = Prepared(request=again, content=body_bytes(again.body))
        answer = exchange(lane, same, call["call"], call["number"], slot, latest)
        outcomes = write.outcomes(call["operation"], [entry.outgoing for entry in entries], answer)
    except (UnknownOutcome, NotSent, ConnectionRefused, SchemaDrift, RetryLater) as error:
        # As unknown as before: a refusal of the second sending says nothing about the first.
        lose(lane, call["call"], str(error))
        if isinstance(error, ConnectionRefused | DatabaseDown):
            raise
        return int(repeated["repeat_number"]) if repeated is not None else None
    finally:
        slot.release()
    verdicts = [
        Verdict(entry=entry, outcome=outcome) for entry, outcome in zip(entries, outcomes, strict=True)
    ]
    nothing: list[list[Found]] = [[] for _ in entries]
    return _conclude(
        lane, write, call, verdicts, nothing, {"how": "the same call was answered", "status": answer.status}
    )


def _ask(lane: Lane, write: Write, call: Row, entries: Sequence[Entry]) -> Counter[str]:
    asking = Asking(lane.client)
    outgoing = [entry.outgoing for entry in entries]
    if not write.finding.can_tell:
        verdicts = [Verdict(entry=entry, outcome=never_to_know()) for entry in entries]
        return _conclude(
            lane, write, call, verdicts, [[] for _ in entries], {"how": "the target cannot be asked"}
        )
    try:
        found = write.find(asking, outgoing)
    except (RetryLater, Rejected, SchemaDrift) as error:
        if isinstance(error, BudgetExhausted | DatabaseDown | LockHeld):
            raise
        asked = {"how": "the target did not answer", "questions": asking.questions, "error": str(error)}
        if not _in_vain(lane, call, asked, f"the target could not be asked: {error}"):
            raise
        return Counter()
    is_believed = _was_loaded_since(lane, write, call)
    owners = owners_of(lane, write, found)
    for entry, some in zip(entries, found, strict=True):
        # What one entry of the call surely made is not another's, renamed.
        for one in some:
            if one.is_ours:
                owners.setdefault(one.target_id, entry.key)
    verdicts = []
    for entry, some in zip(entries, found, strict=True):
        outcome = judge_doubt(write, entry, some, owners, call, is_believed=is_believed)
        if outcome.by_others and outcome.target_id is not None:
            owners[outcome.target_id] = entry.key
        verdicts.append(Verdict(entry=entry, outcome=outcome))
    told: Row = {"how": "the target was asked", "questions": asking.questions, "loaded_since": is_believed}
    return _conclude(lane, write, call, verdicts, found, told)


def _conclude(
    lane: Lane,
    write: Write,
    call: Row,
    verdicts: Sequence[Verdict],
    found: Sequence[Sequence[Found]],
    asked: Row,
) -> Counter[str]:
    is_settled = all(verdict.outcome.kind != "unknown" for verdict in verdicts)
    asked["found"] = {
        verdict.entry.key: verdict_of(some, verdict.outcome)
        for verdict, some in zip(verdicts, found, strict=True)
    }
    ending = {
        "outcome": "settled by asking" if is_settled else "unknown",
        "asked": with_earlier(asked, call["asked"]),
        "is_settled": is_settled,
    }
    kinds = settle(
        lane,
        write,
        verdicts,
        states=("in_doubt", "sending"),
        number=call["repeat_number"] or call["number"],
        call=call["call"],
        ending=ending,
    )
    if not is_settled:
        reasons = sorted({str(each.outcome.reason) for each in verdicts if each.outcome.kind == "unknown"})
        _in_vain(lane, call, None, " ".join(reasons))
    emit(
        Event.DRAIN_DOUBT_SETTLED,
        connection=lane.name,
        entity=write.entity,
        call=str(call["call"]),
        entries=len(verdicts),
        verdict=", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())),
    )
    return kinds


def _in_vain(lane: Lane, call: Row, asked: Row | None, why: str) -> bool:
    """Nobody is wiser. True when the call is given up by now: it is a person's, and stops only its own entries."""
    values = {
        "call": call["call"],
        "asked": Jsonb(with_earlier(asked, call["asked"])) if asked is not None else None,
        "rounds": MOST_ROUNDS,
        "seconds": SECONDS_OF_ROUNDS,
    }
    with lane.session.transaction():
        row = lane.session.execute(query("calls", "asked_in_vain"), values).fetchone()
        if row is None or not row["is_given_up"]:
            return False
        told = {
            "call": call["call"],
            "reason": f"It was sent, its answer never came, and {why}",
            "cure": "It is asked about again by each drain. If the target does not have it: retry; if it has: discard.",
        }
        lane.session.execute(query("calls", "show_given_up"), told)
    return True


def _was_loaded_since(lane: Lane, write: Write, call: Row) -> bool:
    if write.stream is None:
        return True
    row = lane.session.execute(
        query("calls", "loaded"), {"connection": lane.name, "stream": write.stream}
    ).fetchone()
    number = int(call["repeat_number"] or call["number"])
    return row is not None and row["loaded_version"] is not None and int(row["loaded_version"]) > number
