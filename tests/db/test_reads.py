"""What views read of the mirrored records, by what Postgres made of them: no field too few, whatever the SQL looks like."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from cdc.reads import Fields, of_views, views_of

Session = psycopg.Connection[dict[str, Any]]

TABLE = "staging.magento__orders"
ORDER: dict[str, Any] = {
    "state": "new",
    "Total": "12.00",
    "total": 5,
    "comment": "please ring twice",
    "items": [{"sku": "bag", "qty": 2}],
    "payment": {"method": "card", "comment": "none"},
    "odd name": "x",
    "text": "y",
}


def _read(session: Session, view: str, *above: str) -> Fields:
    """What the last of these views of a set reads; `view` is the staging model, each may name those before as v0, v1, …"""
    session.execute("create schema t__stg")
    session.execute("create schema t__outbound")
    session.execute(f"create view t__stg.v0 as {view}")
    for number, text in enumerate(above, start=1):
        named = text
        for before in range(number):
            named = named.replace(f"v{before}", f"{'t__stg' if before == 0 else 't__outbound'}.v{before}")
        session.execute(f"create view t__outbound.v{number} as {named}")
    root = ("outbound", f"v{len(above)}") if above else ("stg", "v0")
    return of_views(views_of(session, prefix="t"), [root])


@pytest.fixture
def session(connection: Session) -> Session:
    connection.execute(
        f"insert into {TABLE} (connection, id, payload, content_hash, version) values ('shop', '1', %s, '', 1)",
        (Jsonb(ORDER),),
    )
    return connection


PLAIN = {
    "one field": (f"select id, payload ->> 'state' as state from {TABLE}", {"state"}),
    "an object below": (f"select s.payload -> 'payment' ->> 'method' as m from {TABLE} as s", {"payment"}),
    "a path": (f"select s.payload #>> '{{items,0,sku}}' as m from {TABLE} as s", {"items"}),
    "a subscript": (f"select s.payload['Total'] as m from {TABLE} as s", {"Total"}),
    "a record": (
        f'select r.* from {TABLE} as s, jsonb_to_record(s.payload) as r (state text, "Total" numeric(12, 2), items jsonb)',
        {"state", "Total", "items", "text", "numeric", "12", "2", "jsonb"},
    ),
    "names that Postgres folds": (
        f"select r.total from {TABLE} as s, jsonb_to_record(s.payload) as r (TOTAL text)",
        {"total", "text"},
    ),
    "escapes in the name": (
        f"select payload -> U&'st\\0061te' as m, payload -> E'to\\x74al' as n from {TABLE}",
        {"state", "total"},
    ),
    "a text in two parts": (f"select payload -> 'sta'\n'te' as m from {TABLE}", {"state"}),
    "two readings": (
        f"select payload -> 'state' as a, payload #> '{{payment}}' as b from {TABLE}",
        {"state", "payment"},
    ),
    "the word in a text": (f"select 'its payload' as a, payload -> 'state' as b from {TABLE}", {"state"}),
    "a query within": (
        f"select f.m from (select s.payload -> 'comment' as m from {TABLE} as s) as f",
        {"comment"},
    ),
    "two arms": (
        f"select payload -> 'state' as a from {TABLE} union all select payload -> 'comment' from {TABLE}",
        {"state", "comment"},
    ),
    "keys alone": (f"select connection, id, customer_id from {TABLE}", set()),
}

ANY = {
    "the payload itself": f"select payload from {TABLE}",
    "the payload by another name": f"with raw as (select s.payload as p from {TABLE} as s) select raw.p ->> 'state' as m from raw",
    "columns by other names": f"select s.c -> 'state' as m from {TABLE} as s (a, b, c)",
    "every column": f"select * from {TABLE}",
    "every field": f"select each.key, each.value from {TABLE} as s, jsonb_each_text(s.payload) as each",
    "a name that is computed": f"select payload -> ('sta' || 'te') as m from {TABLE}",
    "a name from a column": f"select payload -> id as m from {TABLE}",
    "a path with quotes": f"""select payload #>> '{{"odd name"}}' as m from {TABLE}""",
    "a path that is computed": f"select payload #>> array['state', id] as m from {TABLE}",
    "an odd name": f"select payload ->> 'odd name' as m from {TABLE}",
    "whether there is a field": f"select payload ? 'state' as m from {TABLE}",
    "a wildcard": f"select jsonb_path_query_array(payload, '$.*') as m from {TABLE}",
    "a comparison": f"select payload = '{{}}' as m from {TABLE}",
    "its text": f"select payload::text as m from {TABLE}",
    "less a field": f"select payload - 'state' as m from {TABLE}",
    "the whole row": f"select to_jsonb(s) as m from {TABLE} as s",
    "the row as text": f"select s::text as m from {TABLE} as s",
    "a record of fields of a record": f"select (jsonb_populate_record(null::cdc.history, payload)).run from {TABLE}",
    "a join by the payload": f"select 1 as m from {TABLE} as a join {TABLE} as b using (connection, payload)",
    "columns joined by name": (
        f"select r.state from {TABLE} as a join {TABLE} as s using (connection),"
        " jsonb_to_record(s.payload) as r (state text)"
    ),
    "when it was loaded": f"select payload -> 'state' as a, loaded_at from {TABLE} where loaded_at > '2026-01-01'",
    "a version that decides": f"select id, version % 2 as odd from {TABLE}",
    "a version in two places": f"select version, modified_at from {TABLE} order by version",
    "rows by their version": f"select distinct id, version from {TABLE}",
    "a version in one of two arms": f"select id, 0 as version from {TABLE} union all select id, version from {TABLE}",
    "its place on the disk": f"select id, ctid::text as place from {TABLE}",
}


@pytest.mark.parametrize("form", PLAIN)
def test_fields_that_are_named_are_found(session: Session, form: str) -> None:
    text, expected = PLAIN[form]

    fields = _read(session, text)

    assert fields == {"magento__orders": frozenset(expected)}


@pytest.mark.parametrize("form", ANY)
def test_what_does_not_plainly_name_fields_reads_all(session: Session, form: str) -> None:
    fields = _read(session, ANY[form])

    assert fields == {"magento__orders": None}


@pytest.mark.parametrize("form", PLAIN)
def test_a_change_in_any_other_field_changes_no_row(session: Session, form: str) -> None:
    text, _ = PLAIN[form]
    fields = _read(session, text)
    before = session.execute("select * from t__stg.v0").fetchall()
    known = fields["magento__orders"]
    assert known is not None

    for name in ORDER.keys() - known:
        edited = {**ORDER, name: "another"}
        session.execute(
            f"update {TABLE} set payload = %s, version = version + 1, loaded_at = now()", (Jsonb(edited),)
        )
        assert session.execute("select * from t__stg.v0").fetchall() == before


SHOWN = f"select id, version, modified_at as changed_at, payload ->> 'state' as state from {TABLE}"


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        pytest.param(["select id, state from v0"], {"state"}, id="nobody reads the version"),
        pytest.param(["select id, version from v0"], None, id="somebody does"),
        pytest.param(
            ["select id, changed_at from v0", "select id from v1"], None, id="somebody further down"
        ),
        pytest.param(["select to_jsonb(s) as m from v0 as s"], None, id="the row as a value"),
        pytest.param(
            ["select to_jsonb(few) as m from (select id, state from v0) as few"],
            {"state"},
            id="a part of it as a value",
        ),
        pytest.param(["select * from v0"], None, id="every column"),
    ],
)
def test_a_version_counts_where_it_is_read(
    session: Session, above: list[str], expected: set[str] | None
) -> None:
    fields = _read(session, SHOWN, *above)

    assert fields == {"magento__orders": None if expected is None else frozenset(expected)}


def test_a_version_that_the_engine_itself_is_shown_counts(session: Session) -> None:
    assert _read(session, SHOWN) == {"magento__orders": None}


def test_of_what_hides_what_it_reads_nothing_is_known(session: Session) -> None:
    """A table that dbt filled, a function that may read by itself, a view that is not ours: every change counts."""
    session.execute("create function public.peek(text) returns text language sql stable as 'select $1'")
    session.execute("create view public.theirs as select 1 as one")
    session.execute(
        f"create schema t__stg create view v0 as select id, payload ->> 'state' as state from {TABLE}"
    )
    session.execute("create table t__stg.filled as select * from t__stg.v0")
    session.execute("create view t__stg.by_table as select id from t__stg.filled")
    session.execute("create view t__stg.by_function as select public.peek(id) as id from t__stg.v0")
    session.execute("create view t__stg.by_theirs as select id from t__stg.v0, public.theirs")
    views = views_of(session, prefix="t")

    assert of_views(views, [("stg", "v0")]) == {"magento__orders": frozenset({"state"})}
    for name in ("by_table", "by_function", "by_theirs", "filled", "not there"):
        assert of_views(views, [("stg", name)]) == {}


def test_lines_and_header_read_together(session: Session) -> None:
    session.execute("create schema t__stg")
    session.execute(f"create view t__stg.head as select id, payload ->> 'state' as state from {TABLE}")
    session.execute(f"create view t__stg.lines as select id, payload -> 'items' as items from {TABLE}")

    fields = of_views(views_of(session, prefix="t"), [("stg", "head"), ("stg", "lines")])

    assert fields == {"magento__orders": frozenset({"state", "items"})}
