"""What a built set must fulfil before it may take the place of the one in force. Each check refuses with file
and cure.

They read the manifest (lineage, compiled SQL, meta) and the database in which the set lies under its prefix,
so they see what Postgres made of a model and not only what somebody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from cdc import catalogue
from cdc.lineage import LOOKUPS, ModelSet, Node, without_texts
from cdc.outbound import (
    CONTROL_COLUMNS,
    LINE_COLUMNS,
    OPTIONAL_COLUMNS,
    Column,
    DirtyRule,
    Mart,
    OutboundModel,
)
from cdc.project import Project
from tieout.errors import BuildError
from tieout.queries import compose, query

LARGE_ROWS = 10_000
"""Above so many rows a staging table must be reached by an index."""

# Functions that answer differently with the same data. `at time zone` and casts are fine: sessions run in
# UTC.
_UNSTEADY = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|random_normal|setseed"
    r"|gen_random_uuid|uuidv4|uuidv7|uuid_generate_v\d|current_setting|set_config|nextval|currval|lastval|pg_backend_pid"
    r"|txid_current|pg_current_xact_id|inet_client_addr|pg_sleep|age(?=\([^,()]*\)))\s*\(|"
    r"\b(current_date|current_time|current_timestamp|localtime|localtimestamp|current_user|session_user|current_role)\b",
    re.IGNORECASE,
)
# The same clock in the clothes of a text constant.
_UNSTEADY_TEXT = re.compile(
    r"'(now|today|tomorrow|yesterday)'\s*::|\b(date|timestamp|timestamptz)\s+'(now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)
_NO_PROBLEMS = re.compile(
    r"\b(?:cast\s*\(\s*null\s+as\s+jsonb\s*\)|null(?:\s*::\s*jsonb)?)\s+as\s+\"?_problems\b", re.IGNORECASE
)

# Any whole number orders lines: row_number() gives bigint.
_ALSO: Mapping[str, tuple[str, ...]] = {"integer": ("integer", "bigint", "smallint")}

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the checks look at."""

    models: ModelSet
    project: Project
    prefix: str
    session: Session

    def file(self, name: str) -> str:
        """The file of a model, as a person knows it."""
        return self.project.origin(self.models.node(name).file)

    def relation(self, layer: str, name: str) -> sql.Identifier:
        """A relation of the set under its prefix."""
        return sql.Identifier(f"{self.prefix}__{layer}", name)


def check_set(checked: Checked) -> None:
    """Every check that needs no data. Raises BuildError at the first that fails."""
    for model in checked.models.outbound:
        _check_control_columns(checked, model.name, model.columns, CONTROL_COLUMNS)
        for child in model.lines:
            _check_control_columns(checked, child.model, child.columns, LINE_COLUMNS)
        _check_fields(checked, model)
        _check_steady(checked, model)
    _check_problems(checked)
    for mart in checked.models.marts:
        _check_mart(checked, mart)
    for each in checked.models.all:
        _check_dirty(checked, each)
    _check_lookups_are_text(checked)


def check_plans(checked: Checked) -> None:
    """Explain the form in which the diff reads each view:

    no large staging table may be read whole for one driver.
    """
    tables = sorted({table for model in checked.models.all for table in model.tables})
    for row in checked.session.execute(query("builds", "never_analyzed"), {"tables": tables}).fetchall():
        checked.session.execute(
            compose("builds", "analyze", table=sql.Identifier("staging", row["relation"]))
        )
    rows = checked.session.execute(
        query("builds", "large_tables"), {"tables": tables, "rows": LARGE_ROWS}
    ).fetchall()
    large = {row["relation"]: row["row_count"] for row in rows}
    if not large:
        return
    for model in checked.models.outbound:
        for name in (model.name, *(child.model for child in model.lines)):
            _check_plan(checked, model.schema, name, "_source_connection", "_source_id", large)
    for mart in checked.models.marts:
        _check_plan(checked, mart.schema, mart.name, mart.connection_column, mart.id_column, large)


def _check_control_columns(
    checked: Checked, name: str, columns: tuple[Column, ...], required: Mapping[str, str]
) -> None:
    types = {column.name: column.type for column in columns}
    for column, type_ in required.items():
        if column not in types:
            raise BuildError(
                f"{checked.file(name)}: {name} has no column {column}.",
                cure=f"Add `null::{type_} as {column}` if it has nothing to say there.",
            )
        # numeric(18,2) would round what it is meant to check.
        if types[column] not in _ALSO.get(type_, (type_,)):
            raise BuildError(
                f"{checked.file(name)}: the column {column} of {name} is {types[column]}, it must be "
                f"{type_}.",
                cure=f"Cast it: `(…)::{type_} as {column}`.",
            )
    for column, type_ in OPTIONAL_COLUMNS.items():
        if types.get(column, type_) != type_:
            raise BuildError(
                f"{checked.file(name)}: the column {column} of {name} is {types[column]}, it must be {type_}.",
                cure=f"Cast it: `(…)::{type_} as {column}`.",
            )
    allowed = {*required, *OPTIONAL_COLUMNS}
    unknown = [column for column in types if column.startswith("_") and column not in allowed]
    if unknown:
        meant = catalogue.nearest(unknown[0], required)
        raise BuildError(
            f"{checked.file(name)}: {name} has a column {unknown[0]}, which is no control column"
            + (f"; did you mean {meant}?" if meant else "."),
            cure="Columns with a leading underscore are the engine's; name a field as the API names it.",
        )


def _check_fields(checked: Checked, model: OutboundModel) -> None:
    try:
        tree = catalogue.fields(model.system, model.entity)
    except (KeyError, FileNotFoundError) as error:
        raise BuildError(
            f"{checked.file(model.name)}: nothing is known of {model.entity!r} at {model.system}, so it "
            "cannot be written.",
            cure="Correct `system` and `entity` in the yml; cdc/writers/catalogue lists them.",
        ) from error
    paths: list[tuple[str, tuple[str, ...]]] = [(model.name, (field,)) for field in model.fields]
    paths += [(child.model, (child.field, field)) for child in model.lines for field in child.fields]
    paths += [
        (model.name, (field,))
        for field in (*model.on_target_change, *model.both_ways)
        if field != "default" and not any(field in child.fields for child in model.lines)
    ]
    for name, path in paths:
        objection = catalogue.objection(tree, path)
        if objection:
            raise BuildError(
                f"{checked.file(name)}: {model.entity} of {model.system}: {objection}",
                cure="Name the column exactly as the API names the field, in double quotes.",
            )
    doubled = {child.field for child in model.lines} & set(model.fields)
    if doubled:
        raise BuildError(
            f"{checked.file(model.name)}: {model.name} has a column {min(doubled)!r} and lines of that name.",
            cure="Remove the column; the lines fill that field.",
        )


def _check_steady(checked: Checked, model: OutboundModel) -> None:
    """No clock, random or session function below an outbound model: it would change without a change."""
    for node in checked.models.lineage(model.name, *(child.model for child in model.lines)):
        found = _UNSTEADY.search(without_texts(node.sql)) or _UNSTEADY_TEXT.search(node.sql)
        if found:
            raise BuildError(
                f"{checked.project.origin(node.file)}: {node.name} uses "
                f"{found.group().rstrip('(:').strip()!r}, and "
                f"{model.name} is built on it: its rows would change although no record did.",
                cure="Take the time or number from a record or a lookup instead.",
            )


def _check_problems(checked: Checked) -> None:
    """`_problems` reaches the outbound models through every layer."""
    rows = checked.session.execute(
        query("builds", "readers_of_problems"), {"prefix": f"{checked.prefix}__"}
    ).fetchall()
    reads = {(row["reader"], row["relation"]) for row in rows}
    names = [
        name
        for model in checked.models.outbound
        for name in (model.name, *(child.model for child in model.lines))
    ]
    for node in checked.models.lineage(*names):
        if (
            node.kind != "model"
            or not node.is_relation
            or str(node.meta.get("problems", "")).startswith("none")
        ):
            continue
        if not _has_problems(checked, node):
            raise BuildError(
                f"{checked.project.origin(node.file)}: {node.name} has no column _problems, so bad fields "
                "and missing "
                "lookups below it would go unseen.",
                cure="Carry the parent's `_problems` on, or say why there are none: "
                '`config: {meta: {tieout: {problems: "none: …"}}}`.',
            )
        parents = [checked.models.nodes[parent] for parent in node.parents if parent in checked.models.nodes]
        with_problems = [parent for parent in parents if _has_problems(checked, parent)]
        is_carried = any((node.name, parent.name) in reads for parent in with_problems)
        if with_problems and (not is_carried or _NO_PROBLEMS.search(node.sql)):
            raise BuildError(
                f"{checked.project.origin(node.file)}: {node.name} drops the _problems of "
                f"{', '.join(parent.name for parent in with_problems)}.",
                cure="Select the parent's `_problems` (of several parents: concatenate them).",
            )


def _has_problems(checked: Checked, node: Node) -> bool:
    columns = checked.models.columns.get((node.layer, node.name), ())
    return any(column.name == "_problems" and column.type == "jsonb" for column in columns)


def _check_mart(checked: Checked, mart: Mart) -> None:
    names = {column.name for column in mart.columns}
    for column in (*mart.unique_key, mart.connection_column, mart.id_column):
        if column not in names:
            meant = catalogue.nearest(column, names)
            raise BuildError(
                f"{checked.file(mart.name)}: the yml of {mart.name} names the column {column}, which it does "
                "not have" + (f"; did you mean {meant}?" if meant else "."),
                cure="Correct unique_key and refresh_by.",
            )
    if "as_of" in names:
        raise BuildError(
            f"{checked.file(mart.name)}: {mart.name} has a column as_of; the engine fills that one.",
            cure="Remove or rename the column.",
        )


def _check_dirty(checked: Checked, model: OutboundModel | Mart) -> None:
    """Each staging table in the lineage has a rule, and each rule can work."""
    rules = {rule.table: rule for rule in model.dirty}
    for table in model.tables:
        if table not in rules:
            raise BuildError(
                f"{checked.file(model.name)}: {model.name} reads staging.{table}, but its yml does not say "
                "how a change there "
                "leads to its rows.",
                cure=f"Add under `dirty`, for example: `{table}: {{column: …}}`, `{table}: sweep` or "
                f"`{table}: {{ignored: why}}`.",
            )
    rows = checked.session.execute(query("builds", "staging_columns")).fetchall()
    columns: dict[str, set[str]] = {}
    for row in rows:
        columns.setdefault(row["relation"], set()).add(row["name"])
    entities = {each.entity for each in checked.models.outbound}
    for rule in model.dirty:
        objection = _objection(checked, model, rule, columns, entities)
        if objection:
            raise BuildError(
                f"{checked.file(model.name)}: dirty rule of {model.name} for {rule.table}: {objection}",
                cure="Correct the rule in the yml beside the model.",
            )


def _objection(
    checked: Checked,
    model: OutboundModel | Mart,
    rule: DirtyRule,
    columns: Mapping[str, set[str]],
    entities: set[str],
) -> str | None:
    if rule.table not in columns:
        meant = catalogue.nearest(rule.table, columns)
        return "there is no such staging table" + (f"; did you mean {meant}?" if meant else ".")
    if rule.kind == "self" and rule.table != model.driver:
        return f"`self` is for the driver alone, which is {model.driver}."
    if rule.kind == "column" and rule.value not in columns[rule.table]:
        meant = catalogue.nearest(rule.value, columns[rule.table])
        return f"the table has no column {rule.value!r}" + (f"; did you mean {meant!r}?" if meant else ".")
    if rule.kind == "link" and rule.value not in entities:
        return f"no outbound model makes the entity {rule.value!r}."
    if rule.kind == "sql":
        return _cannot_run(checked, rule)
    return None


def _cannot_run(checked: Checked, rule: DirtyRule) -> str | None:
    """What Postgres says of a rule written in SQL; models are named by their plain schema there."""
    layers = "|".join(re.escape(layer) for layer in checked.models.layers)
    text = re.sub(rf"\b({layers})\.", rf"{checked.prefix}__\1.", rule.value)
    # An analyst's SQL from a yml of the project, only explained here; the same trust as a model's.
    statement = compose("builds", "explain_rule", rule=sql.SQL(text))
    try:
        checked.session.execute(statement)
    except psycopg.Error as error:
        return f"{error.diag.message_primary or error}."
    return None


def _check_lookups_are_text(checked: Checked) -> None:
    """A type guessed from the values makes the account 0200 the number 200."""
    for (layer, name), columns in checked.models.columns.items():
        wrong = [column for column in columns if column.type not in ("text", "character varying")]
        if layer == LOOKUPS and wrong:
            raise BuildError(
                f"{checked.file(name)}: the column {wrong[0].name} of the lookup {name} became "
                f"{wrong[0].type}.",
                cure="Declare every column of a lookup as text: `config: {column_types: {"
                + wrong[0].name
                + ": text}}`.",
            )


def _check_plan(
    checked: Checked, layer: str, name: str, connection_column: str, id_column: str, large: Mapping[str, int]
) -> None:
    statement = compose(
        "builds",
        "explain_diff",
        relation=checked.relation(layer, name),
        connection_column=sql.Identifier(connection_column),
        id_column=sql.Identifier(id_column),
    )
    row = checked.session.execute(statement).fetchone()
    assert row is not None, "explain gives one row"  # noqa: S101
    for table in _read_whole(row["QUERY PLAN"][0]["Plan"]):
        if table in large:
            raise BuildError(
                f"{checked.file(name)}: for one changed record {name} would read all {large[table]} rows of "
                f"staging.{table}.",
                cure=f"Let {connection_column} and {id_column} be bare columns that reach indexed columns of "
                f"staging.{table} "
                "through every join (no cast, no concatenation, no coalesce, no materialized CTE, windows "
                "partitioned by "
                "them), or add an index in sql/staging.",
            )


def _read_whole(plan: Mapping[str, Any]) -> list[str]:
    """Staging tables that a plan reads from end to end."""
    is_whole = plan["Node Type"] == "Seq Scan" or (
        plan["Node Type"] in ("Index Scan", "Index Only Scan") and "Index Cond" not in plan
    )
    found = [str(plan["Relation Name"])] if is_whole and plan.get("Schema") == "staging" else []
    return found + [table for child in plan.get("Plans", []) for table in _read_whole(child)]
