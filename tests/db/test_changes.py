"""From changed staging rows to driving records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from cdc import changes
from cdc.changes import FannedOut, fan_out
from cdc.outbound import SET_LOCK, DirtyRule
from tests.db.fix_engine import MODELS, Engine, engine
from tieout.db import lock_key
from tieout.errors import BuildError, ConfigurationError

__all__ = ["engine"]


def test_a_change_leads_to_the_drivers_of_every_model_that_follows_the_table(engine: Engine) -> None:
    engine.order("5")

    assert fan_out(engine.connection) == FannedOut(changes=1)

    assert _keys(engine) == [("out_invoices", "shop", "5"), ("out_payments", "shop", "5")]
    assert engine.rows("select 1 as one from cdc.changes") == []


def test_a_key_column_leads_to_the_old_and_the_new_driver(engine: Engine) -> None:
    _rule(engine, DirtyRule(table="magento__invoices", kind="column", value="order_id"))
    _change(engine, "invoices", "9", before={"order_id": "1"}, after={"order_id": "2"})

    fan_out(engine.connection)

    assert _keys(engine) == [("out_payments", "shop", "1"), ("out_payments", "shop", "2")]


def test_a_query_of_the_model_sees_the_keys_before_and_after(engine: Engine) -> None:
    engine.order("1", customer_id="7")
    engine.connection.execute("delete from cdc.changes")
    text = "select o.connection as source_connection, o.id as source_id from staging.magento__orders as o join changed on o.customer_id = changed.keys ->> 'id' and o.payload ->> 'number' like '%1';"
    _rule(engine, DirtyRule(table="magento__customers", kind="sql", value=text))
    _change(engine, "customers", "7", before={"id": "7"}, after={"id": "8"})

    fan_out(engine.connection)

    assert ("out_payments", "shop", "1") in _keys(engine)


def test_what_changed_in_a_target_leads_to_its_key_unasked(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.diff()
    target_id = engine.link("shop/customer/7")["target_id"]
    engine.put("xero__contacts", target_id, {"ContactID": target_id, "Name": "edited"}, "books")

    fan_out(engine.connection)

    assert _keys(engine) == [("out_contacts", "shop", "7")]


def test_a_sweep_rule_marks_its_model(engine: Engine) -> None:
    engine.put("xero__accounts", "a1", {"Code": "200"}, "books")

    fan_out(engine.connection)

    assert engine.rows("select model from cdc.models where sweep_due") == [{"model": "out_invoices"}]


def test_a_faulty_rule_fails_loudly_and_loses_nothing(engine: Engine) -> None:
    _rule(engine, DirtyRule(table="magento__orders", kind="sql", value="select nonsense from changed"))
    engine.order("5")

    with pytest.raises(BuildError, match="out_payments follows magento__orders"):
        fan_out(engine.connection)

    assert _keys(engine) == []
    assert len(engine.rows("select 1 as one from cdc.changes")) == 1


def test_a_session_that_stays_sees_each_change_once_and_gives_their_room_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a round left behind is no news to the next one; nobody vacuums the table of a session."""
    monkeypatch.setattr(changes, "CUT_OFF", 3)
    files = set()
    for number in range(1, 8):
        engine.order(str(number))
        assert fan_out(engine.connection).changes == 1
        [row] = engine.rows("select pg_relation_filenode('pg_temp.fan_out_round') as file")
        files.add(row["file"])

    assert fan_out(engine.connection) == FannedOut()
    assert len(files) == 1 + 7 // 3
    assert sorted(_keys(engine)) == sorted(set(_keys(engine)))


def test_the_rule_that_fails_is_named_among_those_that_left_with_it(engine: Engine) -> None:
    """The rules of a round leave together; an answer says only that something failed."""
    failing = "select connection as source_connection, (1 / 0)::text as source_id from changed"
    following = "select connection as source_connection, id as source_id from changed"
    _rule(engine, DirtyRule(table="magento__orders", kind="sql", value=failing), "out_invoices")
    _rule(engine, DirtyRule(table="magento__orders", kind="sql", value=following), "out_payments")
    engine.order("5")

    with pytest.raises(BuildError, match="out_invoices follows magento__orders fails: division by zero"):
        fan_out(engine.connection)

    assert _keys(engine) == []


def test_changes_of_a_connection_that_nobody_connected_are_kept(engine: Engine) -> None:
    engine.put("magento__orders", "1", {}, "unknown")

    with pytest.raises(ConfigurationError, match="unknown"):
        fan_out(engine.connection)

    assert len(engine.rows("select 1 as one from cdc.changes")) == 1


def test_a_change_that_commits_after_the_fan_out_began_is_not_lost(engine: Engine) -> None:
    """Sequences do not commit in order: a lower number may appear after a higher one was consumed."""
    with engine.database.connect() as other:
        with other.transaction():
            other.execute(
                "insert into cdc.changes (connection, stream, id, version) values ('shop', 'orders', '1', 1)"
            )
            engine.order("2")
            fan_out(engine.connection)
        fan_out(engine.connection)

    assert {key[2] for key in _keys(engine)} == {"1", "2"}


def test_a_change_in_fields_that_no_model_reads_leads_to_no_key(engine: Engine) -> None:
    """A shop's orders change most by comments, ours among them. One model that reads the field follows alone."""
    _reads(engine, "out_invoices", {"magento__orders": ["total", "number"]})
    _reads(engine, "out_payments", {"magento__orders": ["total", "status_histories"]})
    _changed(engine, "1", ["updated_at"])
    _changed(engine, "2", ["status_histories", "updated_at"])
    _changed(engine, "3", ["total", "updated_at"])

    assert fan_out(engine.connection) == FannedOut(changes=3, without_keys=1)

    assert _keys(engine) == [
        ("out_invoices", "shop", "3"),
        ("out_payments", "shop", "2"),
        ("out_payments", "shop", "3"),
    ]
    assert engine.diff().changes_without_keys == 0


def test_a_change_for_which_the_rule_of_its_only_reader_finds_nothing_is_counted_with_them(
    engine: Engine,
) -> None:
    """Stock follows every order by its version, and concerns only those whose products are kept elsewhere."""
    for model in ("out_invoices", "out_payments"):
        _reads(engine, model, {"magento__orders": ["total"]})
    nothing = "select connection as source_connection, id as source_id from changed where false"
    _rule(engine, DirtyRule(table="magento__orders", kind="sql", value=nothing))
    _changed(engine, "1", ["total"])
    _reads(engine, "out_invoices", {"magento__orders": ["number"]})

    assert fan_out(engine.connection) == FannedOut(changes=1, without_keys=1)
    assert _keys(engine) == []


def test_a_diff_of_comments_looks_at_no_view(engine: Engine) -> None:
    for model in ("out_invoices", "out_payments"):
        _reads(engine, model, {"magento__orders": ["total"]})
    _changed(engine, "1", ["status_histories"])
    for model in ("out_invoices", "out_payments"):
        engine.connection.execute(f"drop view outbound.{model} cascade")

    done = engine.diff()

    assert (done.changes, done.changes_without_keys, sum(model.drivers for model in done.models)) == (1, 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            {"fields": None}, id="added, deleted, back, of another form, or told before fields were named"
        ),
        pytest.param(
            {"fields": ["comment"], "before": {"customer_id": "1"}, "after": {"customer_id": "2"}},
            id="a key column",
        ),
        pytest.param(
            {"fields": ["comment"], "after": {"customer_id": "2"}}, id="a key column that was empty"
        ),
        pytest.param({"fields": ["total-net", "comment"]}, id="a name that what is read is not listed by"),
    ],
)
def test_what_may_concern_any_field_leads_to_keys(engine: Engine, change: dict[str, Any]) -> None:
    _reads(engine, "out_invoices", {"magento__orders": ["total"]})
    _reads(engine, "out_payments", {"magento__orders": []})

    _changed(engine, "5", **change)

    assert fan_out(engine.connection) == FannedOut(changes=1)
    assert _keys(engine) == [("out_invoices", "shop", "5"), ("out_payments", "shop", "5")]


@pytest.mark.parametrize("reads", [None, {}, {"magento__orders": None}, {"magento__customers": ["email"]}])
def test_where_nobody_knows_what_a_model_reads_it_follows_every_change(
    engine: Engine, reads: dict[str, Any] | None
) -> None:
    """So does a set that was built before there was such knowledge."""
    _reads(engine, "out_invoices", reads)
    _reads(engine, "out_payments", {"magento__orders": ["total"]})

    _changed(engine, "5", ["comment"])
    fan_out(engine.connection)

    assert _keys(engine) == [("out_invoices", "shop", "5")]


def test_a_targets_own_record_leads_to_its_key_whatever_changed_in_it(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.diff()
    engine.connection.execute("update cdc.models set reads = '{\"xero__contacts\": []}'")
    target_id = engine.link("shop/customer/7")["target_id"]

    _changed(engine, target_id, ["Name"], connection="books", stream="contacts")

    assert fan_out(engine.connection) == FannedOut(changes=1)
    assert _keys(engine) == [("out_contacts", "shop", "7")]


def test_a_change_is_judged_by_the_set_in_force_when_it_is_fanned_out(engine: Engine) -> None:
    _reads(engine, "out_invoices", {"magento__orders": ["total"]})
    _reads(engine, "out_payments", {"magento__orders": ["total"]})
    fan_out(engine.connection)  # this session knows the old set
    _changed(engine, "5", ["comment"])

    _reads(engine, "out_invoices", {"magento__orders": ["comment", "total"]})
    fan_out(engine.connection)

    assert _keys(engine) == [("out_invoices", "shop", "5")]


def test_no_set_is_switched_while_changes_are_judged_by_what_another_reads(engine: Engine) -> None:
    _changed(engine, "5", ["comment"])
    with engine.database.connect() as build, engine.connection.transaction():
        fan_out(engine.connection)

        row = build.execute("select pg_try_advisory_lock(%s) as is_free", (lock_key(SET_LOCK),)).fetchone()

    assert row == {"is_free": False}


def _reads(engine: Engine, model: str, reads: dict[str, Any] | None) -> None:
    """As a build found it."""
    engine.connection.execute(
        "update cdc.models set reads = %s where model = %s", (None if reads is None else Jsonb(reads), model)
    )


def _changed(
    engine: Engine,
    record_id: str,
    fields: list[str] | None,
    *,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
    connection: str = "shop",
    stream: str = "orders",
) -> None:
    """A record that a load found changed in these fields."""
    engine.connection.execute(
        "insert into cdc.changes (connection, stream, id, version, keys_before, keys_after, fields)"
        " values (%s, %s, %s, 1, %s, %s, %s)",
        (connection, stream, record_id, Jsonb(before or {}), Jsonb(after or {}), fields),
    )


def _keys(engine: Engine) -> list[tuple[str, str, str]]:
    rows = engine.rows(
        "select distinct model, source_connection, source_id from cdc.changed_keys order by 1, 2, 3"
    )
    return [(row["model"], row["source_connection"], row["source_id"]) for row in rows]


def _rule(engine: Engine, rule: DirtyRule, model: str = "out_payments") -> None:
    (found,) = (each for each in MODELS if each.name == model)
    engine.in_force(replace(found, dirty=(rule,)))


def _change(
    engine: Engine, stream: str, record_id: str, *, before: dict[str, str], after: dict[str, str]
) -> None:
    engine.connection.execute(
        "insert into cdc.changes (connection, stream, id, version, keys_before, keys_after) values ('shop', %s, %s, 1, %s, %s)",
        (stream, record_id, Jsonb(before), Jsonb(after)),
    )
