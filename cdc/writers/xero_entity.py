"""What all Xero entities have in common: a `Write` put together from what is special about one entity.

Creates use PUT, which Xero refuses for a number that exists; updates use POST with the record's id. Nothing
is ever matched by number or name, and no fetched record is ever sent back: an element holds the fields of the
payload and the id, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from cdc.writers import xero_answers, xero_values
from cdc.writers.xero_answers import Identity
from cdc.writing import Finding, Found, Operation, Outcome, Outgoing, TargetClient, WriteCall, is_cleared
from tieout.errors import RetryLater, UnknownOutcome
from tieout.http import Answer

Record = dict[str, Any]
Candidates = list[list[Record]]
"""For each entry the records that may be it."""


def never_frozen(_record: Mapping[str, Any], _organisation: Mapping[str, Any] | None) -> str | None:
    """For master data: it may always change."""
    return None


def send_it(_operation: Operation, _one: Outgoing, _record: Record | None) -> Outcome | None:
    """For master data: nothing speaks against sending."""
    return None


def unless_gone(operation: Operation, one: Outgoing, record: Record | None) -> Outcome | None:
    """For master data that is read before its removal: what is gone is not removed again."""
    if operation == "remove" and (record is None or xero_values.is_gone(record)):
        return Outcome(
            kind="unchanged", target_id=one.target_id, record=record, reason="It was removed already."
        )
    return None


def never_stands_in(_one: Outgoing, _record: Mapping[str, Any]) -> bool:
    """Nothing that others made does what ours would."""
    return False


def nobody(_connection: psycopg.Connection[Record], _connection_name: str, _one: Outgoing) -> tuple[str, ...]:
    """Names need not be unique, or are our numbers."""
    return ()


def no_serial(_one: Outgoing) -> str | None:
    """Calls of this entity do not get in each other's way."""
    return None


def as_answered(_one: Outgoing, record: Record) -> Record:
    """Most answers show the whole record."""
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class XeroWrite:
    """One entity of Xero; fulfils `cdc.writing.Write`."""

    entity: str
    stream: str | None
    plural: str
    id_field: str
    identity: Identity
    call: Callable[[Operation, Sequence[Outgoing]], WriteCall]
    candidates: Callable[[TargetClient, Sequence[Outgoing]], Candidates]
    """For creates: asks Xero by mark, then by natural key."""
    mirrored: Callable[[psycopg.Connection[Record], str, Sequence[Outgoing]], Candidates]
    is_ours: Callable[[Outgoing, Record], bool]
    finding: Finding
    read: Callable[[TargetClient, Sequence[Outgoing]], list[Record | None]]
    """The records of updates and removals as they are now."""
    before: Callable[[Operation, Outgoing, Record | None], Outcome | None] = send_it
    reads_before: frozenset[Operation] = frozenset()
    """Operations before which the record is read; `before` judges what was read."""
    freeze: Callable[[Mapping[str, Any], Mapping[str, Any] | None], str | None] = never_frozen
    serial: Callable[[Outgoing], str | None] = no_serial
    batches: Mapping[Operation, int]
    complete: Callable[[Outgoing, Record], Record] = as_answered
    """Adds to an answered record what Xero leaves out because it was in the address."""
    satisfied_by: Callable[[Outgoing, Record], bool] = never_stands_in
    """Does a record that is not ours do what ours would?"""
    named: Callable[[psycopg.Connection[Record], str, Outgoing], tuple[str, ...]] = nobody
    """Mirrored records that have the name of this one."""
    may_be: Callable[[Outgoing, Record], bool] = never_stands_in
    """May a record that `candidates` gave be ours, under another number?"""
    looks: Callable[[TargetClient, Sequence[Outgoing]], Candidates] | None = None
    """Asked just before creates are sent, for what people enter too."""
    total_field: str | None = None
    gives: tuple[str, ...] = ()
    """Fields that Xero adds and other records refer to (`give` of a reference)."""
    adopts: bool = False
    merges: bool = False
    """People merge such records in Xero (contacts)."""
    settling_seconds: int = 5
    # Xero answers the same call with the same key from memory for 6 minutes ("Idempotency"); a minute is left
    # for clocks.
    replay_seconds: int = 300

    def batch(self, operation: Operation) -> int:
        """Most elements of one call."""
        return self.batches[operation]

    def serial_by(self, outgoing: Outgoing) -> str | None:
        """At most one call may be in flight for this text."""
        return self.serial(outgoing)

    def check(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> list[Outcome | None]:
        """Read money documents, and whatever has an expectation, just before an update or removal."""
        records: dict[int, Record | None] = {}
        if operation != "create":
            asked = [one for one in outgoing if operation in self.reads_before or one.expect]
            if asked:
                read = self.read(client, asked)
                records = {one.entry: record for one, record in zip(asked, read, strict=True)}
        return [self._check(operation, one, records) for one in outgoing]

    def request(self, operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        """One request for these elements."""
        return self.call(operation, outgoing)

    def outcomes(self, operation: Operation, outgoing: Sequence[Outgoing], answer: Answer) -> list[Outcome]:
        """One outcome an element, matched by position, then by number."""
        if operation == "remove" and answer.status == 404 and len(outgoing) == 1:
            return [Outcome(kind="unchanged", target_id=outgoing[0].target_id, reason="It was gone already.")]
        if operation == "remove" and answer.status < 300 and not self._shows_elements(answer):
            return [Outcome(kind="applied", target_id=one.target_id) for one in outgoing]
        read = xero_answers.outcomes(
            outgoing,
            answer,
            entity=self.entity,
            plural=self.plural,
            id_field=self.id_field,
            identity=self.identity,
        )
        return [
            outcome if outcome.record is None else replace(outcome, record=self.complete(one, outcome.record))
            for one, outcome in zip(outgoing, read, strict=True)
        ]

    def find(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        """Creates by mark and natural key, all others by id. A removed record that Xero no longer shows is
        not found."""
        creates = [one for one in outgoing if one.operation == "create"]
        others = [one for one in outgoing if one.operation != "create"]
        found: dict[int, list[Found]] = {}
        if creates:
            asked = self.candidates(client, creates)
            found |= {one.entry: self._found(one, some) for one, some in zip(creates, asked, strict=True)}
        if others:
            for one, record in zip(others, self.read(client, others), strict=True):
                found[one.entry] = [] if record is None else [self._judged(one, record)]
        return [found[one.entry] for one in outgoing]

    def find_in_mirror(
        self, connection: psycopg.Connection[Record], connection_name: str, outgoing: Sequence[Outgoing]
    ) -> list[list[Found]]:
        """The same for creates, from the staging table."""
        candidates = self.mirrored(connection, connection_name, outgoing)
        return [self._found(one, some) for one, some in zip(outgoing, candidates, strict=True)]

    def holders(
        self, connection: psycopg.Connection[Record], connection_name: str, one: Outgoing
    ) -> tuple[str, ...]:
        """Which mirrored records have the name that is taken."""
        return self.named(connection, connection_name, one)

    def look(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        """What people may have entered in place of these creates."""
        if self.looks is None:
            return [[] for _ in outgoing]
        return [
            self._found(one, some) for one, some in zip(outgoing, self.looks(client, outgoing), strict=True)
        ]

    def same(self, field: str, sent: object, held: object) -> bool:
        """Does Xero's value say what was sent?"""
        return xero_values.same(field, sent, held)

    def returned(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The paths of the payload as the record shows them, and what others may refer to."""
        given = {name: record[name] for name in self.gives if record.get(name)}
        return xero_values.returned(payload, record) | given

    def differs(self, outgoing: Outgoing, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Paths that we sent and the record does not show."""
        return xero_values.differs(outgoing, record, total_field=self.total_field)

    def lacking(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """What the completion of an adopted record may send."""
        return xero_values.lacking(payload, record)

    def merged_into(self, record: Mapping[str, Any]) -> str | None:
        """Where a merged contact went."""
        return str(record["MergedToContactID"]) if self.merges and record.get("MergedToContactID") else None

    def frozen(self, record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
        """Why the record may no longer change."""
        return self.freeze(record, organisation)

    def _check(
        self, operation: Operation, one: Outgoing, records: Mapping[int, Record | None]
    ) -> Outcome | None:
        record = records.get(one.entry)
        if record is not None and one.expect:
            for name, expected in one.expect.items():
                if not self.same(name, expected, record.get(name)):
                    return Outcome(
                        kind="conflict",
                        target_id=one.target_id,
                        record=record,
                        field=name,
                        cause="moved at the target",
                        reason=f"{name} in Xero is no longer what it was when this was decided.",
                    )
        return self.before(operation, one, record)

    def _shows_elements(self, answer: Answer) -> bool:
        """False for the answer to a DELETE: empty, or a bare confirmation."""
        if not answer.content.strip():
            return False
        try:
            body = answer.json()
        except (RetryLater, UnknownOutcome):
            # It was carried out all the same: Xero answered with success.
            return False
        return isinstance(body, dict) and isinstance(body.get(self.plural), list)

    def _found(self, one: Outgoing, candidates: Sequence[Record]) -> list[Found]:
        found = [
            self._as_found(one, record, is_ours=not self.may_be(one, record) and self.is_ours(one, record))
            for record in {str(record[self.id_field]): record for record in candidates}.values()
        ]
        return sorted(found, key=lambda one: not one.is_ours)

    def _judged(self, one: Outgoing, record: Record) -> Found:
        return self._as_found(one, record, is_ours=not self.differs(one, record))

    def _as_found(self, one: Outgoing, record: Record, *, is_ours: bool) -> Found:
        is_create = one.operation == "create"
        return Found(
            may_be=not is_ours and is_create and self.may_be(one, record),
            satisfies=not is_ours and is_create and self.satisfied_by(one, record),
            target_id=str(record[self.id_field]),
            record=record,
            is_ours=is_ours,
            line_ids=xero_values.line_ids(one, record) or None,
            label=str(record.get("Name") or record.get("Code") or self.identity(record) or ""),
        )


def to_collection(
    plural: str, operation: Operation, elements: list[Record], params: Mapping[str, str] | None = None
) -> WriteCall:
    """One request for many elements, each answered for itself."""
    return WriteCall(
        method="PUT" if operation == "create" else "POST",
        path=f"/{plural}",
        params={"summarizeErrors": "false", **(params or {})},
        body={plural: elements},
    )


def element(one: Outgoing, id_field: str) -> Record:
    """What is sent for one record: its id (updates) and the fields that the entry sends, in Xero's form."""
    sent = {name: _wire(one.payload[name], one) for name in xero_values.sent_fields(one)}
    if isinstance(sent.get("Contact"), Mapping):
        # More than the id would change the contact itself ("Contacts": nested contacts).
        sent["Contact"] = {"ContactID": sent["Contact"].get("ContactID")}
    return sent if one.operation == "create" else {id_field: one.target_id, **sent}


def _wire(value: Any, one: Outgoing) -> Any:
    if is_cleared(value):
        return ""
    if isinstance(value, Mapping):
        fields = {name: _wire(part, one) for name, part in value.items() if not name.startswith("_")}
        # A line without its id would be made anew, and the old one deleted.
        line_id = one.line_ids.get(str(value["_line"])) if "_line" in value else None
        return {"LineItemID": line_id, **fields} if line_id else fields
    if isinstance(value, list):
        return [_wire(part, one) for part in value]
    return value
