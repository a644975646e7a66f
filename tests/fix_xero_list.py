"""A model of one list of Xero, and of what loads made of it: states of rows that become visible at once or after their own stamps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import strategies as st

from loaders.stream import Asked, Cursor, Stream, find_stream
from tieout.answer import Answer
from tieout.clients.xero import NotModified

CONTACTS = find_stream("xero", "contacts")
MANY = 30
MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class State:
    """What a row says from a stamp on; lists show it from another time on."""

    stamp: datetime
    shown_at: datetime
    text: str


@dataclass(kw_only=True)
class Books:
    """A list, and how the vendor answers where that is not documented."""

    stream: Stream = CONTACTS
    now: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)
    states: dict[str, list[State]] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    """Of each request its parameters; its headers where the list has no pages."""
    received: int = 0
    """How many rows were given."""
    is_strict: bool = True
    counts: str | None = "those since"
    tells_time: bool = True
    takes_size: bool = True
    says_304: bool = False
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    """What happens before the next answers, one thing each."""

    def put(self, row: str | None = None, *, late: float = 0, ago: float = 0) -> str:
        """Add or change a row now (or `ago` seconds), to be seen `late` seconds after that."""
        stamp = self.now - timedelta(seconds=ago)
        row = row or f"{len(self.states):04}"
        text = str(len(self.states.get(row, ())))
        self.states.setdefault(row, []).append(
            State(stamp=stamp, shown_at=stamp + timedelta(seconds=late), text=text)
        )
        return row

    def put_many(self, count: int = MANY, *, apart: float = 0.001) -> list[str]:
        """A bulk write."""
        made = []
        for _ in range(count):
            self.wait(apart)
            made.append(self.put())
        return made

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def shown(self) -> dict[str, State]:
        """What lists show now."""
        seen = {
            row: [each for each in told if each.shown_at <= self.now] for row, told in self.states.items()
        }
        return {row: max(told, key=lambda each: each.stamp) for row, told in seen.items() if told}

    def texts(self) -> dict[str, str]:
        return {row: state.text for row, state in self.shown().items()}

    def __call__(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Asked:
        assert path == self.stream.path
        assert params is not None
        is_paged = "page" in params
        self.asked.append(dict(params) if is_paged else dict(headers or {}))
        if self.meanwhile:
            self.meanwhile.pop(0)()
        every = sorted(self.shown().items(), key=lambda each: (each[1].stamp, each[0]))
        found = every
        if headers is not None:
            since = datetime.fromisoformat(headers["If-Modified-Since"]).replace(tzinfo=UTC)
            first = since + timedelta(seconds=1 if self.is_strict else 0)
            found = [each for each in every if each[1].stamp >= first]
        if params.get("order") == "UpdatedDateUTC DESC":
            found = found[::-1]
        around: dict[str, Any] = {"DateTimeUTC": moment(self.now)} if self.tells_time else {}
        if is_paged:
            size, page = int(params["pageSize"]) if self.takes_size else 100, int(params["page"])
            count = {"those since": len(found), "all": len(every), None: None}[self.counts]
            pagination = {"page": page, "pageSize": size, "pageCount": -(-len(found) // size)}
            around["pagination"] = pagination | ({"itemCount": count} if count is not None else {})
            found = found[(page - 1) * size : page * size]
        elif headers is not None and not found and self.says_304:
            raise NotModified("Nothing is newer.", status=304)
        key, name = self.stream.key[0], str(self.stream.stamp)
        rows = [{key: row, name: moment(state.stamp), "Name": state.text} for row, state in found]
        content = json.dumps(around | {self.stream.path: rows}).encode()
        self.received += len(rows)
        answer = Answer(status=200, headers={}, content=content, seconds=0.0)
        return Asked(answer=answer, version=len(self.asked))

    def number(self) -> int:
        return len(self.asked)


def moment(at: datetime) -> str:
    return f"/Date({int(at.timestamp() * 1000)}+0000)/"


@dataclass(kw_only=True)
class Mirror:
    """What loads of a list made of it."""

    books: Books
    stream: Stream = CONTACTS
    cursor: Cursor | None = None
    texts: dict[str, str] = field(default_factory=dict)

    def load(self) -> Sequence[Mapping[str, str]]:
        """One load; what it asked."""
        before = len(self.books.asked)
        key = self.stream.key[0]
        for page in self.stream.read(self.books, self.stream, self.cursor):
            self.texts |= {each[key]: each["Name"] for each in map(json.loads, page.records)}
            self.cursor = page.cursor or self.cursor
        return self.books.asked[before:]

    def settle(self) -> None:
        """Loads each minute until the rows are known."""
        for _ in range(5):
            self.load()
            self.books.wait(MINUTE)


class Acts:
    """Things that happen to the books of a property, as hypothesis chooses them."""

    wait = st.tuples(st.just("wait"), st.sampled_from([0.001, 1, 7, 61, 200]))
    load = st.tuples(st.just("load"), st.just(0))
    # Long enough for rows to be known.
    settle = st.tuples(st.just("settle"), st.just(200))
    add_many = st.tuples(st.just("add many"), st.sampled_from([0, 0.001, 0.7]))
    # Within the overlap, less the second that If-Modified-Since may leave out.
    edit = st.tuples(st.just("edit"), st.sampled_from([0, 0, 30, 118]))
    add = st.tuples(st.just("add"), st.sampled_from([0, 0, 30, 118]))
    add_late = st.tuples(st.just("add"), st.sampled_from([200, 600]))


def happen(books: Books, what: str, number: float, pick: int) -> None:
    """One act but a load."""
    if what == "wait":
        books.wait(number)
    elif what == "add many":
        books.put_many(8, apart=number)
    elif what == "add":
        books.put(late=number)
    elif rows := sorted(books.shown()):
        books.put(rows[pick % len(rows)], late=number)


def live(books: Books, mirror: Mirror, acts: Sequence[tuple[tuple[str, float], int, bool]]) -> None:
    """Acts and loads, some acts between the answers of a load; at the end all that is asked again once more."""
    for (what, number), pick, is_meanwhile in acts:
        if what == "settle":
            books.wait(number)
        if what in ("load", "settle"):
            mirror.load()
        elif is_meanwhile:
            books.meanwhile.append(partial(happen, books, what, number, pick))
        else:
            happen(books, what, number, pick)
    books.meanwhile.clear()
    mirror.load()
    books.wait(119)
    mirror.load()
