"""Commands as processes that strike themselves: starting them, waiting for them, waking them; see `victim.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tieout.settings import package_root

SECONDS = 90.0
"""No command of these tests takes longer; one that does hangs."""
Json = dict[str, Any]


@dataclass(kw_only=True)
class Victim:
    """A command that runs as a process of its own, and strikes itself when it comes to its point."""

    launcher: Launcher
    pid: int
    out: Path
    err: Path

    def wait(self, seconds: float = SECONDS) -> Json:
        """Its end: {"exit": code}, {"signal": 9} or {"stopped": True}. A process that hangs is an error."""
        ended = self.launcher.ask({"wait": self.pid, "seconds": seconds})
        if "hung" in ended:
            os.kill(self.pid, signal.SIGKILL)
            self.launcher.ask({"wait": self.pid, "seconds": seconds})
            raise AssertionError(f"A command hangs: {self.said[-2000:]}")
        if "stopped" not in ended:
            self.launcher.alive.discard(self.pid)
        return ended

    def kill(self) -> Json:
        """End it from outside, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wake(self) -> Json:
        """Let a stopped process go on; how it ended."""
        os.kill(self.pid, signal.SIGCONT)
        return self.wait()

    @property
    def said(self) -> str:
        """What it printed."""
        return self.out.read_text(encoding="utf-8") + self.err.read_text(encoding="utf-8")


class Launcher:
    """The process that forks victims; see `victim.py`."""

    def __init__(self, folder: Path, *, with_dbt: bool = False) -> None:
        self._folder = folder
        self._count = 0
        self.alive: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim", *(["--with-dbt"] if with_dbt else [])],
            env={**os.environ, "PYTHONPATH": str(package_root())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, order: Json) -> Json:
        """One order, its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return self._answer()

    def start(
        self,
        *arguments: str,
        settings: Path,
        point: str | None = None,
        nth: int = 1,
        action: str = "kill",
        record: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Victim:
        """A command with `--json` in a process of its own, struck when it passes `point` for the `nth` time."""
        self._count += 1
        out, err = (self._folder / f"victim-{self._count}.{name}" for name in ("out", "err"))
        order = {
            "run": [*arguments, "--json"],
            "env": {"TIEOUT_SETTINGS": str(settings), **(env or {})},
            "point": point,
            "nth": nth,
            "action": action,
            "record": str(record) if record else None,
            "out": str(out),
            "err": str(err),
        }
        pid = int(self.ask(order)["pid"])
        self.alive.add(pid)
        return Victim(launcher=self, pid=pid, out=out, err=err)

    def close(self) -> None:
        """End it, and whatever it started."""
        for pid in self.alive:
            os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> Json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("The launcher of victims has died.")
        answer: Json = json.loads(line)
        return answer
