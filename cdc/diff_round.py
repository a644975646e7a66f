"""One round of a diff: some driving records of one model, inside one transaction of the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.decide import COUNTING, Decision, Desired, Link, Mirror, Open, Rules, Wanted, decide
from cdc.links import after, merged, references
from cdc.outbound import CONTROL_COLUMNS, OutboundModel
from cdc.outbox import Closed
from cdc.writing import Outgoing, Write
from tieout.errors import BuildError
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]

_CONTROL = [*CONTROL_COLUMNS, "_identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What rounds did."""

    created: int = 0
    updated: int = 0
    removed: int = 0
    dropped: int = 0
    skipped: int = 0
    drift: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            removed=self.removed + other.removed,
            dropped=self.dropped + other.dropped,
            skipped=self.skipped + other.skipped,
            drift=self.drift + other.drift,
        )


class Round:
    """The statements of one model, composed once; `run` does one round."""

    def __init__(self, connection: Session, model: OutboundModel, write: Write, run: UUID | None) -> None:
        self._connection: Session = connection
        self._model: OutboundModel = model
        self._write: Write = write
        self._run: UUID | None = run
        self._candidates: sql.Composed = _candidates(model, mirror_of(model.system, write))
        self._state: sql.Composed = compose("links", "state", mirror=mirror_of(model.system, write))
        self._organisations: dict[str, Row] = _organisations(connection, model.system)

    def run(self, drivers: Sequence[tuple[str, str]]) -> Counts:
        """Look at these driving records. Raises BuildError for a key that the model gives twice or an empty view."""
        rows = self._connection.execute(
            self._candidates,
            {
                "source_connections": [driver[0] for driver in drivers],
                "source_ids": [driver[1] for driver in drivers],
                "control": _CONTROL,
                "entity": self._model.entity,
                "model": self._model.name,
            },
        ).fetchall()
        if not rows:
            return Counts()
        self._refuse_repetition(rows)
        self._refuse_emptiness(rows)
        self._lock(rows)
        states = self._read_states(rows)
        rows = self._without_moved(rows, states)
        elsewhere = self._elsewhere(rows, states)
        decided = [
            (row, states[_name(row)], self._decide(row, states[_name(row)], elsewhere.get(row["key"])))
            for row in rows
        ]
        return self._store(decided)

    def _lock(self, rows: Sequence[Row]) -> None:
        """Make the links, then lock them and those that the rows refer to, in one order: the snapshot after it is ours."""
        made = [row for row in rows if not row["is_vanished"] and row["skip"] is None]
        self._connection.execute(
            query("links", "make"),
            {
                "entity": self._model.entity,
                "model": self._model.name,
                "connections": [row["connection"] for row in made],
                "keys": [row["key"] for row in made],
                "source_connections": [row["source_connection"] for row in made],
                "source_ids": [row["source_id"] for row in made],
            },
        )
        keys = {(row["connection"], self._model.entity, row["key"]) for row in rows}
        for row in made:
            for reference in merged(references(row["payload"]), after(row["after"])):
                keys.add((reference.connection or row["connection"], reference.entity, reference.key))
        outbox.lock_keys(self._connection, keys)

    def _read_states(self, rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
        values = {
            "entity": self._model.entity,
            "connections": [row["connection"] for row in rows],
            "keys": [row["key"] for row in rows],
        }
        found = {
            (row["connection"], row["key"]): row for row in self._connection.execute(self._state, values)
        }
        return {_name(row): found.get(_name(row), {}) for row in rows}

    def _refuse_repetition(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row["copies"] > 1:
                raise BuildError(
                    f"{self._model.name} gives the key {row['key']} {row['copies']} times.",
                    cure="A key names one record for ever: correct the grain of the model, then run `tieout build`.",
                )
            if row["repeated_lines"] > 0:
                raise BuildError(
                    f"The lines of {row['key']} in {self._model.name} have a _line twice or none.",
                    cure="Each line of a document needs a _line of its own.",
                )

    def _refuse_emptiness(self, rows: Sequence[Row]) -> None:
        if not any(row["is_vanished"] for row in rows):
            return
        empty = self._connection.execute(compose("diff", "is_empty", view=self._model.relation)).fetchone()
        if empty is not None and empty["is_empty"]:
            raise BuildError(
                f"The view of {self._model.name} is empty, though records of it are in a target.",
                cure="An empty input never removes anything: look at its staging tables and lookups.",
            )

    def _without_moved(self, rows: list[Row], states: Mapping[tuple[str, str], Row]) -> list[Row]:
        """Keys that other driving records gave before: they moved here, or two records give the same key."""
        foreign = [
            row
            for row in rows
            if not row["is_vanished"] and (state := states[_name(row)]) and _driver(state) != _driver(row)
        ]
        if foreign:
            before = [states[_name(row)] for row in foreign]
            values = {
                "source_connections": [state["source_connection"] for state in before],
                "source_ids": [state["source_id"] for state in before],
                "keys": [row["key"] for row in foreign],
            }
            statement = compose("diff", "still_there", view=self._model.relation)
            twice = self._connection.execute(statement, values).fetchone()
            if twice is not None:
                raise BuildError(
                    f"{self._model.name} gives the key {twice['key']} twice, once for {twice['source_id']}.",
                    cure="A key names one record for ever: correct the grain of the model, then run `tieout build`.",
                )
        # A link that another driving record took over meanwhile has not vanished.
        return [row for row in rows if not row["is_vanished"] or _driver(states[_name(row)]) == _driver(row)]

    def _elsewhere(self, rows: Sequence[Row], states: Mapping[tuple[str, str], Row]) -> dict[str, str]:
        """Other targets in which keys that are not linked here are linked already."""
        keys = [row["key"] for row in rows if not states[_name(row)].get("target_id")]
        values = {"model": self._model.name, "entity": self._model.entity, "keys": keys}
        found = self._connection.execute(query("links", "linked_elsewhere"), values).fetchall()
        here = {_name(row) for row in rows if not row["is_vanished"]}
        return {row["key"]: row["connection"] for row in found if (row["connection"], row["key"]) not in here}

    def _decide(self, row: Row, state: Row, elsewhere: str | None) -> Decision:
        link = _link(state)
        desired = None if row["is_vanished"] else _desired(row, elsewhere)
        organisation = self._organisations.get(row["connection"])
        model, write = self._model, self._write

        def still_differs(payload: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
            plain = {name: value for name, value in payload.items() if not references(value)}
            total = Decimal(row["total"]) if row["total"] is not None else None
            outgoing = Outgoing(
                entry=0, key=row["key"], operation="update", payload=plain, target_id=link.target_id, total=total,
                line_ids=state.get("line_ids") or {},
            )  # fmt: skip
            return bool(write.differs(outgoing, record))

        rules = Rules(
            line_fields=tuple(lines.field for lines in model.lines),
            amend=model.amend,
            on_missing=model.on_missing,
            on_target_change=model.rule_for_target_change,
            same=write.same,
            returned=write.returned,
            frozen=lambda record: write.frozen(record, organisation),
            still_differs=still_differs,
        )
        return decide(desired, link, _open(state), _mirror(state), rules)

    def _store(self, decided: Sequence[tuple[Row, Row, Decision]]) -> Counts:
        entity = self._model.entity
        closed = [
            Closed(entry=state["entry"], outcome="replaced", reason=decision.why or None)
            for _, state, decision in decided
            if state.get("entry") is not None and decision.verb in ("drop", "put")
        ]
        outbox.close(self._connection, closed)
        outbox.insert(
            self._connection,
            [
                self._entry(row, state, decision.entry)
                for row, state, decision in decided
                if decision.entry is not None
            ],
            self._run,
        )
        patches = [
            _patch(self._model.name, row, decision)
            for row, state, decision in decided
            if _learnt(row, state, decision)
        ]
        if patches:
            self._connection.execute(query("links", "patch"), {"entity": entity, "rows": Jsonb(patches)})
        self._store_drift(decided)
        made = [decision.entry.operation for _, _, decision in decided if decision.entry is not None]
        return Counts(
            created=made.count("create"),
            updated=made.count("update"),
            removed=made.count("remove"),
            dropped=sum(
                1 for _, state, decision in decided if state.get("entry") and decision.verb == "drop"
            ),
            skipped=sum(1 for row, _, _ in decided if row["skip"] is not None),
            drift=sum(1 for _, _, decision in decided if decision.drift is not None),
        )

    def _entry(self, row: Row, state: Row, wanted: Wanted) -> Row:
        held = wanted.held
        counting = held is None and not wanted.is_approved
        return {
            "connection": row["connection"],
            "entity": self._model.entity,
            "key": row["key"],
            "model": self._model.name,
            "source_connection": row["source_connection"],
            "source_id": row["source_id"],
            "operation": wanted.operation,
            "state": "held" if held is not None or counting else "waiting",
            "held_for": held.held_for if held is not None else "guard" if counting else None,
            "payload": wanted.payload,
            "payload_hash": wanted.payload_hash,
            "fields": list(wanted.fields) if wanted.fields is not None else None,
            "control": wanted.control,
            "link_version": state.get("version", 0),
            "waits_for": [reference.to_json() for reference in wanted.waits_for],
            "amount": Decimal(row["total"]) if row["total"] is not None else None,
            "currency": row["currency"],
            "document_date": row["day"],
            "cause": held.cause if held is not None else COUNTING if counting else None,
            "reason": held.reason if held is not None else None,
            "cure": held.cure if held is not None else None,
            "who": held.who if held is not None else None,
        }

    def _store_drift(self, decided: Sequence[tuple[Row, Row, Decision]]) -> None:
        drifting = [
            {
                "connection": row["connection"],
                "entity": self._model.entity,
                "key": row["key"],
                "model": self._model.name,
                "frozen_because": decision.drift.frozen_because,
                "desired": decision.drift.desired,
                "fields": list(decision.drift.fields),
                "amount": Decimal(row["total"]) if row["total"] is not None else None,
                "currency": row["currency"],
            }
            for row, _, decision in decided
            if decision.drift is not None
        ]
        calm = [row for row, _, decision in decided if decision.drift is None and decision.verb != "leave"]
        values = {
            "entity": self._model.entity,
            "connections": [row["connection"] for row in calm],
            "keys": [row["key"] for row in calm],
        }
        self._connection.execute(query("diff", "no_drift"), values)
        if drifting:
            self._connection.execute(query("diff", "drift"), {"rows": Jsonb(drifting)})


def mirror_of(system: str, write: Write) -> sql.Composable:
    """The staging table of the entity, or an empty relation when it is not mirrored."""
    if write.stream is None:
        return compose("links", "no_mirror")
    return sql.Identifier("staging", f"{system}__{write.stream}")


def _candidates(model: OutboundModel, mirror: sql.Composable) -> sql.Composed:
    aliases = [sql.Identifier(f"lines_{number}") for number in range(len(model.lines))]
    joins = [
        compose("diff", "line_join", view=lines.relation, alias=alias)
        for lines, alias in zip(model.lines, aliases, strict=True)
    ]
    pairs = [
        sql.SQL("{}, {}.rows").format(sql.Literal(lines.field), alias)
        for lines, alias in zip(model.lines, aliases, strict=True)
    ]
    return compose(
        "diff",
        "candidates",
        view=model.relation,
        mirror=mirror,
        lines=sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs)),
        line_problems=sql.SQL(" || ").join(
            [sql.SQL("'[]'::jsonb"), *(sql.SQL("{}.problems").format(a) for a in aliases)]
        ),
        repeated=sql.SQL(" + ").join([sql.SQL("0"), *(sql.SQL("{}.repeated").format(a) for a in aliases)]),
        line_joins=sql.SQL("\n").join(joins),
    )


def _organisations(connection: Session, system: str) -> dict[str, Row]:
    """What each target of the system says about itself, by connection; nothing when that is not mirrored."""
    table = sql.Identifier("staging", f"{system}__organisations")
    try:
        with connection.transaction():
            rows = connection.execute(compose("diff", "organisation", table=table)).fetchall()
    except psycopg.errors.UndefinedTable:
        return {}
    return {row["connection"]: row["payload"] for row in rows}


def _desired(row: Row, elsewhere: str | None) -> Desired:
    problems = [item for item in [*(row["problems"] or []), *(row["line_problems"] or [])] if isinstance(item, Mapping)]
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
        moved_from=elsewhere,
    )


def _link(state: Row) -> Link:
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
        if_taken=state["if_taken"],
        overrides=state["overrides"],
        yielded=state["yielded"],
        identity=state["identity"],
        approved_hash=state["approved_hash"],
        declined_hash=state["declined_hash"],
        rejected_hash=state["rejected_hash"],
    )


def _open(state: Row) -> Open | None:
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
    )


def _mirror(state: Row) -> Mirror | None:
    if not state or state["record_version"] is None:
        return None
    return Mirror(
        version=state["record_version"], payload=state["record"], is_deleted=bool(state["is_deleted"])
    )


def _learnt(row: Row, state: Row, decision: Decision) -> bool:
    if decision.verb == "leave" or row["is_vanished"] or not state:
        return False
    return bool(decision.patch) or _driver(row) != _driver(state)


def _patch(model: str, row: Row, decision: Decision) -> Row:
    return {
        "connection": row["connection"],
        "key": row["key"],
        "model": model,
        "source_connection": row["source_connection"],
        "source_id": row["source_id"],
        **decision.patch,
    }


def _name(row: Row) -> tuple[str, str]:
    return (row["connection"], row["key"])


def _driver(row: Row) -> tuple[Any, Any]:
    return (row.get("source_connection"), row.get("source_id"))
