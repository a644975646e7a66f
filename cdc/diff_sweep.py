"""A sweep: every driving record of a model looked at, range by range, in constant memory.

Each range is a round as one of changed keys is, and read in several sessions like it (`diff_readers`). What changes behind a
range leaves a changed key, as always.

A sweep that was not due finds nothing, when the rules by which changes lead to keys are right: first the changed keys are
worked off, then every difference that is left was announced by nobody, and is told as missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc.changes import fan_out
from cdc.diff_round import Round
from cdc.diff_rows import Counts
from cdc.diff_work import attempt, pin
from cdc.outbound import OutboundModel
from tieout.db import json_dumps, together
from tieout.errors import BuildError
from tieout.queries import compose, query

RANGE = 1000
"""Driving records in one transaction."""
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
    model: OutboundModel,
    work: Round,
    *,
    is_due: bool,
    tell: Callable[[str], None],
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
    told, found = Told(f"{model.name}: {{:,}} of {{:,}} records", total, tell), _Found()
    counts = Counts()
    for after in range(0, total, RANGE):
        drivers = _range(connection, after)
        counts += attempt(partial(_round, connection, model, work, drivers))
        found.add(work.effects)
        told.next(len(drivers))
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
    with connection.transaction(), together(connection):
        pin(connection, model)
        return work.run(drivers)


def _range(connection: Session, after: int) -> list[tuple[str, str]]:
    values = {"after": after, "until": after + RANGE}
    rows = connection.execute(query("diff", "sweep_range"), values)
    return [(row["source_connection"], row["source_id"]) for row in rows]


class Told:
    """How far long work is, and how long it will take. `text` has room for what is done and for all there is."""

    def __init__(self, text: str, total: int, tell: Callable[[str], None]) -> None:
        self._text: str = text
        self._total: int = total
        self._tell: Callable[[str], None] = tell
        self._done: int = 0
        self._began: float = time.monotonic()

    def next(self, some: int) -> None:
        """So many more are done."""
        self._done += some
        # Changes that arrive meanwhile are looked at too.
        self._total = max(self._total, self._done)
        spent = time.monotonic() - self._began
        left = spent / self._done * (self._total - self._done) if self._done else 0
        text = self._text.format(self._done, self._total)
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
