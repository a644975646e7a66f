"""`tieout run` beside a shop: an order is in the books without any other command; killed or asked to end, nothing is twice or lost.

Each order is a mug and shipping, 12.50 + 5.00 net, 20 % tax, paid by card on the day it was placed:

    Dr Debtors 21.00  Cr 200/201 17.50  Cr VAT 3.50;  Dr Clearing 21.00  Cr Debtors 21.00
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox import trade
from sandbox.people import shopper
from sandbox.stand import item, place
from tests.acceptance.fix_world import World, now
from tieout.settings import package_root

GROSS = Decimal("21.00")


@pytest.fixture(scope="module", autouse=True)
def live(world: World) -> None:
    """A shop with one order that is in the books."""
    trade.prepare(world.stand)
    order(world, 1)
    world.first_run()


def order(world: World, number: int) -> int:
    """An order of this moment, paid by card."""
    who = shopper(random.Random(number)).renamed("New", f"Shopper {number}", f"new.{number}@example.com")
    placed: int = int(place(world.stand, who, now(), [item("MUG-01")], pay="cardpay")["entity_id"])
    return placed


def until(fact: Callable[[], Any], seconds: float = 120) -> None:
    """Wait for something that another process does."""
    ends = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`tieout run` as a process; what it says goes to files, since it says much."""

    process: subprocess.Popen[bytes]
    out: Path
    said: Path


@contextmanager
def running(world: World) -> Iterator[Run]:
    """One, ended in any case."""
    name = uuid.uuid4().hex
    out, said = world.folder / f"{name}.out", world.folder / f"{name}.err"
    with out.open("wb") as to_out, said.open("wb") as to_said:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "console",
                "run",
                *("--every", "1s", "--look", "1s", "--marts", "1h"),
                "--json",
            ],
            env={
                **os.environ,
                "TIEOUT_SETTINGS": str(world.settings_file),
                "PYTHONPATH": str(package_root()),
            },
            stdout=to_out,
            stderr=to_said,
        )
    try:
        yield Run(process=process, out=out, said=said)
    finally:
        process.kill()
        process.wait()


def is_paid(world: World, number: int) -> bool:
    """Is its invoice in the books, with its payment?"""
    return [each["Status"] for each in world.invoices(number)] == ["PAID"]


def balances(world: World) -> dict[str, Decimal]:
    """What the documents of all orders come to, by the books themselves."""
    invoices = world.xero("Invoices")
    return {
        "sold": sum((each["Total"] for each in invoices if each["Status"] == "PAID"), Decimal(0)),
        "paid": sum((each["Amount"] for each in world.xero("Payments")), Decimal(0)),
    }


def test_an_order_goes_into_the_books_by_itself_and_sigterm_ends_it_well(world: World) -> None:
    with running(world) as run:
        number = order(world, 2)
        until(lambda: is_paid(world, number))
        until(lambda: len(world.comments(number)) == 1)
        run.process.send_signal(signal.SIGTERM)
        code = run.process.wait(timeout=120)

    assert code == 0, run.said.read_text()[-3000:]
    done = json.loads(run.out.read_text().strip().splitlines()[-1])
    assert done["calls"] >= 4
    assert balances(world) == {"sold": 2 * GROSS, "paid": 2 * GROSS}
    (ended,) = world.rows("select exit_code from cdc.runs where command = 'run'")
    assert ended["exit_code"] == 0


def test_what_a_killed_one_left_is_done_once_by_the_next(world: World) -> None:
    with running(world) as run:
        numbers = [order(world, each) for each in (3, 4, 5)]
        until(lambda: world.rows("select 1 from cdc.outbox where connection = 'books'"))
        run.process.kill()
    with running(world):
        until(lambda: all(is_paid(world, number) for number in numbers))

    assert [len(world.invoices(number)) for number in numbers] == [1, 1, 1]
    assert balances(world) == {"sold": 5 * GROSS, "paid": 5 * GROSS}


def test_two_beside_each_other_and_a_command_between_them_write_each_order_once(world: World) -> None:
    with running(world), running(world):
        numbers = [order(world, each) for each in (6, 7, 8)]
        world.sync(codes=(0, 4))
        until(lambda: all(is_paid(world, number) for number in numbers))

    assert [len(world.invoices(number)) for number in numbers] == [1, 1, 1]
    assert balances(world) == {"sold": 8 * GROSS, "paid": 8 * GROSS}


def test_a_migration_ends_it_with_six(world: World) -> None:
    with running(world) as run:
        until(
            lambda: len(
                world.rows(
                    "select 1 from pg_stat_activity where datname = current_database() and query ilike 'listen%%'"
                )
            )
        )
        with world.database.connect() as session:
            session.execute(
                "insert into cdc.migrations (name, number, checksum) values ('9999_later.sql', 9999, 'x')"
            )
        code = run.process.wait(timeout=120)
        with world.database.connect() as session:
            session.execute("delete from cdc.migrations where number = 9999")

    assert code == 6
