"""Marts: refreshed by changed keys beside the diff of the same change and a full rebuild; BI beside hand-made tables.

The books are those of `bench.books`. For BI the marts of receivables are filled up to a million documents, copies of the refreshed
rows on other days and with other ids, of which a tenth is open for ever and the rest for 25 to 40 days. A hand-made table has only
the columns that the question needs, and the index that a DBA would give it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench import books
from bench.books import with_limits
from bench.report import Measure, run
from cdc import marts
from cdc.diff import diff
from tieout.db import Database
from tieout.queries import parse
from tieout.settings import Settings

ORDERS = 6_000
DOCUMENTS = 1_000_000
ROUNDS = 3
LOOKS = 5
QUESTIONS = {"month": "a month's receivables by contact", "day": "what contacts owe on a day, from balances"}
_SQL = parse(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))

Session = psycopg.Connection[dict[str, Any]]


def benchmark(scale: float) -> Iterator[Measure]:
    """Refreshing after 1 % changed, then the questions of BI."""
    with books.server() as (settings, database):
        filled = books.fill(database, int(ORDERS * scale))
        plenty = with_limits(settings)
        diff(database, plenty)
        whole = _seconds(lambda: marts.refresh(database))
        yield from _refreshed(database, plenty, filled.orders, whole)
        yield from _asked(database, int(DOCUMENTS * min(scale, 1)))


def _refreshed(database: Database, plenty: Settings, orders: int, whole: float) -> Iterator[Measure]:
    changed = max(orders // 100, 1)
    # None: a field that models read and no mart shows. One that nothing reads is in bench/diff.py: neither diff nor mart looks.
    for what, edits in (
        ("that models read and no mart shows", (None,) * ROUNDS),
        ("that a mart shows", ({"state": "closed"}, {"state": "complete"}) * ROUNDS),
    ):
        found, made = [], []
        for edit in edits[:ROUNDS]:
            with database.connect() as session:
                books.change(session, changed, edit=edit, is_read=True)
            found.append(_seconds(lambda: diff(database, plenty)))
            made.append(_seconds(lambda: marts.refresh(database)))
        ours, beside = statistics.median(made), statistics.median(found)
        yield Measure(
            work=f"marts by changed keys: {changed:,} of {orders:,} orders changed, in a field {what}",
            ours=f"{ours:.3f} s ({changed / ours:,.0f} orders/s)",
            beside=f"diff of the same change {beside:.3f} s; full rebuild {whole:.1f} s ({orders / whole:,.0f} orders/s)",
            ratio=ours / beside,
            target="at most 2 × the diff",
            is_met=ours <= 2 * beside,
        )


def _asked(database: Database, documents: int) -> Iterator[Measure]:
    with database.connect() as session:
        row = session.execute(_SQL["documents"]).fetchone()
        assert row is not None, "a count gives one row"
        session.execute(_SQL["fill_documents"], {"copies": -(-documents // row["documents"])})
        session.execute(_SQL["fill_balances"])
        session.execute(_SQL["make_by_hand"])
        for table in ("receivables", "balances"):
            session.execute(_SQL[f"index_{table}"])
        for table in ("marts.receivables", "marts.receivable_balances", "hand.receivables", "hand.balances"):
            session.execute(
                psycopg.sql.SQL("vacuum (analyze) {}").format(psycopg.sql.Identifier(*table.split(".")))
            )
        row = session.execute(_SQL["documents"]).fetchone()
        assert row is not None, "a count gives one row"
        for name, question in QUESTIONS.items():
            ours, theirs = _alternating(session, _SQL[f"{name}_of_marts"], _SQL[f"{name}_by_hand"])
            yield Measure(
                work=f"BI over {row['documents']:,} documents: {question}",
                ours=f"{ours * 1000:.0f} ms",
                beside=f"the same of a hand-made table {theirs * 1000:.0f} ms",
                ratio=ours / theirs,
                target="under 300 ms",
                is_met=ours < 0.3,
            )


def _alternating(session: Session, ours: Any, theirs: Any) -> tuple[float, float]:
    """Medians, warm; both must say the same."""
    if session.execute(ours).fetchall() != session.execute(theirs).fetchall():
        raise AssertionError("the marts and the hand-made tables differ")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(LOOKS):
        for statement, kept in zip((ours, theirs), times, strict=True):
            kept.append(_seconds(lambda statement=statement: session.execute(statement).fetchall()))  # type: ignore[misc]
    return statistics.median(times[0]), statistics.median(times[1])


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    run(__doc__, benchmark)
