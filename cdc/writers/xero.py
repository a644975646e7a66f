"""The entities that tieout writes to Xero, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Mapping

from cdc.corrections import Correct, Unsettled
from cdc.postings import Posts
from cdc.writers import xero_bank as bank
from cdc.writers import xero_contacts as contacts
from cdc.writers import xero_corrections as corrections
from cdc.writers import xero_documents as documents
from cdc.writers import xero_money as money
from cdc.writers import xero_postings as postings
from cdc.writers.xero_allocations import CREDIT_NOTES, OVERPAYMENTS, PREPAYMENTS, allocations_of
from cdc.writers.xero_documents import CREDIT_NOTE, INVOICE
from cdc.writers.xero_entity import XeroWrite, unless_gone
from cdc.writing import Operation, Write

CHANGES: frozenset[Operation] = frozenset({"update", "remove"})

# fmt: off
WRITES: tuple[Write, ...] = (
    # Collections that take up to 50 elements and answer each (summarizeErrors=false). PUT creates only, POST
    # changes by id. Master data: an existing record is adopted and completed.
    # https://developer.xero.com/documentation/api/accounting/contacts
    XeroWrite(
        entity="contacts", stream="contacts", plural="Contacts", id_field="ContactID", adopts=True, merges=True,
        identity=contacts.contact_mark, is_ours=contacts.contact_is_ours, finding=contacts.CONTACT_FOUND, named=contacts.contacts_named, call=contacts.call_contacts,
        candidates=contacts.ask_contacts, mirrored=contacts.mirrored_contacts, read=contacts.read_contacts,
        before=unless_gone, reads_before=frozenset({"remove"}),
        batches={"create": 50, "update": 50, "remove": 50},
    ),
    # Items are deleted by DELETE, one a call. https://developer.xero.com/documentation/api/accounting/items
    XeroWrite(
        entity="items", stream="items", plural="Items", id_field="ItemID", adopts=True,
        identity=contacts.item_code, is_ours=contacts.item_is_ours, finding=contacts.ITEM_FOUND, call=contacts.call_items,
        candidates=contacts.ask_items, mirrored=contacts.mirrored_items, read=contacts.read_items,
        batches={"create": 50, "update": 50, "remove": 1},
    ),

    # Documents: read just before they change, by at most 40 ids; removal is a status (DELETED for drafts,
    # else VOIDED). https://developer.xero.com/documentation/api/accounting/invoices, …/creditnotes
    XeroWrite(
        entity="invoices", stream="invoices", plural="Invoices", id_field="InvoiceID", total_field="Total",
        identity=documents.number_of(INVOICE), is_ours=documents.document_is_ours,
        finding=documents.found_again(INVOICE), may_be=documents.may_be_renamed(INVOICE),
        call=documents.call_documents(INVOICE), candidates=documents.ask_documents(INVOICE),
        mirrored=documents.mirrored_documents(INVOICE), read=documents.read_documents(INVOICE),
        before=documents.before_document(INVOICE), reads_before=CHANGES, freeze=documents.frozen_document,
        batches={"create": 50, "update": 40, "remove": 40},
    ),

    # Never changed: PUT (batch) makes, POST of a status removes one. No unique number: a repeat is found by
    # reading only. People enter them too: theirs stands for ours. https://developer.xero.com/documentation/api/accounting/payments
    XeroWrite(
        entity="payments", stream="payments", plural="Payments", id_field="PaymentID", total_field="Amount",
        identity=money.payment_identity, is_ours=money.payment_is_ours, finding=money.PAYMENT_FOUND, call=money.call_payments,
        candidates=money.ask_payments, mirrored=money.mirrored_payments, read=money.read_payments,
        before=money.before_payment, reads_before=CHANGES, freeze=money.frozen_payment,
        satisfied_by=money.stands_in_for_payment, looks=money.payments_entered,
        batches={"create": 50, "update": 50, "remove": 1},
    ),

    XeroWrite(
        entity="credit_notes", stream="credit_notes", plural="CreditNotes", id_field="CreditNoteID",
        total_field="Total",
        identity=documents.number_of(CREDIT_NOTE), is_ours=documents.document_is_ours,
        finding=documents.found_again(CREDIT_NOTE), may_be=documents.may_be_renamed(CREDIT_NOTE),
        call=documents.call_documents(CREDIT_NOTE), candidates=documents.ask_documents(CREDIT_NOTE),
        mirrored=documents.mirrored_documents(CREDIT_NOTE), read=documents.read_documents(CREDIT_NOTE),
        before=documents.before_document(CREDIT_NOTE), reads_before=CHANGES, freeze=documents.frozen_document,
        batches={"create": 50, "update": 20, "remove": 20},
    ),

    # Made by PUT, removed by a status, never changed; no unique number. A prepayment or overpayment is born of
    # one. https://developer.xero.com/documentation/api/accounting/banktransactions
    XeroWrite(
        entity="bank_transactions", stream="bank_transactions", plural="BankTransactions",
        id_field="BankTransactionID", total_field="Total",
        identity=bank.transaction_identity, is_ours=bank.transaction_is_ours, finding=bank.TRANSACTION_FOUND, call=bank.call_transactions,
        candidates=bank.ask_transactions, mirrored=bank.mirrored_transactions, read=bank.read_transactions,
        before=bank.before_transaction, reads_before=CHANGES, freeze=money.frozen_payment,
        gives=bank.CREDITS, batches={"create": 50, "update": 50, "remove": 20},
    ),

    # Part of what is allocated: https://developer.xero.com/documentation/api/accounting/creditnotes,
    # …/prepayments, …/overpayments
    allocations_of(CREDIT_NOTES),
    allocations_of(PREPAYMENTS),
    allocations_of(OVERPAYMENTS),
)
# fmt: on

POSTINGS: Mapping[str, Posts] = {
    "invoices": postings.document_postings(1),
    "credit_notes": postings.document_postings(-1),
    "payments": postings.payment_postings,
    "bank_transactions": postings.transaction_postings,
}
"""What each entity does to the accounts; allocations move nothing between accounts."""

UNSETTLED: Mapping[str, Unsettled] = {
    "invoices": corrections.without_settlements("AmountDue"),
    "credit_notes": corrections.without_settlements("RemainingCredit"),
}
"""Documents as they will be when payments and allocations on them are removed."""

CORRECTIONS: Mapping[str, Correct] = {
    "invoices": corrections.correct_document(INVOICE),
    "credit_notes": corrections.correct_document(CREDIT_NOTE),
}
"""Documents that are corrected by a reversal and a new one; money is never corrected, only removed and made anew."""
