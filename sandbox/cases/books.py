"""What an accountant does in Xero about documents of the shop: finds them, enters money, sends money back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sandbox.bad_stories import INVOICE_PREFIX
from sandbox.stand import Json, Stand

CREDIT_PREFIX = f"{INVOICE_PREFIX}CR-"
BANK, CARD = "090", "611"


def invoice_in_books(stand: Stand, invoice: Json) -> Json:
    """The accounting system's copy of one of the shop's invoices."""
    return _only(
        stand.books("Invoices", InvoiceNumber=INVOICE_PREFIX + str(invoice["increment_id"])), invoice
    )


def credit_in_books(stand: Stand, memo: Json) -> Json:
    """The accounting system's copy of one of the shop's credit memos."""
    return _only(stand.books("CreditNotes", CreditNoteNumber=CREDIT_PREFIX + str(memo["increment_id"])), memo)


def contact_in_books(stand: Stand, email: str) -> Json:
    """The contact with an e-mail address."""
    return _only(stand.books("Contacts", EmailAddress=email), {"increment_id": email})


def receive(stand: Stand, invoice: Json, amount: Decimal, on: datetime, *, account: str = BANK) -> Json:
    """The accountant enters money that came in for an invoice, and ticks it off on the bank statement."""
    number = invoice_in_books(stand, invoice)["InvoiceID"]
    return _pay(stand, "Invoice", number, amount, on, account)


def pay_back(stand: Stand, memo: Json, amount: Decimal, on: datetime, *, account: str = BANK) -> Json:
    """The accountant enters money that was sent back for a credit note."""
    number = credit_in_books(stand, memo)["CreditNoteID"]
    return _pay(stand, "CreditNote", number, amount, on, account)


def _pay(stand: Stand, kind: str, number: str, amount: Decimal, on: datetime, account: str) -> Json:
    made = stand.ledger(
        "records/Payments",
        **{kind: {f"{kind}ID": number}},
        Account={"Code": account},
        Date=on.date().isoformat(),
        Amount=amount,
        Reference="by hand",
    )
    payment: Json = made["Payments"][0]
    if account == BANK:
        stand.ledger("reconcile", payment_id=payment["PaymentID"])
    return payment


def _only(found: list[Json], document: Json) -> Json:
    if len(found) != 1:
        raise RuntimeError(f"the books have {len(found)} records of {document['increment_id']}, not one")
    return found[0]
