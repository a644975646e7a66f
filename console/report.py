"""What a command answers, once as data and once for the eyes: JSON on standard output, or tables.

Tables have no vertical rules, so that keys and sentences have room on 100 columns. Text is printed as it is: nothing in it
is read as markup, since names of customers and settings may contain brackets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.streams import to_nowhere
from tieout.errors import ExitCode, TieoutError

PIPE_COLUMNS = 160
"""A pipe has no width: a table cut at 80 columns would hide keys that scripts look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer of one command."""

    data: Mapping[str, Any]
    """What `--json` prints, as one object."""
    shown: Sequence[RenderableType] = field(default_factory=tuple)
    """What a terminal shows."""
    exit_code: ExitCode = ExitCode.DONE
    errors: Sequence[TieoutError] = ()
    """What stopped a part of the work while the rest went on; told on standard error."""


def worst(errors: Iterable[TieoutError]) -> ExitCode:
    """The exit code of several errors: a person's task before one that time solves; DONE without any."""
    codes = {error.exit_code for error in errors}
    order = (ExitCode.BUG, ExitCode.MIGRATION, ExitCode.PERSON, ExitCode.USAGE, ExitCode.LATER)
    return next((code for code in order if code in codes), ExitCode.DONE)


def about(connection: str, error: TieoutError) -> TieoutError:
    """The error, its message beginning with the connection that it is about."""
    if connection not in str(error):
        error.args = (f"{connection}: {error}",)
    return error


def show(report: Report, *, as_json: bool) -> None:
    """Print the answer to standard output. A reader that closes early (`head`, a pager) has seen enough: that is no error, and
    the exit code still says how the work ended.
    """
    try:
        _print(report, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        to_nowhere(sys.stdout)


class _Screen(Console):
    """A console that leaves it to `show` when nobody reads any more; rich would end with exit code 1, which says that tieout failed."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.data, default=plain, ensure_ascii=False))
        return
    console = _Screen(soft_wrap=False)
    if not console.is_terminal:
        console = _Screen(width=PIPE_COLUMNS)
    was_sentence = True
    for number, part in enumerate(report.shown):
        is_sentence = isinstance(part, str | Text)
        if number and not (is_sentence and was_sentence):
            console.print()
        console.print(Text(part) if isinstance(part, str) else part)
        was_sentence = is_sentence


def plain(value: object) -> Any:
    """The JSON form of what JSON lacks: amounts and times as text, never as binary floats."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "", lines: int = 0
) -> RenderableType:
    """A table with a title; columns whose name ends in `#` are numbers and stand on the right, `!` are never broken.

    `empty`: the sentence that stands for a table without rows. `lines`: empty lines between rows.
    """
    rows = [tuple(row) for row in rows]
    if not rows and empty:
        return Text(empty, style="dim")
    made = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
        leading=lines,
    )
    for name in columns:
        is_number = name.endswith("#")
        made.add_column(
            Text(name.rstrip("#!")),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number or name.endswith("!"),
        )
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return _titled(title, made)


def facts(title: str, values: Mapping[str, object]) -> RenderableType:
    """Names and values, one a line; what is None is left out."""
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        if value is not None:
            made.add_row(Text(name), _cell(value))
    return _titled(title, made)


def verdict(good: bool, sentence: str) -> RenderableType:
    """One line that says whether all is well."""
    return Text(sentence, style="bold green" if good else "bold red")


def money(amount: Decimal | None, currency: str | None = None) -> str:
    """An amount with its currency, two decimals unless it has more."""
    if amount is None:
        return ""
    digits = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{digits}f}" + (f" {currency}" if currency else "")


def moneys(by_currency: Mapping[str, Decimal]) -> str:
    """Amounts of several currencies, which are never added."""
    return ", ".join(money(amount, currency) for currency, amount in sorted(by_currency.items()))


def counted(number: int, one: str, several: str | None = None) -> str:
    """How many, in words that agree: 1 record, 2 records. `several`: where its plural is not an s at the end."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def minute(at: datetime | None) -> str:
    """A time (UTC) to the minute, where seconds say nothing."""
    return f"{at:%Y-%m-%d %H:%M}" if at is not None else ""


def short(text: str | None, length: int = 160) -> str:
    """The text, without its middle where it is longer than a screen should show; `--json` has all of it."""
    words = " ".join((text or "").split())
    if len(words) <= length:
        return words
    # The end is kept, since a long value stands in front of what is wrong with it.
    head, tail = words[: length // 3], words[length // 3 + 3 - length :]
    return f"{head.rpartition(' ')[0] or head} … {tail.partition(' ')[2] or tail}"


def _titled(title: str, made: Table) -> RenderableType:
    return Group(Text(title, style="bold"), made) if title else made


def _cell(value: object) -> RenderableType:
    if isinstance(value, Text | Group):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return Text("yes", style="green") if value else Text("no", style="red")
    if isinstance(value, Decimal):
        return Text(money(value))
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d %H:%M:%S}")
    if isinstance(value, dict | list):
        return Text(json.dumps(value, default=plain, ensure_ascii=False))
    return Text(str(value))
