"""What this process computes, by function, in all its threads."""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import ROOT

OURS = ("tieout", "loaders", "cdc", "console")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """Of one function, over all its calls; seconds of processor time."""

    name: str
    calls: int
    own: float
    with_callees: float
    is_ours: bool


def profiled(work: Callable[[], object]) -> list[Function]:
    """The functions that ran while `work` did, in this thread and in those that it started, dearest first.

    Threads are followed by Python 3.11; from 3.12 on only one profiler may run in a process, and other threads are left out.
    """
    profiles = [cProfile.Profile(time.thread_time)]
    plain = threading.Thread.run

    def run(self: threading.Thread) -> None:
        one = cProfile.Profile(time.thread_time)
        profiles.append(one)
        one.runcall(plain, self)

    if sys.version_info < (3, 12):
        threading.Thread.run = run  # type: ignore[method-assign]
    try:
        profiles[0].runcall(work)
    finally:
        threading.Thread.run = plain  # type: ignore[method-assign]
    stats = pstats.Stats(profiles[0])
    for one in profiles[1:]:
        stats.add(one)
    found: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    functions = [
        Function(
            name=named(file, function),
            calls=calls,
            own=own,
            with_callees=whole,
            is_ours=_package(file) in OURS,
        )
        for (file, _, function), (_, calls, own, whole, _) in found.items()
    ]
    return sorted(functions, key=lambda function: -function.own)


def rows(functions: list[Function], units: float, *, cpu_seconds: float, most: int = 18) -> list[list[str]]:
    """The dearest by their own time, then ours by what they call; µs a unit of work, as their share of `cpu_seconds`.

    A profiler makes small functions dearer than they are, so shares of its run are laid on what a run without it took.
    """
    whole = sum(function.own for function in functions)
    factor = cpu_seconds / whole / units * 1e6 if whole else 0.0
    own = functions[:most]
    callers = sorted((each for each in functions if each.is_ours), key=lambda each: -each.with_callees)
    listed = own + [each for each in callers[:most] if each not in own]
    return [
        [
            each.name,
            f"{each.calls / units:.3g}",
            f"{each.own * factor:,.1f}",
            f"{each.with_callees * factor:,.1f}",
        ]
        for each in listed
    ]


def named(file: str, function: str) -> str:
    """`loaders/records.py identify`; `httpx _client.py send` of other people's; a built-in as Python calls it."""
    if file == "~":
        return function.strip("<>").removeprefix("built-in method ").removeprefix("method ")
    path = Path(file)
    if path.is_relative_to(ROOT):
        return f"{path.relative_to(ROOT)} {function}"
    return f"{path.parent.name} {path.name} {function}".strip()


def _package(file: str) -> str:
    path = Path(file)
    return path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""
