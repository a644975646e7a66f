"""From changed staging rows to driving records."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg.types.json import Jsonb

from cdc.changes import fan_out
from cdc.outbound import DirtyRule
from tests.db.fix_engine import MODELS, Engine, engine
from tieout.errors import BuildError, ConfigurationError

__all__ = ["engine"]


def test_a_change_leads_to_the_drivers_of_every_model_that_follows_the_table(engine: Engine) -> None:
    engine.order("5")

    assert fan_out(engine.connection) == 1

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


def _keys(engine: Engine) -> list[tuple[str, str, str]]:
    rows = engine.rows(
        "select distinct model, source_connection, source_id from cdc.changed_keys order by 1, 2, 3"
    )
    return [(row["model"], row["source_connection"], row["source_id"]) for row in rows]


def _rule(engine: Engine, rule: DirtyRule) -> None:
    engine.in_force(replace(MODELS[2], dirty=(rule,)))


def _change(
    engine: Engine, stream: str, record_id: str, *, before: dict[str, str], after: dict[str, str]
) -> None:
    engine.connection.execute(
        "insert into cdc.changes (connection, stream, id, version, keys_before, keys_after) values ('shop', %s, %s, 1, %s, %s)",
        (stream, record_id, Jsonb(before), Jsonb(after)),
    )
