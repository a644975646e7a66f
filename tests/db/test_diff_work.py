"""A diff costs what changed: no view is touched without a changed key, and a sweep compares in parallel, in constant memory,
and says what nobody announced.
"""

from __future__ import annotations

from typing import Any, LiteralString

import pytest

import cdc.diff_sweep as sweeping
from cdc.alert_watch import conditions
from cdc.diff_readers import Readers, Sharing
from cdc.diff_rows import candidates, mirror_of
from cdc.diff_work import kept_of
from cdc.outbound import OutboundModel, models_in_force
from tests.db.fix_engine import MODELS, Engine, engine
from tieout.queries import query

__all__ = ["engine"]


def test_without_a_changed_key_no_view_is_touched(engine: Engine) -> None:
    engine.customer()
    engine.sync()
    engine.diff()
    engine.connection.execute("drop schema outbound cascade")

    diffed = engine.diff()

    assert (diffed.changes, [model.model for model in diffed.models]) == (
        0,
        ["out_contacts", "out_invoices", "out_payments"],
    )
    assert {model.drivers for model in diffed.models} == {0}


def test_a_changed_key_costs_only_the_models_that_it_leads_to(engine: Engine) -> None:
    engine.customer()
    engine.connection.execute("drop view outbound.out_payments, outbound.out_invoices")

    engine.diff()

    assert engine.states() == {"shop/customer/7": "ready"}


def test_entries_that_a_dead_diff_left_uncounted_are_counted_without_a_changed_key(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.customer()

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("cdc.diff.guard", die)
        with pytest.raises(RuntimeError):
            engine.diff()
    assert engine.states() == {"shop/customer/7": "guard"}
    assert engine.rows("select 1 as one from cdc.changed_keys") == []

    engine.diff()

    assert engine.states() == {"shop/customer/7": "ready"}


@pytest.mark.parametrize(("file", "name"), [("diff", "work"), ("follow", "news")])
def test_what_waits_is_found_by_index_however_many_keys_others_have(
    engine: Engine, file: LiteralString, name: LiteralString
) -> None:
    engine.connection.execute(
        "insert into cdc.changed_keys (model, source_connection, source_id, because)"
        " select 'a_mart', 'shop', number::text, '' from generate_series(1, 5000) as number"
    )
    engine.connection.execute("analyze cdc.changed_keys")

    plan = "\n".join(row["QUERY PLAN"] for row in engine.rows("explain " + query(file, name)))

    assert "using changed_keys_model on changed_keys" in plan
    assert "Seq Scan on changed_keys" not in plan
    assert "changed_keys_pkey" not in plan


def test_a_session_that_is_kept_sees_another_build(engine: Engine) -> None:
    engine.customer()
    with engine.database.connect(direct=True) as session:
        engine.diff(session=session)
        engine.connection.execute("drop view outbound.out_contacts")
        engine.connection.execute(
            "create view outbound.out_contacts as select 'books' as _to, 'other/' || id as _key, connection as _source_connection,"
            " id as _source_id, null::text as _skip, null::text as _hold, null::text as _gone, null::jsonb as _problems,"
            " null::numeric as _total, null::text as _currency, null::date as _date, null::jsonb as _if_taken,"
            " null::jsonb as _after, null::jsonb as _expect, 'New' as \"Name\" from staging.magento__customers"
        )
        engine.connection.execute(
            "insert into cdc.builds (build, switched_at) values ('next', now() + interval '1 s')"
        )
        engine.connection.execute("update cdc.models set build = 'next'")
        engine.customer("8")
        engine.diff(session=session)

    entry = engine.entry("other/8")
    assert entry is not None
    assert (entry["payload"], entry["build"]) == ({"Name": "New"}, "next")


def test_a_build_that_switches_while_models_are_looked_at_loses_no_key_and_all_start_again(
    engine: Engine,
) -> None:
    engine.customer()
    engine.order()
    told: list[str] = []

    def switch(name: str) -> None:
        told.append(name)
        if len(told) == 2:
            engine.connection.execute(
                "insert into cdc.builds (build, switched_at) values ('next', now() + interval '1 s')"
            )
            engine.connection.execute("update cdc.models set build = 'next'")

    engine.diff(progress=switch)

    assert told == ["out_contacts", "out_invoices", "out_contacts", "out_invoices", "out_payments"]
    assert engine.states() == {"shop/customer/7": "ready", "shop/order/1/1": "waiting"}
    assert engine.rows("select 1 as one from cdc.changed_keys") == []


@pytest.fixture
def nine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Nine customers that the target has; a sweep takes them four by four, in three sessions."""
    monkeypatch.setattr(sweeping, "RANGE", 4)
    monkeypatch.setattr("cdc.diff_readers.SHARING", Sharing(sessions=3, many=2, few=2, portion=1))
    for number in range(1, 10):
        engine.customer(str(number))
    engine.sync()
    engine.diff()
    return engine


def _changed_unseen(engine: Engine, *numbers: str) -> None:
    """Records that changed as no loader changes them: nothing announces it."""
    engine.connection.execute(
        """update staging.magento__customers set payload = payload || '{"name": "Other"}' where id = any(%s)""",
        (list(numbers),),
    )


def test_a_sweep_in_parallel_finds_exactly_what_changed_and_says_that_nobody_announced_it(
    nine: Engine,
) -> None:
    _changed_unseen(nine, "2", "5", "9")
    keys = ("shop/customer/2", "shop/customer/5", "shop/customer/9")
    assert nine.diff().models[0].drivers == 0

    found = nine.diff(full=True).models[0]

    assert (found.drivers, found.updated, found.missed, found.missed_keys) == (9, 3, 3, keys)
    assert nine.states() == dict.fromkeys(keys, "ready")
    [told] = _missed(nine)
    assert (told.count, told.who, told.command) == (3, "analyst", "tieout diff --full")
    assert all(key in told.what for key in keys)


def test_a_sweep_that_finds_nothing_more_ends_the_alert(nine: Engine) -> None:
    _changed_unseen(nine, "2")
    nine.diff(full=True)
    assert _missed(nine)

    found = nine.diff(full=True).models[0]

    assert (found.missed, _missed(nine)) == (0, [])


def test_a_sweep_in_one_session_finds_the_same(nine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.diff_readers.SHARING", Sharing(sessions=1))
    _changed_unseen(nine, "2", "5", "9")

    found = nine.diff(full=True).models[0]

    assert (found.drivers, found.updated, found.missed) == (9, 3, 3)


def test_a_change_that_was_announced_is_not_missed(nine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    nine.customer("3", name="Announced before")
    real = sweeping.refuse_rows_without_driver

    def change(*given: Any) -> None:
        real(*given)
        if given[1].name == "out_contacts":
            nine.customer("4", name="Announced meanwhile")

    monkeypatch.setattr(sweeping, "refuse_rows_without_driver", change)

    found = nine.diff(full=True).models[0]

    assert (found.updated, found.missed) == (2, 0)
    assert set(nine.states()) == {"shop/customer/3", "shop/customer/4"}


def test_a_sweep_that_was_due_misses_nothing(nine: Engine) -> None:
    _changed_unseen(nine, "2")
    nine.connection.execute("update cdc.models set sweep_due = true")

    found = nine.diff().models[0]

    assert (found.updated, found.missed) == (1, 0)


def test_a_sweep_has_one_range_in_memory_and_tells_how_far_it_is(
    nine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10, 61):
        nine.customer(str(number))
    nine.sync()
    nine.diff()
    told, sizes = list[str](), list[int]()
    real = Readers.read

    def read(self: Readers, *given: Any) -> Any:
        sizes.append(len(given[-1]))
        return real(self, *given)

    monkeypatch.setattr(Readers, "read", read)

    nine.diff(full=True, models=["out_contacts"], progress=told.append)

    assert sizes == [4] * 15
    assert told[1].startswith("out_contacts: 4 of 60 records, ")
    assert told[1].endswith(" left")
    assert told[-1] == "out_contacts: 60 of 60 records"


def test_a_diff_of_many_changed_keys_tells_how_far_it_is(
    nine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdc.diff.DRIVERS", 4)
    told = list[str]()
    for number in range(1, 10):
        nine.customer(str(number), name="Other")

    nine.diff(progress=told.append)

    assert told[0] == "out_contacts"
    assert told[1].startswith("out_contacts: 4 of 9 changed keys, ")
    assert told[3] == "out_contacts: 9 of 9 changed keys"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_plan_that_a_session_keeps_reads_by_key(engine: Engine, model: OutboundModel) -> None:
    engine.connection.execute(
        """
        insert into staging.magento__orders (connection, id, payload, content_hash, version)
        select 'shop', number::text, '{"number": "1", "lines": [], "paid": 1}', '', 1 from generate_series(1, 20000) as number
        """
    )
    engine.connection.execute(
        """
        insert into staging.magento__customers (connection, id, payload, content_hash, version)
        select connection, id, '{}', '', 1 from staging.magento__orders
        """
    )
    engine.connection.execute("analyze")
    parameters = ("source_connections", "source_ids", "control", "entity", "model")
    with engine.database.connect() as session:
        kept_of(session)
        text = candidates(model, mirror_of("xero", engine.writers("xero")[model.entity])).as_string(session)
        for number, name in enumerate(parameters, 1):
            text = text.replace(f"%({name})s", f"${number}")
        session.execute(f"prepare kept (text[], text[], text[], text, text) as {text}".encode())
        values = f"'{{shop}}', '{{7}}', '{{_key}}', '{model.entity}', '{model.name}'"
        statement = f"explain (verbose) execute kept ({values})"
        plan = "\n".join(row["QUERY PLAN"] for row in session.execute(statement.encode()))

    assert "unnest($1)" in plan, "it is a generic one"
    assert "Seq Scan on staging.magento__" not in plan
    assert "Index Scan using magento__" in plan or "Bitmap Heap Scan on staging.magento__" in plan


def test_models_are_read_once_a_session(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[int]()

    def count(connection: Any) -> Any:
        read.append(1)
        return models_in_force(connection)

    monkeypatch.setattr("cdc.diff_work.models_in_force", count)
    with engine.database.connect(direct=True) as session:
        for number in range(3):
            engine.customer(str(number))
            engine.diff(session=session)

    assert len(read) == 1


def _missed(engine: Engine) -> list[Any]:
    found = conditions(engine.connection, engine.settings, login_ends=lambda _: None)
    return [one for one in found if one.kind == "missed changes"]
