"""Migrations: once each, by many at once, never backwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tieout.db import Database
from tieout.errors import ConfigurationError, ExitCode, MigrationMismatch
from tieout.migrate import check_migrated, migrate, unit_of_work
from tieout.settings import package_root


def write(root: Path, name: str, text: str, folder: str = "schema") -> None:
    path = root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def shipped() -> list[str]:
    root = package_root() / "sql"
    return [path.name for folder in ("schema", "staging") for path in sorted((root / folder).glob("*.sql"))]


def tables(database: Database) -> set[str]:
    with database.connect() as connection:
        rows = connection.execute(
            "select schemaname || '.' || tablename as name from pg_tables"
            " where schemaname in ('cdc', 'staging')"
        )
        return {row["name"] for row in rows}


def test_an_empty_database_gets_every_file_in_order(empty_database):
    applied = migrate(empty_database)

    assert applied == shipped()
    assert "cdc.vault" in tables(empty_database)


def test_the_second_time_there_is_nothing_to_do(empty_database):
    migrate(empty_database)

    assert migrate(empty_database) == []


def test_eight_processes_at_once_apply_each_file_once(empty_database):
    program = (
        "import sys; from tieout.db import Database; from tieout.migrate import migrate;"
        "print(*migrate(Database(sys.argv[1])), sep='\\n')"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_database.url],
            stdout=subprocess.PIPE,
            cwd=package_root(),
            text=True,
        )
        for _ in range(8)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 8
    assert sorted("\n".join(outputs).split()) == sorted(shipped())


def test_a_newer_database_is_refused(empty_database, tmp_path):
    write(tmp_path, "0001_one.sql", "-- additive\ncreate table cdc.one (id int);")
    write(tmp_path, "0002_two.sql", "-- additive\ncreate table cdc.two (id int);")
    migrate(empty_database, root=tmp_path)
    older = tmp_path / "older"
    write(older, "0001_one.sql", "-- additive\ncreate table cdc.one (id int);")

    with pytest.raises(MigrationMismatch, match=r"newer than this tieout: it has 0002_two\.sql") as caught:
        migrate(empty_database, root=older)

    assert caught.value.exit_code == ExitCode.MIGRATION


def test_an_edited_migration_is_refused(empty_database, tmp_path):
    write(tmp_path, "0001_one.sql", "-- additive\ncreate table cdc.one (id int);")
    migrate(empty_database, root=tmp_path)
    edited = tmp_path / "edited"
    write(edited, "0001_one.sql", "-- additive\ncreate table cdc.one (id bigint);")

    with pytest.raises(MigrationMismatch, match=r"0001_one\.sql differs from what was applied"):
        migrate(empty_database, root=edited)


def test_a_file_that_comes_too_late_is_refused(empty_database, tmp_path):
    write(tmp_path, "0003_three.sql", "-- additive\n")
    migrate(empty_database, root=tmp_path)
    late = tmp_path / "late"
    write(late, "0002_two.sql", "-- additive\n")
    write(late, "0003_three.sql", "-- additive\n")

    with pytest.raises(MigrationMismatch, match=r"0002_two\.sql comes before"):
        migrate(empty_database, root=late)


def test_two_files_of_one_number_are_refused(empty_database, tmp_path):
    write(tmp_path, "0001_one.sql", "-- additive\n")
    write(tmp_path, "0001_other.sql", "-- additive\n")

    with pytest.raises(ConfigurationError, match="Two migrations have the number"):
        migrate(empty_database, root=tmp_path)


def test_a_failing_file_leaves_nothing_and_the_files_before_it_stay(empty_database, tmp_path):
    write(tmp_path, "0001_one.sql", "-- additive\ncreate table cdc.one (id int);")
    write(tmp_path, "0002_bad.sql", "-- additive\ncreate table cdc.two (id int); select 1 / 0;")

    with pytest.raises(Exception, match="division by zero"):
        migrate(empty_database, root=tmp_path)

    assert "cdc.one" in tables(empty_database)
    assert "cdc.two" not in tables(empty_database)


def test_a_changed_staging_file_is_applied_again(empty_database, tmp_path):
    write(tmp_path, "0001_one.sql", "-- additive\ncreate schema staging;")
    write(tmp_path, "shop.sql", "create table if not exists staging.a (id int);", "staging")
    migrate(empty_database, root=tmp_path)
    later = tmp_path / "later"
    write(later, "0001_one.sql", "-- additive\ncreate schema staging;")
    write(
        later,
        "shop.sql",
        "create table if not exists staging.a (id int); create table if not exists staging.b (id int);",
        "staging",
    )

    assert migrate(empty_database, root=later) == ["shop.sql"]
    assert {"staging.a", "staging.b"} <= tables(empty_database)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("one.sql", "-- additive\n", "not named NNNN_words", id="name"),
        pytest.param("0001_one.sql", "create table x ();", "whether it is additive", id="no-first-line"),
        pytest.param("0001_one.sql", "-- breaking:\n", "whether it is additive", id="breaking-without-why"),
    ],
)
def test_files_that_break_the_rules_are_refused_before_anything_is_applied(
    empty_database, tmp_path, name, text, message
):
    write(tmp_path, name, text)

    with pytest.raises(ConfigurationError, match=message):
        migrate(empty_database, root=tmp_path)


def test_work_on_a_database_that_was_never_migrated_is_refused(empty_database):
    with (
        empty_database.connect() as connection,
        pytest.raises(MigrationMismatch, match="no tables of tieout"),
    ):
        check_migrated(connection)


def test_work_is_refused_until_the_newest_file_is_applied(empty_database, tmp_path):
    write(tmp_path, "0001_one.sql", "-- additive\n")
    migrate(empty_database, root=tmp_path)
    newer = tmp_path / "newer"
    write(newer, "0001_one.sql", "-- additive\n")
    write(newer, "0002_two.sql", "-- additive\n")

    with (
        empty_database.connect() as connection,
        pytest.raises(MigrationMismatch, match=r"lacks 0002_two\.sql"),
    ):
        check_migrated(connection, root=newer)


def test_migrations_wait_for_work_and_work_shares_with_work(database):
    with (
        database.connect() as first,
        database.connect() as second,
        database.connect() as migrating,
        unit_of_work(first),
        unit_of_work(second),
    ):
        held = migrating.execute(
            "select count(*) as count from pg_locks"
            " where locktype = 'advisory' and mode = 'ShareLock' and granted"
            " and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()

    assert held == {"count": 2}


def test_the_lock_is_given_back_when_the_work_fails(database):
    with database.connect() as connection:
        with pytest.raises(ZeroDivisionError), unit_of_work(connection):
            raise ZeroDivisionError

        held = connection.execute(
            "select count(*) as count from pg_locks where locktype = 'advisory'"
            " and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()

    assert held == {"count": 0}
