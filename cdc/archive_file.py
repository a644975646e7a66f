"""Files of archived months: gzip of the CSV that COPY gives, with a manifest beside it. Any tool reads them.

    history-2026-01-3f9ac2b7d041.csv.gz         the rows, with a line of column names; null is empty, empty text is ""
    history-2026-01-3f9ac2b7d041.csv.gz.json    table, month, rows, bytes, sha256, columns with types, number of the migration

A file is written beside itself, synced, read back and compared before it gets its name, which holds the beginning of its digest:
what a crash leaves is called `.partial` and believed by nobody, and nothing is ever written over another content.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tieout.errors import ConfigurationError

CHUNK = 1 << 20
LEVEL = 6
"""Of compression: the usual one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What stands in a file, before compression."""

    rows: int
    bytes: int
    sha256: str


class _Counted:
    """Bytes on their way, with their digest and how many records of a CSV they are."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._lines = 0
        self._is_quoted = False

    def add(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._bytes += len(chunk)
        # A line feed ends a record unless a quote is open; a doubled quote closes and opens.
        for number, part in enumerate(chunk.split(b'"')):
            if number:
                self._is_quoted = not self._is_quoted
            if not self._is_quoted:
                self._lines += part.count(b"\n")

    def content(self) -> Content:
        """Of all bytes up to now; the line of column names is no row."""
        return Content(rows=max(0, self._lines - 1), bytes=self._bytes, sha256=self._digest.hexdigest())


def measured(chunks: Iterable[bytes]) -> Content:
    """What these bytes are, without keeping them."""
    counted = _Counted()
    for chunk in chunks:
        counted.add(chunk)
    return counted.content()


def write(chunks: Iterable[bytes], folder: Path, stem: str) -> tuple[Path, Content]:
    """Write a file and read it back. ConfigurationError when the folder does not take it, or gives back other bytes."""
    partial = folder / f"{stem}.partial"
    counted = _Counted()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=LEVEL, mtime=0) as packed,
        ):
            for chunk in chunks:
                counted.add(chunk)
                packed.write(chunk)
        _sync(partial)
        written, found = counted.content(), look(partial)
        if found != written:
            raise ConfigurationError(
                f"{partial} gives back other bytes than were written to it.",
                cure="Look after the disk of the folder, or name another in retention.folder. Nothing was dropped.",
            )
        path = folder / f"{stem}-{written.sha256[:12]}.csv.gz"
        partial.replace(path)
        _sync(folder)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} does not take the archive: {error.strerror}.",
            cure="Make room, or name another folder in retention.folder. Nothing was dropped.",
        ) from error
    return path, written


def look(path: Path) -> Content:
    """Read a file to its end. ConfigurationError when it is not there, cut off or damaged."""
    return measured(read(path))


def read(path: Path) -> Iterator[bytes]:
    """The CSV of a file, in pieces. ConfigurationError as above."""
    try:
        with gzip.open(path, "rb") as packed:
            while chunk := packed.read(CHUNK):
                yield chunk
    except (OSError, EOFError) as error:
        raise ConfigurationError(
            f"The archive {path} cannot be read: {error}.",
            cure="Get it back from the copy that you keep of it.",
        ) from error


class Opened(io.RawIOBase):
    """The CSV of a file as a stream."""

    def __init__(self, path: Path) -> None:
        self._chunks = read(path)
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def manifest_path(path: Path) -> Path:
    """Where the manifest of a file stands."""
    return path.with_name(f"{path.name}.json")


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a file."""
    target = manifest_path(path)
    partial = target.with_suffix(".partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(manifest, file, indent=1, default=str)
        _sync(partial)
        partial.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written: {error.strerror}.", cure="Make room there. Nothing was dropped."
        ) from error


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a file. ConfigurationError when there is none."""
    try:
        manifest: dict[str, Any] = json.loads(manifest_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} has no manifest: {error}.",
            cure=f"It stands beside the file, as {manifest_path(path).name}.",
        ) from error
    return manifest


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
