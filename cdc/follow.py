"""The pipeline as one process that stays: loads at their pace, diffs and drains as soon as a commit says that there is news.

A thread a connection loads it; one diffs; one a target drains it; one refreshes the marts; one keeps house; one listens for
notifications. They are the functions that the commands call, over sessions, clients and prepared statements that stay.
Notifications are hints: every part also looks by the clock, so that a lost one costs seconds and nothing else. Nothing is
remembered in the process that the database does not know: it may be killed anywhere, and several may run, on any host,
because each part takes the locks that its command takes.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from cdc import diff as differ
from cdc import drain as drainer
from cdc import marts
from cdc.beat import Beat, Ending, is_for_later
from cdc.gate import OpenClient, Writers, opener
from cdc.lane import Client
from cdc.under_way import UnderWay
from cdc.warm import Kept, changing, distance, warm
from cdc.worker import Worker
from cdc.writing import open_writers
from loaders import poll
from loaders.crew import Stop, Stopping
from tieout.budget import forecast
from tieout.db import SESSION_LOST, Database
from tieout.errors import TieoutError
from tieout.queries import query
from tieout.settings import Connection, Settings
from tieout.systems import find_system

LEAVE_SECONDS = 10.0
"""Whoever only reads is waited for so long at the end; a drain is waited for until its call is over."""
WHOLE_SECONDS = 900.0
"""Lists that are always read whole (accounts, tax rates, stores) change seldom: so often."""
LISTEN_SECONDS = 0.2
BACKFILL_SECONDS = 120.0
"""A first load that takes days goes on for so long between two looks at what changed."""

Session = psycopg.Connection[dict[str, Any]]
Load = Callable[..., list[poll.Loaded]]
"""`loaders.poll.load_connection`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between two looks, when nothing wakes a part."""

    load: float = 60.0
    """Between the end of a load of a connection and the next."""
    marts: float = 60.0
    look: float = 5.0
    """Diff and drains: how long a lost notification can cost."""
    house: float = 60.0
    waiting: float = 60.0
    """Entries that only wait for others are released by whoever settles those; this finds what a death in between left."""


class Follow:
    """All parts of one process. `run` names the run under which work is recorded; `house` is done now and then."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        pace: Pace,
        run: Callable[[], UUID | None] = lambda: None,
        house: Callable[[], None] = lambda: None,
        open_client: OpenClient | None = None,
        writers: Writers = open_writers,
        load: Load = poll.load_connection,
    ) -> None:
        self.ending: Ending = Ending()
        self.stop: Stop = Stop()
        """Ends loads between two pages."""
        self.counts: Counter[str] = Counter()
        """What was done: loads, changed, diffs, entries, calls, applied, rejected, held."""
        self.database: Database = database
        self.settings: Settings = settings
        self.pace: Pace = pace
        self.run: Callable[[], UUID | None] = run
        self.writers: Writers = writers
        self.load: Load = load
        self.open_client: OpenClient = open_client or opener(database, settings)
        self._mutex = threading.Lock()
        self._under_way = UnderWay(database, pace.load)
        self._session: Session | None = None
        """The diff's."""
        self._is_due = True
        """The diff looks even without news: at first, and after a failure, which may have left entries uncounted."""
        self._diff = self.beat("diff", self._diff_once, pace.look)
        self._drains = {
            name: self.beat(f"drain {name}", _Target(self, connection).drain, pace.look)
            for name, connection in sorted(settings.connections.items())
            if connection.writes == "on" and find_system(connection.system).writes
        }
        self._loads = [
            _Source(self, connection).beat
            for _, connection in sorted(settings.connections.items())
            if find_system(connection.system).reads
        ]
        self._others = [
            self.beat("listen", self._listen, pace.look),
            self.beat("marts", self._refresh_marts, pace.marts),
            self.beat("house", house, pace.house),
        ]

    def work(self) -> None:
        """Until it is asked to end (`ending`). Raises what ended it, unless a person or a supervisor did."""
        for beat in (*self._others, self._diff, *self._drains.values(), *self._loads):
            beat.start()
        because = self.ending.wait()
        self.stop.set()
        for beat in self._drains.values():
            beat.join()
        until = time.monotonic() + LEAVE_SECONDS
        for beat in (self._diff, *self._loads, *self._others):
            beat.join(max(0.0, until - time.monotonic()))
        self._under_way.close()
        if because is not None:
            raise because

    def count(self, **counts: int) -> None:
        """Add to `counts`; called by all threads."""
        with self._mutex:
            self.counts.update(counts)

    def beat(self, name: str, action: Callable[[], None], every: float) -> Beat:
        """A part that ends with the others."""
        return Beat(name, action, every=every, ending=self.ending)

    # ------------------------------------------------------------------ listening

    def _listen(self) -> None:
        """Until the end, or until the session is lost; then what was missed is looked for at once."""
        with self.database.connect(direct=True, lease_seconds=None) as session:
            session.execute(query("follow", "listen_changes"))
            session.execute(query("follow", "listen_ready"))
            for beat in (self._diff, *self._drains.values()):
                beat.wake()
            while not self.ending.asked.is_set():
                for note in session.notifies(timeout=LISTEN_SECONDS):
                    if note.channel == "tieout_changes":
                        self._diff.wake()
                    elif note.payload in self._drains:
                        self._drains[note.payload].wake()
                    if self.ending.asked.is_set():
                        return

    # ------------------------------------------------------------------ diff and marts

    def _diff_once(self) -> None:
        self._session = warm(self.database, self._session)
        is_told = not self._is_due
        if is_told and not self._has_news(self._session):
            return
        # Asked behind the news: they may be the first page of a load that goes on, here or on another host. All that it brings is
        # looked at together, as one change. A load that takes longer than loads are apart (a first one) is followed page by page.
        if self._under_way.is_waited_for(self._session):
            return
        self._is_due = True
        found = differ.diff(
            self.database,
            self.settings,
            run=self.run(),
            writers=self.writers,
            raises=False,
            session=self._session,
            counts_along=True,
            is_told=is_told,
        )
        self._is_due = False
        made = sum(each.created + each.updated + each.removed for each in found.models)
        self.count(diffs=1, entries=made, held=sum(each.held for each in found.models))
        for error in found.errors:
            # The other models went on; this one is looked at again by the clock.
            self._diff.complain(error)

    def _has_news(self, session: Session) -> bool:
        row = session.execute(query("follow", "news")).fetchone()
        return row is None or bool(row["has_news"])

    def page(self, connection: str, so_far: poll.Loaded) -> None:
        """A page of a load is there, or will be in a moment: before its commit, so that whoever hears of that knows of the load."""
        if so_far.changed:
            self._under_way.brings(connection)

    def loaded(self, connection: str) -> None:
        """A load ended, well or not."""
        if self._under_way.ended(connection):
            self._diff.wake()

    def _refresh_marts(self) -> None:
        marts.refresh(self.database, run=self.run())

    # ------------------------------------------------------------------ what sources and targets need

    def sent(self, name: str, drained: drainer.Drained) -> None:
        """A drain is over: what it settled is looked at, and other targets may have waited for it."""
        self.count(calls=drained.calls, applied=drained.applied, rejected=drained.rejected, held=drained.held)
        if drained.calls or drained.adopted or drained.unchanged:
            self._diff.wake()
            for other, beat in self._drains.items():
                if other != name:
                    beat.wake()

    def complain(self, name: str, error: TieoutError) -> None:
        """Of a target that goes on all the same."""
        self._drains[name].complain(error)


class _Source:
    """One connection that is loaded, and its client."""

    def __init__(self, follow: Follow, connection: Connection) -> None:
        self._follow = follow
        self._connection = connection
        self._client: Any = None
        self._whole = -math.inf
        """When the lists that are read whole were read."""
        self.beat: Beat = follow.beat(f"load {connection.name}", self.load, follow.pace.load)

    def load(self) -> None:
        """What may have changed, once."""
        follow, name = self._follow, self._connection.name
        now = time.monotonic()
        is_whole = now - self._whole >= WHOLE_SECONDS
        try:
            self._client = self._client or follow.open_client(self._connection)
            loaded = follow.load(
                follow.database,
                follow.settings,
                self._connection,
                streams=None if is_whole else changing(self._connection.system),
                client=self._client,
                run=follow.run(),
                progress=lambda so_far: follow.page(name, so_far),
                stop=follow.stop,
                backfill_seconds=BACKFILL_SECONDS,
            )
            self._whole = now if is_whole else self._whole
            follow.count(loads=1, changed=sum(each.changed for each in loaded))
            self.beat.every = self._distance(loaded)
        except Stopping:
            return
        except (TieoutError, *SESSION_LOST):
            self._close()
            raise
        finally:
            follow.loaded(name)

    def _distance(self, loaded: Sequence[poll.Loaded]) -> float:
        """Seconds until the next load."""
        with self._follow.database.connect() as session:
            limits = {each.connection: each.limit for each in forecast(session)}
        # A look a stream; what a first load or many changes need beyond that has its turn in the budget.
        return distance(self._follow.pace.load, len(loaded), limits.get(self._connection.name))

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Target:
    """One connection that is written to: its session, its registered sender and its client."""

    def __init__(self, follow: Follow, connection: Connection) -> None:
        self._follow = follow
        self._connection = connection
        self._session: Session | None = None
        self._worker: Worker | None = None
        self._client: Kept | None = None
        self._whole = -math.inf
        """When all open entries were looked at."""

    def drain(self) -> None:
        """What is ready, or in doubt."""
        follow, name = self._follow, self._connection.name
        try:
            self._session = warm(follow.database, self._session)
            if not self._has_work(self._session):
                return
            if self._worker is None:
                self._worker = Worker(follow.database).__enter__()
            drained = drainer.drain(
                follow.database,
                follow.settings,
                run=follow.run(),
                connections=[name],
                open_client=self._open,
                writers=follow.writers,
                wait=self._wait,
                session=self._session,
                worker=self._worker,
                is_over=follow.ending.asked.is_set,
            )
        except BaseException:
            self._whole = -math.inf
            self._close()
            raise
        follow.sent(name, drained)
        if follow.ending.asked.is_set():
            self._close()
            return
        for error in drained.errors:
            if is_for_later(error):
                self._whole = -math.inf
                self._close()
                raise error
            follow.complain(name, error)

    def _has_work(self, session: Session) -> bool:
        now = time.monotonic()
        if now - self._whole >= self._follow.pace.waiting:
            self._whole = now
            return True
        row = session.execute(query("follow", "to_send"), {"connection": self._connection.name}).fetchone()
        return row is None or bool(row["has_work"])

    def _open(self, connection: Connection) -> Client:
        if self._client is None:
            self._client = Kept(self._follow.open_client(connection))
        return self._client

    def _wait(self, seconds: float) -> None:
        self._follow.ending.asked.wait(seconds)

    def _close(self) -> None:
        """Everything anew next time: who answers is asked again, and a lost lock is a new sender's."""
        client, worker, self._client, self._worker = self._client, self._worker, None, None
        if client is not None:
            client.end()
        if worker is not None:
            with suppress(psycopg.Error):
                worker.__exit__(None, None, None)
