"""Fields that both sides changed, or that go to and fro: what waits, and what people decide about it.

A field that both directions send waits in both; it is shown once, and settled in both by one decision: the source of one
direction is the target of the other. A decision may be kept as a rule for all records of that kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.decision import Decision
from cdc.desk_frozen import keep_decision
from cdc.links import with_path
from cdc.named import nearest
from cdc.other_way import OtherWay, other_ways, pairs_of
from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import open_writers
from tieout.errors import UsageError
from tieout.events import Event, emit
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
Kept = Literal["source", "target", "newest", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """When a side was changed last by somebody else: as its system says, when we saw it, and by what."""

    at: datetime | None
    seen_at: datetime
    told_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One field that waits, as the direction into `connection` sees it."""

    connection: str
    source_connection: str
    entity: str
    key: str
    model: str
    field: str
    why: str
    rule: str
    """The rule that holds in this direction."""
    other_rule: str | None
    """The rule of the other direction, where that sends the field too."""
    agreed: Any
    source: Any
    target: Any
    source_moved: Moved | None
    target_moved: Moved | None

    @property
    def is_fight(self) -> bool:
        """It goes to and fro."""
        return self.why != "both sides changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """A decision that was kept: one field in one direction."""

    rule: int
    connection: str
    entity: str
    field: str
    take: Kept
    kept_at: datetime
    kept_by: str
    reason: str | None
    withdrawn_at: datetime | None
    withdrawn_by: str | None


def conflicts(
    session: Session, *, connection: str | None = None, entity: str | None = None, key: str | None = None
) -> list[Conflict]:
    """What waits for a person, each field once, with three values and who changed what when."""
    models = {model.name: model for model in models_in_force(session)}
    rows = _open(session, connection, entity, key)
    everything = rows if key is None and connection is None and entity is None else _open(session)
    shown: set[tuple[str, str, str, str]] = set()
    found: list[Conflict] = []
    others = _others(session, models, rows)
    for row in rows:
        twins = _twins(row, everything, models)
        if any(_place(twin) in shown for twin in twins):
            continue
        shown.add(_place(row))
        other = others.get((row["connection"], row["entity"], row["key"]), OtherWay())
        found.append(_shown(row, other, twins))
    return found


def count(session: Session) -> int:
    """How many fields wait, each direction counted."""
    row = session.execute(query("conflicts", "count")).fetchone()
    return int(row["waiting"]) if row is not None else 0


def settle(
    session: Session,
    key: str,
    *,
    field: str | None,
    take: Any,
    by: str,
    reason: str,
    connection: str | None = None,
    entity: str | None = None,
    keep: bool = False,
) -> int:
    """Settle the fields of a key that wait (or one of them): `source`, `target`, the name of a connection, or a value.

    How many fields. Nothing is sent by it: the next diff sends what was decided. With `keep` the choice is a rule from now on.
    Raises UsageError when nothing waits there, or when a value is to be kept as a rule.
    """
    with session.transaction():
        models = {model.name: model for model in models_in_force(session)}
        waiting = _open(session)
        rows = [
            row
            for row in waiting
            if row["key"] == key
            and field in (None, row["field"])
            and connection in (None, row["connection"])
            and entity in (None, row["entity"])
        ]
        if not rows:
            of_key = sorted({row["field"] for row in waiting if row["key"] == key})
            near = (
                nearest(field, of_key) if field and of_key else nearest(key, {row["key"] for row in waiting})
            )
            raise UsageError(
                f"No field{f' {field}' if field else ''} of {key} waits for a decision{near}.",
                cure="`tieout conflicts` lists what waits.",
            )
        chosen = _both_directions(rows, waiting, models, take)
        if keep and any(side == "value" for _, side in chosen):
            raise UsageError(
                "A value is no rule.", cure="Take `source` or `target` to keep the choice for all records."
            )
        _store(session, chosen, take)
        _keep(session, chosen, take, by, reason)
        if keep:
            _keep_rules(session, chosen, by, reason)
        names = [_name(row) for row, _ in chosen]
        outbox.put_back(session, sorted(set(names)), f"conflict settled by {by}")
        emit(
            Event.DECISION_MADE, verb="settle", connection=", ".join(sorted({row["connection"] for row in rows})),
            entries=len(rows), by=by, reason=reason,
        )  # fmt: skip
    return len(rows)


def rules(session: Session, *, also_withdrawn: bool = False) -> list[FieldRule]:
    """The rules that people kept, the newest first."""
    rows = session.execute(query("conflicts", "rules"), {"also_withdrawn": also_withdrawn})
    return [FieldRule(**row) for row in rows]


def withdraw(session: Session, rule: int, *, by: str, reason: str) -> int:
    """Let the rule of the models hold again. How many fields. UsageError when no such rule is in force."""
    with session.transaction():
        rows = session.execute(query("conflicts", "withdraw_rule"), {"rule": rule, "by": by}).fetchall()
        if not rows:
            raise UsageError(f"No rule {rule} is in force.", cure="`tieout conflicts rules` lists them.")
        told = [{**row, "key": f"rule {rule}", "payload_hash": None, "detail": dict(row)} for row in rows]
        keep_decision(session, "withdraw rule", by, reason, told)
        _look_again(session, rows, f"rule {rule} withdrawn by {by}")
    return len(rows)


def tell_new(model: str, decided: Sequence[tuple[Row, Row, Decision]]) -> None:
    """Say which fields wait for a person from now on. Each: the row of the model, what was known, the decision."""
    for row, state, decision in decided:
        known = state.get("two_way") or {}
        for name, now in (decision.patch.get("two_way") or {}).items():
            if "conflict" in now and "conflict" not in known.get(name, {}):
                emit(
                    Event.DIFF_CONFLICT, model=model, connection=row["connection"], key=row["key"], field=name,
                    reason=now["conflict"]["why"],
                )  # fmt: skip


def _open(
    session: Session, connection: str | None = None, entity: str | None = None, key: str | None = None
) -> list[Row]:
    values = {"connection": connection, "entity": entity, "key": key}
    return session.execute(query("conflicts", "open"), values).fetchall()


def _others(
    session: Session, models: Mapping[str, OutboundModel], rows: Sequence[Row]
) -> dict[tuple[str, str, str], OtherWay]:
    found: dict[tuple[str, str, str], OtherWay] = {}
    for name in sorted({row["model"] for row in rows} & models.keys()):
        model = models[name]
        some = [{**row, "both_ways": [row["field"]]} for row in rows if row["model"] == name]
        fields = {(row["connection"], row["key"]): [] for row in some}  # type: dict[tuple[str, str], list[str]]
        for row in some:
            fields[row["connection"], row["key"]].append(row["field"])
        asked = [{**row, "both_ways": fields[row["connection"], row["key"]]} for row in some]
        write = open_writers(model.system)[model.entity]
        for (connection, key), other in other_ways(session, model, write, asked).items():
            found[connection, model.entity, key] = other
    return found


def _shown(row: Row, other: OtherWay, twins: Sequence[Row]) -> Conflict:
    conflict, told = row["conflict"], other.told(row["field"])
    return Conflict(
        connection=row["connection"],
        source_connection=row["source_connection"],
        entity=row["entity"],
        key=row["key"],
        model=row["model"],
        field=row["field"],
        why=conflict["why"],
        rule=conflict["rule"],
        other_rule=twins[0]["conflict"]["rule"] if twins else None,
        agreed=conflict["agreed"],
        source=conflict["source"],
        target=conflict["target"],
        source_moved=_moved(told["source"]),
        target_moved=_moved(told["target"]),
    )


def _moved(row: Row | None) -> Moved | None:
    if row is None:
        return None
    return Moved(at=row["modified_at"], seen_at=row["changed_at"], told_by=row["told_by"])


def _twins(row: Row, waiting: Sequence[Row], models: Mapping[str, OutboundModel]) -> list[Row]:
    """The same field as it waits in the other direction."""
    model = models.get(row["model"])
    pairs = pairs_of(model, list(models.values())) if model is not None else {}
    return [
        other
        for other in waiting
        if other["field"] in pairs.get(other["model"], {}).get(row["field"], ())
        and other["connection"] == row["source_connection"]
        and other["source_connection"] == row["connection"]
        and (other["source_id"] == row["target_id"] or other["target_id"] == row["source_id"])
    ]


def _side(row: Row, take: Any) -> str:
    """Whose value is meant, seen from this direction."""
    if take in ("source", row["source_connection"]):
        return "source"
    return "target" if take in ("target", row["connection"]) else "value"


def _both_directions(
    rows: Sequence[Row], waiting: Sequence[Row], models: Mapping[str, OutboundModel], take: Any
) -> list[tuple[Row, str]]:
    """What is settled together: a field, the same in the other direction, and what that one holds besides."""
    chosen: dict[tuple[str, str, str, str], tuple[Row, str]] = {}
    left = [(row, _side(row, take)) for row in rows]
    while left:
        row, side = left.pop()
        if _place(row) in chosen:
            continue
        chosen[_place(row)] = (row, side)
        left += [(twin, _opposite(side)) for twin in _twins(row, waiting, models)]
    return [chosen[place] for place in sorted(chosen)]


def _opposite(side: str) -> str:
    # A value of a person's is written to one side; the other leaves its own until that arrives.
    return "source" if side == "target" else "target"


def _store(session: Session, chosen: Sequence[tuple[Row, str]], take: Any) -> None:
    outbox.lock_keys(session, [_name(row) for row, _ in chosen])
    names = sorted({_name(row) for row, _ in chosen})
    values = dict(zip(("connections", "entities", "keys"), map(list, zip(*names, strict=True)), strict=True))
    links = {_name(row): row for row in session.execute(query("conflicts", "links"), values)}
    for row, side in chosen:
        link, field = links[_name(row)], row["field"]
        conflict = link["two_way"].get(field, {}).get("conflict")
        if conflict is None:
            raise UsageError(
                f"{field} of {row['key']} does not wait any more.", cure="Look at `tieout conflicts` again."
            )
        links[_name(row)] = _settled(link, field, conflict, side, take)
    session.execute(query("conflicts", "store"), {"rows": Jsonb(list(links.values()))})


def _settled(link: Row, field: str, conflict: Row, side: str, take: Any) -> Row:
    """The link as the decision leaves it; what was agreed is the target's value, until ours is written."""
    two_way = {name: state for name, state in link["two_way"].items() if name != field}
    value = conflict["ours"] if side == "source" else conflict["theirs"] if side == "target" else take
    if conflict["is_shared"]:
        two_way[field] = {"source": conflict["source"], "value": value}
    elif side == "target":
        link = {**link, "yielded": {**link["yielded"], field: value}}
    elif side == "value":
        override = {"value": take, "who": "conflict", "why": "settled"}
        link = {**link, "overrides": {**link["overrides"], field: override}}
    return {**link, "said": with_path(link["said"], field, conflict["target"]), "two_way": two_way}


def _keep(session: Session, chosen: Sequence[tuple[Row, str]], take: Any, by: str, reason: str) -> None:
    told = [
        {
            **{name: row[name] for name in ("connection", "entity", "key")},
            "payload_hash": None,
            "detail": {
                "field": row["field"],
                "took": side if side != "value" else take,
                **{name: row["conflict"][name] for name in ("why", "rule", "agreed", "source", "target")},
            },
        }
        for row, side in chosen
    ]
    keep_decision(session, "settle", by, reason, told)


def _keep_rules(session: Session, chosen: Sequence[tuple[Row, str]], by: str, reason: str) -> None:
    number = session.execute(query("conflicts", "next_rule")).fetchone()
    assert number is not None  # noqa: S101 (a sequence always answers)
    kept = {(row["connection"], row["entity"], row["field"]): side for row, side in chosen}
    for (connection, entity, field), side in sorted(kept.items()):
        values = {
            "rule": number["rule"], "connection": connection, "entity": entity, "field": field, "take": side, "by": by,
            "reason": reason,
        }  # fmt: skip
        session.execute(query("conflicts", "replace_rule"), values)
        session.execute(query("conflicts", "keep_rule"), values)
    rows = [
        {"connection": connection, "entity": entity, "field": field} for connection, entity, field in kept
    ]
    told = [
        {**row, "key": f"rule {number['rule']}", "payload_hash": None, "detail": {"take": kept[tuple(row.values())], **row}}
        for row in rows
    ]  # fmt: skip
    keep_decision(session, "keep rule", by, reason, told)
    _look_again(session, rows, f"rule {number['rule']} kept by {by}")


def _look_again(session: Session, rows: Sequence[Row], because: str) -> None:
    """What waits for a person in these fields may be settled by the rule that holds now."""
    for row in rows:
        values = {name: row[name] for name in ("connection", "entity", "field")}
        names = [_name(each) for each in session.execute(query("conflicts", "waiting_for"), values)]
        if names:
            outbox.put_back(session, names, because)


def _name(row: Row) -> tuple[str, str, str]:
    return (row["connection"], row["entity"], row["key"])


def _place(row: Row) -> tuple[str, str, str, str]:
    return (*_name(row), row["field"])
