"""The sessions in which the commands of one world work: kept from command to command, as those of `tieout run` are.

Planning the views anew for each command would be most of the suite's time. What a session knows beside its plans (locks, settings,
temporary tables) ends with the command, as it would with the session. Commands that are processes of their own
(`World.start`, the tests of faults and of the command line) have sessions of their own still.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import psycopg
from psycopg.pq import TransactionStatus

from cdc import diff as differ
from tieout.db import Database
from tieout.settings import Settings

Session = psycopg.Connection[dict[str, Any]]
NAME = "tieout kept"
"""What Postgres calls these sessions, busy or not."""
_SETTINGS = f"set application_name = '{NAME}'; set plan_cache_mode = force_generic_plan"
_FORGET = f"select pg_advisory_unlock_all(); unlisten *; discard temp; reset all; {_SETTINGS}"
_open = Database.connect
"""A session that is new."""


class Warm:
    """The sessions of one world."""

    def __init__(self) -> None:
        self._free: dict[tuple[str, bool], list[Session]] = {}
        self._views: Session | None = None
        """Diffs have one that is theirs alone: it keeps the plans of the large views."""
        self._url = ""

    @contextmanager
    def sessions(self) -> Iterator[None]:
        """Meanwhile commands take these sessions, each by the URL that it would have connected to, and leave them open."""
        cold = differ.diff

        def diff(asked: Database, settings: Settings, **options: Any) -> differ.Diffed:
            return cold(asked, settings, **{"session": self._of_views(asked), **options})

        def connect(asked: Database, *, direct: bool = False, **options: Any) -> Session:
            return self._lend(asked, direct=direct, **options)

        with (
            mock.patch.object(differ, "diff", diff),
            mock.patch.object(Database, "connect", connect),
        ):
            yield

    def close(self) -> None:
        """The world ends, or its models change."""
        for session in [each for free in self._free.values() for each in free]:
            psycopg.Connection.close(session)
        self._free.clear()
        if self._views is not None:
            psycopg.Connection.close(self._views)
            self._views = None

    def _lend(self, database: Database, *, direct: bool, **options: Any) -> Session:
        free = self._free.setdefault((database.url, direct), [])
        while free:
            session = free.pop()  # the one that was outermost last time is so again, and has its plans
            if _answers(session):
                return session
        session = _open(database, direct=direct, **options)
        _keep_plans(session)
        session.close = partial(self._take_back, session, free)  # type: ignore[method-assign]
        return session

    def _take_back(self, session: Session, free: list[Session]) -> None:
        if session in free:
            return  # closed twice
        try:
            if session.info.transaction_status != TransactionStatus.IDLE:
                session.rollback()
            session.execute(_FORGET, prepare=False)
        except psycopg.Error:
            psycopg.Connection.close(session)  # lost, or in the midst of something
        else:
            free.append(session)

    def _of_views(self, database: Database) -> Session:
        if self._views is not None and (self._url != database.url or not _answers(self._views)):
            psycopg.Connection.close(self._views)
            self._views = None
        if self._views is None:
            self._url = database.url
            self._views = _open(database, direct=True, lease_seconds=None)
            _keep_plans(self._views)
        return self._views


def _keep_plans(session: Session) -> None:
    session.execute(_SETTINGS, prepare=False)
    session.prepare_threshold = 0
    session.prepared_max = None


def _answers(session: Session) -> bool:
    """False when a test restored the database, or cut its sessions off."""
    try:
        session.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True
