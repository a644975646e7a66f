"""Strike a command of this process at its n-th statement: as a kill, as a mistake of ours, or by cutting its connection.

A kill is for good: from then on every statement of the command fails as well, those of its cleaning up included, so that
what is left is what a SIGKILL at that instruction leaves (the server rolls back, locks are freed). Real processes and real
signals are in `victim.py`; here a hypothesis machine needs thousands of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from unittest.mock import patch

import psycopg

Kind = Literal["kill", "mistake", "cut"]


class Killed(BaseException):
    """Nothing of ours catches it."""


class Mistake(Exception):
    """A bug of ours, anywhere."""


@dataclass(kw_only=True)
class Strike:
    """What happens at the n-th statement."""

    kind: Kind
    at: int
    passed: int = 0
    struck: bool = False


@contextmanager
def striking(strike: Strike | None, own: psycopg.Connection[Any]) -> Iterator[None]:
    """Strike statements of all sessions but `own`, the test's."""
    if strike is None:
        yield
        return
    plain = psycopg.Cursor.execute

    def execute(cursor: psycopg.Cursor[Any], *arguments: Any, **named: Any) -> Any:
        if cursor.connection is not own:
            _pass(strike, cursor.connection, own)
        return plain(cursor, *arguments, **named)

    with patch.object(psycopg.Cursor, "execute", execute):
        try:
            yield
        except Killed:
            return
        except (Mistake, psycopg.Error):
            if not strike.struck:
                raise


def _pass(strike: Strike, session: psycopg.Connection[Any], own: psycopg.Connection[Any]) -> None:
    if strike.struck and strike.kind == "kill":
        raise Killed
    strike.passed += 1
    if strike.passed != strike.at or strike.struck:
        return
    strike.struck = True
    if strike.kind == "kill":
        raise Killed
    if strike.kind == "mistake":
        raise Mistake
    pid = session.info.backend_pid
    psycopg.Cursor(own).execute("select pg_terminate_backend(%s, 5000)", (pid,))
