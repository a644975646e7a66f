"""Rate limits, idempotency keys and faults of the Xero stand-in, and the control page."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import xero
from sandbox.serving import Running
from tests.sandbox.fix_xero import Books


def frozen(**options: Any) -> Books:
    books = Books(**options)
    books.control("clock", {"now": "2026-10-01T12:00:00Z", "freeze": True})
    books.login()
    return books


def test_minute_limit_says_how_long_to_wait() -> None:
    books = frozen(minute=3)
    for left in ("2", "1", "0"):
        books.get("Organisation")
        assert books.last.headers["X-MinLimit-Remaining"] == left

    books.get("Organisation")
    assert books.last.status_code == 429
    assert books.last.headers["X-Rate-Limit-Problem"] == "minute"
    wait = int(books.last.headers["Retry-After"])

    books.advance(wait)
    books.get("Organisation")
    assert 0 < wait <= 61
    assert books.last.status_code == 200


def test_rolling_window() -> None:
    books = frozen(minute=2, window="rolling")
    books.get("Organisation")
    books.advance(59)
    books.get("Organisation")
    books.get("Organisation")
    refused = books.last.status_code

    books.advance(61)
    books.get("Organisation")

    assert (refused, books.last.status_code) == (429, 200)


def test_day_limit_and_its_counter() -> None:
    books = frozen(day=1)
    books.get("Organisation")
    assert books.last.headers["X-DayLimit-Remaining"] == "0"

    books.get("Organisation")

    assert books.last.headers["X-Rate-Limit-Problem"] == "day"
    assert int(books.last.headers["Retry-After"]) > 0


def test_app_limit_counts_all_organisations() -> None:
    books = frozen(appminute=1)
    books.get("Organisation")

    books.get("Organisation", xero_tenant_id=books.credentials["second_tenant_id"])

    assert books.last.headers["X-Rate-Limit-Problem"] == "appminute"


def test_organisations_have_minutes_of_their_own() -> None:
    books = frozen(minute=1)
    books.get("Organisation")

    books.get("Organisation", xero_tenant_id=books.credentials["second_tenant_id"])

    assert books.last.status_code == 200


def test_limits_can_be_changed(books: Books) -> None:
    books.control("limits", {"minute": 1, "day": None})
    books.get("Organisation")
    books.get("Organisation")
    assert books.last.status_code == 429

    books.control("limits", {"minute": None})
    books.get("Organisation")
    assert books.last.status_code == 200


def test_key_replays_the_first_answer(books: Books) -> None:
    first = books.put("Contacts", {"Name": "Once"}, Idempotency_Key="k")
    second = books.put("Contacts", {"Name": "Once"}, Idempotency_Key="k")

    assert first["ContactID"] == second["ContactID"]
    assert len(books.get("Contacts", {"where": 'Name=="Once"'})) == 1


def test_key_replays_an_error_even_when_its_cause_is_gone(books: Books) -> None:
    body = {"Name": "Held", "ContactNumber": "1"}
    blocker = books.contact("Blocker", ContactNumber="1")
    books.put("Contacts", body, Idempotency_Key="k")
    books.post("Contacts", {"ContactID": blocker, "ContactNumber": "2"})

    books.put("Contacts", body, Idempotency_Key="k")
    assert books.last.status_code == 400

    books.put("Contacts", body, Idempotency_Key="another")
    assert books.last.status_code == 200


def test_key_of_another_request_is_refused(books: Books) -> None:
    books.put("Contacts", {"Name": "One"}, Idempotency_Key="k")

    refused = books.put("Contacts", {"Name": "Two"}, Idempotency_Key="k")

    assert books.last.status_code == 400
    assert refused["Message"] == "Idempotency Key: k is used with a different request."


def test_after_six_minutes_the_same_key_creates_again() -> None:
    books = frozen()
    made = books.invoice()
    first = books.pay(made, 10, Reference="key")
    body = {
        "Invoice": {"InvoiceID": made["InvoiceID"]},
        "Account": {"Code": "611"},
        "Date": "2026-10-02",
        "Amount": 10,
    }

    paid = books.put("Payments", body, Idempotency_Key="k")
    books.advance(359)
    replayed = books.put("Payments", body, Idempotency_Key="k")
    books.advance(2)
    doubled = books.put("Payments", body, Idempotency_Key="k")

    assert paid["PaymentID"] == replayed["PaymentID"] != doubled["PaymentID"] != first["PaymentID"]


def test_replays_count_against_the_limit() -> None:
    books = frozen(minute=2)
    for _ in range(3):
        books.put("Contacts", {"Name": "Once"}, Idempotency_Key="k")

    assert books.last.status_code == 429


def test_keys_of_two_organisations_do_not_meet(books: Books) -> None:
    other = books.credentials["second_tenant_id"]

    first = books.put("Contacts", {"Name": "Once"}, Idempotency_Key="k")
    second = books.put("Contacts", {"Name": "Once"}, Idempotency_Key="k", xero_tenant_id=other)

    assert first["ContactID"] != second["ContactID"]


@pytest.mark.parametrize(
    ("kind", "status", "done"), [("500_before", 500, 0), ("500_after", 500, 1), ("503", 503, 0)]
)
def test_failures_before_and_after_the_effect(books: Books, kind: str, status: int, done: int) -> None:
    books.control("faults", {"kind": kind, "method": "PUT"})

    books.put("Contacts", {"Name": "Once"})

    assert books.last.status_code == status
    assert len(books.get("Contacts", {"where": 'Name=="Once"'})) == done


def test_fault_waits_for_its_request(books: Books) -> None:
    books.control("faults", {"kind": "500_before", "path": "/Invoices$", "skip": 1, "times": 1})

    statuses = []
    for path in ("Contacts", "Invoices", "Invoices", "Invoices"):
        books.get(path)
        statuses.append(books.last.status_code)

    assert statuses == [200, 200, 500, 200]


def test_faults_in_the_words_of_the_vendor(books: Books) -> None:
    books.control("faults", {"kind": "429", "problem": "day"})
    books.get("Contacts")
    assert (books.last.headers["X-Rate-Limit-Problem"], books.last.headers["Retry-After"]) == ("day", "66975")

    books.control("faults", {"kind": "expired_token"})
    assert books.get("Contacts")["Detail"].startswith("TokenExpired: token expired at")

    books.control("faults", {"kind": "not_json"})
    text = books.http.get("/api.xro/2.0/Contacts", headers=books.headers)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        json.loads(text.get_data(as_text=True))


def test_log_names_every_request_but_its_own(books: Books) -> None:
    since = books.control("requests")["last"]
    books.control("faults", {"kind": "500_after", "method": "PUT"})
    books.get("Contacts", {"page": 1})
    books.put("Contacts", {"Name": "Once"})

    found = books.control(f"requests?since={since}")["requests"]

    assert [
        (each["method"], each["path"], each["write"], each["fault"], each["status"]) for each in found
    ] == [
        ("GET", "/api.xro/2.0/Contacts", False, None, 200),
        ("PUT", "/api.xro/2.0/Contacts", True, "500_after", 500),
    ]
    assert found[0]["query"] == "page=1"
    assert found[0]["bytes_out"] > 100


@pytest.fixture
def running() -> Iterator[Running]:
    """A stand-in on a real port."""
    made = xero.start(minute=None)
    yield made
    made.stop()


def log_in(running: Running) -> dict[str, str]:
    """Headers with a token of the custom connection."""
    body = "grant_type=client_credentials&client_id={custom_client_id}&client_secret={custom_client_secret}"
    connection = http.client.HTTPConnection(running.address.removeprefix("http://"))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/connect/token", body.format(**running.credentials), headers)
    token = json.load(connection.getresponse())["access_token"]
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }


def send(running: Running, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(running.address.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()) | {"body": answer.read()}
    finally:
        connection.close()


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("kind", "done"), [("reset_before", 0), ("reset_after", 1)])
def test_connection_is_reset(running: Running, kind: str, done: int) -> None:
    headers = log_in(running)
    send(running, "POST", "/_sandbox/faults", {"kind": kind, "method": "PUT"}, JSON)

    with pytest.raises(ConnectionResetError):
        send(running, "PUT", "/api.xro/2.0/Contacts", {"Name": "Once"}, headers)

    _, answer = send(running, "GET", "/api.xro/2.0/Contacts?searchTerm=Once", None, headers)
    assert len(json.loads(answer["body"])["Contacts"]) == done


def test_connection_is_kept(running: Running) -> None:
    connection = http.client.HTTPConnection(running.address.removeprefix("http://"))
    for _ in range(3):
        connection.request("GET", "/.well-known/openid-configuration")
        connection.getresponse().read()
        held = connection.sock
        assert held is not None

    assert connection.sock is held


def test_sixth_request_at_once_is_refused(running: Running) -> None:
    headers = log_in(running)
    send(running, "POST", "/_sandbox/faults", {"kind": "slow", "seconds": 0.5, "times": 5}, JSON)
    found: list[int] = []

    def ask() -> None:
        found.append(send(running, "GET", "/api.xro/2.0/Organisation", None, headers)[0])

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    while len(json.loads(send(running, "GET", "/_sandbox/faults")[1]["body"])["faults"]):
        pass
    time.sleep(0.1)  # the last of the five has met its fault; let it pass the gate
    status, answer = send(running, "GET", "/api.xro/2.0/Organisation", None, headers)
    for thread in threads:
        thread.join()

    assert (status, answer["X-Rate-Limit-Problem"], "Retry-After" in answer) == (429, "concurrent", False)
    assert found == [200] * 5
    assert send(running, "GET", "/api.xro/2.0/Organisation", None, headers)[0] == 200


def test_slow_requests_do_not_hold_the_lock(running: Running) -> None:
    headers = log_in(running)
    send(running, "POST", "/_sandbox/faults", {"kind": "slow", "seconds": 1, "path": "/Users$"}, JSON)
    path = "/api.xro/2.0/Users"
    slow = threading.Thread(target=send, args=(running, "GET", path, None, headers))
    slow.start()

    status = send(running, "GET", "/api.xro/2.0/Organisation", None, headers)[0]
    still_waiting = slow.is_alive()
    slow.join()

    assert (status, still_waiting) == (200, True)
