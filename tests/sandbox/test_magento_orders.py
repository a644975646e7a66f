"""Orders after placing: what moves stamps, comments, refunds, states, writes that overwrite each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.fix_magento import Shop, shop

__all__ = ["shop"]

MUG = ("MUG-01", 4)


def _moved(shop: Shop, action: Callable[[], Any], number: int = 1) -> bool:
    before = shop.order(number)["updated_at"]
    shop.tick()
    action()
    return bool(shop.order(number)["updated_at"] != before)


def test_stamp_moves_as_the_table_of_observations_says(shop: Shop) -> None:
    shop.freeze()
    order = shop.place(("MUG-01", 4), ("BOOK-01", 1))
    mug = order["items"][0]["item_id"]
    one = {"items": [{"order_item_id": mug, "qty": 1}]}

    def comment(**more: Any) -> Any:
        return shop.post("/rest/V1/orders/1/comments", {"statusHistory": {"comment": "x", **more}})

    steps: list[tuple[str, Callable[[], Any], bool]] = [
        ("comment with its status", lambda: comment(status="pending"), False),
        ("comment without status", comment, True),
        ("comment with another status", lambda: comment(status="pending"), True),
        ("hold", lambda: shop.post("/rest/V1/orders/1/hold"), True),
        ("unhold", lambda: shop.post("/rest/V1/orders/1/unhold"), True),
        ("first partial invoice", lambda: shop.post("/rest/V1/order/1/invoice", one), True),
        ("partial shipment", lambda: shop.post("/rest/V1/order/1/ship", one), False),
        (
            "entity save",
            lambda: shop.post("/rest/V1/orders", {"entity": {"entity_id": 1, "ext_order_id": "X"}}),
            True,
        ),
        (
            "same again",
            lambda: shop.post("/rest/V1/orders", {"entity": {"entity_id": 1, "ext_order_id": "X"}}),
            False,
        ),
        (
            "track",
            lambda: shop.post("/rest/V1/shipment/track", {"entity": {"parent_id": 1, "order_id": 1}}),
            False,
        ),
        ("partial refund", lambda: shop.post("/rest/V1/order/1/refund", one), True),
        ("e-mail", lambda: shop.post("/rest/V1/orders/1/emails"), False),
        ("rest invoiced", lambda: shop.post("/rest/V1/order/1/invoice"), True),
        ("rest shipped", lambda: shop.post("/rest/V1/order/1/ship"), True),
        ("refused invoice", lambda: shop.post("/rest/V1/order/1/invoice"), False),
    ]

    assert [(name, _moved(shop, action)) for name, action, _ in steps] == [
        (name, moves) for name, _, moves in steps
    ]


def test_fields_are_absent_until_first_used(shop: Shop) -> None:
    order = shop.place(MUG)

    assert not {"total_paid", "total_invoiced", "total_refunded", "customer_id", "coupon_code"} & set(order)
    assert order["total_due"] == order["grand_total"]
    assert order["items"][0]["qty_invoiced"] == 0


def test_increment_ids_count_apart_by_store_and_type(shop: Shop) -> None:
    numbers = [
        shop.place(MUG, store=store)["increment_id"] for store in ("default", "eu", "trade_en", "default")
    ]
    invoice = shop.control("pay", order_id=2)

    assert numbers == ["000000001", "2000000001", "3000000001", "000000002"]
    assert invoice["increment_id"] == "2000000001"


def test_comment_without_status_empties_it(shop: Shop) -> None:
    shop.place(MUG)
    shop.post("/rest/V1/orders/1/comments", {"statusHistory": {"comment": "x"}})

    assert "status" not in shop.order(1)
    assert shop.get("/rest/V1/orders/1/statuses") is None


def test_later_releases_refuse_a_foreign_status() -> None:
    shop = Shop(strict_comment_status=True)
    shop.place(MUG)
    answer = shop.post("/rest/V1/orders/1/comments", {"statusHistory": {"comment": "x", "status": "closed"}})

    assert shop.status == 400
    assert answer["parameters"] == ["closed"]


def test_refunds_by_invoice_are_for_gateways_only(shop: Shop) -> None:
    shop.place(MUG)
    shop.place(MUG, payment_method="cardpay")
    shop.control("pay", order_id=1)

    refused = shop.post("/rest/V1/invoice/2/refund", {"isOnline": False})
    assert shop.status == 400
    assert refused["message"].endswith("We can't create creditmemo for the invoice.")

    shop.post("/rest/V1/invoice/1/refund", {"isOnline": True})
    assert shop.status == 200
    assert shop.get("/rest/V1/creditmemo/1")["invoice_id"] == 1
    assert shop.order(2)["total_online_refunded"] == 66


def test_empty_items_mean_everything_and_zero_means_nothing(shop: Shop) -> None:
    order = shop.place(MUG)
    shop.control("pay", order_id=1)
    nothing = {
        "items": [{"order_item_id": order["items"][0]["item_id"], "qty": 0}],
        "arguments": {"shipping_amount": 2},
    }

    shop.post("/rest/V1/order/1/refund", nothing)
    assert shop.get("/rest/V1/creditmemo/1")["items"] == []
    shop.post("/rest/V1/order/1/refund", {"items": []})
    assert shop.order(1)["state"] == "closed"


def test_refund_arguments_are_in_base_currency(shop: Shop) -> None:
    order = shop.place(MUG, store="eu")
    shop.control("pay", order_id=1)
    nothing = [{"order_item_id": order["items"][0]["item_id"], "qty": 0}]

    memo = shop.control(
        "refund", order_id=1, items=nothing, arguments={"shipping_amount": 2, "adjustment_positive": 1}
    )

    assert (memo["base_adjustment"], memo["adjustment"]) == (1, Decimal("1.15"))
    assert (memo["base_shipping_amount"], memo["shipping_amount"]) == (2, Decimal("2.31"))


def test_full_refund_of_discounted_shipping_misses_by_a_cent(shop: Shop) -> None:
    shop.place(("LAMP-01", 1), ("MUG-01", 3), store="trade_en", coupon="TENSHIP")
    shop.control("pay", order_id=1)
    memo = shop.control("refund", order_id=1)

    assert memo["grand_total"] != shop.order(1)["total_refunded"]
    assert shop.order(1)["state"] != "closed"


def test_a_gateway_captures_at_once_or_only_authorises(shop: Shop) -> None:
    captured = shop.place(MUG, payment_method="paypal_express")
    authorised = shop.place(MUG, payment_method="cardauth")
    kinds = [row["txn_type"] for row in shop.get("/rest/V1/transactions?searchCriteria=")["items"]]

    assert (captured["state"], captured["total_paid"]) == ("processing", 66)
    assert authorised["state"] == "processing"
    assert "total_paid" not in authorised
    assert kinds == ["capture", "authorization"]


def test_broken_extension_can_plant_any_value(shop: Shop) -> None:
    shop.place(MUG)
    shop.freeze()
    before = shop.order(1)["updated_at"]
    shop.tick()
    shop.control(
        "edit", entity="orders", id=1, fields={"items.0.price": "abc"}, remove=["customer_email"], touch=False
    )
    order = shop.order(1)

    assert order["items"][0]["price"] == "abc"
    assert "customer_email" not in order
    assert order["updated_at"] == before


def test_rows_become_visible_after_their_stamp() -> None:
    shop = Shop(visibility_lag_ms=300)
    shop.freeze()
    worker = threading.Thread(target=lambda: shop.place(MUG))
    worker.start()
    time.sleep(0.1)

    assert shop.get("/rest/V1/orders?searchCriteria=")["total_count"] == 0
    worker.join()
    assert shop.get("/rest/V1/orders?searchCriteria=")["total_count"] == 1


def _at_once(*actions: Callable[[], tuple[int, Any]]) -> list[int]:
    answers: list[int] = [0] * len(actions)

    def run(index: int, action: Callable[[], tuple[int, Any]]) -> None:
        answers[index] = action()[0]

    threads = [threading.Thread(target=run, args=(index, action)) for index, action in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


def _post(shop: Shop, path: str, body: Any = None) -> Callable[[], tuple[int, Any]]:
    def send() -> tuple[int, Any]:
        answer = shop.app.test_client().post(
            f"/rest/V1{path}", json=body or {}, headers={"Authorization": f"Bearer {shop.token}"}
        )
        return answer.status_code, answer.get_json()

    return send


@pytest.fixture
def slow() -> Shop:
    """Writes that stay long enough between reading and writing to meet."""
    shop = Shop(race_window_ms=120)
    shop.place(MUG)
    return shop


def test_two_full_invoices_at_once_make_one(slow: Shop) -> None:
    assert _at_once(*[_post(slow, "/order/1/invoice")] * 2) == [200, 400]
    assert slow.order(1)["total_paid"] == 66


def test_invoice_and_shipment_at_once_lose_the_totals(slow: Shop) -> None:
    assert _at_once(_post(slow, "/order/1/invoice"), _post(slow, "/order/1/ship")) == [200, 200]

    order = slow.order(1)
    assert len(slow.get("/_sandbox/state/invoices")) == 1
    assert "total_paid" not in order
    assert (order["items"][0]["qty_invoiced"], order["items"][0]["qty_shipped"]) == (0, 4)


def test_invoice_and_cancel_at_once_leave_a_live_invoice(slow: Shop) -> None:
    assert _at_once(_post(slow, "/order/1/invoice"), _post(slow, "/orders/1/cancel")) == [200, 200]
    assert slow.order(1)["state"] == "canceled"
    assert len(slow.get("/_sandbox/state/invoices")) == 1


def test_two_shipments_at_once_make_one(slow: Shop) -> None:
    assert _at_once(*[_post(slow, "/order/1/ship")] * 2) == [200, 400]


@pytest.mark.parametrize(("mutex", "answers"), [(False, [200, 200]), (True, [200, 400])])
def test_two_full_refunds_at_once(mutex: bool, answers: list[int]) -> None:
    shop = Shop(race_window_ms=60, order_mutex=mutex)
    shop.place(MUG)
    shop.control("pay", order_id=1)

    assert _at_once(*[_post(shop, "/order/1/refund")] * 2) == answers
    assert shop.order(1)["total_refunded"] == 66


def test_two_online_refunds_at_once_ask_the_gateway_twice() -> None:
    shop = Shop(race_window_ms=60)
    shop.place(MUG, payment_method="cardpay")
    body = {"isOnline": True, "items": [{"order_item_id": 1, "qty": 3}], "arguments": {"shipping_amount": 0}}

    assert _at_once(*[_post(shop, "/invoice/1/refund", body)] * 2) == [200, 400]
    assert [entry["call"] for entry in shop.get("/_sandbox/state/gateway")] == ["capture", "refund", "refund"]


def test_comment_during_an_invoice_meets_a_deadlock(slow: Shop) -> None:
    comment = _post(slow, "/orders/1/comments", {"statusHistory": {"comment": "x", "status": "pending"}})

    def late() -> tuple[int, Any]:
        time.sleep(0.05)
        return comment()

    assert _at_once(_post(slow, "/order/1/invoice"), late) == [200, 500]
