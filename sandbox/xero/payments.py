"""Payments on invoices, credit notes, prepayments and overpayments, and their deletion.

A payment names exactly one approved document, an account (BANK, or one with EnablePaymentsToAccount), a
date and an amount of at most what is outstanding. It cannot be changed, only deleted by `{"Status":
"DELETED"}` on its own address. For a foreign document Amount is in the document's currency and BankAmount
in the account's; the rate of the payment against the rate of the document gives the realised gain.
Creating and deleting a payment stamps the document. Sources: developer documentation "Payments"; OpenAPI
examples; SDK threads for the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.xero import documents, ledger
from sandbox.xero.errors import ElementError, UnknownIdError
from sandbox.xero.store import Call, Record, Tenant, cents, new_id, stamped

ZERO = Decimal("0.00")
EXCEEDS = "Payment amount exceeds the amount outstanding on this document"
NOT_APPROVED = "Payments can only be made against Authorised documents"
ONLY_STATUS = "Only Status accepted for updates."


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind of document that a payment may settle; `prefix` is that of PaymentType by sale and purchase."""

    name: str
    entity: str
    number: str | None
    prefix: tuple[str, str]

    @property
    def id(self) -> str:
        """The name of the id field."""
        return f"{self.name}ID"


TARGETS = (
    Target(name="Invoice", entity="Invoices", number="InvoiceNumber", prefix=("ACCREC", "ACCPAY")),
    Target(
        name="CreditNote", entity="CreditNotes", number="CreditNoteNumber", prefix=("ARCREDIT", "APCREDIT")
    ),
    Target(name="Prepayment", entity="Prepayments", number=None, prefix=("ARPREPAYMENT", "APPREPAYMENT")),
    Target(name="Overpayment", entity="Overpayments", number=None, prefix=("AROVERPAYMENT", "APOVERPAYMENT")),
)


def is_sale(document: Record) -> bool:
    """Whether a document stands on the receivable side."""
    return str(document["Type"]).startswith(("ACCREC", "RECEIVE", "AR"))


def create(call: Call, values: Record) -> str:
    """Post one payment and return its id."""
    tenant = call.tenant
    if values.get("PaymentID"):
        raise ElementError(ONLY_STATUS)
    target, document = _document(tenant, values)
    amount = exact(values.get("Amount"), "Payment amount must be greater than zero.")
    if values.get("Date") is None:
        raise ElementError("The Date field must be specified.")
    if document["Status"] not in ("AUTHORISED", "PAID") or values.get("Status", "AUTHORISED") != "AUTHORISED":
        raise ElementError(NOT_APPROVED)
    if amount > document["_outstanding"]:
        raise ElementError(EXCEEDS)
    account = _account(tenant, values)
    documents.check_lock(tenant, values["Date"])
    rate, bank_amount = _rate(call, {**values, "Amount": amount}, document, account)
    sale = is_sale(document)
    payment: Record = {
        "PaymentID": new_id(),
        "Date": values["Date"],
        "BankAmount": bank_amount,
        "Amount": amount,
        "Reference": values.get("Reference", ""),
        "CurrencyRate": rate,
        "PaymentType": target.prefix[0 if sale else 1] + "PAYMENT",
        "Status": "AUTHORISED",
        "IsReconciled": bool(values.get("IsReconciled", False)) and call.by_person,
        "_account": account["AccountID"],
        "_document": document[target.id],
        "_entity": target.entity,
    }
    _post(tenant, payment, document, target)
    tenant.put("Payments", payment["PaymentID"], stamped(tenant, payment))
    return str(payment["PaymentID"])


def exact(amount: Decimal | None, message: str) -> Decimal:
    """The amount to two places; refused with the message unless it is positive and has no more places."""
    if amount is None or amount <= 0 or amount != cents(amount):
        raise ElementError(message)
    return cents(amount)


def delete(call: Call, payment_id: str, values: Record) -> str:
    """Delete one payment: the document is due again and the ledger is turned back."""
    tenant = call.tenant
    payment = tenant.get("Payments", payment_id)
    if payment is None:
        raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
    if set(values) - {"Status", "PaymentID"} or values.get("Status") != "DELETED":
        raise ElementError(ONLY_STATUS)
    if payment["Status"] == "DELETED":
        raise ElementError("Payment not of valid status for modification")
    if payment["IsReconciled"]:
        raise ElementError("Payment cannot be deleted as it has been reconciled with a bank transaction.")
    documents.check_lock(tenant, payment["Date"])
    document = tenant.must(payment["_entity"], payment["_document"])
    ledger.reverse(tenant, payment_id)
    settle(tenant, payment["_entity"], document, amount=-payment["Amount"], base=-payment["_base"], paid=True)
    tenant.put("Payments", payment_id, stamped(tenant, {**payment, "Status": "DELETED"}))
    return payment_id


def edited(tenant: Tenant, old: Record, new: Record) -> None:
    """Keep document and ledger true when a person's edit deletes a payment, or makes a deleted one count again."""
    if old["Status"] == new["Status"]:
        return
    document = tenant.must(old["_entity"], old["_document"])
    if new["Status"] == "DELETED":
        ledger.reverse(tenant, old["PaymentID"])
        settle(tenant, old["_entity"], document, amount=-old["Amount"], base=-old["_base"], paid=True)
    else:
        target = next(each for each in TARGETS if each.entity == old["_entity"])
        _post(tenant, new, document, target)


def settle(
    tenant: Tenant,
    entity: str,
    document: Record,
    *,
    amount: Decimal,
    base: Decimal,
    paid: bool,
    stamp: bool = True,
) -> None:
    """Take so much off what is outstanding on a document (a negative amount gives it back); PAID at zero."""
    changed = {
        **document,
        "_outstanding": document["_outstanding"] - amount,
        "_base_outstanding": document["_base_outstanding"] - base,
    }
    name = "AmountPaid" if paid else "AmountCredited"
    changed[name] = changed.get(name, ZERO) + amount
    changed["Status"] = "AUTHORISED" if changed["_outstanding"] else "PAID"
    changed.pop("FullyPaidOnDate", None)
    if changed["Status"] == "PAID":
        changed["FullyPaidOnDate"] = tenant.today()
    identifier = document[f"{entity[:-1]}ID"]
    tenant.put(entity, identifier, stamped(tenant, changed) if stamp else changed)


def _document(tenant: Tenant, values: Record) -> tuple[Target, Record]:
    named = [target for target in TARGETS if values.get(target.name)]
    for target in TARGETS:
        if target.number is not None and values.get(target.number) and target not in named:
            values = {**values, target.name: {target.number: values[target.number]}}
            named.append(target)
    if len(named) != 1:
        raise ElementError("Exactly one of Invoice, CreditNote, Prepayment or Overpayment must be specified.")
    target, reference = named[0], values[named[0].name]
    document = tenant.get(target.entity, reference.get(target.id))
    number = reference.get(target.number) if target.number is not None else None
    if document is None and target.number is not None and number and not reference.get(target.id):
        document = next(tenant.find(target.entity, target.number, number), None)
    if document is None:
        words = "Credit Note" if target.name == "CreditNote" else target.name
        raise ElementError(f"An existing {words} with the specified {target.id} could not be found")
    return target, document


def _account(tenant: Tenant, values: Record) -> Record:
    reference = values.get("Account") or {"Code": values.get("Code")}
    account = tenant.get("Accounts", reference.get("AccountID"))
    if account is None and reference.get("Code") and not reference.get("AccountID"):
        account = next(tenant.find("Accounts", "Code", reference["Code"]), None)
    if account is None:
        raise ElementError("Account could not be found")
    payable = account["Type"] == "BANK" or account.get("EnablePaymentsToAccount")
    if account["Status"] != "ACTIVE" or not payable:
        raise ElementError("Account must be valid.")
    return account


def _rate(call: Call, values: Record, document: Record, account: Record) -> tuple[Decimal, Decimal]:
    """The payment's rate and the amount that reaches the account, in the account's currency."""
    base, currency, amount = call.tenant.base_currency, document["CurrencyCode"], values["Amount"]
    in_account = account.get("CurrencyCode") or base
    if in_account not in (base, currency):
        raise ElementError("The currency of the account must be that of the document or the base currency.")
    if currency == base:
        return Decimal(1), amount
    rate, banked = values.get("CurrencyRate"), values.get("BankAmount")
    if banked is not None and banked > 0 and in_account == base:
        return (amount / banked).quantize(Decimal("0.0000000001")), cents(banked)
    if rate is not None and rate <= 0:
        raise ElementError("Currency rate must be greater than zero.")
    rate = rate or call.rate(currency)
    return rate, amount if in_account == currency else ledger.to_base(amount, rate)


def _post(tenant: Tenant, payment: Record, document: Record, target: Target) -> None:
    amount: Decimal = payment["Amount"]
    settled = ledger.release(document, amount, document["_outstanding"])
    in_base = ledger.to_base(amount, payment["CurrencyRate"])
    account = tenant.must("Accounts", payment["_account"])
    if (account.get("CurrencyCode") or tenant.base_currency) == tenant.base_currency:
        in_base = payment["BankAmount"]
    sale = is_sale(document)
    # Money comes in for a sales invoice and for the refund of a purchase credit; else it goes out.
    sign = 1 if sale == (target.name == "Invoice") else -1
    entries = [ledger.Entry(account=payment["_account"], amount=sign * amount, base=sign * in_base)]
    entries += counter_entries(tenant, document, target, -sign * amount, -sign * settled)
    entries += ledger.gain_entry(tenant, -sign * (in_base - settled))
    payment["_base"] = settled
    ledger.post(
        tenant,
        source_type=payment["PaymentType"],
        source_id=payment["PaymentID"],
        on=payment["Date"],
        currency=document["CurrencyCode"],
        entries=entries,
        reference=payment["Reference"],
    )
    settle(tenant, target.entity, document, amount=amount, base=settled, paid=True)


def counter_entries(
    tenant: Tenant, document: Record, target: Target, amount: Decimal, base: Decimal
) -> list[ledger.Entry]:
    """What a settled part stands on: debtors or creditors; for a prepayment its own lines and tax."""
    if target.name != "Prepayment":
        account = ledger.system_account(tenant, "DEBTORS" if is_sale(document) else "CREDITORS")
        return [ledger.Entry(account=account, amount=amount, base=base)]
    lines = ledger.line_entries(tenant, document, 1)
    total: Decimal = document["Total"]
    shares = []
    for line in lines:
        part = cents(line.amount * amount / total)
        shares.append(
            ledger.Entry(
                account=line.account,
                amount=part,
                base=cents(part * base / amount),
                tax_type=line.tax_type,
                kind=line.kind,
                description=line.description,
                tracking=line.tracking,
            )
        )
    shares[0].amount += amount - sum((share.amount for share in shares), ZERO)
    shares[0].base += base - sum((share.base for share in shares), ZERO)
    return shares
