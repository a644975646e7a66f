"""The same mapping has the same normal form, whatever set, database or comments it was written in."""

from __future__ import annotations

import pytest

from cdc.lineage import normalised, without_texts


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
