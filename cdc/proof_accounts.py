"""Revenue by account, tax by type, clearing by account: what the lines of both sides come to, by month.

Sales and money received count positive, credits and money given back negative, in the document's currency. Only documents
that are due take part on the source's side; every document of the target that is in effect on its side, so that what
others posted to our accounts is named, transaction by transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from cdc.proof_records import ControlLine, ControlRecord, Kind, Measure, Named, SourceDocument, Total

NOTHING = Decimal(0)
SIGNS: Mapping[str, int] = {
    "invoices": 1,
    "credit_notes": -1,
    "payments": 1,
    "refunds": -1,
    "deposits": 1,
    "overpayments": 1,
}
"""The flows that have lines, and how they count."""
MONEY = frozenset({"payments", "refunds", "deposits", "overpayments"})
"""Those whose one line is the account in which the money lies."""
By = Literal["accounts", "tax types", "clearing"]
_MEASURED: Mapping[By, tuple[Measure, ...]] = {
    "accounts": ("net",),
    "tax types": ("net", "tax"),
    "clearing": ("gross",),
}


@dataclass(frozen=True, slots=True)
class _Cell:
    by: By
    source: str
    currency: str
    month: date
    detail: str
    measure: Measure


@dataclass(slots=True)
class _Sums:
    source_count: int = 0
    target_count: int = 0
    source: Decimal = NOTHING
    target: Decimal = NOTHING
    named: list[Named] = field(default_factory=list)


def by_account_and_tax(
    documents: Sequence[SourceDocument],
    records: Sequence[ControlRecord],
    ours: Mapping[str, str],
    *,
    target: str,
    sources: Sequence[str],
) -> list[Total]:
    """One total for each account and tax type, currency and month, with the documents behind each difference."""
    cells: dict[_Cell, _Sums] = defaultdict(_Sums)
    held = {record.target_id: record for record in records if record.flow in SIGNS}
    claimed: set[str] = set()
    for document in documents:
        if document.flow not in SIGNS or document.skip is not None:
            continue
        record = held.get(document.target_id or "")
        here = _amounts(
            document.flow, document.source_connection, document.currency, document.day, document.lines
        )
        there: dict[_Cell, Decimal] = {}
        if record is not None:
            claimed.add(record.target_id)
            there = _amounts(
                record.flow, document.source_connection, record.currency, record.day, record.lines
            )
        reason, kind, explained = _why(document, record)
        for cell in dict.fromkeys([*here, *there]):
            _count(cells[cell], here.get(cell), there.get(cell))
            left = here.get(cell, NOTHING) - there.get(cell, NOTHING)
            if left or (cell in here) != (cell in there):
                cells[cell].named.append(
                    Named(
                        kind=kind,
                        key=document.key,
                        number=document.number,
                        target_id=document.target_id or "",
                        reason=reason,
                        is_explained=explained,
                        count=(cell in here) - (cell in there),
                        amount=left,
                    )
                )
    only_source = sources[0] if len(sources) == 1 else ""
    for record in held.values():
        if record.target_id in claimed:
            continue
        key = ours.get(record.target_id, "")
        for cell, amount in _amounts(
            record.flow, only_source, record.currency, record.day, record.lines
        ).items():
            _count(cells[cell], None, amount)
            cells[cell].named.append(
                Named(
                    kind="unexpected" if key else "not ours",
                    key=key,
                    number=record.number,
                    target_id=record.target_id,
                    reason="the target has it from us, but it is not due"
                    if key
                    else "made by others in the target",
                    is_explained=not key,
                    count=-1,
                    amount=-amount,
                )
            )
    return list(_totals(cells, target))


def _totals(cells: Mapping[_Cell, _Sums], target: str) -> Iterator[Total]:
    ordered = sorted(
        cells.items(),
        key=lambda item: (item[0].by, item[0].month, item[0].detail, item[0].currency, item[0].measure),
    )
    for cell, sums in ordered:
        if cell.measure == "tax" and not (sums.source or sums.target or sums.named):
            continue
        yield Total(
            flow=cell.by,
            source_connection=cell.source,
            target_connection=target,
            currency=cell.currency,
            day=cell.month,
            measure=cell.measure,
            source_count=sums.source_count,
            source_amount=sums.source,
            target_count=sums.target_count,
            target_amount=sums.target,
            named=tuple(sums.named),
            detail=cell.detail,
        )


def _amounts(
    flow: str, source: str, currency: str, day: date, lines: Sequence[ControlLine]
) -> dict[_Cell, Decimal]:
    sign, month = SIGNS[flow], day.replace(day=1)
    sums: dict[_Cell, Decimal] = defaultdict(Decimal)
    for line in lines:
        details: Mapping[By, str] = (
            {"clearing": line.account}
            if flow in MONEY
            else {"accounts": line.account, "tax types": line.tax_type}
        )
        for by, detail in details.items():
            for measure in _MEASURED[by]:
                amount = line.tax if measure == "tax" else line.net
                sums[_Cell(by, source, currency, month, detail, measure)] += sign * amount
    return dict(sums)


def _count(sums: _Sums, here: Decimal | None, there: Decimal | None) -> None:
    if here is not None:
        sums.source_count += 1
        sums.source += here
    if there is not None:
        sums.target_count += 1
        sums.target += there


def _why(document: SourceDocument, record: ControlRecord | None) -> tuple[str, Kind, bool]:
    """Why the lines of a document differ, of which kind that is, and whether it is explained."""
    if record is None:
        reason = document.pending or "the target does not have it in effect"
        return reason, "missing", document.pending is not None
    if _taxes(document.lines) == _taxes(record.lines) and document.day == record.day:
        accounts = sorted({line.account for line in document.lines} ^ {line.account for line in record.lines})
        reason = f"recoded in the target ({', '.join(accounts) or 'other shares'}); the account is the accountant's"
        return reason, "recoded", True
    reason = "other lines here than in the target"
    if document.pending:
        return f"{reason}; {document.pending}", "differs", True
    return reason, "differs", False


def _taxes(lines: Sequence[ControlLine]) -> dict[str, tuple[Decimal, Decimal]]:
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for line in lines:
        net, tax = sums.get(line.tax_type, (NOTHING, NOTHING))
        sums[line.tax_type] = (net + line.net, tax + line.tax)
    return {tax_type: pair for tax_type, pair in sums.items() if any(pair)}
