"""Yesterday's backup put back, and a database that is empty: nothing is posted until the links are rebuilt, and nothing twice.

The day that the backup does not know, in the books (611 clearing, 610 debtors, 820 tax, 201 goods, 202 shipping):

    a mug, paid online     Dr 610 21.00 / Cr 201 12.50, Cr 202 5.00, Cr 820 3.50    Dr 611 21.00 / Cr 610 21.00
    a lamp, by cheque      Dr 610 / Cr 201, Cr 202, Cr 820
      … taken back         Dr 201, Dr 202, Dr 820 / Cr 610    and the credit put on the invoice: nothing is left of it
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.people import shopper
from sandbox.stand import item, place
from tests.acceptance.fix_setup import admin, write_settings
from tests.acceptance.fix_world import World, now
from tieout.db import Database

Json = dict[str, Any]
LOCAL = httpx.Client(timeout=30)
DAY = {
    "201": Decimal("-12.50"),
    "202": Decimal("-5.00"),
    "820": Decimal("-3.50"),
    "611": Decimal("21.00"),
}
KINDS = ("Contacts", "Items", "Invoices", "CreditNotes", "Payments", "Prepayments", "Overpayments")


def counted(world: World) -> Counter[str]:
    """Documents in the books, allocations on them, and the comments in the shop that bear our mark."""
    found = Counter({kind: len(world.xero(kind)) for kind in KINDS})
    found["Allocations"] = sum(len(note.get("Allocations") or ()) for note in world.xero("CreditNotes"))
    found["comments"] = sum(
        "[tieout:" in str(each.get("comment"))
        for order in world.shop_list("orders")
        for each in order.get("status_histories") or ()
    )
    return found


def balances(world: World) -> dict[str, Decimal]:
    """The trial balance of the stand-in, debits positive."""
    shown: Json = LOCAL.get(f"{world.books.address}/_sandbox/ledger").json()
    return {each["code"]: Decimal(str(each["base_balance"])) for each in shown["accounts"]}


@pytest.fixture(scope="module")
def backup(world: World) -> Path:
    """A trade that was delivered, its backup, and a day of trade after it."""
    world.play(8)
    world.first_run()
    file = world.folder / "monday.dump"
    told = world.run("backup", str(file)).data
    before = balances(world)
    who = shopper(random.Random(3)).renamed("Late", "Comer", "late.comer@example.com")
    place(world.stand, who, now(), [item("MUG-01")])
    owed = int(place(world.stand, who, now(), [item("LAMP-01")], pay="checkmo")["entity_id"])
    world.stand.shop("invoice", order_id=owed)
    world.stand.shop("refund", order_id=owed)
    world.sync(codes=(0, 5))
    world.run("holds", "approve", "--reason", "first credit note")
    for _ in range(2):
        world.sync()
    after = balances(world)
    moved = {code: after[code] - before.get(code, Decimal(0)) for code in after}
    assert {code: amount for code, amount in moved.items() if amount} == DAY
    assert told["vault_key"].endswith("vault.key")
    return file


def test_a_backup_that_is_put_back_writes_nothing_until_it_is_recovered(world: World, backup: Path) -> None:
    before, held = counted(world), balances(world)
    world.run("restore", str(backup), codes=(2,))
    world.run("restore", str(backup), "--replace")

    with world.watched() as calls:
        synced = world.run("sync", codes=(3,))
    status = world.run("status").data

    assert calls == []
    assert (counted(world), balances(world)) == (before, held)
    assert "put back from monday.dump" in synced.data["drain"]["errors"][0]["message"]
    assert "tieout recover" in synced.said
    assert status["ok"] is False
    assert "tieout recover" in status["verdict"]


def test_after_the_recovery_everything_is_linked_and_nothing_is_there_twice(
    world: World, backup: Path
) -> None:
    before, held = counted(world), balances(world)

    with world.watched() as calls:
        done = world.run("recover").data
        world.sync()
    wanted, found = world.ledgers()

    assert {each["connection"]: each["twice"] for each in done["targets"]} == {"books": 0, "shop": 0}
    assert calls == []
    assert (counted(world), balances(world)) == (before, held)
    assert world.dead() == {}
    assert found == wanted
    assert all(total["equal"] for total in world.proof()["totals"])


def test_the_next_sale_goes_its_ordinary_way(world: World, backup: Path) -> None:
    who = shopper(random.Random(3)).renamed("Late", "Comer", "late.comer@example.com")
    number = int(place(world.stand, who, now(), [item("MUG-01")])["entity_id"])

    for _ in range(2):
        world.sync()

    assert world.invoice(number)["Status"] == "PAID"
    assert len(world.payments(number)) == len(world.comments(number)) == 1
    assert world.run("recover").data["because"] is None
    # Another customer, order or payment under a key that was used before is held, not posted over it.
    without = world.rows(
        "select key from cdc.links where identity is null and model in"
        " ('out_xero__contacts', 'out_xero__invoices', 'out_xero__credit_notes', 'out_xero__payments')"
    )
    assert without == []


def test_an_empty_database_before_these_books_is_linked_from_the_marks_and_doubles_nothing(
    world: World, backup: Path, built: str, server_url: str
) -> None:
    before, held = counted(world), balances(world)
    name = f"{world.database.url.rpartition('/')[2]}_new"
    admin(server_url, "create database {name} template {template} strategy file_copy", name, built)
    former, world.database = world.database, Database(f"{server_url.rpartition('/')[0]}/{name}")
    write_settings(world)
    try:
        with world.watched() as calls:
            for each in ("shop", "books"):
                world.run("connect", each)
            world.run("load")
            world.run("diff", codes=(0, 5))
            world.run("holds", "approve", "--reason", "a mistake")
            refused = world.run("drain", codes=(3,))
            done = world.run("recover", "--anyway").data
            world.sync(codes=(0, 5))
        left = world.rows("select key, held_for, cause from cdc.outbox")
    finally:
        world.database = former
        write_settings(world)
        admin(server_url, "drop database {name} with (force)", name)

    assert "two of them would post everything twice" in refused.said
    assert calls == []
    assert (counted(world), balances(world)) == (before, held)
    assert {each["connection"]: each["twice"] for each in done["targets"]} == {"books": 0, "shop": 0}
    # That others had entered this contact, and that its name is theirs, only the former database knew.
    assert left == [{"key": "shop/guest/adopted@example.com", "held_for": "guard", "cause": "after recovery"}]
