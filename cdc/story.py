"""The story of one record, in the order in which things happened: for somebody who was not there.

Edits at the source, which mapping and lookups made each entry and what of them had changed since the one before, who approved,
each attempt with the vendor's words, and what the target held before and after. Edits by others in the target stand in it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from cdc import archived
from cdc.as_of import Change, changes_of, payload_now, undone
from cdc.build_texts import Part, changed_between, parts_of, versions
from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import open_writers
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
RELATED = 20
"""Other records of the source, of one kind, whose edits are told."""
OURS = "write answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One field before and after."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened."""

    at: datetime
    what: str
    """archived, source, entry, decision, plan, call, result, target: what kind of step it is."""
    title: str
    lines: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """Everything that is kept of it, for `--json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    connection: str
    entity: str
    key: str


def story(session: Session, *, connection: str, entity: str, key: str) -> list[Step]:
    """What happened to a record, the earliest first."""
    place = {"connection": connection, "entity": entity, "key": key}
    link: Row = session.execute(query("report", "record"), place).fetchone() or {}
    if not link:
        return []
    models = {model.name: model for model in models_in_force(session)}
    model = models.get(link["model"])
    done = session.execute(query("why", "done"), place).fetchall()
    calls = session.execute(query("why", "calls"), place).fetchall()
    entries = [*done, *([link["open"]] if link.get("open") else [])]
    mirrored = _mirrored(session, model, link)
    steps = [
        *_archived(session, link),
        *_source(session, model, link),
        *_made(session, entries, model),
        *_plans(session, entries),
        *_decided(session, place),
        *(step for call in calls for step in _called(call, key)),
        *_ended(done, mirrored),
        *_by_others(mirrored, model),
    ]
    order = {
        "archived": 0,
        "source": 0,
        "target": 0,
        "entry": 1,
        "plan": 2,
        "decision": 3,
        "call": 4,
        "result": 5,
    }
    return sorted(steps, key=lambda step: (step.at, order[step.what]))


def _archived(session: Session, link: Row) -> Iterator[Step]:
    """That the beginning of the story stands in files; the earliest step of all."""
    known = session.execute(
        query("retention", "archives"), {"relation": None, "since": link["linked_at"]}
    ).fetchall()
    told = [row for row in known if row["relation"] != "audit"]
    if told:
        names = [row["file"] for row in told]
        yield Step(
            at=min(row["from_at"] for row in told),
            what="archived",
            title="what happened to it in archived months is not told here",
            lines=(archived.sentence(names),),
            details={"files": names},
        )


def _source(session: Session, model: OutboundModel | None, link: Row) -> Iterator[Step]:
    """Edits of the record that drives it, and of the source's records that name that one."""
    if model is None or model.driver not in model.tables:
        return
    system, _, stream = model.driver.partition("__")
    records = [(stream, link["source_id"])]
    for rule in model.dirty:
        if rule.kind == "column" and rule.system == system:
            values = {"connection": link["source_connection"], "id": link["source_id"], "limit": RELATED}
            statement = compose(
                "why",
                "related",
                table=sql.Identifier("staging", rule.table),
                column=sql.Identifier(rule.value),
            )
            records += [(rule.stream, row["id"]) for row in session.execute(statement, values)]
    for each, record_id in records:
        name = f"{link['source_connection']}: {each.rstrip('s').replace('_', ' ')} {record_id}"
        for change in changes_of(session, link["source_connection"], each, record_id):
            yield _edited(change, name, "source", f"told by {change.told_by}")


def _edited(change: Change, name: str, what: str, told: str) -> Step:
    details = {"version": change.version, "told_by": change.told_by}
    if change.before is None:
        return Step(at=change.at, what=what, title=f"{name} first seen", lines=(told,), details=details)
    after = change.after or {}
    if "_deleted_at" in after:
        return Step(at=change.at, what=what, title=f"{name} is gone", lines=(told,), details=details)
    names = sorted({*change.before, *after} - {"_deleted_at"})
    edits = tuple(Edit(field=each, before=change.before.get(each), after=after.get(each)) for each in names)
    verb = "is back" if "_deleted_at" in change.before else "edited"
    return Step(at=change.at, what=what, title=f"{name} {verb}", lines=(told,), edits=edits, details=details)


def _made(session: Session, entries: Sequence[Row], model: OutboundModel | None) -> Iterator[Step]:
    """Each entry, with the versions of mapping and lookups that made it."""
    builds = sorted({entry["build"] for entry in entries if entry.get("build")})
    since = {
        row["build"]: row["switched_at"]
        for row in session.execute(query("builds", "when_in_force"), {"builds": builds}).fetchall()
    }
    parts = {build: parts_of(session, build) for build in builds}
    children = [child.model for child in model.lines] if model is not None else []
    before: str | None = None
    for entry in entries:
        names = (entry["model"], *children)
        build = entry.get("build")
        lines = list(_by_which(entry, build, parts, since, names))
        if before is not None and build is not None and before != build:
            changed = changed_between(parts[before], parts[build], *names)
            lines.append(f"since the entry before, changed: {', '.join(changed) or 'nothing that it reads'}")
        before = build or before
        yield Step(
            at=_time(entry["created_at"]),
            what="entry",
            title=f"Entry {entry['entry']}: {entry['operation']}"
            + (
                f", amount {entry['amount']} {entry['currency'] or ''}".rstrip()
                if entry["amount"] is not None
                else ""
            ),
            lines=tuple(lines),
            edits=tuple(
                Edit(field=name, before=None, after=entry["payload"].get(name))
                for name in (entry["fields"] or ())
                if name in entry["payload"]
            ),
            details={"entry": entry["entry"], "build": build, "payload": entry["payload"]},
        )


def _by_which(
    entry: Row,
    build: str | None,
    parts: Mapping[str, Mapping[str, Part]],
    since: Mapping[str, datetime],
    names: Sequence[str],
) -> Iterator[str]:
    if build is None:
        yield f"made by {entry['model']}; which version is not on record"
        return
    known = versions(parts[build], *names)
    told = (
        f"mapping {entry['model']} {known.mapping}, lookups {known.lookups}, "
        if known
        else f"{entry['model']}, "
    )
    at = since.get(build)
    yield f"made by {told}build {build[:8]}" + (f", in force since {at:%Y-%m-%d %H:%M}" if at else "")
    origin = entry.get("origin") or {}
    for path, override in (origin.get("overrides") or {}).items():
        who = f" by {override['who']} ({override['why']})" if override.get("who") else ""
        yield f"{path} was set{who}"
    if origin.get("yielded"):
        yield f"left as the target has it: {', '.join(sorted(origin['yielded']))}"
    if origin.get("if_taken"):
        yield "with the fields for a name that is taken"


def _plans(session: Session, entries: Sequence[Row]) -> Iterator[Step]:
    for name in dict.fromkeys(entry["plan"] for entry in entries if entry.get("plan")):
        row = session.execute(query("why", "plan"), {"plan": name}).fetchone()
        for event in (row["events"] or []) if row is not None else []:
            reason = f": {event['reason']}" if event["reason"] else ""
            yield Step(
                at=_time(event["at"]),
                what="plan",
                title=f"Plan {name[:12]} {event['what']} by {event['by']}{reason}",
                details={"plan": name, **event},
            )


def _decided(session: Session, place: Row) -> Iterator[Step]:
    for row in session.execute(query("why", "decisions"), place).fetchall():
        held = (row["detail"] or {}).get("held_for")
        yield Step(
            at=row["decided_at"],
            what="decision",
            title=f"{row['verb']} by {row['decided_by']}" + (f": {row['reason']}" if row["reason"] else ""),
            lines=(f"it was held: {held}",) if held else (),
            details={
                name: row[name]
                for name in ("decision", "verb", "decided_by", "reason", "payload_hash", "detail")
            },
        )


def _called(call: Row, key: str) -> Iterator[Step]:
    """An attempt: what was asked of the target, and what it said of this record."""
    title = f"{call['method']} {str(call['path']).partition('?')[0]}"
    number = call["keys"].index(key)
    among = f"one of {len(call['keys'])} in this call" if len(call["keys"]) > 1 else ""
    answer: Row = call["answer"] or {}
    if call["outcome"] is None:
        said = ["on its way"]
    elif call["status"] is None:
        said = [f"no answer: {call['outcome']}"]
    else:
        said = [f"answered {call['status']}"]
    messages = answer.get("messages") or []
    words = [str(word) for word in messages[number]] if number < len(messages) else []
    if answer.get("error"):
        words.append(str(answer["error"]))
    said += [f"the vendor said: {word}" for word in words]
    asked: Row = call["asked"] or {}
    if asked:
        found = (asked.get("found") or {}).get(key)
        said.append(
            f"asked because {asked.get('how', 'the outcome was unknown')}"
            + (f": {_plain(found)}" if found else "")
        )
    names = ("call", "number", "status", "outcome", "answer", "asked", "entries", "body_hash", "run")
    yield Step(
        at=call["sent_at"],
        what="call",
        title=title,
        lines=tuple(line for line in (among, *said) if line),
        details={name: call[name] for name in names},
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mirrored:
    """The target's record as it is mirrored, with its changes."""

    name: str
    now: Row | None
    changes: tuple[Change, ...]
    returned: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    """The paths of a payload as the target gave them."""
    said: Row


def _mirrored(session: Session, model: OutboundModel | None, link: Row) -> _Mirrored | None:
    if model is None or link["target_id"] is None:
        return None
    write = open_writers(model.system)[model.entity]
    stream = write.stream
    if stream is None:
        return None
    name = f"{link['connection']}: {stream.rstrip('s').replace('_', ' ')} {link['target_id']}"
    changes = changes_of(session, link["connection"], stream, link["target_id"])
    now = payload_now(session, f"{model.system}__{stream}", link["connection"], link["target_id"])
    return _Mirrored(
        name=name, now=now, changes=tuple(changes), returned=write.returned, said=link["said"] or {}
    )


def _ended(done: Sequence[Row], mirrored: _Mirrored | None) -> Iterator[Step]:
    """What became of each entry; where the target took it, what it held before and after."""
    words = {
        "applied": "applied", "unchanged": "the target had it so already", "replaced": "replaced by a newer one",
        "discarded": "not sent", "satisfied": "satisfied by what the target has",
    }  # fmt: skip
    for entry in done:
        sides = _sides(mirrored, entry) if entry["outcome"] == "applied" else None
        lines = [entry["reason"]] if entry["reason"] else []
        if entry["target_id"]:
            lines.append(f"the target's record {entry['target_id']}")
        edits: tuple[Edit, ...] = ()
        if sides is not None:
            before, after = sides
            edits = _compared(mirrored, before, after, entry["payload"]) if mirrored is not None else ()
            lines.append(
                "the target held nothing before" if before is None else "the target held before → after:"
            )
        yield Step(
            at=entry["finished_at"],
            what="result",
            title=f"Entry {entry['entry']}: {entry['operation']} {words.get(entry['outcome'], entry['outcome'])}",
            lines=tuple(lines),
            edits=edits,
            details={
                "entry": entry["entry"], "outcome": entry["outcome"], "target_id": entry["target_id"], "call": entry["call"],
                "before": sides[0] if sides else None, "after": sides[1] if sides else None,
            },
        )  # fmt: skip


def _sides(mirrored: _Mirrored | None, entry: Row) -> tuple[Row | None, Row | None] | None:
    """The target's record before and after an entry: our answer was merged in the transaction that ended it."""
    if mirrored is None:
        return None
    changes = mirrored.changes
    ours = [
        number
        for number, change in enumerate(changes)
        if change.told_by == OURS and change.at == entry["finished_at"]
    ]
    if ours:
        return undone(mirrored.now, changes[ours[0] :]), undone(mirrored.now, changes[ours[-1] + 1 :])
    later = next(
        (number for number, change in enumerate(changes) if change.at > entry["finished_at"]), len(changes)
    )
    then = undone(mirrored.now, changes[later:])
    return then, then


def _compared(
    mirrored: _Mirrored, before: Row | None, after: Row | None, payload: Mapping[str, Any]
) -> tuple[Edit, ...]:
    """What we send, as the target held it; then which other plain values of the record changed with it."""
    was, now = (mirrored.returned(payload, side) if side else {} for side in (before, after))
    ours = [Edit(field=name, before=was.get(name), after=now.get(name)) for name in payload]
    old, new = before or {}, after or {}
    others = [
        Edit(field=name, before=old.get(name), after=new.get(name))
        for name in (sorted({*old, *new} - {*payload}) if before else ())
        if not isinstance(old.get(name), dict | list) and not isinstance(new.get(name), dict | list)
    ]
    edits = [edit for edit in (*ours, *others) if (edit.before or None) != (edit.after or None)]
    # Plain values first: number, dates and totals say more than addresses.
    return tuple(sorted(edits, key=lambda edit: isinstance(edit.after, dict | list)))


def _by_others(mirrored: _Mirrored | None, model: OutboundModel | None) -> Iterator[Step]:
    """Changes of the target's record that we did not make."""
    if mirrored is None or model is None:
        return
    for number, change in enumerate(mirrored.changes):
        if change.told_by == OURS or change.before is None:
            continue
        step = _edited(change, mirrored.name, "target", f"told by {change.told_by}; not written by us")
        if step.edits:
            before = undone(mirrored.now, mirrored.changes[number:])
            after = undone(mirrored.now, mirrored.changes[number + 1 :])
            step = replace(step, edits=_compared(mirrored, before, after, mirrored.said))
        yield step


def _time(told: datetime | str) -> datetime:
    """A time from a column, or from a row that came as JSON."""
    return told if isinstance(told, datetime) else datetime.fromisoformat(told)
