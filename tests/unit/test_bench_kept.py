"""What benchmarks leave on the disk does not pile up, and what somebody holds stays."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from bench import kept

SLEEPS = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("TIEOUT_BENCH_DIR", raising=False)
    return tmp_path


def of_models(monkeypatch: pytest.MonkeyPatch, mark: str, made: list[str]) -> str:
    """Use the prepared server of these models; its name."""

    def make(here: Path) -> None:
        made.append(mark)
        here.mkdir()

    monkeypatch.setattr(kept, "fingerprint", lambda: mark)
    with kept.kept("books", make) as ready:
        os.utime(
            ready, (len(made), len(made))
        )  # in the order of their use, also within one tick of the clock
        return ready.name


def test_a_prepared_server_is_made_once_and_only_the_last_of_older_models_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    (place / "tieout-bench-built-aa").mkdir()  # of another kind
    (place / "tieout-bench-books-ee.lock").touch()  # removed by hand
    (place / "tieout-bench-books-aa.new").mkdir()  # its run was killed while it copied

    names = [of_models(monkeypatch, mark, made) for mark in ("bb", "bb", "cc", "dd")]

    assert made == ["bb", "cc", "dd"]
    assert {each.name for each in place.iterdir() if each.is_dir()} == {"tieout-bench-built-aa", *names[2:]}
    assert {each.stem for each in place.glob("*.lock")} == set(names[2:])


def test_a_prepared_server_that_somebody_copies_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    first = of_models(monkeypatch, "aa", made)
    of_models(monkeypatch, "bb", made)

    with (place / f"{first}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        of_models(monkeypatch, "cc", made)
        stays = (place / first).exists()
    of_models(monkeypatch, "dd", made)

    assert stays
    assert not (place / first).exists()


def test_a_killed_runs_folder_and_server_are_removed_by_the_next_and_a_living_runs_are_not(
    place: Path,
) -> None:
    dead, alive = place / "tieout-bench-dead", place / "tieout-bench-alive"
    servers = []
    for run in (dead, alive):
        data = run / "data/postgres/data"
        data.mkdir(parents=True)
        (run / "alive").touch()
        servers.append(subprocess.Popen(SLEEPS, cwd=data))
        (data / "postmaster.pid").write_text(f"{servers[-1].pid}\n{data}\n")
    stranger = subprocess.Popen(SLEEPS, cwd=place)
    (dead / "other").mkdir()
    (dead / "other/postmaster.pid").write_text(f"{stranger.pid}\n")  # its number is somebody else's today

    try:
        with (alive / "alive").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with kept.folder() as made, kept.folder():
                left = {each.name for each in place.iterdir()}

        assert {alive.name, made.name} <= left
        assert dead.name not in left
        assert [psutil.pid_exists(each.pid) for each in (*servers, stranger)] == [False, True, True]
        assert not made.exists()
    finally:
        for process in (*servers, stranger):
            process.kill()
            process.wait()
