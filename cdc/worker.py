"""A sender: registered, and alive as long as it holds a lock on a connection of its own, past any pooler.

Others take over what it left only when that lock is free and the deadline of its call has passed by the database's clock;
either alone frees nothing that may have been sent. A sender that still holds its lock past the deadline of its call is
asleep (stopped, swapped out, its machine suspended): whoever takes over ends its session, so that it finds its lock lost
before it sends anything else.
"""

from __future__ import annotations

import os
import secrets
import socket
import uuid
from types import TracebackType
from typing import Any, Self

import psycopg

from tieout.db import Database
from tieout.errors import DatabaseDown
from tieout.queries import query

END_MILLISECONDS = 5_000
"""So long the end of a session is waited for."""

Session = psycopg.Connection[dict[str, Any]]


class Worker:
    """One sender; a context manager."""

    def __init__(self, database: Database) -> None:
        self.identifier: uuid.UUID = uuid.uuid4()
        self._key: int = secrets.randbits(63)
        self.database: Database = database
        # No lease: between two calls it may say nothing for long, and the deadline of a call ends it.
        self._session: Session = database.connect(direct=True, lease_seconds=None)

    def __enter__(self) -> Self:
        self._session.execute(query("database", "lock"), {"key": self._key})
        self._session.execute(
            query("calls", "register_worker"),
            {
                "worker": self.identifier,
                "host": socket.gethostname(),
                "process_id": os.getpid(),
                "lock_key": self._key,
            },
        )
        # Senders that were killed cannot take their rows away themselves.
        self._session.execute(query("calls", "forget_dead_workers"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if not self._session.broken and not self._session.closed:
                self._session.execute(query("calls", "forget_worker"), {"worker": self.identifier})
        except psycopg.OperationalError:
            # The database is away; the row tells of a sender whose lock is free, which is what happened.
            return
        finally:
            self._session.close()

    def check_alive(self) -> None:
        """Raise DatabaseDown when the lock is lost: others may have taken over, so nothing may be sent."""
        try:
            self._session.execute(query("calls", "is_alive"))
        except psycopg.Error as error:
            raise DatabaseDown("The connection that holds this sender's lock was lost.") from error


def is_gone(connection: Session, lock_key: int | None) -> bool:
    """Free the lock of a sender whose deadline has passed. False when it holds it still and may not be ended by us."""
    if lock_key is None:
        return True
    if not is_held(connection, lock_key):
        return True
    try:
        connection.execute(
            query("calls", "end_session"), {"lock_key": lock_key, "milliseconds": END_MILLISECONDS}
        )
    except psycopg.errors.InsufficientPrivilege:
        # Another role sends as well: its lock comes free when its session ends.
        return False
    return not is_held(connection, lock_key)


def is_held(connection: Session, lock_key: int | None) -> bool:
    """Does a living session hold the lock of that sender? Never for one that is not registered any more."""
    if lock_key is None:
        return False
    row = connection.execute(query("database", "try_lock"), {"key": lock_key}).fetchone()
    if row is None or not row["locked"]:
        return True
    connection.execute(query("database", "unlock"), {"key": lock_key})
    return False
