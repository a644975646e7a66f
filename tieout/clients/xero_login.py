"""Logging in to Xero: OAuth 2.0 with client credentials (custom connection), code with PKCE, or code with a
secret.

Access tokens live 30 minutes. With a person's login each refresh gives a new pair and replaces the old
refresh token, which stays usable for 30 minutes so that a lost answer loses nothing; unused it lives 60 days
(developer.xero.com/documentation/guides/oauth2/token-types and /auth-flow, checked 2026-03). Therefore: one
refresher at a time (the vault's lock), the pair is stored before it is used, and after a lost answer the old
token is tried again.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from oauthlib.oauth2 import BackendApplicationClient, WebApplicationClient

from tieout.clients.identity import is_stand_in
from tieout.errors import ConfigurationError, CredentialsError, RetryLater
from tieout.http import Answer, trusted
from tieout.vault import Secret, Vault

EARLY_SECONDS = 90
"""A token this close to its end is renewed before it is used, so that no request meets the end half-way."""
GRACE_SECONDS = 1800
ATTEMPTS = 3
TIMEOUT_SECONDS = 30.0
UNUSED = timedelta(days=60)
"""A refresh token that nobody uses lives so long; each renewal gives a new one."""
VERIFIER_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The app and the addresses."""

    flow: Literal["custom", "pkce", "web"]
    client_id: str
    client_secret: str | None = field(repr=False)
    token_url: str
    login_url: str
    connections_url: str
    redirect_uri: str
    scopes: tuple[str, ...]


class Tokens:
    """The tokens of one connection; safe for several threads and processes."""

    def __init__(self, *, name: str, vault: Vault, login: Login, tenant_id: str | None) -> None:
        self._secret_name = _secret_name(name)
        self._name = name
        self._vault = vault
        self._login = login
        self._tenant_id = tenant_id
        self._stored: Secret | None = None
        self._started: tuple[str, str] | None = None
        self._mutex = threading.RLock()

    def access_token(self) -> str:
        """A token that is good for a request now. CredentialsError when a person must log in."""
        with self._mutex:
            if self._stored is None:
                self._stored = self._vault.get(self._secret_name)
            if not self._is_good(self._stored):
                self._renew(spent=None)
            assert self._stored is not None, "renewing stores or raises"  # noqa: S101
            return str(self._stored["access_token"])

    def ensure(self) -> None:
        """Have a token and know the organisation before a write is committed to."""
        self.access_token()
        self.tenant()

    def renew_expired(self) -> bool:
        """The API says that the token has expired: get another one."""
        with self._mutex:
            spent = str(self._stored["access_token"]) if self._stored else None
            self._renew(spent=spent)
            return True

    def forget(self) -> None:
        """Drop the stored tokens: Xero may have ended them before their time."""
        with self._mutex:
            self._vault.remove(self._secret_name)
            self._stored = None

    def tenant(self) -> str | None:
        """The organisation that calls are for; None where the token belongs to one organisation alone
        (custom).
        """
        if self._tenant_id is not None or self._login.flow == "custom":
            return self._tenant_id
        with self._mutex:
            self._tenant_id = self._only_organisation()
            return self._tenant_id

    def start_login(self) -> str:
        """The address for the person's browser. ConfigurationError for a custom connection, which needs no
        person.
        """
        if self._login.flow == "custom":
            raise ConfigurationError(
                f"{self._name} is a custom connection and needs no browser.",
                cure="It logs in by itself with client_id and client_secret; `tieout check` tries it.",
            )
        state = secrets.token_urlsafe(24)
        client = WebApplicationClient(self._login.client_id)
        verifier = client.create_code_verifier(VERIFIER_CHARACTERS)
        self._started = (state, verifier)
        parameters = {
            "response_type": "code",
            "client_id": self._login.client_id,
            "redirect_uri": self._login.redirect_uri,
            "scope": " ".join(dict.fromkeys(["offline_access", *self._login.scopes])),
            "state": state,
        }
        if self._login.flow == "pkce":
            challenge = client.create_code_challenge(verifier, "S256")
            parameters |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self._login.login_url}?{urlencode(parameters)}"

    def finish_login(self, answer: str) -> None:
        """Exchange the code for tokens and store them; `answer` is the address the browser came back to, or
        the code.

        CredentialsError when the person refused or the answer belongs to another login.
        """
        if self._started is None:
            raise CredentialsError("No login was started here.", cure="Run `tieout connect` once more.")
        expected, verifier = self._started
        code = _code(answer, expected)
        client = WebApplicationClient(self._login.client_id)
        body = client.prepare_request_body(
            code=code,
            redirect_uri=self._login.redirect_uri,
            include_client_id=self._login.flow == "pkce",
            code_verifier=verifier if self._login.flow == "pkce" else None,
        )
        self._started = None
        token = self._request(body)
        with self._mutex:
            self._vault.put(self._secret_name, token)
            self._stored = token

    def _renew(self, *, spent: str | None) -> None:
        self._stored = self._vault.renew(self._secret_name, lambda stored: self._refreshed(stored, spent))

    def _refreshed(self, stored: Secret | None, spent: str | None) -> Secret:
        """Runs under the vault's lock: what another process just stored is used, else Xero is asked."""
        if self._is_good(stored) and stored is not None and stored["access_token"] != spent:
            return stored
        if self._login.flow == "custom":
            client = BackendApplicationClient(self._login.client_id)
            return self._request(
                client.prepare_request_body(scope=" ".join(self._login.scopes), include_client_id=False)
            )
        if stored is None:
            raise CredentialsError(
                f"{self._name} is not logged in.",
                cure=f"Run `tieout connect {self._name}`.",
            )
        try:
            return self._refresh(stored, str(stored["refresh_token"]))
        except CredentialsError:
            previous = stored.get("previous_refresh_token")
            if previous is None or self._vault.now() - int(stored.get("renewed_at", 0)) > GRACE_SECONDS:
                raise
            # The answer that replaced our pair was lost, or its token never took effect: the one before still
            # counts.
            return self._refresh(stored, str(previous))

    def _refresh(self, stored: Secret, refresh_token: str) -> Secret:
        client = WebApplicationClient(self._login.client_id)
        extra = {"client_id": self._login.client_id} if self._login.flow == "pkce" else {}
        token = self._request(client.prepare_refresh_body(refresh_token=refresh_token, **extra))
        return {**token, "previous_refresh_token": stored["refresh_token"]}

    def _request(self, body: str) -> Secret:
        """One token request, repeated when its answer is lost: Xero gives a fresh pair for the old token for
        a while.
        """
        last: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                response = httpx.post(
                    self._login.token_url,
                    content=body,
                    headers={
                        "Content-Type": "application/x-www-form-urlencoded",
                        "Accept": "application/json",
                    },
                    auth=self._basic(),
                    timeout=TIMEOUT_SECONDS,
                    trust_env=not is_stand_in(self._login.token_url),
                    verify=trusted(),
                )
            except httpx.RequestError as error:
                last = error
                continue
            if response.status_code < 500:
                return self._read_token(response)
        raise RetryLater(
            f"Xero's token service does not answer ({type(last).__name__ if last else 'server error'})."
        ) from last

    def _basic(self) -> httpx.BasicAuth | None:
        if self._login.flow == "pkce":
            return None
        return httpx.BasicAuth(self._login.client_id, self._login.client_secret or "")

    def _read_token(self, response: httpx.Response) -> Secret:
        body = _json(response)
        if response.status_code == 429:
            raise RetryLater("Xero's token service asks to wait.", seconds=60)
        if response.status_code != 200:
            raise _refusal(self._name, str(body.get("error", response.status_code)))
        try:
            return {
                "access_token": str(body["access_token"]),
                "refresh_token": str(body.get("refresh_token") or ""),
                "expires_at": self._vault.now() + int(body["expires_in"]),
                "renewed_at": self._vault.now(),
                "scope": str(body.get("scope", "")),
            }
        except (KeyError, TypeError, ValueError) as error:
            raise RetryLater("Xero's token service answered without a token.") from error

    def _is_good(self, stored: Mapping[str, Any] | None) -> bool:
        return stored is not None and int(stored["expires_at"]) - EARLY_SECONDS > self._vault.now()

    def _only_organisation(self) -> str:
        response = self._connections()
        organisations = [
            item for item in response if isinstance(item, dict) and item.get("tenantType") == "ORGANISATION"
        ]
        if len(organisations) == 1:
            return str(organisations[0]["tenantId"])
        if not organisations:
            raise CredentialsError(f"The login of {self._name} reaches no organisation.")
        shown = ", ".join(f"{item.get('tenantName')} = {item.get('tenantId')}" for item in organisations)
        raise ConfigurationError(
            f"The login of {self._name} reaches several organisations: {shown}.",
            cure=f'Write tenant_id = "…" of the one that is meant under [connections.{self._name}].',
        )

    def _connections(self) -> list[Any]:
        try:
            response = httpx.get(
                self._login.connections_url,
                headers={"Authorization": f"Bearer {self.access_token()}", "Accept": "application/json"},
                timeout=TIMEOUT_SECONDS,
                trust_env=not is_stand_in(self._login.connections_url),
                verify=trusted(),
            )
        except httpx.RequestError as error:
            raise RetryLater(f"Xero does not answer: {type(error).__name__}.") from error
        if response.status_code in (401, 403):
            raise CredentialsError(f"Xero does not accept the login of {self._name}.")
        body = _json(response) if response.status_code == 200 else None
        if not isinstance(body, list):
            raise RetryLater(
                f"Xero did not say which organisations the login reaches ({response.status_code})."
            )
        return body


def _code(answer: str, state: str) -> str:
    """The code of an answer that belongs to the login with that state."""
    if "://" not in answer:
        return answer
    given = {name: values[0] for name, values in parse_qs(urlsplit(answer).query).items()}
    if "error" in given:
        raise CredentialsError(f"Xero gave no access: {given['error']}.")
    if "code" not in given or not hmac.compare_digest(given.get("state", ""), state):
        raise CredentialsError(
            "The browser came back with another login's answer.", cure="Run `tieout connect` once more."
        )
    return given["code"]


def _json(response: httpx.Response) -> Any:
    """The body; RetryLater for a 200 that is not JSON. Such a body may hold a token, so no word of it is told."""
    answer = Answer(
        status=response.status_code, headers=response.headers, content=response.content, seconds=0.0
    )
    try:
        body = answer.json()
    except RetryLater:
        if response.status_code == 200:
            raise RetryLater("Xero's token service answered something that is not JSON.") from None
        return {}
    return body if response.status_code == 200 or isinstance(body, dict) else {}


def _refusal(name: str, error: str) -> CredentialsError:
    """Xero's OAuth errors ("OAuth2 troubleshooting")."""
    cures = {
        "invalid_grant": f"The login has ended: `tieout connect {name}`.",
        "invalid_client": 'Correct client_id and client_secret; a PKCE app has no secret (flow = "pkce").',
        "unauthorized_client": "The app may not use this flow: set `flow` to the kind of app you registered.",
        "invalid_scope": "The app may not ask for one of `scopes`; newer apps know only the granular ones.",
    }
    return CredentialsError(f"Xero refuses the login of {name}: {error}.", cure=cures.get(error, ""))


def login_ends(name: str, vault: Vault) -> datetime | None:
    """When a person must log in again if nothing renews the token before; None: no person is needed, or none has logged in.

    CredentialsError when the stored login cannot be read.
    """
    stored = vault.get(_secret_name(name))
    if stored is None or not stored.get("refresh_token"):
        return None
    return datetime.fromtimestamp(int(stored["expires_at"]), UTC) + UNUSED


def _secret_name(name: str) -> str:
    return f"{name}.xero"
