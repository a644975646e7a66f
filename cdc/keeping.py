"""What a sender knows is stored, also when its session breaks; what a dead one left is said.

An answer that could not be stored would cost its target the deadline of the call, and the vendor a question. So it is
tried again on another session, for as long as the call may be under way at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import stamina

from cdc.lane import Lane
from cdc.worker import is_held
from tieout.db import SESSION_LOST
from tieout.errors import DatabaseDown, RetryLater
from tieout.queries import query

KEEP_SECONDS = 60.0
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0

Session = psycopg.Connection[dict[str, Any]]
T = TypeVar("T")


def kept(lane: Lane, step: Callable[[Lane], T]) -> T:
    """Carry out a step that stores what became of a call; when the session breaks, again on a new one.

    The step must be one transaction that does nothing when it was done already: a commit may be what broke. Raises
    DatabaseDown when the lane's session is gone, though what is known was stored: the drain cannot go on with it.
    """
    try:
        return step(lane)
    except SESSION_LOST as error:
        broken = error
    for attempt in stamina.retry_context(
        on=(*SESSION_LOST, DatabaseDown),
        attempts=None,
        timeout=KEEP_SECONDS,
        wait_initial=_FIRST_WAIT_SECONDS,
        wait_max=_LONGEST_WAIT_SECONDS,
    ):
        with attempt, lane.worker.database.connect(direct=True) as session:
            done = step(replace(lane, session=session))
    if lane.session.closed or lane.session.broken:
        raise DatabaseDown(
            "The database went away during a call; what the target answered is stored.",
            cure="Run the command again; nothing was lost.",
        ) from broken
    return done


def still_on_its_way(session: Session, name: str) -> RetryLater | None:
    """A call whose sender has ended without a word: until its deadline nobody may ask, and what follows it waits."""
    rows = session.execute(query("calls", "on_their_way"), {"connection": name}).fetchall()
    left = [row for row in rows if not is_held(session, row["lock_key"])]
    if not left:
        return None
    seconds = max(float(row["seconds"]) for row in left)
    entries = sum(int(row["entries"]) for row in left)
    return RetryLater(
        f"{name}: a run ended in the middle of a call; {entries} record(s) may still be on their way.",
        cure=f"In {seconds:.0f} s the next run asks what became of them; nothing else is needed.",
        seconds=seconds,
    )
