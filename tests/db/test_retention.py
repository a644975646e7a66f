"""Old months go to files and leave the database, and nothing that is still needed goes with them."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from cdc import archive_file, archived, audit, retention
from cdc.archive_file import measured
from cdc.forget import forget
from cdc.months import make_months
from cdc.recompute import recompute
from cdc.retention import Retained, first_kept, retain
from cdc.reverse import ask, find
from cdc.story import story
from tests.db.fix_engine import Engine, engine
from tests.db.test_forget import customer
from tests.db.test_roles import acting_as
from tieout.db import Database, try_lock
from tieout.errors import ConfigurationError, LockHeld, RetryLater, UsageError
from tieout.retention import Retention

__all__ = ["engine"]

KEEP = Retention(history_months=2, entries_months=2)
ALL = Retention(history_months=2, entries_months=2, audit_months=2)


@pytest.fixture
def traded(engine: Engine) -> Engine:
    """A customer and two orders, one of them unpaid, delivered and sealed."""
    engine.customer()
    engine.order()
    engine.order("2")
    engine.sync()
    audit.seal(engine.connection)
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where archived months go."""
    return tmp_path / "archive"


def later(months: int = 3) -> date:
    """The first day of a month to come: what is of today is so many months old by then."""
    today = datetime.now(UTC).date()
    number = today.year * 12 + today.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def go(engine: Engine, folder: Path, keep: Retention = KEEP, **options: Any) -> Retained:
    with engine.database.connect(direct=True) as session:
        return retain(session, keep, folder, **{"by": "ann", "is_done": True, "today": later(), **options})


def aged(engine: Engine, table: str, column: str, months: int = 5) -> None:
    """The rows of a table become older: they lie in the default partition afterwards."""
    with engine.connection.transaction():
        engine.connection.execute("set local session_replication_role = replica")
        engine.connection.execute(
            f"update cdc.{table} set {column} = {column} - make_interval(months => %s)", (months,)
        )


def count(engine: Engine, relation: str) -> int:
    row = engine.row(f"select count(*) as rows from {relation}")
    assert row is not None
    return int(row["rows"])


def chain(engine: Engine, folder: Path) -> Retained:
    """The chain becomes old and is archived."""
    aged(engine, "audit", "sealed_at")
    return go(engine, folder, Retention(audit_months=2), today=later(0))


def findings(engine: Engine, **options: Any) -> list[tuple[str, str]]:
    return [(each.what, each.where) for each in audit.verify(engine.connection, **options).findings]


def default_rows(engine: Engine) -> int:
    return sum(count(engine, f"cdc.{name}_default") for name in ("history", "outbox_done", "audit"))


def test_new_rows_find_a_month_that_was_made_ahead(traded):
    assert default_rows(traded) == 0
    assert count(traded, "cdc.outbox_done") == 3
    assert make_months(traded.connection) == 0


def test_a_row_without_a_month_is_kept_and_moved_to_its_month(traded, folder):
    aged(traded, "outbox_done", "finished_at")
    assert count(traded, "cdc.outbox_done_default") == 3

    done = go(traded, folder, Retention())

    assert [(part.relation, part.rows) for part in done.moved] == [("outbox_done", 3)]
    assert (default_rows(traded), count(traded, "cdc.outbox_done")) == (0, 3)
    assert done.parts == ()
    assert not folder.exists()


def test_a_month_that_is_missing_is_made_by_whoever_refreshes_marts(traded):
    month = f"cdc.history_{datetime.now(UTC):%Y_%m}"
    traded.connection.execute(f"drop table {month}")
    with acting_as(traded.database, "tieout_writer") as session:
        assert make_months(session) == 1

    assert count(traded, month) == 0


def test_a_missing_month_is_not_made_over_rows_that_fell_into_the_default_partition(traded):
    month = f"cdc.outbox_done_{datetime.now(UTC):%Y_%m}"
    traded.connection.execute(f"alter table cdc.outbox_done detach partition {month}")
    traded.connection.execute(f"alter table {month} rename to aside")
    traded.connection.execute("insert into cdc.outbox_done_default select * from cdc.aside")

    assert make_months(traded.connection) == 0
    assert count(traded, "cdc.outbox_done") == 3


def test_a_dry_run_says_what_would_go_and_changes_nothing(traded, folder):
    aged(traded, "audit", "sealed_at")
    done = go(traded, folder, ALL, is_done=False)

    assert {part.relation for part in done.parts} == {
        "history",
        "links_before",
        "outbox_done",
        "calls",
        "audit",
    }
    assert all(part.file is None and part.rows for part in done.parts)
    assert not folder.exists()
    assert count(traded, "cdc.outbox_done") == 3
    assert count(traded, "cdc.audit_default") > 0


def test_an_archived_month_can_be_read_by_anybody_and_is_what_the_database_held(traded, folder):
    held = traded.rows("select entry, key, payload from cdc.outbox_done order by entry")
    done = go(traded, folder)
    part = next(part for part in done.parts if part.relation == "outbox_done")
    assert part.file is not None
    path = folder / part.file
    text = gzip.decompress(path.read_bytes())
    manifest = json.loads(archive_file.manifest_path(path).read_text())

    assert count(traded, "cdc.outbox_done") == 0
    assert hashlib.sha256(text).hexdigest() == manifest["sha256"]
    assert (manifest["rows"], manifest["relation"]) == (3, "outbox_done")
    assert path.stat().st_mode & 0o077 == 0

    back = archived.put_back(traded.connection, path)
    assert back.is_known
    assert back.rows == 3
    assert traded.rows(f"select entry, key, payload from {back.table} order by entry") == held


def test_line_feeds_and_quotes_in_a_record_do_not_count_as_rows(engine, folder):
    engine.connection.execute(
        "insert into cdc.history (version, connection, stream, id, told_by, after)"
        " select n, 'shop', 'orders', n::text, 'poll', jsonb_build_object('t', E'a \"b\"\\nc') from generate_series(1, 5) as n"
    )
    done = go(engine, folder)

    assert [part.rows for part in done.parts if part.relation == "history"] == [5]
    assert measured([b'a,b\n"x', b'""\n",1\n']).rows == 1


def test_what_is_younger_than_the_settings_say_stays(traded, folder):
    assert go(traded, folder, today=later(2)).parts == ()
    assert first_kept(date(2026, 3, 15), 2) == date(2026, 1, 1)
    assert first_kept(date(2026, 12, 1), 24) == date(2024, 12, 1)


def test_the_money_of_a_document_is_known_after_its_entry_is_archived(traded, folder):
    """Dr receivables 12.00 / Cr sales 12.00 twice: 24.00 EUR stand in the ledger, before and after."""
    posted = "select sum(amount) as amount from cdc.last_entries"
    go(traded, folder)
    assert traded.row(posted) == {"amount": Decimal("24.00")}

    # A paid invoice drifts: what it was before comes from the kept amount.
    for record in traded.target.records["invoices"].values():
        record["Status"] = "PAID"
    traded.load()
    line = {"text": "Bag", "account": "200", "amount": Decimal("15.00")}
    traded.order("2", total=Decimal("15.00"), lines=[line])
    traded.diff()

    assert traded.rows("select key, amount_effect from cdc.drift") == [
        {"key": "shop/order/2/1", "amount_effect": Decimal("3.00")}
    ]


def test_money_that_is_kept_for_a_link_that_is_gone_is_let_go(traded, folder):
    go(traded, folder)
    traded.connection.execute("update cdc.links set is_gone = true where key = 'shop/order/2/1'")
    go(traded, folder)

    assert traded.row("select count(*) as n from cdc.last_entries where entity = 'invoices'") == {"n": 1}


def test_the_audit_still_proves_what_stays_and_knows_what_is_archived(traded, folder):
    go(traded, folder)
    before = audit.head(traded.connection)
    done = chain(traded, folder)
    verified = audit.verify(traded.connection)

    assert [part.relation for part in done.parts] == ["audit"]
    assert verified.findings == ()
    assert verified.archived == before.position
    assert verified.head.position > before.position
    # Without the file nothing can be said of a head in it; with it the chain is walked from its first row.
    assert findings(traded, noted=[(1, "f" * 64, "The head given")]) == []
    assert findings(traded, noted=[(1, "f" * 64, "The head given")], folder=folder) == [
        ("made anew", "position 1")
    ]
    whole = audit.verify(traded.connection, folder=folder, noted=[(before.position, before.digest, "paper")])
    assert whole.findings == ()
    assert whole.is_read
    assert whole.rows == verified.head.position


def test_a_link_that_is_changed_after_its_facts_were_archived_is_found(traded, folder):
    go(traded, folder)
    chain(traded, folder)
    with traded.connection.transaction():
        traded.connection.execute("set local session_replication_role = replica")
        traded.connection.execute("update cdc.links set target_id = 'stolen' where key = 'shop/order/2/1'")

    link = traded.link("shop/order/2/1")
    assert findings(traded) == [("changed", f"cdc.links {link['link_id']}")]


def test_a_changed_file_and_a_missing_one_are_found(traded, folder):
    done = go(traded, folder)
    chain(traded, folder)
    names = {part.relation: str(part.file) for part in done.parts}
    text = gzip.decompress((folder / names["calls"]).read_bytes())
    (folder / names["calls"]).write_bytes(gzip.compress(text.replace(b"PUT", b"GET")))
    (folder / names["outbox_done"]).unlink()

    assert findings(traded, folder=folder) == [
        ("changed", names["calls"]),
        ("missing", names["outbox_done"]),
    ]
    with pytest.raises(ConfigurationError, match="not what its manifest tells of"):
        archived.put_back(traded.connection, folder / names["calls"])


def test_rows_that_vanish_without_being_archived_are_found_beside_those_that_were(traded, folder):
    go(traded, folder)
    traded.order("3")
    traded.sync()
    audit.seal(traded.connection)
    go(traded, folder, Retention())
    assert findings(traded) == []
    # A row of another month than those in files, taken out past the triggers.
    with traded.connection.transaction():
        traded.connection.execute("set local session_replication_role = replica")
        traded.connection.execute("delete from cdc.decisions")
        entry = traded.row("delete from cdc.archives where relation = 'outbox_done' returning archive")
    assert entry is not None
    assert {what for what, _ in findings(traded)} == {"missing"}


def test_the_chain_goes_on_after_all_of_it_was_archived(traded, folder):
    chain(traded, folder)
    end = audit.head(traded.connection)
    with traded.connection.transaction():
        traded.connection.execute("set local session_replication_role = replica")
        traded.connection.execute("delete from cdc.audit")

    anchor = traded.row("select last_position as position from cdc.archives where relation = 'audit'")
    assert anchor is not None
    assert 0 < anchor["position"] < end.position
    assert audit.head(traded.connection).position == anchor["position"]


@pytest.mark.parametrize("step", ["write_manifest", "look"])
def test_a_crash_before_the_drop_leaves_everything_in_the_database_and_the_next_run_ends_it(
    traded, folder, monkeypatch, step
):
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive_file, step, crash)
    with pytest.raises(KeyboardInterrupt):
        go(traded, folder)
    assert count(traded, "cdc.outbox_done") == 3
    assert count(traded, "cdc.archives") == 0
    monkeypatch.undo()

    done = go(traded, folder)
    assert {part.file for part in done.parts} == {
        row["file"] for row in traded.rows("select file from cdc.archives")
    }
    assert [path for path in folder.iterdir() if path.suffix == ".partial"] == []


def test_a_file_that_gives_back_other_bytes_drops_nothing(traded, folder, monkeypatch):
    right = archive_file.look
    monkeypatch.setattr(archive_file, "look", lambda path: replace(right(path), sha256="0" * 64))
    with pytest.raises(ConfigurationError, match="gives back other bytes"):
        go(traded, folder)

    assert count(traded, "cdc.outbox_done") == 3


def test_a_row_that_changes_while_its_month_is_written_keeps_the_month(traded, folder, monkeypatch):
    right = archive_file.write_manifest

    def meanwhile(path: Path, manifest: Any) -> None:
        right(path, manifest)
        if path.name.startswith("outbox-done"):
            with traded.connection.transaction():
                traded.connection.execute("select set_config('tieout.forgetting', 'x', true)")
                traded.connection.execute("update cdc.outbox_done set reason = 'forgotten'")

    monkeypatch.setattr(archive_file, "write_manifest", meanwhile)
    with pytest.raises(RetryLater, match="changed while it was archived"):
        go(traded, folder)
    assert count(traded, "cdc.outbox_done") == 3

    monkeypatch.undo()
    go(traded, folder)
    assert count(traded, "cdc.outbox_done") == 0


def test_the_month_of_a_call_in_doubt_stays_with_its_call(traded, folder):
    traded.order("3")
    traded.target.faults.append("before")
    traded.sync()
    open_call = traded.row("select call, entries from cdc.calls where settled_at is null")
    assert open_call is not None
    # The entry of the same call that ended before, as a half answered one leaves it.
    with traded.connection.transaction():
        traded.connection.execute("set local session_replication_role = replica")
        traded.connection.execute(
            "update cdc.calls set entries = entries || (select max(entry) from cdc.outbox_done) where call = %s",
            (open_call["call"],),
        )
    done = go(traded, folder)

    assert [part.because for part in done.parts if part.relation == "outbox_done"] == ["1 of calls in doubt"]
    assert count(traded, "cdc.outbox_done") == 3
    assert [row["call"] for row in traded.rows("select call from cdc.calls")] == [open_call["call"]]


def test_a_run_that_is_being_taken_back_stays_with_its_calls(traded, folder):
    others = uuid.uuid4()
    for run in (traded.run, others):
        traded.connection.execute(
            "insert into cdc.runs (run, command, host, process_id) values (%s, 'drain', 'here', 1)", (run,)
        )
    calls = count(traded, "cdc.calls")
    for run, entity in ((traded.run, "invoices"), (others, "contacts")):
        traded.connection.execute(
            "update cdc.links set reversal = jsonb_build_object('run', %s::text) where entity = %s",
            (run, entity),
        )

    go(traded, folder, Retention(entries_months=2, runs_months=2))

    assert count(traded, "cdc.calls") == calls > 1
    assert {row["run"] for row in traded.rows("select run from cdc.runs")} == {traded.run, others}

    traded.connection.execute("update cdc.links set reversal = null")
    go(traded, folder, Retention(entries_months=2, runs_months=2))

    assert count(traded, "cdc.calls") == 1
    assert {row["run"] for row in traded.rows("select run from cdc.runs")} == {traded.run}


def test_the_last_call_stays_since_a_copied_database_is_found_by_its_number(traded, folder):
    last = traded.row("select max(number) as number from cdc.calls")
    go(traded, folder)

    assert traded.rows("select number from cdc.calls") == [last]


def test_readers_say_in_which_file_the_rest_is(traded, folder):
    done = go(traded, folder)
    names = {part.relation: str(part.file) for part in done.parts}
    place = {"connection": "books", "entity": "invoices", "key": "shop/order/2/1"}
    steps = story(traded.connection, **place)
    assert (steps[0].what, names["outbox_done"] in steps[0].details["files"]) == ("archived", True)
    with pytest.raises(UsageError) as refused:
        recompute(traded.connection, key="shop/order/2/1")
    assert names["outbox_done"] in refused.value.cure

    traded.connection.execute(
        "insert into cdc.runs (run, command, host, process_id) values (%s, 'drain', 'here', 1)", (traded.run,)
    )
    with pytest.raises(UsageError, match=names["outbox_done"]):
        ask(traded.connection, traded.run, by="ann", reason="test", writers=traded.writers)


def test_forgetting_a_person_names_the_files_that_hold_them(engine, folder):
    customer(engine)
    customer(engine, phone="0171 556")
    engine.order()
    engine.sync()
    done = go(engine, folder)
    names = {part.relation: str(part.file) for part in done.parts}
    (folder / names["links_before"]).unlink()

    found = forget(
        engine.connection, "jane@example.com", by="ann", reason="letter", is_done=False, folder=folder
    )
    assert names["history"] in found.archived
    assert names["outbox_done"] in found.archived
    assert found.unread == (names["links_before"],)


def test_a_name_with_quotation_marks_backslashes_and_line_feeds_is_found_in_files(engine, folder):
    engine.connection.execute(
        "insert into cdc.history (version, connection, stream, id, told_by, run, before, after) values"
        " (1, 'shop', 'customers', '1', 'poll', null, %s, %s)",
        (
            Jsonb({"name": 'Jane "JD" O\\Hara', "told": json.dumps({"by": 'Ann "A" Lee'})}),
            Jsonb({"at": "Bay 4\nKiel"}),
        ),
    )
    done = go(engine, folder)
    names = [str(part.file) for part in done.parts if part.relation == "history"]

    def found(text: str) -> list[str]:
        return archived.naming(engine.connection, folder, [text])[0]

    for text in ('jane "jd" o\\hara', 'Ann "A" Lee', "bay 4\nkiel", "Kiel"):
        assert found(text) == names, text
    assert found('"') == found("Jane D") == []


def test_old_totals_and_runs_go_but_not_the_last_proof_of_a_target_nor_runs_with_calls(traded, folder):
    old, last = uuid.uuid4(), uuid.uuid4()
    for run, command in ((old, "prove"), (last, "prove"), (traded.run, "drain")):
        traded.connection.execute(
            "insert into cdc.runs (run, command, host, process_id) values (%s, %s, 'here', 1)", (run, command)
        )
    proved = (
        "insert into cdc.proofs (run, flow, source_connection, target_connection, currency, day, measure, source_count,"
        " source_amount, target_count, target_amount, is_equal) values (%s, 'invoices', 'shop', %s, 'EUR', '2026-01-01',"
        " 'gross', 1, 10, 1, 10, true)"
    )
    for run, target in ((old, "books"), (old, "more books"), (last, "books")):
        traded.connection.execute(proved, (run, target))
    done = go(traded, folder, Retention(runs_months=2))

    assert [(part.relation, part.rows) for part in done.parts] == [("proofs", 1)]
    left = traded.rows("select run, target_connection as target from cdc.proofs order by proof")
    assert left == [{"run": old, "target": "more books"}, {"run": last, "target": "books"}]

    traded.connection.execute(proved, (last, "more books"))
    done = go(traded, folder, Retention(runs_months=2))

    assert [(part.relation, part.rows) for part in done.parts] == [("proofs", 1), ("runs", 1)]
    assert {row["run"] for row in traded.rows("select run from cdc.runs")} == {last, traded.run}
    assert find(traded.connection, str(last)) == last
    with pytest.raises(UsageError, match=str(done.parts[1].file)):
        find(traded.connection, str(old))
    assert archived.put_back(traded.connection, folder / str(done.parts[1].file)).rows == 1
    assert findings(traded, folder=folder) == []


def test_only_the_owner_takes_months_out(traded, folder):
    with acting_as(traded.database, "tieout_writer") as session:
        with pytest.raises(ConfigurationError, match="does not own"):
            retain(session, KEEP, folder, by="eve", is_done=True, today=later())
        session.execute("select set_config('tieout.retaining', 'on', false)")
        for statement in (
            "delete from cdc.outbox_done",
            "delete from cdc.calls",
            f"delete from cdc.outbox_done_{datetime.now(UTC):%Y_%m}",
            "delete from cdc.archives",
            "update cdc.last_entries set amount = 0",
            "drop table cdc.outbox_done_default",
        ):
            with pytest.raises(Exception, match=r"append-only|permission denied|must be owner"):
                session.execute(statement)
    assert count(traded, "cdc.outbox_done") == 3


def test_two_at_once_do_it_once(traded, folder):
    with traded.database.connect(direct=True) as other:
        assert try_lock(other, retention.LOCK)
        with pytest.raises(LockHeld):
            go(traded, folder)


def test_what_is_archived_stands_in_the_audit(traded, folder, database: Database):
    done = go(traded, folder)
    facts = traded.rows("select fact::jsonb ->> 'sha256' as sha256 from cdc.audit where kind = 'archive'")

    assert len(facts) == len([part for part in done.parts if part.file])
    with pytest.raises(Exception, match="append-only"):
        traded.connection.execute("update cdc.archives set sha256 = ''")
