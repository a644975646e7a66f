"""A load holds a page and the next one, however many there are; and what it waits for."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from loaders.poll import Loaded, load
from loaders.records import identify, split
from loaders.stream import Ask, Cursor, Page, Stream, find_stream
from tieout.answer import Answer
from tieout.db import Database
from tieout.queries import query
from tieout.settings import Connection

RECORDS = 100
RECORD_BYTES = 4000
PAGE_BYTES = RECORDS * RECORD_BYTES


class _Endless:
    """An API that makes each page when it is asked for; its `http` and its client in one."""

    connection = Connection(name="books", system="xero")

    @property
    def http(self) -> Any:
        return self

    def read(self, path: str, **_: Any) -> Answer:
        number = int(path)
        records = [
            {"ItemID": f"{number}-{place}", "Code": f"{place}", "Description": "x" * RECORD_BYTES}
            for place in range(RECORDS)
        ]
        content = json.dumps({"Items": records}).encode()
        return Answer(status=200, headers=httpx.Headers(), content=content, seconds=0, is_write=False)


@dataclass(frozen=True)
class _Pages:
    """Reads so many pages."""

    count: int

    def __call__(self, ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
        for number in range(self.count):
            asked = ask(str(number))
            records = split(asked.answer, "Items").records
            identified = [identify(stream, record) for record in records]
            yield Page(records=records, version=asked.version, identified=identified)


def load_pages(database: Database, count: int) -> Loaded:
    """Load so many pages of items."""
    stream = replace(find_stream("xero", "items"), read=_Pages(count))
    client: Any = _Endless()
    return load(database, client, stream)


def peak_of(database: Database, count: int) -> int:
    """The most memory (bytes) that loading so many pages holds at once, beyond what was held before."""
    tracemalloc.start()
    try:
        load_pages(database, count)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_four_times_the_pages_need_no_more_memory(database: Database) -> None:
    load_pages(database, 1)  # what a process keeps for good: statements, modules

    few, many = peak_of(database, 8), peak_of(database, 32)

    assert PAGE_BYTES < few < 10 * PAGE_BYTES
    assert many < few + 2 * PAGE_BYTES


def test_pages_do_not_wait_for_the_disk_but_the_end_of_a_load_does(connection: Any) -> None:
    """What a crash takes of the pages it takes with the position behind them; the end is told when nothing can go missing."""
    connection.execute("set synchronous_commit = on")
    beginning = connection.execute(query("load", "begin")).fetchone()

    of_pages = connection.execute("show synchronous_commit").fetchone()
    with connection.transaction():
        values = {name: beginning[name] for name in ("began_at", "began_version")}
        connection.execute(
            query("load", "reached_end"), values | {"connection": "books", "stream": "invoices"}
        )
        of_end = connection.execute("show synchronous_commit").fetchone()

    assert (of_pages, of_end) == ({"synchronous_commit": "off"}, {"synchronous_commit": "on"})
    row = connection.execute(
        "select loaded_version, backfilled_at is not null as is_read from cdc.cursors"
    ).fetchone()
    assert row == {"loaded_version": beginning["began_version"], "is_read": True}


def test_the_planner_knows_a_table_that_a_load_filled_from_a_sample_of_it(
    connection: Any, database: Database
) -> None:
    """A point of a histogram for each 300 rows that are read: reading more costs a first load a tenth of its time."""
    load_pages(database, 3)

    row = connection.execute(
        "select cardinality(histogram_bounds::text::bigint []) as bounds, reltuples::integer as rows"
        " from pg_stats inner join pg_class on pg_class.oid = 'staging.xero__items'::regclass"
        " where tablename = 'xero__items' and attname = 'version'"
    ).fetchone()
    assert row == {"bounds": 31, "rows": 3 * RECORDS}


def test_a_database_that_keeps_fewer_statistics_is_obeyed(connection: Any) -> None:
    connection.execute("set default_statistics_target = 20")

    connection.execute(query("load", "misjudged"), {"table": "staging.xero__items", "changed": 1})

    found = connection.execute("show default_statistics_target").fetchone()
    assert found == {"default_statistics_target": "20"}
