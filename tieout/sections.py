"""Sections of the settings file with values of their own: what a person may write there, and what the rest of tieout reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, field_validator


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Where alerts go, and from when on something is worth one."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    """As apprise writes them; they hold passwords."""
    chain_minutes: int = 60
    """A chain that stands still for longer."""
    payment_hours: int = 24
    """A payment that is open for longer while its invoice stands in the target."""
    stale_hours: int = 24
    """A connection of which nothing was read for longer."""
    budget_percent: int = 90
    """Of the calls of a day."""
    login_days: int = 7
    """Before a login ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How much is read at the same time."""

    streams_at_once: int = 4
    """Streams of one connection; never more than its vendor's limit on calls at once, less one."""
    connections_at_once: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """How much is sent at the same time."""

    calls_at_once: int = 4
    """To one connection, by one process; never more than its vendor's limit on calls at once, less one."""


class Section(BaseModel):
    """A section that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AlertsSection(Section):
    """[alerts] of the settings file."""

    urls: tuple[str, ...] = ()
    chain_minutes: int = Field(default=60, ge=0)
    payment_hours: int = Field(default=24, ge=0)
    stale_hours: int = Field(default=24, ge=1)
    budget_percent: int = Field(default=90, ge=1, le=100)
    login_days: int = Field(default=7, ge=0)

    @field_validator("urls", mode="before")
    @classmethod
    def _separated(cls, urls: object) -> object:
        # In an environment variable: separated by blanks, which no address contains.
        return urls.split() if isinstance(urls, str) else urls


class LoadSection(Section):
    """[load] of the settings file."""

    streams_at_once: int = Field(default=4, ge=1, le=32)
    connections_at_once: int = Field(default=4, ge=1, le=32)


class DrainSection(Section):
    """[drain] of the settings file."""

    calls_at_once: int = Field(default=4, ge=1, le=32)
