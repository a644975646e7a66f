"""How dead letters and holds are shown: grouped by cause, with the cure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from cdc.report import Group
from console.report import money, table


def dead_letter_groups(groups: Sequence[Group]) -> list[RenderableType]:
    """One row a cause: how many, how much money, who can fix it, and one example with its cure."""
    return [
        table(
            "Dead letters",
            ("cause", "count#", "money#", "who can fix", "example", "what is wrong", "what to do"),
            [
                (group.cause, group.count, _money(group), group.who, group.example, group.reason, group.cure)
                for group in groups
            ],
            empty="No dead letters.",
        )
    ]


def hold_groups(groups: Sequence[Group]) -> list[RenderableType]:
    """One row a model and reason: how many, how much money, and one example."""
    return [
        table(
            "Held for approval",
            ("model", "operation", "held for", "count#", "money#", "example", "why"),
            [
                (
                    group.model,
                    group.operation,
                    group.held_for,
                    group.count,
                    _money(group),
                    group.example,
                    group.reason,
                )
                for group in groups
            ],
            empty="Nothing waits for approval.",
        )
    ]


def _money(group: Group) -> str:
    return ", ".join(money(amount, currency) for currency, amount in group.money.items())
