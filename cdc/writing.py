"""What the engine and the writers say to each other.

A writer knows one entity of one target: how its requests look, what the answers mean, how to find a record
again. It never touches the outbox or the links, and it sends no write itself: it makes a `WriteCall`, the
engine records and sends it (`cdc/drain.py`), and the writer reads the answer into one `Outcome` for each
element. So the order is always

    check → request → (the engine sends) → outcomes → differs

and after an answer that never came `find`. Before the first write to a key the engine asks `find_in_mirror`.

Payloads are the target's own fields. A value `{"$cleared": true}` means "make it empty": each writer says so
in its target's way. Keys that begin with an underscore (`_line` in child rows) are ours and never leave.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import psycopg

    from tieout.http import Answer

Operation = Literal["create", "update", "remove"]

OutcomeKind = Literal["applied", "unchanged", "rejected", "taken", "conflict", "later", "unknown"]
"""applied: the target holds it. unchanged: it already did, nothing was written. rejected: a person must act.
taken: a name is in use, `_if_taken` may be tried. conflict: the target is no longer as it was when this was
decided. later: not now, the same again after `seconds`. unknown: the answer does not say; ask with `find`."""

Who = Literal["operator", "accountant", "shop", "vendor", "analyst"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One entry on its way: what one record of the target should say."""

    entry: int
    key: str
    operation: Operation
    payload: dict[str, Any]
    """The whole desired record, references resolved to the target's ids, nulls stripped; child rows keep
    `_line`."""
    fields: tuple[str, ...] | None = None
    """For an update: the top-level fields that differ and are to be sent; None: all."""
    target_id: str | None = None
    line_ids: Mapping[str, str] = field(default_factory=dict)
    """Our `_line` of a child row to the target's line id."""
    returned: dict[str, Any] | None = None
    """What the target last gave us on the paths that we sent (`Write.returned`)."""
    generation: int = 1
    expect: dict[str, Any] | None = None
    """Fields that the target must still show when this is sent, else conflict."""
    total: Decimal | None = None
    """The amount that the target must answer."""
    held: dict[str, Any] | None = None
    """The record as `check` read it just before sending, for a target that must be told parts of it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCall:
    """One request, ready to be recorded and sent once. The idempotency key is the engine's to add."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: object | None = None
    serial_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one element of a call."""

    kind: OutcomeKind
    target_id: str | None = None
    record: dict[str, Any] | None = None
    """The record as the target holds it now; None when the answer does not show it."""
    line_ids: Mapping[str, str] | None = None
    full: bool = True
    """False: the record is poorer than a read would give; the engine asks for it again."""
    messages: tuple[str, ...] = ()
    """The target's own words, warnings included."""
    field: str | None = None
    cause: str | None = None
    """Short and stable: dead letters are grouped by it."""
    reason: str | None = None
    cure: str | None = None
    who: Who | None = None
    depends_on: tuple[str, ...] = ()
    """Streams of the target whose change makes one more try worth while."""
    in_the_way: tuple[str, ...] = ()
    """Records of the target that have the number or name; only their change makes one more try worth while."""
    seconds: float | None = None
    alone: bool = False
    """With `later`: the call was refused as a whole and any element may be the cause; send this one in its
    own call."""
    ask: bool = False
    """With `rejected`: the target says that it has such a record already; `find` says whether it is ours."""
    by_others: bool = False
    """With `unchanged`: somebody else's record does what ours would; it is linked as it is."""
    unanswered: int = 0
    """With `later`: so many sendings were never answered, and the target does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record of the target that may be ours."""

    target_id: str
    record: dict[str, Any]
    is_ours: bool
    """A create: it bears our mark and is this record, or shows every field that we sent. An update: it shows
    every field that was sent. A removal: it is gone or marked as gone."""
    line_ids: Mapping[str, str] | None = None
    """As `Outcome.line_ids`, when the record shows our lines one to one."""
    label: str = ""
    """What a person calls it."""
    satisfies: bool = False
    """Others made it, and it does what ours would (the same money on the same document): if no key of ours
    holds it and it is the only one, it is linked as it is and nothing is written."""
    may_be: bool = False
    """A create: it bears neither our mark nor our number, but is alike in all else, so it may be ours under a
    number that a person gave it since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How a write of ours is found again when its answer never came; shown to people in docs/in_doubt.md."""

    mark: str | None
    """The field that bears our key; None: the target has no room for one."""
    natural: str
    """What names the record apart from that."""
    asked: str
    """The requests by which it is asked for."""
    twice: str
    """What the target does with the same create again."""
    window: str
    """What no client can close, and how what falls into it is shown; empty: nothing."""
    can_tell: bool = True
    """False: the target offers no way to know. Such an entry goes to a person and is never sent twice."""


class Reading(Protocol):
    """The part of `tieout.http.Http` that a writer may use: reads, which may be repeated."""

    def read(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...


class TargetClient(Protocol):
    """The part of a client that a writer needs."""

    @property
    def http(self) -> Reading: ...


class Write(Protocol):
    """How records of one entity are written: what each line of WRITES fulfils (tests/contracts)."""

    @property
    def entity(self) -> str: ...

    @property
    def stream(self) -> str | None:
        """Stream whose staging table the answers merge into; None when the entity is not mirrored."""

    def batch(self, operation: Operation) -> int:
        """Most entries of this operation in one call: some targets create fifty, remove one."""

    @property
    def finding(self) -> Finding:
        """How a write whose answer never came is found again."""

    @property
    def settling_seconds(self) -> int:
        """How long after a write a read may still not show it."""

    @property
    def replay_seconds(self) -> int:
        """How long the same call with the same key is answered from memory; 0: never repeat it, ask."""

    @property
    def adopts(self) -> bool:
        """A record that others made may be linked and completed (contacts, items); False: found but not ours
        is held."""

    def serial_by(self, outgoing: Outgoing) -> str | None:
        """At most one call may be in flight for this text; None: no such limit."""

    def check(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> Sequence[Outcome | Outgoing | None]:
        """Read just before sending. One answer an element: None = send it; the element with `held` = send it
        with what was read; an outcome = it is settled without sending."""

    def request(self, operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        """The one request that carries these entries, all of this operation and one `serial_by`."""

    def outcomes(self, operation: Operation, outgoing: Sequence[Outgoing], answer: Answer) -> list[Outcome]:
        """One outcome an element of a definite answer (2xx or 4xx).

        Raises ConnectionRefused and RetryLater only when no element took effect; UnknownOutcome when the
        answer cannot be read, so that any may have.
        """

    def find(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        """Ask the target: a create by our mark, then by natural key; an update or removal by `target_id`.

        For each element all records that may be it, ours first.
        """

    def find_in_mirror(
        self,
        connection: psycopg.Connection[dict[str, Any]],
        connection_name: str,
        outgoing: Sequence[Outgoing],
    ) -> list[list[Found]]:
        """The same from the staging table."""

    def holders(
        self, connection: psycopg.Connection[dict[str, Any]], connection_name: str, one: Outgoing
    ) -> tuple[str, ...]:
        """Which mirrored records have the name that the target says is taken; empty: not known."""

    def look(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        """Creates just before they are sent: what others may have entered in their place since the last load.

        Nothing is asked where the target itself refuses a second one, or where nobody enters such records.
        """

    def same(self, field: str, sent: object, held: object) -> bool:
        """Does the target's value say what was sent? Rounding, forms of dates and the target's own habits
        count as equal."""

    def returned(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The paths of the payload as the record shows them; child rows with the target's line ids."""

    def differs(self, outgoing: Outgoing, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Fields that we sent and the record lacks or shows otherwise, as paths; `_total` when the amount is
        another."""

    def lacking(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Top-level fields that an adopted record has empty: the only ones that its completion may send."""

    def merged_into(self, record: Mapping[str, Any]) -> str | None:
        """The id of the record into which the target merged this one; None: it was not merged."""

    def frozen(self, record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:
        """Why the record may no longer change (paid, credited, reconciled, locked …); None: it may."""


CLEARED = "$cleared"


def is_cleared(value: object) -> bool:
    """True for the value by which a model says "make this field empty"."""
    return isinstance(value, dict) and value.get(CLEARED) is True


def open_writers(system: str) -> Mapping[str, Write]:
    """The writers of a system by entity, in the order in which entities depend on each other."""
    writes: tuple[Write, ...] = importlib.import_module(f"cdc.writers.{system}").WRITES
    return {write.entity: write for write in writes}
