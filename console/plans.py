"""How a plan looks: each entry field by field, and the same as data."""

from __future__ import annotations

from rich.console import RenderableType

from cdc import plan as planner
from console import fields
from console.report import money, short, table


def shown_entry(entry: planner.PlannedEntry) -> RenderableType:
    """One entry, field by field."""
    amount = f", {money(entry.amount, entry.currency)}" if entry.amount is not None else ""
    title = f"{entry.operation} {entry.entity} {entry.key} ({entry.state}{amount})"
    if entry.reason:
        title += f": {short(entry.reason)}"
    before = {each.name: each.before for each in entry.fields}
    after = {each.name: each.after for each in entry.fields}
    changed = [(path, old, new) for path, (old, new) in fields.rows((before, after)) if old != new]
    return table(title, ("field!", "before", "after"), changed, empty=f"{title}: no field changes.")


def plan_data(found: planner.Plan) -> dict[str, object]:
    """A plan as data."""
    return {
        "total": found.total,
        "sums": [
            {"connection": each.connection, "entity": each.entity, "operation": each.operation, "state": each.state, "entries": each.entries,
             "amount": each.amount, "currency": each.currency, "calls": each.calls}
            for each in found.sums
        ],
        "entries": [
            {"connection": each.connection, "entity": each.entity, "key": each.key, "operation": each.operation, "state": each.state,
             "reason": each.reason, "amount": each.amount, "currency": each.currency,
             "fields": [{"name": field.name, "before": field.before, "after": field.after} for field in each.fields]}
            for each in found.entries
        ],
    }  # fmt: skip
