"""Several pieces of work at the same time, each in a thread: some wait for others, the first failure ends all.

A thread cannot be ended from outside. Whoever works in one looks at its `Stop` between two steps and ends there by
raising `Stopping`, so that what is committed stays whole. The threads are daemons: a process that is told to end waits for
their present step a little, never for a vendor that does not answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar

GRACE_SECONDS = 10.0
"""How long a crew that is told to end waits for the steps that are under way: a page is merged in less."""

T = TypeVar("T")


class Stopping(Exception):
    """The work was told to end; nothing is wrong with it."""


class Stop:
    """Tells work to end. What ends the parent ends this too."""

    def __init__(self, parent: Stop | None = None) -> None:
        self._event = threading.Event()
        self._parent = parent

    def set(self) -> None:
        """End the work."""
        self._event.set()

    def is_set(self) -> bool:
        """Shall the work end?"""
        return self._event.is_set() or (self._parent is not None and self._parent.is_set())

    def check(self) -> None:
        """Raise Stopping if the work shall end."""
        if self.is_set():
            raise Stopping


def work_off(
    jobs: Mapping[str, Callable[[], T]],
    *,
    after: Mapping[str, Collection[str]],
    at_once: int,
    stop: Stop,
    finished: Callable[[str, T], None] | None = None,
) -> dict[str, T]:
    """Do all jobs, at most so many at once; what each gave, by its name.

    A job begins when those that it comes `after` have ended; names that are no job count as done. Jobs that may begin do so in
    the order in which they are given. `finished` hears of each in the caller's thread. The first error of a job, or of
    `finished`, sets `stop`, lets the others end and is raised then; Stopping when only `stop` ended the work.
    """
    return _Crew(jobs, after, at_once, stop, finished).work()


class _Crew(Generic[T]):
    def __init__(
        self,
        jobs: Mapping[str, Callable[[], T]],
        after: Mapping[str, Collection[str]],
        at_once: int,
        stop: Stop,
        finished: Callable[[str, T], None] | None,
    ) -> None:
        self._waiting = dict(jobs)
        self._after = {name: set(after.get(name, ())) & jobs.keys() for name in jobs}
        self._at_once = at_once if len(jobs) > 1 else 1
        self._stop = stop
        self._finished = finished
        self._running: dict[str, threading.Thread] = {}
        self._ended: SimpleQueue[tuple[str, T | None, BaseException | None]] = SimpleQueue()
        self._done: dict[str, T] = {}
        self._failure: BaseException | None = None
        self._is_cut_off = False

    def work(self) -> dict[str, T]:
        try:
            while self._begin():
                self._hear()
        except BaseException:
            # The caller's own thread was interrupted (Ctrl-C).
            self._stop.set()
            until = time.monotonic() + GRACE_SECONDS
            for thread in self._running.values():
                thread.join(max(0.0, until - time.monotonic()))
            raise
        if self._failure is not None:
            raise self._failure
        if self._waiting or self._is_cut_off:
            raise Stopping
        return self._done

    def _begin(self) -> bool:
        """Start what may begin. False when nothing is under way any more."""
        if not self._stop.is_set():
            for name in list(self._waiting):
                if len(self._running) < self._at_once and self._after[name] <= self._done.keys():
                    self._start(name, self._waiting.pop(name))
        if self._waiting and not self._running and not self._stop.is_set():
            raise AssertionError(f"{', '.join(self._waiting)} wait for each other")
        return bool(self._running)

    def _start(self, name: str, job: Callable[[], T]) -> None:
        def run() -> None:
            try:
                self._ended.put((name, job(), None))
            except BaseException as error:  # noqa: BLE001 (raised again in the caller's thread)
                self._ended.put((name, None, error))

        thread = threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True)
        self._running[name] = thread
        thread.start()

    def _hear(self) -> None:
        name, result, error = self._ended.get()
        self._running.pop(name).join()
        try:
            if error is not None:
                raise error
            self._done[name] = result  # type: ignore[assignment]  # without an error there is a result
            if self._finished is not None:
                self._finished(name, self._done[name])
        except Stopping:
            self._is_cut_off = True
        except BaseException as failed:  # noqa: BLE001 (raised again when all have ended)
            self._failure = self._failure or failed
            self._stop.set()
