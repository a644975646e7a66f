"""Making worlds: the models built once a run, and for each world fresh stand-ins, a copy of that database, settings.

A copy that only trade changed is cleaned and taken again, with its sessions (`fix_kept.py`).
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from click.testing import CliRunner
from psycopg import sql

from console.cli import main
from sandbox import magento, xero
from tests.acceptance.fix_kept import Kept, Shelf
from tests.acceptance.fix_warm import Warm
from tests.acceptance.fix_world import World
from tieout.db import Database
from tieout.settings import package_root

BUILT = "tieout_accepted"
"""The database with the models in force and nothing mirrored."""
LOOKUPS = Path("models") / "lookups"


_SHELF = Shelf()


@contextmanager
def new_world(server_url: str, template: str, folder: Path, *, edition: str = "community") -> Iterator[World]:
    """Fresh stand-ins and a copy of the built database; `edition` is the shop's: community or commerce."""
    with _database(server_url, template) as kept:
        shop, books = (
            magento.start(race_window_ms=0, edition=edition),
            xero.start(minute=None, day=None, concurrent=None, appminute=None),
        )
        world = World(folder=folder, database=kept.database, shop=shop, books=books, warm=kept.warm)
        try:
            write_settings(world)
            yield world
        finally:
            shop.stop()
            books.stop()


@contextmanager
def _database(server_url: str, template: str) -> Iterator[Kept]:
    assert template == BUILT, "the shelf holds copies of one template"
    kept = _SHELF.take()
    if kept is None:
        name = f"world_{uuid.uuid4().hex}"
        admin(server_url, "create database {name} template {template} strategy file_copy", name, template)
        kept = Kept(database=Database(_url(server_url, name)), warm=Warm())
        _SHELF.made(kept)
    try:
        yield kept
    finally:
        if not _SHELF.put_back(kept):
            name = kept.database.url.rpartition("/")[2]
            admin(server_url, "drop database if exists {name} with (force)", name)


def clear_shelf() -> None:
    """No more worlds in this process."""
    _SHELF.close()


def write_settings(world: World, edit: Callable[[str], str] = lambda text: text) -> None:
    """The settings file that a user would write; `edit` changes it."""
    magento_words, xero_words = world.shop.credentials, world.books.credentials
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    lines = [
        'environment = "test"',
        f"data_dir = '{world.folder / 'data'}'",
        "[database]",
        f"url = '{world.database.url}'",
        "[models]",
        f"lookups_dir = '{own_lookups(world.lookups)}'",
        "[connections.shop]",
        'system = "magento"',
        'writes = "on"',
        f"base_url = '{world.shop.address}'",
        'auth = "oauth1"',
        *(f"{name} = '{magento_words[name]}'" for name in names),
        "[connections.books]",
        'system = "xero"',
        'writes = "on"',
        'flow = "custom"',
        f"client_id = '{xero_words['custom_client_id']}'",
        f"client_secret = '{xero_words['custom_client_secret']}'",
        f"tenant_id = '{xero_words['tenant_id']}'",
        f"api_url = '{world.books.address}/api.xro/2.0'",
        f"identity_url = '{world.books.address}/connect/token'",
        "calls_a_minute = 100000",
        "calls_a_day = 1000000",
    ]
    world.settings_file.write_text(edit("\n".join(lines) + "\n"), encoding="utf-8")


def own_lookups(folder: Path) -> Path:
    """A folder of the user's lookups, with one mistake in it: an account that Xero does not have."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "category_accounts.csv"
    if not file.exists():
        ours = (package_root() / LOOKUPS / file.name).read_text(encoding="utf-8")
        file.write_text(f"{ours.rstrip()}\nshop,Gadgets,209,,\n", encoding="utf-8")
    return folder


def build_once(server_url: str, folder: Path) -> str:
    """The built database of this run, made by the first worker that asks. Its name."""
    run = Path(os.environ["TIEOUT_TEST_FOLDER"])
    with (run / f"{BUILT}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (run / BUILT).exists():
            admin(server_url, "drop database if exists {name}", BUILT)
            admin(server_url, "create database {name} template {template}", BUILT, "tieout_template")
            settings = folder / "tieout.toml"
            lines = [
                f"data_dir = '{folder / 'data'}'",
                f"database.url = '{_url(server_url, BUILT)}'",
                f"models.lookups_dir = '{own_lookups(folder / 'lookups')}'",
            ]
            settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
            done = CliRunner().invoke(main, ["build", "--json"], env={"TIEOUT_SETTINGS": str(settings)})
            assert done.exit_code == 0, done.output[-5000:]
            (run / BUILT).touch()
    return BUILT


def admin(url: str, statement: str, name: str, template: str = "") -> None:
    """A statement about whole databases."""
    composed = sql.SQL(statement).format(name=sql.Identifier(name), template=sql.Identifier(template))
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(composed)


def _url(server_url: str, name: str) -> str:
    return f"{server_url.rpartition('/')[0]}/{name}"
