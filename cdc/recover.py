"""A database that is not the one that wrote last becomes it again: links are made anew from what the targets hold.

    take over     the database says who it is now; every target is marked as not compared, in the same transaction
    load          targets wholly (the streams that we write), everything else as usual
    diff          what the models want, over every record; nothing is sent
    rebuild       create: found by mark, exactly once → linked. update and removal: the target shows it already → agreed.
                  found twice → shown to a person. Anything else that would be sent → held for a person
    release       the target's mark is taken away; then, and not before, a drain may write to it

Nothing is written to a target here. What the database forgot besides the links (approvals, refusals, pauses) nobody can
find out: that is why what is left to send waits for a yes. Killed anywhere, the same command goes on: what is marked is
done again, and linking is level-triggered. As long as one connection cannot be read, or its login was replaced since, all
marks stay: what a source says now decides what is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from cdc import installation
from cdc.build import build
from cdc.diff import diff
from cdc.gate import OpenClient, Writers, opener, writes_of
from cdc.outbound import models_in_force
from cdc.rebuild import Compared, Rebuild
from cdc.writing import open_writers
from loaders.poll import Loaded, load_connection
from tieout.db import Database, try_lock, unlock
from tieout.errors import ConfigurationError, CredentialsError, LockHeld, RecoveryNeeded, TieoutError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Connection, Settings

LOCK = "tieout.recover"
ROUNDS = 4
"""Contacts and documents, what settles them, what is told back to the shop, and one that finds nothing."""

Session = psycopg.Connection[dict[str, Any]]
Progress = Callable[[str], None]
Load = Callable[[Connection, Sequence[str]], Sequence[Loaded]]
"""Mirrors a connection; the streams that are named wholly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What a recovery did."""

    because: str | None
    """What had happened; None: nothing, all was in order."""
    installation: str | None
    targets: tuple[Compared, ...] = ()


def join(database: Database, settings: Settings, *, by: str, run: UUID | None = None) -> str:
    """A person says that the database is in order and this is one more machine for it. Its installation.

    Raises RecoveryNeeded when anything speaks against the database itself.
    """
    with database.connect(direct=True) as session, unit_of_work(session):
        state = installation.look(session, settings)
        found = installation.find_problem(state)
        if found is not None and found.is_unknown_machine:
            if settings.database_url is None:
                raise ConfigurationError(
                    "An embedded database belongs to one machine: there is nothing to join.",
                    cure="Run `tieout recover`.",
                )
            installation.remember(settings, state)
            _note(session, state, f"joined: {found.what}", by, run, state.installation)
        installation.check(session, settings)
        return str(installation.look(session, settings).installation)


def recover(
    database: Database,
    settings: Settings,
    *,
    by: str,
    run: UUID | None = None,
    anyway: bool = False,
    progress: Progress | None = None,
    open_client: OpenClient | None = None,
    writers: Writers = open_writers,
    load: Load | None = None,
) -> Recovery:
    """Make this database the one that writes, and rebuild its links from the targets.

    `anyway`: compare although nothing speaks against it. Raises ConfigurationError for production's database under other
    settings, LockHeld when another recovery runs.
    """
    tell = progress or (lambda _: None)
    with database.connect(direct=True) as session:
        if not try_lock(session, LOCK):
            raise LockHeld("Another recovery is at work.")
        try:
            with unit_of_work(session):
                because = _take_over(session, settings, by=by, run=run, anyway=anyway, writers=writers)
                waiting = installation.uncompared(session)
            current = installation.look(session, settings).installation
            if not waiting:
                return Recovery(because=because, installation=current)
            names = [name for name in sorted(waiting) if name in settings.connections]
            failed = _load(database, settings, names, run, writers, load, tell)
            if failed:
                # A target is compared with what all its sources say; one that is not read says nothing.
                return Recovery(because=because, installation=current, targets=_waiting(names, failed))
            with database.connect() as looking:
                is_built = bool(models_in_force(looking))
            if not is_built:
                tell("build")
                build(settings, database)
            open_one = open_client or opener(database, settings)
            rebuild = Rebuild(database, settings, run, writers, open_one, tell)
            done = _compared(database, settings, names, run, writers, rebuild, tell)
            done = [each if each.error is not None else rebuild.release(each) for each in done]
        finally:
            if not session.closed and not session.broken:
                unlock(session, LOCK)
    return Recovery(because=because, installation=current, targets=tuple(done))


def _take_over(
    session: Session, settings: Settings, *, by: str, run: UUID | None, anyway: bool, writers: Writers
) -> str | None:
    """The database says who it is now, and its targets are marked, at once. Why; None when all was in order."""
    state = installation.look(session, settings)
    found = installation.find_problem(state)
    if found is not None and installation.is_copy_of_production(state):
        raise ConfigurationError(found.what, cure=found.cure)
    if found is None and not anyway:
        # Targets that an interrupted recovery left are still marked.
        return next(iter(installation.uncompared(session).values()), None)
    because = found.what if found is not None else f"{by} asked for it."
    here = state.known.get(state.address)
    mine = [each for each in (state.witness(), here) if each is not None]
    witnessed = max((each.last_call for each in mine), default=0)
    targets = [each.name for each in settings.connections.values() if writes_of(writers, each.system)]
    with session.transaction():
        known = [row["connection"] for row in session.execute(query("installation", "known_connections"))]
        values = {
            **state.place.to_row(),
            "last_call": max(state.last_call, witnessed),
            "predecessors": sorted({each.installation for each in mine if each.installation}),
        }
        row = session.execute(query("installation", "take_over"), values).fetchone()
        assert row is not None, "insert … returning gives one row"  # noqa: S101
        session.execute(query("installation", "advance"), {"number": max(state.last_call, witnessed)})
        marked = {"connections": sorted({*targets, *known}), "because": because}
        session.execute(query("installation", "uncompare"), marked)
        _note(session, state, because, by, run, row["installation_id"], witnessed)
    installation.remember(settings, installation.look(session, settings))
    emit(Event.DATABASE_RECOVERED, because=because, by=by, installation=row["installation_id"])
    return because


def _note(
    session: Session,
    state: installation.State,
    because: str,
    by: str,
    run: UUID | None,
    now: str | None,
    witnessed: int = 0,
) -> None:
    values = {
        "run": run,
        "by": by,
        "because": because,
        "former": state.installation,
        "installation_id": now,
        "former_call": state.last_call,
        "witnessed_call": witnessed,
    }
    session.execute(query("installation", "note_recovery"), values)


def _load(
    database: Database,
    settings: Settings,
    targets: Sequence[str],
    run: UUID | None,
    writers: Writers,
    load: Load | None,
    tell: Progress,
) -> dict[str, TieoutError]:
    """Mirror every connection, and wholly what is written to the targets. What kept connections from being read, by name."""

    def mirror(connection: Connection, wholly: Sequence[str]) -> Sequence[Loaded]:
        def progress(so_far: Loaded) -> None:
            tell(f"{so_far.connection} {so_far.stream}: {so_far.rows:,} read")

        options: dict[str, Any] = {"run": run, "progress": progress}
        whole = (
            load_connection(database, settings, connection, streams=wholly, full=True, **options)
            if wholly
            else []
        )
        return [*whole, *load_connection(database, settings, connection, **options)]

    failed: dict[str, TieoutError] = {}
    for connection in settings.connections.values():
        writes = writes_of(writers, connection.system).values() if connection.name in targets else ()
        streams = sorted({write.stream for write in writes if write.stream is not None})
        try:
            loaded = (load or mirror)(connection, streams)
            error = next((each.error for each in loaded if each.error is not None), None)
            if error is not None:
                raise error
        except CredentialsError as refused:
            failed[connection.name] = CredentialsError(
                f"{connection.name} refuses the login in this database: {refused} A login that was renewed since the "
                "database was saved is worth nothing any more.",
                cure=f"Log in again with `tieout connect {connection.name}`, then run `tieout recover` again.",
            )
        except TieoutError as stopped:
            failed[connection.name] = stopped
    return failed


def _compared(
    database: Database,
    settings: Settings,
    names: Sequence[str],
    run: UUID | None,
    writers: Writers,
    rebuild: Rebuild,
    tell: Progress,
) -> list[Compared]:
    """Diff and rebuild until a round finds nothing: what was linked lets models say more (a comment on an order that is paid)."""
    done = [Compared(connection=name) for name in names]
    for _ in range(ROUNDS):
        tell("diff")
        diff(database, settings, run=run, full=True, writers=writers, is_proof=False)
        found = [rebuild.target(settings.connection(name)) for name in names]
        done = [before + now for before, now in zip(done, found, strict=True)]
        if not any(each.linked or each.agreed for each in found):
            break
    tell("diff")
    diff(database, settings, run=run, writers=writers)
    return done


def _waiting(names: Sequence[str], failed: Mapping[str, TieoutError]) -> tuple[Compared, ...]:
    """Every connection that could not be read, and the targets that wait for it."""
    because = ", ".join(sorted(failed))
    waits = [
        Compared(
            connection=name,
            error=RecoveryNeeded(f"{name} is not compared before {because} can be read.", cure="See above."),
        )
        for name in names
        if name not in failed
    ]
    return (*(Compared(connection=name, error=error) for name, error in sorted(failed.items())), *waits)
