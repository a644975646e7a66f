"""Backups of the database: one file by pg_dump (custom format, so any pg_restore reads it), and what it is beside it.

`FILE.json` says of which tieout, database and installation FILE is, when it was made, and the number of the last call in it.
The numbers are read in the snapshot that pg_dump copies: the database goes on working meanwhile. The vault's key is never
in it, the tokens are, encrypted.

Putting one back happens in one transaction: what stood there is dropped, the backup is read in, and the installation is
marked as put back; failing anywhere leaves the database as it was. No unit of work runs meanwhile. A database that was put
back writes to no target until `tieout recover` (`cdc/installation.py`).

The programs are those of the embedded server, or for a server by URL those on the PATH where they are new enough.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tieout import embedded, embedded_files
from tieout.db import Database
from tieout.errors import ConfigurationError, DatabaseDown, MigrationMismatch, UsageError
from tieout.events import Event, emit
from tieout.migrate import alone, newest
from tieout.queries import compose, query
from tieout.roles import grant_roles
from tieout.settings import Settings
from tieout.vault import KEY_FILE

_FORMAT = 1
_CHUNK = 1 << 20
_LOCK_WAIT = "60s"
Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is."""

    format: int = _FORMAT
    tieout: str
    """Version of tieout that made it."""
    migration: int
    """Number of the last migration in it."""
    server: int
    """Major version of Postgres."""
    database: str
    installation: str | None
    """None: nothing was ever written to a target from this database."""
    last_call: int
    made_at: str
    """UTC, ISO 8601."""
    bytes: int
    sha256: str


def beside(file: Path) -> Path:
    """Where the description of a backup is."""
    return file.with_name(f"{file.name}.json")


def back_up(settings: Settings, database: Database, file: Path) -> Manifest:
    """Write a backup. UsageError when the file exists, ConfigurationError when it or a program cannot be used."""
    for each in (file, beside(file)):
        if each.exists():
            raise UsageError(f"{each} exists already.", cure="Name another file, for example with the date.")
    started = time.monotonic()
    part = file.with_name(f"{file.name}.part")
    try:
        _make_private(part)
        with database.connect(direct=True) as session:
            session.execute(query("backup", "begin"))
            facts = session.execute(query("backup", "facts")).fetchone()
            if facts is None:
                raise AssertionError("the facts are one row")
            url = database.direct_url or database.url
            _run(
                _program(settings, "pg_dump", int(facts["server"])),
                *("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={facts['snapshot']}"),
                *(f"--file={part}", f"--dbname={_without_password(url)}"),
                url=url,
            )
            session.execute(query("backup", "end"))
        _sync(part)
        manifest = Manifest(
            tieout=version("tieout"),
            migration=int(facts["migration"]),
            server=int(facts["server"]),
            database=facts["name"],
            installation=facts["installation_id"],
            last_call=int(facts["last_call"]),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            bytes=part.stat().st_size,
            sha256=_digest(part),
        )
        _make_private(beside(file))
        beside(file).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
        _sync(beside(file))
        part.rename(file)
    except OSError as error:
        raise ConfigurationError(
            f"The backup {file} cannot be written: {error}.", cure="Name a file in a folder with room."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    emit(
        Event.BACKUP_WRITTEN,
        file=str(file),
        bytes=manifest.bytes,
        installation=manifest.installation,
        last_call=manifest.last_call,
        seconds=round(time.monotonic() - started, 3),
    )
    return manifest


def describe(file: Path) -> Manifest | None:
    """What stands beside a backup; None when nothing does. ConfigurationError when it is of another file or not readable."""
    try:
        content = json.loads(beside(file).read_text(encoding="utf-8"))
        manifest = Manifest(**{name: content[name] for name in Manifest.__dataclass_fields__})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{beside(file)} cannot be read: {error!r}.",
            cure="Copy it again from where the backup is kept, or move it away.",
        ) from error
    if manifest.bytes != file.stat().st_size or manifest.sha256 != _digest(file):
        raise ConfigurationError(
            f"{file} is not the file that {beside(file).name} describes: it is damaged or was cut off.",
            cure="Copy both again from where the backup is kept, or take an older one.",
        )
    return manifest


def put_back(settings: Settings, database: Database, file: Path, *, replace: bool = False) -> Manifest | None:
    """Put a backup into the database of the settings, in one transaction. What stands beside it.

    Raises UsageError when the database is not empty and `replace` is not given, MigrationMismatch when the backup is of a newer
    tieout, ConfigurationError for a file that is no backup.
    """
    if not file.is_file():
        raise UsageError(f"There is no file {file}.", cure="Name the file that `tieout backup` wrote.")
    started = time.monotonic()
    manifest = describe(file)
    if manifest is not None and manifest.migration > newest():
        raise MigrationMismatch(
            f"{file} is of tieout {manifest.tieout}, which is newer than this one.",
            cure=f"Install tieout {manifest.tieout} or newer.",
        )
    url = database.direct_url or database.url
    with database.connect(direct=True) as session:
        server = session.execute(query("backup", "server")).fetchone()
        major = int(server["server"]) if server is not None else 0
        restore = _program(settings, "pg_restore", major)
        listed = subprocess.run([restore, "--list", str(file)], capture_output=True, text=True, check=False)
        if listed.returncode != 0 or " cdc installation " not in listed.stdout:
            raise ConfigurationError(
                f"{file} is no backup of tieout: {_last_line(listed.stderr) or 'it has no table cdc.installation'}.",
                cure="Name the file that `tieout backup` wrote.",
            )
        with alone(session, doing="put back", again="tieout restore"):
            standing = [row["name"] for row in session.execute(query("backup", "schemas"))]
            if standing and not replace:
                raise UsageError(
                    f"The database is not empty: it has {', '.join(standing)}.",
                    cure="Name an empty database in database.url, or say --replace: what stands there is dropped for good.",
                )
            before = [
                compose("backup", "drop", name=sql.Identifier(name)).as_string(session) for name in standing
            ]
            after = compose("backup", "mark", source=sql.Literal(file.name)).as_string(session)
            _read_in(restore, _program(settings, "psql", major), file, url, before, after)
            # A backup holds no grants: the server that it is put into may have other users.
            grant_roles(session)
    emit(Event.BACKUP_RESTORED, file=str(file), seconds=round(time.monotonic() - started, 3))
    return manifest


def key_place(settings: Settings) -> str:
    """Where the vault's key is, which no backup contains."""
    return (
        "the environment variable TIEOUT_VAULT_KEY"
        if settings.vault_key
        else str(settings.data_dir / KEY_FILE)
    )


def _read_in(restore: str, psql: str, file: Path, url: str, before: Sequence[str], after: str) -> None:
    """Drop, read in, mark: one transaction of psql, which is committed only when pg_restore ended well."""
    first = [argument for statement in before for argument in ("-c", statement)]
    with tempfile.TemporaryFile() as said:
        reader = subprocess.Popen(
            [restore, "--no-owner", "--no-privileges", "--exit-on-error", "--file=-", str(file)],
            stdout=subprocess.PIPE,
            stderr=said,
        )
        writer = subprocess.Popen(
            [
                *(psql, "-X", "-q", "--single-transaction", "-v", "ON_ERROR_STOP=1"),
                *(*first, "-f", "-", f"--dbname={_without_password(url)}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=_environment(url),
        )
        assert reader.stdout is not None, "it was asked for"  # noqa: S101
        assert writer.stdin is not None, "it was asked for"  # noqa: S101
        is_whole = False
        try:
            shutil.copyfileobj(reader.stdout, writer.stdin, _CHUNK)
            is_whole = reader.wait() == 0
            if is_whole:
                writer.stdin.write(f"\n{after};\n".encode())
                writer.stdin.close()
        except BrokenPipeError:
            is_whole = False
        finally:
            if not is_whole:
                # Before its input ends: it would commit what came so far.
                writer.kill()
                reader.kill()
            reader.wait()
            reader.stdout.close()
            failed = writer.wait() != 0 or not is_whole
        if failed:
            said.seek(0)
            words = _last_line(said.read().decode(errors="replace"))
            raise DatabaseDown(
                f"The backup could not be put back; the database is as it was before. {words}",
                cure="Cure that (room on the disk, readers that hold tables), then run the same command again.",
            )


def _program(settings: Settings, name: str, major: int) -> str:
    """A program of Postgres that is not older than the server."""
    if settings.database_url is None:
        return str(embedded.binaries(settings.data_dir) / name)
    found = shutil.which(name)
    if found is not None and _major_of(found) >= major:
        return found
    if major <= embedded_files.MAJOR:
        return str(embedded.binaries(settings.data_dir) / name)
    raise ConfigurationError(
        f"{name} of Postgres {major} or newer is needed, and it is not on the PATH.",
        cure=f"Install the client programs of Postgres {major}.",
    )


def _major_of(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)", said)
    return int(found.group(1)) if found else 0


def _run(program: str, *arguments: str, url: str) -> None:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env=_environment(url)
    )
    if done.returncode != 0:
        raise DatabaseDown(
            f"{Path(program).name} failed: {_last_line(done.stderr)}",
            cure="Cure that, then run the same command again.",
        )


def _environment(url: str) -> dict[str, str]:
    """The password goes this way, so that no list of processes shows it."""
    password = conninfo_to_dict(url).get("password")
    own = {"PGPASSWORD": str(password)} if password else {}
    # Nothing like PGHOST of the caller may lead elsewhere than the URL does.
    return {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "HOME": str(Path.home()),
        "PGOPTIONS": f"-c lock_timeout={_LOCK_WAIT}",
        **own,
    }


def _without_password(url: str) -> str:
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if name != "password"}
    return make_conninfo("", **given)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _make_private(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stat.S_IRUSR | stat.S_IWUSR)
    os.close(descriptor)


def _sync(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())
