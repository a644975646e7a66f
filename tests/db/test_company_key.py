"""Which company an order bills: one company typed in several ways is one, and two are never taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tieout.db import Database

SAME = (
    ({"company": "ACME Ltd", "vat_id": "GB 436 5870 12"}, "GB436587012/acme"),
    ({"company": "The Acme Limited", "vat_id": "gb436587012"}, "GB436587012/acme"),
    ({"company": "A.C.M.E.", "vat_id": "436587012"}, "GB436587012/acme"),
    ({"company": "", "vat_id": "GB436587012"}, "GB436587012/-"),
    ({"company": "Bolt & Sons Ltd."}, "GB/ls11aa/bolt sons ltd"),
    ({"company": " BOLT and sons", "postcode": "ls1-1aa"}, "GB/ls11aa/bolt and sons"),
    ({"company": "Bolt & Sons Limited"}, "GB/ls11aa/bolt sons ltd"),
    ({"company": "Bolt", "postcode": None}, "GB/leeds 1 high st/bolt"),
    ({"company": "Zoë's Café"}, "GB/ls11aa/zoës café"),
    ({"company": "Αθηνά", "vat_id": "436587012", "country_id": "GR"}, "EL436587012/αθηνά"),
)
NONE: tuple[dict[str, Any], ...] = (
    {},
    {"company": "n/a"},
    {"company": "None."},
    {"company": "-"},
    {"vat_id": "12345678"},
    {"vat_id": "GB000000000"},
    {"vat_id": "GB123456789"},
    {"vat_id": "no vat"},
    {"company": "Bolt", "country_id": None},
)
PLACE = {"country_id": "GB", "postcode": "LS1 1AA", "city": "Leeds", "street": ["1 High St"]}


def _key(database: Database, billing: dict[str, Any] | None, tax_number: str | None = None) -> str | None:
    with database.connect() as session:
        row = session.execute(
            "select staging.company_key(%s::jsonb, %s) as key",
            (None if billing is None else json.dumps({**PLACE, **billing}), tax_number),
        ).fetchone()
    assert row is not None
    key: str | None = row["key"]
    return key


@pytest.mark.parametrize(("billing", "key"), SAME)
def test_a_company_is_known_by_number_and_first_word_else_by_place_and_name(
    database: Database, billing: dict[str, Any], key: str
) -> None:
    assert _key(database, billing) == key


@pytest.mark.parametrize("billing", NONE)
def test_what_people_type_instead_of_a_company_or_number_is_none(
    database: Database, billing: dict[str, Any]
) -> None:
    assert _key(database, billing) is None


def test_a_group_that_shares_its_number_is_still_several_companies(database: Database) -> None:
    number = {"vat_id": "GB436587012"}

    assert _key(database, {**number, "company": "Acme Ltd"}) != _key(
        database, {**number, "company": "Bolt Ltd"}
    )


def test_the_number_of_the_customer_counts_where_the_address_has_none(database: Database) -> None:
    assert _key(database, {"company": "Acme"}, "GB436587012") == "GB436587012/acme"
    assert _key(database, None, "GB436587012") == "GB436587012/-"
