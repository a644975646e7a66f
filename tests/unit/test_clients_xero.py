"""What Xero's answers mean, and how it writes times."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tieout.clients.identity import parse_options
from tieout.clients.xero import NotModified, Options, messages, parse_time, refusals
from tieout.errors import (
    BudgetExhausted,
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


def answer(status: int, body: Any = "", **headers: str) -> Answer:
    """One answer of Xero; headers with underscores for dashes."""
    content = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Answer(status=status, headers=named, content=content.encode(), seconds=0.0)


def problem(status: int, detail: str, **headers: str) -> Answer:
    """A refusal of the login."""
    return answer(
        status, {"Type": None, "Title": "Unauthorized", "Status": status, "Detail": detail}, **headers
    )


VALIDATION = {
    "ErrorNumber": 10,
    "Type": "ValidationException",
    "Message": "A validation exception occurred",
    "Elements": [
        {
            "ValidationErrors": [{"Message": "One."}],
            "Contact": {"ValidationErrors": [{"Message": "Two."}]},
            "LineItems": [{"ValidationErrors": [{"Message": "Three."}, {"Message": "One."}]}],
        }
    ],
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            problem(401, "TokenExpired: token expired at 01/31/2026"), CredentialsError, id="expired"
        ),
        pytest.param(problem(401, "AuthenticationUnsuccessful"), CredentialsError, id="garbled token"),
        pytest.param(problem(401, "AuthorizationUnsuccessful"), ConnectionRefused, id="scope"),
        pytest.param(
            problem(401, "", www_authenticate='error="insufficent_scope"'),
            ConnectionRefused,
            id="scope, misspelt",
        ),
        pytest.param(problem(403, "AuthenticationUnsuccessful"), ConnectionRefused, id="tenant"),
        pytest.param(
            answer(404, "The resource you're looking for cannot be found"), NotFound, id="not there"
        ),
        pytest.param(answer(304), NotModified, id="nothing newer"),
        pytest.param(answer(400, VALIDATION), Rejected, id="validation"),
        pytest.param(answer(400, "oops"), Rejected, id="plain text"),
        pytest.param(
            answer(503, "The Organisation is offline"), ConnectionRefused, id="organisation offline"
        ),
        pytest.param(answer(503, "The Xero API is temporarily unavailable"), RetryLater, id="unavailable"),
    ],
)
def test_an_answer_means_what_the_caller_does_next(given: Answer, expected: type[TieoutError]) -> None:
    error = refusals(given)

    assert type(error) is expected
    assert error.cure


def test_only_an_expired_token_is_worth_another_one() -> None:
    expired = refusals(problem(401, "TokenExpired: token expired at 01/31/2026"))
    garbled = refusals(problem(401, "AuthenticationUnsuccessful"))

    assert isinstance(expired, CredentialsError)
    assert expired.expired
    assert isinstance(garbled, CredentialsError)
    assert not garbled.expired


@pytest.mark.parametrize(
    ("name", "after", "seconds"),
    [
        ("concurrent", None, 1.0),
        ("minute", "17", 17.0),
        ("Minute limit", None, 60.0),
        ("DayLimit", "66975", 66975.0),
        ("Daily", None, 3600.0),
        ("appminute", None, 60.0),
    ],
)
def test_a_limit_says_how_long_to_wait(name: str, after: str | None, seconds: float) -> None:
    headers = {"X_Rate_Limit_Problem": name} | ({"Retry_After": after} if after is not None else {})

    error = refusals(answer(429, "oauth_problem=rate limit exceeded", **headers))

    assert isinstance(error, BudgetExhausted)
    assert error.seconds == seconds


def test_messages_of_nested_parts_are_told_once_each() -> None:
    assert messages(answer(400, VALIDATION)) == ("One.", "Two.", "Three.")


def test_a_server_error_is_left_to_its_status() -> None:
    assert refusals(answer(500, {"ErrorNumber": 500, "Message": "An error occurred in Xero."})) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Date(1518685950940+0000)/", "2018-02-15T09:12:30.940000+00:00"),
        ("/Date(1518685950940)/", "2018-02-15T09:12:30.940000+00:00"),
        ("/Date(1518685950940+1300)/", "2018-02-15T09:12:30.940000+00:00"),
        ("/Date(-86400000+0000)/", "1969-12-31T00:00:00+00:00"),
        ("/Date(0+0000)/", None),
        ("/Date(99999999999999999)/", None),
        ("2026-01-05T10:00:00", "2026-01-05T10:00:00+00:00"),
        ("2026-01-05T10:00:00+13:00", "2026-01-04T21:00:00+00:00"),
        ("soon", None),
    ],
)
def test_times_are_utc(text: str, expected: str | None) -> None:
    parsed = parse_time(text)

    assert (parsed.isoformat() if parsed is not None else None) == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "client_id"),
        ({"client_id": "x", "flow": "web"}, "client_secret"),
        ({"client_id": "x", "flow": "webb"}, "flow"),
        ({"client_id": "x", "tenant": "y"}, "tenant"),
    ],
)
def test_a_missing_or_misspelt_option_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        parse_options(Options, Connection(name="books", system="xero", options=options))

    assert named in str(wrong.value)


def test_scopes_may_be_written_as_one_text() -> None:
    options = parse_options(
        Options, Connection(name="books", system="xero", options={"client_id": "x", "scopes": "a b"})
    )

    assert options.scopes == ("a", "b")


def test_a_secret_is_not_shown() -> None:
    options = parse_options(
        Options,
        Connection(
            name="books", system="xero", options={"client_id": "x", "flow": "web", "client_secret": "hush"}
        ),
    )

    assert "hush" not in repr(options)
