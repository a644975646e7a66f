"""A dead letter is shown whole, and each way out of it works: cure, edit, retry, discard. A stuck one stops only its own chain."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cdc import desk, letters, report
from cdc.desk import Chosen
from cdc.letters import Letter
from tests.db.fix_engine import Engine, engine
from tieout.errors import UsageError

__all__ = ["engine"]
INVOICE, PAYMENT = "shop/order/1/1", "shop/order/1/payment/1"
PROBLEM = {
    "field": "Name",
    "reason": "The name is too long",
    "cure": "Shorten the name in the shop",
    "who": "shop",
    "cause": "name too long",
}
BAD_LINES = [{"text": "Bag", "account": "999", "amount": Decimal("12.00")}]


@pytest.fixture
def refused(engine: Engine) -> Engine:
    """Order 1 is on an account that the ledger does not know, order 2 is well; account 999 stands in a lookup."""
    engine.connection.execute(
        """
        create schema lookups;
        create table lookups.category_accounts (connection text, category text, account text);
        insert into lookups.category_accounts values ('shop', 'Goods', '999'), ('shop', 'Services', '201');
        update cdc.models set config = jsonb_set(config, '{lookups}', '["category_accounts"]') where model = 'out_invoices';
        """
    )
    engine.customer()
    engine.order("1", lines=BAD_LINES, paid="12.00")
    engine.order("2", paid="12.00")
    engine.sync()
    return engine


def letter(engine: Engine, **chosen: object) -> Letter:
    [found] = letters.letters(engine.connection, **chosen)  # type: ignore[arg-type]
    return found


def decisions(engine: Engine) -> list[tuple[str, str, str | None]]:
    rows = engine.connection.execute(
        "select verb, decided_by, reason from cdc.decisions order by decision"
    ).fetchall()
    return [(row["verb"], row["decided_by"], row["reason"]) for row in rows]


def test_a_letter_shows_the_record_the_request_as_it_was_sent_the_vendors_words_and_the_cure(
    refused: Engine,
) -> None:
    found = letter(refused, keys=[INVOICE])

    assert (found.connection, found.entity, found.operation, found.cause) == (
        "books", "invoices", "create", "unknown account"
    )  # fmt: skip
    assert (found.source_connection, found.source_id, found.model) == ("shop", "1", "out_invoices")
    assert (found.amount, found.currency, found.who) == (Decimal("12.00"), "EUR", "accountant")
    assert found.words == ("Account code '999' is not a valid code",)
    assert (found.method, found.path, found.status) == ("PUT", "/invoices", 200)
    # Two invoices went out in one call: this one's part of it, with the target's id of the contact.
    assert found.request["InvoiceNumber"] == "WEB-000000001"
    assert found.request["Contact"]["ContactID"] in refused.target.records["contacts"]
    assert found.cure
    assert found.waiting == 1, "its payment"


def test_the_lookup_row_that_gave_a_field_is_named_with_the_model(refused: Engine) -> None:
    [given] = letter(refused, keys=[INVOICE]).fields

    assert (given.path, given.value, given.model) == ("LineItems/1/AccountCode", "999", "out_invoice_lines")
    assert given.lookups == ("category_accounts.account (shop, Goods)",)


def test_letters_are_chosen_by_cause_and_nothing_that_waits_is_one(refused: Engine) -> None:
    assert [each.key for each in letters.letters(refused.connection, cause="unknown account")] == [INVOICE]
    assert letters.letters(refused.connection, keys=[PAYMENT]) == []
    assert letters.letters(refused.connection, cause="something else") == []


def test_a_stuck_document_stops_its_own_chain_and_no_other(refused: Engine) -> None:
    assert refused.states() == {INVOICE: "rejected", PAYMENT: "waiting"}
    assert {one["InvoiceNumber"] for one in refused.target.records["invoices"].values()} == {"WEB-000000002"}
    assert len(refused.target.records["payments"]) == 1, "of order 2"


def test_a_corrected_mapping_repairs_its_letters_and_what_waits_for_them_without_a_retry(
    refused: Engine,
) -> None:
    """The analyst edits the lookup or the model: the diff makes another payload, and the old one is over."""
    refused.order("1", paid="12.00")

    refused.sync()

    assert refused.states() == {}
    assert len(refused.target.records["payments"]) == 2
    assert decisions(refused) == []


def test_an_edit_makes_it_go_and_stays_on_record(refused: Engine) -> None:
    desk.edit(
        refused.connection, INVOICE, "LineItems/1/AccountCode", "201", by="ann", reason="agreed by phone"
    )

    refused.sync()

    accounts = {
        one["InvoiceNumber"]: one["LineItems"][0]["AccountCode"]
        for one in refused.target.records["invoices"].values()
    }
    assert accounts == {"WEB-000000001": "201", "WEB-000000002": "200"}
    assert refused.states() == {}
    assert decisions(refused) == [("edit", "ann", "agreed by phone")]
    refused.order("1", paid="12.00", reference="edited in the shop")
    refused.sync()
    assert {one["LineItems"][0]["AccountCode"] for one in refused.target.records["invoices"].values()} == {
        "200",
        "201",
    }, "it holds for later diffs too"


def test_an_edit_may_name_a_line_as_the_screens_do_and_is_taken_back_either_way(refused: Engine) -> None:
    said = {"by": "ann", "reason": "agreed by phone"}
    desk.edit(refused.connection, INVOICE, "LineItems[1].AccountCode", "201", **said)
    refused.sync()
    made = refused.target.records["invoices"]

    assert sorted(one["LineItems"][0]["AccountCode"] for one in made.values()) == ["200", "201"]

    desk.edit(refused.connection, INVOICE, "LineItems/1/AccountCode", None, **said)
    assert refused.row("select overrides from cdc.links where key = %s", INVOICE) == {"overrides": {}}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("DueDat", "did you mean 'DueDate'"),
        ("Total", "computes 'Total'"),
        ("LineItems/1/AccountCod", "did you mean 'AccountCode'"),
        ("LineItems[2].AccountCode", "no line '2'"),
        ("LineItems/1/Tracking/1/Name", "no field 'Name' in LineItems"),
        ("Contact/ContactID", "Contact of this record has no lines"),
    ],
)
def test_an_edit_of_what_the_record_does_not_have_is_refused(refused: Engine, path: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        desk.edit(refused.connection, INVOICE, path, "x", by="ann", reason="typing error")

    assert refused.row("select overrides from cdc.links where key = %s", INVOICE) == {"overrides": {}}


def test_an_edit_says_what_is_to_be_cured_all_the_same(engine: Engine) -> None:
    engine.customer(problems=[PROBLEM])
    engine.diff()

    still = desk.edit(engine.connection, "shop/customer/7", "Name", "Jane", by="ann", reason="typing error")

    assert still == PROBLEM["cure"]
    with pytest.raises(UsageError, match="No record has the key nothing"):
        desk.edit(engine.connection, "nothing", "Name", "Jane", by="ann", reason="typing error")


def test_an_edited_field_says_who_edited_it(refused: Engine) -> None:
    desk.edit(
        refused.connection, INVOICE, "LineItems/1/AccountCode", "998", by="ann", reason="agreed by phone"
    )
    refused.sync()

    [given] = letter(refused, keys=[INVOICE]).fields

    assert (given.value, given.edited_by, given.lookups) == ("998", "ann: agreed by phone", ())


def test_all_of_a_kind_are_tried_again_after_a_cure_at_the_target(refused: Engine) -> None:
    refused.target.accounts.add("999")

    count = desk.retry(
        refused.connection, Chosen(cause="unknown account"), by="ann", reason="made the account"
    )
    refused.drain()

    assert count == 1
    assert refused.states() == {}
    assert decisions(refused) == [("retry", "ann", "made the account")]


def test_a_letter_that_is_given_up_lets_its_chain_be_seen(refused: Engine) -> None:
    """The payment of a discarded invoice refers to nothing: it is a letter of its own and does not wait for ever."""
    desk.discard(refused.connection, Chosen(keys=(INVOICE,)), by="ann", reason="booked by hand")

    refused.sync()

    assert [group.cause for group in report.dead_letters(refused.connection)] == ["reference to nothing"]
    assert refused.states() == {PAYMENT: "problems"}
    assert decisions(refused) == [("discard", "ann", "booked by hand")]
