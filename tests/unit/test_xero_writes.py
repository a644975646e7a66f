"""Requests to Xero and what its answers mean, without a server: the forms that the stand-in cannot be made to
give.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from cdc.writing import Outgoing, open_writers
from tieout.errors import ConnectionRefused, NotFound, RetryLater, UnknownOutcome
from tieout.http import Answer

XERO = open_writers("xero")
INVOICES, PAYMENTS, CONTACTS = XERO["invoices"], XERO["payments"], XERO["contacts"]
NO_ID = "00000000-0000-0000-0000-000000000000"


def outgoing(number=1, operation="create", **changes):
    payload = {
        "Type": "ACCREC",
        "InvoiceNumber": f"WEB-{number}",
        "Contact": {"ContactID": "C"},
        "Status": "AUTHORISED",
    }
    return Outgoing(
        **{"entry": number, "key": f"shop/order/{number}/1", "operation": operation, "payload": payload}
        | changes
    )


def answer(body, status=200):
    content = body if isinstance(body, bytes) else json.dumps(body, default=str).encode()
    return Answer(status=status, headers={}, content=content, seconds=0.0, is_write=True)


def good(number, **changes):
    return {
        "InvoiceID": f"I{number}",
        "InvoiceNumber": f"WEB-{number}",
        "Status": "AUTHORISED",
        "Type": "ACCREC",
        "StatusAttributeString": "OK",
        "HasErrors": False,
        **changes,
    }


def bad(number, *messages, **changes):
    return {
        "InvoiceID": NO_ID,
        "InvoiceNumber": f"WEB-{number}",
        "StatusAttributeString": "ERROR",
        "HasErrors": True,
        "ValidationErrors": [{"Message": message} for message in messages],
        **changes,
    }


class Scripted:
    """A client that answers each read with the next record list."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    @property
    def http(self):
        return self

    def read(self, path, *, params=None, headers=None):
        self.asked.append((path, dict(params or {})))
        body = self.answers.pop(0)
        if body is None:
            raise NotFound(status=404)
        return Answer(status=200, headers={}, content=json.dumps(body, default=str).encode(), seconds=0.0)


# --- requests


def test_create_is_put_so_that_a_second_one_is_refused():
    call = INVOICES.request("create", [outgoing(1), outgoing(2)])

    assert (call.method, call.path) == ("PUT", "/Invoices")
    assert call.params == {"summarizeErrors": "false", "unitdp": "4"}
    assert [element["InvoiceNumber"] for element in call.body["Invoices"]] == ["WEB-1", "WEB-2"]


def test_update_goes_by_id_and_sends_the_differing_fields_alone():
    one = outgoing(operation="update", target_id="I1", fields=("Status",))

    call = INVOICES.request("update", [one])

    assert (call.method, call.body) == ("POST", {"Invoices": [{"InvoiceID": "I1", "Status": "AUTHORISED"}]})


def test_lines_are_sent_with_their_ids_and_without_our_own_names():
    lines = [
        {"_line": "10", "Description": "Mug", "ItemCode": {"$cleared": True}},
        {"_line": "20", "Description": "Hat"},
    ]
    one = outgoing(
        operation="update",
        target_id="I1",
        payload={"LineItems": lines},
        fields=("LineItems",),
        line_ids={"10": "A"},
    )

    sent = INVOICES.request("update", [one]).body["Invoices"][0]["LineItems"]

    assert sent == [{"LineItemID": "A", "Description": "Mug", "ItemCode": ""}, {"Description": "Hat"}]


def test_nested_contact_carries_its_id_only():
    one = outgoing(payload={"Contact": {"ContactID": "C", "Name": "Renamed"}})

    assert INVOICES.request("create", [one]).body["Invoices"][0]["Contact"] == {"ContactID": "C"}


@pytest.mark.parametrize(
    ("status", "removed"), [("DRAFT", "DELETED"), ("SUBMITTED", "DELETED"), ("AUTHORISED", "VOIDED")]
)
def test_removal_is_the_status_that_fits(status, removed):
    one = outgoing(operation="remove", target_id="I1", returned={"Status": status})

    assert INVOICES.request("remove", [one]).body == {"Invoices": [{"InvoiceID": "I1", "Status": removed}]}


def test_payment_is_removed_by_its_status_in_a_call_of_its_own():
    one = outgoing(operation="remove", target_id="P1", payload={})

    call = PAYMENTS.request("remove", [one])

    assert (PAYMENTS.batch("remove"), call.method, call.path, call.body) == (
        1,
        "POST",
        "/Payments/P1",
        {"Status": "DELETED"},
    )


@pytest.mark.parametrize(
    ("entity", "name"),
    [
        ("allocations", "CreditNote"),
        ("prepayment_allocations", "Prepayment"),
        ("overpayment_allocations", "Overpayment"),
    ],
)
def test_allocation_is_put_below_its_source_one_call_at_a_time(entity: str, name: str):
    payload = {
        name: {f"{name}ID": "N"},
        "Invoice": {"InvoiceID": "I"},
        "Amount": Decimal(5),
        "Date": "2026-01-01",
    }
    one = outgoing(payload=payload)

    call = XERO[entity].request("create", [one])
    removal = XERO[entity].request("remove", [replace(one, operation="remove", target_id="A")])

    assert (call.method, call.path, call.serial_by) == ("PUT", f"/{name}s/N/Allocations", "N")
    assert call.body == {
        "Allocations": [{"Invoice": {"InvoiceID": "I"}, "Amount": Decimal(5), "Date": "2026-01-01"}]
    }
    assert (removal.method, removal.path) == ("DELETE", f"/{name}s/N/Allocations/A")


def test_bank_transactions_are_put_many_at_once_and_removed_by_status():
    payload = {"Type": "RECEIVE-PREPAYMENT", "Contact": {"ContactID": "C", "Name": "not sent"}}
    one = outgoing(payload=payload | {"LineItems": [{"_line": "1", "UnitAmount": Decimal(5)}]})

    call = XERO["bank_transactions"].request("create", [one])
    removal = XERO["bank_transactions"].request("remove", [replace(one, operation="remove", target_id="B")])

    assert (call.method, call.path) == ("PUT", "/BankTransactions")
    assert call.body == {
        "BankTransactions": [
            {
                "Type": "RECEIVE-PREPAYMENT",
                "Contact": {"ContactID": "C"},
                "LineItems": [{"UnitAmount": Decimal(5)}],
            }
        ]
    }
    assert removal.body == {"BankTransactions": [{"BankTransactionID": "B", "Status": "DELETED"}]}


# --- answers


def test_each_element_has_its_own_outcome():
    outcomes = INVOICES.outcomes(
        "create",
        [outgoing(1), outgoing(2), outgoing(3)],
        answer(
            {
                "Invoices": [
                    good(1),
                    bad(2, "Account code '9' is not a valid code for this document."),
                    good(3),
                ]
            }
        ),
    )

    assert [(o.kind, o.target_id, o.cause) for o in outcomes] == [
        ("applied", "I1", None),
        ("rejected", None, "account unknown"),
        ("applied", "I3", None),
    ]
    assert outcomes[1].messages == ("Account code '9' is not a valid code for this document.",)


def test_elements_in_another_order_are_matched_by_number():
    outcomes = INVOICES.outcomes(
        "create", [outgoing(1), outgoing(2)], answer({"Invoices": [good(2), good(1)]})
    )

    assert [o.target_id for o in outcomes] == ["I1", "I2"]


def test_element_that_is_missing_in_the_answer_is_unknown():
    outcomes = INVOICES.outcomes("create", [outgoing(1), outgoing(2)], answer({"Invoices": [good(2)]}))

    assert [(o.kind, o.target_id) for o in outcomes] == [("unknown", None), ("applied", "I2")]


def test_error_nested_in_a_line_is_found():
    element = bad(
        1, LineItems=[{"ValidationErrors": [{"Message": "Tax rate must be valid."}]}], ValidationErrors=[]
    )

    assert (
        INVOICES.outcomes("create", [outgoing(1)], answer({"Invoices": [element]}))[0].cause
        == "tax type unknown"
    )


def test_payment_with_an_id_and_errors_was_refused():
    """As the example in Xero's own OpenAPI shows it."""
    payment = {
        "PaymentID": "P1",
        "Amount": 1.0,
        "HasValidationErrors": True,
        "Invoice": {"InvoiceID": "I"},
        "ValidationErrors": [{"Message": "Payment amount exceeds the amount outstanding on this document"}],
    }
    one = outgoing(payload={"Invoice": {"InvoiceID": "I"}, "Amount": Decimal(1)})

    outcome = PAYMENTS.outcomes("create", [one], answer({"Payments": [payment]}))[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "more than is open")


def test_warnings_do_not_refuse():
    element = good(
        1, StatusAttributeString="WARNING", Warnings=[{"Message": "Account code '9' has been removed"}]
    )

    outcome = INVOICES.outcomes("create", [outgoing(1)], answer({"Invoices": [element]}))[0]

    assert (outcome.kind, outcome.messages) == ("applied", ("Account code '9' has been removed",))


def test_record_is_stored_without_what_only_answers_say():
    outcome = INVOICES.outcomes(
        "create", [outgoing(1)], answer({"Invoices": [good(1, ValidationErrors=[])]})
    )[0]

    assert "StatusAttributeString" not in outcome.record
    assert "ValidationErrors" not in outcome.record


def test_taken_name_may_be_tried_again():
    element = {
        "ContactID": NO_ID,
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": "The contact name Jane is already assigned to another contact."}],
    }
    one = outgoing(payload={"Name": "Jane", "ContactNumber": "shop/customer/1"})

    assert CONTACTS.outcomes("create", [one], answer({"Contacts": [element]}))[0].kind == "taken"


def test_used_number_is_to_be_asked_for():
    outcome = INVOICES.outcomes(
        "create", [outgoing(1)], answer({"Invoices": [bad(1, "Invoice # must be unique.")]})
    )[0]

    assert (outcome.kind, outcome.cause, outcome.ask) == ("rejected", "number used", True)


def test_refused_request_names_the_bad_element_and_lets_the_others_go_again():
    body = {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Elements": [bad(2, "One or more line items must be specified")],
    }

    outcomes = INVOICES.outcomes("create", [outgoing(1), outgoing(2)], answer(body, 400))

    assert [(o.kind, o.cause, o.alone) for o in outcomes] == [
        ("later", None, False),
        ("rejected", "no lines", False),
    ]


def test_request_that_was_not_understood_is_taken_apart():
    body = {
        "ErrorNumber": 14,
        "Type": "PostDataInvalidException",
        "Message": "JSON request body could not be read",
    }

    several = INVOICES.outcomes("create", [outgoing(1), outgoing(2)], answer(body, 400))
    single = INVOICES.outcomes("create", [outgoing(1)], answer(body, 400))

    assert [(o.kind, o.alone) for o in several] == [("later", True), ("later", True)]
    assert (single[0].kind, single[0].cause) == ("rejected", "request not understood")


@pytest.mark.parametrize(
    "content", [b"The resource you're looking for cannot be found", b""], ids=["plain text", "nothing"]
)
def test_unknown_id_is_a_record_that_is_gone(content):
    one = outgoing(operation="update", target_id="I1")

    outcome = INVOICES.outcomes("update", [one], answer(content, 404))[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "not in Xero")


def test_removing_what_is_gone_changes_nothing():
    one = outgoing(operation="remove", target_id="P1", payload={})

    assert PAYMENTS.outcomes("remove", [one], answer(b"", 404))[0].kind == "unchanged"


def test_idempotency_clash_says_nothing_of_the_first_call():
    body = {"Message": "Idempotency Key: K is used with a different request."}

    with pytest.raises(UnknownOutcome):
        INVOICES.outcomes("create", [outgoing(1)], answer(body, 400))


def test_plan_limit_stops_the_connection_when_nothing_was_saved():
    refused = bad(1, "You have reached the limit of invoices you can approve")

    with pytest.raises(ConnectionRefused, match="plan") as caught:
        INVOICES.outcomes("create", [outgoing(1)], answer({"Invoices": [refused]}))

    assert "Upgrade" in caught.value.cure


def test_plan_limit_in_the_middle_of_a_call_loses_nothing_of_it():
    refused = bad(2, "You have reached the limit of invoices you can approve")

    outcomes = INVOICES.outcomes(
        "create", [outgoing(1), outgoing(2)], answer({"Invoices": [good(1), refused]})
    )

    assert [o.kind for o in outcomes] == ["applied", "later"]


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"<html>", 200, UnknownOutcome),
        (b"", 500, UnknownOutcome),
        (b"", 503, UnknownOutcome),
        (b"", 429, RetryLater),
    ],
)
def test_answer_that_says_nothing_of_the_elements_raises(content, status, error):
    with pytest.raises(error):
        INVOICES.outcomes("create", [outgoing(1)], answer(content, status))


def test_allocation_answered_without_its_id_is_to_be_asked_for():
    """Older answers, as in Xero's OpenAPI, leave out AllocationID."""
    payload = {
        "CreditNote": {"CreditNoteID": "N"},
        "Invoice": {"InvoiceID": "I"},
        "Amount": Decimal(1),
        "Date": "2026-01-01",
    }
    body = {"Allocations": [{"Amount": 1.0, "Invoice": {"InvoiceID": "I"}, "ValidationErrors": []}]}

    assert (
        XERO["allocations"].outcomes("create", [outgoing(payload=payload)], answer(body))[0].kind == "unknown"
    )


# --- just before sending

HELD = {
    "InvoiceID": "I1",
    "Type": "ACCREC",
    "InvoiceNumber": "WEB-1",
    "Status": "AUTHORISED",
    "Reference": "a",
    "Contact": {"ContactID": "C", "Name": "Jane"},
    "Total": Decimal("10.00"),
    "Date": "/Date(1767225600000+0000)/",
}


def change(**changes):
    payload = {"Type": "ACCREC", "InvoiceNumber": "WEB-1", "Reference": "b", "Status": "AUTHORISED"}
    return outgoing(
        operation="update",
        target_id="I1",
        payload=payload,
        fields=("Reference",),
        returned={"Reference": "a", "Status": "AUTHORISED"},
        **changes,
    )


def test_document_that_is_as_we_knew_it_is_sent():
    assert INVOICES.check(Scripted({"Invoices": [HELD]}), "update", [change()]) == [None]


def test_documents_are_read_together_and_in_full():
    client = Scripted({"Invoices": [HELD, {**HELD, "InvoiceID": "I2"}]})

    INVOICES.check(client, "update", [change(), outgoing(2, "update", target_id="I2")])

    assert len(client.asked) == 1
    assert client.asked[0][0] == "/Invoices"
    assert (
        client.asked[0][1].items()
        >= {"IDs": "I1,I2", "unitdp": "4", "page": "1", "includeArchived": "true"}.items()
    )


def test_document_that_somebody_changed_is_a_conflict():
    one = change()

    outcome = INVOICES.check(Scripted({"Invoices": [{**HELD, "Reference": "theirs"}]}), "update", [one])[0]

    assert (outcome.kind, outcome.field, outcome.record["Reference"]) == ("conflict", "Reference", "theirs")


def test_document_that_already_says_so_is_not_written():
    outcome = INVOICES.check(Scripted({"Invoices": [{**HELD, "Reference": "b"}]}), "update", [change()])[0]

    assert outcome.kind == "unchanged"


def test_document_that_was_paid_meanwhile_takes_its_reference_but_not_its_lines():
    paid = {**HELD, "Status": "PAID", "AmountPaid": Decimal(10)}
    lines = outgoing(
        operation="update", target_id="I1", payload={"LineItems": [{"_line": "1", "Description": "x"}]}
    )

    assert INVOICES.check(Scripted({"Invoices": [paid]}), "update", [change()]) == [None]
    assert INVOICES.check(Scripted({"Invoices": [paid]}), "update", [lines])[0].kind == "conflict"


def test_document_that_is_gone_cannot_be_changed():
    outcome = INVOICES.check(Scripted({"Invoices": []}), "update", [change()])[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "not in Xero")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"Status": "VOIDED"}, "unchanged"),
        ({"AmountPaid": Decimal(1)}, "rejected"),
        ({"AmountCredited": Decimal(1)}, "rejected"),
        ({"Status": "DRAFT"}, "conflict"),
        ({"Reference": "theirs"}, "conflict"),
    ],
)
def test_removal_is_judged_by_the_document_as_it_is_now(changes, kind):
    one = outgoing(operation="remove", target_id="I1", returned={"Reference": "a", "Status": "AUTHORISED"})

    outcome = INVOICES.check(Scripted({"Invoices": [{**HELD, **changes}]}), "remove", [one])[0]

    assert (outcome and outcome.kind) == kind


def test_reconciled_payment_is_never_removed():
    one = outgoing(operation="remove", target_id="P1", payload={})
    record = {"PaymentID": "P1", "Status": "AUTHORISED", "IsReconciled": True}

    outcome = PAYMENTS.check(Scripted({"Payments": [record]}), "remove", [one])[0]

    assert (outcome.kind, outcome.cause) == ("rejected", "payment reconciled")


def test_payment_is_never_changed():
    one = outgoing(operation="update", target_id="P1", payload={"Reference": "x"})

    assert PAYMENTS.check(Scripted({"Payments": []}), "update", [one])[0].cause == "payments cannot change"


def test_creates_read_nothing():
    client = Scripted()

    assert INVOICES.check(client, "create", [outgoing(1)]) == [None]
    assert client.asked == []


# --- finding


def found(write, one, *bodies):
    return [(f.target_id, f.is_ours) for f in write.find(Scripted(*bodies), [one])[0]]


def test_same_number_with_another_amount_is_not_ours():
    one = outgoing(1, total=Decimal("11.00"))

    assert found(INVOICES, one, {"Invoices": [HELD]}) == [("I1", False)]


def test_same_number_and_amount_is_ours_even_after_a_person_voided_it():
    one = outgoing(1, total=Decimal("10.00"))

    assert found(INVOICES, one, {"Invoices": [HELD]}) == [("I1", True)]
    assert found(INVOICES, one, {"Invoices": [{**HELD, "Status": "VOIDED", "Total": 0}]}) == [("I1", True)]


def test_a_bill_with_our_number_is_not_even_a_candidate():
    assert found(INVOICES, outgoing(1), {"Invoices": [{**HELD, "Type": "ACCPAY"}]}) == []


def test_update_is_found_by_id_and_judged_by_content():
    assert found(INVOICES, change(), {"Invoices": [HELD]}) == [("I1", False)]
    assert found(INVOICES, change(), {"Invoices": [{**HELD, "Reference": "b"}]}) == [("I1", True)]


PAYMENT = {
    "Invoice": {"InvoiceID": "I1"},
    "Account": {"Code": "090"},
    "Date": "2026-01-01",
    "Amount": Decimal("5.00"),
    "Reference": "shop/order/1/payment/1",
}
PAID = {
    "PaymentID": "P1",
    "Status": "AUTHORISED",
    "Date": "/Date(1767225600000+0000)/",
    "Amount": 5.0,
    "Reference": "shop/order/1/payment/1",
    "Invoice": {"InvoiceID": "i1"},
    "Account": {"Code": "090"},
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("P1", True)]),
        ({"Status": "DELETED"}, [("P1", True)]),
        ({"Reference": "theirs"}, [("P1", False)]),
        ({"Reference": "theirs", "Amount": 4.0}, []),
        ({"Reference": "shop/order/1/payment/2"}, []),
        ({"Reference": "theirs", "Status": "DELETED"}, []),
        ({"Invoice": {"InvoiceID": "I2"}}, []),
    ],
)
def test_payment_is_found_by_document_and_reference(changes, expected):
    one = outgoing(payload=PAYMENT)

    assert found(PAYMENTS, one, {"Payments": [{**PAID, **changes}]}, {"Payments": []}) == expected


def test_payment_that_we_make_again_is_not_the_deleted_one():
    one = outgoing(payload=PAYMENT, generation=2)

    assert found(PAYMENTS, one, {"Payments": [{**PAID, "Status": "DELETED"}]}, {"Payments": []}) == [
        ("P1", False)
    ]


def test_contact_is_found_by_mark_and_only_then_by_address():
    one = outgoing(
        payload={"Name": "Jane", "ContactNumber": "shop/customer/1", "EmailAddress": "J@x.example"}
    )
    marked = {"ContactID": "C1", "ContactNumber": "shop/customer/1"}
    by_address = {"ContactID": "C2", "EmailAddress": "j@x.example", "ContactStatus": "ACTIVE"}

    assert found(CONTACTS, one, {"Contacts": [marked]}) == [("C1", True)]
    assert found(CONTACTS, one, {"Contacts": []}, {"Contacts": [by_address]}) == [("C2", False)]


@pytest.mark.parametrize(
    "other",
    [
        {"ContactStatus": "ARCHIVED"},
        {"ContactNumber": "shop/guest/j@x.example"},
        {"EmailAddress": "jj@x.example"},
    ],
    ids=["archived", "another of our keys", "another address"],
)
def test_contact_is_not_adopted(other):
    one = outgoing(payload={"ContactNumber": "shop/customer/1", "EmailAddress": "j@x.example"})
    record = {"ContactID": "C2", "EmailAddress": "j@x.example", "ContactStatus": "ACTIVE", **other}

    assert found(CONTACTS, one, {"Contacts": []}, {"Contacts": [record]}) == []


def test_value_with_a_quotation_mark_is_asked_for_by_its_longest_part():
    one = outgoing(payload={"InvoiceNumber": 'WEB-"1"', "Type": "ACCREC"})
    client = Scripted({"Invoices": []})

    INVOICES.find(client, [one])

    assert client.asked[0][1]["where"] == '(InvoiceNumber!=null AND InvoiceNumber.Contains("WEB-"))'


# --- frozen

LOCKED = {"PeriodLockDate": "/Date(1767225600000+0000)/"}


@pytest.mark.parametrize(
    ("changes", "organisation", "why"),
    [
        ({}, None, None),
        ({"Status": "PAID"}, None, "paid"),
        ({"AmountPaid": Decimal("0.01")}, None, "part-paid"),
        ({"AmountCredited": Decimal("0.01")}, None, "credited"),
        ({"Status": "VOIDED"}, None, "voided"),
        ({"AmountPaid": Decimal(0), "Payments": []}, {}, None),
        ({}, LOCKED, "locked up to 2026-01-01"),
        ({"Status": "DRAFT"}, LOCKED, None),
        ({"Date": "/Date(1767312000000+0000)/"}, LOCKED, None),
    ],
)
def test_document_is_frozen_once_money_or_a_lock_is_on_it(changes, organisation, why):
    frozen = INVOICES.frozen({**HELD, **changes}, organisation)

    assert frozen is None if why is None else why in frozen
