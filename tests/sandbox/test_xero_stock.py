"""Tracked inventory in the Xero stand-in: quantity, cost and the entries of an accountant."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.sandbox.fix_xero import Books, line
from tests.sandbox.test_xero_ledger import d

D = Decimal


def tracked(books: Books, quantity: int = 10, price: str = "4.00") -> Any:
    """A tracked mug of which a bill brought some: Dr 630 Dr 820, Cr 800."""
    item = books.put(
        "Items",
        {
            "Code": "MUG",
            "InventoryAssetAccountCode": "630",
            "SalesDetails": {"UnitPrice": 10, "AccountCode": "201", "TaxType": "OUTPUT2"},
            "PurchaseDetails": {"COGSAccountCode": "310", "TaxType": "NONE"},
        },
    )
    if quantity:
        bought = {"Description": "Mug", "ItemCode": "MUG", "Quantity": quantity, "UnitAmount": D(price)}
        books.invoice(Type="ACCPAY", InvoiceNumber="their number", LineItems=[bought])
    return item


def sell(books: Books, quantity: int, **more: Any) -> Any:
    return books.invoice(LineItems=[line(ItemCode="MUG", Quantity=quantity, UnitAmount=10)], **more)


def held(books: Books) -> tuple[Decimal, Decimal]:
    item = books.get("Items/MUG")[0]
    return item["QuantityOnHand"], item["TotalCostPool"]


def test_bill_brings_stock_and_a_sale_takes_it_with_its_cost(books: Books) -> None:
    """Bill: Dr 630 40 Cr 800 40. Sale of 3: Dr 610 36 Cr 201 30 Cr 820 6, Dr 310 12 Cr 630 12."""
    item = tracked(books)
    assert item["IsTrackedAsInventory"] is True
    assert (held(books), books.balances()) == ((D(10), D("40.00")), d(_630="40.00", _800="-40.00"))

    sell(books, 3)

    assert held(books) == (D(7), D("28.00"))
    assert books.balances() == d(
        _630="28.00", _800="-40.00", _310="12.00", _610="36.00", _201="-30.00", _820="-6.00"
    )


def test_more_than_there_is_cannot_be_sold_but_drafted(books: Books) -> None:
    tracked(books, 2)

    draft = sell(books, 3, Status="DRAFT")
    sell(books, 3)

    assert draft["Status"] == "DRAFT"
    assert books.messages() == ["Insufficient stock. Items are eligible for backorder."]
    assert held(books) == (D(2), D("8.00"))


def test_voided_sale_and_credit_note_bring_the_stock_back(books: Books) -> None:
    tracked(books)
    before = books.balances()
    sold = sell(books, 4)

    books.post("Invoices", {"InvoiceID": sold["InvoiceID"], "Status": "VOIDED"})
    assert (held(books), books.balances()) == ((D(10), D("40.00")), before)

    sell(books, 4)
    books.credit_note(LineItems=[line(ItemCode="MUG", Quantity=1, UnitAmount=10)])
    assert held(books) == (D(7), D("28.00"))


def test_quantity_is_read_only_and_untracked_items_have_none(books: Books) -> None:
    tracked(books, 0)
    plain = books.put("Items", {"Code": "BAG"})

    books.post("Items", {"Code": "MUG", "Name": "Better mug"})

    assert held(books) == (D(0), D(0))
    assert "QuantityOnHand" not in plain


def test_tracked_item_needs_both_accounts(books: Books) -> None:
    wrongs: tuple[dict[str, object], ...] = (
        {"InventoryAssetAccountCode": "201"},
        {"PurchaseDetails": {}},
    )
    for wrong in wrongs:
        body: dict[str, object] = {
            "Code": "CUP",
            "InventoryAssetAccountCode": "630",
            "PurchaseDetails": {"COGSAccountCode": "310"},
        }
        books.put("Items", body | wrong)
        assert books.messages() == [
            "A tracked item needs an inventory asset account and a cost of goods sold account."
        ]
