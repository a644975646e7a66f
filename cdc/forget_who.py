"""Who a person is in what is kept: by an e-mail, a customer's id or one of our contact keys.

From there to the records that are the person's (the customer, orders, what hangs on these, the contact in the targets), to the
links of those records, and to names and e-mails that stand in them. A record that only mentions the person is not theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import open_writers
from tieout.db import json_dumps
from tieout.errors import UsageError
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
Named = tuple[str, str, str]
"""Connection, stream, id."""
CONTACTS = ("contacts", "customers")
"""Entities whose records are persons."""
ROUNDS = 4
"""From record to record: a customer's orders, and what hangs on these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mirrored record."""

    connection: str
    system: str
    stream: str
    id: str
    payload: Row
    is_deleted: bool
    is_own: bool

    @property
    def named(self) -> Named:
        """Connection, stream, id."""
        return (self.connection, self.stream, self.id)


@dataclass(kw_only=True)
class Person:
    """What is known of one person."""

    texts: set[str] = field(default_factory=set)
    """E-mails, in small letters: they name this person alone."""
    names: set[str] = field(default_factory=set)
    records: set[Named] = field(default_factory=set)
    """Records that are the person's, also those that are mirrored no more."""
    mirrored: list[Record] = field(default_factory=list)
    """Mirrored records that are the person's, or mention them."""
    links: list[Row] = field(default_factory=list)
    contact_keys: set[str] = field(default_factory=set)
    gone_keys: set[str] = field(default_factory=set)
    """Keys of contacts whose record its source has no more."""
    sources: set[str] = field(default_factory=set)
    """Connections from which the person came."""

    @property
    def patterns(self) -> list[str]:
        """For `like`, against a text in small letters."""
        return [f"%{_escaped(text)}%" for text in sorted(self.texts)]

    def columns(self) -> dict[str, list[str]]:
        """The records as arrays for a statement."""
        ordered = sorted(self.records)
        return {
            "connections": [one[0] for one in ordered],
            "streams": [one[1] for one in ordered],
            "ids": [one[2] for one in ordered],
        }


def find_person(session: Session, text: str) -> Person:
    """Who is meant, with all that is theirs. Raises UsageError when nobody is, or a company."""
    models = models_in_force(session)
    person = Person()
    look = _Look(session, models, person)
    look.begin(text.strip())
    for _ in range(ROUNDS):
        before = (len(person.texts), len(person.records))
        look.records_by_text()
        look.records_that_lead()
        look.learn()
        if (len(person.texts), len(person.records)) == before:
            break
    look.links()
    look.targets()
    # The e-mail of a contact that others entered may be a company's: it is no sign of the person.
    look.learn(mails=False)
    if not person.records and not person.links:
        raise UsageError(
            f"Nothing is kept of {text!r}.",
            cure="Give an e-mail, a customer's id (or shop/17), or a key such as shop/customer/17.",
        )
    return person


def shows(record: Record, person: Person) -> bool:
    """Does a record still name the person?"""
    shown = json_dumps(record.payload).lower()
    names = person.names if record.is_own else ()
    return any(text in shown for text in person.texts) or any(name.lower() in shown for name in names)


class _Look:
    """The steps of the search; all it finds is kept in the person."""

    def __init__(self, session: Session, models: Iterable[OutboundModel], person: Person) -> None:
        self._session: Session = session
        self._models: dict[str, OutboundModel] = {model.name: model for model in models}
        self._person: Person = person
        self._tables: dict[str, list[str]] = {
            row["name"]: list(row["columns"])
            for row in session.execute(query("forget", "staging_tables")).fetchall()
        }
        self._seen: dict[Named, Record] = {}

    @property
    def _customers(self) -> list[str]:
        """Staging tables whose records are the persons that contacts are made of."""
        return sorted(
            {
                model.driver
                for model in self._models.values()
                if model.entity in CONTACTS and model.driver in model.tables
            }
        )

    def begin(self, text: str) -> None:
        """From what was given to the first e-mail or record."""
        if "@" in text and "/" not in text:
            self._person.texts.add(text.lower())
            return
        for link in self._session.execute(query("forget", "link"), {"key": text}).fetchall():
            self._of_link(link, text)
        if self._person.texts or self._person.records:
            return
        connection, _, record_id = text.rpartition("/")
        for table in self._customers:
            statement = compose("forget", "customer", table=sql.Identifier("staging", table))
            for row in self._session.execute(statement, {"id": record_id}).fetchall():
                if connection in ("", row["connection"]):
                    self._add(table, row, is_own=True)

    def _of_link(self, link: Row, text: str) -> None:
        model = self._models.get(link["model"])
        if "@" in link["source_id"]:
            self._person.texts.add(link["source_id"].lower())
        elif model is not None and model.driver in self._customers:
            stream = model.driver.partition("__")[2]
            self._person.records.add((link["source_connection"], stream, link["source_id"]))
            self._by_name(model.driver, [(link["source_connection"], link["source_id"])])
        else:
            raise UsageError(
                f"{text} is not a person.",
                cure="Give an e-mail, a customer's id, or the key of a person's contact.",
            )

    def records_by_text(self) -> None:
        """Records that show an e-mail now, or whose history does."""
        values = {"patterns": self._person.patterns}
        if not self._person.texts:
            return
        for table in self._tables:
            statement = compose("forget", "records_with", table=sql.Identifier("staging", table))
            for row in self._session.execute(statement, values).fetchall():
                self._add(table, row, is_own=self._is_theirs(row["payload"]))
        systems = self._systems()
        for row in self._session.execute(query("forget", "history_with"), values).fetchall():
            table = f"{systems.get(row['connection'], '')}__{row['stream']}"
            changes = self._history([(row["connection"], row["stream"], row["id"])])
            if any(self._is_theirs(side) for side in changes):
                self._person.records.add((row["connection"], row["stream"], row["id"]))
                if table in self._tables:
                    self._by_name(table, [(row["connection"], row["id"])])

    def records_that_lead(self) -> None:
        """Orders of a customer, documents of an order: tables with a column that names such a record."""
        systems = self._systems()
        for stream in sorted({named[1] for named in self._person.records}):
            column = f"{stream.removesuffix('s')}_id"
            for table, columns in self._tables.items():
                some = [
                    (named[0], named[2])
                    for named in sorted(self._person.records)
                    if named[1] == stream and systems.get(named[0]) == table.partition("__")[0]
                ]
                if column in columns and some:
                    statement = compose(
                        "forget",
                        "records_leading",
                        table=sql.Identifier("staging", table),
                        column=sql.Identifier(column),
                    )
                    values = {"connections": [one[0] for one in some], "ids": [one[1] for one in some]}
                    for row in self._session.execute(statement, values).fetchall():
                        self._add(table, row, is_own=True)

    def learn(self, *, mails: bool = True) -> None:
        """E-mails of the customer, and the names by which their records call them."""
        person = self._person
        customers = {table.partition("__")[2] for table in self._customers}
        for named in sorted(person.records):
            known = self._seen.get(named)
            sides = [*([known.payload] if known is not None else []), *self._history([named])]
            for side in sides:
                person.names |= set(_names(side))
                if mails and named[1] in customers:
                    person.texts |= set(_mails(side))

    def links(self) -> None:
        """Links of these records and e-mails; those of contacts apart."""
        person = self._person
        values = {"patterns": person.patterns, "keys": [], **person.columns()}
        person.links = self._session.execute(query("forget", "links_of"), values).fetchall()
        for link in person.links:
            if link["entity"] in CONTACTS:
                person.contact_keys.add(link["key"])
                driver = self._seen.get(self._driver(link))
                if driver is None or driver.is_deleted:
                    person.gone_keys.add(link["key"])
        linked = {link["source_connection"] for link in person.links}
        person.sources |= linked or {named[0] for named in person.records}

    def targets(self) -> None:
        """What the targets hold of these links."""
        for link in self._person.links:
            model = self._models.get(link["model"])
            if model is None or link["target_id"] is None:
                continue
            stream = open_writers(model.system)[model.entity].stream
            if stream is not None:
                self._person.records.add((link["connection"], stream, link["target_id"]))
                self._by_name(f"{model.system}__{stream}", [(link["connection"], link["target_id"])])
        self._person.mirrored = list(self._seen.values())

    def _driver(self, link: Row) -> Named:
        model = self._models.get(link["model"])
        stream = model.driver.partition("__")[2] if model is not None else ""
        return (link["source_connection"], stream, link["source_id"])

    def _by_name(self, table: str, some: list[tuple[str, str]]) -> None:
        statement = compose("forget", "records_named", table=sql.Identifier("staging", table))
        values = {"connections": [one[0] for one in some], "ids": [one[1] for one in some]}
        for row in self._session.execute(statement, values).fetchall():
            self._add(table, row, is_own=True)

    def _add(self, table: str, row: Row, *, is_own: bool) -> None:
        system, _, stream = table.partition("__")
        record = Record(
            connection=row["connection"], system=system, stream=stream, id=row["id"], payload=row["payload"],
            is_deleted=row["deleted_at"] is not None, is_own=is_own,
        )  # fmt: skip
        known = self._seen.get(record.named)
        if known is None or (is_own and not known.is_own):
            self._seen[record.named] = record
        if is_own:
            self._person.records.add(record.named)

    def _is_theirs(self, payload: Mapping[str, Any]) -> bool:
        """A record is the person's when its own e-mail is; one that has it somewhere inside only mentions them."""
        return any(mail in self._person.texts for mail in _mails(payload))

    def _history(self, named: list[Named]) -> list[Row]:
        values = {
            "connections": [one[0] for one in named],
            "streams": [one[1] for one in named],
            "ids": [one[2] for one in named],
        }
        rows = self._session.execute(query("forget", "history_of"), values).fetchall()
        return [side for row in rows for side in (row["before"], row["after"]) if side]

    def _systems(self) -> dict[str, str]:
        rows = self._session.execute(query("forget", "systems")).fetchall()
        return {row["connection"]: row["system"] for row in rows}


def _mails(payload: Mapping[str, Any]) -> Iterator[str]:
    """E-mails that a record gives as its own."""
    for name, value in payload.items():
        if "email" in name.lower() and isinstance(value, str) and "@" in value:
            yield value.strip().lower()


def _names(value: Any) -> Iterator[str]:
    """Whole names that stand in a record, in either order of its parts."""
    if isinstance(value, Mapping):
        lowered = {name.lower(): item for name, item in value.items()}
        for prefix in ("", "customer_"):
            first, last = lowered.get(f"{prefix}firstname"), lowered.get(f"{prefix}lastname")
            if isinstance(first, str) and isinstance(last, str) and first.strip() and last.strip():
                yield f"{first.strip()} {last.strip()}"
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
