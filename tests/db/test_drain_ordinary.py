"""The ordinary way of a record from the shop into the ledger."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from cdc import outbox
from tests.db.fix_engine import Engine, engine
from tieout.db import ordered_dumps

__all__ = ["engine"]


def test_an_order_becomes_contact_invoice_and_payment_in_order(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"))

    diffed = engine.diff()
    drained = engine.drain()

    assert [one.created for one in diffed.models] == [1, 1, 1]
    assert (drained.applied, drained.calls, drained.waiting) == (3, 3, 0)
    assert [path for _, path, _ in engine.target.writes] == ["/contacts", "/invoices", "/payments"]
    [invoice] = engine.target.records["invoices"].values()
    [contact] = engine.target.records["contacts"].values()
    assert invoice["Contact"] == {"ContactID": contact["ContactID"]}
    assert engine.states() == {}


def test_a_second_sync_makes_no_call(engine: Engine) -> None:
    engine.customer()
    engine.order(paid=Decimal("12.00"))
    engine.sync()
    calls = len(engine.target.writes)

    drained = engine.sync()
    again = engine.sync()

    assert (drained.calls, again.calls) == (0, 0)
    assert len(engine.target.writes) == calls
    assert engine.states() == {}


def test_a_changed_field_is_sent_alone_and_by_id(engine: Engine) -> None:
    engine.customer()
    engine.sync()

    engine.customer(email="new@example.com")
    engine.sync()

    method, path, body = engine.target.writes[-1]
    contact_id = engine.link("shop/customer/7")["target_id"]
    assert (method, path) == ("POST", "/contacts")
    assert body == {"elements": [{"ContactID": contact_id, "EmailAddress": "new@example.com"}]}


def test_the_record_of_a_call_names_the_hash_of_what_left_byte_for_byte(engine: Engine) -> None:
    engine.customer(email="Ä@example.com")
    engine.sync()

    [(_, _, body)] = engine.target.writes
    [call] = engine.rows("select body, body_hash, entries, keys from cdc.calls")

    assert call["body_hash"] == hashlib.sha256(ordered_dumps(body)).hexdigest()
    assert call["body"] == body
    assert call["keys"] == ["shop/customer/7"]
    assert engine.rows("select entry from cdc.outbox_done") == [{"entry": call["entries"][0]}]


def test_a_drain_of_many_entries_makes_the_room_of_finished_ones_free(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself, every so many entries; autovacuum would come by once a minute."""
    tidied = "select vacuum_count from pg_stat_all_tables where relid = 'cdc.outbox'::regclass"
    monkeypatch.setattr(outbox, "TIDY_EVERY", 3)
    [at_first] = engine.rows(tidied)
    engine.customer("1")
    engine.customer("2")
    engine.sync()
    [before] = engine.rows(tidied)

    for customer in range(3, 10):
        engine.customer(str(customer))
    engine.sync()

    assert before == at_first
    assert engine.rows(tidied)[0]["vacuum_count"] > before["vacuum_count"]
    assert engine.states() == {}
