"""Archived months before an auditor: each file against what the database noted of it, and the chain through its files."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from cdc import archive_file
from cdc.audit_chain import Finding, Walk
from tieout.errors import ConfigurationError
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
MOST = 50
"""Findings, after which the walk only counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the files say."""

    findings: tuple[Finding, ...]
    rows: int
    """Rows of the chain in them."""
    digests: dict[int, str]
    """At the positions that were asked for."""


def verify(session: Session, folder: Path, positions: Collection[int]) -> Files:
    """Read every file that `cdc.archives` knows; the digests at these positions of the chain."""
    findings: list[Finding] = []
    digests: dict[int, str] = {}
    walk, rows = Walk(), 0
    known = session.execute(query("retention", "archives"), {"relation": None, "since": None}).fetchall()
    for archive in sorted(
        known, key=lambda row: (row["first_position"] or 0, row["relation"], row["from_at"])
    ):
        path = folder / archive["file"]
        try:
            found = archive_file.look(path)
        except ConfigurationError as error:
            findings.append(Finding(what="missing", where=archive["file"], sentence=str(error)))
            continue
        if (found.sha256, found.rows) != (archive["sha256"], archive["rows"]):
            sentence = (
                f"{archive['file']} is not the file that was archived: {found.rows} rows with the digest {found.sha256[:12]}, "
                f"noted were {archive['rows']} with {archive['sha256'][:12]}."
            )
            findings.append(Finding(what="changed", where=archive["file"], sentence=sentence))
        if archive["relation"] == "audit":
            for row in _chain(path):
                rows += 1
                if len(findings) < MOST:
                    findings += walk.step(row)
                if row["position"] in positions:
                    digests[row["position"]] = row["digest"]
    return Files(findings=tuple(findings), rows=rows, digests=digests)


def _chain(path: Path) -> Iterator[Row]:
    text = io.TextIOWrapper(io.BufferedReader(archive_file.Opened(path)), encoding="utf-8", newline="")
    for row in csv.DictReader(text):
        at = datetime.fromisoformat(row["noted_at"]).astimezone(UTC)
        yield {
            **row,
            "position": int(row["position"]),
            "noted_at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
