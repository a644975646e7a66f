"""The data path: `load`, `diff`, `drain`, `marts`, `sync`, and `prove`. Each does one bounded piece of work and ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

import click
from rich.text import Text

from cdc import diff as differ
from cdc import drain as drainer
from cdc import marts as mart
from cdc import proof, report
from cdc import shadow as shadower
from cdc.diff import ModelDiff
from cdc.outbound import models_in_force
from cdc.proof_period import Period
from console.alerting import tell_quietly
from console.frame import App, command, progress
from console.loading import bars, error_data, in_words, load_each, load_report
from console.proofs import shown_proof
from console.report import Report, counted, table, verdict, worst
from console.saved import outcome, outcome_data, unfinished
from console.setup import person
from console.shadows import shown_shadow
from tieout.errors import ExitCode, UsageError

FailOn = Literal["new", "any", "none"]

BACKFILL_SECONDS = 600.0
"""`sync` goes on with first loads for so long a run: what is fresh must not wait for them. `load` reads them to their end."""

fail_on = click.option(
    "--fail-on",
    type=click.Choice(["new", "any", "none"]),
    default="new",
    show_default=True,
    help="Exit 5 when records newly need a person, when any does, or never.",
)


@command("load")
@click.argument("connection", required=False)
@click.option("--stream", "streams", multiple=True, help="Only this stream; may be repeated.")
@click.option("--full", is_flag=True, help="Read everything again, whatever the cursors say.")
@click.option(
    "--sweep",
    "swept",
    is_flag=True,
    help="Also look for what time stamps do not show: deletions, silent edits. Nightly.",
)
@click.option(
    "--accept-shrink", is_flag=True, help="More than a tenth of a stream is really gone: mark it as deleted."
)
@fail_on
def load(
    app: App,
    connection: str | None,
    streams: tuple[str, ...],
    full: bool,
    swept: bool,
    accept_shrink: bool,
    fail_on: FailOn,
) -> Report:
    """Mirror what changed in the systems into staging tables.

    Example: tieout load shop --stream orders

    Ctrl-C ends it between two pages, with exit code 4: what was read is kept, and the next load goes on from there.
    """
    with (
        app.run("load", {"connection": connection, "streams": streams, "full": full}) as run,
        bars() as tell,
    ):
        loaded, errors = load_each(
            app, run, connection, streams, tell=tell, full=full, swept=swept, accept_shrink=accept_shrink
        )
        return with_exit_code(app, load_report(loaded, errors), fail_on, run, is_load=True)


@command("diff")
@click.option("--model", "models", multiple=True, help="Only this outbound model; may be repeated.")
@click.option("--full", is_flag=True, help="Compare every record, not only those whose inputs changed.")
@fail_on
def diff(app: App, models: tuple[str, ...], full: bool, fail_on: FailOn) -> Report:
    """Compare what targets should contain with what was last agreed, and put the difference into the outbox.

    Example: tieout diff

    Nothing is sent. `tieout plan` shows the entries, `tieout drain` sends those that are ready. With --full every record is
    compared; what differs then though no change had announced it is named as missed: a `dirty` rule of its model is wrong.
    """
    _refuse_unknown(app, models)
    with app.run("diff", {"models": models, "full": full}) as run, progress("diff") as tell:
        found = differ.diff(
            app.database, app.settings, run=run, full=full, models=models or None, progress=tell
        )
        return with_exit_code(app, diff_report(found), fail_on, run)


def _refuse_unknown(app: App, models: Sequence[str]) -> None:
    """A misspelt model would be one without changes."""
    if not models:
        return
    with app.database.connect() as session:
        known = sorted(model.name for model in models_in_force(session))
    unknown = [name for name in models if name not in known]
    # Before the first build the diff itself says what to do.
    if known and unknown:
        raise UsageError(
            f"The models in force have no outbound model {unknown[0]!r}.",
            cure=f"Choose from: {', '.join(known)}.",
        )


def diff_report(found: differ.Diffed) -> Report:
    """What a diff put into the outbox, a row a model."""
    columns = ("drivers", "created", "updated", "removed", "held", "dropped", "skipped", "drift", "missed")
    rows = [(each.model, *(getattr(each, name) for name in columns)) for each in found.models]
    return Report(
        data={
            "changes": found.changes,
            "changes_without_keys": found.changes_without_keys,
            "models": [dict(zip(("model", *columns), row, strict=True)) for row in rows],
            "unread": {model: list(streams) for model, streams in found.unread.items()},
            "missed": {each.model: list(each.missed_keys) for each in found.models if each.missed},
            "errors": [error_data(error) for error in found.errors],
        },
        exit_code=worst(found.errors),
        errors=found.errors,
        shown=[
            table(
                "Difference",
                ("model", *(f"{name.replace('_', ' ')}#" for name in columns)),
                [row for row in rows if any(row[1:])],
                empty="Difference: nothing to look at.",
            ),
            *(_missed(each) for each in found.models if each.missed),
            *_without_keys(found),
            *_unread(found),
        ],
    )


def _without_keys(found: differ.Diffed) -> list[Text]:
    """What was loaded and led to nothing, so that nobody looks for it."""
    if not found.changes_without_keys:
        return []
    return [
        Text(
            f"{found.changes_without_keys:,} of {counted(found.changes, 'change')} led to no model:"
            " what changed in them is read by none."
        )
    ]


def _unread(found: differ.Diffed) -> list[Text]:
    """What waits for the end of first loads."""
    if not found.unread:
        return []
    streams = ", ".join(sorted({each for names in found.unread.values() for each in names}))
    words = f"{counted(len(found.unread), 'model waits', 'models wait')} for the end of the first load of {streams}: see `tieout status`."
    return [Text(words, style="yellow")]


def _missed(found: ModelDiff) -> Text:
    """What a sweep found that no change had announced."""
    more = (
        f" and {found.missed - len(found.missed_keys)} more" if found.missed > len(found.missed_keys) else ""
    )
    return Text(
        f"{found.model}: {found.missed} differed though no change had announced them: {', '.join(found.missed_keys)}{more}. "
        "They are in the outbox now. Correct the `dirty` rules in the yml of the model, then run `tieout build`.",
        style="red",
    )


@command("drain")
@click.argument("connection", required=False)
@click.option("--plan", metavar="HASH", help="Send exactly this saved plan or nothing; again: go on.")
@fail_on
def drain(app: App, connection: str | None, plan: str | None, fail_on: FailOn) -> Report:
    """Send what is ready in the outbox to the targets that accept writes.

    Example: tieout drain books

    A call whose answer was lost is never just repeated: the target is asked first what became of it.
    With --plan: only the entries of a saved plan, all of them as planned and approved; else exit 3, what moved is named, and
    nothing is sent. What moves while it runs is held. Stopped in between, the same command goes on.
    """
    if connection and plan:
        raise UsageError("A plan names its targets itself.", cure="Leave the connection out.")
    with app.run("drain", {"connection": connection, "plan": plan}) as run, progress("drain") as tell:
        drained = drainer.drain(
            app.database,
            app.settings,
            run=run,
            connections=[connection] if connection else None,
            progress=tell,
            plan=plan,
            by=person(),
        )
        return with_exit_code(app, drain_report(drained), fail_on, run)


def drain_report(drained: drainer.Drained) -> Report:
    """What was sent and what came of it; targets that were not written to, and why."""
    columns = ("calls", "applied", "unchanged", "adopted", "rejected", "held", "in_doubt", "later", "waiting")
    data = {name: getattr(drained, name) for name in columns}
    rows = [tuple(data.values())] if any(data.values()) else []
    shown = [
        table(
            "Sent", [f"{name.replace('_', ' ')}#" for name in columns], rows, empty="Sent: nothing was ready."
        )
    ]
    if drained.plan is not None:
        shown += outcome(drained.plan)
    if drained.not_written:
        shown.append(table("Not written to", ("target", "why"), sorted(drained.not_written.items())))
    return Report(
        data={
            **data,
            "not_written": dict(drained.not_written),
            "plan": outcome_data(drained.plan) if drained.plan is not None else None,
            "errors": [error_data(error) for error in drained.errors],
        },
        shown=shown,
        exit_code=worst(drained.errors),
        errors=drained.errors,
    )


@command("marts")
def marts(app: App) -> Report:
    """Refresh the BI tables by what changed.

    Example: tieout marts
    """
    with app.run("marts") as run, progress("marts"):
        refreshed = mart.refresh(app.database, run=run)
    return marts_report(refreshed)


def marts_report(refreshed: Sequence[tuple[str, int]]) -> Report:
    """How many rows of each mart were made again."""
    rows = list(refreshed)
    return Report(
        data={"marts": dict(rows)},
        shown=[
            table(
                "Marts",
                ("mart", "rows refreshed#"),
                [row for row in rows if row[1]],
                empty="Marts: nothing changed.",
            )
        ],
    )


@command("sync")
@click.option("--prove/--no-prove", "with_proof", default=False, help="Prove the totals at the end.")
@fail_on
def sync(app: App, with_proof: bool, fail_on: FailOn) -> Report:
    """Load, diff, drain and refresh the marts, once.

    Example: tieout sync

    For a scheduler: run it every few minutes. When nothing changed it makes no write call. At its end it sends alerts.
    """
    reports: dict[str, Report] = {}
    with app.run("sync") as run, progress("sync") as tell:
        reports["load"] = load_report(
            *load_each(app, run, None, (), tell=in_words(tell), backfill_seconds=BACKFILL_SECONDS)
        )
        tell("diff")
        reports["diff"] = diff_report(differ.diff(app.database, app.settings, run=run, raises=False))
        reports["drain"] = drain_report(drainer.drain(app.database, app.settings, run=run, progress=tell))
        tell("marts")
        reports["marts"] = marts_report(mart.refresh(app.database, run=run))
        if with_proof:
            tell("prove")
            reports["prove"] = shown_proof(proof.prove(app.database, app.settings, run=run))
        joined = Report(
            data={**{name: each.data for name, each in reports.items()}, "alerts": tell_quietly(app)},
            shown=[part for each in reports.values() for part in each.shown],
            exit_code=next((each.exit_code for each in _by_urgency(reports.values())), ExitCode.DONE),
            errors=[error for each in reports.values() for error in each.errors],
        )
        return with_exit_code(app, joined, fail_on, run)


@command("prove")
@click.argument("connection", required=False)
@click.option(
    "--period", metavar="PERIOD", help="Only this month (2026-10), day, year or 2026-10-01..2026-10-15."
)
@click.option(
    "--block", is_flag=True, help="Exit 3 when anything due is not in the target, explained or not."
)
@click.option(
    "--shadow",
    metavar="MONTH",
    help="Compare what we would have posted in this month (2026-10) with what the ledger holds; writes nothing.",
)
def prove(
    app: App, connection: str | None, period: str | None, block: bool, shadow: str | None = None
) -> Report:
    """Prove that both sides agree: totals by currency and day, read afresh from the target.

    Example: tieout prove --period 2026-10 --block

    Count, net, tax, total, base currency, paid and outstanding; revenue by account, tax by type, clearing, debtors and
    the trial balance. Each difference is explained by the record behind it. Exit 5 when one is not; with --block, which
    stops a month-end script, exit 3 also when a document is held, waits or is a dead letter.

    With --shadow 2026-10 connections that may only read are enough, and nothing needs to be linked: what we would have posted
    in the month is compared with what the ledger holds, and what is missing, twice, different or without a source is named.
    """
    if shadow is not None:
        with app.run("prove", {"connection": connection, "shadow": shadow}), progress("shadow") as tell:
            compared = shadower.shadow(
                app.database, app.settings, shadow, connection=connection, progress=tell
            )
            made = shown_shadow(compared, shadow)
            app.outcome = made.exit_code
            return made
    limits = Period.parse(period) if period else None
    with app.run("prove", {"connection": connection, "period": period}) as run, progress("prove"):
        started = time.monotonic()
        proved = proof.prove(
            app.database,
            app.settings,
            run=run,
            connections=[connection] if connection else None,
            period=limits,
        )
        seconds = time.monotonic() - started
    made = shown_proof(proved, block=block)
    return Report(
        data={**made.data, "seconds": round(seconds, 1)}, shown=made.shown, exit_code=made.exit_code
    )


def with_exit_code(app: App, made: Report, fail_on: FailOn, run: UUID, *, is_load: bool = False) -> Report:
    """The same report with exit code 5 when records need a person, as `--fail-on` asks.

    `is_load`: it reports records that it could not store; entries are for those to report who make and send them.

    A run that was stopped keeps its own code, and what is newly dead stays new for the next one.
    """
    is_done = made.exit_code is ExitCode.DONE
    with app.database.connect() as database:
        found = report.newly_bad if is_load else report.newly_dead
        newly = found(database, run=run) if is_done else 0
        total = report.dead_total(database)
        plans = [] if is_load or made.data.get("plan") else unfinished(database)
    needs = is_done and {"new": newly > 0, "any": total > 0, "none": False}[fail_on]
    app.outcome = ExitCode.NEWLY_DEAD if needs else made.exit_code
    shown = [*made.shown, *plans]
    if newly:
        words = f"{counted(newly, 'record newly needs', 'records newly need')} a person ({total:,} in all): see `tieout dead-letters`."
        shown.append(verdict(False, words))
    data = {**made.data, "newly_dead": newly, "dead_letters": total}
    return Report(data=data, shown=shown, exit_code=app.outcome, errors=made.errors)


def _by_urgency(reports: Iterable[Report]) -> list[Report]:
    """Reports that did not simply end well: what stopped the work before what it found (5)."""
    left = [each for each in reports if each.exit_code is not ExitCode.DONE]
    return sorted(left, key=lambda each: each.exit_code is ExitCode.NEWLY_DEAD)
