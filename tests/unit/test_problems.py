"""How the problems of a row are told."""

from __future__ import annotations

import pytest

from cdc.problems import held_by, sentence


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ({"field": "price", "value": "twelve", "reason": "price is not a number: twelve"}, "price is not a number: twelve"),
        ({"field": "AccountCode", "value": "Bags", "reason": "no account"}, "AccountCode (Bags): no account"),
        ({"field": "customer_email", "value": None, "reason": "The order has no e-mail"}, "customer_email: The order has no e-mail"),
        ({"field": "Name", "value": "Maximiliana " * 9, "reason": "too long"}, "Name (Maximiliana Maximiliana Maximiliana Maxi…): too long"),
        ({"field": "Name"}, "Name: is not readable"),
    ],
)  # fmt: skip
def test_a_problem_says_its_value_once_and_cuts_a_long_one(problem: dict[str, str], told: str) -> None:
    assert sentence(problem) == told


def test_a_problem_that_several_lines_share_is_told_once_and_the_first_names_the_cure() -> None:
    unknown = {
        "field": "TaxType",
        "value": "X 20",
        "reason": "no tax type",
        "cure": "add a row",
        "who": "accountant",
        "cause": "tax",
    }

    held = held_by([unknown, unknown, {"field": "Name", "value": "A", "reason": "taken"}])

    assert held is not None
    assert held.reason == "TaxType (X 20): no tax type; Name (A): taken"
    assert (held.cause, held.cure, held.who) == ("tax", "add a row", "accountant")


def test_a_row_without_problems_is_not_held() -> None:
    assert held_by(()) is None
