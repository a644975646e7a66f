"""A trade between stand-ins: a shop with orders, books without documents, tieout between them with its models in force; and a
record of every call that it makes.

The stand-ins run in processes of their own, without the vendors' limits. The first sync is what a user does on the first day
(`tieout demo` shows it): load, diff, say yes, drain, and once more for the news that go back to the shop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.kept import copy_files, folder, kept
from cdc import desk, diff, drain
from cdc.build import build
from cdc.linking.approve import approve
from cdc.linking.decisions import Named
from cdc.linking.propose import propose
from cdc.standing import pin
from console import stands
from console.frame import App
from loaders import poll
from sandbox import trade
from sandbox.stand import Stand
from tieout import embedded
from tieout.migrate import migrate
from tieout.systems import client_module

WITHOUT_LIMITS = {"xero": {"minute": None, "day": None, "concurrent": None, "appminute": None}}
ROUNDS = 12
PLENTY = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request and what came back."""

    system: str
    method: str
    url: str
    headers: dict[str, str]
    content: bytes
    status: int
    answer: bytes
    seconds: float

    @property
    def is_write(self) -> bool:
        """Does it change a target? Logging in does not."""
        return self.method != "GET" and "token" not in self.url


@dataclass(kw_only=True)
class Trading:
    """The whole of it."""

    app: App
    standing: list[stands.Standing]
    calls: list[Call] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """By step of the first sync."""

    def system_of(self, url: str) -> str:
        """Which stand-in an address belongs to."""
        return next((each.system for each in self.standing if url.startswith(each.address)), "")

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        """Add the time to a step."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - began

    def wait(self, system: str, seconds: float) -> None:
        """Move a vendor's clock."""
        address = next(each.address for each in self.standing if each.system == system)
        answer = httpx.post(f"{address}/_sandbox/clock", json={"advance_seconds": seconds}, timeout=30)
        answer.raise_for_status()

    def load(self) -> None:
        """Every connection once, both at the same time."""
        for connection in self.app.connections():
            poll.load_connection(self.app.database, self.app.settings, connection)

    def first_sync(self) -> None:
        """Until nothing is left to do. All diffs have one session, as those of `tieout run` and `tieout demo`."""
        with self.app.database.connect(direct=True, lease_seconds=None) as differ:
            self._until_done(differ)

    def _until_done(self, differ: diff.Session) -> None:
        app = self.app
        for number in range(ROUNDS):
            with self.doing("load"):
                self.load()
            with self.doing("diff"):
                diff.diff(app.database, app.settings, session=differ)
            if number == 0:
                with self.doing("look at what the books have"):
                    propose(app.database, run=None, by="bench")
                    approve(app.database, Named(), by="bench", reason="bench")
            with self.doing("say yes"), app.database.connect() as session:
                desk.approve(session, by="bench", reason="bench")
            before = len(self.calls)
            with self.doing("drain"):
                drain.drain(app.database, app.settings)
            if number and not any(call.is_write for call in self.calls[before:]):
                return


@contextmanager
def traded(orders: int) -> Iterator[Trading]:
    """Stand-ins with so many orders of the sample trade, and a database with the models in force and nothing in it."""
    with folder() as made:
        standing = stands.start(made, options=WITHOUT_LIMITS)
        app = App(settings_file=_settings(made, standing), is_alone=True)
        try:
            _built(app)
            play(standing, orders)
            with app.database.connect() as session:
                for connection in app.connections():
                    client = client_module(connection.system).open_client(connection, app.database, app.vault)
                    pin(session, connection, client.identity())
                    client.close()
            yield Trading(app=app, standing=standing)
        finally:
            stands.stop(made)
            embedded.stop(app.settings.data_dir)


def _built(app: App) -> None:
    """Start the database with the models in force: the first benchmark that asks builds them, the others copy its files."""

    def make(here: Path) -> None:
        migrate(app.unchecked_database)
        build(app.settings, app.database)
        embedded.stop(app.settings.data_dir)
        copy_files(app.settings.data_dir, here)

    with kept("built", make) as ready:
        if not app.settings.data_dir.exists():
            copy_files(ready, app.settings.data_dir)
    embedded.ensure_running(app.settings.data_dir)


def play(standing: list[stands.Standing], orders: int) -> None:
    """Let people place the orders: the same ones each time."""
    addresses = {each.system: each.address for each in standing}
    trade.play(Stand(magento=addresses["magento"], xero=addresses["xero"]), orders, bad=False, seed=7)


@contextmanager
def recorded(trading: Trading) -> Iterator[None]:
    """Keep every request that leaves, with its answer."""
    plain, mutex = httpx.Client.send, threading.Lock()

    def send(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        began = time.monotonic()
        response = plain(self, request, **options)
        content = response.read()
        if "/_sandbox/" in str(request.url):
            # Moving a clock is no call of tieout's.
            return response
        call = Call(
            system=trading.system_of(str(request.url)),
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            content=request.content,
            status=response.status_code,
            answer=content,
            seconds=time.monotonic() - began,
        )
        with mutex:
            trading.calls.append(call)
        return response

    httpx.Client.send = send  # type: ignore[method-assign]
    try:
        yield
    finally:
        httpx.Client.send = plain  # type: ignore[method-assign]


def _settings(folder: Path, standing: list[stands.Standing]) -> Path:
    shop, ledger = (
        next(each for each in standing if each.system == system) for system in ("magento", "xero")
    )
    lines = [
        'environment = "test"',
        f"data_dir = '{folder / 'data'}'",
        "[limits]",
        f"creates = {PLENTY}",
        f"updates = {PLENTY}",
        "updates_share = 1",
        "[connections.shop]",
        'system = "magento"',
        'writes = "on"',
        f"base_url = '{shop.address}'",
        'auth = "oauth1"',
        *(
            f"{name} = '{shop.credentials[name]}'"
            for name in ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        ),
        "[connections.books]",
        'system = "xero"',
        'writes = "on"',
        'flow = "custom"',
        f"client_id = '{ledger.credentials['custom_client_id']}'",
        f"client_secret = '{ledger.credentials['custom_client_secret']}'",
        f"tenant_id = '{ledger.credentials['tenant_id']}'",
        f"api_url = '{ledger.address}/api.xro/2.0'",
        f"identity_url = '{ledger.address}/connect/token'",
        f"calls_a_minute = {PLENTY}",
        f"calls_a_day = {PLENTY}",
        f"calls_a_minute_of_app = {PLENTY}",
    ]
    file = folder / "tieout.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
