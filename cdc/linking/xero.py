"""How records of Xero are recognised: the fields by which an accountant would.

Contacts by tax number, e-mail and name; items by code; documents by number, by references that name the order, by amount,
date and contact; payments and allocations by the documents that they are put on. What another app or a person wrote has its
own numbers, lines and descriptions: those stay as they are. What must agree is money, tax, currency, date and contact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cdc.linking.faces import Face
from cdc.linking.matching import Known, Matcher, OurRow, Record
from cdc.links import LINKED
from cdc.writers.xero_values import as_number, business_date, is_gone, line_ids, same_id
from cdc.writing import Outgoing

_DOCUMENT_FACTS = frozenset({"Type", "Date", "CurrencyCode", "Contact", "Status"})
_NUMBERS = {"invoices": "InvoiceNumber", "credit_notes": "CreditNoteNumber"}
_TYPES = {"invoices": "ACCREC", "credit_notes": "ACCRECCREDIT"}
_RECEIPTS = frozenset({"RECEIVE-PREPAYMENT", "RECEIVE-OVERPAYMENT"})
_PAYMENT_TYPES = frozenset({"ACCRECPAYMENT", "ARCREDITPAYMENT"})


def our_contact(row: OurRow, _known: Known) -> Face:
    """A contact as the model wants it."""
    return _contact_face(row.key, row.payload)


def their_contacts(target_id: str, record: Record) -> Iterable[Face]:
    """A contact of the organisation; archived ones take no documents."""
    if record.get("ContactStatus") not in (None, "ACTIVE"):
        return ()
    return (_contact_face(target_id, record),)


def our_item(row: OurRow, _known: Known) -> Face:
    """An item as the model wants it."""
    return _item_face(row.key, row.payload)


def their_items(target_id: str, record: Record) -> Iterable[Face]:
    """An item of the organisation."""
    return (_item_face(target_id, record),)


def our_document(row: OurRow, known: Known) -> Face:
    """An invoice or credit note as the model wants it."""
    number = _text(row.payload.get("InvoiceNumber") or row.payload.get("CreditNoteNumber"))
    contact = _linked(row.payload.get("Contact"), "ContactID")
    name = known.name_of("contacts", contact) if contact else None
    return Face(
        id=row.key,
        kind="document",
        title=number or row.key,
        numbers=_some(number),
        orders=_some(_text(row.payload.get("Reference"))),
        names=_some(name),
        party=(known.target_of("contacts", contact) if contact else None) or "",
        amount=row.total,
        tax=tax_of(row.payload),
        currency=row.currency or _text(row.payload.get("CurrencyCode")),
        day=row.day,
    )


def document_face(target_id: str, record: Mapping[str, Any], number_field: str) -> Face:
    """An invoice or credit note as Xero shows it."""
    contact = record.get("Contact") or {}
    number = _text(record.get(number_field))
    return Face(
        id=target_id,
        kind="document",
        title=number or target_id,
        numbers=_some(number),
        orders=_some(_text(record.get("Reference"))),
        names=_some(_text(contact.get("Name"))),
        party=_text(contact.get("ContactID")),
        amount=as_number(record.get("Total")),
        tax=as_number(record.get("TotalTax")),
        currency=_text(record.get("CurrencyCode")),
        day=business_date(record.get("DateString") or record.get("Date")),
    )


def their_invoices(target_id: str, record: Record) -> Iterable[Face]:
    """A sales invoice that is in effect or may come into it."""
    return _their_documents("invoices", target_id, record)


def their_credit_notes(target_id: str, record: Record) -> Iterable[Face]:
    """A credit note to a customer."""
    return _their_documents("credit_notes", target_id, record)


def our_payment(row: OurRow, known: Known) -> Face:
    """A payment or refund as the model wants it."""
    documents = [
        target
        for field, id_field, entity in (
            ("Invoice", "InvoiceID", "invoices"),
            ("CreditNote", "CreditNoteID", "credit_notes"),
        )
        if (key := _linked(row.payload.get(field), id_field)) and (target := known.target_of(entity, key))
    ]
    account = row.payload.get("Account") or {}
    return Face(
        id=row.key,
        kind="money",
        title=row.key,
        marks=_some(_text(row.payload.get("Reference"))),
        documents=tuple(documents),
        account=_text(account.get("Code")),
        amount=row.total if row.total is not None else as_number(row.payload.get("Amount")),
        currency=row.currency or "",
        day=row.day,
    )


def payment_face(target_id: str, record: Mapping[str, Any]) -> Face:
    """A payment as Xero shows it."""
    documents = [
        _text(document.get(id_field))
        for field, id_field in (("Invoice", "InvoiceID"), ("CreditNote", "CreditNoteID"))
        if isinstance(document := record.get(field), Mapping) and document.get(id_field)
    ]
    account = record.get("Account") or {}
    reference = _text(record.get("Reference"))
    return Face(
        id=target_id,
        kind="money",
        title=reference or target_id,
        marks=_some(reference),
        documents=tuple(documents),
        account=_text(account.get("Code")),
        amount=as_number(record.get("Amount")),
        currency=_text(record.get("CurrencyCode")),
        day=business_date(record.get("Date")),
    )


def their_payments(target_id: str, record: Record) -> Iterable[Face]:
    """A payment of a customer, or a refund to one; payments that moved an overpayment are not."""
    if is_gone(record) or record.get("PaymentType") not in _PAYMENT_TYPES:
        return ()
    return (payment_face(target_id, record),)


def our_allocation(row: OurRow, known: Known) -> Face:
    """An allocation as the model wants it."""
    note = _linked(row.payload.get("CreditNote"), "CreditNoteID")
    invoice = _linked(row.payload.get("Invoice"), "InvoiceID")
    found = (
        known.target_of("credit_notes", note) if note else None,
        known.target_of("invoices", invoice) if invoice else None,
    )
    return Face(
        id=row.key,
        kind="money",
        title=row.key,
        documents=tuple(target for target in found if target) if all(found) else (),
        amount=row.total,
        currency=row.currency or "",
        day=row.day,
    )


def their_allocations(target_id: str, record: Record) -> Iterable[Face]:
    """The allocations of a credit note."""
    for allocation in record.get("Allocations") or ():
        if allocation.get("AllocationID") and not allocation.get("IsDeleted"):
            invoice = allocation.get("Invoice") or {}
            yield Face(
                id=_text(allocation["AllocationID"]),
                kind="money",
                title=f"{_text(record.get('CreditNoteNumber'))} on {_text(invoice.get('InvoiceNumber'))}",
                within=target_id,
                documents=(target_id, _text(invoice.get("InvoiceID"))),
                amount=as_number(allocation.get("Amount")),
                currency=_text(record.get("CurrencyCode")),
                day=business_date(allocation.get("Date")),
            )


def pick_allocation(record: Record, target_id: str) -> Record | None:
    """One allocation of a credit note, in the form in which the writer knows it."""
    found = (each for each in record.get("Allocations") or () if same_id(each.get("AllocationID"), target_id))
    allocation = next(found, None)
    if allocation is None or allocation.get("IsDeleted"):
        return None
    return {**allocation, "CreditNote": {"CreditNoteID": record.get("CreditNoteID")}}


def our_receipt(row: OurRow, known: Known) -> Face:
    """A deposit or overpayment as the model wants it."""
    contact = _linked(row.payload.get("Contact"), "ContactID")
    return Face(
        id=row.key,
        kind="money",
        title=row.key,
        marks=_some(_text(row.payload.get("Reference"))),
        party=(known.target_of("contacts", contact) if contact else None) or "",
        place=_text(row.payload.get("Type")),
        account=_text((row.payload.get("BankAccount") or {}).get("Code")),
        amount=row.total,
        currency=row.currency or _text(row.payload.get("CurrencyCode")),
        day=row.day,
    )


def their_receipts(target_id: str, record: Record) -> Iterable[Face]:
    """Money that stands for a contact to be put on invoices; other bank transactions are not."""
    if is_gone(record) or record.get("Type") not in _RECEIPTS:
        return
    contact = record.get("Contact") or {}
    reference = _text(record.get("Reference"))
    yield Face(
        id=target_id,
        kind="money",
        title=reference or f"{_text(record['Type'])} of {_text(contact.get('Name'))}",
        marks=_some(reference),
        names=_some(_text(contact.get("Name"))),
        party=_text(contact.get("ContactID")),
        place=_text(record["Type"]),
        account=_text((record.get("BankAccount") or {}).get("Code")),
        amount=as_number(record.get("Total")),
        currency=_text(record.get("CurrencyCode")),
        day=business_date(record.get("DateString") or record.get("Date")),
    )


def held_of_document(row: OurRow, record: Record, differing: frozenset[str]) -> frozenset[str]:
    """Money, tax, currency, date and contact must agree; lines only as far as they add up to the same."""
    facts = differing & _DOCUMENT_FACTS
    tax = tax_of(row.payload)
    is_apart = row.total is not None and as_number(record.get("Total")) != row.total
    is_taxed_apart = tax is not None and as_number(record.get("TotalTax")) != tax
    return facts | ({"LineItems"} if is_apart or is_taxed_apart else frozenset())


def held_of_money(_row: OurRow, _record: Record, differing: frozenset[str]) -> frozenset[str]:
    """The amount and what it is put on; the day and the account stay where the money was booked."""
    return differing & {"Amount", "Invoice", "CreditNote"}


def held_of_receipt(row: OurRow, record: Record, differing: frozenset[str]) -> frozenset[str]:
    """The amount, the kind and whose it is; the day and the account stay where the money was booked."""
    is_apart = row.total is not None and as_number(record.get("Total")) != row.total
    return (differing & {"Type", "Contact", "CurrencyCode"}) | ({"LineItems"} if is_apart else frozenset())


def held_of_master_data(_row: OurRow, _record: Record, _differing: frozenset[str]) -> frozenset[str]:
    """Nothing: what the organisation has entered stays, what it left empty is completed."""
    return frozenset()


def line_ids_of(row: OurRow, record: Record) -> dict[str, str]:
    """Lines in their order, where there are as many."""
    return line_ids(Outgoing(entry=0, key=row.key, operation="create", payload=row.payload), record)


def tax_of(payload: Mapping[str, Any]) -> Decimal | None:
    """The tax of a document by its lines; None when a line does not say."""
    lines = payload.get("LineItems")
    if not isinstance(lines, list) or not lines:
        return None
    amounts = [as_number(line.get("TaxAmount")) for line in lines]
    return (
        sum((amount for amount in amounts if amount is not None), Decimal(0)) if None not in amounts else None
    )


def _their_documents(entity: str, target_id: str, record: Record) -> Iterable[Face]:
    if is_gone(record) or record.get("Type") != _TYPES[entity]:
        return ()
    return (document_face(target_id, record, _NUMBERS[entity]),)


def _contact_face(identity: str, values: Mapping[str, Any]) -> Face:
    person = " ".join(_text(values.get(name)) for name in ("FirstName", "LastName")).strip()
    name = _text(values.get("Name"))
    return Face(
        id=identity,
        kind="party",
        title=name or identity,
        marks=_some(_text(values.get("ContactNumber"))),
        names=tuple(dict.fromkeys(text for text in (name, person) if text)),
        email=_text(values.get("EmailAddress")),
        tax_number=_text(values.get("TaxNumber")),
    )


def _item_face(identity: str, values: Mapping[str, Any]) -> Face:
    code = _text(values.get("Code"))
    return Face(
        id=identity,
        kind="item",
        title=code or identity,
        numbers=_some(code),
        names=_some(_text(values.get("Name"))),
    )


def _linked(value: object, id_field: str) -> str | None:
    """The key that a reference of a payload names."""
    reference = value.get(id_field) if isinstance(value, Mapping) else None
    inner = reference.get(LINKED) if isinstance(reference, Mapping) else None
    return str(inner["key"]) if isinstance(inner, Mapping) else None


def _some(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


# fmt: off
MATCHERS: tuple[Matcher, ...] = (
    Matcher(
        entity="contacts", stream="contacts", ours=our_contact, theirs=their_contacts, held=held_of_master_data,
        needs=("ContactNumber", "Name", "FirstName", "LastName", "EmailAddress", "TaxNumber", "ContactStatus"),
    ),
    Matcher(
        entity="items", stream="items", ours=our_item, theirs=their_items, held=held_of_master_data,
        needs=("Code", "Name"),
    ),
    Matcher(
        entity="invoices", stream="invoices", ours=our_document, theirs=their_invoices, held=held_of_document,
        line_ids=line_ids_of,
        needs=("Type", "Status", "InvoiceNumber", "Reference", "Contact", "Total", "TotalTax", "CurrencyCode", "DateString", "Date"),
    ),
    Matcher(
        entity="credit_notes", stream="credit_notes", ours=our_document, theirs=their_credit_notes, held=held_of_document,
        line_ids=line_ids_of,
        needs=("Type", "Status", "CreditNoteNumber", "Reference", "Contact", "Total", "TotalTax", "CurrencyCode", "DateString", "Date"),
    ),
    Matcher(
        entity="payments", stream="payments", ours=our_payment, theirs=their_payments, held=held_of_money,
        needs=("PaymentType", "Status", "Invoice", "CreditNote", "Account", "Amount", "Reference", "CurrencyCode", "Date"),
    ),
    Matcher(
        entity="bank_transactions", stream="bank_transactions", ours=our_receipt, theirs=their_receipts, held=held_of_receipt,
        line_ids=line_ids_of,
        needs=("Type", "Status", "Contact", "BankAccount", "Reference", "Total", "CurrencyCode", "DateString", "Date"),
    ),
    # Those of prepayments and overpayments need no line: what others allocated stands for ours once the money is linked.
    Matcher(
        entity="allocations", stream="credit_notes", ours=our_allocation, theirs=their_allocations, held=held_of_money,
        needs=("CreditNoteNumber", "CurrencyCode", "Allocations"), pick=pick_allocation,
    ),
)
# fmt: on
