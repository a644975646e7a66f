"""Requests to a target, each recorded before it leaves.

    slot and token drawn  →  `sending` and the call committed  →  the request, once, before its deadline  →
    settled

The call's random id is the idempotency key. The deadline of the process (a clock that runs on while the
machine sleeps) is taken before the row is written, so it never lies after the one of the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.lane import Entry, Lane
from cdc.outbox import Closed
from cdc.writing import Operation, Write, WriteCall
from tieout.budget import Slot
from tieout.db import array_text, lock_key, numbers_text, ordered_dumps, together
from tieout.errors import NotSent, Rejected
from tieout.http import Answer, boottime
from tieout.queries import query

START_SECONDS = 30.0
"""A request that has not left by then does not leave."""
SECONDS_IN_FLIGHT = START_SECONDS + 90.0
"""A request that has left is over by then: its time-out, and again half of it for a slow body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request and its bytes, before anybody knows whether its entries may be sent."""

    request: WriteCall
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Entries that this process alone sends, and their call."""

    call: UUID
    number: int
    prepared: Prepared
    entries: tuple[Entry, ...]
    resent: frozenset[int] = frozenset()
    """Entries whose last call was in doubt."""


def prepare(write: Write, operation: Operation, entries: Sequence[Entry]) -> Prepared:
    """The one request for these entries; made before a slot is drawn, which must know its size."""
    request = write.request(operation, [entry.outgoing for entry in entries])
    return Prepared(request=request, content=body_bytes(request.body))


def claim(
    lane: Lane, write: Write, operation: Operation, entries: Sequence[Entry], prepared: Prepared
) -> Claimed | None:
    """Commit `sending` for those entries whose keys are free and whose links have not moved; None when none
    is left, when something there is in doubt, or when a person paused the connection meanwhile.

    An entry whose link moved is closed and its key put back. `prepared`: the request of all of them; it is made again when
    some are left out.
    """
    session = lane.session
    with session.transaction():
        current = _lock_current(lane, write, entries)
        mine = [entry for entry in entries if entry.entry in current]
        if not mine:
            return None
        if len(mine) < len(entries):
            prepared = prepare(write, operation, mine)
        request = prepared.request
        if request.serial_by is not None:
            key = lock_key(f"serial:{lane.name}:{request.serial_by}")
            session.execute(query("changes", "lock"), {"key": key})
            if is_busy(lane, request.serial_by):
                return None
        call = uuid4()
        number = _record(lane, write, operation, mine, prepared, call)
    again = frozenset(entry for entry, was_sent in current.items() if was_sent)
    return Claimed(call=call, number=number, prepared=prepared, entries=tuple(mine), resent=again)


def exchange(
    lane: Lane, prepared: Prepared, call: UUID, number: int, slot: Slot, deadline: float | None = None
) -> Answer:
    """Send once. A definite refusal of the whole request comes back as its answer, for the writer to read.

    The witness has the call's number before anything leaves: a database that was put back later cannot hide it. Raises
    NotSent, ConnectionRefused, UnknownOutcome, DatabaseDown (our lock is lost; nothing was sent).
    """
    _note(lane, number)
    lane.worker.check_alive()
    request = prepared.request
    try:
        return lane.client.http.write(
            request.method,
            request.path,
            slot=slot,
            content=prepared.content,
            deadline=deadline if deadline is not None else boottime() + START_SECONDS,
            params=request.params or None,
            headers={"Idempotency-Key": str(call)},
        )
    except Rejected as error:
        return Answer(status=error.status, headers={}, content=error.body, seconds=0.0, is_write=True)


def _note(lane: Lane, number: int) -> None:
    try:
        lane.note_call(number)
    except OSError as error:
        raise NotSent(
            f"The witness file cannot be written: {error}.",
            cure="Make room in data_dir, or let this user write there; then run `tieout drain` again.",
        ) from error


def body_bytes(body: object) -> bytes:
    """The body as it is sent: keys in order, so that the record of a call, which jsonb keeps in an order of
    its own, gives the same bytes again. A vendor refuses a repeat that is not the same.
    """
    return b"" if body is None else ordered_dumps(body)


def _lock_current(lane: Lane, write: Write, entries: Sequence[Entry]) -> dict[int, bool]:
    """Lock the keys that nobody has. Their entries that may be sent now, each with whether its last call was in doubt."""
    by_entry = {entry.entry: entry for entry in entries}
    keys = {
        "connection": lane.name,
        "entity": write.entity,
        "keys": array_text(sorted(entry.key for entry in entries)),
    }
    values = {
        "connection": lane.name,
        "entries": numbers_text(by_entry),
        "versions": numbers_text(entry.row["link_version"] for entry in entries),
        "hashes": array_text([entry.row["payload_hash"] for entry in entries]),
    }
    with together(lane.session):
        locked = lane.session.execute(query("links", "lock_free"), keys)
        # Of keys that others have it says nothing that counts; of ours, what holds now that they are locked.
        found = lane.session.execute(query("claiming", "sendable"), values)
    free = {row["key"] for row in locked}
    rows = [row for row in found if by_entry[row["entry"]].key in free]
    stale = [by_entry[row["entry"]] for row in rows if not row["is_current"]]
    if stale:
        _drop(lane, write, stale)
    is_blocked = any(row["is_blocked"] for row in rows)
    return {row["entry"]: row["was_sent"] for row in rows if row["is_current"] and not is_blocked}


def _drop(lane: Lane, write: Write, stale: Sequence[Entry]) -> None:
    reason = "its link moved before it was sent"
    outbox.hold_moved(
        lane.session, {entry.entry: f"{reason}." for entry in stale if entry.row["plan"] is not None}
    )
    moved = [entry for entry in stale if entry.row["plan"] is None]
    outbox.close(
        lane.session, [Closed(entry=entry.entry, outcome="replaced", reason=reason) for entry in moved]
    )
    outbox.put_back(lane.session, [(lane.name, write.entity, entry.key) for entry in moved], reason)


def is_busy(lane: Lane, serial_by: str) -> bool:
    """A call that this one must not meet is under way, or in doubt. Binding only for who locked it before, as `claim` does."""
    values = {"connection": lane.name, "serial_by": serial_by}
    row = lane.session.execute(query("claiming", "is_busy"), values).fetchone()
    return row is not None and bool(row["is_busy"])


def _record(
    lane: Lane, write: Write, operation: Operation, entries: Sequence[Entry], prepared: Prepared, call: UUID
) -> int:
    request, text = prepared.request, prepared.content.decode()
    reserved = lane.reserved.intersection(entry.entry for entry in entries)
    path = request.path + (f"?{urlencode(request.params)}" if request.params else "")
    values: dict[str, Any] = {
        "call": call,
        "connection": lane.name,
        "entity": write.entity,
        "operation": operation,
        "entries": numbers_text(entry.entry for entry in entries),
        "reserved": numbers_text(reserved),
        "keys": array_text([entry.key for entry in entries]),
        "method": request.method,
        "path": path,
        "body": Jsonb(request.body, dumps=lambda _: text) if request.body is not None else None,
        "body_hash": hashlib.sha256(prepared.content).hexdigest(),
        "serial_by": request.serial_by,
        "worker": lane.worker.identifier,
        "run": lane.run,
        "seconds": SECONDS_IN_FLIGHT,
    }
    row = lane.session.execute(query("calls", "record"), values).fetchone()
    lane.reserved.difference_update(reserved)
    if row is None:
        raise AssertionError("insert … returning gives one row")
    return int(row["number"])


def finish_call(
    lane: Lane,
    call: UUID,
    *,
    outcome: str,
    status: int | None = None,
    answer: Any = None,
    asked: Any = None,
    is_settled: bool = True,
) -> None:
    """How a call ended: answered, not sent, refused, unknown, settled by asking."""
    lane.session.execute(
        query("calls", "answered"),
        {
            "call": call,
            "outcome": outcome,
            "status": status,
            "answer": Jsonb(answer) if answer is not None else None,
            "asked": Jsonb(asked) if asked is not None else None,
            "is_settled": is_settled,
        },
    )
