"""Does the outbox slow down while it is used? It is filled while two processes drain it, for as long as is asked for.

`--scale 1` runs for fifteen seconds and compares the last quarter with the first; from four minutes on (`--scale 16`) the last
minute is compared with the first, and ten minutes are `--scale 40`; and with the third: in the first the server has not cleaned any
table yet, since autovacuum comes once a minute, from the third on it always does. Entries and target are those of `bench.outbox`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.outbox import Place, one, place
from bench.outbox_null import fill
from bench.report import Measure, run

SECONDS = 15
"""At scale 1."""
BACKLOG = 1_500
"""So many entries are ready, at least."""
WORKERS = 2

# From the newest on: what was sent already lies at the other end, and is not waded through to be counted.
_READY = """
select count(*) as entries from (
    select 1 from cdc.outbox
    where connection = 'books' and entity = 'invoices' and operation = 'create' and state = 'ready'
    order by entry desc limit %(backlog)s
) as newest
"""

_FINISHED = """
with done as (select finished_at from cdc.outbox_done where entry > %(last)s),
span as (
    select min(finished_at) as first, min(finished_at) + make_interval(secs => %(seconds)s::double precision) as last from done
)
select
    count(*) filter (where finished_at < first + make_interval(secs => %(slice)s::double precision)) as first,
    count(*) filter (
        where finished_at >= first + make_interval(secs => 2 * %(slice)s::double precision)
        and finished_at < first + make_interval(secs => 3 * %(slice)s::double precision)
    ) as third,
    count(*) filter (where finished_at >= last - make_interval(secs => %(slice)s::double precision) and finished_at < last) as last
from done cross join span
"""


def benchmark(scale: float) -> Iterator[Measure]:
    """One run, and two lines about it."""
    with place() as where:
        yield from _steady(where, SECONDS * scale)


def _steady(where: Place, seconds: float) -> Iterator[Measure]:
    slice_seconds = min(60.0, seconds / 4)
    where.drain(1, 500, is_mirrored=False)
    where.more(BACKLOG)
    with where.database.connect() as connection:
        last = one(connection, "select coalesce(max(entry), 0) from cdc.outbox_done")
        size = one(connection, "select pg_total_relation_size('cdc.outbox')")
        with where.draining(WORKERS, seconds):
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                ready = connection.execute(_READY.encode(), {"backlog": BACKLOG}).fetchone() or {}
                if ready["entries"] < BACKLOG:
                    fill(connection, where.filled + 1, BACKLOG // 3)
                    where.filled += BACKLOG // 3
                time.sleep(0.05)
        values = {"last": last, "seconds": seconds, "slice": slice_seconds}
        counts = connection.execute(_FINISHED.encode(), values).fetchone() or {}
        dead = one(
            connection, "select n_dead_tup from pg_stat_user_tables where relid = 'cdc.outbox'::regclass"
        )
        grown = one(connection, "select pg_total_relation_size('cdc.outbox')")
    first, third, end = (counts[part] / slice_seconds for part in ("first", "third", "last"))
    span = "minute" if slice_seconds >= 60 else f"{slice_seconds:.0f} s"
    work = f"filled while drained for {seconds:,.0f} s, {WORKERS} workers"
    grew = f"cdc.outbox: {dead:,} dead rows at the end, {size / 1e6:.0f} MB before and {grown / 1e6:.0f} MB after"
    yield _beside(work, (f"last {span}", end), (f"first {span}", first), note=grew)
    if slice_seconds < 60:
        return
    yield _beside(
        f"{work}, once the server cleans up beside it",
        (f"last {span}", end),
        (f"third {span}", third),
        note="autovacuum comes once a minute, not in the first one",
    )


def _beside(work: str, last: tuple[str, float], earlier: tuple[str, float], *, note: str) -> Measure:
    ratio = last[1] / earlier[1] if earlier[1] else None
    return Measure(
        work=work,
        ours=f"{last[0]} {last[1]:,.0f}/s",
        beside=f"{earlier[0]} {earlier[1]:,.0f}/s",
        ratio=ratio,
        target="not falling",
        is_met=ratio is not None and ratio >= 0.9,
        note=note,
    )


if __name__ == "__main__":
    run(__doc__, benchmark)
