"""Between the rows of the diff's statements and the words in which it decides."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from cdc.decision import Decision, Desired, Drift, Link, Mirror, Open
from cdc.once import Once
from cdc.outbound import CONTROL_COLUMNS, OPTIONAL_COLUMNS, OutboundModel
from cdc.postings import Setting, effect, posts_of
from cdc.writing import Write
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]

CONTROL = [*CONTROL_COLUMNS, *OPTIONAL_COLUMNS]
"""Columns that are no field of the payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What rounds did."""

    created: int = 0
    updated: int = 0
    removed: int = 0
    dropped: int = 0
    skipped: int = 0
    drift: int = 0

    @property
    def made(self) -> int:
        """Entries."""
        return self.created + self.updated + self.removed

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            removed=self.removed + other.removed,
            dropped=self.dropped + other.dropped,
            skipped=self.skipped + other.skipped,
            drift=self.drift + other.drift,
        )


def mirror_of(system: str, write: Write) -> sql.Composable:
    """The staging table of the entity, or an empty relation when it is not mirrored."""
    if write.stream is None:
        return compose("links", "no_mirror")
    return sql.Identifier("staging", f"{system}__{write.stream}")


def candidates(model: OutboundModel, mirror: sql.Composable) -> sql.Composed:
    """The statement `candidates` of a model, with its lines."""
    once = model.once
    lines, line_joins = with_lines(model, once)
    aliases = _aliases(model.lines)
    return compose(
        "diff",
        "candidates",
        once=sql.SQL("") if once is None else once.rows,
        view=model.relation if once is None else _inlined(once.header),
        mirror=mirror,
        lines=lines,
        line_problems=sql.SQL(" || ").join(
            [sql.SQL("'[]'::jsonb"), *(sql.SQL("{}.problems").format(a) for a in aliases)]
        ),
        repeated=sql.SQL(" + ").join([sql.SQL("0"), *(sql.SQL("{}.repeated").format(a) for a in aliases)]),
        line_joins=line_joins,
    )


def _inlined(text: str) -> sql.Composable:
    """The SQL of a model in the place of its view."""
    return sql.SQL("({})").format(sql.SQL(text.replace("%", "%%")))


def organisations(connection: Session, system: str) -> dict[str, Row]:
    """What each target of the system says about itself, by connection; nothing when that is not mirrored.

    Asked before, not tried: psycopg forgets every prepared statement of a session that rolls anything back, and the plans of the
    views are most of what a small diff costs.
    """
    name = f"{system}__organisations"
    asked = connection.execute(query("diff", "is_mirrored"), {"table": f"staging.{name}"}).fetchone()
    if asked is None or not asked["is_mirrored"]:
        return {}
    table = sql.Identifier("staging", name)
    rows = connection.execute(compose("diff", "organisation", table=table)).fetchall()
    return {row["connection"]: row["payload"] for row in rows}


def desired_of(row: Row, elsewhere: str | None) -> Desired:
    """A row of `candidates` as the decision sees it."""
    problems = [
        item
        for item in [*(row["problems"] or []), *(row["line_problems"] or [])]
        if isinstance(item, Mapping)
    ]
    return Desired(
        payload=row["payload"],
        skip=row["skip"],
        hold=row["hold"],
        gone=row["gone"],
        problems=tuple(problems),
        total=Decimal(row["total"]) if row["total"] is not None else None,
        currency=row["currency"],
        day=row["day"],
        if_taken=row["if_taken"],
        after=row["after"],
        expect=row["expect"],
        identity=row["identity"],
        both_ways=tuple(row["both_ways"] or ()),
        moved_from=elsewhere,
    )


def link_of(state: Row) -> Link:
    """The link in a row of `state`."""
    if not state:
        return Link()
    return Link(
        version=state["version"],
        generation=state["generation"],
        target_id=state["target_id"],
        said=state["said"],
        returned=state["returned"],
        mirror_version=state["mirror_version"],
        is_gone=state["is_gone"],
        is_adopted=state["is_adopted"],
        followed_id=state["followed_id"],
        if_taken=state["if_taken"],
        overrides=state["overrides"],
        yielded=state["yielded"],
        two_way=state["two_way"],
        identity=state["identity"],
        approved_hash=state["approved_hash"],
        declined_hash=state["declined_hash"],
        rejected_hash=state["rejected_hash"],
        correction=state["correction"],
        reversal=state["reversal"],
    )


def open_of(state: Row) -> Open | None:
    """The open entry in a row of `state`, if there is one."""
    if not state or state["entry"] is None:
        return None
    return Open(
        entry=state["entry"],
        operation=state["operation"],
        state=state["state"],
        held_for=state["held_for"],
        payload_hash=state["payload_hash"],
        fields=tuple(state["fields"]) if state["fields"] is not None else None,
        link_version=state["link_version"],
        control=state["control"],
        cause=state["cause"],
        reason=state["reason"],
        plan=state["plan"],
        planned=state["planned"],
    )


def record_of(state: Row) -> Mirror | None:
    """The target's record in a row of `state`, if it is mirrored."""
    if not state or state["record_version"] is None:
        return None
    return Mirror(
        version=state["record_version"],
        payload=state["record"],
        is_deleted=bool(state["is_deleted"]),
        survivor=state.get("survivor"),
    )


def learnt(row: Row, state: Row, decision: Decision) -> bool:
    """Is there anything to be stored on the link?"""
    if decision.verb == "leave" or row["is_vanished"] or not state:
        return False
    return bool(decision.patch) or driver_of(row) != driver_of(state)


def patch_of(model: str, row: Row, decision: Decision) -> Row:
    """What is to be stored on the link."""
    return {
        "connection": row["connection"],
        "key": row["key"],
        "model": model,
        "source_connection": row["source_connection"],
        "source_id": row["source_id"],
        **decision.patch,
    }


def origin_of(row: Row, state: Row, decision: Decision) -> Row:
    """What an entry was made from beside the models and the mirror: with it the payload can be computed again."""
    beside = {
        "if_taken": bool(state.get("if_taken")) and row["if_taken"],
        "yielded": decision.patch.get("yielded", state.get("yielded")),
        "overrides": state.get("overrides"),
    }
    kept = {name: value for name, value in beside.items() if value}
    return {"snapshot": row["snapshot"], "version": row["read_at"], **kept}


def name_of(row: Row) -> tuple[str, str]:
    """Which link a row is about."""
    return (row["connection"], row["key"])


def driver_of(row: Row) -> tuple[Any, Any]:
    """Which record drives it."""
    return (row.get("source_connection"), row.get("source_id"))


def drift_row(
    model: OutboundModel, row: Row, state: Row, drift: Drift, organisation: Mapping[str, Any]
) -> Row:
    """A difference on a frozen document, and what it would have done to the accounts."""
    posts = posts_of(model.system, model.entity)
    effects = []
    if posts is not None:
        setting = Setting(
            currency=row["currency"],
            day=row["day"],
            base_currency=organisation.get("BaseCurrency"),
            record=state.get("record"),
        )
        before = posts(state.get("said") or {}, setting)
        effects = [one.to_json() for one in effect(before, posts(drift.desired, setting))]
    return {
        "effects": effects,
        "payload_hash": drift.payload_hash,
        "day": row["day"],
        "connection": row["connection"],
        "entity": model.entity,
        "key": row["key"],
        "model": model.name,
        "frozen_because": drift.frozen_because,
        "desired": drift.desired,
        "fields": list(drift.fields),
        "amount": Decimal(row["total"]) if row["total"] is not None else None,
        "currency": row["currency"],
    }


def with_lines(model: OutboundModel, once: Once | None = None) -> tuple[sql.Composed, sql.Composed]:
    """The lines of a row of a model as one object, and the joins that bring them; `once`: what they are worked out over, where the
    row is.
    """
    return joined_lines(
        {
            lines.field: lines.relation if once is None else _inlined(once.lines[lines.field])
            for lines in model.lines
        }
    )


def joined_lines(views: Mapping[str, sql.Composable]) -> tuple[sql.Composed, sql.Composed]:
    """The lines of a row `v` as one object by field, and the joins that bring them, from the view of each field."""
    aliases = _aliases(views)
    pairs = [
        sql.SQL("{}, {}.rows").format(sql.Literal(field), alias)
        for field, alias in zip(views, aliases, strict=True)
    ]
    joins = [
        compose("diff", "line_join", view=view, alias=alias)
        for view, alias in zip(views.values(), aliases, strict=True)
    ]
    return sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs)), sql.SQL("\n").join(joins)


def _aliases(fields: Sized) -> list[sql.Identifier]:
    """What the lines of each field are called in a statement."""
    return [sql.Identifier(f"lines_{number}") for number in range(len(fields))]
