"""The field catalogue refuses what the target would refuse, with the nearest name."""

from __future__ import annotations

import pytest

from cdc.catalogue import fields, nearest, objection
from cdc.lookups import CODE_LIKENESS
from cdc.writing import open_writers


@pytest.mark.parametrize("system", ["xero", "magento"])
def test_every_entity_that_is_written_has_its_fields(system):
    assert all(fields(system, entity) for entity in open_writers(system))


@pytest.mark.parametrize(
    "path",
    [
        ["InvoiceNumber"],
        ["LineItems", "AccountCode"],
        ["LineItems", "Tracking", "Option"],
        ["Contact", "ContactID"],
    ],
    ids=".".join,
)
def test_known_field_is_accepted(path):
    assert objection(fields("xero", "invoices"), path) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (["InvoicNumber"], "did you mean 'InvoiceNumber'?"),
        (["LineItems", "accountcode"], "did you mean 'AccountCode'?"),
        (["LineItems", "Tracking", "Opton"], "in LineItems.Tracking"),
        (["Total"], "computes 'Total'"),
        (["InvoiceID"], "computes 'InvoiceID'"),
        (["Contact", "Name"], "there is no field 'Name' in Contact"),
        (["Date", "Year"], "there is no field 'Year' in Date"),
    ],
)
def test_other_paths_are_refused_with_the_nearest_name(path, words):
    assert words in (objection(fields("xero", "invoices"), path) or "")


def test_credit_note_lines_are_those_of_documents():
    assert objection(fields("xero", "credit_notes"), ["LineItems", "TaxAmount"]) is None


@pytest.mark.parametrize(("code", "meant"), [("0201", "201"), ("209", None)])
def test_a_code_is_not_taken_for_another_that_only_shares_digits(code, meant):
    assert nearest(code, ["201", "820"], likeness=CODE_LIKENESS) == meant
