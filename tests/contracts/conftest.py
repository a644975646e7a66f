"""Stand-ins to load from, a database to load into, and what people do in the vendor's own screens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from loaders.poll import Loaded, load
from loaders.stream import Client, Stream, find_stream
from sandbox import magento as magento_stand_in
from sandbox import xero as xero_stand_in
from tests.fix_http import LOCAL
from tieout.clients import magento, xero
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
        answer = LOCAL.post(f"{self.address}/_sandbox/{action}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def make(self, entity: str, *records: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Create records as a person would in the vendor's own screens (Xero); as the API shows them."""
        answer = LOCAL.post(f"{self.address}/_sandbox/records/{entity}", json=list(records), timeout=30)
        assert answer.status_code == 200, answer.text
        made: list[dict[str, Any]] = next(iter(answer.json().values()))
        return made

    def state(self, entity: str) -> list[dict[str, Any]]:
        """Every record of an entity as the stand-in keeps it."""
        answer = LOCAL.get(f"{self.address}/_sandbox/state/{entity}", timeout=30)
        answer.raise_for_status()
        kept: list[dict[str, Any]] = answer.json()
        return kept

    def send(self, method: str, address: str, headers: Mapping[str, str], body: Any = None) -> int:
        """A write by somebody else's client; the status."""
        accept = {"Accept": "application/json", **headers}
        return LOCAL.request(method, address, headers=accept, json=body, timeout=30).status_code

    def calm(self) -> None:
        """Take back all faults."""
        LOCAL.delete(f"{self.address}/_sandbox/faults", timeout=30).raise_for_status()

    def requests(self) -> list[Mapping[str, Any]]:
        """What the stand-in was asked, without logins, since `forget`."""
        entries = LOCAL.get(f"{self.address}/_sandbox/requests", timeout=30).json()["requests"]
        return [entry for entry in entries if entry["method"] == "GET"]

    def forget(self) -> None:
        """Empty the log of requests."""
        LOCAL.delete(f"{self.address}/_sandbox/requests", timeout=30).raise_for_status()

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
            rows = session.execute(f"select *, xmin::text from staging.{self.system}__{name}").fetchall()
        return {row["id"]: row for row in rows}

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table of the engine."""
        with self.database.connect() as session:
            return list(session.execute(f"select * from cdc.{name}").fetchall())


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


@pytest.fixture
def books(database: Database, settings: Settings) -> Iterator[Source]:
    """A Xero stand-in without limits, and a custom connection to it."""
    running = xero_stand_in.start(minute=None, day=None, concurrent=None, appminute=None)
    options = {
        "flow": "custom",
        "client_id": running.credentials["custom_client_id"],
        "client_secret": running.credentials["custom_client_secret"],
        "api_url": f"{running.address}/api.xro/2.0",
        "identity_url": f"{running.address}/connect/token",
        "calls_a_minute": 100_000,
        "calls_a_day": 100_000,
    }
    connection = Connection(name="books", system="xero", options=MappingProxyType(options))
    client = xero.open_client(connection, database, Vault(database, settings))
    try:
        yield Source(
            system="xero", address=running.address, client=client, database=database, settings=settings
        )
    finally:
        client.close()
        running.stop()
