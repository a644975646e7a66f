"""`tieout link propose`: which records does a target have already that our rows would make a second time?

Entity by entity in the order of reference, so that a payment knows which invoice was chosen before it. Both sides put their
faces and the texts under which they may meet into temporary tables; the database pairs them up, and only those few are
judged. What was found replaces the open proposals of the last look; what a person rejected is not proposed again. Nothing
but our own tables is written.

Rows are worked out only where they may meet something: of a target that holds no record of an entity but linked ones, and none
of those that come after it (which know its rows by what they refer to), they are counted alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc.linking.assign import Assigned, Pair, assign
from cdc.linking.evidence import WORTH_SHOWING, Judgement, judge
from cdc.linking.faces import Face, blocks
from cdc.linking.matching import Matcher, OurRow, matchers
from cdc.linking.reading import (
    References,
    count_open_rows,
    faces_of_target,
    has_unlinked,
    linked_in,
    open_drivers,
    rows_of,
    was_read,
)
from cdc.outbound import OutboundModel, models_in_force, pin_set
from cdc.writing import open_writers
from tieout.db import Database, copy_rows, lock, unlock
from tieout.errors import BuildError, ConfigurationError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query

MOST_UNDER_A_TEXT = 5_000
"""Pairs under one text beyond which the text says nothing."""
STORED = 2_000

Session = psycopg.Connection[dict[str, Any]]
Progress = Callable[[str], None]
T = TypeVar("T")
_FACE = msgspec.json.Decoder(Face)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What was found for one entity of one target; counts of rows of ours, but for `records`."""

    connection: str
    entity: str
    rows: int
    """Rows without a record in the target."""
    records: int
    """Records of the target that are not linked."""
    chosen: int
    unsure: int


def propose(
    database: Database,
    *,
    run: UUID | None,
    by: str,
    connection: str | None = None,
    entities: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[Proposed]:
    """Look for all rows without a link, of one target or of all; the proposals stand in cdc.link_proposals.

    Raises BuildError before the first build, ConfigurationError when a stream of the target was never read to its end.
    """
    found: list[Proposed] = []
    with database.connect(direct=True) as session, unit_of_work(session):
        models = models_in_force(session)
        if not models:
            raise BuildError("No set of models is in force to link by.", cure="Run `tieout build`.")
        lock(session, "link:propose")
        try:
            # One transaction: the set of models stays as it is, and a look that dies leaves the last one standing.
            with session.transaction():
                pin_set(session)
                for step in _steps(models, entities):
                    if progress is not None:
                        progress(step.matcher.entity)
                    found += _look(session, step, connection, run, by)
        finally:
            if not session.closed and not session.broken:
                unlock(session, "link:propose")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    system: str
    matcher: Matcher
    models: tuple[OutboundModel, ...]
    later: tuple[Matcher, ...]
    """Of the entities that this look comes to afterwards."""
    known: dict[str, References]
    vacant: set[tuple[str, str]]
    """Targets and entities that had no record to be linked when an entity before them was looked at."""


def _steps(models: Sequence[OutboundModel], entities: Sequence[str] | None) -> Iterable[_Step]:
    """The entities that can be linked, in the order in which a system's writers depend on each other."""
    shared: dict[str, References] = {}
    vacant: set[tuple[str, str]] = set()
    for system in sorted({model.system for model in models}):
        lines = matchers(system)
        chosen = [
            (lines[entity], own)
            for entity in open_writers(system)
            if entity in lines and (entities is None or entity in entities)
            if (own := tuple(each for each in models if each.system == system and each.entity == entity))
        ]
        for place, (matcher, own) in enumerate(chosen, start=1):
            later = tuple(each for each, _ in chosen[place:])
            yield _Step(system=system, matcher=matcher, models=own, later=later, known=shared, vacant=vacant)


def _look(session: Session, step: _Step, connection: str | None, run: UUID | None, by: str) -> list[Proposed]:
    for statement in (
        "make_room",
        "make_room_for_blocks",
        "make_room_for_pairs",
        "make_room_for_rows",
        "clear",
    ):
        session.execute(query("linking", statement))
    counted = count_open_rows(session, step.models, connection)
    for target in sorted(counted):
        _refuse_unread(session, step, target)
    meeting = [target for target in sorted(counted) if _may_meet(session, step, target)]
    rows = _our_rows(session, step, meeting) if meeting else {}
    _their_records(session, step, meeting)
    session.execute(query("linking", "analyze_blocks"))
    session.execute(query("linking", "analyze_faces"))
    return [
        _of_target(session, step, target, counted[target], rows.get(target, {}), run, by)
        for target in sorted(counted)
    ]


def _refuse_unread(session: Session, step: _Step, target: str) -> None:
    if not was_read(session, target, step.matcher.stream):
        raise ConfigurationError(
            f"{step.matcher.stream} of {target} were never loaded to the end, so nobody knows what is there.",
            cure=f"Run `tieout load {target}` first.",
        )


def _may_meet(session: Session, step: _Step, target: str) -> bool:
    """Does the target have a record that is not linked, of this entity or of one whose rows may refer to those of this one?"""
    if has_unlinked(session, target, step.system, step.matcher):
        return True
    for matcher in step.later:
        if (target, matcher.entity) in step.vacant:
            continue
        if has_unlinked(session, target, step.system, matcher):
            return True
        step.vacant.add((target, matcher.entity))
    return False


def _our_rows(session: Session, step: _Step, targets: Sequence[str]) -> dict[str, dict[str, OurRow]]:
    """Rows without a record, by target and key, without what they say: that stands in their faces, in the database."""
    references = step.known.setdefault(step.system, References(session))
    kept: dict[str, dict[str, OurRow]] = defaultdict(dict)
    for model in step.models:
        for drivers in open_drivers(session, model, targets):
            by_target: dict[str, list[OurRow]] = defaultdict(list)
            for row in rows_of(session, model, drivers, origin=step.matcher.origin):
                if row.connection in targets:
                    by_target[row.connection].append(row)
            for target, some in by_target.items():
                references.read_for(target, some)
                faces = [step.matcher.ours(row, references) for row in some]
                for row, face in zip(some, faces, strict=True):
                    kept[target][row.key] = replace(row, payload={}, control={})
                    if face.names:
                        references.name(target, step.matcher.entity, row.key, face.names[0])
                _store_faces(session, target, faces, is_ours=True)
    return kept


def _their_records(session: Session, step: _Step, targets: Sequence[str]) -> None:
    for target in targets:
        linked = linked_in(session, target, step.matcher.entity)
        for faces in _some(faces_of_target(session, target, step.system, step.matcher, linked), STORED):
            _store_faces(session, target, faces, is_ours=False)


def _store_faces(session: Session, connection: str, faces: Sequence[Face], *, is_ours: bool) -> None:
    copy_rows(
        session,
        sql.Identifier("link_faces"),
        ("connection", "is_ours", "id", "face"),
        ((connection, is_ours, face.id, msgspec.json.encode(face).decode()) for face in faces),
    )
    copy_rows(
        session,
        sql.Identifier("link_blocks"),
        ("connection", "is_ours", "id", "block"),
        (
            (connection, is_ours, face.id, block)
            for face in faces
            for block in dict.fromkeys(blocks(face, is_ours=is_ours))
        ),
    )


def _of_target(
    session: Session,
    step: _Step,
    target: str,
    open_rows: int,
    rows: Mapping[str, OurRow],
    run: UUID | None,
    by: str,
) -> Proposed:
    entity = step.matcher.entity
    place = {"connection": target, "entity": entity}
    judged = _judged(session, target, place)
    assigned = assign(
        Pair(score=each.score, ours=names[0], theirs=names[1]) for names, (each, _, _) in judged.items()
    )
    for pair in assigned.chosen:
        step.known[step.system].choose(target, entity, pair.ours, pair.theirs)
    session.execute(query("linking", "withdraw"), place)
    stored = list(_proposals(assigned, judged, rows))
    for some in _some(stored, STORED):
        session.execute(query("linking", "propose"), {**place, "run": run, "rows": Jsonb(some)})
    session.execute(
        query("linking", "looked_at"), {**place, "run": run, "by": by, "is_open": not assigned.chosen}
    )
    counted = session.execute(query("linking", "count_faces"), {"connection": target}).fetchone()
    found = Proposed(
        connection=target,
        entity=entity,
        rows=open_rows,
        records=int(counted["records"]) if counted else 0,
        chosen=len(assigned.chosen),
        unsure=len({pair.ours for pair in assigned.unsure}),
    )
    emit(
        Event.LINK_PROPOSED, connection=target, entity=entity, rows=found.rows, records=found.records, chosen=found.chosen,
        unsure=found.unsure,
    )  # fmt: skip
    return found


_Judged = dict[tuple[str, str], tuple[Judgement, Face, Face]]


def _judged(session: Session, target: str, place: Mapping[str, str]) -> _Judged:
    """The pairs that are worth showing, judged."""
    rejected = {
        (row["key"], row["target_id"]) for row in session.execute(query("linking", "rejected"), place)
    }
    session.execute(query("linking", "clear_pairs"))
    session.execute(query("linking", "pair_up"), {"connection": target, "most": MOST_UNDER_A_TEXT})
    found: _Judged = {}
    with session.cursor(name="linking_pairs") as cursor:
        cursor.itersize = STORED
        for row in cursor.execute(query("linking", "pairs"), {"connection": target}):
            names = (row["ours"], row["theirs"])
            if names in rejected:
                continue
            ours, theirs = _FACE.decode(row["our_face"]), _FACE.decode(row["their_face"])
            judgement = judge(ours, theirs)
            if judgement.score >= WORTH_SHOWING:
                found[names] = (judgement, ours, theirs)
    return found


def _proposals(assigned: Assigned, judged: _Judged, rows: Mapping[str, OurRow]) -> Iterator[dict[str, Any]]:
    for standing, pairs in (("chosen", assigned.chosen), ("unsure", assigned.unsure)):
        for pair in pairs:
            judgement, ours, theirs = judged[pair.ours, pair.theirs]
            row = rows[pair.ours]
            yield {
                "key": pair.ours,
                "target_id": pair.theirs,
                "within": theirs.within or None,
                "model": row.model,
                "source_connection": row.source_connection,
                "source_id": row.source_id,
                "score": judgement.score,
                "standing": standing,
                "is_skipped": row.skip is not None,
                "evidence": list(judgement.evidence),
                "against": list(judgement.against),
                "ours": shown(ours),
                "theirs": shown(theirs),
            }


def shown(face: Face) -> dict[str, Any]:
    """What a person needs to see of a face."""
    values: dict[str, Any] = {
        "title": face.title,
        "name": face.names[0] if face.names else None,
        "reference": face.orders[0] if face.orders else None,
        "email": face.email or None,
        "tax_number": face.tax_number or None,
        "amount": face.amount,
        "tax": face.tax,
        "currency": face.currency or None,
        "date": face.day.isoformat() if face.day else None,
        "account": face.account or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _some(items: Iterable[T], size: int) -> Iterator[list[T]]:
    kept: list[T] = []
    for item in items:
        kept.append(item)
        if len(kept) == size:
            yield kept
            kept = []
    if kept:
        yield kept
