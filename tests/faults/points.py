"""Where a process can be struck: every point that matters gets a name, and at the n-th passing of one the process ends itself.

The product has no hooks. Functions of it, of psycopg, httpx and dbt are wrapped here, by name, in the victim's process only:

    commit before|after WHO          a transaction of a session, by the function that opened it
    write before|after WHO           a statement that changes something and commits by itself
    read before|after CONNECTION     a read of an API
    call before METHOD PATH          a call is on record; nothing of it has left
    call leaving METHOD PATH         the connection stands; the deadline is about to be looked at
    call past METHOD PATH            the deadline was looked at; the next thing is the socket (no client can close this gap)
    call sent METHOD PATH            the request is out; the target is at work
    call answered METHOD PATH        the answer is here; nothing of it is stored
    token before|after               a new token is about to be stored, is stored
    dbt before|after                 a statement of a build

WHO is `module.function`, METHOD PATH the request without its numbers (`PUT Invoices`).
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

import cdc.calls
import cdc.send
import tieout.http
import tieout.vault

_OURS = ("cdc", "loaders", "console", "tieout")
_HELPERS = ("tieout.db", "tieout.queries")
_CHANGES = re.compile(r"\b(insert into|update|delete from|create|drop|alter|analyze)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"--[^\n]*")
_LONG_AGO = 100_000.0
"""Seconds by which the clock of a process has moved on when it wakes up: beyond every deadline."""


class Points:
    """Counts the points that are passed, keeps a record of them if asked to, and strikes once."""

    def __init__(self, *, point: str | None, nth: int, action: str, record: Path | None) -> None:
        self._point = point
        self._left = nth
        self._action = action
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if record is not None else None
        self._mutex = threading.Lock()
        self.slept = 0.0
        """How far the clock of this process has jumped."""

    def reach(self, name: str) -> None:
        """The process is at a point."""
        with self._mutex:
            if self._record is not None:
                os.write(self._record, f"{name}\n".encode())
            if name != self._point:
                return
            self._left -= 1
            if self._left:
                return
        if self._action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._action == "sleep":
            self.slept = _LONG_AGO
        os.kill(os.getpid(), signal.SIGSTOP)


def install(points: Points) -> None:
    """Wrap everything; once a process."""
    _transactions(points)
    _statements(points)
    _reads(points)
    _calls(points)
    _tokens(points)
    _clock(points)
    if "dbt.adapters.sql.connections" in sys.modules:
        _dbt(points)


def names_of(recorded: Path) -> Counter[str]:
    """How often each point was passed, from a record."""
    return Counter(recorded.read_text(encoding="utf-8").splitlines() if recorded.exists() else ())


def _transactions(points: Points) -> None:
    leave: Callable[..., Any] = psycopg.Transaction.__exit__

    def around(self: psycopg.Transaction, kind: Any, error: Any, traceback: Any) -> Any:
        # A savepoint is no commit, and neither is a transaction that rolls back.
        if kind is not None or not getattr(self, "_outer_transaction", True):
            return leave(self, kind, error, traceback)
        who = _who()
        points.reach(f"commit before {who}")
        result = leave(self, kind, error, traceback)
        points.reach(f"commit after {who}")
        return result

    _wrap(psycopg.Transaction, "__exit__", around)


def _statements(points: Points) -> None:
    execute: Callable[..., Any] = psycopg.Connection.execute

    def around(self: psycopg.Connection[Any], statement: Any, *arguments: Any, **options: Any) -> Any:
        is_alone = self.autocommit and self.info.transaction_status is TransactionStatus.IDLE
        if not is_alone or not _changes(statement, self):
            return execute(self, statement, *arguments, **options)
        who = _who()
        points.reach(f"write before {who}")
        result = execute(self, statement, *arguments, **options)
        points.reach(f"write after {who}")
        return result

    _wrap(psycopg.Connection, "execute", around)


def _reads(points: Points) -> None:
    read: Callable[..., Any] = tieout.http.Http._read_once

    def around(self: Any, *arguments: Any, **options: Any) -> Any:
        points.reach(f"read before {self._name}")
        result = read(self, *arguments, **options)
        points.reach(f"read after {self._name}")
        return result

    _wrap(tieout.http.Http, "_read_once", around)


def _calls(points: Points) -> None:
    send: Callable[..., Any] = tieout.http.Http._send_write
    look: Callable[..., Any] = tieout.http._Guard.__call__
    here = threading.local()

    def sending(self: Any, method: str, path: str, *arguments: Any, **options: Any) -> Any:
        here.name = f"{method} {_without_numbers(path)}"
        points.reach(f"call before {here.name}")
        answer = send(self, method, path, *arguments, **options)
        points.reach(f"call answered {here.name}")
        return answer

    def looking(self: Any, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(".send_request_headers.started"):
            points.reach(f"call leaving {here.name}")
            look(self, name, info)
            points.reach(f"call past {here.name}")
            return
        look(self, name, info)
        if name.endswith(".receive_response_headers.started"):
            points.reach(f"call sent {here.name}")

    _wrap(tieout.http.Http, "_send_write", sending)
    _wrap(tieout.http._Guard, "__call__", looking)


def _tokens(points: Points) -> None:
    save: Callable[..., Any] = tieout.vault.Vault._save

    def around(self: Any, *arguments: Any) -> None:
        points.reach("token before")
        save(self, *arguments)
        points.reach("token after")

    _wrap(tieout.vault.Vault, "_save", around)


def _clock(points: Points) -> None:
    real = tieout.http.boottime

    def boottime() -> float:
        return real() + points.slept

    for module in (tieout.http, cdc.calls, cdc.send):
        _wrap(module, "boottime", boottime)


def _dbt(points: Points) -> None:
    from dbt.adapters.sql.connections import SQLConnectionManager

    add_query: Callable[..., Any] = SQLConnectionManager.add_query

    def around(self: Any, *arguments: Any, **options: Any) -> Any:
        points.reach("dbt before")
        result = add_query(self, *arguments, **options)
        points.reach("dbt after")
        return result

    _wrap(SQLConnectionManager, "add_query", around)


def _wrap(owner: object, name: str, by: Callable[..., Any]) -> None:
    """Put a function in the place of another; a name that is no more is an error here, not a point never met."""
    getattr(owner, name)
    setattr(owner, name, by)


def _who() -> str:
    """The function of ours that is at it: the nearest one on the stack, helpers left out."""
    frame = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _OURS and module not in _HELPERS:
            return f"{module}.{frame.f_code.co_name}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "unknown"


def _changes(statement: Any, connection: psycopg.Connection[Any]) -> bool:
    if isinstance(statement, sql.Composable):
        statement = statement.as_string(connection)
    text = statement.decode() if isinstance(statement, bytes) else str(statement)
    return _CHANGES.search(_COMMENTS.sub("", text)) is not None


def _without_numbers(path: str) -> str:
    words = path.partition("?")[0].split("://")[-1].split("/")
    return "/".join(word for word in words if word and not any(letter.isdigit() for letter in word))
