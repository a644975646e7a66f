"""What documents do to the accounts, and the difference of two contents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdc.postings import Posting, Setting, effect, posts_of
from cdc.writers.xero_postings import document_postings, payment_postings, transaction_postings

EUR = Setting(base_currency="GBP")


def invoice(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "Date": "2026-09-14",
        "CurrencyCode": "EUR",
        "CurrencyRate": Decimal("1.25"),
        "LineItems": list(lines),
        **fields,
    }


def line(account: str, price: str, tax: str = "0.00", **fields: Any) -> dict[str, Any]:
    return {
        "AccountCode": account,
        "UnitAmount": Decimal(price),
        "TaxType": "OUTPUT2",
        "TaxAmount": Decimal(tax),
        **fields,
    }


def shown(postings: list[Posting]) -> list[tuple[str, str, Decimal, Decimal | None]]:
    return [(one.account, one.side, one.amount, one.base) for one in postings]


def test_an_invoice_is_debtors_against_sales_and_tax_in_its_currency_and_in_base() -> None:
    document = invoice(line("200", "50.00", "19.00", Quantity=2, DiscountAmount=Decimal("5.00")))

    assert shown(document_postings(1)(document, EUR)) == [
        ("debtors", "debit", Decimal("114.00"), Decimal("91.20")),
        ("200", "credit", Decimal("95.00"), Decimal("76.00")),
        ("tax OUTPUT2", "credit", Decimal("19.00"), Decimal("15.20")),
    ]


def test_a_credit_note_is_the_same_with_the_other_sign_and_gross_lines_hold_their_tax() -> None:
    note = invoice(line("200", "114.00", "19.00"), LineAmountTypes="Inclusive")

    assert [(one.account, one.amount) for one in document_postings(-1)(note, EUR)] == [
        ("debtors", Decimal("-114.00")),
        ("200", Decimal("-95.00")),
        ("tax OUTPUT2", Decimal("-19.00")),
    ]


def test_money_in_is_the_account_against_debtors_and_a_refund_the_reverse() -> None:
    paid = {"Invoice": {}, "Account": {"Code": "611"}, "Amount": Decimal("114.00"), "Date": "2026-09-15"}
    refunded = {"CreditNote": {}, "Account": {"Code": "611"}, "Amount": Decimal("14.00")}
    setting = Setting(currency="GBP", base_currency="GBP", day="2026-10-01")

    assert [(one.account, one.amount, one.period) for one in payment_postings(paid, setting)] == [
        ("611", Decimal("114.00"), "2026-09"),
        ("debtors", Decimal("-114.00"), "2026-09"),
    ]
    assert [
        (one.account, one.amount, one.base, one.period) for one in payment_postings(refunded, setting)
    ] == [
        ("611", Decimal("-14.00"), Decimal("-14.00"), "2026-10"),
        ("debtors", Decimal("14.00"), Decimal("14.00"), "2026-10"),
    ]


def test_another_rate_is_an_effect_in_base_alone_and_another_date_one_in_two_months() -> None:
    before, after = invoice(line("200", "100.00")), invoice(line("200", "100.00"), CurrencyRate=Decimal(1))
    later = invoice(line("200", "100.00"), Date="2026-10-01")
    posts = document_postings(1)

    assert [(one.account, one.amount, one.base) for one in effect(posts(before, EUR), posts(after, EUR))] == [
        ("200", Decimal(0), Decimal("20.00")),
        ("debtors", Decimal(0), Decimal("20.00")),
    ]
    assert [
        (one.period, one.account, one.amount) for one in effect(posts(before, EUR), posts(later, EUR))
    ] == [
        ("2026-09", "200", Decimal("-100.00")),
        ("2026-09", "debtors", Decimal("-100.00")),
        ("2026-10", "200", Decimal("100.00")),
        ("2026-10", "debtors", Decimal("100.00")),
    ]


def test_contacts_post_nothing() -> None:
    assert posts_of("xero", "contacts") is None
    assert posts_of("magento", "order_comments") is None


amounts = st.decimals(min_value=0, max_value=1000, places=2)
lines = st.lists(
    st.builds(
        lambda account, price, tax: line(account, str(price), str(tax)),
        st.sampled_from(["200", "210", "260"]),
        amounts,
        amounts,
    ),
    max_size=4,
)


@given(before=lines, after=lines, sign=st.sampled_from([1, -1]))
def test_debits_equal_credits_and_nothing_is_no_effect(
    before: list[dict[str, Any]], after: list[dict[str, Any]], sign: int
) -> None:
    posts = document_postings(sign)
    old, new = posts(invoice(*before), EUR), posts(invoice(*after), EUR)

    found = effect(old, new)

    assert sum(one.amount for one in found if one.side == "debit") == sum(
        one.amount for one in found if one.side == "credit"
    )
    assert effect(old, old) == []
    assert effect([*old, *found], new) == []


def test_deposit_debits_its_bank_and_credits_its_line_and_an_overpayment_debtors():
    line = {"UnitAmount": Decimal("30.00"), "AccountCode": "832", "TaxType": "NONE"}
    payload = {
        "Type": "RECEIVE-PREPAYMENT",
        "BankAccount": {"Code": "092"},
        "LineAmountTypes": "NoTax",
        "Date": "2026-01-05",
        "LineItems": [line],
    }

    found = {
        kind: [
            (each.account, each.side, each.amount)
            for each in transaction_postings(payload | {"Type": f"RECEIVE-{kind}"}, Setting())
        ]
        for kind in ("PREPAYMENT", "OVERPAYMENT")
    }

    bank = ("092", "debit", Decimal("30.00"))
    assert found == {
        "PREPAYMENT": [bank, ("832", "credit", Decimal("30.00"))],
        "OVERPAYMENT": [bank, ("debtors", "debit", Decimal("-30.00"))],
    }
