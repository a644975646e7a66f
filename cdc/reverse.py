"""Taking back what a run wrote: `runs` finds it, `ask` marks its records, the diff proposes, a person approves, `drain` sends.

Nothing is sent from here. A draft is deleted, an approved document that nobody paid is voided, a payment and an allocation are
removed before what they settle, a paid or locked document is credited in the first open day. What cannot be taken back is
named with the reason: what was only changed, what is master data, what a target lets nobody remove.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from cdc import archived, outbox
from cdc.corrections import MODEL
from cdc.desk_frozen import keep_decision, name_of, place_of
from cdc.links import references
from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import Write, open_writers
from tieout.errors import RetryLater, UsageError
from tieout.events import Event, emit
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
Writers = Callable[[str], Mapping[str, Write]]
SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command that ran, and what it wrote to targets."""

    run: UUID
    command: str
    arguments: Mapping[str, Any]
    host: str
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    written: tuple[Mapping[str, Any], ...]
    """connection, entity, operation, currency, entries, amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A record that cannot be taken back, and why."""

    connection: str
    entity: str
    key: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was marked."""

    run: UUID
    marked: int
    left: tuple[Left, ...]
    models: tuple[str, ...]
    """To be diffed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One record that a reversal takes back, once it is approved."""

    connection: str
    entity: str
    key: str
    how: str
    """removed, credited by a document of that number and date, or why not in this way."""
    state: str
    held_for: str | None
    cause: str | None
    reason: str | None
    cure: str | None
    amount: Decimal | None
    currency: str | None
    reversing: Mapping[str, Any] | None
    """The document that credits it."""
    after: tuple[str, ...]
    """Entity and key of what is removed first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The whole reversal, as it waits for a yes."""

    steps: tuple[Step, ...]
    waiting: tuple[str, ...] = field(default_factory=tuple)
    """Entity and key of entries that refer to it and are not sent: they will wait or need a person."""


def runs(session: Session, *, limit: int = 20, everything: bool = False) -> list[Run]:
    """The last runs that called a target, or all, the newest first."""
    rows = session.execute(query("reverse", "runs"), {"limit": limit, "everything": everything}).fetchall()
    return [Run(**{**row, "written": tuple(row["written"])}) for row in rows]


def find(session: Session, prefix: str) -> UUID:
    """The run whose id begins so. UsageError when there is none or more than one."""
    if len(prefix) < SHORTEST_PREFIX:
        raise UsageError(f"{prefix!r} is too short to name a run.", cure="`tieout runs` lists them.")
    found = session.execute(query("reverse", "find"), {"prefix": prefix.lower()}).fetchall()
    if len(found) != 1:
        words = "No run" if not found else "More than one run"
        gone = archived.files(session, "runs") if not found else []
        raise UsageError(
            f"{words} begins with {prefix}{'; older ones are ' + archived.sentence(gone) if gone else ''}.",
            cure="`tieout runs` lists them with their whole id.",
        )
    run: UUID = found[0]["run"]
    return run


def ask(
    session: Session,
    run: UUID,
    *,
    by: str,
    reason: str,
    target: str | None = None,
    entity: str | None = None,
    writers: Writers = open_writers,
) -> Asked:
    """Mark what a run made, so that the next diff proposes to take it back. Sends nothing.

    RetryLater while a call of the run is in doubt; UsageError when the run wrote nothing that is asked for.
    """
    with session.transaction():
        doubt = session.execute(query("reverse", "unsettled_calls"), {"run": run}).fetchone()
        if doubt is not None and doubt["calls"]:
            raise RetryLater(
                f"{doubt['calls']} call(s) of this run are not settled: nobody knows yet what it wrote.",
                cure="Run `tieout drain`, then ask again.",
            )
        values = {"run": run, "connection": target, "entity": entity}
        names = {name_of(row) for row in session.execute(query("reverse", "written"), values)}
        if not names:
            began = session.execute(query("reverse", "began"), {"run": run}).fetchone()
            gone = archived.files(session, "outbox_done", since=began["started_at"]) if began else []
            raise UsageError(
                f"Run {str(run)[:8]} wrote nothing of that"
                + (f", or what it wrote is {archived.sentence(gone)}." if gone else "."),
                cure="`tieout runs` says what each run wrote.",
            )
        outbox.lock_keys(session, names)
        rows = session.execute(query("reverse", "written"), values).fetchall()
        models = {model.name: model for model in models_in_force(session)}
        chosen, left = _choose(rows, models, writers)
        marks = [
            {
                **place_of(row),
                "reversal": {"run": str(run), "by": by, "reason": reason, "after": _after(row, chosen)},
            }
            for row in chosen
        ]
        session.execute(query("reverse", "mark"), {"rows": Jsonb(marks)})
        told = [{**place_of(row), "payload_hash": None, "detail": {"run": str(run)}} for row in chosen]
        keep_decision(session, "ask for reversal", by, reason, told)
        outbox.put_back(
            session, [name_of(row) for row in chosen], f"reversal of run {str(run)[:8]} asked for by {by}"
        )
    emit(
        Event.DECISION_MADE, verb="ask for reversal", connection=", ".join(sorted({row["connection"] for row in chosen})),
        entries=len(chosen), by=by, reason=reason,
    )  # fmt: skip
    return Asked(
        run=run, marked=len(chosen), left=tuple(left), models=tuple(sorted({row["model"] for row in chosen}))
    )


def proposed(session: Session, run: UUID) -> Proposed:
    """What the diff made of it: how each record is taken back, and what refers to it."""
    rows = session.execute(query("reverse", "proposed"), {"run": run}).fetchall()
    waiting = session.execute(query("reverse", "waiting_on"), {"run": run}).fetchall()
    return Proposed(
        steps=tuple(_step(row) for row in rows),
        waiting=tuple(f"{row['entity']} {row['key']}" for row in waiting),
    )


def _choose(
    rows: Sequence[Row], models: Mapping[str, OutboundModel], writers: Writers
) -> tuple[list[Row], list[Left]]:
    """What can be taken back, each record once; and what cannot, with the reason."""
    chosen: dict[tuple[str, str, str], Row] = {}
    left: dict[tuple[str, str, str], Left] = {}
    for row in rows:
        why = _why_not(row, models.get(row["model"]), writers)
        if why is None:
            chosen[name_of(row)] = row
        else:
            left[name_of(row)] = Left(**place_of(row), why=why)
    # What the run both made and changed is taken back as what it made.
    return [*chosen.values()], [each for name, each in left.items() if name not in chosen]


def _why_not(row: Row, model: OutboundModel | None, writers: Writers) -> str | None:
    if row["operation"] == "remove":
        return "it was removed; a removed record cannot be brought back, only made anew when the model says something else"
    if row["operation"] == "update":
        return f"it was changed and not made by this run; what changed: `tieout why {row['key']}`"
    if row["model"] == MODEL:
        return "it is part of a correction; correct or reverse it in the target"
    if row["is_gone"] or not row["is_same"] or row["target_id"] is None:
        return "it is not there any more"
    if row["is_adopted"]:
        return "others made it; it was only linked"
    if model is None:
        return f"no model in force makes it ({row['model']})"
    write = writers(model.system)[model.entity]
    if model.amend == "once":
        return "it was said once, and the target lets nobody take it back"
    if write.adopts or row["amount"] is None:
        return "it is master data and moves no money; others may use it by now"
    return None


def _after(row: Row, chosen: Sequence[Row]) -> list[Row]:
    """Payments and allocations of this reversal that settle or use up the record: they go first."""
    found = []
    targets = {(each["entity"], each["key"]): each["target_id"] for each in chosen}
    for each in chosen:
        named = [(one.entity, one.key) for one in references(each["said"] or {})]
        if each["connection"] == row["connection"] and (row["entity"], row["key"]) in named:
            # A document shows what settles it by its own id, or by the id of the credit that is used up.
            ids = [
                each["target_id"],
                *(targets[name] for name in named if name in targets and name != (row["entity"], row["key"])),
            ]
            found.append(
                {"entity": each["entity"], "key": each["key"], "ids": ids, "amount": str(each["amount"] or 0)}
            )
    return found


def _step(row: Row) -> Step:
    reversing = row["reversing"]
    if row["is_credited"]:
        number = (reversing or {}).get("CreditNoteNumber") or (reversing or {}).get("InvoiceNumber")
        how = f"credited by {number}, dated {(reversing or {}).get('Date')}"
    elif row["state"] == "held" and row["held_for"] != "hold":
        how = "a person must do it in the target"
    else:
        how = "removed"
    first = [f"{each['entity']} {each['key']}" for each in row["waits_for"] if each.get("gone")]
    names = (
        "connection",
        "entity",
        "key",
        "state",
        "held_for",
        "cause",
        "reason",
        "cure",
        "amount",
        "currency",
        "reversing",
    )
    return Step(**{name: row[name] for name in names}, how=how, after=tuple(first))
