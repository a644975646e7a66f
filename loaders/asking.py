"""Asking an API on behalf of one stream: the number before each request, records asked for again, absence
confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from loaders import stage
from loaders.crew import Stop
from loaders.records import identify_all
from loaders.stream import Asked, Client, Page, Stream
from tieout.budget import Work
from tieout.db import Database, next_version
from tieout.errors import ConfigurationError
from tieout.migrate import unit_of_work
from tieout.queries import compose, query

SHRINK_LIMIT_RECORDS = 20
SHRINK_LIMIT_SHARE = 0.1
"""More records than the larger of the two vanish at once: held, because a lost permission looks the same."""
ASK_AGAIN_RECORDS = 500
"""How many records are read again by id in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """When a load began, by the database."""

    at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One stream of one open client, and the session that stores what it answers. It belongs to one thread."""

    database: Database
    connection: psycopg.Connection[dict[str, Any]]
    client: Client
    stream: Stream
    work: Work = Work.FRESH
    run: UUID | None = None
    stop: Stop = field(default_factory=Stop)
    """Ends the load between two pages."""

    def __call__(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Asked:
        """Send one read. The number is drawn before it leaves, so that an answer never replaces what is newer
        than it.
        """
        self.stop.check()
        version = next_version(self.connection)
        answer = self.client.http.read(
            path, params=params, headers=headers, work=self.work, given_up=self.stop.is_set
        )
        return Asked(answer=answer, version=version)

    def number(self) -> int:
        """Draw a number without asking."""
        return next_version(self.connection)

    @property
    def name(self) -> str:
        """Of the connection."""
        return self.client.connection.name

    @property
    def values(self) -> dict[str, Any]:
        """The parameters that every statement about the stream takes."""
        return {"connection": self.name, "stream": self.stream.name}

    def begin(self) -> Beginning:
        """Mark the beginning of a load or sweep."""
        row = self.connection.execute(query("load", "begin")).fetchone() or {}
        return Beginning(at=row["began_at"], version=int(row["began_version"]))

    def merge(
        self, page: Page, told_by: stage.ToldBy, *, keep_cursor: bool = False
    ) -> tuple[stage.Merged, list[str]]:
        """Merge a page in the caller's transaction; also the ids that it contained, bad records included."""
        records = page.identified
        if records is None:
            records = identify_all(self.stream, page.records)
        merged = stage.merge(
            self.connection,
            system=self.stream.system,
            stream=self.stream.name,
            connection_name=self.name,
            records=records,
            asked_version=page.version,
            told_by=told_by,
            form=page.form,
            run=self.run,
            cursor=None if keep_cursor else page.cursor,
        )
        return merged, [record.id for record in records]

    def ask_again(self) -> tuple[stage.Merged, int]:
        """Read again, once each, what was put down to be asked for; what the system no longer has is marked
        as deleted.
        """
        total, gone = stage.Merged(), 0
        if self.stream.find is None:
            return total, gone
        asked: set[str] = set()
        while True:
            statement = query("load", "to_ask_again")
            rows = self.connection.execute(statement, self.values | {"count": ASK_AGAIN_RECORDS}).fetchall()
            due = {str(row["id"]): row["asked_at"] for row in rows if row["id"] not in asked}
            if not due:
                return total, gone
            asked |= due.keys()
            for merged, deleted in self._look_up(list(due), "ask again", due):
                total += merged
                gone += deleted

    def confirm_absent(self, ids: Sequence[str], told_by: stage.ToldBy) -> int:
        """Ask for records by id; those that the system does not have are marked as deleted. How many were."""
        return sum(deleted for _, deleted in self._look_up(ids, told_by, {}))

    def _look_up(
        self, ids: Sequence[str], told_by: stage.ToldBy, due: Mapping[str, datetime]
    ) -> Iterator[tuple[stage.Merged, int]]:
        """Each request's records and absences in one transaction, with the questions that it answers."""
        if self.stream.find is None:
            return
        for wanted, page in self.stream.find(self, self.stream, ids):
            with unit_of_work(self.connection), self.connection.transaction():
                merged, met = self.merge(page, told_by)
                absent = sorted(set(wanted) - set(met))
                deleted = self.mark_deleted(absent, page.version, told_by)
                answered = [record_id for record_id in wanted if record_id in due]
                values = {"ids": answered, "times": [due[record_id] for record_id in answered]}
                self.connection.execute(query("load", "asked_again"), self.values | values)
            yield merged, deleted

    def mark_deleted(self, ids: Sequence[str], before_version: int, told_by: stage.ToldBy) -> int:
        """Mark records as deleted inside the caller's transaction, unless they changed since that number was
        drawn.
        """
        if not ids:
            return 0
        return stage.mark_deleted(
            self.connection,
            stream=self.stream,
            connection_name=self.name,
            ids=ids,
            before_version=before_version,
            told_by=told_by,
            run=self.run,
        )

    def live(self) -> int:
        """How many live rows the stream has."""
        statement = compose("load", "count_live", table=stage.staging_table(self.stream))
        row = self.connection.execute(statement, self.values).fetchone()
        return int(row["live"]) if row is not None else 0

    def check_shrink(self, missing: int, *, accept: bool) -> None:
        """Raise ConfigurationError, naming the cure, when too much would vanish at once."""
        live = self.live()
        if accept or missing <= max(SHRINK_LIMIT_RECORDS, int(live * SHRINK_LIMIT_SHARE)):
            return
        raise ConfigurationError(
            f"{self.name}: {self.stream.system} no longer shows {missing} of {live} {self.stream.name}; "
            "none was marked as deleted.",
            cure=f"Check what the connection may see. If they are really gone: "
            f"`tieout load {self.name} --stream {self.stream.name} --sweep --accept-shrink`.",
        )
