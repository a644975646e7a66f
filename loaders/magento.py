"""Streams of Magento, and the ways to walk its lists without losing rows.

Facts recorded on Magento Open Source 2.4.4: `updated_at` has whole seconds in UTC; rows become visible up to
seconds after their own stamp; page numbers over a list that changes lose rows; a filter that Magento does not
understand means "equal" or "everything", never an error. Hence a keyset for changes (`updated_at` at or after
the cursor less ten minutes, sorted by `updated_at, entity_id`, always page 1), and by `entity_id` for
everything, downward the first time. What moves no stamp is met otherwise: a partial shipment changes the items of its order (the order
is asked for by id), comments and address edits are found by the nightly sweep, deleted records by a sweep of
everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from loaders.records import RawRecord, identify_all, split
from loaders.stream import Ask, Cursor, Page, Reader, Stream, Touch
from tieout.answer import Answer
from tieout.clients.magento import parse_time
from tieout.errors import SchemaDrift

OVERLAP_SECONDS = 600
"""Longer than the longest transaction: a row may be committed long after the second that it carries."""
IDS_A_REQUEST = 50
"""A list of ids stands in the address, and addresses beyond 14 kB are refused."""
MOST_FILTERS = 10
"""From eleven on, standard signers and Magento disagree about the order of parameters."""
SWEEP_DAYS = 60
"""How far back a sweep reads sales documents again: refunds and comments come within two months."""

_Filter = tuple[str, str, str]
_ID = "entity_id"


def changed(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """What changed since the cursor, oldest change first; from None on everything."""
    newest = str(cursor.value["updated_at"]) if cursor is not None else None
    lower = _earlier(newest) if newest is not None else None
    while True:
        filters: list[_Filter] = [("updated_at", lower, "gteq")] if lower is not None else []
        read = _read(ask, stream, filters, sort=("updated_at", _ID))
        last = read.newest_stamp(stream)
        if last is not None and (newest is None or last > newest):
            newest = last
        yield read.page(_position(newest))
        if not read.has_more:
            return
        if last is None:
            raise SchemaDrift(f"Magento's {stream.name} have no readable updated_at.")
        if lower is not None and last <= lower:
            # A whole page carries one second: the rest of that second by id, then on with the next second.
            yield from _one_second(ask, stream, last, read)
            lower = _later(last)
        else:
            lower = last


def _one_second(ask: Ask, stream: Stream, second: str, read: _Read) -> Iterator[Page]:
    # From the first id on: ids of the page that was read may have been followed by lower ones since.
    last = 0
    while read.has_more:
        filters = [("updated_at", second, "eq"), (_ID, str(last), "gt")]
        read = _read(ask, stream, filters, sort=(_ID,))
        yield read.page(None)
        last = read.last_number(stream, last)


def history(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """Every record, the newest first: what changed last, whose stamp is the cursor for `changed`, then by `entity_id` downward.

    Nothing that goes, comes or changes meanwhile can hide another record: an id stays where it is, and what changes is later than
    the cursor. A position is an id, so that a load goes on days later where it stopped.
    """
    below = int(cursor.value["below"]) if cursor is not None else 0
    if cursor is None:
        read = _read(ask, stream, [], sort=("updated_at", _ID), downward=True)
        position = _position(read.latest_stamp())
        if not read.has_more:
            yield read.page(position)
            return
        if position is None:
            raise SchemaDrift(f"Magento's {stream.name} have no readable updated_at.")
        yield replace(read.page(position), history=Cursor(value={"below": 0}), left=read.total)
    while True:
        filters: list[_Filter] = [(_ID, str(below), "lt")] if below else []
        read = _read(ask, stream, filters, sort=(_ID,), downward=True)
        if not read.has_more:
            yield replace(read.page(None), left=0)
            return
        below = read.lowest_number(stream, below)
        left = max(0, read.total - len(read.records))
        yield replace(read.page(None), history=Cursor(value={"below": below}), left=left)


def walk(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """Every record by id, or with a window those created since its beginning."""
    last = 0
    while True:
        filters: list[_Filter] = [(_ID, str(last), "gt")]
        if cursor is not None:
            filters.append(("created_at", str(cursor.value["created_from"]), "gteq"))
        read = _read(ask, stream, filters, sort=(_ID,))
        yield read.page(None)
        if not read.has_more:
            return
        last = read.last_number(stream, last)


def by_text(field: str) -> Reader:
    """Every record of a list whose rows show no number to walk by: by a text field, the last value asked for
    again.
    """

    def walked(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:  # noqa: ARG001 (no position)
        last: str | None = None
        size = stream.page_size
        while True:
            filters: list[_Filter] = [(field, last, "gteq")] if last is not None else []
            read = _read(ask, stream, filters, sort=(field,), size=size)
            yield read.page(None)
            if not read.has_more:
                return
            reached = _field(read.records[-1], field)
            if reached is None:
                raise SchemaDrift(f"Magento's {stream.name} have no {field}.")
            # One value fills the page: look at more of it at once.
            size = size * 2 if reached == last else stream.page_size
            last = reached

    return walked


def numbered(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:  # noqa: ARG001 (no position)
    """Every record of a short list by page number; begun again when its length changes meanwhile."""
    number, total, pages = 1, -1, list[Page]()
    while True:
        read = _read(ask, stream, [], sort=(), number=number)
        if number > 1 and read.total != total:
            number, total, pages = 1, -1, []
            continue
        total = read.total
        pages.append(read.page(None))
        if number * stream.page_size >= total or not read.records:
            break
        number += 1
    yield from pages


def listed(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:  # noqa: ARG001 (no position)
    """Every record of an endpoint that answers with a bare list."""
    asked = ask(stream.path)
    yield Page(records=split(asked.answer, None).records, version=asked.version)


def daily(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """The shop's exchange rates of today, by the day (UTC) of the answer; the shop itself keeps no earlier ones.

    Of a pair the first rate that is seen on a day is that of the day: documents were posted with it since.
    """
    asked = ask(stream.path)
    answer = split(asked.answer, stream.under, beside=("base_currency_code",))
    base = answer.value("base_currency_code")
    if not isinstance(base, str) or not base:
        raise SchemaDrift(f"Magento's {stream.name} do not name their base currency.")
    around = {"base_currency_code": base, "day": _day_of(asked.answer)}
    before = cursor.value if cursor is not None and cursor.value["day"] == around["day"] else {}
    known = set(str(before.get("currencies", "")).split())
    records, seen = list[bytes](), set(known)
    for raw in answer.records:
        code = _field(raw, "currency_to")
        if code is None or code not in known:
            records.append(_with(raw, around))
            seen.add(code or "")
    if records:
        position = {"day": around["day"], "currencies": " ".join(sorted(seen)).strip()}
        yield Page(records=records, version=asked.version, cursor=Cursor(value=position))


def _day_of(answer: Answer) -> str:
    try:
        moment = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError as error:
        raise SchemaDrift("Magento's answer does not say in its Date header when it was given.") from error
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _with(raw: bytes, around: Mapping[str, str]) -> bytes:
    """A record with fields put before its own, whose text is kept to the last digit."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return raw
    return msgspec.json.encode({**around, **{name: fields[name] for name in fields if name not in around}})


def find(ask: Ask, stream: Stream, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    """Records by id with one `in` filter: a list that lacks an id says so with 200, where 404 might be the
    web server's.
    """
    for start in range(0, len(ids), IDS_A_REQUEST):
        wanted = ids[start : start + IDS_A_REQUEST]
        read = _read(ask, stream, [(_ID, ",".join(wanted), "in")], sort=(_ID,), size=IDS_A_REQUEST)
        if read.has_more:
            raise SchemaDrift(f"Magento gave more {stream.name} than were asked for by id.")
        yield wanted, read.page(None)


def criteria(
    filters: Sequence[_Filter], *, sort: Sequence[str], size: int, number: int = 1, downward: bool = False
) -> dict[str, str]:
    """The parameters of a list: filters (field, value, condition) that all hold, sorted upward or downward, one page."""
    if len(filters) > MOST_FILTERS:
        raise ValueError(f"at most {MOST_FILTERS} filters")
    parameters: dict[str, str] = {}
    for index, (field, value, condition) in enumerate(filters):
        name = f"searchCriteria[filter_groups][{index}][filters][0]"
        parameters |= {f"{name}[field]": field, f"{name}[value]": value, f"{name}[condition_type]": condition}
    for index, field in enumerate(sort):
        name = f"searchCriteria[sortOrders][{index}]"
        # Without a direction Magento sorts downward.
        parameters |= {f"{name}[field]": field, f"{name}[direction]": "DESC" if downward else "ASC"}
    return parameters | {"searchCriteria[pageSize]": str(size), "searchCriteria[currentPage]": str(number)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One answer, split and looked at."""

    records: Sequence[bytes]
    total: int
    version: int
    has_more: bool

    def page(self, cursor: Cursor | None) -> Page:
        return Page(records=self.records, version=self.version, cursor=cursor)

    def _stamps(self) -> list[str]:
        fields = (_field(raw, "updated_at") for raw in self.records)
        return [stamp for stamp in fields if stamp and parse_time(stamp)]

    def latest_stamp(self) -> str | None:
        """The newest `updated_at`, whatever the order."""
        return max(self._stamps(), default=None)

    def newest_stamp(self, stream: Stream) -> str | None:
        """The newest `updated_at`. SchemaDrift when rows that have successors are not in its order."""
        stamps = self._stamps()
        if self.has_more and stamps != sorted(stamps):
            raise SchemaDrift(f"Magento's {stream.name} do not come in the order of updated_at.")
        return max(stamps, default=None)

    def _numbers(self, stream: Stream) -> list[int]:
        records = identify_all(stream, self.records)
        return [int(record.id) for record in records if isinstance(record, RawRecord) and record.id.isdigit()]

    def lowest_number(self, stream: Stream, before: int) -> int:
        """The lowest id of a page that has successors. SchemaDrift when they do not come downward, or the walk would not move on."""
        numbers = self._numbers(stream)
        lowest = min(numbers, default=before)
        if numbers != sorted(numbers, reverse=True) or (before and lowest >= before) or not lowest:
            raise SchemaDrift(f"A page of Magento's {stream.name} did not lead downward from id {before}.")
        return lowest

    def last_number(self, stream: Stream, before: int) -> int:
        """The highest id. SchemaDrift when the walk would not move on."""
        numbers = self._numbers(stream)
        highest = max(numbers, default=before)
        if self.has_more and highest <= before:
            raise SchemaDrift(f"A page of Magento's {stream.name} did not move on from id {before}.")
        return highest


def _read(
    ask: Ask,
    stream: Stream,
    filters: Sequence[_Filter],
    *,
    sort: Sequence[str],
    size: int = 0,
    number: int = 1,
    downward: bool = False,
) -> _Read:
    size = size or stream.page_size
    params = criteria(filters, sort=sort, size=size, number=number, downward=downward)
    asked = ask(stream.path, params=params)
    answer = split(asked.answer, stream.under, beside=("total_count",))
    total = answer.value("total_count")
    count = len(answer.records)
    return _Read(
        records=answer.records,
        total=total if isinstance(total, int) else count,
        version=asked.version,
        has_more=count > 0 and (count >= size or (isinstance(total, int) and total > count * number)),
    )


def _field(raw: bytes, name: str) -> str | None:
    """One field of a raw record as text."""
    try:
        value = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(name)
        decoded = msgspec.json.decode(value) if value is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return str(decoded) if isinstance(decoded, (str, int)) else None


def _position(newest: str | None) -> Cursor | None:
    return Cursor(value={"updated_at": newest}) if newest is not None else None


def _earlier(stamp: str) -> str:
    return _moved(stamp, -OVERLAP_SECONDS)


def _later(stamp: str) -> str:
    return _moved(stamp, 1)


def _moved(stamp: str, seconds: int) -> str:
    moment = parse_time(stamp)
    if moment is None:
        # Magento would take a text that is no time for "everything".
        raise SchemaDrift(f"The cursor {stamp!r} is not a time.")
    return f"{moment + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"


_TO_ORDERS = (Touch(stream="orders", path="$.order_id"),)
"""Its items change with it; the order's own stamp moves only if its state does."""


def _stream(
    name: str, *, path: str, read: Reader, walk: Reader, key: tuple[str, ...] = ("entity_id",), **more: Any
) -> Stream:
    defaults: dict[str, Any] = {"under": "items", "parse_time": parse_time}
    return Stream(system="magento", name=name, path=path, key=key, read=read, walk=walk, **(defaults | more))


def _document(name: str, *, path: str, **more: Any) -> Stream:
    defaults: dict[str, Any] = {"created": "created_at", "sweep_days": SWEEP_DAYS, "stamp": "updated_at"}
    return _stream(name, path=path, read=changed, walk=walk, find=find, history=history, **(defaults | more))


def _whole(name: str, *, path: str, key: tuple[str, ...], reader: Reader, **more: Any) -> Stream:
    return _stream(name, path=path, key=key, read=reader, walk=reader, is_whole=True, **more)


STREAMS: tuple[Stream, ...] = (
    # Bare lists or a few pages, no stamps: read whole, compared by hash.
    # developer.adobe.com/commerce/webapi/rest, checked 2026-03.
    _whole("websites", path="store/websites", key=("id",), reader=listed, under=None),
    _whole("store_groups", path="store/storeGroups", key=("id",), reader=listed, under=None),
    _whole("store_views", path="store/storeViews", key=("id",), reader=listed, under=None),
    _whole("store_configs", path="store/storeConfigs", key=("id",), reader=listed, under=None),
    # Without history at the vendor. Before the documents, so that the rate of a day is known before them.
    _stream(
        "currency_rates",
        path="directory/currency",
        under="exchange_rates",
        key=("base_currency_code", "currency_to", "day"),
        read=daily,
        walk=daily,
        grows_only=True,
    ),
    _whole("customer_groups", path="customerGroups/search", key=("id",), reader=numbered),
    _whole("tax_classes", path="taxClasses/search", key=("class_id",), reader=numbered),
    _whole("tax_rates", path="taxRates/search", key=("id",), reader=numbered),
    # searchCriteria and updated_at; deletions only by a sweep of everything.
    _whole("categories", path="categories/list", key=("id",), reader=walk, stamp="updated_at", find=find),
    _document("products", path="products", key=("id",), page_size=200, sweep_days=None),
    _document("customers", path="customers/search", key=("id",), page_size=200, sweep_days=None),
    # Quantities have no time of change at all.
    _whole(
        "stock_items",
        path="inventory/source-items",
        key=("source_code", "sku"),
        reader=by_text("sku"),
        page_size=300,
    ),
    # Documents of orders before the orders: an order read after them contains what they did to it.
    # updated_at misses comments and tracks.
    _document("shipments", path="shipments", page_size=200, touches=_TO_ORDERS),
    _document("invoices", path="invoices", page_size=200, after=("currency_rates",)),
    _document("credit_memos", path="creditmemos", page_size=200, after=("currency_rates",)),
    # About 6 ms an order in the shop; updated_at misses partial shipments, comments, address edits.
    _document("orders", path="orders", page_size=100, after=("currency_rates", "invoices", "credit_memos")),
)
