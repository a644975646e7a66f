"""What a scheduler is promised: each exit code, with what happened and what to do on standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cdc.build import LOCK
from cdc.gate import refuse_production
from console.cli import main
from tests.console.fix_console import Place, StandIns, write_settings
from tests.fix_http import LOCAL
from tieout.clients.identity import Identity
from tieout.db import Database, lock_key
from tieout.errors import ConfigurationError, ExitCode
from tieout.settings import Connection, Settings, package_root


def lines(text: str) -> list[str]:
    """What was said to a person: standard error without the events."""
    return [line for line in text.splitlines() if not line.startswith("{")]


def test_0_when_there_is_nothing_to_do(traded: Place) -> None:
    traded.run("diff --fail-on none")

    assert traded.run("diff").exit_code == ExitCode.DONE


def test_0_when_another_run_loads_the_same_stream(migrated: Place) -> None:
    with migrated.database.connect(direct=True) as other:
        other.execute("select pg_advisory_lock(%s)", (lock_key("tieout.load.shop.magento.customers"),))
        done = migrated.run("load shop --stream customers --json")

    assert done.exit_code == ExitCode.DONE
    stream = json.loads(done.stdout)["streams"][0]
    assert stream["error"] == "Another run is loading customers of shop."


def test_0_when_another_process_builds(migrated: Place) -> None:
    with migrated.database.connect(direct=True) as other:
        other.execute("select pg_advisory_lock(%s)", (lock_key(LOCK),))
        second = migrated.process("build")
        stdout, stderr = second.communicate(timeout=60)

    assert second.returncode == ExitCode.DONE
    assert stdout == ""
    assert lines(stderr) == [
        "Nothing done: Another build is running.",
        "What to do: Nothing to do: the other run finishes the work.",
    ]


def test_1_when_tieout_itself_is_wrong(migrated: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_session: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("console.status.glance.status", broken)

    done = migrated.run("status")

    assert done.exit_code == ExitCode.BUG
    assert isinstance(done.exception, ZeroDivisionError)


def test_2_when_a_stream_is_unknown(migrated: Place) -> None:
    done = migrated.run("load shop --stream nonsense")

    assert done.exit_code == ExitCode.USAGE
    assert lines(done.stderr)[0] == "Stopped: magento has no stream 'nonsense'."
    assert "orders" in lines(done.stderr)[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('environment = "dev"\n[connections.shop]\nsystem = "mage', "line 3: not valid TOML near 'system'"),
        ('[connections.shop]\nsystem = "magenta"\n', "line 2: connections.shop.system: "),
        ('[connections.shop]\nwrites = "off"\n', "connections.shop.system is missing"),
        ('environment = "live"\n', "line 1: environment: Input should be 'dev', 'test' or 'prod'"),
        ("enviroment = 'dev'\n", "line 1: there is no setting enviroment"),
    ],
    ids=["cut off", "unknown system", "no system", "wrong value", "misspelt"],
)
def test_3_when_the_settings_file_is_half_written(migrated: Place, text: str, told: str) -> None:
    migrated.settings_file.write_text(text, encoding="utf-8")

    done = migrated.run("status")

    assert done.exit_code == ExitCode.PERSON
    assert done.stdout == ""
    said, cure = lines(done.stderr)
    assert said.startswith(f"Stopped: {migrated.settings_file}") or told in said
    assert told in said
    assert cure.startswith("What to do: ")


def test_3_when_the_named_settings_file_is_not_there(migrated: Place) -> None:
    done = migrated.run("status --settings nowhere.toml")

    assert done.exit_code == ExitCode.PERSON
    assert lines(done.stderr)[0] == "Stopped: There is no settings file nowhere.toml."
    assert "tieout init" in lines(done.stderr)[1]


def test_3_when_an_option_of_a_connection_is_missing(migrated: Place) -> None:
    migrated.edit("consumer_secret", "consumer_sekret")

    done = migrated.run("load shop")

    assert done.exit_code == ExitCode.PERSON
    said, cure = lines(done.stderr)[-2:]
    assert "connections.shop (magento)" in said
    assert "TIEOUT_CONNECTIONS__SHOP__" in cure


@pytest.mark.parametrize("line", ["load nope", "drain nope", "pause nope", "connect nope", "check nope"])
def test_3_when_a_connection_is_unknown(migrated: Place, line: str) -> None:
    done = migrated.run(line)

    assert done.exit_code == ExitCode.PERSON
    # The name of the section stands in brackets, which are not markup.
    assert lines(done.stderr) == [
        "Stopped: The settings have no connection 'nope' (they have: books, shop).",
        "What to do: Add a section [connections.nope] or use one of the names above.",
    ]


@pytest.mark.parametrize(
    ("connection", "variable"),
    [
        ("shop", "TIEOUT_CONNECTIONS__SHOP__CONSUMER_SECRET"),
        ("books", "TIEOUT_CONNECTIONS__BOOKS__CLIENT_SECRET"),
    ],
)
def test_3_when_credentials_are_wrong(migrated: Place, connection: str, variable: str) -> None:
    done = migrated.run(f"load {connection}", env={variable: "wrong"})

    assert done.exit_code == ExitCode.PERSON
    said, cure = lines(done.stderr)[-2:]
    assert said.startswith("Stopped: ")
    assert connection in f"{said} {cure}"
    assert "wrong" not in said


def test_what_stops_one_connection_does_not_stop_the_other(migrated: Place) -> None:
    done = migrated.run(
        "load --stream tax_rates --json", env={"TIEOUT_CONNECTIONS__SHOP__CONSUMER_SECRET": "wrong"}
    )

    data = json.loads(done.stdout)
    assert done.exit_code == ExitCode.PERSON
    assert [error["error"] for error in data["errors"]] == ["CredentialsError"]
    assert {stream["connection"] for stream in data["streams"]} == {"books"}
    assert data["rows"] > 0
    assert "Stopped: " in done.stderr


def test_4_when_a_vendor_is_down(migrated: Place, unreachable: str, stand_ins: StandIns) -> None:
    migrated.edit(stand_ins.shop.address, f"http://{unreachable}")

    done = migrated.run("load shop --stream tax_rates")

    assert done.exit_code == ExitCode.LATER
    said, cure = lines(done.stderr)[-2:]
    assert said.startswith("Stopped: ")
    assert cure == "What to do: Run the same command again later; nothing is lost."


def test_4_when_the_database_is_down(migrated: Place, unreachable: str) -> None:
    migrated.edit(migrated.database.url.split("@")[1].split("/")[0], unreachable)

    done = migrated.run("status")

    assert done.exit_code == ExitCode.LATER
    assert "What to do: Check that the database" in lines(done.stderr)[-1]


def test_a_sync_that_was_stopped_says_so_and_goes_on_where_it_can(
    traded: Place, unreachable: str, stand_ins: StandIns
) -> None:
    traded.edit(stand_ins.books.address, f"http://{unreachable}")
    # Tests wait for nothing, not even for the next minute's calls.
    traded.edit("api_url =", "calls_a_minute = 1000\napi_url =")

    done = traded.run("sync --json")

    data = json.loads(done.stdout)
    assert done.exit_code == ExitCode.LATER
    assert data["load"]["errors"][0]["error"] == "RetryLater"
    assert set(data) >= {"load", "diff", "drain", "marts"}
    # What newly needs a person is left for a run that ends well.
    assert data["newly_dead"] == 0
    assert traded.run("diff").exit_code == ExitCode.NEWLY_DEAD


def test_5_when_records_newly_need_a_person_and_0_the_second_time(traded: Place) -> None:
    first = traded.run("diff")
    second = traded.run("diff")
    strict = traded.run("diff --fail-on any")
    lenient = traded.run("diff --fail-on none")

    assert first.exit_code == ExitCode.NEWLY_DEAD
    assert "newly need a person" in first.stdout
    assert second.exit_code == ExitCode.DONE
    assert "newly need a person" not in second.stdout
    assert strict.exit_code == ExitCode.NEWLY_DEAD
    assert lenient.exit_code == ExitCode.DONE
    codes = traded.rows(
        "select exit_code from cdc.runs where command = 'diff' order by started_at desc limit 4"
    )
    assert [row["exit_code"] for row in codes] == [0, 5, 0, 5]


@pytest.mark.parametrize(
    "line", ["status", "load", "diff", "drain", "marts", "sync", "build", "holds", "check"]
)
def test_6_when_the_database_is_not_migrated(
    line: str, empty_database, stand_ins: StandIns, tmp_path
) -> None:
    place = Place(database=empty_database, folder=tmp_path)
    write_settings(place.settings_file, empty_database.url, stand_ins)

    done = place.run(line)

    assert done.exit_code == ExitCode.MIGRATION
    assert lines(done.stderr) == [
        "Stopped: The database has no tables of tieout yet.",
        "What to do: Run `tieout migrate`.",
    ]


def test_6_beside_the_settings_names_the_folder_and_not_only_migrate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Database
) -> None:
    monkeypatch.chdir(tmp_path)
    alone = {"TIEOUT_DATABASE__URL": empty_database.url, "TIEOUT_DATA_DIR": str(tmp_path / "data")}

    done = CliRunner().invoke(main, ["status"], env=alone)

    assert done.exit_code == ExitCode.MIGRATION
    told = lines(done.stderr)
    assert told[0].endswith(f"There is no tieout.toml in {tmp_path}.")
    assert "--settings" in told[1]


@pytest.mark.parametrize("line", ["load", "sync", "run", "check", "link propose"])
def test_3_without_any_connection(
    migrated: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    """A scheduler that starts in another folder must not find for ever that nothing is new."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    alone = {"TIEOUT_DATABASE__URL": migrated.database.url, "TIEOUT_DATA_DIR": str(tmp_path / "data")}
    done = CliRunner().invoke(main, line.split(), env=alone)

    assert done.exit_code == ExitCode.PERSON
    assert "The settings name no connection. There is no tieout.toml in" in " ".join(done.output.split())


def test_6_when_the_database_is_ahead_of_the_code(migrated: Place) -> None:
    migrated.rows("insert into cdc.migrations (number, name, checksum) values (9999, '9999_later.sql', 'x')")

    assert migrated.run("status").exit_code == ExitCode.MIGRATION


def test_an_error_with_json_is_one_object_and_stands_on_standard_error_too(migrated: Place) -> None:
    done = migrated.run("show --json shop/order/1/1 --settings nowhere.toml")

    assert json.loads(done.stdout) == {
        "error": "ConfigurationError",
        "message": "There is no settings file nowhere.toml.",
        "cure": "Write one with `tieout init`, or correct --settings.",
        "exit_code": 3,
    }
    assert "Stopped: There is no settings file nowhere.toml." in done.stderr


def test_the_process_ends_with_the_code_and_says_why(tmp_path, unreachable: str) -> None:
    file = tmp_path / "tieout.toml"
    file.write_text(f"database.url = 'postgresql://tieout:hidden@{unreachable}/tieout'\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "console", "status", "--settings", str(file)],
        cwd=package_root(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == ExitCode.LATER
    assert done.stdout == ""
    assert "What to do: " in done.stderr
    assert "hidden" not in done.stderr


def test_nothing_is_written_outside_production_to_books_that_are_not_a_demo(traded: Place) -> None:
    """On this machine every address is a stand-in: another one has to be made up, so the rule is asked directly."""
    settings = Settings.load(traded.settings_file)
    books = Connection(
        name="books", system="xero", writes="on", options={"api_url": "https://api.xero.com/api.xro/2.0"}
    )
    real = Identity(id="1", name="Real Ltd", is_demo=False, base_currency="GBP")

    with pytest.raises(ConfigurationError, match="Real Ltd is no demo organisation") as raised:
        refuse_production(settings, books, real)

    assert raised.value.exit_code == ExitCode.PERSON
    assert 'environment = "prod"' in raised.value.cure


def test_writes_off_sends_nothing(traded: Place, stand_ins: StandIns) -> None:
    for each in (stand_ins.shop, stand_ins.books):
        LOCAL.delete(f"{each.address}/_sandbox/requests").raise_for_status()
    traded.run("holds approve --reason all")

    data = traded.answer("drain --fail-on none")

    assert data["calls"] == 0
    assert data["not_written"] == {
        "books": "writes are off in the settings",
        "shop": "writes are off in the settings",
    }
    for each in (stand_ins.shop, stand_ins.books):
        assert LOCAL.get(f"{each.address}/_sandbox/requests").json()["requests"] == []


@pytest.mark.parametrize("line", ["connect books", "check books"])
def test_books_of_another_organisation_are_refused(traded: Place, line: str) -> None:
    traded.rows(
        "update cdc.connections set target_identity = 'another', target_name = 'Old Ltd' where connection = 'books'"
    )

    done = traded.run(line)

    assert done.exit_code == ExitCode.PERSON
    assert "Connection books belongs to Old Ltd (another), but Demo Trading (UK)" in done.stderr
    assert "use a new connection name and a new database" in done.stderr
    assert traded.rows("select target_name from cdc.connections where connection = 'books'") == [
        {"target_name": "Old Ltd"}
    ]
