"""What a benchmark prints: ours beside a peer or the physical limit, as a ratio, with the target it is held against."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-bench-peers" / "bin" / "python"
SINGER = ROOT / ".venv-bench-singer" / "bin" / "python"
"""Environments of other people's programs (`make bench` makes them): theirs pin what ours, or each other, refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of a result; all measured in one run on the same data."""

    work: str
    """What was done, and how large it was."""
    ours: str
    """Our figure, with its unit."""
    beside: str
    """What ran beside it, with its figure; empty when the target stands alone."""
    ratio: float | None = None
    """Ours as a multiple of what ran beside it, in the direction that `target` speaks of."""
    target: str = ""
    is_met: bool | None = None
    """None: this size or machine cannot say."""
    note: str = ""
    """Why a target is missed, or how it was measured."""


Benchmark = Callable[[float], Iterable[Measure]]
"""Takes the scale (1: the sizes that fit into ten minutes all together) and yields its lines as they come."""


def run(about: str, benchmark: Benchmark) -> None:
    """The main function of a benchmark's module: a table for people, `--json` a line a measure for `python -m bench`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="sizes as a multiple of the default")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    if options.json:
        for measure in benchmark(options.scale):
            print(json.dumps(asdict(measure)), flush=True)
        return
    show(benchmark(options.scale))


def show(measures: Iterable[Measure]) -> None:
    """Print lines as a table."""
    table = Table(box=None, header_style="bold")
    for heading in ("work", "ours", "beside", "ratio", "target", "met"):
        table.add_column(heading, overflow="fold")
    for measure in measures:
        table.add_row(
            measure.work + (f"\n  {measure.note}" if measure.note else ""),
            measure.ours,
            measure.beside,
            _ratio(measure),
            measure.target,
            _met(measure),
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def as_markdown(measures: Iterable[Measure]) -> str:
    """Lines as a Markdown table."""
    rows = ["| work | ours | beside | ratio | target | met |", "| --- | --- | --- | --- | --- | --- |"]
    for measure in measures:
        work = measure.work + (f"<br>{measure.note}" if measure.note else "")
        cells = (work, measure.ours, measure.beside, _ratio(measure), measure.target, _met(measure))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def section_kept(text: str, name: str, scale: float, body: str) -> str:
    """The file with this section in the place of the one before of the same name and scale, or at its end."""
    title = f"## {name}" + (f", scale {scale:g}" if scale != 1 else "")
    section = f"{title}\n\n{body}\n\n"
    pattern = re.compile(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = pattern.sub(lambda _: section, text) if pattern.search(text) else text.rstrip() + "\n\n" + section
    return text.rstrip() + "\n"


def machine() -> str:
    """The machine and what else it did, in a sentence."""
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB of memory, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"load {load:.1f} when it began"
    )


def _ratio(measure: Measure) -> str:
    return "" if measure.ratio is None else f"{measure.ratio:.2f} ×"


def _met(measure: Measure) -> str:
    return {True: "yes", False: "no", None: "–"}[measure.is_met]
