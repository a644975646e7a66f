"""What a shadow proof is made of: both sides of a month, and what differs between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from cdc.linking.faces import Face

Kind = Literal["missing", "twice", "differs", "without source"]
"""missing: we would have posted it, the ledger has it not. twice: the same sale a second time. differs: both have it, not
alike. without source: the ledger has it, and nothing of ours explains it."""
What = Literal["amount", "tax", "currency", "date", "contact"]

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A record of the ledger."""

    flow: str
    face: Face


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What we would have posted."""

    flow: str
    face: Face
    source_connection: str
    target_id: str | None = None
    """The record that it is linked with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, named."""

    kind: Kind
    flow: str
    what: tuple[What, ...] = ()
    """Of `differs`: in what."""
    key: str = ""
    number: str = ""
    """Ours, else the ledger's."""
    target_id: str = ""
    currency: str
    day: date | None
    amount: Decimal
    """Of `differs` ours minus theirs, else the amount of the document."""
    tax: Decimal = NOTHING
    """In the same way."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One flow and currency of the month on both sides."""

    flow: str
    currency: str
    planned_count: int
    planned_amount: Decimal
    booked_count: int
    booked_amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A month: what we would have posted against what a ledger holds."""

    target: str
    month: str
    sides: tuple[Side, ...]
    findings: tuple[Finding, ...]

    @property
    def is_equal(self) -> bool:
        """The ledger holds what we would have posted."""
        return not self.findings

    @property
    def first_line(self) -> str:
        """The whole outcome in a sentence, the largest money of each kind in front."""
        if self.is_equal:
            count = sum(side.planned_count for side in self.sides)
            return f"Nothing differs: all {count} documents of {self.month} are in the ledger as we would have posted them"
        return ", ".join(
            [
                *self._counted("missing"),
                *self._counted("twice"),
                *self._apart(),
                *self._counted("without source"),
            ]
        )

    def _counted(self, kind: Kind) -> Iterable[str]:
        for flow in _FLOWS:
            some = [finding for finding in self.findings if finding.kind == kind and finding.flow == flow]
            if some:
                yield f"{_named(flow, len(some))} {_WORDS.get(kind, kind)} ({self._money(some)})"

    def _apart(self) -> Iterable[str]:
        some = [finding for finding in self.findings if finding.kind == "differs"]
        for flow in _FLOWS:
            of_flow = [finding for finding in some if finding.flow == flow and "amount" in finding.what]
            if of_flow:
                yield f"{_named(flow, len(of_flow))} different by {self._money(of_flow)}"
        taxed = [finding for finding in some if "tax" in finding.what]
        if taxed:
            yield f"tax {_moneys(_sums((finding.currency, abs(finding.tax)) for finding in taxed), self._currencies)} apart"
        for what, words in (
            ("date", "on another date"),
            ("contact", "under another contact"),
            ("currency", "in another currency"),
        ):
            count = sum(1 for finding in some if what in finding.what)
            if count:
                yield f"{count} {words}"

    def _money(self, findings: Iterable[Finding]) -> str:
        return _moneys(
            _sums((finding.currency, abs(finding.amount)) for finding in findings), self._currencies
        )

    @property
    def _currencies(self) -> set[str]:
        return {side.currency for side in self.sides}


_FLOWS = ("invoices", "credit_notes", "payments", "refunds")
_WORDS = {"without source": "without a source"}


def _named(flow: str, count: int) -> str:
    words = flow.replace("_", " ")
    return f"{count} {words if count != 1 else words.removesuffix('s')}"


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in amounts:
        sums[currency] += amount
    return sums


def _moneys(sums: dict[str, Decimal], currencies: set[str]) -> str:
    """Amounts of several currencies are never added; where there is one, it goes without saying."""
    return " + ".join(
        f"{amount:,.2f}" + (f" {currency}" if len(currencies) > 1 else "")
        for currency, amount in sorted(sums.items())
    )
