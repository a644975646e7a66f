"""Payments (refunds are payments on credit notes) and allocations: money put on documents.

Neither has a number that Xero keeps unique, so a repeat is a second payment without a word. Their own keys
are found by reading: (document, Reference, amount, date) for a payment, (credit note, invoice, amount, date)
for an allocation. Neither ever changes: what is wrong is removed and made anew, and a reconciled payment is
left alone (Xero developer documentation, "Payments", "Credit Notes").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from cdc.writers.xero_contacts import is_another_of_ours
from cdc.writers.xero_documents import CREDIT_NOTE, FULL, locked_until, moved_paths
from cdc.writers.xero_entity import Candidates, Record, element, to_collection
from cdc.writers.xero_search import VALUES_A_CALL, equals, in_mirror, is_guid, parts, read_list, read_one
from cdc.writers.xero_values import as_number, differs, is_gone, same, same_id
from cdc.writing import Operation, Outcome, Outgoing, TargetClient, WriteCall

_DOCUMENTS = {"Invoice": "InvoiceID", "CreditNote": "CreditNoteID"}


def payment_identity(payment: Mapping[str, Any]) -> str | None:
    """Document and amount: enough to see that an answer's element is the one that was sent in its place."""
    document, amount = _document(payment), as_number(payment.get("Amount"))
    return f"{document}/{amount.normalize()}" if document and amount is not None else None


def call_payments(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """Many new payments a call; a removal is a status, one a call."""
    if operation == "remove":
        return WriteCall(method="POST", path=f"/Payments/{outgoing[0].target_id}", body={"Status": "DELETED"})
    return to_collection("Payments", operation, [element(one, "PaymentID") for one in outgoing])


def ask_payments(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
    """By Reference, which carries our mark, and by the document that was paid."""
    found: list[Record] = []
    references = [str(one.payload["Reference"]) for one in outgoing if one.payload.get("Reference")]
    for some in parts(references, VALUES_A_CALL):
        found += read_list(client, "Payments", {"where": equals("Reference", some)})
    for field, id_field in _DOCUMENTS.items():
        ids = [str(one.payload[field][id_field]) for one in outgoing if one.payload.get(field)]
        for some in parts(ids, VALUES_A_CALL):
            found += read_list(client, "Payments", {"where": is_guid(f"{field}.{id_field}", some)})
    return [_payments_for(one, found) for one in outgoing]


def mirrored_payments(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> Candidates:
    """The same from the mirror."""
    found: list[Record] = []
    for column, (field, id_field) in zip(("invoice_id", "credit_note_id"), _DOCUMENTS.items(), strict=True):
        ids = [str(one.payload[field][id_field]) for one in outgoing if one.payload.get(field)]
        found += in_mirror(connection, name, "payments", column, ids)
    return [_payments_for(one, found) for one in outgoing]


def payment_is_ours(one: Outgoing, record: Record) -> bool:
    """The same money on the same document under our Reference.

    One that was deleted since counts too, unless we ourselves made it again (a later generation).
    """
    if is_gone(record) and one.generation > 1:
        return False
    return not [path for path in differs(one, record, total_field=None) if path != "Status"]


def read_payments(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
    """Payments by id."""
    return [read_one(client, "Payments", one.target_id or "", {}) for one in outgoing]


def before_payment(operation: Operation, one: Outgoing, record: Record | None) -> Outcome | None:
    """Payments are made and removed, nothing else; and never removed once they are matched with the bank."""
    if operation == "create":
        return None
    if operation == "update":
        return _never_changes(one, "payment", "payments")
    if record is None or is_gone(record):
        return Outcome(
            kind="unchanged", target_id=one.target_id, record=record, reason="It was removed already."
        )
    if why := frozen_payment(record, None):
        return Outcome(
            kind="rejected",
            target_id=one.target_id,
            record=record,
            cause="payment reconciled",
            reason=f"The payment in Xero is {why}.",
            cure="Undo the reconciliation in Xero first, if the payment really is wrong.",
            who="accountant",
            depends_on=("payments",),
        )
    if moved := moved_paths(one, record):
        return Outcome(
            kind="conflict",
            target_id=one.target_id,
            record=record,
            field=moved[0],
            cause="moved at the target",
            reason=f"Somebody changed {', '.join(moved)} in Xero since the last load.",
        )
    return None


def frozen_payment(record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
    """Why a payment may no longer be removed."""
    if is_gone(record):
        return "deleted"
    if same("IsReconciled", True, record.get("IsReconciled")):
        return "matched with a bank statement line (reconciled)"
    if organisation and (locked := locked_until(record, organisation)):
        return f"dated in a period that is locked up to {locked}"
    return None


def call_allocations(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """One allocation of one credit note a call, and one call at a time for a credit note."""
    one = outgoing[0]
    credit_note = allocation_serial(one)
    path = f"/CreditNotes/{credit_note}/Allocations"
    if operation == "remove":
        return WriteCall(method="DELETE", path=f"{path}/{one.target_id}", serial_by=credit_note)
    sent = {name: value for name, value in element(one, "AllocationID").items() if name != "CreditNote"}
    return WriteCall(
        method="PUT",
        path=path,
        params={"summarizeErrors": "false"},
        body={"Allocations": [sent]},
        serial_by=credit_note,
    )


def allocation_serial(one: Outgoing) -> str:
    """The credit note that is allocated."""
    return str(one.payload["CreditNote"]["CreditNoteID"])


def ask_allocations(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
    """Read the credit notes: a list of allocations does not exist."""
    notes = {note: read_one(client, "CreditNotes", note, FULL) for note in map(allocation_serial, outgoing)}
    return [_allocations_for(one, _allocations_of(notes[allocation_serial(one)])) for one in outgoing]


def mirrored_allocations(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> Candidates:
    """The same from the mirror's credit notes."""
    rows = in_mirror(connection, name, CREDIT_NOTE.stream, "id", [allocation_serial(one) for one in outgoing])
    notes = {str(row.get("CreditNoteID")): row for row in rows}
    return [_allocations_for(one, _allocations_of(notes.get(allocation_serial(one)))) for one in outgoing]


def read_allocations(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
    """Allocations by id, on their credit notes."""
    notes = {note: read_one(client, "CreditNotes", note, FULL) for note in map(allocation_serial, outgoing)}
    return [
        next(
            (
                record
                for record in _allocations_of(notes[allocation_serial(one)])
                if same_id(record.get("AllocationID"), one.target_id)
            ),
            None,
        )
        for one in outgoing
    ]


def allocation_is_ours(one: Outgoing, record: Record) -> bool:
    """Credit note, invoice, amount and date are all that an allocation is."""
    return not differs(one, record, total_field=None)


def complete_allocation(one: Outgoing, record: Record) -> Record:
    """Xero leaves out the credit note, since it was in the address."""
    return {**record, "CreditNote": {"CreditNoteID": allocation_serial(one)}}


def before_allocation(operation: Operation, one: Outgoing, record: Record | None) -> Outcome | None:
    """Allocations are made and removed, nothing else."""
    if operation == "update":
        return _never_changes(one, "allocation", "credit_notes")
    if operation == "remove" and record is None:
        return Outcome(kind="unchanged", target_id=one.target_id, reason="It was removed already.")
    return None


def _document(payment: Mapping[str, Any]) -> str | None:
    for field, id_field in _DOCUMENTS.items():
        document = payment.get(field)
        if isinstance(document, Mapping) and document.get(id_field):
            return str(document[id_field]).casefold()
    return None


def _payments_for(one: Outgoing, records: Sequence[Record]) -> list[Record]:
    """Payments on the same document that bear our Reference, or, while they count, are of the same amount."""
    amount, reference = as_number(one.payload.get("Amount")), one.payload.get("Reference")
    return [
        record
        for record in records
        if _document(record) == _document(one.payload)
        and (
            (reference and same("Reference", reference, record.get("Reference")))
            or (
                not is_gone(record)
                and as_number(record.get("Amount")) == amount
                and not is_another_of_ours(reference, record.get("Reference"))
            )
        )
    ]


def _allocations_of(credit_note: Record | None) -> list[Record]:
    if credit_note is None:
        return []
    return [
        {**allocation, "CreditNote": {"CreditNoteID": credit_note.get("CreditNoteID")}}
        for allocation in credit_note.get("Allocations") or []
        if allocation.get("AllocationID") and not allocation.get("IsDeleted")
    ]


def _allocations_for(one: Outgoing, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if allocation_is_ours(one, record)]


def _never_changes(one: Outgoing, what: str, stream: str) -> Outcome:
    return Outcome(
        kind="rejected",
        target_id=one.target_id,
        cause=f"{what}s cannot change",
        reason=f"Xero never changes a {what}; it can only be removed and made anew.",
        cure=f"Remove the {what} in Xero (the next sync makes it anew), or accept it as it is.",
        who="accountant",
        depends_on=(stream,),
    )
