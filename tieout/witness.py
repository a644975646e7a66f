"""What this machine remembers of a database, beside the vault's key: a database that forgot is found out by it.

A database that was put back, copied or swapped for another cannot tell so by itself: its own rows are all in order. So
each machine that writes keeps `witness.json` in data_dir, with one part a database: which installation it was, on which
server, the number of the last call that left from here, and the head of the audit chain. The number is on disk *before*
the request leaves. Whoever finds the database behind its witness knows that it forgot something (`cdc/installation.py`).

    {"version": 1, "databases": {"embedded": {"installation": "…", "last_call": 812, …}}}

The parts are named by the database's address (`embedded`, or host, port and name), without a user or a password. Numbers
only grow; another installation alone replaces a part, which is what `recover` makes. The file is written beside itself, synced, and put in
place; a lock keeps the processes of this machine apart. No record, amount or secret is in it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tieout.errors import ConfigurationError
from tieout.settings import Settings

FILE = "witness.json"
EMBEDDED = "embedded"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What this machine knows of one database."""

    installation: str = ""
    """Its cdc.installation; empty: nothing was ever written to a target, only the audit's head is known."""
    system_identifier: str = ""
    timeline: int = 0
    last_call: int = 0
    """The highest number of a call that left from this machine, or that the database had when it was trusted."""
    audit_position: int = 0
    audit_digest: str = ""
    targets: Mapping[str, str] = field(default_factory=dict)
    """Targets that were written to: `xero <identity>` to the name of the connection."""
    succeeded_by: str = ""
    """The installation that took over when its database was recovered; this one writes no more."""


def path(settings: Settings) -> Path:
    """Where the file is."""
    return settings.data_dir / FILE


def address(settings: Settings) -> str:
    """How the database of these settings is named in the file."""
    if settings.database_url is None:
        return EMBEDDED
    try:
        given = conninfo_to_dict(settings.database_url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            "The database URL is not valid.", cure="Write database.url as postgresql://user@host:5432/name."
        ) from error
    host = given.get("host") or given.get("hostaddr") or "localhost"
    name = given.get("dbname") or given.get("user") or ""
    return f"{host}:{given.get('port') or 5432}/{name}"


def read(settings: Settings) -> Witness | None:
    """What is known of the database at this address; None: nothing."""
    return everything(settings).get(address(settings))


def everything(settings: Settings) -> dict[str, Witness]:
    """What is known of all databases of this machine's data_dir, by address."""
    return _read(path(settings))


def put(settings: Settings, witness: Witness, *, retired: Mapping[str, str] | None = None) -> None:
    """Say what is known of this address; of the same installation, what others noted meanwhile stays.

    `retired`: installations, by what took over from them, wherever they stand. A database that has moved here from another
    address leaves that one to whatever stood here.
    """
    gone = retired or {}
    here = address(settings)

    def change(known: dict[str, Witness]) -> None:
        for name, each in known.items():
            if each.installation in gone:
                known[name] = replace(each, succeeded_by=gone[each.installation])
        before = known.pop(here, None)
        left = [name for name, each in known.items() if each.installation == witness.installation]
        for name in left:
            del known[name]
        if left and before is not None and before.installation not in ("", witness.installation):
            known[left[0]] = before
        known[here] = _joined(witness, before)

    _change(settings, change)


def _joined(now: Witness, before: Witness | None) -> Witness:
    if before is None or before.installation != now.installation:
        return now
    head = max((each.audit_position, each.audit_digest) for each in (now, before))
    return replace(
        now,
        last_call=max(now.last_call, before.last_call),
        audit_position=head[0],
        audit_digest=head[1],
        targets={**before.targets, **now.targets},
    )


def note_call(settings: Settings, number: int) -> None:
    """A call of this number leaves: on disk when this returns. OSError when it cannot be written; then nothing may leave."""

    def change(known: dict[str, Witness]) -> None:
        name = address(settings)
        before = known.get(name, Witness())
        known[name] = replace(before, last_call=max(before.last_call, number))

    _change(settings, change)


def note_target(settings: Settings, target: str, connection: str, *, alone: bool = False) -> None:
    """A target that the database at this address writes to; `alone`: from now on it, and none that wrote there before."""

    def change(known: dict[str, Witness]) -> None:
        name = address(settings)
        before = known.get(name, Witness())
        for other, each in known.items():
            if alone and other != name and target in each.targets:
                known[other] = replace(each, succeeded_by=before.installation)
        known[name] = replace(before, targets={**before.targets, target: connection})

    _change(settings, change)


def note_audit_head(settings: Settings, position: int, digest: str) -> None:
    """The head of the audit chain. A lower position than the known one is not taken: the database forgot, the file did not."""

    def change(known: dict[str, Witness]) -> None:
        name = address(settings)
        before = known.get(name, Witness())
        if position >= before.audit_position:
            known[name] = replace(before, audit_position=position, audit_digest=digest)

    _change(settings, change)


def audit_head(settings: Settings) -> tuple[int, str] | None:
    """Position and digest of the chain's head as this machine last saw it; None: never."""
    known = read(settings)
    if known is None or not known.audit_position:
        return None
    return known.audit_position, known.audit_digest


def _change(settings: Settings, change: Callable[[dict[str, Witness]], None]) -> None:
    file = path(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file):
        known = _read(file)
        before = dict(known)
        change(known)
        if known != before:
            _write(file, known)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(file: Path) -> dict[str, Witness]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ValueError(f"it is of version {content['version']}")
        return {name: _witness(part) for name, part in content["databases"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"The witness file {file} cannot be read: {error}.",
            cure="Restore it from a backup of data_dir, or move it away and run `tieout recover`.",
        ) from error


def _witness(part: Mapping[str, Any]) -> Witness:
    # A field of a later version is left alone: the file may be shared by two versions during an upgrade.
    return Witness(**{name: part[name] for name in Witness.__dataclass_fields__ if name in part})


def _write(file: Path, known: Mapping[str, Witness]) -> None:
    """Synced before it is put in place, and its name after: a power cut leaves the old or the new one, whole."""
    content = {
        "version": _VERSION,
        "databases": {name: asdict(each) for name, each in sorted(known.items())},
    }
    new = file.with_suffix(".new")
    with new.open("w", encoding="utf-8") as out:
        json.dump(content, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
