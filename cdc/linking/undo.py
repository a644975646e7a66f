"""Taking back and turning down: `tieout link reject` and `tieout link undo`. Neither writes to a target."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from cdc import outbox
from cdc.decision import IN_FLIGHT
from cdc.linking.decisions import (
    UNDECIDED,
    Decided,
    Named,
    Refused,
    Row,
    Session,
    by_place,
    chosen,
    ids,
    lock_rows,
    name_of,
    open_decided,
    record,
    refuse,
    tell,
)
from cdc.news import tell_decided
from cdc.outbound import models_in_force, pin_set
from cdc.outbox import Closed
from tieout.db import Database
from tieout.errors import UsageError
from tieout.migrate import unit_of_work
from tieout.queries import query


def reject(database: Database, named: Named, *, by: str, reason: str) -> Decided:
    """Say that pairs are not one record; they are not proposed again, and a row without further pairs is free to be made."""
    if named.keys is None and named.entity is None:
        raise UsageError("No proposals are named.", cure="Name keys, or an entity with --entity.")
    with database.connect(direct=True) as session, unit_of_work(session), session.transaction():
        rows = chosen(session, named, state="open", standing=None)
        lock_rows(session, rows)
        values = {"state": "rejected", "by": by, "reason": reason}
        session.execute(query("linking", "decide"), {**values, "rows": Jsonb(ids(rows))})
        record(session, "not linked", by, reason, rows)
        _release(session, rows)
        open_decided(session, rows, by)
        tell("reject link", rows, len(rows), by, reason)
    return Decided(done=len(rows))


def undo(database: Database, named: Named, *, by: str, reason: str) -> Decided:
    """Take approvals back, as long as nothing was sent on the linked record; the pair is open again."""
    if named.keys is None and named.entity is None:
        raise UsageError("No links are named.", cure="Name keys, or an entity with --entity.")
    done: list[Row] = []
    refused: list[Refused] = []
    with database.connect(direct=True) as session, unit_of_work(session), session.transaction():
        pin_set(session)
        models = {model.name: model for model in models_in_force(session)}
        rows = chosen(session, named, state="approved", standing=None)
        lock_rows(session, rows)
        for (connection, entity), some in by_place(rows).items():
            good, bad = _that_may_go(session, connection, entity, some)
            refused += bad
            done += good
            _unlink(session, connection, entity, good)
            for model in {row["model"] for row in good} & models.keys():
                those = [row for row in good if row["model"] == model]
                tell_decided(session, models[model], connection, those, f"unlinked by {by}")
        session.execute(
            query("linking", "decide"), {"state": "open", "by": by, "reason": None, "rows": Jsonb(ids(done))}
        )
        record(session, "unlink", by, reason, done)
        outbox.put_back(session, [name_of(row) for row in done], f"unlinked by {by}")
        tell("unlink", done, len(done), by, reason)
    return Decided(done=len(done), refused=tuple(refused))


def _that_may_go(
    session: Session, connection: str, entity: str, rows: Sequence[Row]
) -> tuple[list[Row], list[Refused]]:
    keys = [row["key"] for row in rows]
    place = {"connection": connection, "entity": entity, "keys": keys}
    sent = session.execute(
        query("linking", "sent_since"), {**place, "since": [row["decided_at"] for row in rows]}
    ).fetchall()
    built_on = session.execute(query("linking", "built_on"), place).fetchall()
    states = {row["key"]: row for row in session.execute(query("linking", "state"), place).fetchall()}
    reasons: dict[str, str] = {
        **{row["key"]: f"{row['entity']} {row['referring']} was made on it" for row in built_on},
        **{row["key"]: "something was sent on it" for row in sent},
        **{key: "it is being sent" for key, row in states.items() if row["state"] in IN_FLIGHT},
        **{
            row["key"]: "the row is no longer linked with this record"
            for row in rows
            if states[row["key"]]["target_id"] != row["target_id"]
        },
    }
    good = [row for row in rows if row["key"] not in reasons]
    return good, [refuse(row, reasons[row["key"]]) for row in rows if row["key"] in reasons]


def _unlink(session: Session, connection: str, entity: str, rows: Sequence[Row]) -> None:
    keys = [row["key"] for row in rows]
    place = {"connection": connection, "entity": entity, "keys": keys}
    states = session.execute(query("linking", "state"), place).fetchall()
    outbox.close(
        session,
        [
            Closed(entry=row["entry"], outcome="replaced", reason="unlinked")
            for row in states
            if row["entry"] is not None
        ],
    )
    session.execute(query("linking", "unlink"), place)
    session.execute(
        query("diff", "no_drift"), {"entity": entity, "connections": [connection] * len(keys), "keys": keys}
    )


def _release(session: Session, rows: Sequence[Row]) -> None:
    """Entries that waited for the decision are looked at again."""
    for (connection, entity), some in by_place(rows).items():
        values = {"connection": connection, "entity": entity, "keys": [row["key"] for row in some]}
        session.execute(query("linking", "release_undecided"), {**values, "cause": UNDECIDED})
    outbox.put_back(session, [name_of(row) for row in rows], "not linked")
