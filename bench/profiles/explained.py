"""What the nodes of an executed plan cost by themselves, from `explain (analyze, format json)`.

A node's time contains that of the nodes below it, except where Postgres runs a part of the plan from elsewhere: what a CTE costs is
in the scans that read it, not in the node that it hangs on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Plan = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a plan over all its executions; milliseconds."""

    what: str
    own: float
    executions: int
    rows: float
    """Over all executions."""


def nodes(plan: Plan) -> list[Node]:
    """All nodes of a plan (the `Plan` of an explain's first element), dearest by itself first.

    Those that never ran count as nothing.
    """
    return sorted(_walk(plan, {}), key=lambda node: -node.own)


def by_kind(every: Sequence[Node]) -> list[tuple[str, int, int, float]]:
    """Kind of node, how many, executions and milliseconds of their own; dearest first."""
    kinds: dict[str, tuple[int, int, float]] = {}
    for node in every:
        kind = node.what.split(" of ")[0].split(" by ")[0]
        count, executions, own = kinds.get(kind, (0, 0, 0.0))
        kinds[kind] = (count + 1, executions + node.executions, own + node.own)
    return sorted(((kind, *rest) for kind, rest in kinds.items()), key=lambda row: -row[3])


def what(node: Plan) -> str:
    """`Index Scan of xero__invoices by xero__invoices_pkey`, `CTE Scan of lines`, `WindowAgg`."""
    of = node.get("CTE Name") or node.get("Relation Name") or node.get("Function Name") or node.get("Alias")
    by = node.get("Index Name")
    return str(node["Node Type"]) + (f" of {of}" if of else "") + (f" by {by}" if by else "")


def _walk(plan: Plan, around: Mapping[str, list[float]]) -> Iterator[Node]:
    """`around`: what each CTE that may be read here costs and no scan was charged with yet; names may be used anew further down."""
    below: Sequence[Plan] = plan.get("Plans", ())
    hanging = {_cte(child): [_time(child)] for child in below if _cte(child)}
    ctes = {**around, **hanging}
    own = _time(plan) - sum(_time(child) for child in below if not _cte(child))
    if plan["Node Type"] == "CTE Scan" and plan.get("CTE Name") in ctes:
        # The first scan fills it as it goes; where several share that, what one cannot have spent is left to the next.
        left = ctes[plan["CTE Name"]]
        taken = min(max(own, 0.0), left[0])
        left[0] -= taken
        own -= taken
    loops = int(plan.get("Actual Loops", 0))
    rows = float(plan.get("Actual Rows", 0)) * loops
    yield Node(what=what(plan), own=max(own, 0.0), executions=loops, rows=rows)
    for child in below:
        yield from _walk(child, ctes)


def _cte(node: Plan) -> str:
    """The name of the CTE that this is the plan of; empty for any other."""
    name = str(node.get("Subplan Name", ""))
    return name.removeprefix("CTE ") if name.startswith("CTE ") else ""


def _time(node: Plan) -> float:
    return float(node.get("Actual Total Time", 0.0)) * int(node.get("Actual Loops", 0))
