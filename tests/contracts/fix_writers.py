"""The stand-ins with a client of ours each, and for every entity the payloads that the contract suite writes.

`Books.send` does what the engine does with one call: check, request, record nothing, send once, read the
outcomes.
"""

from __future__ import annotations

import importlib
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from cdc.calls import body_bytes
from cdc.writing import Operation, Outcome, Outgoing, Write, WriteCall, open_writers
from sandbox.serving import Running, start
from tests.fix_databases import admin, with_name
from tests.fix_http import LOCAL
from tieout.db import Database
from tieout.errors import Rejected
from tieout.http import Answer, boottime
from tieout.settings import Connection, Settings
from tieout.systems import client_module
from tieout.vault import Vault

Payload = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Books:
    """One target: the stand-in's address, our client, and what the tests made there so far."""

    system: str
    address: str
    client: Any
    database: Database
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    last_key: str = ""

    def write(self, entity: str) -> Write:
        """The writer of an entity."""
        return open_writers(self.system)[entity]

    def outgoing(self, payload: Payload, operation: Operation = "create", **more: Any) -> Outgoing:
        """An entry with a number and key of its own."""
        number = next(self.numbers)
        if "comment" in payload:
            payload = payload | {"comment": f"Paid. [tieout:shop/order/{number}]"}
        one = Outgoing(entry=number, key=f"shop/order/{number}", operation=operation, payload=payload)
        return replace(one, **more)

    def send(self, write: Write, *outgoing: Outgoing) -> list[Outcome]:
        """Check, and send what is left in one call; one outcome each."""
        operation = outgoing[0].operation
        checked = write.check(self.client, operation, outgoing)
        settled = {
            one.entry: found if isinstance(found, Outcome) else None
            for one, found in zip(outgoing, checked, strict=True)
        }
        left = [
            found if isinstance(found, Outgoing) else one
            for one, found in zip(outgoing, checked, strict=True)
            if not isinstance(found, Outcome)
        ]
        if left:
            answer = self.call(write.request(operation, left))
            found = write.outcomes(operation, left, answer)
            settled |= {one.entry: outcome for one, outcome in zip(left, found, strict=True)}
        return [outcome for outcome in settled.values() if outcome is not None]

    def call(self, call: WriteCall, key: str | None = None) -> Answer:
        """Send one request. A definite refusal is an answer too."""
        self.last_key = key or str(uuid.uuid4())
        try:
            return self.client.http.write(  # type: ignore[no-any-return]
                call.method,
                call.path,
                slot=self.client.http.ready_to_write(),
                content=body_bytes(call.body),
                deadline=boottime() + 60,
                params=dict(call.params),
                headers={"Idempotency-Key": self.last_key},
            )
        except Rejected as refused:
            return Answer(status=refused.status, headers={}, content=refused.body, seconds=0.0, is_write=True)

    def made(self, entity: str, payload: Payload) -> tuple[Outgoing, Outcome]:
        """A record that is there."""
        one = self.outgoing(payload)
        outcome = self.send(self.write(entity), one)[0]
        assert outcome.kind == "applied", outcome
        return one, outcome

    def fault(self, kind: str, **more: Any) -> None:
        """The next request that fits misbehaves."""
        self.post("faults", {"kind": kind, **more})

    def calm(self) -> None:
        """No fault is left over for the next test."""
        LOCAL.delete(f"{self.address}/_sandbox/faults").raise_for_status()

    def writes(self) -> int:
        """Requests that wanted to change something, so far."""
        log = LOCAL.get(f"{self.address}/_sandbox/requests").json()
        return sum(1 for request in log["requests"] if request["write"])

    def post(self, verb: str, body: Payload) -> Any:
        """Act as a person in the system."""
        answer = LOCAL.post(f"{self.address}/_sandbox/{verb}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the suite needs to know of an entity."""

    system: str
    entity: str
    payload: Callable[[Books], Payload]
    """A new valid record, with all that it refers to."""
    is_refused_twice: bool = True
    """The target itself refuses the same create again."""
    change: Payload | None = None
    """Fields of an update; None: records of this entity never change."""
    is_removable: bool = True
    bad: Payload | None = None
    """Fields that make a payload refused; None: nothing in a payload is."""
    is_refused_by_us: bool = False
    """The target would take it without a word, so the writer looks before."""
    is_shown_when_gone: bool = True
    """The target keeps what was removed and shows it."""
    renamed: Mapping[str, Callable[[Outgoing], object]] | None = None
    """What a person may write over that names ours; None: nobody can, or it is a window that docs/in_doubt.md names."""
    theirs: Payload | None = None
    """Fields by which another's record of the same number differs."""
    change_method: str = "POST"

    def __str__(self) -> str:
        return f"{self.system}.{self.entity}"


def contact(books: Books) -> Payload:
    number = next(books.numbers)
    return {
        "Name": f"Jane Doe {number}",
        "ContactNumber": f"shop/customer/{number}",
        "FirstName": "Jane",
        "LastName": "Doe",
        "EmailAddress": f"jane{number}@shop.example",
        "Addresses": [
            {"AddressType": "STREET", "AddressLine1": "1 Long Lane", "City": "Leeds", "Country": "GB"}
        ],
        "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": "0113 496 0000"}],
    }


def item(books: Books) -> Payload:
    number = next(books.numbers)
    return {
        "Code": f"MUG-{number}",
        "Name": f"Mug {number}",
        "Description": "A mug",
        "IsSold": True,
        "SalesDetails": {"UnitPrice": Decimal("12.3456"), "AccountCode": "200", "TaxType": "OUTPUT2"},
    }


def invoice(books: Books) -> Payload:
    number = next(books.numbers)
    _, made = books.made("contacts", contact(books))
    return {
        "Type": "ACCREC",
        "Contact": {"ContactID": made.target_id},
        "InvoiceNumber": f"WEB-{number}",
        "Reference": f"{number:09}",
        "Date": "2026-01-05",
        "DueDate": "2026-01-19",
        "LineAmountTypes": "Exclusive",
        "Status": "AUTHORISED",
        "LineItems": [
            line(
                "10", Description="Mug", Quantity=2, UnitAmount=Decimal("12.3456"), TaxAmount=Decimal("4.94")
            ),
            line(
                "20",
                Description="Shipping",
                Quantity=1,
                UnitAmount=Decimal("5.00"),
                TaxAmount=Decimal("1.00"),
            ),
        ],
    }


def line(name: str, **fields: Any) -> Payload:
    return {"_line": name, "AccountCode": "200", "TaxType": "OUTPUT2", **fields}


def credit_note(books: Books) -> Payload:
    payload = invoice(books)
    number = payload.pop("InvoiceNumber")
    del payload["DueDate"]
    return payload | {"Type": "ACCRECCREDIT", "CreditNoteNumber": f"{number}-C1"}


def payment(books: Books) -> Payload:
    document = invoice(books)
    _, made = books.made("invoices", document)
    return {
        "Invoice": {"InvoiceID": made.target_id},
        "Account": {"Code": "611"},
        "Date": "2026-01-06",
        "Amount": Decimal("10.00"),
        "Reference": f"{document['Reference']}/payment/1",
    }


def refund(books: Books) -> Payload:
    document = credit_note(books)
    _, made = books.made("credit_notes", document)
    paid = payment(books)
    del paid["Invoice"]
    return paid | {"CreditNote": {"CreditNoteID": made.target_id}}


def allocation(books: Books) -> Payload:
    document = invoice(books)
    _, billed = books.made("invoices", document)
    note = credit_note(books) | {"Contact": document["Contact"]}
    _, credited = books.made("credit_notes", note)
    return {
        "CreditNote": {"CreditNoteID": credited.target_id},
        "Invoice": {"InvoiceID": billed.target_id},
        "Amount": Decimal("7.50"),
        "Date": "2026-01-07",
    }


def deposit_refund(books: Books) -> Payload:
    _, made = books.made("bank_transactions", deposit(books))
    paid = payment(books)
    del paid["Invoice"]
    given = (made.record or {})["PrepaymentID"]
    return paid | {"Prepayment": {"PrepaymentID": given}, "Account": {"Code": "092"}}


def deposit(books: Books) -> Payload:
    number = next(books.numbers)
    _, made = books.made("contacts", contact(books))
    return {
        "Type": "RECEIVE-PREPAYMENT",
        "Contact": {"ContactID": made.target_id},
        "BankAccount": {"Code": "092"},
        "Date": "2026-01-05",
        "Reference": f"shop/order/{number}/deposit/1",
        "LineAmountTypes": "NoTax",
        "Status": "AUTHORISED",
        "LineItems": [
            {
                "_line": "1",
                "Description": "Deposit",
                "Quantity": 1,
                "UnitAmount": Decimal("30.00"),
                "AccountCode": "832",
                "TaxType": "NONE",
            }
        ],
    }


def overpayment(books: Books) -> Payload:
    too_much = {"_line": "1", "Description": "Paid too much", "LineAmount": Decimal("30.00")}
    payload = deposit(books)
    reference = f"{payload['Reference'].partition('/deposit')[0]}/payment/1/overpayment"
    return payload | {
        "Type": "RECEIVE-OVERPAYMENT",
        "Reference": reference,
        "LineItems": [too_much],
    }


def prepayment_allocation(books: Books) -> Payload:
    return _allocated(books, deposit(books), "Prepayment")


def overpayment_allocation(books: Books) -> Payload:
    return _allocated(books, overpayment(books), "Overpayment")


def _allocated(books: Books, payload: Payload, name: str) -> Payload:
    document = invoice(books)
    _, billed = books.made("invoices", document)
    _, made = books.made("bank_transactions", payload | {"Contact": document["Contact"]})
    return {
        name: {f"{name}ID": (made.record or {})[f"{name}ID"]},
        "Invoice": {"InvoiceID": billed.target_id},
        "Amount": Decimal("7.50"),
        "Date": "2026-01-07",
    }


def comment(books: Books) -> Payload:
    order = books.post(
        "place",
        {
            "items": [{"sku": "MUG-01", "qty": 1}],
            "email": "ada@shop.example",
            "firstname": "Ada",
            "lastname": "Bell",
        },
    )
    return {
        "parent_id": order["entity_id"],
        "comment": "Invoice WEB-1 is paid.",
        "status": order["status"],
        "is_customer_notified": 0,
        "is_visible_on_front": 0,
    }


def customer(books: Books) -> Payload:
    number = next(books.numbers)
    street = {"street": ["1 Long Lane"], "city": "Leeds", "postcode": "LS1 1AA", "country_id": "GB"}
    return {
        "email": f"Jane{number}@shop.example",
        "firstname": "Jane",
        "lastname": "Doe",
        "website_id": 1,
        "taxvat": "GB123",
        "addresses": [street | {"telephone": "0113 496 0000"}],
    }


def product(books: Books) -> Payload:
    number = next(books.numbers)
    return {
        "sku": f"CUP/{number} +B",
        "name": f"Cup {number}",
        "attribute_set_id": 4,
        "type_id": "simple",
        "status": 2,
        "price": Decimal("12.50"),
        "extension_attributes": {"website_ids": [1]},
        "custom_attributes": [{"attribute_code": "description", "value": "A cup"}],
    }


def base_price(books: Books) -> Payload:
    made = books.post("products", {"sku": f"PRICED-{next(books.numbers)}", "price": 3})
    return {"sku": made["sku"], "price": Decimal("4.10"), "store_id": 0}


def source_item(books: Books) -> Payload:
    made = books.post("products", {"sku": f"STOCKED-{next(books.numbers)}", "price": 1})
    return {"sku": made["sku"], "source_code": "default", "quantity": Decimal("12.5"), "status": 1}


XERO_CASES = (
    Case(
        system="xero",
        entity="contacts",
        payload=contact,
        theirs={"ContactNumber": "ERP-1", "EmailAddress": "other@erp.example"},
        change={"FirstName": "Janet", "Addresses": [{"AddressType": "STREET", "City": "York"}]},
        bad={"EmailAddress": "nonsense"},
    ),
    Case(
        system="xero",
        entity="items",
        payload=item,
        theirs={"Name": "Typed"},
        is_shown_when_gone=False,
        change={"Description": "A better mug"},
        bad={"SalesDetails": {"AccountCode": "9999"}},
    ),
    Case(
        system="xero",
        entity="invoices",
        payload=invoice,
        theirs={"Reference": "typed"},
        renamed={"InvoiceNumber": lambda one: f"HAND-{one.key}"},
        change={"Reference": "changed", "DueDate": "2026-02-01"},
        bad={"LineItems": [line("10", Description="Mug", Quantity=1, UnitAmount=1, AccountCode="9999")]},
    ),
    Case(
        system="xero",
        entity="credit_notes",
        payload=credit_note,
        theirs={"Reference": "typed"},
        renamed={"CreditNoteNumber": lambda one: f"HAND-{one.key}"},
        change={"Reference": "changed"},
        bad={"LineItems": [line("10", Description="Mug", Quantity=1, UnitAmount=1, AccountCode="9999")]},
    ),
    Case(
        system="xero",
        entity="payments",
        payload=payment,
        is_refused_twice=False,
        bad={"Amount": Decimal("1000.00")},
    ),
    Case(
        system="xero",
        entity="payments",
        payload=refund,
        is_refused_twice=False,
        bad={"Account": {"Code": "9999"}},
    ),
    Case(
        system="xero",
        entity="allocations",
        payload=allocation,
        is_shown_when_gone=False,
        is_refused_twice=False,
        bad={"Amount": Decimal("1000.00")},
    ),
    Case(
        system="xero",
        entity="payments",
        payload=deposit_refund,
        is_refused_twice=False,
        bad={"Amount": Decimal("1000.00")},
    ),
    Case(
        system="xero",
        entity="bank_transactions",
        payload=deposit,
        renamed={"Reference": lambda _one: "typed"},
        is_refused_twice=False,
        bad={"BankAccount": {"Code": "611"}},
    ),
    Case(
        system="xero",
        entity="bank_transactions",
        payload=overpayment,
        renamed={"Reference": lambda _one: "typed"},
        is_refused_twice=False,
        bad={"BankAccount": {"Code": "093"}, "CurrencyCode": "GBP"},
    ),
    Case(
        system="xero",
        entity="prepayment_allocations",
        payload=prepayment_allocation,
        is_shown_when_gone=False,
        is_refused_twice=False,
        bad={"Amount": Decimal("1000.00")},
    ),
    Case(
        system="xero",
        entity="overpayment_allocations",
        payload=overpayment_allocation,
        is_shown_when_gone=False,
        is_refused_twice=False,
        bad={"Amount": Decimal("1000.00")},
    ),
)

MAGENTO_CASES = (
    Case(
        system="magento",
        entity="customers",
        payload=customer,
        theirs={"firstname": "Typed"},
        change_method="PUT",
        change={"lastname": "Roe", "addresses": [{"telephone": "01904 555 000"}]},
        is_removable=False,
        bad={"email": "nonsense"},
    ),
    Case(
        system="magento",
        entity="products",
        payload=product,
        change_method="PUT",
        is_refused_twice=False,
        change={
            "name": "Better cup",
            "custom_attributes": [{"attribute_code": "description", "value": "Fine"}],
        },
        is_removable=False,
        bad={"attribute_set_id": 0},
    ),
    Case(
        system="magento",
        entity="base_prices",
        payload=base_price,
        is_refused_twice=False,
        change={"price": Decimal("5.00")},
        is_removable=False,
        bad={"price": Decimal(-1)},
    ),
    Case(
        system="magento",
        entity="source_items",
        payload=source_item,
        is_refused_twice=False,
        change={"quantity": 0, "status": 0},
        is_removable=False,
        bad={"sku": "NOPE"},
        is_refused_by_us=True,
    ),
    Case(
        system="magento",
        entity="order_comments",
        payload=comment,
        is_refused_twice=False,
        is_removable=False,
    ),
)

CASES = (*XERO_CASES, *MAGENTO_CASES)


def changed(one: Outgoing, outcome: Outcome, change: Payload, write: Write) -> Outgoing:
    """The update of a record that was just made, as the diff would make it."""
    assert outcome.record is not None
    return replace(
        one,
        operation="update",
        payload=one.payload | change,
        fields=tuple(change),
        target_id=outcome.target_id,
        line_ids=outcome.line_ids or {},
        returned=write.returned(one.payload, outcome.record),
    )


def removed(one: Outgoing, outcome: Outcome, write: Write) -> Outgoing:
    """The removal of a record that was just made."""
    assert outcome.record is not None
    return replace(
        one,
        operation="remove",
        target_id=outcome.target_id,
        returned=write.returned(one.payload, outcome.record),
    )


def ours(write: Write, books: Books, one: Outgoing) -> Sequence[str]:
    """Ids of the records that the target says are ours."""
    return [found.target_id for found in write.find(books.client, [one])[0] if found.is_ours]


@contextmanager
def own_database(server_url: str) -> Iterator[Database]:
    """A migrated database of one module."""
    name = f"writers_{uuid.uuid4().hex}"
    admin(
        server_url, "create database {name} template {template} strategy file_copy", name, "tieout_template"
    )
    try:
        yield Database(with_name(server_url, name))
    finally:
        admin(server_url, "drop database {name} with (force)", name)


def open_books(system: str, database: Database, settings: Settings) -> Iterator[Books]:
    """Start the stand-in of a system and open a client of ours at it."""
    app = importlib.import_module(f"sandbox.{system}.app").create_app(**_STAND_IN[system])
    running = start(app, credentials=app.config["CREDENTIALS"])
    try:
        connection = Connection(name="books", system=system, writes="on", options=_options(system, running))
        client = client_module(system).open_client(connection, database, Vault(database, settings))
        try:
            yield Books(system=system, address=running.address, client=client, database=database)
        finally:
            client.close()
    finally:
        running.stop()


# Limits and races are not what these tests are about.
_STAND_IN: dict[str, dict[str, Any]] = {
    "xero": {"minute": None, "day": None},
    "magento": {"race_window_ms": 0},
}


def _options(system: str, running: Running) -> dict[str, Any]:
    given = running.credentials
    if system == "magento":
        names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        return {"base_url": running.address, **{name: given[name] for name in names}}
    return {
        "flow": "custom",
        "client_id": given["custom_client_id"],
        "client_secret": given["custom_client_secret"],
        "api_url": f"{running.address}/api.xro/2.0",
        "identity_url": f"{running.address}/connect/token",
        "calls_a_minute": 10_000,
    }
