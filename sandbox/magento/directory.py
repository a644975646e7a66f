"""Stores, currencies, countries, taxes and customer groups.

Times of orders are UTC; `timezone` of `storeConfigs` is what turns them into a shop's dates. Shipping's
tax class is a setting that REST does not show. Source: recorded exchanges with Magento Open Source 2.4.4
(store_tax_groups).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.magento.columns import CUSTOMER_GROUPS, TAX_CLASSES, TAX_RATES, TAX_RULES
from sandbox.magento.criteria import read
from sandbox.magento.errors import bad_request, masked, not_found
from sandbox.magento.routing import ANONYMOUS, Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop
from sandbox.magento.stock import number

_SYMBOLS = {"GBP": "£", "EUR": "€"}
_COUNTRIES = {
    "GB": ("GBR", "United Kingdom"),
    "IE": ("IRL", "Ireland"),
    "US": ("USA", "United States"),
    "DE": ("DEU", "Germany"),
    "FR": ("FRA", "France"),
    "AU": ("AUS", "Australia"),
}


def _websites(shop: Shop, _call: Call) -> list[Doc]:
    rows: dict[int, Doc] = {0: {"id": 0, "code": "admin", "name": "Admin", "default_group_id": 0}}
    for view in shop.views:
        rows[view.website_id] = {
            "id": view.website_id,
            "code": view.website,
            "name": view.website_name,
            "default_group_id": view.group_id,
        }
    return list(rows.values())


def _groups(shop: Shop, _call: Call) -> list[Doc]:
    rows: dict[int, Doc] = {0: _store_group(0, 0, 0, 0, "Default", "default")}
    for view in shop.views:
        code = view.group_name.lower().replace(" ", "_")
        entry = _store_group(view.group_id, view.website_id, 2, view.id, view.group_name, code)
        rows.setdefault(view.group_id, entry)
    return list(rows.values())


def _store_group(number_: int, website: int, root: int, store: int, name: str, code: str) -> Doc:
    return {
        "id": number_,
        "website_id": website,
        "root_category_id": root,
        "default_store_id": store,
        "name": name,
        "code": code,
    }


def _views(shop: Shop, _call: Call) -> list[Doc]:
    rows = [
        {
            "id": view.id,
            "code": view.code,
            "name": view.name,
            "website_id": view.website_id,
            "store_group_id": view.group_id,
            "is_active": 1,
        }
        for view in shop.views
    ]
    admin = {"id": 0, "code": "admin", "name": "Admin", "website_id": 0, "store_group_id": 0, "is_active": 1}
    return [rows[0], admin, *rows[1:]]


def _configs(shop: Shop, call: Call) -> list[Doc]:
    sent = call.query.get("storeCodes")
    codes = list(sent.values()) if isinstance(sent, dict) else None
    base = f"http://{call.host}/"
    static, media = f"{base}static/version1/", f"{base}media/"
    return [
        {
            "id": view.id,
            "code": view.code,
            "website_id": view.website_id,
            "locale": "en_GB",
            "base_currency_code": "GBP",
            "default_display_currency_code": view.currency,
            "timezone": view.timezone,
            "weight_unit": "lbs",
            "base_url": base,
            "base_link_url": base,
            "base_static_url": static,
            "base_media_url": media,
            "secure_base_url": base,
            "secure_base_link_url": base,
            "secure_base_static_url": static,
            "secure_base_media_url": media,
        }
        for view in shop.views
        if codes is None or view.code in codes
    ]


def _currency(shop: Shop, call: Call) -> Doc:
    view = call.view or shop.views[0]
    rates = {view.currency: Decimal(view.rate_text) for view in shop.views}
    return {
        "base_currency_code": "GBP",
        "base_currency_symbol": "£",
        "default_display_currency_code": view.currency,
        "default_display_currency_symbol": _SYMBOLS[view.currency],
        "available_currency_codes": list(rates),
        "exchange_rates": [{"currency_to": code, "rate": rate} for code, rate in rates.items()],
    }


def _countries(_shop: Shop, _call: Call) -> list[Doc]:
    return [_show_country(code) for code in _COUNTRIES]


def _country(_shop: Shop, call: Call) -> Doc:
    code = call.path["id"].upper()
    if code not in _COUNTRIES:
        raise not_found("The country isn't available.")
    return _show_country(code)


def _show_country(code: str) -> Doc:
    three, name = _COUNTRIES[code]
    return {
        "id": code,
        "two_letter_abbreviation": code,
        "three_letter_abbreviation": three,
        "full_name_locale": name,
        "full_name_english": name,
    }


def _tax_classes(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("tax_classes"), criteria, TAX_CLASSES, past_end=shop.options.past_end)
    return listing(rows, criteria, count)


def _tax_class(shop: Shop, call: Call) -> Doc:
    return _one(shop, "tax_classes", call.number("id"), "class_id")


def _add_tax_class(shop: Shop, call: Call) -> str:
    return add_tax_class(shop, call.wrapped("tax_class"))


def add_tax_class(shop: Shop, sent: Doc) -> str:
    """Create a tax class; its id as text."""
    kind, name = str(sent.get("class_type") or "PRODUCT"), str(sent.get("class_name") or "")
    for row in shop.all("tax_classes"):
        if row["class_type"] == kind and row["class_name"].casefold() == name.casefold():
            raise bad_request("A class with the same name already exists for ClassType %1.", [kind])
    key = shop.next_id("tax_classes")
    shop.rows["tax_classes"][key] = {"class_id": key, "class_name": name, "class_type": kind}
    return str(key)


def _tax_rates(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("tax_rates"), criteria, TAX_RATES, past_end=shop.options.past_end)
    return listing(rows, criteria, count)


def _tax_rate(shop: Shop, call: Call) -> Doc:
    return _one(shop, "tax_rates", call.number("id"), "taxRateId")


def _add_tax_rate(shop: Shop, call: Call) -> Doc:
    return add_tax_rate(shop, call.wrapped("tax_rate"))


def add_tax_rate(shop: Shop, sent: Doc) -> Doc:
    """Create a tax rate."""
    if any(row["code"] == sent.get("code") for row in shop.all("tax_rates")):
        raise bad_request("%1 already exists.", ["Code"])
    key = shop.next_id("tax_rates")
    row: Doc = {
        "id": key,
        "tax_country_id": sent.get("tax_country_id"),
        "tax_region_id": sent.get("tax_region_id") or 0,
        "tax_postcode": sent.get("tax_postcode") or "*",
        "rate": number(sent.get("rate") or 0, "rate"),
        "code": sent.get("code"),
        "titles": sent.get("titles") or [],
    }
    shop.rows["tax_rates"][key] = row
    return row


def _tax_rules(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("tax_rules"), criteria, TAX_RULES, past_end=shop.options.past_end)
    return listing(rows, criteria, count)


def _tax_rule(shop: Shop, call: Call) -> Doc:
    return _one(shop, "tax_rules", call.number("id"), "ruleId")


def _add_tax_rule(shop: Shop, call: Call) -> Doc:
    return add_tax_rule(shop, call.wrapped("rule"))


def add_tax_rule(shop: Shop, sent: Doc) -> Doc:
    """Create a tax rule; one with an unknown rate breaks a foreign key: a masked 500."""
    if any(shop.peek("tax_rates", int(rate)) is None for rate in sent.get("tax_rate_ids") or []):
        raise masked()
    key = shop.next_id("tax_rules")
    row: Doc = {
        "id": key,
        "code": sent.get("code"),
        "priority": sent.get("priority") or 0,
        "position": sent.get("position") or 0,
        "customer_tax_class_ids": sent.get("customer_tax_class_ids") or [],
        "product_tax_class_ids": sent.get("product_tax_class_ids") or [],
        "tax_rate_ids": sent.get("tax_rate_ids") or [],
        "calculate_subtotal": bool(sent.get("calculate_subtotal")),
    }
    shop.rows["tax_rules"][key] = row
    return row


def _customer_groups(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(shop.all("customer_groups"), criteria, CUSTOMER_GROUPS, past_end=shop.options.past_end)
    return listing(rows, criteria, count)


def _default_group(shop: Shop, _call: Call) -> Doc:
    return _one(shop, "customer_groups", 1, "groupId")


def _customer_group(shop: Shop, call: Call) -> Doc:
    return _one(shop, "customer_groups", call.number("id"), "groupId")


def _add_customer_group(shop: Shop, call: Call) -> Doc:
    return add_customer_group(shop, call.wrapped("group"))


def add_customer_group(shop: Shop, sent: Doc) -> Doc:
    """Create a customer group; without a tax class it is taxed as retail customers are."""
    if any(row["code"].casefold() == str(sent.get("code")).casefold() for row in shop.all("customer_groups")):
        raise bad_request("Customer Group already exists.")
    key = shop.next_id("customer_groups")
    tax_class = _one(shop, "tax_classes", int(sent.get("tax_class_id") or 3), "taxClassId")
    row: Doc = {"id": key, "code": sent.get("code"), "tax_class_id": tax_class["class_id"]}
    row["tax_class_name"] = tax_class["class_name"]
    shop.rows["customer_groups"][key] = row
    return row


def _modules(_shop: Shop, call: Call) -> list[str]:
    size = read(call.query).page_size
    names = ["Magento_AdminAnalytics", "Magento_Store", "Magento_AdobeIms", "Magento_AdobeImsApi"]
    names.append("Magento_AdobeStockAdminUi")
    return names[: size or None]


def _one(shop: Shop, table: str, key: int, field: str) -> Doc:
    row = shop.peek(table, key)
    if row is None:
        named: dict[str, Any] = {"fieldName": field, "fieldValue": key}
        raise not_found("No such entity with %fieldName = %fieldValue", named)
    return row


_STORE, _TAX, _GROUP = "Magento_Backend::store", "Magento_Tax::manage_tax", "Magento_Customer::group"
ROUTES: tuple[Route, ...] = (
    route("GET", "/store/websites", _STORE, _websites),
    route("GET", "/store/storeGroups", _STORE, _groups),
    route("GET", "/store/storeViews", _STORE, _views),
    route("GET", "/store/storeConfigs", _STORE, _configs),
    route("GET", "/directory/currency", ANONYMOUS, _currency),
    route("GET", "/directory/countries", ANONYMOUS, _countries),
    route("GET", "/directory/countries/{id}", ANONYMOUS, _country),
    route("GET", "/modules", _STORE, _modules),
    route("GET", "/taxClasses/search", _TAX, _tax_classes),
    route("GET", "/taxClasses/{id}", _TAX, _tax_class),
    route("POST", "/taxClasses", _TAX, _add_tax_class),
    route("GET", "/taxRates/search", _TAX, _tax_rates),
    route("GET", "/taxRates/{id}", _TAX, _tax_rate),
    route("POST", "/taxRates", _TAX, _add_tax_rate),
    route("GET", "/taxRules/search", _TAX, _tax_rules),
    route("GET", "/taxRules/{id}", _TAX, _tax_rule),
    route("POST", "/taxRules", _TAX, _add_tax_rule),
    route("GET", "/customerGroups/search", _GROUP, _customer_groups),
    route("GET", "/customerGroups/default", _GROUP, _default_group),
    route("GET", "/customerGroups/{id}", _GROUP, _customer_group),
    route("POST", "/customerGroups", _GROUP, _add_customer_group),
)
