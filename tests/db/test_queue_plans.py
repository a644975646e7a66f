"""Queues are short when a session plans how to take from them, and may be long when it does: the plan stays."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from tieout.queries import query

FEW, MANY = 3, 2000
CHANGES = """
insert into cdc.changes (connection, stream, id, version)
select 'shop', 'orders', number, number from generate_series(1, %s) as number
"""
KEYS = """
insert into cdc.changed_keys (model, source_connection, source_id, because)
select 'queue', 'shop', number, 'orders' from generate_series(1, %s) as number
"""
FACTS = """
insert into cdc.audit_inbox (kind, subject, fact)
select 'link', number::text, '{}' from generate_series(1, %s) as number
"""


@pytest.mark.parametrize(
    ("name", "fill", "table", "values"),
    [
        pytest.param(("changes", "take"), CHANGES, "changes", {"limit": MANY}, id="changes"),
        pytest.param(
            ("diff", "drivers"),
            KEYS,
            "changed_keys",
            {"model": "'queue'", "ahead": 1, "limit": MANY},
            id="keys",
        ),
        pytest.param(
            ("marts", "take_keys"),
            KEYS,
            "changed_keys",
            {"mart": "'queue'", "limit": MANY},
            id="keys of marts",
        ),
        pytest.param(("audit", "take"), FACTS, "audit_inbox", {"limit": MANY}, id="facts"),
    ],
)
def test_what_is_taken_from_a_long_queue_is_looked_at_a_few_times_though_it_was_short_when_planned(
    connection: psycopg.Connection[dict[str, Any]],
    name: tuple[str, str],
    fill: str,
    table: str,
    values: dict[str, object],
) -> None:
    connection.execute(query("changes", "prepare"))
    connection.execute("set plan_cache_mode = force_generic_plan")
    # The sealer alone may take from the audit's inbox.
    connection.execute("set session_replication_role = replica")
    connection.execute(fill.encode(), (FEW,))
    connection.execute(f"analyze cdc.{table}")
    text, arguments = query(*name).rstrip().rstrip(";"), []
    for parameter, value in values.items():
        arguments.append(value)
        text = re.sub(rf"%\({parameter}\)s(::bigint)?", f"${len(arguments)}", text)
    kinds = ", ".join("text" if isinstance(value, str) else "bigint" for value in arguments)
    connection.execute(f"prepare take ({kinds}) as {text}".encode())
    execute = f"execute take ({', '.join(map(str, arguments))})"
    connection.execute(execute.encode())
    connection.execute(fill.encode(), (MANY,))

    row = connection.execute(f"explain (analyze, format json) {execute}".encode()).fetchone()

    assert row is not None
    assert connection.execute(f"select count(*) as left from cdc.{table}".encode()).fetchone() == {"left": 0}
    assert _looked_at(row["QUERY PLAN"][0]["Plan"]) < 20 * MANY


def _looked_at(plan: dict[str, Any]) -> float:
    """Rows that the steps of a plan gave or threw away."""
    rows = (
        plan["Actual Rows"]
        + plan.get("Rows Removed by Join Filter", 0)
        + plan.get("Rows Removed by Filter", 0)
    )
    return float(rows * plan["Actual Loops"]) + sum(map(_looked_at, plan.get("Plans", [])))
