"""What a started plan binds, no diff replaces: an entry whose input moves is held as it was planned, and not sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cdc.decision import Decision, Open

CAUSE = "moved since plan"


def kept_to_plan(decision: Decision, opened: Open | None) -> Decision:
    """The decision on a key whose open entry a plan may bind.

    What the diff learnt about the link is kept; the entry that it wants is made when the plan is over, because then the key
    is looked at again. What was tried already (rejected, or held for what the target answered) is judged as always.
    """
    if opened is None or opened.plan is None or decision.verb in ("leave", "keep"):
        return decision
    if opened.held_for == "moved" and opened.cause == CAUSE:
        return replace(decision, verb="keep", why="held until its plan is over", entry=None)
    if opened.state not in ("waiting", "ready"):
        return decision
    return replace(decision, verb="moved", why=_what_moved(decision, opened), entry=None)


def completion(plan: str | None) -> dict[str, Any]:
    """What becomes of a create whose record was found and linked, for the entry that fills its empty fields.

    A plan says that a record is made: under it nothing else is sent.
    """
    if plan is None:
        return {"state": "ready"}
    return {
        "state": "held",
        "held_for": "moved",
        "cause": CAUSE,
        "reason": "The target has this record already: it is linked. The plan makes a new one, so nothing was sent.",
        "cure": "When the plan is over, the next diff makes an entry that completes its empty fields.",
        "who": "operator",
    }


def _what_moved(decision: Decision, opened: Open) -> str:
    wanted = decision.entry
    if wanted is None:
        return f"Nothing of it is to be sent any more: {decision.why or decision.verb}."
    if wanted.operation != opened.operation:
        return f"It is to be another operation: {wanted.operation} instead of {opened.operation}."
    before, after = opened.planned or {}, wanted.payload
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if names:
        return f"Its content changed since the plan was started: {', '.join(names)}."
    if wanted.held is not None:
        return f"A person must look at it since the plan was started: {wanted.held.reason}"
    return "What it starts from moved since the plan was started: its link, or what it refers to."
