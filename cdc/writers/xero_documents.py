"""Invoices and credit notes: documents with lines, read just before they change, frozen once money is on
them.

Creates are PUT: a second one with the same number is refused ("Invoice # must be unique."), so a lost answer
can never become two documents. Updates send the fields that differ; lines carry their LineItemID, and are
left out wholly when only other fields change, because sending lines replaces the set. Removal: a draft is
deleted, an approved document without money on it is voided, anything else is refused with the cure (Xero
developer documentation, "Invoices", "Credit Notes").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from cdc.writers.xero_contacts import by_id
from cdc.writers.xero_entity import Candidates, Record, element, to_collection
from cdc.writers.xero_search import IDS_A_CALL, VALUES_A_CALL, equals, in_mirror, is_guid, parts, read_list
from cdc.writers.xero_values import (
    as_number,
    business_date,
    differs,
    is_gone,
    line_ids,
    returned,
    same,
    sent_fields,
)
from cdc.writing import Finding, Operation, Outcome, Outgoing, TargetClient, WriteCall

FULL = {"unitdp": "4"}
"""Four decimals of unit prices; without it Xero shows and stores two."""

_DRAFTS = frozenset({"DRAFT", "SUBMITTED"})
# What Xero lets change on an invoice with money on it and needs no line for ("Invoices", editing paid
# invoices).
_EDITABLE_WHEN_SETTLED = frozenset({"Reference", "DueDate", "InvoiceNumber", "BrandingThemeID", "Url"})
# Together with number and amount these make a document the same one; other fields may have been edited since.
_IDENTITY = ("Type", "Contact", "Date", "CurrencyCode", "Reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Where invoices and credit notes differ."""

    plural: str
    stream: str
    id_field: str
    number_field: str
    number_column: str
    type: str
    editable_when_settled: frozenset[str]
    has_list_parameters: bool
    """The list takes `IDs` and `InvoiceNumbers`; otherwise both go through `where`."""


INVOICE = Kind(
    plural="Invoices",
    stream="invoices",
    id_field="InvoiceID",
    number_field="InvoiceNumber",
    number_column="invoice_number",
    type="ACCREC",
    editable_when_settled=_EDITABLE_WHEN_SETTLED,
    has_list_parameters=True,
)
CREDIT_NOTE = Kind(
    plural="CreditNotes",
    stream="credit_notes",
    id_field="CreditNoteID",
    number_field="CreditNoteNumber",
    number_column="credit_note_number",
    type="ACCRECCREDIT",
    editable_when_settled=frozenset(),
    has_list_parameters=False,
)


def found_again(kind: Kind) -> Finding:
    """How a document is found again."""
    return Finding(
        mark=f"`{kind.number_field}` is made from our key",
        natural="`Contact`, `Date`, `Reference`, `CurrencyCode`, amount; under another number a person is asked",
        asked=f"GET {kind.plural} by `{kind.number_field}`, then by `Contact` and `Date`",
        twice=f"refuses the `{kind.number_field}`",
        window="A person gives ours another number and changes its date, contact or amount before we ask: it is made again, "
        "and the proof names the one that no key holds.",
    )


def number_of(kind: Kind) -> Callable[[Mapping[str, Any]], str | None]:
    """The number that names a document, in a payload and in a record."""
    return lambda document: document.get(kind.number_field) or None


def call_documents(kind: Kind) -> Callable[[Operation, Sequence[Outgoing]], WriteCall]:
    """PUT for new documents, POST by id for changes and removals."""

    def call(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        if operation == "remove":
            removed = [{kind.id_field: one.target_id, "Status": _status_of_removal(one)} for one in outgoing]
            return to_collection(kind.plural, operation, removed, FULL)
        return to_collection(kind.plural, operation, [element(one, kind.id_field) for one in outgoing], FULL)

    return call


def ask_documents(kind: Kind) -> Callable[[TargetClient, Sequence[Outgoing]], Candidates]:
    """By number. Only documents of the same type: bills may bear the number of a sale."""

    def ask(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
        found: list[Record] = []
        numbers = [
            str(one.payload[kind.number_field]) for one in outgoing if one.payload.get(kind.number_field)
        ]
        listed = [number for number in numbers if kind.has_list_parameters and not {",", '"'} & set(number)]
        for some in parts(listed, IDS_A_CALL):
            found += _list(client, kind, {"InvoiceNumbers": ",".join(some)})
        for some in parts([number for number in numbers if number not in listed], VALUES_A_CALL):
            found += _list(client, kind, {"where": equals(kind.number_field, some)})
        numbered = [_documents_for(kind, one, found) for one in outgoing]
        missing = [one for one, some in zip(outgoing, numbered, strict=True) if not some]
        alike = dict(zip((one.entry for one in missing), _alike(client, kind, missing), strict=True))
        return [some or alike.get(one.entry, []) for one, some in zip(outgoing, numbered, strict=True)]

    return ask


def mirrored_documents(
    kind: Kind,
) -> Callable[[psycopg.Connection[Record], str, Sequence[Outgoing]], Candidates]:
    """The same from the mirror."""

    def ask(connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]) -> Candidates:
        numbers = [
            str(one.payload[kind.number_field]) for one in outgoing if one.payload.get(kind.number_field)
        ]
        found = in_mirror(connection, name, kind.stream, kind.number_column, numbers)
        return [_documents_for(kind, one, found) for one in outgoing]

    return ask


def read_documents(kind: Kind) -> Callable[[TargetClient, Sequence[Outgoing]], list[Record | None]]:
    """Documents by id, as they are now, in full."""

    def read(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
        ids = [one.target_id or "" for one in outgoing]
        found: list[Record] = []
        if kind.has_list_parameters:
            for some in parts(ids, IDS_A_CALL):
                found += _list(client, kind, {"IDs": ",".join(some)})
        else:
            for some in parts(ids, VALUES_A_CALL):
                found += _list(client, kind, {"where": is_guid(kind.id_field, some)})
        return by_id(outgoing, found, kind.id_field)

    return read


def document_is_ours(one: Outgoing, record: Record) -> bool:
    """Same number, and the same document by type, contact, date, currency, reference and amount.

    Equal numbers alone prove nothing: the accountant may have typed that invoice. A document that was ours
    and is voided by now still is, though its amounts may read as zero.
    """
    if any(name in one.payload and not same(name, one.payload[name], record.get(name)) for name in _IDENTITY):
        return False
    if is_gone(record):
        return one.generation == 1
    if one.total is not None:
        return as_number(record.get("Total")) == one.total
    return not [path for path in differs(one, record, total_field=None) if path.startswith("LineItems")]


def may_be_renamed(kind: Kind) -> Callable[[Outgoing, Record], bool]:
    """May this be ours under a number that a person gave it since? All but the number says so, and it counts."""

    def may_be(one: Outgoing, record: Record) -> bool:
        other = str(record.get(kind.number_field) or "").casefold()
        return (
            other != str(one.payload.get(kind.number_field) or "").casefold()
            and not is_gone(record)
            and document_is_ours(replace(one, payload=_unnumbered(kind, one)), record)
        )

    return may_be


def before_document(kind: Kind) -> Callable[[Operation, Outgoing, Record | None], Outcome | None]:
    """Judge the document as it was read just now. None: send."""

    def before(operation: Operation, one: Outgoing, record: Record | None) -> Outcome | None:
        if operation == "create":
            return None
        if record is None:
            return _vanished(operation, one)
        if operation == "remove":
            return _before_removal(kind, one, record)
        if not differs(one, record, total_field="Total"):
            return _already(one, record)
        why = frozen_document(record, None)
        if why and not (set(sent_fields(one)) <= kind.editable_when_settled and not is_gone(record)):
            return _conflict(one, record, f"The document in Xero is {why}.")
        return _moved(one, record)

    return before


def frozen_document(record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
    """Why a document may no longer change. Drafts may always, until they are approved."""
    status = record.get("Status")
    if status in ("VOIDED", "DELETED"):
        return str(status).lower()
    if status == "PAID":
        return "paid"
    if _positive(record.get("AmountPaid")) or record.get("Payments"):
        return "part-paid"
    if _positive(record.get("AmountCredited")) or record.get("CreditNotes"):
        return "credited"
    if record.get("Allocations"):
        return "allocated"
    if record.get("Prepayments") or record.get("Overpayments"):
        return "settled in part by a prepayment or overpayment"
    if status not in _DRAFTS and organisation and (locked := locked_until(record, organisation)):
        return f"dated in a period that is locked up to {locked}"
    return None


def locked_until(record: Mapping[str, Any], organisation: Mapping[str, Any]) -> str | None:
    """The lock date that the record's date does not lie behind, as ISO text."""
    day = business_date(record.get("Date"))
    locks = [business_date(organisation.get(name)) for name in ("PeriodLockDate", "EndOfYearLockDate")]
    behind = [lock for lock in locks if lock and day and day <= lock]
    return max(behind).isoformat() if behind else None


def moved_paths(one: Outgoing, record: Mapping[str, Any]) -> list[str]:
    """Fields that no longer show what the target last gave us."""
    if one.returned is None:
        return []
    now = returned(one.returned, record)
    return [name for name, then in one.returned.items() if not same(name, then, now.get(name))]


def _list(client: TargetClient, kind: Kind, params: Mapping[str, str]) -> list[Record]:
    extra = {"includeArchived": "true"} if kind.has_list_parameters else {}
    return read_list(client, kind.plural, {**params, **extra, **FULL})


def _alike(client: TargetClient, kind: Kind, outgoing: Sequence[Outgoing]) -> Candidates:
    """Documents of the same contact, day, reference and amount, whatever their number."""
    asked: dict[str, list[Record]] = {}
    found: Candidates = []
    for one in outgoing:
        contact, day = one.payload.get("Contact"), business_date(one.payload.get("Date"))
        contact_id = contact.get("ContactID") if isinstance(contact, Mapping) else None
        if not contact_id or day is None:
            found.append([])
            continue
        where = f"{is_guid('Contact.ContactID', [str(contact_id)])} AND Date==DateTime({day.year},{day.month},{day.day})"
        if where not in asked:
            asked[where] = _list(client, kind, {"where": where})
        found.append([record for record in asked[where] if may_be_renamed(kind)(one, record)])
    return found


def _unnumbered(kind: Kind, one: Outgoing) -> Record:
    return {name: value for name, value in one.payload.items() if name != kind.number_field}


def _documents_for(kind: Kind, one: Outgoing, records: Sequence[Record]) -> list[Record]:
    number = str(one.payload.get(kind.number_field) or "").casefold()
    wanted = one.payload.get("Type", kind.type)
    return [
        record
        for record in records
        if number and str(record.get(kind.number_field)).casefold() == number and record.get("Type") == wanted
    ]


def _status_of_removal(one: Outgoing) -> str:
    """`before_document` has seen that the document's status is still the one that we know."""
    return "DELETED" if _known_status(one) in _DRAFTS else "VOIDED"


def _known_status(one: Outgoing) -> object:
    return (one.returned or {}).get("Status") or one.payload.get("Status")


def _before_removal(kind: Kind, one: Outgoing, record: Record) -> Outcome | None:
    if is_gone(record):
        return _already(one, record)
    why = frozen_document(record, None)
    if why:
        return Outcome(
            kind="rejected",
            target_id=one.target_id,
            record=record,
            field="Status",
            cause="cannot be voided",
            reason=f"The document in Xero is {why}, and Xero does not void such documents.",
            cure="Remove the payments and allocations first, or credit the document instead.",
            who="accountant",
            depends_on=(kind.stream, "payments"),
        )
    if (record.get("Status") in _DRAFTS) != (_known_status(one) in _DRAFTS):
        return _conflict(
            one, record, "The document in Xero was approved, or made a draft again, in the meantime."
        )
    return _moved(one, record)


def _moved(one: Outgoing, record: Record) -> Outcome | None:
    moved = moved_paths(one, record)
    if not moved:
        return None
    return _conflict(
        one, record, f"Somebody changed {', '.join(moved)} in Xero since the last load.", moved[0]
    )


def _conflict(one: Outgoing, record: Record, reason: str, field: str | None = None) -> Outcome:
    return Outcome(
        kind="conflict",
        target_id=one.target_id,
        record=record,
        field=field,
        cause="moved at the target",
        reason=reason,
        cure="Nothing was sent. The next diff decides again with the document as it is now.",
        who="accountant",
    )


def _already(one: Outgoing, record: Record) -> Outcome:
    return Outcome(
        kind="unchanged",
        target_id=one.target_id,
        record=record,
        line_ids=line_ids(one, record) or None,
        reason="The document in Xero already says so.",
    )


def _vanished(operation: Operation, one: Outgoing) -> Outcome:
    if operation == "remove":
        return Outcome(kind="unchanged", target_id=one.target_id, reason="It was gone already.")
    return Outcome(
        kind="rejected",
        target_id=one.target_id,
        cause="not in Xero",
        reason="Xero no longer has the document that is to be changed.",
        cure="Find out who removed it; link the document that stands in its place, or let it be made again.",
        who="accountant",
        depends_on=("invoices", "credit_notes"),
    )


def _positive(value: object) -> bool:
    number = as_number(value)
    return number is not None and number > 0
