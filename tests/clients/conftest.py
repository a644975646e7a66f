"""A Xero stand-in on a real port, a login to it, and clients that others wrote."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import xero
from sandbox.serving import Running

SCOPES = (
    "offline_access accounting.transactions accounting.contacts accounting.settings"
    " accounting.reports.trialbalance.read"
)


class Server:
    """A running stand-in with one consent already given to its web app."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.address = running.address
        self.credentials = running.credentials
        self.token = self.login()

    def login(self) -> dict[str, Any]:
        """Consent, exchange the code and return the token with `expires_at`, as clients keep it."""
        query = urllib.parse.urlencode(
            {
                "response_type": "code",
                "client_id": self.credentials["client_id"],
                "redirect_uri": self.credentials["redirect_uri"],
                "scope": SCOPES,
                "state": "s",
            }
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(f"{self.address}/identity/connect/authorize?{query}") as answer:
            location = answer.headers["Location"]
        code = urllib.parse.parse_qs(urllib.parse.urlparse(location).query)["code"][0]
        body = urllib.parse.urlencode(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.credentials["redirect_uri"],
            }
        )
        pair = f"{self.credentials['client_id']}:{self.credentials['client_secret']}"
        request = urllib.request.Request(
            f"{self.address}/connect/token",
            data=body.encode(),
            headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
        )
        with urllib.request.urlopen(request) as answer:
            token: dict[str, Any] = json.load(answer)
        return token | {"expires_at": time.time() + token["expires_in"], "scope": token["scope"].split()}

    def control(self, path: str, body: Any) -> Any:
        """Post to the control page."""
        request = urllib.request.Request(
            f"{self.address}/_sandbox/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        return fp


@pytest.fixture
def xero_server() -> Iterator[Server]:
    """A fresh stand-in without a minute limit."""
    running = xero.start(minute=None)
    yield Server(running)
    running.stop()
