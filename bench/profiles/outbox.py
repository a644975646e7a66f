"""Where an entry's time goes on its way through the outbox: statements, Python's functions, and bytes of the server's log.

One worker, as `bench.outbox` starts it, against the target that answers at once (`bench.outbox_null`), in this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench import outbox_null, place
from bench.profiles import cpu, functions, wal
from bench.profiles.parts import Part
from bench.profiles.statements import metered
from tieout.db import Database
from tieout.settings import Settings

ENTRIES = 3000


def profile(scale: float) -> Iterator[Part]:
    """Three tables: statements, functions, log."""
    entries = max(100, int(ENTRIES * scale))
    with place.server() as (settings, database):
        folder = settings.data_dir / "worker"
        folder.mkdir()
        with database.connect() as session:
            outbox_null.prepare(session, outbox_null.settings_of(database.url, folder))
        _filled(database, 1, entries)
        _drained(database, folder)  # statements are composed once a process
        _filled(database, entries + 1, entries)
        done = _drained(database, folder)
        _filled(database, 2 * entries + 1, entries)
        with metered() as seen:
            _drained(database, folder)
        yield Part(
            title=f"{entries:,} entries, one worker, by statement",
            headings=("statement", "calls an entry", "server, µs an entry", "waited, µs an entry"),
            rows=seen.rows(entries, scale=1e6),
            note=f"Unwatched: {entries / (done['ended'] - done['began']):,.0f} entries/s. Server: {cpu.MEASURED}.",
        )
        _filled(database, 3 * entries + 1, entries)
        found = functions.profiled(lambda: _drained(database, folder))
        yield Part(
            title=f"{entries:,} entries, one worker, by function of Python",
            headings=("function", "calls an entry", "own, µs an entry", "with what it calls"),
            rows=functions.rows(found, entries, cpu_seconds=done["cpu"]),
            note=f"{done['cpu'] / entries * 1e6:.0f} µs of Python an entry unwatched; shares of a watched run laid on it.",
        )
        yield from _log(settings, database, folder, 4 * entries + 1, entries)


def _filled(database: Database, first: int, entries: int) -> None:
    with database.connect() as session:
        outbox_null.fill(session, first, entries)
        session.execute("analyze cdc.outbox")
        session.execute("analyze cdc.links")


def _drained(database: Database, folder: Path) -> dict[str, float]:
    return outbox_null.work(database.url, folder, is_mirrored=False, seconds=0)


def _log(settings: Settings, database: Database, folder: Path, first: int, entries: int) -> Iterator[Part]:
    _filled(database, first, entries)
    with database.connect() as session:
        # Pages that are written in full once after a checkpoint are counted apart: of long work they are the smaller part.
        session.execute("checkpoint")
        since = wal.position(session)
        _drained(database, folder)
        found = wal.written(settings, session, since)
    if not found:
        return
    whole = sum(found.values())
    yield Part(
        title=f"{entries:,} entries, bytes of the server's log (WAL)",
        headings=("table or index", "bytes an entry", "share"),
        rows=[
            [name, f"{size / entries:,.0f}", f"{size / whole:.0%}"]
            for name, size in [*found.most_common(16), ("all", whole)]
        ],
        note="By pg_waldump. A page is written in full when it changes for the first time after a checkpoint.",
    )
