"""Allocations: a credit note, a prepayment or an overpayment put on an invoice.

They are part of their source: made by PUT and removed by DELETE below its address, one source a call, and
shown nowhere but on it. They have no number; source, invoice, amount and date are all that one is, so a
repeat is found by reading the source. One that a person made of the same amount, on whatever day, stands for
ours. They never change (Xero developer documentation, "Credit Notes",
"Prepayments", "Overpayments").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from cdc.writers.xero_documents import FULL
from cdc.writers.xero_entity import Candidates, Record, XeroWrite, element
from cdc.writers.xero_money import never_changes
from cdc.writers.xero_search import in_mirror, read_one
from cdc.writers.xero_values import differs, same_id
from cdc.writing import Finding, Operation, Outcome, Outgoing, TargetClient, WriteCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is allocated."""

    entity: str
    """The name of its allocations among the entities that are written."""
    name: str
    plural: str
    stream: str

    @property
    def id_field(self) -> str:
        """Where its records have their id."""
        return f"{self.name}ID"

    def id_of(self, one: Outgoing) -> str:
        """The source that an entry allocates."""
        return str(one.payload[self.name][self.id_field])

    def on(self, record: Mapping[str, Any] | None) -> list[Record]:
        """The allocations that a source shows, each with its source."""
        if record is None:
            return []
        return [
            {**allocation, self.name: {self.id_field: record.get(self.id_field)}}
            for allocation in record.get("Allocations") or []
            if allocation.get("AllocationID") and not allocation.get("IsDeleted")
        ]


CREDIT_NOTES = Source(entity="allocations", name="CreditNote", plural="CreditNotes", stream="credit_notes")
PREPAYMENTS = Source(
    entity="prepayment_allocations", name="Prepayment", plural="Prepayments", stream="prepayments"
)
OVERPAYMENTS = Source(
    entity="overpayment_allocations", name="Overpayment", plural="Overpayments", stream="overpayments"
)


def allocations_of(source: Source) -> XeroWrite:
    """The writer of the allocations of one kind of source. They are not mirrored on their own."""
    return XeroWrite(
        entity=source.entity,
        stream=None,
        plural="Allocations",
        id_field="AllocationID",
        total_field="Amount",
        identity=lambda _allocation: None,
        is_ours=_is_ours,
        finding=Finding(
            mark=None,
            natural=f"`{source.name}`, `Invoice` and `Amount`; ours if the `Date` is too",
            asked=f"GET {source.plural}/{{id}}, which shows its allocations",
            twice="takes it, as long as so much is left and open",
            window="Xero carries out the first sending after it was asked: after the second both are counted, and the chain "
            "stops.",
        ),
        satisfied_by=_stands_in,
        call=_call(source),
        candidates=_ask(source),
        mirrored=_mirrored(source),
        read=_read(source),
        before=_before(source),
        reads_before=frozenset({"update", "remove"}),
        serial=source.id_of,
        # Xero leaves the source out of the answer, since it was in the address.
        complete=lambda one, record: {**record, source.name: {source.id_field: source.id_of(one)}},
        replay_seconds=0,
        batches={"create": 1, "update": 1, "remove": 1},
    )


def _call(source: Source) -> Callable[[Operation, Sequence[Outgoing]], WriteCall]:
    """One allocation of one source a call, and one call at a time for a source."""

    def call(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        one = outgoing[0]
        source_id = source.id_of(one)
        path = f"/{source.plural}/{source_id}/Allocations"
        if operation == "remove":
            return WriteCall(method="DELETE", path=f"{path}/{one.target_id}", serial_by=source_id)
        sent = {name: value for name, value in element(one, "AllocationID").items() if name != source.name}
        return WriteCall(
            method="PUT",
            path=path,
            params={"summarizeErrors": "false"},
            body={"Allocations": [sent]},
            serial_by=source_id,
        )

    return call


def _ask(source: Source) -> Callable[[TargetClient, Sequence[Outgoing]], Candidates]:
    """Read the sources: a list of allocations does not exist."""

    def ask(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
        held = _held(client, source, outgoing)
        return [_for(one, held[source.id_of(one)]) for one in outgoing]

    return ask


def _mirrored(source: Source) -> Callable[[psycopg.Connection[Record], str, Sequence[Outgoing]], Candidates]:
    """The same from the mirror's sources."""

    def ask(connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]) -> Candidates:
        rows = in_mirror(connection, name, source.stream, "id", [source.id_of(one) for one in outgoing])
        held = {str(row.get(source.id_field)): source.on(row) for row in rows}
        return [_for(one, held.get(source.id_of(one), [])) for one in outgoing]

    return ask


def _read(source: Source) -> Callable[[TargetClient, Sequence[Outgoing]], list[Record | None]]:
    """Allocations by id, on their sources."""

    def read(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
        held = _held(client, source, outgoing)
        return [
            next(
                (each for each in held[source.id_of(one)] if same_id(each["AllocationID"], one.target_id)),
                None,
            )
            for one in outgoing
        ]

    return read


def _before(source: Source) -> Callable[[Operation, Outgoing, Record | None], Outcome | None]:
    """Allocations are made and removed, nothing else."""

    def before(operation: Operation, one: Outgoing, record: Record | None) -> Outcome | None:
        if operation == "update":
            return never_changes(one, "allocation", source.stream)
        if operation == "remove" and record is None:
            return Outcome(kind="unchanged", target_id=one.target_id, reason="It was removed already.")
        return None

    return before


def _held(client: TargetClient, source: Source, outgoing: Sequence[Outgoing]) -> dict[str, list[Record]]:
    ids = dict.fromkeys(source.id_of(one) for one in outgoing)
    return {each: source.on(read_one(client, source.plural, each, FULL)) for each in ids}


def _is_ours(one: Outgoing, record: Record) -> bool:
    return not differs(one, record, total_field=None)


def _stands_in(one: Outgoing, record: Record) -> bool:
    return set(differs(one, record, total_field=None)) <= {"Date"}


def _for(one: Outgoing, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if _stands_in(one, record)]
