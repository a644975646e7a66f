"""Magento 2 REST: address, ways to log in, what its answers mean, how it writes times.

Facts, recorded on Magento Open Source 2.4.4 unless said otherwise: one and the same 401 stands for a bad
token, an expired one and a lacking permission; 500 comes as JSON, plain text or an HTML page, maintenance as
HTML with 503; messages carry placeholders (`%1` for a list, `%name` for an object of parameters) that the
client fills in; times are UTC without a zone, to the second; there is no limit on calls, but more than four
at once only wait for each other. Every answer sets a cookie, which is not kept. Vendor's pages:
developer.adobe.com/commerce/webapi/get-started, checked 2026-03.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx
import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from tieout.budget import Budget, CallLimits
from tieout.clients.identity import Identity, is_stand_in, parse_options
from tieout.clients.magento_oauth import OAuthKeys, Signer
from tieout.db import Database, json_loads
from tieout.errors import (
    ConfigurationError,
    ConnectionRefused,
    CredentialsError,
    NotFound,
    Rejected,
    RetryLater,
    SchemaDrift,
    TieoutError,
)
from tieout.http import Answer, Http, trusted
from tieout.settings import Connection
from tieout.vault import Secret, Vault

TOKEN_SECONDS = 3600
"""Of an admin token on 2.4.4 and later; nothing in the answer says so."""
EARLY_SECONDS = 120
LOGIN_TIMEOUT_SECONDS = 30.0

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_PLACEHOLDER = re.compile(r"%(\w+)")


class Options(BaseModel):
    """Options of a connection to Magento."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str = Field(description="Address of the shop, such as https://shop.example")
    auth: Literal["oauth1", "bearer", "admin"] = Field(
        default="oauth1",
        description="oauth1 (four values of an integration), bearer (its access token alone), admin (a user)",
    )
    consumer_key: str | None = Field(default=None, description="Of the integration (oauth1)")
    consumer_secret: SecretStr | None = Field(default=None, description="Of the integration (oauth1)")
    access_token: SecretStr | None = Field(default=None, description="Of the integration (oauth1)")
    access_token_secret: SecretStr | None = Field(default=None, description="Of the integration (oauth1)")
    bearer_token: SecretStr | None = Field(default=None, description="Access token used alone (bearer)")
    username: str | None = Field(default=None, description="Admin user without two-factor login (admin)")
    password: SecretStr | None = Field(default=None, description="Of the admin user (admin)")
    store_code: str = Field(default="all", description="Store view in the address; all = global values")
    calls_at_once: int = Field(default=4, ge=1, description="Requests at the same time")

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError("must begin with https:// and name the shop")
        return url.rstrip("/").removesuffix("/rest")

    @model_validator(mode="after")
    def _needs(self) -> Self:
        needed = {
            "oauth1": ("consumer_key", "consumer_secret", "access_token", "access_token_secret"),
            "bearer": ("bearer_token",),
            "admin": ("username", "password"),
        }[self.auth]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"auth = {self.auth} needs {', '.join(missing)}")
        return self


class Client:
    """An open connection to one Magento; paths of `http` begin behind `/rest/<store code>/V1/`."""

    def __init__(self, connection: Connection, database: Database, vault: Vault, options: Options) -> None:
        self.connection = connection
        self.options = options
        self._admin = AdminToken(connection.name, vault, options) if options.auth == "admin" else None
        self._signer = _signer(options)
        self.http = Http(
            base_url=f"{options.base_url}/rest/{options.store_code}/V1",
            authorise=self._authorise,
            refusals=self._refusals,
            budget=Budget(database, connection.name, CallLimits(concurrent=options.calls_at_once)),
            renew=self._admin.renew_expired if self._admin is not None else None,
            ensure_token=self._ensure,
            name=connection.name,
        )

    def identity(self) -> Identity:
        """The installation, and pins the connection to it; ConnectionRefused when it is another one than
        before.

        Magento has no id of its own: the address that its first store view is configured with stands for it.
        """
        configs = self.http.read("store/storeConfigs").json()
        try:
            first = min(configs, key=lambda config: int(config["id"]))
            address = urlsplit(str(first["base_url"]))
            return Identity(
                id=f"{address.hostname or ''}{address.path.rstrip('/')}",
                name=f"{first['code']} at {address.hostname}",
                is_demo=is_stand_in(self.options.base_url),
                base_currency=first.get("base_currency_code"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaDrift("Magento's store configuration has another shape than we know.") from error

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def _authorise(self, request: httpx.Request) -> None:
        # Magento takes "+" in a query for a plus sign, and the signature then does not fit (recorded on
        # 2.4.4).
        request.url = request.url.copy_with(query=request.url.query.replace(b"+", b"%20") or None)
        if self._admin is not None:
            request.headers["Authorization"] = f"Bearer {self._admin.token()}"
        elif self.options.bearer_token is not None:
            request.headers["Authorization"] = f"Bearer {self.options.bearer_token.get_secret_value()}"
        elif self._signer is not None:
            self._signer(request)

    def _ensure(self) -> None:
        if self._admin is not None:
            self._admin.token()

    def _refusals(self, answer: Answer) -> TieoutError | None:
        if answer.status == 401 and self._admin is not None and not self._admin.is_fresh:
            return CredentialsError("Magento does not accept the token.", expired=True)
        return refusals(answer)


class AdminToken:
    """The token of an admin user: kept in the vault, made anew when it ends, and once when Magento refuses
    it.
    """

    def __init__(self, name: str, vault: Vault, options: Options) -> None:
        self._secret_name = f"{name}.magento"
        self._name = name
        self._vault = vault
        self._options = options
        self._stored: Secret | None = None
        self._mutex = threading.Lock()
        self.is_fresh = False
        """It was made by this process: a 401 is no question of its age but of what the user may do."""

    def token(self) -> str:
        """A token that is good for a request now."""
        with self._mutex:
            if self._stored is None:
                self._stored = self._vault.get(self._secret_name)
            if not self._is_good(self._stored):
                self._renew(spent=None)
            assert self._stored is not None, "renewing stores or raises"  # noqa: S101
            return str(self._stored["token"])

    def renew_expired(self) -> bool:
        """Magento refused the token: make another one."""
        with self._mutex:
            self._renew(spent=str(self._stored["token"]) if self._stored else None)
            self.is_fresh = True
            return True

    def _renew(self, *, spent: str | None) -> None:
        def refreshed(stored: Secret | None) -> Secret:
            if stored is not None and self._is_good(stored) and stored["token"] != spent:
                return stored
            return {"token": self._log_in(), "expires_at": self._vault.now() + TOKEN_SECONDS}

        self._stored = self._vault.renew(self._secret_name, refreshed)
        self.is_fresh = False

    def _is_good(self, stored: Secret | None) -> bool:
        return stored is not None and int(stored["expires_at"]) - EARLY_SECONDS > self._vault.now()

    def _log_in(self) -> str:
        """One login, never repeated: six wrong ones lock the user for half an hour."""
        url = f"{self._options.base_url}/rest/V1/integration/admin/token"
        password = self._options.password.get_secret_value() if self._options.password else ""
        try:
            response = httpx.post(
                url,
                json={"username": self._options.username, "password": password},
                headers={"Accept": "application/json"},
                timeout=LOGIN_TIMEOUT_SECONDS,
                trust_env=not is_stand_in(url),
                verify=trusted(),
            )
        except httpx.RequestError as error:
            raise RetryLater(f"{self._options.base_url} does not answer: {type(error).__name__}.") from error
        answer = Answer(
            status=response.status_code, headers=response.headers, content=response.content, seconds=0.0
        )
        if answer.status == 200:
            token = _token(answer)
            if isinstance(token, str) and token:
                return token
            raise SchemaDrift("Magento answered the login without a token.")
        if answer.status >= 500:
            raise RetryLater(f"Magento cannot log in now ({answer.status}).")
        words = "; ".join(messages(answer))
        if answer.status == 401:
            raise CredentialsError(
                f"Magento refuses the login of {self._name}: {words}",
                cure="Correct username and password; six wrong logins lock the user for half an hour.",
            )
        raise ConfigurationError(
            f"Magento refuses the login of {self._name}: {words}",
            cure='A user with two-factor login cannot log in here: use an integration (auth = "oauth1").',
        )


def open_client(connection: Connection, database: Database, vault: Vault) -> Client:
    """Open a connection; no request is made yet. ConfigurationError when an option is missing or wrong."""
    return Client(connection, database, vault, parse_options(Options, connection))


def parse_time(text: str) -> datetime | None:
    """`2026-01-05 10:00:00`, which is UTC, as a time with zone; None for other text and for zero dates."""
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[0]).replace(tzinfo=UTC)
    except ValueError:
        return None


def refusals(answer: Answer) -> TieoutError | None:
    """What an answer that is not 2xx means; None where the status says it all."""
    status, words = answer.status, messages(answer)
    said = "; ".join(words) or f"status {status}"
    if status == 401:
        resources = _resources(answer)
        if resources:
            return ConnectionRefused(
                f"Magento: {said}",
                cure=f"Grant {resources} to the integration, or correct its token: the answer is the same.",
            )
        return CredentialsError(f"Magento does not accept our credentials: {said}")
    if _is_page(answer):
        return _page(answer)
    if status == 404:
        return NotFound(f"Magento: {said}", status=status, messages=words, body=answer.content)
    if status == 429:
        return None
    if status >= 500:
        return RetryLater(f"Magento's server failed ({status}): {said}", seconds=answer.retry_after())
    if status >= 400:
        return Rejected(f"Magento: {said}", status=status, messages=words, body=answer.content)
    return None


def messages(answer: Answer) -> tuple[str, ...]:
    """Magento's own words with their placeholders filled in; else the text of the page."""
    body = _body(answer)
    if body is None:
        text = " ".join(re.sub(r"<[^>]+>", " ", answer.start()).split())
        return (text,) if text else ()
    return tuple(dict.fromkeys(_told(body)))


def filled(message: str, parameters: object) -> str:
    """A message with `%1` taken from a list and `%name` from an object; what is not given stays as it is."""
    if isinstance(parameters, list):
        named = {str(number): value for number, value in enumerate(parameters, start=1)}
    elif isinstance(parameters, dict):
        named = {str(name): value for name, value in parameters.items()}
    else:
        return message
    return _PLACEHOLDER.sub(lambda match: str(named.get(match[1], match[0])), message)


def _told(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("message"):
        yield filled(str(body["message"]), body.get("parameters"))
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict) and error.get("message"):
            yield filled(str(error["message"]), error.get("parameters"))
    nested = body.get("messages")
    for error in nested.get("error", []) if isinstance(nested, dict) else []:
        if isinstance(error, dict) and error.get("message"):
            yield str(error["message"])


def _resources(answer: Answer) -> str:
    parameters = (_body(answer) or {}).get("parameters")
    return str(parameters.get("resources", "")) if isinstance(parameters, dict) else ""


def _page(answer: Answer) -> TieoutError:
    """An HTML page: never Magento's REST answer, but its server, a proxy or a firewall in front of it."""
    said = "; ".join(messages(answer))
    if answer.status in (404, 405):
        return ConfigurationError(
            f"The address answers with a web page instead of data ({answer.status}).",
            cure="Correct base_url; the web server must rewrite /rest to Magento and take encoded slashes.",
        )
    if answer.status == 403:
        return ConnectionRefused(
            f"A firewall in front of Magento refuses us: {said}",
            cure="Let the firewall accept this machine's address, then `tieout resume` the connection.",
        )
    if answer.status in (408, 429) or answer.status >= 500:
        return RetryLater(f"Magento is not available ({answer.status}): {said}", seconds=answer.retry_after())
    return Rejected(f"Magento: {said}", status=answer.status, messages=(said,), body=answer.content)


def _is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "").lower() or answer.content[:1] == b"<"


def _signer(options: Options) -> Signer | None:
    if options.auth != "oauth1":
        return None
    return Signer(
        OAuthKeys(
            consumer_key=options.consumer_key or "",
            consumer_secret=_text(options.consumer_secret),
            access_token=_text(options.access_token),
            access_token_secret=_text(options.access_token_secret),
        )
    )


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def _token(answer: Answer) -> object:
    """What the login answered; an error never quotes it, for it may be the token with a fault around it."""
    try:
        return json_loads(answer.content)
    except ValueError:
        return None


def _body(answer: Answer) -> Mapping[str, Any] | None:
    try:
        body = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None
