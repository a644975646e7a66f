"""What all processes on all hosts together may still call at one connection: calls a minute, a day and at once, calls
a minute of an app that several connections share, and bytes.

Whether a vendor counts in fixed or in rolling windows, and when a fixed one begins, is not known (Xero's pages say
fixed, older answers of its support rolling). So a call counts from its draw until a whole span after its end: then no
span of that length can hold more than the quota, wherever it begins. Calls that others make with the same app are told
by the answers: what is used at the vendor beyond our own counts until the span is over, and only tightens within it.

A call in flight is a slot; that of a process that died frees itself when it expires. Whoever finds no room is told when
to come again and keeps a place: a person first, then fresh changes, then backfill, each in order. Fresh changes leave a
person a little of each limit, backfill leaves more of the day. A draw locks the connection's row for a millisecond,
never over a call.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Any, Self

import psycopg

from tieout.db import SESSION_LOST, Database, together
from tieout.errors import BudgetDenied, DatabaseDown
from tieout.queries import query

SLOT_SECONDS = 120
"""After so long no call is under way any more: it left within half a minute, and its time-out is over."""
PATIENCE_SECONDS = 65.0
"""A longer wait keeps no place in the queue: it is for the next run."""

WORKER = f"{uuid.uuid4()}"
"""This process, in the slots that it draws."""

Session = psycopg.Connection[dict[str, Any]]


class Work(Enum):
    """Why a call is made; the value is its place in the queue."""

    PERSON = 0
    """A person waits for it, or it settles what is in doubt."""
    FRESH = 1
    """What has just changed."""
    BACKFILL = 2
    """First loads and sweeps: whatever can wait."""


# The part of a quota that each class leaves to those before it; of a minute little, because the queue serves them first.
_LEAVES = {
    "minute": {Work.PERSON: 0.0, Work.FRESH: 0.01, Work.BACKFILL: 0.03},
    "bytes": {Work.PERSON: 0.0, Work.FRESH: 0.01, Work.BACKFILL: 0.03},
    "day": {Work.PERSON: 0.0, Work.FRESH: 0.05, Work.BACKFILL: 0.3},
}
_work: ContextVar[Work] = ContextVar("work", default=Work.FRESH)


def present_work() -> Work:
    """What calls are made for that do not say so themselves; FRESH unless `working_for` says otherwise."""
    return _work.get()


@contextlib.contextmanager
def working_for(work: Work) -> Iterator[None]:
    """Calls inside are made for this, where they do not say so themselves."""
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The vendor's limits; None: there is none."""

    minute: int | None = None
    day: int | None = None
    concurrent: int | None = None
    app: str | None = None
    """What tells the app apart; connections of one app share `app_minute`."""
    app_minute: int | None = None
    bytes_minute: int | None = None
    """Bytes of requests."""
    minute_seconds: float = 60
    day_seconds: float = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The right to make one call. A context manager: leaving it says that the call is over."""

    drawn_at: datetime | None = None
    """By the database's clock."""
    identifier: uuid.UUID | None = None
    budget: Budget | None = field(default=None, repr=False)

    def release(self, *, size: int | None = None) -> None:
        """The call is over, with so many bytes sent (None: as many as were reserved); a second time does nothing."""
        if self.budget is not None and self.identifier is not None:
            self.budget.give_back(self.identifier, size=size)

    def unused(self) -> None:
        """No call was made: it does not count."""
        if self.budget is not None and self.identifier is not None:
            self.budget.give_back(self.identifier, is_used=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The day of one connection. Times are UTC."""

    connection: str
    used: int
    """Calls of the last 24 hours, those of others included as far as the vendor told."""
    limit: int | None
    an_hour: int
    """The pace of the last hour."""
    lasts_until: datetime | None
    """When the rest is used up at that pace; None: it lasts for a day and more, or there is no limit."""
    blocked_until: datetime | None
    """The vendor told us to wait so long."""


def forecast(session: Session) -> list[Forecast]:
    """The day budget of each connection that was ever called, by name."""
    return [
        Forecast(
            connection=row["connection"],
            used=row["used"],
            limit=row["quota"],
            an_hour=row["an_hour"],
            lasts_until=row["lasts_until"],
            blocked_until=row["blocked_until"],
        )
        for row in session.execute(query("budget", "forecast"))
    ]


def day_share(limit: int) -> int:
    """How many calls of a day backfills may make: they leave the rest to what is fresh and to people."""
    share = _share(limit, "day", Work.BACKFILL)
    assert share is not None, "a limit has a share"  # noqa: S101
    return share


class Budget:
    """The budget of one connection, shared over all processes through the database."""

    def __init__(self, database: Database, connection: str, limits: CallLimits) -> None:
        self._database = database
        self._connection = connection
        self._limits = limits
        self._app = f"app {limits.app}" if limits.app is not None else None
        self._owners = [connection, *([self._app] if self._app is not None else [])]
        self._session: Session | None = None
        self._is_registered = False
        self._mutex = threading.Lock()
        self._places = threading.local()

    @property
    def calls_at_once(self) -> int | None:
        """The vendor's limit on calls at the same time; None: there is none."""
        return self._limits.concurrent

    def draw(self, work: Work | None = None, *, size: int = 0) -> Slot:
        """Take a slot for one call that sends about so many bytes.

        Raises BudgetDenied, with the wait, when a limit is reached; the caller's thread then keeps its place for the
        next time that it asks.
        """
        work = work if work is not None else present_work()
        slot = uuid.uuid4()
        quotas = self._quotas()
        values = {
            "connection": self._connection,
            "app": self._app,
            "owners": self._owners,
            "slot": slot,
            "worker": WORKER,
            "bytes": size,
            "seconds": SLOT_SECONDS,
            "ticket": self._place(),
            "class": work.value,
            "patience": PATIENCE_SECONDS,
            "window_owners": [owner for owner, _ in quotas],
            "kinds": [kind for _, kind in quotas],
            "shares": [_share(quota, kind, work) for (_, kind), quota in quotas.items()],
            "concurrent_share": _at_once(self._limits.concurrent, work),
        }
        # Two statements: the second must see the slots of whoever held the lock before. They travel together, as one transaction, so
        # that the rows are not locked while an answer is on its way to us.
        with self._mutex, self._open() as session:
            with together(session):
                session.execute(query("budget", "lock"), {"owners": self._owners})
                drawn = session.execute(query("budget", "draw"), values)
            verdict = drawn.fetchone()
        if verdict is None:
            self._is_registered = False
            raise DatabaseDown(
                f"The budget row of {self._connection} has gone.", cure="Run the command again."
            )
        if verdict["cause"] is None:
            return Slot(identifier=slot, drawn_at=verdict["drawn_at"], budget=self)
        seconds = max(0.01, float(verdict["seconds"]))
        raise BudgetDenied(
            f"{self._connection}: the limit on calls ({verdict['cause']}) is reached, for {seconds:.1f} s.",
            seconds=seconds,
            limit=verdict["cause"],
        )

    def learn(self, left: Mapping[str, int], *, slot: Slot | None = None) -> None:
        """What an answer told is left: `minute`, `day`, `app_minute`. `slot`: of the call that it answers."""
        quotas = self._quotas()
        told = {
            (owner, kind): quota - left[name]
            for name, owner, kind in (
                ("minute", self._connection, "minute"),
                ("day", self._connection, "day"),
                ("app_minute", self._app or "", "minute"),
            )
            if name in left and (quota := quotas.get((owner, kind))) is not None
        }
        if not told or slot is None or slot.drawn_at is None:
            return
        values = {
            "drawn_at": slot.drawn_at,
            "window_owners": [owner for owner, _ in told],
            "kinds": [kind for _, kind in told],
            "told": list(told.values()),
        }
        with self._mutex, self._open() as session:
            session.execute(query("budget", "learn"), values)

    def blocked(self, seconds: float, *, of_app: bool = False) -> None:
        """The vendor told us to wait: nobody calls before that time. An earlier, longer wait stays.

        `of_app`: all connections of the app wait.
        """
        owner = self._app if of_app and self._app is not None else self._connection
        with self._mutex, self._open() as session:
            session.execute(query("budget", "block"), {"owner": owner, "seconds": seconds})

    def give_back(self, slot: uuid.UUID, *, size: int | None = None, is_used: bool = True) -> None:
        """Free a slot; `Slot.release` and `Slot.unused` call this.

        Never fails: a lost database must not hide the answer of the call, and the slot expires by itself.
        """
        with contextlib.suppress(DatabaseDown), self._mutex, self._open() as session:
            if is_used:
                session.execute(query("budget", "give_back"), {"slot": slot, "bytes": size})
            else:
                session.execute(query("budget", "unused"), {"slot": slot})

    def close(self) -> None:
        """Close the session that the budget keeps."""
        with self._mutex:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _quotas(self) -> dict[tuple[str, str], int | None]:
        """The windows that a call counts in: always the day, the others where there is a limit."""
        limits = self._limits
        quotas: dict[tuple[str, str], int | None] = {(self._connection, "day"): limits.day}
        if limits.minute is not None:
            quotas[self._connection, "minute"] = limits.minute
        if limits.bytes_minute is not None:
            quotas[self._connection, "bytes"] = limits.bytes_minute
        if self._app is not None and limits.app_minute is not None:
            quotas[self._app, "minute"] = limits.app_minute
        return quotas

    def _place(self) -> uuid.UUID:
        """This thread's place in the queue; the budget may be used by several."""
        if not hasattr(self._places, "ticket"):
            self._places.ticket = uuid.uuid4()
        ticket: uuid.UUID = self._places.ticket
        return ticket

    @contextlib.contextmanager
    def _open(self) -> Iterator[Session]:
        """The session that stays open, with a lost one reported as what it means to the caller."""
        if self._session is None or self._session.closed or self._session.broken:
            self._session = self._database.connect()
        try:
            if not self._is_registered:
                self._register(self._session)
            yield self._session
        except SESSION_LOST as error:
            raise DatabaseDown(f"The database went away: {error}") from error

    def _register(self, session: Session) -> None:
        quotas = self._quotas()
        spans = {"day": self._limits.day_seconds}
        values = {
            "window_owners": [owner for owner, _ in quotas],
            "kinds": [kind for _, kind in quotas],
            "quotas": list(quotas.values()),
            "spans": [f"{spans.get(kind, self._limits.minute_seconds)} seconds" for _, kind in quotas],
        }
        with session.transaction():
            session.execute(query("budget", "register"), {"owners": self._owners})
            session.execute(query("budget", "register_windows"), values)
        self._is_registered = True


def _share(quota: int | None, kind: str, work: Work) -> int | None:
    """How much of a quota this work may use; at least one call is left to those before it, if there are two."""
    if quota is None:
        return None
    part = _LEAVES[kind][work]
    left = 0 if not part else max(work.value, round(quota * part))
    return max(1, quota - left)


def _at_once(quota: int | None, work: Work) -> int | None:
    """Calls are short and the queue serves a person first, so that backfill alone leaves a slot."""
    return None if quota is None else max(1, quota - (work is Work.BACKFILL))
