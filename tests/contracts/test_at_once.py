"""Streams and pages at the same time: the same mirror as one after the other, and a clean end from either side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from loaders import stage
from loaders.crew import Stop, Stopping
from loaders.load import load
from loaders.poll import Loaded, load_connection
from loaders.stream import Page, streams_of
from tests.contracts.conftest import Source
from tests.contracts.test_streams_magento import trade as trade_in_shop
from tests.contracts.test_streams_xero import trade as trade_in_books
from tieout.errors import ConnectionRefused, RetryLater
from tieout.sections import Loading
from tieout.systems import client_module
from tieout.vault import Vault

PATIENCE = 20.0
"""Seconds after which a thread that should have come is taken for missing."""


@pytest.fixture(params=["shop", "books"])
def source(request: pytest.FixtureRequest) -> Source:
    """Each stand-in with some trade."""
    found: Source = request.getfixturevalue(request.param)
    {"shop": trade_in_shop, "books": trade_in_books}[request.param](found, 4)
    return found


def mirrored(source: Source, connection: str) -> dict[tuple[str, str], Any]:
    """Everything that is mirrored of a connection."""
    return {
        (stream.name, record_id): (row["payload"], row["deleted_at"])
        for stream in streams_of(source.system)
        for record_id, row in rows(source, stream.name, connection).items()
    }


def rows(source: Source, stream: str, connection: str) -> dict[str, Any]:
    """The mirror of one stream of one connection."""
    statement = f"select * from staging.{source.system}__{stream} where connection = %s"
    with source.database.connect() as session:
        return {row["id"]: row for row in session.execute(statement, (connection,))}


def test_streams_that_are_loaded_at_the_same_time_are_mirrored_as_one_after_the_other(source: Source) -> None:
    other = replace(source.client.connection, name="again")
    one = replace(source.settings, loading=Loading(streams_at_once=1))
    many = replace(source.settings, loading=Loading(streams_at_once=8))

    at_once = load_connection(source.database, many, source.client.connection, client=source.client)
    client = client_module(source.system).open_client(other, source.database, Vault(source.database, one))
    try:
        in_turn = load_connection(source.database, one, other, client=client)
    finally:
        client.close()

    assert [(each.stream, each.rows) for each in at_once] == [(each.stream, each.rows) for each in in_turn]
    assert mirrored(source, source.client.connection.name) == mirrored(source, "again") != {}


def test_a_slot_of_the_vendors_limit_is_left_to_others(source: Source) -> None:
    limit = source.client.http.calls_at_once
    assert limit is not None
    many = replace(source.settings, loading=Loading(streams_at_once=32))
    most, mutex = 0, threading.Lock()
    reading: set[int] = set()

    def counted(method: Any) -> Any:
        def read(*arguments: Any, **options: Any) -> Any:
            nonlocal most
            with mutex:
                reading.add(threading.get_ident())
                most = max(most, len(reading))
            try:
                return method(*arguments, **options)
            finally:
                with mutex:
                    reading.discard(threading.get_ident())

        return read

    with patch.object(source.client.http, "read", counted(source.client.http.read)):
        load_connection(source.database, many, source.client.connection, client=source.client)

    assert 1 < most <= limit - 1


@contextmanager
def merging(source: Source, of: str, act: Any) -> Iterator[None]:
    """Call `act` with the number of each page of a stream before it is merged."""
    plain, count = stage.merge, 0

    def merge(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        if options["stream"] == of:
            count += 1
            act(count)
        return plain(*arguments, **options)

    with patch("loaders.asking.stage.merge", merge):
        yield


def readers_left() -> list[str]:
    """Threads of readers that are still there."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read ")]


def test_the_next_page_is_asked_for_while_the_last_one_is_merged(shop: Source) -> None:
    trade_in_shop(shop, 6)
    asked = threading.Semaphore(0)
    plain = shop.client.http.read

    def read(*arguments: Any, **options: Any) -> Any:
        asked.release()
        return plain(*arguments, **options)

    def act(page: int) -> None:
        # Its own request and, unless it is the last page, that of the next one.
        assert asked.acquire(timeout=PATIENCE)
        if page == 1:
            assert asked.acquire(timeout=PATIENCE), "the next page was not asked for"
            asked.release()

    with patch.object(shop.client.http, "read", read), merging(shop, "orders", act):
        loaded = shop.load("orders", page_size=2)

    assert loaded.rows >= 6
    assert readers_left() == []


def test_an_error_of_the_merge_ends_the_reader_and_keeps_what_was_committed(shop: Source) -> None:
    trade_in_shop(shop, 6)

    def act(page: int) -> None:
        if page == 2:
            raise KeyError("a mistake of ours")

    with merging(shop, "invoices", act), pytest.raises(KeyError):
        shop.load("invoices", page_size=2)

    assert readers_left() == []
    assert len(shop.rows("invoices")) == 2
    shop.load("invoices", page_size=2)
    assert len(shop.rows("invoices")) == 6


def test_an_error_of_the_reader_comes_after_the_pages_before_it_are_stored(shop: Source) -> None:
    trade_in_shop(shop, 6)
    shop.control("faults", kind="500_before", path="/invoices", skip=2, times=1000)

    merged: list[int] = []

    with merging(shop, "invoices", merged.append), pytest.raises(RetryLater):
        shop.load("invoices", page_size=2)

    assert readers_left() == []
    assert merged == [1, 2]
    assert len(shop.rows("invoices")) >= 2


def test_a_page_is_told_before_its_commit_is(shop: Source) -> None:
    """The commit wakes who waits for changes: by then they must be able to know that more may come."""
    trade_in_shop(shop, 2)
    shop.load("invoices")
    trade_in_shop(shop, 3, first=2)
    there: list[int] = []

    shop.load("invoices", progress=lambda _: there.append(len(shop.rows("invoices"))))

    assert there[0] == 2
    assert len(shop.rows("invoices")) == 5


def test_a_load_that_is_told_to_end_does_so_between_two_pages_and_goes_on_later(shop: Source) -> None:
    trade_in_shop(shop, 6)
    stop = Stop()

    def told(loaded: Loaded) -> None:
        if loaded.stream == "invoices":
            stop.set()

    small = [replace(shop.stream(name), page_size=2) for name in ("invoices", "credit_memos", "orders")]
    with (
        patch("loaders.poll.find_stream", lambda _system, name: next(s for s in small if s.name == name)),
        pytest.raises(Stopping),
    ):
        load_connection(
            shop.database, shop.settings, shop.client.connection, client=shop.client, progress=told, stop=stop,
            streams=[stream.name for stream in small],
        )  # fmt: skip

    assert readers_left() == []
    assert len(shop.rows("invoices")) == 2
    # An order is read after its documents only.
    assert shop.rows("orders") == {}
    load_connection(shop.database, shop.settings, shop.client.connection, client=shop.client)
    assert len(shop.rows("invoices")) == len(shop.rows("orders")) == 6


def test_a_refused_connection_is_told_once_and_what_is_under_way_ends(shop: Source) -> None:
    shop.control("faults", kind="expired_token", times=1000)

    with pytest.raises(ConnectionRefused):
        load_connection(shop.database, shop.settings, shop.client.connection, client=shop.client)

    assert readers_left() == []
    assert len(shop.requests()) <= 2 * shop.settings.loading.streams_at_once


def test_a_page_that_was_asked_for_beside_the_merge_has_a_number_of_its_own_moment(shop: Source) -> None:
    trade_in_shop(shop, 6)
    pages: list[Page] = []
    plain = shop.stream("invoices", page_size=2).history
    assert plain is not None

    def kept(*arguments: Any) -> Iterator[Page]:
        for page in plain(*arguments):
            pages.append(page)
            yield page

    stream = replace(shop.stream("invoices", page_size=2), history=kept)
    load(shop.database, shop.client, stream)

    versions = [page.version for page in pages if page.records]
    assert versions == sorted(set(versions))
    # Drawn before its request left: no row of a page carries a lower version than the page was asked with.
    stored = {row["id"]: row["version"] for row in shop.rows("invoices").values()}
    assert min(stored.values()) > versions[0]
