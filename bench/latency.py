"""How long after a commit in staging is the request that it leads to on the wire? Beside NOTIFY alone on the same server.

`tieout run`'s parts work in a process of their own over books with 2,000 orders (`bench.books`); a small server stands for the
ledger and notes when a request has arrived. Then single orders get another name, as a load would store them, each some time after the one
before; from the commit to the arrival of the contact's update is what is measured. Nothing is loaded meanwhile, and the budget
is free.

    python -m bench.latency --scale 2
"""

from __future__ import annotations

import json
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench import books
from bench.report import Measure, run
from cdc.follow import Follow, Pace
from loaders.records import RawRecord
from loaders.stage import merge
from tieout import events
from tieout.db import Database, json_dumps, next_version
from tieout.limits import Limits
from tieout.settings import Connection, Settings

ORDERS = 2000
CHANGES = 100
WARM = 12
"""Changes before those that are measured: statements are prepared at their second use, and plans kept from the sixth on."""
PATIENCE_SECONDS = 30.0
P50, P99 = 20.0, 100.0
CHANNEL = "bench_latency"
LEDGER = {
    "OrganisationID": "books.example",
    "Name": "Demo Trading (UK)",
    "IsDemoCompany": True,
    "BaseCurrency": "GBP",
}


def benchmark(scale: float) -> Iterator[Measure]:
    """Two lines: commit to wire at p50 and p99."""
    changes = max(20, int(CHANGES * scale))
    with books.server() as (settings, database):
        books.fill(database, ORDERS)
        with ledger() as (address, arrivals), followed(settings, database, address):
            wire = changed(database, arrivals, changes)
            alone = notified(database, changes)
    for name, share, target in (("p50", 0.5, P50), ("p99", 0.99, P99)):
        ours, beside = at(wire, share), at(alone, share)
        yield Measure(
            work=f"commit of an order to the request on the wire, {name} of {changes} changes",
            ours=f"{ours:.1f} ms",
            beside=f"NOTIFY alone {beside:.2f} ms",
            ratio=ours / beside,
            target=f"under {target:g} ms",
            is_met=ours < target,
            note=f"fastest {min(wire):.1f} ms; the contact leaves while other models of the order are looked at"
            if name == "p50"
            else "",
        )


def changed(database: Database, arrivals: queue.SimpleQueue[tuple[str, float]], changes: int) -> list[float]:
    """Milliseconds from each commit to the arrival of what it led to."""
    return [(arrived - committed) * 1000 for committed, arrived in spans(database, arrivals, changes)]


def spans(
    database: Database, arrivals: queue.SimpleQueue[tuple[str, float]], changes: int
) -> list[tuple[float, float]]:
    """When each change was committed and when what it led to arrived, on the monotonic clock."""
    times = []
    with database.connect() as session:
        rows = session.execute(
            "select id, payload from staging.magento__orders"
            " where connection = 'shop' and payload ->> 'customer_is_guest' = '1' and payload ->> 'status' = 'complete' order by id limit 100"
        ).fetchall()
        for number in range(WARM + changes):
            row = rows[number % len(rows)]
            name = f"Renamed {time.time_ns() % 10**9:09}"
            payload = row["payload"]
            record = {**payload, "billing_address": {**payload["billing_address"], "lastname": name}}
            with session.transaction():
                merge(
                    session,
                    system="magento",
                    stream="orders",
                    connection_name=books.SHOP,
                    records=[RawRecord(id=row["id"], raw=json_dumps(record).encode())],
                    asked_version=next_version(session),
                    told_by="poll",
                )
            committed = time.monotonic()
            arrived = _arrival(arrivals, name)
            if number >= WARM:
                times.append((committed, arrived))
            # Other models are still looked at when it leaves; that, and what settles the answer, is over by then: a quiet shop.
            time.sleep(random.uniform(0.3, 0.4))
    return times


def _arrival(arrivals: queue.SimpleQueue[tuple[str, float]], name: str) -> float:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        body, at = arrivals.get(timeout=max(0.001, until - time.monotonic()))
        if name in body:
            return at


def notified(database: Database, times: int) -> list[float]:
    """Milliseconds from a commit that only tells to its hearing."""
    heard: queue.SimpleQueue[float] = queue.SimpleQueue()
    ready = threading.Event()

    def listen() -> None:
        with database.connect(direct=True) as session:
            session.execute(f"listen {CHANNEL}")
            ready.set()
            for _ in session.notifies(stop_after=times):
                heard.put(time.monotonic())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    ready.wait(PATIENCE_SECONDS)
    took = []
    with database.connect() as session:
        session.execute("create table bench.told (number integer)")
        for number in range(times):
            with session.transaction():
                session.execute("insert into bench.told values (%s)", (number,))
                session.execute(f"select pg_notify('{CHANNEL}', '')")
            committed = time.monotonic()
            took.append((heard.get(timeout=PATIENCE_SECONDS) - committed) * 1000)
            time.sleep(0.005)
    return took


def at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# ---------------------------------------------------------------------- the ledger and the process


@contextmanager
def ledger() -> Iterator[tuple[str, queue.SimpleQueue[tuple[str, float]]]]:
    """A server that takes every contact, and what arrived with its time."""
    arrivals: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({"Organisations": [LEDGER]} if "Organisation" in self.path else {})

        def do_POST(self) -> None:
            at = time.monotonic()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            if "token" in self.path:
                self._answer({"access_token": "bench", "expires_in": 1800, "token_type": "Bearer"})
                return
            arrivals.put((body, at))
            sent = json.loads(body)["Contacts"]
            self._answer({"Contacts": [{**each, "ContactStatus": "ACTIVE"} for each in sent]})

        do_PUT = do_POST  # noqa: N815 (http.server's names)

        def _answer(self, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", arrivals
    finally:
        server.shutdown()


@contextmanager
def followed(
    settings: Settings,
    database: Database,
    address: str,
    *,
    program: str = "bench.latency",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[None]:
    """The parts of `tieout run` in a process of their own: `program` calls `child` with the job, which `more` is added to."""
    job = {"data_dir": str(settings.data_dir), "url": database.url, "address": address, **more}
    # What it says is much, and nobody reads it meanwhile.
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process that writes to it)
    process = subprocess.Popen(
        [sys.executable, "-m", program, "--child", json.dumps(job)],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        assert process.stdout is not None, "it is a pipe"
        process.stdout.readline()
        yield
    except queue.Empty:
        log.seek(0)
        raise SystemExit(f"nothing arrived: {log.read()[-3000:]}") from None
    finally:
        process.terminate()
        process.communicate()


def child(job: dict[str, str]) -> None:
    """What `tieout run` does, without loads: until it is ended."""
    events.configure(json=True)
    data_dir = Path(job["data_dir"])
    options = {
        "flow": "custom", "client_id": "bench", "client_secret": "bench", "tenant_id": "bench",
        "api_url": f"{job['address']}/api.xro/2.0", "identity_url": f"{job['address']}/connect/token",
        "calls_a_minute": 10**6, "calls_a_day": 10**8, "calls_a_minute_of_app": 10**6,
    }  # fmt: skip
    settings = Settings(
        data_dir=data_dir,
        project_dir=data_dir.parent,
        lookups_dir=data_dir.parent / "lookups",
        limits=Limits(updates=10**9, updates_share=Decimal(1)),
        connections={
            books.SHOP: Connection(name=books.SHOP, system="magento"),
            books.LEDGER: Connection(name=books.LEDGER, system="xero", writes="on", options=options),
        },
    )
    follow = Follow(Database(job["url"]), settings, pace=Pace(marts=3600), load=lambda *_, **__: [])
    print("ready", flush=True)
    follow.work()


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(json.loads(sys.argv[-1]))
    else:
        run(__doc__ or "", benchmark)
