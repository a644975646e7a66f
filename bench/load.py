"""Loading Xero invoices (five lines, 2.7 KB) from a server of JSON pages into staging tables, beside a raw COPY of the same jsonb
and two peers: first load on one connection and on two, nothing changed, 1 % changed, memory.

Ours is `loaders.poll.load` with the real Xero client in a process of its own: login, budget, versions, history, changes. Raw
COPY has the documents in a file, puts them into a table without an index, in one transaction.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from urllib.request import Request, urlopen

from psycopg import Connection, sql

from bench.load_server import PAGE
from bench.peers import load_singer
from bench.place import server
from bench.report import PEERS, ROOT, SINGER, Measure, run
from loaders import stage
from loaders.records import RawRecord
from loaders.stream import find_stream
from tieout.db import Database, next_version

DOCUMENTS = 30_000
ROUNDS = 3
BLOCK_BYTES = 1 << 18
MEMORY_MB = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One database, one server of documents."""

    database: Database
    folder: Path
    address: str
    count: int

    @property
    def documents(self) -> Path:
        return self.folder / "documents.jsonl"

    def load(self, *connections: str, full: bool = False) -> dict[str, float]:
        """A process that loads all documents into each connection at the same time; what it says it took."""
        command = [
            sys.executable,
            "-m",
            "bench.load_child",
            str(self.folder),
            self.database.url,
            self.address,
        ]
        command += [*connections, *(["--full"] if full else [])]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RuntimeError(ran.stderr[-4000:])
        told: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
        # A load looks again at the newest two minutes: a few are read twice, and counted once.
        assert told["rows"] >= self.count * len(connections), told
        return told | {"rate": self.count * len(connections) / told["seconds"]}


def benchmark(scale: float) -> Iterator[Measure]:
    """First loads, the same again unchanged and a little changed, and the memory of the process."""
    count = max(2, round(DOCUMENTS * scale / PAGE)) * PAGE
    with server() as (settings, database), source(settings.project_dir, count) as address:
        place = _Place(database=database, folder=settings.project_dir, address=address, count=count)
        with database.connect() as connection:
            yield _fetching(place)
            raws, ones, twos, memory = _first_loads(place, connection)
            raw, one, two = map(statistics.median, (raws, ones, twos))
            size = f"first load of {count:,} invoices"
            note = _stored(place, connection)
            yield _line(f"{size}, one connection", one, "raw COPY of the same jsonb", raw, 0.75, note)
            yield _line(f"{size} each, two connections at once", two, "raw COPY on one", raw, 1.3)
            yield from _peers(place, one)
            yield _unchanged_merge(place, connection)
            yield from _again(place, connection)
            yield _memory(place, memory)


def _first_loads(
    place: _Place, connection: Connection[Any]
) -> tuple[list[float], list[float], list[float], float]:
    """Rates of raw COPY, one connection and two, in turn; the largest memory."""
    raws, ones, twos, memory = [_raw_copy(place, connection)], [], [], 0.0
    for number in range(ROUNDS):
        told = place.load(f"one_{number}")
        ones.append(told["rate"])
        raws.append(_raw_copy(place, connection))
        both = place.load(f"two_{number}", f"three_{number}")
        twos.append(both["rate"])
        memory = max(memory, told["memory_mb"], both["memory_mb"])
    return raws[1:], ones, twos, memory


def _stored(place: _Place, connection: Connection[Any]) -> str:
    """What a staging table keeps uncompressed, and a plain table does not: how much that is, and COPY into such a table."""
    rate = _raw_copy(place, connection, _KEPT_PLAIN)
    row = connection.execute(
        """
        select
            pg_table_size('staging.xero__invoices') / (select count(*) from staging.xero__invoices) as ours,
            pg_table_size('public.raw_copy') / (select count(*) from public.raw_copy) as theirs
        """
    ).fetchone()
    assert row is not None, "sizes are one row"
    return (
        f"{row['ours'] / 1000:.1f} KB of disk a document, payloads of up to 4 KB uncompressed; COPY's table "
        f"{row['theirs'] / 1000:.1f} KB, compressed. COPY into a table that stores as ours: {rate:,.0f} documents/s"
    )


_COMPRESSED = "create table if not exists public.raw_copy (payload jsonb)"
_KEPT_PLAIN = "create table if not exists public.raw_plain (payload jsonb) with (toast_tuple_target = 4080)"


def _raw_copy(place: _Place, connection: Connection[Any], table: LiteralString = _COMPRESSED) -> float:
    name = "raw_copy" if table == _COMPRESSED else "raw_plain"
    connection.execute(table)
    connection.execute(sql.SQL("truncate public.{}").format(sql.Identifier(name)))
    connection.execute("checkpoint")
    began = time.perf_counter()
    with (
        place.documents.open("rb") as documents,
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy public.{} from stdin").format(sql.Identifier(name))) as copy,
    ):
        while block := documents.read(BLOCK_BYTES):
            copy.write(block)
    return place.count / (time.perf_counter() - began)


def _fetching(place: _Place) -> Measure:
    """The server's own limit, so that nobody takes it for ours."""
    began, received = time.perf_counter(), 0
    for number in range(1, place.count // PAGE + 1):
        with urlopen(f"{place.address}/api.xro/2.0/Invoices?page={number}") as answer:  # noqa: S310 (our own address)
            received += len(answer.read())
    seconds = time.perf_counter() - began
    return Measure(
        work=f"fetching {place.count:,} invoices in pages of {PAGE:,}, nothing else",
        ours=f"{place.count / seconds:,.0f} documents/s, {received / seconds / 1e6:,.0f} MB/s",
        beside="",
        note="the limit that the server and one plain client set",
    )


def _line(work: str, ours: float, beside: str, theirs: float, target: float, note: str = "") -> Measure:
    ratio = ours / theirs
    return Measure(
        work=work,
        ours=f"{ours:,.0f} documents/s",
        beside=f"{beside}: {theirs:,.0f} documents/s",
        ratio=ratio,
        target=f"≥ {target:g} ×",
        is_met=ratio >= target,
        note=note,
    )


def _peers(place: _Place, ours: float) -> Iterator[Measure]:
    work = f"first load of {place.count:,} invoices, beside"
    if PEERS.exists():
        note = "append, which looks for nothing that is there: in its favour"
        yield _line(f"{work} dlt", ours, "dlt", place.count / _dlt(place), 8, note)
    else:
        yield Measure(work=f"{work} dlt", ours="", beside="not installed (make bench makes its environment)")
    if SINGER.exists():
        program = SINGER.with_name("target-postgres")
        seconds = load_singer.seconds(program, place.database.url, place.folder, place.documents)
        name = "pipelinewise-target-postgres"
        yield _line(f"{work} a Singer target", ours, name, place.count / seconds, 5)
    else:
        yield Measure(work=f"{work} a Singer target", ours="", beside="not installed (make bench makes it)")


def _dlt(place: _Place) -> float:
    script = ROOT / "bench" / "peers" / "load_dlt.py"
    command = [
        str(PEERS),
        str(script),
        place.address,
        place.database.url,
        str(place.folder / "dlt"),
        "append",
    ]
    ran = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr[-4000:])
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["rows"] == place.count, told
    return float(told["seconds"])


def _unchanged_merge(place: _Place, connection: Connection[Any]) -> Measure:
    """The merge alone, hashing included, beside a merge that sends every record."""
    records = [RawRecord(id=_id(line), raw=line) for line in place.documents.read_bytes().splitlines()]
    pages = [records[start : start + PAGE] for start in range(0, len(records), PAGE)]
    target = stage._Target.of(  # noqa: SLF001 (the way that merge goes with what it must send)
        connection, find_stream("xero", "invoices"), "one_0", told_by="backfill", form="full", run=None
    )
    number = next_version(connection)

    def ask(page: list[RawRecord]) -> stage.Merged:
        return stage.merge(
            connection,
            system="xero",
            stream="invoices",
            connection_name="one_0",
            records=page,
            asked_version=number,
            told_by="backfill",
        )

    def send(page: list[RawRecord]) -> stage.Merged:
        return target.compare(page, number)

    asked, sent = [], []
    for _ in range(ROUNDS):
        asked.append(_merge_rate(connection, pages, ask, writes=False))
        sent.append(_merge_rate(connection, pages, send, writes=True))
    assert next_version(connection) == number + 1, "an unchanged page took a version"
    ours, theirs = statistics.median(asked), statistics.median(sent)
    return Measure(
        work=f"merge of {place.count:,} unchanged invoices: hashes asked first",
        ours=f"{ours:,.0f} documents/s",
        beside=f"sending everything: {theirs:,.0f} documents/s",
        ratio=ours / theirs,
        target="≥ 120,000 documents/s",
        is_met=ours >= 120_000,
        note="no transaction number was assigned (so nothing was written), no version taken",
    )


def _merge_rate(
    connection: Connection[Any],
    pages: list[list[RawRecord]],
    merge: Callable[[list[RawRecord]], stage.Merged],
    *,
    writes: bool,
) -> float:
    total = stage.Merged()
    began = time.perf_counter()
    for page in pages:
        with connection.transaction():
            total += merge(page)
            row = connection.execute("select pg_current_xact_id_if_assigned() as number").fetchone()
            assert writes or row == {"number": None}, row
    seconds = time.perf_counter() - began
    assert total == stage.Merged(unchanged=sum(map(len, pages))), total
    return total.unchanged / seconds


def _id(line: bytes) -> str:
    return str(json.loads(line)["InvoiceID"])


def _again(place: _Place, connection: Connection[Any]) -> Iterator[Measure]:
    """Whole loads again: nothing changed, and 1 % changed, in turn."""
    same, changed = [], []
    for _ in range(ROUNDS):
        before = _mirror(connection)
        told = place.load("one_0", full=True)
        assert _mirror(connection) == before, "an unchanged load wrote"
        same.append(told["seconds"])
        request = Request(f"{place.address}/change?share=0.01", method="POST")  # noqa: S310 (our own address)
        with urlopen(request) as answer:  # noqa: S310
            edited = json.load(answer)["changed"]
        told = place.load("one_0", full=True)
        assert told["changed"] == edited, told
        changed.append(told["seconds"])
    unchanged, with_changes = statistics.median(same), statistics.median(changed)
    yield Measure(
        work=f"load of {place.count:,} invoices again, nothing changed",
        ours=f"{place.count / unchanged:,.0f} documents/s",
        beside="",
        note="fetching, splitting, hashing and asking; no row, change or history row written",
    )
    yield Measure(
        work=f"load of {place.count:,} invoices again, 1 % changed",
        ours=f"{with_changes:.2f} s",
        beside=f"nothing changed: {unchanged:.2f} s",
        ratio=with_changes / unchanged,
        target="≤ 1.3 ×",
        is_met=with_changes <= 1.3 * unchanged,
    )


def _mirror(connection: Connection[Any]) -> object:
    return connection.execute(
        """
        select
            (select max(version) from staging.xero__invoices) as version,
            (select count(*) from cdc.history) as history,
            (select count(*) from cdc.changes) as changes,
            (select max(xmin::text::bigint) from staging.xero__invoices) as writer
        """
    ).fetchone()


def _memory(place: _Place, largest: float) -> Measure:
    few = max(1, place.count // PAGE // 6) * PAGE
    folder = place.folder / "few"
    folder.mkdir()
    with source(folder, few) as address:
        small = _Place(database=place.database, folder=folder, address=address, count=few)
        memory = small.load("few")["memory_mb"]
    return Measure(
        work=f"largest memory of a process that loads {place.count:,} invoices (two connections at once)",
        ours=f"{largest:.0f} MB",
        beside=f"{few:,} invoices, one connection: {memory:.0f} MB",
        ratio=largest / memory,
        target=f"< {MEMORY_MB} MB",
        is_met=max(largest, memory) < MEMORY_MB,
    )


@contextmanager
def source(folder: Path, count: int) -> Iterator[str]:
    """The server of documents as a process of its own; its address."""
    command = [sys.executable, "-m", "bench.load_server", str(folder), str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    run(__doc__ or "", benchmark)
