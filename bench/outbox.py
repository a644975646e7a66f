"""How many entries a second go through the outbox with all that is kept of them, beside a bare claim loop and two job queues.

Ours: `drain` as it is, in 1, 4 and 8 processes, against a target that answers at once: entries reserved and claimed under the
locks of their links, the call and `sending` committed and its number in the witness file before it leaves, then outcome, link,
finished entry, audit and changed key in one transaction; with the answer merged into the mirror, or not. 50 entries a call.
Bare: batches of 50 of the same rows taken by `for update skip locked` and deleted, each batch committed; nothing else.
Peers: their own worker with a job that does nothing, as many bytes a job, durable tables, the same server.
The last line drains what is filled at the same time and compares the last quarter with the first (ten minutes: --scale 40).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
STEADY_SECONDS = 15
BACKLOG = 1_500
"""So many entries are ready, at least, while a steady state is measured."""


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
        living = sum(_seconds(one) for one in self.postmaster.children())
        return living + float(own.children_user) + float(own.children_system)

    def run(self, command: Sequence[str], workers: int, entries: int) -> Ran:
        """Start workers, let them begin together, wait for the last."""
        started = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            for _ in range(workers)
        ]
        for one in started:
            if one.stdout is None or one.stdout.readline() != "ready\n":
                raise RuntimeError(f"a worker did not begin: {' '.join(command)}")
        with self.database.connect() as connection:
            before, used = _wal(connection), self.cpu()
            for one in started:
                if one.stdin is not None:
                    one.stdin.write("go\n")
                    one.stdin.flush()
            ended = [json.loads(one.communicate()[0]) for one in started]
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

    def bare(self, workers: int, entries: int) -> Ran:
        """The same entries, claimed and deleted."""
        self.more(entries)
        command = [sys.executable, "-m", outbox_null.__name__, self.database.url, str(self.folder), "--bare"]
        return self.run(command, workers, entries)


def benchmark(scale: float) -> Iterator[Measure]:
    """Several workers of each kind; then a while of filling and draining at once."""
    entries = max(int(ENTRIES * scale), 500) // BATCH * BATCH
    with server() as (settings, database):
        folder = settings.data_dir / "workers"
        folder.mkdir()
        process = int((settings.data_dir / "postgres-18" / "data" / "postmaster.pid").read_text().split()[0])
        place = Place(database=database, folder=folder, postmaster=psutil.Process(process))
        with database.connect() as connection:
            prepare(connection, settings_of(database.url, folder))
        place.drain(1, 10 * BATCH, is_mirrored=True)
        best = yield from _drains(place, entries)
        yield from _peers(place, best, max(entries // 3, 500) // 100 * 100)
        yield _steady(place, STEADY_SECONDS * scale)


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


def _steady(place: Place, seconds: float) -> Measure:
    """Filled while it is drained by two workers: does it slow down?"""
    place.more(BACKLOG)
    command = [
        sys.executable,
        "-m",
        outbox_null.__name__,
        place.database.url,
        str(place.folder),
        "--seconds",
        str(seconds),
    ]
    with place.database.connect() as connection:
        last = _one(connection, "select coalesce(max(entry), 0) from cdc.outbox_done")
        size = _one(connection, "select pg_total_relation_size('cdc.outbox')")
        workers = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            for _ in range(2)
        ]
        for one in workers:
            if one.stdout is not None and one.stdin is not None:
                one.stdout.readline()
                one.stdin.write("go\n")
                one.stdin.flush()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if _one(connection, "select count(*) from cdc.outbox where state = 'ready'") < BACKLOG:
                fill(connection, place.filled + 1, BACKLOG // 3)
                place.filled += BACKLOG // 3
            time.sleep(0.05)
        for one in workers:
            one.communicate()
        quarters = [
            int(row["entries"])
            for row in connection.execute(
                """
                with done as (select finished_at from cdc.outbox_done where entry > %(last)s),
                span as (select min(finished_at) as first, min(finished_at) + make_interval(secs => %(seconds)s) as last from done)
                select quarter, count(*) filter (
                    where done.finished_at >= span.first + (quarter - 1) * (span.last - span.first) / 4
                    and done.finished_at < span.first + quarter * (span.last - span.first) / 4
                ) as entries
                from generate_series(1, 4) as quarter cross join span cross join done
                group by quarter order by quarter
                """,
                {"last": last, "seconds": seconds},
            )
        ]
        dead = _one(
            connection, "select n_dead_tup from pg_stat_user_tables where relid = 'cdc.outbox'::regclass"
        )
        grown = _one(connection, "select pg_total_relation_size('cdc.outbox')")
        how = _one(
            connection,
            "select array_to_string(reloptions, ', ') from pg_class where oid = 'cdc.outbox'::regclass",
        )
    ratio = quarters[3] / quarters[0] if quarters[0] else None
    return Measure(
        work=f"filled while drained for {seconds:.0f} s, 2 workers",
        ours=f"last quarter {4 * quarters[3] / seconds:,.0f}/s",
        beside=f"first quarter {4 * quarters[0] / seconds:,.0f}/s",
        ratio=ratio,
        target="not falling",
        is_met=ratio is not None and ratio >= 0.9,
        note=f"cdc.outbox: {dead:,} dead rows at the end, {size / 1e6:.0f} MB before and {grown / 1e6:.0f} MB after; {how}",
    )


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _wal(connection: psycopg.Connection[Any]) -> float:
    return float(_one(connection, "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))


def _one(connection: psycopg.Connection[Any], statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    return next(iter(row.values())) if row else None


if __name__ == "__main__":
    run(__doc__, benchmark)
