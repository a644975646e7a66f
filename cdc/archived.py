"""What no longer stands in the database: which files hold it, and putting one back beside it to be looked at."""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cdc import archive_file
from tieout.errors import ConfigurationError
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]
_RELATION = re.compile(r"[a-z_]{1,40}")
_MONTH = re.compile(r"(\d{4})-(\d{2})-01")
_QUOTING = str.maketrans("\n\r\t", "   ", '"\\')
_LINE_FEED = re.compile(r"\\+[nrt]")
_WIDEST = 16
"""Characters that one of a name becomes at most: a quotation mark in JSON in a text in JSON, in CSV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """A file in a table of the schema `archive`."""

    table: str
    rows: int
    is_known: bool
    """The database noted a file with this content when it was archived."""


def files(session: Session, *relations: str, since: datetime | None = None) -> list[str]:
    """Names of the files that hold rows of these tables from `since` on; the earliest first."""
    known = session.execute(query("retention", "archives"), {"relation": None, "since": since}).fetchall()
    return [row["file"] for row in known if row["relation"] in relations]


def sentence(names: Collection[str]) -> str:
    """Where it is, and how it is looked at."""
    some = sorted(names)
    shown = ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")
    return f"archived in {shown}; `tieout retain --restore FILE` puts one back to be looked at"


def put_back(session: Session, path: Path) -> PutBack:
    """Load a file into a table of the schema `archive`, in place of what stood there of it; read by nobody but people.

    Raises ConfigurationError when the file is not the one that its manifest tells of.
    """
    manifest = archive_file.read_manifest(path)
    content = archive_file.look(path)
    if (content.sha256, content.rows) != (manifest.get("sha256"), manifest.get("rows")):
        raise ConfigurationError(
            f"{path} is not what its manifest tells of: it has {content.rows} rows and the digest {content.sha256[:12]}.",
            cure="Get it back from the copy that you keep of it.",
        )
    relation, month = str(manifest.get("relation")), _MONTH.fullmatch(str(manifest.get("month")))
    if month is None or not _RELATION.fullmatch(relation):
        raise ConfigurationError(f"The manifest of {path} names no table and month.", cure="Correct it.")
    name = f"{relation}_{month[1]}_{month[2]}_{content.sha256[:6]}"
    target = sql.Identifier("archive", name)
    columns = [sql.Identifier(str(column["name"])) for column in manifest["columns"]]
    types = [sql.SQL(_type(session, str(column["type"]), path)) for column in manifest["columns"]]
    typed = sql.SQL(", ").join([sql.SQL("{} {}").format(*pair) for pair in zip(columns, types, strict=True)])
    copy_in = compose("retention", "copy_in", table=target, columns=sql.SQL(", ").join(columns))
    with session.transaction():
        session.execute(query("retention", "side_schema"))
        session.execute(compose("retention", "side_drop", table=target))
        session.execute(compose("retention", "side_table", table=target, columns=typed))
        with session.cursor() as cursor, cursor.copy(copy_in) as copy:
            for chunk in archive_file.read(path):
                copy.write(chunk)
        known = session.execute(
            query("retention", "archives"), {"relation": relation, "since": None}
        ).fetchall()
    return PutBack(
        table=f"archive.{name}",
        rows=content.rows,
        is_known=any(row["sha256"] == content.sha256 for row in known),
    )


def _type(session: Session, name: str, path: Path) -> Any:
    """The type as the server spells it: what stands in a manifest is not sent as it is."""
    row = session.execute(query("retention", "type"), {"type": name}).fetchone()
    if row is None or row["type"] is None:
        raise ConfigurationError(
            f"The manifest of {path} has a type that this server lacks: {name}.", cure="Correct it."
        )
    return row["type"]


def naming(session: Session, folder: Path, texts: Collection[str]) -> tuple[list[str], list[str]]:
    """Files in which one of these texts stands, whatever its case; and files that are not where they should be."""
    found: list[str] = []
    missing: list[str] = []
    marks = {mark for text in texts if (mark := _bare(text).strip())}
    # The chain of the audit holds no personal data.
    for name in files(session, "history", "links_before", "outbox_done", "calls", "proofs", "runs"):
        if not (folder / name).is_file():
            missing.append(name)
        elif marks and _names(folder / name, marks):
            found.append(name)
    return found, missing


def _names(path: Path, marks: Collection[str]) -> bool:
    longest = max(map(len, marks))
    spaced = [mark for mark in marks if " " in mark]
    rest = ""
    text = io.TextIOWrapper(io.BufferedReader(archive_file.Opened(path)), encoding="utf-8", newline="")
    while chunk := text.read(archive_file.CHUNK):
        piece = rest + chunk
        bare = _bare(piece)
        if any(mark in bare for mark in marks):
            return True
        if spaced:
            # A backslash before n is a line feed in JSON, or a backslash in front of an n: both are looked for.
            bare = _bare(_LINE_FEED.sub(" ", piece))
            if any(mark in bare for mark in spaced):
                return True
        rest = piece[-longest * _WIDEST :]
    return False


def _bare(text: str) -> str:
    """Without what CSV and JSON put around and in front of characters; that a name more is alike does no harm."""
    return text.translate(_QUOTING).lower()
