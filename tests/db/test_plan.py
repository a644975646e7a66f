"""What the next drain would send: sums with money and calls, entries field by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from cdc.plan import PlannedField, plan
from tieout.db import json_dumps
from tieout.errors import ConfigurationError
from tieout.settings import Connection, Settings

Session = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def known(settings: Settings) -> Settings:
    """Settings with one set of books."""
    return replace(settings, connections={"books": Connection(name="books", system="xero")})


def put(
    connection: Session,
    key: str,
    *,
    entity: str = "invoices",
    operation: str = "create",
    state: str = "ready",
    amount: str | None = "10.00",
    currency: str | None = "GBP",
    payload: dict[str, object] | None = None,
    fields: Sequence[str] | None = None,
    said: dict[str, object] | None = None,
) -> None:
    """An open entry with its link."""
    place = {"entity": entity, "key": key}
    connection.execute(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id, said) "
        "values ('books', %(entity)s, %(key)s, 'm', 'shop', '1', %(said)s)",
        {**place, "said": json_dumps(said) if said is not None else None},
    )
    connection.execute(
        "insert into cdc.outbox (connection, entity, key, model, source_connection, source_id, operation, state, held_for, "
        "payload, payload_hash, link_version, amount, currency, fields) values ('books', %(entity)s, %(key)s, 'm', 'shop', '1', "
        "%(operation)s, %(state)s, %(held_for)s, %(payload)s, 'h', 0, %(amount)s, %(currency)s, %(fields)s)",
        {
            **place,
            "operation": operation,
            "state": state,
            "held_for": "guard" if state == "held" else None,
            "payload": json_dumps(payload or {"Reference": "1"}),
            "amount": amount,
            "currency": currency,
            "fields": list(fields) if fields is not None else None,
        },
    )


def test_an_empty_outbox_is_an_empty_plan(connection: Session, known: Settings) -> None:
    found = plan(connection, known)

    assert (found.total, found.sums, found.entries) == (0, (), ())


def test_entries_are_summed_by_kind_and_currency_with_the_calls_they_cost(
    connection: Session, known: Settings
) -> None:
    for number in range(51):
        put(connection, f"shop/order/{number}/1")
    put(connection, "shop/order/99/1", currency="EUR", amount="2.50")
    put(connection, "shop/customer/1", entity="contacts", amount=None, currency=None, state="held")

    sums = {(each.entity, each.currency): each for each in plan(connection, known, limit=0).sums}

    pounds = sums["invoices", "GBP"]
    # Xero takes 50 invoices a call.
    assert (pounds.entries, pounds.amount, pounds.calls, pounds.state) == (51, Decimal("510.00"), 2, "ready")
    assert sums["invoices", "EUR"].amount == Decimal("2.50")
    assert (sums["contacts", None].amount, sums["contacts", None].state) == (Decimal(0), "held")


def test_a_new_record_shows_every_field_and_nothing_before(connection: Session, known: Settings) -> None:
    put(connection, "shop/order/1/1", payload={"Reference": "1", "Date": "2026-03-01"})

    (entry,) = plan(connection, known).entries

    assert entry.fields == (
        PlannedField(name="Date", before=None, after="2026-03-01"),
        PlannedField(name="Reference", before=None, after="1"),
    )


def test_a_change_shows_only_its_fields_against_what_was_agreed(connection: Session, known: Settings) -> None:
    put(
        connection,
        "shop/order/1/1",
        operation="update",
        payload={"Reference": "2", "Date": "2026-03-01"},
        fields=["Reference"],
        said={"Reference": "1", "Date": "2026-03-01"},
    )

    (entry,) = plan(connection, known).entries

    assert entry.fields == (PlannedField(name="Reference", before="1", after="2"),)


def test_a_removal_shows_no_fields(connection: Session, known: Settings) -> None:
    put(connection, "shop/order/1/1", operation="remove", said={"Reference": "1"})

    (entry,) = plan(connection, known).entries

    assert (entry.operation, entry.fields) == ("remove", ())


def test_a_plan_is_narrowed_by_target_entity_and_beginning_of_a_key(
    connection: Session, known: Settings
) -> None:
    put(connection, "shop/order/1/1")
    put(connection, "shop/order/17/1")
    put(connection, "shop/customer/1", entity="contacts")

    def keys(**wanted: Any) -> list[str]:
        return [entry.key for entry in plan(connection, known, **wanted).entries]

    assert keys(entity="contacts") == ["shop/customer/1"]
    assert keys(key="shop/order/17") == ["shop/order/17/1"]
    assert keys(key="shop/order/%") == []
    assert keys(connection="others") == []


def test_the_limit_cuts_entries_but_not_the_sums(connection: Session, known: Settings) -> None:
    put(connection, "shop/order/1/1")
    put(connection, "shop/order/2/1")

    found = plan(connection, known, limit=1)

    assert (found.total, [entry.key for entry in found.entries]) == (2, ["shop/order/1/1"])


def test_entries_of_a_connection_that_the_settings_lost_are_told_with_its_name(
    connection: Session, settings: Settings
) -> None:
    put(connection, "shop/order/1/1")

    with pytest.raises(ConfigurationError, match="no connection 'books'"):
        plan(connection, settings)
