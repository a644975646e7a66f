"""Linked records that a target merged into others: the link stays, what refers to it goes to the survivor.

A link names one record and a record has one link, so a second key cannot simply move to the survivor: it may be linked
already, or be nobody's. So the link keeps the id of the record that was merged (with all that was agreed about it) and
remembers the survivor beside it, `followed_id`, as often as that is merged again; references to the key resolve to the
survivor. Nothing is written to the merged record, which takes no changes any more, nor to the survivor, which belongs to
its own key or to the people who chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from cdc.links import LINKED, Target, Unlinked, references, resolved
from cdc.writing import Write
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
MOST_MERGES = 20
"""A chain that is longer is a circle."""


def add_survivors(connection: Session, mirror: sql.Composable, write: Write, states: Sequence[Row]) -> None:
    """Put `survivor` into the states of links whose record was merged: the last of the chain that is mirrored."""
    open_ends: dict[tuple[str, str], list[Row]] = {}
    for state in states:
        merged_into = write.merged_into(state["record"]) if state.get("record") else None
        if merged_into is not None:
            state["survivor"] = merged_into
            open_ends.setdefault((state["connection"], merged_into), []).append(state)
    statement = compose("links", "records", mirror=mirror) if open_ends else None
    for _ in range(MOST_MERGES):
        if not open_ends or statement is None:
            return
        ends = list(open_ends)
        values = {"connections": [name for name, _ in ends], "ids": [identity for _, identity in ends]}
        further: dict[tuple[str, str], list[Row]] = {}
        for row in connection.execute(statement, values):
            merged_into = write.merged_into(row["payload"])
            if merged_into is None:
                continue
            for state in open_ends[row["connection"], row["id"]]:
                state["survivor"] = merged_into
                further.setdefault((row["connection"], merged_into), []).append(state)
        open_ends = further


def points_to(
    connection: Session, write: Write, rows: Sequence[Row], states: Mapping[tuple[str, str], Row]
) -> Callable[[str, str, Any, Any], bool]:
    """Says whether a record of the target (the last argument) is the one that a reference of ours means now.

    The other arguments are target connection, path and the field as the model has it. Targets are read for the rows of
    which the target shows something new.
    """
    wanted = [
        (row["connection"], reference)
        for row in rows
        if not row["is_vanished"] and _has_news(states[row["connection"], row["key"]])
        for reference in references(row["payload"])
    ]
    values = {
        "connections": [reference.connection or name for name, reference in wanted],
        "entities": [reference.entity for _, reference in wanted],
        "keys": [reference.key for _, reference in wanted],
        "also_gone": True,
    }
    found: dict[str, dict[tuple[str, str], Target]] = {}
    if wanted:
        for row in connection.execute(query("links", "targets"), values):
            target = Target(target_id=row["target_id"], returned=row["returned"])
            found.setdefault(row["connection"], {})[row["entity"], row["key"]] = target

    def is_it(name: str, path: str, desired: Any, held: Any) -> bool:
        if not isinstance(desired, Mapping) or LINKED not in str(desired):
            return False
        try:
            return write.same(path, resolved(desired, found.get(name, {})), held)
        except Unlinked:
            return False

    return is_it


def _has_news(state: Row) -> bool:
    version, seen = state.get("record_version"), state.get("mirror_version")
    return version is not None and (seen is None or version > seen)
