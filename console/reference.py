"""`python -m console.reference` writes docs/reference.md from the live help texts, exit codes and events.

A test compares the file with what this module makes, so that it can never be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from console import in_doubt
from console.cli import COMMANDS, main
from tieout.errors import ExitCode, TieoutError
from tieout.events import EVENTS
from tieout.settings import package_root

FILE = Path("docs") / "reference.md"
WIDTH = 100

_HEAD = """\
# Reference

Made by `python -m console.reference` from the program itself; do not edit.

Every command takes `--settings FILE` (or `TIEOUT_SETTINGS`), `--json` and `--verbose`. Each option can be set by an
environment variable: `TIEOUT_<COMMAND>_<OPTION>`, as in `TIEOUT_SYNC_FAIL_ON=any` or `TIEOUT_PLAN_LIMIT=50`. Data goes to
standard output: tables, or with `--json` exactly one JSON object, with amounts as text. What went wrong and what to do about
it goes to standard error, and so do the events.
"""


def text() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_exit_codes(), *_commands(), *_events()])


def write() -> Path:
    """Write this page and the one of `in_doubt` where they belong; returns this one's path."""
    file = package_root() / FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(text(), encoding="utf-8")
    (package_root() / in_doubt.FILE).write_text(in_doubt.text(), encoding="utf-8")
    return file


def _exit_codes() -> Iterator[str]:
    yield from ("## Exit codes", "", "| code | means | errors |", "| --- | --- | --- |")
    by_code: dict[int, list[str]] = {}
    for error in _errors(TieoutError):
        by_code.setdefault(int(error.exit_code), []).append(f"`{error.__name__}`")
    for code in ExitCode:
        yield f"| {code.value} | {_documented(code)} | {', '.join(by_code.get(code.value, []))} |"
    yield ""


def _errors(error: type[TieoutError]) -> Iterator[type[TieoutError]]:
    for below in error.__subclasses__():
        if below.__module__ == TieoutError.__module__:  # a client's own refinement is no name for readers
            yield below
        yield from _errors(below)


def _documented(code: ExitCode) -> str:
    """The line of the top help on this code."""
    shown = re.search(rf"^ +{code.value}  (.+)$", main.epilog or "", re.MULTILINE)
    return shown[1] if shown else ""


def _commands() -> Iterator[str]:
    yield from ("## Commands", "")
    for title, commands in COMMANDS.items():
        yield from (f"### {title}", "")
        for each in commands:
            yield from _command(each, ("tieout",))


def _command(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    name = " ".join((*path, command.name or ""))
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    help_lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    yield from (f"#### {name}", "", "```", *help_lines, "```", "")
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _command(each, (*path, command.name or ""))


def _events() -> Iterator[str]:
    yield from (
        "## Events",
        "",
        "One line a unit of work on standard error: JSON, or words on a terminal with `--verbose`. Each has `event`, `level` and",
        "`timestamp` (UTC) besides its own fields. Names and fields are added to, not renamed.",
        "",
        "| event | fields |",
        "| --- | --- |",
    )
    for event, fields in EVENTS.items():
        yield f"| `{event.value}` | {'; '.join(f'`{name}` {meaning}' for name, meaning in fields.items())} |"
    yield ""


if __name__ == "__main__":
    click.echo(f"Wrote {write()}.")
