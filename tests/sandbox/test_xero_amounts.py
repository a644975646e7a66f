"""The arithmetic of lines at the Xero stand-in, to the cent ("Rounding in Xero")."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.fix_xero import Books, line

D = Decimal

CASES: list[tuple[str, str, list[dict[str, Any]], tuple[str, str, str]]] = [
    ("exclusive", "Exclusive", [{}], ("100.00", "20.00", "120.00")),
    ("inclusive", "Inclusive", [{"UnitAmount": 120}], ("100.00", "20.00", "120.00")),
    ("no tax", "NoTax", [{}], ("100.00", "0.00", "100.00")),
    ("half up", "Exclusive", [{"UnitAmount": D("0.125"), "Quantity": 2}], ("0.25", "0.05", "0.30")),
    ("tax of each line", "Exclusive", [{"UnitAmount": D("0.03")}] * 5, ("0.15", "0.05", "0.20")),
    ("tax sent", "Exclusive", [{"TaxAmount": D("19.99")}], ("100.00", "19.99", "119.99")),
    (
        "discount rate",
        "Exclusive",
        [{"Quantity": 3, "UnitAmount": D("19.99"), "DiscountRate": 10}],
        ("53.97", "10.79", "64.76"),
    ),
    (
        "discount amount",
        "Exclusive",
        [{"Quantity": 3, "UnitAmount": D("19.99"), "DiscountAmount": D("5.97")}],
        ("54.00", "10.80", "64.80"),
    ),
    (
        "quantity and line",
        "Exclusive",
        [{"Quantity": 4, "UnitAmount": None, "LineAmount": 10}],
        ("10.00", "2.00", "12.00"),
    ),
    (
        "price and line",
        "Exclusive",
        [{"Quantity": None, "UnitAmount": 4, "LineAmount": 10}],
        ("10.00", "2.00", "12.00"),
    ),
    ("negative line", "Exclusive", [{}, {"UnitAmount": -30}], ("70.00", "14.00", "84.00")),
    ("inclusive half", "Inclusive", [{"UnitAmount": D("9.99")}], ("8.32", "1.67", "9.99")),
    (
        "another rate",
        "Inclusive",
        [{"UnitAmount": D("123.00"), "TaxType": "TAX001"}],
        ("100.00", "23.00", "123.00"),
    ),
]


@pytest.mark.parametrize(
    ("amounts", "changes", "sums"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_sums(books: Books, amounts: str, changes: list[dict[str, Any]], sums: tuple[str, str, str]) -> None:
    made = books.invoice(LineAmountTypes=amounts, LineItems=[line(**change) for change in changes])

    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == tuple(map(D, sums))
    books.balances()


def test_unit_price_is_rounded_unless_four_places_are_asked_for(books: Books) -> None:
    body = books.document(LineItems=[line(Quantity=1000, UnitAmount=D("0.1234"))])

    two = books.put("Invoices", body)
    four = books.put("Invoices?unitdp=4", body)

    assert (two["SubTotal"], two["LineItems"][0]["UnitAmount"]) == (D("120.00"), D("0.12"))
    assert (four["SubTotal"], str(four["LineItems"][0]["UnitAmount"])) == (D("123.40"), "0.1234")


def test_reading_at_two_places_and_writing_back_rounds_the_price(books: Books) -> None:
    made = books.invoice(LineItems=[line(Quantity=1000, UnitAmount=D("0.1234"))])
    read = books.get(f"Invoices/{made['InvoiceID']}")[0]["LineItems"][0]

    again = books.post(
        "Invoices",
        {
            "InvoiceID": made["InvoiceID"],
            "LineItems": [{"LineItemID": read["LineItemID"], "UnitAmount": read["UnitAmount"]}],
        },
    )

    assert again["SubTotal"] == D("120.00")


def test_price_that_an_update_leaves_out_stays(books: Books) -> None:
    made = books.invoice(LineItems=[line(Quantity=1000, UnitAmount=D("0.1234"))])
    sent = {"LineItemID": made["LineItems"][0]["LineItemID"], "Description": "Other words"}

    again = books.post("Invoices", {"InvoiceID": made["InvoiceID"], "LineItems": [sent]})

    assert (again["SubTotal"], again["LineItems"][0]["Description"]) == (D("123.40"), "Other words")


def test_numbers_come_back_exactly(books: Books) -> None:
    made = books.invoice(CurrencyCode="EUR", CurrencyRate=D("1.1536570000"))

    assert str(made["CurrencyRate"]) == "1.1536570000"
    assert '"AmountPaid": 0.00' in books.last.get_data(as_text=True)


def test_line_without_amounts_is_words_only(books: Books) -> None:
    made = books.invoice(LineItems=[line(), {"Description": "Thank you"}])

    assert set(made["LineItems"][1]) == {"Description", "LineItemID", "Tracking", "ValidationErrors"}
    assert made["Total"] == D("120.00")


def test_item_fills_what_a_line_leaves_out(books: Books) -> None:
    books.put(
        "Items",
        {
            "Code": "W-1",
            "Name": "Widget",
            "Description": "A widget",
            "SalesDetails": {"UnitPrice": D("12.50"), "AccountCode": "201", "TaxType": "RROUTPUT"},
        },
    )

    made = books.invoice(LineItems=[{"ItemCode": "w-1", "Quantity": 2}])

    filled = made["LineItems"][0]
    assert (filled["Description"], filled["AccountCode"], filled["TaxType"]) == (
        "A widget",
        "201",
        "RROUTPUT",
    )
    assert (made["Total"], filled["Item"]["Code"]) == (D("26.25"), "W-1")


def test_account_gives_the_tax_that_a_line_leaves_out(books: Books) -> None:
    made = books.invoice(LineItems=[line(TaxType=None)])

    assert (made["LineItems"][0]["TaxType"], made["TotalTax"]) == ("OUTPUT2", D("20.00"))
