"""What dbt's manifest says about a built set: which model reads what, and what the yml beside each model
promises.

`read_set` turns the manifest and the columns that the database shows into typed models with their hashes.
Compiled SQL is normalised first (comments, blanks and the schema prefix taken out), so that the same mapping
has the same hash in every set and a comment changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cdc.model_meta import MartMeta, OutboundMeta, parse_meta
from cdc.once import once_of
from cdc.outbound import Column, Lines, Mart, OutboundModel
from cdc.project import Project
from tieout.errors import BuildError

Columns = Mapping[tuple[str, str], tuple[Column, ...]]
"""Columns by layer and relation name."""

OUTBOUND, MARTS_LIVE, LOOKUPS = "outbound", "marts_live", "lookups"

# Quoted things first: marks inside them are no comments, and an apostrophe in a comment opens no text.
_COMMENT = re.compile(r"""('(?:[^']|'')*'|"[^"]*")|/\*.*?\*/|--[^\n]*""", re.DOTALL)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_ENTITY = re.compile(r"'entity'\s*,\s*(?:cast\(\s*)?'([a-z_]+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A model, lookup or source of the manifest."""

    id: str
    name: str
    kind: str
    """model, seed or source."""
    layer: str
    """Its schema without the prefix of the set; for a source the schema itself."""
    file: str
    """Path inside the project."""
    sql: str
    """Compiled and normalised; empty for seeds and sources."""
    parents: tuple[str, ...]
    meta: Mapping[str, Any]
    column_meta: Mapping[str, Mapping[str, Any]]
    is_relation: bool
    """False for an ephemeral model, whose SQL stands in its children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSet:
    """A complete set, read from the manifest."""

    nodes: Mapping[str, Node]
    columns: Columns
    outbound: tuple[OutboundModel, ...]
    marts: tuple[Mart, ...]
    build: str
    """Hash of all compiled SQL, lookups and meta."""

    def node(self, name: str) -> Node:
        """The model or lookup of that name."""
        return next(node for node in self.nodes.values() if node.name == name and node.kind != "source")

    def lineage(self, *names: str) -> tuple[Node, ...]:
        """The models of these names and everything above them, in a stable order."""
        return lineage(self.nodes, *names)

    @property
    def all(self) -> tuple[OutboundModel | Mart, ...]:
        """Outbound models, then marts."""
        return (*self.outbound, *self.marts)

    @property
    def layers(self) -> tuple[str, ...]:
        """Schemas of the set, without prefix."""
        return tuple(sorted({layer for layer, _ in self.columns}))


def read_set(manifest: Mapping[str, Any], columns: Columns, *, prefix: str, project: Project) -> ModelSet:
    """The set that a manifest describes. Raises BuildError for meta that is missing or wrong."""
    nodes = {node.id: node for node in _nodes(manifest, prefix)}
    lookups = {
        node.id: hashlib.sha256((project.folder / node.file).read_bytes()).hexdigest()
        for node in nodes.values()
        if node.kind == "seed"
    }
    metas = {
        node.id: parse_meta(node.meta, where=project.origin(node.file))
        for node in nodes.values()
        if node.layer in (OUTBOUND, MARTS_LIVE) and node.kind == "model"
    }
    _refuse_unclaimed(nodes, metas, project)
    outbound = [
        _outbound(nodes, nodes[key], meta, columns, lookups)
        for key, meta in metas.items()
        if isinstance(meta, OutboundMeta)
    ]
    marts = [
        _mart(nodes, nodes[key], meta, columns, lookups)
        for key, meta in metas.items()
        if isinstance(meta, MartMeta)
    ]
    whole = [
        f"{node.layer}.{node.name}\0{node.sql or lookups.get(node.id, '')}\0{node.meta}"
        for node in nodes.values()
    ]
    return ModelSet(
        nodes=nodes,
        columns=columns,
        outbound=_ordered(outbound),
        marts=tuple(sorted(marts, key=lambda mart: mart.name)),
        build=_hash(sorted(whole)),
    )


def lineage(nodes: Mapping[str, Node], *names: str) -> tuple[Node, ...]:
    """The models of these names and everything above them, by layer and name."""
    open_ids = [node.id for node in nodes.values() if node.name in names and node.kind == "model"]
    seen: set[str] = set()
    while open_ids:
        current = open_ids.pop()
        if current not in seen:
            seen.add(current)
            open_ids += [parent for parent in nodes[current].parents if parent in nodes]
    return tuple(sorted((nodes[key] for key in seen), key=lambda node: (node.layer, node.name)))


def normalised(text: str, prefix: str) -> str:
    """SQL without comments, needless blanks and the names that differ between two sets of the same models."""
    text = _COMMENT.sub(lambda found: found[1] or " ", text)
    parts = []
    position = 0
    for literal in _TEXT.finditer(text):
        parts += [_bare(text[position : literal.start()], prefix), literal.group()]
        position = literal.end()
    return "".join([*parts, _bare(text[position:], prefix)]).strip()


def without_texts(text: str) -> str:
    """SQL whose text constants are empty, to look for words in it."""
    return _TEXT.sub("''", text)


def _bare(text: str, prefix: str) -> str:
    # dbt writes relations as "database"."schema"."name".
    names = rf'"[^"]+"\."(?:{re.escape(prefix)}__)?([^"]+)"\."([^"]+)"'
    return re.sub(r"\s+", " ", re.sub(names, r'"\1"."\2"', text))


def _nodes(manifest: Mapping[str, Any], prefix: str) -> Iterator[Node]:
    for key, entry in manifest["sources"].items():
        yield Node(
            id=key,
            name=entry["identifier"],
            kind="source",
            layer=entry["schema"],
            file=entry["original_file_path"],
            sql="",
            parents=(),
            meta={},
            column_meta={},
            is_relation=True,
        )
    for key, entry in manifest["nodes"].items():
        if entry["resource_type"] not in ("model", "seed"):
            continue
        depends = entry.get("depends_on", {}).get("nodes", [])
        config = entry["config"]
        yield Node(
            id=key,
            name=entry["alias"],
            kind=entry["resource_type"],
            layer=entry["schema"].removeprefix(f"{prefix}__"),
            file=entry["original_file_path"],
            sql=normalised(entry.get("compiled_code") or "", prefix),
            parents=tuple(depends),
            meta=config.get("meta", {}).get("tieout", {}),
            column_meta={
                name: (column.get("config", {}).get("meta") or column.get("meta") or {}).get("tieout", {})
                for name, column in entry["columns"].items()
            },
            is_relation=config.get("materialized") != "ephemeral",
        )


def _refuse_unclaimed(
    nodes: Mapping[str, Node], metas: Mapping[str, OutboundMeta | MartMeta | None], project: Project
) -> None:
    """Every model of the outbound layer is sent, or the lines of one that is, or a step to them (`int_`)."""
    children: dict[str, str] = {}
    for key, meta in metas.items():
        for child in meta.lines.values() if isinstance(meta, OutboundMeta) else ():
            children[child] = nodes[key].name
    outbound = {node.name for node in nodes.values() if node.layer == OUTBOUND and node.kind == "model"}
    for child, parent in children.items():
        if child not in outbound:
            raise BuildError(
                f"{parent} names the lines {child}, but there is no such model in models/outbound.",
                cure=f"Write {child}.sql or correct `lines` in the yml of {parent}.",
            )
    for key, meta in metas.items():
        if meta is None and nodes[key].name not in children and not nodes[key].name.startswith("int_"):
            raise BuildError(
                f"{project.origin(nodes[key].file)}: the model {nodes[key].name} has no `meta.tieout` in its "
                "yml.",
                cure="Say in the yml beside it what it is: system, entity, driver and dirty; or name it in "
                "the `lines` of "
                "the model that it belongs to.",
            )


def _outbound(
    nodes: Mapping[str, Node], node: Node, meta: OutboundMeta, columns: Columns, lookups: Mapping[str, str]
) -> OutboundModel:
    above = lineage(nodes, node.name, *meta.lines.values())
    own = [node, *(other for other in above if other.name in meta.lines.values() and other.layer == OUTBOUND)]
    named = {each.name: each for each in own}
    return OutboundModel(
        name=node.name,
        schema=node.layer,
        system=meta.system,
        entity=meta.entity,
        driver=meta.driver,
        columns=columns.get((node.layer, node.name), ()),
        lines=tuple(
            Lines(field=field, model=child, schema=node.layer, columns=columns.get((node.layer, child), ()))
            for field, child in sorted(meta.lines.items())
        ),
        amend=meta.amend,
        on_target_change=meta.owners,
        both_ways=meta.both_ways,
        on_both_changed=meta.on_both_changed,
        marker=meta.marker,
        on_missing=meta.on_missing,
        dirty=meta.rules,
        refers_to=tuple(sorted({entity for each in own for entity in _ENTITY.findall(each.sql)})),
        tables=_tables(above),
        lookups=_lookups(above),
        position=0,
        code_hash=_code_hash(above),
        lookups_hash=_lookups_hash(above, lookups),
        once=once_of(nodes, meta.once, node, {field: named[child] for field, child in meta.lines.items()}),
    )


def _mart(
    nodes: Mapping[str, Node], node: Node, meta: MartMeta, columns: Columns, lookups: Mapping[str, str]
) -> Mart:
    above = lineage(nodes, node.name)
    return Mart(
        name=node.name,
        schema=node.layer,
        driver=meta.driver,
        columns=columns.get((node.layer, node.name), ()),
        unique_key=tuple(meta.unique_key),
        connection_column=meta.refresh_by.connection_column,
        id_column=meta.refresh_by.id_column,
        indexes=tuple(meta.indexes),
        dirty=meta.rules,
        tables=_tables(above),
        lookups=_lookups(above),
        code_hash=_code_hash(above),
        lookups_hash=_lookups_hash(above, lookups),
    )


def _ordered(models: list[OutboundModel]) -> tuple[OutboundModel, ...]:
    """What others refer to first.

    A model may be placed when each entity that it refers to is made by a model before it; of several that
    make it, one is enough: a credit note follows payments, and refunds, which are payments too, follow the
    credit note. Raises BuildError for a circle or a reference to an entity that no model makes.
    """
    entities = {model.entity for model in models}
    for model in models:
        for entity in model.refers_to:
            if entity not in entities:
                raise BuildError(
                    f"{model.name} refers to {entity!r}, but no outbound model makes that entity "
                    f"(there are {', '.join(sorted(entities))}).",
                    cure="Correct the first argument of linked(), or write the model.",
                )
    placed: list[OutboundModel] = []
    waiting = sorted(models, key=lambda model: model.name)
    position = 0
    while waiting:
        made = {model.entity for model in placed}
        ready = [model for model in waiting if made.issuperset(model.refers_to)]
        if not ready:
            named = [f"{model.name} refers to {', '.join(model.refers_to)}" for model in waiting]
            raise BuildError(
                f"Models refer to each other in a circle: {'; '.join(named)}. None of them could be sent first.",
                cure="Take one linked() out of the circle.",
            )
        placed += [replace(model, position=position) for model in ready]
        waiting = [model for model in waiting if model not in ready]
        position += 1
    return tuple(placed)


def _tables(above: tuple[Node, ...]) -> tuple[str, ...]:
    return tuple(node.name for node in above if node.kind == "source" and node.layer == "staging")


def _lookups(above: tuple[Node, ...]) -> tuple[str, ...]:
    return tuple(node.name for node in above if node.kind == "seed")


def _code_hash(above: tuple[Node, ...]) -> str:
    return _hash([f"{node.layer}.{node.name}\0{node.sql}" for node in above if node.kind == "model"])


def _lookups_hash(above: tuple[Node, ...], lookups: Mapping[str, str]) -> str:
    return _hash([f"{node.name}\0{lookups[node.id]}" for node in above if node.kind == "seed"])


def _hash(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
