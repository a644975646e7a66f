"""Records of a page looked at all at once are what each is on its own; an answer without its list is no empty list."""

from __future__ import annotations

import random

import pytest

from loaders.records import BadRecord, RawRecord, identify, identify_all, split
from loaders.stream import Stream, find_stream
from tieout.errors import RetryLater, SchemaDrift
from tieout.http import Answer

GOOD = (
    b'{"InvoiceID":"a","UpdatedDateUTC":"/Date(1518685950940+0000)/"}',
    b'{"InvoiceID":"b","UpdatedDateUTC":"\\/Date(1518685950940+0000)\\/","Reference":"Caf\xc3\xa9 \\u00e9 \\ud83d\\ude00"}',
    b'{"InvoiceID":"c","UpdatedDateUTC":"2018-02-15T09:12:30.94"}',
    b'{"InvoiceID":"d","UpdatedDateUTC":"never"}',
    b'{"InvoiceID":"e","UpdatedDateUTC":7}',
    b'{"InvoiceID":"\\u0066","Lines":[{"InvoiceID":"not this"}]}',
    b'{"InvoiceID":17, "UpdatedDateUTC":null}',
)
ODD = (
    b'{"InvoiceID":""}',
    b'{"InvoiceID":null}',
    b'{"InvoiceID":true}',
    b'{"InvoiceID":1.5}',
    b'{"InvoiceID":{"is":"a map"}}',
    b'{"InvoiceID":"' + b"x" * 501 + b'"}',
    b'{"InvoiceID":"n","Reference":"\\u0000"}',
    b'{"InvoiceID":"s","Reference":"\\ud83d"}',
    b'{"InvoiceID":"t","Reference":"\\ude00 alone"}',
    b'{"InvoiceID":"u","Reference":"\xff"}',
    b'{"Number":"no id"}',
    b"null",
    b"[1, 2]",
    b"1, 2",
    b'{"InvoiceID":"cut',
)
INVOICES = find_stream("xero", "invoices")
SHOPS = (find_stream("magento", "orders"), find_stream("magento", "currency_rates"))


def one_by_one(stream: Stream, page: list[bytes]) -> list[RawRecord | BadRecord]:
    return [identify(stream, raw) for raw in page]


def test_a_page_of_readable_records_gives_what_each_gives_alone() -> None:
    found = identify_all(INVOICES, GOOD)
    assert found == one_by_one(INVOICES, list(GOOD))
    assert [record.id for record in found] == ["a", "b", "c", "d", "e", "f", "17"]
    assert all(isinstance(record, RawRecord) and record.content_hash for record in found)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_record_in_a_page_is_what_it_is_alone_and_leaves_the_others_as_they_are(odd: bytes) -> None:
    page = [*GOOD, odd, *GOOD]
    assert identify_all(INVOICES, page) == one_by_one(INVOICES, page)


def test_any_mixture_gives_what_each_record_gives_alone() -> None:
    chance = random.Random(3)
    for _ in range(200):
        size = chance.choice([0, 1, 2, 8, 99, 100, 101, 250])
        page = chance.choices([*GOOD, *ODD], weights=[50] * len(GOOD) + [1] * len(ODD), k=size)
        assert identify_all(INVOICES, page) == one_by_one(INVOICES, page)


@pytest.mark.parametrize("stream", SHOPS, ids=lambda stream: stream.name)
def test_numbers_and_several_fields_make_ids_in_a_page_too(stream: Stream) -> None:
    page = [
        b'{"entity_id":7,"updated_at":"2026-03-01 10:00:00","day":"2026-03-01","currency_to":"EUR","base_currency_code":"AUD"}',
        b'{"entity_id":"8","day":"2026-03-01","currency_to":"USD","base_currency_code":"AUD"}',
        b'{"day":"2026-03-01"}',
    ]
    found = identify_all(stream, page)
    assert found == one_by_one(stream, page)
    assert [type(record) for record in found] == [RawRecord, RawRecord, BadRecord]


def answer(content: bytes) -> Answer:
    return Answer(status=200, headers={}, content=content, seconds=0)


def test_an_answer_is_taken_apart_with_what_stands_beside_its_records() -> None:
    found = split(
        answer(b'{"pagination":{"page":1},"x":1,"Items":[{"a":1.10}, [2]]}'),
        "Items",
        beside=("pagination", "y"),
    )
    assert (found.records, found.value("pagination"), found.value("y")) == (
        [b'{"a":1.10}', b"[2]"],
        {"page": 1},
        None,
    )
    assert split(answer(b'[{"a":1}, 2]'), None).records == [b'{"a":1}', b"2"]
    assert split(answer(b'{"Items":null}'), "Items").records == []
    assert split(answer(b'{"Items": []}'), "Items").records == []


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b'{"Others":[],"pagination":{}}', SchemaDrift, "has no 'Items' but Others, pagination"),
        (b"{}", SchemaDrift, "has no 'Items' but nothing"),
        (b'{"Items":{"a":1}}', SchemaDrift, "'Items' of the answer is not a list"),
        (b'{"Items":"none"}', SchemaDrift, "'Items' of the answer is not a list"),
        (b"[]", SchemaDrift, "not the object"),
        (b'{"Items":[{"a":1},', RetryLater, "cut short"),
        (b"<html>", RetryLater, "cut short"),
    ],
)
def test_an_answer_without_its_list_is_never_an_empty_one(
    content: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        split(answer(content), "Items")


def test_a_bare_list_that_is_none_is_refused() -> None:
    with pytest.raises(SchemaDrift, match="not the list"):
        split(answer(b'{"message":"x"}'), None)
