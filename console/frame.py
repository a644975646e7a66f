"""What every command shares: where its settings are, `--json`, its run, and the promised exit codes."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
import psycopg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from console.report import Report, show
from tieout.db import Database, json_dumps, open_database
from tieout.errors import DatabaseDown, ExitCode, LockHeld, TieoutError
from tieout.migrate import check_migrated
from tieout.queries import query
from tieout.settings import Connection, Settings
from tieout.vault import Vault

EXIT_CODES = """\b
Exit codes:
  0  done, nothing to do, or another run is at it
  1  a mistake of tieout's own
  2  the command was called wrongly
  3  a person must act: settings, credentials, recovery
  4  try again later: vendor or database unavailable, a limit reached
  5  done, but some records newly need a person
  6  the database is not at the migration that this version needs"""


@dataclass
class App:
    """Settings and database of one invocation, opened when first asked for."""

    settings_file: Path | None = None

    @cached_property
    def settings(self) -> Settings:
        """The settings file and the environment."""
        return Settings.load(self.settings_file)

    @cached_property
    def unchecked_database(self) -> Database:
        """The database, whatever its migration: for `migrate` alone."""
        return open_database(self.settings)

    @cached_property
    def database(self) -> Database:
        """The database at the migration that this version needs; MigrationMismatch otherwise."""
        database = self.unchecked_database
        with database.connect() as connection:
            check_migrated(connection)
        return database

    @cached_property
    def vault(self) -> Vault:
        """Tokens of this installation."""
        return Vault(self.database, self.settings)

    def connections(self, name: str | None = None, *, system: str | None = None) -> list[Connection]:
        """The connection of that name, or all of them, or all of a system."""
        chosen = [self.settings.connection(name)] if name else list(self.settings.connections.values())
        return [connection for connection in chosen if system is None or connection.system == system]

    @contextmanager
    def run(self, command: str, arguments: Mapping[str, object] | None = None) -> Iterator[UUID]:
        """Record one run of a command: when it began, where, and how it ended."""
        run = uuid4()
        row = {
            "run": run,
            "command": command,
            "arguments": json_dumps(dict(arguments or {})),
            "host": socket.gethostname(),
            "process_id": os.getpid(),
        }
        with self.database.connect() as connection:
            connection.execute(query("runs", "begin"), row)
        code = ExitCode.BUG
        try:
            yield run
            code = ExitCode.DONE
        except TieoutError as error:
            code = error.exit_code
            raise
        finally:
            self._end(run, code)

    def _end(self, run: UUID, code: ExitCode) -> None:
        try:
            with self.database.connect() as connection:
                connection.execute(query("runs", "end"), {"run": run, "exit_code": int(code)})
        except (DatabaseDown, psycopg.OperationalError):
            # The database went away under the run: the error on its way out says so, and the row stays unfinished.
            return


def command(name: str, *, help: str | None = None) -> Callable[[Callable[..., Report]], click.Command]:  # noqa: A002 (click's word)
    """A command: adds --settings and --json, prints its report, turns errors into the promised exit codes."""

    def decorate(function: Callable[..., Report]) -> click.Command:
        @click.option(
            "--settings",
            "settings_file",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="TIEOUT_SETTINGS",
            help="Settings file (default: ./tieout.toml).",
        )
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
        @functools.wraps(function)
        def wrapped(settings_file: Path | None, as_json: bool, **arguments: Any) -> None:
            app = App(settings_file=settings_file)
            try:
                report = function(app, **arguments)
            except TieoutError as error:
                sys.exit(fail(error, as_json=as_json))
            except psycopg.OperationalError as error:
                lost = DatabaseDown(
                    f"The database went away: {str(error).strip()}",
                    cure="Start it again; nothing was lost. Then repeat the command.",
                )
                sys.exit(fail(lost, as_json=as_json))
            show(report, as_json=as_json)
            sys.exit(int(report.exit_code))

        return click.command(name, help=help)(wrapped)

    return decorate


def fail(error: TieoutError, *, as_json: bool) -> int:
    """Say what went wrong and what to do; returns the exit code."""
    if as_json:
        print(
            json_dumps(
                {
                    "error": type(error).__name__,
                    "message": str(error),
                    "cure": error.cure,
                    "exit_code": int(error.exit_code),
                }
            )
        )
    else:
        console = Console(stderr=True, highlight=False)
        label = "Nothing done" if isinstance(error, LockHeld) else "Stopped"
        console.print(f"[bold]{label}:[/bold]", str(error), soft_wrap=True)
        if error.cure:
            console.print("[bold]What to do:[/bold]", error.cure, soft_wrap=True)
    return int(error.exit_code)


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A moving line on a terminal, nothing elsewhere: events tell the same to logs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as shown:
        task = shown.add_task(title, total=None)
        yield lambda detail: shown.update(task, description=f"{title}: {detail}")
