"""Accounts, tax rates, tracking categories and options, items and currencies.

Accounts and tax rates go one a request. An account is updated by its own address only, archived in a call
of its own, and deleted for good when nothing uses it; the vendor's own (system) accounts stay. Items are
matched by Code. What is deleted here vanishes, and If-Modified-Since cannot see it. Sources: developer
documentation "Accounts", "Tax Rates", "Tracking Categories", "Items", "Currencies".
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.xero.errors import ElementError, UnknownIdError, not_found
from sandbox.xero.lines import tax_rate
from sandbox.xero.store import Call, Record, Tenant, new_id, stamped

_CLASSES = {
    "ASSET": ("BANK", "CURRENT", "FIXED", "INVENTORY", "NONCURRENT", "PREPAYMENT"),
    "LIABILITY": ("CURRLIAB", "LIABILITY", "TERMLIAB", "PAYG"),
    "EQUITY": ("EQUITY",),
    "EXPENSE": ("EXPENSE", "DIRECTCOSTS", "OVERHEADS", "DEPRECIATN"),
    "REVENUE": ("REVENUE", "SALES", "OTHERINCOME"),
}


def account_class(type_: str) -> str:
    """The class of an account of that type."""
    return next(name for name, types in _CLASSES.items() if type_ in types)


def save_account(call: Call, values: Record) -> str:
    """Create one account, or update the one whose id the address gives."""
    tenant = call.tenant
    if not values.get("AccountID"):
        return _create_account(tenant, values)
    old = tenant.get("Accounts", values["AccountID"])
    if old is None:
        raise UnknownIdError("Account could not be found")
    if "Status" in values and (set(values) - {"AccountID", "Status"}):
        raise ElementError("An account can only be archived in a request of its own.")
    if old.get("SystemAccount") and values.get("Status", "ACTIVE") != "ACTIVE":
        raise ElementError("System accounts cannot be archived.")
    if old["Type"] == "BANK" and set(values) - {"AccountID", "Status"} and not call.by_person:
        raise ElementError("Bank accounts cannot be updated via the API.")
    new = {**old, **values}
    _check_account(tenant, new, old)
    tenant.put("Accounts", old["AccountID"], stamped(tenant, new))
    return str(old["AccountID"])


def _create_account(tenant: Tenant, values: Record) -> str:
    if not values.get("Type") or not values.get("Name"):
        raise ElementError("Account Name and Type must be specified")
    if values["Type"] == "BANK" and not values.get("BankAccountNumber"):
        raise ElementError("Bank Account Number must be specified")
    if values["Type"] != "BANK" and not values.get("Code"):
        raise ElementError("Account Code must be specified")
    record: Record = {
        "AccountID": new_id(),
        "Status": "ACTIVE",
        "TaxType": "NONE",
        "EnablePaymentsToAccount": False,
        "ShowInExpenseClaims": False,
        "AddToWatchlist": False,
        "HasAttachments": False,
        **values,
        "Class": account_class(values["Type"]),
    }
    if record["Type"] == "BANK":
        record.setdefault("BankAccountType", "BANK")
        record.setdefault("CurrencyCode", tenant.base_currency)
    _check_account(tenant, record, record)
    tenant.put("Accounts", record["AccountID"], stamped(tenant, record))
    return str(record["AccountID"])


def _check_account(tenant: Tenant, new: Record, old: Record) -> None:
    for name, message in (("Code", "Please enter a unique Code."), ("Name", "Please enter a unique Name.")):
        others = tenant.find("Accounts", name, new[name]) if new.get(name) else iter(())
        if any(other["AccountID"] != old["AccountID"] for other in others):
            raise ElementError(message)
    currency = new.get("CurrencyCode")
    if currency and tenant.get("Currencies", currency) is None:
        raise ElementError(f"Organisation is not subscribed to currency {currency}")
    if new.get("TaxType"):
        tax_rate(tenant, new["TaxType"], new)


def delete_account(call: Call, account_id: str) -> Record:
    """Delete an account that nothing uses, and return it."""
    tenant = call.tenant
    account = tenant.get("Accounts", account_id)
    if account is None:
        raise not_found()
    used = any(
        entry.account == account_id for journal in tenant.all("Journals") for entry in journal["_entries"]
    )
    named = any(
        line.get("AccountID") == account_id
        for entity in ("Invoices", "CreditNotes", "PurchaseOrders", "ManualJournals")
        for document in tenant.all(entity)
        for line in document.get("LineItems") or document.get("JournalLines") or []
    )
    if account.get("SystemAccount") or used or named:
        raise ElementError("Account cannot be deleted as it is a system account or is in use.")
    tenant.drop("Accounts", account_id)
    return {**account, "Status": "DELETED"}


def save_tax_rate(call: Call, values: Record) -> str:
    """Create one tax rate, or update or delete the one of that TaxType; the vendor's own are fixed."""
    tenant = call.tenant
    code = values.get("TaxType")
    old = tenant.get("TaxRates", code) if code else None
    if old is not None and not call.create_only:
        if not old["_custom"]:
            raise ElementError("System tax rates cannot be edited.")
        record = {**old, **values}
    else:
        if not values.get("Name") or not values.get("TaxComponents"):
            raise ElementError("Tax rate must be valid.")
        record = {
            "Status": "ACTIVE",
            **values,
            "TaxType": _next_tax_type(tenant),
            "_custom": True,
            **dict.fromkeys(_FLAGS, True),
        }
    active = (each for each in tenant.find("TaxRates", "Name", record["Name"]) if each["Status"] == "ACTIVE")
    if any(each["TaxType"] != record["TaxType"] for each in active):
        raise ElementError("Please enter a unique Name.")
    record["EffectiveRate"] = effective_rate(record["TaxComponents"])
    record["DisplayTaxRate"] = record["EffectiveRate"]
    tenant.put("TaxRates", record["TaxType"], record)
    return str(record["TaxType"])


_FLAGS = (
    "CanApplyToAssets",
    "CanApplyToEquity",
    "CanApplyToExpenses",
    "CanApplyToLiabilities",
    "CanApplyToRevenue",
)


def effective_rate(components: list[Record]) -> Decimal:
    """The percentage of all components together; a compound one is charged on the others as well."""
    plain = sum((each["Rate"] for each in components if not each.get("IsCompound")), Decimal(0))
    compound = sum((each["Rate"] for each in components if each.get("IsCompound")), Decimal(0))
    return Decimal(plain + compound * (100 + plain) / 100)


def _next_tax_type(tenant: Tenant) -> str:
    number = 1
    while tenant.get("TaxRates", f"TAX{number:03d}") is not None:
        number += 1
    return f"TAX{number:03d}"


def save_category(call: Call, values: Record) -> str:
    """Create or rename or archive one tracking category; two may be active, four exist."""
    tenant = call.tenant
    old = tenant.get("TrackingCategories", values.get("TrackingCategoryID"))
    if values.get("TrackingCategoryID") and old is None:
        raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
    new: Record = {"TrackingCategoryID": new_id(), "Status": "ACTIVE", "Options": [], **(old or {}), **values}
    others = [each for each in tenant.all("TrackingCategories") if each is not old]
    if not new.get("Name") or any(each["Name"].casefold() == new["Name"].casefold() for each in others):
        raise ElementError("A tracking category with that name already exists")
    active = sum(1 for each in others if each["Status"] == "ACTIVE")
    if len(others) > 3 or (new["Status"] == "ACTIVE" and active > 1):
        raise ElementError("You have reached the limit of active tracking categories.")
    tenant.put("TrackingCategories", new["TrackingCategoryID"], new)
    return str(new["TrackingCategoryID"])


def save_option(call: Call, category_id: str, values: Record) -> Record:
    """Create, rename or archive one option and return it."""
    tenant = call.tenant
    category = tenant.get("TrackingCategories", category_id)
    if category is None:
        raise not_found()
    options: list[Record] = category["Options"]
    wanted = values.get("TrackingOptionID")
    old = next((each for each in options if each["TrackingOptionID"] == wanted), None)
    if wanted and old is None:
        raise not_found()
    new = {"TrackingOptionID": new_id(), "Status": "ACTIVE", **(old or {}), **values}
    others = [each for each in options if each is not old]
    if not new.get("Name") or any(each["Name"].casefold() == new["Name"].casefold() for each in others):
        raise ElementError("A tracking option with that name already exists")
    kept = [new if each is old else each for each in options]
    tenant.put(
        "TrackingCategories", category_id, {**category, "Options": kept if old is not None else [*kept, new]}
    )
    return new


def delete_tracking(call: Call, category_id: str, option_id: str | None) -> Record:
    """Delete an unused category or option and return it; what is used can only be archived."""
    tenant = call.tenant
    category = tenant.get("TrackingCategories", category_id)
    if category is None:
        raise not_found()
    name = "TrackingOptionID" if option_id else "TrackingCategoryID"
    wanted = option_id or category_id
    if _tracked(tenant, name, wanted):
        raise ElementError("Tracking that has been used cannot be deleted. It can be archived instead.")
    if option_id is None:
        tenant.drop("TrackingCategories", category_id)
        return {**category, "Status": "DELETED"}
    found = [each for each in category["Options"] if each["TrackingOptionID"] == option_id]
    if not found:
        raise not_found()
    left = [each for each in category["Options"] if each["TrackingOptionID"] != option_id]
    tenant.put("TrackingCategories", category_id, {**category, "Options": left})
    return {**found[0], "Status": "DELETED"}


def _tracked(tenant: Tenant, name: str, wanted: str) -> bool:
    return any(
        pair.get(name) == wanted
        for entity in ("Invoices", "CreditNotes", "BankTransactions", "PurchaseOrders", "ManualJournals")
        for document in tenant.all(entity)
        for line in document.get("LineItems") or document.get("JournalLines") or []
        for pair in line.get("Tracking") or []
    )


def save_item(call: Call, values: Record) -> str:
    """Create or update one item, matched by id, then by Code."""
    tenant = call.tenant
    old = tenant.get("Items", values.get("ItemID"))
    if values.get("ItemID") and old is None:
        raise UnknownIdError("The document with the supplied id was not found for this endpoint.")
    same = next(tenant.find("Items", "Code", values["Code"]), None) if values.get("Code") else None
    if same is not None and (call.create_only or (old is not None and same["ItemID"] != old["ItemID"])):
        raise ElementError(f"Price List Item with Code '{values['Code']}' already exists")
    old = old or same
    new: Record = {
        "ItemID": new_id(),
        "IsSold": True,
        "IsPurchased": True,
        "IsTrackedAsInventory": False,
        "SalesDetails": {},
        "PurchaseDetails": {},
        **(old or {}),
        **values,
    }
    if not new.get("Code"):
        raise ElementError("Item Code must be specified")
    new["Name"] = new.get("Name") or new["Code"]
    for name, used in (("SalesDetails", new["IsSold"]), ("PurchaseDetails", new["IsPurchased"])):
        new[name] = _price(tenant, {**(old or {}).get(name, {}), **values.get(name, {})}) if used else {}
    if new.get("InventoryAssetAccountCode"):
        new = _tracked_item(tenant, new, old)
    tenant.put("Items", new["ItemID"], stamped(tenant, new))
    return str(new["ItemID"])


def _tracked_item(tenant: Tenant, new: Record, old: Record | None) -> Record:
    """An item becomes tracked by an inventory account and a cost of goods account; the vendor's words are not known."""
    asset = next(tenant.find("Accounts", "Code", new["InventoryAssetAccountCode"]), None)
    if asset is None or asset["Type"] != "INVENTORY" or not new["PurchaseDetails"].get("COGSAccountCode"):
        raise ElementError(
            "A tracked item needs an inventory asset account and a cost of goods sold account."
        )
    held = {name: (old or {}).get(name, Decimal(0)) for name in ("QuantityOnHand", "TotalCostPool")}
    return {**new, "IsTrackedAsInventory": True, **held}


def _price(tenant: Tenant, price: Record) -> Record:
    code = price.get("AccountCode")
    account = next(tenant.find("Accounts", "Code", code), None) if code else None
    if code and (account is None or account["Status"] != "ACTIVE"):
        raise ElementError(f"Account code '{code}' is not a valid code for this document.")
    if price.get("TaxType"):
        tax_rate(tenant, price["TaxType"], account)
    return price


def delete_item(call: Call, item_id: str) -> None:
    """Delete an item for good; documents keep its code."""
    if call.tenant.get("Items", item_id) is None:
        raise not_found()
    call.tenant.drop("Items", item_id)


def save_currency(call: Call, values: Record) -> str:
    """Subscribe the organisation to a currency; it cannot be removed again."""
    code = (values.get("Code") or "").upper()
    if code not in call.options.rates and code != call.tenant.base_currency:
        raise ElementError("Currency Code must be valid")
    call.tenant.put("Currencies", code, {"Code": code, "Description": values.get("Description") or code})
    return code
