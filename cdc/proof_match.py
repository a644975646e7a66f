"""Puts the documents of a source beside the records of its target: pure, so that every case can be tried.

Records are matched by the link and never by number: a record that merely bears our number is not ours, or is
the second one that we made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from cdc.corrections import corrected_by
from cdc.proof_records import MEASURES, ControlRecord, Kind, Measure, Named, SourceDocument, Total
from cdc.proof_settled import Settlements

NOTHING = Decimal(0)
DIFFERS: Kind = "differs"
DATED_BY_OTHERS: Kind = "dated by others"
Amounts = Mapping[Measure, Decimal]
_OF_AMOUNT: tuple[Measure, ...] = ("gross", "net", "tax", "base")
_OF_SETTLEMENT: tuple[Measure, ...] = ("paid", "outstanding")


@dataclass(frozen=True, slots=True)
class _Where:
    flow: str
    source: str
    currency: str
    day: date


@dataclass(slots=True)
class _Sums:
    source_count: int = 0
    target_count: int = 0
    is_foreign: bool = False
    """Is any of its documents in another currency than the ledger's?"""
    source: dict[Measure, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    target: dict[Measure, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    named: dict[Measure, list[Named]] = field(default_factory=lambda: defaultdict(list))

    def shows(self, measure: Measure) -> bool:
        """Is the measure worth a total? Net where there is tax, base where it is another currency."""
        match measure:
            case "gross":
                return True
            case "base":
                return self.is_foreign
            case "net":
                return bool(self.source["tax"] or self.target["tax"])
            case _:
                return bool(self.source[measure] or self.target[measure])


def compare(
    documents: Sequence[SourceDocument],
    records: Iterable[ControlRecord],
    ours: Mapping[str, str],
    *,
    target: str,
    sources: Sequence[str],
) -> list[Total]:
    """Totals by flow, currency and day, with the records behind each difference.

    `records` are those in effect (no drafts, no voided ones). `ours` gives our key by target id. A record of
    nobody's is counted under the only source, or under none when several feed the target.
    """
    comparison = _Comparison(documents, list(records), ours, sources)
    comparison.match()
    return comparison.totals(target)


class _Comparison:
    def __init__(
        self,
        documents: Sequence[SourceDocument],
        records: Sequence[ControlRecord],
        ours: Mapping[str, str],
        sources: Sequence[str],
    ) -> None:
        self._documents = documents
        self._records = {record.target_id: record for record in records}
        self._ours = ours
        self._only_source = sources[0] if len(sources) == 1 else ""
        self._settlements = Settlements(documents, records, ours)
        self._sums: dict[_Where, _Sums] = defaultdict(_Sums)

    def match(self) -> None:
        """Count both sides and name what differs."""
        matched: set[str] = set()
        for document in self._documents:
            here = _Where(document.flow, document.source_connection, document.currency, document.day)
            if document.skip is not None:
                self._name(
                    here, "skipped", document, document.skip, {"gross": document.amount}, explained=True
                )
                continue
            record = self._records.get(document.target_id or "")
            said = self._said(document, record)
            sums = self._sums[here]
            sums.source_count += 1
            sums.is_foreign |= document.base is not None and document.base != document.amount
            _add(sums.source, said)
            if record is None:
                reason = document.pending or _unexplained(document)
                self._name(
                    here, "missing", document, reason, said, explained=document.pending is not None, count=1
                )
                continue
            matched.add(record.target_id)
            self._match(document, here, record, said)
        for record in self._records.values():
            if record.target_id not in matched:
                self._stray(record)

    def totals(self, target: str) -> list[Total]:
        """What was counted, in the order of flow, day and currency; a measure only where it says something."""
        return [
            Total(
                flow=where.flow,
                source_connection=where.source,
                target_connection=target,
                currency=where.currency,
                day=where.day,
                measure=measure,
                source_count=sums.source_count,
                source_amount=sums.source[measure],
                target_count=sums.target_count,
                target_amount=sums.target[measure],
                named=tuple(sums.named[measure]),
            )
            for where, sums in sorted(self._sums.items(), key=lambda item: _order(item[0]))
            for measure in MEASURES
            if sums.shows(measure)
        ]

    def _said(self, document: SourceDocument, record: ControlRecord | None) -> Amounts:
        """What the source says of a document; what it does not say is not compared: then it is what the target says."""
        tax = document.tax if document.tax is not None else (record.tax if record else NOTHING)
        paid, outstanding = self._settlements.due(document, record)
        return {
            "gross": document.amount,
            "tax": tax,
            "net": document.amount - tax,
            "base": _base(document, record),
            "paid": paid,
            "outstanding": outstanding,
        }

    def _held(self, record: ControlRecord) -> Amounts:
        paid, outstanding = self._settlements.held(record)
        return {
            "gross": record.amount,
            "tax": record.tax,
            "net": record.amount - record.tax,
            "base": record.base or NOTHING,
            "paid": paid,
            "outstanding": outstanding,
        }

    def _match(self, document: SourceDocument, here: _Where, record: ControlRecord, said: Amounts) -> None:
        there = _Where(document.flow, document.source_connection, record.currency, record.day)
        held = self._held(record)
        sums = self._sums[there]
        sums.target_count += 1
        _add(sums.target, held)
        explained = document.pending is not None
        if here != there:
            pending, kind = document.pending, DIFFERS
            if (
                pending is None
                and document.is_adopted
                and said["gross"] == held["gross"]
                and here.currency == there.currency
            ):
                pending, kind = (
                    "it was in the target before, and is dated as others dated it",
                    DATED_BY_OTHERS,
                )
            reason = _with(
                f"{document.amount} {document.currency} of {document.day} here, "
                f"{record.amount} {record.currency} of {record.day} in the target",
                pending,
            )
            explained = pending is not None
            self._name(here, kind, document, reason, said, explained=explained, count=1)
            away = {measure: -amount for measure, amount in held.items()}
            self._name(there, kind, document, reason, away, explained=explained, count=-1)
            return
        left = {measure: said[measure] - held[measure] for measure in MEASURES}
        for why, amount, is_explained, kind in self._settlements.others(document, record):
            piece: Amounts = {"paid": amount, "outstanding": -amount}
            left = {measure: left[measure] - piece.get(measure, NOTHING) for measure in MEASURES}
            self._name(here, kind, document, why, piece, explained=is_explained)
        reason = f"{document.amount} with {said['tax']} tax here, {record.amount} with {record.tax} tax in the target"
        if left["base"] and not left["gross"]:
            reason = f"{said['base']} in base currency here, {held['base']} in the target: another rate"
        why_more = _with(reason, document.pending)
        of_amount = {measure: left[measure] for measure in _OF_AMOUNT}
        self._name(here, "differs", document, why_more, of_amount, explained=explained)
        settled = _with(f"{said['paid']} settled here, {held['paid']} in the target", document.pending)
        of_settlement = {measure: left[measure] for measure in _OF_SETTLEMENT}
        self._name(here, "differs", document, settled, of_settlement, explained=explained)

    def _stray(self, record: ControlRecord) -> None:
        """A record of the target that no document of the source claims."""
        key = self._ours.get(record.target_id, "")
        twins = [
            document
            for document in self._documents
            if document.flow == record.flow and document.number and document.number == record.number
        ]
        skipped = next(
            (document for document in self._documents if document.target_id == record.target_id), None
        )
        kind: Kind
        if corrected := corrected_by(key):
            kind, reason = "corrected", f"part of the correction of {corrected}, which a person approved"
        elif key:
            kind = "unexpected"
            reason = (
                f"the target has it, but the model skips it: {skipped.skip}"
                if skipped
                else ("the target has it from us, but the source no longer says so")
            )
        elif any(twin.target_id for twin in twins):
            kind, reason = (
                "twice",
                f"a second record with our number {record.number}; ours is {twins[0].target_id}",
            )
        elif twins:
            kind, reason = "not ours", f"somebody else's record has our number {record.number}"
        else:
            kind, reason = "not ours", "made by others in the target"
        source = skipped.source_connection if skipped else self._only_source
        where = _Where(record.flow, source, record.currency, record.day)
        sums = self._sums[where]
        sums.target_count += 1
        held = self._held(record)
        sums.is_foreign |= record.base is not None and record.base != record.amount
        _add(sums.target, held)
        for measure, amount in held.items():
            sums.named[measure].append(
                Named(
                    kind=kind,
                    key=key,
                    number=record.number,
                    target_id=record.target_id,
                    reason=reason,
                    is_explained=kind in ("not ours", "corrected"),
                    count=-1,
                    amount=-amount,
                )
            )

    def _name(
        self,
        where: _Where,
        kind: Kind,
        document: SourceDocument,
        reason: str,
        amounts: Amounts,
        *,
        explained: bool,
        count: int = 0,
    ) -> None:
        for measure, amount in amounts.items():
            # A tax that differs alone leaves the gross total as it is, and the other way round.
            if not count and not amount and kind != "skipped":
                continue
            self._sums[where].named[measure].append(
                Named(
                    kind=kind,
                    key=document.key,
                    number=document.number,
                    target_id=document.target_id or "",
                    reason=reason,
                    is_explained=explained,
                    count=count,
                    amount=amount,
                )
            )


def _add(sums: dict[Measure, Decimal], amounts: Amounts) -> None:
    for measure, amount in amounts.items():
        sums[measure] += amount


def _base(document: SourceDocument, record: ControlRecord | None) -> Decimal:
    """In base currency, where both sides tell it."""
    if document.base is None:
        return (record.base if record else None) or NOTHING
    return NOTHING if record is not None and record.base is None else document.base


def _order(where: _Where) -> tuple[str, date, str, str]:
    return (where.flow, where.day, where.currency, where.source)


def _unexplained(document: SourceDocument) -> str:
    if document.target_id is None:
        return "not in the target and no entry is open; run `tieout diff`"
    return "the target no longer has it in effect (deleted or voided there)"


def _with(reason: str, pending: str | None) -> str:
    return f"{reason}; {pending}" if pending else reason
