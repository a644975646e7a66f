"""Books of any size: a shop's orders and the ledger that they led to, with nothing left to do.

Twenty orders (`bench.books_seed`) are merged as a loader merges them and taken through the real diff; a ledger that
accepts everything answers. That block is then copied, set-based, under other ids, numbers, names and days, with its links
and the ledger's records: what a diff would compute for a copy is what its link says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench import books_ledger, place
from bench.books_ledger import INSTANT, Ledger
from bench.books_seed import DAY, MARK, ORDERS, fixed, id_of, records
from bench.kept import copy_files, folder, kept
from cdc.build import build
from cdc.diff import diff
from cdc.writing import open_writers
from loaders.records import RawRecord
from loaders.stage import merge
from tieout import embedded
from tieout.db import Database, json_dumps, next_version
from tieout.limits import Limits
from tieout.queries import parse
from tieout.settings import Settings

_SQL = parse((Path(__file__).parent / "books.sql").read_text(encoding="utf-8"))
Session = psycopg.Connection[dict[str, Any]]

SHOP, LEDGER = "shop", books_ledger.LEDGER
SESSIONS = 2
"""That copy at the same time."""
BLOCKS = 500
"""Copied in one transaction."""
FIRST_DAY, DAYS = "2026-01-02", 300
"""The days over which the orders are spread: all after the cut-over."""
TABLES = (
    (SHOP, "magento__orders"),
    (SHOP, "magento__invoices"),
    (SHOP, "magento__credit_memos"),
    (SHOP, "magento__customers"),
    (LEDGER, "xero__contacts"),
    (LEDGER, "xero__invoices"),
    (LEDGER, "xero__payments"),
    (LEDGER, "xero__credit_notes"),
)
ROUNDS = 12
"""Diffs after which the block must have nothing left to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What was filled."""

    orders: int
    copied: int
    """Of them, by this fill."""
    seconds: float


def prepare(settings: Settings, database: Database) -> None:
    """Build the models of a migrated database, make its connections, and take the first twenty orders through."""
    with database.connect() as connection:
        connection.execute(_SQL["connections"])
    build(settings, database)
    with database.connect() as connection:
        connection.execute(_SQL["limits"])
        for (system, stream), pairs in fixed().items():
            _merge(connection, system, stream, pairs)
        for (system, stream), found in records().items():
            _merge(connection, system, stream, [(id_of(record), record) for record in found])
    _trade(settings, database)


def fill(database: Database, orders: int) -> Books:
    """Copy the block until there are so many orders (a multiple of twenty, at least). Call it again for more."""
    began = time.monotonic()
    with database.connect() as connection:
        row = connection.execute("select count(*) as orders from staging.magento__orders").fetchone()
        there = (row or {})["orders"] // ORDERS - 1
        version = next_version(connection)
        _keep_seeds(connection)
    until = -(-orders // ORDERS) - 1
    steps = [(after, min(after + BLOCKS, until)) for after in range(there, until, BLOCKS)]
    jobs = [(place, step) for step in steps for place in (*TABLES, None)]
    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(lambda job: _copy(database, job[0], job[1], version), jobs))
    with database.connect() as connection:
        connection.execute(_SQL["settle"])
    return Books(
        orders=(until + 1) * ORDERS, copied=max(0, until - there) * ORDERS, seconds=time.monotonic() - began
    )


def change(
    connection: Session,
    count: int,
    *,
    stream: str = "orders",
    edit: Mapping[str, Any] | None = None,
    is_read: bool = False,
) -> list[str]:
    """Change so many records of a stream of the shop, spread over all, as a load that found them changed would.

    `edit` replaces fields; without it an order gets a comment, which no outbound model reads, as most changes of orders do; or,
    `is_read`, a note at its payment: a field that the models of orders read, so that each must look, and finds nothing else. The
    ids.
    """
    table = sql.Identifier("staging", f"magento__{stream}")
    found = connection.execute(sql.SQL(_SQL["sample"]).format(table=table), {"records": count}).fetchall()
    number = next_version(connection)
    raws = []
    for row in found:
        record = json.loads(row["raw"], parse_float=Decimal)
        record.update(edit or (_noted(record, number) if is_read else _commented(number)))
        raws.append(RawRecord(id=row["id"], raw=json_dumps(record).encode()))
    with connection.transaction():
        for after in range(0, len(raws), 1000):
            merge(
                connection, system="magento", stream=stream, connection_name=SHOP, records=raws[after : after + 1000],
                asked_version=number, told_by="poll",
            )  # fmt: skip
    return [raw.id for raw in raws]


@contextmanager
def server() -> Iterator[tuple[Settings, Database]]:
    """A server of its own, prepared: call `fill`. The first benchmark that asks builds it, the others copy its files."""
    with folder() as made:
        settings = Settings(data_dir=made / "data", project_dir=made, lookups_dir=made / "lookups")
        with kept("books", _made) as ready:
            copy_files(ready, settings.data_dir)
        try:
            yield settings, Database(embedded.ensure_running(settings.data_dir))
        finally:
            embedded.stop(settings.data_dir)


def _made(here: Path) -> None:
    with place.server() as (settings, database):
        prepare(settings, database)
        embedded.stop(settings.data_dir)
        copy_files(settings.data_dir, here)


def _commented(number: int) -> dict[str, Any]:
    comment = {"comment": f"Looked at {number}", "status": "complete", "created_at": f"{DAY} 12:00:00"}
    return {"status_histories": [comment]}


def _noted(record: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {"payment": {**record["payment"], "additional_information": [f"Looked at {number}"]}}


def _merge(
    connection: Session, system: str, stream: str, pairs: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    raws = [RawRecord(id=id_, raw=json_dumps(record).encode()) for id_, record in pairs]
    with connection.transaction():
        merge(
            connection, system=system, stream=stream, connection_name=SHOP if system == "magento" else LEDGER,
            records=raws, asked_version=next_version(connection), told_by="poll",
        )  # fmt: skip


def _copy(database: Database, spot: tuple[str, str] | None, step: tuple[int, int], version: int) -> None:
    values: dict[str, Any] = {
        "mark": MARK, "base": int(MARK), "day": DAY, "instant": INSTANT, "first_day": FIRST_DAY, "days": DAYS,
        "after": step[0], "until": step[1], "version": version,
    }  # fmt: skip
    with database.connect() as connection, connection.transaction():
        if spot is None:
            connection.execute(_SQL["unwatched"])
            connection.execute(sql.SQL(_SQL["copy_links"]).format(seed=_seed("links")), values)
            return
        name, table = spot
        statement = sql.SQL(_SQL["copy"]).format(table=sql.Identifier("staging", table), seed=_seed(table))
        connection.execute(statement, {**values, "connection": name})


def _seed(table: str) -> sql.Identifier:
    return sql.Identifier("bench", table)


def _keep_seeds(connection: Session) -> None:
    connection.execute(_SQL["seeds"])
    connection.execute(sql.SQL(_SQL["seed_links"]).format(seed=_seed("links")), {"mark": MARK})
    for _, table in TABLES:
        statement = sql.SQL(_SQL["seed"]).format(table=sql.Identifier("staging", table), seed=_seed(table))
        connection.execute(statement, {"mark": MARK})


def _trade(settings: Settings, database: Database) -> None:
    """Diff and accept until there is nothing to do."""
    plenty = with_limits(settings)
    ledger = Ledger({**open_writers("magento"), **open_writers("xero")})
    for _ in range(ROUNDS):
        diff(database, plenty)
        with database.connect() as connection:
            entries = connection.execute(_SQL["entries"]).fetchall()
            if not entries:
                row = connection.execute(_SQL["unseen"]).fetchone()
                if row is not None and not row["records"]:
                    return
                continue
            _refuse(entries)
            ledger.accept(connection, entries)
    raise AssertionError("the first orders never come to rest")


def with_limits(settings: Settings) -> Settings:
    """Settings under which a diff holds nothing for its size."""
    return replace(settings, limits=Limits(creates=10**9, updates=10**9))


def _refuse(entries: Sequence[Mapping[str, Any]]) -> None:
    stuck = [
        f"{entry['entity']} {entry['key']}: {entry['reason'] or entry['cause']}"
        for entry in entries
        if entry["state"] == "held" and entry["held_for"] != "guard"
    ]
    if stuck:
        raise AssertionError("the first orders are held: " + "; ".join(stuck[:5]))
