"""drt (reverse ETL) finds what changed in a model: python diff_drt.py URL FOLDER VIEW KEY

As its documentation has it for models without a cursor: `incremental_strategy: diff` keeps a snapshot of the whole model in the
database and compares the next one with it there. The first run takes the snapshot; then a line is awaited on standard input,
so that records change meanwhile, and the second run is timed. Its target is a table of the same database: no API is in the way.
"""

import json
import os
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

url, folder, view, key = sys.argv[1:5]
place = urllib.parse.urlsplit(url)
name = place.path.strip("/")
root = Path(folder)
os.environ["HOME"] = str(root)
os.environ["DRT_PASSWORD"] = urllib.parse.unquote(place.password or "")
os.environ["DRT_URL"] = url
os.environ["DO_NOT_TRACK"] = "1"
os.environ["DRT_TELEMETRY_DISABLED"] = "1"


def main() -> None:
    """Write the project, run it twice."""
    (root / ".drt").mkdir(parents=True, exist_ok=True)
    (root / "syncs").mkdir(exist_ok=True)
    (root / ".drt" / "profiles.yml").write_text(
        f"here:\n  type: postgres\n  host: {place.hostname}\n  port: {place.port}\n  dbname: {name}\n"
        f"  user: {place.username}\n  password_env: DRT_PASSWORD\n"
    )
    (root / "drt_project.yml").write_text("name: bench\nversion: '0.1'\nprofile: here\n")
    columns = f"{key}, to_jsonb(seen.*)::text as payload"
    lines = (
        "name: bench",
        f"model: select {columns} from {view} as seen",  # noqa: S608 (of the caller, no data)
        "destination:",
        "  type: postgres",
        "  connection_string_env: DRT_URL",
        "  table: drt_target.bench",
        f"  upsert_key: [{key}]",
        "sync: {mode: upsert, incremental_strategy: diff, batch_size: 1000}",
    )
    (root / "syncs" / "bench.yml").write_text("\n".join(lines) + "\n")
    first, _ = run()
    print("ready", flush=True)
    sys.stdin.readline()
    second, said = run()
    print(json.dumps({"first": first, "second": second, "said": said[-2000:]}))


def run() -> tuple[float, str]:
    """One run as a scheduler starts it: seconds, and what it said."""
    began = time.monotonic()
    command = [str(Path(sys.executable).parent / "drt"), "run", "--output", "json"]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"drt failed: {ran.stdout[-1500:]} {ran.stderr[-1500:]}")
    return time.monotonic() - began, ran.stdout


main()
