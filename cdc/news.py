"""A link that is made or taken back is news to whatever reads the target's record through it, though nothing about the record changed.

Most links come with a record that our own write has just put into the mirror: that change leads where it must. A record that
was mirrored before (found in doubt, adopted, linked by a person) stays as it is, so nothing would look at what follows from the
link: the payments of an invoice, the marts that name the order of a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from cdc.lane import Lane
from cdc.outbound import OutboundModel
from cdc.writing import Write, open_writers
from loaders.stage import RawRecord, merge
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]


def merge_answers(
    lane: Lane, write: Write, records: Sequence[RawRecord], number: int, *, is_full: bool
) -> Sequence[str]:
    """Merge what a target answered; the ids, when some of these records were mirrored so before: their links are the news then."""
    if not records or write.stream is None:
        return ()
    ids = [record.id for record in records]
    merged = merge(
        lane.session,
        system=lane.connection.system,
        stream=write.stream,
        connection_name=lane.name,
        records=records,
        asked_version=number,
        told_by="write answer",
        form="full" if is_full else "summary",
        run=lane.run,
    )
    if not is_full:
        values = {"connection": lane.name, "stream": write.stream, "ids": ids}
        lane.session.execute(query("calls", "ask_again"), values)
    return ids if merged.changed < len(ids) else ()


def tell_links(
    session: Session, *, system: str, stream: str | None, connection: str, target_ids: Sequence[str]
) -> None:
    """Append a change of each mirrored record, in the transaction that moves its link; without a mirror nothing reads it."""
    if stream is None or not target_ids:
        return
    mirror = sql.Identifier("staging", f"{system}__{stream}")
    values = {"connection": connection, "stream": stream, "ids": list(target_ids)}
    session.execute(compose("links", "tell_links", mirror=mirror), values)


def tell_decided(
    session: Session, model: OutboundModel, connection: str, rows: Sequence[Mapping[str, Any]], because: str
) -> None:
    """A person linked these rows of a model with records, or took it back: what the same records drive is looked at again too."""
    values = {
        "model": model.name,
        "driver": model.driver,
        "source_connections": [row["source_connection"] for row in rows],
        "source_ids": [row["source_id"] for row in rows],
        "because": because,
    }
    session.execute(query("linking", "put_back_beside"), values)
    tell_links(
        session,
        system=model.system,
        stream=open_writers(model.system)[model.entity].stream,
        connection=connection,
        target_ids=[row["target_id"] for row in rows],
    )
