"""Drift: what the models say now of documents that may no longer change, with what it would have done to the accounts.

The diff keeps one row a document (`cdc.drift`) and takes it away when the model agrees again or a person accepts the target's
state. Nothing here is computed again, and nothing of it is ever sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg

from cdc.links import LINE
from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEffect:
    """What an account of one month would hold more (or less) by the models of today."""

    connection: str
    entity: str
    period: str | None
    """Month of the document's date, as 2026-09."""
    account: str
    side: str
    """Side on which a positive amount stands: debit or credit."""
    currency: str | None
    amount: Decimal
    base: Decimal | None
    """In the base currency of the books; None when a rate is not known."""
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftGroup:
    """Documents of one model that are frozen for one reason."""

    connection: str
    entity: str
    model: str
    frozen_because: str
    documents: int
    without_money: int
    """Of them, those whose difference moves no money (a description, a reference)."""
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDrift:
    """One field of a document, or of one of its lines: what was agreed, and what the model says."""

    path: str
    agreed: Any
    model: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDrift:
    """One document."""

    connection: str
    entity: str
    key: str
    target_id: str | None
    frozen_because: str
    document_date: date | None
    found_at: datetime
    fields: tuple[FieldDrift, ...]
    effects: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifting:
    """All drift, by reason and by account, and the first documents."""

    groups: tuple[DriftGroup, ...]
    accounts: tuple[AccountEffect, ...]
    documents: tuple[DocumentDrift, ...]

    @property
    def total(self) -> int:
        """Documents that drift."""
        return sum(group.documents for group in self.groups)


def drifting(
    session: Session,
    *,
    connection: str | None = None,
    entity: str | None = None,
    key: str | None = None,
    limit: int = 0,
) -> Drifting:
    """What drifts, as the last diff left it; the first `limit` documents line by line. `key`: how keys begin."""
    wanted = {"connection": connection, "entity": entity, "key": key}
    rows = session.execute(query("drift", "documents"), {**wanted, "limit": limit}) if limit else ()
    return Drifting(
        groups=tuple(DriftGroup(**row) for row in session.execute(query("drift", "by_reason"), wanted)),
        accounts=tuple(AccountEffect(**row) for row in session.execute(query("drift", "by_account"), wanted)),
        documents=tuple(_document(row) for row in rows),
    )


def differences(said: Mapping[str, Any], desired: Mapping[str, Any]) -> tuple[FieldDrift, ...]:
    """Paths at which two payloads differ; lines are matched by our `_line`, and a line that one side lacks is told whole."""
    found: list[FieldDrift] = []
    for name in sorted({*said, *desired}):
        before, after = said.get(name), desired.get(name)
        if before == after:
            continue
        old, new = _lines(before), _lines(after)
        if old is None or new is None:
            found.append(FieldDrift(path=name, agreed=before, model=after))
            continue
        for line in sorted({*old, *new}):
            found += _of_line(f"{name}/{line}", old.get(line), new.get(line))
    return tuple(found)


def _of_line(path: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[FieldDrift]:
    if old is None or new is None:
        return [FieldDrift(path=path, agreed=old, model=new)]
    return [
        FieldDrift(path=f"{path}/{name}", agreed=old.get(name), model=new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _lines(value: object) -> dict[str, Mapping[str, Any]] | None:
    if not isinstance(value, list) or not all(isinstance(row, Mapping) and LINE in row for row in value):
        return None
    return {str(row[LINE]): row for row in value}


def _document(row: Mapping[str, Any]) -> DocumentDrift:
    return DocumentDrift(
        connection=row["connection"],
        entity=row["entity"],
        key=row["key"],
        target_id=row["target_id"],
        frozen_because=row["frozen_because"],
        document_date=row["document_date"],
        found_at=row["found_at"],
        # Fields that the model no longer names are released, not changed: only what would have been sent counts.
        fields=tuple(
            each
            for each in differences(row["said"] or {}, row["desired"])
            if each.path.partition("/")[0] in row["fields"]
        ),
        effects=tuple(row["effects"]),
    )
