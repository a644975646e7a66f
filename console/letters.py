"""How dead letters and holds are shown: grouped by cause, with the cure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.text import Text

from cdc.report import Group
from console.report import moneys, short, table


def dead_letter_groups(groups: Sequence[Group]) -> list[RenderableType]:
    """One row a cause: who can fix it, how many, how much money, what is wrong, the cure, and one example."""
    return [
        table(
            "Dead letters",
            ("cause, and who can fix it", "count#", "money#", "what is wrong, what to do (→), for example"),
            [
                (
                    Stack(Text(group.cause), Text(group.who or "", style="dim")),
                    group.count,
                    moneys(group.money),
                    _advice(group),
                )
                for group in groups
            ],
            empty="No dead letters.",
            lines=1,
        )
    ]


def hold_groups(groups: Sequence[Group]) -> list[RenderableType]:
    """One row a model and reason: how many, how much money, why, and one example."""
    shown: list[RenderableType] = [
        table(
            "Held for approval",
            ("what", "count#", "money#", "why it is held, what to do (→), for example"),
            [
                (
                    Stack(
                        Text(f"{group.operation} {group.entity}"),
                        Text(f"{group.model}: {group.held_for}", style="dim"),
                    ),
                    group.count,
                    moneys(group.money),
                    _advice(group),
                )
                for group in groups
            ],
            empty="Nothing waits for approval.",
            lines=1,
        )
    ]
    if groups:
        shown.append("See each with `tieout plan`; then `tieout holds approve` or `tieout holds refuse`.")
    return shown


def _advice(group: Group) -> RenderableType:
    parts = [Text(short(group.reason))] if group.reason else []
    if group.cure:
        parts.append(Text(f"→ {group.cure}", style="green"))
    more = f" and {group.count - 1} more" if group.count > 1 else ""
    parts.append(Text(f"{group.example}{more}", style="dim"))
    return Stack(*parts)
