"""Records as the API shows them: full by id and in pages, summarised in lists without pages.

What a summary leaves out follows the entity pages and "Efficient data retrieval": documents lose their
lines (an empty list) and all of the contact but id and name; contacts lose persons, groups, balances,
defaults and terms. Key order and presence follow the examples of the OpenAPI file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.xero import contacts
from sandbox.xero.render import iso
from sandbox.xero.store import Record, Tenant, cents

ZERO = Decimal("0.00")
RATE = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How much of a record is wanted."""

    full: bool = True  # lines and the rest; false in lists without pages
    single: bool = True  # asked for by id: with the whole contact
    summary: bool = False  # summaryOnly=true
    places: int = 2


View = Callable[[Tenant, Record, Form], Record]


def _given(record: Record, *names: str) -> Record:
    return {name: record[name] for name in names if record.get(name) is not None}


def stamp_text(at: datetime) -> str:
    """The twin of UpdatedDateUTC, to the second (since July 2026)."""
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def account(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """One account."""
    shown = _given(record, "AccountID", "Code", "Name", "Status", "Type", "TaxType", "Class", "SystemAccount")
    more = (
        "Description",
        "EnablePaymentsToAccount",
        "ShowInExpenseClaims",
        "BankAccountNumber",
        "BankAccountType",
    )
    last = ("CurrencyCode", "ReportingCode", "HasAttachments", "AddToWatchlist", "UpdatedDateUTC")
    return shown | _given(record, *more, *last)


def contact_reference(tenant: Tenant, contact_id: str | None) -> Record:
    """The contact inside a document of a list."""
    record = tenant.get("Contacts", contact_id)
    if record is None:
        return {}
    lists: Record = {"Addresses": [], "Phones": [], "ContactGroups": [], "ContactPersons": []}
    return {"ContactID": record["ContactID"], "Name": record["Name"], **lists, "HasValidationErrors": False}


def contact(tenant: Tenant, record: Record, form: Form) -> Record:
    """One contact."""
    names = ("ContactID", "ContactNumber", "AccountNumber", "ContactStatus", "Name", "FirstName", "LastName")
    more = ("CompanyNumber", "EmailAddress", "BankAccountDetails", "TaxNumber", "TaxNumberType")
    taxes = ("AccountsReceivableTaxType", "AccountsPayableTaxType")
    shown = _given(record, *names, *more, *taxes)
    if not form.summary:
        shown["Addresses"] = record["Addresses"]
    shown["Phones"] = record["Phones"]
    shown["UpdatedDateUTC"] = record["UpdatedDateUTC"]
    if not form.summary:
        shown |= {"ContactGroups": [], "IsSupplier": record["IsSupplier"], "IsCustomer": record["IsCustomer"]}
        shown |= _given(record, "DefaultCurrency")
    if form.full and not form.summary:
        defaults = ("SalesDefaultLineAmountType", "PurchasesDefaultLineAmountType", "SalesDefaultAccountCode")
        rest = ("PurchasesDefaultAccountCode", "MergedToContactID", "PaymentTerms", "XeroNetworkKey")
        shown |= _given(record, *defaults, *rest)
        shown |= {"SalesTrackingCategories": [], "PurchasesTrackingCategories": []}
        balances = contacts.balances(tenant, record["ContactID"])
        shown |= {"Balances": balances} if balances is not None else {}
        shown["ContactPersons"] = record["ContactPersons"]
        shown["HasAttachments"] = record["HasAttachments"]
    return shown | {"HasValidationErrors": False}


def line(tenant: Tenant, record: Record, places: int) -> Record:
    """One line of a document."""
    shown = _given(record, "ItemCode", "Description")
    if record.get("UnitAmount") is not None:
        shown["UnitAmount"] = record["UnitAmount"].quantize(
            Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP
        )
    shown |= _given(record, "TaxType", "TaxAmount", "LineAmount", "DiscountRate", "DiscountAmount")
    used = tenant.get("Accounts", record.get("AccountID"))
    if used is not None:
        shown |= {"AccountCode": used["Code"]} if used.get("Code") else {}
        shown["AccountID"] = used["AccountID"]
    item = next(tenant.find("Items", "Code", record["ItemCode"]), None) if record.get("ItemCode") else None
    if item is not None:
        shown["Item"] = _given(item, "ItemID", "Name", "Code")
    shown["Tracking"] = record.get("Tracking") or []
    shown |= _given(record, "Quantity")
    return shown | {"LineItemID": record["LineItemID"], "ValidationErrors": []}


def _dated(record: Record, *names: str) -> Record:
    shown: Record = {}
    for name in names:
        if record.get(name) is not None:
            shown |= {f"{name}String": iso(record[name]), name: record[name]}
    return shown


def _document(tenant: Tenant, record: Record, form: Form) -> Record:
    """What invoices, credit notes, orders and bank transactions have in common, in the vendor's order."""
    whole = tenant.get("Contacts", record.get("_contact"))
    shown: Record = {}
    if whole is not None:
        shown["Contact"] = (
            contact(tenant, whole, Form()) if form.single else contact_reference(tenant, record["_contact"])
        )
    shown |= _dated(record, "Date", "DueDate", "DeliveryDate", "ExpectedArrivalDate")
    shown |= _given(record, "ExpectedPaymentDate", "PlannedPaymentDate", "Status", "LineAmountTypes")
    wanted = form.full and not form.summary
    if not form.summary:
        shown["LineItems"] = (
            [line(tenant, each, form.places) for each in record["LineItems"]] if wanted else []
        )
    shown |= _given(record, "SubTotal", "TotalTax", "Total")
    discount = sum((_discount(each) for each in record["LineItems"]), ZERO)
    shown |= {"TotalDiscount": cents(discount)} if discount else {}
    shown["UpdatedDateUTC"] = record["UpdatedDateUTC"]
    shown["UpdatedDateUTCString"] = stamp_text(record["UpdatedDateUTC"])
    return shown | _given(record, "CurrencyCode", "FullyPaidOnDate")


def _discount(record: Record) -> Decimal:
    if record.get("DiscountRate") is None and record.get("DiscountAmount") is None:
        return ZERO
    return cents(record["Quantity"] * record["UnitAmount"]) - Decimal(record["LineAmount"])


def _nested_payments(tenant: Tenant, document_id: str) -> list[Record]:
    return [
        {
            **_given(each, "PaymentID", "Date", "Amount", "Reference"),
            "CurrencyRate": each["CurrencyRate"].quantize(RATE),
            "HasAccount": False,
            "HasValidationErrors": False,
        }
        for each in tenant.find("Payments", "_document", document_id)
        if each["Status"] == "AUTHORISED"
    ]


def _applied(tenant: Tenant, invoice_id: str, entity: str) -> list[Record]:
    """The credits on an invoice: their AppliedAmount, never their allocations (xero-python issue 183)."""
    shown = []
    name = f"{entity[:-1]}ID"
    for allocation in tenant.find("Allocations", "_invoice", invoice_id):
        if allocation["_entity"] != entity:
            continue
        source = tenant.must(entity, allocation["_source"])
        shown.append(
            {
                name: source[name],
                **_given(source, "CreditNoteNumber"),
                "ID": source[name],
                "AppliedAmount": allocation["Amount"],
                **_dated(allocation, "Date"),
                "LineItems": [],
                "Total": source["Total"],
                "HasErrors": False,
            }
        )
    return shown


def invoice(tenant: Tenant, record: Record, form: Form) -> Record:
    """One invoice or bill."""
    identifier = record["InvoiceID"]
    shown = _given(record, "Type", "InvoiceID", "InvoiceNumber")
    shown |= _given(record, "Reference") if record["Type"] == "ACCREC" else {}
    if not form.summary:
        shown |= {
            "Payments": _nested_payments(tenant, identifier),
            "CreditNotes": _applied(tenant, identifier, "CreditNotes"),
            "Prepayments": _applied(tenant, identifier, "Prepayments"),
            "Overpayments": _applied(tenant, identifier, "Overpayments"),
        }
    # A deleted invoice's AmountDue is its Total by id and 0 in lists (Xero-Java issue 130).
    due = record["Total"] if form.single and record["Status"] == "DELETED" else record["_outstanding"]
    shown |= {
        "AmountDue": due,
        "AmountPaid": record["AmountPaid"],
        "AmountCredited": record["AmountCredited"],
    }
    shown |= _given(record, "Url", "BrandingThemeID", "SentToContact")
    shown["CurrencyRate"] = record["CurrencyRate"].quantize(RATE)
    shown["IsDiscounted"] = any(_discount(each) for each in record["LineItems"])
    shown |= {} if form.summary else {"HasAttachments": False}
    return shown | {"HasErrors": False} | _document(tenant, record, form)


def allocation(tenant: Tenant, record: Record, *, source: bool = False) -> Record:
    """One allocation as it stands on its source, or with the source in the answer to its creation."""
    target = tenant.must("Invoices", record["_invoice"])
    empty: Record = {"Payments": [], "CreditNotes": [], "Prepayments": [], "Overpayments": []}
    shown: Record = {
        "AllocationID": record["AllocationID"],
        "Amount": record["Amount"],
        "Date": record["Date"],
        "Invoice": {
            **_given(target, "InvoiceID", "InvoiceNumber"),
            **empty,
            "HasErrors": False,
            "IsDiscounted": False,
            "LineItems": [],
        },
    }
    if source:
        name = record["_entity"][:-1]
        shown[name] = {f"{name}ID": record["_source"], "ID": record["_source"], "LineItems": []}
    return shown | {"IsDeleted": False}


def _credit(tenant: Tenant, record: Record, identifier: str) -> Record:
    return {
        "ID": identifier,
        "Payments": _nested_payments(tenant, identifier),
        "CurrencyRate": record["CurrencyRate"].quantize(RATE),
        "Type": record["Type"],
        **_given(record, "Reference"),
        "RemainingCredit": record["_outstanding"],
        "Allocations": [
            allocation(tenant, each) for each in tenant.find("Allocations", "_source", identifier)
        ],
        "HasAttachments": False,
    }


def credit_note(tenant: Tenant, record: Record, form: Form) -> Record:
    """One credit note."""
    shown = _given(record, "CreditNoteID", "CreditNoteNumber") | _credit(
        tenant, record, record["CreditNoteID"]
    )
    shown |= _given(record, "BrandingThemeID", "SentToContact")
    return shown | {"HasErrors": False} | _document(tenant, record, form)


def overpayment(tenant: Tenant, record: Record, form: Form) -> Record:
    """One overpayment."""
    identifier = record["OverpaymentID"]
    return (
        {"OverpaymentID": identifier} | _credit(tenant, record, identifier) | _document(tenant, record, form)
    )


def prepayment(tenant: Tenant, record: Record, form: Form) -> Record:
    """One prepayment."""
    identifier = record["PrepaymentID"]
    return (
        {"PrepaymentID": identifier} | _credit(tenant, record, identifier) | _document(tenant, record, form)
    )


def order(tenant: Tenant, record: Record, form: Form) -> Record:
    """One purchase order."""
    names = ("PurchaseOrderID", "PurchaseOrderNumber", "Reference", "SentToContact", "DeliveryAddress")
    shown = _given(record, *names, "AttentionTo", "Telephone", "DeliveryInstructions", "BrandingThemeID")
    shown |= {"HasErrors": False, "IsDiscounted": False, "Type": "PURCHASEORDER"}
    shown["CurrencyRate"] = record["CurrencyRate"].quantize(RATE)
    places4 = Form(full=form.full, single=form.single, summary=form.summary, places=4)
    return shown | _document(tenant, record, places4) | {"HasAttachments": False}


def payment(tenant: Tenant, record: Record, form: Form) -> Record:
    """One payment, with the document it settles."""
    used = tenant.must("Accounts", record["_account"])
    shown = _given(record, "PaymentID", "Date", "BankAmount", "Amount", "Reference")
    shown["CurrencyRate"] = record["CurrencyRate"].quantize(RATE)
    shown |= _given(record, "PaymentType", "Status", "UpdatedDateUTC")
    shown["UpdatedDateUTCString"] = stamp_text(record["UpdatedDateUTC"])
    shown |= {"HasAccount": True, "IsReconciled": record["IsReconciled"]}
    shown["Account"] = _given(used, "AccountID", "Code", "Name")
    document = tenant.must(record["_entity"], record["_document"])
    inner = Form(full=form.single, single=False, places=form.places)
    name = record["_entity"][:-1]
    shown[name] = VIEWS[record["_entity"]](tenant, document, inner)
    return shown | {"HasValidationErrors": False}


def bank_transaction(tenant: Tenant, record: Record, form: Form) -> Record:
    """One bank transaction."""
    bank = tenant.must("Accounts", record["_bank"])
    shown: Record = {
        "BankTransactionID": record["BankTransactionID"],
        "BankAccount": _given(bank, "AccountID", "Code", "Name"),
        **_given(record, "Type", "Reference", "Url", "IsReconciled", "PrepaymentID", "OverpaymentID"),
        "CurrencyRate": record["CurrencyRate"].quantize(RATE),
        "HasAttachments": False,
    }
    return shown | _document(tenant, record, form)


def transfer(tenant: Tenant, record: Record, _form: Form) -> Record:
    """One bank transfer; it has CreatedDateUTC and no UpdatedDateUTC."""
    sides = {
        f"{side}BankAccount": _given(
            tenant.must("Accounts", record[f"_{side.lower()}"]), "AccountID", "Code", "Name"
        )
        for side in ("From", "To")
    }
    names = ("BankTransferID", "CreatedDateUTC")
    more = ("FromBankTransactionID", "ToBankTransactionID", "FromIsReconciled", "ToIsReconciled", "Reference")
    shown = (
        _given(record, *names) | _dated(record, "Date") | sides | _given(record, "Amount", *more, "Status")
    )
    return shown | {"CurrencyRate": record["CurrencyRate"].quantize(RATE), "HasAttachments": False}


def manual_journal(tenant: Tenant, record: Record, form: Form) -> Record:
    """One manual journal."""
    shown = _given(
        record, "Date", "Status", "LineAmountTypes", "UpdatedDateUTC", "ManualJournalID", "Narration"
    )
    shown["JournalLines"] = [
        {
            **_given(each, "Description", "TaxType", "TaxAmount", "LineAmount"),
            "AccountCode": tenant.must("Accounts", each["AccountID"]).get("Code"),
            "Tracking": each["Tracking"],
            "AccountID": each["AccountID"],
            "IsBlank": False,
        }
        for each in (record["JournalLines"] if form.full else [])
    ]
    return shown | _given(record, "Url", "ShowOnCashBasisReports") | {"HasAttachments": False}


def item(_tenant: Tenant, record: Record, form: Form) -> Record:
    """One item, its prices to 2 or 4 places."""
    names = ("ItemID", "Code", "Description", "PurchaseDescription", "UpdatedDateUTC")
    shown = _given(record, *names)
    for name in ("PurchaseDetails", "SalesDetails"):
        price = dict(record[name])
        if price.get("UnitPrice") is not None:
            price["UnitPrice"] = price["UnitPrice"].quantize(Decimal(1).scaleb(-form.places), ROUND_HALF_UP)
        shown[name] = price
    return shown | _given(record, "Name", "IsTrackedAsInventory", "IsSold", "IsPurchased")


def tax_rate(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """One tax rate."""
    flags = tuple(name for name in record if name.startswith("CanApplyTo"))
    shown = _given(
        record, "Name", "TaxType", "ReportTaxType", *flags, "DisplayTaxRate", "EffectiveRate", "Status"
    )
    return shown | {"TaxComponents": record["TaxComponents"]}


def category(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """One tracking category with its options."""
    return _given(record, "Name", "Status", "TrackingCategoryID") | {
        "Options": [
            option
            | {"HasValidationErrors": False, "IsDeleted": False, "IsArchived": option["Status"] != "ACTIVE"}
            for option in record["Options"]
        ]
    }


def plain(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """A record as it is, without the stand-in's own fields."""
    return {name: value for name, value in record.items() if not name.startswith("_") and value is not None}


def journal(tenant: Tenant, record: Record, form: Form) -> Record:
    """One journal of the ledger, in base currency; by id it has no source."""
    shown = _given(record, "JournalID", "JournalDate", "JournalNumber", "CreatedDateUTC", "Reference")
    if not form.single:
        shown |= _given(record, "SourceID", "SourceType")
    shown["JournalLines"] = [_journal_line(tenant, entry) for entry in record["_entries"]]
    return shown


def _journal_line(tenant: Tenant, entry: Any) -> Record:
    used = tenant.must("Accounts", entry.account)
    return {
        "AccountID": entry.account,
        "AccountCode": used.get("Code"),
        "AccountType": used["Type"],
        "AccountName": used["Name"],
        "Description": entry.description,
        "NetAmount": entry.base,
        "GrossAmount": entry.base,
        "TaxAmount": ZERO,
        **({"TaxType": entry.tax_type} if entry.tax_type else {}),
        "TrackingCategories": entry.tracking,
    }


VIEWS: dict[str, View] = {
    "Accounts": account,
    "BankTransactions": bank_transaction,
    "BankTransfers": transfer,
    "BrandingThemes": plain,
    "Contacts": contact,
    "CreditNotes": credit_note,
    "Currencies": plain,
    "Invoices": invoice,
    "Items": item,
    "Journals": journal,
    "ManualJournals": manual_journal,
    "Organisations": plain,
    "Overpayments": overpayment,
    "Payments": payment,
    "Prepayments": prepayment,
    "PurchaseOrders": order,
    "TaxRates": tax_rate,
    "TrackingCategories": category,
    "Users": plain,
}
