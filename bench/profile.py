"""Show where the time goes in what misses its target: profiles made by running it here and now.

python -m bench.profile                     all of them, each less than a minute once the models are built
python -m bench.profile diff outbox         some
python -m bench.profile load --scale 3      larger
python -m bench.profile --write             also into bench/PROFILES.md, each in its section
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from bench.profiles.parts import Part, as_markdown, show
from bench.together import Kind, arguments, parsed, run_together

PROFILES: dict[str, str] = {
    "load": "a document on its way into a staging table, first and again",
    "diff": "planning and running the outbound models, and all statements of a diff",
    "outbox": "an entry on its way through the outbox: statements, functions, bytes of the log",
    "latency": "from the commit of a change to the request on the wire, step by step",
    "first_sync": "the steps of a first sync, and their statements",
}
"""Name and what it shows, in the order of the pipeline; each is a module of bench/profiles."""


_HEAD = """# Profiles

Written by `python -m bench.profile --write`; each section names its machine. What they mean for the targets that are missed stands
in [docs/scaling.md](../docs/scaling.md#what-limits-each-part-today).
"""


def main() -> int:
    """Exit code 1 when a profile failed."""
    parser = arguments(__doc__, KIND)
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    options = parsed(parser, KIND)
    if options.json:
        for part in import_module(f"bench.profiles.{options.names[0]}").profile(options.scale):
            print(json.dumps(asdict(part)), flush=True)
        return 0
    return run_together(options, KIND)


def _show(parts: Sequence[Part]) -> None:
    for part in parts:
        show(part)


KIND = Kind(
    noun="profile",
    known=PROFILES,
    # In a process of its own: what one watches must not be in the way of the next.
    module=lambda name: ("-m", "bench.profile", name),
    line=Part,
    show=_show,
    as_markdown=lambda parts: "\n\n".join(map(as_markdown, parts)),
    file=Path(__file__).with_name("PROFILES.md"),
    head=_HEAD,
)

if __name__ == "__main__":
    sys.exit(main())
