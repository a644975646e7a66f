"""Run the benchmarks one after the other, each in a process of its own, and keep what they print.

python -m bench                     all of them, at the sizes that fit into ten minutes
python -m bench load diff           some
python -m bench diff --scale 10     larger
python -m bench --write             also into bench/RESULTS.md, each in its section
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.report import Measure, as_markdown, show
from bench.together import Kind, arguments, parsed, run_together

BENCHMARKS: dict[str, str] = {
    "load": "loading Xero invoices into staging tables, beside a raw COPY and other loaders",
    "outbox": "entries through the outbox with all that is kept of them, beside a bare claim loop, pgqueuer and procrastinate",
    "outbox_steady": "the outbox filled while it is drained: its last seconds beside its first",
    "latency": "from the commit of a change to the request on the wire, beside NOTIFY alone",
    "calls": "calls of a first sync and of an idle hour, beside the arithmetic minimum",
    "first_sync": "a first sync through the stand-ins, beside a replay of the same calls",
    "workers": "one set of books from one, two and four hosts, and BI on a streaming replica",
    "diff": "what a diff costs by what changed, at two sizes of the books, beside a full sweep and drt-core",
    "marts": "marts by changed keys beside the diff and a full rebuild, and BI beside hand-made tables",
}
"""Name and what it measures, in the order of the pipeline. `budget` runs for minutes by the clock: by name only."""


_HEAD = """# Results

Written by `python -m bench --write`; each section names its machine. The ratios are what travels: ours, the peer and the limit
ran in one run on the same data.
"""
KIND = Kind(
    noun="benchmark",
    known=BENCHMARKS,
    module=lambda name: ("-m", f"bench.{name}"),
    line=Measure,
    show=show,
    as_markdown=as_markdown,
    file=Path(__file__).with_name("RESULTS.md"),
    head=_HEAD,
)


def main() -> int:
    """Exit code 1 when a benchmark failed; a target that is missed is a line, not a failure."""
    return run_together(parsed(arguments(__doc__, KIND), KIND), KIND)


if __name__ == "__main__":
    sys.exit(main())
