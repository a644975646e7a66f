"""The words in which the diff decides: what a model wants, what is known about a key, and what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from cdc.both_ways import Side, Take
from cdc.corrections import Correction
from cdc.links import Reference
from cdc.outbound import Amend, OnMissing, OnTargetChange
from cdc.writing import Operation

IN_FLIGHT = ("sending", "in_doubt")
COUNTING = "counting"
"""Cause of an entry whose diff has not ended: how many there are decides whether they are held."""
MISSING_REFERENCE = "reference to nothing"
GUARD_CURE = "Look at `tieout plan`, then approve with `tieout holds approve`, or refuse."


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """A row of an outbound model."""

    payload: dict[str, Any]
    skip: str | None = None
    hold: str | None = None
    gone: str | None = None
    problems: tuple[Mapping[str, Any], ...] = ()
    total: Decimal | None = None
    currency: str | None = None
    day: str | None = None
    if_taken: dict[str, Any] | None = None
    after: object = None
    expect: dict[str, Any] | None = None
    identity: dict[str, Any] | None = None
    """What must not change under one key, else the source used a number twice."""
    both_ways: tuple[str, ...] = ()
    """Fields that the other side sends as well: agreed, source and target are compared three ways."""
    moved_from: str | None = None
    """Another target connection to which this key is linked already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What we know about a key; the defaults are those of an empty link."""

    version: int = 0
    generation: int = 1
    target_id: str | None = None
    said: dict[str, Any] | None = None
    returned: dict[str, Any] | None = None
    mirror_version: int | None = None
    is_gone: bool = False
    is_adopted: bool = False
    """Others made the record; it was only linked."""
    followed_id: str | None = None
    """The record into which the target merged it."""
    if_taken: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    yielded: Mapping[str, Any] = field(default_factory=dict)
    two_way: Mapping[str, Any] = field(default_factory=dict)
    """By field what `both_ways` must remember: source, value, conflict, turns."""
    identity: dict[str, Any] | None = None
    approved_hash: str | None = None
    declined_hash: str | None = None
    rejected_hash: str | None = None
    correction: Mapping[str, Any] | None = None
    """asked: a person wants it corrected; waits_for: what the new document of an approved correction waits for."""
    reversal: Mapping[str, Any] | None = None
    """A person takes it back: run, by, reason, after (what settles it and goes first), said (the hash for which it holds)."""

    @property
    def is_corrected_anew(self) -> bool:
        """A correction was approved, and its new document is not made yet."""
        return bool(self.correction and self.correction.get("waits_for")) and not (
            self.target_id or self.is_gone
        )

    @property
    def is_live(self) -> bool:
        """The target has the record."""
        return self.target_id is not None and not self.is_gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The entry that is open for a key."""

    entry: int
    operation: str
    state: str
    held_for: str | None
    payload_hash: str
    fields: tuple[str, ...] | None
    link_version: int
    control: Mapping[str, Any]
    cause: str | None = None
    reason: str | None = None
    plan: str | None = None
    """The started plan that binds it."""
    planned: Mapping[str, Any] | None = None
    """Its payload, if a plan binds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """The target's record in its staging table."""

    version: int
    payload: dict[str, Any]
    is_deleted: bool = False
    survivor: str | None = None
    """The record into which the target merged this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the model and the writer say; all functions are pure."""

    line_fields: tuple[str, ...] = ()
    amend: Amend = "open_only"
    on_missing: OnMissing = "hold"
    on_target_change: Callable[[str], OnTargetChange]
    same: Callable[[str, object, object], bool]
    returned: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    frozen: Callable[[Mapping[str, Any]], str | None]
    on_both_changed: Callable[[str], Take] = lambda _field: "hold"
    """Of a field that both sides send: whose value stays when both changed it."""
    newer: Callable[[str], Side | None] = lambda _field: None
    is_echo: Callable[[str], bool] = lambda _field: False
    taken_back: Callable[[str], int] = lambda _field: 0
    agreed_there: Callable[[str], Any] = lambda _field: None
    still_differs: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] = lambda _payload, _record: True
    correct: Callable[[Desired, Mapping[str, Any]], Correction | None] = lambda _desired, _payload: None
    """How the target's document is corrected to this payload; None: it cannot be."""
    reverse: Callable[[Desired], Correction | None] = lambda _desired: None
    """How the target's document is reversed when it is gone at its source; None: a person does it."""
    unsettled: Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Mapping[str, Any]] = (
        lambda record, _after: record
    )
    """The target's record as it will be without these payments and allocations."""
    points_to: Callable[[str, Any, Any], bool] = lambda _path, _desired, _held: False
    """Is this the record that a reference of ours means now?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a person must look."""

    held_for: str
    cause: str
    reason: str
    cure: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The entry that should be open."""

    operation: Operation
    payload: dict[str, Any]
    payload_hash: str
    fields: tuple[str, ...] | None
    control: dict[str, Any]
    waits_for: tuple[Reference, ...]
    held: Held | None = None
    is_approved: bool = False
    """A person approved exactly this: the guard does not count it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A difference on a document that may no longer change."""

    frozen_because: str
    desired: dict[str, Any]
    fields: tuple[str, ...]
    payload_hash: str = ""
    """What accepting it as it is holds for."""


Verb = Literal["leave", "keep", "drop", "put", "moved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """leave: touch nothing. keep: the open entry, if any, is right. drop: no entry. put: `entry` replaces the open one.
    moved: the open entry, which a plan binds, is held as it is (`cdc/plan_bound.py`)."""

    verb: Verb
    why: str = ""
    entry: Wanted | None = None
    patch: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the link to set: said, returned, yielded, two_way, identity, mirror_version, followed_id."""
    drift: Drift | None = None
