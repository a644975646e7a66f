"""my-magento (TDKorn) against the stand-in: password login, its own query builder and models.

It and PyMagento both install a package called `magento`, so only the one installed last is whole. This
client is therefore run in a process of its own, from the environment or from the folder that
MY_MAGENTO_PATH names (`pip install --no-deps --target FOLDER my-magento`). It drops the port of its
address, so the stand-in is its proxy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from sandbox.serving import Running
from tests.clients.fix_magento import is_whole, running

__all__ = ["running"]

_SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1]) if sys.argv[1] else None
import magento
domain, username, password = sys.argv[2:]
client = magento.Client(domain, username, password, local=True, user_agent="test", log_level="ERROR")
orders = client.orders.add_criteria("grand_total", "30", "gt").execute()
print(json.dumps({
    "orders": sorted(order.increment_id for order in orders),
    "status": client.orders.by_number("000000001").status,
    "price": client.products.by_sku("MUG-01").price,
    "customer": client.customers.add_criteria("email", "ann@example.com").execute().lastname,
    "invoice": client.invoices.by_order_number("000000001").grand_total,
}))
"""


def test_my_magento_reads_orders_products_and_customers(running: Running, tmp_path: Path) -> None:
    folder = os.environ.get("MY_MAGENTO_PATH", "")
    if not folder:
        try:
            whole = is_whole("my-magento")
        except metadata.PackageNotFoundError:
            whole = False
        if not whole:
            pytest.skip(
                "my-magento is overwritten by PyMagento here; name a folder of its own in MY_MAGENTO_PATH"
            )
    credentials = running.credentials
    arguments = [folder, "shop.example", credentials["admin_username"], credentials["admin_password"]]

    finished = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments],
        cwd=tmp_path,
        env={**os.environ, "http_proxy": running.address, "no_proxy": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    found = json.loads(finished.stdout.splitlines()[-1])
    assert found == {
        "orders": ["000000002", "000000003", "000000004", "000000005"],
        "status": "complete",
        "price": 12.5,
        "customer": "Bell",
        "invoice": 21,
    }
