"""`status`: the page for somebody who was woken: first whether the ledger is right, then what waits for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cdc import alerts, audit, conflicts, glance, installation, report
from cdc.glance import ConnectionStatus, Waiting
from cdc.report import Group
from console.frame import App, command
from console.loading import backfill_data, backfill_table
from console.report import Report, facts, minute, moneys, short, table, verdict
from console.saved import unfinished
from loaders.progress import backfills
from tieout.budget import Forecast, forecast

STATES = ("ready", "waiting", "held", "rejected", "sending", "in_doubt")
SHOWN_CHAINS = 10


@command("status")
def status(app: App) -> Report:
    """Say first whether the ledger is right and whether to run again, then what waits for whom.

    Example: tieout status
    """
    with app.database.connect() as database:
        found = glance.status(database, problem=installation.problem(database, app.settings))
        budgets = forecast(database)
        going = backfills(database, budgets)
        head = audit.head(database)
        letters = report.dead_letters(database)
        holds = report.holds(database)
        failing = alerts.failing_channels(database)
        clashing = conflicts.count(database)
        plans = unfinished(database)
    shown: list[RenderableType] = [verdict(found.is_good, found.verdict), _connections(found.connections)]
    if any(one.limit is not None or one.blocked_until is not None for one in budgets):
        shown.append(_budgets(budgets))
    if going:
        shown.append(backfill_table(going))
    if letters or holds:
        shown.append(_people([*letters, *holds]))
    if clashing:
        words = (
            f"Fields that both sides changed wait for a decision: {clashing}. `tieout conflicts` shows them."
        )
        shown.append(Text(words, style="yellow"))
    shown += [Text(words, style="yellow") for words in plans]
    if found.waiting:
        shown.append(_chains(found.waiting))
    shown += [
        Text(
            f"Alerts do not arrive: {row['channel']} {row['last_error']} since {minute(row['failing_since'])} UTC.",
            style="red",
        )
        for row in failing
    ]
    work = {name.replace("_", " "): count for name, count in found.work.items() if count}
    shown.append(
        facts("Work for the next commands", work)
        if work
        else Text("Nothing waits for load, diff or build.", style="dim")
    )
    # The head stands outside the database too, wherever this is printed: a chain that was cut off is then found.
    chained = f"{head.position:,} facts, head {head.digest[:16]}" + (
        f", {head.unsealed:,} not chained yet" if head.unsealed else ""
    )
    shown.append(
        facts(
            "Look inside", {"audit": chained, "psql": "tieout psql", "for BI": "schemas canonical and marts"}
        )
    )
    return Report(
        data={
            **_data(found),
            "failing_channels": failing,
            "conflicts": clashing,
            "unfinished_plans": plans,
            "audit": _fields(head),
            "budgets": [_fields(one) for one in budgets],
            "backfills": [backfill_data(one) for one in going],
        },
        shown=shown,
    )


def age(since: datetime | None, now: datetime | None = None) -> str:
    """How long ago that was, in the two largest units: `3 d 4 h`, `2 h 5 min`, `7 min`."""
    if since is None:
        return ""
    minutes = max(0, int(((now or datetime.now(UTC)) - since).total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _data(found: glance.Status) -> Mapping[str, Any]:
    return {
        "verdict": found.verdict, "ok": found.is_good, "right": found.is_right, "problem": found.problem,
        "proofs": [_fields(each) for each in found.proofs], "waits_for": [_fields(each) for each in found.people],
        "dead_letters": found.dead, "held": found.held, "work": dict(found.work),
        "connections": [{**_fields(one), "closed_because": one.closed_because} for one in found.connections],
        "stopped_chains": [_fields(one) for one in found.waiting],
    }  # fmt: skip


def _people(groups: Sequence[Group]) -> RenderableType:
    """Dead letters and holds by who can act, the oldest first."""
    ordered = sorted(groups, key=lambda group: (group.who or "operator", group.oldest))
    rows = [
        (
            group.who or "operator",
            f"{group.cause or group.held_for} ({group.entity.replace('_', ' ')})",
            "approve" if group.held_for else "cure",
            group.count,
            moneys(group.money),
            age(group.oldest),
        )
        for group in ordered
    ]
    title = "Who has to do what (`tieout dead-letters` and `tieout holds` say how)"
    return table(title, ("who", "what", "to", "records#", "money#", "for#"), rows)


def _connections(connections: Sequence[ConnectionStatus]) -> RenderableType:
    return table(
        "Connections",
        ("connection", "system", "who answers", "open entries", "loaded up to (UTC)", "writes"),
        [
            (
                one.connection,
                one.system,
                one.target_name,
                _open(one),
                minute(one.loaded_from) or "never",
                Text(one.closed_because, style="red") if one.closed_because else "",
            )
            for one in connections
        ],
        empty="No connection yet: `tieout connect NAME`.",
    )


def _budgets(budgets: Sequence[Forecast]) -> RenderableType:
    """The day of each connection that has one."""
    rows = [
        (
            one.connection,
            f"{one.used:,} of {one.limit:,}" if one.limit is not None else f"{one.used:,}",
            one.an_hour,
            f"day budget lasts until {one.lasts_until:%H:%M} UTC" if one.lasts_until is not None else "lasts",
            f"until {one.blocked_until:%H:%M} UTC" if one.blocked_until is not None else "",
        )
        for one in budgets
        if one.limit is not None or one.blocked_until is not None
    ]
    return table(
        "Calls", ("connection", "in 24 hours#", "an hour now#", "at this pace", "told to wait"), rows
    )


def _open(one: ConnectionStatus) -> str:
    counts = ", ".join(
        f"{one.states[state]} {state.replace('_', ' ')}" for state in STATES if one.states.get(state)
    )
    doubt = f" (for {age(one.oldest_in_doubt)})" if one.oldest_in_doubt else ""
    return f"{counts}{doubt}" or "none"


def _chains(waiting: Sequence[Waiting]) -> RenderableType:
    heads = waiting[:SHOWN_CHAINS]
    left = len(waiting) - len(heads)
    return table(
        "Stopped chains, the longest first" + (f" ({len(heads)} of {len(waiting)})" if left else ""),
        ("head of the chain", "is", "why", "for#", "waiting#", "money#"),
        [
            (
                f"{one.entity} {one.key}",
                one.head_state,
                short(one.reason, 70),
                age(one.since),
                one.entries,
                moneys(one.money),
            )
            for one in heads
        ],
    )


def _fields(each: object) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__dataclass_fields__}  # type: ignore[attr-defined]
