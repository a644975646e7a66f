"""Sessions that read beside the diff's own when a round has much to read: the work is the server's, and it has several cores.

What a model says of a record is worked out record by record, and changes nothing. So a round gives its driving records out in
portions, to its own session and to others; each reads what is committed by then, which is what led to the changed keys and
more. The round alone consumes the keys, locks, decides and stores, in one transaction: a reader that fails lets the round fail
whole, with its keys where they were. A reader whose session is lost gives its portion back, and the round goes on without it.

The transaction of the round keeps the set of models in force all the while. A portion reads nothing that the round has written.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, finalize

import psycopg

from cdc.diff_rows import Row, name_of
from cdc.diff_work import kept_of
from tieout.db import Database
from tieout.errors import DatabaseDown
from tieout.events import Event, emit

Session = psycopg.Connection[dict[str, Any]]
Pairs = Sequence[tuple[str, str]]
Values = Callable[[Pairs], Row]
"""Driving records as parameters of a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """When, and how, the records of a round are shared out."""

    sessions: int = min(8, os.cpu_count() or 1)
    """That read at the same time, the round's own among them."""
    many: int = 600
    """Driving records from which on it pays to plan the statement in other sessions. Planning all models costs a session 0.85 s,
    one of them up to 0.26 s; reading a record costs 0.1 to 1.3 ms (bench/PROFILES.md, 'diff')."""
    few: int = 200
    """The same where other sessions have planned it already: with 300 records of each model a diff took two thirds of the time that
    one session needed, with 100 the same."""
    portion: int = 20
    """Records that a reader takes at least, and the first that it takes before it has planned: others go on meanwhile."""
    idle_seconds: float = 300.0
    """Readers that nobody needed for so long are closed: each keeps the plans of all models in the server's memory."""


SHARING = Sharing()


@dataclass(slots=True, kw_only=True)
class _Reader:
    session: Session
    planned: set[bytes] = field(default_factory=set)
    """Statements that it has read with, so that the next time costs no planning."""


class Readers:
    """The other sessions of one diff, or of the process that keeps its session from diff to diff; opened when first needed."""

    def __init__(self, database: Database, sharing: Sharing | None = None) -> None:
        self._database: Database = database
        self._sharing: Sharing = sharing or SHARING
        self._others: list[_Reader] = []
        self._used: float = time.monotonic()

    def pay_for(self, statement: bytes, records: int) -> bool:
        """Do other sessions make the reading of so many driving records faster?"""
        if self._others and time.monotonic() - self._used > self._sharing.idle_seconds:
            self.close()
        are_ready = len(self._others) >= self._sharing.sessions - 1 and all(
            statement in reader.planned for reader in self._others
        )
        return self._sharing.sessions > 1 and records >= (
            self._sharing.few if are_ready else self._sharing.many
        )

    def read(self, own: Session, model: str, statement: bytes, values: Values, drivers: Pairs) -> list[Row]:
        """The rows that `statement`, a model's `candidates`, gives for these driving records, read in several sessions.

        Raises what a session raised that is not lost; by then no session reads any more.
        """
        self._open(model)
        self._used = time.monotonic()
        portions = _Portions(drivers, self._sharing.portion, len(self._others) + 1)
        threads = [
            threading.Thread(target=_read, args=(reader, statement, values, portions), daemon=True)
            for reader in self._others
        ]
        for thread in threads:
            thread.start()
        try:
            _read_own(own, statement, values, portions)
        except BaseException:
            portions.end()
            raise
        finally:
            for thread in threads:
                thread.join()
        if portions.error is not None:
            raise portions.error
        for reader in [each for each in self._others if each.session.closed]:
            self._others.remove(reader)
            _tell(model, "SessionLost", "the session is gone; the others have read what it had taken")
        # What a lost reader gave back.
        _read_own(own, statement, values, portions)
        self._used = time.monotonic()
        return joined(portions.rows)

    def close(self) -> None:
        """Close the other sessions; they are opened again when needed."""
        while self._others:
            self._others.pop().session.close()

    def _open(self, model: str) -> None:
        """As many as there should be, or as many as the server allows."""
        while len(self._others) < self._sharing.sessions - 1:
            try:
                session = self._database.connect(direct=True)
            except DatabaseDown as error:
                _tell(model, type(error).__name__, str(error))
                return
            self._others.append(_Reader(session=session))
            kept_of(session)


def _tell(model: str, error: str, message: str) -> None:
    """A diff that has fewer sessions than it might is slower, and nothing else."""
    emit(Event.RUN_PART_FAILED, part=f"diff, a reader of {model}", error=error, message=message, wait=0)


class _Portions:
    """Driving records that are given out, large portions first, and the rows that came of them."""

    def __init__(self, drivers: Pairs, least: int, readers: int) -> None:
        self._drivers: Pairs = drivers
        self._least: int = least
        self._readers: int = readers
        self._given: int = 0
        self._back: list[Pairs] = []
        self._mutex = threading.Lock()
        self.rows: list[Row] = []
        self.error: BaseException | None = None

    def take(self, *, is_least: bool = False) -> Pairs | None:
        """The next; None when all are given out."""
        with self._mutex:
            if self._back:
                return self._back.pop()
            left = len(self._drivers) - self._given
            if not left:
                return None
            # Half of what is left, shared by all: so they end at about the same time, whatever a record costs.
            size = self._least if is_least else max(self._least, left // (2 * self._readers))
            some = self._drivers[self._given : self._given + size]
            self._given += len(some)
            return some

    def add(self, rows: Sequence[Row]) -> None:
        with self._mutex:
            self.rows += rows

    def give_back(self, drivers: Pairs) -> None:
        with self._mutex:
            self._back.append(drivers)

    def fail(self, error: BaseException) -> None:
        """Nobody takes any more."""
        with self._mutex:
            self.error = self.error or error
        self.end()

    def end(self) -> None:
        with self._mutex:
            self._given, self._back = len(self._drivers), []


def _read_own(session: Session, statement: bytes, values: Values, portions: _Portions) -> None:
    while (drivers := portions.take()) is not None:
        portions.add(session.execute(statement, values(drivers), prepare=True).fetchall())


def _read(reader: _Reader, statement: bytes, values: Values, portions: _Portions) -> None:
    """The work of another session, in a thread of its own."""
    session = reader.session
    while (drivers := portions.take(is_least=statement not in reader.planned)) is not None:
        try:
            portions.add(session.execute(statement, values(drivers), prepare=True).fetchall())
        except BaseException as error:  # noqa: BLE001 (raised by the round, which waits for it)
            if isinstance(error, psycopg.Error) and (session.closed or session.broken):
                session.close()
                portions.give_back(drivers)
            else:
                portions.fail(error)
            return
        reader.planned.add(statement)


def joined(rows: Sequence[Row]) -> list[Row]:
    """The rows of several portions as one statement would have given them.

    A key that driving records of two portions give is given twice; one that is missing from one portion and given in
    another, because it moved between the two records, is there.
    """
    given = Counter(name_of(row) for row in rows if not row["is_vanished"])
    kept = [row for row in rows if not (row["is_vanished"] and name_of(row) in given)]
    for row in kept:
        row["copies"] = max(row["copies"], given[name_of(row)])
    return sorted(kept, key=name_of)


_readers: WeakKeyDictionary[Session, Readers] = WeakKeyDictionary()


@contextmanager
def readers_of(session: Session, database: Database, *, are_kept: bool) -> Iterator[Readers]:
    """Those beside a diff's session; `are_kept` until that session is gone, else closed at the end."""
    readers = _readers.get(session)
    if readers is None:
        readers = _readers[session] = Readers(database)
        finalize(session, readers.close)
    try:
        yield readers
    finally:
        if not are_kept:
            readers.close()
