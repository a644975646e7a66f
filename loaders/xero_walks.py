"""The ways to walk Xero's lists without losing rows, and without paying for the same rows each minute.

`If-Modified-Since` (ISO, UTC, whole seconds, inclusive or not is not said) compares UpdatedDateUTC; without `page` a list lacks
lines, so every read is paged; the default order is UpdatedDateUTC, then id (documented: "Requests and responses", "Efficient data
retrieval", checked 2026-03). Walking numbered pages of a list that is sorted by time loses rows: one that is edited meanwhile
moves to the end and pulls others onto a page that was read. Hence three walks: *seek* for changes (always page 1, from a second
before the last row), pages of the last change first for a first load (what is edited moves to the front), and pages in the order
of the id, which never changes, for sweeps. What no stamp shows (a contact's balances, deleted items, deleted transfers) a sweep
finds.

*Peeks.* Xero bills what it sends (documented), and a seek reads the two minutes before its cursor again, for ever, until
something newer comes: after a bulk write thousands of rows a minute. So when a load met nothing new there, the cursor keeps
Xero's count of these rows, and the next loads ask for one row, the newest, and compare count and stamp. Anything else than the
same is answered by reading all of them, one call more. Why the same means that nothing came:

- Nothing leaves these lists (documented: void, deleted and merged records stay and change their status; archived ones are asked
  for), so one more row is a higher count, late or not. One that vanishes in an undocumented way makes it lower.
- An edit moves a row within the rows that are counted, which leaves the count as it is, and shows as the newest stamp. If it
  becomes visible after its stamp, something newer may have been met before: that is what the overlap is for, so a count is only
  kept of rows that are all older than the overlap by Xero's own clock (`DateTimeUTC` around the answer, documented). The clock
  decides no position: the cursor comes from rows alone. Who edits later than that, and behind its own stamp, was never promised
  to be met by a load; a sweep does.
- That lists can be sorted by UpdatedDateUTC is documented, and a first load ends with SchemaDrift where it does not hold.
- Not said is whether `itemCount` knows `If-Modified-Since`: counting the whole list serves as well. Where `pageSize` is not
  honoured the peek is a page of 100. Without a count or a time in the answers no load peeks.

*Lists without pages* (items, bank transfers) give no count. Once a load read its rows again and nothing was new, and all are as old
as above, the next loads ask for what is later than the newest of them, which is nothing. Every 15th load reads all of them again,
and so does a load that finds something later: the cursor never moves past rows that were not read, so every 15th load ends with
what it always ended with. What may come up to 14 loads later for that: a row that shows more than three minutes after its stamp
and behind the newest, and what moves no stamp, which is the deletion of a bank transfer (only its staging model reads these).
Later is asked as from the second after the newest stamp; rows of that second are as old as the others, so whether
`If-Modified-Since` leaves them out makes no difference.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loaders.stream import Ask, Cursor, Page, Stream
from loaders.xero_answers import DEFAULT_PAGE_SIZE, Read, read
from tieout.errors import NotFound

OVERLAP_SECONDS = 120
"""Each load asks again for the two minutes before its cursor: a row may become visible after its own stamp.
"""
SETTLED_SECONDS = OVERLAP_SECONDS + 60
"""A row that is older than this, by Xero's own clock, will show no other change with so old a stamp; a minute more than the overlap,
because that clock is read at the end of an answer that may have been slow.
"""
FEW_ROWS = 10
"""So few are read again each time (some 20 kB): a count spares less than the call that it costs when something comes."""
LOADS_A_WINDOW = 15
"""Where nothing is counted, all that is read again is read at each so many-th load: at a load a minute as often as lists that are
always read whole (`cdc.follow.WHOLE_SECONDS`).
"""
TRAILING_DAYS = 35
"""Bank transfers have no time of change: those created in so many days are read again each time."""
IDS_A_REQUEST = 40
"""Longer addresses are refused somewhere on the way ("Efficient data retrieval")."""


def seek(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """What changed since the cursor; from None on everything, the oldest change first. Where the rows before the cursor are known,
    a peek tells whether there is more.
    """
    window = _Window.of(stream, cursor)
    if window.counted:
        peek = read(ask, stream, since=window.lower, order=f"{stream.stamp} DESC", page_size=1)
        if window.is_unmoved(peek):
            yield peek.page(None)
            return
    newest, lower = window.since, window.lower
    opening: Read | None = None
    rows = 0
    while True:
        found = read(ask, stream, since=lower, order=None if stream.order is None else f"{stream.stamp} ASC")
        last = found.newest()
        if found.has_more:
            found.require_ascending(stream)
        newest = max(filter(None, (newest, last)), default=None)
        opening, rows = opening or found, rows + len(found.records)
        if not found.has_more:
            yield found.page(window.behind(opening, rows, newest))
            return
        yield found.page(_since(newest))
        if last is None:
            return
        # Inclusive or not, this asks for the whole second of the last row again.
        further = _second(last) - timedelta(seconds=1)
        if lower is not None and further <= lower:
            last, is_more = yield from _crowded_second(ask, stream, lower)
            newest = max(filter(None, (newest, last)), default=None)
            if not is_more or last is None:
                yield Page(records=(), version=0, cursor=window.behind(opening, rows, newest))
                return
            yield Page(records=(), version=0, cursor=_since(newest))
            # On from here, and not from the cursor: rows between may have become visible after their own stamps.
            further = _second(last) - timedelta(seconds=1)
        lower = further


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """The rows that a load asks for again, and whether they were all met once they can no longer change unseen."""

    since: datetime | None = None
    """The cursor: the newest stamp that was met."""
    lower: datetime | None = None
    counted: int | None = None
    """How many rows Xero counted from `lower` on when all were read; None: not known; 0: counts do not help here."""
    is_peekable: bool = False

    @classmethod
    def of(cls, stream: Stream, cursor: Cursor | None) -> _Window:
        if cursor is None:
            return cls()
        since = _time(cursor.value["since"])
        lower = _second(since) - timedelta(seconds=OVERLAP_SECONDS)
        is_peekable = stream.order is not None
        # A count of other rows (another overlap, in an older or newer version) says nothing about these.
        is_of_these = cursor.value.get("counted_from") == lower.isoformat()
        counted = int(cursor.value["counted"]) if is_peekable and is_of_these else None
        return cls(since=since, lower=lower, counted=counted, is_peekable=is_peekable)

    def is_unmoved(self, peek: Read) -> bool:
        """A new or late row is one more, and what was edited is the newest."""
        return peek.total == self.counted and peek.newest() == self.since

    def behind(self, opening: Read, rows: int, newest: datetime | None) -> Cursor | None:
        """The cursor once all is read, with the count where a peek will do from now on. `opening`: the first answer; what came
        after it is counted by the next peek.
        """
        if newest is None or newest != self.since or self.lower is None or not self.is_peekable:
            return _since(newest)
        if not _is_settled(opening, newest) or opening.total is None or rows <= FEW_ROWS:
            return _since(newest)
        # A peek that told of something where there was nothing will do so again: each would be a call for nothing.
        counted = 0 if self.counted in (0, opening.total) else opening.total
        return _since(newest, counted=counted, counted_from=self.lower.isoformat())


def _is_settled(answer: Read, newest: datetime) -> bool:
    """The rows that an answer shows up to this stamp can no longer change unseen."""
    return answer.at is not None and answer.at - newest >= timedelta(seconds=SETTLED_SECONDS)


def _crowded_second(
    ask: Ask, stream: Stream, lower: datetime
) -> Generator[Page, None, tuple[datetime | None, bool]]:
    """More rows carry one second than a page holds (an import). Returns the last stamp that was met, and whether there is more
    beyond it.

    Forward to the page on which the second ends, then backward over the same pages: a row that is edited
    meanwhile moves to the end and shifts the others towards the front, which a backward walk meets again and
    a forward walk would miss.
    """
    order = None if stream.order is None else f"{stream.stamp} ASC"
    number = 1
    reached: datetime | None = None
    more = True
    while more and (reached is None or _second(reached) - timedelta(seconds=1) <= lower):
        number += 1
        found = read(ask, stream, since=lower, order=order, number=number)
        yield found.page(None)
        reached = found.newest() or reached
        more = found.has_more
    for back in range(number - 1, 0, -1):
        yield read(ask, stream, since=lower, order=order, number=back).page(None)
    return reached, more


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
        found = read(ask, stream, order=f"{stream.stamp} DESC", number=number)
        position = _since(found.newest()) if number == 1 else None
        is_repeated = bool(before) and list(found.records) == list(before)
        if is_repeated or not found.has_more:
            yield replace(found.page(position), left=0, total=found.total)
            return
        found.require_descending(stream)
        left = max(0, found.total - number * stream.page_size) if found.total is not None else None
        number += 1
        behind = Cursor(value={"page": number, "size": stream.page_size})
        yield replace(found.page(position), history=behind, left=left)
        before = found.records


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
        found = read(ask, stream, order=order, number=number)
        # An endpoint that ignores `page` gives everything each time (ManualJournals did, tap-xero issue 104).
        if number > 1 and list(found.records) == list(before):
            return
        yield found.page(None)
        if not found.has_more:
            return
        before = found.records


def whole(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:  # noqa: ARG001 (there is no position)
    """Every record in one answer, for lists that are not paged."""
    yield read(ask, stream, paged=False).page(None)


def changed(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """What changed since the cursor, for a list that knows If-Modified-Since but no pages: one answer, one
    instant.
    """
    yield _later_or_all(ask, stream, cursor, again=timedelta(seconds=OVERLAP_SECONDS))


def trailing(ask: Ask, stream: Stream, cursor: Cursor | None) -> Iterator[Page]:
    """Bank transfers tell only when they were created: a deletion is met within the trailing window, up to LOADS_A_WINDOW loads
    later where it holds more than FEW_ROWS; that of an older one by a sweep.
    """
    yield _later_or_all(ask, stream, cursor, again=timedelta(days=TRAILING_DAYS))


_VAIN = -1
"""Asking for what is later does not help with these rows."""


def _later_or_all(ask: Ask, stream: Stream, cursor: Cursor | None, *, again: timedelta) -> Page:
    """All rows from `again` before the cursor on; or, while these are known, nothing if nothing is later than they are."""
    if cursor is None:
        found = read(ask, stream, paged=False)
        return found.page(_since(found.newest()))
    since = _time(cursor.value["since"])
    # For how many loads these rows were not read. None: whether they can still change unseen is not known.
    unread = cursor.value.get("unread")
    is_vain = unread == _VAIN
    if unread is not None and 0 <= int(unread) < LOADS_A_WINDOW - 1:
        later = read(ask, stream, since=_second(since) + timedelta(seconds=1), paged=False)
        if not later.records:
            return later.page(_since(since, unread=int(unread) + 1))
        is_vain = True
    found = read(ask, stream, since=_second(since) - again, paged=False)
    newest = max(filter(None, (since, found.newest())))
    if newest != since or not _is_settled(found, newest) or len(found.records) <= FEW_ROWS:
        return found.page(_since(newest))
    # An answer that told of something later where there was nothing will do so again.
    return found.page(_since(newest, unread=_VAIN if is_vain else 0))


def find_many(ask: Ask, stream: Stream, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    """Records by id with `IDs=`, many a request."""
    for start in range(0, len(ids), IDS_A_REQUEST):
        wanted = ids[start : start + IDS_A_REQUEST]
        yield (
            wanted,
            read(ask, stream, more={"IDs": ",".join(wanted)}, page_size=DEFAULT_PAGE_SIZE).page(None),
        )


def find_each(ask: Ask, stream: Stream, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    """Records by id, one a request: 404 is Xero's word that there is none."""
    for wanted in ids:
        kept = {name: value for name, value in stream.params.items() if name == "unitdp"}
        alone = replace(stream, path=f"{stream.path}/{wanted}", params=kept)
        # An absence is dated by a number drawn before the question left, as any answer is.
        version = ask.number()
        try:
            page = read(ask, alone, paged=False).page(None)
        except NotFound:
            page = Page(records=(), version=version)
        yield [wanted], page


def _time(text: str | int) -> datetime:
    return datetime.fromisoformat(str(text))


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _since(newest: datetime | None, **known: str | int) -> Cursor | None:
    """The cursor behind a row, with what is known of the rows before it."""
    return Cursor(value={"since": newest.isoformat(), **known}) if newest is not None else None
