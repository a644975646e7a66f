"""Processor time of one session of the server: what it computed, without what it or its client waited for."""

from __future__ import annotations

import math
import time
from pathlib import Path

import psutil

HAS_SCHEDSTAT = Path("/proc/self/schedstat").exists()
MEASURED = (
    "processor time of the session"
    if HAS_SCHEDSTAT
    else "wall time: this system does not tell a session's own"
)
"""What `of_session` counts here, for the note of a table."""


def of_session(pid: int) -> float:
    """Seconds that the process spent on a processor so far; where the system does not say, the time of day.

    Linux tells it in the first field of `/proc/<pid>/schedstat`, in nanoseconds (kernel documentation, "Scheduler statistics").
    """
    if not HAS_SCHEDSTAT:
        return time.perf_counter()
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0  # it has ended


def began(pid: int) -> float:
    """When the process began (seconds of the epoch); for ever ago where sessions' own time is not told, or it has ended."""
    if not HAS_SCHEDSTAT or not psutil.pid_exists(pid):
        return -math.inf
    return float(psutil.Process(pid).create_time())
