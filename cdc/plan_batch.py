"""The words in which a saved plan is told, and the hash that names it.

    digest of an entry   what is sent, before and after; what it starts from; what it refers to; the money
    hash of the plan     the build in force (models and lookups) and the digests, in whatever order

The state and number of an entry are not part of it: an approval, or a diff that finds nothing else, changes no hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cdc.postings import Posting, Setting, effect, posts_of
from cdc.writing import Operation
from tieout.db import canonical_hash

Row = dict[str, Any]
Place = tuple[str, str, str]
"""Connection, entity, key."""
GUARDED = ("guard",)
WITH_HOLDS = ("guard", "hold", "lock date")
"""What waits for a yes of its own, too."""
_NOT_CONTENT = ("alone",)
"""Control that says how an entry is sent, and not what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How a plan is narrowed."""

    connection: str | None = None
    entity: str | None = None
    key: str | None = None
    """Only entries whose key begins so."""
    holds: bool = False
    """Also what waits for a yes of its own (a model's hold, a lock date), not only what the guard holds."""

    def to_json(self) -> Row:
        """As `cdc.plans` keeps it."""
        return {name: getattr(self, name) for name in ("connection", "entity", "key", "holds")}

    def values(self) -> Row:
        """As the statements take it."""
        held_for = list(WITH_HOLDS if self.holds else GUARDED)
        return {
            "connection": self.connection,
            "entity": self.entity,
            "key": self.key,
            "held_for": held_for,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """One entry of a batch."""

    connection: str
    entity: str
    key: str
    model: str
    source_connection: str
    source_id: str
    operation: Operation
    state: str
    reason: str | None
    """Why it is held."""
    entry: int
    link_version: int
    payload_hash: str
    before: Mapping[str, Any]
    """The fields that are sent, as the target has them as far as was agreed; of a removal all of them."""
    after: Mapping[str, Any]
    basis: Mapping[str, Any]
    """What else the digest covers."""
    amount: Decimal | None
    currency: str | None
    document_date: str | None
    digest: str
    needs: tuple[Place, ...] = ()
    """Entries of the batch that are sent first."""
    effects: tuple[Posting, ...] = ()
    posts: bool = False
    """Entries of this kind do something to the accounts."""

    @property
    def place(self) -> Place:
        """What names it."""
        return (self.connection, self.entity, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What sending entries of one kind takes of the target's budget. The looks before a change come on top."""

    connection: str
    entity: str
    operation: Operation
    entries: int
    calls: int
    size: int
    """Bytes of the requests' bodies; ids that the target has yet to give count as ids of the usual length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Open entries of the scope that the batch does not hold."""

    connection: str
    entity: str
    reason: str
    currency: str | None
    entries: int
    amount: Decimal
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """What answers will cause, and the plan does not hold."""

    model: str
    system: str
    entity: str
    follows: tuple[str, ...]
    """Kinds of records of this plan whose answers it follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All of it, in the order in which it is sent."""

    build: str
    scope: Scope
    entries: tuple[BatchEntry, ...]
    costs: tuple[Cost, ...]
    left_out: tuple[LeftOut, ...]
    afterwards: tuple[Afterwards, ...]

    @property
    def hash(self) -> str:
        """The name of the plan."""
        return plan_hash(self.build, (entry.digest for entry in self.entries))


def exact(value: Any) -> Any:
    """What was kept as JSON, its amounts as they were: a whole one comes back from the database as an int."""
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {
            name: Decimal(item) if name in ("amount", "base") and isinstance(item, int) else exact(item)
            for name, item in value.items()
        }
    return value


def digest(place: Place, content: Mapping[str, Any], basis: Mapping[str, Any]) -> str:
    """The hash of one entry: a field, line, reference, amount or link that is another makes another hash."""
    return canonical_hash({"place": list(place), "content": content, "basis": basis})


def plan_hash(build: str, digests: Iterable[str]) -> str:
    """The hash of a batch, whatever the order of its entries."""
    return canonical_hash({"build": build, "entries": sorted(digests)})


def entry_of(row: Row, system: str, organisation: Mapping[str, Any] | None) -> BatchEntry:
    """A row of the outbox with its link, as a batch has it."""
    before, after = _content(row)
    basis = _basis(row)
    posts = posts_of(system, row["entity"])
    return BatchEntry(
        connection=row["connection"],
        entity=row["entity"],
        key=row["key"],
        model=row["model"],
        source_connection=row["source_connection"],
        source_id=row["source_id"],
        operation=row["operation"],
        state=row["state"],
        reason=row["reason"] or row["cause"],
        entry=row["entry"],
        link_version=row["link_version"],
        payload_hash=row["payload_hash"],
        before=before,
        after=after,
        basis=basis,
        amount=row["amount"],
        currency=row["currency"],
        document_date=_day(row),
        digest=digest((row["connection"], row["entity"], row["key"]), {"before": before, "after": after}, basis),
        effects=_effects(row, system, organisation),
        posts=posts is not None,
    )  # fmt: skip


def _content(row: Row) -> tuple[Row, Row]:
    """The fields that are sent, before and after."""
    payload, said = row["payload"], row["said"] or {}
    if row["operation"] == "remove":
        return dict(said), {}
    names = row["fields"] if row["fields"] is not None else sorted(payload)
    return (
        {name: said[name] for name in names if name in said},
        {name: payload[name] for name in names if name in payload},
    )


def _basis(row: Row) -> Row:
    control = {name: value for name, value in row["control"].items() if name not in _NOT_CONTENT}
    return {
        "model": row["model"],
        "operation": row["operation"],
        "fields": sorted(row["fields"]) if row["fields"] is not None else None,
        # Covers the whole payload, also what is not sent, as approvals do.
        "payload_hash": row["payload_hash"],
        "control": control,
        "waits_for": sorted(row["waits_for"], key=canonical_hash),
        "amount": row["amount"],
        "currency": row["currency"],
        "day": _day(row),
        "target_id": row["target_id"],
        "generation": row["generation"],
        "is_gone": row["is_gone"],
        "said": canonical_hash(row["said"]) if row["said"] is not None else None,
    }


def _day(row: Row) -> str | None:
    return row["document_date"].isoformat() if row["document_date"] is not None else None


def _effects(row: Row, system: str, organisation: Mapping[str, Any] | None) -> tuple[Posting, ...]:
    posts = posts_of(system, row["entity"])
    if posts is None:
        return ()
    setting = Setting(
        currency=row["currency"],
        day=_day(row),
        base_currency=(organisation or {}).get("BaseCurrency"),
        record=row["record"],
    )
    # A link that is gone holds what was agreed of the record before it.
    is_new = row["operation"] == "create"
    before = [] if is_new or not row["said"] else posts(row["said"], setting)
    after = [] if row["operation"] == "remove" else posts(row["payload"], setting)
    return tuple(effect(before, after))
