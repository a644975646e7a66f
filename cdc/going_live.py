"""Before the first record is made in a target that is not empty, a person looks at what is there already.

Per target and entity: closed as long as the mirror shows records of which none is linked, and nobody had them compared with
ours. `tieout link propose` compares them; deciding what it chose, or `tieout link done`, opens the gate for good. Afterwards
only single keys are held: those with a proposal about which nobody has decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from cdc.lane import Entry, Lane
from cdc.linking.decisions import UNDECIDED
from cdc.linking.matching import matchers
from cdc.linking.reading import faces_of_target, was_read
from cdc.settle import Verdict
from cdc.writing import Outcome, Write
from tieout.errors import ConfigurationError
from tieout.queries import query
from tieout.settings import Connection

Session = psycopg.Connection[dict[str, Any]]


def closed(session: Session, connection: Connection) -> tuple[str, ...]:
    """Entities of a target in which nothing may be made yet, of those in which something is to be made."""
    lines = matchers(connection.system)
    if not lines:
        return ()
    values = {"connection": connection.name, "entities": list(lines)}
    found = []
    for row in session.execute(query("linking", "gate"), values).fetchall():
        matcher = lines[row["entity"]]
        # What was never read to its end proves nothing: the look before each create says so itself.
        if row["is_open"] or not was_read(session, connection.name, matcher.stream):
            continue
        if row["has_links"]:
            _open(session, connection.name, row["entity"], "linked before")
            continue
        with session.transaction():
            faces = faces_of_target(session, connection.name, connection.system, matcher, frozenset())
            is_empty = next(faces, None) is None
            faces.close()
        if is_empty:
            _open(session, connection.name, row["entity"], "empty target")
        else:
            found.append(row["entity"])
    return tuple(found)


def first_look(connection: str, entities: Sequence[str]) -> ConfigurationError:
    """What a drain says that left these entities alone."""
    return ConfigurationError(
        f"{connection} has {', '.join(each.replace('_', ' ') for each in entities)} already, and nobody has looked whether"
        " they are ours: no record of that kind is made there yet.",
        cure=f"Run `tieout link propose {connection}`, look, then `tieout link approve`; `tieout link done {connection}` where "
        "nothing is to be linked.",
    )


def open_for(session: Session, connection: str, entities: Sequence[str], *, by: str) -> None:
    """A person says that nothing more is to be linked."""
    for entity in entities:
        _open(session, connection, entity, "done", by)


def undecided(lane: Lane, write: Write, entries: Sequence[Entry]) -> list[Verdict]:
    """Verdicts on creates that a record of the target may be, as long as nobody has said so or not."""
    values = {
        "connection": lane.name,
        "entity": write.entity,
        "keys": [entry.key for entry in entries],
    }
    found = {row["key"]: row for row in lane.session.execute(query("linking", "undecided"), values)}
    return [
        Verdict(entry=entry, outcome=_conflict(entry.key, found[entry.key]))
        for entry in entries
        if entry.key in found
    ]


def _conflict(key: str, row: dict[str, Any]) -> Outcome:
    many = f", and {row['records'] - 1} more" if row["records"] > 1 else ""
    return Outcome(
        kind="conflict",
        cause=UNDECIDED,
        reason=f"The target has {row['title']}{many}, which may be it (score {row['score']}).",
        cure=f"`tieout link list {key}` shows what speaks for it; then `tieout link approve {key}` or `tieout link reject {key}`.",
        who="accountant",
    )


def _open(session: Session, connection: str, entity: str, how: str, by: str = "tieout") -> None:
    values = {"connection": connection, "entity": entity, "by": by, "how": how}
    session.execute(query("linking", "open"), values)
