"""Serving a stand-in over real HTTP/1.1 in this process, and breaking a connection on purpose.

The server is Werkzeug's threaded one. Werkzeug closes the connection after each answer because it cannot
know whether the body was read (werkzeug/serving.py, `run_wsgi`); the handler here reads the whole body
first and keeps the connection, so that clients meet what a real server does: pooled sockets, resets,
stale connections.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


class ConnectionBroken(BaseException):
    """The request's socket is gone on purpose; no Exception, so that no handler makes an answer of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A stand-in that answers at `address` until `stop` is called."""

    address: str
    app: flask.Flask
    stop: Callable[[], None] = field(repr=False)
    credentials: Mapping[str, Any] = field(default_factory=dict)


def start(app: flask.Flask, *, port: int = 0, credentials: Mapping[str, Any] | None = None) -> Running:
    """Serve the app on 127.0.0.1 in a daemon thread; port 0 takes a free one."""
    server = _server(app, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()

    address = f"http://127.0.0.1:{server.server_port}"
    return Running(address=address, app=app, stop=stop, credentials=credentials or {})


def serve(app: flask.Flask, *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve the app in the foreground; `ready` is called with the address once the port is open."""
    server = _server(app, port)
    ready(f"http://127.0.0.1:{server.server_port}")
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.server_close()


def reset_connection() -> NoReturn:
    """Close the current request's socket with RST: the client sees "connection reset by peer" and no answer.

    SO_LINGER with a time of 0 makes the kernel drop what was not sent and answer with RST (socket(7)). The
    descriptor is detached first, because the handler's file objects would otherwise keep it open.
    """
    connection = flask.request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket) and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(connection.detach())
    raise ConnectionBroken


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def run_wsgi(self) -> None:
        """Answer one request: read its body whole, run the app, send the answer."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        body = environ["wsgi.input"].read() if environ.get("wsgi.input_terminated") else self._body()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        status, headers, answer = _run(self.server.app, environ)
        self._send(status, headers, answer)

    def handle(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            super().handle()
        except (OSError, ValueError, ConnectionBroken):
            self.close_connection = True

    def finish(self) -> None:
        """Flush and close; a broken connection has nothing left to flush."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: the request log is at `/_sandbox/requests`."""

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else b""

    def _send(self, status: str, headers: list[tuple[str, str]], answer: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        self.send_header("Server", self.version_string())
        if not any(name.lower() == "date" for name, _ in headers):
            self.send_header("Date", self.date_time_string())
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        has_body = code not in ("204", "304")
        if has_body:
            self.send_header("Content-Length", str(len(answer)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(answer)
        self.wfile.flush()


def _run(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    answered: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_error: Any) -> Callable[[bytes], Any]:
        answered.update(status=status, headers=headers)
        return bytes

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return answered["status"], answered["headers"], body


def _server(app: flask.Flask, port: int) -> BaseWSGIServer:
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=_Handler)
