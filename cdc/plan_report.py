"""What became of a plan: sent, linked, refused, held, not yet; entry by entry where it was not simply sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import psycopg

from cdc.plan_batch import Row
from cdc.plan_store import decided, find
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Fate = Literal["sent", "linked", "rejected", "held", "refused", "let go", "not yet", "archived"]
FATES: Mapping[Fate, str] = {
    "sent": "the target has it as planned",
    "linked": "the target had it already: linked, nothing was sent",
    "rejected": "the target refused it: a dead letter",
    "held": "not sent, or answered with other content: a person must look, or its input moved since the plan",
    "refused": "a person said no",
    "let go": "the plan ended without it",
    "not yet": "still to be sent under this plan",
    "archived": "what became of it stands in a file: `tieout retain --restore FILE`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFate:
    """An entry that was not simply sent."""

    connection: str
    entity: str
    key: str
    fate: Fate
    reason: str | None
    amount: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """How a plan stands."""

    plan: str
    what: str
    """saved, started, resumed, finished or released."""
    entries: int
    counts: Mapping[str, int]
    """By fate; all of FATES."""
    others: tuple[EntryFate, ...]
    """All that were not simply sent."""

    def to_json(self) -> Row:
        """As the event keeps it that ends a plan."""
        names = ("connection", "entity", "key", "fate", "reason", "amount", "currency")
        return {
            "counts": dict(self.counts),
            "others": [{name: getattr(one, name) for name in names} for one in self.others],
        }


def report(session: Session, plan: str, *, is_over: bool = False) -> PlanReport:
    """What became of a plan so far; of one that is over, what was kept when it ended.

    `is_over`: it ends now, so that what is left is let go.
    """
    known = find(session, plan)
    if known.what in ("finished", "released") and "counts" in known.detail:
        return PlanReport(
            plan=known.plan,
            what=known.what,
            entries=known.entries,
            counts=known.detail["counts"],
            others=tuple(EntryFate(**one) for one in known.detail["others"]),
        )
    refused = {
        place: row for place, row in decided(session, known.plan).items() if row["verb"] != "approve"
    }  # fmt: skip
    fates: list[tuple[Row, Fate, str | None]] = []
    for row in session.execute(query("plans", "fates"), {"plan": known.plan}):
        no = refused.get((row["connection"], row["entity"], row["key"]))
        if no is not None and row["state"] in (None, "discarded"):
            told = f"{no['verb']} by {no['decided_by']}" + (f": {no['reason']}" if no["reason"] else "")
            fates.append((row, "refused", told))
        else:
            fates.append((row, _fate(row, is_over=is_over), row["reason"] or row["cause"]))
    counts = Counter(fate for _, fate, _ in fates)
    return PlanReport(
        plan=known.plan,
        what=known.what,
        entries=known.entries,
        counts={fate: counts[fate] for fate in FATES},
        others=tuple(
            EntryFate(
                connection=row["connection"], entity=row["entity"], key=row["key"], fate=fate, reason=reason,
                amount=row["amount"], currency=row["currency"],
            )
            for row, fate, reason in fates
            if fate != "sent"
        ),
    )  # fmt: skip


def _fate(row: Row, *, is_over: bool) -> Fate:
    match row["state"]:
        case "applied" | "unchanged":
            return "sent"
        case "satisfied":
            return "linked"
        case "discarded":
            return "refused"
        case "rejected":
            return "rejected"
        case "held":
            return "held"
        case "archived":
            return "archived"
        case "replaced":
            return "rejected" if row["attempts"] else "held"
        case "ready" | "waiting" | "sending" | "in_doubt":
            return "let go" if is_over else "not yet"
        case _:
            return "not yet" if not is_over else "let go"
