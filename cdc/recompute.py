"""A past payload, computed again: the models and lookups of its build, over the records as they were when it was made.

Everything is done in one transaction that is rolled back, with temporary relations: the staging tables as the diff's reading
saw them (history walked back by its snapshot), the links likewise, the lookups and models of that build under their own names.
What the link put over the model (a choice of `_if_taken`, what was yielded, what people edited) is noted on the entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from cdc import archived
from cdc.build_texts import Part, above, parts_of, texts_of
from cdc.corrections import MODEL as CORRECTIONS
from cdc.decision import Desired, Link
from cdc.diff_rows import CONTROL, joined_lines
from cdc.personal import is_forgotten
from cdc.wanted import effective
from tieout.db import json_dumps, json_loads
from tieout.errors import UsageError
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
STAGING, ENGINE = "staging", "cdc"
_NAMES = re.compile(r'"([^"]+)"\."([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """An entry beside what the models of then say of the records of then."""

    entry: int
    connection: str
    entity: str
    key: str
    operation: str
    outcome: str
    made_at: Any
    build: str | None
    sentence: str
    is_equal: bool | None
    """None: it cannot be computed, and the sentence says why."""
    payload: Mapping[str, Any]
    """What was made then."""
    computed: Mapping[str, Any] | None = None
    fields: tuple[str, ...] = ()
    """Top-level fields that differ."""
    forgotten: tuple[str, ...] = ()
    """Fields that differ only because a person was forgotten."""
    notes: tuple[str, ...] = ()


class _RolledBack(Exception):
    """The end of the transaction, with what it computed."""

    def __init__(self, row: Row | None) -> None:
        super().__init__("rolled back")
        self.row: Row | None = row


def recompute(
    session: Session,
    *,
    key: str | None = None,
    entry: int | None = None,
    connection: str | None = None,
    entity: str | None = None,
) -> Recomputed:
    """Compute an entry again: that number, else the last one of a key that was sent, else its last one.

    Raises UsageError when there is none, or when the key names records of several kinds.
    """
    values = {"key": key, "entry": entry, "connection": connection, "entity": entity}
    rows = session.execute(query("recompute", "entry"), values).fetchall()
    if not rows:
        gone = archived.files(session, "outbox_done")
        named = [*([str(entry)] if entry is not None else []), *([f"of {key}"] if key is not None else [])]
        raise UsageError(
            f"There is no entry {' '.join(named)}.",
            cure="`tieout why KEY` names the entries of a record."
            + (f" Older ones are {archived.sentence(gone)}." if gone else ""),
        )
    kinds = sorted({f"{row['connection']} {row['entity']}" for row in rows})
    if len(kinds) > 1:
        raise UsageError(
            f"{key} names {', '.join(kinds)}.", cure="Name --connection and --entity, or --entry."
        )
    sent = [row for row in rows if row["outcome"] in ("applied", "unchanged")]
    return _one(session, (sent or rows)[-1])


def _one(session: Session, row: Row) -> Recomputed:
    if row["model"] == CORRECTIONS:
        return _cannot(
            row, "No model made it: it is part of a correction that a person approved, as `tieout why` tells."
        )
    if row["origin"] is None or row["build"] is None:
        return _cannot(row, "It was made before tieout kept what entries are made from.")
    parts = parts_of(session, row["build"])
    if f"config.{row['model']}" not in parts:
        return _cannot(
            row,
            f"The models of its build {row['build'][:8]} are not kept: it was built before tieout kept them.",
        )
    # A reading that began shortly before may have missed what changed then.
    since = row["created_at"] - timedelta(days=1)
    if gone := archived.files(session, "history", "links_before", since=since):
        return _cannot(row, f"What its records were then is {archived.sentence(gone)}.")
    try:
        with session.transaction():
            raise _RolledBack(_compute(session, row, parts))
    except _RolledBack as done:
        computed = done.row
    return _judged(row, computed, tuple(_notes(session, parts)))


def _cannot(row: Row, sentence: str) -> Recomputed:
    return Recomputed(**_named(row), sentence=sentence, is_equal=None)


def _named(row: Row) -> Row:
    names = ("entry", "connection", "entity", "key", "operation", "outcome", "build", "payload")
    return {**{name: row[name] for name in names}, "made_at": row["created_at"]}


def _judged(row: Row, computed: Row | None, notes: tuple[str, ...]) -> Recomputed:
    named = _named(row)
    if row["operation"] == "remove":
        gone = computed["content"].get("_gone") if computed is not None else None
        if gone is not None:
            sentence = f"Equal: the model said then that it is gone ({gone}); a removal sends no content."
            return Recomputed(**named, sentence=sentence, is_equal=True, notes=notes)
        sentence = "The model did not say then that it is gone: a person approved the removal."
        return Recomputed(**named, sentence=sentence, is_equal=None, notes=notes)
    if computed is None and is_forgotten([row["key"], row["payload"]]):
        sentence = "A person was forgotten, whose records it was made from: it cannot be computed any more."
        return Recomputed(**named, sentence=sentence, is_equal=None, notes=notes)
    if computed is None:
        sentence = "The models of then give no row for it from what is kept of the records of then."
        fields = tuple(sorted(row["payload"]))
        return Recomputed(**named, sentence=sentence, is_equal=False, fields=fields, notes=notes)
    origin: Row = row["origin"]
    desired = Desired(payload=computed["payload"], if_taken=origin.get("if_taken"))
    link = Link(
        if_taken=bool(origin.get("if_taken")),
        yielded=origin.get("yielded") or {},
        overrides=origin.get("overrides") or {},
    )
    payload = effective(desired, link)
    differing = sorted(
        name for name in {*payload, *row["payload"]} if payload.get(name) != row["payload"].get(name)
    )
    forgotten = tuple(
        name
        for name in differing
        if is_forgotten(row["payload"].get(name)) or is_forgotten(payload.get(name))
    )
    fields = tuple(name for name in differing if name not in forgotten)
    if fields:
        sentence = f"It differs in {', '.join(fields)}."
    elif forgotten:
        sentence = f"Equal but for {', '.join(forgotten)}: a person was forgotten, whose data stood there."
    else:
        sentence = "Equal: the models and lookups of then make exactly this of the records of then."
    return Recomputed(
        **named, sentence=sentence, is_equal=not fields, computed=payload, fields=fields, forgotten=forgotten, notes=notes
    )  # fmt: skip


def _notes(session: Session, parts: Mapping[str, Part]) -> list[str]:
    """What of then is not there any more: functions are the only thing that is not made anew."""
    now = {
        f"{row['schema']}.{row['name']}": row["definition"]
        for row in session.execute(query("builds", "functions")).fetchall()
    }
    functions = [part for part in parts.values() if part.kind == "function"]
    texts = texts_of(session, functions)
    return [
        f"The function {part.full_name} has changed since; it was computed with today's."
        for part in functions
        if part.hash is not None and now.get(part.full_name) != texts[part.hash]
    ]


def _compute(session: Session, row: Row, parts: Mapping[str, Part]) -> Row | None:
    config = json_loads(
        texts_of(session, [parts[f"config.{row['model']}"]])[parts[f"config.{row['model']}"].hash or ""]
    )
    lines: Mapping[str, str] = config["lines"]
    used = above(parts, row["model"], *lines.values())
    texts = texts_of(session, used)
    for part in used:
        _make(session, part, texts.get(part.hash or ""), row["origin"])
    rows, joins = joined_lines({field: sql.Identifier("pg_temp", child) for field, child in lines.items()})
    statement = compose(
        "recompute", "rows", view=sql.Identifier("pg_temp", row["model"]), lines=rows, line_joins=joins
    )
    names = ("source_connection", "source_id", "key", "connection")
    return session.execute(statement, {"control": CONTROL, **{name: row[name] for name in names}}).fetchone()


def _make(session: Session, part: Part, text: str | None, origin: Row) -> None:
    match part.kind:
        case "source" if part.layer == STAGING:
            _staging(session, part, origin)
        case "source" if (part.layer, part.name) == (ENGINE, "links"):
            _links(session, part, origin)
        case "lookup" if text is not None:
            _lookup(session, part, json_loads(text))
        case "model" if text is not None:
            # The text of a model of then, of the same project and trust as those in force.
            ours: Any = _NAMES.sub(r'pg_temp."\2"', text)
            session.execute(compose("recompute", "model", name=_temporary(part), text=sql.SQL(ours)))
        case _:
            raise UsageError(
                f"{part.full_name} cannot be made again.", cure="Its model reads something that is not kept."
            )


def _temporary(part: Part) -> sql.Identifier:
    return sql.Identifier("pg_temp", part.name)


def _columns(session: Session, table: str) -> sql.Composed:
    rows = session.execute(query("recompute", "columns"), {"table": table}).fetchall()
    return sql.SQL(", ").join([sql.Identifier(row["name"]) for row in rows])


def _staging(session: Session, part: Part, origin: Row) -> None:
    system, _, stream = part.name.partition("__")
    table = sql.Identifier(STAGING, part.name)
    moved, then = sql.Identifier(f"moved__{part.name}"), sql.Identifier(f"then__{part.name}")
    values = {
        "system": system,
        "stream": stream,
        "version": origin["version"],
        "snapshot": origin["snapshot"],
    }
    session.execute(compose("recompute", "moved", moved=moved), values)
    session.execute(compose("recompute", "then_table", then_table=then, table=table))
    session.execute(compose("recompute", "fill_then", then_table=then, table=table, moved=moved), values)
    session.execute(compose("recompute", "find_moved", moved=moved))
    session.execute(compose("recompute", "count_moved", moved=moved, then_table=then))
    columns = _columns(session, f"staging.{part.name}")
    statement = compose(
        "recompute",
        "then_view",
        name=_temporary(part),
        columns=columns,
        table=table,
        moved=moved,
        then_table=then,
    )
    session.execute(statement)


def _links(session: Session, part: Part, origin: Row) -> None:
    values = {"version": origin["version"], "snapshot": origin["snapshot"]}
    session.execute(query("recompute", "links_moved"), values)
    columns = _columns(session, "cdc.links")
    session.execute(compose("recompute", "links_view", name=_temporary(part), columns=columns))


def _lookup(session: Session, part: Part, kept: Row) -> None:
    names: Sequence[str] = kept["columns"]
    statement = compose(
        "recompute",
        "lookup",
        name=_temporary(part),
        columns=sql.SQL(", ").join([sql.Identifier(name) for name in names]),
        rows=sql.SQL("{}::jsonb").format(sql.Literal(json_dumps(kept["rows"]))),
        typed=sql.SQL(", ").join([sql.SQL("{} text").format(sql.Identifier(name)) for name in names]),
    )
    session.execute(statement)
