"""Customers of a Magento shop: known by e-mail and website, addresses kept.

`addresses` of a payload is a list of one: the fields that are ours of the customer's billing address. A PUT takes
`addresses` for the whole set and deletes what it does not name, and an entry without its id becomes a new address on
every try. So the addresses are sent back as they were just read, with their ids and default flags, and ours merged
into the billing address; where nothing of ours is in an address, none is sent, which leaves them all untouched.
Source: recorded exchanges with Magento Open Source 2.4.4 (customers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from cdc.writers import magento_values as values
from cdc.writers.magento_record import Answered
from cdc.writers.magento_values import Record
from cdc.writing import Finding, Operation, Outcome, Outgoing, TargetClient, WriteCall
from tieout.errors import NotFound

_ASKED_FOR = ("email", "firstname", "lastname", "website_id")
"""Versions before 2.4.6 want them in each PUT."""
_ADDRESS_NEEDS = ("firstname", "lastname", "street", "city", "country_id", "telephone")
"""An address without them is dropped without a word when a customer is made, and refused later."""

FOUND = Finding(
    mark=None,
    natural="`email` and `website_id`; ours if all that we sent is in it",
    asked="GET customers/search by `email`",
    twice="refuses the `email` of a customer of the website",
    window="The customer changes the e-mail before we ask: it is made again, and the next load shows both.",
)


def natural_key(customer: Mapping[str, Any]) -> tuple[str, ...] | None:
    """E-mail and website."""
    email, website = customer.get("email"), customer.get("website_id")
    return (values.text_key(email), str(website)) if email and website is not None else None


def ask(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[tuple[str, Record]]:
    """By e-mail, on every website; letter case does not count."""
    emails = (str(one.payload["email"]) for one in outgoing if one.payload.get("email"))
    return [(str(each["id"]), each) for each in values.read_list(client, "customers/search", "email", emails)]


def read(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[tuple[str, Record]]:
    """By id."""
    found: list[tuple[str, Record]] = []
    for one in outgoing:
        try:
            found.append((str(one.target_id), client.http.read(f"customers/{one.target_id}").json()))
        except NotFound:
            continue
    return found


def mirrored(
    connection: psycopg.Connection[Record], name: str, outgoing: Sequence[Outgoing]
) -> list[tuple[str, Record]]:
    """By e-mail from the mirror, where it stands in small letters."""
    emails = [str(one.payload["email"]).strip().lower() for one in outgoing if one.payload.get("email")]
    found = values.in_mirror(connection, name, "customers", "email", emails)
    return [(str(each["id"]), each) for each in found]


def before(client: TargetClient, outgoing: Sequence[Outgoing]) -> list[Outcome | None]:  # noqa: ARG001
    """An address that the shop could not keep is told, not dropped."""
    return [_unfit_address(one) for one in outgoing]


def call(operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
    """One customer."""
    one = outgoing[0]
    sent = {name: values.wire(one.payload[name]) for name in values.sent_fields(one)}
    ours = sent.pop("addresses", None)
    if ours:
        sent["addresses"] = _merged(ours[0], one)
    if operation == "create":
        return WriteCall(method="POST", path="/customers", body={"customer": sent})
    if one.held is None:
        raise ValueError("a customer is changed only after it was read")
    held = one.held
    kept = {name: held[name] for name in _ASKED_FOR if name in held}
    number = int(str(one.target_id))
    return WriteCall(
        method="PUT", path=f"/customers/{number}", body={"customer": {"id": number, **kept, **sent}}
    )


def answered(operation: Operation, outgoing: Sequence[Outgoing], body: Any) -> list[Answered]:  # noqa: ARG001
    """The customer, whole."""
    return [Answered(target_id=str(int(body["id"])), record=body) for _ in outgoing]


def shown(payload: Mapping[str, Any], record: Mapping[str, Any]) -> Record:
    """As the record says; of the addresses the billing address, with the fields that are ours."""
    found = values.shown_plain(payload, record)
    ours = payload.get("addresses")
    if isinstance(ours, list) and ours and isinstance(ours[0], Mapping):
        billing = _billing(record) or {}
        found["addresses"] = [{name: billing.get(name) for name in ours[0] if name[:1] != "_"}]
    return found


def _merged(ours: Mapping[str, Any], one: Outgoing) -> list[Record]:
    billing = _billing(one.held or {})
    if billing is None:
        return [{**_new_address(ours, one), "default_billing": True, "default_shipping": True}]
    return [{**each, **ours} if each is billing else each for each in (one.held or {})["addresses"]]


def _new_address(ours: Mapping[str, Any], one: Outgoing) -> Record:
    """A new address is the customer's own, so it bears their name."""
    person = {**(one.held or {}), **one.payload}
    return {**{name: person.get(name) for name in ("firstname", "lastname")}, **ours}


def _billing(customer: Mapping[str, Any]) -> Record | None:
    """The default billing address, else the first."""
    addresses = [each for each in customer.get("addresses") or [] if isinstance(each, dict)]
    default = str(customer.get("default_billing") or "")
    for each in addresses:
        if each.get("default_billing") is True or (default and str(each.get("id")) == default):
            return each
    return addresses[0] if addresses else None


def _unfit_address(one: Outgoing) -> Outcome | None:
    ours = one.payload.get("addresses") if "addresses" in values.sent_fields(one) else None
    if not ours or _billing(one.held or {}) is not None:
        return None
    missing = [name for name in _ADDRESS_NEEDS if not _new_address(ours[0], one).get(name)]
    if not missing:
        return None
    return Outcome(
        kind="rejected",
        cause="customer without address",
        field="addresses",
        reason=f"The customer has no address in the shop, and ours lacks {', '.join(missing)}.",
        cure="Complete the address in the ledger, or enter one in the shop; it is tried again by itself.",
        who="accountant",
        depends_on=("customers",),
    )
