"""A sender: registered, and alive as long as it holds a lock on a connection of its own, past any pooler.

Others take over what it left only when that lock is free and the deadline of its call has passed by the database's clock;
either alone frees nothing that may have been sent.
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

Session = psycopg.Connection[dict[str, Any]]


class Worker:
    """One sender; a context manager."""

    def __init__(self, database: Database) -> None:
        self.identifier: uuid.UUID = uuid.uuid4()
        self._key: int = secrets.randbits(63)
        self._session: Session = database.connect(direct=True)

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
    """Does nobody hold the lock of that sender? True also when the sender is not registered any more."""
    if lock_key is None:
        return True
    row = connection.execute(query("database", "try_lock"), {"key": lock_key}).fetchone()
    if row is None or not row["locked"]:
        return False
    connection.execute(query("database", "unlock"), {"key": lock_key})
    return True
