"""Bank transactions, the overpayments and prepayments born from them, and transfers between bank accounts.

Bank transactions default to LineAmountTypes Inclusive, need a total above zero and a BANK account. The
overpayment and prepayment types can only be created. Whether the API lets one of these be deleted is not
documented: it does unless the option `delete_credits` is off, and never once some of the credit is used.
An overpayment has one line, which the control account takes without tax; a prepayment stands on the
accounts of its lines, with their tax at its own date, until it is allocated or refunded. When that tax
leaves the return is not documented either: here the allocation takes it back. A transfer makes a SPEND-TRANSFER and a
RECEIVE-TRANSFER; it cannot be changed, only deleted, and carries no UpdatedDateUTC. Sources: developer
documentation "Bank Transactions", "Bank Transfers", "Overpayments", "Prepayments", "Changelog".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.xero import contacts, documents, ledger, lines
from sandbox.xero.errors import ElementError, UnknownIdError
from sandbox.xero.payments import exact
from sandbox.xero.store import Call, Record, Tenant, new_id, stamped

ZERO = Decimal("0.00")


def save(call: Call, values: Record) -> str:
    """Create, update or delete one bank transaction and return its id."""
    if not values.get("BankTransactionID"):
        return _create(call, values)
    old = call.tenant.get("BankTransactions", values["BankTransactionID"])
    if old is None:
        raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
    if call.create_only:
        raise ElementError("A bank transaction with the specified BankTransactionID already exists")
    return _update(call, old, values)


def _create(call: Call, values: Record) -> str:
    type_ = values.get("Type", "")
    if not type_ or type_.endswith("TRANSFER"):
        raise ElementError("Bank transaction not of valid type for creation")
    if values.get("Status", "AUTHORISED") != "AUTHORISED":
        raise ElementError("Bank transaction not of valid status for creation")
    if not values.get("LineItems"):
        raise ElementError("One or more line items must be specified")
    record: Record = {
        "BankTransactionID": new_id(),
        "Type": type_,
        "Status": "AUTHORISED",
        "Date": call.tenant.today(),
        "LineAmountTypes": "NoTax" if type_.endswith("OVERPAYMENT") else "Inclusive",
        "Reference": "",
        "IsReconciled": False,
        "LineItems": [],
    }
    return _store(call, record, values)


def _update(call: Call, old: Record, values: Record) -> str:
    tenant, identifier = call.tenant, str(old["BankTransactionID"])
    if old["Status"] != "AUTHORISED":
        raise ElementError("Bank transaction not of valid status for modification")
    if old["IsReconciled"]:
        raise ElementError("This Bank Transaction cannot be edited as it has been reconciled.")
    documents.check_lock(tenant, old["Date"])
    if values.get("Status", "AUTHORISED") == "AUTHORISED":
        if "-" in old["Type"] or values.get("Type", old["Type"]) != old["Type"]:
            raise ElementError("Bank transaction not of valid type for modification")
        return _store(call, old, values)
    if old["Type"].endswith("TRANSFER"):
        raise ElementError("Bank transaction not of valid type for modification")
    if "-" in old["Type"] and not call.options.delete_credits:
        raise ElementError("Bank transaction not of valid type for modification")
    _drop_credit(tenant, old)
    ledger.reverse(tenant, identifier)
    tenant.put("BankTransactions", identifier, stamped(tenant, {**old, "Status": "DELETED"}))
    return identifier


def _drop_credit(tenant: Tenant, old: Record) -> None:
    """Deleting a prepayment or overpayment voids its credit, unless some of it is used."""
    for entity in ("Prepayments", "Overpayments"):
        credit = tenant.get(entity, old.get(f"{entity[:-1]}ID"))
        if credit is None:
            continue
        if credit["_outstanding"] != credit["Total"]:
            raise ElementError(documents.FROZEN)
        changed = {**credit, "Status": "VOIDED", "_outstanding": ZERO, "_base_outstanding": ZERO}
        tenant.put(entity, credit[f"{entity[:-1]}ID"], stamped(tenant, changed))


def _store(call: Call, old: Record, values: Record) -> str:
    tenant = call.tenant
    ignored = {"BankTransactionID", "Contact", "LineItems", "BankAccount", "SubTotal", "TotalTax", "Total"}
    new = {**old, **{name: value for name, value in values.items() if name not in ignored}}
    new["IsReconciled"] = bool(new["IsReconciled"]) and call.by_person
    if "BankAccount" in values or "_bank" not in old:
        new["_bank"] = bank_account(tenant, values.get("BankAccount"))["AccountID"]
    if old.get("_contact") is None or "Contact" in values:
        new["_contact"] = contacts.for_document(call, values.get("Contact"))
    new["Date"] = new["Date"] or tenant.today()
    documents.check_lock(tenant, new["Date"])
    bank = tenant.must("Accounts", new["_bank"])
    new["CurrencyCode"] = values.get("CurrencyCode") or bank.get("CurrencyCode") or tenant.base_currency
    if new["CurrencyCode"] != (bank.get("CurrencyCode") or tenant.base_currency):
        raise ElementError("The currency of a bank transaction must be that of its bank account.")
    documents.set_currency(call, new, values, old)
    if "LineItems" in values:
        new["LineItems"] = lines.build(call, values["LineItems"], _sheet(call, old, new, values["LineItems"]))
    sums = lines.totals(new["LineItems"], new["LineAmountTypes"])
    if any(name in values and values[name] != amount for name, amount in sums.items()):
        raise ElementError("The document total does not equal the sum of the lines.")
    if sums["Total"] <= 0:
        raise ElementError("The total of a bank transaction must be greater than zero.")
    new.update(sums)
    _post(tenant, new)
    return _keep(tenant, new)


def _sheet(call: Call, old: Record, new: Record, sent: list[Record]) -> lines.Sheet:
    receive = new["Type"].startswith("RECEIVE")
    control = None
    if new["Type"].endswith("OVERPAYMENT"):
        new["LineAmountTypes"] = "NoTax"
        # The vendor's words for a second line are not known.
        if len(sent) != 1:
            raise ElementError("An overpayment can only have one line item.")
        control = ledger.system_account(call.tenant, "DEBTORS" if receive else "CREDITORS")
    return lines.Sheet(
        sale=receive,
        approved=True,
        amounts=new["LineAmountTypes"],
        places=call.places,
        forced_account=control,
        old={line["LineItemID"]: line for line in old["LineItems"]},
    )


def _post(tenant: Tenant, new: Record) -> None:
    sign = 1 if new["Type"].startswith("RECEIVE") else -1
    counter = ledger.Entry(
        account=new["_bank"],
        amount=sign * new["Total"],
        base=sign * ledger.to_base(new["Total"], new["CurrencyRate"]),
    )
    ledger.reverse(tenant, new["BankTransactionID"])
    ledger.post(
        tenant,
        source_type="CASHREC" if sign == 1 else "CASHPAID",
        source_id=new["BankTransactionID"],
        on=new["Date"],
        currency=new["CurrencyCode"],
        entries=ledger.balanced(ledger.line_entries(tenant, new, -sign), counter),
        reference=new["Reference"],
    )


def _keep(tenant: Tenant, new: Record) -> str:
    kind = {"OVERPAYMENT": "Overpayment", "PREPAYMENT": "Prepayment"}.get(new["Type"].partition("-")[2])
    if kind is not None:
        identifier = new_id()
        new[f"{kind}ID"] = identifier
        copied = ("Type", "_contact", "Date", "LineAmountTypes", "LineItems", "SubTotal", "TotalTax", "Total")
        credit: Record = {name: new[name] for name in (*copied, "CurrencyCode", "CurrencyRate", "Reference")}
        credit |= {
            f"{kind}ID": identifier,
            "Status": "AUTHORISED",
            "_outstanding": new["Total"],
            "_base_outstanding": ledger.to_base(new["Total"], new["CurrencyRate"]),
        }
        tenant.put(f"{kind}s", identifier, stamped(tenant, credit))
    contacts.mark_used(tenant, new["_contact"], sale=new["Type"].startswith("RECEIVE"))
    tenant.put("BankTransactions", new["BankTransactionID"], stamped(tenant, new))
    return str(new["BankTransactionID"])


def bank_account(tenant: Tenant, reference: Record | None) -> Record:
    """The account of type BANK that a document names by AccountID or Code."""
    reference = reference or {}
    account = tenant.get("Accounts", reference.get("AccountID"))
    if account is None and reference.get("Code") and not reference.get("AccountID"):
        account = next(tenant.find("Accounts", "Code", reference["Code"]), None)
    if account is None:
        raise ElementError("Account could not be found")
    if account["Type"] != "BANK" or account["Status"] != "ACTIVE":
        raise ElementError("Account must be valid.")
    return account


def transfer(call: Call, values: Record) -> str:
    """Create one transfer, or delete one, and return its id."""
    if values.get("BankTransferID"):
        return _delete_transfer(call, values)
    tenant = call.tenant
    source = bank_account(tenant, values.get("FromBankAccount"))
    target = bank_account(tenant, values.get("ToBankAccount"))
    amount = exact(values.get("Amount"), "The amount of a bank transfer must be greater than zero.")
    if source["AccountID"] == target["AccountID"]:
        raise ElementError("A bank transfer must be between two different bank accounts.")
    currencies = {account.get("CurrencyCode") or tenant.base_currency for account in (source, target)}
    if len(currencies) > 1:
        raise ElementError("A bank transfer must be between two bank accounts of the same currency.")
    on = values.get("Date") or tenant.today()
    documents.check_lock(tenant, on)
    currency = currencies.pop()
    record: Record = {
        "BankTransferID": new_id(),
        "CreatedDateUTC": tenant.now(),
        "Date": on,
        "Amount": amount,
        "CurrencyRate": call.rate(currency),
        "Reference": values.get("Reference", ""),
        "Status": "AUTHORISED",
        "FromIsReconciled": False,
        "ToIsReconciled": False,
        "_from": source["AccountID"],
        "_to": target["AccountID"],
        "_currency": currency,
    }
    _transfer_sides(tenant, record)
    tenant.put("BankTransfers", record["BankTransferID"], record)
    return str(record["BankTransferID"])


def _transfer_sides(tenant: Tenant, record: Record) -> None:
    base = ledger.to_base(record["Amount"], record["CurrencyRate"])
    ledger.post(
        tenant,
        source_type="TRANSFER",
        source_id=record["BankTransferID"],
        on=record["Date"],
        currency=record["_currency"],
        entries=[
            ledger.Entry(account=record["_to"], amount=record["Amount"], base=base),
            ledger.Entry(account=record["_from"], amount=-record["Amount"], base=-base),
        ],
        reference=record["Reference"],
    )
    for side, type_ in (("From", "SPEND-TRANSFER"), ("To", "RECEIVE-TRANSFER")):
        identifier = new_id()
        record[f"{side}BankTransactionID"] = identifier
        line = {
            "LineItemID": new_id(),
            "Description": "Bank Transfer",
            "Quantity": Decimal(1),
            "UnitAmount": record["Amount"],
            "LineAmount": record["Amount"],
            "TaxAmount": ZERO,
            "Tracking": [],
        }
        copied: dict[str, Any] = {
            name: record[name] for name in ("Date", "CurrencyRate", "Reference", "Status")
        }
        transaction: Record = copied | {
            "BankTransactionID": identifier,
            "Type": type_,
            "LineAmountTypes": "NoTax",
            "LineItems": [line],
            "SubTotal": record["Amount"],
            "TotalTax": ZERO,
            "Total": record["Amount"],
            "CurrencyCode": record["_currency"],
            "IsReconciled": False,
            "_bank": record[f"_{side.lower()}"],
        }
        tenant.put("BankTransactions", identifier, stamped(tenant, transaction))


def _delete_transfer(call: Call, values: Record) -> str:
    tenant = call.tenant
    record = tenant.get("BankTransfers", values["BankTransferID"])
    if record is None:
        raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
    if set(values) - {"BankTransferID", "Status"} or values.get("Status") != "DELETED":
        raise ElementError("Only Status accepted for updates.")
    if record["Status"] == "DELETED":
        raise ElementError("Bank transfer not of valid status for modification")
    documents.check_lock(tenant, record["Date"])
    ledger.reverse(tenant, record["BankTransferID"])
    for side in ("From", "To"):
        old = tenant.must("BankTransactions", record[f"{side}BankTransactionID"])
        tenant.put(
            "BankTransactions", old["BankTransactionID"], stamped(tenant, {**old, "Status": "DELETED"})
        )
    tenant.put("BankTransfers", record["BankTransferID"], {**record, "Status": "DELETED"})
    return str(record["BankTransferID"])
