"""Of a part of the history nothing is said: models wait for the end of first loads, and nothing that they are to look at is lost."""

from __future__ import annotations

import pytest

from tests.db.fix_engine import Engine, engine

__all__ = ["engine"]


def begin(engine: Engine, stream: str, *, is_first: bool = True) -> None:
    """The history of a stream of the shop goes on."""
    engine.connection.execute(
        "insert into cdc.cursors (connection, stream, history, backfilled_at)"
        " values ('shop', %s, '{\"below\": 7}', case when %s then null else now() end)",
        (stream, is_first),
    )


@pytest.mark.parametrize("full", [False, True])
def test_a_model_waits_while_what_it_reads_is_loaded_for_the_first_time(engine: Engine, full: bool) -> None:
    begin(engine, "customers")
    engine.customer()

    during = engine.diff(full=full)

    assert during.unread["out_contacts"] == ("shop customers",)
    assert engine.states() == {}
    engine.connection.execute("update cdc.cursors set history = null, backfilled_at = now()")

    after = engine.diff()

    assert after.unread == {}
    assert engine.states() == {"shop/customer/7": "ready"}


def test_a_full_load_of_what_was_loaded_before_holds_nothing_up(engine: Engine) -> None:
    begin(engine, "customers", is_first=False)
    engine.customer()

    assert engine.diff().unread == {}
    assert engine.states() == {"shop/customer/7": "ready"}


def test_another_connections_first_load_of_a_stream_that_no_model_reads_holds_nothing_up(
    engine: Engine,
) -> None:
    begin(engine, "tax_classes")
    engine.customer()

    assert engine.diff().unread == {}
    assert engine.states() == {"shop/customer/7": "ready"}
