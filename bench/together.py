"""Run several benchmarks or profiles one after the other, each in a process of its own, show and keep what they give."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from bench.report import ROOT, machine, section_kept

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[Line]):
    """What is run together."""

    noun: str
    known: Mapping[str, str]
    """Name and what it shows, in the order in which all are run."""
    module: Callable[[str], Sequence[str]]
    """By name the arguments of the Python that prints the lines as JSON; `--json` and `--scale` follow."""
    line: Callable[..., Line]
    show: Callable[[Sequence[Line]], None]
    as_markdown: Callable[[Sequence[Line]], str]
    file: Path
    """Where `--write` keeps them, each in its section."""
    head: str
    """How the file begins."""


def arguments(about: str | None, kind: Kind[Any]) -> argparse.ArgumentParser:
    """What a person may say."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(kind.known))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--write", action="store_true", help=f"keep the tables in {kind.file.relative_to(ROOT)}"
    )
    return parser


def parsed(parser: argparse.ArgumentParser, kind: Kind[Any]) -> argparse.Namespace:
    """What was said; an unknown name ends the program."""
    options = parser.parse_args()
    unknown = set(options.names) - set(kind.known)
    if unknown:
        parser.error(f"no {kind.noun} {', '.join(sorted(unknown))}: choose from {', '.join(kind.known)}")
    return options


def run_together(options: argparse.Namespace, kind: Kind[Line]) -> int:
    """Exit code 1 when one failed; the others are run all the same."""
    failed = []
    for name in options.names or kind.known:
        began, on = time.monotonic(), machine()
        print(f"\n{name}: {kind.known[name]}", flush=True)
        lines = _lines(name, options.scale, kind)
        if lines is None:
            failed.append(name)
            continue
        kind.show(lines)
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
        if options.write:
            _keep(name, options.scale, on, lines, kind)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _lines(name: str, scale: float, kind: Kind[Line]) -> list[Line] | None:
    command = [sys.executable, *kind.module(name), "--json", "--scale", str(scale)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(ran.stderr[-4000:], file=sys.stderr)
        return None
    return [kind.line(**json.loads(line)) for line in ran.stdout.splitlines() if line.startswith("{")]


def _keep(name: str, scale: float, on: str, lines: Sequence[Line], kind: Kind[Line]) -> None:
    about = f"{kind.known[name][0].upper()}{kind.known[name][1:]}. {on}."
    text = kind.file.read_text() if kind.file.exists() else kind.head
    kind.file.write_text(section_kept(text, name, scale, f"{about}\n\n{kind.as_markdown(lines)}"))
