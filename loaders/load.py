"""One load of one stream.

For each page: a number is drawn, the request leaves, and the records, the cursor and what follows from them
commit in one transaction; meanwhile the next page is under way (`loaders.ahead`). Dying anywhere loses nothing: the next
run continues from the last committed cursor and merges again what was cut off. One loader a stream (an advisory lock of the
session). A load that finds nothing new makes one read and writes nothing but the note that it looked.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from uuid import UUID

from loaders import stage, sweep
from loaders.ahead import pages_ahead
from loaders.asking import Asking
from loaders.crew import Stop
from loaders.history import MayGoOn, Position, Walk, backfill_of, position_of
from loaders.progress import Backfill, Loaded, Progress
from loaders.stream import Client, Cursor, Stream
from tieout.budget import Work
from tieout.db import Database, try_lock, unlock
from tieout.errors import LockHeld
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import compose, query


def load(
    database: Database,
    client: Client,
    stream: Stream,
    *,
    run: UUID | None = None,
    progress: Progress | None = None,
    full: bool = False,
    swept: bool = False,
    accept_shrink: bool = False,
    stop: Stop | None = None,
    may_go_on: MayGoOn = lambda: True,
) -> Loaded:
    """Load what changed in one stream since its cursor, and what is left of its first load; `full` reads everything anew,
    `swept` looks for what stamps miss. `stop` ends it between two pages, by Stopping; `may_go_on` is asked before each
    page of a history, which else waits for the next load.

    Raises LockHeld when another process loads the stream, SchemaDrift when the answers have another shape,
    ConfigurationError when more records vanished than is believable, and whatever the client raises.
    """
    with database.connect(direct=True) as connection:
        name = client.connection.name
        held = f"tieout.load.{name}.{stream.system}.{stream.name}"
        if not try_lock(connection, held):
            raise LockHeld(f"Another run is loading {stream.name} of {name}.")
        asking = Asking(
            database=database,
            connection=connection,
            client=client,
            stream=stream,
            run=run,
            stop=stop or Stop(),
        )
        try:
            one = _Load(asking, progress, may_go_on, full=full, swept=swept)
            return one.run(accept_shrink=accept_shrink)
        finally:
            # The server may notice the end of a session later than whoever loads the stream next.
            if not connection.closed and not connection.broken:
                unlock(connection, held)


class _Load:
    """One load of one stream while it runs."""

    def __init__(
        self, asking: Asking, progress: Progress | None, may_go_on: MayGoOn, *, full: bool, swept: bool
    ) -> None:
        self._asking = asking
        self._progress = progress
        self._may_go_on = may_go_on
        self._full = full
        self._swept = swept
        self._started = time.monotonic()
        self._total = stage.Merged()
        self._rows = 0
        self._pages = 0
        self._deleted = 0

    def run(self, *, accept_shrink: bool) -> Loaded:
        stream, before = self._asking.stream, position_of(self._asking)
        asking = self._asking
        if not before.is_backfilled or self._full or self._swept:
            asking = replace(asking, work=Work.BACKFILL)
        beginning = asking.begin()
        met: set[str] = set()
        if stream.history is None:
            met = self._read(asking, None if self._full else before.cursor)
        elif not self._look_back(asking, before):
            # More is to come: what changed meanwhile is stored, and the rest of the history is for later.
            self._ask_again(asking)
            return self._finish(before)
        if stream.is_whole:
            self._deleted += sweep.after_whole_read(asking, beginning, met, accept_shrink=accept_shrink)
            asking.connection.execute(query("load", "whole_read"), asking.values | {"began_at": beginning.at})
        self._ask_again(asking)
        with unit_of_work(asking.connection):
            values = {"began_at": beginning.at, "began_version": beginning.version}
            asking.connection.execute(query("load", "reached_end"), asking.values | values)
        if self._swept and not stream.is_whole and not stream.grows_only:
            found = sweep.sweep(asking, accept_shrink=accept_shrink)
            self._rows += found.seen
            self._deleted += found.deleted
            self._total += stage.Merged(updated=found.changed, bad=found.bad)
        return self._finish(before)

    def _read(self, asking: Asking, cursor: Cursor | None, *, is_fresh: bool = False) -> set[str]:
        """Everything from a cursor on; the ids, when they are all that there are."""
        stream, before = asking.stream, position_of(asking)
        told: stage.ToldBy = "poll" if is_fresh or (before.is_backfilled and not self._full) else "backfill"
        met: set[str] = set()
        with pages_ahead(asking, stream.read, cursor) as pages:
            for page in pages:
                with unit_of_work(asking.connection), asking.connection.transaction():
                    merged, ids = asking.merge(page, told)
                    # Before the commit: it wakes who waits for changes, and they ask whether a load goes on.
                    self._count(merged, len(ids))
                if stream.is_whole:
                    met.update(ids)
        return met

    def _look_back(self, asking: Asking, before: Position) -> bool:
        """What changed since the cursor, then the history as far as it may go on. True: all is mirrored."""
        fresh = replace(asking, work=self._asking.work)
        if before.cursor is not None and not self._full:
            # Behind a cursor without a history there is all: it was read to its end, or all was in one answer.
            is_known = before.is_backfilled or before.history is not None
            self._read(fresh, before.cursor, is_fresh=is_known)
            if before.history is None:
                return True
        position = None if self._full else before.history
        walk = Walk(asking, position_of(asking), position)
        with closing(walk.pages(self._may_go_on)) as pages:
            for merged, rows in pages:
                self._count(merged, rows, walk.outlook())
        if not walk.is_at_end:
            return False
        if walk.count > 1 or position is not None:
            # Meanwhile others went on changing records; and only now the mirror can have as many as the vendor counted.
            self._read(fresh, position_of(asking).cursor, is_fresh=True)
            with closing(walk.missed()) as pages:
                for merged, rows in pages:
                    self._count(merged, rows)
        return True

    def _ask_again(self, asking: Asking) -> None:
        again, gone = asking.ask_again()
        self._total += again
        self._deleted += gone

    def _count(self, merged: stage.Merged, rows: int, backfill: Backfill | None = None) -> None:
        self._total += merged
        self._rows += rows
        self._pages += 1
        self._tell(backfill)

    def _tell(self, backfill: Backfill | None, *, is_ended: bool = False) -> Loaded:
        loaded = Loaded(
            connection=self._asking.name,
            stream=self._asking.stream.name,
            rows=self._rows,
            changed=self._total.changed + self._deleted,
            deleted=self._deleted,
            bad=self._total.bad,
            pages=self._pages,
            seconds=round(time.monotonic() - self._started, 3),
            is_ended=is_ended,
            backfill=backfill,
        )
        if self._progress is not None:
            self._progress(loaded)
        return loaded

    def _analyze(self, changed: int) -> None:
        """Let the planner know a table that this load filled; a load that changed little costs nothing here."""
        stream, connection = self._asking.stream, self._asking.connection
        if not changed:
            return
        values = {"table": f"staging.{stream.system}__{stream.name}", "changed": changed}
        row = connection.execute(query("load", "misjudged"), values).fetchone()
        if row is not None and row["is_misjudged"]:
            connection.execute(compose("load", "analyze", table=stage.staging_table(stream)))

    def _finish(self, before: Position) -> Loaded:
        loaded = self._tell(backfill_of(self._asking), is_ended=True)
        self._analyze(loaded.changed)
        after = position_of(self._asking)
        emit(
            Event.LOAD_STREAM_FINISHED,
            connection=loaded.connection,
            stream=loaded.stream,
            pages=loaded.pages,
            rows=loaded.rows,
            changed=loaded.changed,
            refused=loaded.bad,
            seconds=loaded.seconds,
            cursor_before=dict(before.cursor.value) if before.cursor is not None else None,
            cursor_after=dict(after.cursor.value) if after.cursor is not None else None,
        )
        return loaded
