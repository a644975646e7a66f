"""`tieout plan --against`: what would change if other models or lookups took the place of those in force?

A whole set is built beside the one in force, under `against__<layer>`, with the same tests and checks as a
build; each outbound view is compared with its counterpart row by row and field by field, and the set is
removed again. Nothing is put in force, no entry is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from cdc.against_money import PostedEffect, in_schema, posted_effects
from cdc.build import BUILD_LEASE_SECONDS, Progress, make
from cdc.lineage import ModelSet
from cdc.outbound import OutboundModel, models_in_force
from cdc.project import assemble
from cdc.switch import drop_schemas
from tieout.db import Database, try_lock
from tieout.errors import LockHeld
from tieout.migrate import unit_of_work
from tieout.queries import compose
from tieout.settings import Settings

LOCK = "tieout.against"
PREFIX = "against"
BATCH = 1_000

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field (or control column) before and after; None is null or not there."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that the other set says otherwise."""

    model: str
    key: str
    line: str | None
    """Our `_line` for a row of a child model."""
    kind: Literal["new", "gone", "changed"]
    fields: tuple[FieldChange, ...]
    """For `new` and `gone`: every field that is not null."""
    total_before: Decimal | None
    total_after: Decimal | None
    currency_before: str | None = None
    currency_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChanges:
    """How many rows of a model would change, with the money before and after of those rows."""

    model: str
    new: int
    gone: int
    changed: int
    total_before: Mapping[str, Decimal]
    """By currency, which are never added; a row without one stands under an empty name."""
    total_after: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What would change. `rows` are the first of each model, at most as many as were asked for."""

    models: tuple[ModelChanges, ...]
    rows: tuple[RowChange, ...]
    posted: tuple[PostedEffect, ...] = ()
    """What it would do to the accounts of documents that are in a target already."""

    @property
    def is_same(self) -> bool:
        """The other set says the same of every row."""
        return not any(model.new or model.gone or model.changed for model in self.models)


def compare(
    settings: Settings,
    database: Database,
    *,
    project_dir: Path | None = None,
    lookups_dir: Path | None = None,
    shown: int = 100,
    progress: Progress | None = None,
) -> Against:
    """Compare the models of a folder (by default those of the settings, as they lie there now) with those in
    force.

    `shown`: rows kept for each model; the counts are of all. Raises BuildError when the other set cannot be
    built, LockHeld when another comparison runs.
    """
    other = replace(
        settings,
        project_dir=project_dir or settings.project_dir,
        lookups_dir=lookups_dir
        or (project_dir / "models" / "lookups" if project_dir else settings.lookups_dir),
    )
    work_folder = settings.data_dir / "dbt" / PREFIX
    with database.connect(direct=True, lease_seconds=BUILD_LEASE_SECONDS) as session, unit_of_work(session):
        if not try_lock(session, LOCK):
            raise LockHeld("Another comparison is running.")
        drop_schemas(session, f"{PREFIX}__")
        project = assemble(other, work_folder / "project")
        _, after = make(project, database, session, prefix=PREFIX, work_folder=work_folder, progress=progress)
        try:
            return _compare(session, models_in_force(session), after, shown)
        finally:
            if not session.broken:
                drop_schemas(session, f"{PREFIX}__", patient=False)


def _compare(session: Session, before: tuple[OutboundModel, ...], after: ModelSet, shown: int) -> Against:
    old = {name: (model.schema, is_line) for model in before for name, is_line in _views(model)}
    new = {name: (model.schema, is_line) for model in after.outbound for name, is_line in _views(model)}
    models: list[ModelChanges] = []
    rows: list[RowChange] = []
    parents = {name: model.name for model in before for name, _ in _views(model)}
    changed: dict[str, set[str]] = {}
    for name in sorted({*old, *new}):
        counts = {"new": 0, "gone": 0, "changed": 0}
        totals: tuple[dict[str, Decimal], dict[str, Decimal]] = ({}, {})
        for row in _differences(session, name, old.get(name), new.get(name)):
            counts[row.kind] += 1
            changed.setdefault(parents.get(name, ""), set()).add(row.key)
            _add(totals[0], row.total_before, row.currency_before)
            _add(totals[1], row.total_after, row.currency_after)
            if sum(counts.values()) <= shown:
                rows.append(row)
        models.append(ModelChanges(model=name, total_before=totals[0], total_after=totals[1], **counts))
    others = {model.name: in_schema(model, f"{PREFIX}__") for model in after.outbound}
    posted = [
        each
        for model in before
        if model.name in others and model.name in changed
        for each in posted_effects(session, model, others[model.name], changed[model.name])
    ]
    return Against(models=tuple(models), rows=tuple(rows), posted=tuple(posted))


def _views(model: OutboundModel) -> Iterator[tuple[str, bool]]:
    yield model.name, False
    for child in model.lines:
        yield child.model, True


def _differences(
    session: Session, name: str, old: tuple[str, bool] | None, new: tuple[str, bool] | None
) -> Iterator[RowChange]:
    """Rows that differ, in constant memory."""
    before = sql.Identifier(old[0], name) if old else None
    after = sql.Identifier(f"{PREFIX}__{new[0]}", name) if new else None
    if before is not None and after is not None:
        statement = compose(
            "against",
            "compare",
            before=before,
            after=after,
            line_before=_line("view_before", is_line=bool(old and old[1])),
            line_after=_line("view_after", is_line=bool(new and new[1])),
        )
    else:
        side = old or new
        relation = before or after
        if side is None or relation is None:
            return
        line = _line("relation", is_line=side[1])
        statement = compose("against", "all_rows", relation=relation, line=line)
    with session.transaction(), session.cursor(name="against") as cursor:
        cursor.itersize = BATCH
        for row in cursor.execute(statement):
            # The statement for one side alone has one content.
            was = row["before"] if "before" in row else (row["content"] if before is not None else None)
            will_be = row["after"] if "after" in row else (row["content"] if after is not None else None)
            yield _change(name, row["row_key"], row["line"] or None, was, will_be)


def _line(alias: str, *, is_line: bool) -> sql.Composable:
    return sql.Identifier(alias, "_line") if is_line else sql.Literal("")


def _change(
    model: str, key: str, line: str | None, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> RowChange:
    was, will_be = before or {}, after or {}
    kind: Literal["new", "gone", "changed"] = "changed"
    if before is None or after is None:
        kind = "new" if before is None else "gone"
    return RowChange(
        model=model,
        key=key,
        line=line,
        kind=kind,
        fields=tuple(
            FieldChange(name=name, before=was.get(name), after=will_be.get(name))
            for name in {**was, **will_be}
            if was.get(name) != will_be.get(name)
        ),
        total_before=_money(was),
        total_after=_money(will_be),
        currency_before=was.get("_currency"),
        currency_after=will_be.get("_currency"),
    )


def _add(totals: dict[str, Decimal], amount: Decimal | None, currency: str | None) -> None:
    if amount is not None:
        totals[currency or ""] = totals.get(currency or "", Decimal(0)) + amount


def _money(content: Mapping[str, Any]) -> Decimal | None:
    total = content.get("_total")
    return None if total is None else Decimal(total)
