"""What people decide about frozen documents: accept what drifts as it is, or ask for its correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.corrections import correct_of
from cdc.named import nearest
from cdc.outbound import models_in_force
from tieout.errors import UsageError
from tieout.events import Event, emit
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


def accept_drift(session: Session, values: Row, *, by: str, reason: str) -> int:
    """Drift is no entry: the hash of what the model says is kept as declined, and the row is taken away. How many.

    `values`: keys, connection, entity, model, cause; null means any.
    """
    names = [name_of(row) for row in session.execute(query("drift", "chosen"), values)]
    if not names:
        return 0
    outbox.lock_keys(session, names)
    given = dict(zip(("connections", "entities", "keys"), map(list, zip(*names, strict=True)), strict=True))
    rows = session.execute(query("drift", "take"), given).fetchall()
    links = [{**place_of(row), "declined_hash": row["payload_hash"]} for row in rows]
    session.execute(query("desk", "decide_links"), {"rows": Jsonb(links)})
    told = [
        {
            **place_of(row),
            "payload_hash": row["payload_hash"],
            "detail": {"frozen_because": row["frozen_because"]},
        }
        for row in rows
    ]
    keep_decision(session, "accept as is", by, reason, told)
    outbox.put_back(session, [name_of(row) for row in rows], f"accepted by {by}")
    emit(
        Event.DECISION_MADE, verb="accept as is", connection=", ".join(sorted({row["connection"] for row in rows})),
        entries=len(rows), by=by, reason=reason,
    )  # fmt: skip
    return len(rows)


def drifting_keys(session: Session, values: Row) -> tuple[str, ...]:
    """Keys of what drifts; `values` as above."""
    return tuple(row["key"] for row in session.execute(query("drift", "chosen"), values))


def ask_correction(
    connection: Session,
    key: str,
    *,
    by: str,
    reason: str,
    target: str | None = None,
    entity: str | None = None,
) -> tuple[str, ...]:
    """Let the diff propose a correction of a document that drifts. The models to diff; nothing is sent before approval.

    Raises UsageError when no such document drifts, or when documents of its kind cannot be corrected.
    """
    with connection.transaction():
        values = {"keys": [key], "connection": target, "entity": entity, "model": None, "cause": None}
        systems = {model.name: model.system for model in models_in_force(connection)}
        drifting = connection.execute(query("drift", "chosen"), values).fetchall()
        rows = [row for row in drifting if correct_of(systems.get(row["model"], ""), row["entity"])]
        if not rows:
            near = nearest(key, drifting_keys(connection, {**values, "keys": None})) if not drifting else ""
            raise UsageError(
                f"{key} has nothing that could be corrected by a reversal and a new document{near}.",
                cure="`tieout drift` names the frozen documents of which the models say something else.",
            )
        outbox.lock_keys(connection, [name_of(row) for row in rows])
        names = dict(zip(("connections", "entities", "keys"), map(list, zip(*map(name_of, rows), strict=True)), strict=True))  # fmt: skip
        asked = Jsonb({"by": by, "reason": reason})
        connection.execute(query("corrections", "ask"), {**names, "asked": asked})
        told = [{**place_of(row), "payload_hash": None, "detail": {"frozen_because": row["frozen_because"]}} for row in rows]  # fmt: skip
        keep_decision(connection, "ask for correction", by, reason, told)
        outbox.put_back(connection, [name_of(row) for row in rows], f"correction asked for by {by}")
        return tuple(sorted({row["model"] for row in rows}))


def refuse_moved(proposed: Sequence[Row]) -> None:
    """UsageError for a correction whose document changed in the target since it was proposed."""
    for row in proposed:
        if row["record_version"] != row["control"]["correction"]["target_version"]:
            raise UsageError(
                f"{row['key']} changed in the target since its correction was proposed.",
                cure="Run `tieout sync`, look at the correction again, then approve it.",
            )


def keep_decision(session: Session, verb: str, by: str, reason: str | None, rows: Sequence[Row]) -> None:
    """Keep who decided what, of which payload, and why."""
    session.execute(
        query("desk", "record"), {"verb": verb, "by": by, "reason": reason, "rows": Jsonb(list(rows))}
    )


def place_of(row: Row) -> Row:
    """What names a key."""
    return {"connection": row["connection"], "entity": row["entity"], "key": row["key"]}


def name_of(row: Row) -> tuple[str, str, str]:
    """The same, in the order of locks."""
    return (row["connection"], row["entity"], row["key"])
