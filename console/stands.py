"""Stand-ins as processes of their own that outlive a command: started, found again, stopped.

Which process answers where is kept in `sandbox.json` in a folder of the caller's choice. A stand-in keeps its state in
memory: stopping it forgets the trade.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from tieout.errors import ConfigurationError, RetryLater
from tieout.events import Event, emit

SYSTEMS = ("magento", "xero")
START_SECONDS = 30
STOP_SECONDS = 5
_FILE = "sandbox.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One running stand-in: `started` is the process's own start time (seconds), so that a recycled pid is not ours."""

    system: str
    address: str
    credentials: Mapping[str, str]
    process_id: int
    started: float

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        return _process(self) is not None


def start(folder: Path, *, options: Mapping[str, Mapping[str, object]] | None = None) -> list[Standing]:
    """Start what does not run yet; returns both. `options` by system are the stand-in's own (value as JSON)."""
    _check_installed()
    folder.mkdir(parents=True, exist_ok=True)
    running = {standing.system: standing for standing in status(folder)}
    for system in SYSTEMS:
        if system not in running:
            running[system] = _start_one(folder, system, (options or {}).get(system, {}))
    standing = [running[system] for system in SYSTEMS]
    file = folder / _FILE
    file.touch(mode=0o600)
    file.write_text(json.dumps([asdict(each) for each in standing]), encoding="utf-8")
    return standing


def status(folder: Path) -> list[Standing]:
    """The stand-ins of this folder that are alive."""
    try:
        kept: list[dict[str, Any]] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [standing for standing in (Standing(**each) for each in kept) if standing.is_alive]


def stop(folder: Path) -> list[Standing]:
    """Stop them; returns those that ran."""
    running = status(folder)
    processes = [found for found in (_process(standing) for standing in running) if found is not None]
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=STOP_SECONDS)
    (folder / _FILE).unlink(missing_ok=True)
    return running


def _process(standing: Standing) -> Any:
    """The running process (psutil's, which has no types), None when it has ended or its number is somebody else's."""
    try:
        process = psutil.Process(standing.process_id)
        is_ours = abs(process.create_time() - standing.started) < 1
        return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _signal(process: Any, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _check_installed() -> None:
    try:
        import flask  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "The stand-ins are not installed.", cure="Install them: pip install 'tieout[sandbox]'."
        ) from error


def _start_one(folder: Path, system: str, options: Mapping[str, object]) -> Standing:
    log = folder / f"{system}.log"
    arguments = [sys.executable, "-m", "sandbox", system, "--json"]
    for name, value in options.items():
        arguments += ["--option", f"{name}={json.dumps(value)}"]
    ready = folder / f"{system}.ready"
    # Its own session and files: it must neither end with this command nor keep the caller's pipes open.
    with ready.open("wb") as out, log.open("ab") as errors:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        line = ready.read_bytes()
        if line.endswith(b"\n"):
            told = json.loads(line)
            ready.unlink()
            emit(Event.SANDBOX_STARTED, system=system, address=told["address"])
            return Standing(
                system=system,
                address=told["address"],
                credentials=told["credentials"],
                process_id=process.pid,
                started=psutil.Process(process.pid).create_time(),
            )
        if process.poll() is not None:
            raise ConfigurationError(
                f"The {system} stand-in ended at once (code {process.returncode}).",
                cure=f"Its words are in {log}.",
            )
        time.sleep(0.05)
    process.terminate()
    raise RetryLater(
        f"The {system} stand-in was not ready within {START_SECONDS} s.",
        cure=f"Its words are in {log}; try again.",
    )
