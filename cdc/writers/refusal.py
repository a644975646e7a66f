"""What a target's refusal means for the person who reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cdc.writing import OutcomeKind, Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A message understood."""

    cause: str
    """Short and stable: dead letters are grouped by it."""
    reason: str
    cure: str
    who: Who
    kind: OutcomeKind = "rejected"
    field: str | None = None
    depends_on: tuple[str, ...] = ()
    ask: bool = False
    """The target says that it has such a record: it may be ours."""
    is_connection: bool = False
    """It concerns the whole connection, not this record."""


def rule(
    pattern: str,
    *,
    cause: str,
    reason: str,
    cure: str,
    who: Who = "accountant",
    kind: OutcomeKind = "rejected",
    field: str | None = None,
    depends_on: tuple[str, ...] = (),
    ask: bool = False,
    is_connection: bool = False,
) -> tuple[re.Pattern[str], Refusal]:
    """A line of a table of refusals: a pattern, letter case set aside, and what it means.

    `{value}` in the words is what the pattern's group `value` found. Most refusals of a ledger are for the
    person who keeps it.
    """
    return re.compile(pattern, re.IGNORECASE), Refusal(
        cause=cause,
        reason=reason,
        cure=cure,
        who=who,
        kind=kind,
        field=field,
        depends_on=depends_on,
        ask=ask,
        is_connection=is_connection,
    )
