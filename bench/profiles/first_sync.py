"""Where a first sync's time goes: its steps, and the statements of all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.profiles import cpu
from bench.profiles.parts import Part
from bench.profiles.statements import Statements, metered
from bench.trading import Trading, recorded, traded

ORDERS = 150


class _Steps:
    """What each step took, and of it the server, this process, and answers of the stand-ins."""

    def __init__(self, trading: Trading, seen: Statements) -> None:
        self._trading = trading
        self._seen = seen
        self.spent: dict[str, list[float]] = {}

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        """In the place of `Trading.doing`."""
        before = self._now()
        try:
            yield
        finally:
            after = self._now()
            spent = self.spent.get(step, [0.0] * len(after))
            self.spent[step] = [
                sofar + now - then for sofar, then, now in zip(spent, before, after, strict=True)
            ]

    def _now(self) -> list[float]:
        waited = sum(call.seconds for call in self._trading.calls)
        return [
            time.monotonic(),
            time.process_time(),
            self._seen.server,
            float(self._seen.calls),
            waited,
            float(len(self._trading.calls)),
        ]


def profile(scale: float) -> Iterator[Part]:
    """Two tables."""
    orders = max(20, int(ORDERS * scale))
    with traded(orders) as trading, recorded(trading), metered() as seen:
        steps = _Steps(trading, seen)
        trading.doing = steps.doing  # type: ignore[method-assign]
        trading.first_sync()
    rows = [*sorted(steps.spent.items(), key=lambda item: -item[1][0])]
    sums = [sum(values) for values in zip(*steps.spent.values(), strict=True)]
    yield Part(
        title=f"A first sync of {orders:,} orders, by step",
        headings=(
            "step",
            "took",
            "this process",
            "server",
            "statements",
            "answers of the stand-ins",
            "calls",
        ),
        rows=[
            [
                step,
                f"{took:.1f} s",
                f"{here:.1f} s",
                f"{server:.1f} s",
                f"{calls:,.0f}",
                f"{waited:.1f} s",
                f"{asked:,.0f}",
            ]
            for step, (took, here, server, calls, waited, asked) in [*rows, ("all", sums)]
        ],
        note=f"Several calls and sessions run at the same time, so parts may be more than the whole. Server: {cpu.MEASURED}.",
    )
    yield Part(
        title=f"A first sync of {orders:,} orders, by statement",
        headings=("statement", "calls an order", "server, ms an order", "waited, ms an order"),
        rows=seen.rows(orders, scale=1e3, most=24),
    )
