"""One call of a drain: slot and token, claim, the request, what its answer says, and the settlement.

surely without effect (never left, refused as a whole)   the entries are ready again
a definite answer                                        settled, element by element
anything else                                            in doubt: the target is asked before anything else is sent
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdc.asking import Asking, verdict_of
from cdc.calls import START_SECONDS, Claimed, claim, exchange, prepare
from cdc.doubt import Wait, lose
from cdc.keeping import kept, show_made_twice
from cdc.lane import Entry, Lane
from cdc.matching import another_key_of_ours, found_as_ours, owners_of, stand_in, taken_by_another
from cdc.settle import Verdict, settle
from cdc.writing import Found, Operation, Outcome, Write
from tieout.budget import Slot
from tieout.errors import (
    BudgetDenied,
    ConnectionRefused,
    NotSent,
    RetryLater,
    SchemaDrift,
    TieoutError,
    UnknownOutcome,
)
from tieout.events import Event, emit
from tieout.http import LONGEST_WAIT_SECONDS, READ_SECONDS, Answer, boottime

WAITS = 5
"""A limit is waited for so many times in a row; after that the next run goes on."""
_OURS = ("sending", "in_doubt")
"""What we know of our own call counts also when somebody thought us dead meanwhile, and has not settled it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a call."""

    kinds: Counter[str]
    is_in_doubt: bool


class Sender:
    """Sends the calls of one target, one after the other."""

    def __init__(self, lane: Lane, wait: Wait) -> None:
        self._lane: Lane = lane
        self._wait: Wait = wait
        self._refused_in_a_row: int = 0

    def send(self, write: Write, operation: Operation, entries: Sequence[Entry]) -> Sent | None:
        """Send these entries in one call; None when none of them could be claimed.

        Raises what stops the target (ConnectionRefused, RetryLater, CredentialsError …), with the entries ready again.
        """
        # Budget and token first: after `sending` is committed nothing but the request follows.
        prepared = prepare(write, operation, entries)
        slot = self._ready(len(prepared.content))
        try:
            deadline = boottime() + START_SECONDS
            claimed = claim(self._lane, write, operation, entries, prepared)
            if claimed is None:
                slot.unused()
                return None
            started = time.monotonic()
            kinds, ending = self._call(write, operation, claimed, slot, deadline)
        finally:
            slot.release()
        emit(
            Event.DRAIN_CALL_FINISHED,
            connection=self._lane.name,
            entity=write.entity,
            operation=operation,
            call=str(claimed.call),
            entries=len(claimed.entries),
            applied=kinds["applied"],
            rejected=kinds["rejected"],
            outcome=ending,
            seconds=round(time.monotonic() - started, 3),
        )
        return Sent(kinds=kinds, is_in_doubt=ending == "unknown" or kinds["unknown"] > 0)

    def _ready(self, size: int) -> Slot:
        failed, waited = 0, 0.0
        while True:
            try:
                return self._lane.client.http.ready_to_write(size=size)
            except RetryLater as error:
                # A turn in the queue of the budget is often waited for in several short steps.
                failed += not isinstance(error, BudgetDenied)
                waited += error.seconds or 0
                if (
                    failed == WAITS
                    or error.seconds is None
                    or waited > READ_SECONDS
                    or error.seconds > LONGEST_WAIT_SECONDS
                ):
                    raise
                self._wait_for(error.seconds, error.limit if isinstance(error, BudgetDenied) else "limit")

    def _wait_for(self, seconds: float, cause: str) -> None:
        emit(Event.BUDGET_WAITED, connection=self._lane.name, seconds=seconds, cause=cause)
        self._wait(seconds)

    def _call(
        self, write: Write, operation: Operation, claimed: Claimed, slot: Slot, deadline: float
    ) -> tuple[Counter[str], str]:
        lane = self._lane
        try:
            answer = exchange(lane, claimed.prepared, claimed.call, claimed.number, slot, deadline)
            outcomes = write.outcomes(operation, [entry.outgoing for entry in claimed.entries], answer)
        except (UnknownOutcome, SchemaDrift) as error:
            words = str(error)
            kept(lane, lambda lane: lose(lane, claimed.call, words))
            return Counter(), "unknown"
        except TieoutError as error:
            return self._without_effect(write, claimed, error)
        except Exception as error:
            # A mistake of ours while the request may have been carried out: the next drain asks.
            words = f"a mistake of tieout's own: {type(error).__name__}"
            kept(lane, lambda lane: lose(lane, claimed.call, words))
            raise
        self._refused_in_a_row = 0
        asking = Asking(lane.client)
        again = _sent_again(operation, claimed, outcomes)
        try:
            outcomes = self._asked(asking, write, claimed.entries, outcomes)
            twice = _made_twice(asking, write, again)
        except TieoutError:
            # What the target said is kept; what it could not be asked for is asked by the next drain.
            marked = {entry.entry for entry in again}
            outcomes = [
                Outcome(kind="unknown") if outcome.ask or entry.entry in marked else outcome
                for entry, outcome in zip(claimed.entries, outcomes, strict=True)
            ]
            twice = {}
        return self._settle(write, claimed, outcomes, twice, answer, asking)

    def _settle(
        self,
        write: Write,
        claimed: Claimed,
        outcomes: Sequence[Outcome],
        twice: dict[int, tuple[str, ...]],
        answer: Answer,
        asking: Asking,
    ) -> tuple[Counter[str], str]:
        verdicts = [
            Verdict(entry=entry, outcome=outcome, twice=twice.get(entry.entry, ()))
            for entry, outcome in zip(claimed.entries, outcomes, strict=True)
        ]
        is_unknown = any(outcome.kind == "unknown" for outcome in outcomes)
        ending: dict[str, Any] = {
            "outcome": "unknown" if is_unknown else "answered",
            "status": answer.status,
            "answer": {"messages": [list(outcome.messages) for outcome in outcomes]},
            "is_settled": not is_unknown,
        }
        if asking.questions:
            found = {each.entry.key: verdict_of((), each.outcome) for each in verdicts}
            ending["asked"] = {
                "how": "the answer left it open",
                "questions": asking.questions,
                "found": found,
            }

        def store(lane: Lane) -> Counter[str]:
            kinds = settle(
                lane,
                write,
                verdicts,
                states=_OURS,
                number=claimed.number,
                call=claimed.call,
                ending=ending,
            )
            show_made_twice(
                lane, write, verdicts, sum(kinds[kind] for kind in {one.kind for one in outcomes})
            )
            return kinds

        return kept(self._lane, store), "answered"

    def _without_effect(self, write: Write, claimed: Claimed, error: TieoutError) -> tuple[Counter[str], str]:
        """It never left, or was refused as a whole. A short wait is stayed for; else the error stops the target."""
        seconds = error.seconds if isinstance(error, NotSent) else None
        self._refused_in_a_row += 1
        stays = seconds is not None and seconds <= LONGEST_WAIT_SECONDS and self._refused_in_a_row < WAITS
        later = Outcome(kind="later", seconds=0 if stays else seconds or 0, reason=str(error))
        ending = "refused" if isinstance(error, ConnectionRefused) else "not sent"
        kept(
            self._lane,
            lambda lane: settle(
                lane,
                write,
                [Verdict(entry=entry, outcome=later) for entry in claimed.entries],
                states=_OURS,
                number=claimed.number,
                call=claimed.call,
                ending={"outcome": ending, "answer": {"error": str(error)}},
            ),
        )
        if not stays:
            raise error
        if seconds:
            self._wait_for(seconds, "refused for now")
        return Counter(), ending

    def _asked(
        self, asking: Asking, write: Write, entries: Sequence[Entry], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Where the target says that it has such a record already, look whether it is ours."""
        open_ones = [
            (entry, outcome) for entry, outcome in zip(entries, outcomes, strict=True) if outcome.ask
        ]
        if not open_ones:
            return list(outcomes)
        found = write.find(asking, [entry.outgoing for entry, _ in open_ones])
        owners = owners_of(self._lane, write, found)
        answers: dict[int, Outcome] = {}
        for (entry, outcome), some in zip(open_ones, found, strict=True):
            judged = _judged(entry, outcome, some, owners)
            if judged.target_id is not None:
                # Linked or standing in for this one: no other entry of the call may have it too.
                owners[judged.target_id] = entry.key
            answers[entry.entry] = judged
        return [answers.get(entry.entry, outcome) for entry, outcome in zip(entries, outcomes, strict=True)]


def _sent_again(operation: Operation, claimed: Claimed, outcomes: Sequence[Outcome]) -> list[Entry]:
    """Creates that were sent before, in a call that was in doubt, and are made now."""
    return [
        entry
        for entry, outcome in zip(claimed.entries, outcomes, strict=True)
        if operation == "create" and entry.entry in claimed.resent and outcome.kind == "applied"
    ]


def _made_twice(asking: Asking, write: Write, again: Sequence[Entry]) -> dict[int, tuple[str, ...]]:
    """The records with our mark, by entry, where there is more than one.

    The target may have carried out the first sending after it was asked; no client can close that window.
    """
    if not again:
        return {}
    found = write.find(asking, [entry.outgoing for entry in again])
    ours = {
        entry.entry: tuple(one.target_id for one in some if one.is_ours)
        for entry, some in zip(again, found, strict=True)
    }
    return {entry: ids for entry, ids in ours.items() if len(ids) > 1}


def _judged(entry: Entry, refused: Outcome, found: Sequence[Found], owners: Mapping[str, str]) -> Outcome:
    """A refusal because there is such a record already: ours, another key's, another's in our place, or none after all."""
    ours = [one for one in found if one.is_ours]
    free = [one for one in ours if owners.get(one.target_id, entry.key) == entry.key]
    if len(free) == 1:
        return found_as_ours(free[0])
    if ours and not free:
        return refused if refused.kind == "taken" else another_key_of_ours(ours[0], owners)
    entered = stand_in(found, owners)
    if entered is not None:
        return entered
    others = [one for one in found if not one.satisfies and not one.may_be]
    return taken_by_another(others) if others and refused.kind != "taken" else refused
