"""What the models say against what the targets were told: the difference becomes entries of the outbox.

One diff a model at a time, by a lock taken in an earlier statement than any that reads. Each round of driving records is
one transaction: take changed keys, ask the view for their rows that differ, lock the links of those keys and of what they
refer to, read again what is known, decide, store. New entries are held by the guard until the model is through, because
only then is it known how many there are; a diff that dies leaves them so, and the next one counts them along. All is
level-triggered: a round that is lost or repeated changes nothing.

Limits are of one model, so what it makes and changes is judged as soon as its own keys are through, and may leave while
others are still looked at; models that others refer to come first, those that nothing refers to last. What a model removes
waits until all are through: a removal must wait for the removals of what refers to it, and those models come later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from cdc import outbox
from cdc.changes import FannedOut, fan_out
from cdc.diff_guard import guard
from cdc.diff_readers import Readers, readers_of
from cdc.diff_round import Round
from cdc.diff_rows import Counts
from cdc.diff_sweep import Missed, Told, sweep
from cdc.diff_work import (
    Switched,
    Work,
    attempt,
    keep_set,
    kept_of,
    lock_models,
    look,
    models_of,
    refuse_switched,
    unlock_models,
)
from cdc.guard import refuse_unknown
from cdc.outbound import OutboundModel
from cdc.writing import Write, open_writers
from tieout.db import Database, together
from tieout.errors import BuildError, TieoutError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Settings

DRIVERS = 1000
"""Driving records in one transaction."""
READ_AHEAD = 4
"""Changed keys that are read for each of them."""
MANY = 500
"""New entries after which the planner's statistics are taken afresh."""

Session = psycopg.Connection[dict[str, Any]]
Progress = Callable[[str], None]
Writers = Callable[[str], Mapping[str, Write]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDiff:
    """What the diff of one model did: entries made, by kind."""

    model: str
    drivers: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    held: int = 0
    """Of them (and of those made before but still counted), held for a person."""
    dropped: int = 0
    skipped: int = 0
    drift: int = 0
    missed: int = 0
    """Differences that a sweep found though no change had announced them: a `dirty` rule is wrong."""
    missed_keys: tuple[str, ...] = ()
    """Some of them."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diffed:
    """One diff, by model in the order of reference."""

    changes: int
    """Of records, since the last diff."""
    changes_without_keys: int = 0
    """Of them, at least so many that led to no key, most of them in fields that no model reads."""
    models: tuple[ModelDiff, ...] = field(default_factory=tuple)
    errors: tuple[TieoutError, ...] = ()
    """Of models that failed, when they were not to be raised."""
    unread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Models that were not looked at, because first loads of what they read are not at their end. Their keys are kept."""


def diff(
    database: Database,
    settings: Settings,
    *,
    run: UUID | None = None,
    full: bool = False,
    models: Sequence[str] | None = None,
    writers: Writers = open_writers,
    progress: Progress | None = None,
    raises: bool = True,
    session: Session | None = None,
    counts_along: bool = False,
    is_proof: bool = True,
    is_told: bool = False,
) -> Diffed:
    """Bring the outbox up to what the models say.

    `session`: an open, direct one to be used (and left open). `counts_along`: what passed in the last minutes counts for the
    limits as if this diff had made it. `is_told`: there is news, which need not be asked. `full` looks at every driving record;
    with `is_proof` (the sweep is to find nothing) it says what no change had announced. A model that fails does not stop the
    others; the first failure is raised at the end (unless `raises` is False: then all come back), and its keys are kept. Raises
    BuildError for a model that gives a key twice, an empty or missing view.
    """
    opened = nullcontext(session) if session is not None else database.connect(direct=True)
    with (
        opened as connection,
        readers_of(connection, database, are_kept=session is not None) as readers,
        unit_of_work(connection),
    ):
        kept_of(connection)
        heard, work = FannedOut(), look(connection) if not is_told else None
        if work is None or work.has_changes:
            heard, work = fan_out(connection), look(connection)
        refuse_unknown(settings.limits, work.names)
        chosen = [name for name in work.names if models is None or name in models]
        task = _Task(
            connection=connection, readers=readers, settings=settings, run=run, full=full, is_proof=is_proof,
            writers=writers, progress=progress, counts_along=counts_along,
        )  # fmt: skip
        locked = [name for name in chosen if (full or name in work.waiting) and name not in work.unread]
        done: Mapping[str, ModelDiff] = {}
        failures: list[TieoutError] = []
        if locked:
            lock_models(connection, locked)
            try:
                done, failures = _in_one_set(task, locked)
            finally:
                unlock_models(connection, locked)
        else:
            _see_to_references(connection, work, ())
    if failures and raises:
        raise failures[0]
    looked = {name: done.get(name) for name in locked}  # a model that failed has no row
    return Diffed(
        changes=heard.changes,
        changes_without_keys=heard.without_keys,
        models=tuple(
            found for name in chosen if (found := looked.get(name, ModelDiff(model=name))) is not None
        ),
        errors=tuple(failures),
        unread={name: work.unread[name] for name in chosen if name in work.unread},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    connection: Session
    readers: Readers
    settings: Settings
    run: UUID | None
    full: bool
    is_proof: bool
    writers: Writers
    progress: Progress | None
    counts_along: bool

    def tell(self, text: str) -> None:
        if self.progress is not None:
            self.progress(text)


def _in_one_set(task: _Task, names: Sequence[str]) -> tuple[dict[str, ModelDiff], list[TieoutError]]:
    """All models, read now that nobody else can be at them; anew when `build` switches meanwhile."""
    while True:
        try:
            return _all(task, models_of(task.connection, names))
        except Switched:
            continue


def _all(task: _Task, models: Sequence[OutboundModel]) -> tuple[dict[str, ModelDiff], list[TieoutError]]:
    connection = task.connection
    through: list[tuple[OutboundModel, Looked, float]] = []
    failures: list[TieoutError] = []
    guarded: set[str] = set()
    known = _Statistics(connection)
    for model in _what_is_waited_for_first(models):
        started = time.monotonic()
        task.tell(model.name)
        try:
            with _explained(model):
                looked = _look(task, model)
        except TieoutError as error:
            failures.append(error)
            continue
        if looked.counts.made:
            known.made(looked.counts.made)
            if guard(connection, task.settings, model, counts_along=task.counts_along, is_last=False):
                guarded.add(model.name)
        through.append((model, looked, time.monotonic() - started))
    work = look(connection)
    if work.has_removals:
        with connection.transaction():
            connection.execute(query("waiting", "await_referrers"))
    late = [model for model, _, _ in through if model.name not in guarded and model.name in work.waiting]
    for model in late:
        # Entries of a diff that died are counted along; without any there is nothing to hold or to let go.
        guard(connection, task.settings, model, counts_along=task.counts_along)
    _see_to_references(connection, work, late)
    known.released()
    return {
        model.name: _report(connection, task.run, model, looked, spent) for model, looked, spent in through
    }, failures


def _what_is_waited_for_first(models: Sequence[OutboundModel]) -> list[OutboundModel]:
    """What others refer to stays before them; what nothing refers to (a status in the shop) is looked at last of all."""
    referred_to = {entity for model in models for entity in model.refers_to}
    return sorted(models, key=lambda model: (model.entity not in referred_to, model.position, model.name))


class _Statistics:
    """The planner's, taken afresh after many new entries: autovacuum would take a minute."""

    def __init__(self, connection: Session) -> None:
        self._connection = connection
        self._made = 0
        self._is_many = False

    def made(self, entries: int) -> None:
        """So many more."""
        self._made += entries
        if self._made >= MANY:
            self._made, self._is_many = 0, True
            self._connection.execute(query("outbox", "analyze_links"))
            self._connection.execute(query("outbox", "analyze_outbox"))

    def released(self) -> None:
        """Again, because only now it shows how many wait: a settlement must find its waiters by index."""
        if self._is_many:
            self._connection.execute(query("outbox", "analyze_outbox"))


def _see_to_references(connection: Session, work: Work, models: Sequence[OutboundModel]) -> None:
    """Entries that wait for a record, in the targets that had any and in those of models that were let go since."""
    touched = {target for model in models for target in _targets(connection, model.name)}
    for target in sorted(touched.union(work.referring)):
        outbox.check_references(connection, target)


@contextmanager
def _explained(model: OutboundModel) -> Iterator[None]:
    """What Postgres says about a view, as the mistake in a model that it is."""
    try:
        yield
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InvalidSchemaName,
    ) as error:
        raise BuildError(
            f"The view of {model.name} is missing or incomplete: {error}", cure="Run `tieout build`."
        ) from error
    except psycopg.DataError as error:
        raise BuildError(
            f"A row of {model.name} cannot be computed: {error}",
            cure="Cast in the staging model, so that a bad value becomes a problem of its row.",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What became of one model."""

    counts: Counts
    drivers: int
    missed: Missed | None = None


def _look(task: _Task, model: OutboundModel) -> Looked:
    """All rounds of one model."""
    connection = task.connection
    work = Round(connection, task.readers, model, task.writers(model.system)[model.entity], task.run)
    if not (task.full or model.sweep_due):
        return _changed(task, model, work)
    # Of a sweep that is not due the changed keys come first: what it finds then was announced by nobody.
    before = _changed(task, model, work) if not model.sweep_due else Looked(counts=Counts(), drivers=0)
    swept = sweep(connection, model, work, is_due=model.sweep_due or not task.is_proof, tell=task.tell)
    after = _changed(task, model, work)
    return Looked(
        counts=before.counts + swept.counts + after.counts,
        drivers=swept.drivers + after.drivers,
        missed=swept.missed,
    )


def _changed(task: _Task, model: OutboundModel, work: Round) -> Looked:
    """The changed keys."""
    connection, counts, drivers = task.connection, Counts(), 0
    told: Told | None = None
    while True:
        taken = attempt(partial(_changed_round, connection, model, work))
        counts, drivers = counts + taken.counts, drivers + taken.drivers
        if told is None and not taken.is_last:
            left = _keys_left(connection, model)
            told = Told(f"{model.name}: {{:,}} of {{:,}} changed keys", taken.keys + left, task.tell)
        if told is not None:
            told.next(taken.keys)
        if taken.is_last:
            return Looked(counts=counts, drivers=drivers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What one round did."""

    counts: Counts
    drivers: int
    keys: int
    """Consumed: several may lead to one driving record."""
    is_last: bool


def _changed_round(connection: Session, model: OutboundModel, work: Round) -> _Taken:
    """One transaction."""
    with connection.transaction(), together(connection):
        keep_set(connection)
        values = {"model": model.name, "limit": DRIVERS, "ahead": READ_AHEAD}
        found = connection.execute(query("diff", "drivers"), values, prepare=True).fetchall()
        refuse_switched(model, found[0] if found else None)
        rows = [row for row in found if row["source_id"] is not None]
        keys = sum(row["changes"] for row in rows)
        pairs = [(row["source_connection"], row["source_id"]) for row in rows]
        return _Taken(
            counts=work.run(pairs) if rows else Counts(),
            drivers=len(rows),
            keys=keys,
            is_last=len(rows) < DRIVERS and keys < READ_AHEAD * DRIVERS,
        )


def _keys_left(connection: Session, model: OutboundModel) -> int:
    row = connection.execute(query("diff", "keys_left"), {"model": model.name}).fetchone()
    return int(row["changes"]) if row is not None else 0


def _report(
    connection: Session, run: UUID | None, model: OutboundModel, looked: Looked, seconds: float
) -> ModelDiff:
    counts, drivers, missed = looked.counts, looked.drivers, looked.missed
    held = (
        connection.execute(query("limits", "held_counts"), {"model": model.name, "run": run}).fetchall()
        if counts.made
        else []
    )
    for row in held:
        emit(
            Event.DIFF_HELD, model=model.name, connection=row["connection"], held_for=row["held_for"],
            entries=row["entries"], reason=row["cause"],
        )  # fmt: skip
    report = ModelDiff(
        model=model.name,
        drivers=drivers,
        created=counts.created,
        updated=counts.updated,
        removed=counts.removed,
        held=sum(int(row["entries"]) for row in held),
        dropped=counts.dropped,
        skipped=counts.skipped,
        drift=counts.drift,
        missed=missed.records if missed is not None else 0,
        missed_keys=missed.keys if missed is not None else (),
        seconds=seconds,
    )
    if missed is not None:
        emit(Event.DIFF_MISSED, model=model.name, records=missed.records, keys=list(missed.keys))
    targets = _targets(connection, model.name) if counts.made else []
    emit(
        Event.DIFF_MODEL_FINISHED, model=model.name, connection=", ".join(targets), keys=drivers,
        creates=report.created, updates=report.updated, removals=report.removed, held=report.held, waiting=0,
        skipped=report.skipped, drift=report.drift, seconds=round(seconds, 3),
    )  # fmt: skip
    return report


def _targets(connection: Session, model: str) -> list[str]:
    rows = connection.execute(query("outbox", "connections_of_model"), {"model": model}).fetchall()
    return sorted(row["connection"] for row in rows)
