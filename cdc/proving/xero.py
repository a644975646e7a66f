"""Reads Xero's sales documents and what settles them afresh, for the proof.

Invoices of type ACCREC, credit notes of type ACCRECCREDIT with their allocations, payments on either, prepayments and
overpayments that customers made, with theirs, from a day on. Lists are walked in the order of their ids: Xero's own
order is by change, and a record that is edited during the walk would pull a later one onto a page already read.
https://developer.xero.com/documentation/api/accounting/invoices, …/creditnotes, …/payments, …/prepayments,
…/overpayments, …/banktransactions, checked 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from cdc.proof_ledger import Ledger
from cdc.proof_records import ControlLine, ControlRecord
from cdc.proving.xero_ledger import XeroLedger
from cdc.proving.xero_lists import in_base, walk
from cdc.writers.xero_search import records_of
from cdc.writers.xero_values import business_date
from cdc.writing import TargetClient
from tieout.errors import ConnectionRefused, NotFound, SchemaDrift

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
    where='Type=="ACCREC"',
    params={},
    flows={"ACCREC": "invoices"},
)
_CREDIT_NOTES = _List(
    plural="CreditNotes",
    id_field="CreditNoteID",
    number_field="CreditNoteNumber",
    amount_field="Total",
    where='Type=="ACCRECCREDIT"',
    params={},
    flows={"ACCRECCREDIT": "credit_notes"},
)
# What a customer paid in advance or too much is born from a bank transaction: that is what we made and what is linked.
_BANK_TRANSACTIONS = _List(
    plural="BankTransactions",
    id_field="BankTransactionID",
    number_field="Reference",
    amount_field="Total",
    where='(Type=="RECEIVE-PREPAYMENT" OR Type=="RECEIVE-OVERPAYMENT")',
    params={},
    flows={"RECEIVE-PREPAYMENT": "deposits", "RECEIVE-OVERPAYMENT": "overpayments"},
)
_PREPAYMENTS = _List(
    plural="Prepayments",
    id_field="PrepaymentID",
    number_field="Reference",
    amount_field="Total",
    where="",
    params={},
    flows={"RECEIVE-PREPAYMENT": "deposits", "ARPREPAYMENT": "deposits"},
)
_OVERPAYMENTS = _List(
    plural="Overpayments",
    id_field="OverpaymentID",
    number_field="Reference",
    amount_field="Total",
    where="",
    params={},
    flows={"RECEIVE-OVERPAYMENT": "overpayments", "AROVERPAYMENT": "overpayments"},
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
_JOURNALS = _List(
    plural="ManualJournals",
    id_field="ManualJournalID",
    number_field="Narration",
    amount_field="",
    where="",
    params={},
    flows={},
)
_LISTS = {
    "invoices": _INVOICES,
    "credit_notes": _CREDIT_NOTES,
    "payments": _PAYMENTS,
    "refunds": _PAYMENTS,
    "deposits": _BANK_TRANSACTIONS,
    "overpayments": _BANK_TRANSACTIONS,
}
_ALLOCATED = {
    "credit_notes": "allocations",
    "deposits": "deposit_allocations",
    "overpayments": "overpayment_allocations",
}
"""The flow of the allocations of a credit, by the credit's flow."""


def open_ledger(client: TargetClient, ledger: Ledger, start: date, end: date) -> XeroLedger | str:
    """The ledger of a period, or why its balances cannot be read."""
    try:
        return XeroLedger(client, ledger, start=start, end=end)
    except ConnectionRefused as refused:
        return f"The trial balance was not read: {refused} {refused.cure}"


def control_records(
    client: TargetClient, since: date, ledger: XeroLedger | None = None
) -> Iterator[ControlRecord]:
    """Every sales document dated `since` or later and all that settles it, whatever its status.

    With a ledger, purchases, other bank transactions and journals are read too, and all are told to it.
    """
    currencies: dict[str, str] = {}
    advances: dict[str, _Credit] = {}
    # Credits before what they are born of; payments last: their currency is that of the document they pay.
    for kind in (
        _PREPAYMENTS,
        _OVERPAYMENTS,
        _INVOICES,
        _CREDIT_NOTES,
        _BANK_TRANSACTIONS,
        _PAYMENTS,
        _JOURNALS,
    ):
        if kind is _JOURNALS and ledger is None:
            continue
        for record in _walk(client, kind, since, every=ledger is not None):
            if ledger is not None:
                ledger.take(kind.plural, record)
            flow = kind.flows.get(_type_of(record, kind))
            if flow is not None and kind in (_PREPAYMENTS, _OVERPAYMENTS):
                # What is linked is the bank transaction that they are born of.
                advances[str(record.get(kind.id_field))] = _Credit.of(record)
            elif flow is not None:
                yield from _controls(record, kind, flow, currencies, advances)
    if ledger is not None:
        ledger.finish()


def _controls(
    record: Mapping[str, Any],
    kind: _List,
    flow: str,
    currencies: dict[str, str],
    advances: Mapping[str, _Credit],
) -> Iterator[ControlRecord]:
    """A document, and the allocations of a credit."""
    made = _control(record, kind, flow, currencies)
    currencies.setdefault(made.target_id, made.currency)
    if kind is _BANK_TRANSACTIONS:
        credit = advances.get(str(record.get("PrepaymentID") or record.get("OverpaymentID") or ""))
        yield replace(made, outstanding=credit.outstanding if credit else None)
        if credit is not None:
            yield from _allocations(credit.raw, made)
        return
    yield made
    if kind is _CREDIT_NOTES:
        yield from _allocations(record, made)


def control_record(client: TargetClient, flow: str, target_id: str) -> ControlRecord | None:
    """One document by its id, whatever its date; None when Xero has none, or gives none by id (an allocation)."""
    kind = _LISTS.get(flow)
    if kind is None:
        return None
    try:
        found = records_of(client.http.read(f"/{kind.plural}/{target_id}").json(), kind.plural)
    except NotFound:
        return None
    return _control(found[0], kind, flow, {}) if found else None


def has_effect(record: ControlRecord) -> bool:
    """Is the document in the ledger?"""
    return record.status not in NO_EFFECT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credit:
    """A prepayment or overpayment: what is left of it, and the record with its allocations."""

    outstanding: Decimal
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> _Credit:
        """From Xero's record."""
        return cls(outstanding=Decimal(record.get("RemainingCredit") or 0), raw=record)


def _allocations(record: Mapping[str, Any], credit: ControlRecord) -> Iterator[ControlRecord]:
    for each in record.get("Allocations") or []:
        day, amount = business_date(each.get("Date")), each.get("Amount")
        if each.get("IsDeleted") or day is None or amount is None:
            continue
        invoice = str((each.get("Invoice") or {}).get("InvoiceID") or "")
        yield ControlRecord(
            flow=_ALLOCATED[credit.flow],
            number="",
            reference=credit.number,
            # Xero tells the id of an allocation only since 2023; without it, it is no link's.
            target_id=str(each.get("AllocationID") or f"{credit.target_id}/{invoice}/{day}/{amount}"),
            currency=credit.currency,
            day=day,
            amount=Decimal(amount),
            tax=Decimal(0),
            status="",
            settles=invoice,
            uses=credit.target_id,
        )


def _walk(client: TargetClient, kind: _List, since: date, *, every: bool = False) -> Iterator[dict[str, Any]]:
    """A list from a day on; of the types that have a flow, or of every type."""
    dated = f"Date>=DateTime({since.year},{since.month},{since.day})"
    where = f"{kind.where} AND {dated}" if kind.where and not every else dated
    return walk(client, kind.plural, kind.id_field, {**kind.params, "where": where})


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
    rate = Decimal(record.get("CurrencyRate") or 0)
    outstanding = record.get("AmountDue", record.get("RemainingCredit"))
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
        base=in_base(Decimal(amount), rate) if rate else None,
        outstanding=None if outstanding is None else Decimal(outstanding),
        settles=_document_of(record) if kind is _PAYMENTS else None,
        lines=_money(record, Decimal(amount)) or _lines(record),
    )


def _money(record: Mapping[str, Any], amount: Decimal) -> tuple[ControlLine, ...]:
    """Of a payment or a bank transaction: the account in which the money lies."""
    account = record.get("BankAccount") or record.get("Account")
    if not isinstance(account, Mapping):
        return ()
    code = str(account.get("Code") or account.get("AccountID") or "")
    return (ControlLine(account=code, tax_type="", net=amount, tax=Decimal(0)),)


def _type_of(record: Mapping[str, Any], kind: _List) -> str:
    return str(record.get("PaymentType" if kind is _PAYMENTS else "Type") or "")


def _lines(record: Mapping[str, Any]) -> tuple[ControlLine, ...]:
    """The lines of a document, summed by account and tax type."""
    sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for line in record.get("LineItems") or []:
        tax = Decimal(line.get("TaxAmount") or 0)
        net = Decimal(line.get("LineAmount") or 0) - (
            tax if record.get("LineAmountTypes") == "Inclusive" else 0
        )
        account = str(line.get("AccountCode") or line.get("AccountID") or "")
        if not account and not net:
            continue
        at = (account, str(line.get("TaxType") or ""))
        before = sums.get(at, (Decimal(0), Decimal(0)))
        sums[at] = (before[0] + net, before[1] + tax)
    return tuple(
        ControlLine(account=account, tax_type=tax_type, net=net, tax=tax)
        for (account, tax_type), (net, tax) in sums.items()
    )


def _document_of(payment: Mapping[str, Any]) -> str | None:
    for name, id_field in (("Invoice", "InvoiceID"), ("CreditNote", "CreditNoteID")):
        document = payment.get(name)
        if isinstance(document, dict) and document.get(id_field):
            return str(document[id_field])
    return None


def _currency_of_document(record: Mapping[str, Any], currencies: Mapping[str, str]) -> str | None:
    for name, id_field in (("Invoice", "InvoiceID"), ("CreditNote", "CreditNoteID")):
        document = record.get(name)
        if isinstance(document, dict):
            found = document.get("CurrencyCode") or currencies.get(str(document.get(id_field)))
            if found:
                return str(found)
    return None
