"""What a sender knows is stored, also when its session breaks or others settled its call; what a dead one left is said.

An answer that could not be stored would cost its target the deadline of the call, and the vendor a question. So it is
tried again on another session, for as long as the call may be under way at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import stamina
from psycopg.types.json import Jsonb

from cdc.lane import Lane
from cdc.settle import Verdict
from cdc.worker import is_held
from cdc.writing import Write
from tieout.db import SESSION_LOST
from tieout.errors import DatabaseDown, RetryLater, TieoutError
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


def show_made_twice(lane: Lane, write: Write, verdicts: Sequence[Verdict], settled: int) -> None:
    """An answer that came too late tells of a record, and the key has another one by now: a person sees both.

    This is what falls into the gap that a target leaves open: the deadline was looked at, the process slept, its call was
    settled by asking and sent again by others, and then it woke and its request left. `settled`: how many of the
    verdicts still counted.
    """
    made = [
        verdict
        for verdict in verdicts
        if verdict.entry.outgoing.operation == "create" and verdict.outcome.kind == "applied"
    ]
    if settled == len(verdicts) or not made:
        return
    try:
        found = write.find(lane.client, [verdict.entry.outgoing for verdict in made])
    except TieoutError:
        # Then only what the answer named can be compared with the link.
        found = [[] for _ in made]
    rows = []
    for verdict, some in zip(made, found, strict=True):
        ours = sorted({one.target_id for one in some if one.is_ours})
        twice = ", ".join(ours) if len(ours) > 1 else None
        rows.append({"entry": verdict.entry.entry, "target_id": verdict.outcome.target_id, "twice": twice})
    lane.session.execute(query("outbox", "show_made_twice"), {"rows": Jsonb(rows)})


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
