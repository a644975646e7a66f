"""How many entries a second go through the outbox with all that is kept of them, beside a bare claim loop and two job queues.

Ours: `drain` as it is, in 1, 4 and 8 processes, against a target that answers at once: entries reserved and claimed under the
locks of their links, the call and `sending` committed and its number in the witness file before it leaves, then outcome, link,
finished entry, audit and changed key in one transaction; with the answer merged into the mirror, or not. 50 entries a call.
Bare: batches of 50 of the same rows taken by `for update skip locked` and deleted, each batch committed; nothing else.
Peers: their own worker with a job that does nothing, as many bytes a job, durable tables, the same server.
Whether it slows down over time: `bench.outbox_steady`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psutil
import psycopg

from bench import outbox_null
from bench.outbox_null import BATCH, fill, prepare, settings_of
from bench.place import server
from bench.report import PEERS, Measure, run
from tieout.db import Database

TARGET = 20_000
WORKERS = (1, 4, 8)
ENTRIES = 6_000
"""At scale 1, for each number of workers."""
PAYLOAD = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What some workers did together."""

    rate: float
    """Entries a second, from the first that began to the last that ended."""
    python: float
    """CPU microseconds an entry, of the workers."""
    postgres: float
    wal: float
    """Bytes an entry."""

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s"

    @property
    def costs(self) -> str:
        """Where the time goes, and what two cores could do at most with it."""
        each = self.python + self.postgres
        return (
            f"an entry costs {self.postgres:.0f} µs of Postgres, {self.python:.0f} µs of Python and {self.wal / 1000:.1f} KB of "
            f"WAL: two cores end at {2e6 / each:,.0f}/s; a call costs 2 commits and 1 synced witness file"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process, and the file that takes what it says beside its answer."""

    process: subprocess.Popen[str]
    said: IO[str]


@dataclass(slots=True, kw_only=True)
class Place:
    """The server, and what was put in so far."""

    database: Database
    folder: Path
    postmaster: psutil.Process
    filled: int = 0

    def more(self, count: int) -> None:
        """So many entries ready, the planner told, nothing left to write out."""
        with self.database.connect() as connection:
            fill(connection, self.filled + 1, count)
            self.filled += count
            for statement in ("vacuum analyze cdc.outbox", "analyze cdc.links", "checkpoint"):
                connection.execute(statement)

    def cpu(self) -> float:
        """Seconds of all server processes, those that ended too."""
        own = self.postmaster.cpu_times()
        living = sum(_seconds(each) for each in self.postmaster.children())
        return living + float(own.children_user) + float(own.children_system)

    def run(self, command: Sequence[str], workers: int, entries: int) -> Ran:
        """Start workers, let them begin together, wait for the last."""
        started = _started(command, workers)
        with self.database.connect() as connection:
            before, used = _wal(connection), self.cpu()
            for each in started:
                _go(each)
            ended = [_ended(each) for each in started]
            used, written = self.cpu() - used, _wal(connection) - before
        seconds = max(each["ended"] for each in ended) - min(each["began"] for each in ended)
        python = sum(each.get("cpu", 0.0) for each in ended)
        done = sum(each["entries"] for each in ended)
        if done != entries:
            raise RuntimeError(f"{done} entries of {entries}")
        return Ran(
            rate=done / seconds, python=python / done * 1e6, postgres=used / done * 1e6, wal=written / done
        )

    def drain(self, workers: int, entries: int, *, is_mirrored: bool) -> Ran:
        """Our own workers."""
        self.more(entries)
        command = [sys.executable, "-m", outbox_null.__name__, self.database.url, str(self.folder)]
        return self.run([*command, *(["--mirrored"] if is_mirrored else [])], workers, entries)

    @contextmanager
    def draining(self, workers: int, seconds: float) -> Iterator[None]:
        """Our own workers for so long, beside what is done meanwhile."""
        command = [sys.executable, "-m", outbox_null.__name__, self.database.url, str(self.folder)]
        started = _started([*command, "--seconds", str(seconds)], workers)
        for each in started:
            _go(each)
        yield
        for each in started:
            _ended(each)

    def bare(self, workers: int, entries: int) -> Ran:
        """The same entries, claimed and deleted."""
        self.more(entries)
        command = [sys.executable, "-m", outbox_null.__name__, self.database.url, str(self.folder), "--bare"]
        return self.run(command, workers, entries)


@contextmanager
def place() -> Iterator[Place]:
    """A server, the records that the entries refer to, and a folder for its workers."""
    with server() as (settings, database):
        folder = settings.data_dir / "workers"
        folder.mkdir()
        process = int((settings.data_dir / "postgres-18" / "data" / "postmaster.pid").read_text().split()[0])
        with database.connect() as connection:
            prepare(connection, settings_of(database.url, folder))
        yield Place(database=database, folder=folder, postmaster=psutil.Process(process))


def benchmark(scale: float) -> Iterator[Measure]:
    """Several workers of each kind."""
    entries = max(int(ENTRIES * scale), 500) // BATCH * BATCH
    with place() as where:
        where.drain(1, 10 * BATCH, is_mirrored=True)
        best = yield from _drains(where, entries)
        yield from _peers(where, best, max(entries // 3, 500) // 100 * 100)


def _drains(place: Place, entries: int) -> Generator[Measure, None, Ran]:
    best: Ran | None = None
    for workers in WORKERS:
        ours = place.drain(workers, entries, is_mirrored=False)
        bare = place.bare(workers, entries)
        if best is None or ours.rate > best.rate:
            best = ours
        yield Measure(
            work=f"{entries:,} entries, {workers} worker{'s' * (workers > 1)}, answers not mirrored",
            ours=str(ours),
            beside=f"bare claim loop: {bare}",
            ratio=ours.rate / bare.rate,
            target=f"{TARGET:,}/s",
            is_met=ours.rate >= TARGET,
            note=ours.costs,
        )
    if best is None:
        raise RuntimeError("no number of workers was tried")
    ours = place.drain(4, entries, is_mirrored=True)
    yield Measure(
        work=f"{entries:,} entries, 4 workers, answers merged into the mirror",
        ours=str(ours),
        beside=f"the same without: {best}",
        ratio=ours.rate / best.rate,
        note=ours.costs,
    )
    return best


def _peers(place: Place, ours: Ran, jobs: int) -> Iterator[Measure]:
    for name in ("pgqueuer", "procrastinate"):
        if not PEERS.exists():
            yield Measure(work=f"{name}, a job that does nothing", ours=str(ours), beside="not installed")
            continue
        with place.database.connect() as connection:
            connection.execute(f"create database {name}".encode())
        url = place.database.url.rpartition("/")[0] + f"/{name}"
        script = str(Path(__file__).parent / "peers" / f"queue_{name}.py")
        found: dict[int, Ran] = {}
        for workers in (1, 4):
            subprocess.run(
                [str(PEERS), script, "fill", url, str(jobs), str(PAYLOAD)], check=True, capture_output=True
            )
            found[workers] = place.run([str(PEERS), script, "work", url], workers, jobs)
        best = max(found.values(), key=lambda each: each.rate)
        yield Measure(
            work=f"{jobs:,} jobs that do nothing",
            ours=f"{ours} (with all that is kept of an entry)",
            beside=f"{name}: {found[1]} with 1 worker, {found[4]} with 4",
            ratio=ours.rate / best.rate,
        )


def _started(command: Sequence[str], workers: int) -> list[Worker]:
    """Processes that are ready and wait to be told."""
    started = []
    for _ in range(workers):
        said = TemporaryFile("w+")  # noqa: SIM115 (read after the process has ended, gone with the object)
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        )
        started.append(Worker(process=process, said=said))
    for each in started:
        if each.process.stdout is None or each.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"a worker did not begin: {' '.join(command)}")
    return started


def _ended(worker: Worker) -> dict[str, float]:
    """What a worker measured. Raises RuntimeError with its last words when it failed."""
    answer, _ = worker.process.communicate()
    if worker.process.returncode:
        worker.said.seek(0)
        raise RuntimeError(f"a worker ended with {worker.process.returncode}: {worker.said.read()[-2000:]}")
    measured: dict[str, float] = json.loads(answer)
    return measured


def _go(worker: Worker) -> None:
    if worker.process.stdin is not None:
        worker.process.stdin.write("go\n")
        worker.process.stdin.flush()


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _wal(connection: psycopg.Connection[Any]) -> float:
    return float(one(connection, "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))


def one(connection: psycopg.Connection[Any], statement: str) -> Any:
    """The one value of a statement."""
    row = connection.execute(statement.encode()).fetchone()
    return next(iter(row.values())) if row else None


if __name__ == "__main__":
    run(__doc__, benchmark)
