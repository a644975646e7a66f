"""Which field a person's edit is about: written as on the screens or as it is kept, and one that the target takes.

An edit of a field that no payload has would be sent as it is, or have no effect at all; both are told when it is typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cdc import catalogue
from cdc.links import LINE, path_parts
from tieout.errors import UsageError

_SHOWN = re.compile(r"(?P<rows>[^\[\]/]+)\[(?P<line>[^\]]+)\]\.(?P<field>.+)")


def kept_path(typed: str) -> str:
    """`LineItems[13].AccountCode`, as the screens write it, as it is kept: `LineItems/13/AccountCode`."""
    found = _SHOWN.fullmatch(typed)
    return f"{found['rows']}/{found['line']}/{found['field']}" if found else typed


def refuse_unknown(path: str, payload: Mapping[str, Any], *, system: str, entity: str) -> None:
    """Raise UsageError unless the path is a field that may be sent, of the record or of a line that it has."""
    rows, line, field = path_parts(path)
    steps = [rows, field] if field else [rows]
    if objection := catalogue.objection(catalogue.fields(system, entity), steps):
        raise UsageError(
            f"{path} cannot be edited: {objection}{'' if objection.endswith('?') else '.'}",
            cure="Name a field, or LINES/LINE/FIELD, as `tieout plan KEY` shows them.",
        )
    if not field:
        return
    lines = [str(row.get(LINE)) for row in payload.get(rows) or () if isinstance(row, Mapping)]
    if not lines:
        raise UsageError(f"{rows} of this record has no lines.", cure=f"Give {rows} as a whole, as JSON.")
    if line not in lines:
        raise UsageError(
            f"{rows} of this record has no line {line!r}.", cure=f"Its lines are: {', '.join(lines)}."
        )
