"""The endpoints: one entry each, grouped by what they can do, and the scopes that open them.

Source: OpenAPI file and entity pages; scopes by "Scopes" and "FAQ Granular scopes" (granular ones beside
the broad ones, which end on 13 September 2027).
"""

from __future__ import annotations

from dataclasses import dataclass

INVOICES = ("accounting.invoices", "accounting.transactions")
PAYMENTS = ("accounting.payments", "accounting.transactions")
BANK = ("accounting.banktransactions", "accounting.transactions")
JOURNALS = ("accounting.manualjournals", "accounting.transactions")
CONTACTS = ("accounting.contacts",)
SETTINGS = ("accounting.settings",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint: how its elements are called and what its list understands."""

    plural: str
    singular: str
    scopes: tuple[str, ...]
    id: str
    modified: str | None = "UpdatedDateUTC"  # what If-Modified-Since compares
    pages: str = "no"  # no, asked or always
    where: bool = True
    order: bool = True
    number: str | None = None  # a field that may stand in place of the id in the address
    put: bool = True
    post: bool = True
    post_by_id: bool = True
    summarize: tuple[str, ...] = ()  # the methods that take summarizeErrors
    one_only: bool = False  # of several elements only the first is processed
    most: int | None = None


_BOTH = ("PUT", "POST")

ENDPOINTS = (
    # Modified since, pages, where and order; summarised without pages.
    Endpoint(
        plural="Contacts",
        singular="Contact",
        scopes=CONTACTS,
        id="ContactID",
        pages="asked",
        number="ContactNumber",
        summarize=_BOTH,
    ),
    Endpoint(
        plural="Invoices",
        singular="Invoice",
        scopes=INVOICES,
        id="InvoiceID",
        pages="asked",
        number="InvoiceNumber",
        summarize=_BOTH,
    ),
    Endpoint(
        plural="CreditNotes",
        singular="CreditNote",
        scopes=INVOICES,
        id="CreditNoteID",
        pages="asked",
        number="CreditNoteNumber",
        summarize=_BOTH,
    ),
    Endpoint(
        plural="Payments",
        singular="Payment",
        scopes=PAYMENTS,
        id="PaymentID",
        pages="asked",
        summarize=("PUT",),
    ),
    Endpoint(
        plural="Overpayments",
        singular="Overpayment",
        scopes=PAYMENTS,
        id="OverpaymentID",
        pages="asked",
        put=False,
        post=False,
        post_by_id=False,
    ),
    Endpoint(
        plural="Prepayments",
        singular="Prepayment",
        scopes=PAYMENTS,
        id="PrepaymentID",
        pages="asked",
        put=False,
        post=False,
        post_by_id=False,
    ),
    Endpoint(
        plural="BankTransactions",
        singular="BankTransaction",
        scopes=BANK,
        id="BankTransactionID",
        pages="asked",
        summarize=_BOTH,
    ),
    Endpoint(
        plural="ManualJournals",
        singular="ManualJournal",
        scopes=JOURNALS,
        id="ManualJournalID",
        pages="asked",
        summarize=_BOTH,
    ),
    # Always paged, no where.
    Endpoint(
        plural="PurchaseOrders",
        singular="PurchaseOrder",
        scopes=INVOICES,
        id="PurchaseOrderID",
        pages="always",
        where=False,
        number="PurchaseOrderNumber",
        summarize=_BOTH,
    ),
    # Modified since, where and order, no pages.
    Endpoint(
        plural="Accounts", singular="Account", scopes=SETTINGS, id="AccountID", post=False, one_only=True
    ),
    Endpoint(
        plural="BankTransfers",
        singular="BankTransfer",
        scopes=BANK,
        id="BankTransferID",
        modified="CreatedDateUTC",
        summarize=("POST",),
    ),
    Endpoint(
        plural="Items",
        singular="Item",
        scopes=SETTINGS + INVOICES,
        id="ItemID",
        number="Code",
        summarize=_BOTH,
        most=500,
    ),
    Endpoint(
        plural="Users", singular="User", scopes=SETTINGS, id="UserID", put=False, post=False, post_by_id=False
    ),
    # Neither pages nor modified since: read whole.
    Endpoint(
        plural="TaxRates",
        singular="TaxRate",
        scopes=SETTINGS,
        id="TaxType",
        modified=None,
        post_by_id=False,
        one_only=True,
    ),
    Endpoint(
        plural="TrackingCategories",
        singular="TrackingCategory",
        scopes=SETTINGS,
        id="TrackingCategoryID",
        modified=None,
        post=False,
        one_only=True,
    ),
    Endpoint(
        plural="Currencies",
        singular="Currency",
        scopes=SETTINGS,
        id="Code",
        modified=None,
        post=False,
        post_by_id=False,
        one_only=True,
    ),
    Endpoint(
        plural="BrandingThemes",
        singular="BrandingTheme",
        scopes=SETTINGS,
        id="BrandingThemeID",
        modified=None,
        where=False,
        order=False,
        put=False,
        post=False,
        post_by_id=False,
    ),
    Endpoint(
        plural="Organisations",
        singular="Organisation",
        scopes=SETTINGS,
        id="OrganisationID",
        modified=None,
        where=False,
        order=False,
        put=False,
        post=False,
        post_by_id=False,
    ),
)

_NAMES = {name.lower(): each for each in ENDPOINTS for name in (each.plural, each.singular)}


def named(text: str) -> Endpoint | None:
    """The endpoint of that name, in any case, singular or plural."""
    return _NAMES.get(text.lower())


def by_entity(entity: str) -> Endpoint:
    """The endpoint of an entity."""
    return _NAMES[entity.lower()]
