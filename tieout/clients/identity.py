"""Who a connection talks to, and pinning a connection to the account that it met first.

A settings file that suddenly names another organisation, or a copied database that meets one, must not write
there: the first identity is stored, and any other one is refused until a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from tieout.db import Database
from tieout.errors import ConfigurationError, ConnectionRefused
from tieout.events import Event, emit
from tieout.queries import query
from tieout.settings import Connection

OptionsModel = TypeVar("OptionsModel", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The account at the other end, as it describes itself."""

    id: str
    """Never changes for the same account."""
    name: str
    is_demo: bool
    """A demo organisation, or a stand-in on this machine: may be written to outside production."""
    base_currency: str | None


def pin(database: Database, connection: Connection, identity: Identity) -> Identity:
    """Store the identity at the first meeting; ConnectionRefused when the connection was pinned to another
    one.
    """
    values: Mapping[str, Any] = {
        "connection": connection.name,
        "system": connection.system,
        "identity": identity.id,
        "name": identity.name,
        "is_demo": identity.is_demo,
        "base_currency": identity.base_currency,
    }
    with database.connect() as session, session.transaction():
        is_new = session.execute(query("connections", "pin"), values).fetchone() is not None
        row = session.execute(query("connections", "pinned"), values).fetchone() or {}
    if row["target_identity"] != identity.id or row["system"] != connection.system:
        raise ConnectionRefused(
            f"{connection.name} is pinned to {row['target_name']} ({row['target_identity']}) "
            f"but now answers as {identity.name} ({identity.id}).",
            cure="Correct the connection's address or account in the settings; "
            "another account needs a connection of its own.",
        )
    if is_new:
        emit(Event.CONNECTION_PINNED, connection=connection.name, identity=identity.id, title=identity.name)
    return identity


def parse_options(model: type[OptionsModel], connection: Connection) -> OptionsModel:
    """The connection's options as the system's model; ConfigurationError naming each wrong one."""
    try:
        return model(**connection.options)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        named = "; ".join(_words(problem["loc"], problem["msg"]) for problem in problems)
        first = ".".join(str(part) for part in problems[0]["loc"]) or "…"
        raise ConfigurationError(
            f"connections.{connection.name} ({connection.system}): {named}.",
            cure=f"Set {first} under [connections.{connection.name}], a secret as the environment variable "
            f"TIEOUT_CONNECTIONS__{connection.name.upper()}__{first.upper()}.",
        ) from error


def _words(location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in location) or "options"
    return f"{name}: {message.removeprefix('Value error, ')}"


def is_stand_in(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
