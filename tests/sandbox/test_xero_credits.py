"""Prepayments and overpayments in the Xero stand-in: where they come from, what they settle, how they go.

Each case says in Dr/Cr what an accountant would expect. The accounts of the seed: 092 and 093 (EUR) are banks
for deposits, 832 the liability for them, 610 debtors, 820 VAT, 499 realised gains.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.sandbox.fix_xero import Books, line
from tests.sandbox.test_xero_ledger import EURO, allocate, d

D = Decimal


def receive(books: Books, kind: str, items: list[dict[str, Any]], **more: Any) -> Any:
    """Money from ACME that no invoice asked for."""
    contact = books.get("Contacts", {"where": 'Name=="ACME"'})
    body = {
        "Type": f"RECEIVE-{kind}",
        "Contact": {"ContactID": contact[0]["ContactID"] if contact else books.contact()},
        "BankAccount": {"Code": "092"},
        "Date": "2026-09-30",
        "Reference": "shop/order/1/deposit/1",
        "LineItems": items,
    }
    return books.put("BankTransactions", body | more)


def deposit(books: Books, amount: Any = 120, **more: Any) -> Any:
    """A deposit without tax: Dr 092, Cr 832."""
    return receive(
        books, "PREPAYMENT", [line(AccountCode="832", TaxType="NONE", UnitAmount=amount, TaxAmount=0)], **more
    )


def overpaid(books: Books, amount: Any = 30, **more: Any) -> Any:
    """Too much money: Dr 092, Cr 610."""
    return receive(books, "OVERPAYMENT", [{"Description": "Too much", "LineAmount": amount}], **more)


def test_deposit_of_a_part_leaves_its_remaining_credit(books: Books) -> None:
    """Dr 092 120 Cr 832 120; allocated 70: Dr 832 70 Cr 610 70."""
    invoice, paid = books.invoice(), deposit(books)

    allocate(books, "Prepayments", paid["PrepaymentID"], invoice, 70)

    held = books.get(f"Prepayments/{paid['PrepaymentID']}")[0]
    assert (held["RemainingCredit"], held["Status"]) == (D("50.00"), "AUTHORISED")
    assert books.balances() == d(_092="120.00", _832="-50.00", _610="50.00", _201="-100.00", _820="-20.00")


def test_allocation_of_a_deposit_is_taken_back(books: Books) -> None:
    invoice, paid = books.invoice(), deposit(books)
    before = books.balances()
    for entity, credit in (("Prepayments", paid["PrepaymentID"]), ("Overpayments", overpaid_id(books))):
        with_credit = books.balances()
        made = allocate(books, entity, credit, invoice, 10)

        gone = books.call("DELETE", f"{entity}/{credit}/Allocations/{made['AllocationID']}")

        assert gone["IsDeleted"] is True
        assert books.balances() == with_credit
        assert books.get(f"Invoices/{invoice['InvoiceID']}")[0]["AmountDue"] == D("120.00")
    assert books.balances() == {**before, "092": D("150.00"), "610": before["610"] - 30}


def overpaid_id(books: Books) -> str:
    return str(overpaid(books)["OverpaymentID"])


def test_taxed_deposit_moves_its_tax_when_it_is_allocated(books: Books) -> None:
    """Dr 092 60 Cr 832 50 Cr 820 10; allocated: Dr 832 50 Dr 820 10 Cr 610 60."""
    invoice = books.invoice()
    paid = receive(
        books,
        "PREPAYMENT",
        [line(AccountCode="832", UnitAmount=60, TaxType="OUTPUT2")],
        LineAmountTypes="Inclusive",
    )
    assert books.control("ledger?date=2026-09-30")["tax"] == [
        {"tax_type": "OUTPUT2", "net": D("50.00"), "tax": D("10.00")}
    ]

    allocate(books, "Prepayments", paid["PrepaymentID"], invoice, 60)

    assert books.balances() == d(_092="60.00", _610="60.00", _201="-100.00", _820="-20.00")


def test_deposit_is_refunded_by_a_payment_on_it(books: Books) -> None:
    """Dr 832 120 Cr 092 120."""
    paid = deposit(books)

    made = books.pay(
        {"InvoiceID": ""},
        120,
        Invoice=None,
        Prepayment={"PrepaymentID": paid["PrepaymentID"]},
        Account={"Code": "092"},
    )

    assert made["PaymentType"] == "ARPREPAYMENTPAYMENT"
    assert books.get(f"Prepayments/{paid['PrepaymentID']}")[0]["Status"] == "PAID"
    assert books.balances() == {}


def test_deposit_in_euros_realises_the_difference_when_it_is_allocated(books: Books) -> None:
    """Deposit 108.19 at 1.20 = 90.16; invoice at 1.153657 = 93.78: Dr 832 90.16 Dr 499 3.62 Cr 610 93.78."""
    invoice = books.invoice(LineItems=[line(UnitAmount=D("90.16"), TaxAmount=D("18.03"))], **EURO)
    paid = deposit(books, D("108.19"), BankAccount={"Code": "093"}, CurrencyRate=D("1.2"))

    allocate(books, "Prepayments", paid["PrepaymentID"], invoice, D("108.19"))

    assert books.balances() == d(_093="90.16", _499="3.62", _201="-78.15", _820="-15.63")


def test_deposit_needs_an_account_of_its_own_currency(books: Books) -> None:
    deposit(books, 10, CurrencyCode="EUR")
    assert books.messages() == ["The currency of a bank transaction must be that of its bank account."]

    deposit(books, 10, BankAccount={"Code": "611"})
    assert books.messages() == ["Account must be valid."]


def test_overpayment_has_one_line_on_debtors_whatever_was_sent(books: Books) -> None:
    made = overpaid(books, 30)
    assert (made["Total"], made["TotalTax"]) == (D("30.00"), D("0.00"))
    assert books.balances() == d(_092="30.00", _610="-30.00")

    receive(books, "OVERPAYMENT", [{"Description": each, "LineAmount": 1} for each in "ab"])
    assert books.messages() == ["An overpayment can only have one line item."]


def test_unused_deposit_is_deleted_with_its_credit(books: Books) -> None:
    made = deposit(books)

    books.post("BankTransactions", {"BankTransactionID": made["BankTransactionID"], "Status": "DELETED"})

    assert books.get(f"Prepayments/{made['PrepaymentID']}")[0]["Status"] == "VOIDED"
    assert books.balances() == {}


def test_used_deposit_is_neither_deleted_nor_changed(books: Books) -> None:
    invoice, made = books.invoice(), deposit(books)
    allocate(books, "Prepayments", made["PrepaymentID"], invoice, 1)
    named = {"BankTransactionID": made["BankTransactionID"]}

    books.post("BankTransactions", {**named, "Status": "DELETED"})
    assert books.messages() == [
        "This document cannot be edited as it has a payment or credit note allocated to it."
    ]
    books.post("BankTransactions", {**named, "Reference": "changed"})
    assert books.messages() == ["Bank transaction not of valid type for modification"]


def test_deletion_of_deposits_can_be_refused(books: Books) -> None:
    """Whether the vendor allows it is not documented: both ways must be safe."""
    made = deposit(books)
    books.control("options", {"delete_credits": False})

    books.post("BankTransactions", {"BankTransactionID": made["BankTransactionID"], "Status": "DELETED"})

    assert books.messages() == ["Bank transaction not of valid type for modification"]


def test_allocation_above_what_is_left_or_due_is_refused(books: Books) -> None:
    invoice, made = books.invoice(), deposit(books, 10)

    allocate(books, "Prepayments", made["PrepaymentID"], invoice, 11)
    assert books.messages() == ["The amount exceeds the remaining credit of this document"]

    more = deposit(books, 500)
    allocate(books, "Prepayments", more["PrepaymentID"], invoice, 121)
    assert books.messages() == ["Payment amount exceeds the amount outstanding on this document"]


def test_debtors_are_told_by_contact_and_day(books: Books) -> None:
    first = books.invoice()
    books.invoice(Contact={"ContactID": books.contact("Zoe Ltd")}, Date="2026-10-05", DueDate="2026-11-05")
    books.pay(first, 50, Date="2026-10-03")

    def owed(path: str) -> dict[str, Decimal]:
        return {each["name"]: each["base_balance"] for each in books.control(path)["debtors"]}

    assert owed("ledger?date=2026-10-02") == {"ACME": D("120.00")}
    assert owed("ledger?date=2026-10-03") == {"ACME": D("70.00")}
    assert owed("ledger") == {"ACME": D("70.00"), "Zoe Ltd": D("120.00")}
    assert books.balances()["610"] == D("190.00")


def test_debts_of_a_merged_contact_are_the_survivors(books: Books) -> None:
    books.invoice()
    loser = books.get("Contacts", {"where": 'Name=="ACME"'})[0]["ContactID"]
    books.control("merge", {"from": loser, "into": books.contact("ACME Ltd")})

    assert [(each["name"], each["base_balance"]) for each in books.control("ledger")["debtors"]] == [
        ("ACME Ltd", D("120.00"))
    ]
