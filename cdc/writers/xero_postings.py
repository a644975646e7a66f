"""How documents and money post in Xero: debtors by itself, lines to their accounts, tax by its type.

Facts (Xero developer documentation, "Invoices", "Credit Notes", "Payments"; read autumn 2026): a line's amount is quantity
times unit price less its discount; with LineAmountTypes Inclusive it holds its tax; CurrencyRate is units of the document's
currency for one of the base currency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cdc.postings import DEBTORS, Posting, Setting, Side
from cdc.writers.xero_values import as_number, business_date

_CENT = Decimal("0.01")
_HUNDRED = Decimal(100)
NO_ACCOUNT = "(no account)"


def document_postings(sign: int) -> Callable[[Mapping[str, Any], Setting], list[Posting]]:
    """Postings of an invoice (sign 1) or a credit note (-1)."""

    def postings(payload: Mapping[str, Any], setting: Setting) -> list[Posting]:
        post = _poster(payload, setting)
        total = Decimal(0)
        found: list[Posting] = []
        for line in payload.get("LineItems") or []:
            net, tax = line_amounts(line, payload.get("LineAmountTypes"))
            total += net + tax
            found.append(post(line.get("AccountCode") or NO_ACCOUNT, "credit", sign * net))
            if tax or line.get("TaxType"):
                found.append(post(f"tax {line.get('TaxType') or ''}".strip(), "credit", sign * tax))
        return [post(DEBTORS, "debit", sign * total), *found]

    return postings


def payment_postings(payload: Mapping[str, Any], setting: Setting) -> list[Posting]:
    """Money in on an invoice, money out on a credit note."""
    post = _poster(payload, setting)
    amount = as_number(payload.get("Amount")) or Decimal(0)
    signed = amount if "Invoice" in payload else -amount
    account = payload.get("Account")
    code = account.get("Code") if isinstance(account, Mapping) else None
    return [post(code or NO_ACCOUNT, "debit", signed), post(DEBTORS, "debit", -signed)]


def transaction_postings(payload: Mapping[str, Any], setting: Setting) -> list[Posting]:
    """Money in (RECEIVE…) or out (SPEND…) of a bank account; an overpayment stands on debtors whatever its line says."""
    post = _poster(payload, setting)
    kind = str(payload.get("Type") or "")
    sign = -1 if kind.startswith("SPEND") else 1
    bank = payload.get("BankAccount")
    code = bank.get("Code") if isinstance(bank, Mapping) else None
    found: list[Posting] = []
    total = Decimal(0)
    for line in payload.get("LineItems") or []:
        net, tax = line_amounts(line, payload.get("LineAmountTypes") or "Inclusive")
        total += net + tax
        control = kind.endswith("OVERPAYMENT")
        found.append(
            post(DEBTORS, "debit", -sign * net)
            if control
            else post(line.get("AccountCode") or NO_ACCOUNT, "credit", sign * net)
        )
        if tax:
            found.append(post(f"tax {line.get('TaxType') or ''}".strip(), "credit", sign * tax))
    return [post(code or NO_ACCOUNT, "debit", sign * total), *found]


def line_amounts(line: Mapping[str, Any], amount_types: object) -> tuple[Decimal, Decimal]:
    """Net and tax of a line, at two decimals."""
    tax = as_number(line.get("TaxAmount")) or Decimal(0) if amount_types != "NoTax" else Decimal(0)
    amount = as_number(line.get("LineAmount"))
    if amount is None:
        quantity = as_number(line.get("Quantity"))
        price = as_number(line.get("UnitAmount")) or Decimal(0)
        amount = price * (Decimal(1) if quantity is None else quantity)
        if (discount := as_number(line.get("DiscountAmount"))) is not None:
            amount -= discount
        elif (rate := as_number(line.get("DiscountRate"))) is not None:
            amount -= amount * rate / _HUNDRED
    amount = amount.quantize(_CENT, ROUND_HALF_UP)
    return (amount - tax if amount_types == "Inclusive" else amount), tax


def _poster(payload: Mapping[str, Any], setting: Setting) -> Callable[[str, Side, Decimal], Posting]:
    record = setting.record or {}
    currency = payload.get("CurrencyCode") or setting.currency or record.get("CurrencyCode")
    rate = as_number(payload.get("CurrencyRate")) or as_number(record.get("CurrencyRate"))
    day = business_date(payload.get("Date")) or business_date(setting.day)

    def post(account: str, side: Side, amount: Decimal) -> Posting:
        base: Decimal | None = None
        if currency is not None and currency == setting.base_currency:
            base = amount
        elif rate:
            base = (amount / rate).quantize(_CENT, ROUND_HALF_UP)
        return Posting(
            period=day.strftime("%Y-%m") if day else None, account=account, side=side, currency=currency, amount=amount,
            base=base,
        )  # fmt: skip

    return post
