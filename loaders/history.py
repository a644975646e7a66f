"""The first load of a stream: its history, newest record first, over hours or days, while fresh changes go on being read.

A stream keeps two positions: the cursor, from which what changes is followed, and how far back its history is read. The first
page gives both. Each further page commits with the position behind it, so a stop of any kind costs the page that was under way.
Nothing takes the stream for read (`backfilled_at`) before the history is at its end, what changed meanwhile was read, and the
mirror has as many records as the vendor counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from loaders import stage
from loaders.ahead import pages_ahead
from loaders.asking import Asking
from loaders.progress import Backfill, outlook
from loaders.records import RawRecord, identify_all
from loaders.stream import Cursor, Page, Stream
from tieout.budget import Forecast, forecast
from tieout.db import json_dumps
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query

TELL_SECONDS = 60.0
"""How often a backfill says in an event how far it is."""
LATE = timedelta(minutes=15)
"""A record may be seen for the first time so long after its own stamp: longer than the overlap of any stream."""

MayGoOn = Callable[[], bool]
"""Asked before each page of a history but its very first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a stream is read."""

    cursor: Cursor | None = None
    history: Cursor | None = None
    """How far back; None: no history goes on."""
    is_backfilled: bool = False
    """It was read to its end at least once."""


def position_of(asking: Asking) -> Position:
    """Where the stream stands."""
    row = asking.connection.execute(query("load", "position"), asking.values).fetchone()
    if row is None:
        return Position()
    return Position(
        cursor=Cursor(value=row["cursor"]) if row["cursor"] else None,
        history=Cursor(value=row["history"]) if row["history"] else None,
        is_backfilled=bool(row["is_backfilled"]),
    )


def backfill_of(asking: Asking, days: list[Forecast] | None = None) -> Backfill | None:
    """How far the history of the stream is; None when none goes on."""
    rows = asking.connection.execute(query("load", "histories"), {"connection": asking.name}).fetchall()
    if asking.stream.name not in {row["stream"] for row in rows}:
        return None
    found = outlook(rows, days if days is not None else forecast(asking.connection))
    return next(each for each in found if each.stream == asking.stream.name)


class Walk:
    """The history of one stream, from a position back."""

    def __init__(self, asking: Asking, before: Position, position: Cursor | None) -> None:
        self._asking = asking
        self._before = before
        self._position = position
        self._known_until = _moment(asking.stream, before.cursor)
        self._total: int | None = None
        self._added = 0
        self._told_at = self._last = time.monotonic()
        self._days: list[Forecast] | None = None
        self.count = 0
        """Pages read."""
        self.is_at_end = False

    def pages(self, may_go_on: MayGoOn) -> Generator[tuple[stage.Merged, int], None, None]:
        """Merge page by page; what became of each, and how many records it had."""
        asking, reader = self._asking, self._asking.stream.history
        assert reader is not None, "only streams with a history are walked"  # noqa: S101
        if self._position is not None and not may_go_on():
            return
        if not may_go_on():
            # Only the newest page, for now: the next one is not asked for beside it.
            first = next(reader(asking, asking.stream, None))
            yield self._merge(first)
            self.is_at_end = first.history is None
            return
        with pages_ahead(asking, reader, self._position) as pages:
            for page in pages:
                yield self._merge(page)
                self.is_at_end = page.history is None
                if not self.is_at_end and not may_go_on():
                    return

    def missed(self) -> Generator[tuple[stage.Merged, int], None, None]:
        """When the mirror has fewer records than the vendor counted: all once more, in an order that never changes."""
        asking = self._asking
        # As many records that were not known before as there are: counting reads every row of the table for the same answer.
        if self._total is None or self._added >= self._total:
            return
        row = asking.connection.execute(query("load", "count_bad"), asking.values).fetchone() or {}
        if asking.live() + int(row["bad"]) >= self._total:
            return
        with pages_ahead(asking, asking.stream.walk, None) as pages:
            for page in pages:
                with unit_of_work(asking.connection), asking.connection.transaction():
                    merged, ids = asking.merge(page, "backfill", keep_cursor=True)
                yield merged, len(ids)

    def outlook(self) -> Backfill | None:
        """How far it is now; also told as an event now and then."""
        asking = self._asking
        is_due = time.monotonic() - self._told_at >= TELL_SECONDS
        if self._days is None or is_due:
            self._days = forecast(asking.connection)
        found = backfill_of(asking, self._days)
        if found is not None and is_due:
            self._told_at = time.monotonic()
            tell(found)
        return found

    def _merge(self, page: Page) -> tuple[stage.Merged, int]:
        asking, started = self._asking, time.monotonic()
        values: dict[str, Any] = {
            "history": json_dumps(dict(page.history.value)) if page.history is not None else None,
            "is_anew": self._position is None and self.count == 0,
            "left_over": page.left,
            "rows": len(page.records),
            "seconds": started - self._last,
        }
        with unit_of_work(asking.connection), asking.connection.transaction():
            merged, ids = asking.merge(page, self._told_by(page), keep_cursor=self._before.cursor is not None)
            asking.connection.execute(query("load", "note_history"), asking.values | values)
        self._last = started
        self._total = page.total
        self._added += merged.inserted
        if page.cursor is not None:
            self._known_until = _moment(asking.stream, page.cursor)
        self.count += 1
        return merged, len(ids)

    def _told_by(self, page: Page) -> stage.ToldBy:
        """A backfill does not touch other streams; what changed since it began must, for nobody else will read it as new."""
        if self._before.is_backfilled and self._before.cursor is None:
            return "poll"
        stream, until = self._asking.stream, self._known_until
        if not stream.touches or until is None:
            return "backfill"
        records = page.identified if page.identified is not None else identify_all(stream, page.records)
        stamps = (record.modified_at for record in records if isinstance(record, RawRecord))
        return "poll" if any(stamp is not None and stamp > until - LATE for stamp in stamps) else "backfill"


def tell(backfill: Backfill) -> None:
    """One line about a backfill that goes on."""
    emit(
        Event.LOAD_BACKFILL_GOES_ON,
        connection=backfill.connection,
        stream=backfill.stream,
        rows=backfill.rows,
        left=backfill.left,
        percent=round(backfill.part * 100, 1) if backfill.part is not None else None,
        seconds_left=round(backfill.seconds_left) if backfill.seconds_left is not None else None,
        bound="day" if backfill.is_bound_by_day else "pace",
    )


def _moment(stream: Stream, cursor: Cursor | None) -> datetime | None:
    """The time up to which a cursor says that all is read: the latest that stands in it."""
    texts = [value for value in cursor.value.values() if isinstance(value, str)] if cursor is not None else []
    return max(filter(None, map(stream.parse_time, texts)), default=None)
