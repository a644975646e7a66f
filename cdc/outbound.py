"""The models in force: what `cdc.models` says about the set of dbt models that was built and switched to
last.

`tieout build` writes each outbound model and mart with the meta of its yml, its columns and the rules that
lead from a changed staging row to the rows of the model. Diff, fan-out, drain and marts read them here and
nowhere else, so all of them see one complete set. The stored form is `to_config()` / `from_row()`, which are
each other's inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import psycopg
from psycopg import sql

from cdc.both_ways import Take
from cdc.once import Once
from tieout.db import lock_key
from tieout.queries import query

SET_LOCK = "tieout.set"
"""Held shared by those who read the set, alone by the switch."""

DirtyKind = Literal["self", "column", "link", "sql", "sweep", "ignored"]
Amend = Literal["open_only", "always", "correct", "once"]
OnTargetChange = Literal["hold", "overwrite", "yield"]
"""Of a field that is ours alone. Models may say `source` for overwrite and `target` for yield."""
OnMissing = Literal["hold", "keep"]

CONTROL_COLUMNS: Mapping[str, str] = {
    "_to": "text",
    "_key": "text",
    "_source_connection": "text",
    "_source_id": "text",
    "_skip": "text",
    "_hold": "text",
    "_gone": "text",
    "_problems": "jsonb",
    "_total": "numeric",
    "_currency": "text",
    "_date": "date",
    "_if_taken": "jsonb",
    "_after": "jsonb",
    "_expect": "jsonb",
}
"""What each outbound model must have, and the type in Postgres's words."""

OPTIONAL_COLUMNS: Mapping[str, str] = {"_identity": "jsonb", "_both_ways": "jsonb"}
"""What it may have: values that never change under one key, else the source used a number again; the list of fields that the
other side sends as well."""

LINE_COLUMNS: Mapping[str, str] = {
    "_source_connection": "text",
    "_source_id": "text",
    "_key": "text",
    "_line": "text",
    "_line_order": "integer",
    "_problems": "jsonb",
}
"""The same for a child model of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a model: name as the database spells it, type in Postgres's words (`format_type`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyRule:
    """How a change of one staging table leads to the drivers of a model.

    `table` is `<system>__<stream>`. `kind` says how to read `value`: `self`: the changed id is the driver id.
    `column`: `value` names a key column; its value before and after are driver ids. `link`: through
    `cdc.links` of entity `value`, by target id, to the link's source. `sql`: `value` is a query over `changed
    (connection, id, keys)` that gives `source_connection, source_id`. `sweep`: the model is marked sweep due.
    `ignored`: nothing; `value` says why.
    """

    table: str
    kind: DirtyKind
    value: str = ""

    @property
    def system(self) -> str:
        """The system that the staging table belongs to."""
        return self.table.partition("__")[0]

    @property
    def stream(self) -> str:
        """The stream that fills the staging table."""
        return self.table.partition("__")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A child model, nested by `_key` in the order of `_line_order` into the field `field` of its parent."""

    field: str
    model: str
    schema: str
    columns: tuple[Column, ...]

    @property
    def relation(self) -> sql.Identifier:
        """The view, ready to be composed into a statement."""
        return sql.Identifier(self.schema, self.model)

    @property
    def fields(self) -> tuple[str, ...]:
        """The API's fields of a line: every column without a leading underscore."""
        return _fields(self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundModel:
    """An outbound view: each row is one record that a target should contain."""

    name: str
    schema: str
    system: str
    entity: str
    driver: str
    """What `_source_id` identifies:

    a staging table, or free words where the driver is a value such as an e-mail.
    """
    columns: tuple[Column, ...]
    lines: tuple[Lines, ...]
    amend: Amend
    on_target_change: Mapping[str, OnTargetChange]
    """By field; `default` for all others."""
    both_ways: Mapping[str, tuple[str, ...]]
    """Fields that the other direction may send too, each with what both directions call it."""
    on_both_changed: Mapping[str, Take]
    """Of those fields, when both sides changed one; `default` for all others."""
    marker: str | None
    on_missing: OnMissing
    dirty: tuple[DirtyRule, ...]
    refers_to: tuple[str, ...]
    """Entities named by `linked()`, in this model or in its lines."""
    tables: tuple[str, ...]
    """Staging tables in its lineage, `<system>__<stream>`."""
    lookups: tuple[str, ...]
    position: int
    """Models that others refer to come first."""
    code_hash: str
    lookups_hash: str
    once: Once | None = None
    """What the diff works out once for a record and its lines, where the yml names it and it is the same."""
    sweep_due: bool = True
    is_new: bool = True
    is_changed: bool = False
    build: str = ""

    @property
    def relation(self) -> sql.Identifier:
        """The view, ready to be composed into a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def fields(self) -> tuple[str, ...]:
        """The API's fields:

        every column without a leading underscore; the lines fill their fields beside these.
        """
        return _fields(self.columns)

    def rule_for_target_change(self, field: str) -> OnTargetChange:
        """What happens when somebody else changed this field in the target."""
        return self.on_target_change.get(field, self.on_target_change.get("default", "hold"))

    def rule_when_both_changed(self, field: str) -> Take:
        """Whose value stays when both sides changed this field."""
        return self.on_both_changed.get(field, self.on_both_changed.get("default", "hold"))

    def to_config(self) -> dict[str, Any]:
        """The part that `cdc.models.config` keeps."""
        return {
            "schema": self.schema,
            "driver": self.driver,
            "columns": _columns_to_config(self.columns),
            "lines": [
                {
                    "field": child.field,
                    "model": child.model,
                    "schema": child.schema,
                    "columns": _columns_to_config(child.columns),
                }
                for child in self.lines
            ],
            "amend": self.amend,
            "on_target_change": dict(self.on_target_change),
            "both_ways": {field: list(names) for field, names in self.both_ways.items()},
            "on_both_changed": dict(self.on_both_changed),
            "marker": self.marker,
            "on_missing": self.on_missing,
            "dirty": _dirty_to_config(self.dirty),
            "refers_to": list(self.refers_to),
            "tables": list(self.tables),
            "lookups": list(self.lookups),
            "position": self.position,
            "once": None if self.once is None else self.once.to_config(),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The inverse of what the build stored; `row` is a row of cdc.models."""
        config = row["config"]
        return cls(
            name=row["model"],
            system=row["system"],
            entity=row["entity"],
            schema=config["schema"],
            driver=config["driver"],
            columns=_columns_from_config(config["columns"]),
            lines=tuple(
                Lines(
                    field=child["field"],
                    model=child["model"],
                    schema=child["schema"],
                    columns=_columns_from_config(child["columns"]),
                )
                for child in config["lines"]
            ),
            amend=config["amend"],
            on_target_change=config["on_target_change"],
            # A set that was built before there were such fields has none.
            both_ways={field: tuple(names) for field, names in config.get("both_ways", {}).items()},
            on_both_changed=config.get("on_both_changed", {}),
            marker=config["marker"],
            on_missing=config["on_missing"],
            dirty=_dirty_from_config(config["dirty"]),
            refers_to=tuple(config["refers_to"]),
            tables=tuple(config["tables"]),
            lookups=tuple(config["lookups"]),
            position=config["position"],
            code_hash=row["code_hash"],
            lookups_hash=row["lookups_hash"],
            once=Once.from_config(config.get("once")),
            sweep_due=row["sweep_due"],
            is_new=row["is_new"],
            is_changed=row["is_changed"],
            build=row["build"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mart:
    """A table for BI in schema `marts`, filled from a view of the same name in `schema`."""

    name: str
    schema: str
    driver: str
    columns: tuple[Column, ...]
    unique_key: tuple[str, ...]
    connection_column: str
    id_column: str
    """The bare columns of the view by which changed drivers are looked up."""
    dirty: tuple[DirtyRule, ...]
    tables: tuple[str, ...]
    lookups: tuple[str, ...]
    code_hash: str
    lookups_hash: str
    indexes: tuple[str, ...] = ()
    """For BI: what stands after `create index on …`."""
    sweep_due: bool = True
    build: str = ""

    @property
    def view(self) -> sql.Identifier:
        """The live view."""
        return sql.Identifier(self.schema, self.name)

    @property
    def table(self) -> sql.Identifier:
        """The table that BI reads."""
        return sql.Identifier("marts", self.name)

    def to_config(self) -> dict[str, Any]:
        """The part that `cdc.models.config` keeps."""
        return {
            "schema": self.schema,
            "driver": self.driver,
            "columns": _columns_to_config(self.columns),
            "unique_key": list(self.unique_key),
            "refresh_by": {"connection_column": self.connection_column, "id_column": self.id_column},
            "indexes": list(self.indexes),
            "dirty": _dirty_to_config(self.dirty),
            "tables": list(self.tables),
            "lookups": list(self.lookups),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The inverse of what the build stored; `row` is a row of cdc.models."""
        config = row["config"]
        return cls(
            name=row["model"],
            schema=config["schema"],
            driver=config["driver"],
            columns=_columns_from_config(config["columns"]),
            unique_key=tuple(config["unique_key"]),
            connection_column=config["refresh_by"]["connection_column"],
            id_column=config["refresh_by"]["id_column"],
            # A set that was built before there were such has none.
            indexes=tuple(config.get("indexes", ())),
            dirty=_dirty_from_config(config["dirty"]),
            tables=tuple(config["tables"]),
            lookups=tuple(config["lookups"]),
            code_hash=row["code_hash"],
            lookups_hash=row["lookups_hash"],
            sweep_due=row["sweep_due"],
            build=row["build"],
        )


Model = OutboundModel | Mart


def models_in_force(connection: psycopg.Connection[dict[str, Any]]) -> tuple[OutboundModel, ...]:
    """Outbound models of the set in force;

    what others refer to first, then by name. Empty before the first build.
    """
    rows = connection.execute(query("builds", "models_of_kind"), {"kind": "outbound"}).fetchall()
    models = (OutboundModel.from_row(row) for row in rows)
    return tuple(sorted(models, key=lambda model: (model.position, model.name)))


def marts_in_force(connection: psycopg.Connection[dict[str, Any]]) -> tuple[Mart, ...]:
    """Marts of the set in force, by name. Empty before the first build."""
    rows = connection.execute(query("builds", "models_of_kind"), {"kind": "mart"}).fetchall()
    return tuple(Mart.from_row(row) for row in rows)


def pin_set(connection: psycopg.Connection[dict[str, Any]]) -> str | None:
    """Keep the set in force as it is until the current transaction ends; returns its build, None before the
    first.

    For work that reads a model in more than one statement: if the answer is not the `build` of the models
    that the caller holds, the set was switched meanwhile, and the models are to be read again. Call it inside
    a transaction, and do not hold that transaction over a call to a vendor.
    """
    connection.execute(query("builds", "pin_set"), {"key": lock_key(SET_LOCK)})
    row = connection.execute(query("builds", "in_force")).fetchone()
    return None if row is None else str(row["build"])


def _fields(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if not column.name.startswith("_"))


def _columns_to_config(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    return [{"name": column.name, "type": column.type} for column in columns]


def _columns_from_config(config: list[dict[str, str]]) -> tuple[Column, ...]:
    return tuple(Column(name=column["name"], type=column["type"]) for column in config)


def _dirty_to_config(rules: tuple[DirtyRule, ...]) -> list[dict[str, str]]:
    return [{"table": rule.table, "kind": rule.kind, "value": rule.value} for rule in rules]


def _dirty_from_config(config: list[dict[str, Any]]) -> tuple[DirtyRule, ...]:
    return tuple(DirtyRule(table=rule["table"], kind=rule["kind"], value=rule["value"]) for rule in config)
