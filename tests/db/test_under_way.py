"""Diffs wait for loads that go on, their own process's and others', and never for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from cdc.under_way import UnderWay
from tieout.db import Database

Session = psycopg.Connection[dict[str, Any]]
MINUTE = 60.0


@dataclass
class Hosts:
    """Two processes, and a clock that both read."""

    database: Database
    session: Session
    now: float = 0.0
    here: UnderWay = field(init=False)
    there: UnderWay = field(init=False)

    def __post_init__(self) -> None:
        self.here, self.there = (UnderWay(self.database, MINUTE, lambda: self.now) for _ in range(2))

    def waits(self, seconds: float = 0.0) -> tuple[bool, bool]:
        """Do the diffs of both wait, so many seconds later?"""
        self.now += seconds
        return self.here.is_waited_for(self.session), self.there.is_waited_for(self.session)


@pytest.fixture
def hosts(database: Database) -> Iterator[Hosts]:
    with database.connect() as session:
        hosts = Hosts(database=database, session=session)
        yield hosts
        hosts.here.close()
        hosts.there.close()


def test_both_wait_from_the_first_news_to_the_end_of_the_last_load(hosts: Hosts) -> None:
    assert hosts.waits() == (False, False)
    hosts.here.brings("shop")
    hosts.here.brings("books")
    hosts.here.brings("shop")
    assert hosts.waits(1) == (True, True)
    assert hosts.here.ended("shop")
    assert hosts.waits(1) == (True, True)
    assert hosts.here.ended("books")
    assert not hosts.here.ended("books")
    assert hosts.waits(1) == (False, False)


def test_the_end_of_a_load_wakes_the_diffs_of_others(hosts: Hosts) -> None:
    hosts.session.execute("listen tieout_changes")
    hosts.here.brings("shop")
    hosts.here.ended("shop")

    assert [note.channel for note in hosts.session.notifies(timeout=10, stop_after=1)] == ["tieout_changes"]


def test_a_load_that_takes_long_is_followed_page_by_page(hosts: Hosts) -> None:
    hosts.here.brings("shop")
    hosts.waits()

    assert hosts.waits(MINUTE - 1) == (True, True)
    assert hosts.waits(1) == (False, False)
    assert hosts.waits(MINUTE) == (False, False)


def test_loads_that_overlap_without_end_delay_a_diff_twice_as_long_at_most(hosts: Hosts) -> None:
    waited: list[tuple[bool, bool]] = []
    for step in range(7):
        # A new one each half minute, and the one before goes on until the next begins.
        hosts.here.brings(f"shop {step}")
        hosts.here.ended(f"shop {step - 2}")
        waited.append((hosts.here.is_waited_for(hosts.session), hosts.there.is_waited_for(hosts.session)))
        hosts.now += MINUTE / 2

    assert [here for here, _ in waited] == [True, True, True, True, False, True, True]


def test_a_process_that_dies_is_not_waited_for(hosts: Hosts) -> None:
    hosts.here.brings("shop")
    assert hosts.waits() == (True, True)

    hosts.session.execute(
        "select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory' and objsubid = 2"
        " and database = (select oid from pg_database where datname = current_database())"
    )

    assert hosts.there.is_waited_for(hosts.session) is False
    assert hosts.here.ended("shop")
    hosts.here.brings("shop")
    assert hosts.waits() == (True, True)
