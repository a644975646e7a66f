"""What stamps cannot show: a sweep reads every record (or those of a window) and compares the ids with the
mirror.

Absence proves nothing by itself. A record counts as gone only if the walk was complete, the record was not in
it, its row is older than the beginning of the sweep, and the system, asked for it by id, does not have it;
where an API cannot be asked by id, a second complete read must lack it too. If more than a tenth would vanish
at once, nothing is marked and the error names the cure. The ids that a sweep met are kept beside the mirror,
so that an unchanged record is not written.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loaders import stage
from loaders.ahead import pages_ahead
from loaders.asking import Asking, Beginning
from loaders.stream import Cursor
from tieout.errors import ConfigurationError
from tieout.events import Event, emit
from tieout.migrate import unit_of_work
from tieout.queries import compose, query


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found; counts."""

    seen: int
    changed: int
    bad: int
    missing: int
    deleted: int


def sweep(asking: Asking, *, accept_shrink: bool) -> Swept:
    """Read the stream wholly (or its window) and mark what is gone. The caller holds the stream's lock.

    Raises ConfigurationError when the shrink is beyond its limit; the records that were read stay merged.
    """
    started = time.monotonic()
    beginning = asking.begin()
    window = _window(asking)
    total, seen = stage.Merged(), 0
    with pages_ahead(asking, asking.stream.walk, window) as pages:
        for page in pages:
            with unit_of_work(asking.connection), asking.connection.transaction():
                merged, met = asking.merge(page, "sweep", keep_cursor=True)
                values = {"sweep": beginning.version, "ids": met}
                asking.connection.execute(query("load", "see"), asking.values | values)
            total += merged
            seen += len(met)
    missing = _missing_after_sweep(asking, beginning, window)
    try:
        deleted = settle_missing(asking, missing, beginning, accept_shrink=accept_shrink)
    except ConfigurationError:
        _report(asking, started, seen=seen, missing=len(missing), deleted=0, held=True)
        raise
    with unit_of_work(asking.connection), asking.connection.transaction():
        asking.connection.execute(query("load", "forget_seen"), asking.values | {"sweep": beginning.version})
        asking.connection.execute(query("load", "swept"), asking.values)
    _report(asking, started, seen=seen, missing=len(missing), deleted=deleted, held=False)
    return Swept(seen=seen, changed=total.changed, bad=total.bad, missing=len(missing), deleted=deleted)


def after_whole_read(asking: Asking, beginning: Beginning, met: set[str], *, accept_shrink: bool) -> int:
    """After a read that gives every record: mark what it did not contain. How many rows were marked."""
    missing = _missing_after_whole(asking, beginning, met)
    return settle_missing(asking, missing, beginning, accept_shrink=accept_shrink)


def settle_missing(asking: Asking, missing: list[str], beginning: Beginning, *, accept_shrink: bool) -> int:
    """Confirm each absence by asking again, then mark. How many rows were marked."""
    if not missing:
        return 0
    asking.check_shrink(len(missing), accept=accept_shrink)
    if asking.stream.find is not None:
        return asking.confirm_absent(missing, "sweep")
    return _missing_twice(asking, missing, beginning)


def _missing_twice(asking: Asking, missing: list[str], beginning: Beginning) -> int:
    """A second complete read for an API that cannot be asked by id."""
    again: set[str] = set()
    with pages_ahead(asking, asking.stream.walk, None) as pages:
        for page in pages:
            with unit_of_work(asking.connection), asking.connection.transaction():
                _, met = asking.merge(page, "sweep", keep_cursor=True)
            again.update(met)
    absent = [record_id for record_id in missing if record_id not in again]
    if not again and absent:
        raise ConfigurationError(
            f"{asking.name}: {asking.stream.system} shows no {asking.stream.name} at all; "
            "none was marked as deleted.",
            cure="Check what the connection may see; an empty answer is no proof that they are gone.",
        )
    with unit_of_work(asking.connection), asking.connection.transaction():
        return asking.mark_deleted(absent, beginning.version, "sweep")


def _window(asking: Asking) -> Cursor | None:
    """The window of creation that is swept, counted back from the newest record that is known."""
    stream = asking.stream
    if stream.sweep_days is None or stream.created is None:
        return None
    statement = compose("load", "newest_created", table=stage.staging_table(stream))
    row = asking.connection.execute(statement, asking.values | {"field": stream.created}).fetchone()
    newest = stream.parse_time(row["newest"]) if row is not None and row["newest"] else None
    if newest is None:
        return None
    start: datetime = newest.astimezone(UTC) - timedelta(days=stream.sweep_days)
    return Cursor(value={"created_from": f"{start:%Y-%m-%d %H:%M:%S}"})


def _missing_after_sweep(asking: Asking, beginning: Beginning, window: Cursor | None) -> list[str]:
    values = {
        "sweep": beginning.version,
        "field": asking.stream.created,
        "created_from": window.value["created_from"] if window is not None else None,
    }
    return _ids(asking, "missing_after_sweep", values)


def _missing_after_whole(asking: Asking, beginning: Beginning, met: set[str]) -> list[str]:
    return _ids(asking, "missing_after_whole", {"began_version": beginning.version, "ids": sorted(met)})


def _ids(asking: Asking, statement: str, values: dict[str, Any]) -> list[str]:
    composed = compose("load", statement, table=stage.staging_table(asking.stream))
    return [str(row["id"]) for row in asking.connection.execute(composed, asking.values | values)]


def _report(asking: Asking, started: float, *, seen: int, missing: int, deleted: int, held: bool) -> None:
    emit(
        Event.LOAD_SWEEP_FINISHED,
        connection=asking.name,
        stream=asking.stream.name,
        seen=seen,
        missing=missing,
        deleted=deleted,
        held=held,
        seconds=round(time.monotonic() - started, 3),
    )
