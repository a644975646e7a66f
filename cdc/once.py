"""A model that a record and its lines are both made from, worked out once for both.

The views of a header and of its lines stand for themselves, so each works out anew what lies below it. Where the yml says
`once`, the diff runs the SQL of both over one relation instead, which holds the rows of that model for the driving record.
That gives the same rows only if neither reads other rows of it: `is_proven` lets Postgres say so. It puts an empty table in the
place of the model and looks whether the planner, which may move a condition only where that changes nothing, brings every
condition down to every reading of that table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import sql

from tieout.queries import compose

if TYPE_CHECKING:
    from cdc.lineage import Node
    from cdc.model_meta import OnceMeta

SHARED = "worked_out_once"
"""What the model is called in the texts."""
_LITERAL = re.compile(r"'(?:[^']|'')*'")

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Which rows of a model are worked out once, and what is made of them."""

    schema: str
    model: str
    connection: str
    """The columns that hold the driving record's connection and id."""
    id: str
    only: Mapping[str, str]
    """Other columns, each with the one value that is read."""
    header: str
    """SQL in which SHARED stands for the model."""
    lines: Mapping[str, str]
    """By field, as the header."""

    @property
    def rows(self) -> sql.Composed:
        """The relation SHARED, lateral to `driver`, as the beginning of a query."""
        return compose(
            "diff",
            "once",
            name=sql.Identifier(SHARED),
            relation=sql.Identifier(self.schema, self.model),
            connection=sql.Identifier(self.connection),
            id=sql.Identifier(self.id),
            only=sql.Composed(
                [
                    sql.SQL(" and shared.{} = {}").format(sql.Identifier(column), value)
                    for column, value in sorted(self.only.items())
                ]
            ),
        )

    def to_config(self) -> dict[str, Any]:
        """The part that `cdc.models.config` keeps."""
        return {
            "schema": self.schema,
            "model": self.model,
            "connection": self.connection,
            "id": self.id,
            "only": dict(self.only),
            "header": self.header,
            "lines": dict(self.lines),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> Self | None:
        """The inverse; a set that was built before there was such a thing has none."""
        return None if config is None else cls(**config)


def once_of(
    nodes: Mapping[str, Node], meta: OnceMeta | None, header: Node, lines: Mapping[str, Node]
) -> Once | None:
    """Header and lines over the model that the yml names; None when it names none, or one of them does not read it (any more)."""
    if meta is None:
        return None
    found = next((node for node in nodes.values() if node.name == meta.model and node.kind == "model"), None)
    if found is None or not found.is_relation:
        return None
    texts = {field: _over(nodes, node, found) for field, node in lines.items()}
    over = _over(nodes, header, found)
    if not texts or SHARED not in over or any(SHARED not in text for text in texts.values()):
        return None
    return Once(
        schema=found.layer,
        model=found.name,
        connection=meta.by[0],
        id=meta.by[1],
        only=meta.only,
        header=over,
        lines=texts,
    )


def _over(nodes: Mapping[str, Node], node: Node, shared: Node) -> str:
    """The SQL of a model with SHARED for the model, and the SQL of what lies between them in its place."""
    text = node.sql
    for parent in _between(nodes, node, shared):
        part = SHARED if parent.id == shared.id else f"({_over(nodes, parent, shared)})"
        text = text.replace(f'"{parent.layer}"."{parent.name}"', part)
    return text


def _between(nodes: Mapping[str, Node], node: Node, shared: Node) -> Iterator[Node]:
    """What a model reads of the shared model itself, or of what is made from it."""
    for key in node.parents:
        if key in nodes and (key == shared.id or any(True for _ in _between(nodes, nodes[key], shared))):
            yield nodes[key]


def is_proven(session: Session, once: Once, *, prefix: str, layers: tuple[str, ...]) -> bool:
    """Do header and lines of one driving record read the rows of that record alone, whatever there is?"""
    values = {column: sql.Literal(value).as_string() + "::text" for column, value in once.only.items()}
    wanted = {once.connection: "asked_for.connection", once.id: "asked_for.id", **values}
    return all(
        _must_hold(wanted, condition)
        for text in (once.header, *once.lines.values())
        for condition in _conditions(session, once, text, prefix, layers) or ("",)
    )


def _conditions(session: Session, once: Once, text: str, prefix: str, layers: tuple[str, ...]) -> list[str]:
    """Under which condition the text reads an empty table in the model's place, for each place where it is read."""
    schemas = "|".join(re.escape(layer) for layer in layers)
    try:
        with session.transaction(force_rollback=True):
            relation = sql.Identifier(f"{prefix}__{once.schema}", once.model)
            session.execute(compose("builds", "stand_in", name=sql.Identifier(SHARED), relation=relation))
            # The SQL of models of the project, only explained here.
            named = sql.SQL(re.sub(rf'"({schemas})"\.(?=")', rf'"{prefix}__\1".', text))
            row = session.execute(compose("builds", "explain_by_key", text=named)).fetchone()
    except psycopg.errors.ProgrammingError:
        return []
    assert row is not None, "explain gives one row"  # noqa: S101
    return list(_readings(row["QUERY PLAN"][0]["Plan"]))


def _readings(plan: Mapping[str, Any]) -> Iterator[str]:
    if plan.get("Relation Name") == SHARED:
        yield str(plan.get("Filter", ""))
    for child in plan.get("Plans", []):
        yield from _readings(child)


def _must_hold(wanted: Mapping[str, str], condition: str) -> bool:
    """Are these among the conditions that must all hold? As `explain` writes them: `((a = 'x'::text) AND (…))`."""
    kept = {value.removesuffix("::text") for value in wanted.values()}
    code = _LITERAL.sub(lambda found: found[0] if found[0] in kept else "''", condition)
    parts, depth, start = [], 0, 1
    for place in range(1, len(code) - 1):
        depth += {"(": 1, ")": -1}.get(code[place], 0)
        if depth == 0 and code.startswith(" AND ", place):
            parts.append(code[start:place])
            start = place + len(" AND ")
    parts.append(code[start:-1])
    plain = {re.sub(r"^\w+[.]", "", part.removeprefix("(").removesuffix(")")) for part in parts}
    return all(f"{column} = {value}" in plain for column, value in wanted.items())
