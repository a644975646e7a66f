"""`drain --plan`: starts with exactly what was planned, or not at all.

    diff of the plan's models     so that what moved since shows
    one transaction               every entry is read again under the lock of its key and must have the digest that was planned, a link
                                  that did not move, its approval, and all that it waits for; the build must be the same. Then all
                                  are bound, or none
    drain of what is bound        before each call the source is looked at again; what moved is held as `moved since plan`
    end                           when nothing is left that could be sent: what was not sent is let go, and told

Killed anywhere, either nothing is bound, or the same command goes on: bound entries are left alone by every other drain, and
no diff replaces them. A plan that shall not go on is released (`plan_store.release`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import psycopg

from cdc import going_live, outbox
from cdc.changes import fan_out
from cdc.corrections import MODEL as CORRECTIONS
from cdc.diff import diff
from cdc.gate import reason_not_to
from cdc.lane import Entry
from cdc.plan_batch import BatchEntry, Place, Row
from cdc.plan_moved import compare, refusal
from cdc.plan_read import Writers, entries_of, rows_of, set_in_force, unmet_of
from cdc.plan_report import PlanReport, report
from cdc.plan_store import SavedPlan, decided, entries, find, note, unbind
from tieout.db import Database
from tieout.errors import ConfigurationError, NotAsPlanned
from tieout.events import Event, emit
from tieout.queries import query
from tieout.settings import Settings

Session = psycopg.Connection[dict[str, Any]]
Check = Callable[[str], None]
"""Raises what forbids writing to a target: its login, its identity, its standing."""
Look = Literal["as planned", "again", "too fast"]
GOING = ("ready", "sending", "in_doubt")
MOST_LOOKS = 3
"""Of the same batch in a row; a source that changes faster is left for the next time."""


@dataclass(kw_only=True)
class Running:
    """A started plan during one drain."""

    database: Database
    settings: Settings
    session: Session
    plan: str
    build: str
    models: tuple[str, ...]
    connections: tuple[str, ...]
    by: str
    run: UUID | None
    writers: Writers
    is_over: bool = False
    """It was over before this drain."""
    _looks: int = field(default=0)

    def look(self, some: Sequence[Entry]) -> Look:
        """Just before these entries are sent: did their input move since the last diff?

        as planned: it did not. again: the diff looked at them; they are to be taken anew, for what moved is held now. too
        fast: it moves all the time; they are left for the next time.
        """
        models = self._to_look_at([entry.entry for entry in some])
        if not models:
            self._looks = 0
            return "as planned"
        if self._looks == MOST_LOOKS:
            self._looks = 0
            return "too fast"
        self._looks += 1
        self.diff(models)
        return "again"

    def end(self) -> PlanReport:
        """Finish the plan if nothing is left that could be sent. What became of it."""
        with self.session.transaction():
            self.session.execute(query("plans", "lock_plan"), {"plan": self.plan})
            if find(self.session, self.plan).is_open and not self._is_going():
                self._finish()
        return report(self.session, self.plan)

    def _finish(self) -> None:
        told = report(self.session, self.plan, is_over=True)
        unbind(self.session, self.plan, "its plan is over")
        note(self.session, self.plan, "finished", by=self.by, run=self.run, detail=told.to_json())
        emit(
            Event.PLAN_ENDED, plan=self.plan, what="finished", sent=told.counts["sent"], held=told.counts["held"],
            not_yet=told.counts["not yet"], by=self.by,
        )  # fmt: skip

    def _is_going(self) -> bool:
        rows = self.session.execute(query("plans", "bound_states"), {"plan": self.plan}).fetchall()
        return any(row["state"] in GOING for row in rows)

    def _to_look_at(self, numbers: Sequence[int]) -> list[str]:
        if self.session.execute(query("plans", "has_changes")).fetchone() is not None:
            fan_out(self.session)
        row = self.session.execute(query("builds", "in_force")).fetchone()
        if row is not None and row["build"] != self.build:
            self.build = row["build"]
            return [name for name in self.models if name != CORRECTIONS]
        values = {"entries": list(numbers)}
        return [str(one["model"]) for one in self.session.execute(query("plans", "pending"), values)]

    def diff(self, models: Iterable[str]) -> None:
        """Bring the entries of these models up to what their views say now."""
        diff(self.database, self.settings, run=self.run, models=list(models), writers=self.writers)


def start(
    database: Database,
    settings: Settings,
    session: Session,
    name: str,
    *,
    by: str,
    run: UUID | None,
    writers: Writers,
    check: Check,
) -> Running:
    """Start a saved plan, or go on with it. Raises NotAsPlanned, naming what moved, with nothing bound; what forbids writing."""
    plan = find(session, name)
    planned = entries(session, plan.plan)
    running = Running(
        database=database,
        settings=settings,
        session=session,
        plan=plan.plan,
        build=plan.build,
        models=tuple(sorted({row["model"] for row in planned})),
        connections=tuple(sorted({row["connection"] for row in planned})),
        by=by,
        run=run,
        writers=writers,
        is_over=plan.what in ("finished", "released"),
    )
    if running.is_over:
        return running
    if not plan.is_open:
        _refuse_targets(session, settings, running.connections, planned)
        for connection in running.connections:
            check(connection)
    # Whatever moved since the last diff shows now: entries that are not what they were get another digest, bound ones are held.
    running.diff([model for model in running.models if model != CORRECTIONS])
    with session.transaction():
        session.execute(query("plans", "lock_plan"), {"plan": plan.plan})
        plan = find(session, plan.plan)
        if plan.is_open:
            note(session, plan.plan, "resumed", by=by, run=run)
        elif plan.what == "saved":
            _bind(running, plan, planned)
            note(session, plan.plan, "started", by=by, run=run)
        else:
            running.is_over = True
    emit(Event.PLAN_STARTED, plan=plan.plan, entries=plan.entries, resumed=plan.is_open, by=by)
    return running


def _bind(running: Running, plan: SavedPlan, planned: Sequence[Row]) -> None:
    session = running.session
    build = set_in_force(session)
    if build != plan.build:
        raise NotAsPlanned(
            f"Plan {plan.plan[:12]} was made with other models or lookups than those in force; nothing was sent.",
            cure="Save a new plan (`tieout plan --save`): it shows what is to be sent now.",
        )
    outbox.lock_keys(session, [_place(row) for row in planned])
    refused = {place for place, row in decided(session, plan.plan).items() if row["verb"] != "approve"}
    rows = [row for row in entries(session, plan.plan) if _place(row) not in refused]
    now = _as_they_are(running, rows)
    moved = compare(rows, now, _unmet(running, now), {_place(row) for row in planned})
    if moved:
        raise refusal(plan.plan, moved, len(planned))
    if not rows:
        raise NotAsPlanned(
            f"Every entry of plan {plan.plan[:12]} was refused.", cure="Save a new plan when there is something to send."
        )  # fmt: skip
    session.execute(
        query("plans", "bind"), {"plan": plan.plan, "entries": [row["open_entry"] for row in rows]}
    )


def _as_they_are(running: Running, rows: Sequence[Row]) -> dict[Place, tuple[Row, BatchEntry]]:
    """The entries that are open now for these keys, and what digest they have."""
    found = [
        {"entry": row["open_entry"], "connection": row["connection"], "entity": row["entity"]}
        for row in rows
        if row["open_entry"] is not None
    ]
    now = rows_of(running.session, running.settings, found, running.writers)
    batch = entries_of(running.session, running.settings, now)
    return {entry.place: (row, entry) for row, entry in zip(now, batch, strict=True)}


def _unmet(running: Running, now: dict[Place, tuple[Row, BatchEntry]]) -> dict[Place, set[Place]]:
    rows = [row for row, _ in now.values()]
    unmet = unmet_of(running.session, rows)
    return {_place(row): unmet.get(row["entry"], set()) for row in rows}


def _refuse_targets(
    session: Session, settings: Settings, connections: Sequence[str], planned: Sequence[Row]
) -> None:
    """A plan does not start when one of its targets may not be written to, or nobody looked what that one has already."""
    for name in connections:
        connection = settings.connection(name)
        reason = reason_not_to(session, connection)
        if reason is not None:
            raise ConfigurationError(
                f"The plan does not start: nothing is written to {name} ({reason}).",
                cure="Cure that (`tieout status`), or save a plan without it: `tieout plan --save --connection` names one target.",
            )
        creates = {
            row["entity"] for row in planned if row["connection"] == name and row["operation"] == "create"
        }
        closed = [entity for entity in going_live.closed(session, connection) if entity in creates]
        if closed:
            raise going_live.first_look(name, closed)


def _place(row: Row) -> Place:
    return (row["connection"], row["entity"], row["key"])
