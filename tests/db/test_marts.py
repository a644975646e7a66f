"""Marts follow their sources by changed keys, and readers see old rows or new ones."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from cdc import marts
from tests.db.fix_build import Place, put_order
from tieout.db import lock_key
from tieout.errors import BuildError

RUN = uuid.UUID(int=1)


def _refresh(place: Place) -> int:
    ((name, rows),) = marts.refresh(place.database, run=RUN)
    assert name == "sales"
    return rows


def _totals(place: Place) -> dict[str, Decimal]:
    return {row["order_id"]: row["total"] for row in place.rows("select order_id, total from marts.sales")}


def _change(place: Place, order: str, **payload: Any) -> None:
    with place.database.connect() as session:
        put_order(
            session,
            order,
            {"increment_id": order, "category": "goods", "state": "new", "day": "2026-02-01", **payload},
        )


def _changed(place: Place, *orders: str) -> None:
    place.run(
        "insert into cdc.changed_keys (model, source_connection, source_id, because) "
        "select 'sales', 'shop', id, 'test' from unnest(%s::text[]) as id",
        list(orders),
    )


def test_a_new_mart_is_made_whole_once(built: Place) -> None:
    assert _refresh(built) == 4
    assert _refresh(built) == 0
    assert _totals(built)["2"] == Decimal("20.5")


def test_only_the_changed_drivers_are_made_again(built: Place) -> None:
    _refresh(built)
    before = {row["order_id"]: row["as_of"] for row in built.rows("select order_id, as_of from marts.sales")}
    _change(built, "2", total=99)
    _change(built, "3", total=77)
    _changed(built, "2", "2")

    rows = _refresh(built)

    after = {row["order_id"]: row["as_of"] for row in built.rows("select order_id, as_of from marts.sales")}
    assert rows == 1
    # Nobody said that order 3 changed.
    assert (_totals(built)["2"], _totals(built)["3"]) == (Decimal(99), Decimal(30))
    assert [order for order in after if after[order] != before[order]] == ["2"]
    assert built.rows("select * from cdc.changed_keys where model = 'sales'") == []


def test_a_row_that_would_be_the_same_is_left_alone(built: Place) -> None:
    _refresh(built)
    before = built.rows("select ctid, xmin, as_of, * from marts.sales order by order_id")
    _changed(built, "1", "2", "3")

    assert _refresh(built) == 0

    assert built.rows("select ctid, xmin, as_of, * from marts.sales order by order_id") == before
    assert built.rows("select * from cdc.changed_keys where model = 'sales'") == []


def test_indexes_of_the_yml_are_made_and_go_with_it(built: Place) -> None:
    def definitions() -> list[str]:
        rows = built.rows(
            "select indexdef from pg_indexes where tablename = 'sales' and indexname like '%%\\_bi\\_%%'"
        )
        return [row["indexdef"].partition(" USING ")[2] for row in rows]

    _refresh(built)
    assert definitions() == []
    built.edit(
        "models/marts/sales.yml",
        "unique_key:",
        'indexes: ["(total) where total > 20"]\n          unique_key:',
    )
    built.build()
    _refresh(built)
    assert definitions() == ["btree (total) WHERE (total > (20)::numeric)"]

    built.edit("models/marts/sales.yml", '["(total) where', '["(totl) where')
    built.build()
    with pytest.raises(BuildError, match=r'asks for an index that cannot be made.*"totl" does not exist'):
        _refresh(built)

    built.edit("models/marts/sales.yml", 'indexes: ["(totl) where total > 20"]\n          ', "")
    built.build()
    _refresh(built)
    assert definitions() == []


def test_a_driver_that_is_gone_loses_its_rows(built: Place) -> None:
    _refresh(built)
    built.run("update staging.magento__orders set deleted_at = now() where id = '2'")
    _changed(built, "2")

    _refresh(built)

    assert "2" not in _totals(built)


def test_a_change_that_a_loader_reported_reaches_the_mart(built: Place) -> None:
    built.run("insert into cdc.connections (connection, system) values ('shop', 'magento')")
    _refresh(built)
    _change(built, "5", total=55)
    built.run(
        "insert into cdc.changes (connection, stream, id, version, keys_after) values ('shop', 'orders', "
        "'5', 9, '{}')"
    )

    assert _refresh(built) == 1
    assert _totals(built)["5"] == Decimal(55)


def test_a_mart_whose_model_changed_is_made_whole_again_and_keeps_its_grants(built: Place) -> None:
    _refresh(built)
    role = f"bi_{uuid.uuid4().hex[:8]}"
    built.run(f"create role {role}")
    try:
        built.run(f"grant select on marts.sales to {role}")
        built.edit(
            "models/marts/sales.sql", "orders.total,", "orders.total,\n    orders.total * 2 as double_total,"
        )

        built.build()

        # BI reads the old shape until the next refresh.
        assert len(_totals(built)) == 4
        assert _refresh(built) == 4
        assert built.rows("select double_total from marts.sales where order_id = '1'") == [
            {"double_total": Decimal(20)}
        ]
        allowed = built.rows("select has_table_privilege(%s, 'marts.sales', 'select') as allowed", role)
        assert allowed == [{"allowed": True}]
    finally:
        built.run(f"drop owned by {role}")
        built.run(f"drop role {role}")


def test_a_view_on_a_mart_is_never_dropped_silently(built: Place) -> None:
    _refresh(built)
    built.run("create view public.by_hand as select * from marts.sales")
    built.edit(
        "models/marts/sales.sql", "orders.total,", "orders.total,\n    orders.total * 2 as double_total,"
    )
    built.build()

    with pytest.raises(BuildError, match=r"view by_hand depends on table marts\.sales"):
        _refresh(built)

    assert len(_totals(built)) == 4


def test_two_rows_of_one_key_are_refused_and_the_old_rows_stay(built: Place) -> None:
    _refresh(built)
    built.edit(
        "models/marts/sales.sql",
        "from {{ ref('orders') }} as orders",
        "from {{ ref('orders') }} as orders\ncross join generate_series(1, 2)",
    )
    built.build()

    with pytest.raises(BuildError, match="two rows of one key"):
        _refresh(built)

    assert len(_totals(built)) == 4


def test_a_mart_that_another_run_is_at_is_left_to_it(built: Place) -> None:
    with built.database.connect() as other:
        other.execute("select pg_advisory_lock(%s)", (lock_key("mart:sales"),))

        assert _refresh(built) == 0

    assert _refresh(built) == 4


def test_how_fresh_a_mart_is_can_be_asked(built: Place) -> None:
    _refresh(built)
    first = built.rows("select as_of, refreshed_rows from cdc.mart_state")
    _refresh(built)
    second = built.rows("select as_of, refreshed_rows from cdc.mart_state")

    assert (first[0]["refreshed_rows"], second[0]["refreshed_rows"]) == (4, 0)
    assert second[0]["as_of"] > first[0]["as_of"]
