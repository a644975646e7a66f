"""A tiny dbt project on four orders, built once a run; a test that changes it gets its own copy."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cdc.build import Built, build
from tieout.db import Database
from tieout.settings import Settings

PROJECT = Path(__file__).parent / "fixtures_build" / "project"

_COPY = "create database {name} template {template} strategy file_copy"

ORDERS = (
    ("1", {"increment_id": "100", "category": "services", "state": "new", "total": 10, "day": "2026-02-01"}),
    ("2", {"increment_id": "200", "category": "goods", "state": "new", "total": 20.5, "day": "2026-02-01"}),
    ("3", {"increment_id": "300", "category": "toys", "state": "new", "total": 30, "day": "2026-02-02"}),
    ("4", {"increment_id": "400", "category": "goods", "state": "new", "total": 40, "day": "2025-12-31"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database, and the files that it is built from."""

    database: Database
    settings: Settings

    @property
    def project(self) -> Path:
        return self.settings.project_dir

    def build(self, **options: Any) -> Built:
        return build(self.settings, self.database, **options)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.database.connect() as session:
            return session.execute(statement, values or None).fetchall()

    def run(self, statement: str, *values: object) -> None:
        with self.database.connect() as session:
            session.execute(statement, values or None)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the project; the project must be this test's own."""
        path = self.project / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")


_AT_WORK = f"built_{uuid.uuid4().hex}"
"""The name under which the project was built. dbt remembers what it parsed for a database of this name: a copy that is called
so is built again without parsing anew what did not change, as a user's is."""
_PARSED = Path("dbt") / "build" / "target" / "partial_parse.msgpack"


@pytest.fixture(scope="session")
def built_template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The tiny project built once; nobody changes this database, it is copied."""
    _admin(server_url, _COPY, _AT_WORK, "tieout_template")
    folder = tmp_path_factory.mktemp("built")
    place = _place(server_url, _AT_WORK, folder, PROJECT)
    with place.database.connect() as session:
        for order, payload in ORDERS:
            put_order(session, order, payload)
    place.build()
    name = f"built_{uuid.uuid4().hex}"
    _admin(server_url, "alter database {template} rename to {name}", name, _AT_WORK)
    yield _place(server_url, name, folder, PROJECT)
    _admin(server_url, "drop database {name} with (force)", name)


@pytest.fixture
def built(server_url: str, built_template: Place, tmp_path: Path) -> Iterator[Place]:
    """A copy of the built database, with a project of this test's own."""
    with copied(server_url, built_template, tmp_path, name=_AT_WORK) as place:
        parsed = place.settings.data_dir / _PARSED
        parsed.parent.mkdir(parents=True)
        shutil.copy(built_template.settings.data_dir / _PARSED, parsed)
        yield place


@contextmanager
def copied(server_url: str, original: Place, folder: Path, *, name: str = "") -> Iterator[Place]:
    """A copy of a database that nobody is connected to, and of its project."""
    name = name or f"built_{uuid.uuid4().hex}"
    template = original.database.url.rpartition("/")[2]
    _admin(server_url, _COPY, name, template)
    project = folder / "project"
    shutil.copytree(PROJECT, project)
    yield _place(server_url, name, folder / "data", project)
    _admin(server_url, "drop database {name} with (force)", name)


def put_order(
    session: psycopg.Connection[Any], order: str, payload: dict[str, Any], connection: str = "shop"
) -> None:
    """Write an order as a loader would, without telling anybody."""
    session.execute(
        """
        insert into staging.magento__orders (connection, id, payload, content_hash, version)
        values (%s, %s, %s, md5(%s), nextval('cdc.version'))
        on conflict (connection, id) do update
            set payload = excluded.payload, content_hash = excluded.content_hash, version = excluded.version
        """,
        (connection, order, json.dumps(payload), json.dumps(payload)),
    )


def with_lookups(place: Place, folder: Path) -> Place:
    """The same place with a folder of the user's own lookups."""
    return replace(place, settings=replace(place.settings, lookups_dir=folder))


def _place(server_url: str, name: str, folder: Path, project: Path) -> Place:
    database = Database(f"{server_url.rpartition('/')[0]}/{name}")
    settings = Settings(
        environment="test",
        data_dir=folder,
        database_url=database.url,
        project_dir=project,
        lookups_dir=project / "models" / "lookups",
    )
    return Place(database=database, settings=settings)


def _admin(url: str, statement: str, name: str, template: str = "") -> None:
    composed = sql.SQL(statement).format(name=sql.Identifier(name), template=sql.Identifier(template))
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(composed)
