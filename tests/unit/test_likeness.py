"""Likeness: what is the same to a person is, and what is not never becomes so by being close."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cdc import likeness


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane Smith", "SMITH, Jane"),
        ("Müller & Söhne GmbH", "Muller und Sohne"),
        ("ACME Ltd", "Acme Limited"),
        ("Dr. José  Núñez", "jose nunez"),
    ],
)
def test_a_name_is_the_same_in_another_order_with_other_accents_and_forms(one: str, other: str) -> None:
    assert likeness.name_likeness(one, other) == 1.0


def test_a_family_name_alone_is_no_person() -> None:
    assert likeness.name_likeness("Smith", "Jane Smith") < 0.9


def test_other_people_are_unlike() -> None:
    assert likeness.name_likeness("Jane Smith", "Robert Okafor") < 0.5


def test_a_slip_of_the_keyboard_is_like() -> None:
    assert likeness.name_likeness("Jonathan Fairweather", "Jonathon Fairweather") >= 0.9


@pytest.mark.parametrize(
    "compare", [likeness.name_likeness, likeness.number_likeness, likeness.email_likeness]
)
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_what_is_empty_on_both_sides_is_not_alike(compare, empty) -> None:
    assert compare(empty, empty) == 0.0


def test_numbers_are_alike_behind_another_prefix_and_the_same_without_separators() -> None:
    assert likeness.number_likeness("WEB-000001042", "INV 1042") == 0.8
    assert likeness.number_likeness("WEB-1042", "web 1042") == 1.0


def test_short_runs_of_digits_name_nothing() -> None:
    assert likeness.numbers_in("2 mugs, order 000000012") == ("000000012",)
    assert likeness.core_of("0007") == ""


def test_a_cent_is_rounding_and_a_half_is_another_amount() -> None:
    assert likeness.amount_likeness(Decimal("114.00"), Decimal(114)) == 1.0
    assert likeness.amount_likeness(Decimal("114.00"), Decimal("114.01")) == 0.9
    assert likeness.amount_likeness(Decimal("114.00"), Decimal("57.00")) == 0.0


def test_a_tax_number_is_the_same_with_or_without_its_country_and_no_other() -> None:
    assert likeness.tax_number_likeness("GB 123 4567 89", "123456789") == 1.0
    assert likeness.tax_number_likeness("GB123456789", "DE123456789") == 0.0
    assert likeness.tax_number_likeness("GB123456789", "GB123456780") == 0.0


def test_an_address_is_the_same_in_another_case_and_at_most_like_with_a_slip() -> None:
    assert likeness.email_likeness("Jane.Smith@Example.com ", "jane.smith@example.com") == 1.0
    assert likeness.email_likeness("jane.smith@example.com", "jane.smith@exampel.com") == 0.5
    assert likeness.email_likeness("jane@example.com", "bob@example.com") == 0.0
