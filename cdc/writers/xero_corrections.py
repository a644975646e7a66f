"""Correcting an invoice or a credit note that Xero no longer lets change.

What an accountant does: the old document is reversed in full, line by line, by its opposite; the new one bears the old number
and `-R1`. A payment in Xero never moves to another document, so the reversal settles the old document as far as it is still
open, and the new one as far as the old was settled already: whoever paid the old invoice has paid the new one. What the new
document does not take stays as credit on the contact, for a person to refund. An invoice that the shop cancelled has no new
one: the reversal settles what is open of it, and what was paid stays as credit. Both are dated the document's own day, or the
first open day where the books are locked (Xero developer documentation, "Credit Notes", "Organisation": lock dates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from cdc.corrections import Ask, Correction, Part, Unsettled
from cdc.links import LINE, LINKED
from cdc.writers.xero_documents import CREDIT_NOTE, INVOICE, Kind, locked_until
from cdc.writers.xero_values import as_number, business_date

_COPIED = ("Reference", "LineAmountTypes", "CurrencyCode", "CurrencyRate")
_LINE = ("Description", "AccountCode", "TaxType", "TaxAmount", "ItemCode")
_SETTLED_BY = {
    "Payments": "PaymentID",
    "CreditNotes": "CreditNoteID",
    "Prepayments": "PrepaymentID",
    "Overpayments": "OverpaymentID",
    "Allocations": "AllocationID",
}
_ENTITY = {INVOICE.plural: "invoices", CREDIT_NOTE.plural: "credit_notes"}


def correct_document(kind: Kind) -> Callable[[Ask], Correction | None]:
    """How documents of this kind are corrected."""
    opposite = CREDIT_NOTE if kind is INVOICE else INVOICE
    open_field = "AmountDue" if kind is INVOICE else "RemainingCredit"

    def correct(ask: Ask) -> Correction | None:
        record = ask.record
        total, left = as_number(record.get("Total")), as_number(record.get(open_field))
        dated, number = business_date(record.get("Date")), record.get(kind.number_field)
        if record.get("Status") not in ("AUTHORISED", "PAID") or not record.get("LineItems"):
            return None
        if total is None or left is None or dated is None or not number or ask.total is None:
            return None
        if ask.is_gone and (kind is CREDIT_NOTE or as_number(record.get("AmountCredited"))):
            # What is reversed already, or stands on other documents, must not be reversed once more.
            return None
        day = first_open_day(dated, ask.organisation).isoformat()
        reversal = Part(
            entity=_ENTITY[opposite.plural],
            key=ask.reversal_key,
            payload=_reversal(ask, opposite, f"{number}-REV", day),
            total=total,
            day=day,
        )
        still_open = min(left, total)
        settled = Decimal(0) if ask.is_gone else min(total - still_open, ask.total)
        parts = [reversal]
        for key, amount in ((ask.replaced_key, still_open), (ask.key, settled)):
            if amount > 0:
                parts.append(_allocation(ask, kind, key, amount, day, len(parts)))
        overrides = {} if ask.is_gone else _overrides(ask, kind, day)
        sentence = f"{opposite.plural} {number}-REV over {total} reverses it"
        if not ask.is_gone:
            sentence += f", {overrides[kind.number_field]} over {ask.total} replaces it"
        return Correction(
            number=ask.number,
            day=day,
            replaced=ask.replaced_key,
            overrides=overrides,
            parts=parts,
            sentence=f"{sentence}, dated {day}{_rest(total - still_open - settled)}",
        )

    return correct


def without_settlements(open_field: str) -> Unsettled:
    """The document as it will be when these payments and allocations on it are removed.

    What Xero shows on a document: payments by their id, credits by the id of the note, prepayment or overpayment, and on those
    their allocations (Xero developer documentation, "Invoices", "Credit Notes"). `open_field`: AmountDue or RemainingCredit.
    """

    def without(record: Mapping[str, Any], settlements: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        ids = {str(one).casefold() for each in settlements for one in each.get("ids", ())}
        kept: dict[str, Any] = {}
        found: set[str] = set()
        for name, id_field in _SETTLED_BY.items():
            on_it = record.get(name) or []
            gone = {str(one.get(id_field)).casefold() for one in on_it} & ids
            found |= gone
            kept[name] = [one for one in on_it if str(one.get(id_field)).casefold() not in gone]
        if not found:
            return record
        removed = sum(
            (
                as_number(each["amount"]) or Decimal(0)
                for each in settlements
                if {str(one).casefold() for one in each["ids"]} & found
            ),
            Decimal(0),
        )
        left = dict(record) | {name: value for name, value in kept.items() if name in record}
        left[open_field] = (as_number(record.get(open_field)) or Decimal(0)) + removed
        if record.get("Status") == "PAID":
            left["Status"] = "AUTHORISED"
        left["AmountPaid"] = _sum(kept["Payments"])
        if not any(kept[name] for name in _SETTLED_BY if name != "Payments"):
            left["AmountCredited"] = Decimal(0)
        return left

    return without


def _sum(payments: Sequence[Mapping[str, Any]]) -> Decimal:
    return sum((as_number(each.get("Amount")) or Decimal(0) for each in payments), Decimal(0))


def first_open_day(dated: date, organisation: Mapping[str, Any] | None) -> date:
    """The document's own day, or the day after the lock date that it lies behind."""
    locked = locked_until({"Date": dated.isoformat()}, organisation or {})
    return date.fromisoformat(locked) + timedelta(days=1) if locked else dated


def _overrides(ask: Ask, kind: Kind, day: str) -> dict[str, Any]:
    found: dict[str, Any] = {kind.number_field: f"{ask.modelled[kind.number_field]}-R{ask.number}"}
    if str(ask.wanted.get("Date", day)) < day:
        found["Date"] = day
        if str(ask.wanted.get("DueDate", day)) < day:
            found["DueDate"] = day
    return found


def _reversal(ask: Ask, opposite: Kind, number: str, day: str) -> dict[str, Any]:
    record = ask.record
    contact = ask.said.get("Contact") or {"ContactID": (record.get("Contact") or {}).get("ContactID")}
    copied = {name: record[name] for name in _COPIED if record.get(name)}
    due = {"DueDate": day} if opposite is INVOICE else {}
    return {
        "Type": opposite.type,
        opposite.number_field: number,
        "Contact": contact,
        "Date": day,
        **due,
        **copied,
        "Status": "AUTHORISED",
        "LineItems": [_line(place, line) for place, line in enumerate(record["LineItems"], start=1)],
    }


def _line(place: int, line: Mapping[str, Any]) -> dict[str, Any]:
    """The line as the ledger holds it. Credit notes take no discount: then it is one of what the line came to."""
    amount = as_number(line.get("LineAmount")) or Decimal(0)
    quantity, price = as_number(line.get("Quantity")), as_number(line.get("UnitAmount"))
    is_exact = quantity is not None and price is not None and quantity * price == amount
    tracking = [
        {name: one[name] for name in ("Name", "Option")}
        for one in line.get("Tracking") or ()
        if one.get("Name") and one.get("Option")
    ]
    return {
        LINE: str(place),
        **{name: line[name] for name in _LINE if line.get(name) not in (None, "")},
        "Quantity": quantity if is_exact else Decimal(1),
        "UnitAmount": price if is_exact else amount,
        **({"Tracking": tracking} if tracking else {}),
    }


def _allocation(ask: Ask, kind: Kind, key: str, amount: Decimal, day: str, place: int) -> Part:
    """The credit note of the two, put on the invoice of the two."""
    note, invoice = (ask.reversal_key, key) if kind is INVOICE else (key, ask.reversal_key)
    return Part(
        entity="allocations",
        key=f"{ask.reversal_key}/allocation/{place}",
        payload={
            "CreditNote": {"CreditNoteID": _linked("credit_notes", note)},
            "Invoice": {"InvoiceID": _linked("invoices", invoice)},
            "Amount": amount,
            "Date": day,
        },
        total=amount,
        day=day,
    )


def _linked(entity: str, key: str) -> dict[str, Any]:
    return {LINKED: {"entity": entity, "key": key, "settled": True, "give": "id"}}


def _rest(amount: Decimal) -> str:
    return f"; {amount} stay as credit on the contact, for a person to refund" if amount > 0 else ""
