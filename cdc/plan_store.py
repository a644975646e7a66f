"""Saved plans: kept for ever, each under the hash of its content, with what happened to it.

Nothing here is changed once it is written: what a plan holds is its rows, how it stands is its latest event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.plan_batch import Batch, BatchEntry, Place, Row, exact
from cdc.postings import effect
from tieout.errors import UsageError
from tieout.events import Event, emit
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
What = Literal["saved", "started", "resumed", "finished", "released"]
SHORTEST = 6
"""Characters of a hash that may stand for it."""
_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A plan and how it stands."""

    plan: str
    made_at: datetime
    made_by: str
    build: str
    chosen: Mapping[str, Any]
    entries: int
    summary: Mapping[str, Any]
    """sums, accounts, costs, left_out, afterwards, unknown: as they were when it was saved."""
    what: What
    """Its latest event."""
    happened_at: datetime
    by_whom: str
    reason: str | None
    detail: Mapping[str, Any]
    bound: int
    """Entries that it binds now."""

    @property
    def is_open(self) -> bool:
        """Started and not over."""
        return self.what in ("started", "resumed")


def save(session: Session, batch: Batch, *, by: str, run: UUID | None = None) -> str:
    """Keep the batch; its hash. Saving the same batch again keeps nothing but that it was saved.

    Raises UsageError for an empty one.
    """
    if not batch.entries:
        raise UsageError(
            "There is nothing to plan: no entry would be sent.",
            cure="Run `tieout diff` first; `tieout plan` shows what is open.",
        )
    name = batch.hash
    with session.transaction():
        values = {
            "plan": name,
            "by": by,
            "run": run,
            "build": batch.build,
            "chosen": Jsonb(batch.scope.to_json()),
            "entries": len(batch.entries),
            "summary": Jsonb(summary(batch)),
        }
        if session.execute(query("plans", "insert_plan"), values).rowcount:
            rows = [_row(position, entry) for position, entry in enumerate(batch.entries, start=1)]
            for start in range(0, len(rows), _CHUNK):
                some = {"plan": name, "rows": Jsonb(rows[start : start + _CHUNK])}
                session.execute(query("plans", "insert_entries"), some)
        note(session, name, "saved", by=by, run=run)
    emit(Event.PLAN_SAVED, plan=name, entries=len(batch.entries), by=by)
    return name


def plans(
    session: Session, *, beginning: str = "", is_open: bool | None = None, limit: int = 50
) -> list[SavedPlan]:
    """Saved plans, the one that something happened to last first."""
    values = {"beginning": beginning.lower(), "is_open": is_open, "limit": limit}
    return [SavedPlan(**exact(row)) for row in session.execute(query("plans", "plans"), values)]


def find(session: Session, name: str) -> SavedPlan:
    """The plan of that hash, or of the only one that begins so. UsageError otherwise."""
    found = plans(session, beginning=name, limit=2) if len(name) >= SHORTEST else []
    if len(found) != 1:
        which = "No plan has" if not found else "Several plans have"
        raise UsageError(
            f"{which} a hash that begins with {name!r}.",
            cure=f"`tieout plans` lists them; give at least {SHORTEST} characters.",
        )
    return found[0]


def entries(
    session: Session, plan: str, *, keys: Sequence[str] | None = None, after: int = 0, limit: int | None = None
) -> list[Row]:  # fmt: skip
    """Rows of `cdc.plan_entries`, in order, with what is open for each key now (`open_…`)."""
    values = {
        "plan": plan,
        "keys": list(keys) if keys is not None else None,
        "after": after,
        "limit": limit,
    }
    rows = session.execute(query("plans", "entries"), values)
    return [{**row, "effects": exact(row["effects"])} for row in rows]


def decided(session: Session, plan: str) -> dict[Place, Row]:
    """The last decision on each payload of the plan since it was made: verb, decided_by, decided_at, reason."""
    rows = session.execute(query("plans", "decided"), {"plan": plan}).fetchall()
    return {(row["connection"], row["entity"], row["key"]): row for row in rows}


def release(session: Session, plan: str, *, by: str, reason: str, run: UUID | None = None) -> int:
    """End a started plan: what it still binds is as any other entry from now on. How many. UsageError if it is not open."""
    with session.transaction():
        session.execute(query("plans", "lock_plan"), {"plan": plan})
        known = find(session, plan)
        if not known.is_open:
            raise UsageError(
                f"Plan {plan[:12]} binds nothing: it was {known.what} at {known.happened_at:%Y-%m-%d %H:%M}.",
                cure="Only a plan that was started and is not over can be released.",
            )
        places = unbind(session, plan, f"released by {by}")
        note(session, plan, "released", by=by, run=run, reason=reason, detail={"entries": len(places)})
    emit(Event.PLAN_ENDED, plan=plan, what="released", sent=0, held=0, not_yet=len(places), by=by)
    return len(places)


def unbind(session: Session, plan: str, because: str) -> list[Place]:
    """Let go of all entries of a plan, and let the diff look at them again."""
    bound = session.execute(query("plans", "bound_keys"), {"plan": plan}).fetchall()
    outbox.lock_keys(session, [(row["connection"], row["entity"], row["key"]) for row in bound])
    rows = session.execute(query("plans", "unbind"), {"plan": plan}).fetchall()
    places = [(row["connection"], row["entity"], row["key"]) for row in rows]
    outbox.put_back(session, places, because)
    return places


def note(
    session: Session,
    plan: str,
    what: What,
    *,
    by: str,
    run: UUID | None = None,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Keep what happened to a plan."""
    values = {
        "plan": plan,
        "what": what,
        "by": by,
        "run": run,
        "reason": reason,
        "detail": Jsonb(dict(detail or {})),
    }
    session.execute(query("plans", "event"), values)


def summary(batch: Batch) -> Row:
    """What a plan comes to, as `cdc.plans.summary` keeps it."""
    return {
        "sums": _sums(batch.entries),
        "accounts": _accounts(batch.entries),
        "costs": [asdict(one) for one in batch.costs],
        "left_out": [asdict(one) for one in batch.left_out],
        "afterwards": [{**asdict(one), "follows": list(one.follows)} for one in batch.afterwards],
        # Honest about what no sum holds: entries that do something to the accounts and name no amount.
        "without_amount": sum(1 for one in batch.entries if one.posts and one.amount is None),
        "waiting_for_a_yes": sum(1 for one in batch.entries if one.state == "held"),
    }


def _sums(entries: Iterable[BatchEntry]) -> list[Row]:
    found: dict[tuple[str, str, str, str | None], list[BatchEntry]] = defaultdict(list)
    for one in entries:
        found[(one.connection, one.entity, one.operation, one.currency)].append(one)
    return [
        {
            "connection": connection,
            "entity": entity,
            "operation": operation,
            "currency": currency,
            "entries": len(some),
            "held": sum(1 for one in some if one.state == "held"),
            "waiting": sum(1 for one in some if one.state == "waiting"),
            "amount": sum((one.amount for one in some if one.amount is not None), Decimal(0)),
        }
        for (connection, entity, operation, currency), some in found.items()
    ]


def _accounts(entries: Iterable[BatchEntry]) -> list[Row]:
    by_target: dict[str, list[BatchEntry]] = defaultdict(list)
    for one in entries:
        by_target[one.connection].append(one)
    return [
        {"connection": connection, **posting.to_json()}
        for connection, some in sorted(by_target.items())
        for posting in effect([], [posting for one in some for posting in one.effects])
    ]


def _row(position: int, entry: BatchEntry) -> Row:
    names = (
        "connection", "entity", "key", "model", "source_connection", "source_id", "operation", "state", "reason", "entry",
        "link_version", "payload_hash", "digest", "amount", "currency", "document_date",
    )  # fmt: skip
    return {
        **{name: getattr(entry, name) for name in names},
        "position": position,
        "content": {"before": entry.before, "after": entry.after},
        "basis": entry.basis,
        "needs": [list(place) for place in entry.needs],
        "effects": [one.to_json() for one in entry.effects],
    }
