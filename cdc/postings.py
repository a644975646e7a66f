"""What a document does to the accounts, and what another content of it would do instead.

A system's writer module may say how its entities post (`POSTINGS`, by entity). Amounts stand on the account's own side: an
invoice is debtors, debit, and sales, credit, both positive; a credit note is the same with negative amounts. So a change of
account 200 to 210 reads: account 200 −100.00, account 210 +100.00, and the debits of an effect equal its credits.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Side = Literal["debit", "credit"]
DEBTORS = "debtors"
"""The control account of customers, which targets post to by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """An amount on an account."""

    period: str | None
    """Month of the document's date, as 2026-09."""
    account: str
    """The account's code; `debtors`, or `tax` and the tax type, where the target chooses the account."""
    side: Side
    """The side on which a positive amount stands."""
    currency: str | None
    amount: Decimal
    base: Decimal | None
    """The same in the base currency of the books; None when the rate is not known."""

    def to_json(self) -> dict[str, Any]:
        """As `cdc.drift` keeps it."""
        return {
            "period": self.period,
            "account": self.account,
            "side": self.side,
            "currency": self.currency,
            "amount": self.amount,
            "base": self.base,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a payload alone does not say."""

    currency: str | None = None
    day: str | None = None
    base_currency: str | None = None
    record: Mapping[str, Any] | None = None
    """The target's record, for the rate that it chose."""


Posts = Callable[[Mapping[str, Any], Setting], list[Posting]]
"""The postings of a payload in the target's own fields."""


def posts_of(system: str, entity: str) -> Posts | None:
    """How an entity posts; None where it does not (contacts, items, comments)."""
    module = importlib.import_module(f"cdc.writers.{system}")
    posts: Mapping[str, Posts] = getattr(module, "POSTINGS", {})
    return posts.get(entity)


def effect(before: Iterable[Posting], after: Iterable[Posting]) -> list[Posting]:
    """What `after` does to the accounts that `before` does not; accounts on which nothing changes are left out."""
    sums: dict[tuple[str, str, Side, str], tuple[Decimal, Decimal | None]] = {}
    for sign, postings in ((-1, before), (1, after)):
        for one in postings:
            name = (one.period or "", one.account, one.side, one.currency or "")
            amount, base = sums.get(name, (Decimal(0), Decimal(0)))
            summed = None if base is None or one.base is None else base + sign * one.base
            sums[name] = (amount + sign * one.amount, summed)
    return [
        Posting(
            period=period or None, account=account, side=side, currency=currency or None, amount=amount, base=base
        )
        for (period, account, side, currency), (amount, base) in sorted(sums.items())
        if amount or base
    ]  # fmt: skip
