"""Stand-ins to load from, a database to load into, and what people do in the vendor's own screens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import httpx
import psycopg
import pytest

from loaders.poll import Loaded, load
from loaders.stream import Client, Stream, find_stream
from sandbox import magento as magento_stand_in
from tieout.clients import magento
from tieout.db import Database
from tieout.settings import Connection, Settings
from tieout.vault import Vault


@dataclass
class Source:
    """One stand-in, an open client of it, and the mirror."""

    system: str
    address: str
    client: Client
    database: Database
    settings: Settings

    def control(self, action: str, /, **body: Any) -> Any:
        """Do something as a shopper, member of staff or broken network would."""
        answer = httpx.post(f"{self.address}/_sandbox/{action}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def requests(self) -> list[Mapping[str, Any]]:
        """What the stand-in was asked, without logins, since `forget`."""
        entries = httpx.get(f"{self.address}/_sandbox/requests", timeout=30).json()["requests"]
        return [entry for entry in entries if entry["method"] == "GET"]

    def forget(self) -> None:
        """Empty the log of requests."""
        httpx.delete(f"{self.address}/_sandbox/requests", timeout=30).raise_for_status()

    def load(self, name: str, *, page_size: int | None = None, **arguments: Any) -> Loaded:
        """Load one stream, in small pages if asked."""
        return load(self.database, self.client, self.stream(name, page_size=page_size), **arguments)

    def stream(self, name: str, *, page_size: int | None = None) -> Stream:
        """The registered stream."""
        stream = find_stream(self.system, name)
        return stream if page_size is None else replace(stream, page_size=page_size)

    def rows(self, name: str) -> dict[str, dict[str, Any]]:
        """The mirror of a stream by id."""
        with self.database.connect() as session:
            rows = session.execute(f"select *, xmin::text from staging.{self.system}__{name}").fetchall()  # type: ignore[call-overload]
        return {row["id"]: row for row in rows}

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table of the engine."""
        with self.database.connect() as session:
            return list(session.execute(f"select * from cdc.{name}").fetchall())  # type: ignore[call-overload]


@pytest.fixture
def shop(database: Database, settings: Settings) -> Iterator[Source]:
    """A Magento stand-in with its sample catalogue and no orders."""
    running = magento_stand_in.start(race_window_ms=0)
    credentials = running.credentials
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    options = {"base_url": running.address, "auth": "oauth1"} | {name: credentials[name] for name in names}
    connection = Connection(name="shop", system="magento", options=MappingProxyType(options))
    client = magento.open_client(connection, database, Vault(database, settings))
    try:
        yield Source(
            system="magento", address=running.address, client=client, database=database, settings=settings
        )
    finally:
        client.close()
        running.stop()


Session = psycopg.Connection[dict[str, Any]]
