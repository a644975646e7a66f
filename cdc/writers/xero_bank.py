"""Bank transactions: money that came in or went out without an invoice; prepayments and overpayments are born
of them.

Made by PUT, removed by a status, never changed. They have no number that Xero keeps unique: Reference carries
our key, and contact, date, type and total are what else names one. The credit that a RECEIVE-PREPAYMENT or a
RECEIVE-OVERPAYMENT makes is named by `PrepaymentID` or `OverpaymentID` of the answer: allocations refer to it
by `give`. Once some of the credit is used, Xero keeps the transaction; whether the API deletes an unused one
is not documented, so a refusal is a person's to act on (Xero developer documentation, "Bank Transactions",
"Prepayments", "Overpayments").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from cdc.writers.xero_contacts import is_another_of_ours
from cdc.writers.xero_documents import FULL
from cdc.writers.xero_entity import Candidates, Record, element, to_collection
from cdc.writers.xero_money import before_removal
from cdc.writers.xero_search import VALUES_A_CALL, equals, in_mirror, is_guid, parts, read_list, read_one
from cdc.writers.xero_values import as_number, business_date, differs, is_gone, same, same_id
from cdc.writing import Finding, Operation, Outcome, Outgoing, TargetClient, WriteCall

CREDITS = ("PrepaymentID", "OverpaymentID")
TRANSACTION_FOUND = Finding(
    mark="`Reference` is our key",
    natural="`Type`, `Contact`, `Date` and total",
    asked="GET BankTransactions by `Reference`, then by `Contact` and `Date`",
    twice="takes it",
    window="Xero carries out the first sending after it was asked: after the second both are counted, and the chain stops.",
)


def transaction_identity(transaction: Mapping[str, Any]) -> str | None:
    """Our key, when it has one."""
    return transaction.get("Reference") or None


def call_transactions(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """PUT makes, a status removes."""
    if operation == "remove":
        gone = [{"BankTransactionID": one.target_id, "Status": "DELETED"} for one in outgoing]
        return to_collection("BankTransactions", operation, gone, FULL)
    elements = [element(one, "BankTransactionID") for one in outgoing]
    return to_collection("BankTransactions", operation, elements, FULL)


def ask_transactions(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
    """By Reference, which carries our mark, and by contact and day."""
    found: list[Record] = []
    references = [str(one.payload["Reference"]) for one in outgoing if one.payload.get("Reference")]
    for some in parts(references, VALUES_A_CALL):
        found += _list(client, equals("Reference", some))
    days = [day for one in outgoing if (day := business_date(one.payload.get("Date"))) is not None]
    contacts = [_contact(one.payload) for one in outgoing if _contact(one.payload)]
    if days:
        first, last = min(days), max(days)
        between = (
            f"Date>=DateTime({first.year},{first.month},{first.day})"
            f" AND Date<=DateTime({last.year},{last.month},{last.day})"
        )
        for some in parts(contacts, VALUES_A_CALL):
            found += _list(client, f"{between} AND ({is_guid('Contact.ContactID', some)})")
    return [_transactions_for(one, found) for one in outgoing]


def mirrored_transactions(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> Candidates:
    """The same from the mirror."""
    references = [str(one.payload["Reference"]) for one in outgoing if one.payload.get("Reference")]
    contacts = [_contact(one.payload) for one in outgoing if _contact(one.payload)]
    found = in_mirror(connection, name, "bank_transactions", "reference", references)
    found += in_mirror(connection, name, "bank_transactions", "contact_id", contacts)
    return [_transactions_for(one, found) for one in outgoing]


def transaction_is_ours(one: Outgoing, record: Record) -> bool:
    """The same money of the same contact under our Reference.

    One that was deleted since counts too, unless we ourselves made it again (a later generation). Lines may
    have been recoded since: the amount decides.
    """
    if is_gone(record):
        return one.generation == 1 and same(
            "Reference", one.payload.get("Reference"), record.get("Reference")
        )
    other = [name for name in differs(one, record, total_field=None) if not name.startswith("LineItems")]
    return not set(other) - {"Status"} and _total(one) == as_number(record.get("Total"))


def read_transactions(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
    """Bank transactions by id."""
    return [read_one(client, "BankTransactions", one.target_id or "", FULL) for one in outgoing]


def before_transaction(operation: Operation, one: Outgoing, record: Record | None) -> Outcome | None:
    """Made and removed, nothing else; never removed once they are matched with the bank."""
    return before_removal(operation, one, record, what="bank transaction", stream="bank_transactions")


def _list(client: TargetClient, where: str) -> list[Record]:
    return read_list(client, "BankTransactions", {"where": where, **FULL})


def _contact(transaction: Mapping[str, Any]) -> str:
    contact = transaction.get("Contact")
    return str(contact.get("ContactID") or "") if isinstance(contact, Mapping) else ""


def _total(one: Outgoing) -> Decimal | None:
    """The amount that the answer must show; where the model gives none, what the lines add up to."""
    if one.total is not None:
        return one.total
    with_tax = one.payload.get("LineAmountTypes") == "Exclusive"
    total = Decimal(0)
    for line in one.payload.get("LineItems") or []:
        amount = as_number(line.get("LineAmount"))
        if amount is None:
            price, quantity = as_number(line.get("UnitAmount")), as_number(line.get("Quantity", 1))
            if price is None or quantity is None:
                return None
            amount = (price * quantity).quantize(Decimal("0.01"))
        total += amount + ((as_number(line.get("TaxAmount")) or 0) if with_tax else 0)
    return total


def _transactions_for(one: Outgoing, records: Sequence[Record]) -> list[Record]:
    """Of the same type, those that bear our Reference, or, while they count, are of the same contact, day and
    total."""
    reference = one.payload.get("Reference")
    return [
        record
        for record in records
        if record.get("Type") == one.payload.get("Type")
        and (
            (reference and same("Reference", reference, record.get("Reference")))
            or (
                not is_gone(record)
                and same_id(_contact(record), _contact(one.payload))
                and business_date(record.get("Date")) == business_date(one.payload.get("Date"))
                and as_number(record.get("Total")) == _total(one)
                and not is_another_of_ours(reference, record.get("Reference"))
            )
        )
    ]
