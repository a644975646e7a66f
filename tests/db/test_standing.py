"""How a connection stands: pinned to who answered first, paused by people, stopped by vendors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from cdc import audit, standing
from tieout.clients.identity import Identity
from tieout.errors import ConfigurationError, ExitCode
from tieout.settings import Connection

Session = psycopg.Connection[dict[str, Any]]
BOOKS = Connection(name="books", system="xero")
DEMO = Identity(id="guid-1", name="Demo Trading (UK)", is_demo=True, base_currency="GBP")


@pytest.fixture
def pinned(connection: Session) -> Session:
    standing.pin(connection, BOOKS, DEMO)
    return connection


def decisions(connection: Session) -> list[tuple[str, str, str | None]]:
    rows = connection.execute(
        "select verb, decided_by, reason from cdc.decisions order by decision"
    ).fetchall()
    return [(row["verb"], row["decided_by"], row["reason"]) for row in rows]


def audited(connection: Session) -> list[tuple[str, str, str]]:
    """Who decided what of which connection, as it stands in the chain."""
    audit.seal(connection)
    rows = connection.execute(
        "select fact::jsonb as fact from cdc.audit where kind = 'decision' order by position"
    )
    return [(row["fact"]["verb"], row["fact"]["by"], row["fact"]["connection"]) for row in rows]


def test_before_anybody_answered_nothing_is_known(connection: Session) -> None:
    assert standing.read(connection, "books") is None


def test_the_first_to_answer_is_remembered_and_may_change_its_name(pinned: Session) -> None:
    standing.pin(pinned, BOOKS, replace(DEMO, name="Demo Ltd", is_demo=False))

    row = standing.read(pinned, "books")
    assert row is not None
    assert (row["target_identity"], row["target_name"], row["is_demo"]) == ("guid-1", "Demo Ltd", False)


def test_who_answers_as_before_costs_no_write(pinned: Session) -> None:
    before = pinned.execute("select xmin, xmax, ctid from cdc.connections").fetchall()

    standing.pin(pinned, BOOKS, DEMO)

    assert pinned.execute("select xmin, xmax, ctid from cdc.connections").fetchall() == before


def test_somebody_else_is_refused_and_changes_nothing(pinned: Session) -> None:
    with pytest.raises(ConfigurationError) as refused:
        standing.pin(pinned, BOOKS, replace(DEMO, id="guid-2", name="Real Ltd"))

    assert str(refused.value) == (
        "Connection books belongs to Demo Trading (UK) (guid-1), but Real Ltd (guid-2) answers now."
    )
    assert refused.value.exit_code is ExitCode.PERSON
    row = standing.read(pinned, "books")
    assert row is not None
    assert row["target_name"] == "Demo Trading (UK)"


def test_a_pause_ends_with_a_resume_and_both_are_on_record(pinned: Session) -> None:
    standing.pause(pinned, "books", by="ann", reason="month end")
    paused = standing.read(pinned, "books")

    assert paused is not None
    assert (paused["paused_by"], paused["stopped_at"]) == ("ann", None)
    assert standing.resume(pinned, "books", by="bob") == "paused"
    assert standing.resume(pinned, "books", by="bob") is None
    assert decisions(pinned) == [("pause", "ann", "month end"), ("resume", "bob", None)]
    assert audited(pinned) == [("pause", "ann", "books"), ("resume", "bob", "books")]


def test_of_several_refusals_the_first_stays_until_a_person_resumes(pinned: Session) -> None:
    standing.stop(pinned, "books", reason="plan limit")
    standing.stop(pinned, "books", reason="something later")

    row = standing.read(pinned, "books")
    assert row is not None
    assert row["stopped_reason"] == "plan limit"
    assert standing.resume(pinned, "books", by="ann") == "stopped"
    resumed = standing.read(pinned, "books")
    assert resumed is not None
    assert resumed["stopped_at"] is None


def test_what_was_never_connected_cannot_be_paused(connection: Session) -> None:
    with pytest.raises(ConfigurationError, match="never connected") as refused:
        standing.pause(connection, "books", by="ann", reason="")

    assert refused.value.cure == "Run `tieout connect books` first."
    assert decisions(connection) == []
