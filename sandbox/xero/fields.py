"""The field catalogue: what each element may carry, how it is written, how long it may be.

One line a field: name, then its kind. Kinds are text (with the longest length), number, flag, date, id,
`A|B` for a choice, `{Schema}` for an element and `[Schema]` for a list of them. A name that begins
        with `~` is
read-only and ignored in a body; one that begins with `!` is refused there with ErrorNumber 14.
Source: XeroAPI/Xero-OpenAPI `xero_accounting.yaml` 16.1.0 (fields, lengths) and the entity pages of
        the Xero
developer documentation; error fields and stamps sent back are refused as seen in pyxero issues 105 and 214.
"""

from __future__ import annotations

from dataclasses import dataclass

_ERRORS = """!HasErrors:flag !HasValidationErrors:flag !ValidationErrors:list !Warnings:list
    !StatusAttributeString:text"""
_STAMPS = "!UpdatedDateUTC:date !UpdatedDateUTCString:text ~HasAttachments:flag"
_SUMS = "SubTotal:number TotalTax:number Total:number ~TotalDiscount:number"

_CREDIT = f"""Type:text Contact:{{Contact}} Date:date Status:text Reference:text CurrencyCode:text
    CurrencyRate:number RemainingCredit:number {_SUMS}"""

_CATALOGUE = {
    "Account": f"""AccountID:id Code:text10 Name:text150 Type:{
        "BANK|CURRENT|CURRLIAB|DEPRECIATN|DIRECTCOSTS|EQUITY|EXPENSE|FIXED|INVENTORY|LIABILITY|NONCURRENT|"
        "OTHERINCOME|OVERHEADS|PREPAYMENT|REVENUE|SALES|TERMLIAB|PAYG"
    } BankAccountNumber:text Status:ACTIVE|ARCHIVED|DELETED Description:text4000
        BankAccountType:BANK|CREDITCARD|PAYPAL|NONE CurrencyCode:text3 TaxType:text
        EnablePaymentsToAccount:flag
        ShowInExpenseClaims:flag ~Class:text ~SystemAccount:text ReportingCode:text ~ReportingCodeName:text
        AddToWatchlist:flag {_STAMPS} {_ERRORS}""",
    "TaxRate": f"""Name:text50 TaxType:text TaxComponents:[TaxComponent]
        Status:ACTIVE|DELETED|ARCHIVED|PENDING
        ReportTaxType:text ~CanApplyToAssets:flag ~CanApplyToEquity:flag ~CanApplyToExpenses:flag
        ~CanApplyToLiabilities:flag ~CanApplyToRevenue:flag ~DisplayTaxRate:number
        ~EffectiveRate:number {_ERRORS}""",
    "TaxComponent": "Name:text50 Rate:number IsCompound:flag IsNonRecoverable:flag",
    "TrackingCategory": f"""TrackingCategoryID:id Name:text100 Option:text100 TrackingOptionID:id
        Status:ACTIVE|ARCHIVED|DELETED ~Options:list {_ERRORS}""",
    "TrackingOption": f"""TrackingOptionID:id Name:text100 Status:ACTIVE|ARCHIVED|DELETED
        TrackingCategoryID:id
        {_ERRORS}""",
    "Currency": "Code:text3 Description:text",
    "Address": """AddressType:POBOX|STREET|DELIVERY AddressLine1:text500 AddressLine2:text500
        AddressLine3:text500
        AddressLine4:text500 City:text255 Region:text255 PostalCode:text50 Country:text50
        AttentionTo:text255""",
    "Phone": """PhoneType:DEFAULT|DDI|MOBILE|FAX|OFFICE PhoneNumber:text50 PhoneAreaCode:text10
        PhoneCountryCode:text20""",
    "ContactPerson": "FirstName:text255 LastName:text255 EmailAddress:text255 IncludeInEmails:flag",
    "Term": "Day:number Type:DAYSAFTERBILLDATE|DAYSAFTERBILLMONTH|OFCURRENTMONTH|OFFOLLOWINGMONTH",
    "PaymentTerms": "Bills:{Term} Sales:{Term}",
    "BrandingTheme": "BrandingThemeID:id Name:text",
    "Contact": f"""ContactID:id ContactNumber:text50 AccountNumber:text50
        ContactStatus:ACTIVE|ARCHIVED|GDPRREQUEST
        Name:text255 FirstName:text255 LastName:text255 CompanyNumber:text50 EmailAddress:text255
        ContactPersons:[ContactPerson] BankAccountDetails:text TaxNumber:text50
        TaxNumberType:SSN|EIN|ITIN|ATIN
        AccountsReceivableTaxType:text AccountsPayableTaxType:text Addresses:[Address] Phones:[Phone]
        ~IsSupplier:flag ~IsCustomer:flag SalesDefaultLineAmountType:INCLUSIVE|EXCLUSIVE|NONE
        PurchasesDefaultLineAmountType:INCLUSIVE|EXCLUSIVE|NONE DefaultCurrency:text3 XeroNetworkKey:text
        SalesDefaultAccountCode:text PurchasesDefaultAccountCode:text PaymentTerms:{{PaymentTerms}}
        ~ContactGroups:list ~Website:text ~BrandingTheme:object ~BatchPayments:object ~Discount:number
        ~Balances:object ~SalesTrackingCategories:list ~PurchasesTrackingCategories:list ~Attachments:list
        ~MergedToContactID:id {_STAMPS} {_ERRORS}""",
    "Price": "UnitPrice:number AccountCode:text COGSAccountCode:text TaxType:text",
    "Item": f"""ItemID:id Code:text30 Name:text50 IsSold:flag IsPurchased:flag Description:text4000
        PurchaseDescription:text4000 PurchaseDetails:{{Price}} SalesDetails:{{Price}}
        InventoryAssetAccountCode:text
        ~IsTrackedAsInventory:flag ~TotalCostPool:number ~QuantityOnHand:number {_STAMPS} {_ERRORS}""",
    "LineTracking": """TrackingCategoryID:id TrackingOptionID:id Name:text100 Option:text""",
    "LineItem": f"""LineItemID:id Description:text4000 Quantity:number UnitAmount:number ItemCode:text30
        AccountCode:text AccountID:id TaxType:text TaxAmount:number LineAmount:number
        Tracking:[LineTracking]
        DiscountRate:number DiscountAmount:number ~Item:object ~RepeatingInvoiceID:id ~Taxability:text
        ~SalesTaxCodeId:number ~TaxBreakdown:list {_ERRORS}""",
    "Invoice": f"""Type:ACCREC|ACCPAY Contact:{{Contact}} LineItems:[LineItem] Date:date DueDate:date
        LineAmountTypes:Exclusive|Inclusive|NoTax InvoiceID:id InvoiceNumber:text255 Reference:text255
        BrandingThemeID:id Url:text CurrencyCode:text3 CurrencyRate:number
        Status:DRAFT|SUBMITTED|DELETED|AUTHORISED|PAID|VOIDED SentToContact:flag ExpectedPaymentDate:date
        PlannedPaymentDate:date {_SUMS} ~CISDeduction:number ~CISRate:number ~RepeatingInvoiceID:id
        ~IsDiscounted:flag ~Payments:list ~Prepayments:list ~Overpayments:list ~CreditNotes:list
        ~AmountDue:number
        ~AmountPaid:number !FullyPaidOnDate:date ~AmountCredited:number ~Attachments:list
        ~InvoiceAddresses:list
        {_STAMPS} {_ERRORS}""",
    "CreditNote": f"""Type:ACCRECCREDIT|ACCPAYCREDIT Contact:{{Contact}} LineItems:[LineItem] Date:date
        DueDate:date
        LineAmountTypes:Exclusive|Inclusive|NoTax CreditNoteID:id CreditNoteNumber:text255 Reference:text255
        BrandingThemeID:id CurrencyCode:text3 CurrencyRate:number
        Status:DRAFT|SUBMITTED|DELETED|AUTHORISED|PAID|VOIDED {_SUMS} ~SentToContact:flag
        ~RemainingCredit:number
        ~Allocations:list ~AppliedAmount:number ~Payments:list !FullyPaidOnDate:date ~CISDeduction:number
        ~CISRate:number ~InvoiceAddresses:list ~ID:id {_STAMPS} {_ERRORS}""",
    "PurchaseOrder": f"""Contact:{{Contact}} LineItems:[LineItem] Date:date DeliveryDate:date
        LineAmountTypes:Exclusive|Inclusive|NoTax PurchaseOrderID:id PurchaseOrderNumber:text255
        Reference:text255
        BrandingThemeID:id CurrencyCode:text3 CurrencyRate:number
        Status:DRAFT|SUBMITTED|AUTHORISED|BILLED|DELETED
        SentToContact:flag DeliveryAddress:text AttentionTo:text255 Telephone:text50
        DeliveryInstructions:text500
        ExpectedArrivalDate:date {_SUMS} ~Attachments:list ~Type:text ~IsDiscounted:flag {_STAMPS}
        {_ERRORS}""",
    "InvoiceRef": "InvoiceID:id InvoiceNumber:text255 ~Type:text ~LineItems:list",
    "CreditNoteRef": "CreditNoteID:id CreditNoteNumber:text255 ~ID:id ~LineItems:list",
    "PrepaymentRef": "PrepaymentID:id ~ID:id ~LineItems:list ~HasAttachments:flag",
    "OverpaymentRef": "OverpaymentID:id ~ID:id ~LineItems:list ~HasAttachments:flag",
    "AccountRef": "AccountID:id Code:text ~Name:text",
    "Payment": f"""PaymentID:id Invoice:{{InvoiceRef}} CreditNote:{{CreditNoteRef}}
        Prepayment:{{PrepaymentRef}}
        Overpayment:{{OverpaymentRef}} InvoiceNumber:text255 CreditNoteNumber:text255 Account:{{AccountRef}}
        Code:text Date:date CurrencyRate:number Amount:number BankAmount:number Reference:text255
        IsReconciled:flag Status:AUTHORISED|DELETED ~PaymentType:text ~BatchPaymentID:id
        ~BatchPayment:object
        BankAccountNumber:text Particulars:text12 Details:text18 !HasAccount:flag {_STAMPS} {_ERRORS}""",
    "Allocation": f"""AllocationID:id Invoice:{{InvoiceRef}} Amount:number AppliedAmount:number Date:date
        ~CreditNote:object ~Prepayment:object ~Overpayment:object ~IsDeleted:flag {_ERRORS}""",
    "BankTransaction": f"""BankTransactionID:id Type:{
        "RECEIVE|RECEIVE-OVERPAYMENT|RECEIVE-PREPAYMENT|SPEND|SPEND-OVERPAYMENT|SPEND-PREPAYMENT|"
        "RECEIVE-TRANSFER|SPEND-TRANSFER"
    } Contact:{{Contact}} LineItems:[LineItem] BankAccount:{{AccountRef}} IsReconciled:flag Date:date
        Reference:text255 CurrencyCode:text3 CurrencyRate:number Url:text Status:AUTHORISED|DELETED|VOIDED
        LineAmountTypes:Exclusive|Inclusive|NoTax {_SUMS} ~PrepaymentID:id ~OverpaymentID:id {_STAMPS} {
        _ERRORS
    }""",
    "Overpayment": f"OverpaymentID:id {_CREDIT} {_STAMPS}",
    "Prepayment": f"PrepaymentID:id {_CREDIT} {_STAMPS}",
    "BankTransfer": f"""BankTransferID:id FromBankAccount:{{AccountRef}} ToBankAccount:{{AccountRef}}
        Amount:number
        Date:date FromIsReconciled:flag ToIsReconciled:flag Reference:text255 Status:AUTHORISED|DELETED
        ~CurrencyRate:number ~FromBankTransactionID:id ~ToBankTransactionID:id ~CreatedDateUTC:date
        ~HasAttachments:flag ~FromTracking:list ~ToTracking:list {_ERRORS}""",
    "JournalLine": f"""LineAmount:number AccountCode:text AccountID:id Description:text4000 TaxType:text
        Tracking:[LineTracking] TaxAmount:number ~IsBlank:flag {_ERRORS}""",
    "ManualJournal": f"""ManualJournalID:id Narration:text JournalLines:[JournalLine] Date:date
        LineAmountTypes:Exclusive|Inclusive|NoTax Status:DRAFT|POSTED|DELETED|VOIDED|ARCHIVED Url:text
        ShowOnCashBasisReports:flag ~Attachments:list {_STAMPS} {_ERRORS}""",
    "HistoryRecord": "Details:text2500 ~Changes:text ~User:text ~DateUTC:date",
    "Organisation": "OrganisationID:id Name:text BaseCurrency:text3",
    "User": """UserID:id EmailAddress:text FirstName:text LastName:text IsSubscriber:flag
        OrganisationRole:text ~UpdatedDateUTC:date""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: its kind (text, number, flag, date, id, choice, object, list) and what limits it."""

    name: str
    kind: str
    access: str = "write"  # write, ignored or refused
    longest: int | None = None
    choices: tuple[str, ...] = ()
    of: str | None = None  # the schema of an object or of a list's elements


def _field(text: str) -> Field:
    name, _, kind = text.partition(":")
    access = {"~": "ignored", "!": "refused"}.get(name[0], "write")
    name = name.lstrip("~!")
    if kind[0] == "{":
        return Field(name=name, kind="object", access=access, of=kind[1:-1])
    if kind[0] == "[":
        return Field(name=name, kind="list", access=access, of=kind[1:-1])
    if kind.startswith("text"):
        return Field(name=name, kind="text", access=access, longest=int(kind[4:]) if kind[4:] else None)
    if "|" in kind:
        return Field(name=name, kind="choice", access=access, choices=tuple(kind.split("|")))
    return Field(name=name, kind=kind, access=access)


SCHEMAS: dict[str, dict[str, Field]] = {
    schema: {field.name: field for field in map(_field, text.split())} for schema, text in _CATALOGUE.items()
}

for _reference in ("Invoice", "CreditNote", "Account"):
    # A document named inside another element may come with its other fields; only its id or number counts.
    for _name, _of in SCHEMAS[_reference].items():
        SCHEMAS[f"{_reference}Ref"].setdefault(
            _name,
            Field(name=_name, kind=_of.kind, access="refused" if _of.access == "refused" else "ignored"),
        )
