"""The links of one target, made again from what it holds; the part of a recovery that looks at records.

A create is found by mark (the writer's own `find`, as before a first write and when in doubt) and linked when it stands there
exactly once; a change or a removal counts as done when the target shows it. Nothing is written to the target, and what others
made is left for the look before each create (`adopt`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args
from uuid import UUID

from psycopg import sql

from cdc import installation, standing
from cdc.gate import OpenClient, Writers, writes_of
from cdc.lane import Entry, Lane, entries_of
from cdc.matching import made_twice, owners_of
from cdc.settle import Verdict, settle
from cdc.worker import Worker
from cdc.writing import Found, Operation, Outcome, Write
from tieout import witness
from tieout.db import Database
from tieout.errors import TieoutError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import compose, query
from tieout.settings import Connection, Settings

CAUSE = "after recovery"
PAGE = 200
_OPEN = ("held", "waiting", "ready", "rejected")
_OPERATIONS: tuple[Operation, ...] = get_args(Operation)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What became of one target; counts of entries, but for `missing`."""

    connection: str
    linked: int = 0
    """Records of ours that the database had forgotten, and that are linked again."""
    agreed: int = 0
    """Changes and removals that the target shows already."""
    twice: int = 0
    """Records that stand there more than once: dead letters now."""
    held: int = 0
    """What is left to send and waits for a yes."""
    missing: int = 0
    """Links to records that the target does not show."""
    error: TieoutError | None = field(default=None, compare=False)
    """Why it was not compared; nothing is written to it."""

    def __add__(self, later: Compared) -> Compared:
        """Two rounds: what each found, and how the later one left it."""
        return Compared(
            connection=self.connection,
            linked=self.linked + later.linked,
            agreed=self.agreed + later.agreed,
            twice=later.twice,
            held=later.held,
            missing=later.missing,
            error=self.error or later.error,
        )


class Rebuild:
    """The links of one target after the other."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        run: UUID | None,
        writers: Writers,
        open_client: OpenClient,
        tell: Progress,
    ) -> None:
        self._database = database
        self._settings = settings
        self._run = run
        self._writers = writers
        self._open_client = open_client
        self._tell = tell

    def target(self, connection: Connection) -> Compared:
        """Link and agree; the target keeps its mark."""
        counts: Counter[str] = Counter()
        try:
            with (
                self._database.connect(direct=True) as session,
                unit_of_work(session),
                Worker(self._database) as worker,
            ):
                client = self._open_client(connection)
                try:
                    identity = client.identity()
                    standing.pin(session, connection, identity)
                    lane = Lane(
                        session=session,
                        connection=connection,
                        client=client,
                        writes=writes_of(self._writers, connection.system),
                        worker=worker,
                        run=self._run,
                    )
                    for write in lane.writes.values():
                        for operation in _OPERATIONS:
                            self._tell(f"{lane.name} {write.entity}: {counts['linked']:,} linked again")
                            counts += _compare(lane, write, operation)
                    counts["missing"] = _missing(lane)
                    name = installation.target_name(connection, identity)
                    witness.note_target(self._settings, name, lane.name, alone=True)
                finally:
                    client.close()
        except TieoutError as error:
            return Compared(connection=connection.name, error=error)
        return Compared(
            connection=connection.name,
            linked=counts["linked"],
            agreed=counts["agreed"],
            twice=counts["twice"],
            missing=counts["missing"],
        )

    def release(self, compared: Compared) -> Compared:
        """What is left to send waits for a person; then the target may be written to again."""
        name = compared.connection
        with self._database.connect() as session, unit_of_work(session), session.transaction():
            held = session.execute(
                query("recover", "hold_rest"), {"connection": name, "cause": CAUSE}
            ).rowcount
            session.execute(query("installation", "compared"), {"connection": name})
        emit(
            Event.TARGET_COMPARED,
            connection=name,
            linked=compared.linked,
            agreed=compared.agreed,
            held=held,
            twice=compared.twice,
            missing=compared.missing,
        )
        return replace(compared, held=held)


def _compare(lane: Lane, write: Write, operation: Operation) -> Counter[str]:
    """Open entries of one kind, page by page in their order: those whose effect is there are settled without a call."""
    counts: Counter[str] = Counter()
    for entries in _pages(lane, write, operation):
        found = _found(lane, write, operation, entries)
        owners = owners_of(lane, write, found)
        verdicts = [
            verdict
            for entry, some in zip(entries, found, strict=True)
            for verdict in [_judge(entry, some, owners, operation)]
            if verdict is not None
        ]
        if not verdicts:
            continue
        kinds = settle(lane, write, verdicts, states=_OPEN)
        counts["twice"] += kinds["conflict"]
        counts["linked" if operation == "create" else "agreed"] += kinds["unchanged"] + kinds["applied"]
    return counts


def _pages(lane: Lane, write: Write, operation: Operation) -> Iterator[list[Entry]]:
    after = 0
    while True:
        rows = lane.session.execute(
            query("recover", "open_entries"),
            {
                "connection": lane.name,
                "entity": write.entity,
                "operation": operation,
                "after": after,
                "limit": PAGE,
            },
        ).fetchall()
        if not rows:
            return
        after = rows[-1]["entry"]
        # What refers to a record that is in no target yet cannot be there either.
        entries, _ = entries_of(lane.session, rows, also_gone=operation == "remove")
        if entries:
            yield entries


def _found(
    lane: Lane, write: Write, operation: Operation, entries: Sequence[Entry]
) -> Sequence[Sequence[Found]]:
    """What the target has: from the mirror, which was just read wholly; what is not mirrored, from the target itself."""
    outgoing = [entry.outgoing for entry in entries]
    if operation == "remove" or write.stream is None:
        return write.find(lane.client, outgoing)
    if operation == "create":
        return write.find_in_mirror(lane.session, lane.name, outgoing)
    ids = [one.target_id or "" for one in outgoing]
    values = {"connection": lane.name, "ids": ids}
    rows = lane.session.execute(compose("recover", "records", mirror=_mirror(lane, write)), values)
    records = {row["id"]: row["payload"] for row in rows}
    return [
        [Found(target_id=each, record=records[each], is_ours=not write.differs(one, records[each]))]
        if each in records
        else []
        for one, each in zip(outgoing, ids, strict=True)
    ]


def _judge(
    entry: Entry, found: Sequence[Found], owners: Mapping[str, str], operation: Operation
) -> Verdict | None:
    """Ours alone is taken; what others made is looked at before it is sent, as always (`adopt`)."""
    if operation == "remove" and not found:
        return Verdict(entry=entry, outcome=Outcome(kind="unchanged", target_id=entry.outgoing.target_id))
    ours = [
        one
        for one in found
        if one.is_ours and (operation != "create" or owners.get(one.target_id, entry.key) == entry.key)
    ]
    if len(ours) > 1 and operation == "create":
        return Verdict(entry=entry, outcome=made_twice(ours))
    if not ours:
        return None
    outcome = Outcome(
        kind="unchanged", target_id=ours[0].target_id, record=ours[0].record, line_ids=ours[0].line_ids
    )
    return Verdict(entry=entry, outcome=outcome, is_adopted=operation == "create")


def _missing(lane: Lane) -> int:
    """Links to records that the target did not show when it was read wholly."""
    total = 0
    for write in lane.writes.values():
        if write.stream is None:
            continue
        values = {"connection": lane.name, "entity": write.entity}
        row = lane.session.execute(
            compose("recover", "missing", mirror=_mirror(lane, write)), values
        ).fetchone()
        total += int(row["links"]) if row is not None else 0
    return total


def _mirror(lane: Lane, write: Write) -> sql.Identifier:
    return sql.Identifier("staging", f"{lane.connection.system}__{write.stream}")
