"""`tieout run`: the pipeline as a process that stays."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from uuid import UUID

import click

from cdc.follow import Follow, Pace
from console.alerting import tell_quietly
from console.frame import App, command
from console.report import Report, table
from tieout.errors import ExitCode, TieoutError
from tieout.events import Event, emit

CHAPTER_SECONDS = 3600.0
"""So long work is recorded under one run, which can be taken back as a whole (`tieout reverse`)."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
LEAST_SECONDS = 0.1


class Seconds(click.ParamType[float]):
    """A span of time: 30s, 5m, 1h, or a number of seconds."""

    name = "time"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Its seconds; refused when it is none, or too short to be meant."""
        text = str(value).strip().lower()
        number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1.0)
        try:
            seconds = float(number) * unit
        except ValueError:
            seconds = 0.0
        if not LEAST_SECONDS <= seconds <= 86_400:
            self.fail(
                f"{value} is no span of time from {LEAST_SECONDS:g}s to 24h, such as 30s or 5m.",
                parameter,
                context,
            )
        return seconds


class Chapters:
    """The run under which work is recorded: a new one each hour, so that an hour's work can be taken back by itself."""

    def __init__(self, app: App, clock_seconds: float = CHAPTER_SECONDS) -> None:
        self._app = app
        self._seconds = clock_seconds
        self._mutex = threading.Lock()
        self._run: UUID | None = None
        self._since = 0.0

    def __call__(self) -> UUID:
        """The present one; called by all threads."""
        with self._mutex:
            if self._run is None or time.monotonic() - self._since > self._seconds:
                before, self._run = self._run, self._app.begin("run", {})
                self._since = time.monotonic()
                if before is not None:
                    self._app.end(before)
            return self._run

    def close(self, code: ExitCode) -> None:
        """The last one is over."""
        with self._mutex:
            if self._run is not None:
                self._app.end(self._run, code)
                self._run = None


@command("run")
@click.option(
    "--every", type=Seconds(), default="60s", show_default=True, help="Between two loads of a connection."
)
@click.option(
    "--look",
    type=Seconds(),
    default="5s",
    show_default=True,
    help="Diff and drains look so often even if nothing woke them.",
)
@click.option(
    "--marts",
    "marts_every",
    type=Seconds(),
    default="60s",
    show_default=True,
    help="Between two refreshes of the marts.",
)
def run(app: App, every: float, look: float, marts_every: float) -> Report:
    """Do what `sync` does, continuously: one process that stays, for a supervisor.

    Example: tieout run --every 60s

    Each connection is loaded at its pace, the first time at once. What a load or a person changes is diffed and sent as soon
    as it is committed. What fails is told as an event and tried again, at growing distances; the rest goes on. SIGTERM or
    Ctrl-C lets calls in flight end, then exit 0; exit 6 when the database was migrated: start the new version. May be killed
    at any time and may run several times, on several hosts. It does not sweep or prove: schedule `load --sweep` and `prove`.
    """
    app.connections()
    started = time.monotonic()
    chapters = Chapters(app)
    chapters()

    def house() -> None:
        tell_quietly(app)
        app.seal()

    follow = Follow(
        app.database,
        app.settings,
        pace=Pace(load=every, look=look, marts=marts_every),
        run=chapters,
        house=house,
    )
    ending = follow.ending

    def asked(number: int, _frame: FrameType | None) -> None:
        ending.ask()
        # Whoever asks a second time does not want to wait.
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    code, failed = ExitCode.BUG, None
    emit(Event.RUN_STARTED, connections=sorted(app.settings.connections), every=every, look=look)
    try:
        follow.work()
        code = ExitCode.DONE
    except TieoutError as error:
        code, failed = error.exit_code, type(error).__name__
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        chapters.close(code)
        seconds = round(time.monotonic() - started, 3)
        emit(Event.COMMAND_FINISHED, command="run", exit_code=int(code), seconds=seconds, error=failed)
    counts = {
        name: follow.counts[name]
        for name in ("loads", "changed", "diffs", "entries", "calls", "applied", "rejected", "held")
    }
    return Report(
        data={**counts, "seconds": round(time.monotonic() - started, 1)},
        shown=[table("Done", [f"{name}#" for name in counts], [tuple(counts.values())])],
    )
