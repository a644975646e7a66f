"""Years of records that were there before us: the same for the same seed, and wrong in the ways that were asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.sandbox.fix_xero import Books

D = Decimal


def sale(number: str, way: str = "same", **more: Any) -> dict[str, Any]:
    return {
        "number": f"WEB-{number}",
        "reference": f"{number:0>9}",
        "date": "2026-07-01",
        "name": "Jane Doe",
        "email": "jane@shop.example",
        "net": "100.00",
        "tax": "20.00",
        "as": way,
        **more,
    }


def test_same_seed_makes_the_same_trade(books: Books) -> None:
    asked = {"seed": 7, "contacts": 8, "items": 3, "invoices": 30, "until": "2025-12-31"}
    first = books.control("history", asked)["made"]
    other = Books()

    assert other.control("history", asked)["made"] == first
    assert other.balances() == books.balances()
    assert first["contacts"] == 8
    assert sum(count for kind, count in first.items() if kind.startswith("invoices")) == 30
    assert len([kind for kind in first if kind.startswith("invoices")]) >= 4


def test_sales_of_a_shop_are_posted_wrongly_as_asked(books: Books) -> None:
    """Dr 610 for each that is there: 120, 120 twice, 121; one was paid into 611."""
    sales = [
        sale("1", paid="120.00", payment="stripe 99"),
        sale("2", "missing"),
        sale("3", "double"),
        sale("4", "amount"),
    ]

    answer = books.control("history", {"sales": sales})

    numbers = answer["numbers"]
    assert (numbers["WEB-1"], numbers["WEB-2"], numbers["WEB-4"]) == (["WEB-1"], [], ["WEB-4"])
    assert (numbers["WEB-3"][0], len(numbers["WEB-3"])) == ("WEB-3", 2)
    totals = {each["InvoiceNumber"]: each["Total"] for each in books.get("Invoices", {"page": 1})}
    assert totals == {
        "WEB-1": D("120.00"),
        "WEB-3": D("120.00"),
        numbers["WEB-3"][1]: D("120.00"),
        "WEB-4": D("121.00"),
    }
    assert (books.balances()["610"], books.balances()["611"]) == (D("361.00"), D("120.00"))
    [paid] = books.get("Payments", {"page": 1})
    assert paid["Reference"] == "stripe 99"
    assert len(books.get("Contacts", {"where": 'Name=="Jane Doe"'})) == 1
