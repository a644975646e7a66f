"""What a load came to, how far a first backfill is, and how long it will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tieout.budget import Forecast, day_share
from tieout.errors import TieoutError
from tieout.queries import query

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A backfill that is not at its end. It goes on with the next load."""

    connection: str
    stream: str
    rows: int
    """Records read so far."""
    left: int | None
    """Records still to come by the vendor's count; None: it tells none."""
    pages_left: int | None
    seconds_left: float | None
    """At the pace measured, or at what the vendor allows a day."""
    is_bound_by_day: bool
    """The calls of a day are the bound, not the pace."""
    is_first: bool = True
    """The stream was never read to its end: what the models say of it would be of a part."""

    @property
    def part(self) -> float | None:
        """Between 0 and 1."""
        if self.left is None:
            return None
        return self.rows / (self.rows + self.left) if self.rows + self.left else 1.0

    @property
    def sentence(self) -> str:
        """`12,000 of 48,000 (25 %), 3 min left`."""
        if self.part is None or self.left is None:
            return f"{self.rows:,} read"
        words = f"{self.rows:,} of {self.rows + self.left:,} ({math.floor(self.part * 100)} %)"
        if self.seconds_left is None:
            return words
        bound = " at the calls of a day" if self.is_bound_by_day else ""
        return f"{words}, {duration(self.seconds_left)} left{bound}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What loading one stream did; counts."""

    connection: str
    stream: str
    rows: int = 0
    """Records read, those met twice included."""
    changed: int = 0
    """Rows whose content changed."""
    deleted: int = 0
    bad: int = 0
    """Records that newly became dead letters of loading."""
    pages: int = 0
    seconds: float = 0.0
    is_ended: bool = False
    """Nothing more is read of it now; as told to a `Progress`."""
    backfill: Backfill | None = None
    """How far its first load is, when it is not at its end."""
    error: TieoutError | None = field(default=None, compare=False)
    """Why this stream stopped; the others went on."""

    def then(self, later: Loaded) -> Loaded:
        """This and what a later look at the same stream did."""
        return Loaded(
            connection=self.connection,
            stream=self.stream,
            rows=self.rows + later.rows,
            changed=self.changed + later.changed,
            deleted=self.deleted + later.deleted,
            bad=self.bad + later.bad,
            pages=self.pages + later.pages,
            seconds=round(self.seconds + later.seconds, 3),
            is_ended=later.is_ended,
            backfill=later.backfill,
            error=later.error,
        )


Progress = Callable[[Loaded], None]
"""Called after each page with what the stream came to so far, and once at its end; never by two threads at once."""


def outlook(rows: Sequence[dict[str, Any]], days: Sequence[Forecast]) -> list[Backfill]:
    """Backfills that go on (`histories` in load.sql) with the time they take.

    The pace is the time that pages took so far, waits for the limit of a minute included. A day's calls are shared by all
    streams of a connection, which are read at the same time: beyond what is left of them now each day brings its share.
    """
    allowed = {day.connection: day for day in days}
    counted = [(row, _pages_left(row)) for row in rows]
    return [_one(row, left, counted, allowed.get(row["connection"])) for row, left in counted]


def backfills(session: psycopg.Connection[dict[str, Any]], days: Sequence[Forecast]) -> list[Backfill]:
    """All backfills that go on, by connection and stream."""
    return outlook(session.execute(query("load", "histories"), {"connection": None}).fetchall(), days)


def duration(seconds: float) -> str:
    """`40 s`, `7 min`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1440:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"


def _pages_left(row: dict[str, Any]) -> int | None:
    if row["history_left"] is None or not row["history_pages"] or not row["history_rows"]:
        return None
    pages: int = math.ceil(row["history_left"] * row["history_pages"] / row["history_rows"])
    return pages


def _one(
    row: dict[str, Any],
    pages: int | None,
    counted: Sequence[tuple[dict[str, Any], int | None]],
    day: Forecast | None,
) -> Backfill:
    paced = pages * row["history_seconds"] / row["history_pages"] if pages is not None else None
    share = day_share(day.limit) if day is not None and day.limit is not None else None
    by_day = 0.0
    if share is not None and day is not None:
        of_connection = sum(left or 0 for other, left in counted if other["connection"] == row["connection"])
        beyond = of_connection - max(0, share - day.used)
        by_day = max(0, beyond) / share * DAY_SECONDS
    is_bound = paced is not None and by_day > paced
    return Backfill(
        connection=row["connection"],
        stream=row["stream"],
        rows=row["history_rows"],
        left=row["history_left"],
        pages_left=pages,
        seconds_left=by_day if is_bound else paced,
        is_bound_by_day=is_bound,
        is_first=row["is_first"],
    )
