"""OAuth 1.0a as Magento 2 checks it: HMAC-SHA256, RFC 5849 but for the order of the parameters.

Magento sorts parameters with PHP's `strnatcmp`, which reads runs of digits as numbers; a standard signer
sorts by bytes. Both agree until a query has an index of 10 or more, then Magento answers that the signature
is invalid (recorded on 2.4.4). The primitives (escaping, base string, HMAC) are oauthlib's. Every request is
signed anew: a nonce counts once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx
from oauthlib.common import generate_nonce, generate_timestamp
from oauthlib.oauth1.rfc5849 import parameters, signature, utils


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthKeys:
    """The four values of an integration (Admin: System > Extensions > Integrations)."""

    consumer_key: str
    consumer_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Secrets:
    """As oauthlib's signing function wants them."""

    client_secret: str
    resource_owner_secret: str


class Signer:
    """Signs requests; called with each one."""

    def __init__(self, keys: OAuthKeys) -> None:
        self._keys = keys

    def __call__(self, request: httpx.Request) -> None:
        """Set the Authorization header for method, address and query. JSON bodies are not signed."""
        oauth = [
            ("oauth_consumer_key", self._keys.consumer_key),
            ("oauth_nonce", generate_nonce()),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", generate_timestamp()),
            ("oauth_token", self._keys.access_token),
            ("oauth_version", "1.0"),
        ]
        base = base_string(request, oauth)
        secrets = _Secrets(self._keys.consumer_secret, self._keys.access_token_secret)
        signed = signature.sign_hmac_sha256_with_client(base, secrets)
        headers = parameters.prepare_headers([*oauth, ("oauth_signature", signed)], {}, realm=None)
        request.headers["Authorization"] = headers["Authorization"]


def base_string(request: httpx.Request, oauth: list[tuple[str, str]]) -> str:
    """The text that is signed: method, address without query, and all parameters in Magento's order."""
    pairs = [(utils.escape(name), utils.escape(value)) for name, value in [*_query(request), *oauth]]
    ordered = sorted(pairs, key=lambda pair: _NATURAL(pair[0]))
    address = signature.base_string_uri(str(request.url.copy_with(query=None)))
    text = "&".join(f"{name}={value}" for name, value in ordered)
    return str(signature.signature_base_string(request.method, address, text))


def natural_order(one: str, other: str) -> int:
    """PHP's `strnatcmp`: below 0, 0 or above 0. Runs of digits compare as numbers, or as text when one begins
    with 0.

    After ext/standard/strnatcmp.c of php-src; our names have neither blanks nor leading zeros, which it
    treats apart.
    """
    left = right = 0
    while left < len(one) and right < len(other):
        if one[left].isdigit() and other[right].isdigit():
            run, other_run = _digits(one, left), _digits(other, right)
            verdict = _compare_runs(run, other_run)
            if verdict:
                return verdict
            left += len(run)
            right += len(other_run)
            continue
        if one[left] != other[right]:
            return -1 if one[left] < other[right] else 1
        left += 1
        right += 1
    return (left < len(one)) - (right < len(other))


_NATURAL = functools.cmp_to_key(natural_order)


def _compare_runs(run: str, other: str) -> int:
    as_text = run.startswith("0") or other.startswith("0")
    first, second = (run, other) if as_text or len(run) == len(other) else (len(run), len(other))
    return (first > second) - (first < second)  # type: ignore[operator]


def _digits(text: str, start: int) -> str:
    end = start
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[start:end]


def _query(request: httpx.Request) -> list[tuple[str, str]]:
    """The decoded query. Only pairs with exactly one `=` are signed, and a plus sign is no blank."""
    pairs = (part.split("=") for part in request.url.query.decode().split("&") if part)
    return [(unquote(pair[0]), unquote(pair[1])) for pair in pairs if len(pair) == 2]
