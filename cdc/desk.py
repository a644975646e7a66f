"""What people decide about entries: approve, refuse, discard, retry, accept as it is, edit.

A decision holds for one payload: the hash of what was looked at is kept on the link, and another payload is looked at
again. Each decision locks the key, moves the link's version, is recorded with who and why, and puts the key back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc import corrections, outbox
from cdc.desk_frozen import accept_drift, drifting_keys, keep_decision, name_of, place_of, refuse_moved
from cdc.diff_rows import mirror_of
from cdc.edit_path import kept_path, refuse_unknown
from cdc.guard import SHRUNKEN
from cdc.links import get_path, path_parts, with_path
from cdc.named import near_keys, refuse_missing
from cdc.outbound import models_in_force
from cdc.outbox import Closed
from cdc.plan_batch import WITH_HOLDS
from cdc.plan_bound import CAUSE
from cdc.plan_decide import decidable
from cdc.writing import Write, open_writers
from tieout.errors import UsageError
from tieout.events import Event, emit
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
Writers = Callable[[str], Mapping[str, Write]]

APPROVABLE = ("guard", "hold", "moved", "lock date", "frozen", "vanished", "target changed")
"""Holds that wait for a yes. `problems` cannot be approved, only cured."""
DISCARDABLE = (*APPROVABLE, "problems", "conflict", "answer differs")
RETRYABLE = ("conflict", "answer differs")
ACCEPTABLE = ("target changed", "vanished", "frozen", "answer differs", "conflict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which entries are meant; what is not given is any. At least one thing must be given, or `everything`."""

    keys: tuple[str, ...] | None = None
    connection: str | None = None
    entity: str | None = None
    model: str | None = None
    cause: str | None = None
    held_for: tuple[str, ...] | None = None
    plan: str | None = None
    """Entries of this saved plan that are still what was planned."""

    @property
    def is_everything(self) -> bool:
        """Nothing is named."""
        return self == Chosen()

    @property
    def named(self) -> Row:
        """What is named, as statements take it."""
        names = ("connection", "entity", "model", "cause")
        keys = list(self.keys) if self.keys is not None else None
        return {"keys": keys, **{name: getattr(self, name) for name in names}}


def approve(
    connection: Session,
    chosen: Chosen = Chosen(),
    *,
    by: str,
    reason: str | None = None,
    writers: Writers = open_writers,
) -> int:
    """Let held entries go as they are. How many. An approved change of the target's values writes ours again.

    Without a choice: all that the guard holds, and nothing that was held for a reason of its own. By plan: what it shows as
    waiting for a yes. Raises NotAsPlanned when any of it is not what was planned any more.
    """
    if chosen.is_everything:
        chosen = replace(chosen, held_for=("guard",))
    if chosen.plan is not None:
        plan = decidable(connection, chosen.plan, chosen.keys, unmoved=True)
        chosen = replace(chosen, held_for=WITH_HOLDS, plan=plan)

    def decided(row: Row, _write: Write) -> Row:
        return {"approved_hash": row["payload_hash"], **_over_the_target(row)}

    return _decide(connection, chosen, "approve", by, reason, APPROVABLE, decided, writers, lets_go=True)


def refuse(
    connection: Session,
    chosen: Chosen,
    *,
    by: str,
    reason: str | None = None,
    writers: Writers = open_writers,
) -> int:
    """Do not send what is held; this payload is not offered again. How many entries.

    By plan: also what would be sent without a yes.
    """
    if chosen.plan is None:
        return _decide(connection, chosen, "refuse", by, reason, APPROVABLE, _decline, writers)
    chosen = replace(chosen, plan=decidable(connection, chosen.plan, chosen.keys, unmoved=False))
    states = ("waiting", "ready")
    return _decide(connection, chosen, "refuse", by, reason, APPROVABLE, _decline, writers, states=states)


def discard(
    connection: Session,
    chosen: Chosen,
    *,
    by: str,
    reason: str | None = None,
    writers: Writers = open_writers,
) -> int:
    """Give up dead letters or any unsent entries; this payload is not made again. How many entries."""
    return _decide(
        connection,
        chosen,
        "discard",
        by,
        reason,
        DISCARDABLE,
        _decline,
        writers,
        rejected=True,
        states=("waiting", "ready"),
    )


def retry(
    connection: Session,
    chosen: Chosen,
    *,
    by: str,
    reason: str | None = None,
    writers: Writers = open_writers,
) -> int:
    """Send dead letters once more as they are. How many. Problems of a row are not retried: they are cured."""

    def decided(row: Row, _write: Write) -> Row:
        said = row["said"] or {}
        fields = set(row["fields"] or ())
        again = (
            {name: value for name, value in said.items() if name not in fields}
            if row["held_for"] == "answer differs"
            else None
        )
        return {"is_retry": True, "said": again}

    return _decide(
        connection, chosen, "retry", by, reason, RETRYABLE, decided, writers, rejected=True, lets_go=True
    )


def accept_as_is(
    connection: Session, chosen: Chosen, *, by: str, reason: str, writers: Writers = open_writers
) -> int:
    """The target's present state is right: it becomes what was agreed, and ours yields to it. How many records.

    What drifts is accepted too: it is not shown again until the model says something else.
    """
    with connection.transaction():
        is_frozen = chosen.held_for is None or "frozen" in chosen.held_for
        drifting = drifting_keys(connection, chosen.named) if is_frozen else ()
        entries = _decide(
            connection, chosen, "accept as is", by, reason, ACCEPTABLE, _accept, writers, besides=drifting
        )
        if not is_frozen:
            return entries
        return entries + accept_drift(connection, chosen.named, by=by, reason=reason)


def edit(
    connection: Session,
    key: str,
    path: str,
    value: Any,
    *,
    by: str,
    reason: str,
    target: str | None = None,
    entity: str | None = None,
) -> str | None:
    """Override one field of a key (`Field`, `Lines/<line>/Field` or `Lines[<line>].Field`) for all diffs to come; value None takes it
    back. Returns what the source or a lookup must cure all the same, if the model objects to something.

    Raises UsageError when no key or more than one is meant, or a field or line that the record does not have.
    """
    session = connection
    with session.transaction():
        values = {"key": key, "connection": target, "entity": entity}
        rows = session.execute(query("desk", "link"), values).fetchall()
        if not rows:
            raise UsageError(
                f"No record has the key {key}{near_keys(session, key)}.",
                cure="`tieout dead-letters show` names keys whole.",
            )
        if len(rows) > 1:
            known = ", ".join(f"{row['connection']} {row['entity']}" for row in rows)
            raise UsageError(
                f"{len(rows)} records have the key {key} ({known}).", cure="Name --connection and --entity."
            )
        name = (rows[0]["connection"], rows[0]["entity"], key)
        typed, path = path, kept_path(path)
        if value is not None:
            system = {model.name: model.system for model in models_in_force(session)}.get(rows[0]["model"])
            if system is None:
                raise UsageError(f"No model in force makes {key}.", cure="Run `tieout build`.")
            refuse_unknown(path, rows[0]["payload"] or {}, system=system, entity=rows[0]["entity"])
        outbox.lock_keys(session, [name])
        row = session.execute(query("desk", "link"), values).fetchall()[0]
        overrides = {each: kept for each, kept in row["overrides"].items() if each not in (typed, path)}
        if value is None and len(overrides) == len(row["overrides"]):
            edits = ", ".join(sorted(overrides)) or "none"
            raise UsageError(f"{path} of {key} has no edit to take back.", cure=f"Its edits are: {edits}.")
        if value is not None:
            overrides[path] = {"value": value, "who": by, "why": reason}
        place = dict(zip(("connection", "entity", "key"), name, strict=True))
        session.execute(query("desk", "decide_links"), {"rows": Jsonb([{**place, "overrides": overrides}])})
        detail = {"path": path, "value": value}
        keep_decision(session, "edit", by, reason, [{**place, "detail": detail}])
        outbox.put_back(session, [name], f"edited by {by}")
    return row["cure"] or "" if row["held_for"] == "problems" else None


def _decide(
    session: Session,
    chosen: Chosen,
    verb: str,
    by: str,
    reason: str | None,
    held_for: Sequence[str],
    decided: Callable[[Row, Write], Row],
    writers: Writers,
    *,
    rejected: bool = False,
    states: Sequence[str] = (),
    lets_go: bool = False,
    besides: Sequence[str] = (),
) -> int:
    if chosen.is_everything:
        raise UsageError(
            "No entries are named.", cure="Name keys, a model, an entity, a connection or a cause."
        )
    allowed = [name for name in held_for if chosen.held_for is None or name in chosen.held_for]
    total = 0
    with session.transaction():
        values = {
            **chosen.named,
            "held_for": allowed,
            "rejected": rejected and chosen.held_for is None,
            "states": list(states) if chosen.keys or chosen.plan else [],
            "plan": chosen.plan,
            "not_causes": _not_let_go(chosen) if lets_go else [],
        }
        found = session.execute(query("desk", "chosen"), values).fetchall()
        refuse_missing(session, values, {*(row["key"] for row in found), *besides})
        outbox.lock_keys(session, [name_of(row) for row in found])
        systems = {model.name: model.system for model in models_in_force(session)}
        for entity in sorted({row["entity"] for row in found}):
            entries = [row["entry"] for row in found if row["entity"] == entity]
            total += _of_entity(
                session, entity, entries, decided, systems, writers, verb, by, reason, lets_go=lets_go,
                plan=chosen.plan,
            )  # fmt: skip
        if found:
            emit(
                Event.DECISION_MADE, verb=verb, connection=", ".join(sorted({row["connection"] for row in found})),
                entries=total, by=by, reason=reason,
            )  # fmt: skip
    return total


def _of_entity(
    session: Session,
    entity: str,
    entries: Sequence[int],
    decided: Callable[[Row, Write], Row],
    systems: Mapping[str, str],
    writers: Writers,
    verb: str,
    by: str,
    reason: str | None,
    *,
    lets_go: bool,
    plan: str | None,
) -> int:
    system = next(iter({systems[name] for name in systems if entity in writers(systems[name])}), None)
    if system is None:
        raise UsageError(f"No model in force writes {entity}.", cure="Run `tieout build`.")
    write = writers(system)[entity]
    statement = compose("desk", "entries", mirror=mirror_of(system, write))
    rows = session.execute(statement, {"entries": list(entries)}).fetchall()
    session.execute(
        query("desk", "decide_links"),
        {"rows": Jsonb([{**place_of(row), **decided(row, write)} for row in rows])},
    )
    if lets_go:
        proposed = [row for row in rows if "correction" in row["control"]]
        refuse_moved(proposed)
        corrections.begin(session, proposed, by=by, reason=reason)
        session.execute(
            query("desk", "let_go"), {"entries": [row["entry"] for row in rows if row not in proposed]}
        )
    else:
        outcome = "satisfied" if verb == "accept as is" else "discarded"
        told = f"{verb} by {by}" + (f": {reason}" if reason else "")
        outbox.close(session, [Closed(entry=row["entry"], outcome=outcome, reason=told) for row in rows])
        keys = [row["key"] for row in rows]
        session.execute(query("waiting", "release_waiters"), {"entity": entity, "keys": keys})
    session.execute(query("desk", "no_longer_new"), {"models": sorted({row["model"] for row in rows})})
    keep_decision(
        session,
        verb,
        by,
        reason,
        [
            {
                **place_of(row),
                "payload_hash": row["payload_hash"],
                "detail": {"held_for": row["held_for"], **({"plan": plan} if plan is not None else {})},
            }
            for row in rows
        ],
    )
    outbox.put_back(session, [name_of(row) for row in rows], f"{verb} by {by}")
    return len(rows)


def _not_let_go(chosen: Chosen) -> list[str]:
    """What a plan held because it moved is stale: refused, never approved. What an input lost is removed only by name."""
    return [CAUSE] if chosen.keys or chosen.cause else [CAUSE, SHRUNKEN]


def _decline(row: Row, _write: Write) -> Row:
    return {"declined_hash": row["payload_hash"]}


def _over_the_target(row: Row) -> Row:
    """Our values are written again: what the target shows now has been seen, and the disputed fields are unsaid."""
    if row["held_for"] != "target changed" or "target_now" not in row["control"]:
        return {}
    disputed = {path.partition("/")[0] for path in row["control"]["paths"]}
    said = {name: value for name, value in (row["said"] or {}).items() if name not in disputed}
    return {
        "said": said,
        "returned": row["control"]["target_now"] or None,
        "mirror_version": row["control"]["target_version"],
    }


def _accept(row: Row, write: Write) -> Row:
    record = row["record"]
    if row["held_for"] == "target changed" and row["control"].get("target_now"):
        now = row["control"]["target_now"]
        return _agreed(row, now, row["control"]["paths"], row["control"]["target_version"])
    if row["held_for"] == "answer differs" and record is not None:
        now = write.returned(row["returned"] or {}, record)
        return _agreed(row, now, row["fields"] or (), row["record_version"])
    if "correction" in row["control"]:
        return {"declined_hash": row["control"]["correction"]["drift_hash"]}
    # Nothing to take over: a record that vanished, is gone or is settled stays as it is.
    return {"declined_hash": row["payload_hash"]}


def _agreed(row: Row, now: Mapping[str, Any], paths: Sequence[str], version: int) -> Row:
    """The target's values at these paths, as ours from now on."""
    said, yielded = dict(row["said"] or {}), dict(row["yielded"])
    for path in paths:
        value = _value_at(row, now, path)
        said = with_path(said, path, value)
        yielded[path] = value
    return {"said": said, "returned": dict(now), "yielded": yielded, "mirror_version": version}


def _value_at(row: Row, now: Mapping[str, Any], path: str) -> Any:
    """A path of ours in the target's form, whose child rows have no `_line`: they stand in the order of ours."""
    name, line, inner = path_parts(path)
    if not inner:
        return get_path(now, path)
    ours, theirs = (row["said"] or {}).get(name, []), now.get(name, [])
    return next(
        (their.get(inner) for our, their in zip(ours, theirs, strict=False) if str(our.get("_line")) == line),
        None,
    )
