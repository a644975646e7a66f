"""All streams of a connection, several at the same time, each in a thread with sessions of its own; what must be read before what
is in `loaders.stream.waits_for`. Where first loads are not at their end, rounds: what changed, then a part of the histories.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

from loaders.crew import Stop, work_off
from loaders.history import tell
from loaders.load import load
from loaders.progress import Loaded, Progress
from loaders.stream import Client, Stream, find_stream, streams_of, waits_for
from tieout.db import Database
from tieout.errors import (
    BudgetDenied,
    ConfigurationError,
    ConnectionRefused,
    CredentialsError,
    LockHeld,
    Rejected,
    SchemaDrift,
)
from tieout.events import Event, emit
from tieout.settings import Connection, Settings
from tieout.systems import client_module
from tieout.vault import Vault

__all__ = ["Loaded", "Progress", "load", "load_connection"]

SLICE_SECONDS = 900.0
"""A long history makes way so often for what changed meanwhile: a look costs a read a stream, and the calls of a day are few."""


def load_connection(
    database: Database,
    settings: Settings,
    connection: Connection,
    *,
    streams: Sequence[str] | None = None,
    full: bool = False,
    swept: bool = False,
    accept_shrink: bool = False,
    run: UUID | None = None,
    progress: Progress | None = None,
    client: Client | None = None,
    stop: Stop | None = None,
    backfill_seconds: float | None = None,
) -> list[Loaded]:
    """Load the streams of a connection (all, or those named), several at the same time; in the order of the register.

    First what changed, in the order in which streams come after each other. Then, where a first load is not at its end, its
    history, newest first, for at most `backfill_seconds` (None: to its end, or until the calls of the day that backfills may
    use are spent), with a look at what changed every quarter of an hour and at the end. `Loaded.backfill` tells what is left.

    A stream that fails on its own (its shape, a lacking scope, an unbelievable shrink, another loader) is
    reported in `Loaded.error` and the others go on. Raises, once the others have ended at their next page, what concerns the
    whole connection: credentials, limits, an API or database that is not there, and the refusal of two streams that stand
    beside each other. `client`: an open one to be used (and left open). `stop` ends the load between two pages, by Stopping.
    """
    wanted = [find_stream(connection.system, name) for name in streams or ()] or streams_of(connection.system)
    with _opened(client, connection, database, settings) as reader:
        how: dict[str, Any] = {"run": run, "progress": _one_by_one(progress), "accept_shrink": accept_shrink}
        load_one = partial(_load_or_note, database, reader, **how)
        rounds = _Rounds(load_one, wanted, at_once=_at_once(reader, settings), stop=Stop(stop))
        rounds.look(full=full, swept=swept)
        ends_at = time.monotonic() + backfill_seconds if backfill_seconds is not None else math.inf
        while rounds.unfinished() and not rounds.is_denied and time.monotonic() < ends_at:
            rounds.look_back(min(ends_at, time.monotonic() + SLICE_SECONDS), swept=swept)
            rounds.look()
    done = [rounds.done[stream.name] for stream in wanted]
    for loaded in done:
        if loaded.backfill is not None:
            tell(loaded.backfill)
    return done


class _Rounds:
    """Looks at the streams of a connection, each time at several at once."""

    def __init__(
        self, load_one: Callable[..., Loaded], wanted: Sequence[Stream], *, at_once: int, stop: Stop
    ) -> None:
        self._load_one = load_one
        self._wanted = wanted
        self._at_once = at_once
        self._stop = stop
        self.done: dict[str, Loaded] = {}
        self.is_denied = False
        """The calls that backfills may make are spent for now."""

    def look(self, *, full: bool = False, swept: bool = False) -> None:
        """What changed, in all streams; of those that were never read their newest page."""
        after = waits_for(self._wanted[0].system)
        self._all(self._wanted, after, may_go_on=lambda: False, full=full, swept=swept)

    def look_back(self, until: float, *, swept: bool) -> None:
        """The history of those that are not at its end, side by side."""
        self._all(
            self.unfinished(), {}, may_go_on=lambda: time.monotonic() < until, swept=swept, is_history=True
        )

    def unfinished(self) -> list[Stream]:
        """Streams whose history goes on."""
        return [stream for stream in self._wanted if self.done[stream.name].backfill is not None]

    def _all(self, streams: Sequence[Stream], after: Mapping[str, Collection[str]], **how: Any) -> None:
        names = [stream.name for stream in streams]
        round_: dict[str, Loaded] = {}

        def finished(name: str, loaded: Loaded) -> None:
            round_[name] = loaded
            if any(_is_refused(round_, one) and _is_refused(round_, next_) for one, next_ in pairwise(names)):
                assert loaded.error is not None, "a refused stream has its error"  # noqa: S101
                raise loaded.error

        jobs = {stream.name: partial(self._load_one, stream, stop=self._stop, **how) for stream in streams}
        work_off(jobs, after=after, at_once=self._at_once, stop=self._stop, finished=finished)
        for name, loaded in round_.items():
            if isinstance(loaded.error, BudgetDenied):
                self.is_denied = True
                loaded = replace(loaded, error=None, backfill=self.done[name].backfill)
            self.done[name] = self.done[name].then(loaded) if name in self.done else loaded


def _at_once(client: Client, settings: Settings) -> int:
    """One call less than the vendor takes at the same time: a person's, or that of a writer, finds room."""
    limit = client.http.calls_at_once
    wanted = settings.loading.streams_at_once
    return wanted if limit is None else max(1, min(wanted, limit - 1))


def _one_by_one(progress: Progress | None) -> Progress | None:
    if progress is None:
        return None
    mutex, told = threading.Lock(), progress

    def tell(loaded: Loaded) -> None:
        with mutex:
            told(loaded)

    return tell


def _is_refused(done: Mapping[str, Loaded], name: str) -> bool:
    return name in done and isinstance(done[name].error, ConnectionRefused)


@contextmanager
def _opened(
    client: Client | None, connection: Connection, database: Database, settings: Settings
) -> Iterator[Client]:
    if client is not None:
        yield client
        return
    opened = client_module(connection.system).open_client(connection, database, Vault(database, settings))
    try:
        yield opened
    finally:
        opened.close()


def _load_or_note(
    database: Database, client: Client, stream: Stream, *, is_history: bool = False, **arguments: Any
) -> Loaded:
    counted = _Counted(arguments.pop("progress", None))
    try:
        return load(database, client, stream, progress=counted, **arguments)
    except CredentialsError:
        raise
    except BudgetDenied as denied:
        if not is_history:
            raise
        # What is fresh was read. The rest of the history waits for calls: that is no failure.
        last = counted.last or Loaded(connection=client.connection.name, stream=stream.name)
        return replace(last, error=denied)
    except (ConnectionRefused, Rejected, SchemaDrift, ConfigurationError, LockHeld) as error:
        name = client.connection.name
        emit(
            Event.LOAD_STREAM_FAILED,
            connection=name,
            stream=stream.name,
            error=type(error).__name__,
            message=str(error),
            rows=0,
        )
        return Loaded(connection=name, stream=stream.name, error=error)


class _Counted:
    """Keeps what was told last of a stream."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.last: Loaded | None = None

    def __call__(self, loaded: Loaded) -> None:
        self.last = loaded
        if self._progress is not None:
            self._progress(loaded)
