"""Which functions of the server are busy, by Linux' `perf`, where it is installed and may look."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import place

_LINE = re.compile(r"^\s*(?P<share>[\d.]+)%\s+(?P<object>\S+)\s+\[[.k]\]\s+(?P<symbol>.+?)(?:\s+-)*\s*$")
START_SECONDS = 0.5
"""Until perf looks."""


@contextmanager
def sampled(postmaster: int) -> Iterator[list[tuple[str, float]]]:
    """Function and share of the samples of sessions that begin meanwhile; the list is filled at the end, empty without perf."""
    found: list[tuple[str, float]] = []
    program = shutil.which("perf")
    if program is None:
        yield found
        return
    with place.folder() as made:
        file = made / "perf.data"
        command = [program, "record", "-q", "-F", "999", "-o", str(file), "-p", str(postmaster)]
        recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(START_SECONDS)
        try:
            yield found
        finally:
            recorder.send_signal(signal.SIGINT)
            recorder.wait()
            found += _report(program, file)


def _report(program: str, file: Path) -> list[tuple[str, float]]:
    if not file.exists():
        return []
    command = [
        program,
        "report",
        "--stdio",
        "-i",
        str(file),
        "--sort",
        "dso,symbol",
        "--percent-limit",
        "0.5",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return read(ran.stdout)


def read(report: str) -> list[tuple[str, float]]:
    """The lines of `perf report`: function and share (1: all); what has no name is summed by its file."""
    found: dict[str, float] = {}
    for line in report.splitlines():
        match = _LINE.match(line)
        if match is not None:
            symbol = match["symbol"]
            name = symbol if not symbol.startswith("0x") else f"(unnamed in {match['object']})"
            found[name] = found.get(name, 0.0) + float(match["share"]) / 100
    return sorted(found.items(), key=lambda item: -item[1])
