"""What is known about a request: repeated when it is a read, named exactly when it is a write."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.fix_http import Server, breaks_off, hangs_up, resets, says, stays_silent
from tieout.budget import Slot
from tieout.errors import (
    BudgetExhausted,
    ConfigurationError,
    ConnectionRefused,
    CredentialsError,
    NotFound,
    NotSent,
    Rejected,
    RetryLater,
    UnknownOutcome,
)
from tieout.http import Answer, Http, boottime

SOON = 60


@pytest.fixture
def server(scripted_server: Server) -> Server:
    return scripted_server


@pytest.fixture
def client(server: Server) -> Iterator[Http]:
    http = make(server)
    yield http
    http.close()


def make(server: Server, **arguments) -> Http:
    return Http(
        **{
            "base_url": server.address,
            "authorise": None,
            "refusals": lambda answer: None,
            "timeout_seconds": 5,
        }
        | arguments
    )


def write(client: Http, **arguments) -> Answer:
    defaults: dict[str, Any] = {"slot": Slot(), "content": b'{"a": 1}', "deadline": boottime() + SOON}
    arguments = defaults | arguments
    return client.write("PUT", "things", **arguments)


# Reads


def test_a_read_gives_exact_numbers(server, client):
    server.scripts = [says(200, '{"total": 0.10, "big": 12345678901234567890.12}')]

    answer = client.read("things", params={"page": 1})

    assert answer.json() == {"total": Decimal("0.10"), "big": Decimal("12345678901234567890.12")}
    assert server.received[0].startswith(b"GET /things?page=1 ")


def test_an_answer_that_nobody_holds_needs_no_garbage_collector(server, client):
    """Else a load would hold a dozen of its pages."""
    server.scripts = [says(200, "{}"), says(200, "{}")]
    gc.collect()
    gc.disable()
    try:
        before = responses()
        client.read("things")
        write(client)
        after = responses()
    finally:
        gc.enable()

    assert after == before


def responses() -> int:
    """How many there are in this process."""
    return sum(isinstance(found, httpx.Response) for found in gc.get_objects())


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(resets, id="reset"),
        pytest.param(hangs_up, id="no-answer"),
        pytest.param(breaks_off, id="half-an-answer"),
        pytest.param(says(500), id="500"),
        pytest.param(says(503, "{}", "Retry-After: 1"), id="503"),
        pytest.param(says(429, "{}", "Retry-After: 3"), id="429"),
        pytest.param(says(200, "<html>maintenance"), id="html"),
        pytest.param(says(200, '{"half": '), id="half-json"),
        pytest.param(says(200, ""), id="empty"),
    ],
)
def test_a_read_is_repeated_until_it_works(server, client, first):
    server.scripts = [first, first, says(200, '{"done": true}')]

    assert client.read("things").json() == {"done": True}
    assert len(server.received) == 3


def test_a_read_that_never_works_is_for_the_next_run(server, client):
    server.scripts = [says(502, "Bad Gateway")]

    with pytest.raises(RetryLater, match="502"):
        client.read("things")

    assert len(server.received) > 2


def test_a_long_wait_is_not_waited_for(server, client):
    server.scripts = [says(429, "day limit", "Retry-After: 40000")]

    with pytest.raises(BudgetExhausted) as caught:
        client.read("things")

    assert (caught.value.seconds, len(server.received)) == (40000, 1)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(400, Rejected, id="400"),
        pytest.param(401, CredentialsError, id="401"),
        pytest.param(404, NotFound, id="404"),
        pytest.param(301, ConfigurationError, id="redirect"),
    ],
)
def test_a_definite_answer_is_not_asked_for_again(server, client, status, error):
    server.scripts = [says(status, "no", "Location: https://elsewhere.example")]

    with pytest.raises(error):
        client.read("things")

    assert len(server.received) == 1


def test_the_client_module_says_what_a_refusal_means(server):
    client = make(server, refusals=lambda answer: ConnectionRefused(f"plan limit, {answer.status}"))
    server.scripts = [says(403)]

    with pytest.raises(ConnectionRefused, match="plan limit, 403"):
        client.read("things")


def test_an_expired_token_is_renewed_once_and_the_read_repeated(server):
    tokens = ["old"]

    def authorise(request) -> None:
        request.headers["Authorization"] = f"Bearer {tokens[-1]}"

    def renew() -> bool:
        tokens.append("new")
        return True

    refusals = lambda answer: CredentialsError("too old", expired=True) if answer.status == 401 else None  # noqa: E731
    client = make(server, authorise=authorise, refusals=refusals, renew=renew)
    server.scripts = [says(401), says(200)]

    client.read("things")
    server.scripts = [says(401)]
    with pytest.raises(CredentialsError):
        client.read("things")

    assert tokens == ["old", "new", "new"]
    assert b"Bearer new" in server.received[1]


def test_cookies_are_not_kept_and_redirects_not_followed(server, client):
    server.scripts = [says(200, "{}", "Set-Cookie: session=1; Path=/"), says(200)]

    client.read("things")
    client.read("things")

    assert b"ookie" not in server.received[1]


def test_content_that_is_not_json_may_be_asked_for(server, client):
    server.scripts = [says(200, "%PDF")]

    assert client.read("things/1.pdf", json=False).content == b"%PDF"


# Writes


def test_a_write_is_sent_once_with_its_content(server, client):
    server.scripts = [says(201, '{"id": 1}')]

    answer = write(client, headers={"Idempotency-Key": "k"})

    assert (answer.status, answer.json()) == (201, {"id": 1})
    assert len(server.received) == 1
    assert server.received[0].endswith(b'\r\n\r\n{"a": 1}')
    assert b"Idempotency-Key: k" in server.received[0]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(resets, UnknownOutcome, id="reset"),
        pytest.param(hangs_up, UnknownOutcome, id="no-answer"),
        pytest.param(breaks_off, UnknownOutcome, id="half-an-answer"),
        pytest.param(says(500), UnknownOutcome, id="500"),
        pytest.param(says(503, "{}", "Retry-After: 1"), UnknownOutcome, id="503"),
        pytest.param(says(504), UnknownOutcome, id="504"),
        pytest.param(says(408), UnknownOutcome, id="408"),
        pytest.param(says(429), NotSent, id="429"),
        pytest.param(says(400), Rejected, id="400"),
        pytest.param(says(403), Rejected, id="403"),
        pytest.param(says(404), NotFound, id="404"),
        pytest.param(says(401), CredentialsError, id="401"),
        pytest.param(says(307, "", "Location: /there"), ConfigurationError, id="redirect"),
    ],
)
def test_a_write_says_what_is_known_and_is_never_repeated(server, client, script, error):
    server.scripts = [script]

    with pytest.raises(error) as caught:
        write(client)

    assert type(caught.value) is error
    assert len(server.received) == 1


def test_a_write_without_an_answer_in_time_has_an_unknown_outcome(server):
    client = make(server, timeout_seconds=0.2)
    server.scripts = [stays_silent]

    with pytest.raises(UnknownOutcome, match="ReadTimeout"):
        write(client)


def test_a_write_to_nobody_was_surely_not_sent(server, client):
    server.close()

    with pytest.raises(NotSent, match="ConnectError"):
        write(client)


def test_a_write_past_its_deadline_never_leaves(server, client):
    with pytest.raises(NotSent, match="deadline"):
        write(client, deadline=boottime() - 1)

    server.scripts = [says(200)]
    client.read("things")
    assert [request[:3] for request in server.received] == [b"GET"]


def test_the_deadline_is_looked_at_when_the_connection_stands(server, monkeypatch):
    """A process that is paused after its first look, while it connects, must not send when it wakes."""
    now = [1000.0]
    monkeypatch.setattr("tieout.http.boottime", lambda: now[0])

    def authorise(_request) -> None:
        now[0] += 3600  # paused between the commit of `sending` and the socket

    client = make(server, authorise=authorise)

    with pytest.raises(NotSent, match="deadline"):
        write(client, deadline=1060.0)


def test_an_expired_token_refuses_a_write_before_it_is_looked_at(server):
    renewed: list[str] = []

    def renew() -> bool:
        renewed.append("token")
        return True

    client = make(
        server,
        refusals=lambda answer: CredentialsError("too old", expired=True),
        renew=renew,
    )
    server.scripts = [says(401)]

    with pytest.raises(NotSent, match="expired"):
        write(client)

    assert (len(renewed), len(server.received)) == (1, 1)


@pytest.mark.parametrize("error", [NotSent, ConnectionRefused])
def test_the_client_module_may_know_that_a_503_changed_nothing(server, error):
    client = make(server, refusals=lambda answer: error("organisation offline"))
    server.scripts = [says(503)]

    with pytest.raises(error, match="offline"):
        write(client)


def test_an_answer_to_a_write_that_is_not_json_leaves_the_outcome_unknown(server, client):
    server.scripts = [says(200, "<html>")]

    with pytest.raises(UnknownOutcome):
        write(client).json()


def test_a_rejection_carries_the_answer_for_the_writer(server, client):
    server.scripts = [says(400, '{"Elements": []}')]

    with pytest.raises(Rejected) as caught:
        write(client)

    assert (caught.value.status, caught.value.body) == (400, b'{"Elements": []}')


def test_a_token_that_lives_long_enough_is_there_before_a_write(server):
    asked = []
    client = make(server, ensure_token=lambda: asked.append("token"))

    slot = client.ready_to_write()

    assert (asked, slot.identifier, server.received) == (["token"], None, [])
