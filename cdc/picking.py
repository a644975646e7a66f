"""Which entries come next: one batch of one entity and operation, that no other sender is busy with.

What a sender takes up it reserves until it is claimed, with locks of its session on the entries' numbers: others pass over it
and take the next ones, so that several send side by side, each full batches. A reservation is a hint that saves work. What
decides is the claim, which locks the links (`cdc/calls.py`); and a sender that has said nothing for a minute, with entries
still ready, is not waited for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from cdc.lane import Entry, Lane, Row, entries_of
from cdc.writing import Operation, Write
from tieout.db import array_text, numbers_text
from tieout.queries import compose, query

MOST_OTHERS = 31
"""So many batches of other senders are looked past, to find one that is free."""
ASLEEP_SECONDS = 60


@functools.cache
def bound_to(statement: str, *, is_bound: bool) -> sql.Composed:
    """A statement of `claiming.sql` that looks at ready entries: at those of a plan, or at those of none."""
    bound = query("claiming", "bound_by_plan" if is_bound else "bound_by_none")
    return compose("claiming", statement, bound=sql.SQL(bound))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far the ready entries of one entity were looked at."""

    after: int = 0
    tried: frozenset[int] = frozenset()
    """Entries behind `after` that were tried already."""
    is_end: bool = False


class Picker:
    """Batches for one sender; what it reserved comes free with the next batch, at the end, and with its session."""

    def __init__(self, lane: Lane, plan: str | None) -> None:
        self._lane = lane
        self._plan = plan
        self._batches: int = 1
        """How many batches are looked at to find a free one: as many as there were others the last time."""

    def ready(
        self, batches: Mapping[tuple[str, Operation], int], *, enough: int
    ) -> dict[tuple[str, Operation], int]:
        """In which of these entities and operations something may be sent now, and in how many calls; no more than `enough` of
        each are counted. `batches`: most entries of a call.
        """
        values = {
            "connection": self._lane.name,
            "entities": array_text([entity for entity, _ in batches]),
            "operations": array_text([operation for _, operation in batches]),
            "most": numbers_text(enough * size for size in batches.values()),
            "plan": self._plan,
        }
        statement = bound_to("ready", is_bound=self._plan is not None)
        found = self._lane.session.execute(statement, values)
        counts = {(row["entity"], row["operation"]): int(row["entries"]) for row in found}
        return {name: -(-counts[name] // size) for name, size in batches.items() if counts.get(name)}

    def next(self, write: Write, operation: Operation, place: Place) -> tuple[list[Entry], Place]:
        """The next batch, and the place behind it: what it leaves out comes next, what was tried does not come again."""
        rows = self._reserve(write, operation, place)
        if not rows:
            return [], Place(is_end=True)
        together = [rows[0]] if rows[0]["is_alone"] else [row for row in rows if not row["is_alone"]]
        session = self._lane.session
        entries, unlinked = entries_of(session, together, also_gone=operation == "remove")
        if unlinked:
            session.execute(query("waiting", "wait_again"), {"entries": unlinked})
        if entries:
            serial = write.serial_by(entries[0].outgoing)
            entries = [entry for entry in entries if write.serial_by(entry.outgoing) == serial]
        done = {entry.entry for entry in entries} | set(unlinked)
        left = [row["entry"] for row in rows if row["entry"] not in done]
        self._give_back(left)
        after = min(left) - 1 if left else rows[-1]["entry"]
        return entries, Place(after=after, tried=frozenset(one for one in place.tried | done if one > after))

    def release(self) -> None:
        """Let others have what was not sent."""
        self._give_back(self._lane.reserved)

    def _give_back(self, entries: Iterable[int]) -> None:
        ours = self._lane.reserved.intersection(entries)
        if ours:
            self._lane.session.execute(query("claiming", "unreserve"), {"entries": sorted(ours)})
            self._lane.reserved.difference_update(ours)

    def _reserve(self, write: Write, operation: Operation, place: Place) -> Sequence[Row]:
        self.release()
        limit = write.batch(operation)
        while True:
            rows, seen = self._look(write, operation, place, limit)
            if len(rows) >= limit or seen < limit * self._batches or self._batches > MOST_OTHERS:
                break
            # Others have some of these; what lies behind them may be free.
            self.release()
            self._batches *= 2
        if not rows and seen:
            rows, _ = self._look(write, operation, place, limit, from_sleepers=True)
        return rows

    def _look(
        self, write: Write, operation: Operation, place: Place, limit: int, *, from_sleepers: bool = False
    ) -> tuple[list[Row], int]:
        values = {
            "connection": self._lane.name,
            "entity": write.entity,
            "operation": operation,
            "after": place.after,
            "tried": sorted(place.tried),
            "limit": limit,
            "window": limit * self._batches,
            "plan": self._plan,
            "from_sleepers": from_sleepers,
            "seconds": ASLEEP_SECONDS,
        }
        statement = bound_to("reserve", is_bound=self._plan is not None)
        rows = self._lane.session.execute(statement, values).fetchall()
        found = [row for row in rows if row["entry"] is not None]
        self._lane.reserved.update(row["entry"] for row in found if row["is_reserved"])
        return found, int(rows[0]["seen"]) if rows else 0
