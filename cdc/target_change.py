"""What others changed in a target since we looked last, and what the model's rules say about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cdc.links import LINE, LINKED, get_path, with_path
from cdc.outbound import OnTargetChange
from cdc.writing import Outgoing

Same = Callable[[str, object, object], bool]


class _Record(Protocol):
    @property
    def payload(self) -> dict[str, Any]: ...

    @property
    def is_deleted(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Top-level fields by what is to be done, and what the link should remember when nothing is disputed."""

    overwrite: frozenset[str] = frozenset()
    disputed: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    """The disputed paths."""
    sentences: tuple[str, ...] = ()
    is_missing: bool = False
    now: dict[str, Any] = field(default_factory=dict)
    """The target's present values, in the form of `returned`."""
    patch: Mapping[str, Any] = field(default_factory=dict)


def judge(
    payload: Mapping[str, Any],
    said: Mapping[str, Any] | None,
    returned: Mapping[str, Any] | None,
    news: _Record | None,
    same: Same,
    paths_of: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]],
    rule_of: Callable[[str], OnTargetChange],
    points_to: Callable[[str, Any, Any], bool],
) -> Judged:
    """Compare the target's record with what it gave us last, path by path; `news` is None when there is nothing new."""
    if news is None:
        return Judged()
    if news.is_deleted:
        return Judged(is_missing=True)
    if returned is None:
        # The answer to our write was poorer than a read: this is the read that was asked for after it.
        return Judged(patch={"returned": paths_of(said or {}, news.payload)})
    now = paths_of(returned, news.payload)
    changed = [
        (path, before, after)
        for path, before, after in _changed(returned, now, said or {}, same)
        if not _is_ours(get_path(payload, path), path, after, same)
        and not points_to(path.rpartition("/")[2], get_path(payload, path), after)
    ]
    by_rule: dict[OnTargetChange, list[tuple[str, Any, Any]]] = {"hold": [], "overwrite": [], "yield": []}
    for path, before, after in changed:
        rule = _rule(path, rule_of)
        if rule != "hold" and get_path(payload, path) is None:
            # The model does not name it any more: whoever changed it may, and there is nothing of ours to put there.
            continue
        by_rule[rule].append((path, before, after))
    if by_rule["hold"]:
        disputed = by_rule["hold"] + by_rule["yield"]
        return Judged(
            overwrite=_tops(by_rule["overwrite"]),
            disputed=_tops(by_rule["hold"]),
            paths=tuple(path for path, _, _ in disputed),
            sentences=tuple(f"{path} was {before}, is {after}" for path, before, after in by_rule["hold"]),
            now=now,
        )
    if by_rule["overwrite"]:
        # Remembered only when our value is back: until then each look finds it again.
        return Judged(overwrite=_tops(by_rule["overwrite"]), now=now)
    patch: dict[str, Any] = {"returned": now}
    if by_rule["yield"]:
        agreed = dict(said or {})
        for path, _, after in by_rule["yield"]:
            agreed = with_path(agreed, path, after)
        patch |= {"said": agreed, "yielded": {path: after for path, _, after in by_rule["yield"]}}
    return Judged(now=now, patch=patch)


def as_agreed(
    outgoing: Outgoing, shown: dict[str, Any] | None, same: Same
) -> tuple[dict[str, Any] | None, bool]:
    """The target's values to remember after a write, and whether all of them are ours or were looked at.

    Fields that an update did not send and that its answer shows otherwise were changed by somebody between the last look and our
    write: they stay as we knew them, so that the next diff judges them. Documents of money are read before they are sent, so
    theirs are not looked at.
    """
    if (
        shown is None
        or outgoing.operation != "update"
        or outgoing.total is not None
        or outgoing.fields is None
    ):
        return shown, True
    unseen = {
        name: known
        for name, known in (outgoing.returned or {}).items()
        if name in shown
        and name not in outgoing.fields
        and not outgoing.line_ids
        and not same(name, known, shown[name])
    }
    return {**shown, **unseen}, not unseen


def _changed(
    before: Mapping[str, Any], now: Mapping[str, Any], said: Mapping[str, Any], same: Same
) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name, held in before.items():
        current = now.get(name)
        lines = _line_names(said.get(name))
        if lines is None or not _are_rows(held, current, len(lines)):
            if not same(name, held, current):
                found.append((name, held, current))
            continue
        for line, old, new in zip(lines, held, current or [], strict=True):
            found += [
                (f"{name}/{line}/{inner}", old[inner], new.get(inner))
                for inner in old
                if not inner.startswith("_") and not same(inner, old[inner], new.get(inner))
            ]
    return found


def _line_names(rows: object) -> list[str] | None:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and LINE in row for row in rows):
        return None
    return [str(row[LINE]) for row in rows]


def _are_rows(held: object, current: object, count: int) -> bool:
    return all(
        isinstance(rows, Sequence)
        and not isinstance(rows, str)
        and len(rows) == count
        and all(isinstance(row, Mapping) for row in rows)
        for rows in (held, current)
    )


def _is_ours(desired: Any, path: str, now: Any, same: Same) -> bool:
    """Somebody brought the record to what we want: nothing to argue about."""
    if desired is None or (isinstance(desired, Mapping) and LINKED in str(desired)):
        return False
    return same(path.rpartition("/")[2], desired, now)


def _rule(path: str, rule_of: Callable[[str], OnTargetChange]) -> OnTargetChange:
    """The rule of the field itself; for a field of a child row its own rule comes before that of the list."""
    inner, outer = path.rpartition("/")[2], path.partition("/")[0]
    rule = rule_of(inner)
    return rule if inner == outer or rule != rule_of("default") else rule_of(outer)


def _tops(changes: Sequence[tuple[str, Any, Any]]) -> frozenset[str]:
    return frozenset(path.partition("/")[0] for path, _, _ in changes)
