"""How a proof is shown: totals a flow and currency, the days that are not simply equal, and the records behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from rich.console import RenderableType
from rich.text import Text

from cdc.proof_records import MEASURES, Measure, Named, Proof, Total
from console.report import Report, counted, money, table, verdict
from tieout.errors import ExitCode

CONTROLS = frozenset({"accounts", "tax types", "clearing"})
LEDGER = frozenset({"trial balance", "debtors"})
BASIS = (
    "Dates are those of the documents in the target. Amounts are positive in each flow; by account and tax type sales and "
    "money received count positive, credits and money given back negative; in the ledger a debit is positive."
)
SHOWN_NAMES = 40
"""Named records on the screen; `--json` has all of them."""


def shown_proof(proof: Proof, *, block: bool = False) -> Report:
    """The proof as data and as tables; exit code 5 when a difference has no explanation.

    `block`: exit code 3 when anything that is due is not in the target as it should be, explained or not.
    """
    documents = [total for total in proof.totals if total.flow not in CONTROLS | LEDGER]
    gross = [total for total in documents if total.measure == "gross"]
    shown: list[RenderableType] = [
        table(
            "Proof, read afresh from the target",
            (
                "flow!",
                "currency",
                "days#",
                "source#",
                "source amount#",
                "target#",
                "target amount#",
                "explained#",
                "proved",
            ),
            _by_flow(gross),
            empty="Nothing to prove: no documents on either side.",
        )
    ]
    for title, some in (
        (
            "The same documents in every other measure",
            [each for each in documents if each.measure != "gross"],
        ),
        (
            "By account and tax type; clearing: money received less given back",
            [each for each in proof.totals if each.flow in CONTROLS],
        ),
        (
            "The ledger: our records read one by one, and its trial balance; others' are explained",
            [each for each in proof.totals if each.flow in LEDGER],
        ),
    ):
        if some:
            shown.append(_by_measure(title, some))
    # An order differs by its invoices: those are named.
    named = [(total, named) for total in gross for named in total.named if total.flow != "orders"]
    named += _elsewhere(proof, named)
    behind = [pair for pair in named if pair[1].kind != "skipped"]
    skipped = [pair for pair in named if pair[1].kind == "skipped"]
    if behind:
        shown.append(_named(behind))
    if skipped:
        shown.append(_skipped(skipped))
    left = proof.unexplained
    sentence = (
        "Proved: every total is equal, or a named record explains the difference."
        if proof.totals
        else "Nothing was compared, so nothing is proved."
    )
    shown.append(
        verdict(
            proof.is_proved,
            sentence
            if proof.is_proved
            else f"NOT proved: {counted(len(left), 'record has', 'records have')} no explanation.",
        )
    )
    shown += [Text(note, style="yellow") for note in proof.notes]
    bases = ", ".join(f"{target} in {currency}" for target, currency in proof.base_currencies.items())
    shown.append(Text(f"{BASIS} {f'Base currency: {bases}.' if bases else ''}".strip(), style="dim"))
    exit_code = ExitCode.DONE if proof.is_proved else ExitCode.NEWLY_DEAD
    blocking = proof.open if block else ()
    if block:
        words = (
            f"BLOCKED: {counted(len(blocking), 'record is', 'records are')} due and not in the target as it should be."
            if blocking
            else "Nothing that is due is missing or otherwise in the target."
        )
        shown.append(verdict(not blocking, words))
        if blocking or not proof.is_proved:
            exit_code = ExitCode.PERSON
    return Report(
        data={
            "proved": proof.is_proved,
            "period": proof.period,
            "basis": BASIS,
            "base_currencies": dict(proof.base_currencies),
            "notes": list(proof.notes),
            "skipped": proof.skipped,
            "blocked_by": [named.key or named.number for named in blocking],
            "totals": [_total(total) for total in proof.totals],
        },
        shown=shown,
        exit_code=exit_code,
    )


def _by_flow(totals: Iterable[Total]) -> list[tuple[object, ...]]:
    groups: dict[tuple[str, str], list[Total]] = defaultdict(list)
    for total in totals:
        groups[total.flow, total.currency].append(total)
    return [
        (
            flow.replace("_", " "),
            currency,
            len(each),
            sum(total.source_count for total in each),
            money(sum((total.source_amount for total in each), Decimal(0))),
            sum(total.target_count for total in each),
            money(sum((total.target_amount for total in each), Decimal(0))),
            money(sum((total.explained_amount for total in each), Decimal(0))),
            all(total.is_proved for total in each),
        )
        for (flow, currency), each in sorted(groups.items())
    ]


def _by_measure(title: str, totals: Iterable[Total]) -> RenderableType:
    groups: dict[tuple[str, str, str, Measure], list[Total]] = defaultdict(list)
    for total in totals:
        groups[total.flow, total.detail, total.currency, total.measure].append(total)
    ordered = sorted(groups.items(), key=lambda item: (*item[0][:3], MEASURES.index(item[0][3])))
    rows = [
        (
            f"{flow.replace('_', ' ')} {detail or ('(none set)' if flow in CONTROLS else '')}".strip(),
            currency,
            measure,
            money(sum((total.source_amount for total in each), Decimal(0))),
            money(sum((total.target_amount for total in each), Decimal(0))),
            money(sum((total.explained_amount for total in each), Decimal(0))),
            all(total.is_proved for total in each),
        )
        for (flow, detail, currency, measure), each in ordered
    ]
    columns = ("flow!", "currency", "measure", "source amount#", "target amount#", "explained#", "proved")
    return table(title, columns, rows)


def _elsewhere(proof: Proof, known: list[tuple[Total, Named]]) -> list[tuple[Total, Named]]:
    """Records that only another measure shows: settled by others, recoded, another rate or tax."""
    seen = {(named.key or named.number, named.reason) for _, named in known}
    keys = {named.key or named.number for _, named in known}
    found: list[tuple[Total, Named]] = []
    for total in proof.totals:
        for named in total.named:
            name = (named.key or named.number, named.reason)
            # By account and tax type a document that is missing or not ours is named once more: that is no news.
            if total.flow == "orders" or name in seen or (total.flow in CONTROLS and name[0] in keys):
                continue
            seen.add(name)
            found.append((total, named))
    return found


def _named(behind: list[tuple[Total, Named]]) -> RenderableType:
    # What nothing explains comes first: that is what a person looks for.
    ordered = sorted(behind, key=lambda pair: (pair[1].is_explained, pair[0].flow, pair[0].day))
    rows = [
        (
            total.flow.replace("_", " "),
            total.day,
            named.key or named.number,
            named.kind,
            money(named.amount, total.currency),
            named.reason,
        )
        for total, named in ordered[:SHOWN_NAMES]
    ]
    left = len(ordered) - len(rows)
    title = "Records behind the differences" + (
        f" (first {len(rows)}; {left} more with --json)" if left else ""
    )
    return table(title, ("flow!", "day!", "record", "kind", "amount#", "why"), rows)


def _skipped(pairs: list[tuple[Total, Named]]) -> RenderableType:
    """What is rightly not sent, by reason: counted, with its amount, in neither total."""
    groups: dict[tuple[str, str, str], list[Named]] = defaultdict(list)
    for total, named in pairs:
        groups[total.flow, named.reason, total.currency].append(named)
    return table(
        "Rightly not sent, in neither total",
        ("flow!", "why", "records#", "amount#", "for example"),
        [
            (
                flow.replace("_", " "),
                reason,
                len(each),
                money(sum((named.amount for named in each), Decimal(0)), currency),
                each[0].key,
            )
            for (flow, reason, currency), each in sorted(groups.items())
        ],
    )


def _total(total: Total) -> dict[str, object]:
    return {
        "flow": total.flow, "source": total.source_connection, "target": total.target_connection, "currency": total.currency,
        "day": total.day, "measure": total.measure, "detail": total.detail, "source_count": total.source_count, "source_amount": total.source_amount,
        "target_count": total.target_count, "target_amount": total.target_amount, "explained_amount": total.explained_amount,
        "equal": total.is_equal, "proved": total.is_proved,
        "records": [
            {"kind": named.kind, "key": named.key, "number": named.number, "target_id": named.target_id, "amount": named.amount,
             "reason": named.reason, "explained": named.is_explained}
            for named in total.named
        ],
    }  # fmt: skip
