"""The field catalogue of a target: which fields an entity and its nested parts have, and which may be
written.

`build` asks it for every column of an outbound model, so that a misspelt field fails there and not at the
target. The files `cdc/writers/catalogue/<system>.json` hold names alone: "write", "read", or an object of
such for a nested part (a list of objects looks like one object). `tools/derive_<system>_catalogue.py` makes
them from the vendor's own description.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "writers" / "catalogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as the API names it."""

    name: str
    is_read_only: bool
    """The target computes it: sending it is refused or ignored."""
    fields: Mapping[str, Field] = field(default_factory=dict)
    """Fields of the nested part, or of each element of a list; empty for a plain value."""


def fields(system: str, entity: str) -> Mapping[str, Field]:
    """All fields of an entity by name. Raises KeyError for an entity that no writer of the system writes."""
    return _catalogue(system)[entity]


def objection(tree: Mapping[str, Field], path: Sequence[str]) -> str | None:
    """Why this path may not be sent, with the nearest name; None when it may.

    A path into a plain value (`Date.Year`) is objected to; a path that ends at a nested part is fine.
    """
    walked: list[str] = []
    for name in path:
        found = tree.get(name)
        where = f" in {'.'.join(walked)}" if walked else ""
        if found is None:
            suggestion = nearest(name, tree)
            return f"there is no field {name!r}{where}" + (
                f"; did you mean {suggestion!r}?" if suggestion else ""
            )
        if found.is_read_only:
            return f"the target computes {name!r}{where} itself; it cannot be sent"
        walked.append(name)
        tree = found.fields
    return None


def nearest(name: str, names: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The name that looks most like it, letter case set aside; None when none has that likeness (0 to 1)."""
    by_folded = {candidate.casefold(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=likeness)
    return by_folded[matches[0]] if matches else None


@cache
def _catalogue(system: str) -> Mapping[str, Mapping[str, Field]]:
    raw: dict[str, dict[str, Any]] = json.loads((_FOLDER / f"{system}.json").read_text(encoding="utf-8"))
    return {entity: _tree(names) for entity, names in raw.items()}


def _tree(names: Mapping[str, Any]) -> dict[str, Field]:
    return {
        name: Field(
            name=name, is_read_only=kind == "read", fields=_tree(kind) if isinstance(kind, dict) else {}
        )
        for name, kind in names.items()
    }
