"""What is worth an alert now: read from the database alone, nothing is asked of any vendor.

A condition says what is wrong, since when, how much money, who can fix it and what to type. It leaves the installation, by
mail or chat: no name, no e-mail and no words of a vendor or customer are in it, only our own words, counts and keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from cdc import glance, report
from tieout import budget
from tieout.errors import TieoutError
from tieout.queries import query
from tieout.settings import Settings
from tieout.systems import client_module
from tieout.vault import Vault

Session = psycopg.Connection[dict[str, Any]]
LoginEnds = Callable[[str], datetime | None]
"""By name of a connection: when a person must log in again; None: never. Raises TieoutError when its login cannot be read."""

_ADDRESS = re.compile(r"[^\s/@\"']+@[^\s/@\"']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that lasts and that a person should know of."""

    event: str
    """Names it as long as it lasts."""
    kind: str
    what: str
    since: datetime
    who: str
    command: str
    count: int = 1
    money: Mapping[str, Decimal] = field(default_factory=dict)
    """By currency."""

    def __post_init__(self) -> None:
        for name in ("event", "what", "command"):
            object.__setattr__(self, name, without_people(getattr(self, name)))


def without_people(text: str) -> str:
    """The text without e-mail addresses, which keys of guests contain."""
    return _ADDRESS.sub("…", text)


def conditions(
    session: Session, settings: Settings, *, login_ends: LoginEnds, problem: str | None = None
) -> list[Condition]:
    """Everything that is wrong now. `problem`: why this installation must not write at all."""
    now = _now(session)
    connections = [
        one for one in glance.status(session).connections if one.connection in settings.connections
    ]
    found: list[Condition] = []
    if problem is not None:
        what = (
            "nothing is written: this database was restored or copied, or its targets are not compared since"
        )
        found.append(
            Condition(event="installation", kind="installation", what=what, since=now, who="operator", command="tieout status")
        )  # fmt: skip
    found += _proofs(session)
    found += _connections(connections, settings, now)
    found += _letters(session)
    found += _missed(session)
    found += _conflicts(session)
    found += _chains(session, settings)
    found += _settlements(session, settings)
    found += _budgets(session, settings, now)
    found += _logins(settings, login_ends, now)
    return found


def login_ends(name: str, *, settings: Settings, vault: Vault) -> datetime | None:
    """When a person must log in to a connection again, as its system's client says; None where it never ends."""
    connection = settings.connections[name]
    asked = getattr(client_module(connection.system), "login_ends", None)
    ends: datetime | None = asked(connection, vault) if asked is not None else None
    return ends


def _now(session: Session) -> datetime:
    row = session.execute(query("alerts", "now")).fetchone()
    now: datetime = row["now"] if row is not None else datetime.now(UTC)
    return now


def _proofs(session: Session) -> Iterator[Condition]:
    for proof in glance.last_proofs(session):
        if proof.failed:
            of = f" for {proof.period}" if proof.period else ""
            yield Condition(
                event=f"failed proof {proof.connection}",
                kind="failed proof",
                what=f"the proof of {proof.connection}{of} failed: {proof.failed} of {proof.totals} totals "
                f"({', '.join(proof.flows)}) differ without an explanation",
                since=proof.proved_at,
                count=proof.failed,
                who="accountant",
                command=f"tieout prove {proof.connection}" + (f" --period {proof.period}" if proof.period else ""),
            )  # fmt: skip


def _connections(
    connections: list[glance.ConnectionStatus], settings: Settings, now: datetime
) -> Iterator[Condition]:
    for one in connections:
        if one.stopped_at is not None:
            yield Condition(
                event=f"connection stopped {one.connection}",
                kind="connection stopped",
                what=f"{one.system} refused the whole connection {one.connection}; nothing is written to it",
                since=one.stopped_at,
                who="operator",
                command=f"tieout status; when it is cured: tieout resume {one.connection}",
            )
        oldest = one.loaded_from
        if oldest is not None and oldest < now - timedelta(hours=settings.alerts.stale_hours):
            yield Condition(
                event=f"stale load {one.connection}",
                kind="stale load",
                what=f"nothing was read of {one.connection} since then; its news do not reach the ledger",
                since=oldest,
                who="operator",
                command=f"tieout check {one.connection}; tieout load {one.connection}",
            )
        doubt = one.oldest_in_doubt
        if doubt is not None and doubt < now - timedelta(minutes=settings.alerts.chain_minutes):
            yield Condition(
                event=f"in doubt {one.connection}",
                kind="in doubt",
                what=f"of calls to {one.connection} nobody knows yet whether they were carried out; nothing else is sent",
                since=doubt,
                count=one.states.get("in_doubt", 0) + one.states.get("sending", 0),
                who="operator",
                command=f"tieout drain {one.connection}",
            )


def _letters(session: Session) -> Iterator[Condition]:
    for group in report.dead_letters(session):
        records = "1 record needs" if group.count == 1 else f"{group.count} records need"
        is_quoted = (group.reason or "").startswith(group.cause)
        # A cause that only repeats the reason is made of a vendor's or a model's words, which may name people.
        cause = "refused, see there" if is_quoted else group.cause
        chosen = (
            f"--connection {group.connection} --entity {group.entity}"
            if is_quoted
            else f'--cause "{group.cause}"'
        )
        yield Condition(
            event=f"dead letters {group.connection} {group.entity} {group.cause}",
            kind="dead letters",
            what=f"{group.entity.replace('_', ' ')} for {group.connection}: {records} a person: {cause}",
            since=group.oldest,
            count=group.count,
            money=group.money,
            who=group.who or "operator",
            command=f"tieout dead-letters show {chosen}",
        )


def _missed(session: Session) -> Iterator[Condition]:
    for row in session.execute(query("alerts", "missed")):
        yield Condition(
            event=f"missed changes {row['model']}",
            kind="missed changes",
            what=f"a look at every record found {row['records']} of {row['model']} that differed though no change had announced "
            f"them: {', '.join(row['keys'][:3])}; they are in the outbox now, and more may be missed until a rule is corrected",
            since=row["since"],
            count=row["records"],
            who="analyst",
            command="tieout diff --full",
        )


def _conflicts(session: Session) -> Iterator[Condition]:
    for row in session.execute(query("conflicts", "since")):
        fields = "1 field waits" if row["waiting"] == 1 else f"{row['waiting']} fields wait"
        yield Condition(
            event=f"conflicts {row['connection']}",
            kind="conflicts",
            what=f"{fields} for {row['connection']}: both sides changed it, and a person must choose",
            since=row["since"],
            count=row["waiting"],
            who="accountant",
            command="tieout conflicts",
        )


def _chains(session: Session, settings: Settings) -> Iterator[Condition]:
    values = {"minutes": settings.alerts.chain_minutes}
    for row in session.execute(query("alerts", "chains"), values):
        more = f" and {row['heads'] - 1} more" if row["heads"] > 1 else ""
        entries = "entry waits" if row["entries"] == 1 else "entries wait"
        yield Condition(
            event=f"stopped chain {row['connection']} {row['entity']} {row['why']}",
            kind="stopped chain",
            what=f"{row['connection']}: {row['entries']} {entries} for {row['entity']} {row['key']}{more}: {row['why']}",
            since=row["since"],
            count=row["entries"],
            money=_amounts(row["money"]),
            who=row["who"] or "operator",
            command=f"tieout why {row['key']}" if not _ADDRESS.search(row["key"]) else "tieout status",
        )


def _settlements(session: Session, settings: Settings) -> Iterator[Condition]:
    values = {"hours": settings.alerts.payment_hours}
    for row in session.execute(query("alerts", "stuck_settlements"), values):
        yield Condition(
            event=f"stuck {row['entity']} {row['connection']}",
            kind="stuck payment",
            what=f"{row['count']} {row['entity'].replace('_', ' ')} for {row['connection']} are stuck although what they settle "
            "is there: it shows as unpaid",
            since=row["since"],
            count=row["count"],
            money=_amounts(row["money"]),
            who=row["who"],
            command=f"tieout why {row['key']}",
        )


def _budgets(session: Session, settings: Settings, now: datetime) -> Iterator[Condition]:
    for one in budget.forecast(session):
        if one.limit is None or one.used * 100 < settings.alerts.budget_percent * one.limit:
            continue
        lasts = (
            f"; at this pace the rest lasts until {one.lasts_until:%H:%M} UTC"
            if one.lasts_until is not None
            else ""
        )
        yield Condition(
            event=f"day budget {one.connection}",
            kind="day budget",
            what=f"{one.used} of {one.limit} calls that {one.connection} allows a day are used{lasts}",
            since=now,
            who="operator",
            command="tieout status",
        )


def _logins(settings: Settings, login_ends: LoginEnds, now: datetime) -> Iterator[Condition]:
    for name in settings.connections:
        command = f"tieout connect {name}"
        try:
            ends = login_ends(name)
        except TieoutError:
            what = f"the stored login of {name} cannot be read"
            yield Condition(
                event=f"login {name}", kind="login", what=what, since=now, who="operator", command=command
            )
            continue
        if ends is not None and ends < now + timedelta(days=settings.alerts.login_days):
            verb = "ended" if ends < now else "ends"
            what = f"the login of {name} {verb} on {ends:%Y-%m-%d}"
            yield Condition(
                event=f"login {name}", kind="login", what=what, since=now, who="operator", command=command
            )


def _amounts(money: Mapping[str, Any]) -> dict[str, Decimal]:
    return {currency: Decimal(amount) for currency, amount in money.items()}
