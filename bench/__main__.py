"""Run the benchmarks one after the other, each in a process of its own, and keep what they print.

python -m bench                     all of them, at the sizes that fit into ten minutes
python -m bench load diff           some
python -m bench diff --scale 10     larger
python -m bench --write             also into bench/RESULTS.md, each in its section
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.report import Measure, as_markdown, machine, section_kept, show

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
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


def main() -> int:
    """Exit code 1 when a benchmark failed; a target that is missed is a line, not a failure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--write", action="store_true", help="keep the results in bench/RESULTS.md")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    failed = []
    for name in options.names or BENCHMARKS:
        began, on = time.monotonic(), machine()
        print(f"\n{name}: {BENCHMARKS[name]}", flush=True)
        measures = _measured(name, options.scale)
        if measures is None:
            failed.append(name)
            continue
        show(measures)
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
        if options.write:
            _keep(name, options.scale, on, measures)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measured(name: str, scale: float) -> list[Measure] | None:
    command = [sys.executable, "-m", f"bench.{name}", "--json", "--scale", str(scale)]
    ran = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(ran.stderr[-4000:], file=sys.stderr)
        return None
    return [Measure(**json.loads(line)) for line in ran.stdout.splitlines() if line.startswith("{")]


def _keep(name: str, scale: float, on: str, measures: Sequence[Measure]) -> None:
    about = f"{BENCHMARKS[name][0].upper()}{BENCHMARKS[name][1:]}. {on}."
    text = RESULTS.read_text() if RESULTS.exists() else _HEAD
    RESULTS.write_text(section_kept(text, name, scale, f"{about}\n\n{as_markdown(measures)}"))


_HEAD = """# Results

Written by `python -m bench --write`; each section names its machine. The ratios are what travels: ours, the peer and the limit
ran in one run on the same data.
"""

if __name__ == "__main__":
    sys.exit(main())
