"""First loads that take long: newest first, beside what changes meanwhile, and on from where they stopped, whatever stopped them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pytest

from loaders.asking import Asking
from loaders.history import Walk
from loaders.poll import load_connection
from loaders.stream import Cursor, Page, Stream
from tests.contracts import test_streams_magento as in_shop
from tests.contracts import test_streams_xero as in_books
from tests.contracts.conftest import Source
from tests.contracts.test_at_once import merging
from tieout.systems import client_module
from tieout.vault import Vault

APART = 1000
SHOP = ("orders", "invoices", "credit_memos", "shipments", "customers", "products")
BOOKS = (
    *("contacts", "invoices", "credit_notes", "payments", "bank_transactions", "overpayments"),
    *("prepayments", "purchase_orders"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One stream with a history, and what people do to its records."""

    source: Source
    name: str

    def trade(self, count: int, *, first: int = 0) -> None:
        """Further apart than the overlap of any stream: what changed last does not reach back over all."""
        if self.source.system == "xero":
            in_books.trade(self.source, count, first=first, apart=APART)
            return
        in_shop.trade(self.source, count, first=first, apart=APART)
        if self.name == "products" and not first:
            for record_id in self.ids()[:count]:
                self.source.control("clock", advance_seconds=APART)
                in_shop.edit(self.source, self.name, int(record_id))

    def ids(self) -> list[str]:
        """Ids of the source, the longest unchanged first."""
        if self.source.system == "xero":
            return in_books.ids(self.source, self.name)
        table = in_shop.EDITABLE[self.name][0]
        key = "id" if self.name in ("customers", "products") else "entity_id"
        rows = self.source.state(table)
        return [str(row[key]) for row in sorted(rows, key=lambda row: (row["updated_at"], row[key]))]

    def edit(self, record_id: str) -> None:
        self.source.control("clock", advance_seconds=APART)
        if self.source.system == "magento":
            in_shop.edit(self.source, self.name, int(record_id))
        else:
            in_books.edit(self.source, self.name, record_id, "edited")

    def is_edited(self, record_id: str) -> bool:
        field = in_books.EDITABLE[self.name][2] if self.source.system == "xero" else ""
        payload = self.mirror()[record_id]["payload"]
        if self.source.system == "xero":
            return bool(payload.get(field) == "edited")
        _, field = in_shop.EDITABLE[self.name]
        return self.name == "orders" or bool(payload.get(field) == in_shop.VALUES.get(field, "changed"))

    def mirror(self) -> dict[str, dict[str, Any]]:
        rows = self.source.rows(self.name)
        return {record_id: row for record_id, row in rows.items() if row["deleted_at"] is None}

    def position(self) -> dict[str, Any]:
        return next(row for row in self.source.table("cursors") if row["stream"] == self.name)

    def load(self, **arguments: Any) -> Any:
        return self.source.load(self.name, page_size=2, **arguments)


@pytest.fixture(params=[f"shop {name}" for name in SHOP] + [f"books {name}" for name in BOOKS])
def case(request: pytest.FixtureRequest) -> Case:
    """Each stream with a history, and enough records for several pages."""
    fixture, name = request.param.split()
    found = Case(source=request.getfixturevalue(fixture), name=name)
    found.trade(7)
    return found


class Killed(BaseException):
    """As if the process were gone: nothing of ours catches it."""


def test_killed_at_every_page_it_goes_on_behind_the_last_one_that_was_stored(case: Case) -> None:
    asked: Counter[str] = Counter()
    kills = 0
    plain = case.source.client.http.read

    def read(path: str, *, params: Any, **options: Any) -> Any:
        asked[str(sorted(params.items()))] += 1
        return plain(path, params=params, **options)

    merge = Walk._merge

    def once(walk: Walk, page: Page) -> Any:
        if walk.count:
            raise Killed
        return merge(walk, page)

    with patch.object(case.source.client.http, "read", read):
        while True:
            stored = len(case.mirror())
            try:
                with patch.object(Walk, "_merge", once):
                    case.load()
                break
            except Killed:
                kills += 1
                assert case.position()["backfilled_at"] is None
                assert len(case.mirror()) >= stored
                assert kills < 20
    case.load()

    assert kills >= 3
    assert set(case.mirror()) == set(case.ids())
    assert case.position()["backfilled_at"] is not None
    assert case.position()["history"] is None
    # Once when it was cut off, once when it was under way beside that one, once for good. Changes are looked for by each run.
    changes = {key for key in asked if "gteq" in key or "UpdatedDateUTC ASC" in key}
    assert max(count for key, count in asked.items() if key not in changes) <= 3


def test_a_first_load_begins_with_what_changed_last_and_what_changes_meanwhile_is_not_behind_it(
    case: Case,
) -> None:
    case.load(may_go_on=lambda: False)
    assert set(case.mirror()) == set(case.ids()[-2:])
    oldest, known = case.ids()[0], set(case.ids())
    assert oldest not in case.mirror()
    case.edit(oldest)
    case.source.control("clock", advance_seconds=600)
    case.trade(1, first=50)

    case.load(may_go_on=lambda: False)

    new = set(case.ids()) - known
    assert {oldest} | new <= case.mirror().keys()
    assert case.is_edited(oldest)
    assert case.position()["backfilled_at"] is None
    case.load()
    assert set(case.mirror()) == set(case.ids())
    assert case.position()["backfilled_at"] is not None


def test_what_is_edited_or_added_between_two_pages_hides_no_other_record(case: Case) -> None:
    edited: list[str] = []

    def act(page: int) -> None:
        if page in (1, 3):
            waiting = [record_id for record_id in case.ids() if record_id not in case.mirror()]
            edited.append(waiting[len(waiting) // 2])
            case.edit(edited[-1])
        if page == 2:
            case.source.control("clock", advance_seconds=600)
            case.trade(1, first=50)

    with merging(case.source, case.name, act):
        case.load()

    assert set(case.mirror()) == set(case.ids())
    assert all(case.is_edited(record_id) for record_id in edited)


@pytest.mark.parametrize("name", ["orders", "customers", "products"])
def test_what_is_deleted_between_two_pages_hides_no_other_record(shop: Source, name: str) -> None:
    case = Case(source=shop, name=name)
    case.trade(7)
    gone: list[str] = []

    def act(page: int) -> None:
        if page in (2, 3):
            known = case.mirror()
            gone.append(next(iter(known)) if page == 2 else next(i for i in case.ids() if i not in known))
            shop.control("delete", entity=in_shop.EDITABLE[name][0], id=int(gone[-1]))

    with merging(shop, name, act):
        case.load()

    assert set(case.mirror()) >= set(case.ids())
    case.load(swept=True)
    assert set(case.mirror()) == set(case.ids())


def test_a_record_that_pages_by_number_passed_over_is_missed_by_the_count_and_fetched(books: Source) -> None:
    in_books.trade(books, 7)
    plain = books.stream("invoices").history
    assert plain is not None

    def lossy(ask: Any, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
        for page in plain(ask, stream, cursor):
            # Two of one stamp changed places between two requests: one comes twice, the other never.
            is_second = page.history is not None and page.history.value["page"] == 3
            yield replace(page, records=page.records[:1]) if is_second else page

    stream = replace(books.stream("invoices", page_size=2), history=lossy)
    with patch.object(books, "stream", lambda name, page_size=None: stream):
        books.load("invoices")

    assert set(books.rows("invoices")) == set(in_books.ids(books, "invoices"))


def test_a_first_load_that_stored_as_many_as_there_are_does_not_count_them(books: Source) -> None:
    """Nor ask for them all again: what it stored for the first time is there once."""
    in_books.trade(books, 5)

    with patch.object(Asking, "live", side_effect=AssertionError("counted")):
        books.load("invoices", page_size=2)

    assert set(books.rows("invoices")) == set(in_books.ids(books, "invoices"))


def test_a_shipment_that_changes_between_two_pages_brings_its_order_up_to_date(shop: Source) -> None:
    case = Case(source=shop, name="shipments")
    case.trade(7)
    oldest = case.ids()[0]
    order = next(row["order_id"] for row in shop.state("shipments") if str(row["entity_id"]) == oldest)

    def act(page: int) -> None:
        if page == 1:
            case.edit(oldest)

    with merging(shop, "shipments", act):
        case.load()

    assert str(order) in {row["id"] for row in shop.table("ask_again") if row["stream"] == "orders"}


def small(*streams: Stream) -> Any:
    """Streams with small pages in the place of the registered ones."""
    by_name = {stream.name: stream for stream in streams}
    return patch("loaders.poll.find_stream", lambda _system, name: by_name[name])


def test_a_history_waits_for_the_calls_of_the_day_and_what_is_fresh_does_not(books: Source) -> None:
    for number in range(40):
        books.control("clock", advance_seconds=APART)
        books.make("Contacts", {"Name": f"Contact {number}"})
    options = MappingProxyType({**books.client.connection.options, "calls_a_day": 20})
    connection = replace(books.client.connection, options=options)
    client = client_module("xero").open_client(
        connection, books.database, Vault(books.database, books.settings)
    )
    try:
        with small(books.stream("contacts", page_size=2)):
            once = partial(
                load_connection,
                books.database,
                books.settings,
                connection,
                client=client,
                streams=["contacts"],
            )
            (first,) = once()
            books.control("clock", advance_seconds=APART)
            new = books.make("Contacts", {"Name": "Fresh"})[0]["ContactID"]
            (second,) = once()
    finally:
        client.close()

    assert first.error is None
    assert first.backfill is not None
    assert first.backfill.left
    assert first.backfill.is_bound_by_day
    assert second.error is None
    assert second.backfill is not None
    assert new in books.rows("contacts")


def test_a_connection_goes_on_with_all_its_histories_and_ends_with_what_changed(shop: Source) -> None:
    in_shop.trade(shop, 7)
    names = ("invoices", "orders")
    with small(*(shop.stream(name, page_size=2) for name in names)):
        begun = load_connection(
            shop.database, shop.settings, shop.client.connection, client=shop.client, streams=names,
            backfill_seconds=0,
        )  # fmt: skip
        assert [(each.rows, each.backfill is not None) for each in begun] == [(2, True)] * 2
        ended = load_connection(
            shop.database, shop.settings, shop.client.connection, client=shop.client, streams=names
        )

    assert [each.backfill for each in ended] == [None, None]
    assert len(shop.rows("orders")) == len(shop.rows("invoices")) == 7
