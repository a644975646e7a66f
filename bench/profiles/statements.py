"""What each statement costs: how often, how long the caller waited, and what the session of the server computed for it.

The driver is watched from outside while `metered` lasts (psycopg's cursors and the one place where a connection waits), so that
what is measured is the program as it is. A session's processor time is read when its next statement leaves: by then it has
gone to sleep, and what it counted belongs to the one before.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench.profiles import cpu
from tieout.queries import parse
from tieout.settings import package_root

_FENCES = {
    "_enter_gen": "begin",
    "_exit_gen": "commit",
    "_commit_gen": "commit",
    "_rollback_gen": "rollback",
}
"""What psycopg's generators without a statement of ours do."""
_PLACEHOLDER = re.compile(r"\{[a-z_0-9]*\}")
_MODEL = re.compile(r'"(out_\w+?__\w+)"')
_IDLE = "waiting for news"


@dataclass(slots=True)
class Spent:
    """Of one statement, over all its calls; seconds."""

    calls: int = 0
    waited: float = 0.0
    """By the caller, until the answer was there."""
    server: float = 0.0
    """Computed by its sessions (`cpu.MEASURED`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One round trip, on the monotonic clock that all processes of a machine share."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class Statements:
    """What `metered` saw."""

    spent: dict[str, Spent] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @property
    def waited(self) -> float:
        """Seconds that callers waited for answers."""
        return sum(spent.waited for spent in self.spent.values())

    @property
    def server(self) -> float:
        """Seconds that the sessions computed."""
        return sum(spent.server for spent in self.spent.values())

    @property
    def calls(self) -> int:
        """Round trips."""
        return sum(spent.calls for spent in self.spent.values())

    def add(self, name: str, *, waited: float = 0.0, server: float = 0.0, calls: int = 0) -> None:
        """Count for a statement."""
        with self._mutex:
            spent = self.spent.setdefault(name, Spent())
            spent.calls += calls
            spent.waited += waited
            spent.server += server

    def rows(self, units: float, *, scale: float, most: int = 20) -> list[list[str]]:
        """The dearest, and what all others cost: calls, server and waiting each by unit of work, in seconds / `scale`."""
        ordered = sorted(self.spent.items(), key=lambda item: -max(item[1].server, item[1].waited))
        others = Spent()
        for _, spent in ordered[most:]:
            others.calls += spent.calls
            others.waited += spent.waited
            others.server += spent.server
        shown = ordered[:most] + ([(f"{len(ordered) - most} others", others)] if ordered[most:] else [])
        whole = Spent(calls=self.calls, waited=self.waited, server=self.server)
        return [
            [
                name,
                f"{spent.calls / units:.3g}",
                f"{spent.server * scale / units:,.1f}",
                f"{spent.waited * scale / units:,.1f}",
            ]
            for name, spent in [*shown, ("all", whole)]
        ]


@contextmanager
def metered(*, tell: Callable[[Step], None] | None = None) -> Iterator[Statements]:
    """Watch every statement of this process, and tell each round trip when it is over; not to be nested."""
    watch = _Watch(tell)
    with (
        _in_place_of(psycopg.Cursor, "execute", watch.execute),
        _in_place_of(psycopg.Cursor, "copy", watch.copy),
        _in_place_of(psycopg.Connection, "wait", watch.wait),
        _in_place_of(psycopg.Connection, "close", watch.close),
    ):
        yield watch.seen
    watch.end()


class _Watch:
    """Stands around the methods of the driver; each of ours is given the one that it stands for first."""

    def __init__(self, tell: Callable[[Step], None] | None) -> None:
        self.seen = Statements()
        self._tell = tell
        self._began = time.time()
        self._sessions: dict[psycopg.pq.abc.PGconn, tuple[int, float, str]] = {}
        """Process, its processor time then, and the statement that it spends from there on."""
        self._labels = threading.local()

    def execute(
        self, plain: Any, cursor: psycopg.Cursor[Any], statement: Any, *rest: Any, **options: Any
    ) -> Any:
        with self._labelled(cursor.connection, statement):
            return plain(cursor, statement, *rest, **options)

    @contextmanager
    def copy(
        self, plain: Any, cursor: psycopg.Cursor[Any], statement: Any, *rest: Any, **options: Any
    ) -> Iterator[psycopg.Copy]:
        with (
            self._labelled(cursor.connection, statement),
            plain(cursor, statement, *rest, **options) as copying,
        ):
            yield copying

    def wait(
        self, plain: Any, connection: psycopg.Connection[Any], generator: Any, *rest: Any, **options: Any
    ) -> Any:
        name = self._name(generator.gi_code.co_name)
        self._settle(connection, name)
        began = time.monotonic()
        try:
            return plain(connection, generator, *rest, **options)
        finally:
            ended = time.monotonic()
            if name != _IDLE:
                self.seen.add(name, waited=ended - began, calls=1)
                if self._tell is not None:
                    self._tell(Step(name=name, began=began, ended=ended))

    def close(self, plain: Any, connection: psycopg.Connection[Any]) -> None:
        if connection.pgconn in self._sessions:
            self._settle(connection, "closed")
            del self._sessions[connection.pgconn]
        plain(connection)

    def end(self) -> None:
        """Count what sessions that live on computed last."""
        for pid, before, last in self._sessions.values():
            self.seen.add(last, server=max(0.0, cpu.of_session(pid) - before))

    def _name(self, does: str) -> str:
        label: str | None = getattr(self._labels, "name", None)
        if does == "notifies":
            return _IDLE
        return label or _FENCES.get(does, "other")

    def _settle(self, connection: psycopg.Connection[Any], name: str) -> None:
        """What the session computed since the last statement belongs to that one."""
        session = connection.pgconn
        pid, before, last = self._sessions.get(session, (session.backend_pid, 0.0, ""))
        now = cpu.of_session(pid)
        if last:
            self.seen.add(last, server=max(0.0, now - before))
        elif cpu.began(pid) >= self._began:
            self.seen.add("login", server=now)
        self._sessions[session] = (pid, now, name)

    @contextmanager
    def _labelled(self, connection: psycopg.Connection[Any], statement: Any) -> Iterator[None]:
        before = getattr(self._labels, "name", None)
        self._labels.name = name_of(_text(connection, statement))
        try:
            yield
        finally:
            self._labels.name = before


@contextmanager
def _in_place_of(owner: type, name: str, stands: Callable[..., Any]) -> Iterator[None]:
    plain = getattr(owner, name)

    def method(*given: Any, **options: Any) -> Any:
        return stands(plain, *given, **options)

    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, plain)


@functools.lru_cache(maxsize=4096)
def name_of(text: str) -> str:
    """The name of a statement of `sql/queries`, with the outbound model that it was composed for; else its first words."""
    best, most = "", 0
    for name, pieces in _known():
        length = sum(map(len, pieces))
        if length > most and _has_in_order(text, pieces):
            best, most = name, length
    model = _MODEL.search(text)
    return (best or " ".join(text.split())[:60]) + (f" of {model[1]}" if best and model else "")


def _has_in_order(text: str, pieces: Sequence[str]) -> bool:
    if not text.startswith(pieces[0]):
        return False
    after = 0
    for piece in pieces:
        found = text.find(piece, after)
        if found < 0:
            return False
        after = found + len(piece)
    return True


@functools.cache
def _known() -> list[tuple[str, list[str]]]:
    """Names of all statements, with their text between what is composed into them."""
    files: list[Path] = sorted((package_root() / "sql" / "queries").glob("*.sql"))
    return [
        (f"{file.stem}.{name}", _PLACEHOLDER.split(text))
        for file in files
        for name, text in parse(file.read_text(encoding="utf-8")).items()
    ]


def _text(connection: psycopg.Connection[Any], statement: Any) -> str:
    if isinstance(statement, sql.Composable):
        return statement.as_string(connection)
    return statement.decode() if isinstance(statement, bytes) else str(statement)
