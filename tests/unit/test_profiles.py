"""What `python -m bench.profile` reckons from a plan, from pg_waldump, from perf and from statements."""

from __future__ import annotations

import time

import psycopg
import pytest

from bench.profiles import explained, functions, parts, samples, wal
from bench.profiles.statements import Spent, Statements, name_of
from bench.report import section_kept
from tieout.queries import compose, query

SCAN = {"Node Type": "Index Scan", "Relation Name": "orders", "Index Name": "orders_pkey"}
LOOKED_UP: explained.Plan = {**SCAN, "Actual Total Time": 1.5, "Actual Loops": 4, "Actual Rows": 1}
SORTED: explained.Plan = {
    "Node Type": "Sort",
    "Actual Total Time": 10.0,
    "Actual Loops": 1,
    "Actual Rows": 4,
    "Plans": [LOOKED_UP],
}


def own(plan: explained.Plan) -> dict[str, float]:
    return {node.what: node.own for node in explained.nodes(plan)}


def test_a_node_costs_what_those_below_it_over_all_their_loops_do_not() -> None:
    assert own(SORTED) == {"Index Scan of orders by orders_pkey": 6.0, "Sort": 4.0}
    assert [node.executions for node in explained.nodes(SORTED)] == [4, 1]


def test_a_cte_is_taken_from_the_scan_that_fills_it_and_not_from_where_it_hangs() -> None:
    cte = {**SORTED, "Subplan Name": "CTE made", "Parent Relationship": "InitPlan"}
    reads = {"Node Type": "CTE Scan", "CTE Name": "made", "Actual Total Time": 11.0, "Actual Loops": 1}
    top = {"Node Type": "Aggregate", "Actual Total Time": 13.0, "Actual Loops": 1, "Plans": [cte, reads]}
    assert own(top) == {
        "Index Scan of orders by orders_pkey": 6.0,
        "Sort": 4.0,
        "Aggregate": 2.0,
        "CTE Scan of made": 1.0,
    }


def test_a_name_that_is_used_anew_further_down_is_another_cte() -> None:
    inner = {
        "Node Type": "Subquery Scan",
        "Alias": "view",
        "Actual Total Time": 5.0,
        "Actual Loops": 1,
        "Plans": [
            {"Node Type": "Result", "Subplan Name": "CTE made", "Actual Total Time": 3.0, "Actual Loops": 1},
            {"Node Type": "CTE Scan", "CTE Name": "made", "Actual Total Time": 4.0, "Actual Loops": 1},
        ],
    }
    outer = {"Node Type": "Sort", "Subplan Name": "CTE made", "Actual Total Time": 2.0, "Actual Loops": 1}
    reads = {
        "Node Type": "CTE Scan",
        "CTE Name": "made",
        "Alias": "m",
        "Actual Total Time": 2.5,
        "Actual Loops": 1,
    }
    top = {
        "Node Type": "Append",
        "Actual Total Time": 8.0,
        "Actual Loops": 1,
        "Plans": [outer, inner, reads],
    }
    costs = sorted((node.what, node.own) for node in explained.nodes(top))
    assert costs == [
        ("Append", 0.5),
        ("CTE Scan of made", 0.5),
        ("CTE Scan of made", 1.0),
        ("Result", 3.0),
        ("Sort", 2.0),
        ("Subquery Scan of view", 1.0),
    ]


def test_what_never_ran_costs_nothing() -> None:
    never = {"Node Type": "Seq Scan", "Alias": "taxes", "Actual Total Time": 0.0, "Actual Loops": 0}
    assert own({**SORTED, "Plans": [never]}) == {"Sort": 10.0, "Seq Scan of taxes": 0.0}


def test_nodes_of_a_kind_are_summed() -> None:
    every = explained.nodes({**SORTED, "Plans": [LOOKED_UP, {**SCAN, "Index Name": "by_day"}]})
    assert explained.by_kind(every) == [("Index Scan", 2, 4, 6.0), ("Sort", 1, 1, 4.0)]


def test_the_log_is_summed_by_relation_with_pages_in_full_apart() -> None:
    heap = "rmgr: Heap        len (rec/tot):     54/{0:6}, tx:  7, lsn: 0/1, prev 0/0, desc: INSERT off: 2, blkref #0: rel 1/5/77 blk 0"
    lines = [
        heap.format(100),
        heap.format(8000) + " FPW",
        heap.format(20).replace("/77 ", "/9 "),
        "rmgr: Transaction len (rec/tot):     34/    34, tx:  7, lsn: 0/2, prev 0/1, desc: COMMIT 2026-01-01",
        "pg_waldump: first record is after 0/0",
    ]
    assert wal.by_relation(lines, {"77": "cdc.links"}) == {
        "cdc.links": 100,
        "cdc.links, pages in full": 8000,
        "(what is gone)": 20,
        "(transaction commit)": 34,
    }


def test_functions_of_the_server_are_read_from_what_perf_reports() -> None:
    report = """
# Overhead  Shared Object  Symbol
    19.10%  postgres       [.] pglz_compress      -      -
     2.60%  [kernel]       [k] exc_page_fault
     1.00%  libc.so        [.] 0x0000000000001234
     0.50%  libc.so        [.] 0x0000000000005678
"""
    names, shares = zip(*samples.read(report), strict=True)
    assert names == ("pglz_compress", "exc_page_fault", "(unnamed in libc.so)")
    assert shares == pytest.approx((0.191, 0.026, 0.015))


def test_a_statement_has_the_name_of_its_file_whatever_was_composed_into_it() -> None:
    assert name_of(query("database", "next_version")) == "database.next_version"
    table = psycopg.sql.Identifier("staging", "xero__organisations")
    assert name_of(compose("diff", "organisation", table=table).as_string()) == "diff.organisation"
    view = psycopg.sql.Identifier("outbound", "out_xero__invoices")
    assert (
        name_of(compose("diff", "is_empty", view=view).as_string()) == "diff.is_empty of out_xero__invoices"
    )
    assert name_of("select  1") == "select 1"


def test_the_dearest_statements_stand_first_and_the_others_are_summed() -> None:
    seen = Statements(
        spent={
            "small": Spent(calls=1, server=1, waited=1),
            "large": Spent(calls=1, server=9, waited=9),
            "tiny": Spent(calls=2, server=0.5, waited=0.5),
        }
    )
    assert seen.rows(1, scale=10, most=1) == [
        ["large", "1", "90.0", "90.0"],
        ["2 others", "3", "15.0", "15.0"],
        ["all", "4", "105.0", "105.0"],
    ]


def test_functions_are_laid_on_what_an_unwatched_run_took() -> None:
    def spin() -> None:
        began = time.thread_time()
        while time.thread_time() - began < 0.005:
            pass

    found = functions.profiled(spin)
    shown = functions.rows(found, 2, cpu_seconds=4.0, most=len(found))
    assert sum(float(row[2].replace(",", "")) for row in shown) == pytest.approx(2e6, rel=0.01)
    assert functions.named("~", "<method 'get' of 'dict' objects>") == "'get' of 'dict' objects"


def test_a_section_replaces_the_one_of_its_name_and_scale() -> None:
    text = "# Profiles\n\n## diff\n\nold\n\n## load\n\nkept\n"
    assert section_kept(text, "diff", 1, "new") == "# Profiles\n\n## diff\n\nnew\n\n## load\n\nkept\n"
    assert section_kept(text, "diff", 3, "more").endswith("## load\n\nkept\n\n## diff, scale 3\n\nmore\n")


def test_a_table_is_markdown_of_as_many_columns_as_it_has_headings() -> None:
    part = parts.Part(title="Parts", headings=("what", "ms"), rows=[["a | b", "1"]], note="Warm.")
    assert parts.as_markdown(part) == "**Parts**: Warm.\n\n| what | ms |\n| --- | ---: |\n| a \\| b | 1 |"
