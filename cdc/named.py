"""Whether what a person names is there. A decision on a key or a cause that nothing waits under is refused whole, before anything is
decided, with how the record stands or the names that come near: who types it in a script must not believe that it was done.

A model, an entity or a target only says where to look: it has to exist, and there may be nothing to do in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import psycopg

from cdc.outbound import models_in_force
from tieout.errors import UsageError
from tieout.queries import query

SHOWN = 5
"""Names in one message."""
CANDIDATES = 200
"""Keys that begin or end most like the one that was typed; the nearest of these are told."""
_LISTS = "`tieout dead-letters` and `tieout holds` list what waits for a person; `tieout why KEY` says how a record stands."
_STATES = {
    "held": "is held",
    "rejected": "is a dead letter",
    "waiting": "waits for others",
    "ready": "is to be sent",
    "sending": "is being sent",
    "in_doubt": "was sent without an answer",
}

Session = psycopg.Connection[dict[str, Any]]


def nearest(name: str, names: Iterable[str]) -> str:
    """` (did you mean a, b?)`, or nothing when none comes near."""
    near = difflib.get_close_matches(name, list(names), n=3)
    return f" (did you mean {', '.join(near)}?)" if near else ""


def refuse_missing(session: Session, values: Mapping[str, Any], found: Collection[str]) -> None:
    """Raise UsageError for a key that is not among those `found`, or for a cause under which nothing was found.

    `values`: keys, connection, entity and cause, as the statements that find entries take them; null means any.
    """
    missing = [key for key in dict.fromkeys(values["keys"] or ()) if key not in found]
    if missing:
        words = "; ".join(_stands(session, missing[:SHOWN], values))
        more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise UsageError(f"Nothing was decided: {words}{more}.", cure=_LISTS)
    if values["cause"] is not None and not found and not values["keys"]:
        cause = values["cause"]
        causes = [row["cause"] for row in session.execute(query("desk", "causes"))]
        raise UsageError(
            f"Nothing was decided: nothing that can be decided so has the cause {cause!r}{nearest(cause, causes)}.",
            cure=_LISTS,
        )


def near_keys(session: Session, key: str) -> str:
    """The same as `nearest` among the keys of open entries."""
    rows = session.execute(query("desk", "near"), {"key": key, "limit": CANDIDATES})
    return nearest(key, [row["key"] for row in rows])


def refuse_unknown(session: Session, *, model: str | None = None, entity: str | None = None) -> None:
    """Raise UsageError for a model or an entity that no model in force and no record has: there would be nothing, always."""
    models = models_in_force(session)
    if not models:
        # Before the first build each command says itself what to do.
        return
    kinds = (
        ("model", "outbound model", model, {one.name for one in models}),
        ("entity", "kind of record", entity, {one.entity for one in models}),
    )
    for kind, words, name, known in kinds:
        if name is None or name in known or _was_ever(session, kind, name):
            continue
        raise UsageError(
            f"No {words} is called {name!r}{nearest(name, known)}.",
            cure=f"Choose from: {', '.join(sorted(known))}.",
        )


def _was_ever(session: Session, kind: str, name: str) -> bool:
    row = session.execute(query("desk", "was_ever"), {"kind": kind, "name": name}).fetchone()
    return row is not None and bool(row["was_ever"])


def _stands(session: Session, keys: Sequence[str], values: Mapping[str, Any]) -> Iterable[str]:
    """A clause a record: how it stands, or which keys come near when there is none."""
    asked = {"keys": list(keys), "connection": values["connection"], "entity": values["entity"]}
    for row in session.execute(query("desk", "stands"), asked):
        if row["connection"] is None:
            yield f"there is no record {row['key']}{near_keys(session, row['key'])}"
            continue
        state = _STATES.get(row["state"], "has nothing open")
        why = f" ({row['why']})" if row["why"] else ""
        yield f"{row['entity']} {row['key']} in {row['connection']} {state}{why}"
