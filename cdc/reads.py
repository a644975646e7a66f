"""What the views of a set read of the mirrored records: for each model and staging table the top-level fields of the payload.

A change in other fields alone cannot change a row of the model, so it leads to no key (`cdc/changes.py`). Found in what
Postgres made of the views, where stars are spelled out, every name stands for itself and macros and ephemeral models are
gone. Whatever is not plainly the reading of named fields counts as the reading of all: the payload as a whole, a field whose
name is computed, a view or function that cannot be looked into, a stamp or version of the staging row that goes further than
its staging model. Key columns need no names: a change of one leads to keys whatever is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg

from cdc.lineage import LOOKUPS, ModelSet
from cdc.outbound import OutboundModel
from tieout.queries import query

Name = tuple[str, str]
"""Layer and name of a relation of the set."""
Fields = Mapping[str, frozenset[str] | None]
"""By staging table; None, like a table that is not named: any field."""
Reads = Mapping[str, list[str] | None]
"""The same as `cdc.models.reads` keeps it."""
Session = psycopg.Connection[dict[str, Any]]

STAGING, ENGINE = "staging", "cdc"
MOVING = frozenset(
    {"version", "modified_at", "loaded_at", "content_hash", "ctid", "xmin", "xmax", "cmin", "cmax"}
)
"""Columns of a staging row that are others after each change; its form and its deletion are told as a change of any field."""

_LITERAL = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_PAYLOAD = re.compile(r"\bpayload\b")
_WORD = re.compile(r"[A-Za-z0-9_]+")
# What may follow the payload, as pg_get_viewdef writes it.
_FIELD = re.compile(r"(?: ->>? |\[)'([A-Za-z0-9_]+)'::text(?!\[)")
_PATH = re.compile(r" #>>? '\{([A-Za-z0-9_]+)(?:,[A-Za-z0-9_]+)*\}'::text\[\]")
_RECORD_BEFORE = re.compile(r"""(?<![.\w"])jsonb_to_record\((?:\w+\.|"[^"]+"\.)?$""")
_RECORD_AFTER = re.compile(r"""\) (?:\w+|"[^"]+")\(""")
_JOIN_USING = re.compile(r"\bUSING \(")
# At the top of a view: one column may then stand for several, or decide how many rows there are.
_SEVERAL = re.compile(r"^ SELECT DISTINCT\b|^ {0,4}(?:UNION|INTERSECT|EXCEPT)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a view reads of another relation."""

    schema: str
    """Without the prefix of the set."""
    name: str
    is_table: bool
    in_set: bool
    columns: frozenset[str]
    is_whole: bool
    """Its rows are used as values too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view of the set."""

    definition: str | None
    """As pg_get_viewdef writes it; only of a view that reads a staging table."""
    is_opaque: bool
    """It calls a function that may read by itself."""
    parents: tuple[Parent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a view reads of a staging table."""

    fields: frozenset[str]
    moving: frozenset[str]
    """Those of its own columns that are others after each change."""


def of_models(session: Session, models: ModelSet, *, prefix: str) -> dict[str, Reads]:
    """What each outbound model and mart of a built set reads."""
    views = views_of(session, prefix=prefix)
    found: dict[str, Reads] = {}
    for model in models.all:
        lines = (
            [(each.schema, each.model) for each in model.lines] if isinstance(model, OutboundModel) else []
        )
        fields = of_views(views, [(model.schema, model.name), *lines])
        found[model.name] = {
            table: None if names is None else sorted(names) for table, names in sorted(fields.items())
        }
    return found


def of_views(views: Mapping[Name, View], roots: Sequence[Name]) -> Fields:
    """What these views and all below them read; nothing is said when one of them cannot be looked into."""
    below = _below(views, roots)
    if below is None:
        return {}
    parents = [parent for name in below for parent in views[name].parents]
    found: dict[str, frozenset[str] | None] = {}
    for name in below:
        for parent in views[name].parents:
            if parent.schema != STAGING:
                continue
            access = access_of(views[name].definition or "", parent)
            known = found.get(parent.name, frozenset())
            if access is None or known is None or _is_passed_on(name, access.moving, roots, parents):
                found[parent.name] = None
            else:
                found[parent.name] = known | access.fields
    return found


@lru_cache(maxsize=512)  # most models read the same staging models
def access_of(definition: str, table: Parent) -> Access | None:
    """What a view reads of a staging table, by its definition; None where that does not plainly show."""
    code = _blanked(definition, "'")
    if table.is_whole or re.search(rf"""\b{re.escape(table.name)}"? (?:\w+|"[^"]+")\(""", code):
        return None
    fields: set[str] = set()
    for found in _PAYLOAD.finditer(code) if "payload" in table.columns else ():
        names = _named(definition, found.start(), found.end())
        if names is None:
            return None
        fields |= names
    if fields and _JOIN_USING.search(code):
        return None  # there Postgres may write the columns of a record under other names
    moving = [_shown(code, column) for column in sorted(MOVING & table.columns)]
    if None in moving:
        return None
    return Access(fields=frozenset(fields), moving=frozenset(name for name in moving if name))


def _named(definition: str, start: int, end: int) -> set[str] | None:
    """The fields that are read where the payload stands."""
    plain = _FIELD.match(definition, end) or _PATH.match(definition, end)
    if plain:
        return {plain[1]}
    columns = _RECORD_AFTER.match(definition, end)
    if columns is None or not _RECORD_BEFORE.search(definition, 0, start):
        return None
    # Types count as names too: a field too many costs a look, a field too few a change.
    return set(_WORD.findall(definition[columns.end() : _closing(definition, columns.end())]))


def _closing(definition: str, after: int) -> int:
    """Where the parenthesis ends that was opened just before."""
    code, depth = _blanked(definition, "'\""), 1
    for place in range(after, len(code)):
        depth += {"(": 1, ")": -1}.get(code[place], 0)
        if not depth:
            return place
    return len(code)


def _shown(code: str, column: str) -> str | None:
    """The view's own column that shows this one of the staging table and nothing else; None if it does more with it."""
    places = [found.start() for found in re.finditer(rf"\b{column}\b", code)]
    if len(places) != 1 or _SEVERAL.search(code):
        return None
    start = code.rfind("\n", 0, places[0]) + 1
    line = code[start:].partition("\n")[0]
    shown = re.fullmatch(rf"""(?: SELECT|   ) (?:(?:\w+|"[^"]+")\.)?{column}(?: AS (\w+|"[^"]+"))?,?""", line)
    return (shown[1] or column).strip('"') if shown else None


def _is_passed_on(
    name: Name, moving: frozenset[str], roots: Sequence[Name], parents: Sequence[Parent]
) -> bool:
    """Does anything read these columns of a view: another view, or the engine itself?"""
    return bool(moving) and (
        name in roots
        or any(
            (parent.schema, parent.name) == name and (parent.is_whole or parent.columns & moving)
            for parent in parents
        )
    )


def _blanked(definition: str, quotes: str) -> str:
    """The definition with nothing in its texts (and quoted names), every other character at its place."""
    return _LITERAL.sub(
        lambda found: (
            found[0][0] + " " * (len(found[0]) - 2) + found[0][0] if found[0][0] in quotes else found[0]
        ),
        definition,
    )


def _below(views: Mapping[Name, View], roots: Sequence[Name]) -> set[Name] | None:
    """These views and those they read; None if there is something that hides what it reads."""
    seen: set[Name] = set()
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        if name not in views or views[name].is_opaque:
            return None
        seen.add(name)
        for parent in views[name].parents:
            if parent.in_set and not parent.is_table:
                ahead.append((parent.schema, parent.name))
            elif not parent.is_table or not (parent.schema in (STAGING, ENGINE) or _is_lookup(parent)):
                return None
    return seen


def _is_lookup(parent: Parent) -> bool:
    return parent.in_set and parent.schema == LOOKUPS


def views_of(session: Session, *, prefix: str) -> dict[Name, View]:
    parents: dict[Name, list[Parent]] = {}
    values = {"prefix": f"{prefix}__"}
    for row in session.execute(query("builds", "view_parents"), values).fetchall():
        parents.setdefault((row["layer"], row["view"]), []).append(
            Parent(
                schema=row["parent_schema"],
                name=row["parent"],
                is_table=row["is_table"],
                in_set=row["in_set"],
                columns=frozenset(row["columns"]),
                is_whole=row["is_whole"],
            )
        )
    return {
        (row["layer"], row["view"]): View(
            definition=row["definition"],
            is_opaque=row["is_opaque"],
            parents=tuple(parents.get((row["layer"], row["view"]), ())),
        )
        for row in session.execute(query("builds", "views"), values).fetchall()
    }
