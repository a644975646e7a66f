"""How a shadow proof is shown: one sentence, both sides a flow, and every difference by name."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from cdc.shadow_records import Finding, Shadow
from console.report import Report, money, table, verdict
from tieout.errors import ExitCode

SHOWN = 40
"""Differences of a kind on the screen; `--json` has all of them."""

_TITLES = {
    "missing": "Missing in the ledger",
    "twice": "Twice in the ledger",
    "differs": "Different in the ledger",
    "without source": "In the ledger without a source",
}


def shown_shadow(shadows: Sequence[Shadow], month: str) -> Report:
    """The months as data and as tables; exit code 5 when a ledger differs from what we would have posted."""
    shown: list[RenderableType] = []
    for each in shadows:
        shown.append(verdict(each.is_equal, f"{each.target}, {month}: {each.first_line}."))
        shown.append(
            table(
                "What we would have posted, and what the ledger holds",
                ("flow!", "currency", "ours#", "our amount#", "theirs#", "their amount#"),
                [
                    (
                        side.flow.replace("_", " "),
                        side.currency,
                        side.planned_count,
                        money(side.planned_amount),
                        side.booked_count,
                        money(side.booked_amount),
                    )
                    for side in each.sides
                ],
                empty="No document of this month on either side.",
            )
        )
        shown += [
            _findings(title, some)
            for kind, title in _TITLES.items()
            if (some := [finding for finding in each.findings if finding.kind == kind])
        ]
    if not shadows:
        shown.append(f"Nothing to compare: no document of {month} goes to a ledger.")
    is_equal = all(each.is_equal for each in shadows)
    return Report(
        data={
            "month": month,
            "equal": is_equal,
            "first_line": "; ".join(each.first_line for each in shadows),
            "ledgers": [_plain(each) for each in shadows],
        },
        shown=shown,
        exit_code=ExitCode.DONE if is_equal else ExitCode.NEWLY_DEAD,
    )


def _findings(title: str, findings: Sequence[Finding]) -> RenderableType:
    ordered = sorted(findings, key=lambda finding: (-abs(finding.amount), finding.flow, finding.number))
    left = len(ordered) - SHOWN
    more = f" (first {SHOWN}; {left} more with --json)" if left > 0 else ""
    return table(
        title + more,
        ("flow!", "day!", "document", "amount#", "what"),
        [
            (
                finding.flow.replace("_", " "),
                finding.day,
                finding.number if finding.number != finding.key else finding.key,
                money(finding.amount, finding.currency),
                finding.reason,
            )
            for finding in ordered[:SHOWN]
        ],
    )


def _plain(each: Shadow) -> dict[str, object]:
    names = (
        "kind",
        "flow",
        "what",
        "key",
        "number",
        "target_id",
        "currency",
        "day",
        "amount",
        "tax",
        "reason",
    )
    return {
        "target": each.target,
        "equal": each.is_equal,
        "first_line": each.first_line,
        "totals": [
            {
                "flow": side.flow,
                "currency": side.currency,
                "source_count": side.planned_count,
                "source_amount": side.planned_amount,
                "target_count": side.booked_count,
                "target_amount": side.booked_amount,
            }
            for side in each.sides
        ],
        "findings": [{name: getattr(finding, name) for name in names} for finding in each.findings],
    }
