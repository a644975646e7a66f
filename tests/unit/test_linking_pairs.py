"""Which pairs are proposed: sure ones without a rival are chosen, everything near is shown, nothing is taken twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.linking.assign import MARGIN, SURE, Pair, assign, best
from cdc.linking.evidence import judge
from cdc.linking.faces import Face, blocks

OURS = Face(
    id="shop/order/12/1", kind="document", title="WEB-000000011", numbers=("WEB-000000011",), orders=("000000012",),
    names=("Jane Smith",), amount=Decimal("114.00"), tax=Decimal("19.00"), currency="GBP", day=date(2026, 10, 14),
)  # fmt: skip
THEIRS = replace(OURS, id="guid-1", title="INV-77", numbers=("INV-77",), orders=("Order 000000012",))


def test_a_reference_to_the_order_with_amount_and_date_is_sure() -> None:
    found = judge(OURS, THEIRS)

    assert found.score >= Decimal("0.95")
    assert found.is_exact
    assert "names the order 000000012" in found.evidence
    assert found.against == ()


def test_another_amount_is_told_and_the_pair_stays_the_same_sale() -> None:
    found = judge(OURS, replace(THEIRS, amount=Decimal("104.00"), tax=Decimal("17.33")))

    assert found.score >= SURE
    assert "amount 114.00 here, 104.00 there" in found.against
    assert "tax 19.00 here, 17.33 there" in found.against


def test_the_same_price_for_somebody_else_on_the_same_day_is_no_proposal() -> None:
    found = judge(OURS, replace(THEIRS, orders=(), names=("Robert Okafor",)))

    assert found.score < SURE


def test_a_contact_is_known_by_its_address_and_not_by_a_common_name() -> None:
    ours = Face(id="k", kind="party", names=("Jane Smith",), email="jane@example.com")
    same = Face(id="a", kind="party", names=("J. Smith",), email="JANE@example.com")
    other = Face(id="b", kind="party", names=("Jane Smith",), email="jane.smith@elsewhere.org")

    assert judge(ours, same).score >= SURE
    assert judge(ours, other).score < Decimal("0.60")


def test_both_sides_meet_under_a_text_only_where_they_share_one() -> None:
    near = set(blocks(OURS, is_ours=True))
    assert OURS.day is not None
    late = replace(THEIRS, orders=(), names=(), day=OURS.day + timedelta(days=30))

    assert near & set(blocks(THEIRS, is_ours=False))
    assert not near & set(blocks(replace(late, numbers=("X",)), is_ours=False))


def test_a_record_that_is_there_twice_is_shown_and_not_chosen() -> None:
    found = assign([Pair(score=Decimal("0.98"), ours="a", theirs=each) for each in ("1", "2")])

    assert found.chosen == ()
    assert [pair.theirs for pair in found.unsure] == ["1", "2"]


def test_a_rival_with_a_better_place_is_none() -> None:
    found = assign(
        [
            Pair(score=Decimal("0.90"), ours="a", theirs="1"),
            Pair(score=Decimal("0.86"), ours="a", theirs="2"),
            Pair(score=Decimal("0.89"), ours="b", theirs="2"),
        ]
    )

    assert {(pair.ours, pair.theirs) for pair in found.chosen} == {("a", "1"), ("b", "2")}


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(60, 99)),
        unique_by=lambda drawn: drawn[:2],
        max_size=25,
    )
)
@settings(deadline=None)
def test_nothing_is_chosen_twice_and_no_chosen_pair_has_a_rival_without_a_better_place(drawn) -> None:
    pairs = [
        Pair(score=Decimal(score) / 100, ours=f"o{one}", theirs=f"t{other}") for one, other, score in drawn
    ]

    found = assign(pairs)

    assert len({pair.ours for pair in found.chosen}) == len(found.chosen)
    assert len({pair.theirs for pair in found.chosen}) == len(found.chosen)
    assert all(pair.score >= SURE for pair in found.chosen)
    taken = {pair.ours for pair in found.chosen} | {pair.theirs for pair in found.chosen}
    assert not any({pair.ours, pair.theirs} & taken for pair in found.unsure)
    assert len(set(best(pairs).values())) == len(best(pairs))
    for pair in found.chosen:
        equals = [
            other
            for other in pairs
            if other != pair
            and other.score > pair.score - MARGIN
            and ((other.ours == pair.ours) != (other.theirs == pair.theirs))
            and not {other.ours, other.theirs} & (taken - {pair.ours, pair.theirs})
        ]
        # What comes as near has a better place elsewhere, or it would have stopped the choice.
        for other in equals:
            assert any(
                place.score >= other.score + Decimal("0.02")
                for place in pairs
                if place != other and (place.ours == other.ours or place.theirs == other.theirs)
            )


def test_where_ours_was_made_from_it_nothing_else_counts_and_what_differs_is_told() -> None:
    ours = Face(
        id="books/contact/1", kind="party", origins=("customer/17",), email="new@example.com", place="1"
    )
    theirs = Face(id="17", kind="party", origins=("customer/17",), email="old@example.com", place="2")

    found = judge(ours, theirs)

    assert found.score >= Decimal("0.99")
    assert any("e-mail" in words for words in found.against)
    assert set(blocks(ours, is_ours=True)) & set(blocks(theirs, is_ours=False))


def test_the_same_address_for_mail_on_another_website_is_only_shown() -> None:
    ours = Face(id="k", kind="party", email="jane@example.com", place="1")

    assert judge(ours, replace(ours, id="1")).score >= SURE
    assert Decimal("0.60") <= judge(ours, replace(ours, id="2", place="2")).score < SURE


def test_a_person_of_the_same_house_under_another_e_mail_is_shown_and_a_namesake_is_not() -> None:
    ours = Face(id="k", kind="party", names=("Jane Smith",), email="jane@work.example", postcodes=("LS11AA",))
    theirs = replace(ours, id="1", email="jane@example.com")

    assert Decimal("0.60") <= judge(ours, theirs).score < SURE
    assert judge(ours, replace(theirs, postcodes=("BN11AA",))).score < Decimal("0.60")


def test_a_sku_that_is_written_otherwise_is_the_same_product() -> None:
    ours = Face(id="k", kind="item", numbers=("poster 2",), names=("Poster",))

    assert judge(ours, Face(id="1", kind="item", numbers=("POSTER-2",))).score >= SURE
    assert judge(ours, Face(id="2", kind="item", numbers=("LAMP-01",), names=("Poster",))).score < Decimal(
        "0.60"
    )


def test_a_deposit_is_known_by_our_mark_or_by_who_paid_how_much_when() -> None:
    ours = Face(
        id="k", kind="money", marks=("shop/order/7/deposit/1",), party="c-1", place="RECEIVE-PREPAYMENT",
        amount=Decimal("20.00"), currency="GBP", day=date(2026, 10, 14),
    )  # fmt: skip
    theirs = replace(ours, id="1", marks=("DEP 7",), day=date(2026, 10, 15))

    assert judge(ours, theirs).score >= SURE
    assert set(blocks(ours, is_ours=True)) & set(blocks(theirs, is_ours=False))
    assert judge(ours, replace(theirs, marks=ours.marks, party="", day=None)).score >= SURE
    assert judge(ours, replace(theirs, party="c-2")).score < Decimal("0.60")
    assert judge(ours, replace(theirs, place="RECEIVE-OVERPAYMENT")).score < Decimal("0.60")
