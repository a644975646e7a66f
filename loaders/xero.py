"""Streams of Xero: one entry an entity. How lists are walked is in `loaders.xero_walks`."""

from __future__ import annotations

from typing import Any

from loaders.stream import Stream, Touch
from loaders.xero_answers import PAGE_SIZE
from loaders.xero_walks import changed, find_each, find_many, history, seek, trailing, walk, whole
from tieout.clients.xero import parse_time

_NOISE = ("HasErrors", "HasValidationErrors", "ValidationErrors", "Warnings", "StatusAttributeString")
"""They tell about the answer: a write's answer has them, a list's may not."""
_CENTS = {"unitdp": "4"}
"""Without it unit prices are cut to two decimals, and writing them back would round them for good."""
_TO_INVOICES = (Touch(stream="invoices", path="$.Allocations[*].Invoice.InvoiceID"),)
"""Whether an allocation moves the invoice's UpdatedDateUTC is not documented: the invoice is read again."""


def _stream(name: str, *, path: str, key: str, **more: Any) -> Stream:
    defaults: dict[str, Any] = {
        "under": path,
        "stamp": "UpdatedDateUTC",
        "noise": _NOISE,
        "page_size": PAGE_SIZE,
    }
    arguments = defaults | more
    return Stream(system="xero", name=name, path=path, key=(key,), parse_time=parse_time, **arguments)


def _whole(name: str, *, path: str, key: str, **more: Any) -> Stream:
    return _stream(name, path=path, key=key, read=whole, walk=whole, is_whole=True, **more)


def _seek(name: str, *, path: str, key: str, **more: Any) -> Stream:
    defaults = {"find": find_each, "history": history if "order" in more else None}
    return _stream(name, path=path, key=key, read=seek, walk=walk, **(defaults | more))


STREAMS: tuple[Stream, ...] = (
    # Small lists without pages or deletions in their stamps: read whole, compared by hash.
    # developer.xero.com/documentation/api/accounting/{organisation,accounts,taxrates,…}, checked 2026-03.
    _whole("organisations", path="Organisation", key="OrganisationID", under="Organisations", stamp=None),
    _whole("accounts", path="Accounts", key="AccountID", find=find_each),
    _whole("tax_rates", path="TaxRates", key="TaxType", stamp=None),
    _whole(
        "tracking_categories",
        path="TrackingCategories",
        key="TrackingCategoryID",
        stamp=None,
        params={"includeArchived": "true"},
        find=find_each,
    ),
    _whole("currencies", path="Currencies", key="Code", stamp=None),
    # Pages, If-Modified-Since; archived ones only on request. …/accounting/contacts, checked 2026-03.
    _seek(
        "contacts",
        path="Contacts",
        key="ContactID",
        order="ContactID",
        params={"includeArchived": "true"},
        find=find_many,
    ),
    # If-Modified-Since without pages; deleted ones vanish, which only a sweep sees. …/accounting/items,
    # checked 2026-03.
    _stream("items", path="Items", key="ItemID", params=_CENTS, read=changed, walk=whole, find=find_each),
    # Documents that change invoices when they are allocated: before the invoices (`touches`). Pages, If-Modified-Since,
    # nothing is ever deleted but by status. …/accounting/creditnotes, checked 2026-03.
    _seek(
        "credit_notes",
        path="CreditNotes",
        key="CreditNoteID",
        order="CreditNoteID",
        params=_CENTS,
        touches=_TO_INVOICES,
    ),
    _seek(
        "overpayments",
        path="Overpayments",
        key="OverpaymentID",
        order="OverpaymentID",
        params=_CENTS,
        touches=_TO_INVOICES,
    ),
    _seek(
        "prepayments",
        path="Prepayments",
        key="PrepaymentID",
        order="PrepaymentID",
        params=_CENTS,
        touches=_TO_INVOICES,
    ),
    # A payment changes its invoice in the same moment: an invoice read after it shows it.
    _seek("payments", path="Payments", key="PaymentID", order="PaymentID"),
    # As above; hidden when archived in Xero unless asked for. …/accounting/invoices, checked 2026-03.
    _seek(
        "invoices",
        path="Invoices",
        key="InvoiceID",
        order="InvoiceID",
        params={"includeArchived": "true"} | _CENTS,
        find=find_many,
        after=("payments",),
    ),
    _seek(
        "bank_transactions",
        path="BankTransactions",
        key="BankTransactionID",
        order="BankTransactionID",
        params=_CENTS,
    ),
    # Only a time of creation, no pages; deleted ones only on request. …/accounting/banktransfers, checked
    # 2026-07.
    _stream(
        "bank_transfers",
        path="BankTransfers",
        key="BankTransferID",
        stamp="CreatedDateUTC",
        params={"includeDeleted": "true"},
        read=trailing,
        walk=whole,
        find=find_each,
    ),
    # Pages and If-Modified-Since, but once ignored `page` together with `order`: sought from the first row
    # on.
    _seek("manual_journals", path="ManualJournals", key="ManualJournalID"),
    # Always paged; no status is left out. …/accounting/purchaseorders, checked 2026-03.
    _seek("purchase_orders", path="PurchaseOrders", key="PurchaseOrderID", order="PurchaseOrderID"),
)
