"""What a stream is: one entity of a system, where it is read, how it is walked without losing rows.

Every loader module `loaders/<system>.py` offers `STREAMS`, one entry an entity. Several are loaded at the same time;
those that must be read one after the other say so (`after`, `touches`). How an entity is walked is a function of that module (a `Reader`), because it follows
from what the API can do; the loop around it (`loaders.poll`, `loaders.sweep`) and the merge (`loaders.stage`)
are the same for all.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from tieout.errors import UsageError
from tieout.http import Answer, Http
from tieout.settings import Connection
from tieout.systems import find_system

if TYPE_CHECKING:
    from loaders.records import BadRecord, RawRecord


class Client(Protocol):
    """What loaders need of an open client."""

    @property
    def http(self) -> Http:
        """The one HTTP client of the connection."""

    @property
    def connection(self) -> Connection:
        """The connection that it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A position in a stream. Its values come from rows that were read, never from a clock."""

    value: Mapping[str, str | int]
    """Text and whole numbers; their names are the business of the stream's reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to one read."""

    answer: Answer
    version: int
    """Taken from cdc.version before the request left."""


class Ask(Protocol):
    """Sends one read; the version is drawn before it leaves."""

    def __call__(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Asked: ...

    def number(self) -> int:
        """Draw a number without asking, to date what the next request will not find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Records of one answer, and the position once they are stored."""

    records: Sequence[bytes]
    """Each the JSON of one record as it came."""
    version: int
    cursor: Cursor | None = None
    """None: this page alone does not move the position."""
    form: str = "full"
    """`full`, or the name of a poorer form that lacks parts of the record."""
    history: Cursor | None = None
    """Of a backfill: the position from which it goes on once this page is stored; None behind its last page."""
    left: int | None = None
    """Of a backfill: how many records are still to come, where the vendor tells."""
    total: int | None = None
    """With the last page of a walk by page numbers: how many records there were then. A mirror that has fewer missed some."""
    identified: Sequence[RawRecord | BadRecord] | None = None
    """The same records as `loaders.records.identify` gives them, where the reader had to look at them anyway."""


Reader = Callable[[Ask, "Stream", Cursor | None], Iterator[Page]]
"""Yields pages from a position on. The next request leaves while the page before it is merged, so a reader goes by the
answers that it got and never by what is stored.
"""

Finder = Callable[[Ask, "Stream", Sequence[str]], Iterator[tuple[Sequence[str], Page]]]
"""Asks for records by id: yields the ids of one request and those records that exist. Archived ones count as
existing.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A change in one stream that changes a record of another without moving the other's stamp."""

    stream: str
    path: str
    """SQL/JSON path to the ids of the records that must be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One entity that is mirrored into `staging.<system>__<name>`."""

    system: str
    name: str
    path: str
    under: str | None
    """Field of the answer that holds the list of records; None: the answer is the list."""
    key: tuple[str, ...]
    """Fields that identify a record; several are joined with a slash."""
    stamp: str | None = None
    """Field that tells when the source changed the record."""
    parse_time: Callable[[str], datetime | None] = field(repr=False)
    """How the system writes that time (UTC); None for its placeholders."""
    read: Reader = field(repr=False)
    """What changed since the cursor; from None on: everything, unless there is a `history` to do that."""
    walk: Reader = field(repr=False)
    """Every record, for sweeps; with a cursor {"created_from": …}: those created since then."""
    find: Finder | None = field(default=None, repr=False)
    """Asks for records by id; None when the API cannot."""
    history: Reader | None = field(default=None, repr=False)
    """Every record, newest first, for a first load that may take days: its first page also gives the cursor from which `read`
    follows what changes, the others give positions of their own (`Page.history`). None: the first load is `read` from None on.
    """
    is_whole: bool = False
    """`read` always gives every record that exists, so each load notices deletions."""
    grows_only: bool = False
    """The source shows only what holds today: each day adds records, and none of an earlier day is ever gone."""
    created: str | None = None
    """Field with the time of creation, by which a sweep may be limited."""
    sweep_days: int | None = None
    """A sweep re-reads what was created in so many days before the newest record; None: everything."""
    touches: tuple[Touch, ...] = ()
    after: tuple[str, ...] = ()
    """Streams that are read before this one, so that it is at least as new as they are; those that touch it are so anyway.
    """
    noise: tuple[str, ...] = ()
    """Top-level fields that describe the answer rather than the record: no change of theirs is a change."""
    order: str | None = None
    """Key by which a full walk is sorted, where the API can sort by one that never changes."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Sent with every read of the stream."""
    page_size: int = 100


def streams_of(system: str) -> tuple[Stream, ...]:
    """The streams of a registered system, in the order in which they begin where nothing else orders them."""
    module = importlib.import_module(f"loaders.{find_system(system).name}")
    streams: tuple[Stream, ...] = module.STREAMS
    return streams


def waits_for(system: str) -> Mapping[str, frozenset[str]]:
    """For each stream of a system those that must have been read before it: the one place that knows the order of reading.

    A document that changes another record is read first, so that the other record, read after it, contains what it did.
    """
    streams = streams_of(system)
    touching = {
        stream.name: [
            other.name for other in streams if stream.name in (touch.stream for touch in other.touches)
        ]
        for stream in streams
    }
    return {stream.name: frozenset([*stream.after, *touching[stream.name]]) for stream in streams}


def find_stream(system: str, name: str) -> Stream:
    """One stream; UsageError, with the nearest name, when the system has none of that name."""
    streams = streams_of(system)
    for stream in streams:
        if stream.name == name:
            return stream
    names = [stream.name for stream in streams]
    near = difflib.get_close_matches(name, names, n=1)
    raise UsageError(
        f"{system} has no stream {name!r}.",
        cure=f"Did you mean {near[0]}?" if near else f"Choose from: {', '.join(names)}.",
    )
