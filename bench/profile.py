"""Show where the time goes in what misses its target: profiles made by running it here and now.

python -m bench.profile                     all of them, each less than a minute once the models are built
python -m bench.profile diff outbox         some
python -m bench.profile load --scale 3      larger
python -m bench.profile --write             also into bench/PROFILES.md, each in its section
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from bench.profiles.parts import Part, as_markdown, show
from bench.report import machine, section_kept

HERE = Path(__file__).parent
KEPT = HERE / "PROFILES.md"
PROFILES: dict[str, str] = {
    "load": "a document on its way into a staging table, first and again",
    "diff": "planning and running the outbound models, and all statements of a diff",
    "outbox": "an entry on its way through the outbox: statements, functions, bytes of the log",
    "latency": "from the commit of a change to the request on the wire, step by step",
    "first_sync": "the steps of a first sync, and their statements",
}
"""Name and what it shows, in the order of the pipeline; each is a module of bench/profiles."""


def main() -> int:
    """Exit code 1 when a profile failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROFILES))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/PROFILES.md")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.names) - set(PROFILES)
    if unknown:
        parser.error(f"no profile {', '.join(sorted(unknown))}: choose from {', '.join(PROFILES)}")
    if options.json:
        for part in import_module(f"bench.profiles.{options.names[0]}").profile(options.scale):
            print(json.dumps(asdict(part)), flush=True)
        return 0
    failed = []
    for name in options.names or PROFILES:
        began, on = time.monotonic(), machine()
        print(f"\n{name}: {PROFILES[name]}", flush=True)
        parts = _made(name, options.scale)
        if parts is None:
            failed.append(name)
            continue
        for part in parts:
            show(part)
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
        if options.write:
            _keep(name, options.scale, on, parts)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _made(name: str, scale: float) -> list[Part] | None:
    """In a process of its own: what one watches must not be in the way of the next."""
    command = [sys.executable, "-m", "bench.profile", name, "--json", "--scale", str(scale)]
    ran = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(ran.stderr[-4000:], file=sys.stderr)
        return None
    return [Part(**json.loads(line)) for line in ran.stdout.splitlines() if line.startswith("{")]


def _keep(name: str, scale: float, on: str, parts: Sequence[Part]) -> None:
    about = f"{PROFILES[name][0].upper()}{PROFILES[name][1:]}. {on}."
    body = "\n\n".join([about, *map(as_markdown, parts)])
    text = KEPT.read_text() if KEPT.exists() else _HEAD
    KEPT.write_text(section_kept(text, name, scale, body))


_HEAD = """# Profiles

Written by `python -m bench.profile --write`; each section names its machine. What they mean for the targets that are missed stands
in [docs/scaling.md](../docs/scaling.md#what-limits-each-part-today).
"""

if __name__ == "__main__":
    sys.exit(main())
