"""What a command answers: one JSON object, the tables that a person sees instead, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tieout.errors import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer of one command."""

    data: Mapping[str, Any]
    """What `--json` prints, as one object."""
    shown: Sequence[RenderableType] = field(default_factory=tuple)
    """What a terminal shows."""
    exit_code: ExitCode = ExitCode.DONE


def show(report: Report, *, as_json: bool) -> None:
    """Print the answer to standard output."""
    if as_json:
        print(json.dumps(report.data, default=plain, ensure_ascii=False))
        return
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        # A pipe has no width: a table cut at 80 columns would hide keys that scripts look for.
        console = Console(width=160)
    console.print(Group(*report.shown))


def plain(value: object) -> Any:
    """The JSON form of what JSON lacks: amounts and times as text, never as binary floats."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = ""
) -> RenderableType:
    """A table with a title; columns whose name ends in `#` are numbers and stand on the right."""
    rows = [tuple(row) for row in rows]
    if not rows and empty:
        return Text(empty, style="dim")
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", expand=False)
    for name in columns:
        is_number = name.endswith("#")
        made.add_column(
            name.rstrip("#"), justify="right" if is_number else "left", overflow="fold", no_wrap=is_number
        )
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def facts(title: str, values: Mapping[str, object]) -> RenderableType:
    """Names and values, one a line."""
    made = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False
    )
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(name, _cell(value))
    return made


def verdict(good: bool, sentence: str) -> RenderableType:
    """One line that says first whether all is well."""
    return Text(sentence, style="bold green" if good else "bold red")


def money(amount: Decimal | None, currency: str | None = None) -> str:
    """An amount with its currency, two decimals unless it has more."""
    if amount is None:
        return ""
    digits = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{digits}f}" + (f" {currency}" if currency else "")


def _cell(value: object) -> RenderableType:
    if value is None:
        return ""
    if isinstance(value, bool):
        return Text("yes", style="green") if value else Text("no", style="red")
    if isinstance(value, Decimal):
        return money(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict | list):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return Text(str(value))
