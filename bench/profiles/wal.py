"""Bytes of the server's log (WAL) between two moments, by table and index, as `pg_waldump` of the embedded server tells them."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from tieout import embedded
from tieout.queries import parse
from tieout.settings import Settings

_SQL = parse((Path(__file__).parent / "profiles.sql").read_text(encoding="utf-8"))
_RECORD = re.compile(
    r"^rmgr: (?P<manager>\S+) .*?len \(rec/tot\): +\d+/ *(?P<bytes>\d+),.*? desc: (?P<does>[A-Z_+]+)(?P<rest>.*)$"
)
_PLACE = re.compile(r"blkref #0: rel \d+/\d+/(\d+)")

Session = psycopg.Connection[dict[str, Any]]


def position(session: Session) -> str:
    """Where the log ends now."""
    row = session.execute(_SQL["position"]).fetchone()
    assert row is not None, "a function gives one row"
    return str(row["lsn"])


def written(settings: Settings, session: Session, since: str) -> Counter[str]:
    """Bytes by relation since that position, and by kind of record where it belongs to none; empty without `pg_waldump`."""
    data = Path(str((session.execute("show data_directory").fetchone() or {})["data_directory"]))
    program = embedded.binaries(settings.data_dir) / "pg_waldump"
    if not program.exists():
        return Counter()
    relations = {str(row["file"]): str(row["relation"]) for row in session.execute(_SQL["files"])}
    command = [str(program), "--path", str(data / "pg_wal"), "--start", since, "--end", position(session)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return by_relation(ran.stdout.splitlines(), relations)


def by_relation(lines: Iterable[str], relations: Mapping[str, str]) -> Counter[str]:
    """Sum the lines of `pg_waldump`; `relations`: names by number of file. Pages in full are counted apart."""
    found: Counter[str] = Counter()
    for line in lines:
        record = _RECORD.match(line)
        if record is None:
            continue
        place = _PLACE.search(record["rest"])
        if place is None:
            name = f"({record['manager'].lower()} {record['does'].lower()})"
        else:
            name = relations.get(place[1], "(what is gone)")
        found[name + (", pages in full" if " FPW" in record["rest"] else "")] += int(record["bytes"])
    return found
