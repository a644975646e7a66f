"""Payloads side by side, field by field: nested fields and lines get a row each, references read as what they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

Sides = tuple[Any, ...]
Same = Callable[[str, object, object], bool]
SHORT_SPELLING = 20
"""Another spelling of the same value that is no longer than this is shown (PAID), a longer one is not."""


def rows(payloads: Sequence[Mapping[str, Any] | None]) -> Iterator[tuple[str, Sides]]:
    """Each path that any payload has, with its value in each; None where a payload has nothing there.

    Lines are told apart by our `_line`; where a side does not carry it (the target's answer), by their place.
    """
    yield from _rows("", tuple(payload or None for payload in payloads))


def unlike(path: str, first: Any, second: Any, same: Same | None = None) -> Any:
    """The second value, or `=` where it says the same as the first. `same`: how the target's system compares a field."""
    if first is None or second is None:
        return second
    if first == second or _number(first) == _number(second) is not None:
        return "="
    if (
        same is not None
        and not isinstance(first, Mapping | list)
        and "." not in path
        and same(path, first, second)
    ):
        return second if len(str(second)) <= SHORT_SPELLING else "="
    return second


def readable(value: Any) -> Any:
    """A leaf as a person reads it."""
    if isinstance(value, Mapping):
        reference = value.get("$linked")
        if isinstance(reference, Mapping):
            return f"→ {reference.get('entity')} {reference.get('key')}"
        if value.get("$cleared") is True:
            return "(cleared)"
    return value


def _rows(path: str, sides: Sides) -> Iterator[tuple[str, Sides]]:
    sides = tuple(readable(side) for side in sides)
    present = [side for side in sides if side is not None]
    if present and all(_is_lines(side) for side in present):
        for label, lines in _lined_up(sides):
            yield from _rows(f"{path}[{label}]", lines)
    elif any(isinstance(side, Mapping) for side in present):
        maps = [side if isinstance(side, Mapping) else {} for side in sides]
        names = dict.fromkeys(name for each in maps for name in each if name != "_line")
        if not names:
            return
        whole = [side for side in sides if side is not None and not isinstance(side, Mapping)]
        if whole:
            # A reference on our side, a record on the target's: its own fields say which.
            yield path, sides
            return
        for name in names:
            yield from _rows(f"{path}.{name}" if path else name, tuple(each.get(name) for each in maps))
    elif present:
        yield path, sides


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _is_lines(side: Any) -> bool:
    return isinstance(side, list) and all(isinstance(item, Mapping) for item in side)


def _lined_up(sides: Sides) -> Iterator[tuple[str, Sides]]:
    labels = [_labels(side) for side in sides]
    named = next((each for each in labels if each is not None and None not in each), None)
    places: dict[str, None] = {}
    by_label: list[dict[str, Any]] = []
    for side, own in zip(sides, labels, strict=True):
        kept: dict[str, Any] = {}
        for number, item in enumerate(side or ()):
            told = own[number] if own is not None else None
            if told is None and named is not None and number < len(named):
                told = named[number]
            kept[told or str(number + 1)] = item
        by_label.append(kept)
        places |= dict.fromkeys(kept)
    for label in places:
        yield label, tuple(kept.get(label) for kept in by_label)


def _labels(side: Any) -> list[str | None] | None:
    if not side:
        return None
    return [None if item.get("_line") is None else str(item["_line"]) for item in side]
