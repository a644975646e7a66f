"""Customers: unique by e-mail and website, PUT merges, `addresses` replaces the set.

Every PUT moves the stamp, even with nothing changed. An address that lacks required parts is dropped
without a word on create; on a PUT it is refused, and so is an address that is not the customer's (both unrecorded);
an entry without an id becomes a new address on every retry. Source: recorded
exchanges with Magento Open Source 2.4.4 (customers, customers_updated_at, concurrency).
"""

from __future__ import annotations

import copy
import re
from typing import Any

from sandbox.magento.columns import CUSTOMERS
from sandbox.magento.criteria import read
from sandbox.magento.errors import ApiError, bad_request, masked, not_found, required
from sandbox.magento.routing import ANONYMOUS, SELF, Call, Route, route
from sandbox.magento.search import find, listing
from sandbox.magento.shop import Doc, Shop

TAKEN = "A customer with the same email address already exists in an associated website."
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LABELS = {"firstname": "First Name", "lastname": "Last Name"}
_NEEDED = ("firstname", "lastname", "street", "city", "country_id", "telephone")
_FIELDS = [
    "email",
    "firstname",
    "lastname",
    "middlename",
    "prefix",
    "suffix",
    "dob",
    "gender",
    "taxvat",
    "group_id",
    "store_id",
    "website_id",
    "disable_auto_group_change",
    "confirmation",
]
_KNOWN = frozenset(
    {*_FIELDS, "id", "default_billing", "default_shipping", "created_at", "updated_at", "created_in"}
    | {"addresses", "extension_attributes", "custom_attributes"}
)


def create(shop: Shop, sent: Doc, password: str | None = None, at: str | None = None) -> Doc:
    """Create a customer; returns the stored row."""
    if set(sent) - _KNOWN:
        raise masked()
    if password is not None and len(password) < 8:
        raise bad_request(
            "The password needs at least %1 characters. Create a new password and try again.", ["8"]
        )
    row: Doc = {"group_id": 1, "store_id": 1, "website_id": 1, "disable_auto_group_change": 0}
    row |= {name: sent[name] for name in _FIELDS if sent.get(name) is not None}
    if "website_id" in sent and "store_id" not in sent:
        row["store_id"] = next((view.id for view in shop.views if view.website_id == row["website_id"]), 1)
    _check(shop, row)
    at = at or shop.stamp()
    shop.linger()
    if _taken(shop, row):
        raise masked()
    row = {"id": shop.next_id("customers"), **row}
    row |= {"created_at": at, "updated_at": at, "created_in": shop.view(row["store_id"]).name}
    row["password"] = password
    row["is_subscribed"] = bool((sent.get("extension_attributes") or {}).get("is_subscribed"))
    row["addresses"] = []
    for entry in sent.get("addresses") or []:
        _region_check(entry)
        if all(entry.get(name) for name in _NEEDED):
            row["addresses"].append(_address(shop, row, entry, None))
    _save(shop, row)
    return row


def update(shop: Shop, number: int, sent: Doc) -> Doc:
    """Merge the sent fields over the stored customer."""
    row = _load(shop, number, as_text=True)
    if set(sent) - _KNOWN:
        raise masked()
    row |= {name: sent[name] for name in _FIELDS if name in sent}
    if "default_billing" in sent or "default_shipping" in sent:
        row |= {name: sent[name] for name in ("default_billing", "default_shipping") if sent.get(name)}
    if row["website_id"] not in {view.website_id for view in shop.views}:
        raise masked()
    _check(shop, row)
    extension = sent.get("extension_attributes")
    if isinstance(extension, dict) and "is_subscribed" in extension:
        row["is_subscribed"] = bool(extension["is_subscribed"])
    _replace_addresses(shop, row, sent)
    row["updated_at"] = shop.stamp()
    _save(shop, row)
    return row


def _replace_addresses(shop: Shop, row: Doc, sent: Doc) -> None:
    """What is sent is the final set; an entry saved once more gains a `region_id`, a new one has none yet."""
    known = {entry["id"]: entry for entry in row["addresses"]}
    if "addresses" in sent:
        row["addresses"] = []
        for entry in sent["addresses"] or []:
            _region_check(entry)
            if entry.get("id") and entry["id"] not in known:
                named = {"fieldName": "addressId", "fieldValue": entry["id"]}
                raise not_found("No such entity with %fieldName = %fieldValue", named)
            missing = [name for name in _NEEDED if not known.get(entry.get("id"), entry).get(name)]
            if missing:
                raise required(*missing)
            row["addresses"].append(_address(shop, row, entry, known.get(entry.get("id"))))
    for entry in row["addresses"]:
        if entry["id"] in known:
            entry.setdefault("region_id", 0)
    ids = {str(entry["id"]) for entry in row["addresses"]}
    for name in ("default_billing", "default_shipping"):
        if row.get(name) not in ids:
            row.pop(name, None)


def show(row: Doc) -> Doc:
    """The customer as REST shows it."""
    order = [
        "id",
        "group_id",
        "default_billing",
        "default_shipping",
        "created_at",
        "updated_at",
        "created_in",
        "dob",
        "email",
        "firstname",
        "lastname",
        "middlename",
        "prefix",
        "suffix",
        "gender",
        "store_id",
        "taxvat",
        "website_id",
    ]
    shown: Doc = {name: row[name] for name in order if row.get(name) is not None}
    shown["addresses"] = [_shown_address(row, entry) for entry in row["addresses"]]
    shown["disable_auto_group_change"] = row["disable_auto_group_change"]
    shown["extension_attributes"] = {"is_subscribed": row["is_subscribed"]}
    return shown


def _shown_address(row: Doc, entry: Doc) -> Doc:
    shown = dict(entry)
    for name in ("default_shipping", "default_billing"):
        if row.get(name) == str(entry["id"]):
            shown[name] = True
    return shown


def _address(shop: Shop, row: Doc, sent: Doc, known: Doc | None) -> Doc:
    flags = ("default_billing", "default_shipping")
    if known is None:
        entry: Doc = {"id": shop.next_id("customer_addresses"), "customer_id": row["id"]}
        entry["region"] = {"region_code": None, "region": None, "region_id": 0}
    else:
        entry = dict(known)
    entry |= {
        key: value
        for key, value in sent.items()
        if key not in (*flags, "id", "customer_id") and value is not None
    }
    for name in flags:
        if sent.get(name):
            row[name] = str(entry["id"])
    return entry


def _region_check(entry: Doc) -> None:
    number = entry.get("region_id")
    if number and not 0 <= int(number) < 9999:
        message = 'Invalid value of "%value" provided for the %fieldName field.'
        raise bad_request(message, {"fieldName": "regionId", "value": str(number)})


def _check(shop: Shop, row: Doc) -> None:
    messages = [f'"{label}" is a required value.' for name, label in _LABELS.items() if not row.get(name)]
    if not _EMAIL.fullmatch(str(row.get("email", ""))):
        messages.append('"Email" is not a valid email address.')
    if messages:
        raise bad_request("\n".join(messages))
    if _taken(shop, row):
        raise bad_request(TAKEN)


def _taken(shop: Shop, row: Doc) -> bool:
    wanted = str(row["email"]).casefold(), row["website_id"]
    return any(
        (str(other["email"]).casefold(), other["website_id"]) == wanted and other["id"] != row.get("id")
        for other in shop.all("customers")
    )


def _save(shop: Shop, row: Doc) -> None:
    with shop.lock:
        shop.rows["customers"][row["id"]] = row


def _load(shop: Shop, number: int, *, as_text: bool = False) -> Doc:
    row = shop.peek("customers", number)
    if row is None:
        named = {"fieldName": "customerId", "fieldValue": str(number) if as_text else number}
        raise not_found("No such entity with %fieldName = %fieldValue", named)
    return copy.deepcopy(row)


def sign_in(shop: Shop, username: str, password: str) -> int:
    """The id of the customer whose password is right; a failed sign-in moves the customer's stamp."""
    for row in shop.all("customers"):
        if str(row["email"]).casefold() == username.casefold():
            if row.get("password") and row["password"] == password:
                return int(row["id"])
            _save(shop, row | {"updated_at": shop.stamp()})
            break
    return 0


def _search(shop: Shop, call: Call) -> Doc:
    criteria = read(call.query)
    rows, count = find(
        [{**row, "entity_id": row["id"]} for row in shop.all("customers")],
        criteria,
        CUSTOMERS,
        unknown="name",
        past_end=shop.options.past_end,
        page_limit=shop.options.page_limit,
    )
    known = {row["id"]: row for row in shop.all("customers")}
    return listing([show(known[row["id"]]) for row in rows], criteria, count)


def _get(shop: Shop, call: Call) -> Doc:
    return show(_load(shop, call.number("id")))


def _me(shop: Shop, call: Call) -> Doc:
    if call.customer_id is None:
        raise required("customerId")
    return show(_load(shop, call.customer_id))


def _create(shop: Shop, call: Call) -> Doc:
    password: Any = call.body.get("password") if isinstance(call.body, dict) else None
    return show(create(shop, call.wrapped("customer"), password))


def _update(shop: Shop, call: Call) -> Doc:
    number = call.number("id")
    return show(update(shop, number, call.wrapped("customer")))


def _delete(shop: Shop, call: Call) -> bool:
    return shop.remove("customers", _load(shop, call.number("id"))["id"])


def _find_address(shop: Shop, number: int) -> tuple[Doc, Doc]:
    for row in shop.all("customers"):
        for entry in row["addresses"]:
            if entry["id"] == number:
                return copy.deepcopy(row), entry
    raise ApiError(
        404, "No such entity with %fieldName = %fieldValue", {"fieldName": "addressId", "fieldValue": number}
    )


def _get_address(shop: Shop, call: Call) -> Doc:
    row, entry = _find_address(shop, call.number("id"))
    return _shown_address(row, entry)


def _delete_address(shop: Shop, call: Call) -> bool:
    number = call.number("id")
    row, _ = _find_address(shop, number)
    row["addresses"] = [entry for entry in row["addresses"] if entry["id"] != number]
    for name in ("default_billing", "default_shipping"):
        if row.get(name) == str(number):
            row.pop(name)
    _save(shop, row | {"updated_at": shop.stamp()})
    return True


_VIEW, _MANAGE = "Magento_Customer::customer", "Magento_Customer::manage"
ROUTES: tuple[Route, ...] = (
    route("GET", "/customers/search", _VIEW, _search),
    route("GET", "/customers/me", SELF, _me),
    route("POST", "/customers", ANONYMOUS, _create),
    route("GET", "/customers/{id}", _VIEW, _get),
    route("PUT", "/customers/{id}", _MANAGE, _update),
    route("DELETE", "/customers/{id}", "Magento_Customer::delete", _delete),
    route("GET", "/customers/addresses/{id}", _MANAGE, _get_address),
    route("DELETE", "/addresses/{id}", "Magento_Customer::delete", _delete_address),
)
