"""The ledger under the Xero stand-in: each case ends in balances that an accountant would expect."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.sandbox.fix_xero import Books, line

D = Decimal

EURO = {"CurrencyCode": "EUR", "CurrencyRate": D("1.153657")}


def d(**codes: str) -> dict[str, D]:
    return {code.lstrip("_"): D(amount) for code, amount in codes.items()}


def test_invoice_and_payment(books: Books) -> None:
    made = books.invoice()
    assert books.balances() == d(_610="120.00", _201="-100.00", _820="-20.00")

    books.pay(made, 120)
    assert books.balances() == d(_611="120.00", _201="-100.00", _820="-20.00")


def test_draft_posts_nothing_until_it_is_approved(books: Books) -> None:
    made = books.invoice(Status="DRAFT")
    assert books.balances() == {}

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "AUTHORISED"})

    assert books.balances() == d(_610="120.00", _201="-100.00", _820="-20.00")


def test_edit_reverses_and_posts_again(books: Books) -> None:
    made = books.invoice()
    changed = [line(LineItemID=made["LineItems"][0]["LineItemID"], AccountCode="200", UnitAmount=50)]

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "LineItems": changed})

    assert books.balances() == d(_610="60.00", _200="-50.00", _820="-10.00")


def test_void_takes_everything_back(books: Books) -> None:
    made = books.invoice()

    books.post("Invoices", {"InvoiceID": made["InvoiceID"], "Status": "VOIDED"})

    assert books.balances() == {}


def test_foreign_invoice_is_posted_at_its_rate(books: Books) -> None:
    """CurrencyRate is euros for one pound: an inverted rate would show here."""
    books.invoice(LineItems=[line(UnitAmount=D("90.16"), TaxAmount=D("18.03"))], **EURO)

    assert books.balances() == d(_610="93.78", _201="-78.15", _820="-15.63")


def test_payout_at_another_rate_realises_a_loss(books: Books) -> None:
    made = books.invoice(LineItems=[line(UnitAmount=D("90.16"), TaxAmount=D("18.03"))], **EURO)

    paid = books.pay(made, D("108.19"), BankAmount=D("93.10"))

    assert paid["BankAmount"] == D("93.10")
    assert books.balances() == d(_611="93.10", _499="0.68", _201="-78.15", _820="-15.63")


def test_deleted_payment_gives_the_debt_and_the_loss_back(books: Books) -> None:
    made = books.invoice(LineItems=[line(UnitAmount=D("90.16"), TaxAmount=D("18.03"))], **EURO)
    paid = books.pay(made, D("108.19"), BankAmount=D("93.10"))

    books.post(f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})

    assert books.balances() == d(_610="93.78", _201="-78.15", _820="-15.63")
    assert books.get(f"Invoices/{made['InvoiceID']}")[0]["AmountDue"] == D("108.19")


def test_part_payments_of_a_foreign_invoice_leave_no_cent(books: Books) -> None:
    made = books.invoice(**EURO)

    for _ in range(3):
        books.pay(made, 40, CurrencyRate=D("1.153657"))

    held = books.balances()
    assert "610" not in held
    assert abs(held.get("499", D(0))) <= D("0.02")


def test_credit_note_allocated_at_another_rate(books: Books) -> None:
    made = books.invoice(**EURO)
    note = books.credit_note(CurrencyCode="EUR", CurrencyRate=D("1.2"))

    allocate(books, "CreditNotes", note["CreditNoteID"], made, 12)

    # 12 EUR were 10.40 GBP of the invoice and 10.00 GBP of the credit note: 0.40 less is owed, 0.40 is lost.
    assert books.balances() == d(_610="93.62", _499="0.40", _201="-78.35", _820="-15.67")


def test_refund_of_a_credit_note(books: Books) -> None:
    note = books.credit_note()
    refund = {"CreditNote": {"CreditNoteID": note["CreditNoteID"]}, "Invoice": None}

    paid = books.pay({"InvoiceID": ""}, 12, **refund)

    assert (paid["PaymentType"], paid["CreditNote"]["Status"]) == ("ARCREDITPAYMENT", "PAID")
    assert books.balances() == d(_611="-12.00", _201="10.00", _820="2.00")


def test_bill_and_its_payment(books: Books) -> None:
    made = books.invoice(
        Type="ACCPAY", LineItems=[line(AccountCode="310", TaxType="INPUT2")], InvoiceNumber="their number"
    )
    assert books.balances() == d(_800="-120.00", _310="100.00", _820="20.00")

    books.pay(made, 120, Account={"Code": "090"})
    assert books.balances() == d(_090="-120.00", _310="100.00", _820="20.00")


def test_store_credit_pays_from_a_liability(books: Books) -> None:
    made = books.invoice()

    books.pay(made, 50, Account={"Code": "830"})

    assert books.balances() == d(_610="70.00", _830="50.00", _201="-100.00", _820="-20.00")


def test_payout_with_fees(books: Books) -> None:
    books.pay(books.invoice(), 120)
    payout = {
        "Type": "RECEIVE",
        "Contact": {"Name": "Gateway"},
        "BankAccount": {"Code": "090"},
        "Date": "2026-10-05",
        "LineAmountTypes": "NoTax",
        "LineItems": [
            line(AccountCode="611", UnitAmount=120),
            line(AccountCode="404", UnitAmount=D("-2.40")),
        ],
    }

    books.put("BankTransactions", payout)

    assert books.balances() == d(_090="117.60", _404="2.40", _201="-100.00", _820="-20.00")


def test_overpayment_is_allocated_and_refunded(books: Books) -> None:
    made = books.invoice()
    over = credit(books, "RECEIVE-OVERPAYMENT", [{"Description": "Too much", "UnitAmount": 150}])

    allocate(books, "Overpayments", over["OverpaymentID"], made, 120)
    assert books.balances() == d(_090="150.00", _610="-30.00", _201="-100.00", _820="-20.00")

    books.pay(
        {"InvoiceID": ""},
        30,
        Invoice=None,
        Overpayment={"OverpaymentID": over["OverpaymentID"]},
        Account={"Code": "090"},
    )
    assert books.balances() == d(_090="120.00", _201="-100.00", _820="-20.00")
    assert books.get("Overpayments", {"page": 1})[0]["Status"] == "PAID"


def test_prepayment_stands_on_its_lines_until_it_is_allocated(books: Books) -> None:
    made = books.invoice()
    paid = credit(books, "RECEIVE-PREPAYMENT", [line(AccountCode="830", TaxType="NONE", UnitAmount=50)])
    assert books.balances()["830"] == D("-50.00")

    allocate(books, "Prepayments", paid["PrepaymentID"], made, 50)

    assert books.balances() == d(_090="50.00", _610="70.00", _201="-100.00", _820="-20.00")


def test_allocation_is_taken_back(books: Books) -> None:
    made, note = books.invoice(), books.credit_note()
    before = books.balances()
    allocated = allocate(books, "CreditNotes", note["CreditNoteID"], made, 12)

    gone = books.call("DELETE", f"CreditNotes/{note['CreditNoteID']}/Allocations/{allocated['AllocationID']}")

    assert gone["IsDeleted"] is True
    assert books.balances() == before
    assert books.get(f"CreditNotes/{note['CreditNoteID']}")[0]["RemainingCredit"] == D("12.00")


def test_transfer_and_its_deletion(books: Books) -> None:
    books.put("Accounts", {"Code": "091", "Name": "Savings", "Type": "BANK", "BankAccountNumber": "1"})
    body = {
        "FromBankAccount": {"Code": "090"},
        "ToBankAccount": {"Code": "091"},
        "Amount": 5,
        "Date": "2026-10-01",
    }

    made = books.put("BankTransfers", body)
    assert books.balances() == d(_090="-5.00", _091="5.00")

    books.post("BankTransfers", {"BankTransferID": made["BankTransferID"], "Status": "DELETED"})
    assert books.balances() == {}
    assert not books.get("BankTransfers")
    assert books.get("BankTransfers", {"includeDeleted": "true"})[0]["Status"] == "DELETED"


def test_transfer_needs_two_bank_accounts(books: Books) -> None:
    body = {"FromBankAccount": {"Code": "611"}, "ToBankAccount": {"Code": "090"}, "Amount": 5}

    books.put("BankTransfers", body)

    assert books.messages() == ["Account must be valid."]


def test_posted_journal_and_its_void(books: Books) -> None:
    pair = [{"LineAmount": 30, "AccountCode": "310"}, {"LineAmount": -30, "AccountCode": "970"}]

    made = books.put("ManualJournals", {"Narration": "n", "Status": "POSTED", "JournalLines": pair})
    assert books.balances() == d(_310="30.00", _970="-30.00")

    books.post("ManualJournals", {"ManualJournalID": made["ManualJournalID"], "Status": "VOIDED"})
    assert books.balances() == {}


def test_tax_is_counted_by_type_in_base_currency(books: Books) -> None:
    books.invoice()
    books.credit_note()
    books.invoice(LineItems=[line(UnitAmount=D("115.3657"), TaxType="ZERORATEDOUTPUT", Quantity=1)], **EURO)

    tax = {each["tax_type"]: (each["net"], each["tax"]) for each in books.control("ledger")["tax"]}

    assert tax == {"OUTPUT2": (D("90.00"), D("18.00")), "ZERORATEDOUTPUT": (D("100.00"), D("0.00"))}


def test_trial_balance_agrees_with_the_ledger(books: Books) -> None:
    books.pay(books.invoice(), 50)

    report = books.get("Reports/TrialBalance")[0]
    found = {
        row["Cells"][0]["Value"]: D(row["Cells"][3]["Value"] or 0) - D(row["Cells"][4]["Value"] or 0)
        for section in report["Rows"][1:-1]
        for row in section["Rows"]
    }

    assert found == {
        "Goods (201)": D(-100),
        "Accounts receivable (610)": D(70),
        "Card clearing (611)": D(50),
        "VAT (820)": D(-20),
    }


def credit(books: Books, type_: str, items: list[dict[str, Any]]) -> Any:
    held = books.get("Contacts", {"where": 'Name=="ACME"'})[0]
    body = {
        "Type": type_,
        "Contact": {"ContactID": held["ContactID"]},
        "BankAccount": {"Code": "090"},
        "Date": "2026-10-02",
        "LineItems": items,
    }
    return books.put("BankTransactions", body)


def allocate(books: Books, entity: str, source: str, invoice: Any, amount: Any) -> Any:
    body = {"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": amount, "Date": "2026-10-03"}
    return books.put(f"{entity}/{source}/Allocations", body)
