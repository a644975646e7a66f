"""A Postgres of its own for a benchmark, thrown away afterwards; the same settings for ours and for every peer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg

from bench.kept import folder
from tieout import embedded
from tieout.db import Database
from tieout.migrate import migrate
from tieout.settings import Settings

__all__ = ["folder", "postmaster", "server"]


@contextmanager
def server() -> Iterator[tuple[Settings, Database]]:
    """Settings in a folder of their own and a migrated database on an embedded server as every user has it."""
    with folder() as made:
        settings = Settings(data_dir=made / "data", project_dir=made, lookups_dir=made / "lookups")
        try:
            database = Database(embedded.ensure_running(settings.data_dir))
            migrate(database)
            yield settings, database
        finally:
            embedded.stop(settings.data_dir)


def postmaster(session: psycopg.Connection[Any]) -> int:
    """The process of the server that a session belongs to, on this machine."""
    parent = psutil.Process(session.info.backend_pid).parent()
    assert parent is not None, "a session has the server as its parent"
    return int(parent.pid)
