"""How the story of a record looks: when, what happened, and each field before → after."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cdc.story import Step
from console import fields
from console.report import plain, short, table

SHOWN_EDITS = 12
"""Fields of one step that a screen shows; `--json` has all."""
SHOWN_VALUE = 90
_MILLISECONDS = re.compile(r"/Date\((?P<seconds>\d+)\d{3}(?:[+-]\d{4})?\)/")
"""How some vendors write times in JSON."""
_BLANK: tuple[Any, ...] = (None, "", [], {})
"""Which of them a vendor sends for nothing is no news."""


def story_table(title: str, steps: Sequence[Step]) -> RenderableType:
    """The steps, the earliest first."""
    rows = [(step.at, _told(step)) for step in steps]
    return table(title, ("when (UTC)!", "what happened"), rows, empty="Nothing happened to it yet.")


def as_data(step: Step) -> dict[str, Any]:
    """A step for `--json`."""
    return {
        "at": step.at, "what": step.what, "title": step.title, "lines": list(step.lines),
        "edits": [{"field": one.field, "before": one.before, "after": one.after} for one in step.edits],
        "details": dict(step.details),
    }  # fmt: skip


def _told(step: Step) -> RenderableType:
    parts: list[RenderableType] = [
        Text(step.title, style="bold" if step.what in ("result", "decision", "plan") else "")
    ]
    parts += [Text(f"  {short(line, 300)}", style="dim") for line in step.lines]
    edits = [*_flat(step)]
    parts += [Text(f"    {line}") for line in edits[:SHOWN_EDITS]]
    if len(edits) > SHOWN_EDITS:
        parts.append(Text(f"    and {len(edits) - SHOWN_EDITS} more fields (`--json` has all)", style="dim"))
    return Group(*parts)


def _flat(step: Step) -> Iterator[str]:
    """Each leaf that differs: nested fields and lines get a line each."""
    for edit in step.edits:
        for path, (before, after) in fields.rows(({edit.field: edit.before}, {edit.field: edit.after})):
            if before == after or (before in _BLANK and after in _BLANK):
                continue
            if before is None and step.what == "entry":
                yield f"{path}: {_value(after)}"
            else:
                yield f"{path}: {_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, str) and (day := _MILLISECONDS.fullmatch(value)):
        at = datetime.fromtimestamp(int(day["seconds"]), UTC)
        return f"{at:%Y-%m-%d}" if not int(day["seconds"]) % 86400 else f"{at:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, str):
        return short(value, SHOWN_VALUE) or "empty"
    return short(str(value if not isinstance(value, list | dict) else _json(value)), SHOWN_VALUE)


def _json(value: Any) -> str:
    return json.dumps(value, default=plain, ensure_ascii=False)
