"""Who a connection talks to, and pinning a connection to the account that it met first.

A settings file that suddenly names another organisation, or a copied database that meets one, must not write
there: the first identity is stored, and any other one is refused until a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError

from tieout.errors import ConfigurationError
from tieout.hush import know
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


def parse_options(model: type[OptionsModel], connection: Connection) -> OptionsModel:
    """The connection's options as the system's model; ConfigurationError naming each wrong one."""
    try:
        # Empty text is "not set", as in the file that `tieout init` writes.
        options = model(**{name: value for name, value in connection.options.items() if value != ""})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        named = "; ".join(_words(problem["loc"], problem["msg"]) for problem in problems)
        first = ".".join(str(part) for part in problems[0]["loc"]) or "…"
        raise ConfigurationError(
            f"connections.{connection.name} ({connection.system}): {named}.",
            cure=f"Set {first} under [connections.{connection.name}], a secret as the environment variable "
            f"TIEOUT_CONNECTIONS__{connection.name.upper()}__{first.upper()}.",
        ) from error
    know(*(value.get_secret_value() for _, value in options if isinstance(value, SecretStr)))
    return options


def _words(location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in location) or "options"
    return f"{name}: {message.removeprefix('Value error, ')}"


def is_stand_in(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
