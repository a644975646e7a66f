"""One round of a diff: some driving records of one model, inside one transaction of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.conflicts import tell_new
from cdc.corrections import Ask, Correction, correct_of, unsettled_of
from cdc.decide import decide
from cdc.decision import COUNTING, Decision, Desired, Rules
from cdc.diff_readers import Readers
from cdc.diff_rows import (
    CONTROL,
    Counts,
    Row,
    candidates,
    desired_of,
    drift_row,
    driver_of,
    learnt,
    link_of,
    mirror_of,
    name_of,
    open_of,
    organisations,
    origin_of,
    patch_of,
    record_of,
)
from cdc.diff_work import kept_of
from cdc.field_rules import KeptRules, kept_rules
from cdc.followed import add_survivors, points_to
from cdc.links import after, merged, references
from cdc.other_way import OtherWay, other_ways
from cdc.outbound import OutboundModel
from cdc.outbox import Closed
from cdc.plan_bound import kept_to_plan
from cdc.writing import Outgoing, Write
from tieout.errors import BuildError
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]


class Round:
    """The statements of one model, composed once; `run` does one round."""

    def __init__(
        self, connection: Session, readers: Readers, model: OutboundModel, write: Write, run: UUID | None
    ) -> None:
        self._connection: Session = connection
        self._readers: Readers = readers
        self._model: OutboundModel = model
        self._write: Write = write
        self._run: UUID | None = run
        self._mirror: sql.Composable = mirror_of(model.system, write)
        kept = kept_of(connection)
        self._candidates: bytes = kept.statement("candidates", model, lambda: candidates(model, self._mirror))
        self._state: bytes = kept.statement(
            "state", model, lambda: compose("links", "state", mirror=self._mirror)
        )
        self._is_standing_read: bool = False
        self._organisations: dict[str, Row] = {}
        self._kept: KeptRules = KeptRules(model=model, kept={})
        self.effects: list[tuple[tuple[str, str], str]] = []
        """Of the last round: driving record and key of each row whose decision made, closed or named something."""

    def _values(self, drivers: Sequence[tuple[str, str]]) -> Row:
        return {
            "source_connections": [driver[0] for driver in drivers],
            "source_ids": [driver[1] for driver in drivers],
            "control": CONTROL,
            "entity": self._model.entity,
            "model": self._model.name,
        }

    def run(self, drivers: Sequence[tuple[str, str]]) -> Counts:
        """Look at these driving records. Raises BuildError for a key that the model gives twice or an empty view."""
        self.effects = []
        rows = self._read(drivers)
        if not rows:
            return Counts()
        self._read_standing()
        self._refuse_repetition(rows)
        self._refuse_emptiness(rows)
        self._lock(rows)
        states = self._read_states(rows)
        rows = self._without_moved(rows, states)
        elsewhere = self._elsewhere(rows, states)
        add_survivors(self._connection, self._mirror, self._write, [*states.values()])
        is_it = points_to(self._connection, self._write, rows, states)
        others = other_ways(self._connection, self._model, self._write, rows, states)
        decided = [
            (
                row,
                state,
                self._decide(row, state, elsewhere, partial(is_it, row["connection"]), others),
            )
            for row in rows
            for state in [states[name_of(row)]]
        ]
        return self._store(decided)

    def _read(self, drivers: Sequence[tuple[str, str]]) -> list[Row]:
        """What differs: in several sessions where that is faster."""
        statement = self._candidates
        if self._readers.pay_for(statement, len(drivers)):
            return self._readers.read(self._connection, self._model.name, statement, self._values, drivers)
        return self._connection.execute(statement, self._values(drivers), prepare=True).fetchall()

    def _read_standing(self) -> None:
        """What the target says about itself and what people decided for its fields: once a diff, when there is a difference."""
        if not self._is_standing_read:
            self._is_standing_read = True
            self._organisations = organisations(self._connection, self._model.system)
            self._kept = kept_rules(self._connection, self._model)

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
            (row["connection"], row["key"]): row
            for row in self._connection.execute(self._state, values, prepare=True)
        }
        return {name_of(row): found.get(name_of(row), {}) for row in rows}

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
        if self._model.on_missing == "keep" or not any(row["is_vanished"] for row in rows):
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
            if not row["is_vanished"]
            and (state := states[name_of(row)])
            and driver_of(state) != driver_of(row)
        ]
        if foreign:
            before = [states[name_of(row)] for row in foreign]
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
        return [
            row for row in rows if not row["is_vanished"] or driver_of(states[name_of(row)]) == driver_of(row)
        ]

    def _elsewhere(self, rows: Sequence[Row], states: Mapping[tuple[str, str], Row]) -> dict[str, str]:
        """Other targets in which keys that are not linked here are linked already."""
        keys = [row["key"] for row in rows if not states[name_of(row)].get("target_id")]
        if not keys:
            return {}
        values = {"model": self._model.name, "entity": self._model.entity, "keys": keys}
        found = self._connection.execute(query("links", "linked_elsewhere"), values).fetchall()
        here = {name_of(row) for row in rows if not row["is_vanished"]}
        return {row["key"]: row["connection"] for row in found if (row["connection"], row["key"]) not in here}

    def _decide(
        self,
        row: Row,
        state: Row,
        elsewhere: Mapping[str, str],
        is_it: Callable[[str, Any, Any], bool],
        others: Mapping[tuple[str, str], OtherWay],
    ) -> Decision:
        other = others.get(name_of(row), OtherWay())
        link = link_of(state)
        desired = None if row["is_vanished"] else desired_of(row, elsewhere.get(row["key"]))
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
            on_target_change=partial(self._kept.owner, row["connection"]),
            on_both_changed=partial(self._kept.winner, row["connection"]),
            newer=other.newer,
            is_echo=other.is_echo,
            taken_back=other.taken_back,
            agreed_there=other.agreed_there,
            same=write.same,
            returned=write.returned,
            frozen=lambda record: write.frozen(record, organisation),
            still_differs=still_differs,
            correct=lambda wanted, payload: self._correct(row, state, wanted, payload),
            reverse=lambda wanted: self._correct(row, state, wanted, wanted.payload, is_gone=True),
            unsettled=unsettled_of(model.system, model.entity),
            points_to=is_it,
        )
        opened = open_of(state)
        return kept_to_plan(decide(desired, link, opened, record_of(state), rules), opened)

    def _store(self, decided: Sequence[tuple[Row, Row, Decision]]) -> Counts:
        entity = self._model.entity
        closed = [
            Closed(entry=state["entry"], outcome="replaced", reason=decision.why or None)
            for _, state, decision in decided
            if state.get("entry") is not None and decision.verb in ("drop", "put")
        ]
        outbox.close(self._connection, closed)
        outbox.hold_moved(
            self._connection,
            {state["entry"]: decision.why for _, state, decision in decided if decision.verb == "moved"},
        )
        outbox.insert(
            self._connection,
            [
                self._entry(row, state, decision)
                for row, state, decision in decided
                if decision.entry is not None
            ],
            self._run,
        )
        patches = [
            patch_of(self._model.name, row, decision)
            for row, state, decision in decided
            if learnt(row, state, decision)
        ]
        if patches:
            self._connection.execute(query("links", "patch"), {"entity": entity, "rows": Jsonb(patches)})
        merged_now = [name_of(row) for row, _, decision in decided if "followed_id" in decision.patch]
        if merged_now:
            names, keys = zip(*merged_now, strict=True)
            values = {"connections": list(names), "keys": list(keys)}
            self._connection.execute(query("links", "put_back_disputes"), values)
        tell_new(self._model.name, decided)
        new_drift = {(row["connection"], row["key"]) for row in self._store_drift(decided) if row["is_new"]}
        self.effects = [
            ((row["source_connection"], row["source_id"]), row["key"])
            for row, state, decision in decided
            if decision.entry is not None
            or (state.get("entry") is not None and decision.verb == "drop")
            or name_of(row) in new_drift
        ]
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

    def _entry(self, row: Row, state: Row, decision: Decision) -> Row:
        wanted = decision.entry
        if wanted is None:
            raise AssertionError("only a decision with an entry makes one")
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
            "build": self._model.build,
            "origin": origin_of(row, state, decision),
        }

    def _store_drift(self, decided: Sequence[tuple[Row, Row, Decision]]) -> list[Row]:
        drifting = [
            drift_row(
                self._model, row, state, decision.drift, self._organisations.get(row["connection"]) or {}
            )
            for row, state, decision in decided
            if decision.drift is not None
        ]
        calm = [row for row, _, decision in decided if decision.drift is None and decision.verb != "leave"]
        values = {
            "entity": self._model.entity,
            "connections": [row["connection"] for row in calm],
            "keys": [row["key"] for row in calm],
        }
        self._connection.execute(query("diff", "no_drift"), values)
        if not drifting:
            return []
        return self._connection.execute(query("diff", "drift"), {"rows": Jsonb(drifting)}).fetchall()

    def _correct(
        self, row: Row, state: Row, desired: Desired, payload: Mapping[str, Any], *, is_gone: bool = False
    ) -> Correction | None:
        """How the target's document would be corrected to this payload, or reversed when it is gone."""
        correct = correct_of(self._model.system, self._model.entity)
        if correct is None or state.get("record") is None:
            return None
        return correct(
            Ask(
                key=row["key"],
                number=state["generation"],
                said=state["said"] or {},
                record=state["record"],
                organisation=self._organisations.get(row["connection"]),
                modelled=desired.payload,
                wanted=payload,
                total=desired.total,
                is_gone=is_gone,
            )
        )
