"""A Magento stand-in on a real port, for clients that others wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from sandbox.magento import start
from sandbox.serving import Running


def is_whole(distribution: str) -> bool:
    """Whether a distribution's files are as installed: two of one package name overwrite each other."""
    for file in metadata.distribution(distribution).files or []:
        if file.hash is None or file.suffix != ".py":
            continue
        digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            return False
    return True


def control(running: Running, name: str, **body: Any) -> Any:
    """Call a control route."""
    request = urllib.request.Request(
        f"{running.address}/_sandbox/{name}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A shop with five orders, one of them invoiced and shipped, and two customers."""
    shop = start(integration_as_bearer=True, race_window_ms=0)
    for number in range(5):
        control(shop, "place", items=[{"sku": "MUG-01", "qty": number + 1}])
    control(shop, "pay", order_id=1)
    control(shop, "ship", order_id=1)
    for name in ("ann", "bob"):
        control(shop, "customers", email=f"{name}@example.com")
    yield shop
    shop.stop()
