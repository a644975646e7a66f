"""A Magento stand-in to talk to without a socket, and the recorded exchanges to hold it against."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.magento.app import create_app

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "specs" / "magento" / "recorded"
IGNORED = frozenset(
    {
        "additional_information",
        "billing_address_id",
        "can_void_flag",
        "created_at",
        "email_sent",
        "entity_id",
        "increment_id",
        "invoice_id",
        "item_id",
        "key",
        "last_trans_id",
        "method",
        "option_id",
        "option_selections",
        "option_value",
        "order_id",
        "order_item_id",
        "parent_id",
        "parent_item_id",
        "parent_txn_id",
        "payment_id",
        "product_id",
        "protect_code",
        "quote_id",
        "quote_item_id",
        "remote_ip",
        "shipping_address_id",
        "transaction_id",
        "txn_id",
        "updated_at",
        "value",
    }
)


class Shop:
    """REST and control calls on an app of its own; numbers are exact."""

    def __init__(self, **options: Any) -> None:
        self.app = create_app(**{"race_window_ms": 0, **options})
        self.http = self.app.test_client()
        credentials = self.app.config["CREDENTIALS"]
        body = {"username": credentials["admin_username"], "password": credentials["admin_password"]}
        self.token: str | None = None
        self.token = self.post("/rest/V1/integration/admin/token", body)
        self.status = 0

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a call and return its JSON; the status is kept in `status`."""
        head, _, query = path.partition("?")
        target = quote(head, safe="/%") + (f"?{quote(query, safe='=&[],%+/:')}" if query else "")
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        data = None if body is None else dumps(body)
        kind = {"Content-Type": "application/json"} if body is not None else {}
        answer = self.http.open(target, method=method, data=data, headers={**kind, **headers})
        self.status = answer.status_code
        text = answer.get_data(as_text=True)
        try:
            return json.loads(text, parse_float=Decimal)
        except ValueError:
            return text

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, {} if body is None else body)

    def put(self, path: str, body: Any) -> Any:
        return self.call("PUT", path, body)

    def control(self, name: str, **body: Any) -> Any:
        return self.call("POST", f"/_sandbox/{name}", body)

    def order(self, number: int) -> Any:
        return self.get(f"/rest/V1/orders/{number}")

    def place(self, *items: tuple[str, Any] | dict[str, Any], **more: Any) -> Any:
        """Place an order of (sku, quantity) pairs or whole entries."""
        entries = [item if isinstance(item, dict) else {"sku": item[0], "qty": item[1]} for item in items]
        return self.control("place", items=entries, **more)

    def tick(self, seconds: int = 2) -> None:
        """Let time pass."""
        self.control("clock", advance_seconds=seconds)

    def freeze(self) -> None:
        """Stop the clock, so that only `tick` moves stamps."""
        self.control("clock", freeze=True)


def dumps(body: Any) -> str:
    return json.dumps(body, default=lambda value: float(value) if value % 1 else int(value))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def recorded(name: str) -> list[dict[str, Any]]:
    """The exchanges of a recording; skips the test where the recordings are not beside the repository."""
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded exchanges are not beside the repository")
    exchanges: list[dict[str, Any]] = json.loads(path.read_text(), parse_float=Decimal)["exchanges"]
    return exchanges


def differences(
    expected: Any, actual: Any, path: str = "", ignored: frozenset[str] = IGNORED
) -> Iterator[str]:
    """Where two JSON values differ, but for keys that differ between any two shops."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in dict.fromkeys(itertools.chain(expected, actual)):
            if key in ignored:
                continue
            place = f"{path}.{key}"
            if key not in actual:
                yield f"{place}: {expected[key]!r} is absent"
            elif key not in expected:
                yield f"{place}: {actual[key]!r} should be absent"
            else:
                yield from differences(expected[key], actual[key], place, ignored)
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path}: {len(actual)} entries instead of {len(expected)}"
        for index, (one, two) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, two, f"{path}[{index}]", ignored)
    elif expected != actual:
        yield f"{path}: {actual!r} instead of {expected!r}"


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested JSON as the recordings flatten it: `items[0].qty_invoiced`."""
    if isinstance(value, dict) and value:
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= flat(item, f"{path}.{key}" if path else key)
        return found
    if isinstance(value, list) and value:
        found = {}
        for index, item in enumerate(value):
            found |= flat(item, f"{path}[{index}]")
        return found
    return {path: value}
