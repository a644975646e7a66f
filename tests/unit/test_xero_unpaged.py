"""Lists of Xero without pages: rows that are known are not read again at each load, and nothing is lost by that."""

from __future__ import annotations

from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders import xero_walks
from loaders.stream import Cursor, Stream, find_stream
from loaders.xero_walks import LOADS_A_WINDOW
from tests.fix_xero_list import MINUTE, Acts, Books, Mirror, happen, live

ITEMS = find_stream("xero", "items")
TRANSFERS = find_stream("xero", "bank_transfers")
AGAIN = {"items": timedelta(seconds=120), "bank_transfers": timedelta(days=35)}


@pytest.fixture(params=[ITEMS, TRANSFERS], ids=lambda stream: stream.name)
def stream(request: pytest.FixtureRequest) -> Stream:
    """A list without pages."""
    found: Stream = request.param
    return found


@pytest.fixture(params=[True, False], ids=["304", "empty"])
def books(request: pytest.FixtureRequest, stream: Stream) -> Books:
    """Rows of a bulk write."""
    found = Books(stream=stream, says_304=request.param)
    found.put_many()
    return found


@pytest.fixture
def mirror(books: Books) -> Mirror:
    """A mirror of them that knows so."""
    found = Mirror(books=books, stream=books.stream)
    found.settle()
    assert loads(found) == ["later"]
    return found


def loads(mirror: Mirror, count: int = 1, *, apart: float = 0) -> list[str]:
    """So many loads: what each asked for."""
    told = []
    for _ in range(count):
        mirror.books.wait(apart)
        since = (
            datetime.fromisoformat(str(mirror.cursor.value["since"])) if mirror.cursor is not None else None
        )
        kinds = []
        for headers in mirror.load():
            bound = headers.get("If-Modified-Since")
            if bound is None or since is None:
                kinds.append("everything")
                continue
            distance = datetime.fromisoformat(f"{bound}+00:00") - since.replace(microsecond=0)
            names = {-AGAIN[mirror.stream.name]: "all", timedelta(seconds=1): "later"}
            kinds.append(names[distance])
        told.append(" ".join(kinds))
    return told


def test_a_quiet_list_is_read_whole_until_no_row_can_come_late_and_then_each_fifteenth_time(
    books: Books,
) -> None:
    mirror = Mirror(books=books, stream=books.stream)

    told = loads(mirror, 2 + 3 * LOADS_A_WINDOW, apart=MINUTE)

    # At one minute the rows are new, at two not old enough.
    assert told == ["everything", "all"] + (["all"] + ["later"] * (LOADS_A_WINDOW - 1)) * 3
    assert mirror.texts == books.texts()


def test_five_thousand_known_rows_are_received_four_times_in_an_idle_hour() -> None:
    books = Books(stream=ITEMS)
    books.put_many(5000)
    mirror = Mirror(books=books, stream=ITEMS)
    mirror.settle()
    books.received = 0

    loads(mirror, 60, apart=MINUTE)

    assert books.received == 4 * 5000


def test_a_list_that_changes_each_minute_never_costs_a_call_more(books: Books) -> None:
    mirror = Mirror(books=books, stream=books.stream)
    mirror.load()

    for _ in range(20):
        books.wait(MINUTE)
        books.put_many()
        assert loads(mirror) == ["all"]


def test_what_is_new_is_met_at_once_with_all_that_came_late(mirror: Mirror) -> None:
    late = mirror.books.put(ago=6 * MINUTE + 10)
    new = mirror.books.put_many()

    assert loads(mirror) == ["later all"]
    assert {late, *new} <= mirror.texts.keys()
    assert loads(mirror, 4, apart=MINUTE) == ["all"] * 3 + ["later"]


def test_a_list_that_is_loaded_once_an_hour_is_read_whole_twice_when_something_came(mirror: Mirror) -> None:
    mirror.books.put_many()

    assert loads(mirror, 4, apart=3600) == ["later all", "all", "later", "later"]


def test_an_edited_row_is_met_at_once(mirror: Mirror) -> None:
    mirror.books.put("0003")

    assert loads(mirror) == ["later all"]
    assert mirror.texts["0003"] == "1"


def test_a_row_behind_what_is_known_is_met_at_the_fifteenth_load(mirror: Mirror) -> None:
    row = mirror.books.put(ago=6 * MINUTE + 10)

    told = loads(mirror, LOADS_A_WINDOW)

    assert row in mirror.texts
    assert told.count("all") == 1


@pytest.mark.parametrize("is_strict", [True, False])
def test_rows_of_one_second_are_not_taken_for_later_ones(stream: Stream, is_strict: bool) -> None:
    books = Books(stream=stream, is_strict=is_strict)
    books.put_many(apart=0.01)
    mirror = Mirror(books=books, stream=stream)
    mirror.settle()

    assert loads(mirror) == ["later"]
    books.wait(1)
    books.put()
    assert loads(mirror) == ["later all"]


def test_few_rows_are_read_each_time(stream: Stream) -> None:
    books = Books(stream=stream)
    books.put_many(xero_walks.FEW_ROWS)
    mirror = Mirror(books=books, stream=stream)
    mirror.settle()

    assert loads(mirror) == ["all"]
    assert mirror.cursor is not None
    assert mirror.cursor.value.keys() == {"since"}


def test_without_a_time_every_load_reads_all(stream: Stream) -> None:
    books = Books(stream=stream, tells_time=False)
    books.put_many()
    mirror = Mirror(books=books, stream=stream)
    mirror.settle()

    assert loads(mirror) == ["all"]


def test_an_answer_that_tells_of_something_later_where_there_is_nothing_is_not_asked_for_twice(
    mirror: Mirror,
) -> None:
    plain = mirror.books.__call__

    # A vendor that does not look at If-Modified-Since.
    with patch.object(Books, "__call__", lambda _, path, *, params, headers=None: plain(path, params=params)):
        before = len(mirror.books.asked)
        calls = []
        for _ in range(4):
            mirror.load()
            calls.append(len(mirror.books.asked) - before)
            before = len(mirror.books.asked)

    assert calls == [2, 1, 1, 1]
    # Once something came, it is tried again.
    mirror.books.put_many()
    mirror.settle()
    assert loads(mirror) == ["later"]


def test_the_cursor_of_an_older_version_reads_all_and_a_load_of_everything_too(mirror: Mirror) -> None:
    assert mirror.cursor is not None

    mirror.cursor = Cursor(value={"since": mirror.cursor.value["since"]})
    assert loads(mirror) == ["all"]
    mirror.cursor = None
    assert loads(mirror) == ["everything"]


def test_a_bank_transfer_that_was_deleted_is_met_at_the_fifteenth_load() -> None:
    books = Books(stream=TRANSFERS)
    books.put_many()
    mirror = Mirror(books=books, stream=TRANSFERS)
    mirror.settle()
    # It says another thing with the stamp that it had.
    books.put("0003", ago=(books.now - books.states["0003"][0].stamp).total_seconds())
    books.states["0003"].pop(0)

    loads(mirror, LOADS_A_WINDOW)

    assert mirror.texts["0003"] == "1"


ACTS = (Acts.wait, Acts.load, Acts.settle, Acts.settle, Acts.settle, Acts.add_many, Acts.edit, Acts.add)


Acted = list[tuple[tuple[str, float], int, bool]]


def acted(*more: st.SearchStrategy[tuple[str, float]]) -> st.SearchStrategy[Acted]:
    """Acts, with the row that they choose, and whether they happen between two answers."""
    one = st.tuples(st.one_of(*ACTS, *more), st.integers(0, 1000), st.booleans())
    return st.lists(one, min_size=5, max_size=50)


@settings(max_examples=150, deadline=None)
@given(
    acts=acted(Acts.add_late),
    is_strict=st.booleans(),
    is_late=st.booleans(),
    stream=st.sampled_from([ITEMS, TRANSFERS]),
)
def test_whenever_all_is_read_again_the_mirror_has_what_it_always_had(
    acts: Acted, is_strict: bool, is_late: bool, stream: Stream
) -> None:
    books = Books(stream=stream, is_strict=is_strict)
    books.put_many(8)
    mirror, plain = Mirror(books=books, stream=stream), Mirror(books=books, stream=stream)
    unread = 0

    def load() -> None:
        nonlocal unread
        kinds = loads(mirror)
        if plain.cursor is not None:
            plain.cursor = Cursor(value={"since": plain.cursor.value["since"]})
        plain.load()
        unread = unread + 1 if kinds == ["later"] else 0
        assert unread < 3
        if not unread:
            assert all(int(mirror.texts.get(row, -1)) >= int(text) for row, text in plain.texts.items())
        if not is_late:
            assert mirror.texts == plain.texts

    with patch.object(xero_walks, "FEW_ROWS", 2), patch.object(xero_walks, "LOADS_A_WINDOW", 3):
        for (what, number), pick, _ in acts:
            if what == "settle":
                books.wait(number)
            if what in ("load", "settle"):
                load()
            elif is_late or number < 200 or what == "wait":
                happen(books, what, number, pick)


@settings(max_examples=150, deadline=None)
@given(acts=acted(), is_strict=st.booleans(), stream=st.sampled_from([ITEMS, TRANSFERS]))
def test_what_changes_between_the_answers_of_a_load_is_met_by_a_later_one(
    acts: Acted, is_strict: bool, stream: Stream
) -> None:
    books = Books(stream=stream, is_strict=is_strict)
    books.put_many(8)
    mirror = Mirror(books=books, stream=stream)

    with patch.object(xero_walks, "FEW_ROWS", 2):
        live(books, mirror, acts)

    assert mirror.texts == books.texts()
