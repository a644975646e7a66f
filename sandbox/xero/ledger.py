"""The double-entry ledger under every document: two currencies, reversals, realised gains.

CurrencyRate is units of the document's currency for one unit of the base currency, so base = amount /
rate. A debit is positive. Each journal balances in both currencies: the control account takes the
document's total converted once, and a cent left over by converting the lines one by one goes to the
largest line. Paying a foreign document at another rate posts the difference to the realised currency
gains account. A document that is voided, deleted or edited gets a journal with the opposite signs, as the
vendor does ("Journals").
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.xero.store import Record, Tenant, cents, new_id

ZERO = Decimal("0.00")


@dataclass(slots=True, kw_only=True)
class Entry:
    """One line of a journal; `kind` is net or tax for what the tax return counts, else empty."""

    account: str
    amount: Decimal
    base: Decimal
    tax_type: str | None = None
    kind: str = ""
    description: str = ""
    tracking: list[Record] = field(default_factory=list)


def to_base(amount: Decimal, rate: Decimal) -> Decimal:
    """An amount of the document in base currency."""
    return cents(amount / rate)


def system_account(tenant: Tenant, name: str) -> str:
    """The id of the account that the vendor uses itself: DEBTORS, CREDITORS, GST, REALISEDCURRENCYGAIN ..."""
    return str(next(iter(tenant.find("Accounts", "SystemAccount", name)))["AccountID"])


def post(
    tenant: Tenant,
    *,
    source_type: str,
    source_id: str,
    on: date,
    currency: str,
    entries: list[Entry],
    reference: str = "",
    reversal: bool = False,
) -> None:
    """Write one journal; it must balance in both currencies."""
    entries = [entry for entry in entries if entry.amount or entry.base]
    if sum((entry.base for entry in entries), ZERO) or sum((entry.amount for entry in entries), ZERO):
        raise AssertionError(f"a journal of {source_type} does not balance")
    if not entries:
        return
    journal_id = new_id()
    record: Record = {
        "JournalID": journal_id,
        "JournalNumber": tenant.count("Journals") + 1,
        "JournalDate": on,
        "CreatedDateUTC": tenant.now(),
        "Reference": reference,
        "SourceID": source_id,
        "SourceType": source_type,
        "_currency": currency,
        "_entries": entries,
        "_reversed": reversal,
    }
    tenant.put("Journals", journal_id, record)


def reverse(tenant: Tenant, source_id: str) -> None:
    """Post the opposite of every journal of a document that still counts."""
    for journal in list(tenant.find("Journals", "SourceID", source_id)):
        if journal["_reversed"]:
            continue
        tenant.put("Journals", journal["JournalID"], {**journal, "_reversed": True})
        opposite = [
            Entry(
                account=entry.account,
                amount=-entry.amount,
                base=-entry.base,
                tax_type=entry.tax_type,
                kind=entry.kind,
                description=entry.description,
                tracking=entry.tracking,
            )
            for entry in journal["_entries"]
        ]
        post(
            tenant,
            source_type=journal["SourceType"],
            source_id=source_id,
            on=journal["JournalDate"],
            currency=journal["_currency"],
            entries=opposite,
            reference=journal["Reference"],
            reversal=True,
        )


def line_entries(tenant: Tenant, document: Record, sign: int) -> list[Entry]:
    """The document's lines and their tax, each amount multiplied by the sign (+1 debits them)."""
    rate = document["CurrencyRate"]
    tax_account = system_account(tenant, "GST")
    control = {system_account(tenant, name) for name in ("DEBTORS", "CREDITORS")}
    entries: list[Entry] = []
    for line in document["LineItems"]:
        if line.get("AccountID") is None:
            continue
        tax = line.get("TaxAmount") or ZERO
        net = line["LineAmount"] - (tax if document["LineAmountTypes"] == "Inclusive" else ZERO)
        common: dict[str, Any] = {
            "tax_type": line.get("TaxType"),
            "description": line.get("Description") or "",
            "tracking": line.get("Tracking") or [],
        }
        entries.append(
            Entry(
                account=line["AccountID"],
                amount=sign * net,
                base=sign * to_base(net, rate),
                kind="" if line["AccountID"] in control else "net",
                **common,
            )
        )
        entries.append(
            Entry(
                account=tax_account, amount=sign * tax, base=sign * to_base(tax, rate), kind="tax", **common
            )
        )
    return entries


def balanced(entries: list[Entry], counter: Entry) -> list[Entry]:
    """The entries and their counter entry, with the cents of conversion put on the largest line."""
    left = counter.base + sum((entry.base for entry in entries), ZERO)
    if left and entries:
        largest = max(entries, key=lambda entry: abs(entry.base))
        largest.base -= left
    return [counter, *entries]


def post_document(
    tenant: Tenant, document: Record, *, source_id: str, source_type: str, receivable: bool
) -> None:
    """Post an invoice or credit note against debtors or creditors, which `receivable` debits."""
    sign = 1 if receivable else -1
    sale = source_type.startswith("ACCREC")
    control = Entry(
        account=system_account(tenant, "DEBTORS" if sale else "CREDITORS"),
        amount=sign * document["Total"],
        base=sign * to_base(document["Total"], document["CurrencyRate"]),
    )
    post(
        tenant,
        source_type=source_type,
        source_id=source_id,
        on=document["Date"],
        currency=document["CurrencyCode"],
        entries=balanced(line_entries(tenant, document, -sign), control),
        reference=document.get("Reference") or "",
    )


def release(document: Record, amount: Decimal, outstanding: Decimal) -> Decimal:
    """The base amount at which a part of what is outstanding is settled; the last part takes the rest."""
    remaining: Decimal = document["_base_outstanding"]
    return remaining if amount == outstanding else cents(remaining * amount / outstanding)


def gain_entry(tenant: Tenant, difference: Decimal) -> list[Entry]:
    """The realised currency gain (negative: a credit) that makes a settlement balance in base currency."""
    if not difference:
        return []
    return [Entry(account=system_account(tenant, "REALISEDCURRENCYGAIN"), amount=ZERO, base=difference)]


def balances(tenant: Tenant, on: date | None = None) -> dict[str, Decimal]:
    """The base balance of every account with a journal, debits positive, by AccountID; up to a day."""
    totals: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for journal in _until(tenant, on):
        for entry in journal["_entries"]:
            totals[entry.account] += entry.base
    return dict(totals)


def debtors(tenant: Tenant, on: date | None = None) -> dict[str, Decimal]:
    """What each contact owes in base currency, by ContactID; the sum is the balance of the debtors account.

    A journal belongs to the contact that its document has now, so a merged contact's debts are the survivor's.
    """
    control = system_account(tenant, "DEBTORS")
    owed: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for journal in _until(tenant, on):
        part = sum((entry.base for entry in journal["_entries"] if entry.account == control), ZERO)
        if part:
            owed[_contact_of(tenant, journal["SourceID"])] += part
    return {contact: amount for contact, amount in owed.items() if amount}


def _until(tenant: Tenant, on: date | None) -> list[Record]:
    return [each for each in tenant.all("Journals") if on is None or each["JournalDate"] <= on]


def _contact_of(tenant: Tenant, source_id: str) -> str:
    """The contact of a journal's source; empty for an allocation that was taken back, whose journals cancel."""
    for entity in ("Invoices", "CreditNotes", "BankTransactions"):
        document = tenant.get(entity, source_id)
        if document is not None:
            return str(document.get("_contact") or "")
    payment = tenant.get("Payments", source_id)
    if payment is not None:
        return str(tenant.must(payment["_entity"], payment["_document"])["_contact"])
    allocation = tenant.get("Allocations", source_id)
    return str(tenant.must("Invoices", allocation["_invoice"])["_contact"]) if allocation is not None else ""


def shown(tenant: Tenant, on: date | None = None) -> dict[str, Any]:
    """The ledger as the control page shows it: accounts, debtors, journals, net and tax by tax type; up to a day.

    Balances are debit positive. In `tax` what was sold is positive and what was bought is negative.
    """
    totals = balances(tenant, on)
    taxes: dict[str, dict[str, Decimal]] = defaultdict(lambda: {"net": ZERO, "tax": ZERO})
    journals = []
    for journal in _until(tenant, on):
        lines = []
        for entry in journal["_entries"]:
            account = tenant.must("Accounts", entry.account)
            lines.append(
                {
                    "account_code": account.get("Code"),
                    "base_amount": entry.base,
                    "amount": entry.amount,
                    "currency": journal["_currency"],
                    "tax_type": entry.tax_type,
                    "kind": entry.kind,
                }
            )
            if entry.kind and entry.tax_type:
                taxes[entry.tax_type][entry.kind] -= entry.base
        journals.append(
            {
                "number": journal["JournalNumber"],
                "date": journal["JournalDate"].isoformat(),
                "source_type": journal["SourceType"],
                "source_id": journal["SourceID"],
                "lines": lines,
            }
        )
    return {
        "accounts": [
            {
                "code": account.get("Code"),
                "name": account["Name"],
                "base_balance": totals.get(account["AccountID"], ZERO),
                "currency": account.get("CurrencyCode") or tenant.base_currency,
            }
            for account in tenant.all("Accounts")
        ],
        "debtors": [_debtor(tenant, contact, owed) for contact, owed in sorted(debtors(tenant, on).items())],
        "journals": journals,
        "tax": [{"tax_type": name, **sums} for name, sums in sorted(taxes.items())],
    }


def _debtor(tenant: Tenant, contact_id: str, owed: Decimal) -> dict[str, Any]:
    contact = tenant.get("Contacts", contact_id) or {}
    return {
        "contact_id": contact_id,
        "name": contact.get("Name"),
        "contact_number": contact.get("ContactNumber"),
        "base_balance": owed,
    }
