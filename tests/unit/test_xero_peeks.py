"""Rows that were met and can no longer change unseen are only peeked at, and nothing is lost by that.

The list behind these readers is a model of Xero's: states of rows that become visible at once or after their own stamps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders import xero_walks
from loaders.stream import Asked, Cursor, Stream, find_stream
from tieout.answer import Answer

CONTACTS = find_stream("xero", "contacts")
MANY = 30
MINUTE = 60
WHOLE = {"page": "1", "pageSize": "1000", "order": "UpdatedDateUTC ASC", "includeArchived": "true"}
PEEK = WHOLE | {"pageSize": "1", "order": "UpdatedDateUTC DESC"}


@dataclass(frozen=True, kw_only=True)
class State:
    """What a row says from a stamp on; lists show it from another time on."""

    stamp: datetime
    shown_at: datetime
    text: str


@dataclass(kw_only=True)
class Books:
    """A list of contacts, and how the vendor answers where that is not documented."""

    now: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)
    states: dict[str, list[State]] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    is_strict: bool = True
    counts: str | None = "those since"
    tells_time: bool = True
    takes_size: bool = True
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
        assert path == "Contacts"
        assert params is not None
        self.asked.append(dict(params))
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
        size, page = int(params["pageSize"]) if self.takes_size else 100, int(params["page"])
        around: dict[str, Any] = {"DateTimeUTC": moment(self.now)} if self.tells_time else {}
        count = {"those since": len(found), "all": len(every), None: None}[self.counts]
        pagination = {"page": page, "pageSize": size, "pageCount": -(-len(found) // size)}
        around["pagination"] = pagination | ({"itemCount": count} if count is not None else {})
        rows = [
            {"ContactID": row, "UpdatedDateUTC": moment(state.stamp), "Name": state.text}
            for row, state in found[(page - 1) * size : page * size]
        ]
        content = json.dumps(around | {"Contacts": rows}).encode()
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
        for page in xero_walks.seek(self.books, self.stream, self.cursor):
            self.texts |= {each["ContactID"]: each["Name"] for each in map(json.loads, page.records)}
            self.cursor = page.cursor or self.cursor
        return self.books.asked[before:]

    def settle(self) -> None:
        """Loads each minute until the rows are known."""
        for _ in range(5):
            self.load()
            self.books.wait(MINUTE)


@pytest.fixture
def books() -> Books:
    """Rows of a bulk write."""
    found = Books()
    found.put_many()
    return found


@pytest.fixture
def mirror(books: Books) -> Mirror:
    """A mirror of them that knows so."""
    found = Mirror(books=books)
    found.settle()
    assert found.load() == [PEEK]
    return found


def test_a_quiet_list_is_read_whole_until_no_row_can_come_late_and_then_one_row_a_load(books: Books) -> None:
    mirror = Mirror(books=books)

    asked = []
    for _ in range(60):
        books.wait(MINUTE)
        asked.append(mirror.load())

    # At one minute the rows are new, at two not old enough; at three they are.
    assert asked == [[WHOLE]] * 3 + [[PEEK]] * 57
    assert mirror.texts == books.texts()


def test_a_list_that_changes_each_minute_never_costs_a_call_more(books: Books) -> None:
    mirror = Mirror(books=books)

    for _ in range(20):
        books.wait(MINUTE)
        books.put_many()
        assert mirror.load() == [WHOLE]


@pytest.mark.parametrize("apart", [MINUTE, 10 * MINUTE])
def test_a_list_that_changed_is_read_whole_with_one_call_more_that_one_time(
    mirror: Mirror, apart: float
) -> None:
    mirror.books.wait(apart)
    mirror.books.put()

    assert mirror.load() == [PEEK, WHOLE]
    assert mirror.load() == [WHOLE]


def test_a_late_row_with_an_older_stamp_is_met(mirror: Mirror) -> None:
    before = mirror.cursor
    row = mirror.books.put(ago=6 * MINUTE + 10)
    assert mirror.books.states[row][0].stamp < datetime.fromisoformat(str(before and before.value["since"]))

    assert mirror.load() == [PEEK, WHOLE]
    assert row in mirror.texts
    # It is counted from now on.
    assert mirror.load() == [PEEK]


def test_an_edited_row_is_met(mirror: Mirror) -> None:
    mirror.books.put("0003")

    assert mirror.load() == [PEEK, WHOLE]
    assert mirror.texts["0003"] == "1"


def test_an_edit_that_shows_after_something_newer_is_met(books: Books) -> None:
    # The row is among those that are counted before and after; its new stamp is not the newest.
    mirror = Mirror(books=books)
    books.wait(10)
    books.put("0003", late=110)
    books.wait(1)
    books.put()

    for _ in range(5):
        mirror.load()
        books.wait(40)

    assert mirror.texts["0003"] == "1"


def test_a_row_that_takes_the_place_of_one_that_vanished_is_met(mirror: Mirror) -> None:
    del mirror.books.states["0003"]
    row = mirror.books.put("another")
    assert len(mirror.books.shown()) == MANY

    assert mirror.load() == [PEEK, WHOLE]
    assert row in mirror.texts


@pytest.mark.parametrize("oddity", [{"counts": None}, {"tells_time": False}])
def test_without_a_count_or_a_time_every_load_reads_all(oddity: dict[str, Any]) -> None:
    books = Books(**oddity)
    books.put_many()
    mirror = Mirror(books=books)
    mirror.settle()

    assert mirror.load() == [WHOLE]


def test_a_count_that_is_missing_later_reads_all(mirror: Mirror) -> None:
    mirror.books.counts = None

    assert mirror.load() == [PEEK, WHOLE]


def test_the_size_of_a_page_may_be_ignored(mirror: Mirror) -> None:
    mirror.books.takes_size = False

    assert mirror.load() == [PEEK]
    mirror.books.put("0003")
    mirror.load()
    assert mirror.texts["0003"] == "1"


def test_a_count_of_the_whole_list_serves_as_well() -> None:
    books = Books(counts="all")
    books.put_many()
    books.wait(3600)
    books.put_many()
    mirror = Mirror(books=books)
    mirror.settle()

    assert mirror.load() == [PEEK]
    row = books.put(ago=6 * MINUTE + 10)
    assert mirror.load() == [PEEK, WHOLE]
    assert row in mirror.texts


def test_few_rows_are_read_each_time() -> None:
    books = Books()
    books.put_many(xero_walks.FEW_ROWS)
    mirror = Mirror(books=books)
    mirror.settle()

    assert mirror.load() == [WHOLE]
    assert mirror.cursor is not None
    assert mirror.cursor.value.keys() == {"since"}


def test_a_peek_that_tells_of_something_where_there_is_nothing_is_not_made_twice(mirror: Mirror) -> None:
    plain = mirror.books.__call__

    def wrong(path: str, *, params: Mapping[str, str] | None = None, headers: Any = None) -> Asked:
        unsorted = {name: value for name, value in (params or {}).items() if name != "order"}
        return plain(path, params=unsorted, headers=headers)

    asked = len(mirror.books.asked)
    with patch.object(Books, "__call__", lambda _, *given, **named: wrong(*given, **named)):
        for _ in range(4):
            mirror.load()

    assert [each["pageSize"] for each in mirror.books.asked[asked:]] == ["1", "1000", "1000", "1000", "1000"]
    # Once something came, it is tried again.
    mirror.books.put_many()
    mirror.settle()
    assert mirror.load() == [PEEK]


def test_the_cursor_of_an_older_version_or_of_another_overlap_reads_all(mirror: Mirror) -> None:
    assert mirror.cursor is not None
    kept = mirror.cursor

    mirror.cursor = Cursor(value={"since": kept.value["since"]})
    assert mirror.load() == [WHOLE]
    assert mirror.cursor == kept
    with patch.object(xero_walks, "OVERLAP_SECONDS", 300):
        assert mirror.load() == [WHOLE]
        assert mirror.load() == [PEEK]
    assert mirror.load() == [WHOLE]


def test_a_load_of_everything_reads_all(mirror: Mirror) -> None:
    mirror.cursor = None

    assert mirror.load() == [WHOLE]


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


@settings(max_examples=150, deadline=None)
@given(
    acts=st.lists(
        st.tuples(
            st.one_of(
                Acts.wait,
                Acts.load,
                Acts.settle,
                Acts.settle,
                Acts.add_many,
                Acts.edit,
                Acts.add,
                Acts.add_late,
            ),
            st.integers(0, 1000),
        ),
        min_size=5,
        max_size=40,
    ),
    is_strict=st.booleans(),
    counts=st.sampled_from(["those since", "all", None]),
    page_size=st.sampled_from([3, 1000]),
)
def test_each_load_ends_with_what_a_load_without_peeks_ends_with(
    acts: list[tuple[tuple[str, float], int]], is_strict: bool, counts: str | None, page_size: int
) -> None:
    books = Books(is_strict=is_strict, counts=counts)
    books.put_many(8)
    stream = replace(CONTACTS, page_size=page_size)
    peeking, plain = (
        Mirror(books=books, stream=stream),
        Mirror(books=books, stream=replace(stream, order=None)),
    )

    with patch.object(xero_walks, "FEW_ROWS", 2):
        for (what, number), pick in acts:
            if what == "settle":
                books.wait(number)
            if what in ("load", "settle"):
                peeking.load()
                plain.load()
                assert peeking.texts == plain.texts
            else:
                happen(books, what, number, pick)


@settings(max_examples=150, deadline=None)
@given(
    acts=st.lists(
        st.tuples(
            st.one_of(Acts.wait, Acts.load, Acts.settle, Acts.add_many, Acts.edit, Acts.add),
            st.integers(0, 1000),
            st.booleans(),
        ),
        min_size=5,
        max_size=40,
    ),
    is_strict=st.booleans(),
    page_size=st.sampled_from([3, 1000]),
)
def test_what_changes_between_the_answers_of_a_load_is_met_by_a_later_one(
    acts: list[tuple[tuple[str, float], int, bool]], is_strict: bool, page_size: int
) -> None:
    books = Books(is_strict=is_strict)
    books.put_many(8)
    mirror = Mirror(books=books, stream=replace(CONTACTS, page_size=page_size))

    with patch.object(xero_walks, "FEW_ROWS", 2):
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

    assert mirror.texts == books.texts()
