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

from cdc.proof_records import ControlRecord, Kind, Measure, Named, SourceDocument, Total

NOTHING = Decimal(0)


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
    source: dict[Measure, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    target: dict[Measure, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    named: dict[Measure, list[Named]] = field(default_factory=lambda: defaultdict(list))


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
    comparison = _Comparison(documents, records, ours, sources)
    comparison.match()
    return comparison.totals(target)


class _Comparison:
    def __init__(
        self,
        documents: Sequence[SourceDocument],
        records: Iterable[ControlRecord],
        ours: Mapping[str, str],
        sources: Sequence[str],
    ) -> None:
        self._documents = documents
        self._records = {record.target_id: record for record in records}
        self._ours = ours
        self._only_source = sources[0] if len(sources) == 1 else ""
        self._sums: dict[_Where, _Sums] = defaultdict(_Sums)

    def match(self) -> None:
        """Count both sides and name what differs."""
        matched: set[str] = set()
        for document in self._documents:
            here = _Where(document.flow, document.source_connection, document.currency, document.day)
            if document.skip is not None:
                self._name(here, "skipped", document, document.skip, amount=document.amount)
                continue
            sums = self._sums[here]
            sums.source_count += 1
            sums.source["gross"] += document.amount
            record = self._records.get(document.target_id or "")
            # What the source does not say of tax is not compared: then it is what the target says.
            tax = document.tax if document.tax is not None else (record.tax if record else NOTHING)
            sums.source["tax"] += tax
            if record is None:
                self._name(
                    here,
                    "missing",
                    document,
                    document.pending or _unexplained(document),
                    explained=document.pending,
                    count=1,
                    amount=document.amount,
                    tax=tax,
                )
                continue
            matched.add(record.target_id)
            self._match(document, here, record, tax)
        for record in self._records.values():
            if record.target_id not in matched:
                self._stray(record)

    def totals(self, target: str) -> list[Total]:
        """What was counted, in the order of flow, day and currency; tax only where there is any."""
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
            for measure in _MEASURES
            if measure == "gross" or sums.source[measure] or sums.target[measure]
        ]

    def _match(self, document: SourceDocument, here: _Where, record: ControlRecord, tax: Decimal) -> None:
        there = _Where(document.flow, document.source_connection, record.currency, record.day)
        sums = self._sums[there]
        sums.target_count += 1
        sums.target["gross"] += record.amount
        sums.target["tax"] += record.tax
        if here != there:
            reason = (
                f"{document.amount} {document.currency} of {document.day} here, "
                f"{record.amount} {record.currency} of {record.day} in the target"
            )
            why = _with(reason, document.pending)
            self._name(
                here,
                "differs",
                document,
                why,
                explained=document.pending,
                count=1,
                amount=document.amount,
                tax=tax,
            )
            self._name(
                there,
                "differs",
                document,
                why,
                explained=document.pending,
                count=-1,
                amount=-record.amount,
                tax=-record.tax,
            )
        elif document.amount != record.amount or tax != record.tax:
            reason = (
                f"{document.amount} with {tax} tax here, {record.amount} with {record.tax} tax in the target"
            )
            self._name(
                here,
                "differs",
                document,
                _with(reason, document.pending),
                explained=document.pending,
                amount=document.amount - record.amount,
                tax=tax - record.tax,
            )

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
        if key:
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
        for measure, amount in _effects(record.amount, record.tax):
            sums.target[measure] += amount
            sums.named[measure].append(
                Named(
                    kind=kind,
                    key=key,
                    number=record.number,
                    target_id=record.target_id,
                    reason=reason,
                    is_explained=kind == "not ours",
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
        *,
        explained: str | None = "",
        count: int = 0,
        amount: Decimal = NOTHING,
        tax: Decimal = NOTHING,
    ) -> None:
        for measure, effect in _effects(amount, tax):
            # A tax that differs alone leaves the gross total as it is, and the other way round.
            if not count and not effect and kind != "skipped":
                continue
            self._sums[where].named[measure].append(
                Named(
                    kind=kind,
                    key=document.key,
                    number=document.number,
                    target_id=document.target_id or "",
                    reason=reason,
                    is_explained=explained is not None,
                    count=count,
                    amount=effect,
                )
            )


_MEASURES: tuple[Measure, ...] = ("gross", "tax")


def _effects(gross: Decimal, tax: Decimal) -> tuple[tuple[Measure, Decimal], ...]:
    return (("gross", gross), ("tax", tax))


def _order(where: _Where) -> tuple[str, date, str, str]:
    return (where.flow, where.day, where.currency, where.source)


def _unexplained(document: SourceDocument) -> str:
    if document.target_id is None:
        return "not in the target and no entry is open; run `tieout diff`"
    return "the target no longer has it in effect (deleted or voided there)"


def _with(reason: str, pending: str | None) -> str:
    return f"{reason}; {pending}" if pending else reason
