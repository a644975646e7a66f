"""Everything that is ready for one target, pass by pass; by several senders at the same time where there is much of it.

A pass asks which entities have entries that may be sent now and goes through those in the order of dependency: take a batch, look
whether the target has it already, let the writer check, send one call (`cdc/send.py`). What a pass released comes with the next
one, until nothing moves.

Each sender of a target is a thread with a session of its own; they share the client, whose budget counts for all, and the
registered worker, by whose lock others see that this process lives. They keep out of each other's way exactly as several
processes do (`cdc/picking.py`, `cdc/calls.py`): nothing here decides what may be sent.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from cdc import outbox, standing
from cdc.adopt import already_there, entered_meanwhile
from cdc.calls import is_busy
from cdc.doubt import Wait, settle_doubts
from cdc.gate import reason_in
from cdc.lane import Entry, Lane, Row
from cdc.picking import Picker, Place
from cdc.plan_run import Running
from cdc.send import Sender
from cdc.settle import Verdict, settle
from cdc.writing import Operation, Outcome, Outgoing, Write
from loaders.crew import Stop, work_off
from tieout.budget import Work, working_for
from tieout.errors import DatabaseDown

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
Progress = Callable[[str], None]
Ready = Mapping[tuple[str, Operation], int]
"""Calls that are ready, by entity and operation; counted no further than is of interest."""

CALLS_WORTH_A_SENDER = 3
"""A sender of its own costs a session, and statements that it plans anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all senders of one target share during one drain."""

    counts: Counter[str]
    closed: Sequence[str] = ()
    """Entities in which nothing may be made yet."""
    wait: Wait
    is_over: Callable[[], bool] = lambda: False
    progress: Progress | None = None
    mutex: threading.Lock = field(default_factory=threading.Lock)
    """Of `counts` and `progress`."""


class Passes:
    """One sender of one target during one drain, and those that it lets help."""

    def __init__(
        self, lane: Lane, shared: Shared, *, running: Running | None = None, stop: Stop | None = None
    ) -> None:
        self._lane: Lane = lane
        self._shared: Shared = shared
        self._running: Running | None = running
        self._stop: Stop = stop or Stop()
        """Set when another sender failed."""
        self._sender: Sender = Sender(lane, shared.wait)
        self._picker: Picker = Picker(lane, running.plan if running is not None else None)
        self._batches: dict[tuple[str, Operation], int] = {
            (write.entity, operation): write.batch(operation)
            for write in lane.writes.values()
            for operation in OPERATIONS
            if operation != "create" or write.entity not in shared.closed
        }
        self._untidied: int = 0
        """Entries that were sent since the outbox was tidied up."""
        self._is_checked: bool = False
        """Nobody had stopped the target just now, or when the last call was claimed."""
        self.stopped_by: str | None = None
        """Why the target was left half way: a person paused it while it was written to."""

    def all(self, senders: int = 1) -> None:
        """Send until nothing moves any more, or something is in doubt; with at most so many senders."""
        if not self._without_doubt():
            return
        while True:
            ready = self._ready(senders)
            some = min(senders, sum(ready.values()) // CALLS_WORTH_A_SENDER)
            moved = self._together(some) if some > 1 else self._pass(ready)
            if moved is None:
                return
            if not moved and not outbox.release(self._lane.session, self._lane.name):
                return

    # ------------------------------------------------------------------ several senders

    def _together(self, senders: int) -> int | None:
        """This sender and its helpers, until none of them finds anything. Raises what ended the first that failed."""
        stop = Stop(self._stop)
        helpers = {f"sender {number}": lambda: self._helped(stop) for number in range(2, senders + 1)}
        moved = work_off(
            {"sender 1": lambda: self._still(stop), **helpers}, after={}, at_once=senders, stop=stop
        )
        some = [each for each in moved.values() if each is not None]
        return sum(some) if len(some) == len(moved) else None

    def _helped(self, stop: Stop) -> int | None:
        try:
            opened = self._lane.worker.database.connect(direct=True)
        except DatabaseDown:
            # It takes no more sessions: the others send it all. If it is away, they find out themselves.
            return 0
        with opened as session:
            lane = replace(self._lane, session=session, reserved=set())
            helper = Passes(lane, self._shared, stop=stop)
            try:
                return helper._still(stop)
            finally:
                self.stopped_by = self.stopped_by or helper.stopped_by

    def _still(self, stop: Stop) -> int | None:
        """Passes until nothing moves, or until another sender failed."""
        before, self._stop = self._stop, stop
        try:
            moved = 0
            while some := self._pass(self._ready()):
                moved += some
            return None if some is None else moved
        finally:
            self._stop = before

    # ------------------------------------------------------------------ one sender

    def _ready(self, senders: int = 1) -> Ready:
        return self._picker.ready(self._batches, enough=senders * CALLS_WORTH_A_SENDER)

    def _pass(self, ready: Ready) -> int | None:
        """Every entity once. How many entries moved; None when the target must be left."""
        moved = 0
        for entity, operation in self._batches:
            if (entity, operation) not in ready:
                continue
            some = self._entity(self._lane.writes[entity], operation)
            if some is None:
                return None
            if some:
                # What was made may be what others of the following entities waited for.
                moved, ready = moved + some, self._ready()
        return moved

    def _is_stopped(self) -> bool:
        """A pause holds from the next call on, not only from the next drain."""
        return self._is_over() or self._standing() is None

    def _standing(self) -> Row | None:
        """How the target stands; None when a person or the vendor stopped it."""
        row = standing.of_target(self._lane.session, self._lane.name)
        self.stopped_by = reason_in(self._lane.connection, row)
        return (row or {}) if self.stopped_by is None else None

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._shared.is_over()

    def _without_doubt(self) -> bool:
        if self._is_over():
            return False
        row = self._standing()
        if row is None:
            return False
        if not row.get("is_under_way", True):
            # So nothing is in doubt, and nobody left anything. A call that is lost from now on the next claim sees.
            self._is_checked = True
            return True
        with working_for(Work.PERSON):
            doubts = settle_doubts(self._lane, self._shared.wait)
        self._count(doubts.kinds)
        return doubts.is_clear

    def _entity(self, write: Write, operation: Operation) -> int | None:
        """Batches of one entity until none is ready. How many entries moved; None when the target must be left."""
        try:
            return self._until_none(write, operation)
        finally:
            if not self._lane.session.broken and not self._lane.session.closed:
                self._picker.release()

    def _until_none(self, write: Write, operation: Operation) -> int | None:
        moved, place = 0, Place()
        while True:
            before = place
            entries, place = self._picker.next(write, operation, place)
            if place.is_end:
                return moved
            look = self._running.look(entries) if self._running is not None and entries else "as planned"
            if look == "again":
                place = before
            if not entries or look != "as planned":
                continue
            if self._is_over() or (not self._is_checked and self._is_stopped()):
                return None
            self._is_checked = False
            done = self._batch(write, operation, entries)
            if done is None:
                return None
            moved += done

    def _batch(self, write: Write, operation: Operation, entries: list[Entry]) -> int | None:
        """Look, check, send, settle."""
        lane, before = self._lane, len(entries)
        serial = write.serial_by(entries[0].outgoing)
        if serial is not None and is_busy(lane, serial):
            # It could not be claimed: what would be asked about it now would be asked again when its turn comes.
            return 0
        if operation == "create":
            entries = self._settled(write, entries, already_there(lane, write, entries))
            if entries:
                entries = self._settled(write, entries, entered_meanwhile(lane, write, entries))
        if not entries:
            return before
        checked = write.check(lane.client, operation, [entry.outgoing for entry in entries])
        verdicts = [
            Verdict(entry=entry, outcome=found)
            for entry, found in zip(entries, checked, strict=True)
            if isinstance(found, Outcome)
        ]
        entries = [
            replace(entry, outgoing=found) if isinstance(found, Outgoing) else entry
            for entry, found in zip(entries, checked, strict=True)
        ]
        entries = self._settled(write, entries, verdicts)
        if not entries:
            return before
        return self._send(write, operation, entries, before)

    def _settled(self, write: Write, entries: list[Entry], verdicts: Sequence[Verdict]) -> list[Entry]:
        """Store verdicts that need no call; what is left to send."""
        if not verdicts:
            return entries
        self._count(settle(self._lane, write, verdicts, states=("ready",)))
        over = {verdict.entry.entry for verdict in verdicts}
        return [entry for entry in entries if entry.entry not in over]

    def _send(self, write: Write, operation: Operation, entries: Sequence[Entry], before: int) -> int | None:
        sent = self._sender.send(write, operation, entries)
        if sent is None:
            return before - len(entries)
        self._is_checked = True
        self._untidied += len(entries)
        if self._untidied >= outbox.TIDY_EVERY:
            outbox.tidy(self._lane.session)
            self._untidied = 0
        self._count(sent.kinds, called=write)
        if sent.is_in_doubt and not self._without_doubt():
            return None
        return before

    def _count(self, kinds: Mapping[str, int], *, called: Write | None = None) -> None:
        """Kinds of outcomes, as the fields of `Drained`; `called`: of one more call."""
        shared = self._shared
        with shared.mutex:
            for kind, count in kinds.items():
                name = {"conflict": "held", "differs": "held", "taken": "later"}.get(kind, kind)
                shared.counts[name] += count
            if called is None:
                return
            shared.counts["calls"] += 1
            if shared.progress is not None:
                shared.progress(f"{self._lane.name} {called.entity}: {shared.counts['applied']} written")
