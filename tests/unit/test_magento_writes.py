"""Comments on Magento orders: made once, with a status, on an order that is still as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cdc.writing import Outgoing, open_writers
from tieout.errors import NotFound, UnknownOutcome
from tieout.http import Answer

COMMENTS = open_writers("magento")["order_comments"]
TEXT = "Invoice WEB-1 is paid. [tieout:shop/order/7/paid]"
ORDER = {"entity_id": 7, "state": "processing", "status": "processing", "status_histories": []}
MADE = {"entity_id": 31, "parent_id": 7, "comment": TEXT, "status": "processing"}


def outgoing(**changes):
    payload = {"parent_id": 7, "comment": TEXT, "status": "processing"} | changes.pop("payload", {})
    return replace(Outgoing(entry=1, key="shop/order/7/paid", operation="create", payload=payload), **changes)


def answer(body, status=200):
    return Answer(status=status, headers={}, content=json.dumps(body).encode(), seconds=0.0, is_write=True)


class Scripted:
    def __init__(self, body):
        self.body = body

    @property
    def http(self):
        return self

    def read(self, path, *, params=None, headers=None):
        if self.body is None:
            raise NotFound(status=404)
        return Answer(status=200, headers={}, content=json.dumps(self.body).encode(), seconds=0.0)


def check(order, **changes):
    return COMMENTS.check(Scripted(order), "create", [outgoing(**changes)])[0]


def test_comment_is_sent_with_its_status_to_nobody():
    call = COMMENTS.request("create", [outgoing()])

    assert (call.method, call.path.endswith("/orders/7/comments"), call.serial_by) == ("POST", True, "7")
    assert call.body == {
        "statusHistory": {
            "comment": TEXT,
            "status": "processing",
            "is_customer_notified": 0,
            "is_visible_on_front": 0,
        }
    }


def test_order_as_expected_is_written():
    assert check(ORDER, expect={"state": "processing", "status": "processing"}) is None


def test_order_that_moved_is_a_conflict():
    outcome = check({**ORDER, "status": "holded"}, expect={"state": "processing", "status": "processing"})

    assert (outcome.kind, outcome.field) == ("conflict", "status")


def test_order_without_status_is_not_the_expected_one():
    """A comment without status empties it on 2.4.4: the field is then absent."""
    order = {name: value for name, value in ORDER.items() if name != "status"}

    assert check(order, expect={"status": "processing"}).kind == "conflict"


def test_comment_that_is_there_is_not_made_again():
    outcome = check({**ORDER, "status_histories": [{"comment": None}, MADE]})

    assert (outcome.kind, outcome.target_id) == ("unchanged", "31")


def test_comment_that_is_there_twice_is_told():
    outcome = check({**ORDER, "status_histories": [MADE, {**MADE, "entity_id": 32}]})

    assert (outcome.kind, outcome.cause) == ("rejected", "made twice")


def test_comment_of_another_key_is_another_comment():
    other = {**MADE, "comment": "x [tieout:shop/order/7/complete]"}

    assert check({**ORDER, "status_histories": [other]}) is None


def test_comment_without_status_is_never_sent():
    outcome = check(ORDER, payload={"status": ""})

    assert (outcome.kind, outcome.cause) == ("rejected", "status missing")
    with pytest.raises(ValueError, match="status"):
        COMMENTS.request("create", [outgoing(payload={"status": ""})])


def test_comment_without_our_mark_is_never_sent():
    assert check(ORDER, payload={"comment": "Paid."}).cause == "mark missing"


def test_order_that_is_gone_is_told():
    assert check(None).cause == "order not in Magento"


@pytest.mark.parametrize("operation", ["update", "remove"])
def test_comment_is_never_changed(operation):
    outcome = COMMENTS.check(Scripted(ORDER), operation, [outgoing(operation=operation)])[0]

    assert outcome.cause == "comments cannot change"


def test_bare_true_is_a_success_without_an_id():
    outcome = COMMENTS.outcomes("create", [outgoing()], answer(True))[0]

    assert (outcome.kind, outcome.target_id, outcome.full) == ("applied", None, False)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (
            400,
            {
                "message": 'Unable to add comment: The status "%1" is not part of the order status history.',
                "parameters": ["x"],
            },
            "status not allowed",
        ),
        (404, {"message": "The entity that was requested doesn't exist."}, "order not in Magento"),
        (
            400,
            {"message": "%fieldName is required", "parameters": {"fieldName": "comment"}},
            "refused by Magento",
        ),
    ],
)
def test_refusal_is_understood(status, body, cause):
    outcome = COMMENTS.outcomes("create", [outgoing()], answer(body, status))[0]

    assert (outcome.kind, outcome.cause) == ("rejected", cause)
    assert "%" not in outcome.messages[0]


def test_failure_of_the_server_may_have_happened():
    with pytest.raises(UnknownOutcome):
        COMMENTS.outcomes("create", [outgoing()], answer({"message": "deadlock"}, 500))


@pytest.mark.parametrize(
    ("items", "ids"),
    [([], []), (None, []), ([MADE], ["31"]), ([MADE, {**MADE, "entity_id": 32}], ["31", "32"])],
)
def test_all_comments_with_our_mark_are_found(items, ids):
    found = COMMENTS.find(Scripted({"items": items}), [outgoing()])[0]

    assert [(one.target_id, one.is_ours) for one in found] == [(each, True) for each in ids]
