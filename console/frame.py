"""What every command shares: where its settings are, `--json`, its run, and the promised exit codes."""

from __future__ import annotations

import functools
import inspect
import io
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from rich.text import Text

from cdc import audit, named
from console.report import Report, show
from console.streams import errors_may_go_unread, to_nowhere
from tieout import events, witness
from tieout.budget import Work, working_for
from tieout.db import SESSION_LOST, Database, json_dumps, open_database
from tieout.errors import ConfigurationError, DatabaseDown, ExitCode, LockHeld, MigrationMismatch, TieoutError
from tieout.hush import hush
from tieout.migrate import check_migrated
from tieout.queries import query
from tieout.settings import DEFAULT_FILE, Connection, Settings
from tieout.vault import Vault

_MAY_NOT_WRITE = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
"""A reader's role, or a standby."""

_OTHER_FOLDER = "Go to the folder of your settings, or name the file with --settings or TIEOUT_SETTINGS"

SCHEDULED = frozenset({"load", "diff", "drain", "marts", "sync", "run", "prove"})
"""Commands that a scheduler runs."""

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
    is_alone: bool = False
    """Only the settings file counts, not the environment: the demo's own."""
    outcome: ExitCode = ExitCode.DONE
    """How a run that raised nothing ended; its record and event tell it."""

    @cached_property
    def settings(self) -> Settings:
        """The settings file and the environment."""
        return Settings.load(self.settings_file, environment=not self.is_alone)

    @cached_property
    def unchecked_database(self) -> Database:
        """The database, whatever its migration: for `migrate` alone."""
        return open_database(self.settings)

    @cached_property
    def database(self) -> Database:
        """The database at the migration that this version needs; MigrationMismatch otherwise."""
        database = self.unchecked_database
        with database.connect() as connection:
            try:
                check_migrated(connection)
            except MigrationMismatch as error:
                if self.settings.connections or self._has_file:
                    raise
                # Started beside its settings, a command would look at a new database of its own.
                raise MigrationMismatch(
                    f"{error} {self._without_file}",
                    cure=f"{_OTHER_FOLDER}; for a new installation: `tieout init`, then `tieout migrate`.",
                ) from error
        return database

    @cached_property
    def vault(self) -> Vault:
        """Tokens of this installation."""
        return Vault(self.database, self.settings)

    def connections(self, name: str | None = None, *, system: str | None = None) -> list[Connection]:
        """The connection of that name, or all of them, or all of a system.

        Raises ConfigurationError where there is none at all: a scheduler in another folder would find for ever that nothing is new.
        """
        if name is None and not self.settings.connections:
            where = f" {self._without_file}" if not self._has_file else ""
            raise ConfigurationError(
                f"The settings name no connection.{where}",
                cure=f"{_OTHER_FOLDER}; `tieout init` writes a new one.",
            )
        chosen = [self.settings.connection(name)] if name else list(self.settings.connections.values())
        return [connection for connection in chosen if system is None or connection.system == system]

    @property
    def _has_file(self) -> bool:
        return self.settings_file is not None or Path(DEFAULT_FILE).exists()

    @property
    def _without_file(self) -> str:
        return f"There is no {DEFAULT_FILE} in {Path.cwd()}."

    def with_known_names(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a command, a connection by the name that the settings give it.

        Raises ConfigurationError where neither settings nor database know it, and UsageError for a model or a kind of record that
        does not exist: a name that is misspelt would find that nothing is wrong, because there is nothing.
        """
        model, entity = arguments.get("model"), arguments.get("entity")
        if model is not None or entity is not None:
            with self.database.connect() as session:
                named.refuse_unknown(session, model=model, entity=entity)
        name = arguments.get("connection")
        if name is None:
            return dict(arguments)
        try:
            return {**arguments, "connection": self.settings.connection(name).name}
        except ConfigurationError as error:
            if not self._is_remembered(name):
                raise error from None
            return dict(arguments)

    def _is_remembered(self, name: str) -> bool:
        """Was anything ever mirrored from a connection that the settings name no more, or written to it?"""
        try:
            with self.database.connect() as connection:
                return (
                    connection.execute(query("standing", "read"), {"connection": name}).fetchone() is not None
                )
        except (TieoutError, *SESSION_LOST):
            return False

    @contextmanager
    def run(self, command: str, arguments: Mapping[str, object] | None = None) -> Iterator[UUID]:
        """Record one run of a command: when it began, where, and how it ended."""
        run = self.begin(command, arguments)
        started, code, failed = time.monotonic(), ExitCode.BUG, None
        try:
            yield run
            code = self.outcome
        except TieoutError as error:
            code, failed = error.exit_code, type(error).__name__
            raise
        finally:
            self.end(run, code)
            self.seal()
            seconds = round(time.monotonic() - started, 3)
            events.emit(
                events.Event.COMMAND_FINISHED,
                command=command,
                exit_code=int(code),
                seconds=seconds,
                error=failed,
            )

    def begin(self, command: str, arguments: Mapping[str, object] | None = None) -> UUID:
        """Record that a run began; whoever calls this ends it."""
        run = uuid4()
        row = {
            "run": run,
            "command": command,
            "arguments": hush(json_dumps(dict(arguments or {}))),
            "host": socket.gethostname(),
            "process_id": os.getpid(),
        }
        with self.database.connect() as connection:
            connection.execute(query("runs", "begin"), row)
        return run

    def end(self, run: UUID, code: ExitCode = ExitCode.DONE) -> None:
        """Record how it ended."""
        try:
            with self.database.connect() as connection:
                connection.execute(query("runs", "end"), {"run": run, "exit_code": int(code)})
        except (DatabaseDown, *SESSION_LOST):
            # The database went away under the run: the error on its way out says so, and the row stays unfinished.
            return

    def seal(self) -> None:
        """Chain what this command left in the audit's inbox, and note the head outside the database."""
        if "database" not in self.__dict__:
            return
        try:
            with self.database.connect() as connection:
                head = audit.seal(connection)
        except (DatabaseDown, psycopg.OperationalError, *_MAY_NOT_WRITE):
            # Nothing is lost: the facts stay in the inbox, and the next command that may write seals them.
            return
        if head.sealed:
            try:
                witness.note_audit_head(self.settings, head.position, head.digest)
            except OSError as error:
                # The chain is sealed all the same, and the next command notes a later head.
                click.echo(f"The head of the audit could not be noted: {error}", err=True)


def command(name: str, *, help: str | None = None) -> Callable[[Callable[..., Report]], click.Command]:  # noqa: A002 (click's word)
    """A command: adds --settings, --json and --verbose, prints its report, turns errors into the promised exit codes."""

    def decorate(function: Callable[..., Report]) -> click.Command:
        @settings_option
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
        @click.option(
            "-v", "--verbose", is_flag=True, help="Show events on a terminal too; elsewhere they always are."
        )
        @functools.wraps(function)
        def wrapped(settings_file: Path | None, as_json: bool, verbose: bool, **arguments: Any) -> None:
            _choose_events(verbose=verbose)
            app = App(settings_file=settings_file)
            try:
                try:
                    # A scheduler's commands can wait for the vendor's limits a little; in front of others sits a person.
                    with working_for(Work.FRESH if name in SCHEDULED else Work.PERSON):
                        report = function(app, **app.with_known_names(arguments))
                finally:
                    app.seal()
            except TieoutError as error:
                sys.exit(fail(error, as_json=as_json))
            except SESSION_LOST as error:
                lost = DatabaseDown(
                    f"The database failed: {str(error).strip()}",
                    cure="Cure that or wait until it answers again, then repeat the command; nothing was lost.",
                )
                sys.exit(fail(lost, as_json=as_json))
            show(report, as_json=as_json)
            for each in report.errors:
                tell(each)
            sys.exit(int(report.exit_code))

        words = help or inspect.cleandoc(function.__doc__ or "")
        return click.command(name, help=words, short_help=words.partition("\n")[0])(wrapped)

    return decorate


settings_option = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TIEOUT_SETTINGS",
    help="Settings file (default: ./tieout.toml).",
)


class Sections(click.Group):
    """Commands listed under headings, in the order in which they are used."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sections: dict[str, list[str]] = {}

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line, whoever reads it."""
        with errors_may_go_unread():
            return super().main(*arguments, **options)

    def add_section(self, title: str, commands: Sequence[click.Command]) -> None:
        """Add commands under a heading."""
        for each in commands:
            self.add_command(each)
            self.sections.setdefault(title, []).append(each.name or "")

    def list_commands(self, _context: click.Context) -> list[str]:
        """Names in the order of the sections."""
        return [name for names in self.sections.values() for name in names]

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections, each command with its first sentence."""
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, _first_sentence(self.commands[name])) for name in names])


class Listing(click.Group):
    """A group that lists when no command is named: `tieout holds --json` is `tieout holds list --json`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of options that are not the group's own."""
        if not args or (args[0].startswith("-") and args[0] not in context.help_option_names):
            args = ["list", *args]
        return super().parse_args(context, args)


def fail(error: TieoutError, *, as_json: bool) -> int:
    """Say on standard error what went wrong and what to do, and as data if asked for; returns the exit code."""
    if as_json:
        told = {
            "error": type(error).__name__,
            "message": str(error),
            "cure": error.cure,
            "exit_code": int(error.exit_code),
        }
        try:
            print(json_dumps(told), flush=True)
        except BrokenPipeError:
            to_nowhere(sys.stdout)
    tell(error)
    return int(error.exit_code)


def tell(error: TieoutError) -> None:
    """What went wrong and what to do, on standard error."""
    console = Console(stderr=True, highlight=False)
    label = "Nothing done" if isinstance(error, LockHeld) else "Stopped"
    # As text: a message may name a section such as [connections.books], which is no markup.
    console.print(Text.assemble((f"{label}: ", "bold"), str(error)), soft_wrap=True)
    if error.cure:
        console.print(Text.assemble(("What to do: ", "bold"), error.cure), soft_wrap=True)


def _first_sentence(command: click.Command) -> str:
    return command.short_help or inspect.cleandoc(command.help or "").partition("\n")[0]


def _choose_events(*, verbose: bool) -> None:
    """On a terminal the report says all that a person asked for; events would break its lines apart."""
    if sys.stderr.isatty() and not verbose:
        events.configure(io.StringIO(), json=True)
    else:
        events.configure()


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
