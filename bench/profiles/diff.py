"""Where a diff's time goes: planning and running each outbound model, then the nodes of the dearest, then all statements of a diff."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench import books
from bench.profiles import cpu, explained
from bench.profiles.parts import Part
from bench.profiles.statements import metered
from cdc.diff import diff
from cdc.diff_rows import CONTROL, candidates, mirror_of
from cdc.outbound import OutboundModel, models_in_force
from cdc.writing import open_writers
from tieout.db import Database
from tieout.queries import parse
from tieout.settings import Settings

ORDERS = 1000
DRIVERS = 100
TIMES = 6
_SQL = parse((Path(__file__).parent / "profiles.sql").read_text(encoding="utf-8"))

Session = psycopg.Connection[dict[str, Any]]


def profile(scale: float) -> Iterator[Part]:
    """Three tables of the views, one of a whole diff."""
    with books.server() as (settings, database):
        books.fill(database, int(ORDERS * scale))
        with database.connect(direct=True) as session:
            session.execute(_SQL["generic_plans"])
            spent = _models(session)
            yield _of_models(spent)
            yield from _of_nodes(session, max(spent, key=lambda name: spent[name][1]))
        yield _of_a_diff(settings, database)


def _models(session: Session) -> dict[str, tuple[float, float, int, int]]:
    """By model: milliseconds of planning, warm milliseconds, nodes, and executions of nodes."""
    found = {}
    for model in models_in_force(session):
        asked = _asked(session, model)
        if asked is None:
            continue
        statement, values = asked
        pid, times = session.info.backend_pid, []
        with session.cursor() as cursor:
            for _ in range(1 + TIMES):
                began = cpu.of_session(pid)
                cursor.execute(statement, values, prepare=True).fetchall()
                # A session that answered may still be on its way to sleep, and is counted when it is there.
                time.sleep(0.001)
                times.append((cpu.of_session(pid) - began) * 1000)
        warm = statistics.median(times[1:])
        nodes = _explained(session, statement, values)
        found[model.name] = (times[0] - warm, warm, len(nodes), sum(node.executions for node in nodes))
    return found


def _asked(session: Session, model: OutboundModel) -> tuple[sql.Composed, Mapping[str, Any]] | None:
    """The statement `candidates` of a model for the first orders, or None when nothing writes the model."""
    write = open_writers(model.system).get(model.entity)
    if write is None:
        return None
    ids = [row["id"] for row in session.execute(_SQL["orders"], {"most": DRIVERS})]
    values = {
        "source_connections": [books.SHOP] * len(ids),
        "source_ids": ids,
        "control": CONTROL,
        "entity": model.entity,
        "model": model.name,
    }
    return candidates(model, mirror_of(model.system, write)), values


def _explained(session: Session, statement: sql.Composed, values: Mapping[str, Any]) -> list[explained.Node]:
    row = session.execute(sql.SQL(_SQL["explain"]).format(statement=statement), values).fetchone()
    assert row is not None, "explain gives one row"
    return explained.nodes(row["QUERY PLAN"][0]["Plan"])


def _of_models(spent: Mapping[str, tuple[float, float, int, int]]) -> Part:
    rows = [
        [name, f"{planning:.0f}", f"{warm:.1f}", str(nodes), f"{executions:,}"]
        for name, (planning, warm, nodes, executions) in sorted(
            spent.items(), key=lambda item: -sum(item[1][:2])
        )
    ]
    sums = [sum(values) for values in zip(*spent.values(), strict=True)]
    rows.append(["all", f"{sums[0]:.0f}", f"{sums[1]:.1f}", str(sums[2]), f"{sums[3]:,}"])
    return Part(
        title=f"Each outbound model, asked for {DRIVERS} orders",
        headings=("model", "planning, ms", f"{DRIVERS} orders, ms", "nodes of its plan", "node executions"),
        rows=rows,
        note=f"Planning is what the first execution in a session costs above the warm ones. {cpu.MEASURED.capitalize()}.",
    )


def _of_nodes(session: Session, name: str) -> Iterator[Part]:
    model = next(model for model in models_in_force(session) if model.name == name)
    asked = _asked(session, model)
    assert asked is not None, "it was asked before"
    nodes = _explained(session, *asked)
    whole = sum(node.own for node in nodes) or 1.0
    yield Part(
        title=f"{name}: its plan by kind of node",
        headings=("kind", "nodes", "executions", "own time, ms", "share"),
        rows=[
            [kind, str(count), f"{executions:,}", f"{own:.1f}", f"{own / whole:.0%}"]
            for kind, count, executions, own in explained.by_kind(nodes)[:12]
        ],
        note="Timing each node about doubles the time of the whole: read shares.",
    )
    yield Part(
        title=f"{name}: its dearest nodes",
        headings=("node", "executions", "rows", "own time, ms", "share"),
        rows=[
            [
                node.what,
                f"{node.executions:,}",
                f"{node.rows:,.0f}",
                f"{node.own:.1f}",
                f"{node.own / whole:.1%}",
            ]
            for node in nodes[:20]
        ],
    )


def _of_a_diff(settings: Settings, database: Database) -> Part:
    """Whole diffs of changed orders in a session that is kept, as `tieout run` keeps it."""
    plenty = books.with_limits(settings)
    with database.connect(direct=True) as session, database.connect() as shop:

        def rename(number: int) -> None:
            # A field that models read: what none reads leads to no key.
            books.change(shop, DRIVERS, edit={"customer_lastname": f"Renamed {number}"})

        for number in range(2):
            rename(number)
            diff(database, plenty, session=session)
        rename(2)
        used = time.process_time()
        with metered() as seen:
            diff(database, plenty, session=session)
        used = time.process_time() - used
    return Part(
        title=f"One warm diff of {DRIVERS} renamed orders, by statement",
        headings=("statement", "calls", "server, ms", "waited, ms"),
        rows=seen.rows(1, scale=1e3, most=16),
        note=f"This process computed {used * 1000:.0f} ms meanwhile. Server: {cpu.MEASURED}.",
    )
