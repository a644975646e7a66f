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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from cdc.proof_accounts import by_account_and_tax
from cdc.proof_match import compare
from cdc.proof_orders import orders
from cdc.proof_records import ControlLine, ControlRecord, Proof, SourceDocument, Total
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


def prove(
    database: Database,
    settings: Settings,
    *,
    run: UUID,
    connections: Sequence[str] | None = None,
) -> Proof:
    """Compare every source with its targets; `connections` limits it to flows from or to one of these.

    Needs the run in `cdc.runs` no more than its id. Raises BuildError before the first build,
    ConfigurationError for a target that the settings do not have, RetryLater when it does not answer.
    """
    with database.connect() as session, unit_of_work(session):
        targets = _targets(session, settings, connections)
    totals: list[Total] = []
    skipped = 0
    for target in targets:
        started = time.monotonic()
        # No session is held while the target is read: that may take minutes.
        with database.connect() as session, unit_of_work(session):
            documents = _documents(session, target)
            ours = _ours(session, target)
        records = _read(target, database, settings, documents)
        by_order, of_orders = orders(documents, records)
        name, sources = target.connection.name, target.sources
        made = [
            *compare([*by_order, *documents], [*of_orders, *records], ours, target=name, sources=sources),
            *by_account_and_tax(documents, records, ours, target=name, sources=sources),
        ]
        skipped += sum(1 for document in documents if document.skip is not None)
        totals += made
        with database.connect() as session, unit_of_work(session), session.transaction():
            for total in made:
                session.execute(query("proof", "store"), _row(total, run))
        _tell(made, time.monotonic() - started)
    return Proof(totals=tuple(totals), skipped=skipped)


def _targets(session: Session, settings: Settings, connections: Sequence[str] | None) -> list[_Target]:
    row = session.execute(query("proof", "is_built")).fetchone()
    if row is None or not row["is_built"]:
        raise BuildError("No set of models is in force to prove by.", cure="Run `tieout build`.")
    sources: dict[str, list[str]] = {}
    for row in session.execute(query("proof", "targets")).fetchall():
        ends = {row["source_connection"], row["target_connection"]}
        if connections is None or ends & {name.lower() for name in connections}:
            sources.setdefault(row["target_connection"], []).append(row["source_connection"])
    return [
        _Target(connection=settings.connection(name), sources=tuple(found)) for name, found in sources.items()
    ]


def _documents(session: Session, target: _Target) -> list[SourceDocument]:
    rows = session.execute(
        query("proof", "documents"), {"target_connection": target.connection.name}
    ).fetchall()
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
    target: _Target, database: Database, settings: Settings, documents: Iterable[SourceDocument]
) -> list[ControlRecord]:
    """What the target holds: all since the first document, and ours wherever a person has dated them."""
    wanted = [document for document in documents if document.skip is None]
    if not wanted:
        return []
    reader = _reader(target.connection.system)
    client = client_module(target.connection.system).open_client(
        target.connection, database, Vault(database, settings)
    )
    try:
        return [*_read_all(reader, client, wanted)]
    finally:
        client.close()


def _read_all(
    reader: ModuleType, client: TargetClient, documents: Sequence[SourceDocument]
) -> Iterator[ControlRecord]:
    since: date = min(document.day for document in documents)
    seen: set[str] = set()
    for record in reader.control_records(client, since):
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
        for each in total.named[:KEPT_NAMES]
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
