"""One answer of a list of Xero: asked for, split into records, and looked at: which stamps, how many more, when.

Facts, graded as documented (developer.xero.com, "Requests and responses", "Efficient data retrieval", checked 2026-03) or not:
documented are `pagination` with `pageCount` and `itemCount` in each paged answer, `pageSize` of 1 to 1000, and `DateTimeUTC`
around each answer. Not said is whether `itemCount` counts what `If-Modified-Since` lets through or the whole list; nothing here
depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loaders.records import BadRecord, RawRecord, identify_all, split
from loaders.stream import Ask, Cursor, Page, Stream
from tieout.clients.xero import NotModified, parse_time
from tieout.errors import SchemaDrift

PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
"""What an endpoint gives that does not honour pageSize."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One answer, split and looked at."""

    records: Sequence[bytes]
    identified: Sequence[RawRecord | BadRecord]
    times: Sequence[datetime]
    version: int
    has_more: bool
    total: int | None = None
    """Of the whole list, where Xero counts it."""
    at: datetime | None = None
    """When Xero answered, by its own clock."""

    def page(self, cursor: Cursor | None) -> Page:
        return Page(records=self.records, version=self.version, cursor=cursor, identified=self.identified)

    def newest(self) -> datetime | None:
        return max(self.times, default=None)

    def require_ascending(self, stream: Stream) -> None:
        """Seeking is only safe when the rows really come in the order of their stamps."""
        if any(later < earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise SchemaDrift(
                f"Xero's {stream.path} do not come in the order of {stream.stamp}.",
                cure="Nothing was skipped; run the load with --full until this is cured.",
            )

    def require_descending(self, stream: Stream) -> None:
        """Pages by number are only safe when what changes moves to the front."""
        if any(later > earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise SchemaDrift(
                f"Xero's {stream.path} do not come with the last change first.",
                cure="Nothing was skipped. Report this: the order of Xero's list has changed.",
            )


def read(
    ask: Ask,
    stream: Stream,
    *,
    since: datetime | None = None,
    order: str | None = None,
    number: int = 1,
    page_size: int | None = None,
    paged: bool = True,
    more: Mapping[str, str] | None = None,
) -> Read:
    """One request. 304 (nothing newer) is an answer without records, count and time."""
    params = {**stream.params, **(more or {})}
    if paged:
        params |= {"page": str(number), "pageSize": str(page_size or stream.page_size)}
    if order is not None:
        params["order"] = order
    headers = {"If-Modified-Since": f"{since:%Y-%m-%dT%H:%M:%S}"} if since is not None else None
    try:
        asked = ask(stream.path, params=params, headers=headers)
    except NotModified:
        return Read(records=(), identified=(), times=(), version=0, has_more=False)
    answer = split(asked.answer, stream.under, beside=("pagination", "DateTimeUTC"))
    identified = identify_all(stream, answer.records)
    times = [
        record.modified_at for record in identified if isinstance(record, RawRecord) and record.modified_at
    ]
    at = answer.value("DateTimeUTC")
    return Read(
        records=answer.records,
        identified=identified,
        times=times,
        version=asked.version,
        has_more=paged and _has_more(answer.value("pagination"), number, len(answer.records)),
        total=_total(answer.value("pagination")) if paged else None,
        at=parse_time(at) if isinstance(at, str) else None,
    )


def _total(pagination: Any) -> int | None:
    count = pagination.get("itemCount") if isinstance(pagination, dict) else None
    return count if isinstance(count, int) else None


def _has_more(pagination: Any, number: int, count: int) -> bool:
    """By Xero's own count; where it gives none, a full page may have a successor."""
    if count == 0:
        return False
    if isinstance(pagination, dict) and isinstance(pagination.get("pageCount"), int):
        return bool(pagination["pageCount"] > number)
    return count >= DEFAULT_PAGE_SIZE
