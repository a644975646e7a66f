"""The loop over one stream, and over all streams of a connection.

For each page: a number is drawn, the request leaves, and the records, the cursor and what follows from them
commit in one transaction; meanwhile the next page is under way (`loaders.ahead`). Dying anywhere loses nothing: the next
run continues from the last committed cursor and merges again what was cut off. One loader a stream (an advisory lock of the
session). A load that finds nothing new makes one read and writes nothing but the note that it looked.

The streams of a connection are loaded at the same time, each in a thread with sessions of its own; what must be read before
what is in `loaders.stream.waits_for`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

from loaders import stage, sweep
from loaders.ahead import pages_ahead
from loaders.asking import Asking
from loaders.crew import Stop, work_off
from loaders.stream import Client, Cursor, Stream, find_stream, streams_of, waits_for
from tieout.budget import Work
from tieout.db import Database, try_lock, unlock
from tieout.errors import (
    ConfigurationError,
    ConnectionRefused,
    CredentialsError,
    LockHeld,
    Rejected,
    SchemaDrift,
    TieoutError,
)
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import compose, query
from tieout.settings import Connection, Settings
from tieout.systems import client_module
from tieout.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What loading one stream did; counts."""

    connection: str
    stream: str
    rows: int = 0
    """Records read, those met twice included."""
    changed: int = 0
    """Rows whose content changed."""
    deleted: int = 0
    bad: int = 0
    """Records that newly became dead letters of loading."""
    pages: int = 0
    seconds: float = 0.0
    is_ended: bool = False
    """Nothing more is read of it; as told to a `Progress`."""
    error: TieoutError | None = field(default=None, compare=False)
    """Why this stream stopped; the others went on."""


Progress = Callable[[Loaded], None]
"""Called after each page with what the stream came to so far, and once at its end; never by two threads at once."""


def load(
    database: Database,
    client: Client,
    stream: Stream,
    *,
    run: UUID | None = None,
    progress: Progress | None = None,
    full: bool = False,
    swept: bool = False,
    accept_shrink: bool = False,
    stop: Stop | None = None,
) -> Loaded:
    """Load what changed in one stream since its cursor; `full` reads everything anew, `swept` looks for what
    stamps miss. `stop` ends it between two pages, by Stopping.

    Raises LockHeld when another process loads the stream, SchemaDrift when the answers have another shape,
    ConfigurationError when more records vanished than is believable, and whatever the client raises.
    """
    with database.connect(direct=True) as connection:
        name = client.connection.name
        held = f"tieout.load.{name}.{stream.system}.{stream.name}"
        if not try_lock(connection, held):
            raise LockHeld(f"Another run is loading {stream.name} of {name}.")
        asking = Asking(
            database=database,
            connection=connection,
            client=client,
            stream=stream,
            run=run,
            stop=stop or Stop(),
        )
        try:
            return _Load(asking, progress).run(full=full, swept=swept, accept_shrink=accept_shrink)
        finally:
            # The server may notice the end of a session later than whoever loads the stream next.
            if not connection.closed and not connection.broken:
                unlock(connection, held)


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
) -> list[Loaded]:
    """Load the streams of a connection (all, or those named), several at the same time; in the order of the register.

    A stream that fails on its own (its shape, a lacking scope, an unbelievable shrink, another loader) is
    reported in `Loaded.error` and the others go on. Raises, once the others have ended at their next page, what concerns the
    whole connection: credentials, limits, an API or database that is not there, and the refusal of two streams that stand
    beside each other. `client`: an open one to be used (and left open). `stop` ends the load between two pages, by Stopping.
    """
    wanted = [find_stream(connection.system, name) for name in streams or ()] or streams_of(connection.system)
    names = [stream.name for stream in wanted]
    own = Stop(stop)
    how: dict[str, Any] = {"run": run, "progress": _one_by_one(progress), "stop": own}
    how |= {"full": full, "swept": swept, "accept_shrink": accept_shrink}
    done: dict[str, Loaded] = {}

    def finished(name: str, loaded: Loaded) -> None:
        done[name] = loaded
        if any(_is_refused(done, one) and _is_refused(done, next_) for one, next_ in pairwise(names)):
            assert loaded.error is not None, "a refused stream has its error"  # noqa: S101
            raise loaded.error

    with _opened(client, connection, database, settings) as reader:
        jobs = {stream.name: partial(_load_or_note, database, reader, stream, **how) for stream in wanted}
        at_once = _at_once(reader, settings)
        work_off(jobs, after=waits_for(connection.system), at_once=at_once, stop=own, finished=finished)
    return [done[name] for name in names]


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


def _load_or_note(database: Database, client: Client, stream: Stream, **arguments: Any) -> Loaded:
    try:
        return load(database, client, stream, **arguments)
    except CredentialsError:
        raise
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


class _Load:
    """One load of one stream while it runs."""

    def __init__(self, asking: Asking, progress: Progress | None) -> None:
        self._asking = asking
        self._progress = progress
        self._started = time.monotonic()
        self._total = stage.Merged()
        self._rows = 0
        self._pages = 0
        self._deleted = 0

    def run(self, *, full: bool, swept: bool, accept_shrink: bool) -> Loaded:
        asking, stream = self._asking, self._asking.stream
        before, is_backfilled = self._position()
        if not is_backfilled or full or swept:
            asking = replace(asking, work=Work.BACKFILL)
        beginning = asking.begin()
        met: set[str] = set()
        with pages_ahead(asking, stream.read, None if full else before) as pages:
            for page in pages:
                with unit_of_work(asking.connection), asking.connection.transaction():
                    merged, ids = asking.merge(page, "poll" if is_backfilled and not full else "backfill")
                self._count(merged, len(ids))
                if stream.is_whole:
                    met.update(ids)
        if stream.is_whole:
            self._deleted += sweep.after_whole_read(asking, beginning, met, accept_shrink=accept_shrink)
            asking.connection.execute(query("load", "whole_read"), asking.values | {"began_at": beginning.at})
        again, gone = asking.ask_again()
        self._total += again
        self._deleted += gone
        with unit_of_work(asking.connection):
            values = {"began_at": beginning.at, "began_version": beginning.version}
            asking.connection.execute(query("load", "reached_end"), asking.values | values)
        if swept and not stream.is_whole and not stream.grows_only:
            found = sweep.sweep(asking, accept_shrink=accept_shrink)
            self._rows += found.seen
            self._deleted += found.deleted
            self._total += stage.Merged(updated=found.changed, bad=found.bad)
        return self._finish(before)

    def _position(self) -> tuple[Cursor | None, bool]:
        row = self._asking.connection.execute(query("load", "position"), self._asking.values).fetchone()
        if row is None:
            return None, False
        return Cursor(value=row["cursor"]) if row["cursor"] else None, bool(row["is_backfilled"])

    def _count(self, merged: stage.Merged, rows: int) -> None:
        self._total += merged
        self._rows += rows
        self._pages += 1
        self._tell()

    def _tell(self, *, is_ended: bool = False) -> Loaded:
        loaded = Loaded(
            connection=self._asking.name,
            stream=self._asking.stream.name,
            rows=self._rows,
            changed=self._total.changed + self._deleted,
            deleted=self._deleted,
            bad=self._total.bad,
            pages=self._pages,
            seconds=round(time.monotonic() - self._started, 3),
            is_ended=is_ended,
        )
        if self._progress is not None:
            self._progress(loaded)
        return loaded

    def _analyze(self, changed: int) -> None:
        """Let the planner know a table that this load filled; a load that changed little costs nothing here."""
        stream, connection = self._asking.stream, self._asking.connection
        if not changed:
            return
        values = {"table": f"staging.{stream.system}__{stream.name}", "changed": changed}
        row = connection.execute(query("load", "misjudged"), values).fetchone()
        if row is not None and row["is_misjudged"]:
            connection.execute(compose("load", "analyze", table=stage.staging_table(stream)))

    def _finish(self, before: Cursor | None) -> Loaded:
        loaded = self._tell(is_ended=True)
        self._analyze(loaded.changed)
        after, _ = self._position()
        emit(
            Event.LOAD_STREAM_FINISHED,
            connection=loaded.connection,
            stream=loaded.stream,
            pages=loaded.pages,
            rows=loaded.rows,
            changed=loaded.changed,
            refused=loaded.bad,
            seconds=loaded.seconds,
            cursor_before=dict(before.value) if before is not None else None,
            cursor_after=dict(after.value) if after is not None else None,
        )
        return loaded
