"""Records as the API shows them: full by id and in pages, summarised in lists without pages.

What a summary leaves out follows the entity pages and "Efficient data retrieval": documents lose their
lines (an empty list) and all of the contact but id and name; contacts lose persons, groups, balances,
defaults and terms. Key order and presence follow the examples of the OpenAPI file.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.xero import contacts
from sandbox.xero.forms import Form, View, account, category, given, item, plain, tax_rate
from sandbox.xero.render import iso
from sandbox.xero.store import Record, Tenant, cents

ZERO = Decimal("0.00")
RATE = Decimal("0.0000000001")


def stamp_text(at: datetime) -> str:
    """The twin of UpdatedDateUTC, to the second (since July 2026)."""
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


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
    shown = given(record, *names, *more, *taxes)
    if not form.summary:
        shown["Addresses"] = record["Addresses"]
    shown["Phones"] = record["Phones"]
    shown["UpdatedDateUTC"] = record["UpdatedDateUTC"]
    if not form.summary:
        shown |= {"ContactGroups": [], "IsSupplier": record["IsSupplier"], "IsCustomer": record["IsCustomer"]}
        shown |= given(record, "DefaultCurrency")
    if form.full and not form.summary:
        defaults = ("SalesDefaultLineAmountType", "PurchasesDefaultLineAmountType", "SalesDefaultAccountCode")
        rest = ("PurchasesDefaultAccountCode", "MergedToContactID", "PaymentTerms", "XeroNetworkKey")
        shown |= given(record, *defaults, *rest)
        shown |= {"SalesTrackingCategories": [], "PurchasesTrackingCategories": []}
        balances = contacts.balances(tenant, record["ContactID"])
        shown |= {"Balances": balances} if balances is not None else {}
        shown["ContactPersons"] = record["ContactPersons"]
        shown["HasAttachments"] = record["HasAttachments"]
    return shown | {"HasValidationErrors": False}


def line(tenant: Tenant, record: Record, places: int) -> Record:
    """One line of a document."""
    shown = given(record, "ItemCode", "Description")
    if record.get("UnitAmount") is not None:
        shown["UnitAmount"] = record["UnitAmount"].quantize(
            Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP
        )
    shown |= given(record, "TaxType", "TaxAmount", "LineAmount", "DiscountRate", "DiscountAmount")
    used = tenant.get("Accounts", record.get("AccountID"))
    if used is not None:
        shown |= {"AccountCode": used["Code"]} if used.get("Code") else {}
        shown["AccountID"] = used["AccountID"]
    item = next(tenant.find("Items", "Code", record["ItemCode"]), None) if record.get("ItemCode") else None
    if item is not None:
        shown["Item"] = given(item, "ItemID", "Name", "Code")
    shown["Tracking"] = record.get("Tracking") or []
    shown |= given(record, "Quantity")
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
    shown |= given(record, "ExpectedPaymentDate", "PlannedPaymentDate", "Status", "LineAmountTypes")
    wanted = form.full and not form.summary
    if not form.summary:
        shown["LineItems"] = (
            [line(tenant, each, form.places) for each in record["LineItems"]] if wanted else []
        )
    shown |= given(record, "SubTotal", "TotalTax", "Total")
    discount = sum((_discount(each) for each in record["LineItems"]), ZERO)
    shown |= {"TotalDiscount": cents(discount)} if discount else {}
    shown["UpdatedDateUTC"] = record["UpdatedDateUTC"]
    shown["UpdatedDateUTCString"] = stamp_text(record["UpdatedDateUTC"])
    return shown | given(record, "CurrencyCode", "FullyPaidOnDate")


def _discount(record: Record) -> Decimal:
    if record.get("DiscountRate") is None and record.get("DiscountAmount") is None:
        return ZERO
    return cents(record["Quantity"] * record["UnitAmount"]) - Decimal(record["LineAmount"])


def _nested_payments(tenant: Tenant, document_id: str) -> list[Record]:
    return [
        {
            **given(each, "PaymentID", "Date", "Amount", "Reference"),
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
                **given(source, "CreditNoteNumber"),
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
    shown = given(record, "Type", "InvoiceID", "InvoiceNumber")
    shown |= given(record, "Reference") if record["Type"] == "ACCREC" else {}
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
    shown |= given(record, "Url", "BrandingThemeID", "SentToContact")
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
            **given(target, "InvoiceID", "InvoiceNumber"),
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
        **given(record, "Reference"),
        "RemainingCredit": record["_outstanding"],
        "Allocations": [
            allocation(tenant, each) for each in tenant.find("Allocations", "_source", identifier)
        ],
        "HasAttachments": False,
    }


def credit_note(tenant: Tenant, record: Record, form: Form) -> Record:
    """One credit note."""
    shown = given(record, "CreditNoteID", "CreditNoteNumber") | _credit(
        tenant, record, record["CreditNoteID"]
    )
    shown |= given(record, "BrandingThemeID", "SentToContact")
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
    shown = given(record, *names, "AttentionTo", "Telephone", "DeliveryInstructions", "BrandingThemeID")
    shown |= {"HasErrors": False, "IsDiscounted": False, "Type": "PURCHASEORDER"}
    shown["CurrencyRate"] = record["CurrencyRate"].quantize(RATE)
    places4 = Form(full=form.full, single=form.single, summary=form.summary, places=4)
    return shown | _document(tenant, record, places4) | {"HasAttachments": False}


def payment(tenant: Tenant, record: Record, form: Form) -> Record:
    """One payment, with the document it settles."""
    used = tenant.must("Accounts", record["_account"])
    shown = given(record, "PaymentID", "Date", "BankAmount", "Amount", "Reference")
    shown["CurrencyRate"] = record["CurrencyRate"].quantize(RATE)
    shown |= given(record, "PaymentType", "Status", "UpdatedDateUTC")
    shown["UpdatedDateUTCString"] = stamp_text(record["UpdatedDateUTC"])
    shown |= {"HasAccount": True, "IsReconciled": record["IsReconciled"]}
    shown["Account"] = given(used, "AccountID", "Code", "Name")
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
        "BankAccount": given(bank, "AccountID", "Code", "Name"),
        **given(record, "Type", "Reference", "Url", "IsReconciled", "PrepaymentID", "OverpaymentID"),
        "CurrencyRate": record["CurrencyRate"].quantize(RATE),
        "HasAttachments": False,
    }
    return shown | _document(tenant, record, form)


def transfer(tenant: Tenant, record: Record, _form: Form) -> Record:
    """One bank transfer; it has CreatedDateUTC and no UpdatedDateUTC."""
    sides = {
        f"{side}BankAccount": given(
            tenant.must("Accounts", record[f"_{side.lower()}"]), "AccountID", "Code", "Name"
        )
        for side in ("From", "To")
    }
    names = ("BankTransferID", "CreatedDateUTC")
    more = ("FromBankTransactionID", "ToBankTransactionID", "FromIsReconciled", "ToIsReconciled", "Reference")
    shown = given(record, *names) | _dated(record, "Date") | sides | given(record, "Amount", *more, "Status")
    return shown | {"CurrencyRate": record["CurrencyRate"].quantize(RATE), "HasAttachments": False}


def manual_journal(tenant: Tenant, record: Record, form: Form) -> Record:
    """One manual journal."""
    shown = given(
        record, "Date", "Status", "LineAmountTypes", "UpdatedDateUTC", "ManualJournalID", "Narration"
    )
    shown["JournalLines"] = [
        {
            **given(each, "Description", "TaxType", "TaxAmount", "LineAmount"),
            "AccountCode": tenant.must("Accounts", each["AccountID"]).get("Code"),
            "Tracking": each["Tracking"],
            "AccountID": each["AccountID"],
            "IsBlank": False,
        }
        for each in (record["JournalLines"] if form.full else [])
    ]
    return shown | given(record, "Url", "ShowOnCashBasisReports") | {"HasAttachments": False}


def journal(tenant: Tenant, record: Record, form: Form) -> Record:
    """One journal of the ledger, in base currency; by id it has no source."""
    shown = given(record, "JournalID", "JournalDate", "JournalNumber", "CreatedDateUTC", "Reference")
    if not form.single:
        shown |= given(record, "SourceID", "SourceType")
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
