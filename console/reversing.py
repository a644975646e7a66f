"""Taking back: `runs`, `reverse`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from cdc import diff as differ
from cdc import reverse as reversing
from cdc.reverse import Left, Proposed, Run, Step
from cdc.taken_back import cause_of
from console.frame import App, command, progress
from console.report import Report, counted, minute, money, moneys, short, table
from console.setup import person

SHOWN = 40


@command("runs")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Runs at most, the newest first.",
)
@click.option("--all", "everything", is_flag=True, help="Also runs that called no target.")
def runs(app: App, limit: int, everything: bool) -> Report:
    """List runs with what each wrote to the targets, so that one can be looked at or taken back.

    Example: tieout runs --limit 5
    """
    with app.database.connect() as session:
        found = reversing.runs(session, limit=limit, everything=everything)
    shown: list[RenderableType] = [
        table(
            "Runs",
            ("run!", "command", "started (UTC)", "ended", "wrote"),
            [
                (
                    str(run.run)[:8],
                    run.command,
                    minute(run.started_at),
                    "still running or killed" if run.finished_at is None else f"exit {run.exit_code}",
                    _written(run),
                )
                for run in found
            ],
            empty="No run has written anything yet.",
        )
    ]
    if found:
        shown.append(
            "Take one back: `tieout reverse RUN --reason …` shows what would be done; nothing is sent before a yes."
        )
    return Report(data={"runs": [_slots(run) for run in found]}, shown=shown)


@command("reverse")
@click.argument("run")
@click.option("--connection", help="Only what it wrote to this target.")
@click.option("--entity", help="Only this kind of record, such as invoices.")
@click.option("--reason", required=True, help="Kept with the decision, and shown by `why`.")
def reverse(app: App, run: str, connection: str | None, entity: str | None, reason: str) -> Report:
    """Propose to take back what a run wrote: voids, deletions, credit notes. Sends nothing before it is approved.

    Example: tieout reverse 3fa9c1d2 --reason "prices of the test shop"

    RUN is the begin of an id that `tieout runs` lists. Drafts are deleted, approved documents that nobody paid are voided,
    payments and allocations are removed first, paid or locked documents are credited on the first open day. The sources do not
    make the same again at the next diff: a record comes back only when its model says something else, after a yes.
    """
    with app.database.connect() as session:
        found = reversing.find(session, run)
        asked = reversing.ask(session, found, by=person(), reason=reason, target=connection, entity=entity)
    with app.run("reverse", {"run": str(found)}) as own, progress("reverse") as tell:
        if asked.models:
            differ.diff(app.database, app.settings, run=own, models=asked.models, progress=tell)
    with app.database.connect() as session:
        proposed = reversing.proposed(session, found)
    cause = cause_of(str(found))
    return Report(
        data={
            "run": found, "marked": asked.marked, "cause": cause, "steps": [_slots(step) for step in proposed.steps],
            "cannot": [_slots(left) for left in asked.left], "waiting": list(proposed.waiting),
        },
        shown=_shown(proposed, asked.left, cause),
    )  # fmt: skip


def _shown(proposed: Proposed, left: Sequence[Left], cause: str) -> list[RenderableType]:
    ready = [step for step in proposed.steps if step.cause == cause]
    other = [step for step in proposed.steps if step.cause != cause]
    shown: list[RenderableType] = [
        table(
            f"Would be taken back ({len(ready)})",
            ("target", "record", "how", "after", "amount#"),
            [
                (
                    step.connection,
                    f"{step.entity} {step.key}",
                    step.how,
                    ", ".join(step.after),
                    money(step.amount, step.currency),
                )
                for step in ready[:SHOWN]
            ],
            empty="Nothing can be taken back at once.",
        ),
        *_sums(ready),
    ]
    if other:
        rows = [(f"{step.entity} {step.key}", _both(step)) for step in other[:SHOWN]]
        shown.append(
            table(
                "Not at once, or only by a person in the target", ("record", "why, and what to do (→)"), rows
            )
        )
    if left:
        rows_left = [(f"{each.entity} {each.key}", each.why) for each in left[:SHOWN]]
        shown.append(table(f"Cannot be taken back ({len(left)})", ("record", "why"), rows_left))
    if proposed.waiting:
        names = ", ".join(proposed.waiting[:5]) + (" …" if len(proposed.waiting) > 5 else "")
        shown.append(f"Not sent yet and refer to it: {names}. They will need a person, or a new document.")
    if ready:
        shown.append(
            f'Next: `tieout holds approve --cause "{cause}"` and `tieout drain`; or `tieout holds refuse --cause "{cause}" --reason …`.'
        )
    return shown


def _sums(steps: Sequence[Step]) -> list[RenderableType]:
    counts: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    how_many: dict[tuple[str, str], int] = defaultdict(int)
    for step in steps:
        kind = (step.entity, step.how.partition(" ")[0])
        how_many[kind] += 1
        if step.amount is not None and step.currency is not None:
            counts[kind][step.currency] += step.amount
    rows = [
        (entity, how, how_many[entity, how], moneys(counts[entity, how])) for entity, how in sorted(how_many)
    ]
    return [table("In all", ("what", "how", "records#", "money#"), rows)] if rows else []


def _both(step: Step) -> RenderableType:
    return Text.assemble(short(step.reason), (f"\n→ {step.cure}", "green") if step.cure else "")


def _written(run: Run) -> str:
    parts = []
    for each in run.written:
        amount = money(Decimal(str(each["amount"])), each["currency"]) if each["amount"] is not None else ""
        entity = each["entity"].replace("_", " ")
        what = counted(each["entries"], entity.removesuffix("s"), entity)
        words = f"{what} {each['operation']}d in {each['connection']}"
        parts.append(f"{words} ({amount})" if amount else words)
    return "; ".join(parts) or "nothing"


def _slots(each: object) -> Mapping[str, Any]:
    return {name: getattr(each, name) for name in each.__dataclass_fields__}  # type: ignore[attr-defined]
