"""What benchmarks leave on the disk: folders of runs, and prepared servers that later runs copy.

Both carry a lock that dies with the process that holds it. What nobody holds is removed by the next that comes: a killed run's
folder with the processes that it left behind, and the prepared servers of older models. One of these stays: comparing two
branches goes from one to the other and back.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from console import stands

PREFIX = "tieout-bench-"
BESIDE = 1
"""Prepared servers of other models that stay."""
_ALIVE = "alive"
_END_SECONDS = 5


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of this run alone, which the server's user may pass through; TIEOUT_BENCH_DIR moves it to a larger disk."""
    place = Path(os.environ.get("TIEOUT_BENCH_DIR") or tempfile.gettempdir())
    _remove_dead_runs(place)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    made.chmod(0o711)  # as root the server runs as another user
    with (made / _ALIVE).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def kept(kind: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """A folder that `make` fills when nothing of today's models is there; nobody removes it until the block ends."""
    here = Path(tempfile.gettempdir()) / f"{PREFIX}{kind}-{fingerprint()}"
    with _held(here.with_suffix(".lock")):
        if not here.exists():
            made = here.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            make(made)
            made.rename(here)
            _remove_older(here, kind)
        os.utime(here)
        yield here


def copy_files(there: Path, here: Path) -> None:
    """With their owner, which as root is another user."""
    subprocess.run(["cp", "-a", str(there), str(here)], check=True)


def fingerprint() -> str:
    """Of everything that a prepared server depends on."""
    root = Path(__file__).parents[1]
    folders = ("models", "sql", "cdc", "loaders", "tieout", "bench")
    files = sorted(
        file
        for name in folders
        for file in (root / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
    seen = hashlib.sha256()
    for file in files:
        is_bench = file.relative_to(root).parts[0] == "bench"
        if file.name == "README.md" or (is_bench and not file.name.startswith("books")):
            continue
        seen.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return seen.hexdigest()[:16]


@contextmanager
def _held(file: Path, *, waits: bool = True) -> Iterator[None]:
    """Hold a lock whose file its holder may remove. BlockingIOError: another has it, and `waits` is false."""
    while True:
        with file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                is_there = os.path.samestat(os.fstat(lock.fileno()), file.stat())
            except FileNotFoundError:
                is_there = False
            if is_there:  # else it was removed while we waited, and the next makes another
                yield
                return


def _remove_older(here: Path, kind: str) -> None:
    others = [
        other
        for other in here.parent.glob(f"{PREFIX}{kind}-*")
        if other.suffix != ".lock" and other.stem != here.stem
    ]
    # Half a copy (.new) is of no use to anybody; of whole ones those that were used last stay.
    others.sort(key=lambda other: (other.suffix != ".new", other.stat().st_mtime))
    whole = sum(1 for other in others if not other.suffix)
    for other in others[: len(others) - min(BESIDE, whole)]:
        lock = other.with_suffix(".lock")
        with contextlib.suppress(OSError), _held(lock, waits=False):  # held, or another user's
            shutil.rmtree(other)
            lock.unlink()
    for lock in here.parent.glob(f"{PREFIX}{kind}-*.lock"):
        # Of one that was removed by hand, or that nobody came to make.
        if not lock.with_suffix("").exists():
            with contextlib.suppress(OSError), _held(lock, waits=False):
                lock.unlink()


def _remove_dead_runs(place: Path) -> None:
    for dead in place.glob(f"{PREFIX}*"):
        # Without the file: a prepared server, or just being made. Held: alive. Closed to us: another user's.
        with contextlib.suppress(OSError), (dead / _ALIVE).open() as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stands.stop(dead)
            _end_servers(dead)
            shutil.rmtree(dead, ignore_errors=True)


def _end_servers(dead: Path) -> None:
    """Postgres works in its data folder, which tells it from whoever has its number today."""
    for file in dead.rglob("postmaster.pid"):
        with contextlib.suppress(psutil.Error, ValueError, IndexError):
            process = psutil.Process(int(file.read_text().splitlines()[0]))
            if Path(process.cwd()) == file.parent.resolve():
                process.send_signal(signal.SIGQUIT)
                process.wait(_END_SECONDS)
