"""One suite over every entity that is written: what the engine relies on, against the stand-ins.

Lost answers are in `test_in_doubt.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from psycopg import sql

from cdc.catalogue import fields, objection
from cdc.writing import open_writers
from tests.contracts import fix_writers
from tests.contracts.fix_writers import CASES, XERO_CASES, Books, Case, changed, line, ours, removed
from tieout.db import json_dumps
from tieout.settings import Settings, package_root


@pytest.fixture(scope="module")
def shared(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Books]]:
    """Both stand-ins with a client of ours each, for all tests here: each makes records of its own."""
    with ExitStack() as stack:
        database = stack.enter_context(fix_writers.own_database(server_url))
        root, folder = package_root(), tmp_path_factory.mktemp("writers")
        settings = Settings(environment="test", data_dir=folder, project_dir=root, lookups_dir=root)
        open_books = contextmanager(fix_writers.open_books)
        yield {
            system: stack.enter_context(open_books(system, database, settings))
            for system in ("xero", "magento")
        }


@pytest.fixture
def books(request: pytest.FixtureRequest, shared: dict[str, Books]) -> Iterator[Books]:
    """The stand-in of the case's system."""
    case: Case = request.node.callspec.params["case"]
    yield shared[case.system]
    shared[case.system].calm()


@pytest.fixture
def xero(shared: dict[str, Books]) -> Books:
    """The Xero stand-in, for what only Xero does."""
    return shared["xero"]


every_case = pytest.mark.parametrize("case", CASES, ids=[f"{case}-{case.payload.__name__}" for case in CASES])
changing = pytest.mark.parametrize("case", [case for case in CASES if case.change is not None], ids=str)
removing = pytest.mark.parametrize(
    "case", [case for case in CASES if case.is_removable], ids=lambda case: f"{case}-{case.payload.__name__}"
)
refusing = pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.bad is not None],
    ids=lambda case: f"{case}-{case.payload.__name__}",
)


def test_every_entity_of_the_register_is_in_this_suite():
    for system in ("xero", "magento"):
        assert set(open_writers(system)) == {case.entity for case in CASES if case.system == system}


@every_case
def test_payloads_hold_fields_of_the_catalogue(case: Case, books: Books):
    tree = fields(case.system, case.entity)

    for name in case.payload(books):
        assert objection(tree, [name]) is None


@every_case
def test_created_record_shows_what_was_sent(case: Case, books: Books):
    write = books.write(case.entity)
    one = books.outgoing(case.payload(books))

    outcome = books.send(write, one)[0]

    assert outcome.kind == "applied"
    found = write.find(books.client, [one])[0]
    assert [(each.is_ours, write.differs(one, each.record)) for each in found] == [(True, ())]
    if outcome.target_id is not None:
        assert found[0].target_id == outcome.target_id
        assert found[0].line_ids == outcome.line_ids
        assert write.differs(one, outcome.record or {}) == ()


@every_case
def test_our_own_write_is_no_news(case: Case, books: Books):
    """The answer and a later read give back the same on the paths that we sent."""
    write = books.write(case.entity)
    one, outcome = books.made(case.entity, case.payload(books))

    read = write.find(books.client, [one])[0][0].record

    kept = write.returned(one.payload, outcome.record or read)
    for name, value in write.returned(one.payload, read).items():
        assert write.same(name, kept[name], value), name
        if name in one.payload:
            assert write.same(name, one.payload[name], value), name


@every_case
def test_second_create_is_refused_or_found_before(case: Case, books: Books):
    write = books.write(case.entity)
    one, _ = books.made(case.entity, case.payload(books))
    again = replace(one, entry=one.entry + 1000)

    assert len(ours(write, books, again)) == 1
    if case.is_refused_twice:
        outcome = books.send(write, again)[0]
        assert (outcome.kind, outcome.ask) == ("rejected", True)
    assert len(ours(write, books, one)) == 1


@changing
def test_update_changes_its_fields_and_nothing_else(case: Case, books: Books):
    write = books.write(case.entity)
    one, made = books.made(case.entity, case.payload(books))
    update = changed(one, made, case.change or {}, write)

    outcome = books.send(write, update)[0]

    assert outcome.kind == "applied"
    whole = replace(update, fields=None)
    record = write.find(books.client, [update])[0][0].record
    assert write.differs(whole, record) == ()
    assert (outcome.line_ids or {}) == (made.line_ids or {})


@removing
def test_removed_record_is_gone_and_stays_gone(case: Case, books: Books):
    write = books.write(case.entity)
    one, made = books.made(case.entity, case.payload(books))
    removal = removed(one, made, write)

    first = books.send(write, removal)[0]
    found = write.find(books.client, [removal])[0]
    again = books.send(write, removal)[0]

    assert first.kind == "applied"
    assert [each.is_ours for each in found] in ([], [True])
    assert again.kind == "unchanged"


@refusing
def test_bad_element_leaves_the_others(case: Case, books: Books):
    write = books.write(case.entity)
    bad = books.outgoing(case.payload(books) | (case.bad or {}))
    good = [books.outgoing(case.payload(books)) for _ in range(2)]
    calls = [[good[0], bad, good[1]]] if write.batch("create") > 1 else [[good[0]], [bad], [good[1]]]

    outcomes = [outcome for call in calls for outcome in books.send(write, *call)]

    assert [outcome.kind for outcome in outcomes] == ["applied", "rejected", "applied"]
    refused = outcomes[1]
    assert bool(refused.messages) is not case.is_refused_by_us
    assert refused.cause
    assert refused.cause not in ("refused by Xero", "refused by Magento")
    assert refused.reason
    assert refused.cure
    assert refused.who


@pytest.mark.parametrize("case", XERO_CASES, ids=lambda case: f"{case}-{case.payload.__name__}")
def test_mirror_finds_what_the_target_finds(case: Case, books: Books):
    write = books.write(case.entity)
    one, _ = books.made(case.entity, case.payload(books))
    found = write.find(books.client, [one])[0]
    other = books.outgoing(case.payload(books))

    with books.database.connect() as session:
        mirror(session, books, case, one, found[0].record)
        mirrored = write.find_in_mirror(session, "books", [one, other])

    assert [(each.target_id, each.is_ours) for each in mirrored[0]] == [(found[0].target_id, True)]
    assert mirrored[1] == []


_IDS = {
    "contacts": "ContactID",
    "items": "ItemID",
    "invoices": "InvoiceID",
    "credit_notes": "CreditNoteID",
    "payments": "PaymentID",
    "bank_transactions": "BankTransactionID",
}
_SOURCES = {
    "allocations": ("CreditNote", "credit_notes"),
    "prepayment_allocations": ("Prepayment", "prepayments"),
    "overpayment_allocations": ("Overpayment", "overpayments"),
}


def mirror(connection: Any, books: Books, case: Case, one: Any, record: dict[str, Any]) -> None:
    """Put a record into its staging table, as a loader would; an allocation with what is allocated."""
    stream, id_field = case.entity, _IDS.get(case.entity, "")
    if case.entity in _SOURCES:
        name, stream = _SOURCES[case.entity]
        id_field = f"{name}ID"
        source = one.payload[name][id_field]
        record = books.client.http.read(f"{name}s/{source}").json()[f"{name}s"][0]
    statement = sql.SQL(
        "insert into {} (connection, id, payload, content_hash, version) values ('books', %s, %s, 'x', 1)"
    )
    connection.execute(
        statement.format(sql.Identifier("staging", f"xero__{stream}")), (record[id_field], json_dumps(record))
    )


# --- what only Xero does


def test_creates_never_touch_a_record_of_the_same_number(xero: Books):
    write = xero.write("invoices")
    payload = fix_writers.invoice(xero)
    theirs, _ = xero.made("invoices", payload | {"Reference": "typed by the accountant"})
    mine = xero.outgoing(payload, total=Decimal("35.63"))

    outcome = xero.send(write, mine)[0]
    found = write.find(xero.client, [mine])[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "number used")
    assert [each.is_ours for each in found] == [False]
    assert write.differs(theirs, found[0].record) == ()


def test_total_of_the_answer_is_compared(xero: Books):
    write = xero.write("invoices")
    one = xero.outgoing(fix_writers.invoice(xero), total=Decimal("99.99"))

    outcome = xero.send(write, one)[0]

    assert write.differs(one, outcome.record or {}) == ("_total",)


def test_tracking_that_xero_drops_is_told(xero: Books):
    write = xero.write("invoices")
    payload = fix_writers.invoice(xero)
    payload["LineItems"][0]["Tracking"] = [{"Name": "No such category", "Option": "Web"}]
    one = xero.outgoing(payload)

    outcome = xero.send(write, one)[0]

    assert outcome.kind == "applied"
    assert write.differs(one, outcome.record or {}) == ("LineItems[10].Tracking",)


def test_lines_keep_their_ids_when_one_is_added_before_them(xero: Books):
    write = xero.write("invoices")
    one, made = xero.made("invoices", fix_writers.invoice(xero))
    added = line(
        "05", Description="Gift wrap", Quantity=1, UnitAmount=Decimal("1.00"), TaxAmount=Decimal("0.20")
    )
    update = changed(one, made, {"LineItems": [added, *one.payload["LineItems"]]}, write)

    outcome = xero.send(write, update)[0]

    assert outcome.kind == "applied"
    assert {name: (outcome.line_ids or {}).get(name) for name in made.line_ids or {}} == made.line_ids
    assert set(outcome.line_ids or {}) == {"05", "10", "20"}


def test_draft_becomes_the_invoice(xero: Books):
    write = xero.write("invoices")
    one, made = xero.made("invoices", fix_writers.invoice(xero) | {"Status": "DRAFT"})

    outcome = xero.send(write, changed(one, made, {"Status": "AUTHORISED"}, write))[0]

    assert outcome.kind == "applied"
    assert (outcome.record or {})["Status"] == "AUTHORISED"
    assert outcome.line_ids == made.line_ids


def test_draft_is_deleted_and_an_approved_invoice_voided(xero: Books):
    write = xero.write("invoices")
    statuses = []
    for status in ("DRAFT", "AUTHORISED"):
        one, made = xero.made("invoices", fix_writers.invoice(xero) | {"Status": status})
        statuses.append((xero.send(write, removed(one, made, write))[0].record or {})["Status"])

    assert statuses == ["DELETED", "VOIDED"]


def test_paid_invoice_is_not_voided(xero: Books):
    write = xero.write("invoices")
    payload = fix_writers.payment(xero)
    xero.made("payments", payload)
    record = xero.client.http.read(f"Invoices/{payload['Invoice']['InvoiceID']}").json()["Invoices"][0]
    before = xero.writes()
    removal = xero.outgoing({"Status": "AUTHORISED"}, "remove", target_id=record["InvoiceID"])

    outcome = xero.send(write, removal)[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "cannot be voided")
    assert xero.writes() == before


def test_our_payment_does_not_look_like_a_change_of_the_invoice(xero: Books):
    """Xero makes the invoice PAID by itself."""
    write = xero.write("invoices")
    document = fix_writers.invoice(xero)
    one, made = xero.made("invoices", document)
    kept = write.returned(document, made.record or {})
    total = (made.record or {})["Total"]
    paid = {"Invoice": {"InvoiceID": made.target_id}, "Account": {"Code": "611"}, "Amount": total}
    xero.made("payments", paid | {"Date": "2026-01-06", "Reference": "all of it"})

    now = write.find(xero.client, [one])[0][0].record

    assert now["Status"] == "PAID"
    assert all(write.same(name, value, write.returned(document, now)[name]) for name, value in kept.items())
    assert write.frozen(now, None) == "paid"


def test_contact_of_somebody_else_is_found_by_its_address_and_completed(xero: Books):
    write = xero.write("contacts")
    _, made = xero.made("contacts", {"Name": "ACME Ltd", "EmailAddress": "Jane@acme.example"})
    payload = fix_writers.contact(xero) | {"EmailAddress": "jane@acme.example"}
    mine = xero.outgoing(payload)

    found = write.find(xero.client, [mine])[0]
    lacking = write.lacking(payload, found[0].record)
    update = replace(mine, operation="update", fields=lacking, target_id=found[0].target_id)
    outcome = xero.send(write, update)[0]

    assert [(each.target_id, each.is_ours) for each in found] == [(made.target_id, False)]
    assert "Name" not in lacking
    assert "EmailAddress" not in lacking
    assert ((outcome.record or {})["Name"], (outcome.record or {})["ContactNumber"]) == (
        "ACME Ltd",
        payload["ContactNumber"],
    )


def test_name_in_use_is_taken(xero: Books):
    write = xero.write("contacts")
    xero.made("contacts", {"Name": "Jane Doe"})

    outcome = xero.send(write, xero.outgoing(fix_writers.contact(xero) | {"Name": "jane doe"}))[0]

    assert (outcome.kind, outcome.cause) == ("taken", "name taken")


def test_field_is_made_empty(xero: Books):
    write = xero.write("invoices")
    one, made = xero.made("invoices", fix_writers.invoice(xero))
    update = changed(one, made, {"Reference": {"$cleared": True}}, write)

    outcome = xero.send(write, update)[0]

    assert outcome.kind == "applied"
    assert not (outcome.record or {}).get("Reference")
    assert write.differs(update, outcome.record or {}) == ()


def test_transaction_gives_the_credit_that_was_born_of_it(xero: Books):
    """Allocations refer to the prepayment, which the link of the transaction names."""
    for payload, name in ((fix_writers.deposit, "PrepaymentID"), (fix_writers.overpayment, "OverpaymentID")):
        write = xero.write("bank_transactions")
        one, made = xero.made("bank_transactions", payload(xero))

        read = write.find(xero.client, [one])[0][0].record

        assert write.returned(one.payload, made.record or {})[name] == read[name]
        assert xero.client.http.read(f"{name[:-2]}s/{read[name]}").status == 200


def test_reconciled_or_used_deposit_is_not_removed(xero: Books):
    write = xero.write("bank_transactions")
    payload = fix_writers.prepayment_allocation(xero)
    credit = xero.client.http.read(f"Prepayments/{payload['Prepayment']['PrepaymentID']}").json()
    transactions = xero.client.http.read("BankTransactions", params={"page": "1"}).json()["BankTransactions"]
    prepayment = credit["Prepayments"][0]["PrepaymentID"]
    record = next(each for each in transactions if each.get("PrepaymentID") == prepayment)
    removal = xero.outgoing({"Status": "AUTHORISED"}, "remove", target_id=record["BankTransactionID"])
    xero.made("prepayment_allocations", payload)

    used = xero.send(write, removal)[0]
    xero.post("reconcile", {"bank_transaction_id": record["BankTransactionID"]})
    before = xero.writes()
    reconciled = xero.send(write, removal)[0]

    assert (used.kind, used.cause) == ("conflict", "document settled meanwhile")
    assert (reconciled.kind, reconciled.cause) == ("rejected", "payment reconciled")
    assert xero.writes() == before


def test_deposit_that_xero_does_not_let_us_remove_is_for_a_person(xero: Books):
    """The vendor does not say whether it does: the refusal tells what to do."""
    write = xero.write("bank_transactions")
    one, made = xero.made("bank_transactions", fix_writers.deposit(xero))
    xero.post("options", {"delete_credits": False})
    try:
        outcome = xero.send(write, removed(one, made, write))[0]
    finally:
        xero.post("options", {"delete_credits": True})

    assert (outcome.kind, outcome.cause) == ("rejected", "cannot be changed here")
    assert "Remove it in Xero itself" in (outcome.cure or "")


def test_equal_money_of_another_key_is_not_ours(xero: Books):
    """Two deposits of one contact, on one day, of one amount: the references tell them apart."""
    write = xero.write("bank_transactions")
    first, _ = xero.made("bank_transactions", fix_writers.deposit(xero))
    second = xero.outgoing(first.payload | {"Reference": f"{first.payload['Reference']}0"})
    typed = xero.outgoing(first.payload | {"Reference": "cash"})
    xero.made("bank_transactions", typed.payload)

    assert [each.is_ours for each in write.find(xero.client, [first])[0]] == [True, False]
    assert [each.is_ours for each in write.find(xero.client, [second])[0]] == [False]


# --- what only Magento does


@pytest.fixture
def shop(shared: dict[str, Books]) -> Books:
    """The Magento stand-in, for what only Magento does."""
    return shared["magento"]


_SECOND = {
    "firstname": "Jane",
    "lastname": "Doe",
    "street": ["2 Low St"],
    "city": "York",
    "country_id": "GB",
    "telephone": "01904 1",
}


def whole(shop: Books, path: str) -> dict[str, Any]:
    """A record as a plain read shows it, without what every write moves."""
    record: dict[str, Any] = shop.client.http.read(path).json()
    return {name: value for name, value in record.items() if name != "updated_at"}


def test_a_customer_keeps_what_an_update_does_not_name(shop: Books):
    write = shop.write("customers")
    one, made = shop.made("customers", fix_writers.customer(shop))
    number = int(made.target_id or 0)
    both = [*(made.record or {})["addresses"], _SECOND | {"id": 900, "customer_id": number}]
    fields = {"group_id": 2, "gender": 2, "middlename": "Q", "addresses": both, "default_shipping": "900"}
    shop.post("edit", {"entity": "customers", "id": number, "fields": fields})
    before = whole(shop, f"customers/{made.target_id}")
    update = changed(one, made, {"addresses": [{"telephone": "0300 123"}]}, write)

    outcome = shop.send(write, update)[0]

    after = whole(shop, f"customers/{made.target_id}")
    assert outcome.kind == "applied"
    assert [each["telephone"] for each in after["addresses"]] == ["0300 123", "01904 1"]
    for each in (*before["addresses"], *after["addresses"]):
        # Magento shows a region id from the second save on.
        each.pop("region_id", None)
    before["addresses"][0]["telephone"] = "0300 123"
    assert after == before


def test_a_name_of_a_customer_is_changed_without_naming_addresses(shop: Books):
    write = shop.write("customers")
    one, made = shop.made("customers", fix_writers.customer(shop))
    update = changed(one, made, {"lastname": "Roe"}, write)

    (checked,) = write.check(shop.client, "update", [update])
    call = write.request("update", [checked])  # type: ignore[list-item]

    assert "addresses" not in call.body["customer"]


def test_an_address_that_the_shop_would_drop_is_told(shop: Books):
    write = shop.write("customers")
    payload = fix_writers.customer(shop)
    del payload["addresses"]
    one, made = shop.made("customers", payload)

    outcome = shop.send(write, changed(one, made, {"addresses": [{"telephone": "0300 123"}]}, write))[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "customer without address")


def test_a_product_keeps_what_an_update_does_not_name(shop: Books):
    write = shop.write("products")
    one, made = shop.made("products", fix_writers.product(shop))
    number, sku = int(made.target_id or 0), one.payload["sku"].replace("/", "%2F").replace(" ", "%20")
    sku = sku.replace("+", "%2B")
    fields = {"extension.website_ids": [1, 2], "attributes.color": "4", "scoped": {"2": {"name": "Tasse"}}}
    tier = {"customer_group_id": 32000, "qty": 10, "value": 9, "extension_attributes": {"website_id": 0}}
    shop.post("edit", {"entity": "products", "id": number, "fields": fields | {"tier_prices": [tier]}})
    before = whole(shop, f"products/{sku}")
    update = changed(one, made, {"name": "Better cup"}, write)

    outcome = shop.send(write, update)[0]

    assert outcome.kind == "applied"
    assert whole(shop, f"products/{sku}") == before | {"name": "Better cup"}


def test_a_product_that_the_shop_has_by_now_is_never_made_over(shop: Books):
    write = shop.write("products")
    payload = fix_writers.product(shop)
    theirs = shop.post("products", {"sku": payload["sku"], "name": "Typed by staff"})
    before = shop.writes()

    outcome = shop.send(write, shop.outgoing(payload))[0]

    assert (outcome.kind, outcome.target_id) == ("conflict", str(theirs["id"]))
    assert shop.writes() == before


@pytest.mark.parametrize(
    "case", [case for case in fix_writers.MAGENTO_CASES if case.change is not None], ids=str
)
def test_what_the_shop_says_already_is_not_sent(case: Case, shop: Books):
    write = shop.write(case.entity)
    one, made = shop.made(case.entity, case.payload(shop))
    record = write.find(shop.client, [one])[0][0]
    again = replace(changed(one, replace(made, record=record.record), {}, write), fields=tuple(one.payload))
    before = shop.writes()

    outcome = shop.send(write, replace(again, target_id=record.target_id))[0]

    assert outcome.kind == "unchanged"
    assert shop.writes() == before


@pytest.mark.parametrize(
    "case", [case for case in fix_writers.MAGENTO_CASES if case.change is not None], ids=str
)
def test_mirror_finds_a_record_by_what_names_it_whatever_it_says(case: Case, shop: Books):
    write = shop.write(case.entity)
    one, _ = shop.made(case.entity, case.payload(shop))
    found = write.find(shop.client, [one])[0][0]
    wanted = shop.outgoing(one.payload | (case.change or {}))

    with shop.database.connect() as session:
        statement = sql.SQL(
            "insert into {} (connection, id, payload, content_hash, version) values ('books', %s, %s, 'x', 1)"
        ).format(sql.Identifier("staging", f"magento__{write.stream}"))
        session.execute(statement, (found.target_id, json_dumps(found.record)))
        mirrored = write.find_in_mirror(session, "books", [wanted, shop.outgoing(case.payload(shop))])
        session.rollback()

    assert [(each.target_id, each.is_ours) for each in mirrored[0]] == [(found.target_id, True)]
    assert mirrored[1] == []


# --- payments that people enter in Xero
def test_payment_that_a_person_entered_stands_for_ours(xero: Books):
    """Same money, same invoice; account, day and reference are theirs."""
    write = xero.write("payments")
    payload = fix_writers.payment(xero)
    typed = payload | {"Account": {"Code": "090"}, "Date": "2026-01-09", "Reference": "bank 17"}
    _, theirs = xero.made("payments", typed)
    mine = xero.outgoing(payload)

    for found in (write.look(xero.client, [mine])[0], write.find(xero.client, [mine])[0]):
        assert [(each.target_id, each.is_ours, each.satisfies) for each in found] == [
            (theirs.target_id, False, True)
        ]


def test_payment_of_another_amount_with_a_key_or_deleted_does_not_stand_for_ours(xero: Books):
    write = xero.write("payments")
    payload = fix_writers.payment(xero)
    mine = xero.outgoing(payload)
    for other in ({"Amount": Decimal("9.99")}, {"Reference": "other/order/7/payment/1"}):
        xero.made("payments", payload | {"Reference": "bank 17"} | other)
    gone, made = xero.made("payments", payload | {"Reference": "bank 18"})
    xero.send(write, removed(gone, made, write))

    assert not [each for each in write.look(xero.client, [mine])[0] if each.satisfies]
    assert not [each for each in write.find(xero.client, [mine])[0] if each.satisfies]


def test_our_payment_in_another_account_still_stands_for_ours(xero: Books):
    """The lookup changed after it was made, and the link was lost: its Reference is our key."""
    write = xero.write("payments")
    one, made = xero.made("payments", fix_writers.payment(xero))
    now = xero.outgoing(one.payload | {"Account": {"Code": "612"}})

    found = write.find(xero.client, [now])[0]

    assert [(each.target_id, each.is_ours, each.satisfies) for each in found] == [
        (made.target_id, False, True)
    ]


def test_payment_above_what_is_open_asks_who_paid(xero: Books):
    write = xero.write("payments")
    payload = fix_writers.payment(xero) | {"Amount": Decimal("35.63")}
    xero.made("payments", payload | {"Reference": "bank 17"})

    outcome = xero.send(write, xero.outgoing(payload))[0]

    assert (outcome.kind, outcome.cause, outcome.ask) == ("rejected", "more than is open", True)


@pytest.mark.parametrize(
    "payload", [fix_writers.allocation, fix_writers.prepayment_allocation], ids=lambda each: each.__name__
)
def test_allocation_that_a_person_made_on_another_day_stands_for_ours(xero: Books, payload: Any):
    entity = "allocations" if payload is fix_writers.allocation else "prepayment_allocations"
    write = xero.write(entity)
    one, made = xero.made(entity, payload(xero))
    mine = xero.outgoing(one.payload | {"Date": "2026-01-20"})

    found = write.find(xero.client, [mine])[0]

    assert [(each.target_id, each.is_ours, each.satisfies) for each in found] == [
        (made.target_id, False, True)
    ]


def test_merged_contact_names_its_survivor_and_an_archived_one_none(xero: Books):
    write = xero.write("contacts")
    one, loser = xero.made("contacts", fix_writers.contact(xero))
    _, winner = xero.made("contacts", fix_writers.contact(xero))
    archived, made = xero.made("contacts", fix_writers.contact(xero))
    xero.send(write, removed(archived, made, write))
    xero.post("merge", {"from": loser.target_id, "into": winner.target_id})

    [merged] = write.find(xero.client, [one])[0]
    [gone] = write.find(xero.client, [archived])[0]

    assert write.merged_into(merged.record) == winner.target_id
    assert (write.merged_into(gone.record), gone.record["ContactStatus"]) == (None, "ARCHIVED")


def test_contact_persons_that_are_sent_replace_all(xero: Books):
    write = xero.write("contacts")
    people = [{"FirstName": name, "LastName": "Doe"} for name in ("Ann", "Bob")]
    one, made = xero.made("contacts", fix_writers.contact(xero) | {"ContactPersons": people})

    outcome = xero.send(write, changed(one, made, {"ContactPersons": people[1:]}, write))[0]
    named = [each["FirstName"] for each in (outcome.record or {})["ContactPersons"]]
    many = [{"FirstName": f"P{number}", "LastName": "Doe"} for number in range(6)]
    refused = xero.send(write, changed(one, made, {"ContactPersons": many}, write))[0]

    assert (outcome.kind, named) == ("applied", ["Bob"])
    assert refused.kind == "rejected"
