"""A load in front of a person: how far it is on a terminal, and Ctrl-C."""

from __future__ import annotations

import io
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from console import loading
from loaders.progress import Backfill, Loaded
from tests.console.fix_console import Place, StandIns
from tests.fix_http import LOCAL
from tieout.errors import ExitCode

LIMIT_SECONDS = 60
LINE = "load books --stream accounts --stream payments --stream invoices"


@contextmanager
def slow(address: str, path: str, seconds: float) -> Iterator[None]:
    """Answers of a path take so long."""
    faults = f"{address}/_sandbox/faults"
    fault = {"kind": "slow", "path": path, "seconds": seconds, "times": 1}
    LOCAL.post(faults, json=fault, timeout=30).raise_for_status()
    try:
        yield
    finally:
        LOCAL.delete(faults, timeout=30).raise_for_status()


def struck(address: str) -> bool:
    """The slow request is there."""
    return not LOCAL.get(f"{address}/_sandbox/faults", timeout=30).json()["faults"]


def test_ctrl_c_ends_a_load_between_two_pages_keeps_what_was_read_and_says_what_to_do(
    migrated: Place, stand_ins: StandIns
) -> None:
    """Accounts are stored and payments wait for an answer when the person gives up; invoices, read after payments, never begin."""
    address = stand_ins.books.address
    assert migrated.run("connect books").exit_code == ExitCode.DONE
    with slow(address, "/Payments", 2), migrated.process(*LINE.split()) as process:
        until = time.monotonic() + LIMIT_SECONDS
        while not (struck(address) and migrated.rows("select id from staging.xero__accounts")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_SECONDS)

    told = [text for text in said.splitlines() if not text.startswith("{")]
    assert process.returncode == ExitCode.LATER, said
    assert told == [
        "Stopped: The load was interrupted; what was read until then is kept.",
        "What to do: Run the same command again: it goes on where it stopped.",
    ]
    ended = "select exit_code, finished_at is not null as ended from cdc.runs where command = 'load' order by started_at desc limit 1"
    assert migrated.rows(ended) == [{"exit_code": ExitCode.LATER, "ended": True}]
    read = "select stream from cdc.cursors where backfilled_at is not null"
    assert {row["stream"] for row in migrated.rows(read)} - {"payments"} == {"accounts"}

    again = migrated.answer(LINE)

    assert next(each for each in again["streams"] if each["stream"] == "accounts")["changed"] == 0
    assert {row["stream"] for row in migrated.rows(read)} == {"accounts", "payments", "invoices"}


def going(rows: int, left: int | None) -> Loaded:
    backfill = Backfill(
        connection="books", stream="invoices", rows=rows, left=left, pages_left=3, seconds_left=180.0,
        is_bound_by_day=False,
    )  # fmt: skip
    return Loaded(connection="books", stream="invoices", rows=rows, changed=rows, backfill=backfill)


def test_a_terminal_shows_a_line_a_stream_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(loading, "Console", lambda **_: screen)

    with loading.bars() as tell:
        assert isinstance(tell, loading._Bars)
        shown = tell._shown
        tell(going(12_000, 36_000))
        tell(Loaded(connection="shop", stream="orders", rows=40, changed=7))
        tell(going(24_000, 24_000))
        lines = {
            task.description: (task.completed, task.total, task.fields["detail"]) for task in shown.tasks
        }
        shown.refresh()
        tell(Loaded(connection="shop", stream="orders", rows=40, changed=7, is_ended=True))
        left = [task.description for task in shown.tasks]

    assert lines == {
        "books invoices": (24_000, 48_000, "24,000 of 48,000 (50 %), 3 min left"),
        "shop orders": (40, None, "40 read, 7 changed"),
    }
    assert left == ["books invoices"]
    written = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "books invoices" in written
    assert "24,000 of 48,000 (50 %), 3 min left" in written


def test_without_a_terminal_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(loading, "Console", lambda **_: Console(file=written, force_terminal=False))

    with loading.bars() as tell:
        tell(going(12_000, None))

    assert written.getvalue() == ""
