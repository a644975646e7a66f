"""How customers and products of a Magento shop are recognised, before a ledger's contacts and items are first written there.

A customer is named by e-mail and website, a product by sku. Where our row is a contact or item that was made from the shop's own
record (`shop/customer/17`), that record is the one. Prices and quantities are set by sku and have nothing of their own to link.
Source of names and forms: recorded exchanges with Magento Open Source 2.4.4 (customers, products).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cdc.linking.faces import Face
from cdc.linking.matching import Known, Matcher, OurRow, Record

_NOT_PLAIN = re.compile(r"[\W_]+")
_NOT_DIGIT = re.compile(r"\D+")
_LAST_DIGITS = 8
"""Of a telephone number: what is before them is written in too many ways (+44, 0044, 0)."""


def our_customer(row: OurRow, _known: Known) -> Face:
    """A customer as the model wants it: of one that the shop seems to have, e-mail and website alone."""
    return _customer_face(row.key, row.payload, origins=tuple(_without_connection(row)))


def their_customers(target_id: str, record: Record) -> Iterable[Face]:
    """A customer of the shop."""
    yield _customer_face(target_id, record, origins=(f"customer/{target_id}",))


def our_product(row: OurRow, _known: Known) -> Face:
    """A product as the model wants it."""
    return _product_face(row.key, row.payload, origins=tuple(_without_connection(row)))


def their_products(target_id: str, record: Record) -> Iterable[Face]:
    """A product of the shop; our items are made of products by their sku."""
    yield _product_face(target_id, record, origins=(f"item/{_text(record.get('sku'))}",))


def held_of_master_data(_row: OurRow, _record: Record, _differing: frozenset[str]) -> frozenset[str]:
    """Nothing: the model names only fields that are ours, and the shop's stay."""
    return frozenset()


def _customer_face(identity: str, values: Mapping[str, Any], *, origins: tuple[str, ...]) -> Face:
    name = " ".join(_text(values.get(part)) for part in ("firstname", "lastname")).strip()
    email = _text(values.get("email"))
    addresses = [each for each in values.get("addresses") or () if isinstance(each, Mapping)]
    return Face(
        id=identity,
        kind="party",
        title=email or name or identity,
        origins=origins,
        names=(name,) if name else (),
        email=email,
        tax_number=_text(values.get("taxvat")),
        place=_text(values.get("website_id")),
        postcodes=_plain(_NOT_PLAIN.sub("", _text(each.get("postcode"))).upper() for each in addresses),
        phones=_plain(
            digits[-_LAST_DIGITS:]
            for each in addresses
            if len(digits := _NOT_DIGIT.sub("", _text(each.get("telephone")))) >= _LAST_DIGITS
        ),
    )


def _product_face(identity: str, values: Mapping[str, Any], *, origins: tuple[str, ...]) -> Face:
    sku, name = _text(values.get("sku")), _text(values.get("name"))
    return Face(
        id=identity,
        kind="item",
        title=sku or identity,
        origins=origins,
        numbers=(sku,) if sku else (),
        names=(name,) if name else (),
    )


def _without_connection(row: OurRow) -> Iterable[str]:
    """`customer/17` of `shop/customer/17`."""
    return (key.removeprefix(f"{row.connection}/") for key in row.origins)


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


MATCHERS: tuple[Matcher, ...] = (
    Matcher(
        entity="customers",
        stream="customers",
        ours=our_customer,
        theirs=their_customers,
        held=held_of_master_data,
        needs=("email", "firstname", "lastname", "website_id", "taxvat", "addresses"),
        origin="contacts",
    ),
    Matcher(
        entity="products",
        stream="products",
        ours=our_product,
        theirs=their_products,
        held=held_of_master_data,
        needs=("sku", "name"),
        origin="items",
    ),
)
