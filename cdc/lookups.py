"""Lookups: the CSV files by which an accountant says which account, tax type or tracking option stands for
what.

`objections` compares what they name with the mirrored target; `missing` lists the rows that documents wait
for, ready to be pasted. A column says in the yml of its lookup what it names: `config: {meta: {tieout:
{refers: {table: xero__accounts, column: code}}}}`, or `path` (a jsonpath) for what lies inside a payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from pydantic import BaseModel, ConfigDict, ValidationError

from cdc import catalogue
from cdc.lineage import LOOKUPS, ModelSet, Node
from tieout.errors import BuildError
from tieout.queries import compose, query

CODE_LIKENESS = 0.75
"""One digit of four: codes of three digits that share two of them (209, 820) have nothing to do with each other."""

_FILE = re.compile(r"(?P<file>[\w./-]+\.csv)\s*:\s*(?P<row>.+)$", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRow:
    """A lookup row that documents wait for."""

    cause: str
    """Stable text, `lookup <name>: <value>`."""
    file: str
    """The CSV file to add it to; empty when the problem does not say."""
    row: str
    """The line to paste, with placeholders in angle brackets for what only a person knows."""
    reason: str
    who: str
    documents: int
    amount: Decimal
    """Money that waits, in `currency`."""
    currency: str | None
    example: str
    """The key of one document."""


class _Refers(BaseModel):
    """What a lookup's column names at the target."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    column: str | None = None
    path: str | None = None


def missing(connection: psycopg.Connection[dict[str, Any]]) -> list[MissingRow]:
    """Rows to add to lookups, most money first; a document that lacks two rows counts under both."""
    rows = connection.execute(query("lookups", "missing")).fetchall()
    return [_missing_row(row) for row in rows]


def objections(
    connection: psycopg.Connection[dict[str, Any]], models: ModelSet, *, prefix: str = ""
) -> tuple[str, ...]:
    """What lookups name that the mirrored target does not have, with the nearest name; and mirrors that are
    still empty.

    `prefix` is that of the set (`build__`); empty for the one in force.
    """
    seeds = [node for node in models.nodes.values() if node.kind == "seed"]
    return tuple(
        sentence
        for node in sorted(seeds, key=lambda node: node.name)
        for column, meta in sorted(node.column_meta.items())
        if "refers" in meta
        for sentence in _objections(connection, node, column, meta["refers"], prefix)
    )


def _objections(
    connection: psycopg.Connection[dict[str, Any]], node: Node, column: str, meta: Any, prefix: str
) -> Iterator[str]:
    try:
        refers = _Refers.model_validate(meta)
    except ValidationError as error:
        raise BuildError(
            f"{node.file}: `refers` of the column {column} of the lookup {node.name} must be a table and a "
            "column or path.",
            cure="Write {table: xero__accounts, column: code} or {table: …, path: $.…}.",
        ) from error
    statement = compose(
        "lookups",
        "values",
        column=sql.Identifier(column),
        lookup=sql.Identifier(f"{prefix}{LOOKUPS}", node.name),
    )
    values = [str(row["value"]) for row in connection.execute(statement).fetchall()]
    known = _known(connection, refers)
    if values and not known:
        yield (
            f"{node.name}.csv: {column} could not be compared with {refers.table}, which is still empty "
            "here; "
            "run `tieout load` and build again"
        )
        return
    for value in values:
        if value not in known:
            near = catalogue.nearest(value, known, likeness=CODE_LIKENESS)
            yield f"{node.name}.csv: {column} {value!r} is not in {refers.table}" + (
                f"; did you mean {near!r}?" if near else ""
            )


def _known(connection: psycopg.Connection[dict[str, Any]], refers: _Refers) -> frozenset[str]:
    table = sql.Identifier("staging", refers.table)
    if refers.column is not None:
        statement = compose("lookups", "known_by_column", table=table, column=sql.Identifier(refers.column))
        rows = connection.execute(statement).fetchall()
    else:
        statement = compose("lookups", "known_by_path", table=table)
        rows = connection.execute(statement, {"path": refers.path or "$"}).fetchall()
    return frozenset(str(row["value"]) for row in rows)


def _missing_row(row: Mapping[str, Any]) -> MissingRow:
    cure = str(row["cure"] or "")
    found = _FILE.search(cure)
    return MissingRow(
        cause=row["cause"],
        file=found["file"] if found else "",
        row=found["row"].strip() if found else cure,
        reason=row["reason"] or "",
        who=row["who"] or "accountant",
        documents=row["documents"],
        amount=Decimal(row["amount"]),
        currency=row["currency"],
        example=row["example"],
    )
