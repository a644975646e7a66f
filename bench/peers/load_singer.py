"""The messages that pipelinewise-target-postgres reads, and how it is started. Ours alone imports this; the peer is a process.

One message a document, nested lists and objects as jsonb columns, upsert by InvoiceID, batches of the size that it ships with.
It gets its documents from a file instead of from the server, and Python's start is taken off: both in its favour. What it
leaves out of ours: history, changes, versions, fetching.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

STREAM = "invoices"
_TYPES = {str: "string", bool: "boolean", float: "number", int: "number", list: "array", dict: "object"}


def seconds(program: Path, url: str, folder: Path, documents: Path) -> float:
    """How long the target takes to store all documents, without its own start."""
    started = _run(program, url, folder, documents, limit=1, schema="singer_start")
    return _run(program, url, folder, documents, limit=None, schema="singer") - started


def _run(program: Path, url: str, folder: Path, documents: Path, *, limit: int | None, schema: str) -> float:
    messages, config = folder / f"{schema}.singer", folder / f"{schema}.json"
    _write(documents, messages, limit)
    server = conninfo_to_dict(url)
    settings = {
        name: server[name] for name in ("host", "port", "user", "password", "dbname") if name in server
    }
    config.write_text(json.dumps(settings | {"default_target_schema": schema}))
    with messages.open("rb") as lines:
        began = time.perf_counter()
        subprocess.run(
            [program, "--config", config],
            stdin=lines,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
        return time.perf_counter() - began


def _write(documents: Path, messages: Path, limit: int | None) -> None:
    with documents.open("rb") as lines, messages.open("wb") as out:
        for number, line in enumerate(lines):
            if limit is not None and number >= limit:
                return
            if number == 0:
                out.write(_schema(line) + b"\n")
            out.write(b'{"type":"RECORD","stream":"%s","record":%s}\n' % (STREAM.encode(), line.strip()))


def _schema(line: bytes) -> bytes:
    properties = {name: {"type": ["null", _TYPES[type(value)]]} for name, value in json.loads(line).items()}
    message = {
        "type": "SCHEMA",
        "stream": STREAM,
        "key_properties": ["InvoiceID"],
        "schema": {"type": "object", "properties": properties},
    }
    return json.dumps(message).encode()
