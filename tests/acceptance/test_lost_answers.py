"""Answers that get lost: whatever the network does while documents are written, each exists exactly once afterwards."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sandbox.people import shopper
from sandbox.stand import item, place
from tests.acceptance.fix_world import World, now

LOST = (
    (
        ("books", "reset_after", "PUT", "/Contacts$"),
        ("books", "reset_after", "PUT", "/CreditNotes$"),
        ("shop", "reset_after", "POST", "/comments$"),
    ),
    (
        ("books", "reset_after", "PUT", "/Invoices$"),
        ("books", "500_after", "PUT", "/Payments$"),
        ("shop", "500_after", "POST", "/comments$"),
    ),
    (("books", "500_after", "PUT", "/Invoices$"), ("books", "reset_after", "PUT", "/Allocations$")),
    (("books", "not_json", "PUT", "/Invoices$"), ("books", "503", "PUT", "/Payments$")),
    (
        ("books", "reset_before", "PUT", "/Invoices$"),
        ("books", "429", "PUT", "/Invoices$"),
        ("books", "expired_token", "PUT", "/Invoices$"),
    ),
)
"""Faults that strike in one round, those of one path one after the other: system, kind, method and path."""


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """A short trade, delivered."""
    world.play(20)
    world.first_run()


@pytest.mark.parametrize("faults", LOST)
def test_each_document_exists_once_whatever_became_of_the_answer(
    world: World, faults: tuple[tuple[str, str, str, str], ...]
) -> None:
    _, kind, _, path = faults[0]
    who = shopper(random.Random(0)).renamed(
        "Lost", f"{kind} {path}"[:40], f"{kind}.{path.strip('/$').lower()}@example.com"
    )
    paid = int(place(world.stand, who, now(), [item("MUG-01")])["entity_id"])
    owed = int(place(world.stand, who, now(), [item("LAMP-01")], pay="checkmo")["entity_id"])
    world.stand.shop("invoice", order_id=owed)
    world.stand.shop("refund", order_id=owed)
    for where, named, method, address in faults:
        world.fault(getattr(world, where), named, method, address)

    for _ in range(2 + len(faults)):
        with world.watched() as calls:
            ended = world.run("sync", codes=(0, 4))
        if not calls and ended.code == 0 and not world.unstruck():
            break

    assert world.unstruck() == [], "every fault struck"
    assert world.dead() == {}
    assert world.not_sent() == (frozenset(), frozenset())
    assert world.invoice(paid)["Status"] == "PAID"
    assert len(world.payments(paid)) == 1
    (note,) = world.credit_notes(owed)
    assert (world.invoice(owed)["AmountDue"], len(note["Allocations"])) == (0, 1)
    assert len(world.comments(paid)) == 1
    emails = Counter(each["EmailAddress"] for each in world.xero("Contacts"))
    assert emails[who.email] == 1


def test_afterwards_nothing_is_open_and_the_books_equal_the_separate_ledger(world: World) -> None:
    with world.watched() as calls:
        world.sync()
    wanted, found = world.ledgers()

    assert calls == []
    assert found == wanted
    assert all(total["equal"] for total in world.proof()["totals"])
