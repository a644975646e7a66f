"""A decision that names what is not there decides nothing and says so: a script must not believe that it was done."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from cdc import conflicts, desk, named, report
from cdc.desk import Chosen
from cdc.desk_frozen import ask_correction
from tests.db.fix_engine import Engine, engine
from tieout.errors import UsageError

__all__ = ["engine"]
INVOICE, SENT = "shop/order/1/1", "shop/order/2/1"
NAMELESS = {"field": "Name", "reason": "The name is too long", "cure": "Shorten it", "who": "shop"}


@pytest.fixture
def refused(engine: Engine) -> Engine:
    """The invoice of order 1 was refused for its account, that of order 2 is in the books."""
    engine.customer()
    engine.order("1", lines=[{"text": "Bag", "account": "999", "amount": Decimal("12.00")}])
    engine.order("2")
    engine.sync()
    return engine


def states(engine: Engine) -> list[dict[str, object]]:
    return engine.connection.execute("select * from cdc.outbox order by entry").fetchall()


@pytest.mark.parametrize("verb", [desk.retry, desk.discard, desk.approve, desk.refuse, desk.accept_as_is])
def test_a_key_that_does_not_wait_is_refused_with_how_it_stands(
    refused: Engine, verb: Callable[..., int]
) -> None:
    with pytest.raises(UsageError, match=f"invoices {SENT} in books has nothing open") as told:
        verb(refused.connection, Chosen(keys=(SENT,)), by="ann", reason="x")

    assert "tieout why KEY" in told.value.cure


def test_one_missing_key_keeps_the_others_from_being_decided(refused: Engine) -> None:
    before = states(refused)

    with pytest.raises(UsageError, match=f"has nothing open; there is no record {INVOICE}0"):
        desk.discard(refused.connection, Chosen(keys=(SENT, INVOICE, f"{INVOICE}0")), by="ann", reason="x")

    assert states(refused) == before
    assert refused.connection.execute("select from cdc.decisions").fetchall() == []


def test_a_misspelt_key_or_cause_is_told_what_comes_near(refused: Engine) -> None:
    with pytest.raises(UsageError, match=rf"no record shop/ordre/1/1 \(did you mean {INVOICE}\?\)"):
        desk.retry(refused.connection, Chosen(keys=("shop/ordre/1/1",)), by="ann")
    with pytest.raises(UsageError, match=rf"No record has the key order/1/1 \(did you mean {INVOICE}\?\)"):
        desk.edit(refused.connection, "order/1/1", "Reference", "x", by="ann", reason="x")
    with pytest.raises(UsageError, match=r"cause 'unkown account' \(did you mean unknown account\?\)"):
        desk.retry(refused.connection, Chosen(cause="unkown account"), by="ann")


def test_an_edit_that_was_never_made_cannot_be_taken_back(refused: Engine) -> None:
    desk.edit(refused.connection, INVOICE, "Reference", "x", by="ann", reason="x")

    with pytest.raises(UsageError, match=r"Referense of .* has no edit to take back") as told:
        desk.edit(refused.connection, INVOICE, "Referense", None, by="ann", reason="x")
    desk.edit(refused.connection, INVOICE, "Reference", None, by="ann", reason="x")

    assert told.value.cure == "Its edits are: Reference."


def test_a_decision_that_was_made_is_told_the_second_time(refused: Engine) -> None:
    refused.target.accounts.add("999")
    desk.retry(refused.connection, Chosen(keys=(INVOICE,)), by="ann")

    with pytest.raises(UsageError, match=f"{INVOICE} in books is to be sent"):
        desk.retry(refused.connection, Chosen(keys=(INVOICE,)), by="ann")


def test_what_only_says_where_to_look_may_hold_nothing(refused: Engine) -> None:
    assert desk.approve(refused.connection, by="ann") == 0
    assert desk.approve(refused.connection, Chosen(model="out_invoices"), by="ann") == 0
    assert desk.retry(refused.connection, Chosen(entity="contacts", connection="books"), by="ann") == 0


def test_a_cause_is_what_the_list_names_where_the_entry_has_none_of_its_own(engine: Engine) -> None:
    engine.customer("8", problems=[NAMELESS])
    engine.sync()
    [group] = report.dead_letters(engine.connection)

    assert desk.discard(engine.connection, Chosen(cause=group.cause), by="ann", reason="not ours") == 1


def test_corrections_and_conflicts_of_unknown_keys_are_refused(refused: Engine) -> None:
    with pytest.raises(UsageError, match="nothing that could be corrected"):
        ask_correction(refused.connection, "shop/order/2/l", by="ann", reason="x")
    with pytest.raises(UsageError, match=f"No field of {SENT} waits for a decision"):
        conflicts.settle(refused.connection, SENT, field=None, take="source", by="ann", reason="x")


def test_a_model_or_an_entity_must_exist_or_have_existed(refused: Engine) -> None:
    named.refuse_unknown(refused.connection, model="out_invoices", entity="invoices")
    refused.connection.execute("update cdc.links set entity = 'quotes' where key = %s", (SENT,))
    named.refuse_unknown(refused.connection, entity="quotes")

    with pytest.raises(
        UsageError, match=r"No outbound model is called 'out_invoice' \(did you mean out_invoices"
    ):
        named.refuse_unknown(refused.connection, model="out_invoice")
    with pytest.raises(
        UsageError, match=r"No kind of record is called 'invoces' \(did you mean invoices\?\)"
    ):
        named.refuse_unknown(refused.connection, entity="invoces")
