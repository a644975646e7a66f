"""What all processes together may still call at one connection: calls a minute, a day, and at once.

The counts are rows of the database and move by its clock. A draw locks the connection's row, looks, counts
and lets go before the call leaves. Within a window counts only tighten: an answer may tell that less is left
than we thought, never that more is. A call in flight is a slot; the slot of a process that died frees itself
when it expires.

Work of a person goes first: fresh changes leave it a little of each limit, backfill leaves more.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Any, Self

import psycopg

from tieout.db import Database
from tieout.errors import BudgetExhausted, DatabaseDown
from tieout.queries import query

SLOT_SECONDS = 300
"""A slot outlives the longest call: time-out of the request, and again as much for a slow answer's body."""
_CONCURRENCY_WAIT_SECONDS = 0.5

WORKER = f"{uuid.uuid4()}"
"""This process, in the slots that it draws."""


class Work(Enum):
    """Why a call is made; the value is the share of each limit that such calls may use up."""

    PERSON = 1.0
    FRESH = 0.95
    BACKFILL = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The vendor's limits; None: there is none."""

    minute: int | None = None
    day: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The right to make one call. A context manager: leaving it says that the call is over."""

    drawn_at: datetime | None = None
    """By the database's clock."""
    identifier: uuid.UUID | None = None
    budget: Budget | None = field(default=None, repr=False)

    def release(self) -> None:
        """The call is over; a second time does nothing."""
        if self.budget is not None and self.identifier is not None:
            self.budget.give_back(self.identifier)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class Budget:
    """The budget of one connection, shared over all processes through the database."""

    def __init__(self, database: Database, connection: str, limits: CallLimits) -> None:
        self._database = database
        self._connection = connection
        self._limits = limits
        self._session: psycopg.Connection[dict[str, Any]] | None = None
        self._mutex = threading.Lock()

    def draw(self, work: Work = Work.FRESH) -> Slot:
        """Count one call and take a slot; BudgetExhausted, with the wait, when a limit is reached."""
        slot = uuid.uuid4()
        with self._mutex, self._open() as session, session.transaction():
            self._lock_row(session)
            values = {
                "connection": self._connection,
                "slot": slot,
                "worker": WORKER,
                "seconds": SLOT_SECONDS,
                "minute_share": _share(self._limits.minute, work),
                "day_share": _share(self._limits.day, work),
                "concurrent_share": _share(self._limits.concurrent, work),
            }
            verdict = session.execute(query("budget", "draw"), values).fetchone()
        if verdict is None:
            raise DatabaseDown(
                f"The budget row of {self._connection} has gone.", cure="Run the command again."
            )
        if verdict["cause"] is None:
            return Slot(identifier=slot, drawn_at=verdict["drawn_at"], budget=self)
        seconds = float(verdict["seconds"]) if verdict["seconds"] is not None else _CONCURRENCY_WAIT_SECONDS
        raise BudgetExhausted(
            f"{self._connection}: the limit on calls ({verdict['cause']}) is reached, for {seconds:.1f} s.",
            seconds=seconds,
        )

    def learn(self, left: Mapping[str, int], *, slot: Slot | None = None) -> None:
        """Tighten the counts by what an answer told is left: `minute`, `day`.

        With the call's slot, an answer from before the present window changes nothing in it.
        """
        if not left:
            return
        values = {
            "connection": self._connection,
            "minute_left": left.get("minute"),
            "day_left": left.get("day"),
            "minute_limit": self._limits.minute,
            "day_limit": self._limits.day,
            "drawn_at": slot.drawn_at if slot else None,
        }
        with self._mutex, self._open() as session:
            session.execute(query("budget", "learn"), values)

    def blocked(self, seconds: float) -> None:
        """The vendor told us to wait: nobody calls before that time. An earlier, longer wait stays."""
        with self._mutex, self._open() as session, session.transaction():
            self._lock_row(session)
            session.execute(query("budget", "block"), {"connection": self._connection, "seconds": seconds})

    def give_back(self, slot: uuid.UUID) -> None:
        """Free a slot; `Slot.release` calls this.

        Never fails: a lost database must not hide the answer of the call, and the slot expires by itself.
        """
        with contextlib.suppress(DatabaseDown), self._mutex, self._open() as session:
            session.execute(query("budget", "give_back"), {"slot": slot})

    def close(self) -> None:
        """Close the session that the budget keeps."""
        with self._mutex:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _open(self) -> _Kept:
        if self._session is None or self._session.closed or self._session.broken:
            self._session = self._database.connect()
        return _Kept(self._session)

    def _lock_row(self, session: psycopg.Connection[dict[str, Any]]) -> None:
        # A statement of its own: the next one must see the slots of whoever held the lock before.
        values = {
            "connection": self._connection,
            "minute_limit": self._limits.minute,
            "day_limit": self._limits.day,
            "concurrent_limit": self._limits.concurrent,
        }
        session.execute(query("budget", "lock"), values)


class _Kept:
    """A session that stays open, with a lost one reported as what it means to the caller."""

    def __init__(self, session: psycopg.Connection[dict[str, Any]]) -> None:
        self._session = session

    def __enter__(self) -> psycopg.Connection[dict[str, Any]]:
        return self._session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, psycopg.OperationalError):
            raise DatabaseDown(f"The database went away: {error}") from error


def _share(limit: int | None, work: Work) -> int | None:
    return None if limit is None else max(1, int(limit * work.value))
