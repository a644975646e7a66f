"""Marts: tables in schema `marts` for BI, refreshed from views of the same name in `marts_live` by what
changed.

A refresh takes the changed keys of a mart and, in the same transaction, deletes and inserts the rows of those
drivers, so that BI sees either the old rows or the new ones and a process that dies loses nothing. A mart
that is new or whose model, lookups or rules changed is made again whole. `as_of` of a row is when it was
made; `cdc.mart_state.as_of` is how far the mart follows its sources.

Ageing and forecast depend on the day that is asked for, so they are no tables: functions and views on the
tables (`reports` in sql/queries/marts.sql), as fresh as these.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from cdc.changes import fan_out
from cdc.months import make_months
from cdc.outbound import Mart, marts_in_force, pin_set
from tieout.db import Database, try_lock, unlock
from tieout.errors import BuildError, RetryLater
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import compose, query
from tieout.roles import grant_roles

BATCH = 10_000
"""Changed drivers in one transaction."""

REPORTED = frozenset({"receivables", "receivable_balances"})
"""The marts that the ready questions of `reports` are about."""

SWITCHES = 5
"""So many builds may come between before a refresh gives up."""

Session = psycopg.Connection[dict[str, Any]]


class _Switched(Exception):
    """The set of models was switched since the marts were read."""


def refresh(database: Database, *, run: UUID | None = None) -> list[tuple[str, int]]:  # noqa: ARG001 (a uniform call)
    """Bring every mart up to its sources; (mart, rows made again) for each. A mart that another run is at is
    left to it.

    Raises BuildError when a mart's rows are not unique by its `unique_key`.
    """
    with database.connect(direct=True) as session, unit_of_work(session):
        fan_out(session)
        make_months(session)
        done: dict[str, int] = {}
        for _ in range(SWITCHES):
            try:
                for mart in marts_in_force(session):
                    if mart.name not in done:
                        done[mart.name] = _refresh(session, mart)
            except _Switched:
                continue
            return sorted(done.items())
        raise RetryLater("The models were switched again and again while the marts were refreshed.")


def create_missing(session: Session, marts: Sequence[Mart]) -> None:
    """Make the tables that do not exist yet, empty; part of the switch to a new set."""
    session.execute(query("marts", "prepare"))
    for mart in marts:
        if not _columns(session, mart.name):
            _create(session, mart)
    if {mart.name for mart in marts} >= REPORTED:
        session.execute(query("marts", "reports"))


def drop(session: Session, name: str) -> None:
    """Remove the table of a mart that the set no longer has.

    Raises BuildError when something is built on it.
    """
    try:
        session.execute(compose("marts", "drop", table=sql.Identifier("marts", name)))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise BuildError(
            f"The mart marts.{name} is to go or to change its columns, but something is built on it: "
            f"{error.diag.message_detail}.",
            cure="Move that view into the dbt project, or drop it, and run the command again.",
        ) from error


def _refresh(session: Session, mart: Mart) -> int:
    name = f"mart:{mart.name}"
    if not try_lock(session, name):
        return 0
    started = time.monotonic()
    try:
        rows = _refresh_locked(session, mart)
    except psycopg.errors.UniqueViolation as error:
        raise BuildError(
            f"The mart {mart.name} has two rows of one key: {error.diag.message_detail}",
            cure=f"Correct unique_key in the yml of {mart.name}, or the grain of the model; the table keeps "
            "its old rows.",
        ) from error
    finally:
        if not session.broken:
            unlock(session, name)
    state = session.execute(query("marts", "state"), {"mart": mart.name}).fetchone()
    emit(
        Event.MARTS_REFRESHED,
        mart=mart.name,
        rows=rows,
        as_of=state["as_of"] if state else None,
        seconds=round(time.monotonic() - started, 3),
    )
    return rows


def _refresh_locked(session: Session, mart: Mart) -> int:
    _index(session, mart)
    state = session.execute(query("marts", "state"), {"mart": mart.name}).fetchone()
    if mart.sweep_due or state is None or not _fits(session, mart):
        return _full(session, mart)
    total = 0
    while True:
        rows, drivers = _by_keys(session, mart)
        total += rows
        if drivers < BATCH:
            return total


def _full(session: Session, mart: Mart) -> int:
    with session.transaction():
        _pin(session, mart)
        session.execute(query("marts", "clear_keys"), {"mart": mart.name})
        if _fits(session, mart):
            session.execute(_compose("delete_all", mart))
        else:
            roles = session.execute(query("marts", "grants"), {"mart": mart.name}).fetchall()
            drop(session, mart.name)
            _create(session, mart)
            for row in roles:
                session.execute(compose("marts", "grant", table=mart.table, role=sql.Identifier(row["role"])))
            if mart.name in REPORTED:
                session.execute(query("marts", "reports"))
            grant_roles(session)
        rows = session.execute(_compose("fill_all", mart)).rowcount
        session.execute(query("marts", "note_swept"), {"mart": mart.name, "build": mart.build})
        session.execute(query("marts", "note_fresh"), {"mart": mart.name, "rows": rows})
    return rows


def _by_keys(session: Session, mart: Mart) -> tuple[int, int]:
    """Rows made again and drivers looked at, of one batch."""
    with session.transaction():
        _pin(session, mart)
        keys = session.execute(query("marts", "take_keys"), {"mart": mart.name, "limit": BATCH}).fetchall()
        rows = 0
        if keys:
            values = {
                "connections": [key["source_connection"] for key in keys],
                "ids": [key["source_id"] for key in keys],
            }
            rows = session.execute(_refreshing(mart), values).rowcount
        session.execute(query("marts", "note_fresh"), {"mart": mart.name, "rows": rows})
    return rows, len(keys)


def _pin(session: Session, mart: Mart) -> None:
    if pin_set(session) != mart.build:
        raise _Switched


def _fits(session: Session, mart: Mart) -> bool:
    """Has the table the columns and the key of the view?"""
    rows = _columns(session, mart.name)
    is_shape = [(row["name"], row["type"]) for row in rows] == [
        (column.name, column.type) for column in mart.columns
    ]
    return is_shape and {row["name"] for row in rows if row["is_key"]} == set(mart.unique_key)


def _columns(session: Session, name: str) -> list[dict[str, Any]]:
    return session.execute(query("marts", "columns"), {"mart": name}).fetchall()


def _create(session: Session, mart: Mart) -> None:
    session.execute(_compose("create", mart))
    session.execute(compose("marts", "key", table=mart.table, key=_names(mart.unique_key)))
    session.execute(_compose("index", mart))
    _index(session, mart)
    session.execute(compose("marts", "comment", table=mart.table))


def _index(session: Session, mart: Mart) -> None:
    """The indexes that the yml asks for, and no others of ours; each is named by its text."""
    begins = f"{mart.name[:40]}_bi_"
    wanted = {f"{begins}{hashlib.sha256(text.encode()).hexdigest()[:8]}": text for text in mart.indexes}
    rows = session.execute(query("marts", "indexes"), {"mart": mart.name, "name": begins}).fetchall()
    there = {row["name"] for row in rows}
    if not _columns(session, mart.name):
        return
    for name in sorted(there - wanted.keys()):
        session.execute(compose("marts", "drop_index", name=sql.Identifier(name)))
    for name in sorted(wanted.keys() - there):
        # Of the same project and trust as the model itself.
        definition: Any = wanted[name]
        statement = compose(
            "marts", "add_index", name=sql.Identifier(name), table=mart.table, definition=sql.SQL(definition)
        )
        try:
            session.execute(statement)
        except psycopg.Error as error:
            raise BuildError(
                f"The yml of the mart {mart.name} asks for an index that cannot be made: {definition}: {error.diag.message_primary}.",
                cure="Correct it under `indexes`: it is what stands after `create index on …`.",
            ) from error


def _refreshing(mart: Mart) -> sql.Composed:
    """The statement that makes rows of changed drivers again."""

    def same(names: Sequence[str], operator: LiteralString) -> sql.Composed:
        pairs = [
            sql.SQL("mart.{0} {1} made.{0}").format(sql.Identifier(name), sql.SQL(operator)) for name in names
        ]
        return sql.SQL(" and ").join(pairs)

    def of(side: str) -> sql.Composed:
        return sql.SQL(", ").join([sql.Identifier(side, column.name) for column in mart.columns])

    rest = [column.name for column in mart.columns if column.name not in mart.unique_key]
    return compose(
        "marts",
        "refresh_keys",
        table=mart.table,
        view=mart.view,
        columns=_names([column.name for column in mart.columns]),
        connection_column=sql.Identifier(mart.connection_column),
        id_column=sql.Identifier(mart.id_column),
        mart_columns=of("mart"),
        made_columns=of("made"),
        key=sql.SQL(", ").join([sql.Identifier("desired", name) for name in mart.unique_key]),
        is_same_key=same(mart.unique_key, "="),
        is_same=same(rest, "is not distinct from") if rest else sql.SQL("true"),
    )


def _compose(statement: str, mart: Mart) -> sql.Composed:
    return compose(
        "marts",
        statement,
        table=mart.table,
        view=mart.view,
        columns=_names([column.name for column in mart.columns]),
        connection_column=sql.Identifier(mart.connection_column),
        id_column=sql.Identifier(mart.id_column),
    )


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)
