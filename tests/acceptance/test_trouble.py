"""What goes wrong around tieout: a clear message, the promised exit code, and the next run completes what this one did not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest

import sandbox.control
from sandbox.people import shopper
from sandbox.stand import item, place
from tests.acceptance.fix_setup import admin, write_settings
from tests.acceptance.fix_world import World, now


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """A short trade, delivered."""
    world.play(20)
    world.first_run()


@pytest.fixture
def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something while the next call that makes invoices is on its way."""

    def arrange(action: Callable[[], object]) -> None:
        monkeypatch.setattr(sandbox.control, "time", SimpleNamespace(sleep=lambda _: action()))
        world.fault(world.books, "slow", "PUT", "/Invoices$")

    return arrange


def order_now(world: World, number: int) -> int:
    """A new order of a new shopper, paid by card."""
    who = shopper(random.Random(0)).renamed("Trouble", f"Number {number}", f"trouble.{number}@example.com")
    return int(place(world.stand, who, now(), [item("MUG-01")])["entity_id"])


def completed(world: World, *orders: int) -> None:
    """The next runs deliver everything, once."""
    for _ in range(2):
        world.sync()
    for number in orders:
        assert world.invoice(number)["Status"] == "PAID"
        assert len(world.payments(number)) == 1
        assert len(world.comments(number)) == 1
    assert world.not_sent() == (frozenset(), frozenset())


@pytest.mark.parametrize("secret", ["custom_client_secret", "access_token_secret"])
def test_wrong_credentials_are_said_with_the_connection_and_lose_nothing(world: World, secret: str) -> None:
    number = order_now(world, len(secret))
    right = {**world.books.credentials, **world.shop.credentials}[secret]
    forget_tokens(world)
    write_settings(world, lambda text: text.replace(right, "wrong" + right[5:]))
    failed = world.run("sync", codes=(3,))
    write_settings(world)

    name = "books" if secret.startswith("custom") else "shop"
    assert name in str(failed.data)
    assert right not in failed.said + str(failed.data)
    completed(world, number)


def forget_tokens(world: World) -> None:
    """As on another machine: nobody is logged in."""
    with world.database.connect() as session:
        session.execute("delete from cdc.vault")


def test_a_token_that_expires_on_the_way_is_renewed_and_nobody_notices(world: World) -> None:
    number = order_now(world, 2)
    world.fault(world.books, "expired_token", "PUT", "/Invoices$")

    with world.watched() as calls:
        world.sync()

    assert calls.count("PUT Invoices") == 2, "refused unprocessed, then sent"
    assert world.invoice(number)["Status"] == "PAID"
    completed(world, number)


def test_a_database_that_goes_down_in_the_middle_loses_nothing(
    world: World, server_url: str, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    number, name = order_now(world, 3), world.database.url.rpartition("/")[2]

    def cut() -> None:
        admin(server_url, "alter database {name} allow_connections false", name)
        admin(
            server_url,
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'",
            name,
        )

    meanwhile(cut)
    failed = world.run("sync", codes=(4,))
    admin(server_url, "alter database {name} allow_connections true", name)

    assert failed.data["error"] == "DatabaseDown"
    assert "nothing was lost" in failed.data["cure"].lower()
    with world.watched() as calls:
        waiting = world.run("sync", codes=(4,))
    assert calls == [], "until its deadline the call may still be on its way"
    assert "still be on their way" in str(waiting.data)
    assert "on its way" in world.run("status").data["verdict"]
    two_minutes_pass(world)
    completed(world, number)


def two_minutes_pass(world: World) -> None:
    """Calls that nobody answers for any more are past their deadline."""
    with world.database.connect() as session:
        session.execute("update cdc.calls set deadline = clock_timestamp() where settled_at is null")


def test_a_database_that_cannot_be_reached_is_said_so(world: World) -> None:
    write_settings(
        world, lambda text: text.replace(world.database.url, "postgresql://nobody@127.0.0.1:1/none")
    )
    failed = world.run("sync", codes=(4,))
    write_settings(world)

    assert failed.data["error"] == "DatabaseDown"
    assert failed.data["cure"]


def test_a_half_written_settings_file_is_named_with_its_line(world: World) -> None:
    write_settings(world, lambda text: text[: text.index("client_secret") + 20])
    failed = world.run("sync", codes=(3,))
    write_settings(world)

    assert failed.data["error"] == "ConfigurationError"
    assert "tieout.toml" in failed.data["message"]
    assert "line" in failed.data["message"]


def test_a_second_process_at_the_same_time_makes_nothing_twice(
    world: World, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    numbers = [order_now(world, 4), order_now(world, 5)]
    second: list[tuple[int, str]] = []

    def run_another() -> None:
        process = world.start("sync")
        printed, said = process.communicate(timeout=120)
        second.append((process.returncode, printed or said))

    meanwhile(run_another)
    with world.watched() as calls:
        first = world.run("sync", codes=(0, 4))

    ((code, printed),) = second
    assert code in (0, 4), printed
    assert json.loads(printed.splitlines()[-1])
    assert first.code in (0, 4)
    assert calls.count("PUT Invoices") == 1
    completed(world, *numbers)


def test_writes_that_are_off_are_said_and_kept(world: World) -> None:
    number = order_now(world, 6)
    write_settings(world, lambda text: text.replace('writes = "on"', 'writes = "off"'))
    with world.watched() as calls:
        off = world.sync()
    write_settings(world)

    assert calls == []
    assert set(off["drain"]["not_written"]) == {"books"}
    completed(world, number)
