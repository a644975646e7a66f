"""Retention: `retain`. Old months go to files before they leave the database; a file is put back to be looked at."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from cdc import archived, retention
from cdc.retention import Part, Retained
from console.frame import App, command
from console.report import Report, counted, facts, table, verdict
from console.setup import person as who_decides
from tieout.errors import UsageError
from tieout.migrate import unit_of_work
from tieout.retention import Retention
from tieout.settings import Settings

GROUPS = ("history", "entries", "runs", "audit")


def folder_of(settings: Settings) -> Path:
    """Where archived months are written."""
    return settings.retention.folder or settings.data_dir / "archive"


@command("retain")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="MONTHS",
    help="Whole months that stay; default: as the settings say.",
)
@click.option(
    "--table",
    "group",
    type=click.Choice(GROUPS),
    help="Only these: what changed, what was sent, commands with the totals of proofs, or the audit.",
)
@click.option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files go; default: retention.folder.",
)
@click.option(
    "--restore", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put an archived file back into the schema `archive`, to be looked at; nothing else is done.",
)  # fmt: skip
def retain(
    app: App, keep: int | None, group: str | None, dry_run: bool, folder: Path | None, file: Path | None
) -> Report:
    """Archive old months of what grows for ever, and take them out of the database: docs/retention.md.

    Example: tieout retain --dry-run

    A month is written to a file, read back and compared before it is dropped, and `tieout audit verify --archive` proves it ever
    after. Without [retention] in the settings nothing is dropped: rows only find their months. Run it as the owner of the tables.
    """
    if file is not None:
        return _put_back(app, file)
    wanted = _wanted(app.settings.retention, keep, group)
    place = folder or folder_of(app.settings)
    with app.database.connect(direct=True, lease_seconds=None) as session, unit_of_work(session):
        done = retention.retain(
            session, wanted, place, by=who_decides(), is_done=not dry_run,
            told=lambda line: click.echo(line, err=True),
        )  # fmt: skip
    return Report(data=_data(done, place), shown=list(_shown(done, wanted, place)))


def _wanted(settings: Retention, keep: int | None, group: str | None) -> Retention:
    chosen = [group] if group else list(GROUPS)
    if keep is not None and group is None and settings.audit_months == 0:
        # A number for all is no word about the audit, which stays whole unless somebody says so.
        chosen = [name for name in GROUPS if name != "audit"]

    def months(name: str, as_set: int) -> int:
        return (keep if keep is not None else as_set) if name in chosen else 0

    wanted = Retention(
        folder=settings.folder,
        history_months=months("history", settings.history_months),
        entries_months=months("entries", settings.entries_months),
        runs_months=months("runs", settings.runs_months),
        audit_months=months("audit", settings.audit_months),
    )
    entries = wanted.entries_months or settings.entries_months
    if wanted.audit_months and (not entries or wanted.audit_months < entries):
        raise UsageError(
            "The audit proves the entries: it must stay at least as long as they do.",
            cure="Set retention.entries_months, or keep the audit for longer.",
        )
    return wanted


def _shown(done: Retained, wanted: Retention, place: Path) -> list[RenderableType]:
    gone = [part for part in done.parts if not part.because]
    stay = [part for part in done.parts if part.because]
    rows = sum(part.rows for part in gone)
    does = "went to" if done.is_done else "would go to"
    kept = {name: getattr(wanted, f"{name}_months") for name in GROUPS}
    if not any(kept.values()):
        sentence = (
            "Nothing is to be dropped: [retention] in the settings says for how many months what stays."
        )
    else:
        sentence = f"{counted(rows, 'row')} of {counted(len(gone), 'month')} {does} {place}."
    shown: list[RenderableType] = [verdict(True, sentence)]
    if any(kept.values()):
        title = "Archived" if done.is_done else "To be archived"
        rows_of = [(*_name(part), f"{part.rows:,}", f"{part.bytes:,}", part.file or "") for part in gone]
        columns = ("table", "month", "rows#", "bytes#", "file")
        shown.append(table(title, columns, rows_of, empty="No month is old enough."))
    if stay:
        shown.append(
            table("Stays", ("table", "month", "because"), [(*_name(part), part.because) for part in stay])
        )
    if done.moved:
        title = "Moved to their month" if done.is_done else "Not in their month yet"
        moved = [(*_name(part), f"{part.rows:,}") for part in done.moved]
        shown.append(table(title, ("table", "month", "rows#"), moved))
    months = {
        f"keeps {name}": counted(number, "month") if number else "for ever" for name, number in kept.items()
    }
    shown.append(facts("Settings", months))
    return shown


def _name(part: Part) -> tuple[str, str]:
    return f"cdc.{part.relation}", f"{part.month:%Y-%m}"


def _put_back(app: App, file: Path) -> Report:
    with app.database.connect() as session:
        back = archived.put_back(session, file)
    known = (
        "the database noted it when it was archived" if back.is_known else "this database knows no such file"
    )
    return Report(
        data={"table": back.table, "rows": back.rows, "known": back.is_known},
        shown=[
            verdict(
                back.is_known, f"{counted(back.rows, 'row stands', 'rows stand')} in {back.table}: {known}."
            ),
            f"Look at it with `tieout psql`; `drop table {back.table}` when you are done.",
        ],
    )


def _data(done: Retained, place: Path) -> dict[str, object]:
    return {
        "done": done.is_done, "folder": place, "months_made": done.made,
        "parts": [
            {
                "table": part.relation, "month": f"{part.month:%Y-%m}", "rows": part.rows, "bytes": part.bytes,
                "file": part.file, "stays_because": part.because or None,
            }
            for part in done.parts
        ],
        "moved": [{"table": part.relation, "month": f"{part.month:%Y-%m}", "rows": part.rows} for part in done.moved],
    }  # fmt: skip
