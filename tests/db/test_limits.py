"""What one diff of one model may make before a person looks: by count, share and money; and when its input shrinks."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cdc import desk
from cdc.desk import Chosen
from tests.db.fix_engine import Engine, engine
from tieout.errors import ConfigurationError

__all__ = ["engine"]


def orders(engine: Engine, **totals: str | None) -> None:
    engine.customer()
    for number, total in totals.items():
        engine.order(number.strip("o"), total=None if total is None else Decimal(total))


def causes(engine: Engine) -> dict[str, str]:
    return {
        row["key"]: row["cause"]
        for row in engine.rows("select key, cause from cdc.outbox where held_for = 'guard'")
    }


def test_one_document_beyond_the_limit_is_held_and_the_others_pass(engine: Engine) -> None:
    engine.limit(largest={"EUR": Decimal(100)})
    orders(engine, o1="12.00", o2="100.01")

    engine.diff()

    assert causes(engine) == {"shop/order/2/1": "over the limit of largest in EUR"}
    assert engine.states()["shop/order/1/1"] == "waiting"


def test_documents_beyond_the_money_of_one_diff_are_held_and_contacts_pass(engine: Engine) -> None:
    engine.limit(amounts={"EUR": Decimal(20)})
    orders(engine, o1="12.00", o2="12.00")

    engine.diff()

    assert causes(engine) == {
        "shop/order/1/1": "over the limit of amounts in EUR",
        "shop/order/2/1": "over the limit of amounts in EUR",
    }
    assert engine.states()["shop/customer/7"] == "ready"


def test_a_document_without_an_amount_is_held_where_money_is_limited(engine: Engine) -> None:
    engine.limit(amounts={"EUR": Decimal(20)})
    orders(engine, o1="12.00", o2=None)

    engine.diff()

    assert causes(engine) == {"shop/order/2/1": "no amount to compare with the limit"}


def test_money_is_compared_with_what_is_posted(engine: Engine) -> None:
    orders(engine, o1="100.00")
    engine.sync()
    engine.limit(amounts_share=Decimal("0.2"), share_from=1)
    orders(engine, o1="100.00", o2="20.01")

    engine.diff()

    reason = engine.entry("shop/order/2/1")
    assert reason is not None
    assert (reason["cause"], "100.00 EUR in the target" in reason["reason"]) == (
        "over the limit of amounts_share in EUR",
        True,
    )


def test_a_share_of_what_is_in_the_target_is_held(engine: Engine) -> None:
    for number in range(4):
        engine.customer(str(number))
    engine.sync()
    engine.limit(updates_share=Decimal("0.5"), share_from=2)
    for number in range(3):
        engine.customer(str(number), name=f"Joan {number}")

    engine.diff()

    assert set(causes(engine).values()) == {"over the limit of updates_share"}
    assert len(causes(engine)) == 3


def test_rows_that_vanish_at_once_are_one_shrunken_input_and_removed_only_by_name(engine: Engine) -> None:
    for number in range(6):
        engine.customer(str(number))
    engine.sync()
    for number in range(4):
        engine.delete("magento__customers", str(number))

    engine.diff()
    by_model = desk.approve(engine.connection, Chosen(model="out_contacts"), by="Ann", writers=engine.writers)
    engine.diff(full=True)

    held = engine.rows("select cause, cure from cdc.outbox where held_for = 'vanished'")
    assert by_model == 0
    assert [row["cause"] for row in held] == ["input shrank"] * 4
    assert all(row["cure"].startswith("Restore the input") for row in held)
    approved = desk.approve(
        engine.connection, Chosen(keys=("shop/customer/0",)), by="Ann", writers=engine.writers
    )
    assert approved == 1


def test_rows_that_vanish_are_dropped_from_the_list_when_they_come_back(engine: Engine) -> None:
    for number in range(6):
        engine.customer(str(number))
    engine.sync()
    for number in range(4):
        engine.delete("magento__customers", str(number))
    engine.diff()

    for number in range(4):
        engine.customer(str(number))
    engine.diff()

    assert engine.states() == {}


def test_limits_of_a_model_that_does_not_exist_stop_the_diff(engine: Engine) -> None:
    engine.limit(models={"out_contact": {"updates": 1}})

    with pytest.raises(ConfigurationError, match="out_contact"):
        engine.diff()
