"""The Trial Balance: nested rows of text cells, from the ledger as it stood on a day.

Source: OpenAPI example of `/Reports/TrialBalance`; columns Account, Debit, Credit (of the period) and YTD
twins.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal

from sandbox.xero.errors import bad_query
from sandbox.xero.store import Record, Tenant

ZERO = Decimal("0.00")
_SECTIONS = {
    "REVENUE": "Revenue",
    "EXPENSE": "Expenses",
    "ASSET": "Assets",
    "LIABILITY": "Liabilities",
    "EQUITY": "Equity",
}


def trial_balance(tenant: Tenant, arguments: dict[str, str]) -> Record:
    """The report for the month that ends on `date` (default: today), with the year to date beside it."""
    on = _day(arguments.get("date"), tenant)
    month, year = on.replace(day=1), _year_start(tenant, on)
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for journal in tenant.all("Journals"):
        if journal["JournalDate"] > on:
            continue
        for entry in journal["_entries"]:
            held = tenant.must("Accounts", entry.account)["Class"] in ("ASSET", "LIABILITY", "EQUITY")
            if held or journal["JournalDate"] >= year:
                sums[entry.account][1] += entry.base
            if held or journal["JournalDate"] >= month:
                sums[entry.account][0] += entry.base
    rows: list[Record] = [
        {"RowType": "Header", "Cells": _plain("Account", "Debit", "Credit", "YTD Debit", "YTD Credit")}
    ]
    for class_, title in _SECTIONS.items():
        inside = [
            _row(account, sums[account["AccountID"]])
            for account in tenant.all("Accounts")
            if account["Class"] == class_ and account["AccountID"] in sums
        ]
        if inside:
            rows.append({"RowType": "Section", "Title": title, "Rows": inside})
    rows.append({"RowType": "Section", "Title": "", "Rows": [_total(list(sums.values()))]})
    return {
        "ReportID": "TrialBalance",
        "ReportName": "Trial Balance",
        "ReportType": "TrialBalance",
        "ReportTitles": ["Trial Balance", tenant.organisation["Name"], f"As at {on:%d %B %Y}"],
        "ReportDate": f"{tenant.today():%d %B %Y}",
        "UpdatedDateUTC": tenant.now(),
        "Fields": [],
        "Rows": rows,
    }


def _day(text: str | None, tenant: Tenant) -> date:
    if not text:
        return tenant.today()
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise bad_query(f"The string '{text}' is not a valid AllXsd value.") from None


def _year_start(tenant: Tenant, on: date) -> date:
    month = int(tenant.organisation["FinancialYearEndMonth"]) % 12 + 1
    return date(on.year if on.month >= month else on.year - 1, month, 1)


def _plain(*texts: str) -> list[Record]:
    return [{"Value": text} for text in texts]


def _sides(amount: Decimal) -> tuple[str, str]:
    return (f"{amount:f}", "") if amount >= 0 else ("", f"{-amount:f}")


def _row(account: Record, amounts: list[Decimal]) -> Record:
    name = f"{account['Name']} ({account['Code']})" if account.get("Code") else account["Name"]
    attributes = [{"Value": account["AccountID"], "Id": "account"}]
    texts = (name, *_sides(amounts[0]), *_sides(amounts[1]))
    return {"RowType": "Row", "Cells": [{"Value": text, "Attributes": attributes} for text in texts]}


def _total(amounts: list[list[Decimal]]) -> Record:
    texts = ["Total"]
    for column in (0, 1):
        texts.append(f"{sum((each[column] for each in amounts if each[column] > 0), ZERO):f}")
        texts.append(f"{-sum((each[column] for each in amounts if each[column] < 0), ZERO):f}")
    return {"RowType": "SummaryRow", "Cells": _plain(*texts)}
