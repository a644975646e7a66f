"""One process that loads as `tieout load` does, and says what it took: what `bench.load` times and weighs.

    python -m bench.load_child PROJECT_FOLDER DATABASE_URL ADDRESS CONNECTION… [--full] [--streams]

Several connections are loaded by as many threads at the same time. It prints one JSON object: seconds, rows, changed, and the
largest resident memory of the process in MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from loaders.poll import Loaded, load
from loaders.stream import find_stream
from tieout.clients import xero
from tieout.db import Database
from tieout.settings import Connection, Settings
from tieout.vault import Vault

UNLIMITED = 1_000_000_000


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("url")
    parser.add_argument("addresses", help="one a connection, or one for all; joined by commas")
    parser.add_argument("connections", nargs="+")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    settings = Settings(
        data_dir=options.folder / "data", project_dir=options.folder, lookups_dir=options.folder / "lookups"
    )
    database = Database(options.url)
    addresses = options.addresses.split(",") * (
        len(options.connections) if "," not in options.addresses else 1
    )
    began = threading.Barrier(len(options.connections) + 1)

    def one(name: str, address: str) -> Loaded:
        client = xero.open_client(connection_to(name, address), database, Vault(database, settings))
        client.tokens.access_token()
        began.wait()
        try:
            return load(database, client, find_stream("xero", "invoices"), full=options.full)
        finally:
            client.close()

    with ThreadPoolExecutor(len(options.connections)) as threads:
        done = threads.map(one, options.connections, addresses)
        began.wait()
        started = time.perf_counter()
        loads = list(done)
        seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    result = {
        "seconds": seconds,
        "rows": sum(loaded.rows for loaded in loads),
        "changed": sum(loaded.changed for loaded in loads),
        "memory_mb": _peak(),
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }
    print(json.dumps(result))


def _peak() -> float:
    """The most memory that this program held, MB. Linux' getrusage also counts what its parent held when it was started."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def connection_to(name: str, address: str) -> Connection:
    """A connection without limits to that server."""
    options = {
        "flow": "custom",
        "client_id": "bench",
        "client_secret": "bench",
        "api_url": f"{address}/api.xro/2.0",
        "identity_url": f"{address}/connect/token",
        "calls_a_minute": UNLIMITED,
        "calls_a_day": UNLIMITED,
        "calls_at_once": 100,
        "calls_a_minute_of_app": UNLIMITED,
    }
    return Connection(name=name, system="xero", options=MappingProxyType(options))


if __name__ == "__main__":
    main()
