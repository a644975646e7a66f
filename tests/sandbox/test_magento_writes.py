"""What a write to the catalogue, the stock or a customer wipes, drops and refuses."""

from __future__ import annotations

from typing import Any

from tests.sandbox.fix_magento import Shop, shop

__all__ = ["shop"]

MUG = "/rest/all/V1/products/MUG-01"


def _attribute(product: dict[str, Any], code: str) -> Any:
    found = {each["attribute_code"]: each["value"] for each in product["custom_attributes"]}
    return found.get(code)


def test_a_collection_that_is_sent_is_the_final_set(shop: Shop) -> None:
    picture = {"media_type": "image", "label": "Front", "position": 1, "disabled": False, "types": []}
    link = {"sku": "MUG-01", "link_type": "related", "linked_product_sku": "LAMP-01", "position": 1}
    tier = {"customer_group_id": 32000, "qty": 10, "value": 11}
    sent = {"media_gallery_entries": [picture], "product_links": [link], "tier_prices": [tier]}
    shop.put(MUG, {"product": {**sent, "extension_attributes": {"website_ids": [1]}}})
    shop.put(MUG, {"product": {"price": 13}})
    kept = shop.get(MUG)
    assert kept["media_gallery_entries"][0]["id"] == 1
    assert (len(kept["product_links"]), kept["tier_prices"][0]["qty"]) == (1, 10)
    assert kept["extension_attributes"]["website_ids"] == [1]

    shop.put(MUG, {"product": {"media_gallery_entries": [], "product_links": [], "tier_prices": []}})

    wiped = shop.get(MUG)
    assert [wiped[name] for name in sent] == [[], [], []]
    assert _attribute(wiped, "category_ids") == ["3"]


def test_an_entry_without_its_id_is_new_on_every_retry(shop: Shop) -> None:
    picture = {"media_type": "image", "label": "Front", "position": 1, "disabled": False, "types": []}
    for _ in range(2):
        shop.put(MUG, {"product": {"media_gallery_entries": [picture]}})

    assert [entry["id"] for entry in shop.get(MUG)["media_gallery_entries"]] == [2]


def test_an_unknown_attribute_is_dropped_without_a_word(shop: Shop) -> None:
    sent = [{"attribute_code": "xero_item_id", "value": "abc"}, {"attribute_code": "cost", "value": "7.5"}]

    answer = shop.put(MUG, {"product": {"custom_attributes": sent}})

    assert shop.status == 200
    assert _attribute(answer, "xero_item_id") is None
    assert _attribute(answer, "cost") == "7.500000"


def test_a_price_is_global_even_on_the_path_of_a_view(shop: Shop) -> None:
    shop.put("/rest/eu/V1/products/MUG-01", {"product": {"price": 14, "name": "Mug (EU)"}})

    everywhere = shop.get(MUG)
    assert (everywhere["price"], everywhere["name"]) == (14, "Enamel mug")
    assert shop.get("/rest/eu/V1/products/MUG-01")["name"] == "Mug (EU)"


def test_a_sku_has_sixty_four_characters_at_most(shop: Shop) -> None:
    body = {"product": {"sku": "S" * 65, "name": "Long", "price": 1, "attribute_set_id": 4}}

    answer = shop.post("/rest/all/V1/products", body)

    assert (shop.status, answer["parameters"]) == (400, ["64"])


def test_base_prices_refuse_row_by_row(shop: Shop) -> None:
    rows = [
        {"sku": "MUG-01", "price": 15, "store_id": 0},
        {"sku": "TEE", "price": 1, "store_id": 0},
        {"sku": "BUNDLE-FIX", "price": 41, "store_id": 0},
        {"sku": "LAMP-01", "price": 1, "store_id": 77},
    ]

    errors = shop.post("/rest/all/V1/products/base-prices", {"prices": rows})

    assert shop.status == 200
    assert [error["parameters"] for error in errors] == [["SKU", "TEE"], ["LAMP-01", "77"]]
    assert (shop.get(MUG)["price"], shop.get("/rest/all/V1/products/BUNDLE-FIX")["price"]) == (15, 41)


def test_a_special_price_needs_dates_as_the_database_writes_them(shop: Shop) -> None:
    row = {"sku": "MUG-01", "price": 9, "store_id": 0, "price_from": "2026-11-01T00:00:00Z"}

    errors = shop.post("/rest/all/V1/products/special-price", {"prices": [row]})

    assert errors[0]["parameters"] == ["Price From", "2026-11-01T00:00:00Z"]
    assert _attribute(shop.get(MUG), "special_price") is None


def test_free_quantity_sent_as_physical_stops_the_shipment(shop: Shop) -> None:
    """10 on the shelf, 8 of them sold and not shipped: 2 are free. Who sends 2 as the quantity cannot ship 8."""
    shop.control("stock", sku="MUG-01", quantity=10)
    shop.place(("MUG-01", 8))
    assert shop.get("/rest/V1/inventory/get-product-salable-quantity/MUG-01/1") == 2

    rows = [{"sku": "MUG-01", "source_code": "default", "quantity": 2, "status": 1}]
    assert shop.post("/rest/all/V1/inventory/source-items", {"sourceItems": rows}) == []
    assert shop.get("/rest/V1/inventory/get-product-salable-quantity/MUG-01/1") == -6

    refused = shop.post("/rest/V1/order/1/ship", {})
    assert (shop.status, refused["message"]) == (400, "Could not save a shipment, see error log for details")
    shop.control("stock", sku="MUG-01", quantity=10)
    shop.post("/rest/V1/order/1/ship", {})
    assert shop.status == 200
    assert shop.get("/rest/V1/inventory/get-product-salable-quantity/MUG-01/1") == 2


def test_source_items_need_a_sku_and_know_their_fields(shop: Shop) -> None:
    path = "/rest/all/V1/inventory/source-items"

    empty = shop.post(path, {"sourceItems": [{"source_code": "default", "quantity": 1}]})
    assert (shop.status, empty["message"]) == (400, "Validation Failed")
    shop.post(path, {"sourceItems": [{"sku": "MUG-01", "source_code": "default", "qty": 1}]})

    assert shop.status == 500


def test_an_address_of_nobody_and_half_an_address_are_refused(shop: Shop) -> None:
    ann = shop.control(
        "customers", email="ann@example.com", addresses=[_address() | {"default_billing": True}]
    )
    path = f"/rest/V1/customers/{ann['id']}"
    own = ann["addresses"][0]["id"]

    shop.put(path, {"customer": {"addresses": [{"id": own + 50, "city": "York"}]}})
    assert shop.status == 404
    shop.put(path, {"customer": {"addresses": [{"id": own, "city": "York"}, {"city": "Hull"}]}})
    assert shop.status == 400
    assert shop.get(path)["addresses"][0]["city"] == "Leeds"
    shop.put(path, {"customer": {"addresses": [{"id": own, "city": "York"}, _address()]}})

    after = shop.get(path)
    assert [entry["city"] for entry in after["addresses"]] == ["York", "Leeds"]
    assert after["default_billing"] == str(own)


def _address() -> dict[str, Any]:
    return {
        "firstname": "Ann",
        "lastname": "Bell",
        "street": ["1 High St"],
        "city": "Leeds",
        "postcode": "LS1 1AA",
        "country_id": "GB",
        "telephone": "0113 000",
    }
