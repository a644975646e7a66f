"""Statements by name."""

from __future__ import annotations

import pytest
from psycopg import sql

from tieout.queries import compose, parse, query
from tieout.settings import package_root

FILES = sorted((package_root() / "sql" / "queries").glob("*.sql"))


def test_a_statement_is_found_without_its_heading():
    assert query("database", "next_version") == "select nextval('cdc.version') as version"


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(LookupError, match="perhaps 'next_version'"):
        query("database", "next_versions")


def test_a_wrong_file_is_named():
    with pytest.raises(LookupError, match=r"no sql/queries/nothing\.sql"):
        query("nothing", "at_all")


def test_identifiers_are_quoted_in_their_place():
    composed = compose("database", "copy_in", table=sql.Identifier("a", 'b"c'), columns=sql.Identifier("d"))

    assert composed.as_string(None) == 'copy "a"."b""c" ("d") from stdin'


def test_comments_inside_a_statement_stay_and_those_above_go():
    parsed = parse("-- name: one\n-- Why.\n\nselect 1 -- one\nfrom a;\n\n-- name: two\nselect 2;\n")

    assert parsed == {"one": "select 1 -- one\nfrom a", "two": "select 2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("-- name: a\nselect 1;\n-- name: a\nselect 2;", "written twice", id="twice"),
        pytest.param("-- name: a\n-- nothing\n", "empty", id="empty"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_statement_has_a_name_and_a_purpose(path):
    text = path.read_text(encoding="utf-8")
    before = text.partition("-- name:")[0]
    headless = [
        name
        for name, after in (
            (part.split("\n", 1)[0].strip(), part.split("\n", 2)[1]) for part in text.split("-- name:")[1:]
        )
        if not after.startswith("-- ")
    ]

    assert parse(text)
    assert all(line.startswith("--") or not line.strip() for line in before.splitlines())
    assert not headless, f"{path.name}: no purpose below the name of {headless}"
