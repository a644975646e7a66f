"""Setting up: `init`, `migrate`, `connect`, `check`, `pause`, `resume`."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import psycopg

from cdc import installation, standing
from console.consent import wait_for_consent
from console.frame import App, command
from console.report import Report, about, facts, table, verdict, worst
from tieout.db import prove_direct
from tieout.embedded_files import is_temporary
from tieout.errors import ConfigurationError, TieoutError, UsageError
from tieout.events import Event, emit
from tieout.migrate import migrate as run_migrations
from tieout.roles import cure as roles_cure
from tieout.roles import missing_roles
from tieout.settings import Connection, package_root
from tieout.systems import client_module

Session = psycopg.Connection[dict[str, Any]]
_EXAMPLE = "console/tieout.example.toml"


@command("init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="tieout.toml")
@click.option("--temporary", is_flag=True, help="A trial: in a folder that the system empties.")
def init(_app: App, file: Path, temporary: bool) -> Report:
    """Write a commented settings file to fill in.

    Example: tieout init

    An existing file is never overwritten, and a temporary folder is refused. Secrets are better kept in environment variables: the file names them.
    """
    if is_temporary(file) and not temporary:
        raise UsageError(
            f"{file.resolve().parent} is a temporary folder: the system empties it, and with it would go the settings and what "
            "says that a document was sent.",
            cure="Name a file in a folder that stays; for a trial: --temporary.",
        )
    text = (package_root() / _EXAMPLE).read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{file} exists already.", cure="Edit it, or name another file: tieout init other.toml."
        ) from error
    file.chmod(0o600)
    return Report(
        data={"file": str(file)},
        shown=[f"Wrote {file}. Next: fill it in, then `tieout migrate` and `tieout check`."],
    )


@command("migrate")
def migrate(app: App) -> Report:
    """Bring the database to the tables that this version needs.

    Example: tieout migrate

    Safe to run twice, and from two places at once. Starts the embedded Postgres when no database URL is set.
    """
    applied = run_migrations(app.unchecked_database)
    words = (
        f"Applied {len(applied)}: {', '.join(applied)}."
        if applied
        else "Nothing to apply: the database is up to date."
    )
    return Report(data={"applied": applied}, shown=[words])


@command("connect")
@click.argument("connection")
@click.option("--no-browser", is_flag=True, help="Print the address to open instead of opening it.")
def connect(app: App, connection: str, no_browser: bool) -> Report:
    """Log in to a connection, read-only until you set `writes = "on"`.

    Example: tieout connect books

    For Xero the consent page opens in the browser, and this command waits for the answer on localhost. For systems with
    keys in the settings it tries them. The connection is pinned to the organisation or installation that answers.
    """
    chosen = app.settings.connection(connection)
    module = client_module(chosen.system)
    client = module.open_client(chosen, app.database, app.vault)
    try:
        if getattr(client, "needs_consent", False):
            wait_for_consent(client, open_browser=not no_browser)
        elif hasattr(client, "forget_login"):
            client.forget_login()
        identity = client.identity()
    finally:
        client.close()
    with app.database.connect() as database:
        standing.pin(database, chosen, identity)
    emit(Event.CONNECTION_PINNED, connection=chosen.name, identity=identity.id, title=identity.name)
    shown = facts(
        f"{chosen.name} is connected",
        {
            "to": identity.name,
            "identity": identity.id,
            "base currency": identity.base_currency,
            "demo organisation": identity.is_demo,
            "writes": chosen.writes,
        },
    )
    return Report(
        data={
            "connection": chosen.name,
            "identity": identity.id,
            "name": identity.name,
            "writes": chosen.writes,
        },
        shown=[shown],
    )


@command("check")
@click.argument("connection", required=False)
def check(app: App, connection: str | None) -> Report:
    """Test settings, database, and every connection, without changing anything.

    Example: tieout check
    """
    with app.database.connect() as database:
        found = [
            ("database", "answers, migrated", None),
            _roles(database),
            _proved("locks", "held on a direct connection", lambda: prove_direct(app.database)),
            _installation(app, database),
            *_each_checked(app, connection, database),
        ]
    errors = [error for _, _, error in found if error is not None]
    checks = [
        {"what": what, "ok": error is None, "found": words, "cure": error.cure if error else ""}
        for what, words, error in found
    ]
    return Report(
        data={"ok": not errors, "checks": checks},
        shown=[
            table(
                "Checks",
                ("what!", "ok", "found"),
                [(each["what"], each["ok"], each["found"]) for each in checks],
            ),
            verdict(not errors, "All well." if not errors else "Not all is well."),
        ],
        exit_code=worst(errors),
        errors=errors,
    )


def _roles(database: Session) -> tuple[str, str, TieoutError | None]:
    """Roles are for separating duties: without them everything works, as the database's owner."""
    missing = missing_roles(database)
    words = f"not there: {', '.join(missing)}. {roles_cure(missing)}" if missing else "as they should be"
    return "roles of the database", words, None


def _proved(what: str, good: str, prove: Callable[[], object]) -> tuple[str, str, TieoutError | None]:
    try:
        prove()
    except TieoutError as error:
        return what, str(error), error
    return what, good, None


def _installation(app: App, database: Session) -> tuple[str, str, TieoutError | None]:
    """Is it the database that wrote last? Of interest only where something may be written."""
    if not any(each.writes == "on" for each in app.settings.connections.values()):
        return "installation", "writes are off everywhere", None
    good = "the database that wrote last, or one that never did"
    return _proved("installation", good, lambda: installation.check_unchanged(database, app.settings))


def _each_checked(
    app: App, connection: str | None, database: Session
) -> list[tuple[str, str, TieoutError | None]]:
    """All connections, or the one of that name; having none is something wrong too."""
    try:
        chosen = app.connections(connection)
    except ConfigurationError as error:
        if connection is not None:
            raise
        return [("connections", str(error), error)]
    return [_checked(app, each, database) for each in chosen]


def _checked(app: App, chosen: Connection, database: Session) -> tuple[str, str, TieoutError | None]:
    """A connection's name, what was found, and what is wrong with it."""
    try:
        client = client_module(chosen.system).open_client(chosen, app.database, app.vault)
        try:
            identity = client.identity()
        finally:
            client.close()
        pinned = standing.read(database, chosen.name)
        if pinned is not None:
            standing.refuse_other(pinned, chosen, identity)
    except TieoutError as error:
        return chosen.name, str(error), about(chosen.name, error)
    state = f"{identity.name} ({chosen.system}), writes {chosen.writes}"
    return (
        chosen.name,
        state if pinned is not None else f"{state}; not connected yet: `tieout connect {chosen.name}`",
        None,
    )


@command("pause")
@click.argument("connection")
@click.option("--reason", default="", help="Kept with who and when.")
def pause(app: App, connection: str, reason: str) -> Report:
    """Stop all writing to a connection until `resume`.

    Example: tieout pause books --reason "month end"
    """
    chosen = app.settings.connection(connection)
    with app.database.connect() as database:
        standing.pause(database, chosen.name, by=person(), reason=reason)
    return Report(
        data={"connection": chosen.name, "paused": True},
        shown=[f"{chosen.name} is paused: nothing is written to it."],
    )


@command("resume")
@click.argument("connection")
def resume(app: App, connection: str) -> Report:
    """Let a paused or stopped connection be written to again.

    Example: tieout resume books
    """
    chosen = app.settings.connection(connection)
    with app.database.connect() as database:
        was = standing.resume(database, chosen.name, by=person())
    words = (
        f"{chosen.name} was neither paused nor stopped."
        if was is None
        else f"{chosen.name} may be written to again; it was {was}."
    )
    return Report(data={"connection": chosen.name, "was": was}, shown=[words])


def person() -> str:
    """Who decides: the user of the operating system, as the audit keeps it."""
    return getpass.getuser()
