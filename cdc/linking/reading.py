"""Reading both sides for the linker: rows of ours without a record in their target, and what a target's mirror shows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Set
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from cdc.diff_rows import CONTROL, with_lines
from cdc.linking.faces import Face
from cdc.linking.matching import BEFORE_CUT_OVER, Matcher, OurRow
from cdc.links import references
from cdc.outbound import OutboundModel
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
DRIVERS = 500
FETCHED = 1000


class References:
    """What rows refer to: by links, by what this run has chosen, and by the names of rows read before."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._targets: dict[tuple[str, str, str], str] = {}
        self._names: dict[tuple[str, str, str], str] = {}
        self._asked: set[tuple[str, str, str]] = set()
        self._connection = ""

    def choose(self, connection: str, entity: str, key: str, target_id: str) -> None:
        """This run has chosen a record for a key: what refers to the key may count on it."""
        self._targets[connection, entity, key] = target_id

    def name(self, connection: str, entity: str, key: str, name: str) -> None:
        """What a row is called."""
        self._names[connection, entity, key] = name

    def read_for(self, connection: str, rows: Sequence[OurRow]) -> None:
        """Ask the links about all that these rows refer to; afterwards the answers are for this connection."""
        self._connection = connection
        wanted = {
            (connection, reference.entity, reference.key)
            for row in rows
            for reference in references(row.payload)
        } - self._asked
        if not wanted:
            return
        self._asked |= wanted
        ordered = sorted(wanted)
        values = {
            "connection": connection,
            "entities": [one[1] for one in ordered],
            "keys": [one[2] for one in ordered],
        }
        for row in self._session.execute(query("linking", "known"), values):
            place = (connection, row["entity"], row["key"])
            if row["target_id"] is not None:
                self._targets[place] = row["target_id"]
            if row["name"] is not None:
                self._names.setdefault(place, row["name"])

    def target_of(self, entity: str, key: str) -> str | None:
        """The target's id of a key."""
        return self._targets.get((self._connection, entity, key))

    def name_of(self, entity: str, key: str) -> str | None:
        """What it is called on our side."""
        return self._names.get((self._connection, entity, key))


def drivers_of(
    session: Session, model: OutboundModel, *, since: date | None = None, until: date | None = None
) -> Iterator[list[tuple[str, str]]]:
    """The driving records of a model, some at a time; with days, those that drive rows dated between them.

    Uses the room of a sweep, so one model after the other.
    """
    session.execute(query("diff", "sweep_table"))
    session.execute(query("diff", "clear_sweep"))
    total = session.execute(
        compose("linking", "drivers", view=model.relation), {"since": since, "until": until}
    ).rowcount
    for after in range(0, total, DRIVERS):
        values = {"after": after, "until": after + DRIVERS}
        rows = session.execute(query("diff", "sweep_range"), values).fetchall()
        yield [(row["source_connection"], row["source_id"]) for row in rows]


def count_open_rows(
    session: Session, models: Sequence[OutboundModel], connection: str | None
) -> dict[str, int]:
    """How many rows of these models, of one entity, have no record in their target, by target; those without any are left out.

    What drives them stands in `link_rows` afterwards, which the caller has made and emptied.
    """
    for model in models:
        values = {
            "model": model.name,
            "entity": model.entity,
            "connection": connection,
            "before_cut_over": BEFORE_CUT_OVER,
        }
        session.execute(compose("linking", "open_rows", view=model.relation), values)
    return {row["connection"]: int(row["rows"]) for row in session.execute(query("linking", "count_rows"))}


def open_drivers(
    session: Session, model: OutboundModel, targets: Sequence[str]
) -> Iterator[list[tuple[str, str]]]:
    """The driving records of the rows that `count_open_rows` found for these targets, some at a time."""
    values = {"model": model.name, "targets": list(targets)}
    rows = session.execute(query("linking", "drivers_of_rows"), values).fetchall()
    for start in range(0, len(rows), DRIVERS):
        yield [(row["source_connection"], row["source_id"]) for row in rows[start : start + DRIVERS]]


def rows_of(
    session: Session,
    model: OutboundModel,
    drivers: Sequence[tuple[str, str]],
    keys: Sequence[str] | None = None,
    *,
    also_linked: bool = False,
    origin: str | None = None,
) -> list[OurRow]:
    """Rows of the model for these drivers that have no record in their target, or all; `keys` limits them.

    With `origin`, an entity of the source, each row tells of which record of the target its source was made.
    """
    values = {
        "source_connections": [driver[0] for driver in drivers],
        "source_ids": [driver[1] for driver in drivers],
        "entity": model.entity,
        "control": CONTROL,
        "before_cut_over": BEFORE_CUT_OVER,
        "keys": list(keys) if keys is not None else None,
        "also_linked": also_linked,
        "origin": origin,
    }
    return [
        OurRow(model=model.name, **{**row, "origins": tuple(row["origins"] or ())})
        for row in session.execute(_ours(model), values)
    ]


def faces_of_target(
    session: Session, connection: str, system: str, matcher: Matcher, known: Set[str]
) -> Generator[Face, None, None]:
    """Faces of a target's records that are candidates and not in `known`. Needs a transaction: it reads by a cursor."""
    fields = sql.SQL(", ").join(
        sql.SQL("{}, staged.payload -> {}").format(sql.Literal(name), sql.Literal(name))
        for name in matcher.needs
    )
    statement = compose(
        "linking",
        "theirs",
        table=staging(system, matcher.stream),
        fields=sql.SQL("jsonb_build_object({})").format(fields),
    )
    with session.cursor(name="linking_theirs") as cursor:
        cursor.itersize = FETCHED
        cursor.execute(statement, {"connection": connection})
        for row in cursor:
            for face in matcher.theirs(row["target_id"], row["record"]):
                if face.id not in known:
                    yield face


def linked_in(session: Session, connection: str, entity: str) -> set[str]:
    """Ids of a target's records that are linked already."""
    values = {"connection": connection, "entity": entity}
    return {row["target_id"] for row in session.execute(query("linking", "linked"), values)}


def has_unlinked(session: Session, connection: str, system: str, matcher: Matcher) -> bool:
    """Does a target have a record that a row might be? Needs a transaction."""
    faces = faces_of_target(
        session, connection, system, matcher, linked_in(session, connection, matcher.entity)
    )
    try:
        return next(faces, None) is not None
    finally:
        faces.close()


def was_read(session: Session, connection: str, stream: str) -> bool:
    """Was this stream of the target ever read to its end?"""
    values = {"connection": connection, "stream": stream}
    row = session.execute(query("calls", "loaded"), values).fetchone()
    return row is not None and row["backfilled_at"] is not None


def staging(system: str, stream: str) -> sql.Identifier:
    """A staging table."""
    return sql.Identifier("staging", f"{system}__{stream}")


def _ours(model: OutboundModel) -> sql.Composed:
    lines, line_joins = with_lines(model)
    return compose(
        "linking",
        "ours",
        view=model.relation,
        lines=lines,
        line_joins=line_joins,
    )
