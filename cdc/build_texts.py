"""What each build is made of: the SQL of its models and functions and the rows of its lookups, each text kept once.

A past entry names its build, so what the mapping said then can be read, compared with today's, and run again
(`cdc/recompute.py`). Texts are kept by content hash: a build in which one model changed adds one text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from cdc.lineage import ModelSet, Node
from tieout.db import json_dumps
from tieout.queries import compose, query

Session = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A model, lookup, source, function or outbound model's lines (config) of a build."""

    kind: str
    layer: str
    name: str
    hash: str | None
    """Of its text; None for a source."""
    parents: tuple[str, ...]
    """What it reads, as layer.name."""

    @property
    def full_name(self) -> str:
        """layer.name"""
        return f"{self.layer}.{self.name}"


def keep(session: Session, models: ModelSet, *, prefix: str) -> None:
    """Keep the parts of a set that is about to be switched to. Doing it twice changes nothing."""
    texts: dict[str, str] = {}
    parts: list[dict[str, Any]] = []
    for kind, layer, name, text, parents in _all(session, models, prefix):
        hashed = hashlib.sha256(text.encode()).hexdigest() if text is not None else None
        if text is not None and hashed is not None:
            texts[hashed] = text
        parts.append({"kind": kind, "layer": layer, "name": name, "hash": hashed, "parents": parents})
    values = {
        "build": models.build,
        "texts": json_dumps([{"hash": key, "content": text} for key, text in sorted(texts.items())]),
        "parts": json_dumps(parts),
    }
    session.execute(query("builds", "keep_parts"), values)


def _all(
    session: Session, models: ModelSet, prefix: str
) -> Iterator[tuple[str, str, str, str | None, list[str]]]:
    """Kind, layer, name, text and parents of each part."""
    for node in models.nodes.values():
        match node.kind:
            case "seed":
                yield "lookup", node.layer, node.name, _lookup(session, models, node, prefix), []
            case "source":
                yield "source", node.layer, node.name, None, []
            case _ if node.is_relation:
                yield "model", node.layer, node.name, node.sql, sorted({*_read_by(models, node)})
    for model in models.outbound:
        lines = {child.field: child.model for child in model.lines}
        yield "config", "config", model.name, json_dumps({"lines": lines}), []
    for row in session.execute(query("builds", "functions")).fetchall():
        yield "function", row["schema"], row["name"], row["definition"], []


def _read_by(models: ModelSet, node: Node) -> Iterator[str]:
    """What a model reads. The SQL of an ephemeral model stands in its children."""
    for parent in (models.nodes[key] for key in node.parents if key in models.nodes):
        if parent.kind == "model" and not parent.is_relation:
            yield from _read_by(models, parent)
        else:
            yield f"{parent.layer}.{parent.name}"


def _lookup(session: Session, models: ModelSet, node: Node, prefix: str) -> str:
    """The rows of a lookup as dbt loaded them, in an order of their own: all columns are text."""
    columns = [column.name for column in models.columns[(node.layer, node.name)]]
    relation = sql.Identifier(f"{prefix}{node.layer}", node.name)
    rows = session.execute(compose("builds", "lookup_rows", lookup=relation)).fetchall()
    return json_dumps({"columns": columns, "rows": [row["content"] for row in rows]})


def parts_of(session: Session, build: str) -> dict[str, Part]:
    """The parts of a build by layer.name; empty for one that was made before they were kept."""
    rows = session.execute(query("builds", "parts"), {"build": build}).fetchall()
    parts = [
        Part(
            kind=row["kind"],
            layer=row["layer"],
            name=row["name"],
            hash=row["hash"],
            parents=tuple(row["parents"]),
        )
        for row in rows
    ]
    return {part.full_name: part for part in parts}


def texts_of(session: Session, parts: Iterable[Part]) -> dict[str, str]:
    """The texts of parts, by hash."""
    hashes = sorted({part.hash for part in parts if part.hash is not None})
    rows = session.execute(query("builds", "texts"), {"hashes": hashes}).fetchall()
    return {row["hash"]: row["content"] for row in rows}


def above(parts: Mapping[str, Part], *names: str) -> list[Part]:
    """These parts (by name without layer) and everything that they read; what is read first comes first."""
    ordered: dict[str, Part] = {}

    def visit(part: Part) -> None:
        if part.full_name in ordered:
            return
        for parent in part.parents:
            if parent in parts:
                visit(parts[parent])
        ordered[part.full_name] = part

    for part in parts.values():
        if part.name in names and part.kind == "model":
            visit(part)
    return list(ordered.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Short names of what a model was at a build: equal names, equal content."""

    mapping: str
    lookups: str


def versions(parts: Mapping[str, Part], *models: str) -> Versions | None:
    """The versions of models (an outbound model and its lines); None when the build's parts were not kept."""
    used = above(parts, *models)
    if not used:
        return None
    return Versions(mapping=_short(used, "model"), lookups=_short(used, "lookup"))


def _short(used: Iterable[Part], kind: str) -> str:
    lines = sorted(f"{part.full_name} {part.hash}" for part in used if part.kind == kind)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def changed_between(before: Mapping[str, Part], after: Mapping[str, Part], *models: str) -> list[str]:
    """Which parts that a model reads differ between two builds, as `lookup taxes`."""
    names = {part.full_name: part for part in [*above(before, *models), *above(after, *models)]}
    return sorted(
        f"{part.kind} {part.name}"
        for name, part in names.items()
        if part.kind != "source"
        and (before[name].hash if name in before else None) != (after[name].hash if name in after else None)
    )
