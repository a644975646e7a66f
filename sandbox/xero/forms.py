"""How much of a record an answer shows, and the short views: accounts, items, tax rates, tracking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from sandbox.xero.store import Record, Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How much of a record is wanted."""

    full: bool = True  # lines and the rest; false in lists without pages
    single: bool = True  # asked for by id: with the whole contact
    summary: bool = False  # summaryOnly=true
    places: int = 2


View = Callable[[Tenant, Record, Form], Record]


def given(record: Record, *names: str) -> Record:
    """The fields of a record that have a value."""
    return {name: record[name] for name in names if record.get(name) is not None}


def account(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """One account."""
    shown = given(record, "AccountID", "Code", "Name", "Status", "Type", "TaxType", "Class", "SystemAccount")
    more = (
        "Description",
        "EnablePaymentsToAccount",
        "ShowInExpenseClaims",
        "BankAccountNumber",
        "BankAccountType",
    )
    last = ("CurrencyCode", "ReportingCode", "HasAttachments", "AddToWatchlist", "UpdatedDateUTC")
    return shown | given(record, *more, *last)


def item(_tenant: Tenant, record: Record, form: Form) -> Record:
    """One item, its prices to 2 or 4 places."""
    names = ("ItemID", "Code", "Description", "PurchaseDescription", "UpdatedDateUTC")
    shown = given(record, *names)
    for name in ("PurchaseDetails", "SalesDetails"):
        price = dict(record[name])
        if price.get("UnitPrice") is not None:
            price["UnitPrice"] = price["UnitPrice"].quantize(Decimal(1).scaleb(-form.places), ROUND_HALF_UP)
        shown[name] = price
    tracked = ("InventoryAssetAccountCode", "QuantityOnHand", "TotalCostPool")
    shown |= given(record, *tracked) if record["IsTrackedAsInventory"] else {}
    return shown | given(record, "Name", "IsTrackedAsInventory", "IsSold", "IsPurchased")


def tax_rate(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """One tax rate."""
    flags = tuple(name for name in record if name.startswith("CanApplyTo"))
    shown = given(
        record, "Name", "TaxType", "ReportTaxType", *flags, "DisplayTaxRate", "EffectiveRate", "Status"
    )
    return shown | {"TaxComponents": record["TaxComponents"]}


def category(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """One tracking category with its options."""
    return given(record, "Name", "Status", "TrackingCategoryID") | {
        "Options": [
            option
            | {"HasValidationErrors": False, "IsDeleted": False, "IsArchived": option["Status"] != "ACTIVE"}
            for option in record["Options"]
        ]
    }


def plain(_tenant: Tenant, record: Record, _form: Form) -> Record:
    """A record as it is, without the stand-in's own fields."""
    return {name: value for name, value in record.items() if not name.startswith("_") and value is not None}
