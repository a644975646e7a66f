"""Everything at a glance: is the ledger right, is it safe to run again, and what waits for whom with how much money.

The sentences are made for somebody who was woken for it. Amounts of several currencies stand beside each other and are
never added; an order's invoice and its payment are the same money and counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
SHOWN_CHAINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatus:
    """How one connection stands. Times in UTC."""

    connection: str
    system: str
    target_name: str | None
    is_demo: bool | None
    stopped_at: datetime | None
    stopped_reason: str | None
    """What the vendor said when it refused the whole connection."""
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    states: Mapping[str, int]
    """Open entries by state."""
    oldest_waiting: datetime | None
    oldest_in_doubt: datetime | None
    loaded_from: datetime | None
    """Everything older than this is mirrored; None when no stream was read to its end."""
    never_loaded: int
    """Streams that were never read to their end."""

    @property
    def closed_because(self) -> str | None:
        """Why nothing is written to it, by whom and since when; None when it may be written to."""
        if self.stopped_at is not None:
            return f"stopped since {_minute(self.stopped_at)}: {self.stopped_reason}"
        if self.paused_at is not None:
            why = f": {self.paused_reason}" if self.paused_reason else ""
            return f"paused by {self.paused_by} since {_minute(self.paused_at)}{why}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Entries that wait for one record: the head of their chain."""

    connection: str
    entity: str
    key: str
    head_state: str
    cause: str | None
    reason: str | None
    who: str | None
    entries: int
    since: datetime
    """Since when the oldest of them, the head included, stands."""
    money: Mapping[str, Decimal]
    """By currency. Each source record's money once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForWhom:
    """What waits for people of one kind."""

    who: str
    letters: int
    """Dead letters: something is wrong."""
    holds: int
    """Entries that wait for a yes."""
    since: datetime
    money: Mapping[str, Decimal]
    """By currency: theirs, and what waits for them."""

    @property
    def sentence(self) -> str:
        """`accountant: 3 (120.00 EUR)`."""
        amounts = ", ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(self.money.items()))
        return f"{self.who}: {self.letters + self.holds}" + (f" ({amounts})" if amounts else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The last proof of one target."""

    connection: str
    proved_at: datetime
    totals: int
    failed: int
    """Totals with a difference that nothing explains."""
    is_unknown: bool
    """It was made by a version that did not keep its verdict."""
    period: str | None
    """The period that it was limited to."""
    flows: tuple[str, ...]
    """Of the failed totals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything at a glance."""

    connections: tuple[ConnectionStatus, ...]
    work: Mapping[str, int]
    """What the next commands have to do: changes, changed_keys, sweeps_due, new_models, drift, bad_records, ask_again."""
    people: tuple[ForWhom, ...]
    waiting: tuple[Waiting, ...]
    proofs: tuple[Proved, ...]
    problem: str | None = None
    """Why this installation must not write at all; None: it may."""

    @property
    def dead(self) -> int:
        """How many dead letters there are."""
        return sum(each.letters for each in self.people)

    @property
    def held(self) -> int:
        """How many entries wait for a yes."""
        return sum(each.holds for each in self.people)

    @property
    def is_right(self) -> bool | None:
        """Did the last proof of every target succeed? None: there was none."""
        if not self.proofs or any(each.is_unknown for each in self.proofs):
            return None
        return not any(each.failed for each in self.proofs)

    @property
    def is_good(self) -> bool:
        """Nobody has to do anything."""
        closed = any(one.closed_because for one in self.connections)
        return not (self.problem or closed or self.people or self.is_right is False)

    @property
    def verdict(self) -> str:
        """One line: is the ledger right, is it safe to run again, and what waits for whom with how much money."""
        return f"{self.ledger} {self.safety} {self.queue}"

    @property
    def ledger(self) -> str:
        """Is the ledger right, as the last proof saw it?"""
        if self.is_right is None:
            return "The ledger was not proved yet (`tieout prove`)."
        oldest = min(self.proofs, key=lambda each: each.proved_at)
        of = ", ".join(sorted({each.period for each in self.proofs if each.period}))
        when = f"{_minute(oldest.proved_at)}{f' for {of}' if of else ''}"
        if self.is_right:
            return f"The ledger is right: proved {when}."
        wrong = [each for each in self.proofs if each.failed]
        names = ", ".join(each.connection for each in wrong)
        first = min(wrong, key=lambda each: each.proved_at)
        return f"The ledger is NOT proved: {names} at {_minute(first.proved_at)} (`tieout prove {first.connection}`)."

    @property
    def safety(self) -> str:
        """Is it safe to run again?"""
        if self.problem:
            return f"Running again is safe, but writes are held back: {self.problem.rstrip('.')}."
        if any(one.states.get("in_doubt") or one.states.get("sending") for one in self.connections):
            return "Running again is safe: a call is on its way or in doubt, and the next drain settles it."
        closed = [one for one in self.connections if one.closed_because]
        if closed:
            return (
                f"Running again is safe, but writes nothing to {', '.join(one.connection for one in closed)}."
            )
        return "Running again is safe."

    @property
    def queue(self) -> str:
        """What waits for whom, with how much money."""
        if not self.people:
            return "Nothing waits for anybody."
        return f"Waiting for {'; '.join(each.sentence for each in self.people)}."


def status(connection: Session, *, problem: str | None = None) -> Status:
    """How everything stands. `problem`: what `installation.problem` says."""
    rows = connection.execute(query("report", "connections")).fetchall()
    names = tuple(ConnectionStatus.__dataclass_fields__)
    work = connection.execute(query("report", "work")).fetchone() or {}
    return Status(
        connections=tuple(ConnectionStatus(**{name: row[name] for name in names}) for row in rows),
        work={name: int(count) for name, count in work.items()},
        people=for_whom(connection),
        waiting=stopped_chains(connection),
        proofs=last_proofs(connection),
        problem=problem,
    )


def for_whom(connection: Session) -> tuple[ForWhom, ...]:
    """What waits for whom, with the money that stands still because of it."""
    rows = connection.execute(query("report", "by_person")).fetchall()
    return tuple(ForWhom(**{**row, "money": _amounts(row["money"])}) for row in rows)


def stopped_chains(connection: Session, *, limit: int = SHOWN_CHAINS) -> tuple[Waiting, ...]:
    """Chains of entries and the head that each waits for, the longest stopped first."""
    rows = connection.execute(query("report", "waiting"), {"limit": limit}).fetchall()
    return tuple(Waiting(**{**row, "money": _amounts(row["money"])}) for row in rows)


def last_proofs(connection: Session) -> tuple[Proved, ...]:
    """The last proof of each target."""
    rows = connection.execute(query("report", "last_proofs")).fetchall()
    return tuple(Proved(**{**row, "flows": tuple(row["flows"])}) for row in rows)


def _amounts(money: Mapping[str, Any]) -> dict[str, Decimal]:
    return {currency: Decimal(amount) for currency, amount in money.items()}


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
