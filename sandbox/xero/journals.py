"""Manual journals and purchase orders: the documents without debtors, creditors or bank.

A manual journal balances, is DRAFT until it is POSTED, and may not touch debtors, creditors or bank
accounts. A purchase order posts nothing; its number is never free again, and even PUT updates the order
that has it (recorded on a demo company, September 2026). Sources: developer documentation "Manual
Journals", "Purchase Orders"; SDK threads for the words.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.xero import contacts, documents, ledger, lines
from sandbox.xero.errors import ElementError, UnknownIdError
from sandbox.xero.store import Call, Record, Tenant, cents, new_id, stamped

ZERO = Decimal("0.00")

_JOURNAL_MOVES = {
    None: ("DRAFT", "POSTED"),
    "DRAFT": ("DRAFT", "POSTED", "DELETED"),
    "POSTED": ("POSTED", "VOIDED"),
}
_ORDER_MOVES = {
    None: ("DRAFT", "SUBMITTED", "AUTHORISED"),
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("SUBMITTED", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "BILLED", "DELETED"),
    "BILLED": ("BILLED",),
}


def save_journal(call: Call, values: Record) -> str:
    """Create or update one manual journal and return its id."""
    tenant = call.tenant
    old = tenant.get("ManualJournals", values.get("ManualJournalID"))
    if values.get("ManualJournalID") and old is None:
        raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
    held: Record = old or {
        "ManualJournalID": new_id(),
        "Status": None,
        "Date": tenant.today(),
        "LineAmountTypes": "NoTax",
        "ShowOnCashBasisReports": True,
        "JournalLines": [],
    }
    status = values.get("Status", held["Status"] or "DRAFT")
    if status not in _JOURNAL_MOVES.get(held["Status"], ()):
        raise ElementError("Manual Journal not of valid status for modification")
    new: Record = {**held, **values, "Status": status}
    new["Date"] = new["Date"] or tenant.today()
    documents.check_lock(tenant, held["Date"] if old is not None else new["Date"])
    documents.check_lock(tenant, new["Date"])
    if not new.get("Narration"):
        raise ElementError("The Narration field must be specified.")
    ledger.reverse(tenant, new["ManualJournalID"])
    if "JournalLines" in values:
        new["JournalLines"] = [_journal_line(tenant, each, new) for each in values["JournalLines"]]
    if status in ("DRAFT", "POSTED"):
        _check_balance(new)
    if status == "POSTED":
        _post(tenant, new)
    tenant.put("ManualJournals", new["ManualJournalID"], stamped(tenant, new))
    return str(new["ManualJournalID"])


def _journal_line(tenant: Tenant, sent: Record, journal: Record) -> Record:
    code = sent.get("AccountCode")
    account = tenant.get("Accounts", sent.get("AccountID"))
    if account is None and code:
        account = next(tenant.find("Accounts", "Code", code), None)
    if account is None:
        raise ElementError(
            "Account code must be specified"
            if not code
            else f"Account code '{code}' is not a valid code for this document."
        )
    closed = ("DEBTORS", "CREDITORS", "RETAINEDEARNINGS")
    if account["Status"] != "ACTIVE" or account["Type"] == "BANK" or account.get("SystemAccount") in closed:
        raise ElementError(f"Account code '{account.get('Code')}' is not a valid code for this document.")
    amount = sent.get("LineAmount")
    if amount is None or amount != cents(amount):
        raise ElementError("The LineAmount field must be specified.")
    line: Record = {
        "Description": sent.get("Description", ""),
        "LineAmount": cents(amount),
        "AccountID": account["AccountID"],
        "TaxType": "NONE",
        "TaxAmount": ZERO,
        "Tracking": lines.tracking(tenant, sent.get("Tracking") or []),
    }
    if journal["LineAmountTypes"] != "NoTax":
        rate = lines.tax_rate(tenant, sent.get("TaxType") or account.get("TaxType") or "NONE", account)
        line["TaxType"] = rate["TaxType"]
        divisor = Decimal(100)
        if journal["LineAmountTypes"] == "Inclusive":
            divisor += rate["EffectiveRate"]
        line["TaxAmount"] = cents(sent.get("TaxAmount", amount * rate["EffectiveRate"] / divisor))
    return line


def _check_balance(journal: Record) -> None:
    amounts = [line["LineAmount"] for line in journal["JournalLines"]]
    if len(amounts) < 2:
        raise ElementError("A manual journal must have at least two journal lines.")
    if journal["LineAmountTypes"] == "Exclusive":
        amounts = [line["LineAmount"] + line["TaxAmount"] for line in journal["JournalLines"]]
    debits = sum((amount for amount in amounts if amount > 0), ZERO)
    credits_ = sum((amount for amount in amounts if amount < 0), ZERO)
    if debits + credits_:
        raise ElementError(f"The total debits ({debits:f}) must equal total credits ({credits_:f})")


def _post(tenant: Tenant, journal: Record) -> None:
    document = {
        "CurrencyRate": Decimal(1),
        "LineAmountTypes": journal["LineAmountTypes"],
        "LineItems": journal["JournalLines"],
    }
    ledger.post(
        tenant,
        source_type="MANJOURNAL",
        source_id=journal["ManualJournalID"],
        on=journal["Date"],
        currency=tenant.base_currency,
        entries=ledger.line_entries(tenant, document, 1),
        reference=journal["Narration"],
    )


def save_order(call: Call, values: Record) -> str:
    """Create or update one purchase order and return its id."""
    tenant = call.tenant
    old = _order(tenant, values)
    status = values.get("Status", (old or {}).get("Status", "DRAFT"))
    if old is not None and old["Status"] == "DELETED":
        raise ElementError(
            "Deleted PurchaseOrders cannot be updated"
            if values.get("PurchaseOrderID")
            else "Order number must be unique"
        )
    if status not in _ORDER_MOVES[old["Status"] if old is not None else None]:
        raise ElementError("PurchaseOrder status change is invalid")
    held: Record = old or {
        "PurchaseOrderID": new_id(),
        "Date": tenant.today(),
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": tenant.base_currency,
        "Reference": "",
        "SentToContact": False,
        "LineItems": [],
        "PurchaseOrderNumber": _next_number(tenant),
    }
    ignored = {"PurchaseOrderID", "Contact", "LineItems", "SubTotal", "TotalTax", "Total"}
    new = {**held, **{name: value for name, value in values.items() if name not in ignored}, "Status": status}
    new["_contact"] = _order_contact(tenant, values, held)
    if old is None and not values.get("LineItems"):
        raise ElementError("One or more line items must be specified")
    documents.set_currency(call, new, values, held)
    sheet = lines.Sheet(
        sale=False,
        approved=status in ("AUTHORISED", "BILLED"),
        amounts=new["LineAmountTypes"],
        places=4,
        old={line["LineItemID"]: line for line in held["LineItems"]},
    )
    if "LineItems" in values:
        new["LineItems"] = lines.build(call, values["LineItems"], sheet)
    sums = lines.totals(new["LineItems"], new["LineAmountTypes"])
    if any(name in values and values[name] != amount for name, amount in sums.items()):
        raise ElementError("The document total does not equal the sum of the lines.")
    tenant.put("PurchaseOrders", new["PurchaseOrderID"], stamped(tenant, {**new, **sums}))
    return str(new["PurchaseOrderID"])


def _order(tenant: Tenant, values: Record) -> Record | None:
    if values.get("PurchaseOrderID"):
        found = tenant.get("PurchaseOrders", values["PurchaseOrderID"])
        if found is None:
            raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
        return found
    number = values.get("PurchaseOrderNumber")
    return next(tenant.find("PurchaseOrders", "PurchaseOrderNumber", number), None) if number else None


def _order_contact(tenant: Tenant, values: Record, held: Record) -> str:
    """The order's contact, which is never created on the way."""
    named = values.get("Contact")
    if named is None and held.get("_contact"):
        return str(held["_contact"])
    if not named:
        raise ElementError("A Contact must be specified for this type of transaction")
    if not named.get("ContactID") and not named.get("ContactNumber"):
        raise ElementError(contacts.UNIDENTIFIED)
    found = contacts.match(tenant, {name: value for name, value in named.items() if name != "Name"})
    if found is None:
        raise ElementError(contacts.UNIDENTIFIED)
    if found["ContactStatus"] != "ACTIVE":
        raise ElementError(contacts.ARCHIVED)
    return str(found["ContactID"])


def _next_number(tenant: Tenant) -> str:
    number = tenant.count("PurchaseOrders") + 1
    while next(tenant.find("PurchaseOrders", "PurchaseOrderNumber", f"PO-{number:04d}"), None) is not None:
        number += 1
    return f"PO-{number:04d}"
