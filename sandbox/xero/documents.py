"""Invoices and credit notes: matching, status machines, uniqueness, frozen fields, posting.

PUT only creates; POST creates or updates, matched by id, then by number (sales documents only: numbers of
bills are free). Statuses that a client may ask for are in `_MOVES`; PAID is set by the stand-in when
nothing is due and goes back to AUTHORISED when a payment is deleted. A document with a payment or credit
takes only the fields of `_OPEN`. Sources: developer documentation "Invoices", "Credit Notes", "Types and
codes"; SDK threads for the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sandbox.xero import contacts, ledger, lines, stock
from sandbox.xero.errors import ElementError, UnknownIdError
from sandbox.xero.store import Call, Record, Tenant, new_id, stamped

ZERO = Decimal("0.00")
FROZEN = "This document cannot be edited as it has a payment or credit note allocated to it."
PLAN_LIMIT = "You have reached the limit of invoices you can approve"

_MOVES = {
    None: ("DRAFT", "SUBMITTED", "AUTHORISED"),
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("SUBMITTED", "DRAFT", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
    "PAID": ("PAID",),
}
# What may still change once money or credit is on the document; bills since 19 March 2026 ("Changelog").
_OPEN = {
    "Reference",
    "DueDate",
    "InvoiceNumber",
    "CreditNoteNumber",
    "BrandingThemeID",
    "Contact",
    "Url",
    "ExpectedPaymentDate",
    "PlannedPaymentDate",
    "SentToContact",
}
_OPEN_IN_LINES = {"Description", "AccountID", "Tracking", "ItemCode"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What differs between invoices and credit notes."""

    entity: str
    singular: str
    words: str  # as the messages name it
    number: str
    prefix: str
    sale: str  # the type that is a sale
    credit: bool

    @property
    def id(self) -> str:
        """The name of the id field."""
        return f"{self.singular}ID"


INVOICE = Kind(
    entity="Invoices",
    singular="Invoice",
    words="Invoice",
    number="InvoiceNumber",
    prefix="INV-",
    sale="ACCREC",
    credit=False,
)
CREDIT_NOTE = Kind(
    entity="CreditNotes",
    singular="CreditNote",
    words="Credit Note",
    number="CreditNoteNumber",
    prefix="CN-",
    sale="ACCRECCREDIT",
    credit=True,
)


def save(call: Call, values: Record, kind: Kind) -> str:
    """Create or update one invoice or credit note and return its id."""
    old = _match(call, values, kind)
    if old is not None and call.create_only:
        raise ElementError(f"{kind.words} # must be unique.")
    return _create(call, values, kind) if old is None else _update(call, old, values, kind)


def _match(call: Call, values: Record, kind: Kind) -> Record | None:
    if values.get(kind.id):
        found = call.tenant.get(kind.entity, values[kind.id])
        if found is None:
            raise UnknownIdError(f"An existing {kind.words} with the specified {kind.id} could not be found")
        return found
    number = values.get(kind.number)
    if not number or values.get("Type", kind.sale) != kind.sale:
        return None
    same = [each for each in call.tenant.find(kind.entity, kind.number, number) if each["Type"] == kind.sale]
    if call.options.number_reuse:
        same = [each for each in same if each["Status"] not in ("VOIDED", "DELETED")]
    return same[0] if same else None


def _create(call: Call, values: Record, kind: Kind) -> str:
    if not values.get("Type"):
        raise ElementError(f"{kind.words} not of valid type for creation")
    if values.get("Status", "DRAFT") not in _MOVES[None]:
        raise ElementError(f"{kind.words} not of valid status for creation")
    if not values.get("LineItems"):
        raise ElementError("One or more line items must be specified")
    if values["Type"] == "ACCPAY" and values.get("Reference") and not call.by_person:
        values = {name: value for name, value in values.items() if name != "Reference"}
    record: Record = {
        kind.id: new_id(),
        "Type": values["Type"],
        "Status": values.get("Status", "DRAFT"),
        "Date": call.tenant.today(),
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": call.tenant.base_currency,
        "Reference": "",
        "BrandingThemeID": next(
            (each["BrandingThemeID"] for each in call.tenant.all("BrandingThemes")), None
        ),
        "SentToContact": False,
        "LineItems": [],
        "AmountPaid": ZERO,
        "AmountCredited": ZERO,
        "_approved": False,
        "_app": call.app,
    }
    record[kind.number] = values.get(kind.number) or _next_number(call.tenant, values["Type"], kind)
    return _store(call, record, values, kind)


def _update(call: Call, old: Record, values: Record, kind: Kind) -> str:
    wanted = values.get("Status", old["Status"])
    if old["Status"] in ("VOIDED", "DELETED"):
        raise ElementError(f"{kind.words} not of valid status for modification")
    if values.get("Type", old["Type"]) != old["Type"]:
        raise ElementError(f"{kind.words} not of valid type for modification")
    check_lock(call.tenant, old["Date"])
    settled = bool(old["AmountPaid"] or old["AmountCredited"])
    if wanted == "VOIDED" and (settled or (old["Status"] == "PAID" and old["Total"])):
        raise ElementError(
            f"The status VOIDED cannot be applied to the {kind.words.lower()} because"
            " it has payments or credit notes allocated to it."
        )
    if wanted not in _MOVES[old["Status"]] and not (wanted == "VOIDED" and not old["Total"]):
        raise ElementError(f"{kind.words} not of valid status for modification")
    if wanted in ("VOIDED", "DELETED"):
        return _remove(call, old, wanted, kind)
    if "LineItems" in values and not values["LineItems"]:
        raise ElementError("One or more line items must be specified")
    return _store(call, old, values, kind, frozen=settled)


def _remove(call: Call, old: Record, status: str, kind: Kind) -> str:
    ledger.reverse(call.tenant, old[kind.id])
    stock.take_back(call.tenant, old)
    changed = {**old, "Status": status, "_stock": [], "_outstanding": ZERO, "_base_outstanding": ZERO}
    call.tenant.put(kind.entity, old[kind.id], stamped(call.tenant, changed))
    return str(old[kind.id])


def _store(call: Call, old: Record, values: Record, kind: Kind, *, frozen: bool = False) -> str:
    sale = old["Type"] == kind.sale
    ignored = {kind.id, "Contact", "LineItems", "SubTotal", "TotalTax", "Total", "SentToContact"}
    new = {**old, **{name: value for name, value in values.items() if name not in ignored}}
    if old.get("_contact") is None or "Contact" in values:
        new["_contact"] = contacts.for_document(call, values.get("Contact"))
    new["Date"] = new["Date"] or call.tenant.today()
    approved = new["Status"] in ("AUTHORISED", "PAID")
    _send(call, new, values, approved=approved)
    check_lock(call.tenant, new["Date"])
    set_currency(call, new, values, old)
    if approved and kind is INVOICE and not new.get("DueDate"):
        raise ElementError("The document DueDate field must be specified.")
    sheet = lines.Sheet(
        sale=sale,
        approved=approved,
        amounts=new["LineAmountTypes"],
        discounts=old["Type"] == "ACCREC",
        places=call.places,
        old={line["LineItemID"]: line for line in old["LineItems"]},
    )
    if "LineItems" in values or approved != old["_approved"] or "LineAmountTypes" in values:
        new["LineItems"] = lines.build(call, values.get("LineItems", _resent(old["LineItems"])), sheet)
    _sum_up(new, values)
    _check_number(call, new, old, kind)
    if frozen:
        _check_frozen(old, new, values)
    return _finish(call, old, new, kind, approved=approved)


def _resent(present: list[Record]) -> list[Record]:
    """The document's own lines as an update would send them, to be checked for a new status."""
    names = (
        "LineItemID",
        "Description",
        "AccountID",
        "TaxType",
        "TaxAmount",
        "Quantity",
        "UnitAmount",
        "ItemCode",
    )
    more = ("DiscountRate", "DiscountAmount")
    return [{name: line[name] for name in names + more if line.get(name) is not None} for line in present]


def _send(call: Call, new: Record, values: Record, *, approved: bool) -> None:
    if not values.get("SentToContact"):
        return
    if approved:
        new["SentToContact"] = True
    else:
        call.warnings.append("Only AUTHORISED invoices may have SentToContact updated.")


def set_currency(call: Call, new: Record, values: Record, old: Record) -> None:
    """Check the currency; the rate is the one sent, the one the document has, or the rate of the day."""
    currency = new["CurrencyCode"] = (new.get("CurrencyCode") or call.tenant.base_currency).upper()
    if call.tenant.get("Currencies", currency) is None:
        raise ElementError(f"Organisation is not subscribed to currency {currency}")
    rate = values.get("CurrencyRate") if currency != call.tenant.base_currency else Decimal(1)
    if rate is not None and rate <= 0:
        raise ElementError("Currency rate must be greater than zero.")
    kept = old.get("CurrencyRate") if old.get("CurrencyCode") == currency else None
    new["CurrencyRate"] = rate or kept or call.rate(currency)


def _sum_up(new: Record, values: Record) -> None:
    sums = lines.totals(new["LineItems"], new["LineAmountTypes"])
    if any(name in values and values[name] != amount for name, amount in sums.items()):
        raise ElementError("The invoice total does not equal the sum of the lines.")
    if sums["Total"] < 0:
        raise ElementError("The document total cannot be negative.")
    new.update(sums)


def _check_number(call: Call, new: Record, old: Record, kind: Kind) -> None:
    number = new.get(kind.number)
    if new["Type"] != kind.sale or not number:
        return
    for other in call.tenant.find(kind.entity, kind.number, number):
        dead = other["Status"] in ("VOIDED", "DELETED") and call.options.number_reuse
        if other[kind.id] != old[kind.id] and other["Type"] == kind.sale and not dead:
            raise ElementError(f"{kind.words} # must be unique.")


def _check_frozen(old: Record, new: Record, values: Record) -> None:
    changed = {name for name in values if new.get(name) != old.get(name)} - _OPEN
    if new["_contact"] != old["_contact"] and old["AmountCredited"]:
        changed.add("Contact")
    if "LineItems" in changed and _same_lines(old["LineItems"], new["LineItems"]):
        changed.remove("LineItems")
    if changed - {"SubTotal", "TotalTax", "Total"}:
        raise ElementError(FROZEN)


def _same_lines(old: list[Record], new: list[Record]) -> bool:
    def fixed(line: Record) -> Record:
        return {name: value for name, value in line.items() if name not in _OPEN_IN_LINES}

    return [fixed(line) for line in old] == [fixed(line) for line in new]


def _finish(call: Call, old: Record, new: Record, kind: Kind, *, approved: bool) -> str:
    tenant, identifier = call.tenant, str(new[kind.id])
    sale = new["Type"] == kind.sale
    if approved and not old["_approved"]:
        _check_plan(call, kind)
        contacts.mark_used(tenant, new["_contact"], sale=sale)
    if approved and (not old["_approved"] or _posting(old) != _posting(new)):
        ledger.reverse(tenant, identifier)
        ledger.post_document(
            tenant, new, source_id=identifier, source_type=new["Type"], receivable=sale != kind.credit
        )
        stock.take_back(tenant, old)
        new["_stock"] = stock.move(tenant, new, source_id=identifier, sale=sale, credit=kind.credit)
    new["_approved"] = approved
    outstanding = new["Total"] - new["AmountPaid"] - new["AmountCredited"]
    if not approved:
        new["_outstanding"], new["_base_outstanding"] = new["Total"], ZERO
    elif not old["_approved"] or outstanding == new["Total"]:
        new["_outstanding"] = outstanding
        new["_base_outstanding"] = ledger.to_base(outstanding, new["CurrencyRate"])
    if approved and not new["_outstanding"]:
        new["Status"] = "PAID"
        new.setdefault("FullyPaidOnDate", new["Date"])
    tenant.put(kind.entity, identifier, stamped(tenant, new))
    return identifier


def _posting(document: Record) -> list[object]:
    """What the ledger depends on; an edit that leaves it alone posts nothing."""
    names = ("Date", "CurrencyRate", "CurrencyCode", "Total", "TotalTax", "LineAmountTypes", "Reference")
    of_line = ("AccountID", "TaxType", "TaxAmount", "LineAmount", "Tracking", "ItemCode", "Quantity")
    held: list[object] = [document.get(name) for name in names]
    return held + [[line.get(name) for name in of_line] for line in document["LineItems"]]


def _check_plan(call: Call, kind: Kind) -> None:
    if call.options.invoice_limit is None or kind.credit:
        return
    approved = sum(1 for each in call.tenant.all(kind.entity) if each["_approved"])
    if approved >= call.options.invoice_limit:
        raise ElementError(PLAN_LIMIT)


def _next_number(tenant: Tenant, type_: str, kind: Kind) -> str:
    if type_ != kind.sale:
        return ""
    number = tenant.count(kind.entity) + 1
    while next(tenant.find(kind.entity, kind.number, f"{kind.prefix}{number:04d}"), None) is not None:
        number += 1
    return f"{kind.prefix}{number:04d}"


def check_lock(tenant: Tenant, on: date) -> None:
    """Refuse a document of a locked period; the lock date itself is locked."""
    for name, words in (
        ("PeriodLockDate", "period lock date"),
        ("EndOfYearLockDate", "end of year lock date"),
    ):
        locked = tenant.organisation.get(name)
        if locked is not None and on <= locked:
            raise ElementError(
                f"The document date cannot be before the {words}, currently set at {locked:%d %b %Y}"
            )


_ENDED = frozenset({"VOIDED", "DELETED"})


def edited(call: Call, old: Record, new: Record, kind: Kind) -> Record:
    """A document changed by a person past the API's rules: sums, what is due and the ledger follow."""
    new = {**new, **lines.totals(new["LineItems"], new["LineAmountTypes"])}
    # A person approves a draft in the user interface.
    new["_approved"] = old["_approved"] or new["Status"] == "AUTHORISED"
    posted = old["_approved"] and old["Status"] not in _ENDED
    counts = new["_approved"] and new["Status"] not in _ENDED
    if posted and (not counts or _posting(old) != _posting(new)):
        ledger.reverse(call.tenant, new[kind.id])
    if counts and (not posted or _posting(old) != _posting(new)):
        ledger.post_document(
            call.tenant,
            new,
            source_id=new[kind.id],
            source_type=new["Type"],
            receivable=(new["Type"] == kind.sale) != kind.credit,
        )
        new["_outstanding"] = new["Total"] - new["AmountPaid"] - new["AmountCredited"]
        new["_base_outstanding"] = ledger.to_base(new["_outstanding"], new["CurrencyRate"])
    return new
