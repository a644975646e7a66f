"""The table of Xero's refusals: a pattern for what a message is about, and what it means for the person who
reads it.

Xero gives no error codes for validation failures, only sentences, and their wording drifts: the patterns look
for the type and the field that a message is about, never for the whole of it. The messages are those of
Xero's documentation, its OpenAPI examples and public issue threads, as of autumn 2026.
`cdc/writers/xero_errors.py` reads the table.
"""

from __future__ import annotations

from cdc.writers.refusal import rule

_CONNECTION = (
    rule(
        r"limit of (?:invoices|bills)|(?:plan|subscription).{0,40}limit",
        cause="plan limit",
        reason="The organisation's Xero plan allows no more approved documents.",
        cure="Upgrade the plan of the Xero organisation, then resume the connection.",
        is_connection=True,
    ),
    rule(
        r"organisation is offline",
        cause="organisation offline",
        reason="The Xero organisation is offline.",
        cure="Wait until Xero has it back, then resume the connection.",
        who="vendor",
        is_connection=True,
    ),
    rule(
        r"(?:subscription|trial|plan).{0,40}(?:expired|cancelled|canceled|not active|does not include)"
        r"|not subscribed to (?!currency)",
        cause="subscription",
        reason="The organisation's Xero subscription does not allow this.",
        cure="Renew or change the subscription of the Xero organisation, then resume the connection.",
        is_connection=True,
    ),
)

_PERHAPS_OURS = (
    rule(
        r"(?:invoice|credit note|order|document) (?:#|number|no\.?) must be unique",
        cause="number used",
        reason="Another document in Xero already has this number.",
        cure="Rename or remove that document in Xero if it is a mistake, or give the route another "
        "number prefix; "
        "if it is this very sale, link it.",
        field="InvoiceNumber",
        depends_on=("invoices", "credit_notes"),
        ask=True,
    ),
    rule(
        r"contact (?:account )?number.{0,80}(?:already|unique)|another contact has this contact number",
        cause="contact number used",
        reason="Another contact in Xero already bears our mark (ContactNumber).",
        cure="Link that contact, or clear its ContactNumber.",
        who="operator",
        field="ContactNumber",
        depends_on=("contacts",),
        ask=True,
    ),
    rule(
        r"item with code (?P<value>.+?) already exists|item code.{0,40}(?:already|unique)",
        cause="item code used",
        reason="Xero already has an item with the code{value}.",
        cure="Link that item, or correct the sku.",
        who="operator",
        field="Code",
        depends_on=("items",),
        ask=True,
    ),
)

_PERIOD_AND_CURRENCY = (
    rule(
        r"(?:period|year) lock date(?:, currently set at (?P<value>[^.]+))?|locked period",
        cause="locked period",
        reason="The document's date lies in a period that is locked in Xero{until}.",
        cure="Move the lock date in Xero, or let the document be dated in the open period.",
        field="Date",
        depends_on=("organisations",),
    ),
    rule(
        r"not subscribed to currency (?P<value>\w+)"
        r"|currency.{0,40}(?:not (?:been )?(?:enabled|added|valid)|invalid|must be valid)",
        cause="currency not in Xero",
        reason="The Xero organisation does not use the currency{value}.",
        cure="Add the currency in Xero (it needs a plan with several currencies), or let the route "
        "use the base currency.",
        field="CurrencyCode",
        depends_on=("currencies", "organisations"),
    ),
)

_CONTACTS = (
    rule(
        r"matched an archived contact|archived contacts? cannot|contact (?:is|has been) archived",
        cause="contact archived",
        reason="The contact is archived in Xero, and archived contacts take no changes and no documents.",
        cure="Restore the contact in Xero, or link the customer to another contact.",
        field="Contact",
        depends_on=("contacts",),
    ),
    rule(
        r"must contain at least 1 of the following elements to identify the contact"
        r"|a contact must be specified"
        r"|contact.{0,40}could not be found",
        cause="contact missing",
        reason="Xero does not know the contact of this record, or none was named.",
        cure="Look at the contact's own entry; if the contact was merged or removed in Xero, link it again.",
        who="operator",
        field="Contact",
        depends_on=("contacts",),
    ),
    rule(
        r"e-?mail address.{0,40}(?:valid|invalid)",
        cause="e-mail address invalid",
        reason="Xero does not accept the e-mail address.",
        cure="Correct the customer's e-mail address in the shop.",
        who="shop",
        field="EmailAddress",
    ),
)

_ACCOUNTS_AND_TAX = (
    rule(
        r"tax ?type code (?P<value>.+?) cannot be used with account",
        cause="tax type and account do not fit",
        reason="Xero does not allow the tax type{value} on this account.",
        cure="Correct the lookup `taxes` or `accounts`, or the account's tax setting in Xero.",
        field="TaxType",
        depends_on=("tax_rates", "accounts"),
    ),
    rule(
        r"tax ?type (?:field )?(?:is mandatory|must be specified)",
        cause="tax type missing",
        reason="A line has no tax type.",
        cure="Add the row that `tieout lookups missing` prints to the lookup `taxes`.",
        field="TaxType",
        depends_on=("tax_rates", "accounts"),
    ),
    rule(
        r"tax ?type code (?P<value>.+?) does not exist|tax (?:rate|type) must be valid"
        r"|tax ?type.{0,60}(?:not (?:a )?valid|invalid)",
        cause="tax type unknown",
        reason="Xero does not know the tax type{value}, or not for this kind of document.",
        cure="Correct the lookup `taxes`, or create the tax rate in Xero.",
        field="TaxType",
        depends_on=("tax_rates",),
    ),
    rule(
        r"account code must be specified|account must be specified",
        cause="account missing",
        reason="A line or payment names no account.",
        cure="Add the missing row to the lookup `{lookup}`.",
        field="AccountCode",
        depends_on=("accounts",),
    ),
    rule(
        r"account code '?(?P<value>[^' ]+)'? (?:is not a valid|has been (?:archived|deleted|removed))"
        r"|account must be valid"
        r"|account could not be found"
        r"|account.{0,60}(?:not (?:enabled|allowed|valid)|cannot be used).{0,40}payment",
        cause="account unknown",
        reason="Xero has no usable account{value} for this document: unknown, archived, or not allowed here.",
        cure="Create or restore the account in Xero (for payments: a bank account, or one that allows "
        "payments), or "
        "correct the lookup `{lookup}`.",
        field="AccountCode",
        depends_on=("accounts",),
    ),
)

_DOCUMENTS = (
    rule(
        r"cannot be edited as it has a payment or credit",
        cause="document settled meanwhile",
        reason="A payment or credit was put on the document in Xero, so it can no longer change.",
        cure="Nothing to do if the difference may stay: it is listed as drift. Else undo the payment "
        "in Xero.",
        kind="conflict",
        depends_on=("invoices", "credit_notes"),
    ),
    rule(
        r"status (?P<value>VOIDED|DELETED) cannot be applied",
        cause="cannot be voided",
        reason="Xero does not void a document that has payments or credits on it.",
        cure="Remove the payments and allocations in Xero first, or credit the document instead.",
        field="Status",
        depends_on=("invoices", "credit_notes", "payments"),
    ),
    rule(
        r"not of valid status|status change is invalid|deleted \w+ cannot be updated|status must be set to",
        cause="status not allowed",
        reason="Xero does not allow this status for the document as it is now.",
        cure="Look at the document in Xero; the next diff compares it again.",
        who="operator",
        field="Status",
        depends_on=("invoices", "credit_notes"),
    ),
    rule(
        r"not of valid type for modification",
        cause="cannot be changed here",
        reason="Xero does not let a program change or remove this kind of document.",
        cure="Remove it in Xero itself, if it is wrong; else accept it as it is.",
        field="Type",
        depends_on=("bank_transactions", "prepayments", "overpayments"),
    ),
    rule(
        r"not of valid type",
        cause="type not allowed",
        reason="Xero does not allow this type of document here.",
        cure="Correct `Type` in the outbound model.",
        who="analyst",
        field="Type",
    ),
    rule(
        r"(?:existing .{1,30}|document) with the (?:specified|supplied) \w+ (?:could not be|was not) found"
        r"|resource you.re looking for cannot be found",
        cause="not in Xero",
        reason="Xero no longer has the record that is to be changed.",
        cure="Load the stream again; if the record was deleted in Xero, decide whether it is to be "
        "made again.",
        who="operator",
        depends_on=("invoices", "credit_notes", "payments", "contacts", "items"),
    ),
    rule(
        r"one or more line items must be specified|line ?items?.{0,30}(?:required|must be specified)",
        cause="no lines",
        reason="The document has no lines.",
        cure="Look at the source document: its lines are missing or unreadable.",
        who="analyst",
        field="LineItems",
    ),
    rule(
        r"line (?:total|amount).{0,40}does not match",
        cause="line total does not match",
        reason="Quantity times price less discount is not the line's amount by Xero's rounding.",
        cure="Correct the form of the line in the outbound model (quantity 1 with the exact amount "
        "always fits).",
        who="analyst",
        field="LineItems",
    ),
    rule(
        r"(?:invoice|document|credit note) total does not equal|total.{0,30}does not (?:equal|match)",
        cause="total does not match",
        reason="The document's total is not the sum of its lines.",
        cure="Correct the outbound model; send no totals, Xero adds up the lines.",
        who="analyst",
        field="LineItems",
    ),
    rule(
        r"discount (?:rate|amount).{0,60}(?:invalid|must not|cannot)|discounts can only",
        cause="discount not allowed",
        reason="Xero does not accept the discount of a line.",
        cure="Send no zero discount and none above the line's total; credit notes take none.",
        who="analyst",
        field="DiscountAmount",
    ),
    rule(
        r"(?P<value>\w*date) field must be specified",
        cause="date missing",
        reason="The document has no{value}.",
        cure="Look at the source document: its date is missing or unreadable.",
        who="analyst",
        field="Date",
    ),
    rule(
        r"item code '?(?P<value>[^' ]+)'? is not valid",
        cause="item unknown",
        reason="Xero has no item with the code{value}.",
        cure="Look at the item's own entry, or create the item in Xero.",
        field="ItemCode",
        depends_on=("items",),
    ),
    rule(
        r"insufficient stock",
        cause="stock insufficient",
        reason="Xero tracks this item's stock and has not enough of it.",
        cure="Make the item untracked in Xero (stock is kept elsewhere), or put the missing stock in.",
        field="ItemCode",
        depends_on=("items",),
    ),
)

_PAYMENTS = (
    rule(
        r"exceeds the amount outstanding"
        r"|amount.{0,40}(?:greater|more) than.{0,40}(?:outstanding|remaining|due)|remaining credit",
        cause="more than is open",
        reason="The amount is more than is still open on the document in Xero.",
        cure="See who else put a payment or credit on it; remove that, or refuse this one.",
        field="Amount",
        depends_on=("invoices", "credit_notes", "payments"),
        ask=True,
    ),
    rule(
        r"only be (?:made|allocated) (?:against|to|between) authorised|must be authorised",
        cause="document not approved",
        reason="The document is not approved in Xero, so nothing can be paid or allocated on it.",
        cure="Approve the document in Xero, or look why its own entry did not.",
        depends_on=("invoices", "credit_notes"),
    ),
    rule(
        r"only be allocated to a document of the same|currency of the account must be"
        r"|currency of a bank transaction must be",
        cause="documents do not fit",
        reason="Contact, type or currency of credit, document and account do not belong together.",
        cure="See who changed contact or currency in Xero; correct the lookup `payment_methods` if the "
        "account has another one.",
        depends_on=("invoices", "credit_notes", "accounts"),
    ),
    rule(
        r"has been reconciled",
        cause="payment reconciled",
        reason="It is matched with a bank statement line in Xero.",
        cure="Undo the reconciliation in Xero first, if it really is wrong.",
        depends_on=("payments",),
    ),
    rule(
        r"(?:amount|rate).{0,20}must be greater than zero|total cannot be negative|total is too large",
        cause="amount not allowed",
        reason="Xero does not take an amount that is zero, negative or too large here.",
        cure="Look at the source document: its amounts make no sense, or should not become this record.",
        who="analyst",
        field="Amount",
    ),
    rule(
        r"only status accepted for updates",
        cause="payments cannot change",
        reason="Xero never changes a payment.",
        cure="Remove the payment; it is then made anew.",
        who="operator",
        depends_on=("payments",),
    ),
)

_FORM = (
    rule(
        r"too long|maximum (?:of|length)|max(?:imum)? \d+ char|(?:must not|cannot|can not) exceed",
        cause="text too long",
        reason="A text is longer than Xero allows.",
        cure="Shorten it at its source, or in the outbound model.",
        who="analyst",
    ),
    rule(
        r"'(?P<value>\w+)' was not recognised|json request body|not a valid allxsd|error converting value"
        r"|invalid character"
        r"|no data has been processed",
        cause="request not understood",
        reason="Xero cannot read a value of this record (field{value}).",
        cure="Correct the column of the outbound model: its name, its type, or control characters in a text.",
        who="analyst",
    ),
    rule(
        r"(?:the )?(?P<value>[\w ]{1,40}?) (?:field )?must be specified",
        cause="field missing",
        reason="Xero needs a value that the record does not have:{value}.",
        cure="Look at the source record, or at the column of the outbound model.",
        who="analyst",
    ),
    rule(
        r"reached the limit of",
        cause="limit reached",
        reason="A limit of the Xero organisation is reached.",
        cure="Remove what is no longer needed in Xero.",
    ),
)

_TAKEN = (
    rule(
        r"contact name (?P<value>.+?) is already assigned|name must be unique|unique name"
        r"|by that name already exists",
        cause="name taken",
        reason="Another record in Xero already has the name{value}.",
        cure="Rename one of the two in Xero or in the shop; or set name_taken to `number` for the store in"
        " routes.csv and build: names that are taken then get a number in brackets.",
        kind="taken",
        field="Name",
        depends_on=("contacts",),
    ),
)

RULES = (
    *_CONNECTION,
    *_PERHAPS_OURS,
    *_PERIOD_AND_CURRENCY,
    *_CONTACTS,
    *_ACCOUNTS_AND_TAX,
    *_DOCUMENTS,
    *_PAYMENTS,
    *_FORM,
    *_TAKEN,
)
