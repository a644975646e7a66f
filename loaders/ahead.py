"""The next page is asked for while the last one is merged.

A reader runs in a thread of its own and is at most one page ahead: two pages are in memory, one of them on its way. It draws
its numbers in a session of its own, before each request, and never sees the session that merges. It knows answers only,
nothing of what is stored; so a page that was asked for and then not merged (a crash, an error) is a page that was never asked
for. An error on either side ends both.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any

import psycopg

from loaders.asking import Asking
from loaders.crew import Stopping
from loaders.stream import Asked, Cursor, Page, Reader
from tieout.db import next_version
from tieout.errors import RetryLater

LOOK_SECONDS = 0.2
"""How often whoever waits for a page looks whether the work shall end."""
GRACE_SECONDS = 5.0
"""How long the end of a load waits for a request that is under way and that nobody wants any more."""


@contextmanager
def pages_ahead(asking: Asking, reader: Reader, position: Cursor | None) -> Iterator[Iterator[Page]]:
    """The pages of a reader from a position on: `with pages_ahead(…) as pages: for page in pages: merge`.

    The first page is asked for by the caller's own thread, so that a stream with one page costs neither thread nor session.
    """
    ask = _ReadersAsk(asking)
    pages = reader(ask, asking.stream, position)
    beside: _Beside | None = None

    def one_ahead() -> Iterator[Page]:
        nonlocal beside
        page = next(pages, None)
        if page is None:
            return
        beside = _Beside(ask, pages)
        while page is not None:
            beside.begin()
            yield page
            page = beside.take()

    try:
        yield one_ahead()
    finally:
        ask.is_over = True
        if beside is not None:
            beside.end()


class _ReadersAsk:
    """What a reader asks with; its numbers come from another session once it runs beside the merge."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.is_beside = False
        self.is_over = False
        self._session: psycopg.Connection[dict[str, Any]] | None = None

    def __call__(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Asked:
        asking = self.asking
        if self.given_up():
            raise Stopping
        version = self.number()
        try:
            answer = asking.client.http.read(
                path, params=params, headers=headers, work=asking.work, given_up=self.given_up
            )
        except RetryLater:
            if self.given_up():
                raise Stopping from None
            raise
        return Asked(answer=answer, version=version)

    def number(self) -> int:
        if not self.is_beside:
            return next_version(self.asking.connection)
        if self._session is None:
            self._session = self.asking.database.connect()
        return next_version(self._session)

    def given_up(self) -> bool:
        return self.is_over or self.asking.stop.is_set()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class _Beside:
    """The thread of a reader."""

    def __init__(self, ask: _ReadersAsk, pages: Iterator[Page]) -> None:
        self._ask = ask
        self._pages = pages
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._got: SimpleQueue[Page | BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._work,), name=f"read {ask.asking.stream.name}", daemon=True
        )
        ask.is_beside = True
        self._thread.start()

    def begin(self) -> None:
        """Ask for the next page."""
        self._wanted.put(True)

    def take(self) -> Page | None:
        """The page that was begun, None behind the last one. Raises what the reader raised, Stopping when the work shall end."""
        while True:
            self._ask.asking.stop.check()
            try:
                got = self._got.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if isinstance(got, BaseException):
                raise got
            return got

    def end(self) -> None:
        """No more pages are wanted."""
        self._wanted.put(False)
        self._thread.join(GRACE_SECONDS)

    def _work(self) -> None:
        try:
            while self._wanted.get():
                try:
                    self._got.put(next(self._pages, None))
                except BaseException as error:  # noqa: BLE001 (raised again where the page is taken)
                    self._got.put(error)
        finally:
            self._ask.close()
