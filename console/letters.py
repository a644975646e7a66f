"""How dead letters and holds are shown: grouped by cause, with the cure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.text import Text

from cdc.letters import FieldMap, Letter
from cdc.report import Group
from console import fields
from console.report import counted, facts, minute, money, moneys, short, table


def dead_letter_groups(groups: Sequence[Group], *, is_chosen: bool = False) -> list[RenderableType]:
    """One row a cause: who can fix it, how many, how much money, what is wrong, the cure, and one example. `is_chosen`: there may be
    others.
    """
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
            empty="None of these: `tieout dead-letters` lists all." if is_chosen else "No dead letters.",
            lines=1,
        )
    ]


def one_letter(letter: Letter) -> list[RenderableType]:
    """The record, what is wrong, the vendor's words and the cure; where the fields come from; the request as it was sent."""
    chain = f"{counted(letter.waiting, 'entry waits', 'entries wait')} for it" if letter.waiting else None
    head = {
        "record": f"{letter.operation} {letter.entity} in {letter.connection}",
        "source": f"{letter.source_connection} {letter.source_id}, by {letter.model}",
        "money": money(letter.amount, letter.currency) or None,
        "dated": letter.document_date,
        "since (UTC)": minute(letter.since),
        "cause": letter.cause,
        "what is wrong": letter.reason,
        "their words": "; ".join(letter.words) or None,
        "who can fix it": letter.who,
        "what to do": letter.cure,
        "chain": chain,
    }
    sent = (
        f"The request, sent {minute(letter.sent_at)} UTC: {letter.method} {letter.path} → {letter.status or 'no answer'}"
        if letter.method is not None
        else "What would be sent; it never was"
    )
    rows = [(path, short(str(value), 300)) for path, (value,) in fields.rows([letter.request])]
    return [
        facts(letter.key, head),
        table(
            "Who gave the fields",
            ("field", "value", "model", "lookup row, or who edited it"),
            [
                (
                    f"{each.path} ←" if each.is_blamed else each.path,
                    short(str(each.value), 60),
                    each.model,
                    _given_by(each),
                )
                for each in letter.fields
            ],
            empty="No lookup gave any of its fields: they are the source's.",
        ),
        table(sent, ("field!", "value"), rows),
    ]


def _given_by(each: FieldMap) -> str:
    return (
        "; ".join([*([f"edited by {each.edited_by}"] if each.edited_by else []), *each.lookups])
        or "none: the source's value"
    )


def hold_groups(groups: Sequence[Group], *, is_chosen: bool = False) -> list[RenderableType]:
    """One row a model and reason: how many, how much money, why, and one example. `is_chosen`: there may be others."""
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
            empty="Nothing of it waits for approval: `tieout holds` lists all."
            if is_chosen
            else "Nothing waits for approval.",
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
