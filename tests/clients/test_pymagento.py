"""PyMagento (Bixoto) against the stand-in: its paging, its actions and its types."""

from __future__ import annotations

import itertools

import pytest

from sandbox.serving import Running
from tests.clients.fix_magento import control, is_whole, running

if not is_whole("pymagento"):
    pytest.skip("PyMagento is overwritten by another package called `magento`", allow_module_level=True)
magento = pytest.importorskip("magento")

__all__ = ["running"]


@pytest.fixture
def client(running: Running) -> object:
    return magento.Magento(
        base_url=running.address, token=running.credentials["bearer_token"], scope="all", batch_page_size=2
    )


def test_orders_come_once_over_several_pages(client, running: Running) -> None:
    numbers = [order["increment_id"] for order in client.get_orders()]

    assert len(numbers) == len(set(numbers)) == 5


def test_order_items_are_flat(client) -> None:
    items = list(itertools.islice(client.get_orders_items(sku="MUG-01"), 10))

    assert [item["qty_ordered"] for item in items][:5] == [1, 2, 3, 4, 5]


def test_products_are_found_by_sku(client) -> None:
    assert client.get_product("MUG-01")["price"] == 12.5
    assert client.get_product("NOPE") is None


def test_invoices_and_shipments_are_read(client) -> None:
    assert [invoice["grand_total"] for invoice in client.get_invoices()] == [21]
    assert [shipment["total_qty"] for shipment in client.get_shipments()] == [1]


def test_customers_are_searched(client) -> None:
    emails = {customer["email"] for customer in client.get_customers()}

    assert emails == {"ann@example.com", "bob@example.com"}


def test_invoice_action_answers_a_quoted_id(client, running: Running) -> None:
    order = control(running, "place", items=[{"sku": "BOOK-01", "qty": 1}])

    number = client.create_order_invoice(order["entity_id"])

    assert isinstance(number, str)
    assert number.isdigit()


def test_order_is_held_and_released(client, running: Running) -> None:
    order = control(running, "place", items=[{"sku": "BOOK-01", "qty": 1}])

    assert client.hold_order(order["entity_id"])
    assert client.unhold_order(order["entity_id"])


def test_base_prices_and_source_items_are_written(client) -> None:
    assert client.save_base_prices([{"sku": "PEN-01", "price": 0.41, "store_id": 0}]) == []
    assert client.get_product("PEN-01")["price"] == 0.41
    assert client.save_source_items(
        [{"sku": "PEN-01", "source_code": "default", "quantity": 7, "status": 1}]
    ) in ([], None)


def test_a_product_is_changed_by_what_is_sent_alone(client) -> None:
    before = client.get_product("PEN-02")

    after = client.update_product("PEN-02", {"name": "Fine pen", "custom_attributes": [_cost("0.55")]})

    kept = ("price", "status", "visibility", "extension_attributes")
    assert [after[name] for name in kept if name != "extension_attributes"] == [
        before[name] for name in kept if name != "extension_attributes"
    ]
    assert after["name"] == "Fine pen"
    assert after["extension_attributes"]["category_links"] == before["extension_attributes"]["category_links"]


def test_special_prices_are_written_read_and_taken_back(client) -> None:
    row = {"sku": "PEN-03", "price": 0.02, "store_id": 0}
    dates = {"price_from": "2026-11-01 00:00:00", "price_to": "2026-12-01 00:00:00"}

    assert client.save_special_prices([row | dates]) == []
    assert client.get_special_prices(["PEN-03"])[0]["price"] == 0.02
    assert client.delete_special_prices([row | dates]) == []
    assert client.get_special_prices(["PEN-03"]) == []


def test_quantities_of_a_source_are_absolute(client) -> None:
    for quantity in (4, 9):
        client.save_source_items([_quantity(quantity)])

    assert [item["quantity"] for item in client.get_source_items(sku="PEN-04")] == [9]
    assert client.get_base_prices(["PEN-04", "NOPE"])[0]["sku"] == "PEN-04"


def _cost(value: str) -> dict[str, str]:
    return {"attribute_code": "cost", "value": value}


def _quantity(quantity: int) -> dict[str, object]:
    return {"sku": "PEN-04", "source_code": "default", "quantity": quantity, "status": 1}
