"""What a proof is made of: what the target says, what the source says, and the totals and records that come
of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

Measure = Literal["gross", "net", "tax", "base", "paid", "outstanding"]
"""gross: with tax. base: gross in the ledger's base currency. paid: what payments and credits have settled of it, and
outstanding what they have not. All are positive amounts of the flow (a credit note of 10.00 counts 10.00), in the
document's currency but for base; in the controls by account and by tax type sales are positive and credits negative."""
MEASURES: tuple[Measure, ...] = ("gross", "net", "tax", "base", "paid", "outstanding")
Kind = Literal[
    "missing",
    "differs",
    "unexpected",
    "twice",
    "not ours",
    "skipped",
    "recoded",
    "corrected",
    "converted",
    "dated by others",
]
"""missing: the source has it, the target has not. differs: both have it, not alike. unexpected: ours, but the
source does not say so (now). twice: a second record of the target bears our number. not ours: made by others.
corrected: the document that a correction replaced, or the one that reverses it.
skipped: the model says why it is rightly not sent. recoded: an accountant put it on another account, which is theirs to
decide. converted: cents of converting currencies in the ledger. dated by others: linked as others made it, with their date."""

FOR_GOOD: frozenset[Kind] = frozenset(
    {"not ours", "skipped", "recoded", "corrected", "converted", "dated by others"}
)
"""Kinds of an explained difference that nobody will ever remove: nothing is left to do for it."""

DERIVED = frozenset({"orders", "accounts", "tax types", "clearing"})
"""Flows whose rows are made of other flows' documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlLine:
    """What one document has on one account under one tax type, in the document's currency."""

    account: str
    """Its code; empty where it has none."""
    tax_type: str
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRecord:
    """One document as the target holds it now.

    `flow` is the name that `proofs.source_documents` uses (invoices, credit_notes, payments, refunds, allocations,
    deposits …). `number` is the document's number, or for payments the mark in its reference. `amount` and `tax`
    are positive, in `currency`; `day` is the document's date at the target. `status` in the target's words,
    voided and deleted documents included.
    """

    flow: str
    number: str
    reference: str
    target_id: str
    currency: str
    day: date
    amount: Decimal
    tax: Decimal
    status: str
    base: Decimal | None = None
    """The amount in base currency; None where it cannot be told."""
    outstanding: Decimal | None = None
    """Of an invoice what is due, of a credit what is left; None for what is not settled by others."""
    settles: str | None = None
    """Of a payment or allocation: the target's id of the document that it settles."""
    uses: str | None = None
    """Of an allocation: the target's id of the credit that it uses up."""
    lines: tuple[ControlLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocument:
    """One document that the source says the target should contain, and what we know of it."""

    flow: str
    key: str
    source_connection: str
    source_id: str
    """The source's record that drives it: of an invoice, its order."""
    number: str
    reference: str
    """Of an invoice or credit note the order's number, else empty."""
    currency: str
    day: date
    amount: Decimal
    tax: Decimal | None
    """None: the source does not say; not compared."""
    skip: str | None
    target_id: str | None
    pending: str | None
    """Why the target does not have it, or has it otherwise, as our records explain it; None when they do not.
    """
    base: Decimal | None = None
    """The amount in the ledger's base currency; None: the source does not say."""
    settles: str | None = None
    """Of what settles a document: entity and key of that document, as one text (`invoices shop/order/7/1`)."""
    uses: str | None = None
    """Of an allocation: entity and key of the credit that it uses up."""
    entity: str = ""
    """What the target's writer calls it."""
    is_adopted: bool = False
    """Was the target's record there before, made by others? Then its date is theirs."""
    lines: tuple[ControlLine, ...] = ()

    @property
    def name(self) -> str:
        """Entity and key, as `settles` and `uses` of others name it."""
        return f"{self.entity} {self.key}"

    @classmethod
    def from_row(cls, row: Mapping[str, Any], lines: tuple[ControlLine, ...] = ()) -> SourceDocument:
        """A row of the query `documents`."""
        return cls(
            flow=row["flow"],
            key=row["key"],
            source_connection=row["source_connection"],
            source_id=row["source_id"],
            number=row["number"] or "",
            reference=row["reference"] or "",
            currency=row["currency"],
            day=row["day"],
            amount=row["amount"],
            tax=row["tax"],
            skip=row["skip"],
            target_id=row["target_id"],
            pending=_pending(row),
            base=row["base_amount"],
            settles=_named(row["settles_entity"], row["settles_key"]),
            uses=_named(row["uses_entity"], row["uses_key"]),
            entity=row["entity"],
            is_adopted=row["is_adopted"],
            lines=lines or _place(row["account_code"], row["amount"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One record behind a difference."""

    kind: Kind
    key: str
    """Ours; empty for a record that is not."""
    number: str
    target_id: str
    reason: str
    is_explained: bool
    count: int
    """What it adds to source minus target."""
    amount: Decimal
    """The same in money; of a skipped document its amount, which is in neither total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """One flow, currency and day on both sides, in one measure.

    The controls `accounts`, `tax types` and `clearing` go by month (`day` is its first) and have the account or the tax
    type as `detail`.
    """

    flow: str
    source_connection: str
    target_connection: str
    currency: str
    day: date
    measure: Measure
    source_count: int
    source_amount: Decimal
    target_count: int
    target_amount: Decimal
    named: tuple[Named, ...]
    detail: str = ""

    @property
    def is_equal(self) -> bool:
        """Both sides say the same."""
        return self.source_count == self.target_count and self.source_amount == self.target_amount

    @property
    def explained_count(self) -> int:
        """How much of source minus target the explained records make up."""
        return sum(named.count for named in self.named if named.is_explained)

    @property
    def explained_amount(self) -> Decimal:
        """The same in money."""
        return sum((named.amount for named in self.named if _counts(named)), Decimal(0))

    @property
    def is_proved(self) -> bool:
        """Equal to the cent once the explained records are set aside, and no record is left unexplained.

        Two unexplained records that cancel out in the total are no proof.
        """
        return (
            all(named.is_explained for named in self.named)
            and self.source_count - self.target_count == self.explained_count
            and self.source_amount - self.target_amount == self.explained_amount
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Control totals of both sides, by flow, currency and day."""

    totals: tuple[Total, ...]
    skipped: int
    """Documents that rightly are not sent; each is named in its total."""
    notes: tuple[str, ...] = ()
    """What could not be read, and what to do about it."""
    base_currencies: Mapping[str, str] = field(default_factory=dict)
    """Base currency by target."""
    period: str | None = None
    """The period that it is limited to, or None."""

    @property
    def is_proved(self) -> bool:
        """Every total is equal or explained by named records."""
        return all(total.is_proved for total in self.totals)

    @property
    def open(self) -> tuple[Named, ...]:
        """What keeps a period from being closed: due here and not alike in the target, explained or not.

        What is explained for good (FOR_GOOD) keeps nothing from being closed.
        """
        found = [
            named
            for total in self.totals
            for named in total.named
            if total.flow not in DERIVED and not (named.is_explained and named.kind in FOR_GOOD)
        ]
        return tuple({(named.kind, named.key or named.target_id): named for named in found}.values())

    @property
    def unexplained(self) -> tuple[Named, ...]:
        """Records that nothing explains, each once, as its own flow names it.

        An order, or a document in the controls by account and tax type, only where none of its documents is among them.
        """
        found = [
            (total.flow, named) for total in self.totals for named in total.named if not named.is_explained
        ]
        own = [named for flow, named in found if flow not in DERIVED]
        wrong = {named.key for named in own} | {named.key.rpartition("/")[0] for named in own}
        kept = own + [named for flow, named in found if flow in DERIVED and named.key not in wrong]
        once: dict[tuple[str, str, str], Named] = {}
        for named in kept:
            once.setdefault((named.kind, named.key, named.target_id), named)
        return tuple(once.values())


def _named(entity: str | None, key: str | None) -> str | None:
    return f"{entity} {key}" if entity and key else None


def _place(account: str | None, amount: Decimal) -> tuple[ControlLine, ...]:
    """Of money: the account in which it lies."""
    return () if account is None else (ControlLine(account=account, tax_type="", net=amount, tax=Decimal(0)),)


def _counts(named: Named) -> bool:
    return named.is_explained and named.kind != "skipped"


def _pending(row: Mapping[str, Any]) -> str | None:
    reason = f": {row['reason']}" if row["reason"] else ""
    match row["state"]:
        case "rejected":
            return f"rejected{reason}"
        case "held":
            return f"held ({row['held_for']}){reason}"
        case "waiting":
            named = ", ".join(f"{each['entity']} {each['key']}" for each in row["waits_for"] or ())
            return f"waits for {row['waits'] or named}"
        case "ready":
            return "ready to be sent"
        case "sending" | "in_doubt":
            return "being sent; the next drain settles it"
    if row["frozen_because"]:
        return f"frozen: {row['frozen_because']}"
    if row["reversal"]:
        taken = row["reversal"]
        return f"taken back with run {taken['run'][:8]} by {taken['by']}: {taken['reason']}"
    if row["is_declined"]:
        return "a person decided not to send it"
    return None
