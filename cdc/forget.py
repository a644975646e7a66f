"""Forgetting a person: everything that is kept of one is taken out; amounts, ids, dates and the chain of the audit stay valid.

    who is it → which records and links are theirs → each row that is theirs, or names them, without them → a note without a name

It reaches every table of the engine, whoever adds one: rows are found by key, by record and by the person's e-mail. Audited rows
get another salt and are recorded anew, so that `audit verify` still passes and the old digest says nothing. What a source or
a target still shows is theirs to take out: it is listed, and history blanks it when it changes. While a source shows the
person, its models do, so links and open entries keep what they need until it is gone there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cdc import archived
from cdc.forget_who import Person, find_person, shows
from cdc.personal import Scrub, fields, what_to_do
from tieout.errors import RetryLater
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]

WITHOUT = (
    "audit", "audit_inbox", "vault", "builds", "build_texts", "build_parts", "models", "connections", "budget", "budget_slots",
    "workers", "installation", "forgettings", "forgotten_records", "staging_template", "cursors", "mart_state",
)  # fmt: skip
"""Tables in which no person stands: none of their columns comes from a record."""
LIVE = ("links", "links_before", "outbox", "changed_keys", "changes", "drift")
"""What the next diff reads: kept while a source still shows the person, else the same would be made and sent again."""
_IDENTIFYING = frozenset({"key", "source_id", "id", "target_id", "connection", "entity", "stream", "model"})
"""Columns that name records: an e-mail in them gets another text, a name is none of the person's."""
_HASHES = {"payload": "payload_hash", "body": "body_hash"}
"""A hash of personal content is content: it goes with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A record in which a source or target still shows the person."""

    connection: str
    system: str
    stream: str
    id: str
    to_do: str
    is_source: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was, or would be, taken out."""

    forgetting: UUID
    is_done: bool
    records: int
    """Records of sources and targets that are the person's."""
    counts: Mapping[str, int]
    """Rows that were changed, by table."""
    shown: tuple[Shown, ...]
    kept: Mapping[str, int]
    """Rows that still name the person, by table: until no source shows it any more."""
    archived: tuple[str, ...] = ()
    """Files of archived months that name the person, or one of that name: nothing is changed in them, or the audit could not prove them."""
    unread: tuple[str, ...] = ()
    """Such files that are not in the folder of the settings: nobody looked whether they name the person."""


class _NotDone(Exception):
    """The end of a look: everything is rolled back."""


def forget(
    session: Session, text: str, *, by: str, reason: str, is_done: bool, folder: Path | None = None
) -> Forgotten:
    """Take a person out of everything that is kept. `text`: e-mail, customer id (or connection/id), or one of our contact keys.
    `folder`: where archived months are, which are read and listed.

    Not `is_done`: the same, rolled back. Raises UsageError when nobody is known by that text, RetryLater
    while a call with the person's records is in doubt.
    """
    result: list[Forgotten] = []
    try:
        with session.transaction():
            result.append(_forget(session, text, by=by, reason=reason, is_done=is_done, folder=folder))
            if not is_done:
                raise _NotDone
    except _NotDone:
        pass
    return result[0]


def _forget(
    session: Session, text: str, *, by: str, reason: str, is_done: bool, folder: Path | None
) -> Forgotten:
    forgetting = uuid4()
    session.execute(query("forget", "begin"), {"forgetting": str(forgetting)})
    person = find_person(session, text)
    _wait_for_calls(session, person)
    shown = tuple(_shown(person))
    keeps = any(one.is_source for one in shown)
    scrub = _scrub(person, forgetting, keeps)
    counts: Counter[str] = Counter()
    for table in _tables(session):
        if not (keeps and table.name in LIVE):
            counts[f"cdc.{table.name}"] += _clean(session, table, person, scrub)
    counts["staging"] += _clean_gone(session, person, scrub)
    counts = +counts
    values = {"forgetting": forgetting, "by": by, "reason": scrub.text(reason, names=True)}
    session.execute(query("forget", "note"), {**values, "counts": Jsonb(dict(counts))})
    session.execute(
        query("forget", "note_records"),
        {**person.columns(), "forgetting": forgetting, "fields": sorted({*fields(), "name"})},
    )
    # A name may be another person's: the file is listed all the same.
    texts = person.texts | person.contact_keys | person.names
    named, unread = archived.naming(session, folder, texts) if folder is not None else ([], [])
    return Forgotten(
        forgetting=forgetting,
        is_done=is_done,
        records=len(person.records),
        counts=dict(counts),
        shown=shown,
        kept=_left(session, person),
        archived=tuple(named),
        unread=tuple(unread),
    )


def _wait_for_calls(session: Session, person: Person) -> None:
    """A call whose outcome is not known may have to be repeated byte by byte: it is settled first."""
    keys = [link["key"] for link in person.links]
    row = session.execute(query("forget", "open_calls"), {"keys": keys}).fetchone()
    if row is not None and row["calls"]:
        raise RetryLater(
            f"{row['calls']} calls with the person's records are on their way or in doubt.",
            cure="Run `tieout drain`, which settles them, then this again.",
        )


def _shown(person: Person) -> Iterable[Shown]:
    for record in person.mirrored:
        if not record.is_deleted and shows(record, person):
            yield Shown(
                connection=record.connection,
                system=record.system,
                stream=record.stream,
                id=record.id,
                to_do=what_to_do(record.system, record.stream),
                is_source=record.connection in person.sources,
            )


def _scrub(person: Person, forgetting: UUID, keeps: bool) -> Scrub:
    instead = f"forgotten-{forgetting.hex[:12]}"
    texts = {
        text: instead + (f"-{number}" if number > 1 else "")
        for number, text in enumerate(sorted(person.texts), start=1)
    }
    contacts = [link for link in person.links if link["key"] in person.contact_keys]
    ids = [link["target_id"] for link in contacts if link["target_id"]]
    marks = {*person.texts, *person.contact_keys, *ids}
    return Scrub(
        texts=texts,
        names=sorted(person.names, key=len, reverse=True),
        marks=frozenset(mark.lower() for mark in marks),
        keeps_keys=keeps,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    name: str
    types: Mapping[str, str]
    """By column."""

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier("cdc", self.name)

    @property
    def own(self) -> sql.Composable:
        """How rows of the person are found by what they are about."""
        names = self.types.keys()
        if {"connection", "entity", "key"} <= names:
            return sql.SQL(query("forget", "own_key"))
        if {"connection", "stream", "id"} <= names:
            return sql.SQL(query("forget", "own_record"))
        if "link_id" in names:
            return sql.SQL(query("forget", "own_link"))
        return sql.SQL(query("forget", "own_keys" if "keys" in names else "own_nothing"))

    @property
    def blob(self) -> sql.Composable:
        columns = [name for name, kind in self.types.items() if kind == "bytea"]
        found = [compose("forget", "blob", column=sql.Identifier(name)) for name in columns]
        return sql.SQL(" or ").join(found) if found else sql.SQL(query("forget", "own_nothing"))


def _tables(session: Session) -> list[_Table]:
    rows = session.execute(query("forget", "engine_tables"), {"without": list(WITHOUT)}).fetchall()
    return [
        _Table(name=row["name"], types=dict(zip(row["columns"], row["types"], strict=True))) for row in rows
    ]


def _rows(session: Session, table: _Table, person: Person) -> list[Row]:
    statement = compose("forget", "rows", table=table.identifier, own=table.own, blob=table.blob)
    values = {
        **person.columns(),
        "patterns": person.patterns,
        "texts": sorted(person.texts),
        "link_connections": [link["connection"] for link in person.links],
        "entities": [link["entity"] for link in person.links],
        "link_keys": [link["key"] for link in person.links],
        "link_ids": [link["link_id"] for link in person.links],
    }
    return session.execute(statement, values).fetchall()


def _clean(session: Session, table: _Table, person: Person, scrub: Scrub) -> int:
    """Take the person out of a table. How many rows were changed."""
    changed = 0
    for row in _rows(session, table, person):
        new = _without(table, row["content"], row["is_own"], person, scrub)
        if not new:
            continue
        if "salt" in table.types:
            new["salt"] = uuid4()
        sets = sql.SQL(", ").join(
            [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in new]
        )
        statement = compose("forget", "change", table=table.identifier, sets=sets)
        session.execute(statement, {**new, "place": row["place"], "part": row["part"]})
        changed += 1
    return changed


def _without(table: _Table, content: Row, is_own: bool, person: Person, scrub: Scrub) -> Row:
    """The columns of a row that are other without the person."""
    whole = (
        is_own and table.name != "calls" and not (table.name in LIVE and _is_needed(table, content, person))
    )
    new: Row = {}
    for column, kind in table.types.items():
        value = content[column]
        if value is None or column == "salt":
            continue
        cleaned = _cleaned(column, kind, value, is_own, whole, scrub)
        if kind == "bytea" and (is_own or _in_blob(value, person)):
            new[column] = b""
        elif cleaned != value:
            new[column] = Jsonb(cleaned) if kind == "jsonb" else cleaned
    for changed, hashed in _HASHES.items():
        if changed in new and hashed in table.types:
            new[hashed] = "forgotten"
    return new


def _cleaned(column: str, kind: str, value: Any, is_own: bool, whole: bool, scrub: Scrub) -> Any:
    """The value of a column without the person."""
    match kind:
        case "jsonb":
            return scrub.json(value, names=is_own, fields=whole)
        case "text[]":
            return [scrub.text(item, names=is_own) for item in value]
        case "text":
            return scrub.text(value, names=is_own and column not in _IDENTIFYING)
        case _:
            return value


def _is_needed(table: _Table, content: Row, person: Person) -> bool:
    """A link whose record still lives at its source, without the person by now: the diff compares the model with it."""
    key = content.get("key")
    return table.name != "links_before" and key not in person.gone_keys


def _in_blob(value: str, person: Person) -> bool:
    return any(text.encode().hex() in value.lower() for text in person.texts)


def _clean_gone(session: Session, person: Person, scrub: Scrub) -> int:
    """Mirrored records that their system no longer shows: nobody else will take the person out of them."""
    count = 0
    for record in person.mirrored:
        cleaned = scrub.json(record.payload, names=True, fields=True) if record.is_deleted else record.payload
        if cleaned != record.payload:
            table = sql.Identifier("staging", f"{record.system}__{record.stream}")
            values = {"payload": Jsonb(cleaned), "connection": record.connection, "id": record.id}
            session.execute(compose("forget", "clean_record", table=table), values)
            count += 1
    return count


def _left(session: Session, person: Person) -> dict[str, int]:
    """Where the person's e-mail still stands."""
    left: dict[str, int] = {}
    for table in _tables(session):
        rows = _rows(session, table, person)
        pattern = re.compile(
            "|".join(re.escape(text) for text in sorted(person.texts)) or "(?!)", re.IGNORECASE
        )
        count = sum(1 for row in rows if pattern.search(str(row["content"])))
        if count:
            left[f"cdc.{table.name}"] = count
    return left
