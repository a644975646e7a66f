"""`plans`: saved plans, what they hold and how they stand; `plan --save` and `drain --plan` show the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import RenderableType

from cdc import plan_report, plan_store
from cdc.plan_batch import Scope
from cdc.plan_read import materialise
from cdc.plan_store import SavedPlan
from cdc.writing import open_writers
from console import fields
from console.frame import App, Listing, command
from console.report import Report, minute, money, short, table, verdict
from console.setup import person

SHORT = 12
"""Characters of a hash that are shown; they may stand for it."""
SHOWN_OTHERS = 20
MOST_UNSAVED = 5_000
"""Entries; more take seconds to compute, and who only looks should not wait for them."""
_STANDING = {
    "saved": "saved, nothing of it sent",
    "started": "started, not over",
    "resumed": "started, not over",
    "finished": "over",
    "released": "released",
}


@click.group("plans", cls=Listing)
def plans() -> None:
    """Saved plans: the exact batches that were looked at, approved and sent.

    Example: tieout plans
    """


@command("list")
@click.option("--open", "is_open", is_flag=True, help="Only those that were started and are not over.")
def list_plans(app: App, is_open: bool = False) -> Report:
    """List saved plans, the one that something happened to last first.

    Example: tieout plans list --open
    """
    with app.database.connect() as session:
        found = plan_store.plans(session, is_open=True if is_open else None)
    rows = [
        (each.plan[:SHORT], _STANDING[each.what], each.entries, each.bound, minute(each.made_at), each.made_by,
         minute(each.happened_at), each.by_whom)
        for each in found
    ]  # fmt: skip
    columns = ("plan!", "stands", "entries#", "to send#", "saved", "by", "last", "by")
    return Report(
        data={"plans": [_head(each) for each in found]},
        shown=[table("Plans", columns, rows, empty="No plan was saved yet: `tieout plan --save`.")],
    )


@command("show")
@click.argument("plan")
@click.argument("keys", nargs=-1)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many entries are shown field by field.",
)
def show_plan(app: App, plan: str, keys: tuple[str, ...], limit: int) -> Report:
    """Show a saved plan: every field before and after, the accounts, the cost, who decided, what became of it.

    Example: tieout plans show 3f9a1c20b7d4
    """
    with app.database.connect() as session:
        found = plan_store.find(session, plan)
        return _report(session, found, keys or None, limit)


@command("release")
@click.argument("plan")
@click.option("--reason", required=True, help="Kept with the plan.")
def release(app: App, plan: str, reason: str) -> Report:
    """End a plan that was started: what it has not sent is as any other entry from now on.

    Example: tieout plans release 3f9a1c20b7d4 --reason "the rest waits for the auditor"
    """
    with app.database.connect() as session:
        found = plan_store.find(session, plan)
        count = plan_store.release(session, found.plan, by=person(), reason=reason)
    words = f"Released: {count} entries are sent by the next ordinary drain, or planned anew."
    return Report(data={"plan": found.plan, "released": count}, shown=[words])


for each_command in (list_plans, show_plan, release):
    plans.add_command(each_command)


def save(app: App, scope: Scope, limit: int) -> Report:
    """Keep the batch as it is now, and show it."""
    with app.run("plan", {**scope.to_json(), "save": True}) as run, app.database.connect() as session:
        batch = materialise(session, app.settings, scope, open_writers)
        name = plan_store.save(session, batch, by=person(), run=run)
        return _report(session, plan_store.find(session, name), None, limit)


def unsaved(
    app: App, session: plan_store.Session, scope: Scope, total: int
) -> tuple[dict[str, Any], list[RenderableType]]:
    """What `plan --save` would keep now, for a plan that is only looked at; of a very large one only --save computes it."""
    if not total:
        return {}, []
    if total > MOST_UNSAVED:
        return {}, ["Its accounts, cost and hash: `tieout plan --save`."]
    batch = materialise(session, app.settings, scope, open_writers)
    if not batch.entries:
        return {}, []
    summary = plan_store.summary(batch)
    words = f"`tieout plan --save` keeps this batch of {len(batch.entries)} entries as {batch.hash[:SHORT]}."
    return {"plan": batch.hash, "entries": len(batch.entries), "summary": summary}, [
        *summary_tables(summary),
        words,
    ]


def unfinished(session: plan_store.Session) -> list[str]:
    """A sentence for each plan that was started and is not over: nobody else sends what it binds."""
    return [
        f"Plan {each.plan[:SHORT]} is not over since {minute(each.happened_at)}: {each.bound} entries wait for"
        f" `tieout drain --plan {each.plan[:SHORT]}`, or `tieout plans release`."
        for each in plan_store.plans(session, is_open=True)
    ]


def outcome(report: plan_report.PlanReport) -> list[RenderableType]:
    """What became of a plan: counts, and each entry that was not simply sent."""
    rows = [
        (fate, report.counts[fate], words) for fate, words in plan_report.FATES.items() if report.counts[fate]
    ]
    shown: list[RenderableType] = [
        table(f"Plan {report.plan[:SHORT]}", ("what", "entries#", "that is"), rows)
    ]
    if report.others:
        shown.append(
            table(
                "Not simply sent",
                ("entity", "key", "what", "amount#", "why"),
                [
                    (each.entity, each.key, each.fate, money(each.amount, each.currency), short(each.reason))
                    for each in report.others[:SHOWN_OTHERS]
                ],
            )
        )
    if len(report.others) > SHOWN_OTHERS:
        shown.append(f"{len(report.others) - SHOWN_OTHERS} more: --json has all of them.")
    if report.counts["not yet"]:
        again = f"`tieout drain --plan {report.plan[:SHORT]}` goes on with it"
        shown.append(f"{report.counts['not yet']} not yet sent: {again}; `tieout plans release` ends it.")
    return shown


def outcome_data(report: plan_report.PlanReport) -> dict[str, Any]:
    """The same as data."""
    return {"plan": report.plan, "stands": report.what, "entries": report.entries, **report.to_json()}


def summary_tables(summary: Mapping[str, Any]) -> list[RenderableType]:
    """What a batch comes to: entries, money, calls; accounts by month; what it leaves out; what comes afterwards."""
    costs = {(each["connection"], each["entity"], each["operation"]): each for each in summary["costs"]}
    shown: list[RenderableType] = [
        table(
            "What it holds",
            ("target", "entity", "operation", "entries#", "held#", "waiting#", "amount#", "calls#", "KB#"),
            [
                (each["connection"], each["entity"], each["operation"], each["entries"], each["held"] or "", each["waiting"] or "",
                 money(each["amount"], each["currency"]) if each["currency"] else "", *_cost(costs, each))
                for each in summary["sums"]
            ],
        )
    ]  # fmt: skip
    if summary["accounts"]:
        shown.append(
            table(
                "What it does to the accounts",
                ("target", "month", "account", "side", "amount#", "in base currency#"),
                [
                    (each["connection"], each["period"] or "", each["account"], each["side"],
                     money(each["amount"], each["currency"]), each["base"])
                    for each in summary["accounts"]
                ],
            )
        )  # fmt: skip
    if summary["without_amount"]:
        shown.append(
            verdict(False, f"{summary['without_amount']} entries post to accounts and name no amount.")
        )
    if summary["left_out"]:
        shown.append(
            table(
                "Open, and not in this plan",
                ("target", "entity", "why", "entries#", "amount#", "for example"),
                [
                    (each["connection"], each["entity"], each["reason"], each["entries"],
                     money(each["amount"], each["currency"]) if each["currency"] else "", each["example"])
                    for each in summary["left_out"]
                ],
            )
        )  # fmt: skip
    shown += [
        f"Not in this plan: answers about {', '.join(each['follows'])} may lead to {each['entity']} in {each['system']}"
        f" ({each['model']}). They are entries of their own afterwards."
        for each in summary["afterwards"]
    ]
    return shown


def _cost(
    costs: Mapping[tuple[str, str, str], Mapping[str, Any]], of: Mapping[str, Any]
) -> tuple[object, object]:
    """Calls and kilobytes, in the row of the first currency of a kind."""
    each = (
        costs.pop((of["connection"], of["entity"], of["operation"]), None)
        if isinstance(costs, dict)
        else None
    )
    return ("", "") if each is None else (each["calls"], f"{each['size'] / 1000:.1f}")


def _report(session: plan_store.Session, found: SavedPlan, keys: Sequence[str] | None, limit: int) -> Report:
    entries = plan_store.entries(session, found.plan, keys=keys, limit=limit)
    decided = plan_store.decided(session, found.plan)
    became = plan_report.report(session, found.plan) if found.what != "saved" else None
    waits = found.summary["waiting_for_a_yes"] - len(decided)
    shown: list[RenderableType] = [
        f"Plan {found.plan[:SHORT]}: {found.entries} entries, {_STANDING[found.what]} "
        f"({minute(found.happened_at)}, {found.by_whom}). Its whole hash is {found.plan}.",
        *summary_tables(found.summary),
        *_decisions(decided),
        *(_entry(row) for row in entries),
    ]
    if keys is None and found.entries > len(entries):
        shown.append(
            f"{found.entries - len(entries)} more entries: raise --limit, or `tieout plans show PLAN KEY`."
        )
    if became is not None:
        shown += outcome(became)
    elif waits > 0:
        shown.append(
            f"{waits} wait for a yes: `tieout holds approve --plan {found.plan[:SHORT]}`, then"
            f" `tieout drain --plan {found.plan[:SHORT]}`."
        )
    else:
        shown.append(f"Next: `tieout drain --plan {found.plan[:SHORT]}` sends exactly this, or nothing.")
    return Report(
        data={
            **_head(found),
            "summary": found.summary,
            "decisions": [dict(row) for row in decided.values()],
            "plan_entries": [_entry_data(row) for row in entries],
            "outcome": outcome_data(became) if became is not None else None,
        },
        shown=shown,
    )


def _decisions(decided: Mapping[Any, Mapping[str, Any]]) -> Iterator[RenderableType]:
    groups: dict[tuple[str, str, str | None], int] = {}
    for row in decided.values():
        name = (row["verb"], row["decided_by"], row["reason"])
        groups[name] = groups.get(name, 0) + 1
    if groups:
        rows = [(verb, count, by, reason) for (verb, by, reason), count in groups.items()]
        yield table("Decided", ("what", "entries#", "by", "why"), rows)


def _entry(row: Mapping[str, Any]) -> RenderableType:
    amount = f", {money(row['amount'], row['currency'])}" if row["amount"] is not None else ""
    title = f"{row['position']}. {row['operation']} {row['entity']} {row['key']} ({row['state']}{amount})"
    if row["reason"]:
        title += f": {short(row['reason'])}"
    if row["needs"]:
        title += f", after {', '.join(f'{entity} {key}' for _, entity, key in row['needs'][:3])}"
    content = row["content"]
    if content is None:
        return table(title, ("field!",), [], empty=f"{title}: its content was removed on request.")
    changed = [
        (path, old, new)
        for path, (old, new) in fields.rows((content["before"], content["after"]))
        if old != new
    ]
    return table(title, ("field!", "before", "after"), changed, empty=f"{title}: no field changes.")


def _head(each: SavedPlan) -> dict[str, Any]:
    return {
        "plan": each.plan, "stands": each.what, "entries": each.entries, "to_send": each.bound, "made_at": each.made_at,
        "made_by": each.made_by, "last_at": each.happened_at, "last_by": each.by_whom, "reason": each.reason,
        "build": each.build, "chosen": dict(each.chosen),
    }  # fmt: skip


def _entry_data(row: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "position", "connection", "entity", "key", "model", "operation", "state", "reason", "amount", "currency",
        "document_date", "content", "needs", "effects", "payload_hash", "digest",
    )  # fmt: skip
    return {name: row[name] for name in names}
