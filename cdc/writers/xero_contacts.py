"""Contacts and items: master data that the organisation may already have, found there and completed, never
renamed.

A contact is ours when it bears our mark (ContactNumber, which only the API can set). Without one a person may
be adopted by e-mail address, of several by the tax number too; a company by its tax number, else by e-mail
address and name together, because the e-mail is that of a buyer, who may be a contact on their own. Names
alone decide nothing: they are not unique among people. An item has no mark; its code names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from cdc.writers.xero_entity import Candidates, Record, element, to_collection
from cdc.writers.xero_search import IDS_A_CALL, VALUES_A_CALL, equals, in_mirror, is_guid, parts, read_list
from cdc.writers.xero_values import differs
from cdc.writing import Finding, Operation, Outgoing, TargetClient, WriteCall

CONTACT_FOUND = Finding(
    mark="`ContactNumber` is our key",
    natural="`EmailAddress` among active contacts; of a company `Name` as well",
    asked="GET Contacts by `ContactNumber`, archived ones too, then by `EmailAddress`",
    twice="refuses the `Name` of an active contact",
    window="",
)
ITEM_FOUND = Finding(
    mark=None,
    natural="`Code`; ours if all that we sent is in it",
    asked="GET Items by `Code`",
    twice="refuses the `Code`",
    window="A person gives our new item another code before we ask: it is made again, and the next load shows both.",
)


def contact_mark(contact: Mapping[str, Any]) -> str | None:
    """Our key on a contact."""
    return contact.get("ContactNumber") or None


def contact_is_ours(one: Outgoing, record: Record) -> bool:
    """By our mark; where the payload has none, by equal content."""
    mark = contact_mark(one.payload)
    return contact_mark(record) == mark if mark else not differs(one, record, total_field=None)


def call_contacts(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """Contacts are never deleted in Xero: a removal archives them."""
    if operation == "remove":
        archived = [{"ContactID": one.target_id, "ContactStatus": "ARCHIVED"} for one in outgoing]
        return to_collection("Contacts", operation, archived)
    return to_collection("Contacts", operation, [element(one, "ContactID") for one in outgoing])


def ask_contacts(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
    """By mark, archived ones too; the rest by e-mail address among the active ones."""
    found: list[Record] = []
    for marks in parts(_texts(outgoing, "ContactNumber"), VALUES_A_CALL):
        found += read_list(
            client, "Contacts", {"where": equals("ContactNumber", marks), "includeArchived": "true"}
        )
    marked = {contact_mark(record) for record in found}
    unmarked = [
        one for one in outgoing if contact_mark(one.payload) not in marked or not contact_mark(one.payload)
    ]
    for addresses in parts(_texts(unmarked, "EmailAddress"), VALUES_A_CALL):
        found += read_list(client, "Contacts", {"where": equals("EmailAddress", addresses)})
    return [_contacts_for(one, found) for one in outgoing]


def mirrored_contacts(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> Candidates:
    """The same from the mirror, which also knows contacts by tax number."""
    found = in_mirror(connection, name, "contacts", "contact_number", _texts(outgoing, "ContactNumber"))
    addresses = [text.strip().lower() for text in _texts(outgoing, "EmailAddress")]
    found += in_mirror(connection, name, "contacts", "email_address", addresses)
    companies = [one for one in outgoing if _is_company(one)]
    numbers = [_plain(text) for text in _texts(companies, "TaxNumber")]
    found += in_mirror(connection, name, "contacts", "tax_number", [text for text in numbers if text])
    return [_contacts_for(one, found) for one in outgoing]


def contacts_named(connection: psycopg.Connection[Record], name: str, one: Outgoing) -> tuple[str, ...]:
    """Active contacts of the mirror that have this name: Xero lets only one have it."""
    wanted = _folded(one.payload.get("Name"))
    found = in_mirror(connection, name, "contacts", "name_key", [wanted]) if wanted else []
    return tuple(
        str(record["ContactID"]) for record in found if record.get("ContactStatus", "ACTIVE") == "ACTIVE"
    )


def read_contacts(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
    """Contacts by id, archived ones too."""
    found: list[Record] = []
    for ids in parts((one.target_id or "" for one in outgoing), IDS_A_CALL):
        found += read_list(client, "Contacts", {"IDs": ",".join(ids), "includeArchived": "true"})
    return by_id(outgoing, found, "ContactID")


def item_code(item: Mapping[str, Any]) -> str | None:
    """The code that names an item."""
    return item.get("Code") or None


def item_is_ours(one: Outgoing, record: Record) -> bool:
    """By equal content: an item bears no mark."""
    return not differs(one, record, total_field=None)


def call_items(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """Items are deleted one a call. An update names the code too: Xero asks for it ("Items", required
    fields)."""
    if operation == "remove":
        return WriteCall(method="DELETE", path=f"/Items/{outgoing[0].target_id}")
    elements = [{**_code_of(one), **element(one, "ItemID")} for one in outgoing]
    return to_collection("Items", operation, elements, {"unitdp": "4"})


def ask_items(client: TargetClient, outgoing: Sequence[Outgoing]) -> Candidates:
    """By code. The list of items has no pages."""
    found: list[Record] = []
    for codes in parts(_texts(outgoing, "Code"), VALUES_A_CALL):
        found += read_list(client, "Items", {"where": equals("Code", codes), "unitdp": "4"}, paged=False)
    return [_items_for(one, found) for one in outgoing]


def mirrored_items(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> Candidates:
    """The same from the mirror."""
    found = in_mirror(connection, name, "items", "code", _texts(outgoing, "Code"))
    return [_items_for(one, found) for one in outgoing]


def read_items(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Record | None]:
    """Items by id."""
    found: list[Record] = []
    for ids in parts((one.target_id or "" for one in outgoing), VALUES_A_CALL):
        found += read_list(client, "Items", {"where": is_guid("ItemID", ids), "unitdp": "4"}, paged=False)
    return by_id(outgoing, found, "ItemID")


def by_id(outgoing: Sequence[Outgoing], records: Iterable[Record], id_field: str) -> list[Record | None]:
    """For each entry the record with its target id."""
    known = {str(record.get(id_field)).casefold(): record for record in records}
    return [known.get((one.target_id or "").casefold()) for one in outgoing]


def _contacts_for(one: Outgoing, records: Sequence[Record]) -> list[Record]:
    """Those with our mark; if there is none, the active ones that no other key of ours holds and that match."""
    mark = contact_mark(one.payload)
    marked = [record for record in records if mark and contact_mark(record) == mark]
    if marked:
        return marked
    free = [
        record
        for record in records
        if record.get("ContactStatus", "ACTIVE") == "ACTIVE"
        and not is_another_of_ours(mark, contact_mark(record))
    ]
    number = _plain(one.payload.get("TaxNumber"))
    numbered = [record for record in free if number and _plain(record.get("TaxNumber")) == number]
    if _is_company(one) and (namesakes := [record for record in numbered if _may_be(one, record)]):
        return namesakes
    address = _folded(one.payload.get("EmailAddress"))
    reached = [record for record in free if address and _folded(record.get("EmailAddress")) == address]
    if _is_company(one):
        name = _folded(one.payload.get("Name"))
        return [record for record in reached if _folded(record.get("Name")) == name]
    both = _distinct(record for record in reached if record in numbered)
    return both if len(both) == 1 else reached


def _is_company(one: Outgoing) -> bool:
    """Keys of companies are `<source connection>/company/…`."""
    return one.key.split("/", 2)[1:2] == ["company"]


def _may_be(one: Outgoing, record: Record) -> bool:
    """Companies of one group share a tax number: the first word of the name must be the same, as in the key."""
    return one.key.endswith("/-") or _first_word(one.payload.get("Name")) == _first_word(record.get("Name"))


def _first_word(name: object) -> str:
    words = re.sub(r"[.'’`]", "", str(name or "").casefold())
    return next((word for word in re.findall(r"\w+", words) if word != "the"), "")


def _plain(number: object) -> str:
    """A tax number without blanks and dots, as the mirror's key column has it."""
    return re.sub("[^A-Z0-9]", "", str(number or "").upper())


def _folded(text: object) -> str:
    return " ".join(str(text or "").split()).casefold()


def _distinct(records: Iterable[Record]) -> list[Record]:
    return list({str(record.get("ContactID")): record for record in records}.values())


def is_another_of_ours(mark: str | None, other: str | None) -> bool:
    """Marks begin with the name of the source connection: `shop/customer/7` and `shop/guest/…` are both of
    one shop.

    Two guests, or a guest and a customer, who share an address are never made one.
    """
    if not mark or not other:
        return False
    return mark.partition("/")[0] == other.partition("/")[0] and "/" in other


def _items_for(one: Outgoing, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if item_code(record) == item_code(one.payload)]


def _code_of(one: Outgoing) -> Record:
    return {"Code": one.payload["Code"]} if one.payload.get("Code") else {}


def _texts(outgoing: Iterable[Outgoing], field: str) -> list[str]:
    return [
        str(one.payload[field])
        for one in outgoing
        if isinstance(one.payload.get(field), str) and one.payload[field]
    ]
