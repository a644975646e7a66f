"""What a test may do to a stand-in that no client can: move its clock, read its request log, inject faults.

Mounted at `/_sandbox` by both stand-ins. Control requests need no login and are not logged. A fault
waits for a request that fits (method, regular expression on the path; without one, the vendor's API),
lets `skip` of them pass and then strikes `times` times:

kind           effect
429            refused before any effect, as the vendor says it ("problem" names the limit)
500_before     error before any effect            500_after    the effect is done, then an error
503            refused before any effect          slow         waits "seconds" with no lock held, then serves
reset_before   connection reset, no effect        reset_after  the effect is done, then a reset
expired_token  401 as the vendor says it          not_json     200 with a cut-off answer, after the effect
half           half of the elements are done, then an error, which a repeat of the call gets again
shuffled       the answer names the elements in another order
late           connection reset; the effect comes when the clock has moved on by "seconds"
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import flask
import flask.typing
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from sandbox.clock import Clock
from sandbox.serving import reset_connection

PREFIX = "/_sandbox"
KINDS = (
    "429",
    "500_before",
    "500_after",
    "503",
    "slow",
    "reset_before",
    "reset_after",
    "expired_token",
    "not_json",
    "half",
    "shuffled",
    "late",
)
_CARRIED = "X-Sandbox-Carried"
"""On a request that the stand-in makes to itself: no fault strikes it."""


class Vendor(Protocol):
    """How one vendor words the answers that a fault sends, and which paths are its API."""

    api: str  # regular expression; faults without a path and the mark "write" concern these paths only

    def refusal(self, kind: str, problem: str | None) -> flask.Response:
        """The answer to `429`, `503`, `500_before`, `500_after` and `expired_token`."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One order to misbehave."""

    kind: str
    method: str | None = None
    path: str | None = None
    times: int = 1
    skip: int = 0
    seconds: float = 1.0
    problem: str | None = None

    def fits(self, request: flask.Request, api: str) -> bool:
        """Whether the fault concerns this request."""
        if self.method is not None and self.method.upper() != request.method:
            return False
        return re.search(self.path if self.path is not None else api, request.path) is not None


@dataclass(slots=True)
class Control:
    """Clock, request log and faults of one stand-in."""

    vendor: Vendor
    clock: Clock = field(default_factory=Clock)
    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: list[dict[str, Any]] = field(default_factory=list)
    last: int = 0
    faults: list[Fault] = field(default_factory=list)
    app: flask.Flask | None = None
    late: list[tuple[datetime, EnvironBuilder]] = field(default_factory=list)
    """Requests whose effect is still to come, and when."""
    halved: set[str] = field(default_factory=set)
    """Idempotency keys of calls that were done by half."""

    def take(self, request: flask.Request) -> Fault | None:
        """The first fault that strikes this request, counted down."""
        with self.lock:
            for fault in self.faults:
                if not fault.fits(request, self.vendor.api):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def strike(self) -> flask.Response | None:
        """Before the app sees the request: choose the fault, and end here if it has no effect."""
        if _is_control():
            return None
        flask.g.sandbox_at = stamp(self.clock.now())
        if _CARRIED in flask.request.headers:
            return None
        self.carry_out()
        if flask.request.headers.get("Idempotency-Key") in self.halved:
            return self.vendor.refusal("500_after", None)
        fault = self.take(flask.request)
        flask.g.sandbox_fault = fault
        if fault is None:
            return None
        if fault.kind == "late":
            with self.lock:
                self.late.append(
                    (self.clock.now() + timedelta(seconds=fault.seconds), _again(lambda body: body))
                )
            self.record(status=None, size=0)
            reset_connection()
        if fault.kind == "half":
            self.halved.add(flask.request.headers.get("Idempotency-Key", ""))
            self.halved.discard("")
            self.open(_again(_half))
            return self.vendor.refusal("500_after", fault.problem)
        if fault.kind == "reset_before":
            self.record(status=None, size=0)
            reset_connection()
        if fault.kind in ("429", "500_before", "503", "expired_token"):
            return self.vendor.refusal(fault.kind, fault.problem)
        return None

    def carry_out(self) -> None:
        """Do what was put off until now."""
        with self.lock:
            due = [request for at, request in self.late if at <= self.clock.now()]
            self.late = [(at, request) for at, request in self.late if at > self.clock.now()]
        for request in due:
            self.open(request)

    def open(self, request: EnvironBuilder) -> None:
        """Carry out a request of a client's, without an answer for it."""
        if self.app is not None:
            self.app.test_client().open(request)

    def wait(self) -> None:
        """Sleep if the request is to be slow."""
        fault: Fault | None = flask.g.get("sandbox_fault")
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)

    def spoil(self, response: flask.Response) -> flask.Response:
        """After the app has answered: break the answer if a fault says so, and write the log."""
        if _is_control():
            return response
        fault: Fault | None = flask.g.get("sandbox_fault")
        kind = fault.kind if fault is not None else None
        if kind == "reset_after":
            self.record(status=None, size=0)
            reset_connection()
        if kind == "500_after":
            response = self.vendor.refusal(kind, None)
        if kind == "shuffled" and response.is_json:
            response.set_data(json.dumps(_each_list(response.get_json(), lambda rows: rows[::-1])))
        if kind == "not_json":
            response.status_code = 200
            body = response.get_data()
            response.set_data(body[: max(1, len(body) * 2 // 3)] if body else b"<html>")
        self.record(status=response.status_code, size=len(response.get_data()))
        return response

    def record(self, *, status: int | None, size: int) -> None:
        """Write the current request to the log, once."""
        if flask.g.get("sandbox_logged"):
            return
        flask.g.sandbox_logged = True
        request = flask.request
        fault = flask.g.get("sandbox_fault")
        write = request.method not in ("GET", "HEAD", "OPTIONS") and re.search(self.vendor.api, request.path)
        with self.lock:
            self.last += 1
            self.requests.append(
                {
                    "n": self.last,
                    "at": flask.g.sandbox_at,
                    "method": request.method,
                    "path": request.path,
                    "query": request.query_string.decode("utf-8", "replace"),
                    "status": status,
                    "write": bool(write),
                    "fault": fault.kind if fault is not None else None,
                    "bytes_out": size,
                }
            )


def install(app: flask.Flask, vendor: Vendor, clock: Clock | None = None) -> Control:
    """Give an app its control routes, request log and faults; call it before adding the app's own hooks.

    Flask runs hooks before a request in the order of registration and hooks after it in reverse: so a fault
    strikes first, and the log sees the final answer.
    """
    control = Control(vendor=vendor, clock=clock or Clock())
    app.extensions["sandbox"] = control
    control.app = app
    app.register_blueprint(blueprint(control), url_prefix=PREFIX)
    app.before_request(control.strike)
    app.after_request(control.spoil)
    dispatch = app.dispatch_request

    def wait_and_dispatch() -> flask.typing.ResponseReturnValue:
        # Not in `strike`: the app's own gates have let the request in, a slow one counts as in flight.
        control.wait()
        return dispatch()

    app.dispatch_request = wait_and_dispatch  # type: ignore[method-assign]
    return control


def blueprint(control: Control) -> flask.Blueprint:
    """The routes under `/_sandbox` that both stand-ins have."""
    routes = flask.Blueprint("sandbox_control", __name__)
    _clock_routes(routes, control.clock)
    _log_routes(routes, control)
    _fault_routes(routes, control)
    return routes


def _clock_routes(routes: flask.Blueprint, clock: Clock) -> None:
    def shown() -> dict[str, Any]:
        return {"now": stamp(clock.now()), "frozen": clock.is_frozen}

    @routes.get("/clock")
    def read_clock() -> dict[str, Any]:
        return shown()

    @routes.post("/clock")
    def move_clock() -> dict[str, Any]:
        wanted = flask.request.get_json()
        if "now" in wanted:
            clock.set(parse_time(wanted["now"]))
        if wanted.get("freeze") is True:
            clock.freeze()
        if wanted.get("freeze") is False:
            clock.run()
        clock.advance(float(wanted.get("advance_seconds", 0)))
        return shown()


def _log_routes(routes: flask.Blueprint, control: Control) -> None:
    @routes.get("/requests")
    def read_requests() -> dict[str, Any]:
        since = int(flask.request.args.get("since", "0"))
        with control.lock:
            entries = [entry for entry in control.requests if entry["n"] > since]
            return {"requests": entries, "last": control.last}

    @routes.delete("/requests")
    def clear_requests() -> dict[str, Any]:
        with control.lock:
            control.requests.clear()
            return {"requests": [], "last": control.last}


def _fault_routes(routes: flask.Blueprint, control: Control) -> None:
    def shown() -> dict[str, Any]:
        names = Fault.__slots__
        return {"faults": [{name: getattr(fault, name) for name in names} for fault in control.faults]}

    @routes.get("/faults")
    def read_faults() -> dict[str, Any]:
        with control.lock:
            return shown()

    @routes.post("/faults")
    def add_fault() -> Any:
        wanted = flask.request.get_json()
        names = sorted(Fault.__slots__)
        if wanted.get("kind") not in KINDS or not set(wanted) <= set(names):
            return {"error": f"a fault has a kind of {', '.join(KINDS)} and the fields {names}"}, 400
        with control.lock:
            control.faults.append(Fault(**wanted))
            return shown()

    @routes.delete("/faults")
    def clear_faults() -> dict[str, Any]:
        with control.lock:
            control.faults.clear()
            return shown()


def parse_time(text: str) -> datetime:
    """An ISO time; without an offset it is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def stamp(at: datetime) -> str:
    """A time as `2026-10-01T10:00:00.123Z`."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _again(changed: Callable[[Any], Any]) -> EnvironBuilder:
    """The current request once more, with another body; its key is not kept: the client's own request was broken."""
    request = flask.request
    headers = Headers([*request.headers.items(), (_CARRIED, "1")])
    for name in ("Content-Length", "Idempotency-Key", "Connection"):
        headers.remove(name)
    body = request.get_data(as_text=True)
    return EnvironBuilder(
        path=request.path,
        query_string=request.query_string.decode(),
        base_url=request.host_url,
        method=request.method,
        headers=headers,
        data=json.dumps(changed(json.loads(body))) if body else body,
    )


def _half(body: Any) -> Any:
    return _each_list(body, lambda rows: rows[: (len(rows) + 1) // 2])


def _each_list(body: Any, changed: Callable[[list[Any]], list[Any]]) -> Any:
    """A body, or its top level, with each list of elements changed."""
    if isinstance(body, list):
        return changed(body)
    if isinstance(body, dict):
        return {name: changed(value) if isinstance(value, list) else value for name, value in body.items()}
    return body


def _is_control() -> bool:
    return flask.request.path.startswith(PREFIX + "/")
