"""Each message that Xero is known to say becomes a cause, plain words, a cure and somebody who can do it."""

# The vendor's sentences stand whole, one row a message.
from __future__ import annotations

import pytest

from cdc.writers.xero_errors import classify

# message, cause, field, who, streams whose change is worth one more try
MESSAGES = [
    ("Account code must be specified", "account missing", "AccountCode", "accountant", ("accounts",)),
    ("Account must be valid.", "account unknown", "AccountCode", "accountant", ("accounts",)),
    ("Account code '476' is not a valid code for this document.", "account unknown", "AccountCode", "accountant", ("accounts",)),
    ("Account code '476' has been archived, or has been deleted. Each line item must reference a valid account.", "account unknown", "AccountCode", "accountant", ("accounts",)),
    ("Account code '476' has been removed as it does not match a recognised account.", "account unknown", "AccountCode", "accountant", ("accounts",)),
    ("Account could not be found", "account unknown", "AccountCode", "accountant", ("accounts",)),
    ("Please enter a unique Name.", "name taken", "Name", "accountant", ("contacts",)),
    ("Account Code is too long. Maximum of 10 characters allowed", "text too long", None, "analyst", ()),
    ("The TaxType code 'INPUT' cannot be used with account code '630'.", "tax type and account do not fit", "TaxType", "accountant", ("tax_rates", "accounts")),
    ("The TaxType code GST on Income does not exist or cannot be used for this type of transaction.", "tax type unknown", "TaxType", "accountant", ("tax_rates",)),
    ("The TaxType field is mandatory", "tax type missing", "TaxType", "accountant", ("tax_rates", "accounts")),
    ("Tax rate must be valid.", "tax type unknown", "TaxType", "accountant", ("tax_rates",)),
    ("The line total 0 does not match the expected line total 10", "line total does not match", "LineItems", "analyst", ()),
    ("The invoice total does not equal the sum of the lines.", "total does not match", "LineItems", "analyst", ()),
    ("The document total does not equal the sum of the lines.", "total does not match", "LineItems", "analyst", ()),
    ("The discount rate '0.00' is invalid. Discount must not be greater than the line total.", "discount not allowed", "DiscountAmount", "analyst", ()),
    ("The Date field must be specified.", "date missing", "Date", "analyst", ()),
    ("The document DueDate field must be specified.", "date missing", "Date", "analyst", ()),
    ("The contact name ACME is already assigned to another contact. The contact name must be unique across all active contacts.", "name taken", "Name", "accountant", ("contacts",)),
    ("The contact number 7 is already assigned to another contact. The contact number must be unique across all contacts.", "contact number used", "ContactNumber", "operator", ("contacts",)),
    ("Another contact has this contact number. Please enter a different contact number.", "contact number used", "ContactNumber", "operator", ("contacts",)),
    ("The specified contact details matched an archived contact. Archived contacts cannot currently be edited via the API.", "contact archived", "Contact", "accountant", ("contacts",)),
    ("The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, ContactNumber", "contact missing", "Contact", "operator", ("contacts",)),
    ("A Contact must be specified for this type of transaction", "contact missing", "Contact", "operator", ("contacts",)),
    ("Email address must be valid.", "e-mail address invalid", "EmailAddress", "shop", ()),
    ("Invoice # must be unique.", "number used", "InvoiceNumber", "accountant", ("invoices", "credit_notes")),
    ("Invoice not of valid status for creation", "status not allowed", "Status", "operator", ("invoices", "credit_notes")),
    ("Invoice not of valid status for modification", "status not allowed", "Status", "operator", ("invoices", "credit_notes")),
    ("Invoice not of valid type for creation", "type not allowed", "Type", "analyst", ()),
    ("This document cannot be edited as it has a payment or credit note allocated to it.", "document settled meanwhile", None, "accountant", ("invoices", "credit_notes")),
    ("The status VOIDED cannot be applied to the invoice because it has payments or credit notes allocated to it.", "cannot be voided", "Status", "accountant", ("invoices", "credit_notes", "payments")),
    ("One or more line items must be specified", "no lines", "LineItems", "analyst", ()),
    ("An existing Invoice with the specified InvoiceID could not be found", "not in Xero", None, "operator", ("invoices", "credit_notes", "payments", "contacts", "items")),
    ("An existing Credit Note with the specified CreditNoteID could not be found", "not in Xero", None, "operator", ("invoices", "credit_notes", "payments", "contacts", "items")),
    ("The document with the supplied id was not found for this endpoint.", "not in Xero", None, "operator", ("invoices", "credit_notes", "payments", "contacts", "items")),
    ("Organisation is not subscribed to currency EUR", "currency not in Xero", "CurrencyCode", "accountant", ("currencies", "organisations")),
    ("The document date cannot be before the period lock date, currently set at 31 Mar 2026", "locked period", "Date", "accountant", ("organisations",)),
    ("The document date cannot be before the end of year lock date, currently set at 31 Mar 2026", "locked period", "Date", "accountant", ("organisations",)),
    ("Payment amount exceeds the amount outstanding on this document", "more than is open", "Amount", "accountant", ("invoices", "credit_notes", "payments")),
    ("Payments can only be made against Authorised documents", "document not approved", None, "accountant", ("invoices", "credit_notes")),
    ("Only Status accepted for updates.", "payments cannot change", None, "operator", ("payments",)),
    ("Price List Item with Code 'abc' already exists", "item code used", "Code", "operator", ("items",)),
    ("Order number must be unique", "number used", "InvoiceNumber", "accountant", ("invoices", "credit_notes")),
    ("PurchaseOrder status change is invalid", "status not allowed", "Status", "operator", ("invoices", "credit_notes")),
    ("Deleted PurchaseOrders cannot be updated", "status not allowed", "Status", "operator", ("invoices", "credit_notes")),
    ("Insufficient stock. Items are eligible for backorder.", "stock insufficient", "ItemCode", "accountant", ("items",)),
    ("An contact group by that name already exists", "name taken", "Name", "accountant", ("contacts",)),
    ("You’ve reached the limit of 100 contact groups.", "limit reached", None, "accountant", ()),
    ("Repeating invoice status must be set to DELETED", "status not allowed", "Status", "operator", ("invoices", "credit_notes")),
    ("The element 'HasValidationErrors' was not recognised. Ensure the element name has the correct case and that there are no duplicate elements of the same name.", "request not understood", None, "analyst", ()),
    ("JSON request body could not be read", "request not understood", None, "analyst", ()),
    ("The string '2017-12-14 00:00:00' is not a valid AllXsd value.", "request not understood", None, "analyst", ()),
    ("The resource you're looking for cannot be found", "not in Xero", None, "operator", ("invoices", "credit_notes", "payments", "contacts", "items")),
    ("Credit can only be allocated between Authorised documents", "document not approved", None, "accountant", ("invoices", "credit_notes")),
    ("Credit can only be allocated to a document of the same contact and type.", "documents do not fit", None, "accountant", ("invoices", "credit_notes", "accounts")),
    ("Payment cannot be deleted as it has been reconciled with a bank transaction.", "payment reconciled", None, "accountant", ("payments",)),
    ("Payment amount must be greater than zero.", "amount not allowed", "Amount", "analyst", ()),
    ("Item code 'W-1' is not valid", "item unknown", "ItemCode", "accountant", ("items",)),
    ("Description must be specified", "field missing", None, "analyst", ()),
    ("Currency Code must be valid", "currency not in Xero", "CurrencyCode", "accountant", ("currencies", "organisations")),
    ("Discounts can only be applied to ACCREC invoices and quotes.", "discount not allowed", "DiscountAmount", "analyst", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "cause", "field", "who", "depends_on"), MESSAGES, ids=[row[0][:50] for row in MESSAGES]
)
def test_message_is_understood(message, cause, field, who, depends_on):
    understood = classify("invoices", [message])

    assert (understood.cause, understood.field, understood.who) == (cause, field, who)
    assert understood.depends_on == depends_on
    assert not understood.is_connection
    assert understood.reason.endswith(".")
    assert understood.cure.endswith(".")
    assert "{" not in understood.reason + understood.cure


@pytest.mark.parametrize("message", [row[0] for row in MESSAGES], ids=[row[0][:50] for row in MESSAGES])
def test_wording_may_drift(message):
    """Letter case, the final stop and words around the message change nothing."""
    expected = classify("invoices", [message]).cause

    assert classify("invoices", [message.upper()]).cause == expected
    assert classify("invoices", [f"Line 1: {message.rstrip('.')} (see Help Centre)"]).cause == expected


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("You have reached the limit of invoices you can approve", "plan limit"),
        ("You’ve reached your plan's monthly limit", "plan limit"),
        ("The Organisation is offline", "organisation offline"),
        ("Your trial has expired", "subscription"),
    ],
)
def test_what_concerns_the_whole_connection_is_told_apart(message, cause):
    understood = classify("invoices", [message])

    assert (understood.cause, understood.is_connection) == (cause, True)


def test_missing_currency_concerns_one_record_only():
    assert not classify("invoices", ["Organisation is not subscribed to currency EUR"]).is_connection


def test_named_value_stands_in_the_reason():
    assert "EUR" in classify("invoices", ["Organisation is not subscribed to currency EUR"]).reason
    assert "476" in classify("invoices", ["Account code '476' is not a valid code for this document."]).reason
    assert "31 Mar 2026" in classify("invoices", [
        "The document date cannot be before the period lock date, currently set at 31 Mar 2026"
    ]).reason  # fmt: skip


def test_account_of_a_payment_is_cured_in_its_own_lookup():
    understood = classify("payments", ["Account could not be found"])

    assert understood.field == "Account"
    assert "payment_methods" in understood.cure


def test_number_of_a_credit_note_is_its_own_field():
    assert classify("credit_notes", ["Credit note number must be unique"]).field == "CreditNoteNumber"


def test_name_taken_counts_only_when_nothing_else_is_wrong():
    """A second try under another name would fail by the other fault."""
    taken = "The contact name ACME is already assigned to another contact."

    assert classify("contacts", [taken]).kind == "taken"
    assert classify("contacts", [taken, "Email address must be valid."]).cause == "e-mail address invalid"


def test_used_number_asks_whether_it_is_ours():
    assert classify("invoices", ["Invoice # must be unique."]).ask
    assert classify("contacts", ["Another contact has this contact number."]).ask
    assert classify("items", ["Price List Item with Code 'abc' already exists"]).ask


def test_unknown_message_ends_in_its_own_words():
    understood = classify("invoices", ["The flux capacitor is empty"])

    assert understood.cause == "refused by Xero"
    assert "flux capacitor" in understood.reason
