"""Walking through a list that an API gives in pages, so that a walk always ends and skips nothing it was
shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tieout.errors import SchemaDrift

Record = TypeVar("Record")
Position = TypeVar("Position")

MAX_PAGES = 1_000_000


def by_number(
    fetch: Callable[[int], Sequence[Record]],
    *,
    size: int,
    first: int = 1,
    is_last: Callable[[int, Sequence[Record]], bool] | None = None,
) -> Iterator[Sequence[Record]]:
    """Pages `first`, `first` + 1, … until one is empty or `is_last(number, page)`; by default: shorter than
    `size`.

    APIs that repeat their last page for numbers beyond it (Magento) need an `is_last` of their own. Records
    that are inserted or removed while it walks shift the pages: only for lists that are stable, or swept
    afterwards.
    """
    for number in range(first, first + MAX_PAGES):
        page = fetch(number)
        if not page:
            return
        yield page
        if is_last(number, page) if is_last is not None else len(page) < size:
            return
    raise SchemaDrift(f"The list has not ended after {MAX_PAGES} pages.")


def seek(
    fetch: Callable[[Position | None], Sequence[Record]],
    *,
    position: Callable[[Record], Position],
    size: int,
    start: Position | None = None,
) -> Iterator[Sequence[Record]]:
    """Pages that begin behind a position: `fetch(after)` gives the next records in the order of `position`.

    Safe while the list changes: a record that moves behind the walk is met again. Raises SchemaDrift when a
    full page does not move the position (the API ignores the filter), because the walk would never end.
    """
    after = start
    for _ in range(MAX_PAGES):
        page = fetch(after)
        if not page:
            return
        yield page
        if len(page) < size:
            return
        reached = position(page[-1])
        if reached == after:
            raise SchemaDrift(f"A page of {len(page)} records did not move the position {reached!r}.")
        after = reached
    raise SchemaDrift(f"The list has not ended after {MAX_PAGES} pages.")
