"""The audit trail: one sealer chains what triggers noted, and `verify` finds what is no longer as it was recorded.

    trigger → cdc.audit_inbox (no lock, any order) → seal() → cdc.audit (position, previous, digest)

Each digest covers the one before, so a row that was changed, taken out or put in breaks the chain; a tail that was cut off,
or a chain that somebody made anew from the start, is found by the head that was noted outside the database. The facts in the
chain hold the digest of each audited row, so that the rows themselves are proven too. No fact holds personal data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cdc import audit_files
from cdc.audit_chain import GENESIS, Finding, Walk, digest_of
from tieout.db import copy_rows
from tieout.events import Event, emit
from tieout.queries import compose, query

__all__ = ["AUDITED", "GENESIS", "Finding", "Head", "Verified", "digest_of", "head", "seal", "verify"]

Session = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
BATCH = 5000
SHOWN = 50
"""Findings of one kind that are listed; more are counted as one finding."""

AUDITED = {
    "decision": "decisions",
    "entry": "outbox_done",
    "call sent": "calls",
    "call ended": "calls",
    "link": "links",
    "build": "builds",
    "plan": "plan_events",
    "forgetting": "forgettings",
    "archive": "archives",
}
"""Kinds of facts and the table that each is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain."""

    position: int
    digest: str
    sealed: int = 0
    """Facts that this sealing added."""
    unsealed: int = 0
    """Facts that wait for the sealer."""
    oldest_unsealed: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification looked at and found."""

    head: Head
    rows: int
    """Rows of the chain."""
    kept: dict[str, int] = field(default_factory=dict)
    """Rows of the audited tables that were compared, by table."""
    findings: tuple[Finding, ...] = ()
    archived: int = 0
    """Position up to which the chain stands in files."""
    is_read: bool = False
    """Those files were read too."""
    forgotten: int = 0
    """Persons that were forgotten: their rows were recorded anew without them."""

    @property
    def is_whole(self) -> bool:
        """Nothing was found."""
        return not self.findings


def head(session: Session) -> Head:
    """Where the chain ends; position 0 before the first row."""
    row = session.execute(query("audit", "head")).fetchone()
    waiting = session.execute(query("audit", "unsealed")).fetchone() or {"facts": 0, "oldest": None}
    return Head(
        position=row["position"] if row else 0,
        digest=row["digest"] if row else GENESIS,
        unsealed=int(waiting["facts"]),
        oldest_unsealed=waiting["oldest"],
    )


def seal(session: Session) -> Head:
    """Chain what the triggers noted. Safe by many at once: one seals, the others wait and find little left."""
    sealed = 0
    while some := _seal_batch(session):
        sealed += some
        if some < BATCH:
            break
    end = head(session)
    if sealed:
        emit(Event.AUDIT_SEALED, facts=sealed, position=end.position, digest=end.digest)
    return Head(
        position=end.position,
        digest=end.digest,
        sealed=sealed,
        unsealed=end.unsealed,
        oldest_unsealed=end.oldest_unsealed,
    )


def _seal_batch(session: Session) -> int:
    with session.transaction():
        session.execute(query("audit", "lock"))
        session.execute(query("audit", "begin_sealing"))
        taken = session.execute(query("audit", "take"), {"limit": BATCH}).fetchall()
        if not taken:
            return 0
        last = session.execute(query("audit", "head")).fetchone()
        position, previous = (last["position"], last["digest"]) if last else (0, GENESIS)
        rows = []
        for fact in sorted(taken, key=lambda row: row["id"]):
            position += 1
            digest = digest_of(previous, {**fact, "position": position})
            rows.append(
                (position, fact["noted_at"], fact["kind"], fact["subject"], fact["fact"], previous, digest)
            )
            previous = digest
        columns = ("position", "noted_at", "kind", "subject", "fact", "previous", "digest")
        copy_rows(session, sql.Identifier("cdc", "audit"), columns, rows)
        return len(rows)


def verify(
    session: Session, *, noted: Sequence[tuple[int, str, str]] = (), folder: Path | None = None
) -> Verified:
    """Look at every row of the chain, at every audited row, and at heads noted outside (position, digest, by whom).

    Where its beginning is archived, the chain continues the digest that was noted then; with `folder` the files are read
    too, the chain from its first row and every other archived month.
    """
    with session.transaction():
        anchor = session.execute(query("audit", "anchor")).fetchone()
        archived = anchor["position"] if anchor else 0
        if anchor:
            noted = [*noted, (archived, anchor["digest"], "The database")]
        positions = {position for position, _, _ in noted}
        old = audit_files.verify(session, folder, positions) if folder is not None else None
        findings, rows = _chain(session, archived, anchor["digest"] if anchor else GENESIS)
        findings = [*(old.findings if old else ()), *findings]
        for position, digest, where in noted:
            if position > archived:
                findings += _head_noted(session, position, digest, where)
            elif old is not None or position == archived:
                known = old.digests.get(position) if old else anchor["digest"] if anchor else None
                findings += _head_differs(known, position, digest, where)
        kept: dict[str, int] = {}
        plans = session.execute(query("audit", "has_plans")).fetchone()
        for kind, table in AUDITED.items():
            if kind == "plan" and not (plans and plans["has_plans"]):
                continue
            some, count = _kept(session, kind, table)
            findings += some
            kept[table] = max(kept.get(table, 0), count)
        forgotten = kept.pop("forgettings", 0)
        return Verified(
            head=head(session), rows=rows + (old.rows if old else 0), kept=kept, findings=tuple(findings),
            archived=archived, is_read=old is not None, forgotten=forgotten,
        )  # fmt: skip


def _chain(session: Session, archived: int, last: str) -> tuple[list[Finding], int]:
    """The rows in the database, which continue what is archived."""
    findings: list[Finding] = []
    count = 0
    walk = Walk(archived, last)
    for row in _rows(session):
        count += 1
        findings += walk.step(row)
        if len(findings) >= SHOWN:
            findings.append(
                Finding(what="changed", where="further rows", sentence="And more: see the first.")
            )
            break
    return findings, count


def _rows(session: Session) -> Iterator[Row]:
    after = 0
    while True:
        some = session.execute(query("audit", "chain"), {"after": after, "limit": BATCH}).fetchall()
        yield from some
        if len(some) < BATCH:
            return
        after = some[-1]["position"]


def _head_noted(session: Session, position: int, digest: str, where: str) -> list[Finding]:
    """Does the chain still have the head that was noted elsewhere?"""
    row = session.execute(query("audit", "at"), {"position": position}).fetchone()
    return _head_differs(row["digest"] if row else None, position, digest, where)


def _head_differs(known: str | None, position: int, digest: str, where: str) -> list[Finding]:
    if known is None:
        sentence = (
            f"{where} knows the row at position {position}; the database's chain ends before it or lacks it."
        )
        return [Finding(what="cut off", where=f"position {position}", sentence=sentence)]
    if known != digest:
        sentence = (
            f"{where} knows another digest at position {position}: the chain was made anew before that."
        )
        return [Finding(what="made anew", where=f"position {position}", sentence=sentence)]
    return []


def _kept(session: Session, kind: str, table: str) -> tuple[list[Finding], int]:
    """Does an audited table still say what the audit recorded?"""
    kept = sql.SQL(query("audit", f"kept_{kind.replace(' ', '_')}"))
    counted = session.execute(compose("audit", "count_kept", kept=kept)).fetchone()
    statement = compose("audit", "differing", kept=kept)
    rows = session.execute(statement, {"kind": kind, "limit": SHOWN + 1}).fetchall()
    subjects = [row["subject"] for row in rows]
    named = session.execute(query("audit", "named"), {"kind": kind, "subjects": subjects}).fetchall()
    names = {row["subject"]: row["name"] for row in named}
    findings = []
    for row in rows[:SHOWN]:
        about = f"{kind} {row['subject']}" + (
            f" ({names[row['subject']]})" if row["subject"] in names else ""
        )
        recorded = f"position {row['position']}" if row["position"] is not None else "the audit"
        sentence = {
            "missing": f"{about} was recorded at {recorded} and is no longer in cdc.{table}.",
            "inserted": f"{about} is in cdc.{table}, and the audit never recorded it: it was put in past the triggers.",
            "changed": f"{about} in cdc.{table} is not as it was recorded at {recorded}.",
        }[row["what"]]
        findings.append(Finding(what=row["what"], where=f"cdc.{table} {row['subject']}", sentence=sentence))
    if len(rows) > SHOWN:
        more = Finding(what="changed", where=f"cdc.{table}", sentence=f"And more rows of cdc.{table}.")
        findings.append(more)
    return findings, int(counted["rows"]) if counted else 0
