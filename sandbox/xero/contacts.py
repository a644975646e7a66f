"""Contacts: matching, uniqueness, archiving, and the contact named inside a document.

POST matches by ContactID, ContactNumber, then Name; PUT only creates. Names are unique among active
contacts and numbers among all, both without regard to case. An archived contact cannot be edited or used.
A contact inside a document is found the same way, is created from a Name that is unknown, and is updated
by whatever else it carries. Sources: developer documentation "Contacts"; SDK threads for the words;
lengths from the OpenAPI file.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from sandbox.xero.errors import ElementError, UnknownIdError
from sandbox.xero.store import Call, Record, Tenant, new_id, stamped

ARCHIVED = (
    "The specified contact details matched an archived contact."
    " Archived contacts cannot currently be edited via the API."
)
UNIDENTIFIED = (
    "The Contact must contain at least 1 of the following elements to identify the contact:"
    " Name, ContactID, ContactNumber"
)
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_IDENTITY = ("ContactID", "ContactNumber", "Name")


def save(call: Call, values: Record) -> str:
    """Create or update one contact and return its id."""
    old = match(call.tenant, values)
    if call.create_only and old is not None:
        if values.get("ContactID"):
            raise ElementError("A contact with the specified ContactID already exists")
        return _create(call, values)
    return _create(call, values) if old is None else _update(call, old, values)


def match(tenant: Tenant, values: Record) -> Record | None:
    """The contact that these values mean: by id (which must exist), number, then name among active ones."""
    if values.get("ContactID"):
        found = tenant.get("Contacts", values["ContactID"])
        if found is None:
            raise UnknownIdError("The specified contact could not be found")
        return found
    if values.get("ContactNumber"):
        found = next(tenant.find("Contacts", "ContactNumber", values["ContactNumber"]), None)
        if found is not None:
            return found
    if values.get("Name"):
        return _by_name(tenant, squeezed(values["Name"]))
    return None


def for_document(call: Call, values: Record | None) -> str:
    """The id of the contact that a document names, created or updated on the way."""
    if not values:
        raise ElementError("A Contact must be specified for this type of transaction")
    if not any(values.get(name) for name in _IDENTITY):
        raise ElementError(UNIDENTIFIED)
    found = match(call.tenant, values)
    if found is None:
        return _create(call, values)
    if found["ContactStatus"] != "ACTIVE":
        raise ElementError(ARCHIVED)
    if set(values) - {"ContactID"} and any(found.get(name) != value for name, value in values.items()):
        return _update(call, found, values)
    return str(found["ContactID"])


def mark_used(tenant: Tenant, contact_id: str, *, sale: bool) -> None:
    """The first document makes a contact a customer or a supplier; that does not move UpdatedDateUTC."""
    name = "IsCustomer" if sale else "IsSupplier"
    contact = tenant.must("Contacts", contact_id)
    if not contact[name]:
        tenant.put("Contacts", contact_id, {**contact, name: True})


def squeezed(name: str) -> str:
    """The name without leading, trailing and double spaces."""
    return " ".join(name.split())


def _create(call: Call, values: Record) -> str:
    if not squeezed(values.get("Name") or ""):
        raise ElementError(UNIDENTIFIED)
    if values.get("ContactStatus", "ACTIVE") != "ACTIVE" and not call.by_person:
        raise ElementError("Contacts can only be created with the status ACTIVE")
    contact: Record = {
        "ContactID": new_id(),
        "ContactStatus": "ACTIVE",
        "EmailAddress": "",
        "BankAccountDetails": "",
        "Addresses": [_blank("AddressType", slot) for slot in ("STREET", "POBOX")],
        "Phones": [_blank("PhoneType", slot) for slot in ("DEFAULT", "DDI", "FAX", "MOBILE")],
        "ContactPersons": [],
        "ContactGroups": [],
        "IsSupplier": False,
        "IsCustomer": False,
        "HasAttachments": False,
    }
    merged = _checked(
        call.tenant, contact, {name: value for name, value in values.items() if name != "ContactID"}
    )
    call.tenant.put("Contacts", merged["ContactID"], stamped(call.tenant, merged))
    return str(merged["ContactID"])


def _update(call: Call, old: Record, values: Record) -> str:
    if old["ContactStatus"] != "ACTIVE" and not call.by_person:
        raise ElementError(ARCHIVED)
    merged = _checked(call.tenant, old, values)
    call.tenant.put("Contacts", old["ContactID"], stamped(call.tenant, merged))
    return str(old["ContactID"])


def _checked(tenant: Tenant, old: Record, values: Record) -> Record:
    merged = {**old, **values}
    for name, key in (("Phones", "PhoneType"), ("Addresses", "AddressType")):
        if name in values:
            merged[name] = _slots(old.get(name) or [], values[name], key)
    if "PaymentTerms" in values:
        merged["PaymentTerms"] = {**(old.get("PaymentTerms") or {}), **values["PaymentTerms"]}
    merged["Name"] = squeezed(merged.get("Name") or "")
    messages = [*_shape(values, merged), *_unique(tenant, merged, old)]
    if messages:
        raise ElementError(*messages)
    return merged


def _shape(values: Record, merged: Record) -> list[str]:
    messages = []
    if not merged["Name"] or re.search("[<>]", merged["Name"]):
        messages.append("The contact name must not be empty and must not contain the characters < or >.")
    emails = [
        values.get("EmailAddress"),
        *(each.get("EmailAddress") for each in values.get("ContactPersons") or []),
    ]
    if any(email and not _EMAIL.fullmatch(email) for email in emails):
        messages.append("Email address must be valid.")
    if len(values.get("ContactPersons") or []) > 5:
        messages.append("A contact can have at most 5 contact persons.")
    countries = (address.get("Country") or "" for address in values.get("Addresses") or [])
    if any(re.search(r"\d", country) for country in countries):
        messages.append("Country must only contain letters.")
    return messages


def _unique(tenant: Tenant, merged: Record, old: Record) -> list[str]:
    messages = []
    taken = _by_name(tenant, merged["Name"]) if merged["ContactStatus"] == "ACTIVE" else None
    if taken is not None and taken["ContactID"] != old["ContactID"]:
        messages.append(
            f"The contact name {merged['Name']} is already assigned to another contact."
            " The contact name must be unique across all active contacts."
        )
    number = merged.get("ContactNumber")
    others = tenant.find("Contacts", "ContactNumber", number) if number else iter(())
    if any(other["ContactID"] != old["ContactID"] for other in others):
        messages.append(
            f"The contact number {number} is already assigned to another contact."
            " The contact number must be unique across all contacts."
        )
    return messages


def _by_name(tenant: Tenant, name: str) -> Record | None:
    active = (each for each in tenant.find("Contacts", "Name", name) if each["ContactStatus"] == "ACTIVE")
    return next(active, None)


def _slots(old: list[Record], sent: list[Record], key: str) -> list[Record]:
    """Addresses and phones keep one slot a type; a type that is sent replaces its slot."""
    slots = {each[key]: each for each in old}
    for each in sent:
        slot = each.get(key) or ("STREET" if key == "AddressType" else "DEFAULT")
        slots[slot] = {**_blank(key, slot), **each, key: slot}
    return list(slots.values())


def _blank(key: str, slot: str) -> Record:
    if key == "PhoneType":
        return {key: slot, "PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""}
    return {key: slot, "City": "", "Region": "", "PostalCode": "", "Country": "", "AttentionTo": ""}


def balances(tenant: Tenant, contact_id: str) -> Record | None:
    """What a contact owes and is owed, in base currency; it changes without moving UpdatedDateUTC."""
    sums: dict[str, dict[str, Decimal]] = {
        side: {"Outstanding": Decimal("0.00"), "Overdue": Decimal("0.00")}
        for side in ("AccountsReceivable", "AccountsPayable")
    }
    today: Any = tenant.today()
    used = False
    for invoice in tenant.find("Invoices", "_contact", contact_id):
        if invoice["Status"] != "AUTHORISED":
            continue
        used = True
        side = sums["AccountsReceivable" if invoice["Type"] == "ACCREC" else "AccountsPayable"]
        side["Outstanding"] += invoice["_base_outstanding"]
        if invoice.get("DueDate") and invoice["DueDate"] < today:
            side["Overdue"] += invoice["_base_outstanding"]
    for note in tenant.find("CreditNotes", "_contact", contact_id):
        if note["Status"] == "AUTHORISED":
            used = True
            side = sums["AccountsReceivable" if note["Type"] == "ACCRECCREDIT" else "AccountsPayable"]
            side["Outstanding"] -= note["_base_outstanding"]
    return dict(sums) if used else None
