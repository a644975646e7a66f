"""The one HTTP client. Reads are repeated, writes are sent once and say exactly what is known about them.

A read repeats transport faults, 429, 5xx and answers that are not the JSON they should be, a bounded number
of times and for a bounded time, then raises RetryLater. A write is one request:

    surely not carried out   connection not made, deadline passed, 429, token expired   NotSent
    surely refused           other 4xx, as the client module reads them                 Rejected and others
    carried out              2xx                                                        the Answer
    nobody knows             reset, time-out, broken answer once sending began, 5xx     UnknownOutcome

The deadline of a write is looked at when the connection stands and nothing of the request has been written: a
process that was paused for an hour does not send. Budget and token are taken before, by `ready_to_write`, so
that a caller commits `sending` only when nothing but the request follows. No cookies are kept, no redirects
followed.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import stamina

from tieout.answer import Answer, require_json, usual_meaning
from tieout.budget import Budget, Slot, Work
from tieout.errors import (
    BudgetDenied,
    ConnectionRefused,
    CredentialsError,
    DatabaseDown,
    NotSent,
    RetryLater,
    TieoutError,
    UnknownOutcome,
)
from tieout.events import Event, emit, scrub_text

__all__ = ["Answer", "Authorise", "Http", "Params", "Refusals", "boottime", "trusted"]

CONNECT_TIMEOUT_SECONDS = 10.0
READ_ATTEMPTS = 6
READ_SECONDS = 180.0
"""A read that has not worked after this time is for the next run. Waits for our own budget are no attempts."""
LONGEST_WAIT_SECONDS = 65.0
"""Waits for a limit of a minute are worth staying for; longer ones are for the next run."""
_FIRST_WAIT_SECONDS = 0.5
_WORTH_TELLING_SECONDS = 1.0

# Every retry is an event of ours; stamina would write a second line about it.
stamina.instrumentation.set_on_retry_hooks([])

Params = Mapping[str, str | int | list[str]]


def boottime() -> float:
    """Seconds on the clock that also runs while the machine sleeps; deadlines of writes are on it."""
    # macOS has no CLOCK_BOOTTIME, and its CLOCK_MONOTONIC counts sleep (clock_gettime(3)).
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@functools.cache
def trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once a process: reading them takes longer than many a call."""
    return httpx.create_ssl_context()


Authorise = httpx.Auth | Callable[[httpx.Request], None]
Refusals = Callable[[Answer], TieoutError | None]


class Http:
    """A client of one address. Safe for several threads."""

    def __init__(
        self,
        *,
        base_url: str,
        authorise: Authorise | None,
        refusals: Refusals,
        budget: Budget | None = None,
        timeout_seconds: float = 60,
        renew: Callable[[], bool] | None = None,
        ensure_token: Callable[[], None] | None = None,
        observe: Callable[[Answer, Slot], None] | None = None,
        headers: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        """`authorise` signs each request. `refusals` reads an answer that is not 2xx and gives the error that
        it means, or None for what the status says by itself. `renew` is called when a CredentialsError is
        `expired`: True means that there is a new token. `ensure_token` gets a token that lives long enough
        for a write. `observe` sees each answer (and learns what is left of the budget). `name` is the
        connection's, for events.
        """
        self._base = base_url.rstrip("/")
        self._refusals = refusals
        self._budget = budget
        self._renew = renew
        self._ensure_token = ensure_token
        self._observe = observe
        self._name = name
        self._auth = authorise if isinstance(authorise, httpx.Auth) or authorise is None else _Hook(authorise)
        host = urlsplit(self._base).hostname or ""
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds)),
            headers={"Accept": "application/json", "User-Agent": "tieout", **(headers or {})},
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            verify=trusted(),
            follow_redirects=False,
            # A stand-in on this machine is never behind the proxy of the environment.
            trust_env=host not in ("127.0.0.1", "localhost", "::1"),
        )

    def read(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        work: Work | None = None,
        json: bool = True,
        given_up: Callable[[], bool] | None = None,
    ) -> Answer:
        """GET, repeated until it works or is for the next run. `json=False` for content of another kind;
        `work`: None is what `tieout.budget.working_for` says; `given_up`: asked before each repetition, True
        when nobody wants the answer any more (RetryLater then).

        Raises what `refusals` says for a definite answer, BudgetExhausted, CredentialsError, RetryLater.
        """
        renewed = False
        for attempt in self._attempts(path, given_up):
            with attempt:
                if given_up is not None and given_up():
                    raise RetryLater("Nobody wants the answer any more.")
                try:
                    return self._read_once(path, params, headers, work, json=json)
                except CredentialsError as error:
                    if renewed or not self._try_renew(error):
                        raise
                    renewed = True
                    return self._read_once(path, params, headers, work, json=json)
        raise AssertionError("stamina raises the last error")

    def ready_to_write(self, work: Work | None = None, *, size: int = 0) -> Slot:
        """A token that lives long enough and a slot of the budget for about so many bytes: what must be there
        before `sending` is committed.

        Raises BudgetExhausted, CredentialsError, RetryLater; nothing was sent then.
        """
        if self._ensure_token is not None:
            self._ensure_token()
        return self._budget.draw(work, size=size) if self._budget is not None else Slot()

    def write(
        self,
        method: str,
        path: str,
        *,
        slot: Slot,
        content: bytes,
        deadline: float,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send once, before `deadline` (see `boottime`); the slot is given back. Errors: see the module's
        table.
        """
        guard = _Guard(deadline)
        started = time.monotonic()
        outcome, status = "answered", None
        try:
            try:
                answer = self._send_write(method, path, content, params, headers, guard)
            finally:
                if guard.began:
                    slot.release(size=len(content))
                else:
                    slot.unused()
            status = answer.status
            self._after(answer, slot)
            if not 200 <= answer.status < 300:
                self._refuse_write(answer)
            return answer
        except TieoutError as error:
            outcome = type(error).__name__
            raise
        finally:
            emit(
                Event.HTTP_WRITE_FINISHED,
                connection=self._name,
                method=method,
                path=path,
                outcome=outcome,
                status=status,
                seconds=round(time.monotonic() - started, 3),
            )

    @property
    def calls_at_once(self) -> int | None:
        """The vendor's limit on calls at the same time; None: there is none."""
        return self._budget.calls_at_once if self._budget is not None else None

    def close(self) -> None:
        """Close the connections and the budget's session."""
        self._client.close()
        if self._budget is not None:
            self._budget.close()

    def _attempts(self, path: str, given_up: Callable[[], bool] | None) -> Iterator[Any]:
        failed = 0

        def is_worth_waiting(error: Exception) -> bool | float:
            nonlocal failed
            if given_up is not None and given_up():
                return False
            # Eight processes that share a minute wait their turn several times: that is no failure.
            failed += not isinstance(error, BudgetDenied)
            return failed < READ_ATTEMPTS and self._worth_waiting(error, path)

        return iter(
            stamina.retry_context(
                on=is_worth_waiting,
                attempts=None,
                timeout=READ_SECONDS,
                wait_initial=_FIRST_WAIT_SECONDS,
                wait_max=20.0,
            )
        )

    def _worth_waiting(self, error: Exception, path: str) -> bool | float:
        if not isinstance(error, RetryLater) or isinstance(error, DatabaseDown):
            return False
        if error.seconds is not None and error.seconds > LONGEST_WAIT_SECONDS:
            return False
        if not isinstance(error, BudgetDenied):
            emit(
                Event.HTTP_RETRIED,
                connection=self._name,
                path=path,
                cause=type(error).__name__,
                wait=error.seconds,
            )
        elif error.seconds is not None and error.seconds >= _WORTH_TELLING_SECONDS:
            emit(
                Event.BUDGET_WAITED, connection=self._name, seconds=round(error.seconds, 1), cause=error.limit
            )
        return True if error.seconds is None else error.seconds

    def _try_renew(self, error: CredentialsError) -> bool:
        return error.expired and self._renew is not None and self._renew()

    def _read_once(
        self,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        work: Work | None,
        *,
        json: bool,
    ) -> Answer:
        with self._budget.draw(work) if self._budget is not None else Slot() as slot:
            started = time.monotonic()
            try:
                response = self._client.request(
                    "GET", self._url(path), params=params, headers=headers, auth=self._auth
                )
            except httpx.RequestError as error:
                raise RetryLater(f"{self._base} does not answer: {_words(error)}.") from error
            answer = _answer(response, started, is_write=False)
        self._after(answer, slot)
        if 200 <= answer.status < 300:
            if json:
                require_json(answer)
            return answer
        raise self._refusals(answer) or usual_meaning(answer)

    def _send_write(
        self,
        method: str,
        path: str,
        content: bytes,
        params: Params | None,
        headers: Mapping[str, str] | None,
        guard: _Guard,
    ) -> Answer:
        started = time.monotonic()
        try:
            response = self._client.request(
                method,
                self._url(path),
                params=params,
                headers={"Content-Type": "application/json", **(headers or {})},
                content=content,
                auth=self._auth,
                extensions={"trace": guard},
            )
        except _DeadlinePassed as error:
            raise NotSent("The deadline of this write passed before it was sent.", seconds=0) from error
        except httpx.RequestError as error:
            if not guard.began:
                raise NotSent(f"{self._base} cannot be reached: {_words(error)}.") from error
            raise UnknownOutcome(f"{self._base} gave no answer to a write: {_words(error)}.") from error
        return _answer(response, started, is_write=True)

    def _refuse_write(self, answer: Answer) -> NoReturn:
        error = self._refusals(answer) or usual_meaning(answer)
        if isinstance(error, NotSent | ConnectionRefused | UnknownOutcome):
            raise error
        if isinstance(error, CredentialsError) and error.expired:
            self._try_renew(error)
            raise NotSent(f"The token had expired: {error}", seconds=0) from error
        if answer.status == 429:
            seconds = error.seconds if isinstance(error, RetryLater) else answer.retry_after()
            raise NotSent(f"Refused by a limit of the vendor: {error}", seconds=seconds) from error
        if answer.status >= 500 or answer.status == 408 or isinstance(error, RetryLater):
            raise UnknownOutcome(f"The write was answered by {answer.status}: {answer.start()!r}.") from error
        raise error

    def _after(self, answer: Answer, slot: Slot) -> None:
        # What an answer tells about limits must not hide the answer when the database is down.
        with suppress(DatabaseDown):
            if self._observe is not None:
                self._observe(answer, slot)
            if answer.status == 429 and self._budget is not None:
                error = self._refusals(answer)
                seconds = error.seconds if isinstance(error, RetryLater) else answer.retry_after()
                if seconds:
                    self._budget.blocked(seconds)

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self._base}/{path.lstrip('/')}"


class _DeadlinePassed(Exception):
    """Raised out of the transport, before anything was written."""


class _Guard:
    """httpcore's trace hook: called when the connection stands and the request is about to be written.

    https://www.encode.io/httpcore/extensions/#trace, checked 2026-03.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self.began = False

    def __call__(self, name: str, _info: Mapping[str, Any]) -> None:
        if name.endswith(".send_request_headers.started"):
            if boottime() > self._deadline:
                raise _DeadlinePassed
            self.began = True


class _Hook(httpx.Auth):
    """A plain function as httpx wants it."""

    requires_request_body = True

    def __init__(self, authorise: Callable[[httpx.Request], None]) -> None:
        self._authorise = authorise

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        self._authorise(request)
        yield request


def _answer(response: httpx.Response, started: float, *, is_write: bool) -> Answer:
    # A client's response and its stream refer to each other (httpx 0.28), and keep its content until the garbage collector comes
    # by: a dozen pages of a first load, 30 MB of 2.7 MB each. The stream was read to its end.
    response.stream = httpx.ByteStream(b"")
    return Answer(
        status=response.status_code,
        headers=response.headers,
        content=response.content,
        seconds=time.monotonic() - started,
        is_write=is_write,
    )


def _words(error: httpx.RequestError) -> str:
    return scrub_text(f"{type(error).__name__} {error}".strip())
