"""What `link propose` works out of our rows: those that a record of the target may be, and nothing where it has none."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.linking import reading
from cdc.linking.propose import Proposed, propose
from tests.db.fix_engine import BOOKS, Engine, engine

__all__ = ["engine"]


@pytest.fixture
def worked_out(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models of which rows were worked out, one mention for each time."""
    engine.rows("update cdc.going_live set opened_at = null returning 1")
    models: list[str] = []
    plain = reading.rows_of

    def watched(session: Any, model: Any, *rest: Any, **options: Any) -> Any:
        models.append(model.name)
        return plain(session, model, *rest, **options)

    monkeypatch.setattr("cdc.linking.propose.rows_of", watched)
    return models


def look(engine: Engine, **options: Any) -> dict[str, Proposed]:
    return {each.entity: each for each in propose(engine.database, run=None, by="test", **options)}


def their_invoice(engine: Engine, **fields: Any) -> None:
    """One that another app made, for somebody called Jane 7, without a word about our order."""
    plain = {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "InvoiceNumber": "APP-1",
        "Contact": {"ContactID": "them", "Name": "Jane 7"},
        "Total": 12,
        "CurrencyCode": "EUR",
        "DateString": "2026-10-01T00:00:00",
    }
    engine.put("xero__invoices", "their-invoice", {**plain, **fields}, BOOKS)


def test_rows_for_an_empty_ledger_are_counted_alone_and_making_them_is_allowed(
    engine: Engine, worked_out: list[str]
) -> None:
    engine.customer("7")
    engine.customer("8", skip="before cut-over")
    engine.customer("9", skip="test order")
    engine.customer("10", gone="deleted")
    engine.order("1", paid="12.00")
    engine.order("2")

    found = look(engine)

    assert worked_out == []
    assert {entity: (each.rows, each.records) for entity, each in found.items()} == {
        "contacts": (2, 0),
        "invoices": (2, 0),
        "payments": (1, 0),
    }
    assert engine.rows("select entity from cdc.going_live where opened_at is null") == []


def test_a_record_is_met_by_what_an_entity_without_records_says_of_itself(
    engine: Engine, worked_out: list[str]
) -> None:
    engine.customer("7")
    engine.order("1", paid="12.00")
    their_invoice(engine)

    found = look(engine)

    # The name on the invoice is the name of our contact, though the ledger has no contact to link it with.
    assert set(worked_out) == {"out_contacts", "out_invoices"}
    assert (found["contacts"].rows, found["invoices"].chosen, found["payments"].rows) == (1, 1, 1)
    (row,) = engine.rows("select evidence from cdc.link_proposals where entity = 'invoices'")
    assert "contact of the same name Jane 7" in row["evidence"]


def test_what_is_linked_is_no_reason_to_work_out_rows_again(engine: Engine, worked_out: list[str]) -> None:
    engine.customer("7")
    engine.order("1")
    engine.sync()
    engine.drain()
    engine.load()
    engine.customer("8")
    engine.order("2", customer_id="8")

    found = look(engine)

    assert worked_out == []
    assert (found["contacts"].rows, found["invoices"].rows) == (1, 1)

    their_invoice(engine, InvoiceNumber="WEB-000000002")
    found = look(engine, connection=BOOKS)

    assert {row["key"] for row in engine.rows("select key from cdc.link_proposals where state = 'open'")} == {
        "shop/order/2/1"
    }
    assert (found["contacts"].rows, found["invoices"].rows, found["invoices"].records) == (1, 1, 1)
