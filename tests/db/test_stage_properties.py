"""Laws of the merge, over answers that arrive in any order."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.stage import Merged, RawRecord, merge
from tieout.db import next_version

Session = psycopg.Connection[dict[str, Any]]
names = itertools.count()

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
steps = st.lists(st.one_of(st.just("change"), st.just("ask"), st.integers(0, 20)), max_size=25)


def answer(state: int, *, with_stamp: bool, form: str = "full") -> RawRecord:
    """The record as the source shows its n-th state; a summary lacks the lines."""
    payload: dict[str, Any] = {"InvoiceID": "a", "Reference": str(state)}
    payload["LineItems"] = [{"Quantity": state}] if form == "full" else []
    stamp = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=state)
    return RawRecord(id="a", raw=json.dumps(payload).encode(), modified_at=stamp if with_stamp else None)


def put(session: Session, name: str, record: RawRecord, asked: int, form: str = "full") -> Merged:
    """Merge one answer."""
    with session.transaction():
        return merge(
            session,
            system="xero",
            stream="invoices",
            connection_name=name,
            records=[record],
            asked_version=asked,
            told_by="poll",
            form=form,
        )


def mirrored(session: Session, name: str) -> dict[str, Any] | None:
    """The row of the record."""
    statement = "select payload, form, version from staging.xero__invoices where connection = %s"
    return session.execute(statement, (name,)).fetchone()


@few
@given(steps=steps, with_stamp=st.booleans())
def test_the_mirror_never_goes_back_and_a_last_read_brings_it_up_to_date(
    connection: Session, steps: list[str | int], with_stamp: bool
) -> None:
    name, state, held = f"c{next(names)}", 1, 0
    open_answers: list[tuple[int, int]] = []
    for step in steps:
        if step == "change":
            state += 1
        elif step == "ask":
            open_answers.append((next_version(connection), state))
        elif open_answers:
            asked, seen = open_answers.pop(int(step) % len(open_answers))
            put(connection, name, answer(seen, with_stamp=with_stamp), asked)
            row = mirrored(connection, name)
            assert row is not None
            now = int(row["payload"]["Reference"])
            assert now >= held
            held = now

    put(connection, name, answer(state, with_stamp=with_stamp), next_version(connection))

    last = mirrored(connection, name)
    assert last is not None
    assert last["payload"]["Reference"] == str(state)


@few
@given(
    states=st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from(["full", "summary"])), min_size=1, max_size=12
    )
)
def test_lines_once_known_are_never_lost_to_a_poorer_answer(
    connection: Session, states: list[tuple[int, str]]
) -> None:
    name, was_full = f"c{next(names)}", False
    for state, form in states:
        put(connection, name, answer(state, with_stamp=False, form=form), next_version(connection), form)
        was_full = was_full or form == "full"
        row = mirrored(connection, name)
        assert row is not None
        assert row["form"] == ("full" if was_full else "summary")
        assert bool(row["payload"]["LineItems"]) == was_full


@few
@given(
    pages=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=4), min_size=1, max_size=6
    )
)
def test_reading_everything_again_changes_nothing(
    connection: Session, pages: list[list[tuple[str, int]]]
) -> None:
    name = f"c{next(names)}"

    def read(page: list[tuple[str, int]]) -> Merged:
        records = [
            RawRecord(id=record_id, raw=json.dumps({"InvoiceID": record_id, "Total": total}).encode())
            for record_id, total in page
        ]
        with connection.transaction():
            return merge(
                connection,
                system="xero",
                stream="invoices",
                connection_name=name,
                records=records,
                asked_version=next_version(connection),
                told_by="poll",
            )

    for page in pages:
        read(page)
        again = read(page)
        assert again.changed == 0
        assert again.unchanged == len(dict(page))

    counted = connection.execute(
        "select count(*) as changes, count(distinct version) as versions from cdc.changes where connection = %s",
        (name,),
    ).fetchone()
    assert counted is not None
    assert counted["changes"] == counted["versions"]
