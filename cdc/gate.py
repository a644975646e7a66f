"""May this target be written to? Settings, its identity, and what people and the vendor said about it decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg

from cdc import standing
from cdc.lane import Client
from cdc.standing import Identity
from cdc.writing import Write
from tieout.db import Database
from tieout.errors import ConfigurationError, ConnectionRefused, TieoutError
from tieout.events import Event, emit
from tieout.settings import Connection, Settings
from tieout.systems import client_module
from tieout.vault import Vault

Session = psycopg.Connection[dict[str, Any]]
OpenClient = Callable[[Connection], Client]
Writers = Callable[[str], Mapping[str, Write]]


def opener(database: Database, settings: Settings) -> OpenClient:
    """Opens the client of a connection, by the register."""
    vault = Vault(database, settings)

    def open_it(connection: Connection) -> Client:
        client: Client = client_module(connection.system).open_client(connection, database, vault)
        return client

    return open_it


def targets(settings: Settings, names: Sequence[str] | None) -> list[Connection]:
    """The connections to look at: those named, or all."""
    if names is not None:
        return [settings.connection(name) for name in names]
    return [settings.connections[name] for name in sorted(settings.connections)]


def writes_of(writers: Writers, system: str) -> Mapping[str, Write]:
    """The writers of a system by entity; none for a system that is only read."""
    try:
        return writers(system)
    except ModuleNotFoundError as error:
        if error.name != f"cdc.writers.{system}":
            raise
        return {}


def reason_not_to(session: Session, connection: Connection) -> str | None:
    """Why nothing is written to this connection now; None when it may be."""
    return reason_in(connection, standing.read(session, connection.name))


def reason_in(connection: Connection, row: Mapping[str, Any] | None) -> str | None:
    """The same, from a row that says how the connection stands; None before it was pinned."""
    if connection.writes != "on":
        return "writes are off in the settings"
    if row is not None and row["stopped_at"] is not None:
        return f"stopped: {row['stopped_reason']}"
    if row is not None and row["paused_at"] is not None:
        why = f": {row['paused_reason']}" if row["paused_reason"] else ""
        return f"paused by {row['paused_by']} since {row['paused_at']:%Y-%m-%d %H:%M} UTC{why}"
    return None


def refuse_production(settings: Settings, connection: Connection, identity: Identity) -> None:
    """Outside production only demo organisations and stand-ins are written to; else ConfigurationError."""
    if settings.environment == "prod" or identity.is_demo or _is_local(connection):
        return
    raise ConfigurationError(
        f"{identity.name} is no demo organisation; in environment {settings.environment} nothing is written to it.",
        cure='Set environment = "prod" where real books are meant, or connect a demo organisation.',
    )


def _is_local(connection: Connection) -> bool:
    """Every address of the connection is on this machine: a stand-in."""
    hosts = [
        urlsplit(str(value)).hostname for name, value in connection.options.items() if name.endswith("url")
    ]
    hosts = [host for host in hosts if host]
    return bool(hosts) and all(host in ("127.0.0.1", "localhost", "::1") for host in hosts)


def stop_if_refused(session: Session, connection: Connection, error: TieoutError) -> None:
    """Stop the connection when the vendor refused it as a whole."""
    if isinstance(error, ConnectionRefused):
        standing.stop(session, connection.name, reason=str(error))
        emit(Event.CONNECTION_STOPPED, connection=connection.name, reason=str(error))
