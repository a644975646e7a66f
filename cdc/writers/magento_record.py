"""What Magento's customers, products, prices and quantities have in common: a `Write` put together from what is
special about one entity.

None of them bears a mark: a natural key names a record (e-mail and website, sku, source and sku), so a record
with that key is the one that is meant, and ownership by field (the model) says what may be written to it. Each
record is read just before it is sent: what is right already is not sent, and what a PUT would wipe is sent along
as it was read. Magento has no idempotency keys: after an unknown outcome the content decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from cdc.writers import magento_values as values
from cdc.writers.magento_refusals import refusal
from cdc.writers.magento_values import Record
from cdc.writing import Finding, Found, Operation, Outcome, Outgoing, TargetClient, WriteCall
from tieout.clients.magento import messages
from tieout.errors import RetryLater, UnknownOutcome
from tieout.http import Answer

NaturalKey = Callable[[Mapping[str, Any]], tuple[str, ...] | None]
"""What names a payload and its record alike; None when a part of it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What an answer says of one element: the record with its id, or Magento's words of refusal."""

    target_id: str | None = None
    record: Record | None = None
    full: bool = True
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MagentoWrite:
    """One entity of Magento; fulfils `cdc.writing.Write`."""

    entity: str
    stream: str | None
    natural_key: NaturalKey
    finding: Finding
    ask: Callable[[TargetClient, Sequence[Outgoing]], list[tuple[str, Record]]]
    """Records by natural key, each with its id."""
    read: Callable[[TargetClient, Sequence[Outgoing]], list[tuple[str, Record]]]
    """Records by target id."""
    mirrored: Callable[[psycopg.Connection[Record], str, Sequence[Outgoing]], list[tuple[str, Record]]]
    call: Callable[[Operation, Sequence[Outgoing]], WriteCall]
    answered: Callable[[Operation, Sequence[Outgoing], Any], list[Answered]]
    """A success, element by element; KeyError, TypeError or ValueError when it cannot be read."""
    shown: Callable[[Mapping[str, Any], Mapping[str, Any]], Record]
    """The fields of a payload as a record shows them."""
    before: Callable[[TargetClient, Sequence[Outgoing]], list[Outcome | None]]
    """What speaks against sending, once what is there was read."""
    serial: str
    most: int = 1
    sets: bool = False
    """One call for new and old: it sets a value, whatever was there."""
    creates_over: bool = False
    """The create changes a record that is there: ask first."""
    adopts: bool = True
    settling_seconds: int = 2
    replay_seconds: int = 0

    def batch(self, operation: Operation) -> int:  # noqa: ARG002
        """Most elements of one call."""
        return self.most

    def serial_by(self, outgoing: Outgoing) -> str | None:  # noqa: ARG002
        """One write call at a time."""
        return self.serial

    def check(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> Sequence[Outcome | Outgoing | None]:
        """Read what is there, and settle what needs no call."""
        if operation == "remove":
            return [_never_removed() for _ in outgoing]
        held = self._held(client, operation, outgoing)
        judged = [self._judge(operation, one, held.get(one.entry)) for one in outgoing]
        left = [one for one in judged if isinstance(one, Outgoing)]
        against = dict(
            zip((one.entry for one in left), self.before(client, left) if left else [], strict=True)
        )
        return [against.get(one.entry) or one if isinstance(one, Outgoing) else one for one in judged]

    def request(self, operation: Operation, outgoing: Sequence[Outgoing]) -> WriteCall:
        """One request for these elements. Raises ValueError for removals, which `check` settles."""
        if operation == "remove":
            raise ValueError("nothing is removed from Magento")
        return replace(self.call(operation, outgoing), serial_by=self.serial)

    def outcomes(self, operation: Operation, outgoing: Sequence[Outgoing], answer: Answer) -> list[Outcome]:
        """One outcome an element. A refusal of several at once sends each by itself: one of them is at fault."""
        if answer.status >= 500:
            raise UnknownOutcome(f"Magento answered {answer.status}.")
        if answer.status == 429:
            raise RetryLater("Magento's limit on requests is reached.")
        if answer.status >= 300:
            said = messages(answer) or (f"status {answer.status}",)
            if len(outgoing) == 1:
                return [refusal(said)]
            return [
                Outcome(
                    kind="later",
                    seconds=0,
                    alone=True,
                    messages=said,
                    reason="Magento refused the whole call.",
                )
                for _ in outgoing
            ]
        try:
            found = self.answered(operation, outgoing, answer.json())
        except (RetryLater, KeyError, TypeError, ValueError) as error:
            raise UnknownOutcome("Magento's answer to a write could not be read.") from error
        return [_outcome(each) for each in found]

    def find(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:
        """Creates by natural key, all others by id; ours is what shows everything that was sent.

        A value that is set is looked for, not the record that has it: that is there whether it was set or not.
        """
        creates = [one for one in outgoing if one.operation == "create"]
        others = [one for one in outgoing if one.operation != "create"]
        by_key = self._by_key(self.ask(client, creates)) if creates else {}
        by_id = dict(self.read(client, others)) if others else {}
        found: list[list[Found]] = []
        for one in outgoing:
            if one.operation == "create":
                some = [self._found(one, each) for each in by_key.get(self.natural_key(one.payload), [])]
                found.append([each for each in some if each.is_ours or not self.sets])
            else:
                record = by_id.get(one.target_id or "")
                found.append([] if record is None else [self._found(one, (one.target_id or "", record))])
        return found

    def find_in_mirror(
        self, connection: psycopg.Connection[Record], connection_name: str, outgoing: Sequence[Outgoing]
    ) -> list[list[Found]]:
        """By natural key: that is the record that is meant, whatever it says now."""
        by_key = self._by_key(self.mirrored(connection, connection_name, outgoing))
        return [
            [
                Found(target_id=target_id, record=record, is_ours=True)
                for target_id, record in by_key.get(self.natural_key(one.payload), [])
            ]
            for one in outgoing
        ]

    def holders(
        self,
        connection: psycopg.Connection[Record],  # noqa: ARG002
        connection_name: str,  # noqa: ARG002
        one: Outgoing,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Not known: what a shop refuses it names by its key."""
        return ()

    def look(self, client: TargetClient, outgoing: Sequence[Outgoing]) -> list[list[Found]]:  # noqa: ARG002
        """Nothing: a shop refuses what it has, or the call sets absolute values."""
        return [[] for _ in outgoing]

    def same(self, field: str, sent: object, held: object) -> bool:
        """Does Magento's value say what was sent?"""
        return values.same(field, sent, held)

    def returned(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The paths of the payload as the record shows them."""
        return self.shown(payload, record)

    def differs(self, outgoing: Outgoing, record: Mapping[str, Any]) -> tuple[str, ...]:
        """Fields that we sent and the record does not show."""
        shown = self.shown(outgoing.payload, record)
        return tuple(
            name
            for name in values.sent_fields(outgoing)
            if not values.same(name, outgoing.payload[name], shown.get(name))
        )

    def lacking(self, payload: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing: a record is known by its natural key, so it is never completed as somebody else's."""
        return ()

    def merged_into(self, record: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Nothing: Magento merges no records."""
        return None

    def frozen(self, record: Mapping[str, Any], organisation: Mapping[str, Any] | None) -> str | None:  # noqa: ARG002
        """Master data: it may always change."""
        return None

    def _held(
        self, client: TargetClient, operation: Operation, outgoing: Sequence[Outgoing]
    ) -> dict[int, tuple[str, Record]]:
        """What is there now, by entry."""
        if operation == "create" and not (self.sets or self.creates_over):
            return {}
        if operation == "create":
            by_key = self._by_key(self.ask(client, outgoing))
            found = {one.entry: by_key.get(self.natural_key(one.payload), []) for one in outgoing}
            return {entry: some[0] for entry, some in found.items() if some}
        by_id = dict(self.read(client, outgoing))
        return {
            one.entry: (one.target_id, by_id[one.target_id])
            for one in outgoing
            if one.target_id is not None and one.target_id in by_id
        }

    def _judge(
        self, operation: Operation, one: Outgoing, held: tuple[str, Record] | None
    ) -> Outcome | Outgoing:
        if held is None:
            return one if operation == "create" else _deleted(one)
        target_id, record = held
        if not self.differs(one, record):
            return Outcome(
                kind="unchanged", target_id=target_id, record=record, reason="The shop says so already."
            )
        if operation == "create" and self.creates_over:
            return Outcome(
                kind="conflict",
                target_id=target_id,
                cause="made meanwhile",
                reason=f"The shop has a record of this key that was not loaded yet ({target_id}).",
                cure="The next load brings it; then it is linked instead of made.",
                who="operator",
            )
        if self.natural_key(one.payload) not in (None, self.natural_key({**one.payload, **record})):
            return Outcome(
                kind="conflict",
                target_id=target_id,
                cause="another record now",
                reason="The shop gave this record another key (sku, source).",
                cure="Correct the key on one side; the next sync tries again.",
                who="shop",
            )
        for name, expected in (one.expect or {}).items():
            if not values.same(name, expected, record.get(name)):
                return Outcome(
                    kind="conflict",
                    target_id=target_id,
                    record=record,
                    field=name,
                    cause="moved at the target",
                    reason=f"{name} in the shop is no longer what it was when this was decided.",
                )
        return replace(one, held=record)

    def _by_key(
        self, records: Sequence[tuple[str, Record]]
    ) -> dict[tuple[str, ...] | None, list[tuple[str, Record]]]:
        found: dict[tuple[str, ...] | None, list[tuple[str, Record]]] = {}
        for target_id, record in dict(records).items():
            key = self.natural_key(record)
            if key is not None:
                found.setdefault(key, []).append((target_id, record))
        return found

    def _found(self, one: Outgoing, held: tuple[str, Record]) -> Found:
        return Found(target_id=held[0], record=held[1], is_ours=not self.differs(one, held[1]))


def _outcome(answered: Answered) -> Outcome:
    if answered.refused:
        return refusal(answered.refused)
    if answered.target_id is None:
        return Outcome(kind="unknown", reason="Magento's answer names no record.")
    return Outcome(kind="applied", target_id=answered.target_id, record=answered.record, full=answered.full)


def _never_removed() -> Outcome:
    return Outcome(
        kind="rejected",
        cause="never removed",
        reason="Customers, products, prices and quantities are never removed from a shop.",
        cure="Remove it in the shop by hand, if it must go; then discard this entry.",
        who="shop",
    )


def _deleted(one: Outgoing) -> Outcome:
    return Outcome(
        kind="conflict",
        target_id=one.target_id,
        cause="deleted in the target",
        reason="The record that was to be changed is not in the shop any more.",
        cure="Accept it as it is, or restore it in the shop.",
        who="shop",
    )
