"""A sweep: every driving record of a model looked at, in ranges, in parallel, in constant memory.

Comparing changes nothing, so several sessions do it at once, each a range: the same statement that a round begins with,
which names the records that differ. Those alone go through a round, on the session that holds the model's lock: it reads
them again under their own locks and decides. What changes behind a range leaves a changed key, as always.

A sweep that was not due finds nothing, when the rules by which changes lead to keys are right: first the changed keys are
worked off, then every difference that is left was announced by nobody, and is told as missed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc.changes import fan_out
from cdc.diff_round import Round
from cdc.diff_rows import Counts
from cdc.diff_work import attempt, kept_of, pin
from cdc.outbound import OutboundModel
from tieout.db import Database, json_dumps
from tieout.errors import BuildError
from tieout.queries import compose, query

RANGE = 500
"""Driving records that are compared by one statement."""
SESSIONS = min(8, os.cpu_count() or 1)
"""That compare at the same time: the work is the server's."""
NAMED = 10_000
"""Differences that are kept to be told as missed; beyond them only their number is known."""
SHOWN = 20

Session = psycopg.Connection[dict[str, Any]]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Differences that no changed key had announced."""

    records: int
    keys: tuple[str, ...]
    """Some of them, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did."""

    counts: Counts
    drivers: int
    missed: Missed | None = None


def sweep(
    connection: Session,
    database: Database,
    model: OutboundModel,
    work: Round,
    *,
    is_due: bool,
    tell: Callable[[str], None],
    sessions: int = SESSIONS,
) -> Swept:
    """Look at every driving record. The caller holds the lock of the model, and has worked off its changed keys unless the
    sweep is due. Raises BuildError for a row that names no driving record, Switched when the set is another one meanwhile.
    """
    connection.execute(query("diff", "begin_sweep" if is_due else "begin_proof"), {"model": model.name})
    mark = connection.execute(query("diff", "mark_of_model"), {"model": model.name}).fetchone()
    connection.execute(query("diff", "sweep_table"))
    connection.execute(query("diff", "clear_sweep"))
    statement = compose("diff", "sweep_drivers", view=model.relation)
    total = connection.execute(statement, {"model": model.name}).rowcount
    refuse_rows_without_driver(connection, model)
    connection.execute(query("diff", "analyze_sweep"))
    told, found = _Told(model.name, total, tell), _Found()
    counts = Counts()
    for some, drivers in _compared(connection, database, model, work, total, sessions):
        if drivers:
            counts += attempt(partial(_round, connection, model, work, drivers))
            found.add(work.effects)
        told.next(some)
    missed = None if is_due else _missed(connection, model, found)
    values = {
        "model": model.name,
        "mark": mark["mark"] if mark else "",
        "missed": Jsonb({"records": missed.records, "keys": missed.keys}, json_dumps) if missed else None,
    }
    connection.execute(query("diff", "end_sweep"), values)
    return Swept(counts=counts, drivers=total, missed=missed)


def refuse_rows_without_driver(connection: Session, model: OutboundModel) -> None:
    """Raise BuildError for a row that could never be looked at again."""
    row = connection.execute(query("diff", "undriven")).fetchone()
    if row is not None:
        raise BuildError(
            f"A row of {model.name} ({row['key'] or 'without a key'}) lacks _to, _key, _source_connection or _source_id.",
            cure="Each row names its target, its key and the record that drives it; rows that are not sent say so in _skip.",
        )


def _round(connection: Session, model: OutboundModel, work: Round, drivers: Pairs) -> Counts:
    with connection.transaction():
        pin(connection, model)
        return work.run(drivers)


def _compared(
    connection: Session, database: Database, model: OutboundModel, work: Round, total: int, sessions: int
) -> Iterator[tuple[int, Pairs]]:
    """Range by range: how many driving records were compared, and those that differ. One range: all of them, a round of
    their own costs no more than comparing them first.
    """
    if total <= RANGE or sessions < 2:
        for after in range(0, total, RANGE):
            drivers = _range(connection, after)
            yield len(drivers), drivers
        return
    with _pool(database, sessions, model.build) as compare:
        running: deque[tuple[int, Future[list[tuple[str, str]]]]] = deque()
        try:
            for after in range(0, total, RANGE):
                drivers = _range(connection, after)
                running.append((len(drivers), compare(partial(_differing, model, work, drivers))))
                # So few are on their way that memory does not grow with the records.
                if len(running) >= 2 * sessions:
                    some, future = running.popleft()
                    yield some, future.result()
            while running:
                some, future = running.popleft()
                yield some, future.result()
        finally:
            for _, future in running:
                future.cancel()


def _range(connection: Session, after: int) -> list[tuple[str, str]]:
    values = {"after": after, "until": after + RANGE}
    rows = connection.execute(query("diff", "sweep_range"), values)
    return [(row["source_connection"], row["source_id"]) for row in rows]


def _differing(
    model: OutboundModel, work: Round, drivers: Pairs, connection: Session
) -> list[tuple[str, str]]:
    with connection.transaction():
        pin(connection, model)
        return work.differing(connection, drivers)


@contextmanager
def _pool(
    database: Database, sessions: int, build: str
) -> Iterator[Callable[[Callable[[Session], list[tuple[str, str]]]], Future[list[tuple[str, str]]]]]:
    """Sessions that compare, each used by one thread at a time."""
    free: SimpleQueue[Session] = SimpleQueue()
    opened: list[Session] = []

    def step(compare: Callable[[Session], list[tuple[str, str]]]) -> list[tuple[str, str]]:
        session = free.get()
        try:
            return compare(session)
        finally:
            free.put(session)

    try:
        for _ in range(sessions):
            session = database.connect()
            opened.append(session)
            kept_of(session).build = build
            free.put(session)
        with ThreadPoolExecutor(sessions, thread_name_prefix="compare") as pool:
            yield lambda compare: pool.submit(step, compare)
    finally:
        for session in opened:
            session.close()


class _Told:
    """How far a sweep is, and how long it will take."""

    def __init__(self, model: str, total: int, tell: Callable[[str], None]) -> None:
        self._model: str = model
        self._total: int = total
        self._tell: Callable[[str], None] = tell
        self._done: int = 0
        self._began: float = time.monotonic()

    def next(self, some: int) -> None:
        self._done += some
        spent = time.monotonic() - self._began
        left = spent / self._done * (self._total - self._done) if self._done else 0
        text = f"{self._model}: {self._done:,} of {self._total:,} records"
        self._tell(f"{text}, {_duration(left)} left" if self._done < self._total else text)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _Found:
    """Differences of a sweep."""

    def __init__(self) -> None:
        self.records: int = 0
        self.effects: list[tuple[tuple[str, str], str]] = []

    def add(self, effects: Sequence[tuple[tuple[str, str], str]]) -> None:
        self.records += len(effects)
        self.effects += effects[: NAMED - len(self.effects)]


def _missed(connection: Session, model: OutboundModel, found: _Found) -> Missed | None:
    """What is left of the differences without those of records that changed while the sweep ran."""
    if not found.records:
        return None
    fan_out(connection)
    values = {
        "model": model.name,
        "source_connections": [driver[0] for driver, _ in found.effects],
        "source_ids": [driver[1] for driver, _ in found.effects],
        "keys": [key for _, key in found.effects],
    }
    rows = connection.execute(query("diff", "unannounced"), values).fetchall()
    records = found.records - len(found.effects) + len(rows)
    return Missed(records=records, keys=tuple(row["key"] for row in rows[:SHOWN])) if records else None
