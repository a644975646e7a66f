"""Are two faces one record? A score from 0 to 1 with the evidence for it and what speaks against it. Pure.

Each piece of evidence has a weight: the chance that it would not be there for two different records. Together they leave the
product of what each leaves open; what differs takes a share of the rest away. Nothing that was found is hidden: a difference
is told even where the records surely belong together, since after linking somebody has to decide about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cdc import likeness
from cdc.linking.faces import Face

WORTH_SHOWING = Decimal("0.60")
"""Below it a pair is not even shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is thought of a pair."""

    score: Decimal
    """Two places."""
    evidence: tuple[str, ...]
    against: tuple[str, ...]
    is_exact: bool
    """A mark, number, reference, tax number or e-mail says it, and not likeness alone."""


class _Scale:
    """Collects what speaks for and against."""

    def __init__(self) -> None:
        self.open: float = 1.0
        self.kept: float = 1.0
        self.evidence: list[str] = []
        self.against: list[str] = []
        self.is_exact: bool = False
        self.takes_nothing: bool = False

    def adds(self, weight: float, words: str, *, exact: bool = False) -> None:
        """Something speaks for it."""
        self.open *= 1 - weight
        self.evidence.append(words)
        self.is_exact = self.is_exact or exact

    def takes(self, factor: float, words: str) -> None:
        """Something speaks against it; `factor` is what it leaves of the score."""
        self.kept *= 1.0 if self.takes_nothing else factor
        self.against.append(words)

    def judgement(self) -> Judgement:
        """The outcome."""
        score = Decimal(str(round((1 - self.open) * self.kept, 2)))
        return Judgement(
            score=score, evidence=tuple(self.evidence), against=tuple(self.against), is_exact=self.is_exact
        )


def judge(ours: Face, theirs: Face) -> Judgement:
    """Compare a row of ours with a record of the target."""
    scale = _Scale()
    marks = {mark.casefold() for mark in ours.marks} & {mark.casefold() for mark in theirs.marks}
    if marks:
        scale.adds(0.98, "bears our mark", exact=True)
    is_origin = not set(ours.origins).isdisjoint(theirs.origins)
    if is_origin:
        scale.adds(0.99, "ours was made from it", exact=True)
        # Whatever differs was changed since: it is told, and takes nothing away.
        scale.takes_nothing = True
    {"party": _party, "item": _item, "document": _document, "money": _money}[ours.kind](ours, theirs, scale)
    return scale.judgement()


def _party(ours: Face, theirs: Face, scale: _Scale) -> None:
    is_tax = likeness.tax_number_likeness(ours.tax_number, theirs.tax_number) == 1
    if is_tax:
        scale.adds(0.88, f"same tax number {theirs.tax_number}", exact=True)
    elif likeness.plain_tax_number(ours.tax_number) and likeness.plain_tax_number(theirs.tax_number):
        scale.takes(0.5, f"tax number {ours.tax_number} here, {theirs.tax_number} there")
    is_near = _address(ours, theirs, scale)
    email = likeness.email_likeness(ours.email, theirs.email)
    if email == 1:
        scale.adds(0.90, f"same e-mail {likeness.plain_email(theirs.email)}", exact=True)
    elif email:
        scale.adds(0.20, f"e-mail like {theirs.email}")
    elif likeness.plain_email(ours.email) and likeness.plain_email(theirs.email) and not is_tax:
        # People have two addresses to write to more often than two to live at.
        scale.takes(0.85 if is_near else 0.7, f"e-mail {ours.email} here, {theirs.email} there")
    if ours.place and theirs.place and ours.place != theirs.place:
        scale.takes(0.75, f"website {ours.place} here, {theirs.place} there")
    alike = _names(ours, theirs)
    if alike >= 0.97:
        # A name alone says little, but Xero for one takes each name only once.
        scale.adds(0.65, f"same name {_first(theirs.names)}")
    elif alike >= 0.8:
        scale.adds(0.45 if alike >= 0.9 else 0.2, f"name like {_first(theirs.names)} ({alike:.0%})")
    elif alike < 0.5 and ours.names and theirs.names:
        scale.takes(0.95, f"name {_first(ours.names)} here, {_first(theirs.names)} there")


def _address(ours: Face, theirs: Face, scale: _Scale) -> bool:
    """The same postcode or telephone."""
    postcodes = sorted(set(ours.postcodes) & set(theirs.postcodes))
    if postcodes:
        scale.adds(0.45, f"same postcode {postcodes[0]}")
    is_called = not set(ours.phones).isdisjoint(theirs.phones)
    if is_called:
        scale.adds(0.50, "same telephone")
    return bool(postcodes) or is_called


def _item(ours: Face, theirs: Face, scale: _Scale) -> None:
    codes = [set(face.numbers) for face in (ours, theirs)]
    plain = [{likeness.plain_number(number) for number in some} for some in codes]
    if codes[0] & codes[1]:
        scale.adds(0.95, f"same code {_first(theirs.numbers)}", exact=True)
    elif plain[0] & plain[1]:
        scale.adds(0.80, f"code {_first(theirs.numbers)} is written otherwise", exact=True)
    elif any(likeness.number_likeness(one, other) >= 0.8 for one in ours.numbers for other in theirs.numbers):
        scale.adds(0.35, f"code like {_first(theirs.numbers)}")
    if (alike := _names(ours, theirs)) >= 0.97:
        scale.adds(0.5, f"same name {_first(theirs.names)}")
    elif alike >= 0.8:
        scale.adds(0.4, f"name like {_first(theirs.names)} ({alike:.0%})")


def _document(ours: Face, theirs: Face, scale: _Scale) -> None:
    named = _by_number(ours, theirs, scale)
    _amounts(ours, theirs, scale, alone=0.5 if named < 0.6 else 0.9)
    _days(ours, theirs, scale, same=0.40, near=0.25)
    if ours.party and theirs.party:
        if ours.party.casefold() == theirs.party.casefold():
            scale.adds(0.50, f"same contact {_first(theirs.names)}".strip())
        else:
            scale.takes(0.85, f"contact {_first(ours.names)} here, {_first(theirs.names)} there")
        return
    alike = _names(ours, theirs)
    if alike >= 0.9:
        scale.adds(0.45, f"contact of the same name {_first(theirs.names)}")
    elif alike >= 0.8:
        scale.adds(0.25, f"contact of a like name {_first(theirs.names)} ({alike:.0%})")
    elif ours.names and theirs.names and alike < 0.5:
        scale.takes(0.85, f"contact {_first(ours.names)} here, {_first(theirs.names)} there")


def _by_number(ours: Face, theirs: Face, scale: _Scale) -> float:
    """The best that numbers and references say; its weight."""
    own = {plain for number in ours.numbers if (plain := likeness.plain_number(number))}
    there = {plain for number in theirs.numbers if (plain := likeness.plain_number(number))}
    if own & there:
        scale.adds(0.92, f"same number {_first(theirs.numbers)}", exact=True)
        return 0.92
    texts = (*theirs.numbers, *theirs.orders)
    runs = {run for text in texts for run in likeness.numbers_in(text)}
    ordered = {run for order in ours.orders for run in likeness.numbers_in(order)}
    if found := sorted(run for run in ordered & runs if len(run) >= 6):
        scale.adds(0.85, f"names the order {found[0]}", exact=True)
        return 0.85
    numbered = {run for number in ours.numbers for run in likeness.numbers_in(number)}
    if found := sorted(run for run in numbered & runs if len(run) >= 6):
        scale.adds(0.70, f"names the number {found[0]}", exact=True)
        return 0.70
    cores = {likeness.core_of(run) for run in ordered | numbered} - {""}
    if found := sorted(cores & {likeness.core_of(run) for run in runs}):
        scale.adds(0.45, f"has the digits {found[0]}")
        return 0.45
    return 0.0


def _money(ours: Face, theirs: Face, scale: _Scale) -> None:
    if ours.documents and sorted(map(str.casefold, ours.documents)) == sorted(
        map(str.casefold, theirs.documents)
    ):
        scale.adds(0.70, "on the same document", exact=True)
    if ours.party and ours.party.casefold() == theirs.party.casefold():
        scale.adds(0.60, "of the same contact")
    elif ours.party and theirs.party:
        scale.takes(0.5, "of another contact")
    if ours.place and theirs.place and ours.place != theirs.place:
        scale.takes(0.3, f"{ours.place} here, {theirs.place} there")
    _amounts(ours, theirs, scale, alone=0.5)
    _days(ours, theirs, scale, same=0.40, near=0.30)
    if ours.account and theirs.account and ours.account != theirs.account:
        scale.takes(0.97, f"account {ours.account} here, {theirs.account} there")


def _amounts(ours: Face, theirs: Face, scale: _Scale, *, alone: float) -> None:
    """Equal amounts speak for it; `alone` is what another amount leaves of the score."""
    if ours.currency and theirs.currency and ours.currency != theirs.currency:
        scale.takes(0.6, f"{ours.currency} here, {theirs.currency} there")
    alike = likeness.amount_likeness(ours.amount, theirs.amount)
    if alike == 1:
        scale.adds(0.60, f"same amount {theirs.amount:.2f}")
    elif ours.amount is not None and theirs.amount is not None:
        words = f"amount {ours.amount:.2f} here, {theirs.amount:.2f} there"
        scale.takes(0.97 if alike >= 0.9 else alone if alike > 0 else alone * 0.9, words)
    if ours.tax is not None and theirs.tax is not None and ours.tax != theirs.tax:
        scale.takes(0.99, f"tax {ours.tax:.2f} here, {theirs.tax:.2f} there")


def _days(ours: Face, theirs: Face, scale: _Scale, *, same: float, near: float) -> None:
    if ours.day is None or theirs.day is None:
        return
    apart = abs((ours.day - theirs.day).days)
    if not apart:
        scale.adds(same, f"same date {theirs.day}")
    elif apart <= 3:
        scale.adds(near, f"{apart} day(s) apart")
        scale.against.append(f"date {ours.day} here, {theirs.day} there")
    else:
        scale.takes(
            0.97 if apart <= 10 else 0.9 if apart <= 45 else 0.6, f"date {ours.day} here, {theirs.day} there"
        )


def _names(ours: Face, theirs: Face) -> float:
    return max(
        (likeness.name_likeness(one, other) for one in ours.names for other in theirs.names), default=0.0
    )


def _first(texts: tuple[str, ...]) -> str:
    return texts[0] if texts else ""
