"""What is paid and what is outstanding: the settlements that a source wants on a document, beside what the target shows.

A payment, refund or allocation settles a document; an allocation also uses up a credit. What others settled in the
target (a customer pays a bank transfer and the accountant books it) is no error: it is named with its record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from cdc.proof_records import ControlRecord, Kind, SourceDocument

NOTHING = Decimal(0)
SETTLED = frozenset({"invoices", "credit_notes", "deposits", "overpayments"})
"""Flows whose documents are settled by others; a deposit is settled by its allocations."""


class Settlements:
    """Both sides' settlements, by the document that they settle or use up."""

    def __init__(
        self,
        documents: Sequence[SourceDocument],
        records: Sequence[ControlRecord],
        ours: Mapping[str, str],
    ) -> None:
        self._ours = ours
        self._records = {record.target_id: record for record in records}
        self._wanted: dict[str, list[SourceDocument]] = defaultdict(list)
        self._found: dict[str, list[ControlRecord]] = defaultdict(list)
        for document in documents:
            for name in (document.settles, document.uses):
                if name is not None and document.skip is None:
                    self._wanted[name].append(document)
        for record in records:
            for target_id in (record.settles, record.uses):
                if target_id is not None:
                    self._found[target_id].append(record)

    def due(self, document: SourceDocument, record: ControlRecord | None) -> tuple[Decimal, Decimal]:
        """What the source says is settled of it, and what is not; nil where the target does not tell."""
        if document.flow not in SETTLED or (record is not None and record.outstanding is None):
            return NOTHING, NOTHING
        paid = sum((each.amount for each in self._wanted[document.name]), NOTHING)
        return paid, document.amount - paid

    def held(self, record: ControlRecord) -> tuple[Decimal, Decimal]:
        """What is settled of it in the target, and what is not."""
        if record.flow not in SETTLED or record.outstanding is None:
            return NOTHING, NOTHING
        return record.amount - record.outstanding, record.outstanding

    def others(
        self, document: SourceDocument, record: ControlRecord
    ) -> Iterator[tuple[str, Decimal, bool, Kind]]:
        """Why the two sides differ: reason, how much more the source says is paid, is it explained, of which kind."""
        if document.flow not in SETTLED or record.outstanding is None:
            return
        for wanted in self._wanted[document.name]:
            held = self._records.get(wanted.target_id or "")
            if held is None or held.amount != wanted.amount:
                missing = wanted.amount - (held.amount if held else NOTHING)
                reason = wanted.pending or "not in the target as it should be"
                yield f"{wanted.key}: {reason}", missing, wanted.pending is not None, "missing"
        expected = {wanted.target_id for wanted in self._wanted[document.name]}
        for found in self._found[record.target_id]:
            if found.target_id in expected:
                continue
            ours = self._ours.get(found.target_id)
            if ours:
                yield (
                    f"{ours} is in the target, but the source does not say so",
                    -found.amount,
                    False,
                    "unexpected",
                )
            else:
                what = f"{found.flow[:-1].replace('_', ' ')} of {found.day}"
                named = f" ({found.number})" if found.number else ""
                yield f"settled by others in the target: {what}{named}", -found.amount, True, "not ours"
