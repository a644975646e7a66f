"""The real drain with the real writers against the stand-ins, for one entry at a time: what is in doubt and what becomes of it.

No models are needed: an entry is put into the outbox as the diff would make it, with its references resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc.drain import Drained, drain
from cdc.wanted import fingerprint
from cdc.writing import Outgoing, Write, open_writers
from tests.contracts.fix_writers import Books
from tieout.db import Database
from tieout.settings import Connection, Settings, package_root

Row = dict[str, Any]


class _Open:
    """A client that outlives the drain."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        return None


@dataclass(kw_only=True)
class Desk:
    """One target with an outbox before it."""

    books: Books
    database: Database
    session: psycopg.Connection[Row]
    settings: Settings
    writers: dict[str, Write] = field(default_factory=dict)
    since: int = 0
    """Number of the last call before this test."""
    on_wait: Callable[[float], None] = lambda _seconds: None
    """While the drain gives the target time to settle: between our sending and our question."""

    def fresh(self, **changes: Any) -> None:
        """Nothing is open, no answer is remembered; every writer with these changes."""
        self.session.execute("truncate cdc.outbox, cdc.changed_keys, cdc.changes")
        # Calls stand for ever; those of a test that failed are not the next one's to settle.
        self.session.execute(
            "update cdc.calls set outcome = 'settled by asking', settled_at = now() where settled_at is null"
        )
        row = self.session.execute("select coalesce(max(number), 0) as number from cdc.calls").fetchone()
        assert row is not None
        self.since = row["number"]
        plain: Any = open_writers(self.books.system)
        self.writers = {entity: replace(write, **changes) for entity, write in plain.items()}
        self.on_wait = lambda _seconds: None

    def put(self, entity: str, one: Outgoing, *, alone: bool = False) -> Outgoing:
        """An entry that is ready; its key is linked if it changes or removes something. `alone`: in a call of its own."""
        place = {"entity": entity, "key": one.key}
        link = {
            **place,
            "target_id": one.target_id,
            "returned": Jsonb(one.returned) if one.returned is not None else None,
            "said": Jsonb(one.payload) if one.target_id else None,
            "line_ids": Jsonb(dict(one.line_ids)),
        }
        self.session.execute(
            "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, said, returned, line_ids)"
            " values ('books', %(entity)s, %(key)s, 'm', 'shop', %(key)s, %(target_id)s, %(said)s, %(returned)s, %(line_ids)s)"
            " on conflict (connection, entity, key) do update set target_id = excluded.target_id, said = excluded.said,"
            " returned = excluded.returned, line_ids = excluded.line_ids, version = 0",
            link,
        )
        control = {
            **({"total": str(one.total)} if one.total is not None else {}),
            **({"alone": True} if alone else {}),
        }
        row = self.session.execute(
            "insert into cdc.outbox (connection, entity, key, model, source_connection, source_id, operation, state, payload,"
            " payload_hash, fields, control, link_version) values ('books', %(entity)s, %(key)s, 'm', 'shop', %(key)s, %(operation)s,"
            " 'ready', %(payload)s, %(hash)s, %(fields)s, %(control)s, 0) returning entry",
            {
                **place,
                "operation": one.operation,
                "payload": Jsonb(one.payload),
                "hash": fingerprint(one.operation, one.payload, control),
                "fields": list(one.fields) if one.fields is not None else None,
                "control": Jsonb(control),
            },
        ).fetchone()
        assert row is not None
        return replace(one, entry=row["entry"])

    def drain(self) -> Drained:
        """As `tieout drain`."""
        return drain(
            self.database,
            self.settings,
            writers=self._writers,
            open_client=lambda _connection: _Open(self.books.client),
            wait=self._wait,
        )

    def load(self) -> None:
        """The target's lists were read to the end."""
        self.session.execute("update cdc.cursors set loaded_version = nextval('cdc.version')")

    def entry(self, one: Outgoing) -> Row | None:
        """The open entry of a key."""
        return self.session.execute("select * from cdc.outbox where key = %s", (one.key,)).fetchone()

    def linked(self, one: Outgoing) -> str | None:
        """The record that a key is linked to."""
        row = self.session.execute("select target_id from cdc.links where key = %s", (one.key,)).fetchone()
        return row["target_id"] if row is not None else None

    def calls(self) -> Sequence[Row]:
        """All of this test, oldest first."""
        return self.session.execute(
            "select * from cdc.calls where number > %s order by number", (self.since,)
        ).fetchall()

    def _wait(self, seconds: float) -> None:
        self.on_wait(seconds)

    def _writers(self, _system: str) -> Mapping[str, Write]:
        return self.writers


@contextmanager
def open_desk(books: Books, folder: Path) -> Iterator[Desk]:
    """Connected, live, every stream loaded once."""
    root = package_root()
    connection = Connection(
        name="books", system=books.system, writes="on", options={"base_url": books.address}
    )
    settings = Settings(
        environment="test",
        data_dir=folder,
        database_url=books.database.url,
        project_dir=root,
        lookups_dir=root,
        connections={"books": replace(connection, options={**connection.options, "api_url": books.address})},
    )
    with books.database.connect() as session:
        session.execute(
            "insert into cdc.connections (connection, system, target_identity) values ('books', %s, %s)"
            " on conflict (connection) do update set system = excluded.system, target_identity = excluded.target_identity",
            (books.system, books.client.identity().id),
        )
        for entity, write in open_writers(books.system).items():
            session.execute(
                "insert into cdc.going_live (connection, entity, opened_at, opened_by, how) values ('books', %s, now(), 't', 'done')",
                (entity,),
            )
            session.execute(
                "insert into cdc.cursors (connection, stream, backfilled_at, loaded_version) values ('books', %s, now(), 0)"
                " on conflict do nothing",
                (write.stream or entity,),
            )
        yield Desk(books=books, database=books.database, session=session, settings=settings)
