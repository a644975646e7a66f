"""The end of a model's diff: its new entries counted, held where there are too many or too much, the others let go."""

from __future__ import annotations

from typing import Any

import psycopg

from cdc import lately, outbox
from cdc.guard import (
    SHRUNKEN,
    SHRUNKEN_CURE,
    VANISHED,
    Made,
    Posted,
    Standing,
    enough_for,
    is_shrunken,
    stops,
)
from cdc.outbound import OutboundModel
from cdc.postings import posts_of
from tieout.db import together
from tieout.limits import Limits
from tieout.queries import query
from tieout.settings import Settings

Session = psycopg.Connection[dict[str, Any]]


def guard(
    connection: Session, settings: Settings, model: OutboundModel, *, counts_along: bool, is_last: bool = True
) -> bool:
    """Count, hold, let go, in one transaction. Was it done?

    `counts_along`: what passed in the last minutes counts as made now. `is_last`: all other models of the diff are through;
    as long as they are not, nothing is done for a model that removes anything.
    """
    with connection.transaction(), together(connection):
        connection.execute(query("diff", "without_disk"))
        values = {"model": model.name}
        limits = settings.limits.of(model.name)
        made = [Made(**row) for row in connection.execute(query("limits", "counted"), values)]
        if not is_last and any(one.operation == "remove" for one in made):
            return False
        _notice_shrinking(connection, model.name, limits)
        counted = lately.with_passed(connection, model.name, made) if counts_along else made
        stopped = stops(counted, limits, _standing(connection, model))
        lately.note(connection, model.name, made, stopped)
        for stop in stopped:
            held = {
                "operations": list(stop.operations),
                "currency": stop.currency,
                "above": stop.above,
                "without_amount": stop.without_amount,
                "cause": stop.cause,
                "reason": stop.reason,
                "cure": _CURE,
            }
            connection.execute(query("limits", "guard"), {**values, **held})
        if made:
            connection.execute(query("waiting", "lock_references"), values)
            connection.execute(outbox.judging("release_counted"), values)
    return True


def _standing(connection: Session, model: OutboundModel) -> Standing:
    values = {"model": model.name}

    def posted() -> Posted:
        rows = connection.execute(query("limits", "posted"), values).fetchall()
        amounts = {row["currency"]: row["amount"] for row in rows if row["currency"] is not None}
        return Posted(amounts=amounts, unknown=sum(row["unknown"] for row in rows))

    return Standing(
        is_new=model.is_new,
        is_changed=model.is_changed,
        posts=posts_of(model.system, model.entity) is not None,
        linked=lambda enough: _linked(connection, model.name, enough),
        posted=posted,
    )


def _linked(connection: Session, model: str, enough: int | None) -> int:
    row = connection.execute(query("limits", "linked"), {"model": model, "enough": enough}).fetchone()
    return int(row["records"]) if row is not None else 0


def _notice_shrinking(connection: Session, model: str, limits: Limits) -> None:
    """Many rows that vanished at once are one thing that happened to the input, and told so."""
    causes = {"model": model, "one": VANISHED, "many": SHRUNKEN}
    row = connection.execute(query("limits", "vanished"), causes).fetchone()
    if row is None or not row["entries"]:
        return
    linked = _linked(connection, model, enough_for(row["entries"], limits.vanished_share))
    shrunken = is_shrunken(row["entries"], limits, linked)
    cause = {"cause": SHRUNKEN if shrunken else VANISHED, "cure": SHRUNKEN_CURE if shrunken else None}
    connection.execute(query("limits", "name_vanished"), {**causes, **cause})


_CURE = "Look at `tieout plan`, then approve with `tieout holds approve`, or refuse."
