"""What one stand-in holds: organisations with their records and ledger, and the options of the stand-in.

Everything is in memory under one lock, which a request holds while its view runs and never while it
sleeps. Records are dictionaries named as the API names them, with Python types (Decimal, date, datetime);
names that begin with an underscore are the stand-in's own and are never shown. A record is replaced,
never changed in place, so that a savepoint can put the old one back: a batch with one bad element leaves
nothing behind.
"""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock

Record = dict[str, Any]

CENT = Decimal("0.01")

# Looked up by value when a document is written; the values are compared without regard to case.
_INDEXES: dict[str, tuple[str, ...]] = {
    "Accounts": ("Code", "Name", "SystemAccount"),
    "Contacts": ("Name", "ContactNumber"),
    "Items": ("Code",),
    "Invoices": ("InvoiceNumber", "_contact"),
    "CreditNotes": ("CreditNoteNumber", "_contact"),
    "PurchaseOrders": ("PurchaseOrderNumber",),
    "Payments": ("_document",),
    "Allocations": ("_source", "_invoice"),
    "Journals": ("SourceID",),
    "TaxRates": ("Name",),
}

# The organisation's time zone by the vendor's own names; "today" is a day of that zone.
_ZONES = {
    "GMTSTANDARDTIME": "Europe/London",
    "NEWZEALANDSTANDARDTIME": "Pacific/Auckland",
    "AUSEASTERNSTANDARDTIME": "Australia/Sydney",
    "EASTERNSTANDARDTIME": "America/New_York",
    "WEUROPESTANDARDTIME": "Europe/Berlin",
    "UTC": "UTC",
}


def cents(amount: Decimal) -> Decimal:
    """The amount rounded half-up to two places ("Rounding in Xero")."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def new_id() -> str:
    """A fresh identifier."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the stand-in behaves where the vendor has not said, and what a test may turn on."""

    modified_since: str = ">"  # or ">=": whether If-Modified-Since includes the second itself
    window: str = "fixed"  # or "rolling": how the minute and the day are counted
    number_reuse: bool = False  # whether the number of a voided or deleted invoice may be used again
    allocation_stamps_invoice: bool = False  # whether an allocation moves the invoice's UpdatedDateUTC
    delete_credits: bool = True  # whether the API deletes the transaction of a prepayment or overpayment
    invoice_limit: int | None = None  # approved invoices that the plan allows
    journals: bool = False  # whether the app's tier includes the Journals endpoint
    high_volume: int | None = None  # documents of a type from which unfiltered queries are refused
    rates: dict[str, Decimal] = field(
        default_factory=lambda: {
            "EUR": Decimal("1.15"),
            "USD": Decimal("1.25"),
            "AUD": Decimal("1.95"),
            "NZD": Decimal("2.10"),
        }
    )  # the rate of the day: units of the currency for one unit of the base currency


class Tenant:
    """One organisation: its own record and everything in it."""

    def __init__(self, tenant_id: str, organisation: Record, clock: Clock) -> None:
        self.id = tenant_id
        self.organisation = organisation
        self.clock = clock
        self._records: dict[str, dict[str, Record]] = defaultdict(dict)
        self._indexes: dict[tuple[str, str], dict[str, dict[str, None]]] = defaultdict(dict)
        self._undo: list[tuple[str, str, Record | None]] = []

    @property
    def base_currency(self) -> str:
        """The currency the books are kept in."""
        return str(self.organisation["BaseCurrency"])

    def now(self) -> datetime:
        """The time that a change is stamped with."""
        return self.clock.now()

    def today(self) -> date:
        """The organisation's own calendar day."""
        zone = _ZONES.get(str(self.organisation.get("Timezone")), "UTC")
        return self.now().astimezone(ZoneInfo(zone)).date()

    def get(self, entity: str, record_id: str | None) -> Record | None:
        """The record with that id."""
        return self._records[entity].get(record_id or "")

    def must(self, entity: str, record_id: str) -> Record:
        """The record with that id, which exists."""
        return self._records[entity][record_id]

    def all(self, entity: str) -> Iterable[Record]:
        """Every record of an entity, oldest first."""
        return self._records[entity].values()

    def count(self, entity: str) -> int:
        """How many records of an entity there are."""
        return len(self._records[entity])

    def find(self, entity: str, name: str, value: str) -> Iterator[Record]:
        """The records whose indexed field has that value, without regard to case."""
        for record_id in list(self._indexes[entity, name].get(value.casefold(), ())):
            yield self._records[entity][record_id]

    def put(self, entity: str, record_id: str, record: Record) -> Record:
        """Store a record under its id, in place of an older one."""
        old = self._records[entity].get(record_id)
        self._undo.append((entity, record_id, old))
        self._unindex(entity, record_id, old)
        self._records[entity][record_id] = record
        self._index(entity, record_id, record)
        return record

    def drop(self, entity: str, record_id: str) -> None:
        """Remove a record for good."""
        old = self._records[entity].pop(record_id)
        self._undo.append((entity, record_id, old))
        self._unindex(entity, record_id, old)

    def savepoint(self) -> int:
        """A mark that `rollback` returns to."""
        return len(self._undo)

    def rollback(self, mark: int) -> None:
        """Undo every change since the mark."""
        while len(self._undo) > mark:
            entity, record_id, old = self._undo.pop()
            self._unindex(entity, record_id, self._records[entity].pop(record_id, None))
            if old is not None:
                self._records[entity][record_id] = old
                self._index(entity, record_id, old)

    def commit(self) -> None:
        """Forget the savepoints."""
        self._undo.clear()

    def _index(self, entity: str, record_id: str, record: Record) -> None:
        for name in _INDEXES.get(entity, ()):
            value = record.get(name)
            if value:
                self._indexes[entity, name].setdefault(str(value).casefold(), {})[record_id] = None

    def _unindex(self, entity: str, record_id: str, record: Record | None) -> None:
        for name in _INDEXES.get(entity, ()) if record is not None else ():
            value = record.get(name) if record is not None else None
            if value:
                self._indexes[entity, name].get(str(value).casefold(), {}).pop(record_id, None)


class Store:
    """Everything one stand-in holds, and the lock that guards it."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.lock = threading.RLock()
        self.tenants: dict[str, Tenant] = {}

    def add(self, tenant: Tenant) -> Tenant:
        """Take in an organisation."""
        self.tenants[tenant.id] = tenant
        return tenant


@dataclass(slots=True, kw_only=True)
class Call:
    """One request to the API while it is being served."""

    tenant: Tenant
    options: Options
    create_only: bool = False  # PUT
    by_person: bool = False  # made in the user interface: no idempotency, no scope
    places: int = 2  # decimals of UnitAmount, 4 with unitdp=4
    app: str = ""  # the app that asks
    warnings: list[str] = field(default_factory=list)

    def rate(self, currency: str) -> Decimal:
        """The rate of the day: units of the currency for one unit of the base currency."""
        if currency == self.tenant.base_currency:
            return Decimal(1)
        return self.options.rates.get(currency, Decimal(1))


def stamped(tenant: Tenant, record: Record) -> Record:
    """The record with a fresh UpdatedDateUTC, which never goes back."""
    return {**record, "UpdatedDateUTC": max(tenant.now(), record.get("UpdatedDateUTC") or tenant.now())}
