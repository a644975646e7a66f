"""`tieout prove`: do both sides agree to the cent, and if not, which records are behind it?

The source's side is the view `proofs.source_documents`, built from the source's own documents and not from
what we sent. The target's side is read afresh through its API. Both are summed by flow, currency and day;
every difference is put down to a named record: not sent yet and why, different, not ours. What nothing
explains makes the proof fail. Each total is kept in `cdc.proofs`.
"""

from __future__ import annotations

import importlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from cdc.proof_accounts import by_account_and_tax
from cdc.proof_ledger import Ledger
from cdc.proof_match import compare
from cdc.proof_orders import orders
from cdc.proof_period import Period
from cdc.proof_records import DERIVED, ControlLine, ControlRecord, Proof, SourceDocument, Total
from cdc.writing import TargetClient
from tieout.db import Database
from tieout.errors import BuildError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Connection, Settings
from tieout.systems import client_module
from tieout.vault import Vault

KEPT_NAMES = 200
"""Named records kept with one total in the database; the rest are counted."""

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    connection: Connection
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read of a target: records in effect, the ledger control, what could not be read, its base currency."""

    records: Sequence[ControlRecord] = ()
    ledger: tuple[Total, ...] = ()
    notes: tuple[str, ...] = ()
    currency: str = ""


def prove(
    database: Database,
    settings: Settings,
    *,
    run: UUID,
    connections: Sequence[str] | None = None,
    period: Period | None = None,
) -> Proof:
    """Compare every source with its targets; `connections` limits it to flows from or to one of these.

    With a period: documents that the target dates in it, whatever settles them, and the ledger's movement over it; else
    from the first document on. Needs the run in `cdc.runs` no more than its id. Raises BuildError before the first
    build, ConfigurationError for a target that the settings do not have, RetryLater when it does not answer.
    """
    with database.connect() as session, unit_of_work(session):
        rows = _rows(session, None)
        targets = _targets(rows, settings, connections)
        # What the first look read is as good as read now for the target that comes first, which is nearly always the only one.
        first = [row for row in rows if targets and row["target_connection"] == targets[0].connection.name]
        del rows
    totals: list[Total] = []
    notes: list[str] = []
    currencies: dict[str, str] = {}
    skipped = 0
    for target in targets:
        started = time.monotonic()
        # No session is held while the target is read: that may take minutes.
        with database.connect() as session, unit_of_work(session):
            rows = first if target is targets[0] else _rows(session, target.connection.name)
            known = _documents(session, target, rows)
            ours = _ours(session, target)
        documents = period.needs(known) if period is not None else known
        read = _read(target, database, settings, documents, ours, period)
        if period is not None:
            # What a person dated into the period is compared too.
            moved = {record.target_id for record in read.records}
            needed = {document.name for document in documents}
            documents += [each for each in known if each.target_id in moved and each.name not in needed]
        by_order, of_orders = orders(documents, read.records)
        name, sources = target.connection.name, target.sources
        made = [
            *compare(
                [*by_order, *documents], [*of_orders, *read.records], ours, target=name, sources=sources
            ),
            *by_account_and_tax(documents, read.records, ours, target=name, sources=sources),
        ]
        if period is not None:
            made = [total for total in made if total.day in period or _is_month_of(total, period)]
        made += read.ledger
        notes += read.notes
        if read.currency:
            currencies[name] = read.currency
        skipped += sum(1 for each in documents if each.skip and (period is None or each.day in period))
        totals += made
        with database.connect() as session, unit_of_work(session), session.transaction():
            for total in made:
                session.execute(query("proof", "store"), _row(total, run))
        _tell(made, time.monotonic() - started)
    return Proof(
        totals=tuple(totals),
        skipped=skipped,
        notes=tuple(notes),
        base_currencies=currencies,
        period=str(period) if period else None,
    )


def _is_month_of(total: Total, period: Period) -> bool:
    """Does a control by month stand for the period? Its day is the first of the month."""
    return total.flow in DERIVED - {"orders"} and total.day == period.start.replace(day=1)


def _rows(session: Session, target: str | None) -> list[dict[str, Any]]:
    """What a target should contain, None: every target."""
    row = session.execute(query("proof", "is_built")).fetchone()
    if row is None or not row["is_built"]:
        raise BuildError("No set of models is in force to prove by.", cure="Run `tieout build`.")
    return session.execute(query("proof", "documents"), {"target_connection": target}).fetchall()


def _targets(
    rows: Sequence[Mapping[str, Any]], settings: Settings, connections: Sequence[str] | None
) -> list[_Target]:
    wanted = None if connections is None else {name.lower() for name in connections}
    sources: dict[str, set[str]] = {}
    for row in rows:
        ends = {row["source_connection"], row["target_connection"]}
        if wanted is None or ends & wanted:
            sources.setdefault(row["target_connection"], set()).add(row["source_connection"])
    return [
        _Target(connection=settings.connection(name), sources=tuple(sorted(found)))
        for name, found in sources.items()
    ]


def _documents(session: Session, target: _Target, rows: Sequence[Mapping[str, Any]]) -> list[SourceDocument]:
    lines: dict[tuple[str, str], list[ControlLine]] = defaultdict(list)
    for row in session.execute(query("proof", "lines"), {"target_connection": target.connection.name}):
        lines[row["entity"], row["key"]].append(
            ControlLine(
                account=row["account_code"],
                tax_type=row["tax_type"],
                net=row["net_amount"],
                tax=row["tax_amount"],
            )
        )
    return [
        SourceDocument.from_row(row, tuple(lines.get((row["entity"], row["key"]), ())))
        for row in rows
        if row["source_connection"] in target.sources
    ]


def _ours(session: Session, target: _Target) -> Mapping[str, str]:
    """Keys of the records that we made or adopted, by target id."""
    rows = session.execute(query("proof", "ours"), {"target_connection": target.connection.name}).fetchall()
    return {row["target_id"]: row["key"] for row in rows}


def _read(
    target: _Target,
    database: Database,
    settings: Settings,
    documents: Sequence[SourceDocument],
    ours: Mapping[str, str],
    period: Period | None,
) -> _Read:
    """What the target holds: all since the first document, and ours wherever a person has dated them."""
    wanted = [document for document in documents if document.skip is None]
    if not wanted and period is None:
        return _Read()
    reader = _reader(target.connection.system)
    client = client_module(target.connection.system).open_client(
        target.connection, database, Vault(database, settings)
    )
    today = datetime.now(UTC).date()
    start = period.start if period is not None else min(document.day for document in wanted)
    end = period.end if period is not None else max(today, *(document.day for document in wanted))
    ledger = Ledger(ours)
    try:
        book = reader.open_ledger(client, ledger, start, end)
        if isinstance(book, str):
            return _Read(records=[*_read_all(reader, client, wanted, start, None)], notes=(book,))
        records = [*_read_all(reader, client, wanted, start, book)]
        is_now = end >= today
        if is_now:
            book.older()
        source = target.sources[0] if len(target.sources) == 1 else ""
        totals = ledger.totals(
            book.balances, source=source, target=target.connection.name, with_debtors=is_now
        )
        return _Read(records=records, ledger=tuple(totals), currency=book.currency)
    finally:
        client.close()


def _read_all(
    reader: ModuleType, client: TargetClient, documents: Sequence[SourceDocument], since: date, book: object
) -> Iterator[ControlRecord]:
    seen: set[str] = set()
    for record in reader.control_records(client, since, book):
        seen.add(record.target_id)
        if reader.has_effect(record):
            yield record
    for document in documents:
        if document.target_id is not None and document.target_id not in seen:
            elsewhere = reader.control_record(client, document.flow, document.target_id)
            if elsewhere is not None and reader.has_effect(elsewhere):
                yield elsewhere


def _reader(system: str) -> ModuleType:
    return importlib.import_module(f"cdc.proving.{system}")


def _row(total: Total, run: UUID) -> dict[str, Any]:
    named: list[dict[str, Any]] = [
        {
            "kind": each.kind,
            "key": each.key,
            "number": each.number,
            "target_id": each.target_id,
            "reason": each.reason,
            "is_explained": each.is_explained,
            "count": each.count,
            "amount": each.amount,
        }
        # What nothing explains is kept before anything else.
        for each in sorted(total.named, key=lambda named: named.is_explained)[:KEPT_NAMES]
    ]
    if len(total.named) > KEPT_NAMES:
        named.append({"kind": "more", "count": len(total.named) - KEPT_NAMES})
    return {
        "run": run,
        "flow": total.flow,
        "source_connection": total.source_connection,
        "target_connection": total.target_connection,
        "currency": total.currency,
        "day": total.day,
        "measure": total.measure,
        "detail": total.detail,
        "source_count": total.source_count,
        "source_amount": total.source_amount,
        "target_count": total.target_count,
        "target_amount": total.target_amount,
        "explained_count": total.explained_count,
        "explained_amount": total.explained_amount,
        "is_equal": total.is_equal,
        "is_proved": total.is_proved,
        "named": Jsonb(named),
    }


def _tell(totals: Sequence[Total], seconds: float) -> None:
    for flow in dict.fromkeys(total.flow for total in totals):
        of_flow = [total for total in totals if total.flow == flow]
        emit(
            Event.PROOF_FINISHED,
            flow=flow,
            totals=len(of_flow),
            unequal=sum(1 for total in of_flow if not total.is_proved),
            explained=sum(1 for total in of_flow if total.is_proved and not total.is_equal),
            seconds=round(seconds, 3),
        )
