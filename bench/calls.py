"""How many calls does a first sync make, and how many an idle hour, beside the arithmetic minimum? And how many bytes come in?

A first sync of 200 orders through the stand-ins: write calls beside one for each 50 documents of a kind and operation (or as many as
the vendor's API takes in one call), read calls beside one page after the other of every stream. Then an idle hour: sixty loads with
clients that stay, as `tieout run` makes them; nobody waits for the minutes, the vendors' clocks are moved by them.

    python -m bench.calls --scale 2
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import ceil

from psycopg import sql

from bench.report import Measure, run
from bench.trading import Call, Trading, recorded, traded
from cdc.warm import changing
from cdc.writing import open_writers
from loaders import poll
from loaders.stream import streams_of
from tieout.systems import client_module

ORDERS = 200
LOADS = 60
MINUTE = 60.0
"""Seconds from one load to the next."""
WHOLE = 15
"""Lists that are always read whole are, each so many minutes (`cdc.follow`)."""


def benchmark(scale: float) -> Iterator[Measure]:
    """Writes and reads of the first sync, then the idle hour of each connection."""
    with traded(max(20, int(ORDERS * scale))) as trading, recorded(trading):
        trading.first_sync()
        yield from _writes(trading)
        yield from _reads(trading)
        yield from _idle(trading)


def _writes(trading: Trading) -> Iterator[Measure]:
    with trading.app.database.connect() as session:
        rows = session.execute(
            "select connection, entity, operation, count(*) as calls, sum(cardinality(entries)) as entries from cdc.calls"
            " where outcome = 'answered' group by connection, entity, operation order by connection, entity, operation"
        ).fetchall()
    for row in rows:
        system = trading.app.settings.connection(row["connection"]).system
        batch = open_writers(system)[row["entity"]].batch(row["operation"])
        least = ceil(row["entries"] / batch)
        yield Measure(
            work=f"{row['operation']} {row['entries']} {row['entity']} in {row['connection']}",
            ours=f"{row['calls']} calls",
            beside=f"{least} calls of {batch}",
            ratio=row["calls"] / least,
            target="one call for each 50 of a kind" if batch == 50 else f"one call for each {batch}",
            is_met=row["calls"] <= least,
        )


def _reads(trading: Trading) -> Iterator[Measure]:
    rounds = round(_loads(trading))
    with trading.app.database.connect() as session:
        for connection in trading.app.connections():
            least = 0
            for stream in streams_of(connection.system):
                table = sql.Identifier("staging", f"{stream.system}__{stream.name}")
                statement = sql.SQL("select count(*) as records from {} where connection = %s").format(table)
                row = session.execute(statement, (connection.name,)).fetchone()
                least += max(1, ceil((row or {"records": 0})["records"] / stream.page_size))
            calls = [
                call
                for call in _of(trading.calls, connection.system)
                if not call.is_write and "token" not in call.url
            ]
            minimum = least + (rounds - 1) * len(streams_of(connection.system))
            yield Measure(
                work=f"read calls of a first sync, {connection.name}: {rounds} loads",
                ours=f"{len(calls)} calls",
                beside=f"{minimum} (every page once, then one look a stream and load)",
                ratio=len(calls) / minimum,
                target="no needless read",
                is_met=len(calls) <= minimum,
                note="what else was read: "
                + _named(calls, {stream.path for stream in streams_of(connection.system)}),
            )


def _loads(trading: Trading) -> float:
    """How often everything was loaded: by a stream that is read whole, in one call."""
    calls = [call for call in _of(trading.calls, "xero") if "/TaxRates" in call.url]
    return max(1, len(calls))


def _named(calls: list[Call], paths: set[str]) -> str:
    """How many calls went to which path."""
    counted: Counter[str] = Counter()
    for call in calls:
        path = call.url.partition("?")[0].rpartition("/api.xro/2.0/")[2].rpartition("/V1/")[2]
        counted[path if path in paths else path.split("/")[0] + "/…"] += 1
    return ", ".join(f"{path} {count}" for path, count in counted.most_common(6))


def _idle(trading: Trading) -> Iterator[Measure]:
    app = trading.app
    for connection in app.connections():
        client = client_module(connection.system).open_client(connection, app.database, app.vault)
        try:
            poll.load_connection(app.database, app.settings, connection, client=client)
            trading.calls.clear()
            changed = 0
            for number in range(LOADS):
                trading.wait(connection.system, MINUTE)
                loaded = poll.load_connection(
                    app.database,
                    app.settings,
                    connection,
                    streams=None if number % WHOLE == 0 else changing(connection.system),
                    client=client,
                )
                changed += sum(each.changed for each in loaded)
        finally:
            client.close()
        # Logins of the hour are no looks, nor are the calls that were refused for want of one.
        calls = [
            call
            for call in _of(trading.calls, connection.system)
            if call.status != 401 and "token" not in call.url
        ]
        streams, often = len(streams_of(connection.system)), len(changing(connection.system))
        least = often * LOADS + (streams - often) * LOADS // WHOLE
        received = sum(len(call.answer) for call in calls)
        not_modified = sum(call.status == 304 for call in calls)
        yield Measure(
            work=f"an idle hour of {connection.name}: {LOADS} loads of {streams} streams",
            ours=f"{len(calls)} calls, {received / 1000:,.0f} kB received",
            beside=f"{least} calls (one look a stream and load)",
            ratio=len(calls) / least,
            target="no needless read",
            is_met=len(calls) <= least,
            note=f"{not_modified} answers were 304 without a body; {changed} records changed; most bytes: {_heaviest(calls)}",
        )


def _heaviest(calls: list[Call]) -> str:
    size: Counter[str] = Counter()
    for call in calls:
        size[call.url.partition("?")[0].rpartition("/")[2]] += len(call.answer)
    return ", ".join(f"{path} {count / 1000:,.0f} kB" for path, count in size.most_common(4))


def _of(calls: list[Call], system: str) -> list[Call]:
    return [call for call in calls if call.system == system]


if __name__ == "__main__":
    run(__doc__ or "", benchmark)
