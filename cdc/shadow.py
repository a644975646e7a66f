"""`tieout prove --shadow MONTH`: what we would have posted against what a ledger holds. Nothing is written anywhere.

Ours are all rows of the outbound models that are dated in the month, whatever holds them: a cut-over, a guard, a missing
account, writes that are off. The ledger is read afresh through its API; a connection that may only read is enough. Both are
matched by the linker in memory, and by links where there are any.
"""

from __future__ import annotations

import calendar
import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import psycopg

from cdc.linking.faces import Face
from cdc.linking.matching import Matcher, OurRow, matchers
from cdc.linking.reading import References, drivers_of, rows_of
from cdc.outbound import OutboundModel, models_in_force, pin_set
from cdc.shadow_match import compare
from cdc.shadow_records import Planned, Shadow
from cdc.writing import open_writers
from tieout.db import Database
from tieout.errors import BuildError, UsageError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import query
from tieout.settings import Settings
from tieout.systems import client_module
from tieout.vault import Vault

AROUND = timedelta(days=15)
"""How far from the month a document may be dated in the ledger and still be found."""
DOCUMENTS_BEFORE = timedelta(days=62)
"""How much older than a payment of the month its document may be."""

Session = psycopg.Connection[dict[str, Any]]
Progress = Callable[[str], None]


class _Ours:
    """References to documents stay keys: which records those are is found out later. Contacts are known by links alone."""

    def __init__(self, links: References) -> None:
        self._links: References = links

    def target_of(self, entity: str, key: str) -> str | None:
        return self._links.target_of(entity, key) if entity == "contacts" else key

    def name_of(self, _entity: str, _key: str) -> str | None:
        return None


def shadow(
    database: Database,
    settings: Settings,
    month: str,
    *,
    connection: str | None = None,
    progress: Progress | None = None,
) -> list[Shadow]:
    """Compare a month (`2026-10`) with each ledger that documents of it would go to.

    Raises UsageError for a month that is none, BuildError before the first build, ConfigurationError for a target that the
    settings do not have, RetryLater when it does not answer.
    """
    first, last = days_of(month)
    started = time.monotonic()
    with database.connect() as session, unit_of_work(session), session.transaction():
        pin_set(session)
        planned = _planned(session, first, last, progress)
    found = []
    for target in sorted(planned):
        if connection is not None and target != connection and not _comes_from(planned[target], connection):
            continue
        chosen = settings.connection(target)
        if progress is not None:
            progress(f"read {target}")
        client = client_module(chosen.system).open_client(chosen, database, Vault(database, settings))
        try:
            reader = _reader(chosen.system)
            booked = list(reader.booked(client, first - DOCUMENTS_BEFORE, first - AROUND, last + AROUND))
        finally:
            client.close()
        made = compare(planned[target], booked, target=target, month=month, first=first, last=last)
        _tell(made, time.monotonic() - started)
        found.append(made)
    return found


def days_of(month: str) -> tuple[date, date]:
    """The first and last day of a month written `2026-10`."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        raise UsageError(f"{month!r} is no month.", cure="Write it as 2026-10.") from error
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _planned(
    session: Session, first: date, last: date, progress: Progress | None
) -> dict[str, list[Planned]]:
    """What we would have posted around the month, by target."""
    models = models_in_force(session)
    if not models:
        raise BuildError("No set of models is in force to compare by.", cure="Run `tieout build`.")
    found: dict[str, list[Planned]] = {}
    links = References(session)
    for system in sorted({model.system for model in models}):
        reader = _reader_or_none(system)
        for entity in (
            () if reader is None else tuple(name for name in open_writers(system) if name in reader.ENTITIES)
        ):
            for model in (model for model in models if model.system == system and model.entity == entity):
                if progress is not None:
                    progress(model.name)
                since = first - (DOCUMENTS_BEFORE if entity != "payments" else AROUND)
                for target, planned in _of_model(session, model, links, since, last + AROUND):
                    found.setdefault(target, []).append(planned)
    return found


def _of_model(
    session: Session, model: OutboundModel, links: References, since: date, until: date
) -> Iterator[tuple[str, Planned]]:
    """Rows of one model between two days, with their targets."""
    reader, matcher = _reader(model.system), matchers(model.system)[model.entity]
    for drivers in drivers_of(session, model, since=since, until=until):
        rows = rows_of(session, model, drivers, also_linked=True)
        buyers = _buyers(session, rows)
        for target in sorted({row.connection for row in rows}):
            some = [row for row in rows if row.connection == target]
            links.read_for(target, some)
            for row in some:
                flow = reader.flow_of(model.entity, row.payload)
                if flow is not None and row.day is not None and since <= row.day <= until:
                    face = _face(row, matcher, links, buyers)
                    yield (
                        target,
                        Planned(
                            flow=flow,
                            face=face,
                            source_connection=row.source_connection,
                            target_id=row.target_id,
                        ),
                    )


def _face(
    row: OurRow, matcher: Matcher, links: References, buyers: Mapping[tuple[str, str], tuple[str, ...]]
) -> Face:
    """The row's face; who bought comes from the order, since no contact needs to be linked."""
    face = matcher.ours(row, _Ours(links))
    return replace(face, names=buyers.get((row.source_connection, row.source_id), ()))


def _buyers(session: Session, rows: Sequence[OurRow]) -> dict[tuple[str, str], tuple[str, ...]]:
    drivers = sorted({(row.source_connection, row.source_id) for row in rows})
    values = {
        "source_connections": [driver[0] for driver in drivers],
        "source_ids": [driver[1] for driver in drivers],
    }
    return {
        (row["connection"], row["order_id"]): tuple(name for name in row["names"] if name)
        for row in session.execute(query("shadow", "buyers"), values)
    }


def _comes_from(planned: Sequence[Planned], connection: str) -> bool:
    return any(each.source_connection == connection for each in planned)


def _reader_or_none(system: str) -> ModuleType | None:
    name = f"cdc.shadowing.{system}"
    return importlib.import_module(name) if importlib.util.find_spec(name) is not None else None


def _reader(system: str) -> ModuleType:
    return importlib.import_module(f"cdc.shadowing.{system}")


def _tell(made: Shadow, seconds: float) -> None:
    kinds = [finding.kind for finding in made.findings]
    emit(
        Event.SHADOW_FINISHED, connection=made.target, month=made.month, documents=sum(side.planned_count for side in made.sides),
        records=sum(side.booked_count for side in made.sides), missing=kinds.count("missing"), twice=kinds.count("twice"),
        differing=kinds.count("differs"), without_source=kinds.count("without source"), seconds=round(seconds, 3),
    )  # fmt: skip
