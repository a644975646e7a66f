"""The embedded Postgres: one server a folder, found again, safe beside other processes, nobody's but ours."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.fix_databases import roomy
from tieout import embedded, embedded_files, embedded_settings
from tieout.errors import ConfigurationError, DatabaseDown, TieoutError

FAST = {"fsync": "off", "max_connections": "20"}
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="shows what happens when root starts the server")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tieout-embedded-", dir=roomy()))
    folder.chmod(0o711)
    yield folder / "data"
    for made in folder.iterdir():
        embedded.stop(made)
    shutil.rmtree(folder)


def start(data_dir: Path) -> str:
    return embedded.ensure_running(data_dir, server_settings=FAST)


def ask(url: str, question: str) -> Any:
    with psycopg.connect(url, autocommit=True) as session:
        row = session.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


def tell(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement.encode())


def postmaster(data_dir: Path) -> psutil.Process:
    text = (embedded.status(data_dir).folder / "postmaster.pid").read_text()
    return psutil.Process(int(text.splitlines()[0]))


def apart(function: Callable[..., Any], *arguments: Any, uid: int | None = None) -> Any:
    """Call in a process of its own, as another user if need be; the queue gets the result or the error."""
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()

    def run() -> None:
        try:
            if uid is not None:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            results.put(function(*arguments))
        except TieoutError as error:
            results.put(f"{type(error).__name__}: {error}")

    process = context.Process(target=run, daemon=True)
    process.start()
    return results


def test_a_second_command_finds_the_running_server(data_dir):
    first = start(data_dir)
    pid = postmaster(data_dir).pid

    assert start(data_dir) == first
    assert postmaster(data_dir).pid == pid
    assert ask(first, "select current_database()") == "tieout"


def test_it_listens_on_this_machine_alone_and_wants_a_password(data_dir):
    url = start(data_dir)
    password = (data_dir / "embedded" / "password").read_text().strip()

    addresses = {
        (connection.laddr.ip, connection.status)
        for connection in postmaster(data_dir).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert addresses == {("127.0.0.1", psutil.CONN_LISTEN)}
    assert ask(url, "select current_setting('unix_socket_directories')") == ""
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(url.replace(password, "guess"))
    assert "trust" not in str(
        psycopg.connect(url).execute("select string_agg(auth_method, ' ') from pg_hba_file_rules").fetchone()
    )


def test_what_it_keeps_is_for_its_owner_alone_and_names_the_major_version(data_dir):
    start(data_dir)
    folder = embedded.status(data_dir).folder

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (data_dir / "embedded", folder)}
    password = stat.S_IMODE((data_dir / "embedded" / "password").stat().st_mode)

    assert set(modes.values()) == {0o700}
    assert password == 0o600
    assert folder.parts[-2:] == ("postgres-18", "data")


def test_data_survives_a_stop_and_the_port_is_the_same(data_dir):
    url = start(data_dir)
    tell(url, "create table kept as select 42 as answer")

    assert embedded.stop(data_dir)
    assert not embedded.status(data_dir).running

    assert start(data_dir) == url
    assert ask(url, "select answer from kept") == 42


def test_stopping_what_does_not_run_and_looking_start_nothing(data_dir):
    assert embedded.stop(data_dir) is False
    assert embedded.status(data_dir).running is False
    assert not embedded.status(data_dir).folder.exists()


def test_four_commands_at_once_start_one_server(data_dir):
    results = [apart(start, data_dir) for _ in range(4)]
    urls = {result.get(timeout=60) for result in results}

    assert len(urls) == 1
    assert ask(urls.pop(), "select 1") == 1


def test_a_killed_server_is_started_again(data_dir):
    url = start(data_dir)
    tell(url, "create table kept as select 42 as answer")
    process = postmaster(data_dir)
    process.send_signal(signal.SIGKILL)
    psutil.wait_procs([process, *process.children()], timeout=20)

    url = start(data_dir)

    assert ask(url, "select answer from kept") == 42


def test_a_server_that_was_killed_while_a_statement_was_at_work_is_started_again(data_dir):
    """The statement outlives the server's first process, and as long as it does Postgres starts no other."""
    url = start(data_dir)
    tell(url, "create table kept as select 42 as answer")
    process = postmaster(data_dir)
    with closing(psycopg.connect(url, autocommit=True)) as session:
        pid = session.info.backend_pid
        session.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000000) as numbers (one)")
        at_work = psutil.Process(pid)
        process.send_signal(signal.SIGKILL)
        psutil.wait_procs([process], timeout=20)

        url = start(data_dir)

        assert not at_work.is_running()
        assert ask(url, "select answer from kept") == 42


def test_a_process_number_that_is_somebody_elses_by_now_does_not_stop_the_start(data_dir):
    start(data_dir)
    folder = embedded.status(data_dir).folder
    lines = (folder / "postmaster.pid").read_text().splitlines()
    embedded.stop(data_dir)
    owner = folder.stat()
    as_owner: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid} if IS_ROOT else {}
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd="/", **as_owner) as other:
        (folder / "postmaster.pid").write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        os.chown(folder / "postmaster.pid", owner.st_uid, owner.st_gid)

        assert ask(start(data_dir), "select 1") == 1
        assert other.poll() is None
        assert other.stdin is not None
        other.stdin.close()


def test_a_copied_folder_gets_a_server_of_its_own(data_dir):
    first = start(data_dir)
    tell(first, "checkpoint")
    copy = data_dir.with_name("copy")
    preserving_owners = ["cp", "-a", str(data_dir), str(copy)]
    subprocess.run(preserving_owners, check=True)

    second = start(copy)

    question = "select current_setting('data_directory')"
    assert ask(first, question) == str(embedded.status(data_dir).folder)
    assert ask(second, question) == str(embedded.status(copy).folder)


def test_another_server_on_our_port_is_not_taken_for_ours(data_dir):
    url = start(data_dir)
    embedded.stop(data_dir)
    port = int((data_dir / "embedded" / "port").read_text())
    with socket.create_server(("127.0.0.1", port)):
        moved = start(data_dir)

    assert moved != url
    assert ask(moved, "select 1") == 1


def test_a_folder_that_was_half_made_is_made_again(data_dir):
    data_dir.mkdir()
    cluster = embedded.status(data_dir).folder.parent
    (cluster / "data.new").mkdir()
    (cluster / "data.new" / "PG_VERSION").write_text("18\n")

    assert ask(start(data_dir), "select 1") == 1
    assert not (cluster / "data.new").exists()


def test_a_server_that_does_not_start_says_why(data_dir):
    with pytest.raises(DatabaseDown, match="no_such_setting") as caught:
        embedded.ensure_running(data_dir, server_settings={"no_such_setting": "1"})

    assert "server.log" in caught.value.cure


def test_a_folder_that_cannot_be_made_is_a_matter_of_settings(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="cannot use the folder"):
        embedded.ensure_running(tmp_path / "file" / "data")


def test_the_callers_variables_do_not_reach_the_server(data_dir, monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c timezone=Australia/Sydney")
    monkeypatch.setenv("TZ", "Australia/Sydney")
    start(data_dir)

    assert "Sydney" not in str(postmaster(data_dir).environ())


def test_programs_beside_the_data_are_the_servers_own_version(data_dir):
    start(data_dir)

    told = subprocess.run(
        [embedded.binaries(data_dir) / "pg_dump", "--version"], capture_output=True, text=True, check=True
    )

    assert "PostgreSQL) 18." in told.stdout


@needs_root
def test_as_root_the_server_runs_as_nobody_who_owns_the_data_alone(data_dir):
    start(data_dir)
    nobody = pwd.getpwnam("nobody").pw_uid
    folder = embedded.status(data_dir).folder
    owners = {path.name: path.stat().st_uid for path in folder.parent.iterdir()}

    assert postmaster(data_dir).uids().effective == nobody
    assert {name for name, owner in owners.items() if owner == nobody} == {"data", "server.log"}
    assert folder.parent.stat().st_uid == 0


@needs_root
def test_as_root_no_folder_of_roots_is_opened_for_the_server(data_dir, monkeypatch):
    monkeypatch.setattr(embedded_files, "SYSTEM_FOLDER", data_dir.parent / "system")
    private = data_dir / "private"
    private.mkdir(parents=True)
    private.chmod(0o700)
    (data_dir.parent / "system").mkdir()

    url = start(private / "data")
    folder = embedded.status(private / "data").folder

    assert ask(url, "select 1") == 1
    assert folder.is_relative_to(data_dir.parent / "system")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert embedded.stop(private / "data")


def test_a_removed_database_is_gone_wherever_it_lay_and_can_be_made_again(data_dir, monkeypatch):
    """The demo empties its folder: as root, the data lie elsewhere, and the password that was deleted opens nothing."""
    monkeypatch.setattr(embedded_files, "SYSTEM_FOLDER", data_dir.parent / "system")
    private = data_dir / "private"
    private.mkdir(parents=True)
    private.chmod(0o700)
    (data_dir.parent / "system").mkdir()
    tell(start(private / "data"), "create table kept (id int)")
    shutil.rmtree(private / "data")

    embedded.remove(private / "data")
    url = start(private / "data")

    assert ask(url, "select to_regclass('kept') is null")
    assert embedded.stop(private / "data")


@needs_root
def test_as_an_ordinary_user_everything_is_that_users(data_dir):
    nobody = pwd.getpwnam("nobody").pw_uid
    data_dir.mkdir()
    os.chown(data_dir, nobody, -1)

    url = apart(start, data_dir, uid=nobody).get(timeout=60)

    assert ask(url, "select 1") == 1
    assert {path.stat().st_uid for path in data_dir.rglob("*")} == {nobody}
    # Root finds the same server, and leaves it that user's.
    assert start(data_dir) == url


@needs_root
def test_a_database_that_root_made_is_not_an_ordinary_users(data_dir):
    start(data_dir)
    nobody = pwd.getpwnam("nobody").pw_uid

    said = apart(start, data_dir, uid=nobody).get(timeout=60)

    assert said.startswith("ConfigurationError")


MIB = 2**20


@pytest.mark.parametrize(
    ("memory", "buffers"),
    [
        pytest.param(512 * MIB, "128MB", id="never less than Postgres' own"),
        pytest.param(4096 * MIB, "512MB", id="an eighth"),
        pytest.param(65536 * MIB, "1024MB", id="a machine with other work keeps its memory"),
    ],
)
def test_the_cache_of_pages_follows_the_memory_that_there_is(
    monkeypatch: pytest.MonkeyPatch, memory: int, buffers: str
) -> None:
    monkeypatch.setattr(embedded_settings, "memory", lambda: memory)
    assert embedded_settings.server_settings()["shared_buffers"] == buffers


def test_a_container_that_may_use_less_counts_as_the_smaller_machine(tmp_path: Path) -> None:
    machine = embedded_settings.memory(())
    limit, unlimited, missing = tmp_path / "memory.max", tmp_path / "unlimited", tmp_path / "missing"
    limit.write_text(f"{256 * MIB}\n")
    unlimited.write_text("max\n")
    assert embedded_settings.memory((limit,)) == 256 * MIB
    assert embedded_settings.memory((unlimited, missing)) == machine


def test_a_new_server_has_these_settings(data_dir: Path) -> None:
    url = embedded.ensure_running(data_dir, server_settings={"fsync": "off"})
    settings = embedded_settings.server_settings()
    assert {name: ask(url, f"show {name}") for name in ("max_wal_size", "jit")} == {
        name: settings[name] for name in ("max_wal_size", "jit")
    }
    megabytes = ask(url, "select setting::bigint * 8 / 1024 from pg_settings where name = 'shared_buffers'")
    assert f"{megabytes}MB" == settings["shared_buffers"]
