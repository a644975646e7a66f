"""The command line as a user has it: a settings file, a database, stand-ins, and commands that are run.

The sample trade is played, built and synchronised once a run; tests get copies of that database. The stand-ins of a worker are
fresh ones: they know nothing of the trade, and no test here writes to them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql

from console.cli import main
from sandbox import magento, xero
from sandbox.serving import Running
from tests.acceptance.fix_setup import build_once, new_world
from tieout.db import Database
from tieout.settings import package_root

TRADED = "tieout_traded"
"""A database after the first day: 15 orders, everything approved and sent but the news for the shop."""
_ORDERS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database and the settings file that names it."""

    database: Database
    folder: Path

    @property
    def settings_file(self) -> Path:
        return self.folder / "tieout.toml"

    def run(self, line: str, *, env: Mapping[str, str] | None = None, input: str | None = None) -> Result:  # noqa: A002
        """A command line without the word tieout, in this process."""
        known = {"TIEOUT_SETTINGS": str(self.settings_file), **(env or {})}
        return CliRunner().invoke(main, shlex.split(line), env=known, input=input)

    def answer(self, line: str, *, code: int = 0) -> dict[str, Any]:
        """What a command says with --json; it must end with `code` and print one object and nothing else."""
        done = self.run(f"{line} --json")
        assert done.exit_code == code, f"{line}: {done.exit_code}\n{done.output}\n{done.exception!r}"
        data: dict[str, Any] = json.loads(done.stdout)
        assert done.stdout.count("\n") == 1
        return data

    def process(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The same in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "console", *arguments],
            env={**os.environ, "TIEOUT_SETTINGS": str(self.settings_file), **environment},
            cwd=package_root(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the database."""
        with self.database.connect() as session:
            found = session.execute(statement, values or None)
            return found.fetchall() if found.description else []

    def edit(self, old: str, new: str) -> None:
        """Replace text in the settings file."""
        text = self.settings_file.read_text(encoding="utf-8")
        assert old in text
        self.settings_file.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIns:
    """Both stand-ins."""

    shop: Running
    books: Running


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[StandIns]:
    """Fresh stand-ins without limits; nothing is written to them."""
    shop, books = (
        magento.start(race_window_ms=0),
        xero.start(minute=None, day=None, concurrent=None, appminute=None),
    )
    yield StandIns(shop=shop, books=books)
    shop.stop()
    books.stop()


@pytest.fixture(scope="session")
def traded_template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the database after the first day, made by the first worker that asks."""
    folder = tmp_path_factory.mktemp("traded")
    built = build_once(server_url, folder)
    run = Path(os.environ["TIEOUT_TEST_FOLDER"])
    with (run / f"{TRADED}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (run / TRADED).exists():
            _admin(server_url, "drop database if exists {name}", TRADED)
            with new_world(server_url, built, folder) as world:
                world.play(_ORDERS, bad=True)
                for name in ("shop", "books"):
                    world.run("connect", name)
                world.run("load")
                world.run("diff", "--fail-on", "none")
                world.go_live()
                world.run("holds", "approve", "--reason", "first run")
                world.run("drain", "--fail-on", "none")
                world.run("load")
                world.run("diff", "--fail-on", "none")
                world.run("marts")
                if world.warm is not None:
                    world.warm.close()  # a template has no sessions
                template = world.database.url.rpartition("/")[2]
                _admin(server_url, _COPY, TRADED, template)
            with Database(_url(server_url, TRADED)).connect() as session:
                # Tokens of stand-ins that are gone; and nobody has told the dead letters yet.
                session.execute("delete from cdc.vault")
                session.execute("update cdc.outbox set told_at = null")
                session.execute("update cdc.links set told_as = null")
            (run / TRADED).touch()
    return TRADED


@pytest.fixture
def traded(server_url: str, traded_template: str, stand_ins: StandIns, tmp_path: Path) -> Iterator[Place]:
    """A copy of the database after the first day."""
    with _copied(server_url, traded_template, stand_ins, tmp_path) as place:
        yield place


@pytest.fixture
def migrated(server_url: str, stand_ins: StandIns, tmp_path: Path) -> Iterator[Place]:
    """A migrated, empty database."""
    with _copied(server_url, "tieout_template", stand_ins, tmp_path) as place:
        yield place


@pytest.fixture(scope="session")
def unreachable() -> Iterator[str]:
    """Host and port where nothing listens, for as long as the tests run."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def write_settings(
    file: Path, url: str, stand_ins: StandIns, *, writes: str = "off", environment: str = "test"
) -> None:
    """The settings file of a user of the stand-ins."""
    shop, books = stand_ins.shop, stand_ins.books
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    lines = [
        f'environment = "{environment}"',
        f"data_dir = '{file.parent / 'data'}'",
        "[database]",
        f"url = '{url}'",
        "[connections.shop]",
        'system = "magento"',
        f'writes = "{writes}"',
        f"base_url = '{shop.address}'",
        'auth = "oauth1"',
        *(f"{name} = '{shop.credentials[name]}'" for name in names),
        "[connections.books]",
        'system = "xero"',
        f'writes = "{writes}"',
        'flow = "custom"',
        f"client_id = '{books.credentials['custom_client_id']}'",
        f"client_secret = '{books.credentials['custom_client_secret']}'",
        f"api_url = '{books.address}/api.xro/2.0'",
        f"identity_url = '{books.address}/connect/token'",
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


_COPY = "create database {name} template {template} strategy file_copy"


@contextmanager
def _copied(server_url: str, template: str, stand_ins: StandIns, folder: Path) -> Iterator[Place]:
    name = f"console_{uuid.uuid4().hex}"
    _admin(server_url, _COPY, name, template)
    place = Place(database=Database(_url(server_url, name)), folder=folder)
    write_settings(place.settings_file, place.database.url, stand_ins)
    try:
        yield place
    finally:
        _admin(server_url, "drop database {name} with (force)", name)


def _url(server_url: str, name: str) -> str:
    return f"{server_url.rpartition('/')[0]}/{name}"


def _admin(url: str, statement: str, name: str, template: str = "") -> None:
    composed = sql.SQL(statement).format(name=sql.Identifier(name), template=sql.Identifier(template))
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(composed)
