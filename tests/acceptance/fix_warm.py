"""The session in which commands of one world diff, as in `tieout run`: it plans each view once.

Planning them anew for each command would be most of the suite's time. Commands that are processes of their own
(`World.start`, the tests of faults and of the command line) have sessions of their own still.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import psycopg

from cdc import diff as differ
from tieout.db import Database
from tieout.settings import Settings


class Warm:
    """One session of one database at a time."""

    def __init__(self) -> None:
        self._session: psycopg.Connection[dict[str, Any]] | None = None
        self._url = ""

    @contextmanager
    def diffs(self) -> Iterator[None]:
        """Meanwhile `cdc.diff.diff`, as commands call it, takes this session unless it is given one."""
        cold = differ.diff

        def diff(database: Database, settings: Settings, **options: Any) -> differ.Diffed:
            return cold(database, settings, **{"session": self._open(database), **options})

        with mock.patch.object(differ, "diff", diff):
            yield

    def close(self) -> None:
        """The world ends."""
        if self._session is not None:
            self._session.close()

    def _open(self, database: Database) -> psycopg.Connection[dict[str, Any]]:
        if self._session is not None and self._url == database.url:
            try:
                self._session.execute("select 1")
            except psycopg.OperationalError:
                self._session = None  # a test restored the database, or cut its sessions off
        if self._session is None or self._url != database.url:
            self.close()
            self._url = database.url
            self._session = database.connect(direct=True, lease_seconds=None)
        return self._session
