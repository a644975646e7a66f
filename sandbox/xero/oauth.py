"""OAuth 2.0 as the vendor runs it: codes, PKCE, rotation of refresh tokens, lifetimes, connections, scopes.

A code works once within 5 minutes. An access token lives 30 minutes. Each refresh gives a new pair; the
replaced refresh token still works for 30 minutes after its first use and then never again; an unused one
ends after 60 days. A custom connection gets access tokens without refresh tokens, for one organisation,
and granular scopes only. Sources: developer documentation "Auth flow", "PKCE flow", "Custom connections",
"OAuth2 FAQ", "OAuth2 troubleshooting", "Scopes", "FAQ Granular scopes".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clock import Clock
from sandbox.xero import errors
from sandbox.xero.store import new_id

CODE_LIFE = timedelta(minutes=5)
ACCESS_LIFE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=60)
GRACE = timedelta(minutes=30)
BROAD_END = datetime(2027, 9, 13, tzinfo=UTC)

_BROAD = ("accounting.transactions", "accounting.transactions.read", "accounting.reports.read")
_AREAS = ("invoices", "payments", "banktransactions", "manualjournals", "contacts", "settings", "attachments")
_REPORTS = (
    "aged",
    "balancesheet",
    "banksummary",
    "budgetsummary",
    "executivesummary",
    "profitandloss",
    "trialbalance",
    "taxreports",
    "tenninetynine",
)
SCOPES = frozenset(
    {
        *(
            "openid",
            "profile",
            "email",
            "offline_access",
            "accounting.budgets.read",
            "accounting.journals.read",
        ),
        *_BROAD,
        *(f"accounting.{area}{end}" for area in _AREAS for end in ("", ".read")),
        *(f"accounting.reports.{report}.read" for report in _REPORTS),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app registered with the vendor: web (with a secret), PKCE (without) or a custom connection."""

    client_id: str
    secret: str | None
    name: str
    kind: str  # web, pkce or custom
    tenant_id: str | None = None  # of a custom connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorisation code that has not been used."""

    app: App
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str | None
    event: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An access token."""

    app: App
    scopes: frozenset[str]
    event: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """A refresh token; `replaced` is when it was first used."""

    app: App
    scopes: frozenset[str]
    event: str
    until: datetime
    replaced: datetime | None = None


@dataclass(slots=True)
class Connection:
    """An organisation that the user connected to an app."""

    id: str
    event: str
    client_id: str
    tenant_id: str
    created: datetime
    updated: datetime


class TokenError(Exception):
    """A refusal of the token endpoint: 400 with `{"error": ...}`."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class AuthorizeError(Exception):
    """Wrong authorize parameters: the vendor shows an HTML page and never redirects."""


@dataclass(slots=True)
class Identity:
    """All apps, tokens and connections. The caller holds the lock."""

    clock: Clock
    apps: dict[str, App]
    tenants: tuple[str, ...]  # what the user connects on consent
    redirect_uri: str
    user: str = field(default_factory=new_id)
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def authorize(self, given: Mapping[str, str]) -> str:
        """The address to send the browser back to, after consent; raises AuthorizeError."""
        app = self.apps.get(given.get("client_id", ""))
        if app is None or app.kind == "custom":
            raise AuthorizeError("unauthorized_client: Unknown client or client not enabled")
        if given.get("response_type") != "code":
            raise AuthorizeError("unsupported_response_type")
        redirect_uri = given.get("redirect_uri", "")
        if redirect_uri != self.redirect_uri and not re.fullmatch(
            r"http://localhost(:\d+)?(/.*)?", redirect_uri
        ):
            raise AuthorizeError("invalid_request: Invalid redirect_uri")
        scopes = self._scopes(given.get("scope", ""), app)
        if not scopes or scopes - SCOPES:
            raise AuthorizeError("invalid_scope")
        challenge = given.get("code_challenge")
        if app.kind == "pkce" and (not challenge or given.get("code_challenge_method") != "S256"):
            raise AuthorizeError("invalid_request: code challenge required")
        code, event = secrets.token_urlsafe(32), new_id()
        self.codes[code] = Code(
            app=app,
            redirect_uri=redirect_uri,
            scopes=scopes,
            challenge=challenge,
            event=event,
            until=self.clock.now() + CODE_LIFE,
        )
        self._connect(app, self.tenants, event)
        return code

    def token(self, given: Mapping[str, str], basic: tuple[str, str] | None) -> dict[str, Any]:
        """The answer of the token endpoint; raises TokenError."""
        grant = given.get("grant_type")
        if grant not in ("authorization_code", "refresh_token", "client_credentials"):
            raise TokenError("unsupported_grant_type")
        app = self._client(given, basic)
        if (grant == "client_credentials") != (app.kind == "custom"):
            raise TokenError("unauthorized_client")
        if grant == "client_credentials":
            return self._custom(app, given)
        if grant == "authorization_code":
            return self._exchange(app, given)
        return self._renew(app, given.get("refresh_token", ""))

    def revoke(self, given: Mapping[str, str], basic: tuple[str, str] | None) -> None:
        """Drop the tokens and connections of the app that the refresh token belongs to, if it is known."""
        app = self._client(given, basic)
        held = self.refresh.get(given.get("token", ""))
        if held is None or held.app != app:
            return
        for tokens in (self.refresh, self.access):
            for token in [token for token, each in tokens.items() if each.app == app]:
                del tokens[token]
        for connection in [each for each in self.connections.values() if each.client_id == app.client_id]:
            del self.connections[connection.id]

    def bearer(self, header: str | None) -> Access:
        """The access token of an Authorization header; raises the 401 of the API."""
        kind, _, token = (header or "").partition(" ")
        access = self.access.get(token.strip())
        if kind.lower() != "bearer" or access is None:
            raise errors.unauthorised("AuthenticationUnsuccessful")
        if access.until <= self.clock.now():
            raise errors.token_expired(access.until)
        return access

    def connected(self, app: App) -> list[Connection]:
        """The app's connections, oldest first."""
        return [each for each in self.connections.values() if each.client_id == app.client_id]

    def disconnect(self, app: App, connection_id: str) -> None:
        """Remove a connection; raises 404 for one that is not the app's."""
        connection = self.connections.get(connection_id)
        if connection is None or connection.client_id != app.client_id:
            raise errors.not_found()
        del self.connections[connection_id]

    def _connect(self, app: App, tenants: Iterable[str], event: str) -> None:
        now = self.clock.now()
        for tenant_id in tenants:
            old = next((each for each in self.connected(app) if each.tenant_id == tenant_id), None)
            if old is not None:
                old.updated, old.event = now, event
                continue
            connection = Connection(new_id(), event, app.client_id, tenant_id, now, now)
            self.connections[connection.id] = connection

    def _client(self, given: Mapping[str, str], basic: tuple[str, str] | None) -> App:
        client_id, secret = basic or (given.get("client_id", ""), given.get("client_secret"))
        app = self.apps.get(client_id)
        # A PKCE app that sends a secret is refused as well ("OAuth2 troubleshooting").
        if app is None or (secret or None) != app.secret:
            raise TokenError("invalid_client")
        return app

    def _scopes(self, text: str, app: App) -> frozenset[str]:
        """The scopes asked for; those of one user and app add up, as the vendor keeps them."""
        asked = frozenset(text.split())
        broad = asked & frozenset(_BROAD)
        if broad and (app.kind == "custom" or self.clock.now() >= BROAD_END):
            return frozenset(("invalid",))
        return asked

    def _exchange(self, app: App, given: Mapping[str, str]) -> dict[str, Any]:
        code = self.codes.pop(given.get("code", ""), None)
        if code is None or code.app != app or code.until <= self.clock.now():
            raise TokenError("invalid_grant")
        if given.get("redirect_uri") != code.redirect_uri:
            raise TokenError("invalid_grant")
        verifier = given.get("code_verifier", "")
        if code.challenge is not None:
            digest = hashlib.sha256(verifier.encode()).digest()
            if not 43 <= len(verifier) <= 128 or _text64(digest) != code.challenge:
                raise TokenError("invalid_grant")
        return self._issue(app, code.scopes, code.event)

    def _renew(self, app: App, token: str) -> dict[str, Any]:
        now = self.clock.now()
        held = self.refresh.get(token)
        if held is None or held.app != app or held.until <= now:
            raise TokenError("invalid_grant")
        if held.replaced is not None and now >= held.replaced + GRACE:
            raise TokenError("invalid_grant")
        self.refresh[token] = replace(held, replaced=held.replaced or now)
        return self._issue(app, held.scopes, held.event)

    def _custom(self, app: App, given: Mapping[str, str]) -> dict[str, Any]:
        # Without a scope the token has what the organisation granted: here everything granular.
        granular = SCOPES - frozenset(_BROAD) - {"openid", "profile", "email", "offline_access"}
        scopes = self._scopes(given["scope"], app) if given.get("scope") else granular
        if scopes - SCOPES:
            raise TokenError("invalid_scope")
        event = new_id()
        self._connect(app, (app.tenant_id or "",), event)
        return self._issue(app, scopes, event)

    def _issue(self, app: App, scopes: frozenset[str], event: str) -> dict[str, Any]:
        now = self.clock.now()
        until = now + ACCESS_LIFE
        claims = {
            "nbf": int(now.timestamp()),
            "exp": int(until.timestamp()),
            "iss": "https://identity.xero.com",
            "aud": "https://identity.xero.com/resources",
            "client_id": app.client_id,
            "sub": self.user,
            "xero_userid": self.user,
            "authentication_event_id": event,
            "jti": secrets.token_hex(16),
            "scope": sorted(scopes),
        }
        token = self._signed(claims)
        self.access[token] = Access(app=app, scopes=scopes, event=event, until=until)
        answer: dict[str, Any] = {"access_token": token, "expires_in": 1800, "token_type": "Bearer"}
        if "openid" in scopes:
            answer["id_token"] = self._signed({**claims, "aud": app.client_id, "email": "demo@example.com"})
        if "offline_access" in scopes and app.kind != "custom":
            fresh = secrets.token_urlsafe(32)
            self.refresh[fresh] = Refresh(app=app, scopes=scopes, event=event, until=now + REFRESH_LIFE)
            answer["refresh_token"] = fresh
        return answer | {"scope": " ".join(sorted(scopes))}

    def _signed(self, claims: dict[str, Any]) -> str:
        head = _text64(json.dumps({"alg": "HS256", "kid": "sandbox", "typ": "JWT"}).encode())
        body = _text64(json.dumps(claims).encode())
        signature = hmac.new(self._key, f"{head}.{body}".encode(), hashlib.sha256).digest()
        return f"{head}.{body}.{_text64(signature)}"


def allowed(access: Access, scopes: Iterable[str], *, write: bool) -> bool:
    """Whether one of the scopes is granted; a write needs the full one, a read also takes the `.read` one."""
    held = access.scopes
    return any(scope in held or (not write and f"{scope}.read" in held) for scope in scopes)


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """Client id and secret of a Basic Authorization header."""
    kind, _, text = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return ("", "")
    return client_id, secret


def _text64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
