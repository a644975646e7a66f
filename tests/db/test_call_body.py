"""A repeat of a call is the same, byte for byte, or the vendor refuses it (Xero: Idempotency)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc.calls import body_bytes


def test_body_from_the_record_of_a_call_is_the_same_bytes(connection: psycopg.Connection[dict[str, Any]]):
    """jsonb keeps keys in an order of its own."""
    body = {
        "Payments": [
            {"Reference": "ä", "Amount": Decimal("10.00"), "Invoice": {"InvoiceID": "i"}, "Date": "d"}
        ]
    }

    row = connection.execute("select %s::jsonb as body", (Jsonb(body),)).fetchone()

    assert row is not None
    assert list(row["body"]["Payments"][0]) != list(body["Payments"][0])
    assert body_bytes(row["body"]) == body_bytes(body)


def test_no_body_is_no_bytes():
    assert body_bytes(None) == b""
