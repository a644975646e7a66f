"""Locks belong to a session of the server: a pooler in between is found out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tieout.db import Database, prove_direct
from tieout.errors import ConfigurationError

Session = psycopg.Connection[dict[str, Any]]


@dataclass
class Pooled:
    """A session of a pooler in transaction mode: each statement or transaction on whichever backend is free."""

    free: list[Session]
    held: Session | None = None

    def execute(self, *arguments: Any) -> Any:
        if self.held is not None:
            return self.held.execute(*arguments)
        with self.transaction() as backend:
            return backend.execute(*arguments)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        backend = self.held = self.free.pop()
        try:
            yield backend
        finally:
            self.free.append(backend)
            self.held = None

    def __enter__(self) -> Pooled:
        return self

    def __exit__(self, *_: object) -> None:
        return None


@dataclass
class Pooler:
    """In place of the database's address."""

    backends: list[Session] = field(default_factory=list)

    def connect(self, *, direct: bool = False) -> Pooled:
        assert direct
        return Pooled(self.backends)


def test_a_connection_to_the_server_itself_is_direct(database: Database) -> None:
    prove_direct(database)


@pytest.mark.parametrize("backends", [2, 3])
def test_a_pooler_in_transaction_mode_is_not(database: Database, backends: int) -> None:
    pooler = Pooler([database.connect() for _ in range(backends)])

    with pytest.raises(ConfigurationError, match="through a pooler") as caught:
        prove_direct(pooler)  # type: ignore[arg-type]

    for each in pooler.backends:
        each.close()
    assert "direct_url" in caught.value.cure
