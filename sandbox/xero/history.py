"""Years of records for going live: what people and another app posted before we came.

`filler` is the organisation's own trade: contacts, items, invoices paid, part-paid, open or voided, credit notes, and
payments with the references that people type. `sales` are documents of a shop that is given: each was posted by hand or by
another app, with its own way of numbering, or is missing, is there twice, or has another amount. Everything goes through
the same checks as the API's own writes, and the same seed makes the same records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sandbox.xero import contacts, documents, payments, settings
from sandbox.xero.store import Call, Record

_FIRST = ("Aisha", "Ben", "Carla", "Dev", "Elin", "Farid", "Grace", "Hugo", "Iris", "Jonas", "Kira", "Liam")
_LAST = ("Adeyemi", "Baker", "Costa", "Doyle", "Evans", "Fischer", "Garcia", "Hughes", "Ivanov", "Jansen")
_FIRMS = ("Northgate Interiors", "Harbour & Sons", "Peak Supplies", "Willow Studio", "Mason Print")
_GOODS = ("Lamp", "Chair", "Shelf", "Rug", "Clock", "Vase", "Frame", "Stool")
_TYPED = ("BACS {n}", "card {n}", "bank transfer {who}", "{n}", "")
OFF = Decimal("1.00")
"""By how much a sale of the kind `amount` is wrong."""


def make(call: Call, wanted: Record) -> dict[str, Any]:
    """Make the history and say what was made, by kind; `numbers` names the documents of the given sales."""
    made: Counter[str] = Counter()
    random = Random(int(wanted.get("seed", 1)))
    first = date.fromisoformat(wanted.get("from", "2023-01-02"))
    days = (date.fromisoformat(wanted.get("until", "2026-08-31")) - first).days
    people = [_contact(call, random, number) for number in range(int(wanted.get("contacts", 0)))]
    made["contacts"] = len(people)
    for number in range(int(wanted.get("items", 0))):
        _item(call, random, number)
        made["items"] += 1
    for number in range(int(wanted.get("invoices", 0)) if people else 0):
        on = first + timedelta(days=random.randrange(days + 1))
        made[_trade(call, random, random.choice(people), on, number)] += 1
    numbers: dict[str, list[str]] = {}
    for sale in wanted.get("sales", []):
        posted = _sale(call, sale)
        numbers[sale["number"]] = posted
        made[f"sales {sale.get('as', 'same')}"] += 1
    return {"made": dict(made), "numbers": numbers}


def _contact(call: Call, random: Random, number: int) -> Record:
    if number % 4 == 3:
        name = f"{random.choice(_FIRMS)} {'Ltd' if number % 8 == 3 else 'LLP'} {number}"
        mail = f"accounts{number}@firm.example"
    else:
        first, last = random.choice(_FIRST), random.choice(_LAST)
        name, mail = f"{first} {last} {number}", f"{first}.{last}{number}@mail.example".lower()
    values: Record = {"Name": name, "EmailAddress": mail if number % 5 else ""}
    return {"ContactID": contacts.save(call, values), "Name": name}


def _item(call: Call, random: Random, number: int) -> None:
    price = {"UnitPrice": Decimal(random.randrange(500, 20000)) / 100, "AccountCode": "201"}
    settings.save_item(
        call,
        {
            "Code": f"{random.choice(_GOODS)[:4].upper()}-{number:03}",
            "Name": f"{random.choice(_GOODS)} {number}",
            "SalesDetails": {**price, "TaxType": "OUTPUT2"},
        },
    )


def _trade(call: Call, random: Random, person: Record, on: date, number: int) -> str:
    """One invoice of the organisation's own, and what became of it; the kind of what was made."""
    net = Decimal(random.randrange(1000, 90000)) / 100
    document = _invoice(call, {"ContactID": person["ContactID"]}, on, f"INV-{on.year}-{number:04}", "", net)
    kind = random.choices(("paid", "part", "open", "voided", "credited"), (60, 10, 15, 5, 10))[0]
    total: Decimal = document["Total"]
    if kind in ("paid", "part"):
        amount = total if kind == "paid" else (total / 2).quantize(Decimal("0.01"))
        text = random.choice(_TYPED).format(n=1000 + number, who=person["Name"])
        _pay(call, document, amount, on + timedelta(days=random.randrange(0, 40)), text, "090")
    elif kind == "voided":
        gone = {"InvoiceID": document["InvoiceID"], "Status": "VOIDED"}
        documents.save(call, gone, documents.INVOICE)
    elif kind == "credited":
        values = _document({"ContactID": person["ContactID"]}, on, net / 10, None)
        note = {**values, "Type": "ACCRECCREDIT", "CreditNoteNumber": f"CN-{on.year}-{number:04}"}
        documents.save(call, note, documents.CREDIT_NOTE)
    return f"invoices {kind}"


def _sale(call: Call, sale: Record) -> list[str]:
    """A sale of the shop as somebody posted it: {number, reference?, date, name, email?, net, tax, paid?, account?, as?}.

    `as`: same, missing, double (a second one, numbered by the ledger) or amount (another net). `paid` is an amount.
    """
    way = sale.get("as", "same")
    if way == "missing":
        return []
    net, tax = Decimal(str(sale["net"])), Decimal(str(sale["tax"]))
    on = date.fromisoformat(sale["date"][:10])
    person = {"Name": sale["name"]}
    if sale.get("email"):
        held = next(call.tenant.find("Contacts", "Name", sale["name"]), None)
        identifier = (
            held["ContactID"]
            if held is not None
            else contacts.save(call, {**person, "EmailAddress": sale["email"]})
        )
        person = {"ContactID": identifier}
    wrong = OFF if way == "amount" else Decimal(0)
    numbers: Sequence[str | None] = (sale["number"], None) if way == "double" else (sale["number"],)
    posted = []
    for number in numbers:
        document = _invoice(call, person, on, number, sale.get("reference", ""), net + wrong, tax)
        posted.append(str(document["InvoiceNumber"]))
        if sale.get("paid"):
            amount = min(Decimal(str(sale["paid"])), document["_outstanding"])
            _pay(call, document, amount, on, sale.get("payment", ""), sale.get("account", "611"))
    return posted


def _document(person: Record, on: date, net: Decimal, tax: Decimal | None) -> Record:
    line: Record = {
        "Description": "Goods",
        "Quantity": Decimal(1),
        "UnitAmount": net.quantize(Decimal("0.01")),
        "AccountCode": "201",
        "TaxType": "OUTPUT2",
    }
    if tax is not None:
        line["TaxAmount"] = tax
    return {
        "Contact": person,
        "Date": on,
        "LineAmountTypes": "Exclusive",
        "Status": "AUTHORISED",
        "LineItems": [line],
    }


def _invoice(
    call: Call,
    person: Record,
    on: date,
    number: str | None,
    reference: str,
    net: Decimal,
    tax: Decimal | None = None,
) -> Record:
    values = _document(person, on, net, tax)
    values |= {"Type": "ACCREC", "DueDate": on + timedelta(days=30), "Reference": reference}
    if number is not None:
        values["InvoiceNumber"] = number
    return call.tenant.must("Invoices", documents.save(call, values, documents.INVOICE))


def _pay(call: Call, document: Record, amount: Decimal, on: date, text: str, account: str) -> None:
    values = {
        "Invoice": {"InvoiceID": document["InvoiceID"]},
        "Account": {"Code": account},
        "Date": on,
        "Amount": amount,
        "Reference": text,
    }
    payments.create(call, values)
