"""The lines of a document: defaults, accounts, taxes, tracking and the arithmetic, to the cent.

Order of rounding ("Rounding in Xero"): the unit price to 2 places (4 with unitdp=4), times quantity, less
discount, the line to 2 places half-up; tax for each line half-up to 2 places, then summed. Any two of
Quantity, UnitAmount and LineAmount suffice, and all three must agree. A TaxAmount that is sent replaces
the computed one. Tracking that is unknown is dropped in silence (xero-node issues 86 and 516). Exact
messages: see the sources in `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from sandbox.xero.errors import ElementError
from sandbox.xero.store import Call, Record, Tenant, cents, new_id

ZERO = Decimal("0.00")
LARGEST = Decimal("9999999999.99")

# Accounts that only the vendor itself posts to.
_CLOSED = ("DEBTORS", "CREDITORS", "BANKCURRENCYGAIN", "REALISEDCURRENCYGAIN", "UNREALISEDCURRENCYGAIN")
_KEPT = ("Description", "ItemCode", "AccountID", "TaxType", "Quantity", "UnitAmount", "DiscountRate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What the lines need to know of their document."""

    sale: bool
    approved: bool
    amounts: str  # LineAmountTypes
    discounts: bool = False
    places: int = 2
    accounts_needed: bool = True
    forced_account: str | None = None
    old: dict[str, Record] = field(default_factory=dict)  # the document's present lines by LineItemID


def build(call: Call, sent: list[Record], sheet: Sheet) -> list[Record]:
    """The document's new lines; raises ElementError with every message found."""
    messages: list[str] = []
    lines: list[Record] = []
    for each in sent:
        try:
            lines.append(_line(call, each, sheet))
        except ElementError as error:
            messages += [message for message in error.messages if message not in messages]
    if messages:
        raise ElementError(*messages)
    return lines


def totals(lines: list[Record], amounts: str) -> Record:
    """SubTotal, TotalTax and Total of the lines."""
    tax = sum((line.get("TaxAmount") or ZERO for line in lines), ZERO)
    total = sum((line.get("LineAmount") or ZERO for line in lines), ZERO)
    if amounts == "Inclusive":
        return {"SubTotal": total - tax, "TotalTax": tax, "Total": total}
    return {"SubTotal": total, "TotalTax": tax, "Total": total + tax}


def _line(call: Call, sent: Record, sheet: Sheet) -> Record:
    old = sheet.old.get(sent.get("LineItemID") or "")
    line: Record = {"LineItemID": old["LineItemID"] if old is not None else new_id()}
    line |= {name: old[name] for name in _KEPT if old is not None and old.get(name) is not None}
    if "AccountCode" in sent or "AccountID" in sent:
        line.pop("AccountID", None)
    if "LineAmount" in sent and "UnitAmount" not in sent:
        line.pop("UnitAmount", None)
    line |= {name: value for name, value in sent.items() if name != "LineItemID"}
    _item_defaults(call.tenant, line, sheet)
    if not str(line.get("Description") or "").strip():
        raise ElementError("Description must be specified")
    if not _has_amounts(line):
        return {"LineItemID": line["LineItemID"], "Description": line["Description"], "Tracking": []}
    account = _account(call, line, sheet)
    # A price that the update leaves out keeps its four places.
    _amounts(line, 4 if old is not None and "UnitAmount" not in sent else sheet.places, sheet)
    _tax(call.tenant, line, account, sheet, kept=_kept_tax(sent, old, line))
    kept = (old or {}).get("Tracking") or []
    line["Tracking"] = tracking(call.tenant, sent["Tracking"]) if "Tracking" in sent else kept
    return line


def _has_amounts(line: Record) -> bool:
    names = ("Quantity", "UnitAmount", "LineAmount", "AccountCode", "AccountID", "ItemCode", "TaxAmount")
    return any(line.get(name) not in (None, "") for name in names)


def _item_defaults(tenant: Tenant, line: Record, sheet: Sheet) -> None:
    code = line.get("ItemCode")
    if not code:
        line.pop("ItemCode", None)
        return
    item = next(tenant.find("Items", "Code", code), None)
    if item is None:
        raise ElementError(f"Item code '{code}' is not valid")
    details = item.get("SalesDetails" if sheet.sale else "PurchaseDetails") or {}
    line["ItemCode"] = item["Code"]
    line.setdefault(
        "Description", item.get("Description" if sheet.sale else "PurchaseDescription") or item["Name"]
    )
    if "LineAmount" not in line and details.get("UnitPrice") is not None:
        line.setdefault("UnitAmount", details["UnitPrice"])
    if item["IsTrackedAsInventory"] and not sheet.sale:
        line.setdefault("AccountCode", item["InventoryAssetAccountCode"])
    if details.get("AccountCode") and not line.get("AccountID"):
        line.setdefault("AccountCode", details["AccountCode"])
    if details.get("TaxType"):
        line.setdefault("TaxType", details["TaxType"])


def _account(call: Call, line: Record, sheet: Sheet) -> Record | None:
    if sheet.forced_account is not None:
        line["AccountID"] = sheet.forced_account
        line.pop("AccountCode", None)
        return call.tenant.must("Accounts", sheet.forced_account)
    code = line.pop("AccountCode", None) or ""
    account = call.tenant.get("Accounts", line.get("AccountID"))
    if account is None and code:
        account = next(call.tenant.find("Accounts", "Code", code), None)
    asked = code or line.get("AccountID") or ""
    line.pop("AccountID", None)
    if not asked:
        if sheet.approved and sheet.accounts_needed:
            raise ElementError("Account code must be specified")
        return None
    if account is None:
        if sheet.approved:
            raise ElementError(f"Account code '{asked}' is not a valid code for this document.")
        call.warnings.append(
            f"Account code '{asked}' has been removed as it does not match a recognised account."
        )
        return None
    _usable(account, asked)
    line["AccountID"] = account["AccountID"]
    return account


def _usable(account: Record, asked: str) -> None:
    if account["Status"] != "ACTIVE":
        raise ElementError(
            f"Account code '{asked}' has been archived, or has been deleted."
            " Each line item must reference a valid account."
        )
    if account.get("SystemAccount") in _CLOSED or account["Type"] == "BANK":
        raise ElementError(f"Account code '{asked}' is not a valid code for this document.")


def _amounts(line: Record, places: int, sheet: Sheet) -> None:
    step = Decimal(1).scaleb(-places)
    quantity, price, sent = line.get("Quantity"), line.get("UnitAmount"), line.get("LineAmount")
    if quantity is None:
        quantity = Decimal(1)
        if price is not None and sent is not None and price:
            quantity = sent / price
    quantity = quantity.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
    if price is None:
        price = sent / quantity if sent is not None and quantity else ZERO
    price = price.quantize(step, rounding=ROUND_HALF_UP)
    expected = cents(price * quantity - _discount(line, cents(price * quantity), sheet))
    if sent is not None and cents(sent) != expected:
        raise ElementError(f"The line total {sent:f} does not match the expected line total {expected:f}")
    if abs(expected) > LARGEST:
        raise ElementError("The line total is too large.")
    line |= {"Quantity": quantity, "UnitAmount": price, "LineAmount": expected}


def _discount(line: Record, gross: Decimal, sheet: Sheet) -> Decimal:
    rate, amount = line.get("DiscountRate"), line.get("DiscountAmount")
    if rate is None and amount is None:
        return ZERO
    if not sheet.discounts:
        raise ElementError("Discounts can only be applied to ACCREC invoices and quotes.")
    given = Decimal(rate if rate is not None else amount or 0)
    if given <= 0 or (rate is not None and rate > 100) or (rate is None and given > abs(gross)):
        name = "rate" if rate is not None else "amount"
        raise ElementError(
            f"The discount {name} '{cents(given)}' is invalid."
            " Discount must not be greater than the line total."
        )
    if rate is None:
        return given
    line.pop("DiscountAmount", None)
    return gross * given / 100


def _tax(tenant: Tenant, line: Record, account: Record | None, sheet: Sheet, kept: Decimal | None) -> None:
    if sheet.amounts == "NoTax":
        line |= {"TaxType": "NONE", "TaxAmount": ZERO}
        return
    code = line.get("TaxType") or (account or {}).get("TaxType")
    if not code:
        if sheet.approved and account is not None:
            raise ElementError("The TaxType field is mandatory")
        line |= {"TaxAmount": cents(line.get("TaxAmount") or ZERO)}
        line.pop("TaxType", None)
        return
    rate = tax_rate(tenant, code, account)
    percent: Decimal = rate["EffectiveRate"]
    line["TaxType"] = rate["TaxType"]
    amount = line.get("TaxAmount", kept)
    if amount is None:
        divisor = 100 + percent if sheet.amounts == "Inclusive" else Decimal(100)
        amount = line["LineAmount"] * percent / divisor
    line["TaxAmount"] = cents(amount)


def _kept_tax(sent: Record, old: Record | None, line: Record) -> Decimal | None:
    """The tax of a known line stays when nothing that it depends on is sent otherwise."""
    if old is None or "TaxType" in sent or old.get("LineAmount") != line.get("LineAmount"):
        return None
    return old.get("TaxAmount")


def tax_rate(tenant: Tenant, code: str, account: Record | None) -> Record:
    """The tax rate of that code, which must be active and fit the account's class."""
    rate = tenant.get("TaxRates", code)
    if rate is None or rate["Status"] != "ACTIVE":
        raise ElementError(
            f"The TaxType code {code} does not exist or cannot be used for this type of transaction."
        )
    if account is not None and not rate[_APPLIES[account["Class"]]]:
        raise ElementError(
            f"The TaxType code '{code}' cannot be used with account code '{account.get('Code') or ''}'."
        )
    return rate


_APPLIES = {
    "ASSET": "CanApplyToAssets",
    "EQUITY": "CanApplyToEquity",
    "EXPENSE": "CanApplyToExpenses",
    "LIABILITY": "CanApplyToLiabilities",
    "REVENUE": "CanApplyToRevenue",
}


def tracking(tenant: Tenant, sent: list[Record]) -> list[Record]:
    """The pairs of category and option that exist, one a category, at most two; the rest is dropped."""
    found: list[Record] = []
    for wanted in sent:
        pair = _option(tenant, wanted)
        if pair is not None and all(
            pair["TrackingCategoryID"] != each["TrackingCategoryID"] for each in found
        ):
            found.append(pair)
    return found[:2]


def _option(tenant: Tenant, wanted: Record) -> Record | None:
    for category in tenant.all("TrackingCategories"):
        named = wanted.get("Name", "").casefold() == category["Name"].casefold()
        if not named and wanted.get("TrackingCategoryID") != category["TrackingCategoryID"]:
            continue
        for option in category["Options"]:
            same = wanted.get("Option", "").casefold() == option["Name"].casefold()
            if option["Status"] == "ACTIVE" and (
                same or wanted.get("TrackingOptionID") == option["TrackingOptionID"]
            ):
                return {
                    "Name": category["Name"],
                    "Option": option["Name"],
                    "TrackingCategoryID": category["TrackingCategoryID"],
                    "TrackingOptionID": option["TrackingOptionID"],
                }
    return None
