"""Where a document's time goes when it is loaded: first load, and again with nothing changed.

`tieout load`'s own loop with the real Xero client in this process, pages from `bench.load_server`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from bench import load as bench
from bench.load_child import connection_to
from bench.load_server import PAGE
from bench.place import postmaster, server
from bench.profiles import cpu, functions, samples
from bench.profiles.parts import Part
from bench.profiles.statements import metered
from loaders.poll import load
from loaders.stream import find_stream
from tieout.clients import xero
from tieout.db import Database
from tieout.settings import Settings
from tieout.vault import Vault

DOCUMENTS = 20_000


def profile(scale: float) -> Iterator[Part]:
    """For each of both loads statements and functions; for the first what the server is busy with."""
    count = max(1, round(DOCUMENTS * scale / PAGE)) * PAGE
    with server() as (settings, database), bench.source(settings.project_dir, count) as address:

        def loading(name: str) -> Callable[[], float]:
            return lambda: _load(settings, database, address, name, count)

        loading("warm")()
        for title, work in (
            ("first load", [loading(f"first_{number}") for number in range(3)]),
            ("nothing changed", [loading("warm")] * 3),
        ):
            used = time.process_time()
            seconds = work[0]()
            used = time.process_time() - used
            with metered() as seen:
                work[1]()
            yield Part(
                title=f"{title}, {count:,} documents, by statement",
                headings=("statement", "calls a document", "server, µs a document", "waited, µs a document"),
                rows=seen.rows(count, scale=1e6, most=10),
                note=f"Unwatched: {count / seconds:,.0f} documents/s. Server: {cpu.MEASURED}.",
            )
            found = functions.profiled(work[2])
            yield Part(
                title=f"{title}, {count:,} documents, by function of Python",
                headings=("function", "calls a document", "own, µs a document", "with what it calls"),
                rows=functions.rows(found, count, cpu_seconds=used, most=16),
                note=f"{used / count * 1e6:.1f} µs of Python a document unwatched; shares of a watched run laid on it.",
            )
        with database.connect() as session, samples.sampled(postmaster(session)) as busy:
            loading("sampled")()
        if busy:
            yield Part(
                title="first load, what the server is busy with",
                headings=("function", "share"),
                rows=[[name, f"{share:.1%}"] for name, share in busy[:16]],
                note="Samples of perf. pglz_*: compressing payloads; json* and pg_parse*: reading them; "
                "heap_*, *Insert*, XLog*: rows, indexes and the log.",
            )


def _load(settings: Settings, database: Database, address: str, name: str, count: int) -> float:
    """Seconds of a whole load into that connection, logged in before."""
    client = xero.open_client(connection_to(name, address), database, Vault(database, settings))
    try:
        client.tokens.access_token()
        began = time.monotonic()
        loaded = load(database, client, find_stream("xero", "invoices"), full=True)
        assert loaded.rows >= count, loaded
        return time.monotonic() - began
    finally:
        client.close()
