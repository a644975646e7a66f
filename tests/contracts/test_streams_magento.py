"""Each stream of Magento against its stand-in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from loaders.magento import STREAMS
from loaders.poll import Loaded, load_connection
from tests.contracts.conftest import Source
from tieout.db import try_lock
from tieout.errors import ConfigurationError, LockHeld, RetryLater

# stream: table of the stand-in, id column there, a field that staff may change
EDITABLE = {
    "orders": ("orders", "customer_note"),
    "invoices": ("invoices", "store_id"),
    "credit_memos": ("creditmemos", "store_id"),
    "shipments": ("shipments", "total_qty"),
    "customers": ("customers", "lastname"),
    "products": ("products", "weight"),
    "categories": ("categories", "position"),
    "customer_groups": ("customer_groups", "code"),
    "tax_classes": ("tax_classes", "class_name"),
    "tax_rates": ("tax_rates", "code"),
    "stock_items": ("source_items", "quantity"),
}
VALUES: dict[str, Any] = {"weight": 7, "position": 77, "quantity": 3, "total_qty": 5, "store_id": 2}


def place(shop: Source, **fields: Any) -> int:
    """One order of two mugs; its id."""
    order = shop.control("place", items=[{"sku": "MUG-01", "qty": 2}], **fields)
    return int(order["entity_id"])


def trade(shop: Source, orders: int = 3, *, first: int = 0, apart: int = 0) -> list[int]:
    """Orders that went through everything, so many seconds apart, and customers, numbered from `first` on."""
    placed = []
    for number in range(first, first + orders):
        shop.control("clock", advance_seconds=apart)
        order = place(shop)
        placed.append(order)
        shop.control("invoice", order_id=order)
        shop.control("ship", order_id=order)
        shop.control("refund", order_id=order)
        shop.control("customers", email=f"ann{number}@example.com")
    return placed


def edit(shop: Source, name: str, row: int, **arguments: Any) -> None:
    """Change one field of one record of a stream."""
    table, field = EDITABLE[name]
    shop.control("edit", entity=table, id=row, fields={field: VALUES.get(field, "changed")}, **arguments)


def numbers(shop: Source, name: str) -> list[int]:
    """The stand-in's ids of a stream."""
    rows = shop.state(EDITABLE[name][0])
    keys = ("entity_id", "id", "class_id", "source_item_id", "tax_calculation_rate_id", "customer_group_id")
    # Source items show no id of their own: they are numbered from 1.
    return sorted(
        int(next((row[key] for key in keys if key in row), number))
        for number, row in enumerate(rows, start=1)
    )


def test_every_stream_is_loaded_once_and_then_costs_one_read_and_no_write(shop: Source) -> None:
    trade(shop)
    first = load_connection(shop.database, shop.settings, shop.client.connection, client=shop.client)
    assert [loaded.error for loaded in first] == [None] * len(STREAMS)
    assert [loaded.stream for loaded in first if loaded.changed == 0] == []
    before = {stream.name: shop.rows(stream.name) for stream in STREAMS}
    changes = len(shop.table("changes"))

    for stream in STREAMS:
        shop.forget()
        loaded = shop.load(stream.name)
        assert loaded.changed == 0, stream.name
        assert len(shop.requests()) == 1, stream.name

    assert {stream.name: shop.rows(stream.name) for stream in STREAMS} == before
    assert len(shop.table("changes")) == changes


@pytest.mark.parametrize("name", EDITABLE)
def test_a_load_cut_off_between_pages_continues_and_loses_nothing(shop: Source, name: str) -> None:
    trade(shop, 5)
    path = shop.stream(name).path
    shop.control("faults", kind="500_before", path=path, skip=1, times=1000)

    with pytest.raises(RetryLater):
        shop.load(name, page_size=2)
    kept = shop.rows(name)
    shop.calm()
    shop.load(name, page_size=2)

    # Lists that are read by page number are kept whole or not at all: they are short.
    assert len(kept) in (0, 2)
    assert len(shop.rows(name)) == len(numbers(shop, name))


@pytest.mark.parametrize("name", ["orders", "invoices", "credit_memos", "shipments", "customers", "products"])
def test_a_record_that_changes_while_its_list_is_paged_hides_no_other(shop: Source, name: str) -> None:
    trade(shop, 6)
    first = numbers(shop, name)[0]
    pages = 0

    def disturb(loaded: Loaded) -> None:
        nonlocal pages
        pages += 1
        if pages == 1:
            shop.control("clock", advance_seconds=60)
            edit(shop, name, first)

    shop.load(name, page_size=2, progress=disturb)

    mirrored = shop.rows(name)
    assert len(mirrored) == len(numbers(shop, name))
    _, field = EDITABLE[name]
    if name != "orders":
        assert mirrored[str(first)]["payload"].get(field) == VALUES.get(field, "changed")


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_more_records_of_one_second_than_a_page_holds_are_all_read(shop: Source, page_size: int) -> None:
    early = [place(shop, at="2026-01-05 10:00:00") for _ in range(5)]
    crowd = [place(shop, at="2026-01-05 10:00:01") for _ in range(7)]
    late = [place(shop, at="2026-01-05 10:00:02") for _ in range(2)]

    shop.load("orders", page_size=page_size)

    assert set(shop.rows("orders")) == {str(order) for order in early + crowd + late}


def test_a_row_that_becomes_visible_after_its_stamp_is_met_within_the_overlap(shop: Source) -> None:
    place(shop, at="2026-01-05 10:00:00")
    shop.load("orders")
    late = place(shop, at="2026-01-05 09:55:00")

    shop.load("orders")

    assert str(late) in shop.rows("orders")


def test_the_cursor_comes_from_rows_and_never_from_the_clock(shop: Source) -> None:
    place(shop, at="2020-01-05 10:00:00")

    shop.load("orders")

    (cursor,) = shop.table("cursors")
    assert cursor["cursor"] == {"updated_at": "2020-01-05 10:00:00"}


def test_a_partial_shipment_changes_the_order_though_its_stamp_stands_still(shop: Source) -> None:
    order = place(shop)
    shop.control("invoice", order_id=order)
    shop.load("shipments")
    shop.load("orders")
    item = next(iter(shop.rows("orders").values()))["payload"]["items"][0]["item_id"]
    shop.control("ship", order_id=order, items=[{"order_item_id": item, "qty": 1}])

    shop.load("shipments")
    shop.load("orders")

    assert shop.rows("orders")[str(order)]["payload"]["items"][0]["qty_shipped"] == 1
    assert shop.table("ask_again") == []


def test_a_sweep_finds_what_moved_no_stamp(shop: Source) -> None:
    order = place(shop)
    shop.load("orders")
    shop.control("edit", entity="orders", id=order, fields={"billing_address.city": "Leeds"}, touch=False)
    assert shop.load("orders").changed in (0, 1)  # within the overlap it is met by chance
    shop.control("edit", entity="orders", id=order, fields={"billing_address.city": "York"}, touch=False)

    shop.load("orders", swept=True)

    assert shop.rows("orders")[str(order)]["payload"]["billing_address"]["city"] == "York"


@pytest.mark.parametrize(
    "name", ["orders", "customers", "products", "categories", "stock_items", "tax_rates", "tax_classes"]
)
def test_a_deleted_record_is_found_by_a_sweep_and_only_once(shop: Source, name: str) -> None:
    trade(shop)
    shop.load(name)
    row = numbers(shop, name)[-1]
    table, _ = EDITABLE[name]
    live = {record_id for record_id, held in shop.rows(name).items() if held["deleted_at"] is None}
    shop.control("delete", entity=table, id=row)

    result = shop.load(name, swept=True)

    gone = [record_id for record_id, held in shop.rows(name).items() if held["deleted_at"] is not None]
    assert result.deleted == len(gone) == 1
    assert set(gone) <= live
    assert shop.load(name, swept=True).deleted == 0


def test_a_window_is_swept_without_touching_what_is_older(shop: Source) -> None:
    old = place(shop, at="2025-01-01 00:00:00")
    place(shop, at="2026-01-05 10:00:00")
    shop.load("orders")
    shop.control("delete", entity="orders", id=old)

    shop.load("orders", swept=True)

    assert shop.rows("orders")[str(old)]["deleted_at"] is None


def test_a_shrink_beyond_the_limit_is_held_and_names_the_cure(shop: Source) -> None:
    for number in range(25):
        shop.control("customers", email=f"c{number}@example.com")
    shop.load("customers")
    for row in numbers(shop, "customers")[:22]:
        shop.control("delete", entity="customers", id=row)

    with pytest.raises(ConfigurationError) as held:
        shop.load("customers", swept=True)

    assert "--accept-shrink" in held.value.cure
    assert all(row["deleted_at"] is None for row in shop.rows("customers").values())
    assert shop.load("customers", swept=True, accept_shrink=True).deleted == 22


def test_a_full_load_reads_everything_anew_and_writes_nothing_that_is_equal(shop: Source) -> None:
    trade(shop)
    shop.load("orders")
    before = shop.rows("orders")

    loaded = shop.load("orders", full=True)

    assert (loaded.rows, loaded.changed) == (3, 0)
    assert shop.rows("orders") == before


def test_two_loaders_of_one_stream_do_not_meet(shop: Source) -> None:
    with shop.database.connect() as session:
        assert try_lock(session, "tieout.load.shop.magento.orders")

        with pytest.raises(LockHeld):
            shop.load("orders")


def test_one_failing_stream_does_not_stop_the_others(shop: Source) -> None:
    place(shop)
    shop.control("faults", kind="expired_token", path="/inventory/source-items", times=1000)

    results = load_connection(shop.database, shop.settings, shop.client.connection, client=shop.client)

    assert [loaded.stream for loaded in results if loaded.error is not None] == ["stock_items"]
    assert len(shop.rows("orders")) == 1


@pytest.mark.parametrize("kind", ["503", "reset_before", "not_json", "500_before", "429"])
def test_a_passing_fault_of_the_network_is_not_noticed(shop: Source, kind: str) -> None:
    place(shop)
    shop.control("faults", kind=kind, times=2)

    assert shop.load("orders").changed == 1


def test_a_record_that_is_asked_for_again_and_gone_is_marked_as_deleted(shop: Source) -> None:
    kept, gone = place(shop), place(shop)
    shop.load("orders")
    shop.control("delete", entity="orders", id=gone)
    with shop.database.connect() as session:
        statement = (
            "insert into cdc.ask_again (connection, stream, id, reason) values ('shop', 'orders', %s, 'test')"
        )
        for record_id in (kept, gone, 999):
            session.execute(statement, (str(record_id),))

    result = shop.load("orders")

    assert (result.deleted, result.changed) == (1, 1)
    assert shop.rows("orders")[str(gone)]["deleted_at"] is not None
    assert shop.rows("orders")[str(kept)]["deleted_at"] is None
    assert shop.table("ask_again") == []


def test_a_record_deleted_by_mistake_lives_again_when_it_is_read(shop: Source) -> None:
    order = place(shop)
    shop.load("orders")
    with shop.database.connect() as session:
        session.execute("update staging.magento__orders set deleted_at = now()")

    assert shop.load("orders").changed == 1
    assert shop.rows("orders")[str(order)]["deleted_at"] is None


def rates(shop: Source) -> dict[str, Any]:
    """The mirrored rates of the euro by day, those that count as gone left out."""
    kept = [row for row in shop.rows("currency_rates").values() if row["deleted_at"] is None]
    return {row["day"]: row["payload"]["rate"] for row in kept if row["currency_code"] == "EUR"}


def test_each_day_adds_its_rates_and_a_sweep_takes_none_of_them_back(shop: Source) -> None:
    shop.control("clock", now="2026-10-05T23:50:00+00:00")
    shop.control("currency_rate", currency="EUR", rate="1.153500001")
    shop.load("currency_rates")
    shop.control("currency_rate", currency="EUR", rate="1.2")
    shop.control("clock", advance_seconds=1200)
    shop.load("currency_rates")

    swept = shop.load("currency_rates", swept=True)

    assert (swept.changed, swept.deleted) == (0, 0)
    assert rates(shop) == {"2026-10-05": Decimal("1.153500001"), "2026-10-06": Decimal("1.2")}
    assert {"GBP/EUR/2026-10-05", "GBP/EUR/2026-10-06"} < shop.rows("currency_rates").keys()


def test_the_first_rate_of_a_day_stands_because_documents_were_posted_with_it(shop: Source) -> None:
    shop.control("clock", now="2026-10-05T09:00:00+00:00")
    shop.control("currency_rate", currency="EUR", rate="1.15")
    shop.load("currency_rates")
    shop.control("currency_rate", currency="EUR", rate="1.2")

    assert shop.load("currency_rates").changed == 0
    assert rates(shop) == {"2026-10-05": Decimal("1.15")}
