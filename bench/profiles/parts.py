"""What a profile prints: tables, each with a sentence that says how it was measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One table of a profile."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Texts with their units; as many as there are headings."""
    note: str = ""
    """How it was measured, and what the figures do not say."""


Profile = Callable[[float], Iterable[Part]]
"""Takes the scale (1: less than a minute once the models are built) and yields its tables as they come."""


def show(part: Part) -> None:
    """Print a table for people."""
    table = Table(box=None, header_style="bold", title=part.title, title_justify="left")
    for number, heading in enumerate(part.headings):
        table.add_column(heading, overflow="fold", justify="right" if number else "left")
    for row in part.rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False)
    console.print()
    console.print(table)
    if part.note:
        console.print(part.note)


def as_markdown(part: Part) -> str:
    """The table as Markdown."""
    lines = [f"**{part.title}**" + (f": {part.note}" if part.note else ""), ""]
    lines.append("| " + " | ".join(part.headings) + " |")
    lines.append("| --- " + "| ---: " * (len(part.headings) - 1) + "|")
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in part.rows]
    return "\n".join(lines)
