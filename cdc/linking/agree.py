"""What a link says from its first day, when a person says that a record of the target is the one that a row means. Pure.

The record stays as it is. Of what differs, the target keeps its own where it is nobody's business of ours (numbers, lines
that add up to the same, descriptions). Money, tax, currency, date and contact are never settled silently: where the document
may still change, the next diff holds them as changed in the target; where it may not, they are drift. Master data are only
completed, as in an adoption: what the organisation left empty is ours to fill, everything else is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdc.linking.matching import Matcher, OurRow, Record
from cdc.links import LINE, LINKED, Target, Unlinked, resolved, with_path
from cdc.writing import Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The columns of the link, and what is left to differ."""

    said: Record
    returned: Record
    yielded: Record
    line_ids: dict[str, str]
    is_judged: bool
    """False: the next diff compares the record with `returned` and holds what differs."""
    held: tuple[str, ...]
    """Fields about which a person must decide."""


def agree(
    row: OurRow,
    record: Record,
    targets: Mapping[tuple[str, str], Target],
    matcher: Matcher,
    write: Write,
    *,
    may_change: bool,
) -> Agreed:
    """Compare the row with the record. `may_change` is False for frozen documents and those before the cut-over."""
    resolved_values = {name: _resolved(value, targets) for name, value in row.payload.items()}
    # A field that refers to nothing yet says nothing of a document that is never sent; of another it says that the record
    # refers to something else than ours will.
    wanted = {
        name: row.payload[name] if value in (None, {}) else value
        for name, value in resolved_values.items()
        if value not in (None, {}) or row.skip is None
    }
    returned = write.returned(row.payload, record)
    differing = frozenset(
        name for name, value in wanted.items() if not write.same(name, value, returned.get(name))
    )
    held = matcher.held(row, record, differing)
    if write.adopts:
        # Nothing of ours is lost by leaving it unsaid: the diff completes what the target has empty.
        unsaid = frozenset(write.lacking(wanted, record))
        yielded = {name: returned.get(name) for name in differing - unsaid}
    else:
        unsaid = frozenset()
        yielded = {name: returned.get(name) for name in differing - held}
    said = {name: value for name, value in row.payload.items() if name not in unsaid}
    # What may no longer change was agreed as it stands there: the diff shows the difference as drift, with its money.
    settled = {} if may_change or write.adopts else {name: returned.get(name) for name in held}
    for name, value in (yielded | settled).items():
        said = with_path(said, name, value)
    is_disputed = bool(held) and may_change and not write.adopts and write.stream is not None
    if is_disputed:
        # As if the target had shown ours before: what it shows now is a change about which somebody has to decide.
        returned = {**returned, **{name: _plain(wanted[name]) for name in held if name in wanted}}
    return Agreed(
        said=said,
        returned=returned,
        yielded=yielded,
        # Lines that are the target's own have no names of ours.
        line_ids=matcher.line_ids(row, record)
        if not any(isinstance(v, list) for v in (yielded | settled).values())
        else {},
        is_judged=not is_disputed,
        held=tuple(sorted(held)),
    )


def _resolved(value: Any, targets: Mapping[tuple[str, str], Target]) -> Any:
    """The value with its references replaced as far as they are linked, else left out."""
    try:
        return resolved(value, targets)
    except Unlinked:
        return _without_references(value)


def _without_references(value: Any) -> Any:
    if isinstance(value, dict):
        if LINKED in value:
            return None
        return {
            name: inner for name, item in value.items() if (inner := _without_references(item)) is not None
        }
    if isinstance(value, list):
        return [_without_references(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Without our names of lines: the form in which a target shows them."""
    if isinstance(value, list):
        return [
            {name: item for name, item in row.items() if name != LINE} if isinstance(row, dict) else row
            for row in value
        ]
    return value
