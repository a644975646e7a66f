"""Xero Accounting API 2.0: address, limits, what its answers mean, how it writes times.

Facts, with their pages at developer.xero.com/documentation (checked 2026-03): 60 calls a minute, 5,000 a day,
5 at once an app and organisation ("OAuth 2.0 API limits"); errors come as JSON in two shapes or as plain text
("HTTP response codes & errors"); 401 with TokenExpired is the only one worth a renewed token ("OAuth2
troubleshooting"); times are `/Date(milliseconds)/` in UTC ("Requests and responses"). There is no version
number on records: the last writer wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, Self
from urllib.parse import urljoin

import httpx
import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from tieout.budget import Budget, CallLimits, Slot
from tieout.clients import xero_login
from tieout.clients.identity import Identity, is_stand_in, parse_options
from tieout.clients.xero_login import Login, Tokens
from tieout.db import Database
from tieout.errors import (
    BudgetExhausted,
    ConnectionRefused,
    CredentialsError,
    NotFound,
    Rejected,
    RetryLater,
    SchemaDrift,
    TieoutError,
)
from tieout.http import Answer, Http
from tieout.settings import Connection
from tieout.vault import Vault

MAINTENANCE_SECONDS = 300.0
"""How long Xero asks to wait when it is offline for maintenance."""
MINUTE_SECONDS = 60.0
DAY_SECONDS = 3600.0
"""Without a Retry-After, a day's limit is looked at again after an hour."""

_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Options(BaseModel):
    """Options of a connection to Xero."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    flow: Literal["custom", "pkce", "web"] = Field(
        default="pkce",
        description="custom (custom connection, no browser), pkce (an app without a secret), web (with one)",
    )
    client_id: str = Field(description="Client id of your app at developer.xero.com")
    client_secret: SecretStr | None = Field(default=None, description="Secret of the app (custom and web)")
    tenant_id: str | None = Field(default=None, description="Organisation, when the login reaches several")
    api_url: str = Field(
        default="https://api.xero.com/api.xro/2.0", description="Address of the accounting API"
    )
    identity_url: str = Field(
        default="https://identity.xero.com/connect/token", description="Where tokens are given"
    )
    login_url: str = Field(
        default="https://login.xero.com/identity/connect/authorize", description="Where a person logs in"
    )
    redirect_uri: str = Field(
        default="http://localhost:8765/callback", description="As registered with the app; on this machine"
    )
    scopes: tuple[str, ...] = Field(
        default=(
            "accounting.invoices",
            "accounting.payments",
            "accounting.banktransactions",
            "accounting.manualjournals",
            "accounting.contacts",
            "accounting.settings",
            "accounting.reports.trialbalance.read",
        ),
        description="What the app may do; offline_access is added where a person logs in",
    )
    calls_a_minute: int = Field(default=60, ge=1, description="Xero's limit for one organisation")
    calls_a_day: int = Field(
        default=5000, ge=1, description="Xero's limit for one organisation (1000 on the Starter tier)"
    )
    calls_at_once: int = Field(default=5, ge=1, description="Xero's limit for one organisation")
    calls_a_minute_of_app: int = Field(
        default=10_000, ge=1, description="Xero's limit for one app over all its organisations"
    )

    @model_validator(mode="before")
    @classmethod
    def _split_scopes(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("scopes"), str):
            return values | {"scopes": tuple(values["scopes"].split())}
        return values

    @model_validator(mode="after")
    def _needs_secret(self) -> Self:
        if self.flow != "pkce" and self.client_secret is None:
            raise ValueError(f"client_secret is needed for the flow {self.flow}")
        return self


class NotModified(Rejected):
    """Xero answers that nothing is newer (304)."""


class Client:
    """An open connection to one Xero organisation."""

    def __init__(self, connection: Connection, database: Database, vault: Vault, options: Options) -> None:
        self.connection = connection
        self.options = options
        self._budget = Budget(
            database,
            connection.name,
            CallLimits(
                minute=options.calls_a_minute,
                day=options.calls_a_day,
                concurrent=options.calls_at_once,
                app=f"xero {sha256(options.client_id.encode()).hexdigest()[:16]}",
                app_minute=options.calls_a_minute_of_app,
            ),
        )
        self.tokens = Tokens(
            name=connection.name,
            vault=vault,
            login=Login(
                flow=options.flow,
                client_id=options.client_id,
                client_secret=options.client_secret.get_secret_value() if options.client_secret else None,
                token_url=options.identity_url,
                login_url=options.login_url,
                connections_url=urljoin(options.api_url, "/connections"),
                redirect_uri=options.redirect_uri,
                scopes=options.scopes,
            ),
            tenant_id=options.tenant_id,
        )
        self.http = Http(
            base_url=options.api_url,
            authorise=self._authorise,
            refusals=refusals,
            budget=self._budget,
            renew=self.tokens.renew_expired,
            ensure_token=self.tokens.ensure,
            observe=self._observe,
            name=connection.name,
        )

    @property
    def needs_consent(self) -> bool:
        """Whether a person must log in with a browser."""
        return self.options.flow != "custom"

    @property
    def redirect_uri(self) -> str:
        """Where the browser comes back to."""
        return self.options.redirect_uri

    def login_url(self) -> str:
        """Where the person's browser goes to log in; Xero sends it back to `redirect_uri`."""
        return self.tokens.start_login()

    def finish_login(self, answer: str) -> None:
        """Exchange what the browser came back with for tokens, which are stored before they are used.

        `answer`: the address that it was sent back to, or the code alone (single use, 5 minutes).
        CredentialsError when the person refused, or when it belongs to another login.
        """
        self.tokens.finish_login(answer)

    def forget_login(self) -> None:
        """Let the next request log in afresh; for a login without a person."""
        self.tokens.forget()

    def identity(self) -> Identity:
        """The organisation."""
        body = self.http.read("Organisation").json()
        try:
            organisation = body["Organisations"][0]
            return Identity(
                id=str(organisation["OrganisationID"]),
                name=str(organisation["Name"]),
                is_demo=bool(organisation.get("IsDemoCompany")) or is_stand_in(self.options.api_url),
                base_currency=organisation.get("BaseCurrency"),
            )
        except (KeyError, IndexError, TypeError) as error:
            raise SchemaDrift("Xero's Organisation has another shape than we know.") from error

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def _authorise(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self.tokens.access_token()}"
        tenant = self.tokens.tenant()
        if tenant is not None:
            request.headers["xero-tenant-id"] = tenant

    def _observe(self, answer: Answer, slot: Slot) -> None:
        # The counters can be absent; they are hints, our own count holds.
        names = {
            "minute": "x-minlimit-remaining",
            "day": "x-daylimit-remaining",
            "app_minute": "x-appminlimit-remaining",
        }
        left = {window: answer.headers.get(name, "").strip() for window, name in names.items()}
        self._budget.learn({window: int(text) for window, text in left.items() if text.isdigit()}, slot=slot)
        if answer.status == 429 and answer.headers.get("x-rate-limit-problem", "").lower().startswith("app"):
            self._budget.blocked(answer.retry_after() or MINUTE_SECONDS, of_app=True)


def login_ends(connection: Connection, vault: Vault) -> datetime | None:
    """When a person must log in again if nothing is asked of Xero before; None: never."""
    return xero_login.login_ends(connection.name, vault)


def open_client(connection: Connection, database: Database, vault: Vault) -> Client:
    """Open a connection; no request is made yet. ConfigurationError when an option is missing or wrong."""
    return Client(connection, database, vault, parse_options(Options, connection))


def parse_time(text: str) -> datetime | None:
    """`/Date(1518685950940+0000)/` or an ISO text as UTC with milliseconds; None for the placeholder 0 and
    for other text.

    An offset such as +1300 is decoration: the milliseconds are UTC in any case (pyxero issue 122).
    """
    match = _DATE.fullmatch(text)
    if match is not None:
        milliseconds = int(match[1])
        try:
            # By place: for each record that is read, and twice as fast.
            return _EPOCH + timedelta(0, 0, 0, milliseconds) if milliseconds else None
        except OverflowError:
            return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def refusals(answer: Answer) -> TieoutError | None:
    """What an answer that is not 2xx means; None where the status says it all."""
    status = answer.status
    if status == 304:
        return NotModified("Nothing is newer.", status=304)
    if status in (401, 403):
        return _unauthorised(answer)
    if status == 429:
        return _limited(answer)
    if status == 503:
        return _offline(answer)
    if status == 404:
        return NotFound(
            "Xero has no such record or address.", status=404, messages=messages(answer), body=answer.content
        )
    if 400 <= status < 500:
        return _refused(answer)
    return None


def messages(answer: Answer) -> tuple[str, ...]:
    """Xero's own words in an error answer: validation messages of elements, a problem's detail, or plain
    text.
    """
    body = _body(answer)
    if body is None:
        text = re.sub(r"<[^>]+>", " ", answer.start())
        return (" ".join(text.split()),) if text.strip() else ()
    found = list(dict.fromkeys(_validation_messages(body.get("Elements"))))
    if not found:
        found = [str(body[name]) for name in ("Detail", "Message") if body.get(name)]
    return tuple(found)


def concerns_connection(message: str) -> bool:
    """Whether a refusal of one element means that no other will be accepted either (the plan's limit is
    reached).
    """
    return message.lower().startswith("you have reached the limit of")


def _unauthorised(answer: Answer) -> TieoutError:
    words = "; ".join(messages(answer)) or answer.start()
    if answer.status == 403:
        return ConnectionRefused(
            f"Xero does not let us into the organisation: {words}.",
            cure="The organisation was disconnected, or the user lost access: `tieout connect` it again, then `tieout resume` it.",
        )
    if words.startswith("TokenExpired"):
        return CredentialsError(f"Xero: {words}.", expired=True)
    header = answer.headers.get("www-authenticate", "")
    # One page of Xero's spells it "insufficent_scope".
    if "AuthorizationUnsuccessful" in words or "insuffici" in header or "insufficent" in header:
        return ConnectionRefused(
            f"Xero: the login does not include what this needs ({words}).",
            cure="Add the scope to `scopes` of the connection and to the app, then `tieout connect` and `tieout resume` it.",
        )
    return CredentialsError(f"Xero does not accept our token: {words}.")


def _limited(answer: Answer) -> TieoutError:
    problem = answer.headers.get("x-rate-limit-problem", "").lower()
    seconds = answer.retry_after()
    if problem.startswith("conc"):
        seconds = seconds or 1.0
    elif problem.startswith("da"):  # day, Daily, DayLimit
        seconds = seconds or DAY_SECONDS
    else:
        seconds = seconds or MINUTE_SECONDS
    return BudgetExhausted(f"Xero's limit on calls is reached ({problem or 'unnamed'}).", seconds=seconds)


def _offline(answer: Answer) -> TieoutError:
    words = answer.start()
    if "organisation is offline" in words.lower():
        return ConnectionRefused(
            f"Xero: {words}.",
            cure="Log in to Xero and see what the organisation needs, then `tieout resume` it.",
        )
    wait = MAINTENANCE_SECONDS if "maintenance" in words.lower() else None
    return RetryLater(f"Xero: {words}.", seconds=answer.retry_after() or wait)


def _refused(answer: Answer) -> TieoutError:
    words = messages(answer)
    body = _body(answer) or {}
    if body.get("Type") == "HighVolumeException":
        return Rejected(
            f"Xero: {'; '.join(words)}",
            cure="The organisation has too many documents for this read; report which command asked for it.",
            status=answer.status,
            messages=words,
            body=answer.content,
        )
    if words and all(concerns_connection(word) for word in words):
        return ConnectionRefused(
            f"Xero: {'; '.join(words)}", cure="Change the organisation's plan, then `tieout resume` it."
        )
    return Rejected(status=answer.status, messages=words or (f"status {answer.status}",), body=answer.content)


def _validation_messages(node: object) -> Iterator[str]:
    """Messages of an element and of what is nested in it (Contact, LineItems), in order."""
    if isinstance(node, list):
        for item in node:
            yield from _validation_messages(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "ValidationErrors" and isinstance(value, list):
                yield from (
                    str(item["Message"]) for item in value if isinstance(item, dict) and item.get("Message")
                )
            elif isinstance(value, (list, dict)):
                yield from _validation_messages(value)


def _body(answer: Answer) -> Mapping[str, Any] | None:
    try:
        body = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None
