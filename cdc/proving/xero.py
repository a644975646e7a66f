"""Reads Xero's sales documents and their payments afresh, for the proof.

Invoices of type ACCREC, credit notes of type ACCRECCREDIT, payments on either, from a day on. Lists are
walked in the order of their ids: Xero's own order is by change, and a record that is edited during the walk
would pull a later one onto a page already read.
https://developer.xero.com/documentation/api/accounting/invoices, checked 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from cdc.proof_records import ControlRecord
from cdc.writers.xero_values import business_date
from cdc.writing import TargetClient
from tieout.errors import NotFound, SchemaDrift
from tieout.paging import by_number

PAGE_SIZE = 500

NO_EFFECT = frozenset({"DRAFT", "SUBMITTED", "DELETED", "VOIDED"})
"""Statuses in which a document is in no ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    plural: str
    id_field: str
    number_field: str
    amount_field: str
    where: str
    params: Mapping[str, str]
    flows: Mapping[str, str]
    """By the record's type."""


_INVOICES = _List(
    plural="Invoices",
    id_field="InvoiceID",
    number_field="InvoiceNumber",
    amount_field="Total",
    where='Type=="ACCREC" AND ',
    # Without lines: the totals are what is proved, and bytes cost.
    params={"summaryOnly": "true"},
    flows={"ACCREC": "invoices"},
)
_CREDIT_NOTES = _List(
    plural="CreditNotes",
    id_field="CreditNoteID",
    number_field="CreditNoteNumber",
    amount_field="Total",
    where='Type=="ACCRECCREDIT" AND ',
    params={},
    flows={"ACCRECCREDIT": "credit_notes"},
)
_PAYMENTS = _List(
    plural="Payments",
    id_field="PaymentID",
    number_field="Reference",
    amount_field="Amount",
    where="",
    params={},
    flows={"ACCRECPAYMENT": "payments", "ARCREDITPAYMENT": "refunds"},
)
_LISTS = {"invoices": _INVOICES, "credit_notes": _CREDIT_NOTES, "payments": _PAYMENTS, "refunds": _PAYMENTS}


def control_records(client: TargetClient, since: date) -> Iterator[ControlRecord]:
    """Every sales invoice, credit note and payment dated `since` or later, whatever its status."""
    currencies: dict[str, str] = {}
    # Payments last: their currency is that of the document they pay.
    for kind in (_INVOICES, _CREDIT_NOTES, _PAYMENTS):
        for record in _walk(client, kind, since):
            flow = kind.flows.get(_type_of(record, kind))
            if flow is None:
                continue
            made = _control(record, kind, flow, currencies)
            currencies.setdefault(made.target_id, made.currency)
            yield made


def control_record(client: TargetClient, flow: str, target_id: str) -> ControlRecord | None:
    """One document by its id, whatever its date; None when Xero has none."""
    kind = _LISTS[flow]
    try:
        found = _records(client.http.read(f"/{kind.plural}/{target_id}").json(), kind.plural)
    except NotFound:
        return None
    return _control(found[0], kind, flow, {}) if found else None


def has_effect(record: ControlRecord) -> bool:
    """Is the document in the ledger?"""
    return record.status not in NO_EFFECT


def _walk(client: TargetClient, kind: _List, since: date) -> Iterator[dict[str, Any]]:
    where = f"{kind.where}Date>=DateTime({since.year},{since.month},{since.day})"
    seen: set[str] = set()

    def page(number: int) -> list[dict[str, Any]]:
        asked = {
            **kind.params,
            "where": where,
            "order": kind.id_field,
            "page": str(number),
            "pageSize": str(PAGE_SIZE),
        }
        return _records(client.http.read(f"/{kind.plural}", params=asked).json(), kind.plural)

    # Xero lowers a pageSize that it does not like: only an empty page surely is behind the last.
    for records in by_number(page, size=1):
        for record in records:
            identity = str(record.get(kind.id_field))
            if identity not in seen:
                seen.add(identity)
                yield record


def _control(
    record: Mapping[str, Any], kind: _List, flow: str, currencies: Mapping[str, str]
) -> ControlRecord:
    day = business_date(record.get("DateString") or record.get("Date"))
    amount = record.get(kind.amount_field)
    currency = record.get("CurrencyCode") or _currency_of_document(record, currencies)
    if day is None or amount is None or not currency:
        raise SchemaDrift(
            f"Xero's {kind.plural} {record.get(kind.id_field)} has no date, amount or currency to prove."
        )
    return ControlRecord(
        flow=flow,
        number=str(record.get(kind.number_field) or ""),
        reference=str(record.get("Reference") or ""),
        target_id=str(record[kind.id_field]),
        currency=str(currency),
        day=day,
        amount=Decimal(amount),
        tax=Decimal(record.get("TotalTax") or 0),
        status=str(record.get("Status") or ""),
    )


def _currency_of_document(record: Mapping[str, Any], currencies: Mapping[str, str]) -> str | None:
    for name, id_field in (("Invoice", "InvoiceID"), ("CreditNote", "CreditNoteID")):
        document = record.get(name)
        if isinstance(document, dict):
            found = document.get("CurrencyCode") or currencies.get(str(document.get(id_field)))
            if found:
                return str(found)
    return None


def _type_of(record: Mapping[str, Any], kind: _List) -> str:
    return str(record.get("PaymentType" if kind is _PAYMENTS else "Type") or "")


def _records(body: object, plural: str) -> list[dict[str, Any]]:
    records = body.get(plural) if isinstance(body, dict) else None
    if not isinstance(records, list):
        raise SchemaDrift(f"Xero's answer has no list {plural!r}.")
    return records
