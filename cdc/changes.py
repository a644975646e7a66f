"""From changed staging rows to the records that the models must look at again.

Loaders append to `cdc.changes` what they changed. `fan_out` consumes that, for all models in one transaction a round, and
appends to `cdc.changed_keys`: by each model's `dirty` rules, on the key columns before and after; and, without being
asked, from a target's own record through its link. A rule that fails rolls the round back: nothing is lost, and the
message names the model and the rule. Dying in between loses nothing either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql

from cdc.outbound import DirtyRule, Model, marts_in_force, models_in_force
from cdc.writing import Write, open_writers
from tieout.db import lock_key
from tieout.errors import BuildError, ConfigurationError
from tieout.queries import compose, query

ROUND = 5_000
"""Changes in one transaction."""

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A rule that several models have alike is run once for all of them."""

    models: tuple[str, ...]
    rule: DirtyRule


@dataclass(slots=True, kw_only=True)
class _Known:
    mark: str = ""
    rules: tuple[_Rule, ...] = ()


_known: WeakKeyDictionary[Session, _Known] = WeakKeyDictionary()


def fan_out(connection: Session) -> int:
    """Turn all changes into changed keys. The number of changes consumed.

    Raises BuildError for a rule that fails, ConfigurationError for a change of a connection that nobody connected.
    """
    rules = _rules(connection)
    total = 0
    while True:
        taken = _round(connection, rules)
        total += taken
        if taken < ROUND:
            return total


def _rules(connection: Session) -> tuple[_Rule, ...]:
    """The rules of the models in force: read again by a session only when they may be others."""
    row = connection.execute(query("changes", "mark_of_models"), prepare=True).fetchone()
    mark = str(row["mark"]) if row is not None else ""
    known = _known.setdefault(connection, _Known())
    if known.mark != mark:
        groups: dict[tuple[str, str, str], list[tuple[str, DirtyRule]]] = {}
        following: list[Model] = [*models_in_force(connection), *marts_in_force(connection)]
        for model in following:
            for rule in model.dirty:
                groups.setdefault((rule.table, rule.kind, rule.value), []).append((model.name, rule))
        known.rules = tuple(
            _Rule(models=tuple(name for name, _ in group), rule=group[0][1]) for group in groups.values()
        )
        known.mark = mark
    return known.rules


def _round(connection: Session, rules: Sequence[_Rule]) -> int:
    with connection.transaction():
        connection.execute(query("changes", "lock"), {"key": lock_key("fan_out")})
        connection.execute(query("changes", "prepare"))
        taken = connection.execute(query("changes", "take"), {"limit": ROUND}, prepare=True).rowcount
        if not taken:
            return 0
        tables = connection.execute(query("changes", "tables"), prepare=True).fetchall()
        _refuse_unknown(tables)
        changed = {(row["system"], row["stream"]) for row in tables}
        for rule in rules:
            if (rule.rule.system, rule.rule.stream) in changed:
                _apply(connection, rule)
        for system, stream in sorted(changed):
            _from_target(connection, system, stream)
        for row in tables:
            values = {"connection": row["connection"], "stream": row["stream"]}
            connection.execute(query("changes", "cure"), values, prepare=True)
    return taken


def _apply(connection: Session, group: _Rule) -> None:
    rule = group.rule
    values = {
        "models": list(group.models),
        "system": rule.system,
        "stream": rule.stream,
        "because": rule.table,
        "column": rule.value,
        "entity": rule.value,
    }
    try:
        match rule.kind:
            case "self":
                connection.execute(query("changes", "by_self"), values, prepare=True)
            case "column":
                connection.execute(query("changes", "by_column"), values, prepare=True)
            case "link":
                connection.execute(query("changes", "by_link"), values, prepare=True)
            case "sweep":
                connection.execute(query("changes", "sweep"), values)
            case "sql":
                # Written by the analyst of the model and checked by `build`; its percent signs are no parameters of ours.
                text = rule.value.strip().rstrip(";").replace("%", "%%")
                connection.execute(compose("changes", "by_sql", rule=sql.SQL(text)), values, prepare=True)
            case "ignored":
                pass
    except psycopg.Error as error:
        names = " and ".join(group.models)
        raise BuildError(
            f"The rule by which {names} {'follows' if len(group.models) == 1 else 'follow'} {rule.table} fails: {error}",
            cure=f"Correct `dirty: {rule.table}` in the yml of {names} and run `tieout build`; no change is lost meanwhile.",
        ) from error


def _from_target(connection: Session, system: str, stream: str) -> None:
    entities = [write.entity for write in _writes(system) if write.stream == stream]
    if entities:
        values = {
            "system": system,
            "stream": stream,
            "entities": entities,
            "because": f"the target's {stream}",
        }
        connection.execute(query("changes", "by_target"), values, prepare=True)


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
