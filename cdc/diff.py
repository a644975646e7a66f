"""What the models say against what the targets were told: the difference becomes entries of the outbox.

One diff a model at a time, by a lock taken in an earlier statement than any that reads. Each round of driving records is
one transaction: take changed keys, ask the view for their rows that differ, lock the links of those keys and of what they
refer to, read again what is known, decide, store. New entries are held by the guard until the model is through, because
only then is it known how many there are; a diff that dies leaves them so, and the next one counts them along. All is
level-triggered: a round that is lost or repeated changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from cdc import outbox
from cdc.changes import fan_out
from cdc.diff_round import Counts, Round
from cdc.guard import (
    SHRUNKEN,
    SHRUNKEN_CURE,
    VANISHED,
    Made,
    Posted,
    Standing,
    is_shrunken,
    refuse_unknown,
    stops,
)
from cdc.lately import Lately
from cdc.outbound import OutboundModel, models_in_force, pin_set
from cdc.postings import posts_of
from cdc.writing import Write, open_writers
from tieout.db import Database, lock, unlock
from tieout.errors import BuildError, TieoutError
from tieout.events import Event, emit
from tieout.limits import Limits
from tieout.migrate import unit_of_work
from tieout.queries import compose, query
from tieout.settings import Settings

DRIVERS = 500
"""Driving records in one transaction."""
ATTEMPTS = 5
MANY = 500
"""New entries after which the planner's statistics are taken afresh."""

Session = psycopg.Connection[dict[str, Any]]
Progress = Callable[[str], None]
Writers = Callable[[str], Mapping[str, Write]]
T = TypeVar("T")


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
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diffed:
    """One diff, by model in the order of reference."""

    changes: int
    models: tuple[ModelDiff, ...] = field(default_factory=tuple)
    errors: tuple[TieoutError, ...] = ()
    """Of models that failed, when they were not to be raised."""


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
    lately: Lately | None = None,
) -> Diffed:
    """Bring the outbox up to what the models say.

    `session`: an open, direct one to be used (and left open). `lately`: what counts along for the limits. `full` looks at
    every driving record. A model that fails does not stop the others; the first failure is raised at the
    end (unless `raises` is False: then all come back), and its keys are kept. Raises BuildError for a model that gives a key twice, an empty or missing view.
    """
    opened = nullcontext(session) if session is not None else database.connect(direct=True)
    with opened as connection, unit_of_work(connection):
        changes = fan_out(connection)
        in_force = models_in_force(connection)
        refuse_unknown(settings.limits, [model.name for model in in_force])
        chosen = [model for model in in_force if models is None or model.name in models]
        locked = sorted(model.name for model in chosen)
        for name in locked:
            lock(connection, f"diff:{name}")
        try:
            done, failures = _in_one_set(connection, settings, locked, run, full, writers, progress, lately)
        finally:
            if not connection.closed and not connection.broken:
                for name in locked:
                    unlock(connection, f"diff:{name}")
    if failures and raises:
        raise failures[0]
    return Diffed(changes=changes, models=tuple(done), errors=tuple(failures))


class _Switched(Exception):
    """`build` switched to another set of models between two rounds."""


def _in_one_set(
    connection: Session,
    settings: Settings,
    names: Sequence[str],
    run: UUID | None,
    full: bool,
    writers: Writers,
    progress: Progress | None,
    lately: Lately | None,
) -> tuple[list[ModelDiff], list[TieoutError]]:
    """All models, read now that nobody else can be at them; from the start when `build` switches meanwhile."""
    while True:
        chosen = [model for model in models_in_force(connection) if model.name in names]
        try:
            return _all(connection, settings, chosen, run, full, writers, progress, lately)
        except _Switched:
            continue


def _pin(connection: Session, model: OutboundModel) -> None:
    if pin_set(connection) != model.build:
        raise _Switched


def _all(
    connection: Session,
    settings: Settings,
    models: Sequence[OutboundModel],
    run: UUID | None,
    full: bool,
    writers: Writers,
    progress: Progress | None,
    lately: Lately | None,
) -> tuple[list[ModelDiff], list[TieoutError]]:
    through: list[tuple[OutboundModel, Counts, int, float]] = []
    failures: list[TieoutError] = []
    for model in models:
        started = time.monotonic()
        if progress is not None:
            progress(model.name)
        try:
            with _explained(model):
                counts, drivers = _look(
                    connection, model, run, full or model.sweep_due, writers(model.system)[model.entity]
                )
        except TieoutError as error:
            failures.append(error)
        else:
            through.append((model, counts, drivers, time.monotonic() - started))
    is_many = sum(counts.created + counts.updated + counts.removed for _, counts, *_ in through) >= MANY
    if is_many:
        connection.execute(query("outbox", "analyze_links"))
        connection.execute(query("outbox", "analyze_outbox"))
    with connection.transaction():
        connection.execute(query("outbox", "await_referrers"))
    for model, *_ in through:
        _guard(connection, settings, model, lately)
    for target in sorted({target for model, *_ in through for target in _targets(connection, model.name)}):
        outbox.check_references(connection, target)
    if is_many:
        # Again, because only now it shows how many wait: a settlement must find its waiters by index.
        connection.execute(query("outbox", "analyze_outbox"))
    return [_report(connection, run, *one) for one in through], failures


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


def _look(
    connection: Session, model: OutboundModel, run: UUID | None, sweep: bool, write: Write
) -> tuple[Counts, int]:
    """All rounds of one model. The counts, and how many driving records were looked at."""
    work = Round(connection, model, write, run)
    counts, drivers = Counts(), 0
    if sweep:
        counts, drivers = _sweep(connection, model, work)
    while True:
        some = _attempt(partial(_changed_round, connection, model, work))
        if some is None:
            return counts, drivers
        counts, drivers = counts + some[0], drivers + some[1]


def _changed_round(connection: Session, model: OutboundModel, work: Round) -> tuple[Counts, int] | None:
    with connection.transaction():
        _pin(connection, model)
        values = {"model": model.name, "limit": DRIVERS}
        rows = connection.execute(query("diff", "drivers"), values).fetchall()
        if not rows:
            return None
        return work.run(_pairs(rows)), len(rows)


def _sweep(connection: Session, model: OutboundModel, work: Round) -> tuple[Counts, int]:
    connection.execute(query("diff", "begin_sweep"), {"model": model.name})
    mark = connection.execute(query("diff", "mark_of_model"), {"model": model.name}).fetchone()
    connection.execute(query("diff", "sweep_table"))
    connection.execute(query("diff", "clear_sweep"))
    statement = compose("diff", "sweep_drivers", view=model.relation)
    total = connection.execute(statement, {"model": model.name}).rowcount
    _refuse_rows_without_driver(connection, model)
    counts = Counts()
    for after in range(0, total, DRIVERS):
        values = {"after": after, "until": after + DRIVERS}
        drivers = _pairs(connection.execute(query("diff", "sweep_range"), values).fetchall())
        counts += _attempt(partial(_sweep_round, connection, model, work, drivers))
    connection.execute(
        query("diff", "end_sweep"), {"model": model.name, "mark": mark["mark"] if mark else ""}
    )
    return counts, total


def _sweep_round(
    connection: Session, model: OutboundModel, work: Round, drivers: Sequence[tuple[str, str]]
) -> Counts:
    with connection.transaction():
        _pin(connection, model)
        return work.run(drivers)


def _attempt(step: Callable[[], T]) -> T:
    """Do a round; one that meets another's locks crosswise is rolled back by the server and done again."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return step()
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
    raise AssertionError("the last attempt raises")


def _guard(connection: Session, settings: Settings, model: OutboundModel, lately: Lately | None) -> None:
    with connection.transaction():
        values = {"model": model.name}
        limits = settings.limits.of(model.name)
        _notice_shrinking(connection, model.name, limits)
        made = [Made(**row) for row in connection.execute(query("outbox", "counted"), values)]
        counted = lately.with_passed(model.name, made) if lately is not None else made
        stopped = stops(counted, limits, _standing(connection, model))
        if lately is not None:
            lately.note(model.name, made, stopped)
        for stop in stopped:
            held = {
                "operations": list(stop.operations),
                "currency": stop.currency,
                "above": stop.above,
                "without_amount": stop.without_amount,
                "cause": stop.cause,
                "reason": stop.reason,
                "cure": _CURE,
            }
            connection.execute(query("outbox", "guard"), {**values, **held})
        if made:
            connection.execute(query("outbox", "lock_references"), values)
            connection.execute(query("outbox", "release_counted"), values)


def _standing(connection: Session, model: OutboundModel) -> Standing:
    values = {"model": model.name}

    def posted() -> Posted:
        rows = connection.execute(query("outbox", "posted"), values).fetchall()
        amounts = {row["currency"]: row["amount"] for row in rows if row["currency"] is not None}
        return Posted(amounts=amounts, unknown=sum(row["unknown"] for row in rows))

    return Standing(
        is_new=model.is_new,
        is_changed=model.is_changed,
        posts=posts_of(model.system, model.entity) is not None,
        linked=lambda: _linked(connection, model.name),
        posted=posted,
    )


def _linked(connection: Session, model: str) -> int:
    row = connection.execute(query("outbox", "linked"), {"model": model}).fetchone()
    return int(row["records"]) if row is not None else 0


def _notice_shrinking(connection: Session, model: str, limits: Limits) -> None:
    """Many rows that vanished at once are one thing that happened to the input, and told so."""
    causes = {"model": model, "one": VANISHED, "many": SHRUNKEN}
    row = connection.execute(query("outbox", "vanished"), causes).fetchone()
    if row is None or not row["entries"]:
        return
    shrunken = is_shrunken(row["entries"], limits, _linked(connection, model))
    cause = {"cause": SHRUNKEN if shrunken else VANISHED, "cure": SHRUNKEN_CURE if shrunken else None}
    connection.execute(query("outbox", "name_vanished"), {**causes, **cause})


_CURE = "Look at `tieout plan`, then approve with `tieout holds approve`, or refuse."


def _refuse_rows_without_driver(connection: Session, model: OutboundModel) -> None:
    row = connection.execute(query("diff", "undriven")).fetchone()
    if row is not None:
        raise BuildError(
            f"A row of {model.name} ({row['key'] or 'without a key'}) lacks _to, _key, _source_connection or _source_id.",
            cure="Each row names its target, its key and the record that drives it; rows that are not sent say so in _skip.",
        )


def _report(
    connection: Session, run: UUID | None, model: OutboundModel, counts: Counts, drivers: int, seconds: float
) -> ModelDiff:
    held = connection.execute(query("outbox", "held_counts"), {"model": model.name, "run": run}).fetchall()
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
        seconds=seconds,
    )
    emit(
        Event.DIFF_MODEL_FINISHED, model=model.name, connection=", ".join(_targets(connection, model.name)), keys=drivers,
        creates=report.created, updates=report.updated, removals=report.removed, held=report.held, waiting=0,
        skipped=report.skipped, drift=report.drift, seconds=round(seconds, 3),
    )  # fmt: skip
    return report


def _targets(connection: Session, model: str) -> list[str]:
    rows = connection.execute(query("outbox", "connections_of_model"), {"model": model}).fetchall()
    return sorted(row["connection"] for row in rows)


def _pairs(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["source_connection"], row["source_id"]) for row in rows]
