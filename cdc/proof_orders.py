"""The proof by order: what was billed for each order, on both sides.

An order has no document of its own at the target: its invoices together are what the target holds of it. An order is dated
by its first invoice, counted once, and explained by whatever explains its invoices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from cdc.proof_records import ControlRecord, SourceDocument

FLOW = "orders"
_BILLED_BY = "invoices"


def orders(
    documents: Sequence[SourceDocument], records: Sequence[ControlRecord]
) -> tuple[list[SourceDocument], list[ControlRecord]]:
    """One document and, where the target holds any of its invoices, one record for each order and currency.

    `records` are those in effect. The record's target id is made of our key: the target has no such thing.
    """
    groups: dict[tuple[str, str, str], list[SourceDocument]] = defaultdict(list)
    for document in documents:
        if document.flow == _BILLED_BY:
            groups[document.source_connection, document.source_id, document.currency].append(document)
    held = {record.target_id: record for record in records}
    made = [_order(invoices, held) for invoices in groups.values()]
    return [document for document, _ in made], [record for _, record in made if record is not None]


def _order(
    invoices: Sequence[SourceDocument], held: Mapping[str, ControlRecord]
) -> tuple[SourceDocument, ControlRecord | None]:
    due = [invoice for invoice in invoices if invoice.skip is None]
    first = min(due or invoices, key=lambda invoice: (invoice.day, invoice.key))
    found = [held[target_id] for invoice in due if (target_id := invoice.target_id) and target_id in held]
    key = first.key.rpartition("/")[0]
    # Of an order whose invoices are all in the target, a reason would explain away a difference.
    reasons = dict.fromkeys(invoice.pending for invoice in due if invoice.pending)
    document = SourceDocument(
        flow=FLOW,
        key=key,
        source_connection=first.source_connection,
        source_id=first.source_id,
        number=first.reference,
        reference=first.reference,
        currency=first.currency,
        day=first.day,
        amount=sum((invoice.amount for invoice in due or invoices), Decimal(0)),
        tax=_tax(due or invoices),
        skip=None if due else first.skip,
        target_id=key if found else None,
        pending="; ".join(reasons) or None,
    )
    if not found:
        return document, None
    return document, ControlRecord(
        flow=FLOW,
        number=first.reference,
        reference=first.reference,
        target_id=key,
        currency=found[0].currency,
        day=min(record.day for record in found),
        amount=sum((record.amount for record in found), Decimal(0)),
        tax=sum((record.tax for record in found), Decimal(0)),
        status="",
    )


def _tax(invoices: Sequence[SourceDocument]) -> Decimal | None:
    taxes = [invoice.tax for invoice in invoices]
    known = [tax for tax in taxes if tax is not None]
    return sum(known, Decimal(0)) if len(known) == len(taxes) else None
