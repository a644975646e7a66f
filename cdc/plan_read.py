"""What a plan holds, read in one look at the outbox.

An entry is in the batch when it would be sent, or waits only for the yes that a plan can be given, and when all that it
waits for is in the target or in the batch too. Everything else of the same scope is told as left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import psycopg

from cdc.diff_rows import mirror_of, organisations
from cdc.outbound import pin_set
from cdc.plan_batch import Afterwards, Batch, BatchEntry, LeftOut, Place, Row, Scope, entry_of
from cdc.plan_cost import cost_of
from cdc.writing import Operation, Write
from tieout.errors import BuildError
from tieout.queries import compose, query
from tieout.settings import Settings

Session = psycopg.Connection[dict[str, Any]]
Writers = Callable[[str], Mapping[str, Write]]
_OPERATIONS: Sequence[Operation] = get_args(Operation)


def materialise(session: Session, settings: Settings, scope: Scope, writers: Writers) -> Batch:
    """The batch as it is now. Raises BuildError before the first build, ConfigurationError for a lost connection."""
    with session.transaction():
        session.execute(query("plans", "snapshot"))
        build = set_in_force(session)
        found = session.execute(query("plans", "in_scope"), scope.values()).fetchall()
        rows = rows_of(session, settings, found, writers)
        unmet = unmet_of(session, rows)
        rows = complete(rows, unmet)
        by_connection = writers_of(settings, rows, writers)
        entries = in_order(entries_of(session, settings, rows), by_connection)
        left = session.execute(
            query("plans", "left_out"), {**scope.values(), "entries": [row["entry"] for row in rows]}
        ).fetchall()
        return Batch(
            build=build,
            scope=scope,
            entries=tuple(replace(one, needs=tuple(sorted(unmet.get(one.entry, set())))) for one in entries),
            costs=cost_of(rows, by_connection),
            left_out=tuple(LeftOut(**row) for row in left),
            afterwards=_afterwards(session, settings, entries, by_connection),
        )


def set_in_force(session: Session) -> str:
    """The build in force, kept as it is until this transaction ends. BuildError before the first."""
    build = pin_set(session)
    if build is None:
        raise BuildError("No models are in force.", cure="Run `tieout build`.")
    return build


def rows_of(session: Session, settings: Settings, found: Sequence[Row], writers: Writers) -> list[Row]:
    """The entries named by `found` (entry, connection, entity), with their links and the target's records."""
    rows: list[Row] = []
    kinds = {(settings.connection(row["connection"]).system, row["entity"]) for row in found}
    for system, entity in sorted(kinds):
        write = writers(system)[entity]
        entries = [
            row["entry"]
            for row in found
            if row["entity"] == entity and settings.connection(row["connection"]).system == system
        ]
        statement = compose("plans", "rows", mirror=mirror_of(system, write))
        rows += session.execute(statement, {"entity": entity, "entries": entries}).fetchall()
    return sorted(rows, key=lambda row: int(row["entry"]))


def entries_of(session: Session, settings: Settings, rows: Sequence[Row]) -> list[BatchEntry]:
    """Rows as a batch has them, with what they do to the accounts."""
    systems = {row["connection"]: settings.connection(row["connection"]).system for row in rows}
    known = {system: organisations(session, system) for system in set(systems.values())}
    return [
        entry_of(row, systems[row["connection"]], known[systems[row["connection"]]].get(row["connection"]))
        for row in rows
    ]


def unmet_of(session: Session, rows: Sequence[Row]) -> dict[int, set[Place]]:
    """What each entry still waits for."""
    found: dict[int, set[Place]] = {}
    values = {"entries": [row["entry"] for row in rows]}
    for row in session.execute(query("plans", "unmet"), values):
        found.setdefault(row["entry"], set()).add((row["connection"], row["entity"], row["key"]))
    return found


def complete(rows: Sequence[Row], unmet: Mapping[int, set[Place]]) -> list[Row]:
    """The rows without those that wait, at whatever remove, for something that is not among them."""
    left = {place_of(row): row for row in rows}
    while True:
        short = [
            place for place, row in left.items() if not unmet.get(row["entry"], set()) <= left.keys()
        ]  # fmt: skip
        if not short:
            return list(left.values())
        for place in short:
            del left[place]


def in_order(
    entries: Sequence[BatchEntry], writers: Mapping[str, Mapping[str, Write]]
) -> list[BatchEntry]:  # fmt: skip
    """As a drain sends them: by target, in the order in which entities depend on each other."""
    places = {name: list(some) for name, some in writers.items()}
    return sorted(
        entries,
        key=lambda one: (
            one.connection,
            places[one.connection].index(one.entity),
            _OPERATIONS.index(one.operation),
            one.entry,
        ),
    )


def writers_of(
    settings: Settings, rows: Sequence[Row], writers: Writers
) -> dict[str, Mapping[str, Write]]:  # fmt: skip
    """The writers of each target of these rows."""
    return {name: writers(settings.connection(name).system) for name in {row["connection"] for row in rows}}


def place_of(row: Row) -> Place:
    """What names a row."""
    return (row["connection"], row["entity"], row["key"])


def _afterwards(
    session: Session,
    settings: Settings,
    entries: Sequence[BatchEntry],
    writers: Mapping[str, Mapping[str, Write]],
) -> tuple[Afterwards, ...]:
    """Models of other systems that follow what the answers will show (a status back): their entries come later."""
    streams: dict[str, dict[str, str]] = {}
    for one in entries:
        system, stream = (
            settings.connection(one.connection).system,
            writers[one.connection][one.entity].stream,
        )
        if stream is not None:
            streams.setdefault(system, {})[f"{system}__{stream}"] = one.entity
    found: dict[str, Afterwards] = {}
    for system, tables in sorted(streams.items()):
        values = {"system": system, "tables": sorted(tables)}
        for row in session.execute(query("plans", "afterwards"), values):
            known = found.get(row["model"])
            follows = {*(known.follows if known else ()), tables[row["follows"]]}
            found[row["model"]] = Afterwards(
                model=row["model"],
                system=row["system"],
                entity=row["entity"],
                follows=tuple(sorted(follows)),
            )
    return tuple(found.values())
