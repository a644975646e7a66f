"""What the models say otherwise of documents that may no longer change: shown with its money, never sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cdc import desk, report
from cdc.desk import Chosen
from cdc.drift import drifting
from tests.db.fix_engine import Engine, engine

__all__ = ["engine"]
INVOICE = "shop/order/1/1"


def test_drift_tells_the_money_by_account_and_month(engine: Engine) -> None:
    engine.customer()
    engine.order(date="2026-09-14", lines=[_line("200", "12.00")])
    engine.sync()
    _as_person(engine, "invoices", Status="PAID")

    engine.order(date="2026-09-14", lines=[_line("210", "12.00")])
    engine.sync()

    with engine.database.connect() as session:
        found = drifting(session, limit=5)
    assert [(one.period, one.account, one.side, one.amount) for one in found.accounts] == [
        ("2026-09", "200", "credit", Decimal("-12.00")),
        ("2026-09", "210", "credit", Decimal("12.00")),
    ]
    (document,) = found.documents
    assert [(each.path, each.agreed, each.model) for each in document.fields] == [
        ("LineItems/1/AccountCode", "200", "210")
    ]


def test_drift_ends_when_the_model_agrees_again(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    _as_person(engine, "invoices", Status="PAID")
    engine.order(lines=[_line("201", "12.00")])
    engine.sync()
    before = engine.rows("select key from cdc.drift")

    engine.order()
    engine.sync()

    assert (len(before), engine.rows("select key from cdc.drift"), engine.states()) == (1, [], {})


def test_drift_that_was_accepted_returns_only_when_the_model_says_something_new(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()
    _as_person(engine, "invoices", Status="PAID")
    engine.order(lines=[_line("201", "12.00")])
    engine.sync()

    with engine.database.connect() as session:
        accepted = desk.accept_as_is(session, Chosen(keys=(INVOICE,)), by="ada", reason="closed year")
    engine.diff(full=True)
    engine.sync()
    settled = engine.rows("select key from cdc.drift")
    engine.order(lines=[_line("202", "12.00")])
    engine.sync()

    assert (accepted, settled) == (1, [])
    assert engine.rows("select fields from cdc.drift") == [{"fields": ["LineItems"]}]
    with engine.database.connect() as session:
        assert [made["reason"] for made in report.show(session, INVOICE)[0].decisions] == ["closed year"]


def test_what_was_sent_and_is_skipped_now_is_frozen(engine: Engine) -> None:
    engine.customer()
    engine.order()
    engine.sync()

    engine.order(skip="before cut-over", lines=[_line("201", "12.00")])
    engine.sync()

    assert engine.rows("select frozen_because, fields from cdc.drift") == [
        {"frozen_because": "before cut-over", "fields": ["LineItems"]}
    ]
    assert engine.states() == {}


def _line(account: str, amount: str) -> dict[str, Any]:
    return {"text": "Bag", "account": account, "amount": Decimal(amount)}


def _as_person(engine: Engine, entity: str, **fields: object) -> None:
    """Somebody edits the only record of an entity in the target."""
    [(target_id, record)] = engine.target.records[entity].items()
    engine.target.records[entity][target_id] = {**record, **fields}
