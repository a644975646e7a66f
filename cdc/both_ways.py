"""Fields that both sides may change: agreed, source and target compared three ways, field by field.

Pure functions. For each such field the link keeps what was agreed (`said`, and `returned` in the target's form) and, in
`two_way`, what else must be remembered: `source`, what the source said when something else than that was agreed; `value`,
what the target is to be told in its stead; `number`, the version of the target's record whose value was taken, until the
source shows it too; `conflict`, three values that wait for a person; `turns`, who moved it when.

Only the source moved: its value travels. Only the target moved: that is agreed, and travels by the model of the other
direction. Both moved to the same: agreed. Both moved differently: the rule decides, or the field alone waits while the
others travel. A list of one row (an address) is compared by the fields of that row. An empty field empties nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Take = Literal["source", "target", "newest", "hold"]
Side = Literal["source", "target"]
State = Mapping[str, Any]

WINDOW = 12
"""Settlements and decisions on a key within which a value that returns twice is a fight and not a change of mind."""
TURNS = 4
BOTH_CHANGED = "both sides changed"
TO_AND_FRO = "goes to and fro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What the model, people and the writer say about fields; all functions are pure."""

    same: Callable[[str, object, object], bool]
    rule: Callable[[str], Take]
    newer: Callable[[str], Side | None] = lambda _name: None
    """Which side changed it last; None: nobody can tell."""
    is_echo: Callable[[str], bool] = lambda _name: False
    """Is what the source says now merely how it shows what we wrote to it?"""
    taken_back: Callable[[str], int] = lambda _name: 0
    """The number under which the other direction took what this one is to bring; 0: it waits for nothing."""
    agreed_there: Callable[[str], Any] = lambda _name: None
    """What the other direction agreed on, where this one never said anything yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One field: what is wanted of it, what was agreed, and what the target shows."""

    name: str
    wanted: Any
    said: Any
    held: Any
    """As the target gave it back when it was agreed."""
    shown: Any
    """As the target shows it now."""
    state: State
    version: int
    """Of the link."""
    number: int = 0
    """Version of the target's record: all records share one sequence."""
    is_shared: bool = True
    """False: its owner alone sends it; only a fight over it is a matter of this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What to tell the target (None: not ours to say), what is agreed, and what to remember."""

    value: Any
    said: Any
    held: Any
    state: dict[str, Any]


def weigh(seen: Seen, ways: Ways) -> Weighed:
    """What becomes of one field that both sides may change. Doing it again after storing the result changes nothing."""
    conflict = seen.state.get("conflict")
    if conflict is not None and conflict.get("is_fight"):
        if seen.wanted == conflict["source"] and ways.same(seen.name, conflict["target"], seen.shown):
            return Weighed(value=_left(seen), said=_left(seen), held=seen.shown, state=dict(seen.state))
        return _plainly(_reopened(seen, conflict, turns=False), ways)
    return _plainly(_reopened(seen, conflict, turns=True) if conflict is not None else seen, ways)


def fight(seen: Seen, value: Any) -> tuple[dict[str, Any], bool]:
    """The turns of a field that its owner overwrites: `value` ours, `seen.shown` theirs. And whether that is a fight."""
    turns = _turned(seen.state.get("turns", ()), "target", _plain(seen.shown), seen.version)
    turns = _turned(turns, "source", value, seen.version)
    return {**seen.state, "turns": turns}, _goes_to_and_fro(turns)


def as_conflict(seen: Seen, rule: str, turns: Collection[State] = ()) -> Weighed:
    """The field waits for a person, with its three values; the target keeps what it has."""
    ours, theirs = _merged(seen, "source"), _merged(seen, "target")
    conflict = {
        "why": TO_AND_FRO if turns else BOTH_CHANGED,
        "is_fight": bool(turns),
        "is_shared": seen.is_shared,
        "rule": rule,
        "agreed": seen.said,
        "before": seen.held,
        "base": seen.state.get("source", seen.said),
        "source": seen.wanted,
        "target": _plain(seen.shown),
        "ours": ours,
        "theirs": theirs,
    }
    state: dict[str, Any] = {"conflict": conflict}
    if turns:
        state["turns"] = list(turns)
    return Weighed(value=_left(seen), said=_left(seen), held=seen.shown, state=state)


def is_at_rest(seen: Seen, same: Callable[[str, object, object], bool]) -> bool:
    """Does the record show just what it gave back when we wrote the field, and did we write it (not take it over)?

    Asked of the field in the other direction: then what it shows is the form that its system gave to our own value.
    """
    return (
        seen.said is not None
        and "source" not in seen.state
        and "conflict" not in seen.state
        and same(seen.name, seen.held, seen.shown)
    )


def taken(state: State) -> int:
    """The number under which the target's value was taken that the source does not show yet; 0: none is awaited."""
    return int(state.get("number", 0)) if "source" in state else 0


def is_empty(value: object) -> bool:
    """Nothing that could be taken over."""
    if isinstance(value, Mapping):
        return all(is_empty(part) for part in value.values())
    if isinstance(value, list):
        return all(is_empty(part) for part in value)
    return value is None or value == ""


def _plainly(seen: Seen, ways: Ways) -> Weighed:
    name, wanted, agreed = seen.name, seen.wanted, seen.said
    if agreed is None:
        return _first(seen, ways)
    base = seen.state.get("source", agreed)
    kept = seen.state.get("value", agreed)
    if kept == agreed and 0 < taken(seen.state) < ways.taken_back(name):
        # Each side waits for the other: the source was set back by hand after it had been told the target's value.
        base = agreed
    target_moved = not ways.same(name, seen.held, seen.shown)
    is_echo = wanted != base and (target_moved or taken(seen.state)) and ways.is_echo(name)
    source_moved = wanted != base and not is_echo
    theirs = _plain(seen.shown)
    if target_moved and is_empty(theirs):
        # Somebody emptied it there: what the source says next is told again, nothing is emptied here.
        target_moved = False
    if not source_moved and not target_moved:
        return _kept(seen, kept, agreed, wanted, number=0 if is_echo else taken(seen.state))
    if source_moved and not target_moved:
        value = _by_field(base, wanted, kept)
        return _breaking(seen, ways, value, agreed)
    if not source_moved:
        return _breaking(seen, ways, theirs, theirs, moved=True, number=0 if is_echo else seen.number)
    if ways.same(name, wanted, seen.shown):
        return Weighed(value=wanted, said=wanted, held=seen.shown, state={})
    rule: Take | Side = ways.rule(name)
    if _clashes(seen) and rule == "newest":
        rule = ways.newer(name) or "hold"
    if _clashes(seen) and rule == "hold":
        return as_conflict(seen, ways.rule(name))
    value = _merged(seen, "source" if rule == "source" else "target")
    return _breaking(seen, ways, value, theirs, moved=True, number=seen.number)


def _first(seen: Seen, ways: Ways) -> Weighed:
    """Nothing was ever agreed on it: what differs stays as each side has it, until one of them changes it."""
    theirs = _plain(seen.shown)
    if is_empty(theirs):
        return Weighed(value=seen.wanted, said=None, held=seen.shown, state={})
    if ways.same(seen.name, seen.wanted, seen.shown):
        return Weighed(value=seen.wanted, said=seen.wanted, held=seen.shown, state={})
    if ways.agreed_there(seen.name) == theirs:
        # The target shows what it told the other side: only the source has moved since.
        return Weighed(value=seen.wanted, said=theirs, held=seen.shown, state={})
    return Weighed(value=theirs, said=theirs, held=seen.shown, state={"source": seen.wanted})


def _kept(seen: Seen, value: Any, agreed: Any, source: Any, number: int) -> Weighed:
    state = {name: kept for name, kept in seen.state.items() if name == "turns"}
    if source != value:
        state["source"] = source
        if number:
            state["number"] = number
        if value != agreed:
            state["value"] = value
    return Weighed(value=value, said=agreed, held=seen.shown, state=state)


def _breaking(
    seen: Seen, ways: Ways, value: Any, agreed: Any, *, moved: bool = False, number: int = 0
) -> Weighed:
    """The value, unless it goes to and fro: then it waits, with the rules that fight named by the conflict."""
    turns = list(seen.state.get("turns", ()))
    if moved:
        turns = _turned(turns, "target", _plain(seen.shown), seen.version)
    if turns and not ways.same(seen.name, value, seen.shown):
        turns = _turned(turns, "source", value, seen.version)
    if _goes_to_and_fro(turns):
        return as_conflict(seen, ways.rule(seen.name), turns)
    weighed = _kept(seen, value, agreed, seen.wanted, number)
    state = {name: kept for name, kept in weighed.state.items() if name != "turns"}
    return Weighed(
        value=value, said=agreed, held=seen.shown, state={**state, "turns": turns} if turns else state
    )


def _turned(turns: Collection[State], by: Side, value: Any, version: int) -> list[State]:
    """The turns with one more, unless it is known; no more than are needed to see a fight."""
    turn = {"by": by, "value": value, "at": version}
    return list(turns) if turn in turns else [*turns, turn][-TURNS:]


def _goes_to_and_fro(turns: Collection[State]) -> bool:
    """A, B, A, B, moved by both sides within the window."""
    some = list(turns)
    if len(some) < TURNS:
        return False
    one, other, again, once_more = (turn["value"] for turn in some)
    return (
        one == again
        and other == once_more
        and one != other
        and len({turn["by"] for turn in some}) > 1
        and some[-1]["at"] - some[0]["at"] <= WINDOW
    )


def _reopened(seen: Seen, conflict: State, *, turns: bool) -> Seen:
    """The field as it was before the conflict: a side that moved since may have ended it."""
    state = {"source": conflict["base"]} if conflict["base"] != conflict["agreed"] else {}
    if turns and "turns" in seen.state:
        state["turns"] = seen.state["turns"]
    return Seen(
        name=seen.name, wanted=seen.wanted, said=conflict["agreed"], held=conflict["before"], shown=seen.shown,
        state=state, version=seen.version, number=seen.number, is_shared=seen.is_shared,
    )  # fmt: skip


def _left(seen: Seen) -> Any:
    """What leaves the target as it is."""
    return seen.said if is_empty(seen.shown) else _plain(seen.shown)


def _clashes(seen: Seen) -> bool:
    return bool(_merged(seen, "source") != _merged(seen, "target"))


def _merged(seen: Seen, prefer: Side) -> Any:
    """Both sides' changes in one value; where they clash, that of one side."""
    base, shown = seen.state.get("source", seen.said), _plain(seen.shown)
    if prefer == "source":
        return _by_field(base, seen.wanted, shown)
    return _by_field(_plain(seen.held), shown, _by_field(base, seen.wanted, shown))


def _by_field(before: Any, after: Any, other: Any) -> Any:
    """What changed from `before` to `after`, on top of `other`: of a row field by field, else the value itself."""
    old, new, onto = _row(before), _row(after), _row(other)
    if old is None or new is None or onto is None:
        return after
    row = {
        name: value
        for name in {**onto, **new}
        if (value := new.get(name) if new.get(name) != old.get(name) else onto.get(name)) is not None
    }
    return [row] if isinstance(after, list) else row


def _row(value: Any) -> Mapping[str, Any] | None:
    """A row, or the one row of a list; values of several rows or none are compared whole."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, Mapping) else None


def _plain(value: Any) -> Any:
    """The target's form without what it shows as empty, as a model would say it."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items() if not is_empty(part)}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value
