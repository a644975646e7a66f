"""Control records:

what a target says, read afresh, about each document of a flow. Shared by the proof and the writers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRecord:
    """One document as the target holds it now.

    `flow` is the name that `proofs.source_documents` uses (invoices, credit_notes, payments, refunds).
    `number` is the document's number, or for payments the mark in its reference. `amount` and `tax` are
    positive, in `currency`; `day` is the document's date at the target. `status` in the target's words,
    voided and deleted documents included.
    """

    flow: str
    number: str
    reference: str
    target_id: str
    currency: str
    day: date
    amount: Decimal
    tax: Decimal
    status: str
