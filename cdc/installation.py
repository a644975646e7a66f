"""Is this the database that wrote last? If not, nothing is written to any target until `tieout recover` has compared them.

A database that was put back, promoted, copied or emptied forgets writes that its targets remember, and would make them
again. Its own rows cannot show that. So cdc.installation says which database it is and where it ran (server, timeline,
database, and for the embedded one folder and machine), and the witness file of each machine says how far it had come
(`tieout/witness.py`). Before anything is sent both are compared with what is really there.

What is found out, and how:
    put back by `tieout restore`             the row says so
    put back into another server             the server's identifier
    a standby promoted, a point in time      the timeline
    copied within its server                 the number of the database
    a copied data folder                     its path, a file's number on the disk, the machine
    an older state in the same place         it is behind the witness
    emptied, or another database by mistake  the witness knows another installation at this address
    a second database for the same target    the witness knows who writes to that target
A machine without a witness is not trusted with a database that has written: the state may be any. A second honest machine is
let in once by `tieout recover --join`; after a recovery the machines that knew the former installation come along by
themselves. What no client sees: a whole machine put back together with its witness, while nobody else remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from cdc.standing import Identity
from tieout import witness
from tieout.embedded_files import fingerprint
from tieout.errors import ConfigurationError, RecoveryNeeded, TieoutError
from tieout.queries import query
from tieout.settings import Connection, Settings
from tieout.witness import Witness

Session = psycopg.Connection[dict[str, Any]]
_MACHINE = Path("/etc/machine-id")
SAFE = (
    "Until that is settled nothing is written to any target; loading, building, planning and proving go on."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why this database is not trusted."""

    what: str
    """What happened, as a sentence."""
    cure: str
    """What to type."""
    is_unknown_machine: bool = False
    """Nothing speaks against the database itself; this machine has just never written from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a database runs: what cdc.installation keeps of it."""

    system_identifier: str
    timeline_id: int
    database_oid: int
    environment: str
    data_folder: str | None
    data_inode: int | None
    machine: str | None

    def to_row(self) -> dict[str, Any]:
        """The columns."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the database says of itself, what its server says, and what this machine remembers."""

    row: Mapping[str, Any]
    place: Place
    known: Mapping[str, Witness]
    """The witness file, by address."""
    address: str

    @property
    def installation(self) -> str | None:
        """Which installation the database says it is; None: nothing was ever written from it."""
        found: str | None = self.row["installation_id"]
        return found

    @property
    def last_call(self) -> int:
        """The highest number of a call that the database knows."""
        return int(self.row["last_call"])

    @property
    def predecessors(self) -> frozenset[str]:
        """Installations that it took over from."""
        return frozenset(self.row["predecessors"] or ())

    def witness(self) -> Witness | None:
        """What this machine remembers of this installation, or of the one that it took over from."""
        own = [each for each in self.known.values() if each.installation == self.installation]
        if own and self.installation:
            return max(own, key=lambda each: each.last_call)
        former = [each for each in self.known.values() if each.installation in self.predecessors]
        return max(former, key=lambda each: each.last_call, default=None)


class Trust:
    """What `check` and `check_compared` say, for a drain that goes on with its other targets; asked when first needed."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        self._state: State | None = None
        self.refused: list[TieoutError] = []
        """Why nothing, or nothing to a target, may be written."""

    def reason_not_to(self, connection: Connection, is_uncompared: bool) -> str | None:
        """Why nothing is written to this target; None when it may be."""
        try:
            if self._state is None:
                self._state = check(self._session, self._settings)
            if is_uncompared:
                check_compared(self._session, connection)
        except TieoutError as error:
            if str(error) not in [str(each) for each in self.refused]:
                self.refused.append(error)
            return str(error)
        return None

    @property
    def state(self) -> State:
        """What was found out about the database, once a target may be written to."""
        if self._state is None:
            raise AssertionError("no target may be written to before the database was checked")
        return self._state


def look(session: Session, settings: Settings) -> State:
    """What is known; changes nothing."""
    row = session.execute(query("installation", "facts")).fetchone()
    if row is None:
        raise AssertionError("a database has a row in pg_database")
    folder, inode = fingerprint(settings.data_dir) if settings.database_url is None else (None, None)
    place = Place(
        system_identifier=row["server_identifier"],
        timeline_id=int(row["server_timeline"]),
        database_oid=int(row["server_database"]),
        environment=settings.environment,
        data_folder=folder,
        data_inode=inode,
        machine=_machine() if folder is not None else None,
    )
    return State(row=row, place=place, known=witness.everything(settings), address=witness.address(settings))


def find_problem(state: State) -> Problem | None:
    """Why this database is not trusted; None when it is the one that wrote last."""
    moved = _moved(state) if state.installation is not None else None
    what = moved or _witnessed(state)
    if what is not None:
        return Problem(what=what, cure=_cure(state))
    if state.row["has_written"] and state.installation is not None and state.witness() is None:
        return Problem(
            what=f"This machine has never written from this database, which has made calls already (the last is number "
            f"{state.last_call}): there is no part for {state.address} in its witness file.",
            cure="If the file was lost, or you do not know: `tieout recover`. If the database is in order and this is one more "
            "machine for it: `tieout recover --join`. Keep data_dir on a disk that outlives the process.",
            is_unknown_machine=True,
        )
    return None


def problem(session: Session, settings: Settings) -> str | None:
    """The same as a sentence with its cure, for `status`; also targets that still wait to be compared.

    None where the settings let nothing be written anyway.
    """
    if not any(each.writes == "on" for each in settings.connections.values()):
        return None
    try:
        found = find_problem(look(session, settings))
    except ConfigurationError as error:
        return f"{error} {error.cure}"
    if found is not None:
        return f"{found.what} {SAFE} {found.cure}"
    waiting = uncompared(session)
    if waiting:
        return f"{_list(waiting)} not compared since this database was recovered: `tieout recover`."
    return None


def check_unchanged(session: Session, settings: Settings) -> State:
    """Raise RecoveryNeeded unless this is the database that wrote last, or one that never did. Changes nothing."""
    state = look(session, settings)
    found = find_problem(state)
    if found is not None:
        raise RecoveryNeeded(f"{found.what} {SAFE}", cure=found.cure)
    return state


def check(session: Session, settings: Settings) -> State:
    """The same; the first time, remember which database it is."""
    state = check_unchanged(session, settings)
    if state.installation is None:
        session.execute(query("installation", "pin"), state.place.to_row())
        state = look(session, settings)
    elif settings.environment == "prod" and state.row["environment"] != "prod":
        session.execute(query("installation", "environment"), {"environment": "prod"})
    remember(settings, state)
    return state


def check_compared(session: Session, connection: Connection) -> None:
    """Raise RecoveryNeeded while this target was not compared since the database was taken over."""
    waiting = uncompared(session)
    if connection.name in waiting:
        raise RecoveryNeeded(
            f"{connection.name} was not compared with its target yet, and nothing is written to it. {waiting[connection.name]}",
            cure="Run `tieout recover` (again, if it was interrupted).",
        )


def check_target(settings: Settings, state: State, connection: Connection, identity: Identity) -> None:
    """Raise RecoveryNeeded when another database of this machine writes to this target. `state`: what `check` found."""
    name = target_name(connection, identity)
    for address, each in witness.everything(settings).items():
        is_related = each.installation == state.installation or each.installation in state.predecessors
        if name in each.targets and not is_related and not each.succeeded_by:
            raise RecoveryNeeded(
                f"Another database of this machine ({address}) writes to {identity.name}, up to call {each.last_call}. This one "
                f"knows nothing of what that one wrote; two of them would post everything twice. {SAFE}",
                cure="Use that database (database.url), or let this one take over for good: `tieout recover --anyway`.",
            )
    witness.note_target(settings, name, connection.name)


def remember(settings: Settings, state: State) -> None:
    """Bring this machine's witness up to what the database says."""
    if state.installation is None:
        raise AssertionError("an installation is pinned before it is remembered")
    before = state.witness() or Witness()
    here = state.known.get(state.address)
    if here is not None and here.installation in ("", state.installation):
        before = here
    if before.installation not in ("", state.installation):
        # Its chain of the audit may be longer than the one of the database that took over: the next sealing says.
        before = Witness(targets=before.targets)
    now = replace(
        before,
        installation=state.installation,
        system_identifier=state.place.system_identifier,
        timeline=state.place.timeline_id,
        last_call=max(state.last_call, before.last_call),
        succeeded_by="",
    )
    if now == here:
        return
    try:
        witness.put(settings, now, retired=dict.fromkeys(state.predecessors, state.installation))
    except OSError as error:
        raise ConfigurationError(
            f"The witness file {witness.path(settings)} cannot be written: {error}.",
            cure="Set data_dir to a folder that this user may write, on a disk that outlives the process.",
        ) from error


def uncompared(session: Session) -> dict[str, str]:
    """Targets that were not compared since the database was taken over, and why."""
    return {row["connection"]: row["because"] for row in session.execute(query("installation", "uncompared"))}


def target_name(connection: Connection, identity: Identity) -> str:
    """How the witness names a target."""
    return f"{connection.system} {identity.id}"


def is_copy_of_production(state: State) -> bool:
    """It wrote to production's targets, and these are not production's settings."""
    return state.row["environment"] == "prod" and state.place.environment != "prod"


def _moved(state: State) -> str | None:
    """What its own row says against where it is found."""
    row, place = state.row, state.place
    if row["restored_at"] is not None:
        when = f"{row['restored_at']:%Y-%m-%d %H:%M} UTC"
        return f"This database was put back from {row['restored_from']} on {when}."
    if row["system_identifier"] != place.system_identifier:
        return (
            f"This database was made on another server (identifier {row['system_identifier']}, here "
            f"{place.system_identifier}): it is a backup that was put back, or a copy."
        )
    if row["timeline_id"] != place.timeline_id:
        return (
            f"The server is on timeline {place.timeline_id} and was on {row['timeline_id']} when it wrote: a standby was "
            "promoted, or the server was put back to a point in time."
        )
    if row["database_oid"] is not None and row["database_oid"] != place.database_oid:
        return "This database was copied, or made anew from a backup, within its server."
    if row["data_folder"] is None or place.data_folder is None:
        return None
    if row["data_folder"] != place.data_folder:
        return f"The data folder was copied or moved: it was {row['data_folder']}, it is {place.data_folder}."
    if row["machine"] and place.machine and row["machine"] != place.machine:
        return f"The data folder {place.data_folder} was copied from another machine."
    if row["data_inode"] != place.data_inode:
        return f"The files of {place.data_folder} are copies: the folder was put back from a backup."
    return None


def _witnessed(state: State) -> str | None:
    """What this machine remembers against what the database says."""
    here = state.known.get(state.address)
    if state.installation is None or (here is not None and _is_other(here, state)):
        if here is None or not here.installation:
            return None
        is_empty = state.installation is None and not state.row["has_written"]
        now = "is a new, empty one" if is_empty else "is another one"
        return (
            f"The database at {state.address} {now}: this machine last wrote from installation {here.installation} there, up "
            f"to call {here.last_call}."
        )
    known = state.witness()
    if known is None:
        return None
    if known.installation == state.installation and known.succeeded_by:
        return f"Another database took over from this one (installation {known.succeeded_by}) when it was recovered."
    if known.installation == state.installation and known.last_call > state.last_call:
        return (
            f"This database is behind this machine: its last call is number {state.last_call}, but number {known.last_call} "
            "left from here. An older state was put back."
        )
    return None


def _is_other(known: Witness, state: State) -> bool:
    """The part at this address is of a database that this one is not, and did not take over from."""
    is_moved_here = any(each.installation == state.installation for each in state.known.values())
    return (
        bool(known.installation)
        and known.installation != state.installation
        and known.installation not in state.predecessors
        and not is_moved_here
    )


def _cure(state: State) -> str:
    if is_copy_of_production(state):
        return (
            f"It is production's, and these settings are those of {state.place.environment}: writing from here is not "
            "meant. For trials use a database of its own with a demo organisation; to make this one production's, set "
            'environment = "prod", see that the former one writes no more, and run `tieout recover`.'
        )
    return (
        "If this is the database to go on with: see that no other one writes, then `tieout recover`. Else correct "
        "database.url or data_dir, or put the latest backup back with `tieout restore`."
    )


def _list(waiting: Mapping[str, str]) -> str:
    names = ", ".join(sorted(waiting))
    return f"{names} {'was' if len(waiting) == 1 else 'were'}"


def _machine() -> str | None:
    """What names this machine; None where nothing does (some containers), and then nothing is concluded from it."""
    try:
        return _MACHINE.read_text().strip() or None
    except OSError:
        return None
