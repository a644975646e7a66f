"""From changed staging rows to the records that the models must look at again.

Loaders append to `cdc.changes` what they changed. `fan_out` consumes that, for all models in one transaction a round, and
appends to `cdc.changed_keys`: by each model's `dirty` rules, on the key columns before and after; and, without being
asked, from a target's own record through its link. A rule that fails rolls the round back: nothing is lost, and the
message names the model and the rule. Dying in between loses nothing either.

A rule is not asked about changes in fields that none of its models read (`cdc/reads.py`): most changes of an order are a comment
and a stamp. A target's own record leads to its key whatever changed in it, because writers and the diff read it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql

from cdc.outbound import SET_LOCK, DirtyRule, Model, marts_in_force, models_in_force
from cdc.writing import Write, open_writers
from tieout.db import lock_key, together
from tieout.errors import BuildError, ConfigurationError
from tieout.queries import compose, query

ROUND = 5_000
"""Changes in one transaction."""
CUT_OFF = 20_000
"""Changes after which a session gives back the room that they took: nobody vacuums a temporary table."""

Fields = frozenset[str] | None
"""Top-level fields of a payload; None: any."""

Session = psycopg.Connection[dict[str, Any]]
Cursor = psycopg.Cursor[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FannedOut:
    """Changes consumed, by number."""

    changes: int = 0
    without_keys: int = 0
    """Of them, at least so many that led to no key: no model reads what changed, or the rules of those that do found none."""

    def __add__(self, other: FannedOut) -> FannedOut:
        return FannedOut(
            changes=self.changes + other.changes, without_keys=self.without_keys + other.without_keys
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A rule that several models have alike, which read the same fields, is run once for all of them."""

    models: tuple[str, ...]
    rule: DirtyRule
    fields: Fields

    def follows(self, system: str, stream: str, fields: Fields) -> bool:
        """Are changes of a staging table in these fields any news to its models?"""
        return (self.rule.system, self.rule.stream) == (system, stream) and (
            fields is None or self.fields is None or not fields.isdisjoint(self.fields)
        )


@dataclass(slots=True, kw_only=True)
class _Known:
    mark: str = ""
    rules: tuple[_Rule, ...] = ()
    deleted: int = 0
    """Changes of its rounds that may take up room still."""


_known: WeakKeyDictionary[Session, _Known] = WeakKeyDictionary()


def fan_out(connection: Session) -> FannedOut:
    """Turn all changes into changed keys; how many they were.

    Raises BuildError for a rule that fails, ConfigurationError for a change of a connection that nobody connected.
    """
    total = FannedOut()
    while True:
        taken = _round(connection)
        total += taken
        if taken.changes < ROUND:
            return total


def _round(connection: Session) -> FannedOut:
    known = _known.setdefault(connection, _Known())
    is_cut_off = known.deleted >= CUT_OFF
    with connection.transaction():
        keys = {"key": lock_key("fan_out"), "set_key": lock_key(SET_LOCK)}
        with together(connection):
            connection.execute(query("changes", "prepare"))
            connection.execute(query("changes", "cut_off" if is_cut_off else "clear"))
            connection.execute(query("changes", "begin_round"), keys, prepare=True)
            mark = connection.execute(query("changes", "mark_of_models"), prepare=True)
            connection.execute(query("changes", "take"), {"limit": ROUND}, prepare=True)
            found = connection.execute(query("changes", "tables"), prepare=True)
        tables = found.fetchall()
        taken = sum(row["changes"] for row in tables)
        known.deleted = taken if is_cut_off else known.deleted + taken
        if not taken:
            return FannedOut()
        rules = _rules(connection, known, mark.fetchone())
        _refuse_unknown(tables)
        changed = [(row["system"], row["stream"], _fields(row["fields"])) for row in tables]
        asked = {
            rule: connection.cursor()
            for rule in rules
            if rule.rule.kind != "ignored" and any(rule.follows(*each) for each in changed)
        }
        with _explained(asked), together(connection):
            for rule, cursor in asked.items():
                _apply(cursor, rule)
            to_targets = {
                each: _from_target(connection, *each)
                for each in sorted({(row["system"], row["stream"]) for row in tables})
            }
            cured = {
                each: _cure(connection, *each)
                for each in sorted({(row["connection"], row["stream"]) for row in tables})
            }
    heard = [rule for rule, cursor in asked.items() if cursor.rowcount > 0]
    without_keys = sum(
        row["changes"]
        for row, each in zip(tables, changed, strict=True)
        if to_targets[each[:2]].rowcount <= 0
        and cured[row["connection"], row["stream"]].rowcount <= 0
        and not any(rule.follows(*each) for rule in heard)
    )
    return FannedOut(changes=taken, without_keys=without_keys)


def _fields(names: Iterable[str] | None) -> Fields:
    return None if names is None else frozenset(names)


def _rules(connection: Session, known: _Known, row: Mapping[str, Any] | None) -> tuple[_Rule, ...]:
    """The rules of the models in force: read again by a session only when `mark_of_models` says that they may be others."""
    mark = str(row["mark"]) if row is not None else ""
    if known.mark != mark:
        reads = {
            row["model"]: row["reads"] or {}
            for row in connection.execute(query("changes", "reads")).fetchall()
        }
        groups: dict[tuple[str, str, str, Fields], list[tuple[str, DirtyRule]]] = {}
        following: list[Model] = [*models_in_force(connection), *marts_in_force(connection)]
        for model in following:
            for rule in model.dirty:
                fields = _fields(reads.get(model.name, {}).get(rule.table))
                groups.setdefault((rule.table, rule.kind, rule.value, fields), []).append((model.name, rule))
        known.rules = tuple(
            _Rule(models=tuple(name for name, _ in group), rule=group[0][1], fields=fields)
            for (*_, fields), group in groups.items()
        )
        known.mark = mark
    return known.rules


@contextmanager
def _explained(asked: Mapping[_Rule, Cursor]) -> Iterator[None]:
    """What Postgres says about the first rule that has no result, as the mistake in a model that it is."""
    try:
        yield
    except psycopg.Error as error:
        group = next((rule for rule, cursor in asked.items() if cursor.pgresult is None), None)
        if group is None:
            raise
        names, table = " and ".join(group.models), group.rule.table
        raise BuildError(
            f"The rule by which {names} {'follows' if len(group.models) == 1 else 'follow'} {table} fails: {error}",
            cure=f"Correct `dirty: {table}` in the yml of {names} and run `tieout build`; no change is lost meanwhile.",
        ) from error


def _apply(cursor: Cursor, group: _Rule) -> None:
    """Append the keys that it leads to; the cursor tells how many, once its answer is there."""
    rule = group.rule
    values = {
        "models": list(group.models),
        "system": rule.system,
        "stream": rule.stream,
        "because": rule.table,
        "column": rule.value,
        "entity": rule.value,
        "fields": None if group.fields is None else sorted(group.fields),
    }
    match rule.kind:
        case "self":
            cursor.execute(query("changes", "by_self"), values, prepare=True)
        case "column":
            cursor.execute(query("changes", "by_column"), values, prepare=True)
        case "link":
            cursor.execute(query("changes", "by_link"), values, prepare=True)
        case "sweep":
            cursor.execute(query("changes", "sweep"), values)
        case "sql":
            # Written by the analyst of the model and checked by `build`; its percent signs are no parameters of ours.
            text = rule.value.strip().rstrip(";").replace("%", "%%")
            cursor.execute(compose("changes", "by_sql", rule=sql.SQL(text)), values, prepare=True)


def _from_target(connection: Session, system: str, stream: str) -> Cursor:
    """The keys that are linked to these records; the cursor tells how many."""
    entities = [write.entity for write in _writes(system) if write.stream == stream]
    if not entities:
        return connection.cursor()
    values = {
        "system": system,
        "stream": stream,
        "entities": entities,
        "because": f"the target's {stream}",
    }
    return connection.execute(query("changes", "by_target"), values, prepare=True)


def _cure(connection: Session, name: str, stream: str) -> Cursor:
    """Rejections that these changes may have cured are worth one more try; the cursor tells how many they are."""
    values = {"connection": name, "stream": stream}
    return connection.execute(query("changes", "cure"), values, prepare=True)


def _writes(system: str) -> tuple[Write, ...]:
    try:
        return tuple(open_writers(system).values())
    except ModuleNotFoundError as error:
        # A system that is only read has no writer; an import that fails inside one is a mistake of ours.
        if error.name != f"cdc.writers.{system}":
            raise
        return ()


def _refuse_unknown(tables: Sequence[dict[str, Any]]) -> None:
    unknown = sorted({row["connection"] for row in tables if row["system"] is None})
    if unknown:
        raise ConfigurationError(
            f"Records of {', '.join(unknown)} changed, but nobody connected it.",
            cure=f"Run `tieout connect {unknown[0]}`; the changes are kept.",
        )
