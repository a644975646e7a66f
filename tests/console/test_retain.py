"""`tieout retain` on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.console.fix_console import Place


def test_without_a_setting_nothing_is_dropped(traded: Place) -> None:
    done = traded.answer("retain")

    assert (done["parts"], done["done"]) == ([], True)
    shown = traded.run("retain --dry-run").output
    assert "[retention] in the settings says" in shown
    assert "To be archived" not in shown


def test_a_month_that_is_archived_is_proven_by_the_audit_and_put_back(traded: Place) -> None:
    with traded.database.connect() as session, session.transaction():
        session.execute("set local session_replication_role = replica")
        session.execute("update cdc.history set changed_at = changed_at - interval '4 months'")
    would = traded.answer("retain --keep 1 --dry-run")
    done = traded.answer("retain --keep 1")

    assert (
        [part["table"] for part in done["parts"]] == [part["table"] for part in would["parts"]] == ["history"]
    )
    verified = traded.answer(f"audit verify --archive {done['folder']}")
    assert (verified["ok"], verified["archive_read"]) == (True, True)
    file = Path(done["folder"]) / done["parts"][0]["file"]
    back = traded.answer(f"retain --restore {file}")
    assert (back["rows"], back["known"]) == (done["parts"][0]["rows"], True)


def test_the_audit_is_not_dropped_before_what_it_proves(traded: Place) -> None:
    done = traded.run("retain --table audit --keep 1")

    assert done.exit_code == 2
    assert "must stay at least as long as they do" in done.output
