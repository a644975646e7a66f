"""The hash of a plan: of the same batch the same, whatever the order; of another batch another."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from cdc.plan_batch import entry_of, plan_hash
from tieout.db import canonical_hash

texts = st.text(st.characters(codec="utf-8", categories=("L", "N")), max_size=4)
values = texts | st.integers(-9, 9) | st.decimals(-99, 99, places=2) | st.none() | st.booleans()
lines = st.lists(
    st.fixed_dictionaries(
        {"_line": st.sampled_from("1234"), "AccountCode": texts, "LineAmount": st.decimals(-9, 9, places=2)}
    ),
    max_size=3,
)
references = st.lists(
    st.fixed_dictionaries({"entity": st.just("contacts"), "key": st.sampled_from(["a", "b", "c"])}),
    max_size=2,
)


@st.composite
def rows(draw: st.DrawFn, number: int = 0) -> dict[str, Any]:
    """A row of the outbox with its link."""
    payload = {"Reference": draw(values), "Date": "2026-10-01", "LineItems": draw(lines)}
    operation = draw(st.sampled_from(["create", "update", "remove"]))
    return {
        "connection": "books", "entity": "invoices", "key": f"shop/order/{number}/1", "model": "out_invoices",
        "source_connection": "shop", "source_id": str(number), "operation": operation, "state": "ready", "reason": None, "cause": None,
        "entry": draw(st.integers(1, 99)), "link_version": draw(st.integers(0, 9)), "payload": payload,
        "payload_hash": canonical_hash(payload), "fields": ["LineItems", "Reference"] if operation == "update" else None,
        "control": {"total": "12.00"}, "waits_for": draw(references), "amount": Decimal("12.00"), "currency": "EUR",
        "document_date": None, "said": draw(st.none() | st.just({"Reference": "old"})), "target_id": draw(st.none() | st.just("t")),
        "generation": 1, "is_gone": False, "record": None,
    }  # fmt: skip


batches = st.integers(1, 5).flatmap(lambda count: st.tuples(*(rows(number) for number in range(count))))


def hash_of(batch: Any, build: str = "b1") -> str:
    return plan_hash(build, [entry_of(row, "xero", None).digest for row in batch])


@given(batches, st.randoms())
def test_the_order_of_entries_and_references_makes_no_other_hash(batch: Any, chance: Any) -> None:
    mixed = deepcopy(list(batch))
    chance.shuffle(mixed)
    for row in mixed:
        chance.shuffle(row["waits_for"])

    assert hash_of(mixed) == hash_of(batch)


@given(batches, st.sampled_from(["held", "waiting"]), st.integers(100, 200))
def test_states_and_numbers_make_no_other_hash(batch: Any, state: str, more: int) -> None:
    later = [
        {
            **row,
            "state": state,
            "reason": "why",
            "entry": row["entry"] + more,
            "link_version": row["link_version"] + 1,
        }
        for row in batch
    ]

    assert hash_of(later) == hash_of(batch)


@given(batches, st.data())
def test_a_field_or_line_or_link_that_is_another_anywhere_makes_another_hash(
    batch: Any, data: st.DataObject
) -> None:
    other = deepcopy(list(batch))
    row = data.draw(st.sampled_from(other))
    match data.draw(
        st.sampled_from(["field", "line", "amount", "currency", "said", "target", "reference", "operation"])
    ):
        case "field":
            row["payload"]["Reference"] = data.draw(values)
        case "line":
            row["payload"]["LineItems"] = data.draw(lines)
        case "amount":
            row["amount"] = data.draw(st.none() | st.decimals(-99, 99, places=2))
        case "currency":
            row["currency"] = data.draw(st.none() | st.just("GBP"))
        case "said":
            row["said"] = data.draw(st.none() | st.fixed_dictionaries({"Reference": texts}))
        case "target":
            row["target_id"] = data.draw(st.none() | st.sampled_from("tu"))
        case "reference":
            row["waits_for"] = data.draw(references)
        case "operation":
            row["operation"] = data.draw(st.sampled_from(["create", "remove"]))
    row["payload_hash"] = canonical_hash(row["payload"])
    assume(_told(other) != _told(batch))

    assert hash_of(other) != hash_of(batch)


@given(batches)
def test_an_entry_less_or_another_build_makes_another_hash(batch: Any) -> None:
    assert hash_of(batch[1:]) != hash_of(batch)
    assert hash_of(batch, "b2") != hash_of(batch)


def _told(batch: Any) -> str:
    """What must be the same for a hash to be the same: numbers by value, references in any order."""
    names = ("payload", "amount", "currency", "said", "target_id", "operation")
    return canonical_hash(
        [[*(row[name] for name in names), sorted(row["waits_for"], key=canonical_hash)] for row in batch]
    )
