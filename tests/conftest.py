"""Real Postgres for every test: one embedded server a run, one fresh migrated database a test.

The first test that asks for a database starts the server (all xdist workers share it) and migrates a
template; `database` clones it. The run that started the server stops it, also after a run that was killed:
its folder has a lock that dies with the process. fsync is off here and only here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest
import stamina
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.fix_databases import MEMORY, Pool, admin, roomy, with_name
from tests.fix_http import scripted_server
from tieout import embedded
from tieout.db import Database
from tieout.migrate import migrate
from tieout.settings import Settings, package_root

__all__ = ["scripted_server"]

_OURS = "TIEOUT_TEST_"
_FOLDER = "TIEOUT_TEST_FOLDER"
_PREFIX = "tieout-tests-"
_TEMPLATE = "tieout_template"
# Losing the data of a test when the machine loses power costs nothing. Autovacuum would take new statistics of each world every
# minute, and with them the plans of its sessions; what a test needs to be analysed, the engine analyses by itself.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",
    # As many servers as workers, on books of a few documents.
    "shared_buffers": "128MB",
}

# The first temporary table of each of the server's sessions makes a schema, and a new schema of whatever name makes every
# other session of that database plan all its statements anew (PostgreSQL: plancache.c, PlanCacheSysCallback).
_TEMPORARY = """
do $$
begin
    set local allow_system_table_mods = on;
    for number in 0 .. current_setting('max_connections')::int + 64 loop
        execute format('create schema if not exists pg_temp_%s', number);
        execute format('create schema if not exists pg_toast_temp_%s', number);
    end loop;
end
$$
"""

_alive: list[IO[str]] = []


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    # Settings of the person who runs the tests must not leak into them; how long to run is said by TIEOUT_TEST_….
    for name in [name for name in os.environ if name.startswith("TIEOUT_") and not name.startswith(_OURS)]:
        del os.environ[name]
    # Where Python is told to keep nothing that it compiled, each worker and process of these tests would compile all of it again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    _remove_dead_runs()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=roomy()))
    folder.chmod(0o711)  # as root the server runs as another user, who must pass through
    alive = (folder / "alive").open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    _alive.append(alive)
    os.environ[_FOLDER] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not _alive:
        return
    _remove(Path(os.environ.pop(_FOLDER)))
    _alive.pop().close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take long come first: else a worker ends on one of them while the others have nothing to do.

    The first worker begins with the models, which all files of worlds wait for; the second with what takes as long and needs none.
    """
    first = ("tests/acceptance/test_audit.py", "tests/db/test_build.py")
    long = ("tests/acceptance/", "tests/faults/", "tests/properties/", "tests/recipes/")

    def place(item: pytest.Item) -> tuple[int, bool]:
        file = item.nodeid.partition("::")[0]
        return first.index(file) if file in first else len(first), not file.startswith(long)

    items.sort(key=place)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting() -> Iterator[None]:
    """Retries happen, but without the waits between them."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(scope="session")
def server_url() -> str:
    """The server's URL, with a migrated template database."""
    folder = Path(os.environ[_FOLDER])
    url = embedded.ensure_running(folder / "data", server_settings=_FAST)
    with (folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "template").exists():
            admin(url, "drop database if exists {name}", _TEMPLATE)  # of a worker that failed half way
            admin(url, "create database {name}", _TEMPLATE)
            _shorten_login(url)
            migrate(Database(with_name(url, _TEMPLATE)))
            with psycopg.connect(with_name(url, _TEMPLATE), autocommit=True) as session:
                session.execute(_TEMPORARY)
            (folder / "template").touch()
    return url


@pytest.fixture
def empty_database(server_url: str) -> Iterator[Database]:
    """A database without any table of ours."""
    name = f"t_{uuid.uuid4().hex}"
    admin(server_url, "create database {name}", name)
    try:
        yield Database(with_name(server_url, name))
    finally:
        admin(server_url, "drop database {name} with (force)", name)


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Pool]:
    """Migrated, empty databases."""
    pool = Pool(server_url=server_url, template=_TEMPLATE)
    yield pool
    pool.close()


@pytest.fixture
def database(databases: Pool) -> Iterator[Database]:
    """A migrated, empty database of this test alone."""
    with databases.lend() as url:
        yield Database(url)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A session in `database`."""
    with database.connect() as session:
        yield session


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Settings of a person who has set nothing but this test's database and folder."""
    root = package_root()
    return Settings(
        environment="test",
        data_dir=tmp_path,
        database_url=database.url,
        project_dir=root,
        lookups_dir=root / "models" / "lookups",
    )


def _shorten_login(url: str) -> None:
    """Hash the password once and not 4,096 times: each of the many sessions would do so anew, most of the work of opening one."""
    password = sql.Literal(conninfo_to_dict(url)["password"])
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("set scram_iterations = 1")
        session.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(embedded.USER), password))


def _remove_dead_runs() -> None:
    for folder in [
        found for place in {Path(tempfile.gettempdir()), MEMORY} for found in place.glob(f"{_PREFIX}*")
    ]:
        try:
            with (folder / "alive").open() as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
        except OSError:
            continue  # alive, somebody else's, or just being made


def _remove(folder: Path) -> None:
    if (folder / "data").is_dir():
        embedded.stop(folder / "data")
    shutil.rmtree(folder, ignore_errors=True)
