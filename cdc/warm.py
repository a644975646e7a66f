"""What a process that stays keeps open, and how far apart its loads are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from cdc.lane import Client, Sending
from cdc.standing import Identity
from loaders.stream import streams_of
from tieout.db import Database

IDENTITY_SECONDS = 300.0
"""So often a client that stays open asks who answers."""
STATEMENTS = 1000
"""Prepared statements that a session keeps."""
DAY_SHARE = 0.5
"""Of the vendor's calls of a day, what looking for changes may use; the rest is for writes, people and sweeps."""

Session = psycopg.Connection[dict[str, Any]]


def changing(system: str) -> tuple[str, ...]:
    """Streams that tell what changed; the others are read whole each time."""
    return tuple(stream.name for stream in streams_of(system) if not stream.is_whole)


def distance(every: float, calls: int, limit: int | None) -> float:
    """Seconds between loads of so many calls, so that they leave enough of the vendor's calls of a day (None: no limit)."""
    return every if not limit else max(every, 86_400 * calls / (DAY_SHARE * limit))


class Kept:
    """A client that stays open from drain to drain."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: tuple[Identity, float] | None = None

    @property
    def http(self) -> Sending:
        """The one HTTP client of the connection."""
        return self._client.http

    def __getattr__(self, name: str) -> Any:
        # Writers know their own system's client, and may ask more of it.
        return getattr(self._client, name)

    def identity(self) -> Identity:
        """Who answers, asked again after a while."""
        if self._known is None or self._clock() - self._known[1] > IDENTITY_SECONDS:
            self._known = (self._client.identity(), self._clock())
        return self._known[0]

    def close(self) -> None:
        """Not yet: see `end`."""

    def end(self) -> None:
        """Really."""
        self._client.close()


def warm(database: Database, session: Session | None) -> Session:
    """The session, or a new one when it was lost; it prepares each statement at its second use and keeps them."""
    if session is not None and not session.closed and not session.broken:
        return session
    session = database.connect(direct=True)
    session.prepare_threshold = 1
    session.prepared_max = STATEMENTS
    return session
