"""Why a record is where it is: how far it came on its way, and by which rule nothing was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from cdc.corrections import MODEL, corrected_by
from cdc.outbound import OutboundModel, models_in_force
from cdc.report import SHOWN_MATCHES, escaped, rows_of, with_heads
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


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


def why(connection: Session, text: str) -> list[Reason]:
    """What became of a record: `text` is one of our keys, a target's id, or an id or number of the source."""
    if parts := list(_of_corrections(connection, text)):
        return parts
    reasons: dict[tuple[str, str | None, str | None], Reason] = {}
    for model in models_in_force(connection):
        for driver in _drivers(connection, model, text):
            for reason in _reasons(connection, model, driver):
                if _fits(reason, text):
                    reasons[(reason.model, reason.connection, reason.key)] = reason
    found = list(reasons.values())
    # Not every model has a row for each driving record: that none has one is news.
    return [reason for reason in found if reason.key is not None] or found


def _of_corrections(connection: Session, text: str) -> Iterator[Reason]:
    """Documents that a correction made or replaced: no model gives them."""
    values = {"text": text, "pattern": f"%/{escaped(text)}", "limit": SHOWN_MATCHES}
    for row in connection.execute(query("report", "keys_like"), values).fetchall():
        if row["model"] != MODEL:
            continue
        place = {name: row[name] for name in ("connection", "entity", "key")}
        known: Row = connection.execute(query("report", "record"), place).fetchone() or {}
        entry: Row | None = known.get("open")
        verdict = f"It is part of the correction of {corrected_by(row['key'])}."
        if entry is not None:
            verdict += f" It is {entry['state']}: {entry['reason'] or 'on its way'}."
        yield Reason(
            model=MODEL, stage="target" if entry is None else "outbox", verdict=verdict,
            cure=entry["cure"] if entry is not None else None, details=known.get("correction") or {}, **place,
        )  # fmt: skip


def _drivers(connection: Session, model: OutboundModel, text: str) -> list[tuple[str, str]]:
    """Driving records of a model that a text names."""
    values = {"text": text, "pattern": f"%/{escaped(text)}", "limit": SHOWN_MATCHES}
    found: dict[tuple[str, str], None] = {}
    for row in connection.execute(query("report", "keys_like"), values).fetchall():
        if row["model"] == model.name:
            place = {name: row[name] for name in ("connection", "entity", "key")}
            link = connection.execute(query("report", "record"), place).fetchone() or {}
            found[(link["source_connection"], link["source_id"])] = None
    if model.driver in model.tables:
        table = sql.Identifier("staging", model.driver)
        name = f"staging.{model.driver}"
        columns = [
            row["name"] for row in connection.execute(query("stage", "generated_columns"), {"table": name})
        ]
        listed = sql.SQL(", ").join(
            [sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns]
        )
        statement = compose("report", "drivers_by_number", table=table, columns=listed)
        driver = _driver_of_key(text) or text
        for one in {text, driver}:
            for row in connection.execute(statement, {"text": one, "limit": SHOWN_MATCHES}).fetchall():
                found[(row["connection"], row["id"])] = None
    return list(found)


def _reasons(connection: Session, model: OutboundModel, driver: tuple[str, str]) -> list[Reason]:
    rows = rows_of(connection, model, driver)
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
    entry = with_heads(connection, known.get("open"))
    common: dict[str, Any] = {
        "model": model.name,
        "connection": row["_to"],
        "entity": model.entity,
        "key": row["_key"],
    }
    if row["_skip"] is not None:
        return Reason(**common, stage="model", verdict=f"Rightly not sent: {row['_skip']}.", cure=None)
    if entry is not None:
        state = entry["state"] + (f" ({entry['held_for']})" if entry["held_for"] else "")
        said = (
            f" {entry['reason']}"
            if entry["state"] == "waiting" and entry["reason"]
            else f": {entry['reason'] or 'on its way'}"
        )
        verdict = f"{entry['operation'].capitalize()} is {state}{said}."
        waits = {"waits_for": entry["waits_for"], "cause": entry["cause"], "answer": entry["answer"]}
        return Reason(**common, stage="outbox", verdict=verdict, cure=entry["cure"], details=waits)
    if known.get("drift") is not None:
        frozen = known["drift"]["frozen_because"]
        verdict = (
            f"The target has it and it may no longer change ({frozen}); the difference is shown as drift."
        )
        return Reason(**common, stage="target", verdict=verdict, details=known["drift"])
    taken: Row | None = known.get("reversal")
    if taken is not None and (known.get("is_gone") or known.get("target_id") is None):
        told = f"taken back with run {taken['run'][:8]} by {taken['by']} ({taken['reason']})"
        verdict = f"It was {told}; it is made again only when the model says something else, after a yes."
        return Reason(**common, stage="target", verdict=verdict, details=taken)
    if known.get("is_gone"):
        return Reason(
            **common,
            stage="target",
            verdict=f"It was removed from the target: {row['_gone'] or 'see its entries'}.",
        )
    if known.get("target_id") is not None:
        return _linked(common, known)
    reversed_by: Row = known.get("correction") or {}
    if row["_gone"] is not None and reversed_by.get("number"):
        told = f"approved by {reversed_by['by']} ({reversed_by['reason'] or 'without a reason'})"
        verdict = f"It is gone at its source: {row['_gone']}; {row['_key']}/reversal/{reversed_by['number']} reverses it, {told}."
        return Reason(**common, stage="target", verdict=verdict, details=reversed_by)
    if known.get("declined_hash") is not None:
        decision: Row = next(iter(known["decisions"]), {})
        verdict = f"Not sent: {decision.get('verb', 'declined')} by {decision.get('decided_by', 'a person')}."
        return Reason(**common, stage="outbox", verdict=verdict, details=decision)
    if row["_gone"] is not None:
        return Reason(**common, stage="model", verdict=f"Never sent, and gone at its source: {row['_gone']}.")
    return Reason(
        **common,
        stage="model",
        verdict="The model wants it; the next diff makes the entry.",
        cure="Run `tieout diff`.",
    )


def _linked(common: dict[str, Any], known: Row) -> Reason:
    """What the target has."""
    if known.get("followed_id") is not None:
        into = {"target_id": known["target_id"], "followed_id": known["followed_id"]}
        verdict = f"The target merged it into {known['followed_id']}; what refers to it uses that one, and nothing is written."
        return Reason(**common, stage="target", verdict=verdict, details=into)
    details = {
        "target_id": known["target_id"],
        "linked_at": known["linked_at"],
        "is_adopted": known["is_adopted"],
    }
    correction: Row = known["correction"] or {}
    if correction.get("number"):
        told = f"It was corrected by {correction['by']} ({correction['reason'] or 'without a reason'}): the document before"
        verdict = f"{told} is reversed by {common['key']}/reversal/{correction['number']}, and the target has the new one."
        return Reason(**common, stage="target", verdict=verdict, details={**details, **correction})
    accepted = next((made for made in known["decisions"] if made["verb"] == "accept as is"), None)
    if accepted is not None:
        told = f"{accepted['decided_by']}" + (f" ({accepted['reason']})" if accepted["reason"] else "")
        verdict = f"The target has it, and its state was accepted as it is by {told}."
        return Reason(**common, stage="target", verdict=verdict, details={**details, **accepted})
    if known["is_adopted"]:
        theirs = ", ".join(sorted({path.partition("/")[0] for path in known["yielded"]}))
        verdict = "Others entered it in the target, and it was linked as it is" + (
            f"; theirs are: {theirs}." if theirs else "."
        )
        return Reason(**common, stage="target", verdict=verdict, details=details)
    return Reason(
        **common, stage="target", verdict="The target has it as the model wants it.", details=details
    )


def _driver_of_key(text: str) -> str | None:
    """The number in a key such as shop/order/1042/1."""
    parts = text.split("/")
    return parts[2] if len(parts) > 2 else None


def _fits(reason: Reason, text: str) -> bool:
    """A whole key asks for that record alone; anything else for all of its driving record."""
    return "/" not in text or reason.key is None or reason.key == text or reason.key.startswith(f"{text}/")
