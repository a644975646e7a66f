"""Parts of a long-lived process: each a thread that does one thing when it is woken and by the clock, and comes back by itself.

What fails is told and tried again, at growing distances (tenacity); only a mistake of ours, or a database of another version,
ends the process, and then all parts with it. A part that is asked to end finishes what it is at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import psycopg
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_when_event_set,
    wait_exponential_jitter,
)

from tieout.db import SESSION_LOST
from tieout.errors import (
    ConnectionRefused,
    CredentialsError,
    DatabaseDown,
    LockHeld,
    MigrationMismatch,
    RetryLater,
    TieoutError,
    UsageError,
)
from tieout.events import Event, emit

LONGEST_PAUSE_SECONDS = 300.0
LONGEST_PAUSE_FOR_DATABASE_SECONDS = 10.0
TOLD_AGAIN_SECONDS = 900.0
"""A complaint in the same words is an event again after so long."""


class Ending:
    """When and why all parts end."""

    def __init__(self) -> None:
        self.asked: threading.Event = threading.Event()
        self._reasons: SimpleQueue[BaseException | None] = SimpleQueue()

    def ask(self, because: BaseException | None = None) -> None:
        """Let everything end. May be called by a signal's handler, at any instruction."""
        self._reasons.put(because)

    def wait(self) -> BaseException | None:
        """Until somebody asks. Returns why: None when a person or a supervisor did."""
        because = self._reasons.get()
        self.asked.set()
        return because


class Beat:
    """One part. `every`: seconds between two looks when nobody wakes it."""

    def __init__(self, name: str, action: Callable[[], None], *, every: float, ending: Ending) -> None:
        self.name: str = name
        self._action: Callable[[], None] = action
        self.every: float = every
        self._ending: Ending = ending
        self._woken: threading.Event = threading.Event()
        self._told: tuple[str, float] = ("", 0.0)
        self._thread: threading.Thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do. Woken while it is at work, it looks once more afterwards."""
        self._woken.set()

    def join(self, seconds: float | None = None) -> bool:
        """Wait for its end, once that was asked for; False when it takes longer."""
        self._woken.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def complain(self, error: BaseException, *, wait: float = 0.0) -> None:
        """Tell what went wrong; the same words not again and again."""
        words, now = f"{type(error).__name__}: {error}", time.monotonic()
        if words == self._told[0] and now - self._told[1] < TOLD_AGAIN_SECONDS:
            return
        self._told = (words, now)
        emit(
            Event.RUN_PART_FAILED,
            part=self.name,
            error=type(error).__name__,
            message=str(error),
            wait=round(wait, 1),
        )

    def _run(self) -> None:
        try:
            while not self._ending.asked.is_set():
                self._woken.clear()
                self._until_done()
                if not self._ending.asked.is_set():
                    self._woken.wait(self.every)
        except BaseException as error:  # noqa: BLE001 (whatever it is, it must end the process, not only this thread)
            self._ending.ask(error)

    def _until_done(self) -> None:
        """Do it, again and again while it fails."""
        retrying = Retrying(
            retry=retry_if_exception(_passes),
            wait=_pause,
            stop=stop_when_event_set(self._ending.asked),
            sleep=self._sleep,
            before_sleep=self._before_pause,
            reraise=True,
        )
        try:
            retrying(self._once)
        except BaseException as error:
            if self._ending.asked.is_set() and _passes(error):
                return
            raise
        if retrying.statistics["attempt_number"] > 1:
            self._told = ("", 0.0)
            emit(Event.RUN_PART_RECOVERED, part=self.name, attempts=retrying.statistics["attempt_number"])

    def _once(self) -> None:
        try:
            self._action()
        except LockHeld:
            # Another process is at it, and does the work.
            return

    def _sleep(self, seconds: float) -> None:
        self._ending.asked.wait(seconds)

    def _before_pause(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None:
            self.complain(error, wait=state.upcoming_sleep)


def is_for_later(error: TieoutError) -> bool:
    """Does it stop a whole target, so that trying again at once would only burden it?"""
    return isinstance(error, RetryLater | CredentialsError | ConnectionRefused)


def _passes(error: BaseException) -> bool:
    """What time, a person or the vendor can cure while the process goes on."""
    if isinstance(error, TieoutError):
        return not isinstance(error, MigrationMismatch | UsageError)
    return isinstance(error, SESSION_LOST)


_GROWING = wait_exponential_jitter(max=LONGEST_PAUSE_SECONDS, jitter=1)


def _pause(state: RetryCallState) -> float:
    """Longer each time; as long as the vendor said; for a database that is away never long."""
    error = state.outcome.exception() if state.outcome is not None else None
    seconds = _GROWING(state)
    if isinstance(error, (DatabaseDown, psycopg.Error)):
        return min(seconds, LONGEST_PAUSE_FOR_DATABASE_SECONDS)
    told = error.seconds if isinstance(error, RetryLater) else None
    return max(seconds, told or 0.0)
