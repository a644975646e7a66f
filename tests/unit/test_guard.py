"""Which entries of a diff are held for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cdc.guard import Made, Posted, Standing, enough_for, is_shrunken, refuse_unknown, stops
from tieout.errors import ConfigurationError
from tieout.limits import Limits

LIMITS = Limits(creates=10, updates=5, removals=1)
MONEY = Limits(amounts={"EUR": Decimal(1000)}, largest={"EUR": Decimal(400)})
BOOKS = Standing(posts=True, linked=lambda _enough: 100)


def made(**counts: int) -> list[Made]:
    return [Made(operation=name, currency=None, entries=count) for name, count in counts.items()]


def euros(amount: int, *, largest: int = 0, entries: int = 3, **changes: Any) -> Made:
    plain = Made(
        operation="create", currency="EUR", entries=entries, amount=Decimal(amount), largest=Decimal(largest)
    )
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("counts", "is_new", "is_changed", "held"),
    [
        pytest.param({}, True, True, {}, id="nothing made"),
        pytest.param({"create": 10, "update": 5, "remove": 1}, False, False, {}, id="within the limits"),
        pytest.param(
            {"create": 11, "update": 1},
            False,
            False,
            {"create": "over the limit of creates"},
            id="too many creates",
        ),
        pytest.param(
            {"remove": 2}, False, False, {"remove": "over the limit of removals"}, id="too many removals"
        ),
        pytest.param(
            {"create": 1, "update": 1},
            True,
            False,
            {"create": "first run of a new model", "update": "first run of a new model"},
            id="new model",
        ),
        pytest.param(
            {"create": 1, "update": 1, "remove": 1},
            False,
            True,
            {"update": "changed model", "remove": "changed model"},
            id="changed model lets creates pass",
        ),
        pytest.param(
            {"create": 11, "update": 6},
            False,
            True,
            {"create": "over the limit of creates", "update": "changed model"},
            id="changed model and too many creates",
        ),
    ],
)
def test_which_operations_are_held(
    counts: Mapping[str, int], is_new: bool, is_changed: bool, held: Mapping[str, str]
) -> None:
    found = stops(
        made(**counts), LIMITS, Standing(is_new=is_new, is_changed=is_changed, linked=lambda _enough: 1000)
    )

    assert {operation: stop.cause for stop in found for operation in stop.operations} == held


def test_counts_of_all_currencies_are_one_count() -> None:
    some = [replace(each, currency=name) for name in ("EUR", "GBP") for each in made(create=6)]

    (stop,) = stops(some, LIMITS, Standing())

    assert stop.reason == "The diff made 12 entries of this kind; the limit (creates) is 10."


@pytest.mark.parametrize(
    ("count", "linked", "is_held"),
    [
        pytest.param(30, 100, False, id="within the share"),
        pytest.param(60, 100, True, id="beyond the share"),
        pytest.param(19, 20, False, id="too few to be a share"),
        pytest.param(20, 0, True, id="nothing is in the target"),
    ],
)
def test_changes_are_held_beyond_a_share_of_what_is_in_the_target(
    count: int, linked: int, is_held: bool
) -> None:
    def counted(enough: int | None) -> int:
        # Books are large: nobody counts further than it takes to know.
        return linked if enough is None else min(linked, enough)

    found = stops(made(update=count), Limits(), Standing(linked=counted))

    assert [stop.cause for stop in found] == (["over the limit of updates_share"] if is_held else [])


@pytest.mark.parametrize(
    ("count", "share", "enough"),
    [
        pytest.param(30, "0.5", 60, id="exactly the share"),
        pytest.param(31, "0.3", 104, id="rounded up"),
        pytest.param(1, "0", None, id="none is ever enough"),
    ],
)
def test_so_many_records_are_enough_for_a_count_to_be_within_a_share(
    count: int, share: str, enough: int | None
) -> None:
    assert enough_for(count, Decimal(share)) == enough
    assert enough is None or Decimal(share) * (enough - 1) < count <= Decimal(share) * enough


def test_creates_have_no_share_unless_one_is_set() -> None:
    standing = Standing(linked=lambda _enough: 10)

    assert stops(made(create=400), Limits(), standing) == ()
    assert stops(made(create=400), Limits(creates_share=Decimal("0.5")), standing)[0].operations == (
        "create",
    )


def test_money_is_limited_by_currency_and_never_added_over_currencies() -> None:
    limits = replace(MONEY, amounts={"EUR": Decimal(1000), "GBP": Decimal(1000)}, largest={})

    assert stops([euros(900), euros(900, currency="GBP")], limits, BOOKS) == ()
    (stop,) = stops([euros(1001), euros(900, currency="GBP")], limits, BOOKS)
    assert (stop.cause, stop.currency) == ("over the limit of amounts in EUR", "EUR")


def test_of_single_large_documents_only_those_are_held() -> None:
    (stop,) = stops([euros(900, largest=401)], MONEY, BOOKS)

    assert (stop.cause, stop.currency, stop.above) == (
        "over the limit of largest in EUR",
        "EUR",
        Decimal(400),
    )


def test_a_currency_without_a_limit_is_held_where_money_is_limited() -> None:
    (stop,) = stops([euros(1, currency="CHF")], MONEY, BOOKS)

    assert (stop.cause, stop.currency) == ("no limit for CHF", "CHF")


def test_a_document_without_an_amount_is_not_within_a_limit_of_money() -> None:
    without = euros(0, currency=None, without_amount=3)

    (stop,) = stops([without], MONEY, BOOKS)

    assert (stop.cause, stop.without_amount) == ("no amount to compare with the limit", True)
    assert stops([without], MONEY, replace(BOOKS, posts=False)) == ()
    assert stops([without], Limits(), BOOKS) == ()


def test_money_is_limited_by_share_of_what_is_posted_and_says_what_is_not_known() -> None:
    limits = Limits(amounts_share=Decimal("0.1"))
    standing = replace(BOOKS, posted=lambda: Posted(amounts={"EUR": Decimal(1000)}, unknown=7))

    assert stops([euros(100, entries=20)], limits, standing) == ()
    (stop,) = stops([euros(101, entries=20)], limits, standing)
    assert stop.cause == "over the limit of amounts_share in EUR"
    assert "of 7 records the amount is not known" in stop.reason


def test_one_model_may_have_limits_of_its_own() -> None:
    limits = Limits(updates=5, models={"out_items": {"updates": 5000}})

    assert (limits.of("out_items").updates, limits.of("out_invoices").updates) == (5000, 5)


def test_limits_of_a_model_that_is_not_in_force_are_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="limit out_item,") as told:
        refuse_unknown(Limits(models={"out_item": {}}), ["out_items", "out_invoices"])

    assert "out_items comes near" in told.value.cure


@pytest.mark.parametrize(
    ("vanished", "linked", "shrank"),
    [(3, 3, False), (4, 4, True), (10, 100, False), (11, 100, True)],
)
def test_many_rows_gone_at_once_are_a_shrunken_input(vanished: int, linked: int, shrank: bool) -> None:
    assert is_shrunken(vanished, Limits(), linked) is shrank
