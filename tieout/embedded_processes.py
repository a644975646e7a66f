"""Which processes of this machine belong to the embedded Postgres of a data folder (the folder they work in tells), and
which ports are taken.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import psutil

_END_SECONDS = 20
_BACKEND = "postgres:"
"""How the title of every process of a server but the first begins."""


def is_served(data: Path, postmaster: int | None) -> bool:
    """Is that process a server of this folder? False also where it cannot be seen."""
    try:
        return postmaster is not None and _is_of(data, psutil.Process(postmaster))
    except psutil.Error:
        return False


def is_somebody_elses(data: Path, postmaster: int) -> bool:
    """Does that process live, and is surely no server of this folder?"""
    try:
        return not _is_of(data, psutil.Process(postmaster))
    except psutil.NoSuchProcess:
        return False  # Postgres replaces such a file by itself.
    except psutil.AccessDenied:
        return False  # Of another user, so Postgres sees for itself that it is not ours.


def end_orphans(data: Path) -> None:
    """End what is left of a server of this folder whose first process was killed.

    A statement that is at work outlives it, and as long as one does, Postgres starts no server there. None of them can do
    anything of use: nobody is left who could write down their commit.
    """
    left: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _is_of(data, process) and " ".join(process.cmdline()).startswith(_BACKEND):
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=_END_SECONDS)


def is_free(port: int) -> bool:
    """Does nobody listen on that port of 127.0.0.1?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _is_of(data: Path, process: psutil.Process) -> bool:
    return "postgres" in process.name() and Path(process.cwd()).resolve() == data
