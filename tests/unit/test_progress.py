"""How far a first load is and how long it takes."""

from __future__ import annotations

from typing import Any

import pytest

from loaders.progress import duration, outlook
from tieout.budget import Forecast


def row(**fields: Any) -> dict[str, Any]:
    """A backfill of 100 pages a thousand records, one a second, a tenth of it done."""
    return {
        "connection": "books", "stream": "invoices", "history_rows": 10_000, "history_pages": 10, "history_left": 90_000,
        "history_seconds": 10.0, "is_first": True,
    } | fields  # fmt: skip


def day(used: int, limit: int | None = 5000) -> Forecast:
    """The calls of a day."""
    return Forecast(
        connection="books", used=used, limit=limit, an_hour=0, lasts_until=None, blocked_until=None
    )


def test_the_time_is_that_of_the_pages_left_at_the_measured_pace() -> None:
    (found,) = outlook([row()], [day(used=0)])

    assert (found.pages_left, found.seconds_left, found.is_bound_by_day) == (90, 90.0, False)
    assert found.sentence == "10,000 of 100,000 (10 %), 2 min left"


def test_more_pages_than_the_calls_of_the_days_take_as_many_days() -> None:
    # Backfills may use 3,500 of 5,000 calls a day; 9,000 pages are left, and today's share is spent.
    (found,) = outlook([row(history_left=9_000_000)], [day(used=3_500)])

    assert found.is_bound_by_day
    assert found.seconds_left == pytest.approx(9_000 / 3_500 * 86_400)
    assert found.sentence == "10,000 of 9,010,000 (0 %), 2 d 13 h left at the calls of a day"


def test_the_streams_of_a_connection_share_its_day() -> None:
    both = [row(history_left=3_000_000), row(stream="payments", history_left=3_000_000)]

    found = outlook(both, [day(used=0)])

    assert [each.is_bound_by_day for each in found] == [True, True]
    assert found[0].seconds_left == pytest.approx(2_500 / 3_500 * 86_400)


def test_what_the_vendor_does_not_count_has_no_end_that_could_be_told() -> None:
    (found,) = outlook([row(history_left=None)], [day(used=0, limit=None)])

    assert (found.part, found.seconds_left, found.sentence) == (None, None, "10,000 read")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "1 s"), (59, "59 s"), (61, "2 min"), (7_500, "2 h 5 min"), (270_000, "3 d 3 h")],
)
def test_times_are_told_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
