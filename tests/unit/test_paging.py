"""Walks through pages end, and meet every record that they were shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.errors import SchemaDrift
from tieout.paging import by_number, seek


@given(st.lists(st.integers()), st.integers(1, 7))
def test_pages_by_number_give_every_record_in_order(records, size):
    pages = by_number(lambda number: records[(number - 1) * size : number * size], size=size)

    assert [record for page in pages for record in page] == records


@given(st.sets(st.integers()), st.integers(1, 7))
def test_seeking_gives_every_record_in_order(numbers, size):
    records = sorted(numbers)

    def fetch(after: int | None) -> Sequence[int]:
        return [record for record in records if after is None or record > after][:size]

    assert [
        record for page in seek(fetch, position=lambda record: record, size=size) for record in page
    ] == records


def test_a_walk_by_number_asks_no_further_than_a_short_page():
    asked = []

    def fetch(number: int) -> Sequence[int]:
        asked.append(number)
        return [1, 2] if number == 1 else [3]

    assert list(by_number(fetch, size=2)) == [[1, 2], [3]]
    assert asked == [1, 2]


def test_an_api_that_repeats_its_last_page_is_told_when_to_stop():
    pages = [[1, 2], [3, 4]]

    walked = by_number(
        lambda number: pages[min(number, 2) - 1], size=2, is_last=lambda number, page: number * 2 >= 4
    )

    assert list(walked) == pages


def test_a_record_that_moves_behind_the_walk_is_met_again():
    records = ["a", "b", "c"]

    def fetch(after: str | None) -> Sequence[str]:
        page = sorted(record for record in records if after is None or record > after)[:2]
        if "a" in records:
            records.remove("a")
            records.append("d")  # changed while it was being read
        return page

    assert [record for page in seek(fetch, position=str, size=2) for record in page] == ["a", "b", "c", "d"]


def test_an_api_that_ignores_the_position_is_noticed():
    with pytest.raises(SchemaDrift, match="did not move"):
        list(seek(lambda after: [1, 2], position=lambda record: record, size=2))


def test_a_walk_can_begin_behind_a_position():
    fetched = seek(
        lambda after: [n for n in range(6) if n > (after or 0)][:10],
        position=lambda record: record,
        size=10,
        start=3,
    )

    assert list(fetched) == [[4, 5]]
