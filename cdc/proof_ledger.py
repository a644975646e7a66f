"""The ledger control: do the documents that were read make up the balances that the target's trial balance shows?

Pure. A reader (`cdc/proving/<system>`) tells each posting in base currency, ours and others', and the balances; per account
ours, others' (each named) and cents of conversion must come to the movement of the period, and the open items to debtors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from cdc.proof_records import Named, Total

NOTHING = Decimal(0)
CENT = Decimal("0.01")
Control = Literal["trial balance", "debtors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What one record of the target does to one account: base currency, a debit is positive."""

    account: str
    """The target's id of the account."""
    amount: Decimal
    target_id: str
    name: str
    """What a person calls it: `invoice WEB-1`."""
    is_converted: bool = False
    """Computed from another currency: the target may have rounded a cent otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What the trial balance says: by account id, debits positive, in base currency."""

    currency: str
    start: date
    end: date
    codes: Mapping[str, str]
    moved: Mapping[str, Decimal]
    """From `start` to `end`, both included."""
    debtors_account: str
    debtors: Decimal
    """What the debtors account stands at on `end`."""


@dataclass(slots=True)
class _Account:
    count: int = 0
    amount: Decimal = NOTHING
    conversions: int = 0
    others: dict[str, tuple[str, Decimal]] = field(default_factory=dict)


class Ledger:
    """Adds up postings and open items by account."""

    def __init__(self, ours: Mapping[str, str]) -> None:
        self._ours = ours
        self._postings: dict[str, _Account] = defaultdict(_Account)
        self._open: dict[str, _Account] = defaultdict(_Account)

    def post(self, posting: Posting) -> None:
        """Count what a record does to an account."""
        self._add(self._postings[posting.account], posting)

    def is_open(self, posting: Posting) -> None:
        """Count what of a record is open on the debtors account."""
        self._add(self._open[posting.account], posting)

    def totals(self, balances: Balances, *, source: str, target: str, with_debtors: bool) -> Iterator[Total]:
        """One total an account that we post to; `with_debtors`: the open items too (they are as of now)."""
        for account, sums in self._postings.items():
            if sums.count:
                moved = balances.moved.get(account, NOTHING)
                yield _total("trial balance", account, sums, moved, balances, source, target)
        if with_debtors:
            sums = self._open[balances.debtors_account]
            yield _total(
                "debtors", balances.debtors_account, sums, balances.debtors, balances, source, target
            )

    def _add(self, sums: _Account, posting: Posting) -> None:
        sums.conversions += posting.is_converted
        if posting.target_id in self._ours:
            sums.count += 1
            sums.amount += posting.amount
        else:
            name, amount = sums.others.get(posting.target_id, (posting.name, NOTHING))
            sums.others[posting.target_id] = (name, amount + posting.amount)


def _total(
    control: Control,
    account: str,
    sums: _Account,
    balance: Decimal,
    balances: Balances,
    source: str,
    target: str,
) -> Total:
    named = [
        Named(
            kind="not ours",
            key="",
            number=name,
            target_id=target_id,
            reason="made by others in the target",
            is_explained=True,
            count=-1,
            amount=-amount,
        )
        for target_id, (name, amount) in sums.others.items()
        if amount
    ]
    left = sums.amount - balance - sum((each.amount for each in named), NOTHING)
    if left:
        is_converted = abs(left) <= CENT * sums.conversions
        named.append(
            Named(
                kind="converted" if is_converted else "differs",
                key="",
                number=balances.codes.get(account, account),
                target_id=account,
                reason=f"cents of converting {sums.conversions} amounts in other currencies"
                if is_converted
                else f"{-left} on account {balances.codes.get(account, account)} that no record read here explains",
                is_explained=is_converted,
                count=0,
                amount=left,
            )
        )
    return Total(
        flow=control,
        source_connection=source,
        target_connection=target,
        currency=balances.currency,
        day=balances.end,
        measure="base",
        source_count=sums.count,
        source_amount=sums.amount,
        target_count=sums.count + sum(1 for each in named if each.kind == "not ours"),
        target_amount=balance,
        named=tuple(named),
        detail=balances.codes.get(account, account),
    )
