"""What there is for a diff to do: one statement over all outbound models, without a look at any view.

A session that diffs again and again keeps its plans: planning a large view costs more than running it for one record. The
plans are generic, made for any key, and read by key whatever the tables hold (`tests/db/test_diff_work.py` holds that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql

from cdc.outbound import SET_LOCK, OutboundModel, models_in_force
from tieout.db import lock_key
from tieout.queries import query

ATTEMPTS = 5

Session = psycopg.Connection[dict[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What waits."""

    names: tuple[str, ...]
    """All outbound models in force: what others refer to first, then by name."""
    waiting: frozenset[str]
    """Those with changed keys, a sweep that is due, or entries that a diff which died left uncounted."""
    has_changes: bool
    """Records changed since the last fan-out."""
    has_removals: bool
    unread: Mapping[str, tuple[str, ...]]
    """Models that read streams whose first load is not at its end, with connection and name of each. What such a model says of a
    part of the records (a second invoice without the first) is not what it will say of all."""
    referring: tuple[str, ...]
    """Targets with entries that wait for a record, or that refer to nothing."""


def look(session: Session) -> Work:
    """What waits now."""
    rows = session.execute(query("diff", "work"), prepare=True).fetchall()
    return Work(
        names=tuple(row["model"] for row in rows if row["model"] is not None),
        waiting=frozenset(row["model"] for row in rows if row["is_waiting"]),
        has_changes=any(row["has_changes"] for row in rows),
        has_removals=any(row["has_removals"] for row in rows),
        unread={row["model"]: tuple(row["unread"]) for row in rows if row["unread"]},
        referring=tuple(rows[0]["referring"]) if rows else (),
    )


@dataclass(slots=True, kw_only=True)
class Kept:
    """What a session keeps between diffs."""

    build: str = ""
    models: tuple[OutboundModel, ...] = ()
    statements: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """By name and model."""

    def statement(self, name: str, model: OutboundModel, compose: Callable[[], sql.Composed]) -> bytes:
        """A statement of a model, composed once."""
        known = self.statements.get((name, model.name))
        if known is None or self.build != model.build:
            known = compose().as_bytes()
            if self.build == model.build:
                self.statements[name, model.name] = known
        return known


_kept: WeakKeyDictionary[Session, Kept] = WeakKeyDictionary()


def kept_of(session: Session) -> Kept:
    """Plan the statements of this session once, for any key, and keep all of them."""
    if session not in _kept:
        session.execute(query("diff", "generic_plans"))
        session.prepared_max = None
        _kept[session] = Kept()
    return _kept[session]


def models_of(session: Session, names: Iterable[str]) -> list[OutboundModel]:
    """These models as they are now, in the order of reference. What a build said of them is read once a session."""
    kept = kept_of(session)
    rows = session.execute(query("diff", "models_now"), {"names": sorted(names)}, prepare=True).fetchall()
    states = {row["model"]: row for row in rows}
    if {row["build"] for row in rows} != {kept.build} or not states.keys() <= {
        model.name for model in kept.models
    }:
        kept.models = models_in_force(session)
        kept.build = rows[0]["build"] if rows else ""
        kept.statements.clear()
        return [model for model in kept.models if model.name in states]
    return [_as_now(model, states[model.name]) for model in kept.models if model.name in states]


def _as_now(model: OutboundModel, row: Mapping[str, Any]) -> OutboundModel:
    return replace(model, sweep_due=row["sweep_due"], is_new=row["is_new"], is_changed=row["is_changed"])


class Switched(Exception):
    """`build` switched to another set of models between two rounds."""


def pin(session: Session, model: OutboundModel) -> None:
    """Keep the set in force until this transaction ends. Raises Switched when it is no longer the model's."""
    keep_set(session)
    refuse_switched(model, session.execute(query("diff", "build_in_force"), prepare=True).fetchone())


def keep_set(session: Session) -> None:
    """Let no `build` switch until this transaction ends; what the next statement says is in force stays so."""
    session.execute(query("diff", "begin_round"), {"key": lock_key(SET_LOCK)}, prepare=True)


def refuse_switched(model: OutboundModel, row: Mapping[str, Any] | None) -> None:
    """Switched, unless the `build` in force is the model's."""
    if row is None or row["build"] != model.build:
        raise Switched


def attempt(step: Callable[[], T]) -> T:
    """Do a round; one that meets another's locks crosswise is rolled back by the server and done again."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return step()
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
    raise AssertionError("the last attempt raises")


def lock_models(session: Session, names: Sequence[str]) -> None:
    """One diff at a time a model: wait for those that are at it, in order of name."""
    session.execute(query("diff", "lock_models"), {"keys": _keys(names)})


def unlock_models(session: Session, names: Sequence[str]) -> None:
    """Give the locks back, unless they ended with the session."""
    if not session.closed and not session.broken:
        session.execute(query("diff", "unlock_models"), {"keys": _keys(names)})


def _keys(names: Sequence[str]) -> list[int]:
    return [lock_key(f"diff:{name}") for name in sorted(names)]
