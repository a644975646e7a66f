"""Loads that go on and have brought something, as every host knows them: diffs wait for their end.

A load's streams belong together (an invoice without the order that it is of refers to nothing), and for the limits its pages count
together. In its own process `Follow` remembers that; for the others a shared advisory lock says it, on a session that lives as long
as the process. It is taken before the first page of news is committed, so whoever hears of that commit finds it, and a process that
dies takes its lock with it. Whoever waits counts the time itself: a host that loads for ever delays nobody for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from tieout.db import SESSION_LOST, Database
from tieout.errors import DatabaseDown
from tieout.queries import query

MOST_WAITS = 2.0
"""Loads may overlap without end; after so many times as long as one is waited for, a diff looks at what there is."""

Session = psycopg.Connection[dict[str, Any]]


class UnderWay:
    """Loads of this process and of others."""

    def __init__(
        self, database: Database, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock
        self._mutex = threading.Lock()
        self._session: Session | None = None
        """Holds the lock while `_own` is not empty."""
        self._own: dict[str, float] = {}
        """Connections that this process loads, and since when they bring something."""
        self._others: dict[int, float] = {}
        """Sessions of other processes that hold the lock, and since when we see that."""
        self._waits_since: float | None = None

    def brings(self, connection: str) -> None:
        """A load of this process has news, or will have in a moment: call it before they are committed."""
        with self._mutex:
            if connection in self._own:
                return
            if not self._own:
                self._tell("loading")
            self._own[connection] = self._clock()

    def ended(self, connection: str) -> bool:
        """A load of this process is over, well or not. Had it brought anything?"""
        with self._mutex:
            if self._own.pop(connection, None) is None:
                return False
            if not self._own:
                self._tell("loaded")
            return True

    def is_waited_for(self, session: Session) -> bool:
        """Should a diff wait, for at most the given seconds a load? It asks again at its next look, or when it is woken."""
        now = self._clock()
        with self._mutex:
            since = [*self._own.values(), *self._seen(session, now).values()]
        if not any(now - each < self._seconds for each in since):
            self._waits_since = None
            return False
        self._waits_since = now if self._waits_since is None else self._waits_since
        if now - self._waits_since < MOST_WAITS * self._seconds:
            return True
        self._waits_since = None
        return False

    def close(self) -> None:
        """The process ends."""
        with self._mutex:
            if self._session is not None:
                self._session.close()

    def _seen(self, session: Session, now: float) -> dict[int, float]:
        own = (
            self._session.info.backend_pid if self._session is not None and not self._session.closed else None
        )
        rows = session.execute(query("follow", "loading_elsewhere"), {"own": own})
        self._others = {row["pid"]: self._others.get(row["pid"], now) for row in rows}
        return self._others

    def _tell(self, statement: str) -> None:
        """To the others. Without the database they look at the first page by itself; the load has its own troubles then."""
        try:
            if self._session is None or self._session.closed or self._session.broken:
                # No lease: a load may say nothing here for long, and others do not wait for ever.
                self._session = self._database.connect(direct=True, lease_seconds=None)
            self._session.execute(query("follow", statement))
        except (DatabaseDown, *SESSION_LOST):
            self._session = None
