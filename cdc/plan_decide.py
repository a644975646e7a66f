"""Approving and refusing by plan: a yes or no holds for exactly what was planned, in whole or by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from cdc.plan_store import entries, find
from tieout.errors import NotAsPlanned, UsageError

SHOWN = 10
Session = psycopg.Connection[dict[str, Any]]


def decidable(session: Session, name: str, keys: Sequence[str] | None, *, unmoved: bool) -> str:
    """The whole hash of the plan that a person decides on.

    Raises UsageError for a key that it does not hold, and with `unmoved` NotAsPlanned where another payload took the place
    of one that was planned: a yes does not pass to it.
    """
    plan = find(session, name).plan
    rows = entries(session, plan, keys=keys)
    strange = sorted(set(keys or ()) - {row["key"] for row in rows})
    if strange:
        raise UsageError(
            f"Plan {plan[:12]} does not hold {', '.join(strange)}.",
            cure=f"`tieout plans show {plan[:12]}` names its entries.",
        )
    moved = [
        f"{row['entity']} {row['key']}"
        for row in rows
        if row["open_entry"] is not None and row["open_payload_hash"] != row["payload_hash"]
    ]
    if unmoved and moved:
        more = f" and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
        raise NotAsPlanned(
            f"Of plan {plan[:12]} these have another content by now: {', '.join(moved[:SHOWN])}{more}. Nothing was approved.",
            cure="Save a new plan (`tieout plan --save`) and look at it, or approve the others by key.",
            moved=tuple(moved),
        )
    return plan
