"""Allocating a credit note, a prepayment or an overpayment to an invoice, and taking that back.

The source must be AUTHORISED; the amount is at most what is left on it and what is due on the invoice;
both belong to the same contact, the same side and the same currency. An allocation has no number of its
own: source, invoice, amount and date are its key. Whether it moves the invoice's UpdatedDateUTC is not
documented: the source is stamped, the invoice only with the option `allocation_stamps_invoice`. Sources:
developer documentation "Credit Notes", "Overpayments", "Prepayments"; OpenAPI allocation endpoints.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.xero import documents, ledger, payments
from sandbox.xero.errors import ElementError, UnknownIdError, not_found
from sandbox.xero.store import Call, Record, new_id

_SOURCES = {target.entity: target for target in payments.TARGETS if target.name != "Invoice"}


def create(call: Call, entity: str, source_id: str, values: Record) -> str:
    """Allocate a part of a source to an invoice and return the allocation's id."""
    tenant, target = call.tenant, _SOURCES[entity]
    source = tenant.get(entity, source_id)
    if source is None:
        words = "Credit Note" if target.name == "CreditNote" else target.name
        raise UnknownIdError(f"An existing {words} with the specified {target.id} could not be found")
    # pyxero sends the amount as AppliedAmount; both names are read.
    sent = values.get("Amount") or values.get("AppliedAmount")
    amount = payments.exact(sent, "Allocation amount must be greater than zero.")
    invoice = _invoice(call, values)
    _check(source, invoice, amount)
    on = values.get("Date") or tenant.today()
    documents.check_lock(tenant, on)
    from_source = ledger.release(source, amount, source["_outstanding"])
    from_invoice = ledger.release(invoice, amount, invoice["_outstanding"])
    allocation: Record = {
        "AllocationID": new_id(),
        "Amount": amount,
        "Date": on,
        "_entity": entity,
        "_source": source_id,
        "_invoice": invoice["InvoiceID"],
        "_base_source": from_source,
        "_base_invoice": from_invoice,
    }
    sign = 1 if payments.is_sale(source) else -1
    entries = payments.counter_entries(tenant, source, target, sign * amount, sign * from_source)
    entries += payments.counter_entries(
        tenant, invoice, payments.TARGETS[0], -sign * amount, -sign * from_invoice
    )
    entries += ledger.gain_entry(tenant, sign * (from_invoice - from_source))
    # In base currency both sides of debtors cancel, so a journal is posted only where something moves.
    if any(entry.tax_type for entry in entries) or from_source != from_invoice:
        ledger.post(
            tenant,
            source_type=target.prefix[0 if sign == 1 else 1] + "ALLOCATION",
            source_id=allocation["AllocationID"],
            on=on,
            currency=source["CurrencyCode"],
            entries=entries,
        )
    _move(call, allocation, amount, from_source, from_invoice)
    tenant.put("Allocations", allocation["AllocationID"], allocation)
    return str(allocation["AllocationID"])


def delete(call: Call, entity: str, source_id: str, allocation_id: str) -> Record:
    """Take an allocation back and return it."""
    tenant = call.tenant
    allocation = tenant.get("Allocations", allocation_id)
    if allocation is None or (allocation["_entity"], allocation["_source"]) != (entity, source_id):
        raise not_found()
    documents.check_lock(tenant, allocation["Date"])
    ledger.reverse(tenant, allocation_id)
    _move(call, allocation, -allocation["Amount"], -allocation["_base_source"], -allocation["_base_invoice"])
    tenant.drop("Allocations", allocation_id)
    return allocation


def _move(
    call: Call, allocation: Record, amount: Decimal, source_base: Decimal, invoice_base: Decimal
) -> None:
    tenant = call.tenant
    entity = allocation["_entity"]
    source = tenant.must(entity, allocation["_source"])
    invoice = tenant.must("Invoices", allocation["_invoice"])
    payments.settle(tenant, entity, source, amount=amount, base=source_base, paid=False)
    payments.settle(
        tenant,
        "Invoices",
        invoice,
        amount=amount,
        base=invoice_base,
        paid=False,
        stamp=call.options.allocation_stamps_invoice,
    )


def _invoice(call: Call, values: Record) -> Record:
    reference = values.get("Invoice") or {}
    invoice = call.tenant.get("Invoices", reference.get("InvoiceID"))
    if invoice is None and reference.get("InvoiceNumber") and not reference.get("InvoiceID"):
        invoice = next(call.tenant.find("Invoices", "InvoiceNumber", reference["InvoiceNumber"]), None)
    if invoice is None:
        raise ElementError("An existing Invoice with the specified InvoiceID could not be found")
    return invoice


def _check(source: Record, invoice: Record, amount: Decimal) -> None:
    if source["Status"] not in ("AUTHORISED", "PAID") or invoice["Status"] not in ("AUTHORISED", "PAID"):
        raise ElementError("Credit can only be allocated between Authorised documents")
    if payments.is_sale(source) != payments.is_sale(invoice) or source["_contact"] != invoice["_contact"]:
        raise ElementError("Credit can only be allocated to a document of the same contact and type.")
    if source["CurrencyCode"] != invoice["CurrencyCode"]:
        raise ElementError("Credit can only be allocated to a document of the same currency.")
    if amount > source["_outstanding"]:
        raise ElementError("The amount exceeds the remaining credit of this document")
    if amount > invoice["_outstanding"]:
        raise ElementError(payments.EXCEEDS)
