"""What an organisation's ledger holds of a month, read afresh: sales invoices, credit notes, payments and refunds.

Only reads, and only what is in effect: drafts and voided documents are in no ledger.
https://developer.xero.com/documentation/api/accounting/invoices, …/payments, checked 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from cdc.linking.faces import Face
from cdc.linking.xero import document_face, payment_face
from cdc.shadow_records import Booked
from cdc.writers.xero_search import read_list
from cdc.writing import TargetClient

_IN_EFFECT = frozenset({"AUTHORISED", "PAID"})
_PAYMENTS = {"ACCRECPAYMENT": "payments", "ARCREDITPAYMENT": "refunds"}

ENTITIES = ("invoices", "credit_notes", "payments")
"""Entities whose rows are compared, in the order in which they refer to each other."""


def flow_of(entity: str, payload: Mapping[str, Any]) -> str | None:
    """The flow that a row of ours belongs to; None for what is in no ledger (a draft)."""
    if payload.get("Status") in ("DRAFT", "SUBMITTED"):
        return None
    if entity == "payments":
        return "refunds" if "CreditNote" in payload else "payments"
    return entity


def booked(client: TargetClient, documents_since: date, since: date, until: date) -> Iterator[Booked]:
    """Documents from `documents_since` on and payments from `since` on, all up to `until`."""
    currencies: dict[str, str] = {}
    for record in _read(
        client, "Invoices", documents_since, until, 'Type=="ACCREC" AND ', {"summaryOnly": "true"}
    ):
        face = _document(record, "InvoiceID", "InvoiceNumber")
        currencies[face.id] = face.currency
        yield Booked(flow="invoices", face=face)
    for record in _read(client, "CreditNotes", documents_since, until, 'Type=="ACCRECCREDIT" AND ', {}):
        face = _document(record, "CreditNoteID", "CreditNoteNumber")
        currencies[face.id] = face.currency
        yield Booked(flow="credit_notes", face=face)
    for record in _read(client, "Payments", since, until, "", {}):
        flow = _PAYMENTS.get(str(record.get("PaymentType")))
        if flow is not None:
            document = record.get("Invoice") or record.get("CreditNote") or {}
            contact = document.get("Contact") or {}
            face = payment_face(str(record["PaymentID"]), record)
            names = (str(contact["Name"]),) if contact.get("Name") else ()
            # A payment does not say its currency: it is that of the document that it is put on.
            currency = face.currency or next((currencies.get(each, "") for each in face.documents), "")
            currency = currency or str(document.get("CurrencyCode") or "")
            yield Booked(flow=flow, face=replace(face, names=names, currency=currency))


def _document(record: Mapping[str, Any], id_field: str, number_field: str) -> Face:
    return document_face(str(record[id_field]), record, number_field)


def _read(
    client: TargetClient, plural: str, since: date, until: date, where: str, params: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    between = f"Date>={_day(since)} AND Date<={_day(until)}"
    asked = {**params, "where": where + between, "order": "Date"}
    seen: set[str] = set()
    for record in read_list(client, plural, asked):
        identity = str(record.get(f"{plural.removesuffix('s')}ID"))
        # A record that is edited meanwhile may come on two pages.
        if record.get("Status") in _IN_EFFECT and identity not in seen:
            seen.add(identity)
            yield record


def _day(day: date) -> str:
    return f"DateTime({day.year},{day.month},{day.day})"
