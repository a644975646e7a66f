"""Streams of Xero, and the ways to walk its lists without losing rows.

Facts from developer.xero.com/documentation ("Requests and responses", "Efficient data retrieval", the pages
of the entities), checked 2026-03: `If-Modified-Since` (ISO, UTC, whole seconds, inclusive or not is not said)
compares UpdatedDateUTC; without `page` a list lacks lines, so every read is paged; the default order is
UpdatedDateUTC, then id. Walking numbered pages of a list that is sorted by time loses rows: one that is
edited meanwhile moves to the end and pulls others onto a page that was read. Hence three walks: *seek* for
changes (always page 1, from a second before the last row), pages of the last change first for a first load
(what is edited moves to the front), and pages in the order of the id, which never changes, for sweeps. What no stamp shows (a contact's balances, deleted items, deleted transfers) a sweep
finds.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from loaders.records import BadRecord, RawRecord, identify_all, split
from loaders.stream import Ask, Cursor, Page, Stream, Touch
from tieout.clients.xero import NotModified, parse_time
from tieout.errors import NotFound, SchemaDrift

PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
"""What an endpoint gives that does not honour pageSize."""
OVERLAP_SECONDS = 120
"""Each load asks again for the two minutes before its cursor: a row may become visible after its own stamp.
"""
TRAILING_DAYS = 35
"""Bank transfers have no time of change: those created in so many days are read again each time."""
IDS_A_REQUEST = 40
"""Longer addresses are refused somewhere on the way ("Efficient data retrieval")."""


def seek(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """What changed since the cursor; from None on everything, the oldest change first."""
    newest = _time(cursor.value["since"]) if cursor is not None else None
    lower = _second(newest) - timedelta(seconds=OVERLAP_SECONDS) if newest is not None else None
    while True:
        read = _read(ask, stream, since=lower, order=None if stream.order is None else "UpdatedDateUTC ASC")
        last = read.newest()
        if read.has_more:
            read.require_ascending(stream)
        newest = max(filter(None, (newest, last)), default=None)
        yield read.page(_since(newest))
        if not read.has_more or last is None:
            return
        # Inclusive or not, this asks for the whole second of the last row again.
        further = _second(last) - timedelta(seconds=1)
        if lower is not None and further <= lower:
            # On from where it ended, not from the cursor: rows between may have become visible after their own stamps.
            last = yield from _crowded_second(ask, stream, lower, newest)
            if last is None:
                return
            newest = max(filter(None, (newest, last)))
            further = _second(last) - timedelta(seconds=1)
        lower = further


def _crowded_second(
    ask: Ask, stream: Stream, lower: datetime, newest: datetime | None
) -> Generator[Page, None, datetime | None]:
    """More rows carry one second than a page holds (an import). Returns the last stamp that was met, None at the end.

    Forward to the page on which the second ends, then backward over the same pages: a row that is edited
    meanwhile moves to the end and shifts the others towards the front, which a backward walk meets again and
    a forward walk would miss.
    """
    order = None if stream.order is None else "UpdatedDateUTC ASC"
    number = 1
    reached: datetime | None = None
    more = True
    while more and (reached is None or _second(reached) - timedelta(seconds=1) <= lower):
        number += 1
        read = _read(ask, stream, since=lower, order=order, number=number)
        yield read.page(None)
        reached = read.newest() or reached
        more = read.has_more
    for back in range(number - 1, 0, -1):
        yield _read(ask, stream, since=lower, order=order, number=back).page(None)
    yield Page(records=(), version=0, cursor=_since(max(filter(None, (newest, reached)), default=None)))
    return reached if more else None


def history(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """Every record, what changed last first, in pages. The newest stamp, on the first page, is the cursor for `seek`.

    Nothing ever goes from these lists (archived and deleted ones are asked for, or stay), so a record only moves towards the
    front, by a change, and pushes others onto later pages: they are met twice, and none is passed over. The one that moved is
    later than the cursor. Records of one stamp may change places between two pages, which nobody promises not to happen:
    whether all were met shows in the vendor's count (`Page.total`).
    """
    number = 1
    if cursor is not None:
        # Pages of another size before: the same place, rounded towards the front.
        seen = (int(cursor.value["page"]) - 1) * int(cursor.value["size"])
        number = seen // stream.page_size + 1
    before: Sequence[bytes] = ()
    while True:
        read = _read(ask, stream, order=f"{stream.stamp} DESC", number=number)
        position = _since(read.newest()) if number == 1 else None
        is_repeated = bool(before) and list(read.records) == list(before)
        if is_repeated or not read.has_more:
            yield replace(read.page(position), left=0, total=read.total)
            return
        read.require_descending(stream)
        left = max(0, read.total - number * stream.page_size) if read.total is not None else None
        number += 1
        behind = Cursor(value={"page": number, "size": stream.page_size})
        yield replace(read.page(position), history=behind, left=left)
        before = read.records


def walk(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:  # noqa: ARG001 (no windows here)
    """Every record, in pages sorted by id: new ones only push others forward, so none is missed."""
    if stream.order is None:
        yield from seek(ask, stream, None)
        return
    order = f"{stream.order} ASC"
    before: Sequence[bytes] = ()
    number = 0
    while True:
        number += 1
        read = _read(ask, stream, order=order, number=number)
        # An endpoint that ignores `page` gives everything each time (ManualJournals did, tap-xero issue 104).
        if number > 1 and list(read.records) == list(before):
            return
        yield read.page(None)
        if not read.has_more:
            return
        before = read.records


def whole(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:  # noqa: ARG001 (there is no position)
    """Every record in one answer, for lists that are not paged."""
    yield _read(ask, stream, paged=False).page(None)


def changed(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """What changed since the cursor, for a list that knows If-Modified-Since but no pages: one answer, one
    instant.
    """
    newest = _time(cursor.value["since"]) if cursor is not None else None
    lower = _second(newest) - timedelta(seconds=OVERLAP_SECONDS) if newest is not None else None
    read = _read(ask, stream, since=lower, paged=False)
    yield read.page(_since(max(filter(None, (newest, read.newest())), default=None)))


def trailing(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """Bank transfers tell only when they were created: a deletion is met within the trailing window, later by
    a sweep.
    """
    newest = _time(cursor.value["since"]) if cursor is not None else None
    lower = _second(newest) - timedelta(days=TRAILING_DAYS) if newest is not None else None
    read = _read(ask, stream, since=lower, paged=False)
    yield read.page(_since(max(filter(None, (newest, read.newest())), default=None)))


def find_many(ask: Ask, stream: Stream, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    """Records by id with `IDs=`, many a request."""
    for start in range(0, len(ids), IDS_A_REQUEST):
        wanted = ids[start : start + IDS_A_REQUEST]
        yield (
            wanted,
            _read(ask, stream, more={"IDs": ",".join(wanted)}, page_size=DEFAULT_PAGE_SIZE).page(None),
        )


def find_each(ask: Ask, stream: Stream, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    """Records by id, one a request: 404 is Xero's word that there is none."""
    for wanted in ids:
        kept = {name: value for name, value in stream.params.items() if name == "unitdp"}
        alone = replace(stream, path=f"{stream.path}/{wanted}", params=kept)
        # An absence is dated by a number drawn before the question left, as any answer is.
        version = ask.number()
        try:
            page = _read(ask, alone, paged=False).page(None)
        except NotFound:
            page = Page(records=(), version=version)
        yield [wanted], page


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One answer, split and looked at."""

    records: Sequence[bytes]
    identified: Sequence[RawRecord | BadRecord]
    times: Sequence[datetime]
    version: int
    has_more: bool
    total: int | None = None
    """Of the whole list, where Xero counts it."""

    def page(self, cursor: Cursor | None) -> Page:
        return Page(records=self.records, version=self.version, cursor=cursor, identified=self.identified)

    def newest(self) -> datetime | None:
        return max(self.times, default=None)

    def require_ascending(self, stream: Stream) -> None:
        """Seeking is only safe when the rows really come in the order of their stamps."""
        if any(later < earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise SchemaDrift(
                f"Xero's {stream.path} do not come in the order of {stream.stamp}.",
                cure="Nothing was skipped; run the load with --full until this is cured.",
            )

    def require_descending(self, stream: Stream) -> None:
        """Pages by number are only safe when what changes moves to the front."""
        if any(later > earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise SchemaDrift(
                f"Xero's {stream.path} do not come with the last change first.",
                cure="Nothing was skipped. Report this: the order of Xero's list has changed.",
            )


def _read(
    ask: Ask,
    stream: Stream,
    *,
    since: datetime | None = None,
    order: str | None = None,
    number: int = 1,
    page_size: int | None = None,
    paged: bool = True,
    more: Mapping[str, str] | None = None,
) -> _Read:
    params = {**stream.params, **(more or {})}
    if paged:
        params |= {"page": str(number), "pageSize": str(page_size or stream.page_size)}
    if order is not None:
        params["order"] = order
    headers = {"If-Modified-Since": f"{since:%Y-%m-%dT%H:%M:%S}"} if since is not None else None
    try:
        asked = ask(stream.path, params=params, headers=headers)
    except NotModified:
        return _Read(records=(), identified=(), times=(), version=0, has_more=False)
    answer = split(asked.answer, stream.under, beside=("pagination",))
    identified = identify_all(stream, answer.records)
    times = [
        record.modified_at for record in identified if isinstance(record, RawRecord) and record.modified_at
    ]
    return _Read(
        records=answer.records,
        identified=identified,
        times=times,
        version=asked.version,
        has_more=paged and _has_more(answer.value("pagination"), number, len(answer.records)),
        total=_total(answer.value("pagination")) if paged else None,
    )


def _total(pagination: Any) -> int | None:
    count = pagination.get("itemCount") if isinstance(pagination, dict) else None
    return count if isinstance(count, int) else None


def _has_more(pagination: Any, number: int, count: int) -> bool:
    """By Xero's own count; where it gives none, a full page may have a successor."""
    if count == 0:
        return False
    if isinstance(pagination, dict) and isinstance(pagination.get("pageCount"), int):
        return bool(pagination["pageCount"] > number)
    return count >= DEFAULT_PAGE_SIZE


def _time(text: str | int) -> datetime:
    return datetime.fromisoformat(str(text))


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _since(newest: datetime | None) -> Cursor | None:
    return Cursor(value={"since": newest.isoformat()}) if newest is not None else None


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
