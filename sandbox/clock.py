"""The clock of the stand-ins: real time plus an offset, or frozen, so that no test has to wait."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """UTC time to the millisecond, which is what both vendors keep.

    By default it is the machine's clock plus an offset. `set` moves the offset and the clock runs on from
    there; `freeze` stops it, and then only `advance` and `set` move it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        self._frozen: datetime | None = None

    def now(self) -> datetime:
        """The current time, timezone-aware, cut to the millisecond."""
        with self._lock:
            return _milliseconds(self._read())

    def advance(self, seconds: float) -> datetime:
        """Move the clock by so many seconds and return the new time."""
        with self._lock:
            if self._frozen is None:
                self._offset += timedelta(seconds=seconds)
            else:
                self._frozen += timedelta(seconds=seconds)
            return _milliseconds(self._read())

    def set(self, at: datetime) -> datetime:
        """Move the clock to a timezone-aware time; it runs on from there unless it is frozen."""
        if at.tzinfo is None:
            raise ValueError("a clock is set to a timezone-aware time")
        with self._lock:
            at = at.astimezone(UTC)
            if self._frozen is None:
                self._offset = at - datetime.now(UTC)
            else:
                self._frozen = at
            return _milliseconds(self._read())

    def freeze(self, at: datetime | None = None) -> datetime:
        """Stop the clock, at the given time or where it is."""
        if at is not None and at.tzinfo is None:
            raise ValueError("a clock is frozen at a timezone-aware time")
        with self._lock:
            self._frozen = at.astimezone(UTC) if at is not None else self._read()
            return _milliseconds(self._frozen)

    def run(self) -> datetime:
        """Let a frozen clock run on from where it stands."""
        with self._lock:
            if self._frozen is not None:
                self._offset = self._frozen - datetime.now(UTC)
                self._frozen = None
            return _milliseconds(self._read())

    @property
    def is_frozen(self) -> bool:
        """Whether only `advance` and `set` move the clock."""
        with self._lock:
            return self._frozen is not None

    def _read(self) -> datetime:
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset


def _milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
