"""Payments: money put on invoices, and taken back from credit notes, prepayments and overpayments (refunds).

They have no number that Xero keeps unique, so a repeat is a second payment without a word. Their own key is
found by reading: document, Reference, amount and date. They never change: what is wrong is removed and made
anew, and a reconciled payment is left alone (Xero developer documentation, "Payments").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from cdc.writers.xero_contacts import is_another_of_ours
from cdc.writers.xero_documents import locked_until, moved_paths
from cdc.writers.xero_entity import Candidates, Record, element, to_collection
from cdc.writers.xero_search import (
    IDS_A_CALL,
    VALUES_A_CALL,
    equals,
    in_mirror,
    is_guid,
    parts,
    read_list,
    read_one,
)
from cdc.writers.xero_values import as_number, differs, is_gone, same
from cdc.writing import Finding, Operation, Outcome, Outgoing, TargetClient, WriteCall

# Source connection, a word in small letters, and what names the record: see `_key` in the models.
_KEY = re.compile(r"^[^/\s]+/[a-z][a-z_]*/\S+$")
_DOCUMENTS = {
    "Invoice": "InvoiceID",
    "CreditNote": "CreditNoteID",
    "Prepayment": "PrepaymentID",
    "Overpayment": "OverpaymentID",
}

PAYMENT_FOUND = Finding(
    mark="`Reference` is our key",
    natural="what is paid, `Amount` and, for ours, `Account` and `Date`",
    asked="GET Payments by `Reference`, then by the invoice, credit note, prepayment or overpayment",
    twice="takes it, as long as so much is open",
    window="Xero carries out the first sending after it was asked: after the second both are counted, and the chain stops.",
)


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


def payments_entered(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
    """Payments on the invoices that are about to be paid: usually none, so the answer is small."""
    found: list[Record] = []
    ids = [str(one.payload["Invoice"]["InvoiceID"]) for one in outgoing if one.payload.get("Invoice")]
    for some in parts(ids, IDS_A_CALL):
        found += read_list(client, "Payments", {"where": is_guid("Invoice.InvoiceID", some)})
    return [_payments_for(one, found) for one in outgoing]


def stands_in_for_payment(one: Outgoing, record: Record) -> bool:
    """Is it the same money on the same document, entered by somebody else?

    It counts in the ledger, and bears no key but, perhaps, ours: with our Reference it was ours in another account or on
    another day.
    """
    reference = record.get("Reference")
    return (
        not is_gone(record)
        and _document(record) == _document(one.payload)
        and as_number(record.get("Amount")) == as_number(one.payload.get("Amount"))
        and (not looks_like_a_key(reference) or same("Reference", one.payload.get("Reference"), reference))
    )


def looks_like_a_key(text: object) -> bool:
    """Does a text look like a key of ours or of another installation: `shop/order/1042/payment/1`?"""
    return isinstance(text, str) and _KEY.match(text.strip()) is not None


def mirrored_payments(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> Candidates:
    """The same from the mirror."""
    found: list[Record] = []
    for field, column in (("Invoice", "invoice_id"), ("CreditNote", "credit_note_id")):
        ids = [str(one.payload[field][_DOCUMENTS[field]]) for one in outgoing if one.payload.get(field)]
        found += in_mirror(connection, name, "payments", column, ids)
    references = [str(one.payload["Reference"]) for one in outgoing if one.payload.get("Reference")]
    found += in_mirror(connection, name, "payments", "reference", references)
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
    return before_removal(operation, one, record, what="payment", stream="payments")


def before_removal(
    operation: Operation, one: Outgoing, record: Record | None, *, what: str, stream: str
) -> Outcome | None:
    """Of what is made and removed and never changed: why not to go on. A reconciled record is left alone.

    `what` names it in the reason; its last word is what the cure calls it.
    """
    if operation == "create":
        return None
    if operation == "update":
        return never_changes(one, what, stream)
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
            reason=f"The {what} in Xero is {why}.",
            cure=f"Undo the reconciliation in Xero first, if the {what.rpartition(' ')[2]} really is wrong.",
            who="accountant",
            depends_on=(stream,),
        )
    if moved := moved_paths(one, record):
        return Outcome(
            kind="conflict",
            target_id=one.target_id,
            record=record,
            field=moved[0],
            cause="moved at the target",
            reason=f"Somebody changed {', '.join(moved)} in Xero since the last load.",
            cure=f"Nothing was sent. The next diff decides again with the {what.rpartition(' ')[2]} as it is now.",
            who="accountant",
        )
    return None


def frozen_payment(record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
    """Why a payment or a bank transaction may no longer be removed."""
    if is_gone(record):
        return "deleted"
    if same("IsReconciled", True, record.get("IsReconciled")):
        return "matched with a bank statement line (reconciled)"
    if organisation and (locked := locked_until(record, organisation)):
        return f"dated in a period that is locked up to {locked}"
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


def never_changes(one: Outgoing, what: str, stream: str) -> Outcome:
    """The refusal of an update of money: nothing of the kind may change."""
    return Outcome(
        kind="rejected",
        target_id=one.target_id,
        cause=f"{what}s cannot change",
        reason=f"Xero never changes a {what}; it can only be removed and made anew.",
        cure=f"Remove the {what} in Xero (the next sync makes it anew), or accept it as it is.",
        who="accountant",
        depends_on=(stream,),
    )
