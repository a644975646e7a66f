"""One set of books on more machines: workers on several hosts, and BI on a streaming replica.

Hosts are processes of `tieout drain`, each with a data folder of its own (so a witness of its own) that was let in with
`tieout recover --join`; all share one Postgres by URL. The shop's stand-in answers each write after LATENCY, as a vendor does:
what a worker does meanwhile is wait, and that is what more workers save. Afterwards the shop is asked whether any order was
told the same thing twice.

The replica is made by `pg_basebackup` from the same server and follows it by streaming; BI logs in there as a member of
`tieout_reader`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psycopg
from click.testing import CliRunner
from cryptography.fernet import Fernet
from psycopg.conninfo import conninfo_to_dict

from bench import place
from bench.books import change
from bench.report import ROOT, Measure, run
from cdc.marts import refresh
from console.cli import main
from sandbox import magento, trade, xero
from sandbox.serving import Running
from sandbox.stand import Stand
from tieout import embedded
from tieout.db import Database
from tieout.embedded_files import own
from tieout.embedded_files import place as cluster_of

ORDERS = 120
"""Placed in the shop; of two thirds it is told one thing, each by a call of its own."""
LATENCY = 0.2
"""Seconds that the shop takes for a write. A REST call that saves an order takes 100 to 500 ms in a shop of ordinary size."""
HOSTS = (1, 1, 2, 4)
CALLS_AT_ONCE = (1, 3, 1, 1)
"""Of each host, beside HOSTS: first one call after the other, then as a drain does by itself, then more hosts."""
REFRESHES = 10


@dataclass(kw_only=True)
class Books:
    """One set of books: stand-ins, a database by URL, a settings file that every host has."""

    folder: Path
    database: Database
    shop: Running
    ledger: Running
    key: str
    """Of the vault: all hosts share it."""

    def tieout(self, host: int, *arguments: str, at_once: int) -> subprocess.Popen[str]:
        """A command on a host, with at most so many calls at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "console", *arguments, "--json"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **self._env(host, at_once)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, host: int = 1, codes: tuple[int, ...] = (0,)) -> None:
        """A command on a host that is not measured, so in this process; it must end with one of the codes."""
        done = CliRunner().invoke(main, arguments, env=self._env(host))
        if done.exit_code not in codes:
            raise SystemExit(f"{arguments} ended with {done.exit_code}: {done.output[-2000:]}")

    def _env(self, host: int, at_once: int = 1) -> dict[str, str]:
        return {
            "TIEOUT_SETTINGS": str(self.folder / "tieout.toml"),
            "TIEOUT_DATA_DIR": str(self.folder / f"host{host}"),
            "TIEOUT_VAULT_KEY": self.key,
            "TIEOUT_DRAIN__CALLS_AT_ONCE": str(at_once),
        }

    def row(self, statement: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """One row of the database."""
        with self.database.connect() as session:
            found = session.execute(statement, values).fetchone()
        assert found is not None
        return found


def benchmark(scale: float) -> Iterator[Measure]:
    """Workers, then the replica, on the same books."""
    with place.server() as (settings, database), _books(settings.data_dir.parent, database) as books:
        yield from _hosts(books, max(60, round(ORDERS * scale)))
        yield from _replica(books, settings.data_dir)


@contextmanager
def _books(folder: Path, database: Database) -> Iterator[Books]:
    shop = magento.start(race_window_ms=0)
    ledger = xero.start(minute=None, day=None, concurrent=None, appminute=None)
    books = Books(
        folder=folder, database=database, shop=shop, ledger=ledger, key=Fernet.generate_key().decode()
    )
    try:
        _write_settings(books)
        yield books
    finally:
        shop.stop()
        ledger.stop()


def _write_settings(books: Books) -> None:
    shop, ledger = books.shop.credentials, books.ledger.credentials
    secrets = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    lines = [
        'environment = "test"',
        "[database]",
        f"url = '{books.database.url}'",
        "[limits]",
        "creates = 100000",
        "updates = 100000",
        "updates_share = 1",
        "[connections.shop]",
        'system = "magento"',
        'writes = "on"',
        'auth = "oauth1"',
        f"base_url = '{books.shop.address}'",
        *(f"{name} = '{shop[name]}'" for name in secrets),
        "[connections.books]",
        'system = "xero"',
        'writes = "on"',
        'flow = "custom"',
        f"client_id = '{ledger['custom_client_id']}'",
        f"client_secret = '{ledger['custom_client_secret']}'",
        f"tenant_id = '{ledger['tenant_id']}'",
        f"api_url = '{books.ledger.address}/api.xro/2.0'",
        f"identity_url = '{books.ledger.address}/connect/token'",
        "calls_a_minute = 100000",
        "calls_a_day = 1000000",
    ]
    (books.folder / "tieout.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------- workers on more hosts


def _hosts(books: Books, orders: int) -> Iterator[Measure]:
    """The same work with one host, one call after the other and three at once, then with two and four hosts; a host beyond the
    first is refused, then let in.
    """
    for name in ("shop", "books"):
        books.run("connect", name)
    books.run("build")
    _make_ready(books, orders)
    ready = books.row(_READY)["entries"]
    alone: float | None = None
    known = 1
    parts = [hosts * at_once for hosts, at_once in zip(HOSTS, CALLS_AT_ONCE, strict=True)]
    for number, (count, at_once) in enumerate(zip(HOSTS, CALLS_AT_ONCE, strict=True)):
        # To each sender the same: what it does must outweigh that they do not start in the same moment.
        share = ready * parts[number] // sum(parts) if number != len(parts) - 1 else None
        books.row(_RELEASE, {"entries": share})
        for host in range(known + 1, count + 1):
            # A machine that never wrote from this database is refused until somebody says that it may.
            books.run("drain", "shop", host=host, codes=(3,))
            books.run("recover", "--join", host=host)
        known = count
        calls, seconds, by_host = _drain(books, count, at_once)
        rate = calls / seconds
        alone = alone or rate
        yield Measure(
            work=f"{calls} write calls of one order each, the shop takes {LATENCY * 1000:.0f} ms: {count} host(s), "
            f"{at_once} call(s) at once each",
            ours=f"{rate:,.1f} calls/s",
            beside=f"one host, one call at once: {alone:,.1f} calls/s" if number else "",
            ratio=rate / alone if number else None,
            note=f"calls by host: {', '.join(map(str, by_host))}; no order was told anything twice",
        )


def _make_ready(books: Books, orders: int) -> None:
    """Orders that are in the ledger already; what the shop is told about them is ready."""
    trade.play(Stand(magento=books.shop.address, xero=books.ledger.address), orders, bad=False)
    books.run("load")
    books.run("diff", codes=(0, 5))
    books.run("link", "propose")
    books.run("link", "approve", "--reason", "benchmark")
    books.run("holds", "approve", "--reason", "benchmark", codes=(0, 3))
    books.run("drain", "books", codes=(0, 5))
    books.run("load", "books")
    books.run("diff", codes=(0, 5))
    books.run("holds", "approve", "--reason", "benchmark", codes=(0, 3))


_READY = """
select count(*) as entries
from cdc.outbox
where connection = 'shop' and entity = 'order_comments' and state = 'ready'
"""

_RELEASE = """
with ready as (
    select entry, row_number() over (order by entry) <= %(entries)s::bigint as is_now
    from cdc.outbox
    where connection = 'shop' and entity = 'order_comments' and state = 'ready'
),

put_off as (
    update cdc.outbox
    set not_before = case when coalesce(ready.is_now, true) then now() else now() + interval '1 hour' end
    from ready
    where outbox.entry = ready.entry
    returning outbox.entry
)

select count(*) as entries from put_off
"""
"""Let so many of them be sent now (null: all that are left), and the others later."""


def _drain(books: Books, hosts: int, at_once: int) -> tuple[int, float, list[int]]:
    """Calls, seconds from the first that left to the last answer, and calls by host."""
    before = books.row("select coalesce(max(number), 0) as number from cdc.calls")["number"]
    fault = {"kind": "slow", "method": "POST", "path": "", "seconds": LATENCY, "times": 100_000}
    httpx.post(f"{books.shop.address}/_sandbox/faults", json=fault).raise_for_status()
    started = [books.tieout(host, "drain", "shop", at_once=at_once) for host in range(1, hosts + 1)]
    for each in started:
        _, said = each.communicate()
        if each.returncode not in (0, 4, 5):
            raise SystemExit(f"a host ended with {each.returncode}: {said[-2000:]}")
    httpx.delete(f"{books.shop.address}/_sandbox/faults").raise_for_status()
    told = books.row(_CALLS, {"before": before})
    _prove_once(books)
    return told["calls"], float(told["seconds"]), told["by_run"]


_CALLS = """
select
    sum(calls)::int as calls,
    extract(epoch from max(last) - min(first)) as seconds,
    array_agg(calls order by calls desc) as by_run
from (
    select count(*) as calls, min(sent_at) as first, max(settled_at) as last
    from cdc.calls
    where number > %(before)s
    group by run
) as runs
"""


_LEFT = """
select count(*) as entries, array_agg(concat_ws(' ', entity, key, state, reason)) as which
from cdc.outbox
where connection = 'shop' and state in ('ready', 'sending', 'in_doubt') and not_before <= now()
"""


def _prove_once(books: Books) -> None:
    """Raises when an order has a comment of ours twice, or the ledger an invoice number."""
    stand = Stand(magento=books.shop.address, xero=books.ledger.address)
    for order in stand.state("orders"):
        said = [each["comment"] for each in order.get("status_histories") or [] if each.get("comment")]
        twice = [comment for comment, count in Counter(said).items() if count > 1]
        assert not twice, f"order {order['entity_id']} was told twice: {twice}"
    left = books.row(_LEFT)
    assert left["entries"] == 0, f"{left['entries']} entries for the shop are left: {left['which']}"


# --------------------------------------------------------------------------- BI on a streaming replica


def _replica(books: Books, data_dir: Path) -> Iterator[Measure]:
    """A standby of the same server; marts are refreshed on the primary and read on the standby by BI's own role."""
    password = "bench"  # noqa: S105 (a server of its own, thrown away)
    with books.database.connect() as session:
        session.execute(f"create role bench_bi login password '{password}' in role tieout_reader")
    refresh(books.database)
    with _standby(books.database, data_dir) as port:
        url = f"postgresql://bench_bi:{password}@127.0.0.1:{port}/{embedded.NAME}"
        with psycopg.connect(url, autocommit=True) as reader, books.database.connect() as session:
            _check_reader(reader)
            rows, lags = 0, []
            for number in range(REFRESHES):
                change(session, 10, edit={"state": ("closed", "complete")[number % 2]})
                rows += sum(count for _, count in refresh(books.database))
                done = time.monotonic()
                wanted = session.execute(_AS_OF).fetchone()
                assert wanted is not None
                while (reader.execute(_AS_OF).fetchone() or (None,))[0] != wanted["as_of"]:
                    time.sleep(0.001)
                lags.append((time.monotonic() - done) * 1000)
            assert rows, "the refreshes had something to do"
            yield Measure(
                work=f"marts refreshed on the primary {REFRESHES} times ({rows} rows), until BI reads them on the standby",
                ours=f"median {median(lags):.1f} ms, longest {max(lags):.1f} ms",
                beside="",
                note="pg_basebackup and streaming; the role tieout_reader; both servers on these two cores",
            )


_AS_OF = "select max(as_of) as as_of from marts.sales"


def _check_reader(reader: psycopg.Connection[Any]) -> None:
    """BI reads marts and canonical models there, nothing else, and writes nothing."""
    assert (reader.execute("select pg_is_in_recovery()").fetchone() or (None,))[0] is True
    for allowed in ("table marts.sales", "table marts.receivables", "table canonical.orders"):
        reader.execute(allowed)
    for refused in ("table staging.magento__orders", "delete from marts.sales"):
        try:
            reader.execute(refused)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
            continue
        raise AssertionError(f"BI may do this: {refused}")


@contextmanager
def _standby(database: Database, data_dir: Path) -> Iterator[int]:
    """A streaming replica of the embedded server, on a port of its own."""
    primary = conninfo_to_dict(database.url)
    programs = embedded.binaries(data_dir)
    cluster, owner = cluster_of(data_dir)
    folder = cluster.parent / "standby"
    folder.mkdir(mode=0o700)
    own(folder, owner)
    as_owner: dict[str, Any] = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}

    def program(name: str, *arguments: str) -> None:
        subprocess.run(
            [programs / name, *arguments],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": str(primary["password"])},
            cwd=cluster.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            **as_owner,
        )

    where = ("-h", str(primary["host"]), "-p", str(primary["port"]), "-U", str(primary["user"]))
    program("pg_basebackup", "-D", str(folder), "-R", "-X", "stream", "-c", "fast", *where)
    port = _free_port()
    log = str(folder / "server.log")
    # Its readers' snapshots keep rows on the primary, else a refresh there would cancel a report that runs here.
    options = f"-p {port} -c hot_standby_feedback=on"
    program("pg_ctl", "start", "-D", str(folder), "-w", "-s", "-l", log, "-o", options)
    try:
        yield port
    finally:
        program("pg_ctl", "stop", "-D", str(folder), "-m", "immediate", "-w", "-s")
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    run(__doc__ or "", benchmark)
