"""What a fresh stand-in holds: two organisations with accounts, tax rates, tracking, a few contacts.

The chart is that of a UK trading company; the codes of system accounts follow the vendor's default UK
chart.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.clock import Clock
from sandbox.xero import contacts, settings
from sandbox.xero.oauth import App, Identity
from sandbox.xero.store import Call, Options, Record, Store, Tenant, new_id

TENANT = "5f3b9a1e-7c1d-4d0a-9a54-2d6a4f1c0b01"
SECOND_TENANT = "5f3b9a1e-7c1d-4d0a-9a54-2d6a4f1c0b02"
CREATED = datetime(2024, 1, 15, 9, 30, tzinfo=UTC)
REDIRECT_URI = "http://localhost:8765/callback"

_WEB = App(
    client_id="7B1C4D2E9F304A58B6D7E8F9A0B1C2D3",
    secret="sandbox-web-secret-3f9d2b7a",
    name="tieout",
    kind="web",
)
_PKCE = App(client_id="8C2D5E3FA0415B69C7E8F9A0B1C2D3E4", secret=None, name="tieout", kind="pkce")
_CUSTOM = App(
    client_id="9D3E6F40B1526C7AD8F9A0B1C2D3E4F5",
    secret="sandbox-custom-secret-a81c5e0d",
    name="tieout",
    kind="custom",
    tenant_id=TENANT,
)

CREDENTIALS = {
    "client_id": _WEB.client_id,
    "client_secret": _WEB.secret,
    "pkce_client_id": _PKCE.client_id,
    "custom_client_id": _CUSTOM.client_id,
    "custom_client_secret": _CUSTOM.secret,
    "tenant_id": TENANT,
    "second_tenant_id": SECOND_TENANT,
    "redirect_uri": REDIRECT_URI,
}

# Code, name, type, and what else: the vendor's own use of it, or that payments may go to it.
_ACCOUNTS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("090", "Business Bank", "BANK", {"BankAccountNumber": "20000012345678"}),
    # Where deposits lie until the payout: of type BANK, because only such an account may receive a prepayment.
    ("092", "Card deposits", "BANK", {"BankAccountNumber": "00000000000092"}),
    ("093", "Card deposits EUR", "BANK", {"BankAccountNumber": "00000000000093", "CurrencyCode": "EUR"}),
    ("200", "Services", "REVENUE", {"TaxType": "OUTPUT2"}),
    ("201", "Goods", "REVENUE", {"TaxType": "OUTPUT2"}),
    ("202", "Shipping income", "REVENUE", {"TaxType": "OUTPUT2"}),
    ("203", "Adjustments", "REVENUE", {"TaxType": "OUTPUT2"}),
    ("204", "Gift wrapping", "REVENUE", {"TaxType": "OUTPUT2"}),
    ("260", "Other revenue", "REVENUE", {"TaxType": "OUTPUT2"}),
    ("299", "Old sales", "REVENUE", {"TaxType": "OUTPUT2", "Status": "ARCHIVED"}),
    ("310", "Cost of goods", "DIRECTCOSTS", {"TaxType": "INPUT2"}),
    ("404", "Bank fees", "EXPENSE", {}),
    ("405", "Loyalty points", "EXPENSE", {}),
    ("497", "Bank revaluations", "EXPENSE", {"SystemAccount": "BANKCURRENCYGAIN"}),
    ("498", "Unrealised currency gains", "EXPENSE", {"SystemAccount": "UNREALISEDCURRENCYGAIN"}),
    ("499", "Realised currency gains", "EXPENSE", {"SystemAccount": "REALISEDCURRENCYGAIN"}),
    ("610", "Accounts receivable", "CURRENT", {"SystemAccount": "DEBTORS"}),
    ("611", "Card clearing", "CURRENT", {"EnablePaymentsToAccount": True}),
    ("612", "PayPal clearing", "CURRENT", {"EnablePaymentsToAccount": True}),
    ("613", "Gateway other", "CURRENT", {"EnablePaymentsToAccount": True}),
    ("630", "Inventory", "INVENTORY", {}),
    ("800", "Accounts payable", "CURRLIAB", {"SystemAccount": "CREDITORS"}),
    ("820", "VAT", "CURRLIAB", {"SystemAccount": "GST"}),
    ("830", "Gift cards and store credit", "CURRLIAB", {"EnablePaymentsToAccount": True}),
    ("831", "Reward points", "CURRLIAB", {"EnablePaymentsToAccount": True}),
    ("832", "Customer deposits", "CURRLIAB", {}),
    ("835", "Fixed product taxes", "CURRLIAB", {}),
    ("860", "Rounding", "CURRLIAB", {"SystemAccount": "ROUNDING"}),
    ("877", "Tracking transfers", "CURRLIAB", {"SystemAccount": "TRACKINGTRANSFERS"}),
    ("970", "Owner funds", "EQUITY", {}),
)

# TaxType, name, percentage, the return's own type, the classes it may be used with, and whether it is custom.
_SALES = ("Assets", "Equity", "Liabilities", "Revenue")
_PURCHASES = ("Assets", "Equity", "Expenses", "Liabilities")
_ALL = ("Assets", "Equity", "Expenses", "Liabilities", "Revenue")
_TAX_RATES: tuple[tuple[str, str, str, str, tuple[str, ...], bool], ...] = (
    ("OUTPUT2", "20% (VAT on Income)", "20", "OUTPUT", _SALES, False),
    ("RROUTPUT", "5% (VAT on Income)", "5", "OUTPUT", _SALES, False),
    ("ZERORATEDOUTPUT", "Zero Rated Income", "0", "OUTPUT", _SALES, False),
    ("EXEMPTOUTPUT", "Exempt Income", "0", "EXEMPTOUTPUT", _SALES, False),
    ("ECZROUTPUT", "Zero Rated EC Goods Income", "0", "ECOUTPUT", _SALES, False),
    ("INPUT2", "20% (VAT on Expenses)", "20", "INPUT", _PURCHASES, False),
    ("NONE", "No VAT", "0", "NONE", _ALL, False),
    ("TAX001", "OSS Ireland 23%", "23", "MOSSSALES", _ALL, True),
    ("TAX002", "Canada GST and QST", "14.975", "OUTPUT", _ALL, True),
)
_COMPONENTS = {"TAX002": (("GST", "5"), ("QST", "9.975"))}


def fill(store: Store) -> None:
    """Put both organisations into a store."""
    organisations = (
        (TENANT, "Demo Trading (UK)", "!DMtrd", True),
        (SECOND_TENANT, "Other Company", "!OThCo", False),
    )
    for tenant_id, name, code, demo in organisations:
        tenant = store.add(Tenant(tenant_id, _organisation(tenant_id, name, code, demo=demo), store.clock))
        _settings(tenant, store.options)
        _make_old(tenant)
        tenant.commit()


def _make_old(tenant: Tenant) -> None:
    """What was there before the first test is older than any time that a test sets the clock to."""
    for entity, name in (("Accounts", "AccountID"), ("Contacts", "ContactID"), ("Users", "UserID")):
        for record in list(tenant.all(entity)):
            tenant.put(entity, record[name], {**record, "UpdatedDateUTC": CREATED})


def identity(clock: Clock) -> Identity:
    """The registered apps."""
    apps = {app.client_id: app for app in (_WEB, _PKCE, _CUSTOM)}
    return Identity(clock, apps, (TENANT, SECOND_TENANT), REDIRECT_URI)


def _organisation(tenant_id: str, name: str, code: str, *, demo: bool) -> Record:
    return {
        "Name": name,
        "LegalName": name,
        "PaysTax": True,
        "Version": "UK",
        "OrganisationType": "COMPANY",
        "BaseCurrency": "GBP",
        "CountryCode": "GB",
        "IsDemoCompany": demo,
        "OrganisationStatus": "ACTIVE",
        "TaxNumber": "GB 123456789",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 3,
        "SalesTaxBasis": "ACCRUALS",
        "SalesTaxPeriod": "QUARTERLY1",
        "DefaultSalesTax": "Tax Exclusive",
        "DefaultPurchasesTax": "Tax Exclusive",
        "CreatedDateUTC": CREATED,
        "OrganisationEntityType": "COMPANY",
        "Timezone": "GMTSTANDARDTIME",
        "ShortCode": code,
        "OrganisationID": tenant_id,
        "Class": "DEMO" if demo else "PREMIUM",
        "Edition": "BUSINESS",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }


def _settings(tenant: Tenant, options: Options) -> None:
    for code, words in (("GBP", "British Pound"), ("EUR", "Euro")):
        tenant.put("Currencies", code, {"Code": code, "Description": words})
    for type_, name, percent, report, classes, custom in _TAX_RATES:
        components = [
            {"Name": part, "Rate": Decimal(rate), "IsCompound": False, "IsNonRecoverable": False}
            for part, rate in _COMPONENTS.get(type_, (("VAT", percent),))
        ]
        flags = {f"CanApplyTo{class_}": class_ in classes for class_ in _ALL}
        rate: Record = {
            "Name": name,
            "TaxType": type_,
            "ReportTaxType": report,
            **flags,
            "DisplayTaxRate": Decimal(percent),
            "EffectiveRate": Decimal(percent),
            "Status": "ACTIVE",
            "TaxComponents": components,
            "_custom": custom,
        }
        tenant.put("TaxRates", type_, rate)
    for code, name, type_, more in _ACCOUNTS:
        _account(tenant, code, name, type_, more)
    _tracking_and_people(tenant)
    _contacts(tenant, options)


def _account(tenant: Tenant, code: str, name: str, type_: str, more: dict[str, Any]) -> None:
    record: Record = {
        "AccountID": new_id(),
        "Code": code,
        "Name": name,
        "Status": "ACTIVE",
        "Type": type_,
        "TaxType": "NONE",
        "Class": settings.account_class(type_),
        "EnablePaymentsToAccount": False,
        "ShowInExpenseClaims": False,
        "HasAttachments": False,
        "AddToWatchlist": False,
        "UpdatedDateUTC": tenant.now(),
        **more,
    }
    if type_ == "BANK":
        record = {"BankAccountType": "BANK", "CurrencyCode": tenant.base_currency, **record}
    tenant.put("Accounts", record["AccountID"], record)


def _tracking_and_people(tenant: Tenant) -> None:
    options = [
        {"TrackingOptionID": new_id(), "Name": name, "Status": "ACTIVE"}
        for name in ("UK shop", "EU shop", "Trade shop")
    ]
    category = new_id()
    tenant.put(
        "TrackingCategories",
        category,
        {"TrackingCategoryID": category, "Name": "Channel", "Status": "ACTIVE", "Options": options},
    )
    theme = new_id()
    tenant.put(
        "BrandingThemes",
        theme,
        {"BrandingThemeID": theme, "Name": "Standard", "SortOrder": 0, "CreatedDateUTC": CREATED},
    )
    user = new_id()
    tenant.put(
        "Users",
        user,
        {
            "UserID": user,
            "EmailAddress": "demo@example.com",
            "FirstName": "Demo",
            "LastName": "User",
            "UpdatedDateUTC": tenant.now(),
            "IsSubscriber": True,
            "OrganisationRole": "FINANCIALADVISER",
        },
    )


def _contacts(tenant: Tenant, options: Options) -> None:
    call = Call(tenant=tenant, options=options, by_person=True)
    people: tuple[Record, ...] = (
        {"Name": "Existing Customer Ltd", "EmailAddress": "adopted@example.com"},
        {"Name": "Taken Name", "EmailAddress": "someone.else@example.com"},
        {"Name": "Archived Person", "EmailAddress": "archived@example.com", "ContactStatus": "ARCHIVED"},
    )
    for values in people:
        contacts.save(call, values)
