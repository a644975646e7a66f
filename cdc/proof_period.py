"""A period of days that a proof is limited to: a day, a month, a year, or from one to another."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

from cdc.proof_records import SourceDocument
from tieout.errors import UsageError

_FORM = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """First and last day, both included, by the date of each document in the target."""

    start: date
    end: date

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `2026`, `2026-10`, `2026-10-05` or `2026-10-01..2026-10-15`. Raises UsageError."""
        first, _, last = text.strip().partition("..")
        try:
            period = cls(start=_ends(first)[0], end=_ends(last or first)[1])
        except ValueError:
            raise UsageError(
                f"{text!r} is no period.",
                cure="Write a month (2026-10), a day (2026-10-05), a year or 2026-10-01..2026-10-15.",
            ) from None
        if period.end < period.start:
            raise UsageError(f"The period {text!r} ends before it begins.", cure="Swap its two ends.")
        return period

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"

    def needs(self, documents: Sequence[SourceDocument]) -> list[SourceDocument]:
        """Documents from its start on, and whatever settles one of them, of any day."""
        since = {document.name for document in documents if document.day >= self.start}
        return [
            document
            for document in documents
            if document.name in since or document.settles in since or document.uses in since
        ]


def _ends(text: str) -> tuple[date, date]:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part or 0) for part in found.groups())
    if not month:
        return date(year, 1, 1), date(year, 12, 31)
    if not day:
        return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    return date(year, month, day), date(year, month, day)
