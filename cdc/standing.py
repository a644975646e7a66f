"""How a connection stands: pinned to the target's identity, paused by a person, or stopped by the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import psycopg

from tieout.errors import ConfigurationError
from tieout.queries import query
from tieout.settings import Connection


class Identity(Protocol):
    """Who answered at a connection."""

    @property
    def id(self) -> str:
        """The target's own identity, stable for ever."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def is_demo(self) -> bool:
        """A demo organisation, or a stand-in on this machine."""

    @property
    def base_currency(self) -> str | None:
        """ISO code, where the system has one."""


def pin(
    database: psycopg.Connection[dict[str, Any]],
    connection: Connection,
    identity: Identity,
    known: Mapping[str, Any] | None = None,
) -> None:
    """Remember who answers at a connection the first time; ConfigurationError when it is somebody else later.

    `known`: the row of cdc.connections, where it has been read already.
    """
    told = {
        "target_name": identity.name,
        "is_demo": identity.is_demo,
        "base_currency": identity.base_currency,
    }
    known = known or read(database, connection.name)
    if known is not None and known["target_identity"] == identity.id and told.items() <= known.items():
        # Each drain asks: what is known already is not written again.
        return
    row = database.execute(
        query("standing", "pin"),
        {
            "connection": connection.name,
            "system": connection.system,
            "identity": identity.id,
            "name": identity.name,
            "is_demo": identity.is_demo,
            "base_currency": identity.base_currency,
        },
    ).fetchone()
    pinned = read(database, connection.name) if row is None else None
    if pinned is not None:
        refuse_other(pinned, connection, identity)


def refuse_other(pinned: Mapping[str, Any], connection: Connection, identity: Identity) -> None:
    """ConfigurationError when another organisation or installation answers than the one in the row `pinned`."""
    if pinned["target_identity"] != identity.id:
        raise ConfigurationError(
            f"Connection {connection.name} belongs to {pinned['target_name']} ({pinned['target_identity']}), but "
            f"{identity.name} ({identity.id}) answers now.",
            cure="Correct the credentials; for another organisation or installation use a new connection name and a new database.",
        )


def read(database: psycopg.Connection[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The row of cdc.connections; None before `pin`."""
    return database.execute(query("standing", "read"), {"connection": name}).fetchone()


def of_target(database: psycopg.Connection[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The same, and `is_under_way`: calls of which nobody has settled what became of them. Who only loads may not look at calls."""
    return database.execute(query("standing", "of_target"), {"connection": name}).fetchone()


def pause(database: psycopg.Connection[dict[str, Any]], name: str, *, by: str, reason: str) -> None:
    """Let nothing be written to a connection; calls under way end as they will."""
    _decided(
        database.execute(
            query("standing", "pause"), {"connection": name, "by": by, "reason": reason}
        ).rowcount,
        name,
    )


def stop(database: psycopg.Connection[dict[str, Any]], name: str, *, reason: str) -> None:
    """The vendor refused the whole connection: keep the first reason until a person resumes it."""
    database.execute(query("standing", "stop"), {"connection": name, "reason": reason})


def resume(
    database: psycopg.Connection[dict[str, Any]], name: str, *, by: str
) -> Literal["paused", "stopped"] | None:
    """Allow writing again; returns what it was, None when it was neither."""
    row = database.execute(query("standing", "resume"), {"connection": name, "by": by}).fetchone()
    if row is None:
        return None
    return "stopped" if row["was_stopped"] else "paused"


def _decided(rows: int, name: str) -> None:
    if not rows:
        raise ConfigurationError(
            f"Connection {name} was never connected.", cure=f"Run `tieout connect {name}` first."
        )
