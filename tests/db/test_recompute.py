"""A past payload is computed again: records, models and lookups as they were then, whatever they are now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from cdc.diff import diff
from cdc.recompute import Recomputed, recompute
from cdc.story import story
from loaders.stage import RawRecord, merge
from tests.db.fix_build import Place, copied
from tieout.db import next_version
from tieout.errors import UsageError

KEY = "shop/order/2/1"
PLACE = {"connection": "books", "entity": "invoices", "key": KEY}


@pytest.fixture(scope="module")
def edited(
    server_url: str, built_template: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """An entry made for order 2; then the order changes at its source, the account in a lookup, and another is made."""
    with copied(server_url, built_template, tmp_path_factory.mktemp("edited")) as place:
        yield prepared(place)


def prepared(built: Place) -> Place:
    built.run(
        "insert into cdc.connections (connection, system) values ('shop', 'magento'), ('books', 'xero')"
    )
    load(
        built,
        "2",
        {"increment_id": "200", "category": "goods", "state": "new", "total": 20.5, "day": "2026-02-01"},
    )
    diff(built.database, built.settings)
    load(
        built,
        "2",
        {"increment_id": "200", "category": "goods", "state": "new", "total": 33, "day": "2026-02-01"},
    )
    built.edit("models/lookups/accounts.csv", "0201", "0299")
    built.build()
    diff(built.database, built.settings)
    return built


def load(place: Place, order: str, payload: dict[str, Any]) -> None:
    with place.database.connect() as session, session.transaction():
        merge(
            session, system="magento", stream="orders", connection_name="shop",
            records=[RawRecord(id=order, raw=json.dumps(payload).encode())], asked_version=next_version(session), told_by="poll",
        )  # fmt: skip


def entries(place: Place) -> list[int]:
    rows = place.rows(
        "select entry from cdc.outbox_done where key = %s union all select entry from cdc.outbox where key = %s order by 1",
        *(KEY, KEY),
    )
    return [row["entry"] for row in rows]


def computed(place: Place, entry: int) -> Recomputed:
    with place.database.connect() as session:
        return recompute(session, entry=entry)


def test_an_entry_is_equal_though_record_and_lookup_changed_since(edited: Place) -> None:
    first, second = entries(edited)

    then, now = computed(edited, first), computed(edited, second)

    assert (then.is_equal, now.is_equal) == (True, True), (then.sentence, now.sentence)
    assert then.computed is not None
    assert now.computed is not None
    (line,), (line_now,) = then.computed["LineItems"], now.computed["LineItems"]
    assert (line["AccountCode"], line["UnitAmount"]) == ("0201", Decimal("20.5"))
    assert (line_now["AccountCode"], line_now["UnitAmount"]) == ("0299", 33)


def test_computing_leaves_nothing_behind(edited: Place) -> None:
    with edited.database.connect() as session:
        recompute(session, entry=entries(edited)[0])
        left = session.execute(
            "select relname from pg_class where relnamespace = pg_my_temp_schema()"
        ).fetchall()

    assert left == []


def tampered(place: Place, statement: str) -> Recomputed:
    """The first entry computed after a statement of the tables' owner, which is taken back."""
    first = entries(place)[0]
    with place.database.connect() as session, session.transaction(force_rollback=True):
        session.execute("set local session_replication_role = replica")
        session.execute(statement)
        return recompute(session, entry=first)


def test_a_payload_that_was_tampered_with_is_not_equal_and_the_field_is_named(edited: Place) -> None:
    found = tampered(
        edited, """update cdc.outbox_done set payload = jsonb_set(payload, '{InvoiceNumber}', '"W-999"')"""
    )

    assert (found.is_equal, found.fields) == (False, ("InvoiceNumber",))


def test_a_function_that_changed_since_is_named(edited: Place) -> None:
    found = tampered(
        edited,
        "create or replace function staging.company_key(billing jsonb, tax_number text) returns text"
        " language sql immutable as 'select null::text'",
    )

    assert [note.split(" has changed")[0] for note in found.notes] == [
        "The function staging.company_key(billing jsonb, tax_number text)"
    ]


def test_an_entry_without_the_models_of_its_build_says_so(edited: Place) -> None:
    found = tampered(edited, "delete from cdc.build_parts")

    assert found.is_equal is None
    assert "are not kept" in found.sentence


def test_nothing_to_compute_is_a_mistake_of_the_caller(edited: Place) -> None:
    with edited.database.connect() as session, pytest.raises(UsageError):
        recompute(session, key="shop/order/999/1")


def test_the_story_tells_edits_versions_and_what_of_the_mapping_changed(edited: Place) -> None:
    with edited.database.connect() as session:
        steps = story(session, **PLACE)

    edit = next(step for step in steps if step.title == "shop: order 2 edited")
    made = [step for step in steps if step.what == "entry"]
    assert [(one.field, one.before, one.after) for one in edit.edits] == [("total", Decimal("20.5"), 33)]
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert all(step.lines[0].startswith("made by mapping out_xero__invoices ") for step in made)
    assert made[1].lines[-1] == "since the entry before, changed: lookup accounts"
