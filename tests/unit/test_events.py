"""Events: one line each, for people on a terminal, JSON elsewhere, without secrets."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from tieout.events import Event, configure, emit, scrub_text


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(**fields: object) -> str:
    stream = io.StringIO()
    configure(stream)
    emit(Event.LOAD_STREAM_FINISHED, **fields)
    return stream.getvalue()


def test_away_from_a_terminal_an_event_is_one_line_of_json():
    written = lines(connection="shop", stream="orders", rows=3)

    assert written.count("\n") == 1
    event = json.loads(written)
    assert (event["event"], event["rows"], event["level"]) == ("load.stream.finished", 3, "info")
    assert event["timestamp"].endswith("Z")


def test_on_a_terminal_it_is_for_people():
    stream = io.StringIO()
    configure(stream, json=False)
    emit(Event.LOAD_STREAM_FINISHED, rows=3)

    assert "load.stream.finished" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("access_token", "tell-nobody", id="token"),
        pytest.param("client_secret", "tell-nobody", id="secret"),
        pytest.param("password", "tell-nobody", id="password"),
        pytest.param("Authorization", "Bearer tell-nobody", id="header"),
        pytest.param("url", "postgresql://me:tell-nobody@db/books", id="url"),
        pytest.param("message", "sent Authorization: Bearer tell-nobody-at-all", id="bearer-in-text"),
        pytest.param("message", "GET /token?refresh_token=tell-nobody&a=1", id="parameter-in-text"),
        pytest.param("options", {"inner": {"api_token": "tell-nobody"}}, id="nested"),
        pytest.param("list", ["postgresql://me:tell-nobody@db/books"], id="in-a-list"),
    ],
)
def test_a_secret_is_never_written(name, value):
    assert "tell-nobody" not in lines(**{name: value})


def test_text_without_secrets_stays_as_it_is():
    text = "https://shop.example/rest/V1/orders?page=1 answered 404: no such entity"

    assert scrub_text(text) == text
