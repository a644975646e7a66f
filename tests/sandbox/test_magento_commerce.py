"""Adobe Commerce: gift cards, store credit and reward points, on orders, invoices and credit memos."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.fix_magento import Shop


@pytest.fixture
def store() -> Shop:
    return Shop(edition="commerce")


def _shown(document: dict[str, Any], *names: str) -> list[Any]:
    return [document["extension_attributes"].get(name) for name in names]


def test_open_source_shows_none_of_it_and_takes_no_gift_card() -> None:
    shop = Shop()
    order = shop.place(("MUG-01", 1))
    assert not any("gift" in name or "gw_" in name for name in order["extension_attributes"])

    shop.place(("MUG-01", 1), gift_cards=[{"code": "GC-1", "amount": 5}])

    assert shop.status == 400


def test_an_unused_order_has_no_cards_and_empty_wrapping(store: Shop) -> None:
    order = store.place(("MUG-01", 1))

    assert _shown(order, "gift_cards", "gift_cards_amount", "gw_price") == [[], 0, ""]
    assert "customer_balance_amount" not in order["extension_attributes"]


def test_a_gift_card_is_sold_without_tax_and_without_shipping(store: Shop) -> None:
    order = store.place({"sku": "GIFT-CARD", "options": {"amount": 50, "recipient_name": "Ann"}})
    line = order["items"][0]

    assert (order["grand_total"], order["tax_amount"], order["is_virtual"]) == (50, 0, 1)
    assert (line["product_type"], line["price"], line["tax_percent"]) == ("giftcard", 50, 0)
    option = line["product_option"]["extension_attributes"]["giftcard_item_option"]
    assert (option["giftcard_amount"], option["giftcard_recipient_name"]) == ("50.0000", "Ann")


def test_the_first_invoice_takes_redeemed_means_before_money(store: Shop) -> None:
    """2 × 12.50 + 5 shipping + 20 % = 36; 20 by gift card, 3 by points, 4 by balance: 9 in money."""
    order = store.place(
        ("MUG-01", 2),
        gift_cards=[{"code": "GC-1", "amount": 15}, {"code": "GC-2", "amount": 5}],
        reward_points=300,
        customer_balance=4,
        customer_id=None,
    )
    number, line = order["entity_id"], order["items"][0]["item_id"]
    names = (
        "gift_cards_amount",
        "reward_currency_amount",
        "reward_points_balance",
        "customer_balance_amount",
    )
    assert _shown(order, *names) == [20, 3, 300, 4]
    assert [(card["code"], card["amount"]) for card in order["extension_attributes"]["gift_cards"]] == [
        ("GC-1", 15),
        ("GC-2", 5),
    ]
    assert (order["grand_total"], order["total_due"], order["payment"]["amount_ordered"]) == (9, 9, 9)

    store.control("invoice", order_id=number, items=[{"order_item_id": line, "qty": 1}])
    store.control("invoice", order_id=number)
    first, second = (store.get(f"/rest/V1/invoices/{entity}") for entity in (1, 2))

    assert (first["grand_total"], second["grand_total"]) == (0, 9)
    assert _shown(first, "gift_cards_amount", "customer_balance_amount") == [20, None]
    assert _shown(second, "gift_cards_amount", "customer_balance_amount") == [None, 4]
    assert not any("reward" in name for each in (first, second) for name in each["extension_attributes"])
    assert not any(name.startswith("_") for each in (first, second) for name in each)
    after = store.order(number)
    assert (after["total_paid"], after["total_invoiced"], after["total_due"]) == (9, 9, 0)
    assert _shown(after, "gift_cards_invoiced", "customer_balance_invoiced") == [20, 4]


def test_a_memo_gives_back_the_means_before_money(store: Shop) -> None:
    """21.00 of which 15 by gift card: without shipping 15 goes back, all by card; then 6.00 of money."""
    order = store.place(("MUG-01", 1), gift_cards=[{"code": "GC-1", "amount": 15}])
    store.control("invoice", order_id=1)
    line = order["items"][0]["item_id"]

    goods = store.control(
        "refund", order_id=1, items=[{"order_item_id": line, "qty": 1}], arguments={"shipping_amount": 0}
    )
    assert (goods["grand_total"], *_shown(goods, "gift_cards_amount")) == (0, 15)
    shipping = store.control("refund", order_id=1, items=[{"order_item_id": line, "qty": 0}])

    assert (shipping["grand_total"], shipping.get("extension_attributes")) == (6, None)
    after = store.order(1)
    assert (after["state"], after["total_refunded"], *_shown(after, "gift_cards_refunded")) == (
        "closed",
        6,
        15,
    )


def test_rest_refuses_a_memo_without_money_that_the_admin_form_takes(store: Shop) -> None:
    store.place(("MUG-01", 1), gift_cards=[{"code": "GC-1", "amount": 50}])
    assert store.order(1)["payment"]["method"] == "free"
    store.control("invoice", order_id=1)

    refused = store.post("/rest/V1/order/1/refund", {})
    assert store.status == 400
    assert "must be positive" in refused["message"]
    store.control("refund", order_id=1, to_store_credit=True)

    after = store.order(1)
    assert after["state"] == "closed"
    assert _shown(after, "gift_cards_refunded", "customer_balance_total_refunded") == [21, 21]


def test_money_sent_to_the_store_credit_counts_as_refunded_all_the_same(store: Shop) -> None:
    store.place(("MUG-01", 1))
    store.control("invoice", order_id=1)

    memo = store.control("refund", order_id=1, to_store_credit=True)

    after = store.order(1)
    assert (memo["grand_total"], after["total_refunded"]) == (21, 21)
    assert _shown(after, "customer_balance_total_refunded", "customer_balance_refunded") == [21, None]


def test_both_currencies_are_covered_together(store: Shop) -> None:
    """In euro the card covers the whole base total, so the whole own total too, however it was rounded."""
    order = store.place(("LAMP-01", 3), store="eu", gift_cards=[{"code": "GC-1", "amount": 500}])

    assert (order["grand_total"], order["base_grand_total"]) == (0, 0)
    own, base = _shown(order, "gift_cards_amount", "base_gift_cards_amount")
    assert own != base
    assert own == order["subtotal"] + order["tax_amount"] + order["shipping_amount"]


@pytest.mark.parametrize(
    ("order", "card"), [(("customerbalance", "reward", "giftcardaccount"), 1), (("giftcardaccount",), 20)]
)
def test_the_order_of_means_is_the_shops(order: tuple[str, ...], card: int) -> None:
    shop = Shop(edition="commerce", redeeming=order)

    placed = shop.place(("MUG-01", 1), gift_cards=[{"code": "C", "amount": 20}], customer_balance=20)

    assert _shown(placed, "base_gift_cards_amount") == [Decimal(card)]
