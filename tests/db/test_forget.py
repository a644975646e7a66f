"""A person is forgotten: nothing that is kept names them, and what must stay valid stays valid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from cdc import audit
from cdc.forget import Forgotten, forget
from tests.db.fix_engine import BOOKS, MODELS, SHOP, Engine, engine
from tieout.errors import RetryLater

__all__ = ["engine"]

MAIL = "jane@example.com"


def customer(engine: Engine, **changes: Any) -> None:
    """Customer 7 as a loader stores her: with history."""
    payload = {
        "email": MAIL,
        "firstname": "Jane",
        "lastname": "Doe",
        "name": "Jane Doe",
        "phone": "0171 555",
        **changes,
    }
    before = engine.row("select payload from staging.magento__customers where id = '7'")
    engine.put("magento__customers", "7", payload)
    told(engine, "customers", "7", before["payload"] if before else None, payload)


def told(
    engine: Engine, stream: str, record_id: str, before: Any, after: Any, connection: str = SHOP
) -> None:
    engine.connection.execute(
        "insert into cdc.history (version, connection, stream, id, told_by, before, after)"
        " values (nextval('cdc.version'), %s, %s, %s, 'poll', %s, %s)",
        (connection, stream, record_id, Jsonb(before) if before else None, Jsonb(after) if before else None),
    )


def others(engine: Engine) -> None:
    """Customer 8, sent in the same call."""
    engine.put(
        "magento__customers", "8",
        {"email": "john@example.com", "firstname": "John", "lastname": "Roe", "name": "John Roe"},
    )  # fmt: skip


@pytest.fixture
def delivered(engine: Engine) -> Engine:
    """Jane, John and her order are in the books; a person decided about her; all of it is sealed."""
    engine.in_force(replace(MODELS[0], driver="magento__customers"))
    customer(engine)
    others(engine)
    engine.order()
    engine.sync()
    customer(engine, phone="0171 666")
    engine.sync()
    engine.connection.execute(
        "insert into cdc.decisions (decided_by, verb, connection, entity, key, reason)"
        " values ('ann', 'edit', 'books', 'contacts', 'shop/customer/7', 'Jane Doe called, jane@example.com is right')"
    )
    audit.seal(engine.connection)
    return engine


def gone_at_source(engine: Engine) -> None:
    """The shop deletes the customer; nothing there names her any more."""
    engine.connection.execute(
        "update staging.magento__customers set deleted_at = now(), version = nextval('cdc.version') where id = '7'"
    )


def gone_in_target(engine: Engine) -> None:
    """The accountant empties the contact."""
    target = engine.link("shop/customer/7")["target_id"]
    record = {
        **engine.target.records["contacts"][target],
        "Name": "Customer 7",
        "EmailAddress": "",
        "Phone": "",
    }
    engine.target.records["contacts"][target] = record
    engine.put("xero__contacts", target, record, BOOKS)


def run(engine: Engine, text: str = MAIL, *, is_done: bool = True) -> Forgotten:
    done = forget(engine.connection, text, by="ann", reason="asked by letter", is_done=is_done)
    audit.seal(engine.connection)
    return done


def named(engine: Engine, *texts: str) -> set[str]:
    """Tables of which a row has one of these texts."""
    tables = engine.rows(
        "select schemaname || '.' || tablename as name from pg_tables where schemaname in ('cdc', 'staging', 'marts')"
    )
    return {
        table["name"]
        for table in tables
        for text in texts
        if engine.rows(f"select 1 from {table['name']} as t where t::text ilike %s limit 1", f"%{text}%")
    }


@pytest.mark.parametrize("text", [MAIL, "7", "shop/7", "shop/customer/7"])
def test_nothing_that_is_kept_names_the_person_by_whatever_they_were_found(
    delivered: Engine, text: str
) -> None:
    gone_at_source(delivered)
    gone_in_target(delivered)

    done = run(delivered, text)

    assert named(delivered, MAIL, "Jane Doe", "0171 555", "0171 666") == set()
    assert done.shown == ()
    assert done.kept == {}


def test_amounts_ids_dates_and_others_stay_as_they_were(delivered: Engine) -> None:
    """Dr receivables 12.00, Cr sales 12.00 stays posted for an order of nobody."""
    statement = "select entry, amount, currency, target_id, outcome, finished_at, call from cdc.outbox_done order by entry"
    before, posted = delivered.rows(statement), dict(delivered.target.records["invoices"])
    gone_at_source(delivered)
    gone_in_target(delivered)

    run(delivered)

    assert delivered.rows(statement) == before
    assert delivered.target.records["invoices"] == posted
    assert "cdc.calls" in named(delivered, "john@example.com")
    assert "cdc.outbox_done" in named(delivered, "John Roe")


def test_the_audit_stays_whole_and_knows_that_somebody_was_forgotten(delivered: Engine) -> None:
    gone_at_source(delivered)
    head = audit.head(delivered.connection)

    done = run(delivered)

    verified = audit.verify(delivered.connection, noted=[(head.position, head.digest, "a letter")])
    (note,) = delivered.rows("select * from cdc.forgettings")
    assert verified.is_whole
    assert verified.forgotten == 1
    assert (note["forgotten_by"], note["reason"]) == ("ann", "asked by letter")
    assert note["counts"] == done.counts
    assert done.counts["cdc.history"] > 0


def test_looking_first_changes_nothing_and_tells_the_same(delivered: Engine) -> None:
    gone_at_source(delivered)
    before = delivered.rows("select * from cdc.outbox_done order by entry")

    looked = run(delivered, is_done=False)

    assert delivered.rows("select * from cdc.outbox_done order by entry") == before
    assert delivered.rows("select * from cdc.forgettings") == []
    assert looked.counts == run(delivered).counts


def test_what_source_and_target_still_show_is_listed_with_what_to_do_there(delivered: Engine) -> None:
    done = run(delivered)

    found = {(each.connection, each.stream, each.id, each.is_source) for each in done.shown}
    assert (SHOP, "customers", "7", True) in found
    assert (BOOKS, "contacts", delivered.link("shop/customer/7")["target_id"], False) in found
    assert all(each.to_do for each in done.shown)


def test_while_the_source_shows_the_person_nothing_is_sent_again(delivered: Engine) -> None:
    run(delivered)
    sent = len(delivered.target.writes)

    delivered.sync()

    assert len(delivered.target.writes) == sent
    left = {"cdc.links", "cdc.links_before", "staging.magento__customers", "staging.xero__contacts"}
    assert named(delivered, MAIL) == left


def test_a_later_load_brings_nothing_back(delivered: Engine) -> None:
    """The shop blanks the customer after the person was forgotten: history does not keep what stood there."""
    run(delivered)

    customer(delivered, email="nobody@invalid", firstname="-", lastname="-", name="-", phone="-")

    changed = delivered.rows(
        "select before, after from cdc.history where before is not null order by version desc limit 1"
    )
    assert "cdc.history" not in named(delivered, MAIL, "Jane Doe")
    assert changed[0]["before"]["email"] == "[forgotten]"


def test_a_reason_that_names_the_person_is_kept_without_the_name(delivered: Engine) -> None:
    gone_at_source(delivered)

    forget(delivered.connection, MAIL, by="ann", reason=f"{MAIL} wrote to us", is_done=True)

    assert "cdc.forgettings" not in named(delivered, MAIL)


def test_a_call_in_doubt_is_settled_first(delivered: Engine) -> None:
    """It may have to be repeated byte by byte."""
    with delivered.connection.transaction(force_rollback=True):
        delivered.connection.execute("set local session_replication_role = replica")
        delivered.connection.execute(
            "update cdc.calls set settled_at = null, outcome = 'unknown' where entity = 'contacts'"
        )

        with pytest.raises(RetryLater, match="in doubt"):
            forget(delivered.connection, MAIL, by="ann", reason="asked", is_done=True)
