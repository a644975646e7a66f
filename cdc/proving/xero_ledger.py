"""Xero's ledger for the proof: what each record posts, and what the trial balance says.

Postings are what the vendor's documents do by double entry: an approved sale debits debtors and credits its lines and
tax, a payment debits the account it lies in and credits debtors, at the document's rate; a payment at another rate leaves
the difference to the realised gains, which are no account of ours. A prepayment stands on its own lines until it is
allocated; an overpayment stands on debtors. https://developer.xero.com/documentation/api/accounting/reports#trialbalance,
…/banktransactions, …/prepayments, …/overpayments, checked 2026-09; how prepayments are posted is not documented there:
where it is otherwise, the control names the amount.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from cdc.proof_ledger import Balances, Ledger, Posting
from cdc.proving.xero_lists import CENT, in_base, walk
from cdc.writers.xero_search import records_of
from cdc.writers.xero_values import business_date
from cdc.writing import TargetClient
from tieout.errors import SchemaDrift

IN_EFFECT = frozenset({"AUTHORISED", "PAID", "POSTED"})
INCOME = frozenset({"REVENUE", "EXPENSE"})
"""Classes whose balances begin anew with each financial year."""
_PAID: Mapping[str, tuple[int, str]] = {
    "ACCRECPAYMENT": (1, "DEBTORS"),
    "ARCREDITPAYMENT": (-1, "DEBTORS"),
    "AROVERPAYMENTPAYMENT": (-1, "DEBTORS"),
    "ACCPAYPAYMENT": (-1, "CREDITORS"),
    "APCREDITPAYMENT": (1, "CREDITORS"),
    "APOVERPAYMENTPAYMENT": (1, "CREDITORS"),
}
"""By PaymentType: does money come (+1) or go, and which control account is settled."""
_DOCUMENTS: Mapping[str, tuple[int, str]] = {
    "ACCREC": (1, "DEBTORS"),
    "ACCRECCREDIT": (-1, "DEBTORS"),
    "ACCPAY": (-1, "CREDITORS"),
    "ACCPAYCREDIT": (1, "CREDITORS"),
}
"""By Type: what the control account is debited with."""


class XeroLedger:
    """Turns records of Xero into postings of a :class:`Ledger`."""

    def __init__(self, client: TargetClient, ledger: Ledger, *, start: date, end: date) -> None:
        """Reads accounts, organisation and trial balances. ConnectionRefused when the login lacks the reports' scope."""
        self._client, self._ledger = client, ledger
        self._start, self._end = start, end
        accounts = _list(client, "Accounts")
        self._accounts = {str(each["AccountID"]): each for each in accounts}
        self._codes = {str(each["Code"]): str(each["AccountID"]) for each in accounts if each.get("Code")}
        self._system = {
            str(each["SystemAccount"]): str(each["AccountID"])
            for each in accounts
            if each.get("SystemAccount")
        }
        self._organisation = _list(client, "Organisation")[0]
        self._rates: dict[str, Decimal] = {}
        self._credits: list[tuple[str, Mapping[str, Any]]] = []
        self.balances = self._balances()

    @property
    def currency(self) -> str:
        """The organisation's base currency."""
        return str(self._organisation["BaseCurrency"])

    def take(self, plural: str, record: Mapping[str, Any]) -> None:
        """Count what a record posts, if it is in effect and dated in the period."""
        day = business_date(record.get("DateString") or record.get("Date"))
        if day is None or str(record.get("Status") or "AUTHORISED") not in IN_EFFECT:
            return
        kind = str(record.get("Type") or "")
        self._open(record, kind)
        if record.get("Allocations"):
            self._credits.append((plural, record))
        if day > self._end:
            return
        match plural:
            case "Invoices" | "CreditNotes":
                sign, control = _DOCUMENTS[kind]
                self._document(record, sign, self._system[control], plural[:-1])
            case "BankTransactions":
                sign = 1 if kind.startswith("RECEIVE") else -1
                self._document(record, sign, self._account(record.get("BankAccount")), "BankTransaction")
            case "Payments":
                self._payment(record)
            case "ManualJournals":
                self._journal(record)

    def finish(self) -> None:
        """Count what the allocations post, now that the rate of every document is known."""
        for plural, record in self._credits:
            self._allocated(plural, record)

    def _allocated(self, plural: str, record: Mapping[str, Any]) -> None:
        """A prepayment leaves its lines, other credits differ from the invoice by their rates."""
        for each in record.get("Allocations") or []:
            day = business_date(each.get("Date"))
            if each.get("IsDeleted") or day is None or not self._start <= day <= self._end:
                continue
            amount = Decimal(each["Amount"])
            invoice = str((each.get("Invoice") or {}).get("InvoiceID") or "")
            identity = str(each.get("AllocationID") or record.get(f"{plural[:-1]}ID"))
            name = f"allocation of {_name(record, plural[:-1])}"
            rate = self._rate(record)
            is_converted = self._is_foreign(record)
            settled = in_base(amount, self._rates.get(invoice, rate))
            taken = in_base(amount, rate)
            debtors = self._system["DEBTORS"]
            if plural == "Prepayments":
                share = amount / Decimal(record["Total"])
                for account, part in self._lines(record):
                    self._post(account, (part * share).quantize(CENT, ROUND_HALF_UP), identity, name, True)
                self._post(debtors, -settled, identity, name, is_converted)
            elif taken != settled:
                self._post(debtors, taken - settled, identity, name, is_converted)

    def older(self) -> None:
        """Count what is still open of documents before the period."""
        before = f"DateTime({self._start.year},{self._start.month},{self._start.day})"
        for plural, id_field, where in (
            ("Invoices", "InvoiceID", f'Type=="ACCREC" AND Status=="AUTHORISED" AND Date<{before}'),
            (
                "CreditNotes",
                "CreditNoteID",
                f'Type=="ACCRECCREDIT" AND Status=="AUTHORISED" AND Date<{before}',
            ),
            ("Overpayments", "OverpaymentID", f"Date<{before}"),
        ):
            for record in walk(self._client, plural, id_field, {"where": where}):
                self._open(record, str(record.get("Type") or ""))

    def _open(self, record: Mapping[str, Any], kind: str) -> None:
        left, sign = record.get("AmountDue"), 1
        if left is None:
            left, sign = record.get("RemainingCredit"), -1
        if left and (kind in ("ACCREC", "ACCRECCREDIT") or "OVERPAYMENT" in kind):
            self._ledger.is_open(
                Posting(
                    account=self._system["DEBTORS"],
                    amount=sign * in_base(Decimal(left), self._rate(record)),
                    target_id=_identity(record),
                    name=_name(record, "document"),
                    is_converted=self._is_foreign(record),
                )
            )

    def _document(self, record: Mapping[str, Any], sign: int, control: str, what: str) -> None:
        identity, name, rate = _identity(record), _name(record, what), self._rate(record)
        self._rates[identity] = rate
        is_converted = self._is_foreign(record)
        total = in_base(Decimal(record.get("Total") or 0), rate)
        self._post(control, sign * total, identity, name, is_converted)
        if str(record.get("Type") or "").endswith("TRANSFER"):
            return
        parts = [(account, in_base(amount, rate)) for account, amount in self._lines(record)]
        left = total - sum((amount for _, amount in parts), Decimal(0))
        if parts and left:
            # The cent that converting the lines one by one leaves over goes to the largest.
            largest = max(range(len(parts)), key=lambda at: abs(parts[at][1]))
            parts[largest] = (parts[largest][0], parts[largest][1] + left)
        for account, amount in parts:
            self._post(account, -sign * amount, identity, name, is_converted)

    def _lines(self, record: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
        """Account and amount of each line and its tax, in the document's currency."""
        found: list[tuple[str, Decimal]] = []
        for line in record.get("LineItems") or []:
            account = str(line.get("AccountID") or self._codes.get(str(line.get("AccountCode")), ""))
            if not account:
                continue
            tax = Decimal(line.get("TaxAmount") or 0)
            inclusive = record.get("LineAmountTypes") == "Inclusive"
            found.append((account, Decimal(line.get("LineAmount") or 0) - (tax if inclusive else 0)))
            if tax:
                found.append((self._system["GST"], tax))
        return found

    def _payment(self, record: Mapping[str, Any]) -> None:
        kind = _PAID.get(str(record.get("PaymentType")))
        if kind is None:
            return
        sign, control = kind
        amount, identity, name = Decimal(record["Amount"]), _identity(record), _name(record, "Payment")
        settled = ("Invoice", "CreditNote", "Overpayment")
        document: Mapping[str, Any] = next((record[each] for each in settled if record.get(each)), {})
        rate = self._rate(record)
        at = self._rates.get(_identity(document), rate)
        banked = record.get("BankAmount")
        is_converted = rate != 1 or at != 1
        arrived = Decimal(banked) if banked is not None and is_converted else in_base(amount, rate)
        self._post(self._account(record.get("Account")), sign * arrived, identity, name, is_converted)
        self._post(self._system[control], -sign * in_base(amount, at), identity, name, is_converted)

    def _journal(self, record: Mapping[str, Any]) -> None:
        identity, name = _identity(record), _name(record, "ManualJournal")
        for line in record.get("JournalLines") or []:
            account = str(line.get("AccountID") or self._codes.get(str(line.get("AccountCode")), ""))
            tax = Decimal(line.get("TaxAmount") or 0)
            inclusive = record.get("LineAmountTypes") == "Inclusive"
            net = Decimal(line.get("LineAmount") or 0) - (tax if inclusive else 0)
            self._post(account, net, identity, name, False)
            if tax and record.get("LineAmountTypes") != "NoTax":
                self._post(self._system["GST"], tax, identity, name, False)

    def _post(self, account: str, amount: Decimal, identity: str, name: str, is_converted: bool) -> None:
        self._ledger.post(
            Posting(account=account, amount=amount, target_id=identity, name=name, is_converted=is_converted)
        )

    def _account(self, reference: Any) -> str:
        named = reference if isinstance(reference, Mapping) else {}
        return str(named.get("AccountID") or self._codes.get(str(named.get("Code")), ""))

    def _rate(self, record: Mapping[str, Any]) -> Decimal:
        return Decimal(record.get("CurrencyRate") or 1)

    def _is_foreign(self, record: Mapping[str, Any]) -> bool:
        return str(record.get("CurrencyCode") or self.currency) != self.currency

    def _balances(self) -> Balances:
        """The movement of each account over the period; income and expenses begin anew with each financial year."""
        ends = self._year_ends()
        reports: dict[date, dict[str, Decimal]] = {}
        for day in (self._start - timedelta(days=1), *ends, self._end):
            reports[day] = trial_balance(self._client, day)
        days = list(reports)
        moved: dict[str, Decimal] = {}
        for account, record in self._accounts.items():
            if str(record.get("Class")) in INCOME:
                amount = Decimal(0)
                for before, after in pairwise(days):
                    begun = (
                        Decimal(0) if self._is_year_end(before) else reports[before].get(account, Decimal(0))
                    )
                    amount += reports[after].get(account, Decimal(0)) - begun
            else:
                amount = reports[days[-1]].get(account, Decimal(0)) - reports[days[0]].get(
                    account, Decimal(0)
                )
            moved[account] = amount
        debtors = self._system["DEBTORS"]
        return Balances(
            currency=self.currency,
            start=self._start,
            end=self._end,
            codes={
                account: str(each.get("Code") or each.get("Name")) for account, each in self._accounts.items()
            },
            moved=moved,
            debtors_account=debtors,
            debtors=reports[days[-1]].get(debtors, Decimal(0)),
        )

    def _is_year_end(self, day: date) -> bool:
        month = int(self._organisation.get("FinancialYearEndMonth") or 12)
        wanted = int(self._organisation.get("FinancialYearEndDay") or 31)
        last = calendar.monthrange(day.year, month)[1]
        return (day.month, day.day) == (month, min(wanted, last))

    def _year_ends(self) -> list[date]:
        return [
            day
            for ordinal in range(self._start.toordinal(), self._end.toordinal())
            if self._is_year_end(day := date.fromordinal(ordinal))
        ]


def trial_balance(client: TargetClient, day: date) -> dict[str, Decimal]:
    """Balances at the end of a day by account id, debits positive: the year to date of income and expenses."""
    body = client.http.read("/Reports/TrialBalance", params={"date": day.isoformat()}).json()
    found: dict[str, Decimal] = {}
    for row in _rows(body["Reports"][0]["Rows"] if isinstance(body, dict) and body.get("Reports") else None):
        cells = row["Cells"]
        account = next(
            (each["Value"] for each in cells[0].get("Attributes") or [] if each.get("Id") == "account"), None
        )
        if account is not None:
            debit, credit = (Decimal(cells[at].get("Value") or 0) for at in (3, 4))
            found[str(account)] = debit - credit
    return found


def _rows(rows: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(rows, list):
        raise SchemaDrift("Xero's trial balance has no rows.")
    for row in rows:
        if row.get("Rows"):
            yield from _rows(row["Rows"])
        elif row.get("RowType") == "Row":
            yield row


def _list(client: TargetClient, plural: str) -> list[dict[str, Any]]:
    named = "Organisations" if plural == "Organisation" else plural
    return records_of(client.http.read(f"/{plural}").json(), named)


_IDS = (
    "PaymentID",
    "BankTransactionID",
    "ManualJournalID",
    "InvoiceID",
    "CreditNoteID",
    "OverpaymentID",
    "PrepaymentID",
)


def _identity(record: Mapping[str, Any]) -> str:
    return next((str(record[name]) for name in _IDS if record.get(name)), "")


def _name(record: Mapping[str, Any], what: str) -> str:
    number = record.get("InvoiceNumber") or record.get("CreditNoteNumber") or record.get("Reference")
    words = f"{what} {number or record.get('Narration') or _identity(record)}"
    return " ".join(words.split())
