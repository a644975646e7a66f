"""What a diff costs when nothing, little and more changed, at two sizes of the books; what a full sweep costs.

The real models over a shop and its ledger (`bench.books`), in a session that is kept, as `tieout run` keeps it. A change is
either a comment on an order, which no outbound model reads, as most changes of orders are; or a note at its payment, a field
that is read: no field of any document differs, and every model that follows orders must see that for itself.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import psycopg
from psycopg import sql

from bench import books, place
from bench.report import PEERS, ROOT, Measure, run
from cdc.diff import Diffed, diff
from cdc.outbound import models_in_force
from tieout.db import Database
from tieout.settings import Settings

SMALL, LARGE = 5_000, 15_000
"""Orders, at scale 1: what is measured at one is measured at the other."""
SWEPT = 1_000
"""Orders of the sweep at scale 1."""
CHANGES = ((0, False), (100, False), (100, True), (10_000, False), (10_000, True))
"""How many records, and whether in a field that is read."""
TARGETS = {0: 0.005, 100: 0.020, 10_000: 1.0}
SAME = 1.5
AT_MOST = {True: 1_000, False: 5_000}
"""Changed records at scale 1, by whether models read the field: what is meant for 10,000 is measured with so many, and reckoned
up. A thousand are one round, which is read in several sessions.
"""
PEER_VIEW, PEER_KEY = "outbound.out_xero__payments", "_key"


@dataclass
class Memory:
    """The most memory that this process took beside what it had, and that a session of the server had of its own, MiB."""

    server: int
    client: float = 0
    session: float = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Memory:
        self._before = psutil.Process().memory_info().rss / 2**20
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        here, there = psutil.Process(), psutil.Process(self.server)
        while not self._stop.wait(0.2):
            self.client = max(self.client, here.memory_info().rss / 2**20 - self._before)
            for child in there.children():
                try:
                    self.session = max(self.session, child.memory_full_info().uss / 2**20)
                except psutil.Error:
                    continue


def benchmark(scale: float) -> Iterator[Measure]:
    """Sweep and peer on the smallest books, then the diffs at two sizes."""
    with books.server() as (settings, database):
        books.fill(database, int(SWEPT * scale))
        yield from _sweep(settings, database)
        yield from _peer(settings, database)
        found: dict[int, dict[tuple[int, bool], float]] = {}
        sizes = [int(SMALL * scale), int(LARGE * scale)]
        for size in sizes:
            filled = books.fill(database, size)
            found[size] = dict(_diffs(settings, database, scale))
            yield Measure(
                work=f"books of {size:,} orders filled",
                ours=f"{filled.copied / filled.seconds:,.0f} orders/s",
                beside="",
                note="with invoices, payments, contacts, credit notes, their records in the ledger and links; no target",
            )
        for change in CHANGES:
            yield _line(change, found, sizes, scale)
        yield _cold(settings, database)


def _diffs(settings: Settings, database: Database, scale: float) -> Iterator[tuple[tuple[int, bool], float]]:
    """Seconds by what changed, in a session that is kept: the median without the first, which plans."""
    with database.connect(direct=True) as session, database.connect() as shop:
        for count, is_read in CHANGES:
            some = count if scale >= 10 else min(count, AT_MOST[is_read], _orders(database))
            spent = []
            for _ in range(3 if some >= AT_MOST[is_read] else 10):
                if some:
                    books.change(shop, some, is_read=is_read)
                spent.append(_timed(settings, database, session))
            yield (count, is_read), statistics.median(spent[1:]) * (count / some if some else 1)


def _timed(settings: Settings, database: Database, session: psycopg.Connection[dict[str, object]]) -> float:
    began = time.monotonic()
    _refuse_entries(diff(database, settings, session=session))
    return time.monotonic() - began


def _refuse_entries(diffed: Diffed) -> None:
    made = sum(model.created + model.updated + model.removed for model in diffed.models)
    if made:
        raise AssertionError(f"the books were to be at rest, and a diff made {made} entries")


def _line(
    change: tuple[int, bool], found: dict[int, dict[tuple[int, bool], float]], sizes: list[int], scale: float
) -> Measure:
    count, is_read = change
    small, large = (found[size][change] for size in sizes)
    is_reckoned = scale < 10 and count > AT_MOST[is_read]
    seconds = max(small, large)
    return Measure(
        work=f"diff, {count:,} source records changed"
        + (f" in a field that {'models read' if is_read else 'no model reads'}" if count else "")
        + (f" (measured with {min(AT_MOST[is_read], *sizes):,})" if is_reckoned else ""),
        ours=f"{_shown(large)} at {sizes[1]:,} orders",
        beside=f"{_shown(small)} at {sizes[0]:,} orders",
        ratio=large / small,
        target=f"{_shown(TARGETS[count])}, the same within {SAME} ×",
        is_met=seconds < TARGETS[count] and large / small <= SAME,
        note=""
        if seconds < TARGETS[count] or not is_read
        else "the views, run for each key: eleven models follow an order",
    )


def _sweep(settings: Settings, database: Database) -> Iterator[Measure]:
    """The sweep of every model in parallel sessions, and one `select` of the same payloads in one session."""
    orders = _orders(database)
    diff(database, settings)
    with database.connect() as session:
        server = place.postmaster(session)
    with Memory(server=server) as memory:
        began = time.monotonic()
        _refuse_entries(swept := diff(database, settings, full=True))
        seconds = time.monotonic() - began
    looked = sum(model.drivers for model in swept.models)
    with database.connect() as session:
        began = time.monotonic()
        for model in models_in_force(session):
            for view in (model.relation, *(lines.relation for lines in model.lines)):
                session.execute(sql.SQL("select count(to_jsonb(seen.*)::text) from {} as seen").format(view))
        beside = time.monotonic() - began
    yield Measure(
        work=f"full sweep of {orders:,} orders, all models ({looked:,} driving records)",
        ours=f"{looked / seconds:,.0f} records/s ({seconds:.0f} s)",
        beside=f"one select of the payloads: {looked / beside:,.0f} records/s",
        ratio=seconds / beside,
        target="1,000,000 in 20 s: 50,000 records/s",
        is_met=looked / seconds >= 50_000,
        note=f"client at most {memory.client:.0f} MiB more, a session of the server {memory.session:.0f} MiB of its own; "
        "planning each view once a session, then computing the payloads is nearly all of it",
    )


def _peer(settings: Settings, database: Database) -> Iterator[Measure]:
    """drt on one model of ours and the same change, beside a diff of all models."""
    if not PEERS.exists():
        yield Measure(
            work="drt-core on the same change",
            ours="",
            beside="not installed: `make bench` makes its environment",
        )
        return
    with place.folder() as folder, database.connect() as shop:
        shop.execute("create schema if not exists drt_target")
        shop.execute("create table if not exists drt_target.bench (_key text primary key, payload text)")
        shop.execute("create schema if not exists _drt")
        command = [
            str(PEERS),
            str(ROOT / "bench" / "peers" / "diff_drt.py"),
            database.url,
            str(folder),
            PEER_VIEW,
            PEER_KEY,
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as peer:
            if peer.stdout is None or peer.stdin is None or peer.stderr is None:
                raise AssertionError("pipes were asked for")
            if peer.stdout.readline().strip() != "ready":
                yield Measure(
                    work="drt-core on the same change", ours="", beside=f"failed: {peer.stderr.read()[-300:]}"
                )
                return
            books.change(shop, 100, is_read=True)
            theirs = float(json.loads(peer.communicate("go\n")[0].splitlines()[-1])["second"])
        with database.connect(direct=True) as session:
            _timed(settings, database, session)
            books.change(shop, 100, is_read=True)
            ours = _timed(settings, database, session)
    yield Measure(
        work=f"100 records changed among {_orders(database):,} orders: all models, beside drt-core with one ({PEER_VIEW})",
        ours=_shown(ours),
        beside=f"drt run: {_shown(theirs)}",
        ratio=theirs / ours,
        note="drt computes the whole model each time: its cost grows with the books, ours with the change; no target",
    )


def _cold(settings: Settings, database: Database) -> Measure:
    """A new process that finds nothing to do, as a scheduler starts it."""
    program = (
        "import sys, time; began = time.monotonic()\n"
        "from pathlib import Path\n"
        "from cdc.diff import diff\nfrom tieout.db import Database\nfrom tieout.settings import Settings\n"
        "folder = Path(sys.argv[2])\n"
        "diff(Database(sys.argv[1]), Settings(data_dir=folder, project_dir=folder, lookups_dir=folder))\n"
        "print(time.monotonic() - began)"
    )
    command = [sys.executable, "-c", program, database.url, str(settings.data_dir)]
    spent = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)
    ]
    return Measure(
        work="diff, nothing changed, a new process",
        ours=_shown(min(spent)),
        beside="",
        note="imports and login; no target",
    )


def _orders(database: Database) -> int:
    with database.connect() as session:
        row = session.execute("select count(*) as orders from staging.magento__orders").fetchone()
    return int(row["orders"]) if row is not None else 0


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


if __name__ == "__main__":
    run(__doc__, benchmark)
