"""The browser's way back: a page on localhost that hears the vendor's answer to a consent."""

from __future__ import annotations

import time
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import SplitResult, parse_qs, urlsplit

import click

from tieout.errors import ConfigurationError, CredentialsError

WAIT_SECONDS = 300
"""As long as Xero's code lives."""


class Consenting(Protocol):
    """What a client offers whose login is a consent page."""

    redirect_uri: str

    def login_url(self) -> str:
        """The page that the person must open."""

    def finish_login(self, answer_url: str) -> None:
        """Turn the address that the browser was sent back to into tokens, and keep them."""


def wait_for_consent(client: Consenting, *, open_browser: bool) -> None:
    """Show the consent page and wait for its answer; CredentialsError when none comes."""
    back = urlsplit(client.redirect_uri)
    heard: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path != back.path:
                self.send_error(404)
                return
            refused = "error" in parse_qs(asked.query)
            body = (
                b"tieout did not get access." if refused else b"tieout is connected. You can close this page."
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            heard.append(f"{back.scheme}://{back.netloc}{self.path}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
            """Say nothing: the address carries the code."""

    with _listening(back, Page) as server:
        server.timeout = 1
        address = client.login_url()
        if not (open_browser and webbrowser.open(address)):
            click.echo(f"Open this address in a browser:\n{address}", err=True)
        deadline = time.monotonic() + WAIT_SECONDS
        while not heard and time.monotonic() < deadline:
            server.handle_request()
    if not heard:
        raise CredentialsError(
            "No answer came from the consent page.",
            cure="Run `tieout connect` again and agree within 5 minutes.",
        )
    client.finish_login(heard[0])


def _listening(back: SplitResult, page: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    # A thread a request: browsers open connections ahead and leave them silent.
    try:
        return ThreadingHTTPServer(("127.0.0.1", back.port or 80), page)
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can listen at {back.netloc}, where the consent page sends the browser back to: {error.strerror}.",
            cure="End the program that uses the port, or set another redirect_uri, here and at the vendor.",
        ) from error
