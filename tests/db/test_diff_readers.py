"""Many driving records are read in several sessions, and that shows in nothing: the same entries, the same failures, no key lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

import cdc.diff_readers as beside
from cdc.diff_readers import Readers, Sharing, joined
from tests.db.fix_engine import Engine, engine
from tieout.db import Database
from tieout.errors import BuildError, DatabaseDown
from tieout.events import Event

__all__ = ["engine"]
TOLD_BY = ("changes", "changed_keys", "links", "outbox", "outbox_done", "drift")
"""Tables that a diff writes."""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even two records are read in three sessions."""
    monkeypatch.setattr(beside, "SHARING", Sharing(sessions=3, many=2, few=2, portion=1))


@pytest.fixture
def others_read(shared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session of the round reads only what the others give back."""
    real, calls = beside._read_own, list[int]()

    def read_own(*given: Any) -> None:
        calls.append(1)
        if len(calls) % 2 == 0:
            real(*given)

    monkeypatch.setattr(beside, "_read_own", read_own)


def _customers(engine: Engine, last: int = 9, **fields: Any) -> dict[str, str]:
    """Changed customers, and the states of the entries that they lead to."""
    for number in range(1, last + 1):
        engine.customer(str(number), **fields)
    return dict.fromkeys((f"shop/customer/{number}" for number in range(1, last + 1)), "ready")


def _sessions(monkeypatch: pytest.MonkeyPatch) -> list[psycopg.Connection[Any]]:
    """The sessions that are opened from now on."""
    opened = list[psycopg.Connection[Any]]()
    real = Database.connect

    def connect(self: Database, **options: Any) -> Any:
        opened.append(real(self, **options))
        return opened[-1]

    monkeypatch.setattr(Database, "connect", connect)
    return opened


def _lost(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Events about readers from now on."""
    told = list[Event]()
    monkeypatch.setattr(beside, "emit", lambda event, **_: told.append(event))
    return told


# ---------------------------------------------------------------------- the same as in one session


@pytest.mark.parametrize("seed", range(3))
def test_random_edits_lead_to_the_same_entries_links_and_drift_as_in_one_session(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    _customers(engine, 12)
    for number in range(1, 13):
        engine.order(str(number), customer_id=str(chance.randint(1, 12)), paid=Decimal("12.00"))
    engine.sync()
    engine.sync()
    for _ in range(40):
        _edit(engine, chance)
    engine.connection.execute("create schema kept")
    for table in TOLD_BY:
        engine.connection.execute(f"create table kept.{table} as table cdc.{table}")

    monkeypatch.setattr(beside, "SHARING", Sharing(sessions=1))
    alone = engine.diff(), _told(engine)
    _take_back(engine)
    monkeypatch.setattr(
        beside, "SHARING", Sharing(sessions=3, many=2, few=2, portion=chance.choice((1, 2, 5)))
    )
    shared = engine.diff(), _told(engine)

    assert shared[1] == alone[1]
    counts = [
        [(one.drivers, one.created, one.updated, one.removed, one.held, one.dropped) for one in diffed.models]
        for diffed in (alone[0], shared[0])
    ]
    assert counts[0] == counts[1]
    assert alone[1]["outbox"], "the edits led to something"
    assert engine.rows("select * from cdc.changed_keys") == []


def _edit(engine: Engine, chance: random.Random) -> None:
    """A record changes in any of the ways that lead somewhere else."""
    number = str(chance.randint(1, 15))
    problem = {"field": "Name", "reason": "bad", "cure": "", "who": "analyst", "cause": "bad name"}
    edits: list[Callable[[], None]] = [
        lambda: engine.customer(number, name=f"Other {chance.randint(1, 3)}"),
        lambda: engine.customer(number, skip="a test"),
        lambda: engine.customer(number, hold="look first"),
        lambda: engine.customer(number, gone="deleted in the shop"),
        lambda: engine.customer(number, problems=[problem]),
        lambda: engine.delete("magento__customers", number),
        lambda: engine.order(number, reference=f"R{chance.randint(1, 3)}"),
        lambda: engine.order(number, customer_id=str(chance.randint(1, 15)), paid=Decimal("12.00")),
        lambda: engine.order(number, paid=Decimal("12.00"), unpaid="refunded"),
        lambda: engine.delete("magento__orders", number),
    ]
    chance.choice(edits)()


def _told(engine: Engine) -> dict[str, list[Any]]:
    """What a diff left, but for numbers and times that any two diffs have of their own."""
    own = "array['entry', 'link_id', 'salt', 'created_at', 'changed_at', 'updated_at', 'not_before', 'found_at', 'finished_at', 'origin']"
    return {
        table: [
            row["content"]
            for row in engine.rows(
                f"select to_jsonb(told.*) - {own} as content from cdc.{table} as told order by 1"
            )
        ]
        for table in TOLD_BY
        if table != "changed_keys"
    }


def _take_back(engine: Engine) -> None:
    """As it was before the diff."""
    engine.connection.execute("set session_replication_role = replica")
    for table in TOLD_BY:
        engine.connection.execute(f"delete from cdc.{table}")
        engine.connection.execute(
            f"insert into cdc.{table} overriding system value select * from kept.{table}"
        )
    engine.connection.execute("set session_replication_role = origin")


def test_a_key_that_records_of_two_portions_give_is_given_twice() -> None:
    rows = joined([_row("a", source="1"), _row("b", source="1"), _row("a", source="2")])

    assert [(row["key"], row["copies"]) for row in rows] == [("a", 2), ("a", 2), ("b", 1)]


def test_a_key_that_moved_to_a_record_of_another_portion_has_not_vanished() -> None:
    moved = _row("a", source="2")

    assert joined([_row("a", source="1", is_vanished=True), moved]) == [moved]


def _row(key: str, *, source: str, is_vanished: bool = False) -> dict[str, Any]:
    return {
        "connection": "books", "key": key, "source_connection": "shop", "source_id": source,
        "is_vanished": is_vanished, "copies": 1,
    }  # fmt: skip


def test_a_key_that_two_records_give_fails_loudly_in_whichever_portions_they_are(
    engine: Engine, shared: None
) -> None:
    definition = engine.row("select pg_get_viewdef('outbound.out_contacts') as text")
    assert definition is not None
    text = definition["text"].replace("('shop/customer/'::text || id)", "'shop/customer/1'::text")
    engine.connection.execute(f"create or replace view outbound.out_contacts as {text}".encode())
    _customers(engine, 4)

    with pytest.raises(BuildError, match="gives the key shop/customer/1 4 times"):
        engine.diff()

    assert engine.states() == {}
    assert len(engine.rows("select 1 as one from cdc.changed_keys where model = 'out_contacts'")) == 4


# ---------------------------------------------------------------------- what fails in the middle


def test_other_sessions_read_all_that_the_round_leaves_them(engine: Engine, others_read: None) -> None:
    expected = _customers(engine)

    engine.diff()

    assert engine.states() == expected


def test_a_reader_that_fails_leaves_everything_to_be_done_again(engine: Engine, others_read: None) -> None:
    for number in range(1, 10):
        engine.order(str(number), date="no day" if number == 5 else "2026-10-01")

    with pytest.raises(BuildError, match="out_invoices cannot be computed"):
        engine.diff()
    assert not [key for key in engine.states() if key.endswith("/1")]
    assert len(engine.rows("select 1 as one from cdc.changed_keys where model = 'out_invoices'")) == 9

    engine.order("5")
    engine.diff()

    assert len([key for key in engine.states() if key.startswith("shop/order/")]) == 9
    assert engine.rows("select 1 as one from cdc.changed_keys") == []


def test_a_reader_whose_session_is_killed_is_done_without(
    engine: Engine, others_read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, told, real = _customers(engine), _lost(monkeypatch), beside._read

    def killed(reader: Any, *given: Any) -> None:
        with engine.database.connect() as session:
            session.execute("select pg_terminate_backend(%s, 5000)", (reader.session.info.backend_pid,))
        real(reader, *given)

    monkeypatch.setattr(beside, "_read", killed)

    engine.diff()

    assert engine.states() == expected
    assert told == [Event.RUN_PART_FAILED] * 2


def test_a_round_whose_own_session_is_killed_loses_no_key(
    engine: Engine, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, real = _customers(engine), beside._read_own

    def killed(own: Any, *given: Any) -> None:
        engine.connection.execute("select pg_terminate_backend(%s, 5000)", (own.info.backend_pid,))
        real(own, *given)

    with monkeypatch.context() as patched:
        patched.setattr(beside, "_read_own", killed)
        with pytest.raises(psycopg.OperationalError):
            engine.diff()
    assert engine.states() == {}

    engine.diff()

    assert engine.states() == expected


def test_a_server_that_allows_no_further_session_is_read_in_one(
    engine: Engine, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, told, opened = _customers(engine), _lost(monkeypatch), list[int]()
    real = Database.connect

    def connect(self: Database, **options: Any) -> Any:
        opened.append(1)
        if len(opened) > 1:
            raise DatabaseDown("too many clients already")
        return real(self, **options)

    monkeypatch.setattr(Database, "connect", connect)

    engine.diff()

    assert engine.states() == expected
    assert told == [Event.RUN_PART_FAILED]


# ---------------------------------------------------------------------- what it costs


def test_few_changes_open_no_other_session(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _customers(engine)
    opened = _sessions(monkeypatch)

    engine.diff()

    assert len(opened) == 1


def test_a_diff_closes_the_sessions_that_it_opened(
    engine: Engine, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _customers(engine)
    opened = _sessions(monkeypatch)

    engine.diff()

    assert [session.closed for session in opened] == [True, True, True]


def test_where_the_session_is_kept_the_others_are_kept_until_nobody_needs_them(
    engine: Engine, shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.database.connect(direct=True) as session:
        opened = _sessions(monkeypatch)
        for name in ("One", "Two"):
            _customers(engine, name=name)
            engine.diff(session=session)
        assert [each.closed for each in opened] == [False, False]
        readers = beside._readers[session]
        monkeypatch.setattr(readers, "_used", float("-inf"))

        assert readers.pay_for(b"", 1) is False

        assert [each.closed for each in opened] == [True, True]


def test_what_other_sessions_have_planned_already_is_shared_sooner(engine: Engine) -> None:
    readers = Readers(engine.database, Sharing(sessions=2, many=6, few=3, portion=1))
    _customers(engine)
    statement = b"select given.id as key, 'books' as connection, false as is_vanished, 1 as copies from unnest(%(ids)s::text[]) as given (id)"
    drivers = [("shop", str(number)) for number in range(40)]
    before = [readers.pay_for(statement, records) for records in (5, 6)]
    with engine.database.connect() as session:
        while not all(statement in reader.planned for reader in readers._others) or not readers._others:
            rows = readers.read(
                session, "a", statement, lambda some: {"ids": [driver[1] for driver in some]}, drivers
            )

    assert before == [False, True]
    assert [readers.pay_for(statement, records) for records in (2, 3)] == [False, True]
    assert [row["key"] for row in rows] == sorted(driver[1] for driver in drivers)
    readers.close()
