"""Comparing what was sent with what Xero shows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.writers.xero_values import business_date, differs, lacking, line_ids, returned, same
from cdc.writing import Outgoing

EMPTY = {"$cleared": True}


def outgoing(payload, **changes):
    return replace(Outgoing(entry=1, key="shop/order/1/1", operation="create", payload=payload), **changes)


@pytest.mark.parametrize(
    ("field", "sent", "held"),
    [
        ("Date", "2026-01-01", "/Date(1767225600000+0000)/"),
        ("Date", "2026-01-01", "/Date(1767225600000)/"),
        ("Date", "2026-01-01", "/Date(1767225600000+1300)/"),
        ("DueDate", "1969-12-31", "/Date(-86400000+0000)/"),
        ("DueDate", "2026-01-31", "2026-01-31T00:00:00"),
        ("Status", "AUTHORISED", "PAID"),
        ("Status", "PAID", "AUTHORISED"),
        ("Total", Decimal("1.0"), Decimal("1.00")),
        ("Total", 1, Decimal("1.00")),
        ("UnitAmount", Decimal("12.3456"), Decimal("12.35")),
        ("CurrencyRate", Decimal("1.153657"), Decimal("1.1536570000")),
        ("Name", "Jane  Doe ", "Jane Doe"),
        ("Description", "a\r\nb", "a\nb"),
        ("EmailAddress", "Jane@Example.com", "jane@example.com"),
        ("Reference", EMPTY, ""),
        ("Reference", EMPTY, None),
        ("Reference", "", None),
        ("IsReconciled", True, "true"),
        ("Contact", {"ContactID": "AB-1"}, {"ContactID": "ab-1", "Name": "Jane"}),
        (
            "Tracking",
            [{"Name": "Channel", "Option": "Web"}],
            [{"Name": "Channel", "Option": "Web", "TrackingCategoryID": "1"}],
        ),
        (
            "Phones",
            [{"PhoneType": "DEFAULT", "PhoneNumber": "1"}],
            [
                {"PhoneType": "DDI", "PhoneNumber": ""},
                {"PhoneType": "DEFAULT", "PhoneNumber": "1", "PhoneAreaCode": ""},
            ],
        ),
        (
            "Addresses",
            [{"AddressType": "POBOX", "City": "Wien"}],
            [{"AddressType": "STREET"}, {"AddressType": "POBOX", "City": "Wien", "Country": ""}],
        ),
    ],
)
def test_xeros_own_form_says_the_same(field, sent, held):
    assert same(field, sent, held)


@pytest.mark.parametrize(
    ("field", "sent", "held"),
    [
        ("Date", "2026-01-01", "2026-01-02"),
        ("Status", "AUTHORISED", "VOIDED"),
        ("Status", "DRAFT", "AUTHORISED"),
        ("Total", Decimal("1.00"), Decimal("1.01")),
        ("UnitAmount", Decimal("12.3456"), Decimal("12.34")),
        ("TaxAmount", Decimal("0.005"), Decimal("0.01")),
        ("Reference", "SO-1", ""),
        ("Reference", EMPTY, "SO-1"),
        ("Reference", None, "SO-1"),
        ("AccountCode", "0200", "200"),
        ("Contact", {"ContactID": "1"}, {"ContactID": "2"}),
        ("Tracking", [{"Name": "Channel", "Option": "Web"}], []),
        ("Tracking", [{"Name": "Channel", "Option": "Web"}], [{"Name": "Channel", "Option": "Shop"}]),
        (
            "Addresses",
            [{"AddressType": "STREET", "City": "Wien"}],
            [{"AddressType": "STREET", "City": "Graz"}],
        ),
        ("Amount", Decimal(1), True),
    ],
)
def test_another_value_is_not_the_same(field, sent, held):
    assert not same(field, sent, held)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.decimals(allow_nan=False, allow_infinity=False, places=4)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcXY", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["Reference", "Contact", "Total", "Status", "Name"]), values)
def test_a_value_is_the_same_as_itself(field, value):
    assert same(field, value, value)


@given(st.dictionaries(st.text("abcXY", min_size=1, max_size=3), values, max_size=4), values)
def test_what_was_returned_is_the_same_as_what_is_returned_again(payload, noise):
    """A record judged against what it itself gave back never looks like a change."""
    record = {**payload, "UpdatedDateUTC": noise}

    once = returned(payload, record)

    assert all(same(name, value, returned(payload, record)[name]) for name, value in once.items())


@given(st.dates())
def test_dates_survive_xeros_form(day):
    from datetime import UTC, datetime

    ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)

    assert business_date(f"/Date({ms}+0000)/") == day == business_date(day.isoformat())


LINES = [
    {
        "_line": "10",
        "Description": "Mug",
        "UnitAmount": Decimal("5.00"),
        "Tracking": [{"Name": "Channel", "Option": "Web"}],
    },
    {"_line": "20", "Description": "Hat", "UnitAmount": Decimal("7.00")},
]
HELD = [
    {
        "LineItemID": "A",
        "Description": "Mug",
        "UnitAmount": Decimal("5.0000"),
        "TaxType": "OUTPUT2",
        "Tracking": [{"Name": "Channel", "Option": "Web", "TrackingOptionID": "9"}],
    },
    {"LineItemID": "B", "Description": "Hat", "UnitAmount": Decimal("7.0000"), "Tracking": []},
]


def test_answer_that_shows_everything_differs_in_nothing():
    one = outgoing({"Type": "ACCREC", "LineItems": LINES}, total=Decimal("12.00"))

    assert (
        differs(one, {"Type": "ACCREC", "LineItems": HELD, "Total": Decimal("12.00")}, total_field="Total")
        == ()
    )


def test_tracking_dropped_without_a_word_is_named_with_its_line():
    one = outgoing({"LineItems": LINES})
    held = [{**HELD[0], "Tracking": []}, HELD[1]]

    assert differs(one, {"LineItems": held}, total_field=None) == ("LineItems[10].Tracking",)


def test_another_total_is_named():
    one = outgoing({"Type": "ACCREC"}, total=Decimal("12.00"))

    assert differs(one, {"Type": "ACCREC", "Total": Decimal("12.01")}, total_field="Total") == ("_total",)


def test_lines_are_compared_by_their_ids_where_both_have_them():
    one = outgoing({"LineItems": LINES}, line_ids={"10": "A", "20": "B"})

    assert differs(one, {"LineItems": list(reversed(HELD))}, total_field=None) == ()


def test_a_line_that_a_person_added_is_a_change():
    then = returned({"LineItems": LINES}, {"LineItems": HELD})
    now = returned({"LineItems": LINES}, {"LineItems": [*HELD, {"LineItemID": "C", "Description": "Gift"}]})

    assert not same("LineItems", then["LineItems"], now["LineItems"])


def test_lines_in_another_order_are_no_change():
    then = returned({"LineItems": LINES}, {"LineItems": HELD})
    now = returned({"LineItems": LINES}, {"LineItems": list(reversed(HELD))})

    assert same("LineItems", then["LineItems"], now["LineItems"])


def test_lines_are_returned_in_the_order_in_which_they_were_before():
    then = returned({"LineItems": LINES}, {"LineItems": HELD})
    added = {"LineItemID": "C", "Description": "Gift"}

    now = returned(then, {"LineItems": [added, *reversed(HELD)]})

    assert [line["LineItemID"] for line in now["LineItems"]] == ["A", "B", "C"]


def test_fields_that_we_never_sent_are_not_returned():
    assert returned({"Reference": "a"}, {"Reference": "b", "Url": "c"}) == {"Reference": "b"}


def test_only_the_fields_of_an_update_are_compared():
    one = outgoing({"Reference": "a", "DueDate": "2026-01-01"}, operation="update", fields=("Reference",))

    assert differs(one, {"Reference": "a", "DueDate": "2025-01-01"}, total_field=None) == ()


def test_adopted_contact_gets_only_what_it_lacks():
    payload = {
        "Name": "Jane Doe",
        "ContactNumber": "shop/customer/7",
        "FirstName": "Jane",
        "Addresses": [{"AddressType": "STREET", "City": "Wien"}],
    }
    record = {
        "Name": "ACME Ltd",
        "FirstName": "",
        "Addresses": [{"AddressType": "STREET", "City": ""}, {"AddressType": "POBOX", "City": "Graz"}],
    }

    assert lacking(payload, record) == ("ContactNumber", "FirstName", "Addresses")
    assert lacking(payload, {**record, "Addresses": [{"AddressType": "STREET", "City": "Graz"}]}) == (
        "ContactNumber",
        "FirstName",
    )


def test_known_lines_keep_their_ids_and_new_ones_follow_in_order():
    one = outgoing(
        {"LineItems": [{"_line": "new"}, {"_line": "10"}]},
        operation="update",
        target_id="I",
        line_ids={"10": "A"},
    )

    assert line_ids(one, {"LineItems": [{"LineItemID": "A"}, {"LineItemID": "N"}]}) == {"10": "A", "new": "N"}


def test_line_ids_are_not_guessed_when_the_number_of_lines_is_another():
    assert line_ids(outgoing({"LineItems": LINES}), {"LineItems": HELD[:1]}) == {}
