"""Faults that do part of a call, do it late, or answer in another order."""

from __future__ import annotations

import pytest

from sandbox.serving import ConnectionBroken
from tests.sandbox.fix_xero import Books


def names(books: Books) -> list[str]:
    return sorted(each["Name"] for each in books.get("Contacts") if each["Name"].startswith("Half"))


def put(books: Books, *contacts: str, key: str) -> int:
    body = {"Contacts": [{"Name": each} for each in contacts]}
    books.call("PUT", "Contacts?summarizeErrors=false", body, Idempotency_Key=key)
    return int(books.last.status_code)


def test_half_of_a_call_is_done_and_its_repeat_is_answered_by_the_same_error() -> None:
    books = Books()
    books.control("faults", {"kind": "half", "method": "PUT"})

    statuses = [put(books, "Half 1", "Half 2", "Half 3", key="k") for _ in range(2)]

    assert statuses == [500, 500]
    assert names(books) == ["Half 1", "Half 2"]
    assert put(books, "Half 3", key="another") == 200


def test_a_late_effect_comes_when_the_clock_has_moved_on() -> None:
    books = Books()
    books.control("faults", {"kind": "late", "method": "PUT", "seconds": 5})

    with pytest.raises(ConnectionBroken):
        put(books, "Half 1", key="k")
    before = names(books)
    books.control("clock", {"advance_seconds": 5})

    assert (before, names(books)) == ([], ["Half 1"])


def test_shuffled_answers_name_the_elements_in_another_order() -> None:
    books = Books()
    books.control("faults", {"kind": "shuffled", "method": "PUT"})

    put(books, "Half 1", "Half 2", key="k")

    assert [each["Name"] for each in books.last.get_json()["Contacts"]] == ["Half 2", "Half 1"]
