"""What people ask about the engine, as data: dead letters, holds, and one record side by side.

Nothing here changes anything, but for `newly_dead`, which notes that a dead letter was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import Write, open_writers
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
Writers = Callable[[str], Mapping[str, Write]]
SHOWN_KEYS = 20
SHOWN_MATCHES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Entries that need a person, by one cause."""

    connection: str
    entity: str
    cause: str
    count: int
    money: Mapping[str, Decimal]
    """By currency: theirs, and of dead letters what waits for them; each source record's money once."""
    oldest: datetime
    who: str | None
    """Who can fix it: operator, accountant, shop, vendor or analyst."""
    example: str
    reason: str | None
    cure: str | None
    keys: tuple[str, ...]
    """The oldest ones, at most SHOWN_KEYS."""
    model: str | None = None
    held_for: str | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One record, side by side."""

    connection: str
    entity: str
    key: str
    model: str
    link: Row
    open: Row | None
    done: tuple[Row, ...]
    calls: tuple[Row, ...]
    decisions: tuple[Row, ...]
    drift: Row | None
    outbound: Row | None
    """The model's row now; None when it gives none."""
    source: Row | None
    """The driving record in its staging table, where the driver is one."""
    source_history: tuple[Row, ...]
    target: Row | None
    """The target's record in its staging table."""


def dead_letters(
    connection: Session, *, target: str | None = None, cause: str | None = None, keys: int = SHOWN_KEYS
) -> list[Group]:
    """Dead letters by cause, the most frequent first; records that could not be stored among them."""
    values = {"connection": target, "cause": cause, "keys": keys}
    return [_group(row) for row in connection.execute(query("report", "dead"), values)]


def holds(connection: Session, *, target: str | None = None, keys: int = SHOWN_KEYS) -> list[Group]:
    """What waits for a person's yes, by model and why."""
    return [
        _group(row)
        for row in connection.execute(query("report", "holds"), {"connection": target, "keys": keys})
    ]


def dead_total(connection: Session) -> int:
    """How many dead letters there are."""
    return _count(connection.execute(query("report", "dead_total")).fetchone())


def made(connection: Session) -> dict[str, int]:
    """Records that targets have of us, by entity; adopted ones included, removed ones not."""
    rows = connection.execute(query("report", "made")).fetchall()
    return {row["entity"]: int(row["count"]) for row in rows}


def newly_dead(connection: Session, *, run: UUID | None = None) -> int:
    """Dead letters that no run reported yet; they count as told from now on. With `run`, bad records of that run too."""
    told = _count(connection.execute(query("report", "tell")).fetchone())
    return told if run is None else told + newly_bad(connection, run=run)


def newly_bad(connection: Session, *, run: UUID) -> int:
    """Records that this run was the first that could not store them: all that a load alone has to report."""
    return _count(connection.execute(query("report", "bad_since"), {"run": run}).fetchone())


def show(
    connection: Session,
    key: str,
    *,
    target: str | None = None,
    entity: str | None = None,
    writers: Writers = open_writers,
) -> list[Shown]:
    """Records of that key (or end of a key, target id or number at the target, there or to be), side by side. Empty when there is none."""
    models = {model.name: model for model in models_in_force(connection)}
    found = (
        _keys(connection, key)
        or [
            row
            for number in _numbered(connection, key, models.values(), writers)
            for row in _keys(connection, number)
        ]
        or _to_be(connection, key)
    )
    exact = [row for row in found if row["key"] == key]
    chosen = [
        row
        for row in exact or found
        if (target is None or row["connection"] == target) and (entity is None or row["entity"] == entity)
    ]
    return [_show(connection, row, models.get(row["model"]), writers) for row in chosen]


def _keys(connection: Session, text: str) -> list[Row]:
    values = {"text": text, "pattern": f"%/{escaped(text)}", "limit": SHOWN_MATCHES}
    return connection.execute(query("report", "keys_like"), values).fetchall()


def _to_be(connection: Session, text: str) -> list[Row]:
    values = {"text": text, "limit": SHOWN_MATCHES}
    return connection.execute(query("report", "keys_by_value"), values).fetchall()


def with_heads(connection: Session, entry: Row | None) -> Row | None:
    """An open entry; one that only waits has the reason and the cure of what it waits for."""
    if entry is None or entry["state"] != "waiting" or entry["reason"]:
        return entry
    values = {"connection": entry["connection"], "waits_for": Jsonb(entry["waits_for"])}
    heads = connection.execute(query("report", "heads"), values).fetchall()
    if not heads:
        return entry
    words = "; ".join(f"{head['entity']} {head['key']} ({head['reason']})" for head in heads)
    return {
        **entry,
        "reason": f"for {words}",
        "cure": next((head["cure"] for head in heads if head["cure"]), None),
    }


def _numbered(connection: Session, text: str, models: Iterable[OutboundModel], writers: Writers) -> list[str]:
    """Ids of the targets' records that a number names: what an accountant reads on an invoice there."""
    streams = {(model.system, writers(model.system)[model.entity].stream) for model in models}
    found: list[str] = []
    for name in sorted(f"{system}__{stream}" for system, stream in streams if stream is not None):
        statement = by_number(connection, name)
        rows = connection.execute(statement, {"text": text, "limit": SHOWN_MATCHES}).fetchall()
        found += [row["id"] for row in rows]
    return found


def by_number(connection: Session, table: str) -> sql.Composed:
    """The statement that finds records of a staging table by id or by any key column."""
    names = connection.execute(query("stage", "generated_columns"), {"table": f"staging.{table}"}).fetchall()
    columns = [sql.SQL("{}::text").format(sql.Identifier(row["name"])) for row in names]
    listed = sql.SQL(", ").join(columns)
    return compose("report", "drivers_by_number", table=sql.Identifier("staging", table), columns=listed)


def _show(connection: Session, place: Row, model: OutboundModel | None, writers: Writers) -> Shown:
    values = {name: place[name] for name in ("connection", "entity", "key")}
    row = connection.execute(query("report", "record"), values).fetchone() or {}
    outbound = None
    source = target = None
    history: list[Row] = []
    if model is not None:
        rows = rows_of(connection, model, (row["source_connection"], row["source_id"]))
        outbound = next(
            (one for one in rows if one["_key"] == place["key"] and one["_to"] == place["connection"]), None
        )
        if outbound is not None:
            outbound |= _lines(connection, model, (row["source_connection"], row["source_id"]), place["key"])
        if model.driver in model.tables:
            source = _staging(connection, model.driver, row["source_connection"], row["source_id"])
            stream = model.driver.partition("__")[2]
            place_of_source = {
                "connection": row["source_connection"],
                "stream": stream,
                "id": row["source_id"],
            }
            history = connection.execute(query("report", "history"), place_of_source).fetchall()
        stream_of_target = writers(model.system)[model.entity].stream
        if stream_of_target is not None and row["target_id"] is not None:
            target = _staging(
                connection, f"{model.system}__{stream_of_target}", place["connection"], row["target_id"]
            )
    apart = ("open", "done", "calls", "decisions", "drift")
    return Shown(
        connection=place["connection"],
        entity=place["entity"],
        key=place["key"],
        model=place["model"],
        link={name: value for name, value in row.items() if name not in apart},
        open=with_heads(connection, row.get("open")),
        done=tuple(row.get("done") or ()),
        calls=tuple(row.get("calls") or ()),
        decisions=tuple(row.get("decisions") or ()),
        drift=row.get("drift"),
        outbound=outbound,
        source=source,
        source_history=tuple(history),
        target=target,
    )


def rows_of(connection: Session, model: OutboundModel, driver: tuple[str, str]) -> list[Row]:
    """Rows of a model for one driving record, as the view gives them now."""
    statement = compose("report", "outbound_rows", view=model.relation)
    rows = connection.execute(statement, {"source_connection": driver[0], "source_id": driver[1]}).fetchall()
    return [row["content"] for row in rows]


def _lines(connection: Session, model: OutboundModel, driver: tuple[str, str], key: str) -> Row:
    """The child rows of one record, by the field that they are nested into."""
    nested: Row = {}
    for child in model.lines:
        statement = compose("report", "outbound_rows", view=child.relation)
        values = {"source_connection": driver[0], "source_id": driver[1]}
        rows = [row["content"] for row in connection.execute(statement, values)]
        mine = sorted(
            (row for row in rows if row["_key"] == key), key=lambda row: row.get("_line_order") or 0
        )
        nested[child.field] = [
            {name: row[name] for name in ("_line", *child.fields) if row.get(name) is not None}
            for row in mine
        ]
    return nested


def _staging(connection: Session, table: str, name: str, record_id: str) -> Row | None:
    statement = compose("report", "staging_row", table=sql.Identifier("staging", table))
    return connection.execute(statement, {"connection": name, "id": record_id}).fetchone()


def escaped(text: str) -> str:
    """The text with nothing in it that `like` would read as a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _group(row: Row) -> Group:
    return Group(
        connection=row["connection"],
        entity=row["entity"],
        cause=row["cause"] or "",
        count=int(row["count"]),
        money={currency: Decimal(amount) for currency, amount in row["money"].items()},
        oldest=row["oldest"],
        who=row["who"],
        example=row["example"],
        reason=row["reason"],
        cure=row["cure"],
        keys=tuple(row["keys"]),
        model=row.get("model"),
        held_for=row.get("held_for"),
        operation=row.get("operation"),
    )


def _count(row: Row | None) -> int:
    return int(row["count"]) if row is not None else 0
