"""Readers that leave: a pager that is closed, `head`, a log that ended. The work goes on, and the exit code still says how it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


def to_nowhere(stream: TextIO) -> None:
    """Nobody reads it any more. What is left in its buffer goes nowhere too, or Python would complain when it ends (its
    documentation of SIGPIPE).
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def errors_may_go_unread() -> Iterator[None]:
    """Events and messages on standard error end no work when their reader leaves.

    Else the next event would be the error of whatever was under way, and rich and click would end with 1, which says that
    tieout failed.
    """
    before = sys.stderr
    sys.stderr = cast("TextIO", _Unread(before))
    try:
        yield
    finally:
        sys.stderr = before


class _Unread:
    """A stream that does not mind."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            to_nowhere(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            to_nowhere(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
