"""A server that answers as a test writes it down, so that every way to break is the real one."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from tieout.http import trusted

LOCAL = httpx.Client(timeout=60, trust_env=False, verify=trusted())
"""What tests ask the stand-ins with: one client, because each new one reads all certificates again."""

Script = Callable[[socket.socket], None]


def says(status: int, body: str = "{}", *headers: str) -> Script:
    def script(connection: socket.socket) -> None:
        lines = [
            f"HTTP/1.1 {status} Words",
            f"Content-Length: {len(body.encode())}",
            "Connection: close",
            *headers,
        ]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    return script


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hangs_up(_connection: socket.socket) -> None:
    return


def breaks_off(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"half":')


def stays_silent(connection: socket.socket) -> None:
    connection.settimeout(10)
    # Until the client gives up and closes.
    while connection.recv(1000):
        continue


class Server:
    """Answers the n-th request by the n-th script, and later ones by the last; keeps what it received."""

    def __init__(self) -> None:
        self.scripts: list[Script] = [says(200)]
        self.received: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                request = _read_request(connection)
                if not request:
                    continue  # connected, and closed without a word
                self.received.append(request)
                script = self.scripts[min(len(self.received), len(self.scripts)) - 1]
                script(connection)

    def close(self) -> None:
        if self._socket.fileno() == -1:
            return
        # Shutting down wakes the accept; closing alone would leave it waiting.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=10)


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def scripted_server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()
