"""The ordinary way of a record from the shop into the ledger."""

from __future__ import annotations

from decimal import Decimal

from tests.db.fix_engine import Engine, engine

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
