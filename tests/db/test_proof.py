"""The proof reads the target afresh, explains what is missing by our own records, and keeps what it found."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, LiteralString

import pytest

from cdc import proof as proving
from cdc.proof import prove
from cdc.proof_period import Period
from cdc.proving import xero
from tests.db.fix_build import Place
from tieout.errors import BuildError, ConfigurationError, ConnectionRefused, NotFound
from tieout.http import Answer
from tieout.queries import query as plainly
from tieout.settings import Connection

RUN = uuid.UUID(int=7)


class Xero:
    """Answers lists and single records, as the API words them; keeps what was asked."""

    def __init__(self) -> None:
        self.records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.http = self
        self.is_closed = False

    def invoice(self, number: str, total: str, day: str, **more: Any) -> str:
        record = {
            "InvoiceID": f"id-{number}",
            "Type": "ACCREC",
            "InvoiceNumber": number,
            "DateString": f"{day}T00:00:00",
            "Total": float(total),
            "TotalTax": 0,
            "CurrencyCode": "EUR",
            "Status": "AUTHORISED",
            "LineItems": [
                {"AccountCode": "200", "TaxType": "NONE", "LineAmount": float(total), "TaxAmount": 0}
            ],
        }
        self.records["Invoices"].append(record | more)
        return str(record["InvoiceID"])

    def read(self, path: str, *, params: Any = None, headers: Any = None) -> Answer:
        self.asked.append((path, params or {}))
        if path == "/Accounts":
            raise ConnectionRefused("the login lacks the scope", cure="Add it.")
        _, plural, *identity = path.split("/")
        found = self.records[plural]
        if identity:
            found = [record for record in found if identity[0] in record.values()]
            if not found:
                raise NotFound("not there")
        elif "DateTime(2026,2,1)" in params.get("where", ""):
            found = [record for record in found if record["DateString"] >= "2026-02-01"]
        size, number = 2, int((params or {}).get("page", 1))
        page = found[(number - 1) * size : number * size]
        return Answer(status=200, headers={}, content=json.dumps({plural: page}).encode(), seconds=0)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Xero:
    client = Xero()
    monkeypatch.setattr(proving, "client_module", lambda _: SimpleNamespace(open_client=lambda *_: client))
    return client


@pytest.fixture
def place(built: Place) -> Place:
    settings = replace(built.settings, connections={"books": Connection(name="books", system="xero")})
    return replace(built, settings=settings)


def _link(place: Place, order: str, target_id: str) -> None:
    place.run(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id) "
        "values ('books', 'invoices', %s, 'out_xero__invoices', 'shop', %s, %s)",
        f"shop/order/{order}/1",
        order,
        target_id,
    )


def _entry(
    place: Place, order: str, state: str, held_for: str | None, reason: str, problems: object = None
) -> None:
    place.run(
        "insert into cdc.outbox (connection, entity, key, model, source_connection, source_id, operation, "
        "state, held_for, "
        "payload, payload_hash, link_version, reason, amount, currency, control) values ('books', "
        "'invoices', %s, "
        "'out_xero__invoices', 'shop', %s, 'create', %s, %s, '{}', 'h', 0, %s, 30, 'EUR', %s)",
        f"shop/order/{order}/1",
        order,
        state,
        held_for,
        reason,
        json.dumps({"_problems": problems}),
    )


def test_both_sides_agree_or_a_named_record_says_why(place: Place, target: Xero) -> None:
    _link(place, "1", target.invoice("W-100", "10", "2026-02-01"))
    _link(place, "2", target.invoice("W-200", "20.50", "2026-02-01"))
    target.invoice("T-1", "999", "2026-02-01")
    _entry(place, "3", "held", "problems", "no account for the category toys")

    proof = prove(place.database, place.settings, run=RUN)

    assert proof.is_proved
    assert [
        (total.day.day, total.source_count, total.target_count, total.is_equal)
        for total in proof.totals
        if total.flow == "invoices" and total.measure == "gross"
    ] == [
        (31, 0, 0, True),
        (1, 2, 3, False),
        (2, 1, 0, False),
    ]
    assert proof.skipped == 1
    names = {
        named.number: named.reason
        for total in proof.totals
        for named in total.named
        if total.flow == "invoices"
    }
    assert names == {
        "W-400": "before cut-over",
        "T-1": "made by others in the target",
        "W-300": "held (problems): no account for the category toys",
    }
    assert proof.notes == ("The trial balance was not read: the login lacks the scope Add it.",)
    assert target.is_closed


def test_a_period_holds_what_is_dated_in_it_and_what_a_person_dated_into_it(
    place: Place, target: Xero
) -> None:
    _link(place, "1", target.invoice("W-100", "10", "2026-02-02"))
    _link(place, "2", target.invoice("W-200", "20.50", "2026-02-01"))
    target.invoice("T-1", "999", "2026-03-01")
    _entry(place, "3", "held", "problems", "no account for the category toys")

    proof = prove(place.database, place.settings, run=RUN, period=Period.parse("2026-02-02"))

    assert proof.period == "2026-02-02 to 2026-02-02"
    totals = [each for each in proof.totals if each.flow == "invoices" and each.measure == "gross"]
    assert [(each.day.day, each.source_count, each.target_count) for each in totals] == [(2, 1, 1)]
    assert sorted(each.number for each in totals[0].named) == ["W-100", "W-300"]
    assert {each.number for each in proof.open} == {"W-100", "W-300"}


def test_a_document_that_waits_names_the_head_of_its_chain(place: Place, target: Xero) -> None:
    _entry(place, "1", "held", "problems", "no account for the category services")
    _entry(place, "2", "waiting", None, "")
    references = [
        {"entity": "invoices", "key": "shop/order/1/1"},
        {"entity": "contacts", "key": "shop/customer/1"},
    ]
    place.run(
        "update cdc.outbox set waits_for = %s where key = 'shop/order/2/1'",
        json.dumps(references),
    )

    proof = prove(place.database, place.settings, run=RUN)

    reasons = {
        named.number: named.reason
        for total in proof.totals
        for named in total.named
        if total.flow == "invoices"
    }
    assert reasons["W-200"] == "waits for invoices shop/order/1/1 (no account for the category services)"


def test_the_view_of_all_documents_is_read_once_where_there_is_one_target(
    place: Place, target: Xero, monkeypatch: pytest.MonkeyPatch
) -> None:
    _link(place, "1", target.invoice("W-100", "10", "2026-02-01"))
    asked: list[str] = []

    def query(name: str, statement: str) -> LiteralString:
        asked.append(statement)
        return plainly(name, statement)

    monkeypatch.setattr(proving, "query", query)
    proof = prove(place.database, place.settings, run=RUN, connections=["shop"])

    assert asked.count("documents") == 1
    assert proof.totals
    assert not prove(place.database, place.settings, run=RUN, connections=["elsewhere"]).totals


def test_what_was_found_is_kept_with_its_names(place: Place, target: Xero) -> None:
    _link(place, "1", target.invoice("W-100", "10.01", "2026-02-01"))

    prove(place.database, place.settings, run=RUN)

    rows = place.rows(
        "select * from cdc.proofs where day = '2026-02-01' and flow = 'invoices' order by proof"
    )
    assert [(row["run"], row["flow"], row["measure"], row["is_equal"]) for row in rows] == [
        (RUN, "invoices", "gross", False),
        (RUN, "invoices", "outstanding", False),
    ]
    reasons = {named["key"]: named["reason"] for named in rows[0]["named"]}
    assert "10.01" in reasons["shop/order/1/1"]
    assert "run `tieout diff`" in reasons["shop/order/2/1"]


def test_a_voided_document_is_not_in_the_targets_total(place: Place, target: Xero) -> None:
    _link(place, "1", target.invoice("W-100", "10", "2026-02-01", Status="VOIDED"))

    proof = prove(place.database, place.settings, run=RUN)

    missing = [named for named in proof.unexplained if named.key == "shop/order/1/1"]
    assert "deleted or voided" in missing[0].reason


def test_a_document_that_a_person_dated_before_the_first_is_asked_for_by_id(
    place: Place, target: Xero
) -> None:
    _link(place, "1", target.invoice("W-100", "10", "2026-01-15"))

    proof = prove(place.database, place.settings, run=RUN)

    assert ("/Invoices/id-W-100", {}) in target.asked
    assert "2026-01-15 in the target" in next(
        named.reason for named in proof.unexplained if named.key == "shop/order/1/1"
    )


def test_lists_are_walked_in_a_stable_order_to_the_empty_page(place: Place, target: Xero) -> None:
    for number in range(5):
        target.invoice(f"T-{number}", "1", "2026-02-01")

    prove(place.database, place.settings, run=RUN)

    pages = [params for path, params in target.asked if path == "/Invoices"]
    assert [params["page"] for params in pages] == ["1", "2", "3", "4"]
    assert {params["order"] for params in pages} == {"InvoiceID"}


def test_payments_take_the_currency_of_what_they_pay(target: Xero) -> None:
    target.invoice("W-1", "10", "2026-02-01", CurrencyCode="USD")
    payment = {
        "PaymentID": "p",
        "Status": "AUTHORISED",
        "Amount": 10,
        "Reference": "k",
        "DateString": "2026-02-02",
    }
    target.records["Payments"] = [
        payment | {"PaymentType": "ACCRECPAYMENT", "Invoice": {"InvoiceID": "id-W-1"}},
        payment | {"PaymentID": "r", "PaymentType": "ARCREDITPAYMENT", "CreditNote": {"CurrencyCode": "GBP"}},
        payment | {"PaymentID": "x", "PaymentType": "ACCPAYPAYMENT", "Invoice": {"CurrencyCode": "EUR"}},
    ]

    found = [*xero.control_records(target, date(2026, 2, 1))]

    assert [(record.flow, record.target_id, record.currency) for record in found] == [
        ("invoices", "id-W-1", "USD"),
        ("payments", "p", "USD"),
        ("refunds", "r", "GBP"),
    ]


def test_before_the_first_build_there_is_nothing_to_prove_by(database: Any, settings: Any) -> None:
    with pytest.raises(BuildError, match="No set of models"):
        prove(database, settings, run=RUN)


def test_a_target_that_the_settings_do_not_have_is_a_configuration_error(built: Place) -> None:
    with pytest.raises(ConfigurationError, match="books"):
        prove(built.database, built.settings, run=RUN)


def test_connections_limit_what_is_proved(place: Place, target: Xero) -> None:
    assert prove(place.database, place.settings, run=RUN, connections=["elsewhere"]).totals == ()
    assert prove(place.database, place.settings, run=RUN, connections=["shop"]).totals
    assert prove(place.database, place.settings, run=RUN, connections=["books"]).totals
