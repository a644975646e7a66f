"""Rows that were met and can no longer change unseen are only peeked at, and nothing is lost by that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders import xero_walks
from loaders.stream import Asked, Cursor
from tests.fix_xero_list import CONTACTS, MANY, MINUTE, Acts, Books, Mirror, happen, live

WHOLE = {"page": "1", "pageSize": "1000", "order": "UpdatedDateUTC ASC", "includeArchived": "true"}
PEEK = WHOLE | {"pageSize": "1", "order": "UpdatedDateUTC DESC"}


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
        live(books, mirror, acts)

    assert mirror.texts == books.texts()
