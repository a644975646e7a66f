"""The same mapping has the same normal form, whatever set, database or comments it was written in."""

from __future__ import annotations

import pytest

from cdc.lineage import _ordered, normalised, without_texts
from cdc.outbound import OutboundModel
from tieout.errors import BuildError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            'select a  -- why\nfrom "db"."build__stg"."x"', 'select a from "stg"."x"', id="comment and names"
        ),
        pytest.param(
            "select a -- don't\n, 'b'", "select a , 'b'", id="an apostrophe in a comment opens no text"
        ),
        pytest.param("select '--  no /* comment'", "select '--  no /* comment'", id="marks inside a text"),
        pytest.param("select /* a\n b */ 1", "select 1", id="block comment"),
        pytest.param("select 'it''s  -- x' as a", "select 'it''s  -- x' as a", id="doubled apostrophe"),
        pytest.param(
            'from "db"."staging"."x" as "-- y"', 'from "staging"."x" as "-- y"', id="sources, quoted names"
        ),
    ],
)
def test_sql_has_one_normal_form(text: str, expected: str) -> None:
    assert normalised(text, "build") == expected


def test_two_sets_and_two_databases_give_the_same_text() -> None:
    one = normalised('select 1 from "tieout"."build__canonical"."orders"', "build")
    other = normalised('select 1\nfrom "copy"."against__canonical"."orders"', "against")

    assert one == other


def test_words_inside_texts_are_not_looked_at() -> None:
    assert "now" not in without_texts("select 'now() or never' as reason")


def _model(name: str, entity: str, *refers_to: str) -> OutboundModel:
    return OutboundModel(
        name=name,
        schema="outbound",
        system="xero",
        entity=entity,
        driver="magento__orders",
        columns=(),
        lines=(),
        amend="open_only",
        on_target_change={},
        both_ways={},
        on_both_changed={},
        marker=None,
        on_missing="hold",
        dirty=(),
        refers_to=refers_to,
        tables=(),
        lookups=(),
        position=0,
        code_hash="",
        lookups_hash="",
    )


def test_what_others_refer_to_comes_first_and_one_of_several_makers_is_enough() -> None:
    models = [
        _model("refunds", "payments", "credit_notes"),
        _model("credit_notes", "credit_notes", "contacts", "payments"),
        _model("payments", "payments", "invoices"),
        _model("invoices", "invoices", "contacts"),
        _model("contacts", "contacts"),
    ]

    order = [model.name for model in _ordered(models)]

    assert order == ["contacts", "invoices", "payments", "credit_notes", "refunds"]


def test_a_model_that_refers_to_what_only_it_makes_is_a_circle() -> None:
    with pytest.raises(BuildError, match="in a circle: invoices refers to invoices"):
        _ordered([_model("invoices", "invoices", "invoices")])
