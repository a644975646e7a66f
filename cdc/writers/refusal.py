"""What a target's refusal means for the person who reads it."""

from __future__ import annotations

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
