"""Telling people: once an event, again when it has doubled, and when it is over.

What is to be told is stored before anything is sent: an event, its messages, and which channel took which message, committed
one by one. A crash therefore loses nothing and repeats at most the one message that was under way (its number stands in
it); a channel that fails is tried again by the next run, hears the latest of each event when it is back, and stops nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cdc.alert_watch import Condition
from tieout.db import Database, try_lock, unlock
from tieout.errors import LockHeld
from tieout.events import Event, emit
from tieout.notify import Channel, Kind
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
LOCK = "tieout.alerts"
ALL = "all channels"
"""Stands for every channel when alerts could not be sent at all."""
FLOOR_SECONDS = 6 * 3600
"""An event that was told when it was younger has worsened by age at twice this."""
KINDS: Mapping[str, Kind] = {"new": "failure", "worse": "failure", "over": "success"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one run said."""

    new: int = 0
    worse: int = 0
    over: int = 0
    open: int = 0
    """Events that last."""
    delivered: int = 0
    failing: Mapping[str, str] | None = None
    """Channels that did not take a message, and why."""


def send(
    database: Database, found: Sequence[Condition], channels: Sequence[Channel], *, environment: str
) -> Told:
    """Compare what is wrong now with what was told, and tell the difference. LockHeld when another run is at it."""
    with database.connect(direct=True) as session:
        if not try_lock(session, LOCK):
            raise LockHeld("Another run is sending alerts.")
        try:
            counts = observe(session, found, environment=environment)
            delivered, failing = deliver(session, channels)
        finally:
            if not session.closed and not session.broken:
                unlock(session, LOCK)
    return Told(**counts, open=len({one.event for one in found}), delivered=delivered, failing=failing)


def observe(session: Session, found: Sequence[Condition], *, environment: str) -> dict[str, int]:
    """Store events and messages for what began, doubled or ended; how many of each. Nothing is sent."""
    counts = {"new": 0, "worse": 0, "over": 0}
    with session.transaction():
        row = session.execute(query("alerts", "now")).fetchone()
        if row is None:
            raise AssertionError("select now() gives one row")
        now: datetime = row["now"]
        known = {row["event"]: row for row in session.execute(query("alerts", "open"))}
        # Two conditions of one event would be told in turns for ever.
        wanted = {condition.event: condition for condition in found}
        for event, condition in wanted.items():
            level = _level(condition, now)
            before = known.get(event)
            if before is None:
                values = {"event": event, "kind": condition.kind, "condition": _stored(condition)}
                begun = session.execute(query("alerts", "begin"), values).fetchone()
                if begun is None:
                    raise AssertionError("insert … returning gives one row")
                _say(session, begun["alert"], "new", condition, level, environment, now)
                counts["new"] += 1
                continue
            seen = {"alert": before["alert"], "condition": _stored(condition)}
            session.execute(query("alerts", "see"), seen)
            if _has_doubled(level, before["level"]):
                _say(session, before["alert"], "worse", condition, level, environment, now)
                counts["worse"] += 1
        for event, before in known.items():
            if event not in wanted:
                session.execute(query("alerts", "end"), {"alert": before["alert"]})
                _say_over(session, before, environment, now)
                counts["over"] += 1
    return counts


def deliver(session: Session, channels: Sequence[Channel]) -> tuple[int, dict[str, str]]:
    """Hand what is pending to each channel. How many messages were taken, and which channels failed and why."""
    session.execute(query("alerts", "forget_channels"), {"channels": [channel.name for channel in channels]})
    delivered, failing = 0, {}
    for channel in channels:
        for row in session.execute(query("alerts", "pending"), {"channel": channel.name}).fetchall():
            error = channel.send(
                row["title"], f"{row['body']}\n(message {row['message']})", KINDS[row["stage"]]
            )
            if error is not None:
                # It would take no other message either; the next run tries again.
                session.execute(query("alerts", "failed"), {"channel": channel.name, "error": error})
                emit(Event.ALERT_FAILED, channel=channel.name, error=error)
                failing[channel.name] = error
                break
            session.execute(
                query("alerts", "delivered"), {"channel": channel.name, "message": row["message"]}
            )
            emit(Event.ALERT_SENT, channel=channel.name, message=row["message"], stage=row["stage"])
            delivered += 1
    return delivered, failing


def failing_channels(session: Session) -> list[Row]:
    """Channels that did not take their last message: channel, failing_since, failures, last_error."""
    rows = session.execute(query("alerts", "channels")).fetchall()
    return [row for row in rows if row["failing_since"] is not None]


def note_failure(database: Database, error: str) -> None:
    """Alerts could not be sent at all: `status` shows it until a run sends them again."""
    with database.connect() as session:
        session.execute(query("alerts", "failed"), {"channel": ALL, "error": f"failed: {error}"})


def events(session: Session, *, days: int = 0) -> list[Row]:
    """Events that last, and those that ended in the last days: condition, began_at, over_at, messages, title, channels."""
    return session.execute(query("alerts", "list"), {"days": days}).fetchall()


def _level(condition: Condition, now: datetime) -> Row:
    return {
        "count": condition.count,
        "money": {currency: str(amount) for currency, amount in condition.money.items()},
        "seconds": max(0, int((now - condition.since).total_seconds())),
    }


def _has_doubled(level: Row, told: Row) -> bool:
    """Count, age, or the money of any currency: twice what was told."""
    if level["count"] >= 2 * told["count"]:
        return True
    if level["seconds"] >= 2 * max(told["seconds"], FLOOR_SECONDS):
        return True
    return any(
        Decimal(amount) > 0 and Decimal(amount) >= 2 * Decimal(told["money"].get(currency, 0))
        for currency, amount in level["money"].items()
    )


def _say(
    session: Session,
    alert: int,
    stage: str,
    condition: Condition,
    level: Row,
    environment: str,
    now: datetime,
) -> None:
    word = "Worse: " if stage == "worse" else ""
    values = {
        "alert": alert,
        "stage": stage,
        "level": Jsonb(level),
        "title": f"[tieout {environment}] {word}{condition.what}",
        "body": text_of(condition, now),
    }
    session.execute(query("alerts", "say"), values)


def _say_over(session: Session, before: Row, environment: str, now: datetime) -> None:
    lasted = now - before["began_at"]
    values = {
        "alert": before["alert"],
        "stage": "over",
        "level": Jsonb(before["level"]),
        "title": f"[tieout {environment}] Over: {before['condition']['what']}",
        "body": f"It is over, {int(lasted.total_seconds() // 60)} minutes after it was first told. Nothing is to be done.",
    }
    session.execute(query("alerts", "say"), values)


def text_of(condition: Condition, now: datetime) -> str:
    """What is wrong, since when, how much money, who can fix it, and the command to type."""
    hours = (now - condition.since).total_seconds() / 3600
    for_long = (
        f"{hours / 24:.0f} days"
        if hours >= 48
        else f"{hours:.0f} hours"
        if hours >= 2
        else f"{hours * 60:.0f} minutes"
    )
    amounts = ", ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(condition.money.items()))
    lines = [
        f"What: {condition.what}.",
        f"Since: {condition.since:%Y-%m-%d %H:%M} UTC ({for_long}).",
        f"Money: {amounts}." if amounts else None,
        f"Who can fix it: {condition.who}.",
        f"Type: {condition.command}",
    ]
    return "\n".join(line for line in lines if line is not None)


def _stored(condition: Condition) -> Jsonb:
    return Jsonb(
        {
            "what": condition.what,
            "since": condition.since.isoformat(),
            "count": condition.count,
            "money": {currency: str(amount) for currency, amount in condition.money.items()},
            "who": condition.who,
            "command": condition.command,
        }
    )
