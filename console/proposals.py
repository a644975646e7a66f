"""Proposals of links by what names them: read for the screens, and refused when nothing is there by that name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from cdc.linking.decisions import Named
from cdc.named import nearest
from console.frame import App
from tieout.errors import UsageError
from tieout.queries import query

SHOWN = 5
"""Keys in one message."""


def refuse_unknown(entities: Sequence[str], known: Sequence[str], where: str) -> None:
    """A misspelt kind of record would be one of which nothing is there."""
    if unknown := sorted(set(entities) - set(known)):
        raise UsageError(
            f"{', '.join(unknown)}: nothing {where} is linked under that name.",
            cure=f"Name one of {', '.join(dict.fromkeys(known))}.",
        )


def refuse_missing(app: App, named: Named, state: str) -> None:
    """UsageError for a key or a record of the target without a pair in this state: nothing would be decided about it."""
    if named.keys is None and named.target_id is None:
        return
    scope = {
        "connection": named.connection,
        "entities": (named.entity,) if named.entity else None,
        "states": [state],
    }
    rows = [
        row
        for row in of_target(pairs(app, {**scope, "keys": named.keys}), named.target_id)
        if named.least is None or row["score"] >= Decimal(named.least)
    ]
    missing = [key for key in named.keys or () if key not in {row["key"] for row in rows}]
    if rows and not missing:
        return
    known = sorted({row["key"] for row in pairs(app, scope)})
    what = "is proposed for" if state == "open" else "was linked by approving"
    with_target = f" with {named.target_id}" if named.target_id is not None else ""
    words = "; ".join(f"nothing {what} {key}{with_target}{nearest(key, known)}" for key in missing[:SHOWN])
    raise UsageError(
        f"Nothing was decided: {words or f'nothing {what} any row{with_target}'}.",
        cure=f"`tieout link list --state {state}` shows the pairs that can be decided so.",
    )


def of_target(rows: Sequence[dict[str, Any]], target: str | None) -> list[dict[str, Any]]:
    """Those with this record of the target; None: all."""
    return [row for row in rows if target is None or row["target_id"].lower() == target.lower()]


def pairs(app: App, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of `linking.list`. `wanted`: connection, entities, keys, standing, states; null means any, and open ones."""
    entities: Sequence[str | None] = wanted.get("entities") or (None,)
    found: list[dict[str, Any]] = []
    with app.database.connect() as database:
        for entity in entities:
            values = {
                "connection": wanted.get("connection"),
                "entity": entity,
                "keys": list(wanted["keys"]) if wanted.get("keys") else None,
                "standing": wanted.get("standing"),
                "states": wanted.get("states") or ["open"],
            }
            found += database.execute(query("linking", "list"), values).fetchall()
    return found
