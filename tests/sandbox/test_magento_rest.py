"""The REST surface: logging in, routes and bodies, lists and their quirks, faults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.fix_magento import Shop, shop

__all__ = ["shop"]

LIST = "/rest/V1/orders?searchCriteria[pageSize]=1"


@pytest.fixture
def full() -> Shop:
    """Seven orders, a second apart."""
    shop = Shop()
    shop.freeze()
    for _ in range(7):
        shop.place(("MUG-01", 1))
        shop.tick(1)
    return shop


def _ids(answer: Any) -> list[int]:
    return [row["entity_id"] for row in answer["items"]]


def _filter(field: str, value: str, condition: str, group: int = 0, index: int = 0) -> str:
    place = f"searchCriteria[filter_groups][{group}][filters][{index}]"
    return f"{place}[field]={field}&{place}[value]={value}&{place}[condition_type]={condition}"


def test_admin_token_expires_with_the_clock(shop: Shop) -> None:
    shop.get(LIST)
    assert shop.status == 200
    shop.tick(3601)
    answer = shop.get(LIST)

    assert shop.status == 401
    assert answer["parameters"] == {"resources": "Magento_Sales::actions_view"}


def test_six_failures_lock_the_user_for_half_an_hour(shop: Shop) -> None:
    credentials = shop.app.config["CREDENTIALS"]
    right = {"username": credentials["admin_username"], "password": credentials["admin_password"]}
    for _ in range(6):
        shop.post("/rest/V1/integration/admin/token", {**right, "password": "nope"})
    shop.post("/rest/V1/integration/admin/token", right)
    assert shop.status == 401

    shop.tick(1801)
    shop.post("/rest/V1/integration/admin/token", right)
    assert shop.status == 200


def test_integration_token_as_bearer_needs_the_switch() -> None:
    for allowed, status in ((False, 401), (True, 200)):
        shop = Shop(integration_as_bearer=allowed)
        shop.token = shop.app.config["CREDENTIALS"]["bearer_token"]
        shop.get(LIST)
        assert shop.status == status


def test_lacking_permission_looks_like_a_bad_token() -> None:
    shop = Shop(admin_resources=["Magento_Sales::actions_view"])

    shop.get(LIST)
    assert shop.status == 200
    answer = shop.get("/rest/V1/products?searchCriteria=")
    assert (shop.status, answer["parameters"]) == (401, {"resources": "Magento_Catalog::products"})


def test_two_factor_refuses_new_tokens_only() -> None:
    shop = Shop(two_factor=True)
    credentials = shop.app.config["CREDENTIALS"]
    right = {"username": credentials["admin_username"], "password": credentials["admin_password"]}

    answer = shop.post("/rest/V1/integration/admin/token", right)
    assert (shop.status, answer["message"].endswith("configure 2FA first")) == (400, True)
    shop.post("/rest/V1/integration/admin/token", {**right, "password": "nope"})
    assert shop.status == 401


def test_page_past_the_end_is_empty_or_the_last_one_again(full: Shop) -> None:
    path = "/rest/V1/orders?searchCriteria[pageSize]=3&searchCriteria[currentPage]=9"
    assert full.get(path)["items"] == []

    old = Shop(past_end="repeat")
    for _ in range(4):
        old.place(("MUG-01", 1))
    assert _ids(old.get(path)) == [4]


def test_from_and_to_in_one_group_are_or(full: Shop) -> None:
    stamp = full.order(3)["updated_at"]
    one_group = f"{_filter('updated_at', stamp, 'from')}&{_filter('updated_at', stamp, 'to', index=1)}"
    two_groups = f"{_filter('updated_at', stamp, 'from')}&{_filter('updated_at', stamp, 'to', group=1)}"

    assert len(_ids(full.get(f"/rest/V1/orders?{one_group}"))) == 7
    assert _ids(full.get(f"/rest/V1/orders?{two_groups}")) == [3]


@pytest.mark.parametrize("condition", ["moreq", "bigger", "eq"])
def test_unknown_conditions_mean_eq(full: Shop, condition: str) -> None:
    assert _ids(full.get(f"/rest/V1/orders?{_filter('entity_id', '3', condition)}")) == [3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{day}T{time}", 5),
        ("{day}T{time}Z", 5),
        ("{day} {time}%2B11:00", 5),
        ("{day} {time}.500", 4),
        ("{day}", 7),
        ("not-a-date", 7),
        ("", 7),
    ],
)
def test_date_texts_are_read_as_the_database_reads_them(full: Shop, text: str, expected: int) -> None:
    day, time = full.order(3)["updated_at"].split(" ")
    query = _filter("updated_at", text.format(day=day, time=time), "gteq")

    assert full.get(f"/rest/V1/orders?{query}")["total_count"] == expected


def test_sort_without_direction_descends(full: Shop) -> None:
    path = "/rest/V1/orders?searchCriteria[sortOrders][0][field]=entity_id&searchCriteria[pageSize]=2"

    assert _ids(full.get(path)) == [7, 6]


def test_page_sizes_zero_and_minus_one(full: Shop) -> None:
    assert len(_ids(full.get("/rest/V1/orders?searchCriteria[pageSize]=0"))) == 7
    assert _ids(full.get("/rest/V1/orders?searchCriteria[pageSize]=-1")) == [1]


def test_unknown_fields_fail_by_entity(full: Shop) -> None:
    query = _filter("nope", "1", "eq")
    statuses = []
    for path in ("orders", "invoices", "products", "customers/search"):
        full.get(f"/rest/V1/{path}?{query}")
        statuses.append(full.status)
    full.get("/rest/V1/products?searchCriteria[sortOrders][0][field]=nope")

    assert statuses == [500, 500, 400, 400]
    assert full.status == 200


def test_fields_make_empty_lists_null(full: Shop) -> None:
    query = _filter("entity_id", "99", "eq")

    assert full.get(f"/rest/V1/orders?{query}&fields=items[entity_id],total_count") == {
        "items": None,
        "total_count": 0,
    }
    assert full.get(f"{LIST}&fields=items[nope]") == {"items": [[]]}
    assert full.get(f"{LIST}&fields=items[entity_id") == []


def test_bodies_are_refused_before_anything_else(shop: Shop) -> None:
    def send(data: str, kind: str | None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {shop.token}"} | ({"Content-Type": kind} if kind else {})
        answer = shop.http.post("/rest/V1/orders/1/comments", data=data, headers=headers)
        return answer.status_code, answer.get_json()["message"]

    assert send("{", "application/json") == (400, "Decoding error.")
    assert send("{}", None) == (400, "Content-Type header is empty.")
    assert send("a=1", "application/x-www-form-urlencoded")[0] == 400


def test_three_shapes_of_500(shop: Shop) -> None:
    product = {"name": "x", "price": 1, "attribute_set_id": 4}
    masked = shop.post("/rest/V1/products", {"product": {"sku": "a", "colour": "red", **product}})
    plain = shop.post("/rest/V1/products", {"product": product})
    page = shop.call("GET", LIST, Accept="text/csv")

    assert "Report ID: webapi-" in masked["message"]
    assert plain.startswith("An error has happened during application run.")
    assert page.startswith("<!doctype html>")


def test_answers_set_a_session_cookie_and_forbid_caching(shop: Shop) -> None:
    answer = shop.http.get(LIST, headers={"Authorization": f"Bearer {shop.token}"})

    assert "PHPSESSID" in answer.headers["Set-Cookie"]
    assert "no-store" in answer.headers["Cache-Control"]


def test_scope_decides_what_a_product_write_touches(shop: Shop) -> None:
    shop.put("/rest/eu/V1/products/MUG-01", {"product": {"name": "Becher"}})
    shop.put("/rest/V1/products/MUG-01", {"product": {"name": "Mug"}})
    names = [
        shop.get(f"/rest/{scope}V1/products/MUG-01?fields=name")["name"] for scope in ("eu/", "", "all/")
    ]

    assert names == ["Becher", "Mug", "Enamel mug"]


def test_salable_is_source_minus_open_reservations(shop: Shop) -> None:
    path = "/rest/V1/inventory/get-product-salable-quantity/MUG-01/1"
    shop.place(("MUG-01", 4))
    assert shop.get(path) == 996
    shop.control("ship", order_id=1)

    assert shop.get(path) == 996
    assert shop.get("/rest/V1/stockItems/MUG-01")["qty"] == 996


def test_bulk_is_accepted_and_fails_later(shop: Shop) -> None:
    items = [
        {"sku": "MUG-01", "source_code": code, "quantity": 5, "status": 1} for code in ("default", "nowhere")
    ]
    path = "/rest/all/async/bulk/V1/inventory/source-items"
    answer = shop.post(path, [{"sourceItems": [item]} for item in items])
    assert (shop.status, answer["errors"]) == (202, False)
    status = f"/rest/V1/bulk/{answer['bulk_uuid']}/status"
    assert [entry["status"] for entry in shop.get(status)["operations_list"]] == [4, 4]

    shop.control("consume")
    assert [entry["status"] for entry in shop.get(status)["operations_list"]] == [1, 3]


def test_bulk_route_with_a_path_parameter_always_fails(shop: Shop) -> None:
    answer = shop.put("/rest/all/async/bulk/V1/products/bySku", [{"sku": "MUG-01", "product": {"price": 1}}])

    assert shop.status == 500
    assert answer.startswith("An error has happened")


@pytest.mark.parametrize(
    ("fault", "status", "effect"),
    [
        ({"kind": "429"}, 429, False),
        ({"kind": "500_before"}, 500, False),
        ({"kind": "500_after"}, 500, True),
        ({"kind": "503"}, 503, False),
    ],
)
def test_faults_strike_before_or_after_the_effect(
    shop: Shop, fault: dict[str, Any], status: int, effect: bool
) -> None:
    shop.place(("MUG-01", 1))
    shop.control("faults", **fault, path="/invoice$")

    shop.post("/rest/V1/order/1/invoice")

    assert shop.status == status
    assert bool(shop.get("/_sandbox/state/invoices")) is effect


def test_customer_addresses_are_the_final_set(shop: Shop) -> None:
    address = {
        "firstname": "A",
        "lastname": "B",
        "street": ["1"],
        "city": "C",
        "country_id": "GB",
        "telephone": "0",
    }
    created = shop.control("customers", email="a@example.com", addresses=[address, {"firstname": "only"}])
    assert [entry["id"] for entry in created["addresses"]] == [1]

    for number in (2, 3):
        shop.put("/rest/V1/customers/1", {"customer": {"addresses": [address]}})
        assert [entry["id"] for entry in shop.get("/rest/V1/customers/1")["addresses"]] == [number]
    shop.put("/rest/V1/customers/1", {"customer": {"lastname": "D"}})

    assert [entry["id"] for entry in shop.get("/rest/V1/customers/1")["addresses"]] == [3]
