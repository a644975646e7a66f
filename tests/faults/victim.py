"""Runs the real command line in processes that strike themselves at a point: `python -m tests.faults.victim`.

`sleep` and `pause` stop the process; a sleeper's clock says that it was for long. Everything is imported once, then each command is a fork of this process: a process of its own, without the second that
Python needs to start. Orders come as JSON lines on standard input, answers go to standard output:

    {"run": ["sync", "--json"], "env": {…}, "point": "commit after cdc.settle.settle", "nth": 1, "action": "kill" | "sleep" | "pause",
     "record": PATH | null, "out": PATH, "err": PATH}             → {"pid": 123}
    {"wait": 123, "seconds": 60}                                  → {"exit": 0} | {"signal": 9} | {"stopped": true} | {"hung": true}
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from console.cli import main
from tests.faults.points import Points, install

_LOOK_SECONDS = 0.002


def serve() -> None:
    """Carry out orders until standard input ends."""
    if "--with-dbt" in sys.argv:
        import dbt.adapters.postgres
        import dbt.cli.main  # noqa: F401 (for the forks: what is not imported here is not wrapped there)
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = _start(order) if "run" in order else _wait(int(order["wait"]), float(order["seconds"]))
        print(json.dumps(answer), flush=True)


def _start(order: dict[str, Any]) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        _be(order)
    return {"pid": pid}


def _be(order: dict[str, Any]) -> NoReturn:
    """In the child: the command, to its end."""
    try:
        for descriptor, name, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, order["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            os.dup2(os.open(name, flags, 0o600), descriptor)
        _die_with_launcher()
        os.environ.update(order["env"])
        record = Path(order["record"]) if order.get("record") else None
        points = Points(
            point=order.get("point"),
            nth=order.get("nth", 1),
            action=order.get("action", "kill"),
            record=record,
        )
        install(points)
        main(order["run"], prog_name="tieout", standalone_mode=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except Exception:  # noqa: BLE001 (a fork must not go on into the launcher's loop)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _die_with_launcher() -> None:
    """A run of the tests that is killed leaves no stopped process behind (Linux: prctl(2), PR_SET_PDEATHSIG is 1)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _wait(pid: int, seconds: float) -> dict[str, Any]:
    """What became of a child: its end, or that it stopped itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            return {"stopped": True}
        if found and os.WIFSIGNALED(status):
            return {"signal": os.WTERMSIG(status)}
        if found:
            return {"exit": os.WEXITSTATUS(status)}
        time.sleep(_LOOK_SECONDS)
    return {"hung": True}


if __name__ == "__main__":
    serve()
