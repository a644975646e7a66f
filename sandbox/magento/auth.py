"""Who is calling: admin and customer tokens (JWT), and integrations by OAuth 1.0a or as plain bearer.

A bearer that is not valid is no error by itself: the caller is then a guest, and the ACL check gives the
one 401. OAuth failures are answered at once. Parameters are signed in PHP's natural order (digits compared
as numbers), so from eleven filters on, RFC 5849 signers fail. Source: recorded exchanges with Magento Open
Source 2.4.4 (auth, auth_more), and `Framework/Oauth/Oauth.php`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from sandbox.clock import Clock
from sandbox.magento.errors import SIGN_IN, ApiError, bad_request, required
from sandbox.magento.options import Options

ADMIN_USER = "admin"
ADMIN_PASSWORD = "admin-Password1"
_FAILURES_TO_LOCK = 6
_AHEAD_SECONDS = 600
_ADMIN, _CUSTOMER = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A guest, an admin user, an integration or a customer."""

    kind: str = "guest"
    user_id: int | None = None
    resources: Sequence[str] | None = ()

    def may(self, resource: str) -> bool:
        """Whether an ACL resource is granted; None in `resources` grants all."""
        return self.resources is None or resource in self.resources


@dataclass(slots=True, kw_only=True)
class Gate:
    """Users, consumers, nonces and lock-outs."""

    options: Options
    clock: Clock
    consumer_key: str = field(default_factory=lambda: secrets.token_hex(16))
    consumer_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    access_token: str = field(default_factory=lambda: secrets.token_hex(16))
    access_token_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _failures: dict[str, list[float]] = field(default_factory=dict)
    _nonces: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def credentials(self) -> dict[str, str]:
        """How to log in, but for the base address."""
        return {
            "consumer_key": self.consumer_key,
            "consumer_secret": self.consumer_secret,
            "access_token": self.access_token,
            "access_token_secret": self.access_token_secret,
            "bearer_token": self.access_token,
            "admin_username": ADMIN_USER,
            "admin_password": ADMIN_PASSWORD,
        }

    def admin_token(self, body: Mapping[str, Any]) -> str:
        """Answer the admin token endpoint; six failures lock the user."""
        username, password = _login(body)
        if self._locked(username) or username != ADMIN_USER or password != ADMIN_PASSWORD:
            self._fail(username)
            raise ApiError(401, SIGN_IN)
        if self.options.two_factor:
            raise bad_request("Please ask an administrator with sufficient access to configure 2FA first")
        self._failures.pop(username, None)
        return self._issue(1, _ADMIN)

    def customer_token(self, customer_id: int) -> str:
        """A token for a customer whose password was right."""
        return self._issue(customer_id, _CUSTOMER)

    def caller(self, *, header: str | None, method: str, url: str, query: str) -> Caller:
        """Who sent this request; `url` is scheme, host with port, and path as seen here, `query` is raw."""
        if not header:
            return Caller()
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "oauth":
            return self._oauth(rest, method, url, query)
        parts = header.split(" ")
        if len(parts) != 2 or scheme.lower() != "bearer":
            return Caller()
        if hmac.compare_digest(parts[1].encode(), self.access_token.encode()):
            if not self.options.integration_as_bearer:
                return Caller()
            return Caller(kind="integration", user_id=1, resources=self.options.integration_resources)
        return self._read(parts[1])

    def _locked(self, username: str) -> bool:
        failures = self._failures.get(username, [])
        now = self.clock.now().timestamp()
        return len(failures) >= _FAILURES_TO_LOCK and now - failures[-1] < self.options.lockout_seconds

    def _fail(self, username: str) -> None:
        with self._lock:
            if not self._locked(username):
                failures = self._failures.setdefault(username, [])
                if len(failures) >= _FAILURES_TO_LOCK:
                    failures.clear()
                failures.append(self.clock.now().timestamp())

    def _issue(self, user_id: int, kind: int) -> str:
        now = int(self.clock.now().timestamp())
        claims = {"uid": user_id, "utypid": kind, "iat": now, "exp": now + self.options.admin_token_seconds}
        head = f"{_b64({'kid': '1', 'alg': 'HS256'})}.{_b64(claims)}"
        return f"{head}.{self._sign(head)}"

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _read(self, token: str) -> Caller:
        head, _, signature = token.rpartition(".")
        if not head or not hmac.compare_digest(self._sign(head).encode(), signature.encode()):
            return Caller()
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(head.partition(".")[2] + "=="))
        if claims["exp"] <= self.clock.now().timestamp():
            return Caller()
        if claims["utypid"] == _CUSTOMER:
            return Caller(kind="customer", user_id=claims["uid"])
        return Caller(kind="admin", user_id=claims["uid"], resources=self.options.admin_resources)

    def _oauth(self, header: str, method: str, url: str, query: str) -> Caller:
        sent = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', header)}
        if sent.get("oauth_version", "1.0") != "1.0":
            message = "The OAuth version %1 is not supported. Verify and try again."
            raise bad_request(message, [sent["oauth_version"]])
        names = ("consumer_key", "signature", "signature_method", "nonce", "timestamp", "token")
        missing = [f"oauth_{name}" for name in names if not sent.get(f"oauth_{name}")]
        if missing:
            raise required(*missing)
        if len(sent["oauth_token"]) != 32:
            raise bad_request("The token length is invalid. Check the length and try again.")
        if sent["oauth_signature_method"] != "HMAC-SHA256":
            raise bad_request("Signature method %1 is not supported", [sent["oauth_signature_method"]])
        if len(sent["oauth_consumer_key"]) != 32:
            raise ApiError(401, "Consumer key has expired")
        if sent["oauth_consumer_key"] != self.consumer_key:
            raise ApiError(401, "A consumer having the specified key does not exist")
        self._nonce(sent)
        if sent["oauth_token"] != self.access_token:
            raise ApiError(401, "Specified token does not exist")
        expected = self._signature(sent, method, url, query)
        if not hmac.compare_digest(expected.encode(), sent["oauth_signature"].encode()):
            raise ApiError(401, "The signature is invalid. Verify and try again.")
        return Caller(kind="integration", user_id=1, resources=self.options.integration_resources)

    def _nonce(self, sent: Mapping[str, str]) -> None:
        stamp = int(sent["oauth_timestamp"]) if sent["oauth_timestamp"].isdigit() else 0
        if stamp <= 0 or stamp > time.time() + _AHEAD_SECONDS:
            raise ApiError(401, "An error occurred validating the nonce")
        nonce = (sent["oauth_consumer_key"], sent["oauth_nonce"])
        with self._lock:
            if nonce in self._nonces:
                raise ApiError(401, "The nonce is already being used by the consumer with ID %1", ["1"])
            self._nonces.add(nonce)

    def _signature(self, sent: Mapping[str, str], method: str, url: str, query: str) -> str:
        pairs = [(_encode(name), _encode(value)) for name, value in sent.items() if name != "oauth_signature"]
        for part in query.split("&"):
            if part.count("=") == 1:
                name, value = part.split("=")
                pairs.append((_encode(unquote(name)), _encode(unquote(value))))
        order = functools.cmp_to_key(natural)
        pairs.sort(key=lambda pair: order(pair[0]))
        text = "&".join(f"{name}={value}" for name, value in pairs)
        base = "&".join((method, _encode(url), _encode(text)))
        key = f"{_encode(self.consumer_secret)}&{_encode(self.access_token_secret)}"
        return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()).decode()


def natural(left: str, right: str) -> int:
    """PHP's `strnatcmp`: runs of digits compare as numbers, everything else byte by byte."""
    one, two = re.findall(r"\d+|\D", left), re.findall(r"\d+|\D", right)
    for first, second in zip(one, two, strict=False):
        if first == second:
            continue
        if first[0].isdigit() and second[0].isdigit():
            difference = int(first) - int(second)
            if difference:
                return -1 if difference < 0 else 1
        else:
            return -1 if first < second else 1
    return (len(one) > len(two)) - (len(one) < len(two))


def _login(body: Mapping[str, Any]) -> tuple[str, str]:
    missing = [name for name in ("username", "password") if not body.get(name)]
    if missing:
        raise required(*missing)
    return str(body["username"]), str(body["password"])


def _encode(text: str) -> str:
    return quote(text, safe="-._~")


def _b64(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
