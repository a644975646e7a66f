"""Outbox to target: each entry once in effect, and in order.

For each target that may be written to: settle what is in doubt; release what waits for records that exist by now; then send what
is ready, in the order of dependency, as long as anything moves (`cdc/passes.py`). What the answers say is stored in one
transaction (`cdc/settle.py`). Killed anywhere, the next drain finds either nothing sent, or calls in doubt, which it settles first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from cdc import going_live, installation, outbox, standing
from cdc.doubt import Wait
from cdc.gate import (
    OpenClient,
    Writers,
    opener,
    reason_in,
    refuse_production,
    stop_if_refused,
    targets,
    writes_of,
)
from cdc.installation import State, Trust
from cdc.keeping import still_on_its_way
from cdc.lane import Client, Lane, Row, Session
from cdc.passes import Passes, Progress, Shared
from cdc.plan_report import PlanReport
from cdc.plan_run import start
from cdc.worker import Worker
from cdc.writing import open_writers
from tieout import witness
from tieout.db import Database
from tieout.errors import TieoutError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Connection, Settings


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
            state = _standing(session, connection.name)
            is_open, known = state["is_open"], state if state["connection"] is not None else None
            reason = reason_in(connection, known) if writes else "its system is only read"
            reason = trust.reason_not_to(connection, state["is_uncompared"]) if reason is None else reason
            if reason is not None and is_open:
                not_written[connection.name] = reason
            if reason is not None or not is_open:
                continue
            counts: Counter[str] = Counter()
            released = _release(session, connection.name) if state["is_waiting"] else 0
            if not (released or state["is_ready"] or state["is_sending"]):
                # What is open waits for records that are not there, or for its time: nobody is asked for that.
                _report(session, connection.name, counts, time.monotonic() - started)
                totals += counts
                continue
            try:
                client = open_one(connection)
                try:
                    _identify(session, settings, connection, client, trust.state, known)
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
                    shared = Shared(
                        counts=counts, closed=closed, wait=wait, is_over=is_over, progress=progress
                    )
                    passes = Passes(lane, shared, running=running)
                    # What a plan binds is looked at by its own session before each call: one sender.
                    passes.all(_at_once(settings, client) if running is None else 1)
                    if passes.stopped_by is not None:
                        not_written[connection.name] = passes.stopped_by
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


def _standing(session: Session, name: str) -> Row:
    row = session.execute(query("outbox", "standing"), {"connection": name}).fetchone()
    if row is None:
        raise AssertionError("the statement gives one row")
    return row


def _release(session: Session, name: str) -> int:
    """Make ready what waits for records that exist by now. How many."""
    outbox.know_states(session)
    return outbox.release(session, name)


def _identify(
    session: Any,
    settings: Settings,
    connection: Connection,
    client: Client,
    state: State,
    known: Mapping[str, Any] | None = None,
) -> None:
    """Raises when this is not the target that it was, or one that may not be written to. `known`: as for `standing.pin`."""
    identity = client.identity()
    standing.pin(session, connection, identity, known)
    refuse_production(settings, connection, identity)
    installation.check_target(settings, state, connection, identity)


def _check(session: Any, settings: Settings, open_one: OpenClient, name: str) -> None:
    """The same before a plan starts: it starts on all of its targets or on none."""
    connection = settings.connection(name)
    state = installation.check(session, settings)
    installation.check_compared(session, connection)
    client = open_one(connection)
    try:
        _identify(session, settings, connection, client, state)
    finally:
        client.close()


def _at_once(settings: Settings, client: Client) -> int:
    """One call less than the vendor takes at the same time: a load's, or a person's, finds room."""
    limit, wanted = client.http.calls_at_once, settings.draining.calls_at_once
    return wanted if limit is None else max(1, min(wanted, limit - 1))


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
