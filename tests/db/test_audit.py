"""The audit trail: chained by one sealer, refused to be changed, and found out when it was changed all the same.

Where a test tampers it does what the owner of the tables can: it switches the triggers off first.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import psycopg
import pytest

from cdc import audit, desk
from cdc.audit import GENESIS, Finding, Verified
from cdc.desk import Chosen
from tests.db.fix_engine import Engine, engine
from tieout.settings import package_root

__all__ = ["engine"]


@pytest.fixture
def sealed(engine: Engine) -> Engine:
    """A customer and two orders delivered, one order refused by a person; all of it sealed."""
    engine.customer()
    engine.order()
    engine.order("2", hold="look at it")
    engine.sync()
    desk.refuse(
        engine.connection, Chosen(keys=("shop/order/2/1",)), by="ann", reason="test", writers=engine.writers
    )
    audit.seal(engine.connection)
    return engine


def tamper(engine: Engine, statement: str, *values: Any) -> None:
    """A statement of somebody who may switch triggers off."""
    with engine.connection.transaction():
        engine.connection.execute("set local session_replication_role = replica")
        assert engine.connection.execute(statement, values or None).rowcount > 0


def found(engine: Engine, **options: Any) -> list[tuple[str, str]]:
    return [(each.what, each.where) for each in audit.verify(engine.connection, **options).findings]


def test_what_was_sent_and_decided_is_chained_and_verifies(sealed):
    verified = audit.verify(sealed.connection)
    kinds = {row["kind"] for row in sealed.rows("select kind from cdc.audit")}

    assert verified.findings == ()
    assert {"entry", "call sent", "call ended", "link", "decision"} <= kinds
    assert verified.rows == verified.head.position > 0
    assert verified.kept["outbox_done"] == len(sealed.rows("select 1 from cdc.outbox_done"))


def test_the_chain_can_be_computed_by_anybody_with_sha256(sealed):
    first = sealed.row("select * from cdc.audit where position = 1")
    noted = first["noted_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    text = "\n".join([GENESIS, "1", noted, first["kind"], first["subject"], first["fact"]])

    assert first["digest"] == hashlib.sha256(text.encode()).hexdigest()


def test_the_statement_that_the_auditors_page_gives_finds_the_same(sealed):
    page = (package_root() / "docs" / "audit.md").read_text(encoding="utf-8")
    statement = page.partition("```sql")[2].partition("```")[0]

    assert sealed.rows(statement) == []
    tamper(sealed, "update cdc.audit set fact = '{}' where position = 2")
    assert [row["position"] for row in sealed.rows(statement)] == [2]


@pytest.mark.parametrize("table", ["decisions", "outbox_done", "audit", "calls"])
def test_an_ordinary_statement_neither_changes_nor_deletes_what_stands(sealed, table):
    changed = {
        "decisions": "decided_by = 'eve'",
        "outbox_done": "amount = 1",
        "audit": "fact = '{}'",
        "calls": "body = '{}'",
    }[table]

    for statement in (
        f"update cdc.{table} set {changed}",
        f"delete from cdc.{table}",
        f"truncate cdc.{table}",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            sealed.connection.execute(statement)

    assert audit.verify(sealed.connection).is_whole


def test_a_changed_row_of_the_chain_is_found(sealed):
    tamper(
        sealed, """update cdc.audit set fact = replace(fact, 'refuse', 'approve') where kind = 'decision'"""
    )

    assert ("changed", "position") in {(what, where.split()[0]) for what, where in found(sealed)}


def test_a_row_taken_out_of_the_chain_is_found(sealed):
    tamper(sealed, "delete from cdc.audit where position = 3")

    assert ("missing", "position 3") in found(sealed)


def test_a_row_put_into_the_chain_is_found_though_its_own_digest_is_right(sealed):
    last = audit.head(sealed.connection)
    row = {
        "position": 3,
        "noted_at": "2026-01-01T00:00:00.000000Z",
        "kind": "decision",
        "subject": "999",
        "fact": "{}",
    }
    previous = sealed.row("select digest from cdc.audit where position = 2")["digest"]
    tamper(sealed, "update cdc.audit set position = position + 1000000 where position >= 3")
    tamper(sealed, "update cdc.audit set position = position - 999999 where position >= 1000000")
    tamper(
        sealed,
        "insert into cdc.audit (position, noted_at, kind, subject, fact, previous, digest) values (3, %s, %s, %s, '{}', %s, %s)",
        *(row["noted_at"], row["kind"], row["subject"], previous, audit.digest_of(previous, row)),
    )

    assert audit.head(sealed.connection).position == last.position + 1
    assert ("inserted", "position 4") in found(sealed)


def test_a_tail_that_was_cut_off_is_found_by_the_head_noted_outside(sealed):
    head = audit.head(sealed.connection)
    noted = [(head.position, head.digest, "The witness file")]
    tamper(sealed, "delete from cdc.audit where position > %s", head.position - 2)

    assert ("cut off", f"position {head.position}") in found(sealed, noted=noted)


def test_a_chain_made_anew_is_found_by_the_head_noted_outside(sealed):
    """Whoever may do everything changes a row, and computes all digests after it again."""
    head = audit.head(sealed.connection)
    tamper(sealed, "update cdc.audit set fact = replace(fact, 'ann', 'eve') where kind = 'decision'")
    previous = GENESIS
    for row in sealed.rows(
        "select position, to_char(noted_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as noted_at, kind, subject, fact"
        " from cdc.audit order by position"
    ):
        digest = audit.digest_of(previous, row)
        tamper(
            sealed,
            "update cdc.audit set previous = %s, digest = %s where position = %s",
            *(previous, digest, row["position"]),
        )
        previous = digest

    assert found(sealed) == []
    assert found(sealed, noted=[(head.position, head.digest, "The witness file")]) == [
        ("made anew", f"position {head.position}")
    ]


@pytest.mark.parametrize(
    ("statement", "what", "table"),
    [
        ("update cdc.decisions set decided_by = 'eve'", "changed", "decisions"),
        ("update cdc.outbox_done set amount = 1 where entity = 'invoices'", "changed", "outbox_done"),
        ("update cdc.outbox_done set payload = '{}' where entity = 'contacts'", "changed", "outbox_done"),
        ("update cdc.calls set body = '{}' where entity = 'invoices'", "changed", "calls"),
        ("update cdc.calls set answer = '{}' where entity = 'invoices'", "changed", "calls"),
        (
            "update cdc.links set target_id = 'another' where key = 'shop/order/1/1'",
            "changed",
            "links",
        ),
        ("delete from cdc.decisions", "missing", "decisions"),
        ("delete from cdc.outbox_done where entity = 'contacts'", "missing", "outbox_done"),
        (
            "insert into cdc.decisions (decided_by, verb, connection, entity, key) values ('ann', 'approve', 'books', 'x', 'y')",
            "inserted",
            "decisions",
        ),
    ],
)
def test_a_table_that_no_longer_says_what_was_recorded_is_found(sealed, statement, what, table):
    tamper(sealed, statement)

    assert {(each_what, where.split()[0]) for each_what, where in found(sealed)} == {(what, f"cdc.{table}")}


def test_a_finding_names_the_record_that_a_person_knows(sealed):
    tamper(sealed, "update cdc.outbox_done set amount = 1 where entity = 'invoices' and outcome = 'applied'")

    (finding,) = audit.verify(sealed.connection).findings

    assert isinstance(finding, Finding)
    assert "invoices shop/order/1/1" in finding.sentence


def test_what_is_not_sealed_yet_verifies_too(engine):
    engine.customer()
    engine.sync()

    verified = audit.verify(engine.connection)

    assert verified.findings == ()
    assert verified.head.position == 0
    assert verified.head.unsealed > 0


def test_four_sealers_at_once_make_one_chain(engine):
    for number in range(40):
        engine.customer(str(number))
    engine.sync()
    barrier = threading.Barrier(4)

    def one() -> None:
        with engine.database.connect() as session:
            barrier.wait()
            audit.seal(session)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    verified: Verified = audit.verify(engine.connection)
    assert verified.is_whole
    assert verified.head.unsealed == 0


def test_no_fact_of_the_audit_holds_the_persons_data(sealed):
    facts = "\n".join(row["fact"] for row in sealed.rows("select fact from cdc.audit"))

    assert "example.com" not in facts
    assert "Jane" not in facts
    assert "shop/" not in facts
