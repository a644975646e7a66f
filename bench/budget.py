"""How much of a vendor's minute do several processes use together, and are they ever refused?

Real processes with Xero's client read from the stand-in at Xero's limits (60 calls a minute, 5 at once), as fast as the budget
lets them; half of them do a first load, half fetch fresh changes. Printed: the share of the minute's limit that is used once the
first minute is over (the least of all spans of a minute), calls that were refused with 429, and the cost of a draw.

    python -m bench.budget --minutes 4 --processes 8 --window rolling
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from bench.kept import folder
from sandbox import xero as stand_in
from tieout import embedded, events
from tieout.budget import Budget, CallLimits, Work
from tieout.clients import xero
from tieout.db import Database
from tieout.errors import RetryLater
from tieout.migrate import migrate
from tieout.settings import Connection, Settings
from tieout.vault import Vault

MINUTE = 60
"""Xero's limit (developer.xero.com, "OAuth 2.0 API limits", checked 2026-03)."""
DRAWS = 500


def main() -> None:
    """Start everything, let the processes call, print the ratios."""
    options = _options()
    if options.child is not None:
        _call(json.loads(options.child))
        return
    with folder() as made:
        books = stand_in.start(window=options.window)
        try:
            url = embedded.ensure_running(made / "data")
            migrate(Database(url))
            draw = _cost_of_a_draw(Database(url))
            job = {
                "url": url,
                "folder": str(made),
                "until": time.time() + options.minutes * 60,
                "options": {
                    "flow": "custom",
                    "client_id": books.credentials["custom_client_id"],
                    "client_secret": books.credentials["custom_client_secret"],
                    "tenant_id": books.credentials["tenant_id"],
                    "api_url": f"{books.address}/api.xro/2.0",
                    "identity_url": f"{books.address}/connect/token",
                },
            }
            times, refused, given_up = _run(job, options.processes)
        finally:
            books.stop()
            embedded.stop(made / "data")
    _print(times, refused, given_up, draw)


def _run(job: dict[str, object], processes: int) -> tuple[list[float], int, int]:
    """When calls were answered, how many were refused, and how often a process would have left it to its next run."""
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.budget"),
                *("--child", json.dumps(job | {"work": (Work.FRESH if number % 2 else Work.BACKFILL).name})),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    times: list[float] = []
    refused = given_up = 0
    for process in started:
        out, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"a process failed: {said[-2000:]}")
        told = json.loads(out)
        times += told["times"]
        given_up += told["given_up"]
        refused += sum('"BudgetExhausted"' in line for line in said.splitlines())
    return sorted(times), refused, given_up


def _call(job: dict[str, object]) -> None:
    """One process: call until the time is over, then print when each call was answered."""
    events.configure(json=True)
    database = Database(str(job["url"]))
    options = job["options"]
    assert isinstance(options, dict), "as it was written"
    connection = Connection(name="books", system="xero", options=options)
    folder = Path(str(job["folder"]))
    settings = Settings(data_dir=folder, project_dir=folder, lookups_dir=folder)
    client = xero.open_client(connection, database, Vault(database, settings))
    times, given_up = [], 0
    until = float(str(job["until"]))
    while time.time() < until:
        try:
            client.http.read("Organisation", work=Work[str(job["work"])])
            times.append(time.time())
        except RetryLater:
            given_up += 1
    client.close()
    print(json.dumps({"times": times, "given_up": given_up}))


def _cost_of_a_draw(database: Database) -> float:
    """Milliseconds of a draw and its release, with every limit in force."""
    limits = CallLimits(minute=10**6, day=10**6, concurrent=5, app="bench", app_minute=10**6)
    budget = Budget(database, "bench", limits)
    budget.draw().release()
    began = time.perf_counter()
    for _ in range(DRAWS):
        budget.draw().release()
    budget.close()
    return (time.perf_counter() - began) / DRAWS * 1000


def _print(times: list[float], refused: int, given_up: int, draw: float) -> None:
    steady = [at for at in times if at >= times[0] + 60]
    # Calls come in bursts, so a minute that is cut out by the clock says little. One call of a minute is left to a person:
    # from each call to the 59th after it should be a minute.
    spans = [later - earlier for earlier, later in zip(steady, steady[MINUTE - 1 :], strict=False)]
    if not spans:
        raise SystemExit("Too short: give --minutes 4 or more.")
    longest_pause = max(later - earlier for earlier, later in pairwise(times))
    print(f"calls answered              {len(times)}")
    print(f"refused with 429            {refused}")
    print(f"left to a next run          {given_up}")
    print(f"longest pause of all        {longest_pause:.1f} s")
    share = 60 * (MINUTE - 1) / MINUTE
    print(f"share of the minute, mean   {share * len(spans) / sum(spans):.3f}")
    print(f"share of the minute, least  {share / max(spans):.3f}")
    print(f"a draw and its release      {draw:.2f} ms")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--window", choices=("fixed", "rolling"), default="fixed")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
