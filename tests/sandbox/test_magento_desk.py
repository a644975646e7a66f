"""What staff, modules and other taxes do to orders: edits, open invoices, deposits, fixed taxes, wrapping, groups."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.fix_magento import Shop, shop

__all__ = ["shop"]


def _line(order: dict[str, Any], position: int = 0) -> int:
    return int(order["items"][position]["item_id"])


def test_an_edited_order_is_a_new_one_that_names_the_old(shop: Shop) -> None:
    shop.place(("MUG-01", 2))
    first = shop.control("revise", order_id=1, items=[{"sku": "MUG-01", "qty": 1}])
    second = shop.control("revise", order_id=2, items=[{"sku": "MUG-01", "qty": 3}])

    old = shop.order(1)
    assert (old["state"], old["relation_child_id"], old["relation_child_real_id"]) == (
        "canceled",
        "2",
        "000000001-1",
    )
    assert (first["increment_id"], first["original_increment_id"]) == ("000000001-1", "000000001")
    assert (second["increment_id"], second["relation_parent_real_id"], second["edit_increment"]) == (
        "000000001-2",
        "000000001-1",
        "2",
    )
    assert shop.place(("MUG-01", 1))["increment_id"] == "000000002"


def test_an_order_with_an_invoice_is_not_edited(shop: Shop) -> None:
    shop.place(("MUG-01", 2))
    shop.control("invoice", order_id=1)

    shop.control("revise", order_id=1, items=[{"sku": "MUG-01", "qty": 1}])

    assert shop.status == 400


def test_an_open_invoice_is_paid_by_its_capture_and_only_once(shop: Shop) -> None:
    shop.place(("MUG-01", 1), payment_method="cardauth")
    invoice = shop.control("invoice", order_id=1, not_captured=True)
    assert (invoice["state"], shop.order(1).get("total_paid")) == (1, None)

    captured = shop.control("capture", invoice_id=invoice["entity_id"])

    assert captured["state"] == 2
    assert (shop.order(1)["total_paid"], shop.order(1)["total_invoiced"]) == (21, 21)


def test_a_cancelled_invoice_sets_its_goods_and_shipping_free(shop: Shop) -> None:
    order = shop.place(("MUG-01", 3), payment_method="cardauth", coupon="TEN")
    shop.control("invoice", order_id=1, items=[{"order_item_id": _line(order), "qty": 1}], not_captured=True)

    assert shop.control("cancel_invoice", invoice_id=1)["state"] == 3
    again = shop.control("invoice", order_id=1, capture=True)

    after = shop.order(1)
    assert (again["shipping_amount"], again["grand_total"]) == (5, order["grand_total"])
    assert (after["total_invoiced"], after["total_paid"]) == (order["grand_total"], order["grand_total"])
    shop.control("cancel_invoice", invoice_id=2)
    assert shop.status == 400


@pytest.mark.parametrize(("counted", "paid"), [("twice", 31), ("once", 21)])
def test_a_deposit_is_money_before_any_invoice(shop: Shop, counted: str, paid: int) -> None:
    shop.place(("MUG-01", 1), payment_method="cardauth")
    order = shop.control("deposit", order_id=1, amount=10, counted=counted)
    assert (order["total_paid"], order["total_due"], order["payment"]["amount_paid"]) == (10, 11, 10)
    assert {"key": "deposit_amount", "value": "10.00"} in order["extension_attributes"][
        "payment_additional_info"
    ]

    shop.control("invoice", order_id=1, capture=True)

    assert shop.order(1)["total_paid"] == paid


def test_two_refunds_at_once_leave_two_memos_and_one_count(shop: Shop) -> None:
    shop.place(("MUG-01", 1))
    shop.control("invoice", order_id=1)

    shop.control("refund", order_id=1, simultaneous=True)

    memos = shop.get("/rest/V1/creditmemos?searchCriteria=")["items"]
    assert [memo["grand_total"] for memo in memos] == [21, 21]
    assert shop.order(1)["total_refunded"] == 21


def test_stacked_rates_are_one_tax_shared_out_by_percent(shop: Shop) -> None:
    """12.50 at 5 % + 9.975 % is 1.871875: rounded once to 1.87, shared 0.6244 and 1.2456."""
    for code, rate in (("CA-GST", 5), ("CA-QST", 9.975)):
        shop.control("tax_rates", code=code, rate=rate, tax_country_id="CA")
    shop.control(
        "tax_rules",
        code="Canada",
        customer_tax_class_ids=[3],
        product_tax_class_ids=[2],
        tax_rate_ids=[4, 5],
    )
    order = shop.place(("MUG-01", 1), billing_address=_address("CA"))
    item = order["items"][0]

    assert (item["tax_percent"], item["tax_amount"]) == (Decimal("14.975"), Decimal("1.87"))
    entries = [
        entry["applied_taxes"][0]
        for entry in order["extension_attributes"]["item_applied_taxes"]
        if entry["type"] == "product"
    ]
    assert [(tax["code"], tax["amount"]) for tax in entries] == [
        ("CA-GST", Decimal("0.6244")),
        ("CA-QST", Decimal("1.2456")),
    ]


@pytest.mark.parametrize(
    ("off_subtotal", "percent"), [(False, Decimal("15.4738")), (True, Decimal("14.975"))]
)
def test_a_later_priority_is_taken_on_top(shop: Shop, off_subtotal: bool, percent: Decimal) -> None:
    for number, (code, rate) in enumerate((("A", 5), ("B", 9.975)), start=4):
        shop.control("tax_rates", code=code, rate=rate, tax_country_id="CA")
        shop.control(
            "tax_rules",
            code=code,
            priority=number,
            customer_tax_class_ids=[3],
            product_tax_class_ids=[2],
            tax_rate_ids=[number],
            calculate_subtotal=off_subtotal,
        )

    item = shop.place(("MUG-01", 1), billing_address=_address("CA"))["items"][0]

    assert abs(item["tax_percent"] - percent) < Decimal("0.0001")


def test_a_group_without_a_rule_pays_no_tax(shop: Shop) -> None:
    made = shop.control("tax_classes", class_name="Business", class_type="CUSTOMER")
    group = shop.control("customer_groups", code="EU business", tax_class_id=made["class_id"])
    customer = shop.control("customers", email="b@example.com", group_id=group["id"], taxvat="IE6388047V")

    order = shop.place(
        ("MUG-01", 2), customer_id=customer["id"], billing_address=_address("IE") | {"vat_id": "IE6388047V"}
    )

    assert (order["tax_amount"], order["grand_total"]) == (0, 30)
    assert (order["customer_taxvat"], order["billing_address"]["vat_id"]) == ("IE6388047V", "IE6388047V")
    assert order["extension_attributes"]["item_applied_taxes"] == []


def test_a_fixed_product_tax_is_in_the_total_and_in_no_header_field(shop: Shop) -> None:
    """3 × 10.00 + 20 % + 3 × 0.75 + shipping 6.00 = 44.25; invoiced 1 + 2, one sent back."""
    shop.control("products", sku="FRIDGE", price=10, weee={"GB": "0.75"})
    order = shop.place(("FRIDGE", 3))
    item = order["items"][0]
    assert order["grand_total"] == Decimal("44.25")
    assert json.loads(item["weee_tax_applied"])[0]["row_amount"] == "2.25"
    assert (item["weee_tax_applied_amount"], item["weee_tax_applied_row_amount"]) == (
        Decimal("0.75"),
        Decimal("2.25"),
    )
    assert item["row_total_incl_tax"] == Decimal("38.25")
    assert item["base_row_total_incl_tax"] == Decimal("36.75")

    for qty in (1, 2):
        shop.control("invoice", order_id=1, items=[{"order_item_id": _line(order), "qty": qty}])
    first, second = shop.get("/rest/V1/invoices?searchCriteria=")["items"]
    assert (first["grand_total"], second["grand_total"]) == (Decimal("18.75"), Decimal("25.5"))
    assert not any("weee" in name for name in first["items"][0])
    memo = shop.control(
        "refund",
        order_id=1,
        items=[{"order_item_id": _line(order), "qty": 1}],
        arguments={"shipping_amount": 0},
    )
    assert memo["grand_total"] == Decimal("12.75")
    assert memo["items"][0]["weee_tax_applied_row_amount"] == Decimal("0.75")


def test_gift_wrapping_is_carried_by_the_first_invoice_and_the_first_memo() -> None:
    """21.00 and wrapping 4.00 + card 1.00 with 20 %: 27.00."""
    store = Shop(edition="commerce")
    order = store.place(("MUG-01", 1), gift_wrap={"price": 4, "card_price": 1, "taxed": True})
    extension = order["extension_attributes"]
    assert (order["grand_total"], order["tax_amount"]) == (27, Decimal("4.5"))
    assert (extension["gw_price"], extension["gw_card_tax_amount"]) == ("4.0000", "0.2000")
    kinds = [entry["type"] for entry in extension["item_applied_taxes"]]
    assert sorted(kinds) == ["printed_card_gw", "product", "quote_gw", "shipping"]

    invoice = store.control("invoice", order_id=1)
    assert (invoice["grand_total"], invoice["tax_amount"]) == (27, Decimal("4.5"))
    assert invoice["extension_attributes"]["gw_tax_amount"] == "0.8000"
    memo = store.control("refund", order_id=1)

    assert (memo["grand_total"], memo["extension_attributes"]["gw_price"]) == (27, "4.0000")
    assert store.order(1)["state"] == "closed"


def _address(country: str) -> dict[str, Any]:
    return {
        "firstname": "A",
        "lastname": "B",
        "street": ["1"],
        "city": "C",
        "postcode": "1",
        "country_id": country,
        "telephone": "0",
    }


@pytest.mark.parametrize(("store", "tax"), [("default", Decimal(6)), ("trade_en", Decimal("5.17"))])
def test_tax_before_discount_is_that_of_the_full_price(store: str, tax: Decimal) -> None:
    """2 × 12.50 less ten percent: 20 % of 25.00 (or what 25.00 holds of it) and of the shipping, not of 22.50."""
    shop = Shop(tax_before_discount=True)

    order = shop.place(("MUG-01", 2), store=store, coupon="TEN")

    assert (order["tax_amount"], order["discount_tax_compensation_amount"]) == (tax, 0)
