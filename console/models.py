"""What analysts use: `build`, `plan` and `lookups missing`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from cdc import against
from cdc import build as builder
from cdc import drift as drifts
from cdc import lookups as lookup
from cdc import plan as planner
from cdc.plan_batch import Scope
from console import drift, saved
from console.frame import App, command, progress
from console.plans import plan_data, shown_entry
from console.report import Report, counted, money, moneys, table, verdict
from tieout.errors import UsageError


@command("build")
@click.option("--force", is_flag=True, help="Build also when nothing changed.")
@click.option("--unit", is_flag=True, help="Run the models' unit tests too.")
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse lookups that name what the target does not have; else they are warnings.",
)
def build(app: App, force: bool, unit: bool, strict: bool) -> Report:
    """Build the models beside those in force, test and check them there, and switch in at once.

    Example: tieout build

    Run it when a model or lookup changed. Until the switch everything else reads the old set; a set that fails a test
    or a check is never put in force.
    """
    with app.run("build") as _, progress("build") as tell:
        built = builder.build(
            app.settings, app.database, force=force, unit=unit, strict=strict, progress=tell
        )
    if built.is_unchanged:
        words = "Nothing changed: the set in force stays."
    else:
        words = (
            f"In force: {built.outbound} outbound models and {built.marts} marts, {built.tests} tests passed"
            + (f", {built.unit_tests} unit tests passed" if unit else "")
            + f", in {built.seconds:.1f} s."
        )
    shown: list[RenderableType] = [words]
    if built.changed_models:
        shown.append(
            f"Changed: {', '.join(built.changed_models)}. Changes to documents that exist are held until `tieout holds approve`."
        )
    if built.warnings:
        shown.append(table("Warnings", ("what",), [(warning,) for warning in built.warnings]))
    return Report(
        data={
            "build": built.build,
            "unchanged": built.is_unchanged,
            "new": list(built.new_models),
            "changed": list(built.changed_models),
            "gone": list(built.gone_models),
            "tests": built.tests,
            "unit_tests": built.unit_tests,
            "warnings": list(built.warnings),
        },
        shown=shown,
    )


@command("plan")
@click.argument("key", required=False)
@click.option("--connection", help="Only this target.")
@click.option("--entity", help="Only this kind of record, such as invoices.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many entries are shown field by field.",
)
@click.option(
    "--against",
    "compare",
    is_flag=True,
    help="Instead: what the models and lookups as they lie there now would change.",
)
@click.option(
    "--models",
    "project_dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="With --against: the dbt project to compare (default: the one in the settings).",
)
@click.option(
    "--lookups",
    "lookups_dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="With --against: the folder of lookups to compare.",
)
@click.option(
    "--save",
    "is_saved",
    is_flag=True,
    help="Keep exactly this batch under the hash of its content, to approve it and send it with `tieout drain --plan`.",
)
@click.option(
    "--holds",
    is_flag=True,
    help="With --save: also what waits for a yes of its own (a model's hold, a lock date).",
)
def plan(
    app: App,
    key: str | None,
    connection: str | None,
    entity: str | None,
    limit: int,
    compare: bool,
    project_dir: Path | None,
    lookups_dir: Path | None,
    is_saved: bool,
    holds: bool,
) -> Report:
    """Show what the next drain would send, field by field, with the money and the calls. Sends nothing.

    Example: tieout plan shop/order/17

    With --save: the exact batch is kept under a hash. `tieout holds approve --plan HASH` approves it, `tieout drain --plan
    HASH` sends exactly that or nothing, `tieout plans show HASH` shows it for ever.

    With --against: build the models as they lie there now beside those in force, and show which rows and fields of the
    targets would change. Nothing is put in force.
    """
    if (project_dir or lookups_dir) and not compare:
        raise UsageError("--models and --lookups say what to compare with.", cure="Add --against.")
    if holds and not is_saved:
        raise UsageError("--holds says what a saved plan takes in.", cure="Add --save.")
    if compare:
        with progress("compare") as tell:
            return _against(
                against.compare(
                    app.settings,
                    app.database,
                    project_dir=project_dir,
                    lookups_dir=lookups_dir,
                    shown=limit,
                    progress=tell,
                )
            )
    if is_saved:
        return saved.save(
            app, Scope(connection=connection, entity=entity, key=key, holds=holds), limit
        )  # fmt: skip
    with app.database.connect() as session:
        found = planner.plan(
            session, app.settings, connection=connection, entity=entity, key=key, limit=limit
        )
        drifting = drifts.drifting(session, connection=connection, entity=entity, key=key)
        scope = Scope(connection=connection, entity=entity, key=key)
        batch, about_batch = saved.unsaved(app, session, scope, found.total)
    columns = ("target", "entity", "operation", "state", "entries#", "amount#", "calls#")
    shown: list[RenderableType] = [
        table(
            "The outbox",
            columns,
            [
                (
                    each.connection,
                    each.entity,
                    each.operation,
                    each.state,
                    each.entries,
                    money(each.amount, each.currency) if each.currency else "",
                    each.calls,
                )
                for each in found.sums
            ],
            empty="Nothing would be sent.",
        )
    ]
    if key is not None and not found.total:
        shown.append(
            f"No open entry has a key that begins with {key}: `tieout why {key}` says what became of it."
        )
    shown += [shown_entry(each) for each in found.entries]
    if found.total > len(found.entries):
        shown.append(
            f"{found.total - len(found.entries)} more: raise --limit, or name the beginning of a key."
        )
    shown += about_batch
    if drifting.total:
        shown += [*drift.section(drifting), "`tieout drift --rows 5` shows the documents line by line."]
    return Report(data=plan_data(found) | {"drift": drift.data(drifting), "batch": batch}, shown=shown)


@click.group()
def lookups() -> None:
    """Lookups: the CSV files that say which account, tax type or clearing account is meant.

    Example: tieout lookups missing
    """


@command("missing")
def missing(app: App) -> Report:
    """Print the rows that are missing in lookups, ready to paste, with the documents and money that wait for each.

    Example: tieout lookups missing
    """
    with app.database.connect() as session:
        rows = lookup.missing(session)
    return Report(
        data={
            "missing": [
                {
                    "file": row.file,
                    "row": row.row,
                    "documents": row.documents,
                    "amount": row.amount,
                    "currency": row.currency,
                    "reason": row.reason,
                    "example": row.example,
                }
                for row in rows
            ]
        },
        shown=[
            *_to_paste(rows),
            "Add the rows, then `tieout build`; the next `tieout sync` delivers what waited.",
        ]
        if rows
        else ["No lookup lacks a row."],
    )


def _to_paste(rows: Sequence[lookup.MissingRow]) -> Iterator[RenderableType]:
    """Each missing row on a line of its own, whole, under the file that it belongs into."""
    for file in dict.fromkeys(row.file for row in rows):
        parts = [Text(file or "No file is named", style="bold")]
        for row in rows:
            if row.file == file:
                waits = f"  {counted(row.documents, 'document')}, {money(row.amount, row.currency)}, such as {row.example}: {row.reason}"
                parts += [Text(row.row, no_wrap=True, overflow="ignore"), Text(waits, style="dim")]
        yield Group(*parts)


lookups.add_command(missing)


def _against(found: against.Against) -> Report:
    shown: list[RenderableType] = [
        table(
            "What would change",
            ("model", "new#", "gone#", "changed#", "total before#", "total after#"),
            [
                (
                    each.model,
                    each.new,
                    each.gone,
                    each.changed,
                    moneys(each.total_before),
                    moneys(each.total_after),
                )
                for each in found.models
                if each.new or each.gone or each.changed
            ],
            empty="",
        )
    ]
    if found.posted:
        shown.append(
            table(
                "What it would do to the accounts of documents that are posted already",
                ("month", "account", "side", "amount#", "in base currency#", "documents#", "model", "and then"),
                [
                    (each.posting.period, each.posting.account, each.posting.side, money(each.posting.amount, each.posting.currency),
                     each.posting.base, each.documents, each.model, "drift (frozen)" if each.is_frozen else "changed in the target")
                    for each in found.posted
                ],
            )
        )  # fmt: skip
    shown += [
        table(
            f"{row.kind} {row.model} {row.key}" + (f" line {row.line}" if row.line else ""),
            ("field", "before", "after"),
            [(field.name, field.before, field.after) for field in row.fields],
        )
        for row in found.rows
    ]
    same = verdict(True, "The same of every row: nothing would change.")
    return Report(
        data={
            "same": found.is_same,
            "models": [{"model": each.model, "new": each.new, "gone": each.gone, "changed": each.changed, "total_before": each.total_before,
                        "total_after": each.total_after} for each in found.models],
            "posted": [{"model": each.model, "frozen": each.is_frozen, "documents": each.documents, **each.posting.to_json()} for each in found.posted],
            "rows": [{"model": row.model, "key": row.key, "line": row.line, "kind": row.kind,
                      "fields": [{"name": field.name, "before": field.before, "after": field.after} for field in row.fields]} for row in found.rows],
        },
        shown=[same] if found.is_same else shown,
    )  # fmt: skip
