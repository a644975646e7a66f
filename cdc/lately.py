"""Limits that hold over many small diffs: what a process let pass in the last minutes counts along with what a diff makes.

The limits of `cdc.guard` are of one diff, and `sync` makes one every few minutes. A process that makes one at each commit
would begin to count anew each time, and a flood would pass page by page.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from cdc.guard import Made, Stop

WINDOW_SECONDS = 300.0
"""What is made within this time counts as if one diff had made it."""


class Lately:
    """What the diffs of one process let pass, by model."""

    def __init__(self, seconds: float = WINDOW_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._passed: defaultdict[str, deque[tuple[float, Made]]] = defaultdict(deque)

    def with_passed(self, model: str, made: Sequence[Made]) -> list[Made]:
        """What is made now and what passed lately, one row an operation and currency; nothing when nothing is made now."""
        passed = self._passed[model]
        while passed and passed[0][0] < self._clock() - self._seconds:
            passed.popleft()
        sums = {(one.operation, one.currency): one for one in made}
        for _, one in passed:
            name = (one.operation, one.currency)
            if any(each.operation == one.operation for each in made):
                sums[name] = _sum(sums[name], one) if name in sums else one
        return list(sums.values())

    def note(self, model: str, made: Sequence[Made], stops: Sequence[Stop]) -> None:
        """Remember what was made now and not held whole."""
        held = {
            (operation, stop.currency)
            for stop in stops
            if stop.above is None and not stop.without_amount
            for operation in stop.operations
        }
        now = self._clock()
        for one in made:
            if (one.operation, None) not in held and (one.operation, one.currency) not in held:
                self._passed[model].append((now, one))


def _sum(one: Made, other: Made) -> Made:
    return Made(
        operation=one.operation,
        currency=one.currency,
        entries=one.entries + other.entries,
        amount=one.amount + other.amount,
        largest=max(one.largest, other.largest),
        without_amount=one.without_amount,
    )
