"""The words in which a row's `_problems` are told: each thing once, and no more of a value than helps to find it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdc.decision import Held

SHOWN_VALUE = 40
"""Letters of a value that a reason shows; `_problems` itself keeps more."""


def held_by(problems: Sequence[Mapping[str, Any]]) -> Held | None:
    """The dead letter of a row with these problems; None when it has none. The first names cause, cure and who."""
    if not problems:
        return None
    first = problems[0]
    return Held(
        held_for="problems",
        cause=str(first.get("cause") or f"{first.get('field')}: {first.get('reason')}"),
        reason="; ".join(dict.fromkeys(sentence(problem) for problem in problems)),
        cure=str(
            first.get("cure") or "Correct the record at its source or the lookup; it is sent by itself."
        ),
        who=str(first.get("who") or "analyst"),
    )


def sentence(problem: Mapping[str, Any]) -> str:
    """Field, value and reason; a reason that names the value needs nothing before it."""
    value, reason = problem.get("value"), str(problem.get("reason") or "is not readable")
    if value is None:
        return f"{problem.get('field')}: {reason}"
    text = str(value)
    if text in reason:
        return reason
    shown = text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE].rstrip()}…"
    return f"{problem.get('field')} ({shown}): {reason}"
