"""The merge: what is written, what is not, and which answer wins."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from loaders import stage
from loaders.records import BadRecord, content_hash, identify
from loaders.stage import Merged, RawRecord, mark_deleted, merge
from loaders.stream import Cursor, find_stream
from tieout.db import next_version

Session = psycopg.Connection[dict[str, Any]]


def record(record_id: str = "a", *, at: int | None = 1, **fields: Any) -> RawRecord:
    """An invoice of Xero."""
    payload = {"InvoiceID": record_id, "InvoiceNumber": f"INV-{record_id}", **fields}
    modified_at = datetime(2026, 1, 1, 0, 0, at, tzinfo=UTC) if at is not None else None
    return RawRecord(id=record_id, raw=json.dumps(payload).encode(), modified_at=modified_at)


def put(
    session: Session, *records: RawRecord | BadRecord, asked: int | None = None, **arguments: Any
) -> Merged:
    """Merge invoices in a transaction; `asked` now unless it is given."""
    version = asked if asked is not None else next_version(session)
    values: dict[str, Any] = {"told_by": "poll", "connection_name": "books"} | arguments
    with session.transaction():
        return merge(
            session,
            system="xero",
            stream="invoices",
            records=records,
            asked_version=version,
            **values,
        )


def rows(session: Session, table: str, order: str = "id") -> list[dict[str, Any]]:
    """All rows of a table."""
    return session.execute(f"select * from {table} order by {order}").fetchall()


def held(session: Session) -> dict[str, Any]:
    """The only invoice."""
    (row,) = rows(session, "staging.xero__invoices")
    return row


def test_a_new_record_is_stored_with_keys_and_leaves_a_change(connection: Session) -> None:
    result = put(connection, record("a", Contact={"ContactID": "c1"}))

    assert result == Merged(inserted=1)
    row = held(connection)
    assert (row["invoice_number"], row["contact_id"], row["deleted_at"]) == ("INV-a", "c1", None)
    (change,) = rows(connection, "cdc.changes")
    assert change["keys_before"] is None
    assert change["keys_after"] == {"invoice_number": "INV-a", "contact_id": "c1"}
    assert change["version"] == row["version"]


def test_numbers_keep_every_digit(connection: Session) -> None:
    raw = b'{"InvoiceID":"a","Total":0.1000000000000000055,"Rate":12345678901234567890.10}'
    put(connection, RawRecord(id="a", raw=raw))

    text = connection.execute("select payload::text as text from staging.xero__invoices").fetchone()
    assert text is not None
    assert "0.1000000000000000055" in text["text"]
    assert "12345678901234567890.10" in text["text"]


def test_an_equal_record_costs_no_write_and_no_version(connection: Session) -> None:
    put(connection, record("a"))
    before = connection.execute("select *, xmin::text from staging.xero__invoices").fetchall()

    result = put(connection, record("a"))

    assert result == Merged(unchanged=1)
    assert connection.execute("select *, xmin::text from staging.xero__invoices").fetchall() == before
    assert len(rows(connection, "cdc.changes")) == 1
    assert len(rows(connection, "cdc.history")) == 1


def test_other_spacing_and_noise_are_no_change(connection: Session) -> None:
    put(connection, record("a", Total=1))
    noisy = {
        "InvoiceID": "a",
        "InvoiceNumber": "INV-a",
        "Total": 1,
        "HasErrors": False,
        "ValidationErrors": [],
    }

    result = put(connection, RawRecord(id="a", raw=json.dumps(noisy, indent=2).encode()))

    assert result == Merged(unchanged=1)
    assert len(rows(connection, "cdc.changes")) == 1


def test_a_change_keeps_keys_before_and_after_and_only_the_fields_that_differ(connection: Session) -> None:
    put(connection, record("a", Contact={"ContactID": "c1"}, Total=1, Old=None))

    result = put(connection, record("a", at=2, Contact={"ContactID": "c2"}, Total=1, New=2))

    assert result == Merged(updated=1)
    change = rows(connection, "cdc.changes", "seq")[-1]
    assert change["keys_before"]["contact_id"] == "c1"
    assert change["keys_after"]["contact_id"] == "c2"
    entry = rows(connection, "cdc.history", "version")[-1]
    assert entry["before"] == {"Contact": {"ContactID": "c1"}, "Old": None}
    assert entry["after"] == {"Contact": {"ContactID": "c2"}, "New": 2}
    assert entry["told_by"] == "poll"
    assert sorted(change["fields"]) == ["Contact", "New", "Old"]


def test_what_is_more_than_other_values_in_fields_names_no_fields(connection: Session) -> None:
    """Added, deleted, back, of another form: who follows the record looks at it, whichever fields they read."""
    put(connection, record("a"))
    mark_deleted(
        connection,
        stream=find_stream("xero", "invoices"),
        connection_name="books",
        ids=["a"],
        before_version=next_version(connection),
        told_by="sweep",
    )
    put(connection, record("a", at=2, Total=1))
    put(connection, record("b"), form="summary")
    put(connection, record("b", at=2, Total=1))
    put(connection, record("b", at=3, Total=2))

    told = [(change["id"], change["fields"]) for change in rows(connection, "cdc.changes", "seq")]

    assert told == [("a", None), ("a", None), ("a", None), ("b", None), ("b", None), ("b", ["Total"])]


def test_an_answer_asked_for_earlier_does_not_replace_what_came_since(connection: Session) -> None:
    early = next_version(connection)
    put(connection, record("a", Total=2))

    result = put(connection, record("a", Total=1), asked=early)

    assert result == Merged(stale=1)
    assert held(connection)["payload"]["Total"] == 2
    assert [row["id"] for row in rows(connection, "cdc.ask_again")] == ["a"]


def test_the_sources_own_time_decides_when_answers_cross(connection: Session) -> None:
    early = next_version(connection)
    put(connection, record("a", at=5, Total=2))

    older = put(connection, record("a", at=4, Total=1), asked=early)
    newer = put(connection, record("a", at=6, Total=3), asked=early)

    assert (older, newer) == (Merged(stale=1), Merged(updated=1))
    assert held(connection)["payload"]["Total"] == 3
    assert rows(connection, "cdc.ask_again") == []


def test_a_poorer_form_never_replaces_the_full_one(connection: Session) -> None:
    put(connection, record("a", LineItems=[1]))

    result = put(connection, record("a", at=9, LineItems=[]), form="summary")

    assert result == Merged(stale=1)
    assert held(connection)["payload"]["LineItems"] == [1]
    assert [row["id"] for row in rows(connection, "cdc.ask_again")] == ["a"]


def test_a_summary_of_an_unknown_record_is_kept_and_asked_for_again(connection: Session) -> None:
    put(connection, record("a", LineItems=[]), form="summary")
    assert [row["id"] for row in rows(connection, "cdc.ask_again")] == ["a"]

    result = put(connection, record("a", LineItems=[1]))

    assert result == Merged(updated=1)
    assert held(connection)["form"] == "full"


def test_of_equal_ids_in_a_page_the_last_counts(connection: Session) -> None:
    result = put(connection, record("a", Total=1), record("b"), record("a", Total=2))

    assert result == Merged(inserted=2)
    assert rows(connection, "staging.xero__invoices")[0]["payload"]["Total"] == 2


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"InvoiceID":"bad","Reference":"a\\u0000b"}', id="nul"),
        pytest.param(b'{"InvoiceID":"bad","Reference":"\\ud800"}', id="high surrogate alone"),
        pytest.param(b'{"InvoiceID":"bad","Reference":"\\ud800 \\udc00"}', id="halves apart"),
        pytest.param(b'{"InvoiceID":"bad","Reference":"\\udc00"}', id="low surrogate alone"),
        pytest.param(b'{"InvoiceID":"bad","Reference":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"InvoiceID":"bad","Total":1e999999}', id="number that numeric refuses"),
        pytest.param(b'{"Reference":"nobody"}', id="no id"),
        pytest.param(b'{"InvoiceID":null}', id="null id"),
        pytest.param(b'{"InvoiceID":{"a":1}}', id="id that is no text"),
        pytest.param(b'"text"', id="no object"),
        pytest.param(b'{"InvoiceID":"' + b"x" * 600 + b'"}', id="endless id"),
    ],
)
def test_a_record_that_cannot_be_stored_is_kept_raw_and_stops_nobody(connection: Session, raw: bytes) -> None:
    stream = find_stream("xero", "invoices")
    page = [identify(stream, one) for one in (record("a").raw, raw, record("b").raw)]

    result = put(connection, *page)

    assert result == Merged(inserted=2, bad=1)
    (bad,) = rows(connection, "cdc.bad_records")
    assert bytes(bad["raw"]) == raw
    assert bad["reason"]
    assert "xero" in bad["cure"]
    assert put(connection, *page) == Merged(unchanged=2)


@pytest.mark.parametrize("text", [r"\\u0000", r"\ud83d\ude00", r"\u00e4", r"\\ud800"])
def test_escapes_that_are_fine_are_stored(connection: Session, text: str) -> None:
    raw = f'{{"InvoiceID":"a","Reference":"{text}"}}'.encode()

    assert put(connection, identify(find_stream("xero", "invoices"), raw)) == Merged(inserted=1)
    assert held(connection)["payload"] == json.loads(raw)


def test_a_cured_record_leaves_the_dead_letters(connection: Session) -> None:
    stream = find_stream("xero", "invoices")
    put(connection, identify(stream, b'{"InvoiceID":"a","Reference":"\\u0000"}'))

    put(connection, identify(stream, b'{"InvoiceID":"a","Reference":"good"}'))

    assert rows(connection, "cdc.bad_records") == []
    assert held(connection)["payload"]["Reference"] == "good"


def test_a_deleted_record_that_comes_back_lives_again_even_if_equal(connection: Session) -> None:
    put(connection, record("a"))
    with connection.transaction():
        deleted = mark_deleted(
            connection,
            stream=find_stream("xero", "invoices"),
            connection_name="books",
            ids=["a", "unknown"],
            before_version=next_version(connection),
            told_by="sweep",
        )
    assert deleted == 1
    assert held(connection)["deleted_at"] is not None

    result = put(connection, record("a"))

    assert result == Merged(updated=1)
    assert held(connection)["deleted_at"] is None
    assert [change["keys_after"] is None for change in rows(connection, "cdc.changes", "seq")] == [
        False,
        True,
        False,
    ]


def test_what_changed_since_the_question_is_not_marked_as_deleted(connection: Session) -> None:
    early = next_version(connection)
    put(connection, record("a"))

    with connection.transaction():
        deleted = mark_deleted(
            connection,
            stream=find_stream("xero", "invoices"),
            connection_name="books",
            ids=["a"],
            before_version=early,
            told_by="sweep",
        )

    assert deleted == 0


def test_page_and_cursor_commit_together(connection: Session) -> None:
    with connection.transaction(force_rollback=True):
        put(connection, record("a"), cursor=Cursor(value={"since": "x"}))
        assert len(rows(connection, "cdc.cursors", "stream")) == 1

    assert rows(connection, "cdc.cursors", "stream") == []
    assert rows(connection, "staging.xero__invoices") == []


def test_a_changed_allocation_puts_its_invoice_down_to_be_asked_again(connection: Session) -> None:
    note = {
        "CreditNoteID": "n",
        "Allocations": [{"Invoice": {"InvoiceID": "a"}}, {"Invoice": {"InvoiceID": "b"}}],
    }
    with connection.transaction():
        merge(
            connection,
            system="xero",
            stream="credit_notes",
            connection_name="books",
            records=[RawRecord(id="n", raw=json.dumps(note).encode())],
            asked_version=next_version(connection),
            told_by="poll",
        )

    assert [(row["stream"], row["id"]) for row in rows(connection, "cdc.ask_again")] == [
        ("invoices", "a"),
        ("invoices", "b"),
    ]


def test_the_hash_is_of_the_raw_bytes(connection: Session) -> None:
    put(connection, record("a"))

    assert held(connection)["content_hash"] == content_hash(record("a").raw)


def test_a_page_of_what_is_known_writes_nothing_at_all(connection: Session) -> None:
    page = [record(f"{number}", Total=number) for number in range(20)]
    put(connection, *page, cursor=Cursor(value={"since": "2026-01-01"}))
    asked = next_version(connection)

    with connection.transaction():
        result = put(connection, *page, asked=asked, cursor=Cursor(value={"since": "2026-01-01"}))
        written = connection.execute("select pg_current_xact_id_if_assigned() as number").fetchone()

    assert result == Merged(unchanged=20)
    assert written == {"number": None}
    assert next_version(connection) == asked + 1


def test_a_page_of_what_is_known_is_recognised_without_its_rows(connection: Session) -> None:
    """They lie two to a page of the disk with their payloads; the index of their keys is a twentieth of that."""
    page = [record(f"{number}", Total=number) for number in range(300)]
    put(connection, *page)
    connection.execute("vacuum analyze staging.xero__invoices")
    values: dict[str, Any] = {"connection": "books", "stream": "invoices", "form": "full"}
    values |= {
        "ids": [one.id for one in page],
        "hashes": [content_hash(one.raw) for one in page],
    }
    target = stage._Target.of(
        connection, find_stream("xero", "invoices"), "books", told_by="poll", form="full", run=None
    )

    plan = connection.execute(b"explain (analyze) " + target._text("differing"), values).fetchall()

    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Index Only Scan using xero__invoices_pkey" in text, text
    assert "Heap Fetches: 0" in text, text


def test_ids_with_odd_characters_are_known_again(connection: Session) -> None:
    ids = [
        'quote"d',
        "back\\slash",
        "{brace}",
        "com,ma",
        "NULL",
        "tab\t",
        " blank ",
        "é漢",
        "a/b",
        '","',
        "\\",
        '"',
        "'",
    ]
    page = [record(record_id, Total=number) for number, record_id in enumerate(ids)]

    first = put(connection, *page)
    again = put(connection, *page)

    assert (first, again) == (Merged(inserted=len(ids)), Merged(unchanged=len(ids)))
    assert {row["id"]: row["payload"]["Total"] for row in rows(connection, "staging.xero__invoices")} == {
        record_id: number for number, record_id in enumerate(ids)
    }
    assert {row["id"] for row in rows(connection, "cdc.changes")} == set(ids)
    assert {row["id"] for row in rows(connection, "cdc.history")} == set(ids)


def test_a_new_record_that_another_session_stores_meanwhile_is_compared_with_it(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has asked which hashes differ; then the answer to a write of ours stores one of its records."""
    with database.connect() as one, database.connect() as two:
        early = next_version(one)
        ask = stage._Target.ask

        def ask_and_pause(target: Any, records: Any) -> Any:
            asked = ask(target, records)
            monkeypatch.setattr(stage._Target, "ask", ask)
            put(two, record("b", at=2, Total=2), told_by="write answer")
            return asked

        monkeypatch.setattr(stage._Target, "ask", ask_and_pause)
        result = put(one, *(record(name, at=1, Total=1) for name in "abc"), asked=early)

        assert result == Merged(inserted=2, stale=1)
        totals = {row["id"]: row["payload"]["Total"] for row in rows(one, "staging.xero__invoices")}
        assert totals == {"a": 1, "b": 2, "c": 1}
        assert sorted(row["id"] for row in rows(one, "cdc.history", "id")) == ["a", "b", "c"]
        assert sorted(row["id"] for row in rows(one, "cdc.changes", "id")) == ["a", "b", "c"]


def test_the_records_of_a_new_connection_are_looked_for_by_their_key(connection: Session) -> None:
    """The statistics know one connection; of another one the planner expects nothing, and every index looks as good."""
    put(connection, *(record(f"old-{number}") for number in range(300)))
    connection.execute("analyze staging.xero__invoices")
    put(connection, *(record(f"new-{number}") for number in range(300)), connection_name="new")
    values: dict[str, Any] = {
        "connection": "new",
        "stream": "invoices",
        "form": "full",
        "ids": "{new-7}",
        "hashes": "{x}",
    }
    values |= {"told_by": "poll", "run": None}
    target = stage._Target.of(
        connection, find_stream("xero", "invoices"), "new", told_by="poll", form="full", run=None
    )

    for statement in ("differing", "tell_added"):
        with connection.transaction(force_rollback=True):
            plan = connection.execute(b"explain (analyze) " + target._text(statement), values).fetchall()
        looks = [row["QUERY PLAN"] for row in plan if "xero__invoices" in row["QUERY PLAN"]]
        assert looks
        assert all("xero__invoices_pkey" in look for look in looks), looks


def test_two_sessions_merging_the_same_new_record_make_one_row(database: Any) -> None:
    with database.connect() as one, database.connect() as two:
        asked = next_version(one)
        put(one, record("a", at=1, Total=1), asked=asked)
        result = put(two, record("a", at=2, Total=2), asked=asked)

        assert result == Merged(updated=1)
        assert held(two)["payload"]["Total"] == 2
