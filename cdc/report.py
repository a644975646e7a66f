"""What people ask about the engine, as data: status, dead letters, holds, one record side by side, and why.

Nothing here changes anything, but for `newly_dead`, which notes that a dead letter was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

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
    """By currency."""
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
class ConnectionStatus:
    """How one connection stands."""

    connection: str
    system: str
    target_name: str | None
    is_demo: bool | None
    stopped_reason: str | None
    paused_by: str | None
    states: Mapping[str, int]
    """Open entries by state."""
    oldest_waiting: datetime | None
    oldest_in_doubt: datetime | None
    loaded_from: datetime | None
    """Everything older than this is mirrored; None when no stream was read to its end."""
    never_loaded: int
    """Streams that were never read to their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Entries that wait for one record: the head of their chain."""

    connection: str
    entity: str
    key: str
    head_state: str
    reason: str | None
    entries: int
    since: datetime
    amount: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything at a glance."""

    connections: tuple[ConnectionStatus, ...]
    work: Mapping[str, int]
    """What the next commands have to do: changes, changed_keys, sweeps_due, new_models, drift, bad_records, ask_again."""
    dead: int
    held: int
    waiting: tuple[Waiting, ...]

    @property
    def verdict(self) -> str:
        """One sentence: is all well, and is it safe to run again?"""
        stopped = [one.connection for one in self.connections if one.stopped_reason]
        if stopped:
            return f"{', '.join(stopped)} stopped: {next(one.stopped_reason for one in self.connections if one.stopped_reason)}"
        if any(one.states.get("in_doubt") for one in self.connections):
            return "A call is in doubt; the next drain asks the target. Running again is safe."
        if self.dead or self.held:
            return f"{self.dead} records need a person, {self.held} wait for approval. Running again is safe."
        return "All is well. Running again is safe."


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a record of a model is where it is, or why nothing was sent."""

    model: str
    connection: str | None
    entity: str
    key: str | None
    stage: str
    """source, model, outbox, target: how far it came."""
    verdict: str
    """One sentence."""
    cure: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def status(connection: Session) -> Status:
    """How everything stands."""
    rows = connection.execute(query("report", "connections")).fetchall()
    names = tuple(ConnectionStatus.__dataclass_fields__)
    work = connection.execute(query("report", "work")).fetchone() or {}
    waiting = connection.execute(query("report", "waiting"), {"limit": SHOWN_KEYS}).fetchall()
    return Status(
        connections=tuple(ConnectionStatus(**{name: row[name] for name in names}) for row in rows),
        work={name: int(count) for name, count in work.items()},
        dead=dead_total(connection),
        held=sum(group.count for group in holds(connection)),
        waiting=tuple(Waiting(**row) for row in waiting),
    )


def dead_letters(connection: Session, *, target: str | None = None, cause: str | None = None, keys: int = SHOWN_KEYS) -> list[Group]:
    """Dead letters by cause, the most frequent first; records that could not be stored among them."""
    values = {"connection": target, "cause": cause, "keys": keys}
    return [_group(row) for row in connection.execute(query("report", "dead"), values)]


def holds(connection: Session, *, target: str | None = None, keys: int = SHOWN_KEYS) -> list[Group]:
    """What waits for a person's yes, by model and why."""
    return [_group(row) for row in connection.execute(query("report", "holds"), {"connection": target, "keys": keys})]


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
    if run is None:
        return told
    return told + _count(connection.execute(query("report", "bad_since"), {"run": run}).fetchone())


def show(connection: Session, key: str, *, target: str | None = None, entity: str | None = None, writers: Writers = open_writers) -> list[Shown]:
    """Records of that key (or target id, or end of a key), each side by side. Empty when there is none."""
    values = {"text": key, "pattern": f"%/{_escaped(key)}", "limit": SHOWN_MATCHES}
    found = connection.execute(query("report", "keys_like"), values).fetchall()
    exact = [row for row in found if row["key"] == key]
    chosen = [
        row
        for row in exact or found
        if (target is None or row["connection"] == target) and (entity is None or row["entity"] == entity)
    ]
    models = {model.name: model for model in models_in_force(connection)}
    return [_show(connection, row, models.get(row["model"]), writers) for row in chosen]


def why(connection: Session, text: str) -> list[Reason]:
    """What became of a record: `text` is one of our keys, a target's id, or an id or number of the source."""
    reasons: dict[tuple[str, str | None, str | None], Reason] = {}
    for model in models_in_force(connection):
        for driver in _drivers(connection, model, text):
            for reason in _reasons(connection, model, driver):
                if _fits(reason, text):
                    reasons[(reason.model, reason.connection, reason.key)] = reason
    return list(reasons.values())


def _show(connection: Session, place: Row, model: OutboundModel | None, writers: Writers) -> Shown:
    values = {name: place[name] for name in ("connection", "entity", "key")}
    row = connection.execute(query("report", "record"), values).fetchone() or {}
    outbound = None
    source = target = None
    history: list[Row] = []
    if model is not None:
        rows = _rows_of(connection, model, (row["source_connection"], row["source_id"]))
        outbound = next((one for one in rows if one["_key"] == place["key"] and one["_to"] == place["connection"]), None)
        if model.driver in model.tables:
            source = _staging(connection, model.driver, row["source_connection"], row["source_id"])
            stream = model.driver.partition("__")[2]
            place_of_source = {"connection": row["source_connection"], "stream": stream, "id": row["source_id"]}
            history = connection.execute(query("report", "history"), place_of_source).fetchall()
        stream_of_target = writers(model.system)[model.entity].stream
        if stream_of_target is not None and row["target_id"] is not None:
            target = _staging(connection, f"{model.system}__{stream_of_target}", place["connection"], row["target_id"])
    apart = ("open", "done", "calls", "decisions", "drift")
    return Shown(
        connection=place["connection"],
        entity=place["entity"],
        key=place["key"],
        model=place["model"],
        link={name: value for name, value in row.items() if name not in apart},
        open=row.get("open"),
        done=tuple(row.get("done") or ()),
        calls=tuple(row.get("calls") or ()),
        decisions=tuple(row.get("decisions") or ()),
        drift=row.get("drift"),
        outbound=outbound,
        source=source,
        source_history=tuple(history),
        target=target,
    )


def _drivers(connection: Session, model: OutboundModel, text: str) -> list[tuple[str, str]]:
    """Driving records of a model that a text names."""
    values = {"text": text, "pattern": f"%/{_escaped(text)}", "limit": SHOWN_MATCHES}
    found: dict[tuple[str, str], None] = {}
    for row in connection.execute(query("report", "keys_like"), values).fetchall():
        if row["model"] == model.name:
            place = {name: row[name] for name in ("connection", "entity", "key")}
            link = connection.execute(query("report", "record"), place).fetchone() or {}
            found[(link["source_connection"], link["source_id"])] = None
    if model.driver in model.tables:
        table = sql.Identifier("staging", model.driver)
        name = f"staging.{model.driver}"
        columns = [row["name"] for row in connection.execute(query("stage", "generated_columns"), {"table": name})]
        listed = sql.SQL(", ").join([sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns])
        statement = compose("report", "drivers_by_number", table=table, columns=listed)
        driver = _driver_of_key(text) or text
        for one in {text, driver}:
            for row in connection.execute(statement, {"text": one, "limit": SHOWN_MATCHES}).fetchall():
                found[(row["connection"], row["id"])] = None
    return list(found)


def _reasons(connection: Session, model: OutboundModel, driver: tuple[str, str]) -> list[Reason]:
    rows = _rows_of(connection, model, driver)
    if not rows:
        verdict = f"The record {driver[1]} of {driver[0]} is mirrored, but {model.name} gives no row for it."
        return [
            Reason(
                model=model.name, connection=None, entity=model.entity, key=None, stage="model", verdict=verdict,
                cure="An outbound model never filters: look which of its joins loses the record.",
            )
        ]  # fmt: skip
    return [_reason(connection, model, row) for row in rows]


def _reason(connection: Session, model: OutboundModel, row: Row) -> Reason:
    place = {"connection": row["_to"], "entity": model.entity, "key": row["_key"]}
    known: Row = connection.execute(query("report", "record"), place).fetchone() or {}
    entry: Row | None = known.get("open")
    common: dict[str, Any] = {"model": model.name, "connection": row["_to"], "entity": model.entity, "key": row["_key"]}
    if row["_skip"] is not None:
        return Reason(**common, stage="model", verdict=f"Rightly not sent: {row['_skip']}.", cure=None)
    if entry is not None:
        state = entry["held_for"] or entry["state"]
        verdict = f"{entry['operation'].capitalize()} is {entry['state']} ({state}): {entry['reason'] or 'on its way'}."
        waits = {"waits_for": entry["waits_for"], "cause": entry["cause"], "answer": entry["answer"]}
        return Reason(**common, stage="outbox", verdict=verdict, cure=entry["cure"], details=waits)
    if known.get("drift") is not None:
        frozen = known["drift"]["frozen_because"]
        verdict = f"The target has it and it may no longer change ({frozen}); the difference is shown as drift."
        return Reason(**common, stage="target", verdict=verdict, details=known["drift"])
    if known.get("is_gone"):
        return Reason(**common, stage="target", verdict=f"It was removed from the target: {row['_gone'] or 'see its entries'}.")
    if known.get("target_id") is not None:
        details = {"target_id": known["target_id"], "linked_at": known["linked_at"], "is_adopted": known["is_adopted"]}
        return Reason(**common, stage="target", verdict="The target has it as the model wants it.", details=details)
    if known.get("declined_hash") is not None:
        decision = next(iter(known["decisions"]), {})
        verdict = f"Not sent: {decision.get('verb', 'declined')} by {decision.get('decided_by', 'a person')}."
        return Reason(**common, stage="outbox", verdict=verdict, details=decision)
    if row["_gone"] is not None:
        return Reason(**common, stage="model", verdict=f"Never sent, and gone at its source: {row['_gone']}.")
    return Reason(**common, stage="model", verdict="The model wants it; the next diff makes the entry.", cure="Run `tieout diff`.")


def _rows_of(connection: Session, model: OutboundModel, driver: tuple[str, str]) -> list[Row]:
    statement = compose("report", "outbound_rows", view=model.relation)
    rows = connection.execute(statement, {"source_connection": driver[0], "source_id": driver[1]}).fetchall()
    return [row["content"] for row in rows]


def _staging(connection: Session, table: str, name: str, record_id: str) -> Row | None:
    statement = compose("report", "staging_row", table=sql.Identifier("staging", table))
    return connection.execute(statement, {"connection": name, "id": record_id}).fetchone()


def _driver_of_key(text: str) -> str | None:
    """The number in a key such as shop/order/1042/1."""
    parts = text.split("/")
    return parts[2] if len(parts) > 2 else None


def _fits(reason: Reason, text: str) -> bool:
    """A whole key asks for that record alone; anything else for all of its driving record."""
    return "/" not in text or reason.key is None or reason.key == text or reason.key.startswith(f"{text}/")


def _escaped(text: str) -> str:
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


__all__: Sequence[str] = (
    "ConnectionStatus", "Group", "Reason", "Shown", "Status", "Waiting", "dead_letters", "dead_total", "holds", "newly_dead",
    "show", "status", "why",
)  # fmt: skip
