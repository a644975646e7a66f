"""Limits that hold over many small diffs: what passed in the last minutes counts along with what a diff makes.

The limits of `cdc.guard` are of one diff, and `sync` makes one every few minutes. A process that makes one at each commit
would begin to count anew each time, and a flood would pass page by page. Kept in the database, in the transaction that lets
the entries pass: several processes, on any host, and one that was started anew count together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc.guard import Made, Stop
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
WINDOW_SECONDS = 300
"""What is made within this time counts as if one diff had made it."""


def with_passed(connection: Session, model: str, made: Sequence[Made]) -> list[Made]:
    """What is made now and what passed lately, one row an operation and currency; nothing when nothing is made now."""
    operations = {one.operation for one in made}
    sums = {(one.operation, one.currency): one for one in made}
    values = {"model": model, "seconds": WINDOW_SECONDS}
    for row in connection.execute(query("limits", "passed_lately"), values):
        one = Made(**row)
        if one.operation in operations:
            name = (one.operation, one.currency)
            sums[name] = _sum(sums[name], one) if name in sums else one
    return list(sums.values())


def note(connection: Session, model: str, made: Sequence[Made], stops: Sequence[Stop]) -> None:
    """Remember what was made now and not held whole, in the transaction that lets it pass."""
    held = {
        (operation, stop.currency)
        for stop in stops
        if stop.above is None and not stop.without_amount
        for operation in stop.operations
    }
    passed = [
        asdict(one)
        for one in made
        if (one.operation, None) not in held and (one.operation, one.currency) not in held
    ]
    if passed:
        values = {"model": model, "seconds": WINDOW_SECONDS}
        connection.execute(query("limits", "forget_passed"), values)
        connection.execute(query("limits", "note_passed"), {"model": model, "rows": Jsonb(passed)})


def _sum(one: Made, other: Made) -> Made:
    return Made(
        operation=one.operation,
        currency=one.currency,
        entries=one.entries + other.entries,
        amount=one.amount + other.amount,
        largest=max(one.largest, other.largest),
        without_amount=one.without_amount + other.without_amount,
    )
