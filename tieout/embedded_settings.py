"""What a new embedded server is told: written to its postgresql.conf by initdb, where a user may change it."""

from __future__ import annotations

import os
from pathlib import Path

_MIB = 2**20
_SHARE = 8
"""Of the machine's memory, this part caches pages in the server; the rest is the system's cache, our commands' and everybody's."""
_LEAST, _MOST = 128 * _MIB, 1024 * _MIB
_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What a container may use, in bytes or "max" (docs.kernel.org: cgroup-v2, "memory.max"; cgroup-v1/memory)."""

_FIXED = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Compiling costs more than it saves in statements that read a few keys.
    "jit": "off",
    # After each checkpoint a page is logged whole at its first change: with 2 GB a busy outbox made one every 20 seconds, and each
    # vacuum then logged hundreds of thousands of pages.
    "max_wal_size": "4GB",
}


def server_settings() -> dict[str, str]:
    """Name and value of each; `shared_buffers` by the memory that there is.

    Postgres' own default of 128 MB is less than the keys' indexes of a few hundred thousand documents: its sessions then carry pages
    to and from the system's cache instead of working. An eighth is cautious beside the usual quarter, since the machine may be a
    laptop with other work.
    """
    wanted = max(_LEAST, min(_MOST, memory() // _SHARE))
    return {**_FIXED, "shared_buffers": f"{wanted // _MIB}MB"}


def memory(groups: tuple[Path, ...] = _GROUPS) -> int:
    """Bytes of the machine, or of the container when that may use less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [path.read_text(encoding="ascii").strip() for path in groups if path.is_file()]
    return min([machine, *(int(limit) for limit in limits if limit.isdigit())])
