"""References between our records, and the paths of a payload.

A payload refers to another record by key: `{"$linked": {"entity": …, "key": …, "settled": …, "give": …}}`. It stays so in
the outbox and in `said`; only a request carries the target's own id (or, by `give`, another field of that record).
A path is a field, or for one field of a child row `field/line/field`; the line is our `_line`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tieout.errors import ConfigurationError

LINKED = "$linked"
LINE = "_line"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reference:
    """Another record that must exist first."""

    entity: str
    key: str
    settled: bool = False
    """It must have no open entry either."""
    connection: str | None = None
    """None: the same target."""
    gone: bool = False
    """Wait until it is gone instead: a removal waits for what refers to it."""

    def to_json(self) -> dict[str, Any]:
        """As `waits_for` keeps it; defaults are left out, so that containment finds it."""
        shown: dict[str, Any] = {"entity": self.entity, "key": self.key}
        if self.settled:
            shown["settled"] = True
        if self.connection is not None:
            shown["connection"] = self.connection
        if self.gone:
            shown["gone"] = True
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a reference is replaced by."""

    target_id: str
    returned: Mapping[str, Any]


class Unlinked(Exception):
    """A reference has no record in the target yet."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(f"{reference.entity} {reference.key} is not linked")
        self.reference: Reference = reference


def references(payload: object) -> tuple[Reference, ...]:
    """All references in a payload, each once, in order; `settled` if any of them asks for it."""
    found: dict[tuple[str, str], Reference] = {}
    for reference in _references(payload):
        known = found.get((reference.entity, reference.key))
        if known is None or (reference.settled and not known.settled):
            found[(reference.entity, reference.key)] = reference
    return tuple(sorted(found.values(), key=lambda reference: (reference.entity, reference.key)))


def after(value: object) -> tuple[Reference, ...]:
    """The references of a control column `_after`."""
    if not isinstance(value, list):
        return ()
    return tuple(_reference(item) for item in value if isinstance(item, Mapping))


def merged(*groups: Sequence[Reference]) -> tuple[Reference, ...]:
    """Several groups as one, each record once."""
    found: dict[tuple[str | None, str, str], Reference] = {}
    for group in groups:
        for reference in group:
            name = (reference.connection, reference.entity, reference.key)
            known = found.get(name)
            if known is None or (reference.settled and not known.settled):
                found[name] = reference
    return tuple(sorted(found.values(), key=lambda reference: (reference.entity, reference.key)))


def resolved(value: Any, targets: Mapping[tuple[str, str], Target]) -> Any:
    """The value with each reference replaced. Raises Unlinked for the first that has no record."""
    if isinstance(value, dict):
        if LINKED in value:
            return _give(value[LINKED], targets)
        return {
            name: resolved(item, targets) if isinstance(item, (dict, list)) else item
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [resolved(item, targets) for item in value]
    return value


def path_parts(path: str) -> tuple[str, str, str]:
    """A path as field, line and field of the line; the last two are empty for a field of the record itself.

    What a line is called may have slashes (`LineItems/sales/201/OUTPUT2/AccountCode`); fields have none.
    """
    name, _, rest = path.partition("/")
    line, _, inner = rest.rpartition("/")
    return name, line, inner


def get_path(payload: Mapping[str, Any], path: str) -> Any:
    """The value at a path; None when it is not there."""
    name, line, inner = path_parts(path)
    if not inner:
        return payload.get(name)
    row = _line_of(payload.get(name), line)
    return None if row is None else row.get(inner)


def with_path(payload: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path; a line that is not there is left alone; None takes the field out."""
    name, line, inner = path_parts(path)
    copy = dict(payload)
    if not inner:
        return _put(copy, name, value)
    rows = payload.get(name)
    if not isinstance(rows, list):
        return copy
    copy[name] = [
        _put(dict(row), inner, value) if isinstance(row, Mapping) and str(row.get(LINE)) == line else row
        for row in rows
    ]
    return copy


def _put(payload: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    if value is None:
        payload.pop(name, None)
    else:
        payload[name] = value
    return payload


def _line_of(rows: Any, line: str) -> Mapping[str, Any] | None:
    if not isinstance(rows, list):
        return None
    return next((row for row in rows if isinstance(row, Mapping) and str(row.get(LINE)) == line), None)


def _references(payload: object) -> Iterator[Reference]:
    """As they stand, one for each place; most values are none, so nothing is called for each."""
    left = [payload]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if LINKED in value:
                yield _reference(value[LINKED])
            else:
                left += [item for item in reversed(value.values()) if isinstance(item, (dict, list))]
        elif isinstance(value, list):
            left += [item for item in reversed(value) if isinstance(item, (dict, list))]


def _reference(value: Mapping[str, Any]) -> Reference:
    return Reference(
        entity=str(value["entity"]),
        key=str(value["key"]),
        settled=bool(value.get("settled")),
        connection=value.get("connection"),
    )


def _give(value: Mapping[str, Any], targets: Mapping[tuple[str, str], Target]) -> Any:
    reference = _reference(value)
    target = targets.get((reference.entity, reference.key))
    if target is None:
        raise Unlinked(reference)
    give = value.get("give") or "id"
    if give == "id":
        return target.target_id
    if give not in target.returned:
        raise ConfigurationError(
            f"A model asks for {give} of {reference.entity} {reference.key}, which the target did not return.",
            cure=f"Let the model of {reference.entity} send {give}, or refer by id.",
        )
    return target.returned[give]
