"""What Magento's answers mean, how requests to it are signed, and what it must be told."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest
from oauthlib.oauth1.rfc5849 import signature, utils

from loaders.magento import MOST_FILTERS, criteria
from tieout.clients.identity import parse_options
from tieout.clients.magento import Options, filled, messages, parse_time, refusals
from tieout.clients.magento_oauth import OAuthKeys, Signer, base_string, natural_order
from tieout.errors import (
    ConfigurationError,
    ConnectionRefused,
    CredentialsError,
    NotFound,
    Rejected,
    RetryLater,
    TieoutError,
)
from tieout.http import Answer
from tieout.settings import Connection

JSON = "application/json; charset=utf-8"


def answer(status: int, content: str, kind: str = JSON) -> Answer:
    """One answer of Magento."""
    return Answer(status=status, headers={"content-type": kind}, content=content.encode(), seconds=0.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            answer(401, '{"message":"%resources","parameters":{"resources":"Magento_Sales::actions_view"}}'),
            ConnectionRefused,
            id="not permitted, or a bad token",
        ),
        pytest.param(
            answer(401, '{"message":"The signature is invalid."}'), CredentialsError, id="bad signature"
        ),
        pytest.param(answer(404, '{"message":"No such entity"}'), NotFound, id="unknown record"),
        pytest.param(answer(404, "<html>", "text/html"), ConfigurationError, id="404 of the web server"),
        pytest.param(answer(400, '{"message":"Decoding error."}'), Rejected, id="refused body"),
        pytest.param(
            answer(500, '{"message":"Internal Error. Report ID: webapi-1"}'), RetryLater, id="500 as JSON"
        ),
        pytest.param(answer(500, "An error has happened", "text/plain"), RetryLater, id="500 as text"),
        pytest.param(answer(500, "<html>", "text/html"), RetryLater, id="500 as page"),
        pytest.param(answer(503, "<h1>Maintenance</h1>", "text/html"), RetryLater, id="maintenance"),
        pytest.param(answer(403, "<html>Denied</html>", "text/html"), ConnectionRefused, id="firewall"),
        pytest.param(answer(414, "<html>", "text/html"), Rejected, id="address too long"),
    ],
)
def test_an_answer_means_what_the_caller_does_next(given: Answer, expected: type[TieoutError]) -> None:
    error = refusals(given)

    assert type(error) is expected
    assert error.cure


@pytest.mark.parametrize(
    ("message", "parameters", "expected"),
    [
        pytest.param("item %1 of %2", ["a", 2], "item a of 2", id="list"),
        pytest.param('"%fieldName" is required', {"fieldName": "sku"}, '"sku" is required', id="object"),
        pytest.param("item %1 of %10", ["a"], "item a of %10", id="not given"),
        pytest.param("100 % sure", None, "100 % sure", id="none"),
    ],
)
def test_placeholders_are_filled_in(message: str, parameters: Any, expected: str) -> None:
    assert filled(message, parameters) == expected


def test_all_messages_of_an_error_are_told() -> None:
    given = answer(400, '{"message":"Several.","errors":[{"message":"%1 is bad","parameters":["sku"]}]}')

    assert messages(given) == ("Several.", "sku is bad")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05 10:00:00", "2026-01-05T10:00:00+00:00"),
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00+00:00"),
        ("0000-00-00 00:00:00", None),
        ("not-a-date", None),
        ("", None),
    ],
)
def test_times_are_utc(text: str, expected: str | None) -> None:
    parsed = parse_time(text)

    assert (parsed.isoformat() if parsed is not None else None) == expected


def test_parameters_are_in_natural_order() -> None:
    names = [f"searchCriteria%5Bfilter_groups%5D%5B{number}%5D%5Bfilters%5D" for number in range(12)]
    shuffled = random.Random(1).sample(names, len(names))

    ordered = sorted(shuffled, key=lambda name: [natural_order(name, other) for other in names].count(1))

    assert ordered == names


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a9", "a10", -1),
        ("a10", "a9", 1),
        ("a", "a", 0),
        ("a", "a1", -1),
        ("a0", "a10", -1),
        ("b", "a9", 1),
        ("B", "a", -1),
    ],
)
def test_natural_order_is_that_of_php(one: str, other: str, expected: int) -> None:
    assert natural_order(one, other) == expected


def test_below_eleven_filters_the_signed_text_is_that_of_the_standard() -> None:
    filters = [("updated_at", "2026-01-05 10:00:00", "gteq"), ("entity_id", "7", "gt")]
    request = httpx.Request(
        "GET",
        "https://shop.example:8443/rest/all/V1/orders",
        params=criteria(filters, sort=("updated_at",), size=9),
    )
    request.url = request.url.copy_with(query=request.url.query.replace(b"+", b"%20"))
    oauth = [("oauth_nonce", "n"), ("oauth_token", "t")]

    ours = base_string(request, oauth)

    pairs = [*criteria(filters, sort=("updated_at",), size=9).items(), *oauth]
    standard = signature.signature_base_string(
        "GET",
        signature.base_string_uri("https://shop.example:8443/rest/all/V1/orders"),
        signature.normalize_parameters(pairs),
    )
    assert ours == standard
    assert "10%3A00" in utils.unescape(ours)


def test_a_header_is_signed_anew_each_time() -> None:
    keys = OAuthKeys(consumer_key="k", consumer_secret="s", access_token="t", access_token_secret="u")
    one, other = (httpx.Request("GET", "https://shop.example/rest/V1/orders") for _ in range(2))
    signer = Signer(keys)

    signer(one)
    signer(other)

    assert one.headers["Authorization"].startswith("OAuth ")
    assert "HMAC-SHA256" in one.headers["Authorization"]
    assert one.headers["Authorization"] != other.headers["Authorization"]


def test_more_filters_than_signers_agree_on_are_refused() -> None:
    with pytest.raises(ValueError, match="filters"):
        criteria([("a", "1", "eq")] * (MOST_FILTERS + 1), sort=(), size=1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"base_url": "https://shop.example"}, "consumer_key"),
        ({"base_url": "shop.example", "auth": "bearer", "bearer_token": "x"}, "base_url"),
        ({"base_url": "https://shop.example", "auth": "admin", "username": "a"}, "password"),
        ({"base_url": "https://shop.example", "auth": "bearer", "bearer_token": "x", "tokn": "y"}, "tokn"),
    ],
)
def test_a_missing_or_misspelt_option_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        parse_options(Options, Connection(name="shop", system="magento", options=options))

    assert named in str(wrong.value)
    assert "connections.shop" in wrong.value.cure
