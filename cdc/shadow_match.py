"""Puts what we would have posted beside what a ledger holds: pure, by the judgement of the linker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from cdc.likeness import name_likeness
from cdc.linking.assign import Pair, best
from cdc.linking.evidence import WORTH_SHOWING, Judgement, judge
from cdc.linking.faces import Face, blocks
from cdc.shadow_records import NOTHING, Booked, Finding, Planned, Shadow, Side, What

MOST_UNDER_A_TEXT = 2_500
SURELY = Decimal("0.80")
ORDER = (("invoices",), ("credit_notes",), ("payments", "refunds"))
"""Documents before the money that is put on them."""


def compare(
    planned: Sequence[Planned], booked: Sequence[Booked], *, target: str, month: str, first: date, last: date
) -> Shadow:
    """The month from `first` to `last`; what lies around it helps to find what is dated otherwise, and is not told."""
    comparison = _Comparison(first, last)
    for flows in ORDER:
        for flow in flows:
            comparison.add(
                [each for each in planned if each.flow == flow],
                [each for each in booked if each.flow == flow],
            )
    return Shadow(
        target=target,
        month=month,
        sides=tuple(_sides(planned, booked, first, last)),
        findings=tuple(comparison.findings),
    )


class _Comparison:
    def __init__(self, first: date, last: date) -> None:
        self._first, self._last = first, last
        self._matched: dict[str, str] = {}
        self.findings: list[Finding] = []

    def add(self, planned: Sequence[Planned], booked: Sequence[Booked]) -> None:
        """Match one flow and name what differs."""
        ours = {each.face.id: replace(each, face=self._on_records(each.face)) for each in planned}
        theirs = {each.face.id: each for each in booked}
        judged = _judged([each.face for each in ours.values()], [each.face for each in theirs.values()])
        linked = {
            key: each.target_id
            for key, each in ours.items()
            if each.target_id is not None and each.target_id in theirs
        }
        taken = set(linked.values())
        found = linked | best(
            Pair(score=judgement.score, ours=names[0], theirs=names[1])
            for names, judgement in judged.items()
            if names[0] not in linked and names[1] not in taken
        )
        self._matched |= {
            key: each.target_id for key, each in ours.items() if each.target_id is not None
        } | found
        for key, each in ours.items():
            if key in found:
                self._differences(each, theirs[found[key]])
            elif self._is_inside(each.face.day):
                self._missing(each)
        used = set(found.values())
        for target_id, record in theirs.items():
            if target_id not in used and self._is_inside(record.face.day):
                self._extra(record, judged, found, ours)

    def _on_records(self, face: Face) -> Face:
        """Money is put on documents of ours by key: by now we know which records those are."""
        if face.kind != "money":
            return face
        known = tuple(self._matched[key] for key in face.documents if key in self._matched)
        return replace(face, documents=known)

    def _is_inside(self, day: date | None) -> bool:
        return day is not None and self._first <= day <= self._last

    def _missing(self, each: Planned) -> None:
        face = each.face
        self.findings.append(
            Finding(
                kind="missing", flow=each.flow, key=face.id, number=face.title, currency=face.currency, day=face.day,
                amount=face.amount or NOTHING, tax=face.tax or NOTHING, reason="nothing in the ledger comes near it",
            )
        )  # fmt: skip

    def _extra(
        self,
        record: Booked,
        judged: Mapping[tuple[str, str], Judgement],
        found: Mapping[str, str],
        ours: Mapping[str, Planned],
    ) -> None:
        face = record.face
        rivals = [
            (judgement.score, key)
            for (key, target_id), judgement in judged.items()
            if target_id == face.id
            and key in found
            and judgement.score >= SURELY
            and judgement.is_exact
            and ours[key].face.amount == face.amount
        ]
        first = max(rivals, default=None)
        self.findings.append(
            Finding(
                kind="twice" if first else "without source", flow=record.flow, key=first[1] if first else "",
                number=face.title, target_id=face.id, currency=face.currency or (ours[first[1]].face.currency if first else ""),
                day=face.day, amount=face.amount or NOTHING, tax=face.tax or NOTHING,
                reason=f"the same as {found[first[1]]}, which is already there" if first else "no document of ours comes near it",
            )
        )  # fmt: skip

    def _differences(self, each: Planned, record: Booked) -> None:
        ours, theirs = each.face, record.face
        what: list[What] = []
        words: list[str] = []
        amount, tax = NOTHING, NOTHING
        if ours.currency and theirs.currency and ours.currency != theirs.currency:
            what.append("currency")
            words.append(f"{ours.currency} here, {theirs.currency} in the ledger")
        if ours.amount is not None and theirs.amount is not None and ours.amount != theirs.amount:
            what.append("amount")
            amount = ours.amount - theirs.amount
            words.append(f"{ours.amount:.2f} here, {theirs.amount:.2f} in the ledger")
        if ours.tax is not None and theirs.tax is not None and ours.tax != theirs.tax:
            what.append("tax")
            tax = ours.tax - theirs.tax
            words.append(f"tax {ours.tax:.2f} here, {theirs.tax:.2f} in the ledger")
        if ours.day != theirs.day:
            what.append("date")
            words.append(f"dated {ours.day} here, {theirs.day} in the ledger")
        # Whoever linked the contacts has said that they are one, whatever they are called.
        is_linked = bool(ours.party) and ours.party.casefold() == theirs.party.casefold()
        if ours.kind == "document" and not is_linked and _is_another(ours.names, theirs.names):
            what.append("contact")
            words.append(f"for {ours.names[0]} here, for {theirs.names[0]} in the ledger")
        if not what or not (self._is_inside(ours.day) or self._is_inside(theirs.day)):
            return
        self.findings.append(
            Finding(
                kind="differs", flow=each.flow, what=tuple(what), key=ours.id, number=ours.title, target_id=theirs.id,
                currency=ours.currency, day=ours.day, amount=amount, tax=tax, reason="; ".join(words),
            )
        )  # fmt: skip


def _is_another(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return bool(ours and theirs) and max(name_likeness(one, other) for one in ours for other in theirs) < 0.5


def _judged(ours: Sequence[Face], theirs: Sequence[Face]) -> dict[tuple[str, str], Judgement]:
    """The pairs that are worth looking at: only faces that meet under a text are compared."""
    mine, other = _index(ours, is_ours=True), _index(theirs, is_ours=False)
    by_id = ({face.id: face for face in ours}, {face.id: face for face in theirs})
    names = {
        (one, another)
        for block, some in mine.items()
        if block in other and len(some) * len(other[block]) <= MOST_UNDER_A_TEXT
        for one in some
        for another in other[block]
    }
    judged = {pair: judge(by_id[0][pair[0]], by_id[1][pair[1]]) for pair in names}
    return {pair: judgement for pair, judgement in judged.items() if judgement.score >= WORTH_SHOWING}


def _index(faces: Iterable[Face], *, is_ours: bool) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for face in faces:
        for block in dict.fromkeys(blocks(face, is_ours=is_ours)):
            found[block].append(face.id)
    return found


def _sides(planned: Sequence[Planned], booked: Sequence[Booked], first: date, last: date) -> Iterator[Side]:
    inside: tuple[dict[tuple[str, str], list[Decimal]], ...] = (defaultdict(list), defaultdict(list))
    both: tuple[Sequence[Planned | Booked], ...] = (planned, booked)
    for side, records in enumerate(both):
        for record in records:
            if record.face.day is not None and first <= record.face.day <= last:
                inside[side][record.flow, record.face.currency].append(record.face.amount or NOTHING)
    for flow, currency in sorted(set(inside[0]) | set(inside[1])):
        ours, theirs = inside[0].get((flow, currency), []), inside[1].get((flow, currency), [])
        yield Side(
            flow=flow, currency=currency, planned_count=len(ours), planned_amount=sum(ours, NOTHING),
            booked_count=len(theirs), booked_amount=sum(theirs, NOTHING),
        )  # fmt: skip
