"""Backups: made while the database works, put back whole or not at all, and trusted only after a recovery."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cdc import installation
from tests.db.fix_engine import Engine, engine
from tests.db.fix_recovery import moved_to, recovered
from tests.fix_databases import roomy
from tieout import backup, embedded
from tieout.db import Database
from tieout.errors import ConfigurationError, DatabaseDown, MigrationMismatch, RecoveryNeeded, UsageError
from tieout.migrate import migrate
from tieout.settings import Settings
from tieout.vault import KEY_FILE, Vault

__all__ = ["engine"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder through which the server's user may pass, when root runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="tieout-backup-", dir=roomy()))
    made.chmod(0o711)
    yield made
    for each in made.iterdir():
        if (each / "embedded").is_dir():
            embedded.stop(each)
    shutil.rmtree(made)


def test_yesterdays_backup_in_the_same_database_writes_nothing_until_it_is_recovered_and_then_nothing_twice(
    engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "backups" / "monday.dump"
    engine.customer("7")
    engine.sync()
    made = backup.back_up(engine.settings, engine.database, file)
    engine.customer("8")
    engine.sync()
    engine.connection.close()

    backup.put_back(engine.settings, engine.database, file, replace=True)
    engine.connection = engine.database.connect()
    engine.customer("8")
    engine.load()
    engine.diff()
    stopped = engine.drain()
    done = recovered(engine)
    engine.sync()

    assert isinstance(stopped.errors[0], RecoveryNeeded)
    assert "put back from monday.dump" in str(stopped.errors[0])
    assert (made.last_call, engine.drain().errors, engine.states()) == (
        engine.rows("select min(number) as number from cdc.calls")[0]["number"],
        (),
        {},
    )
    assert [each.linked for each in done.targets if each.connection == "books"] == [1]
    assert len(engine.target.writes) == len(engine.target.records["contacts"]) == 2


def test_another_server_is_known_by_its_identifier_and_a_copied_folder_by_its_files(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    engine.customer("7")
    engine.sync()
    before = len(engine.target.writes)
    file = tmp_path / "monday.dump"
    backup.back_up(engine.settings, engine.database, file)
    # Another machine: an embedded server of its own, its own data_dir.
    there = replace(engine.settings, database_url=None, data_dir=folder / "data")
    url = embedded.ensure_running(there.data_dir, server_settings={"fsync": "off", "max_connections": "20"})
    backup.put_back(there, Database(url), file)
    other = moved_to(engine, Database(url))
    other.settings = there
    # As pg_restore alone would leave it.
    other.connection.execute("update cdc.installation set restored_at = null")
    other.customer("9")
    other.diff()

    stopped = other.drain()
    recovered(other)
    drained = other.sync()
    other.connection.close()
    embedded.stop(there.data_dir)
    shutil.copytree(
        there.data_dir, folder / "copy", symlinks=True, ignore=shutil.ignore_patterns("binaries-*")
    )
    _own_as(there.data_dir, folder / "copy")
    copied = replace(there, data_dir=folder / "copy")
    copy = moved_to(
        other, Database(embedded.ensure_running(copied.data_dir, server_settings={"fsync": "off"}))
    )
    copy.settings = copied
    said = copy.drain().errors
    copy.connection.close()

    assert "made on another server" in str(stopped.errors[0])
    assert drained.errors == ()
    assert len(engine.target.writes) == before
    assert "data folder was copied or moved" in str(said[0])


def _own_as(source: Path, copy: Path) -> None:
    """What `cp --archive` does: each file keeps its owner."""
    for each in source.rglob("*"):
        made = copy / each.relative_to(source)
        if made.exists():
            found = each.lstat()
            shutil.chown(made, found.st_uid, found.st_gid)
            made.chmod(stat.S_IMODE(found.st_mode))


def test_a_database_that_is_not_empty_is_left_alone_unless_it_is_told(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "empty.dump"
    backup.back_up(settings, database, file)

    with pytest.raises(UsageError, match="not empty: it has cdc, staging") as caught:
        backup.put_back(settings, database, file)

    assert "--replace" in caught.value.cure


def test_a_backup_that_cannot_be_read_to_its_end_leaves_the_database_as_it_was(
    engine: Engine, tmp_path: Path
) -> None:
    engine.customer("7")
    file = tmp_path / "cut.dump"
    backup.back_up(engine.settings, engine.database, file)
    content = file.read_bytes()
    file.write_bytes(content[:-2000])

    with pytest.raises(ConfigurationError, match="damaged or was cut off"):
        backup.put_back(engine.settings, engine.database, file, replace=True)
    backup.beside(file).unlink()
    engine.connection.close()
    with pytest.raises((ConfigurationError, DatabaseDown)):
        backup.put_back(engine.settings, engine.database, file, replace=True)

    engine.connection = engine.database.connect()
    assert engine.rows("select id from staging.magento__customers") == [{"id": "7"}]
    assert installation.problem(engine.connection, engine.settings) is None


def test_readers_that_fail_the_restore_leave_the_database_as_it_was(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.customer("7")
    file = tmp_path / "monday.dump"
    backup.back_up(engine.settings, engine.database, file)
    monkeypatch.setattr("tieout.backup._LOCK_WAIT", "50ms")

    with engine.connection.transaction():
        engine.connection.execute("select * from staging.magento__customers")
        with pytest.raises(DatabaseDown, match="as it was before"):
            backup.put_back(engine.settings, engine.database, file, replace=True)

    assert engine.rows("select id from staging.magento__customers") == [{"id": "7"}]


def test_the_description_names_version_installation_call_and_moment_and_both_files_are_private(
    engine: Engine, tmp_path: Path
) -> None:
    engine.customer("7")
    engine.sync()
    file = tmp_path / "monday.dump"

    made = backup.back_up(engine.settings, engine.database, file)

    told = json.loads(backup.beside(file).read_text())
    assert told["installation"] == installation.look(engine.connection, engine.settings).installation
    assert (told["last_call"], told["bytes"]) == (made.last_call, file.stat().st_size)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (file, backup.beside(file))} == {0o600}
    assert backup.describe(file) == made
    with pytest.raises(UsageError, match="exists already"):
        backup.back_up(engine.settings, engine.database, file)


def test_the_vaults_key_is_not_in_a_backup_and_its_place_is_said(engine: Engine, tmp_path: Path) -> None:
    Vault(engine.database, engine.settings).put("books", {"refresh_token": "replaced-tomorrow"})
    key = (engine.settings.data_dir / KEY_FILE).read_bytes().strip()
    file = tmp_path / "monday.dump"
    backup.back_up(engine.settings, engine.database, file)

    content = file.read_bytes() + backup.beside(file).read_bytes()

    assert key not in content
    assert b"replaced-tomorrow" not in content
    assert backup.key_place(engine.settings) == str(engine.settings.data_dir / KEY_FILE)
    assert (
        backup.key_place(replace(engine.settings, vault_key="k"))
        == "the environment variable TIEOUT_VAULT_KEY"
    )


def test_a_file_that_is_no_backup_and_one_of_a_newer_version_are_refused(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    stranger, newer = tmp_path / "stranger.dump", tmp_path / "newer.dump"
    stranger.write_text("select 1;")
    backup.back_up(settings, database, newer)
    told = json.loads(backup.beside(newer).read_text())
    backup.beside(newer).write_text(json.dumps({**told, "migration": 9999}))

    with pytest.raises(ConfigurationError, match="is no backup of tieout"):
        backup.put_back(settings, database, stranger, replace=True)
    with pytest.raises(MigrationMismatch, match="is newer than this one"):
        backup.put_back(settings, database, newer, replace=True)
    with pytest.raises(UsageError, match="There is no file"):
        backup.put_back(settings, database, tmp_path / "none.dump")


def test_amounts_come_back_digit_for_digit(engine: Engine, empty_database: Database, tmp_path: Path) -> None:
    engine.order("1", total=Decimal("12.3400000000000000001"))
    file = tmp_path / "monday.dump"
    backup.back_up(engine.settings, engine.database, file)
    settings = replace(engine.settings, database_url=empty_database.url)

    backup.put_back(settings, empty_database, file)

    assert migrate(empty_database) == []
    with empty_database.connect() as session:
        row = session.execute("select payload ->> 'total' as total from staging.magento__orders").fetchone()
    assert row == {"total": "12.3400000000000000001"}


def test_the_password_is_in_no_argument_of_a_program(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    run = subprocess.run

    def watched(arguments: list[str], **options: Any) -> object:
        seen.append(arguments)
        return run(arguments, **options)

    monkeypatch.setattr(subprocess, "run", watched)

    backup.back_up(settings, database, tmp_path / "a.dump")

    password = psycopg.conninfo.conninfo_to_dict(database.url)["password"]
    assert not [each for arguments in seen for each in arguments if str(password) in each]
