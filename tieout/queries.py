"""Statements by name: `sql/queries/<file>.sql` holds them, Python never does.

Each statement begins with a line `-- name: <statement>`; comment lines directly below it say its purpose and
parameters. Values are parameters (`%(name)s`), identifiers are placeholders in braces that `compose` fills.
"""

from __future__ import annotations

import difflib
import functools
import re
from pathlib import Path
from typing import LiteralString

from psycopg import sql

from tieout.settings import package_root

_HEADER = re.compile(r"^-- name:[ \t]*(?P<name>\S+)[ \t]*$", re.MULTILINE)


@functools.cache
def query(file: str, statement: str) -> LiteralString:
    """The text of a statement; LookupError, with the nearest name, when there is none."""
    statements = _load(package_root() / "sql" / "queries" / f"{file}.sql")
    if statement not in statements:
        near = difflib.get_close_matches(statement, statements, n=1)
        hint = f", perhaps {near[0]!r}" if near else ""
        raise LookupError(f"sql/queries/{file}.sql has no statement {statement!r}{hint}")
    # The text comes from a file of ours, never from data: that is what psycopg's LiteralString asks for.
    return statements[statement]


def compose(file: str, statement: str, **identifiers: sql.Composable) -> sql.Composed:
    """The statement with its `{placeholders}` filled by quoted identifiers or other composed SQL."""
    return sql.SQL(query(file, statement)).format(**identifiers)


@functools.cache
def _load(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise LookupError(f"there is no sql/queries/{path.name}")
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, str]:
    """The statements of a file by name, without their heading comments; ValueError for a name that occurs
    twice.
    """
    statements: dict[str, str] = {}
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    for header, end in zip(headers, ends, strict=True):
        name = header["name"]
        lines = text[header.end() : end].strip("\n").splitlines()
        while lines and (not lines[0].strip() or lines[0].startswith("--")):
            lines.pop(0)
        if name in statements:
            raise ValueError(f"the statement {name!r} is written twice")
        body = "\n".join(lines).strip().removesuffix(";")
        if not body:
            raise ValueError(f"the statement {name!r} is empty")
        statements[name] = body
    return statements
