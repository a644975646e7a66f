"""`tieout link approve`: rows and the records that were proposed for them become links. Nothing is written to a target.

Keys are locked in their order, then everything is read again: a row that is linked, on its way or no longer there is
refused, and so is money whose document is not linked to the same record. Each decision is kept with who and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.decision import IN_FLIGHT
from cdc.diff_rows import organisations
from cdc.linking.agree import agree
from cdc.linking.decisions import (
    Decided,
    Named,
    Refused,
    Row,
    Session,
    chosen,
    keys_by_entity,
    lock_rows,
    name_of,
    open_decided,
    record,
    refuse,
    tell,
)
from cdc.linking.matching import Matcher, OurRow, Record, matchers
from cdc.linking.reading import References, rows_of, staging
from cdc.links import Target, references
from cdc.news import tell_decided
from cdc.outbound import OutboundModel, models_in_force, pin_set
from cdc.outbox import Closed
from cdc.writing import open_writers
from tieout.db import Database
from tieout.migrate import unit_of_work
from tieout.queries import compose, query

TOGETHER = 300


def approve(database: Database, named: Named, *, by: str, reason: str) -> Decided:
    """Link rows with the records that were proposed for them. Without keys: all that are chosen; with keys those alone."""
    with database.connect(direct=True) as session, unit_of_work(session):
        rows = chosen(session, named, state="open", standing=None if named.keys else "chosen")
        rows, refused = _one_each(rows)
        done = differing = 0
        models = {model.name: model for model in models_in_force(session)}
        for some in _in_order(rows, models):
            with session.transaction():
                pin_set(session)
                made = _link(session, models[some[0]["model"]], some, by, reason)
            done, differing = done + made.done, differing + made.differing
            refused += made.refused
        open_decided(session, rows, by)
        tell("link", rows, done, by, reason)
    return Decided(done=done, refused=tuple(refused), differing=differing)


def _one_each(rows: Sequence[Row]) -> tuple[list[Row], list[Refused]]:
    """A key with several open pairs needs a record named, and so does a record with several keys."""
    by_key: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_key[name_of(row)].append(row)
    single = [some[0] for some in by_key.values() if len(some) == 1]
    refused = [
        Refused(
            entity=row["entity"],
            key=row["key"],
            target_id=row["target_id"],
            reason="one of several records; name it with --target",
        )
        for some in by_key.values()
        if len(some) > 1
        for row in some
    ]
    seen: set[tuple[str, str, str]] = set()
    kept: list[Row] = []
    for row in single:
        record = (row["connection"], row["entity"], row["target_id"])
        if record in seen:
            refused.append(refuse(row, "another key of this approval has the same record; name one of them"))
            continue
        seen.add(record)
        kept.append(row)
    return kept, refused


def _in_order(rows: Sequence[Row], models: Mapping[str, OutboundModel]) -> Iterable[list[Row]]:
    """Some rows of one model and target at a time, what others refer to first."""
    known = [row for row in rows if row["model"] in models]
    places: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in known:
        model = models[row["model"]]
        order = list(open_writers(model.system)).index(row["entity"])
        places[order, row["model"], row["connection"]].append(row)
    for place in sorted(places):
        for start in range(0, len(places[place]), TOGETHER):
            yield places[place][start : start + TOGETHER]


def _link(session: Session, model: OutboundModel, rows: Sequence[Row], by: str, reason: str) -> Decided:
    connection, entity = rows[0]["connection"], rows[0]["entity"]
    matcher, write = matchers(model.system)[entity], open_writers(model.system)[entity]
    session.execute(
        query("links", "make"),
        {
            "entity": entity,
            "model": model.name,
            "connections": [connection] * len(rows),
            "keys": [row["key"] for row in rows],
            "source_connections": [row["source_connection"] for row in rows],
            "source_ids": [row["source_id"] for row in rows],
        },
    )
    lock_rows(session, rows)
    looked = _Look(session, model, matcher, connection, rows)
    organisation = organisations(session, model.system).get(connection)
    links: list[Row] = []
    good: list[Row] = []
    refused: list[Refused] = []
    differing = 0
    for row in rows:
        why = looked.reason_against(row)
        if why is not None:
            refused.append(refuse(row, why))
            continue
        ours, shown = looked.ours[row["key"]], looked.records[row["target_id"]]
        frozen = "before the cut-over" if ours.skip is not None else write.frozen(shown, organisation)
        agreed = agree(ours, shown, looked.targets, matcher, write, may_change=frozen is None)
        differing += bool(agreed.held)
        good.append(row)
        links.append(
            {
                "key": row["key"],
                "target_id": row["target_id"],
                "said": agreed.said,
                "returned": agreed.returned,
                "line_ids": agreed.line_ids,
                "yielded": agreed.yielded,
                "mirror_version": looked.versions[row["target_id"]] if agreed.is_judged else None,
                "identity": ours.control.get("identity"),
            }
        )
    place = {"connection": connection, "entity": entity}
    session.execute(query("linking", "link"), {**place, "rows": Jsonb(links)})
    _close(session, looked, good, by)
    versions = {row["key"]: row["version"] for row in _versions(session, connection, entity, good)}
    session.execute(
        query("linking", "decide"),
        {
            "state": "approved",
            "by": by,
            "reason": reason or None,
            "rows": Jsonb(
                [{"proposal": row["proposal"], "link_version": versions[row["key"]]} for row in good]
            ),
        },
    )
    session.execute(
        query("linking", "withdraw_others"),
        {
            "connection": connection,
            "entity": entity,
            "rows": Jsonb([{name: row[name] for name in ("proposal", "key", "target_id")} for row in good]),
        },
    )
    record(session, "link", by, reason, good)
    outbox.put_back(session, [name_of(row) for row in good], f"linked by {by}")
    tell_decided(session, model, connection, good, f"linked by {by}")
    return Decided(done=len(good), refused=tuple(refused), differing=differing)


class _Look:
    """Everything about some pairs of one model and target, read now that their keys are locked."""

    def __init__(
        self, session: Session, model: OutboundModel, matcher: Matcher, connection: str, rows: Sequence[Row]
    ) -> None:
        keys = [row["key"] for row in rows]
        place = {"connection": connection, "entity": matcher.entity}
        self._matcher = matcher
        self._known = References(session)
        self.states: dict[str, Row] = {
            row["key"]: row
            for row in session.execute(query("linking", "state"), {**place, "keys": keys}).fetchall()
        }
        drivers = [(row["source_connection"], row["source_id"]) for row in rows]
        self.ours: dict[str, OurRow] = {row.key: row for row in rows_of(session, model, drivers, keys)}
        self._known.read_for(connection, list(self.ours.values()))
        self.targets: dict[tuple[str, str], Target] = _targets(session, connection, self.ours.values())
        within = {row["target_id"]: row["within"] or row["target_id"] for row in rows}
        found = session.execute(
            compose("linking", "records", table=staging(model.system, matcher.stream)),
            {"connection": connection, "ids": sorted(set(within.values()))},
        ).fetchall()
        held = {row["id"]: row for row in found}
        self.records: dict[str, Record] = {}
        self.versions: dict[str, int] = {}
        self._documents: dict[str, list[str]] = {}
        for target_id, where in within.items():
            if where not in held:
                continue
            payload = held[where]["payload"]
            record = matcher.pick(payload, target_id)
            face = next((one for one in matcher.theirs(where, payload) if one.id == target_id), None)
            if record is None or face is None:
                continue
            self.records[target_id] = record
            self.versions[target_id] = held[where]["version"]
            self._documents[target_id] = sorted(document.casefold() for document in face.documents)
        owners = session.execute(query("links", "owners"), {**place, "target_ids": sorted(within)})
        self._owners: dict[str, str] = {row["target_id"]: row["key"] for row in owners}

    def reason_against(self, row: Row) -> str | None:
        """Why the pair cannot be linked; None when it can."""
        state = self.states.get(row["key"])
        if state is None or state["target_id"] is not None:
            return "the row is linked already"
        if state["state"] in IN_FLIGHT:
            return "the row is being sent; run `tieout drain` first"
        if row["key"] not in self.ours:
            return "the model no longer has the row; run `tieout link propose` again"
        if row["target_id"] not in self.records:
            return "the target no longer has the record; run `tieout load` and `tieout link propose`"
        if owner := self._owners.get(row["target_id"]):
            return f"the record is linked with {owner}"
        mine = self._matcher.ours(self.ours[row["key"]], self._known)
        if mine.kind == "money" and not mine.marks and not mine.documents:
            return "its document is not linked; approve that first"
        documents = sorted(document.casefold() for document in mine.documents)
        if mine.kind == "money" and documents != self._documents[row["target_id"]]:
            return "its document is not linked with the one that this is put on; approve that first"
        return None


def _targets(session: Session, connection: str, rows: Iterable[OurRow]) -> dict[tuple[str, str], Target]:
    wanted = sorted(
        {(reference.entity, reference.key) for row in rows for reference in references(row.payload)}
    )
    values = {
        "connections": [connection] * len(wanted),
        "entities": [one[0] for one in wanted],
        "keys": [one[1] for one in wanted],
        "also_gone": False,
    }
    return {
        (row["entity"], row["key"]): Target(target_id=row["target_id"], returned=row["returned"])
        for row in session.execute(query("links", "targets"), values)
    }


def _close(session: Session, looked: _Look, rows: Sequence[Row], by: str) -> None:
    """What was about to be made is there: nothing is sent, and whoever waited for it goes on."""
    closed = [
        Closed(
            entry=looked.states[row["key"]]["entry"],
            outcome="satisfied",
            target_id=row["target_id"],
            reason=f"linked by {by}",
        )
        for row in rows
        if looked.states[row["key"]]["entry"] is not None
    ]
    outbox.close(session, closed)
    for entity, keys in keys_by_entity(rows).items():
        session.execute(query("waiting", "release_waiters"), {"entity": entity, "keys": keys})


def _versions(session: Session, connection: str, entity: str, rows: Sequence[Row]) -> list[Row]:
    values = {"connection": connection, "entity": entity, "keys": [row["key"] for row in rows]}
    return session.execute(query("linking", "state"), values).fetchall()
