"""The rule of the chain: what a row's digest covers, and how one row follows another, in the database or in files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What the first row names as the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was recorded."""

    what: str
    """changed, missing, inserted, cut off, made anew."""
    where: str
    """Position of the chain, or table and record."""
    sentence: str


def digest_of(previous: str, row: Mapping[str, Any]) -> str:
    """The digest of a row of the chain: sha256 (hex) over its parts, a line feed between them."""
    parts = (previous, str(row["position"]), row["noted_at"], row["kind"], row["subject"], row["fact"])
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Walk:
    """Along the chain from a known place: each row must follow the one before and say what was sealed."""

    def __init__(self, position: int = 0, digest: str = GENESIS) -> None:
        self._expected = position + 1
        self._previous = digest

    def step(self, row: Mapping[str, Any]) -> list[Finding]:
        """What is wrong with the next row."""
        findings = []
        position, expected = row["position"], self._expected
        at = f"position {position}"
        if position != expected:
            gap = f"{expected}" if position == expected + 1 else f"{expected} to {position - 1}"
            findings.append(
                Finding(what="missing", where=f"position {gap}", sentence=f"The audit rows {gap} are gone.")
            )
        elif row["previous"] != self._previous:
            findings.append(
                Finding(
                    what="inserted",
                    where=at,
                    sentence=f"Row {position} does not follow the row before it: one of them was put in or replaced.",
                )
            )
        if digest_of(row["previous"], row) != row["digest"]:
            findings.append(
                Finding(
                    what="changed",
                    where=at,
                    sentence=f"Row {position} ({row['kind']} {row['subject']}) no longer says what was sealed.",
                )
            )
        self._expected, self._previous = position + 1, row["digest"]
        return findings
