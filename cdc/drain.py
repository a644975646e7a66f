"""Outbox to target: each entry once in effect, and in order.

For each target that may be written to: settle what is in doubt; release what waits for records that exist by now; then,
entity by entity in the order of dependency and as long as anything moves, take a batch, look whether the target has it
already, let the writer check, and send one call (`cdc/calls.py`). What the answers say is stored in one transaction
(`cdc/settle.py`). Killed anywhere, the next drain finds either nothing sent, or a call in doubt, which it settles first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args
from uuid import UUID

from cdc import going_live, installation, outbox, standing
from cdc.adopt import already_there, entered_meanwhile
from cdc.doubt import Wait, settle_doubts
from cdc.gate import (
    OpenClient,
    Writers,
    opener,
    reason_not_to,
    refuse_production,
    stop_if_refused,
    targets,
    writes_of,
)
from cdc.installation import Trust
from cdc.keeping import still_on_its_way
from cdc.lane import Client, Entry, Lane, Session
from cdc.picking import Picker, Place
from cdc.plan_report import PlanReport
from cdc.plan_run import Running, start
from cdc.send import Sender
from cdc.settle import Verdict, settle
from cdc.worker import Worker
from cdc.writing import Operation, Outcome, Outgoing, Write, open_writers
from tieout import witness
from tieout.budget import Work, working_for
from tieout.db import Database
from tieout.errors import TieoutError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Connection, Settings

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a drain did; counts of entries, but for `calls`."""

    calls: int = 0
    applied: int = 0
    unchanged: int = 0
    adopted: int = 0
    """Records of the target that were linked without a call."""
    rejected: int = 0
    held: int = 0
    in_doubt: int = 0
    """Still open: settled by the next drain."""
    later: int = 0
    """Put off: limits, or the target asked for it."""
    waiting: int = 0
    """Open at the end, for a record that does not exist yet."""
    not_written: Mapping[str, str] = field(default_factory=dict)
    """Targets that have open entries but were not written to, and why."""
    errors: tuple[TieoutError, ...] = ()
    """What stopped targets: refused, out of budget, not reachable. The first decides the exit code."""
    plan: PlanReport | None = None
    """What became of the plan that was drained."""


def drain(
    database: Database,
    settings: Settings,
    *,
    run: UUID | None = None,
    connections: Sequence[str] | None = None,
    progress: Progress | None = None,
    open_client: OpenClient | None = None,
    writers: Writers = open_writers,
    wait: Wait = time.sleep,
    plan: str | None = None,
    by: str = "",
    session: Session | None = None,
    worker: Worker | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> Drained:
    """Write what is ready to the targets. What stops one target does not stop the others: see `Drained.errors`.

    `session`, `worker`: open ones to be used (and left open). `is_over`: whether to leave the rest to the next drain.
    `plan`: the hash of a saved plan. Only its entries are sent, and nothing at all when it cannot start as it was saved
    (NotAsPlanned). Without: what an unfinished plan binds is left alone. `by`: who starts it.
    """
    open_one = open_client or opener(database, settings)
    totals: Counter[str] = Counter()
    errors: list[TieoutError] = []
    not_written: dict[str, str] = {}
    with ExitStack() as opened:
        session = session or opened.enter_context(database.connect(direct=True))
        opened.enter_context(unit_of_work(session))
        worker = worker or opened.enter_context(Worker(database))
        running = None
        if plan is not None:
            running = start(
                database,
                settings,
                session,
                plan,
                by=by,
                run=run,
                writers=writers,
                check=lambda name: _check(session, settings, open_one, name),
            )
            connections = () if running.is_over else running.connections
        trust = Trust(session, settings)
        for connection in targets(settings, connections):
            started = time.monotonic()
            writes = writes_of(writers, connection.system)
            reason = reason_not_to(session, connection) if writes else "its system is only read"
            state = (
                session.execute(query("outbox", "standing"), {"connection": connection.name}).fetchone() or {}
            )
            is_open = bool(state.get("is_open"))
            reason = trust.reason_not_to(connection) if reason is None else reason
            if reason is not None and is_open:
                not_written[connection.name] = reason
            if reason is not None or not is_open:
                continue
            counts: Counter[str] = Counter()
            released = outbox.release(session, connection.name) if state["is_waiting"] else 0
            if not (released or state["is_ready"] or state["is_sending"]):
                # What is open waits for records that are not there, or for its time: nobody is asked for that.
                _report(session, connection.name, counts, time.monotonic() - started)
                totals += counts
                continue
            try:
                client = open_one(connection)
                try:
                    _identify(session, settings, connection, client)
                    lane = Lane(
                        session=session,
                        connection=connection,
                        client=client,
                        writes=writes,
                        worker=worker,
                        run=run,
                        note_call=partial(witness.note_call, settings),
                    )
                    closed = going_live.closed(session, connection)
                    sending = _Drain(lane, counts, progress, wait, closed, running, is_over)
                    sending.all()
                    if sending.stopped_by is not None:
                        not_written[connection.name] = sending.stopped_by
                    if closed:
                        errors.append(going_live.first_look(connection.name, closed))
                    left = still_on_its_way(session, connection.name)
                    if left is not None:
                        errors.append(left)
                finally:
                    client.close()
            except TieoutError as error:
                errors.append(error)
                stop_if_refused(session, connection, error)
            _report(session, connection.name, counts, time.monotonic() - started)
            totals += counts
        ended = running.end() if running is not None else None
    return _drained(totals, not_written, [*trust.refused, *errors], ended)


def _identify(session: Any, settings: Settings, connection: Connection, client: Client) -> None:
    """Raises when this is not the target that it was, or one that may not be written to."""
    identity = client.identity()
    standing.pin(session, connection, identity)
    refuse_production(settings, connection, identity)
    installation.check_target(session, settings, connection, identity)


def _check(session: Any, settings: Settings, open_one: OpenClient, name: str) -> None:
    """The same before a plan starts: it starts on all of its targets or on none."""
    connection = settings.connection(name)
    installation.check(session, settings)
    installation.check_compared(session, connection)
    client = open_one(connection)
    try:
        _identify(session, settings, connection, client)
    finally:
        client.close()


class _Drain:
    """One target during one drain."""

    def __init__(
        self,
        lane: Lane,
        counts: Counter[str],
        progress: Progress | None,
        wait: Wait,
        closed: Sequence[str] = (),
        running: Running | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_over = is_over
        self._lane: Lane = lane
        self._counts: Counter[str] = counts
        self._progress: Progress | None = progress
        self._wait: Wait = wait
        self._closed: Sequence[str] = closed
        """Entities in which nothing may be made yet."""
        self._running: Running | None = running
        self._sender: Sender = Sender(lane, wait)
        self._picker: Picker = Picker(lane, running.plan if running is not None else None)
        self._untidied: int = 0
        """Entries that were sent since the outbox was tidied up."""
        self._is_checked: bool = False
        """Nobody had stopped the target when the last call was claimed."""
        self.stopped_by: str | None = None
        """Why the target was left half way: a person paused it while it was written to."""

    def all(self) -> None:
        """Send until nothing moves any more, or something is in doubt."""
        if not self._without_doubt():
            return
        while True:
            moved = 0
            for write in self._lane.writes.values():
                for operation in OPERATIONS:
                    some = self._entity(write, operation)
                    if some is None:
                        return
                    moved += some
            if not moved and not outbox.release(self._lane.session, self._lane.name):
                return

    def _is_stopped(self) -> bool:
        """A pause holds from the next call on, not only from the next drain."""
        if self._is_over():
            return True
        self.stopped_by = reason_not_to(self._lane.session, self._lane.connection)
        return self.stopped_by is not None

    def _without_doubt(self) -> bool:
        if self._is_stopped():
            return False
        with working_for(Work.PERSON):
            doubts = settle_doubts(self._lane, self._wait)
        self._counts += _known(doubts.kinds)
        return doubts.is_clear

    def _entity(self, write: Write, operation: Operation) -> int | None:
        """Batches of one entity until none is ready. How many entries moved; None when the target must be left."""
        if operation == "create" and write.entity in self._closed:
            return 0
        try:
            return self._batches(write, operation)
        finally:
            if not self._lane.session.broken and not self._lane.session.closed:
                self._picker.release()

    def _batches(self, write: Write, operation: Operation) -> int | None:
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
        kinds = settle(self._lane, write, verdicts, states=("ready",))
        self._counts += _known(kinds)
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
        self._counts += _known(sent.kinds)
        self._counts["calls"] += 1
        if self._progress is not None:
            self._progress(f"{self._lane.name} {write.entity}: {self._counts['applied']} written")
        if sent.is_in_doubt and not self._without_doubt():
            return None
        return before


def _known(kinds: Counter[str]) -> Counter[str]:
    """Kinds of outcomes as the fields of Drained."""
    counts: Counter[str] = Counter()
    for kind, count in kinds.items():
        name = {"conflict": "held", "differs": "held", "taken": "later", "unknown": "unknown"}.get(kind, kind)
        counts[name] += count
    return counts


def _drained(
    totals: Counter[str],
    not_written: Mapping[str, str],
    errors: Sequence[TieoutError],
    plan: PlanReport | None,
) -> Drained:
    return Drained(
        calls=totals["calls"],
        applied=totals["applied"],
        unchanged=totals["unchanged"],
        adopted=totals["adopted"],
        rejected=totals["rejected"],
        held=totals["held"],
        in_doubt=totals["in_doubt"],
        later=totals["later"],
        waiting=totals["waiting"],
        not_written=dict(not_written),
        errors=tuple(errors),
        plan=plan,
    )


def _open(session: Any, name: str) -> dict[str, int]:
    rows = session.execute(query("outbox", "open_counts"), {"connection": name})
    return {row["state"]: int(row["entries"]) for row in rows}


def _report(session: Any, name: str, counts: Counter[str], seconds: float) -> None:
    left = _open(session, name)
    counts["waiting"] += left.get("waiting", 0)
    counts["in_doubt"] += left.get("in_doubt", 0)
    emit(
        Event.DRAIN_FINISHED,
        connection=name,
        calls=counts["calls"],
        applied=counts["applied"],
        rejected=counts["rejected"],
        held=counts["held"],
        waiting=counts["waiting"],
        in_doubt=counts["in_doubt"],
        seconds=round(seconds, 3),
    )
