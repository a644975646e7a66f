"""Where the time goes from the commit of a changed order to the request on the wire, by what `tieout run` does meanwhile.

The parts of `tieout run` work in a process of their own, as in `bench.latency`, and write down each round trip to the database
with its time; both processes read the same monotonic clock. What happens at the same time in another session counts too.

    python -m bench.profiles.latency --child JOB     that process, until it is ended
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import books, place
from bench import latency as bench
from bench.profiles.parts import Part
from bench.profiles.statements import Step, metered

ORDERS = 500
"""Of `bench.latency` a part: the way does not grow with the books."""
CHANGES = 40
MOST = 22


def profile(scale: float) -> Iterator[Part]:
    """One table: the steps of a change in their order."""
    changes = max(10, int(CHANGES * scale))
    with books.server() as (settings, database), place.folder() as made:
        file = made / "steps.jsonl"
        books.fill(database, ORDERS)
        with bench.ledger() as (address, arrivals):
            more = {"steps": str(file)}
            with bench.followed(settings, database, address, program="bench.profiles.latency", more=more):
                spans = bench.spans(database, arrivals, changes)
        steps = [Step(**json.loads(line)) for line in file.read_text().splitlines()]
    yield _of_steps(spans, steps)


def _of_steps(spans: Sequence[tuple[float, float]], steps: Sequence[Step]) -> Part:
    """By statement: what of the way it was under way, in milliseconds, the mean of all changes."""
    waited: dict[str, list[float]] = defaultdict(list)
    firsts: dict[str, list[float]] = defaultdict(list)
    before, after, between, trips = [], [], [], []
    for committed, arrived in spans:
        within = [step for step in steps if committed <= step.began <= arrived]
        if not within:
            continue
        trips.append(len(within))
        before.append(within[0].began - committed)
        after.append(arrived - max(min(step.ended, arrived) for step in within))
        between.append(gaps(within, arrived))
        for step in within:
            waited[step.name].append(min(step.ended, arrived) - step.began)
            firsts[step.name].append(step.began - committed)
    count = len(trips) or 1
    ways = [arrived - committed for committed, arrived in spans]
    named = sorted(waited, key=lambda name: -sum(waited[name]))[:MOST]
    others = [name for name in waited if name not in named]
    rows = [["from the commit to the first statement", "", "0.0", _ms(sum(before) / count)]]
    rows += [
        [
            name,
            f"{len(waited[name]) / count:.1f}",
            _ms(statistics.median(firsts[name])),
            _ms(sum(waited[name]) / count),
        ]
        for name in sorted(named, key=lambda name: statistics.median(firsts[name]))
    ]
    rows += [
        [f"{len(others)} others", f"{sum(len(waited[name]) for name in others) / count:.1f}", "", _ms(sum(sum(waited[name]) for name in others) / count)],
        ["Python between statements", "", "", _ms(sum(between) / count)],
        ["from the last statement to the arrival", "", "", _ms(sum(after) / count)],
    ]  # fmt: skip
    return Part(
        title=f"{len(spans)} changes, from the commit to the wire",
        headings=("step", "round trips", "begins after, ms", "takes, ms"),
        rows=rows,
        note=f"The way: {_ms(statistics.median(ways))} ms in the median, {count and sum(trips) / count:.0f} round trips, "
        "each a little dearer for being watched. Steps of several sessions overlap.",
    )


def gaps(steps: Sequence[Step], until: float) -> float:
    """Seconds between the first step and the last in which none was under way."""
    free, busy_until = 0.0, steps[0].began
    for step in sorted(steps, key=lambda step: step.began):
        free += max(0.0, step.began - busy_until)
        busy_until = max(busy_until, min(step.ended, until))
    return free


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def child(job: dict[str, str]) -> None:
    """What `bench.latency` starts, watched; each round trip is a line of the file."""
    with Path(job["steps"]).open("w", buffering=1) as file:

        def write(step: Step) -> None:
            file.write(json.dumps(asdict(step)) + "\n")

        with metered(tell=write):
            bench.child(job)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(json.loads(sys.argv[-1]))
