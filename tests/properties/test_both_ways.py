"""Laws of fields that both sides may change: two systems with habits of their own, two links, any edits in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdc.both_ways import Seen, Take, Ways, is_at_rest, taken, weigh
from cdc.decide import decide
from cdc.decision import Desired, Link, Mirror, Rules

VERSIONS = count(2)
Habit = Callable[[Any], Any]
NAME = "Name"


def _text(change: Callable[[str], str]) -> Habit:
    def kept(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [{name: change(part) for name, part in value[0].items()}]
        return value

    return kept


def _rounded(places: str) -> Habit:
    def kept(value: Any) -> Any:
        return value.quantize(Decimal(places), ROUND_HALF_UP) if isinstance(value, Decimal) else value

    return kept


HABITS: dict[str, Habit] = {
    "as it is": lambda value: value,
    "capitals": _text(str.upper),
    "trims": _text(str.strip),
    "cuts": _text(lambda text: text[:3]),
    "cents": _rounded("0.01"),
    "whole": _rounded("1"),
    "default": lambda value: "none" if value == "bb" else value,
}
plain = st.sampled_from(["a", "bb", " c ", "dddd"])
numbers = st.sampled_from([Decimal(1), Decimal("1.005"), Decimal("2.49"), Decimal("3.333")])
rows = st.fixed_dictionaries({"City": plain, "Phone": plain}).map(lambda row: [row])
kinds = st.sampled_from([plain, numbers, rows])
habits = st.sampled_from(sorted(HABITS)).map(HABITS.__getitem__)
takes: st.SearchStrategy[Take] = st.sampled_from(["source", "target", "newest", "hold"])


@dataclass(repr=False)
class System:
    """A record of one field; whatever is written is kept in the system's own form."""

    habit: Habit
    value: Any
    edited: int = 0
    version: int = 1

    def hold(self, value: Any) -> None:
        self.value = self.habit(value)
        self.version = next(VERSIONS)


@dataclass(repr=False)
class Way:
    """One direction: the source's field as the model says it, the link, the target."""

    source: System
    target: System
    rule: Take
    link: Link = field(default_factory=Link)
    back: Way | None = None
    writes: int = 0

    def start(self) -> None:
        value = self.source.value
        self.link = Link(
            version=1, target_id="t", said={NAME: value}, returned={NAME: self.target.value}, mirror_version=0
        )

    def rules(self) -> Rules:
        return Rules(
            amend="always",
            on_target_change=lambda _name: "overwrite",
            on_both_changed=lambda _name: self.rule,
            newer=lambda _name: "source" if self.source.edited > self.target.edited else "target",
            is_echo=self.is_echo,
            taken_back=lambda name: 0 if self.back is None else taken(self.back.link.two_way.get(name, {})),
            same=_same,
            returned=lambda payload, record: {name: record.get(name) for name in payload},
            frozen=lambda _record: None,
        )

    def is_echo(self, _name: str) -> bool:
        assert self.back is not None
        link = self.back.link
        seen = Seen(
            name=NAME, wanted=None, said=(link.said or {}).get(NAME), held=(link.returned or {}).get(NAME),
            shown=self.back.target.value, state=link.two_way.get(NAME, {}), version=link.version,
        )  # fmt: skip
        return is_at_rest(seen, _same)

    def sync(self) -> bool:
        """One diff, and the write that it asks for. Was anything written?"""
        desired = Desired(payload={NAME: self.source.value}, both_ways=(NAME,))
        mirror = Mirror(version=self.target.version, payload={NAME: self.target.value})
        made = decide(desired, self.link, None, mirror, self.rules())
        self.link = _patched(self.link, made.patch)
        again = decide(desired, self.link, None, mirror, self.rules())
        assert _patched(self.link, again.patch) == self.link, "deciding again changes nothing"
        assert again.entry == made.entry
        if made.entry is None or made.entry.held is not None:
            return False
        self.target.hold(made.entry.payload[NAME])
        self.link = _patched(
            self.link,
            {
                "said": made.entry.payload,
                "returned": {NAME: self.target.value},
                "version": self.link.version + 1,
                "mirror_version": self.target.version,
            },
        )
        self.writes += 1
        return True

    @property
    def conflict(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.link.two_way.get(NAME, {}).get("conflict")
        return found


def _patched(link: Link, patch: Any) -> Link:
    return replace(link, **patch)


def _same(_name: str, sent: object, held: object) -> bool:
    return sent == held


def _pair(value: Any, one: Habit, other: Habit, rule: Take) -> tuple[Way, Way]:
    mirrored: dict[Take, Take] = {"source": "target", "target": "source"}
    left = System(habit=one, value=one(value))
    right = System(habit=other, value=other(left.value))
    forth = Way(source=left, target=right, rule=rule)
    back = Way(source=right, target=left, rule=mirrored.get(rule, rule))
    forth.back, back.back = back, forth
    forth.start()
    back.start()
    return forth, back


def _rest(forth: Way, back: Way) -> int:
    """Until nothing is written any more. How many writes."""
    before = forth.writes + back.writes
    for _ in range(6):
        if not any([forth.sync(), back.sync()]):
            return forth.writes + back.writes - before
    raise AssertionError("it never comes to rest")


@given(data=st.data(), one=habits, other=habits, rule=takes)
def test_an_edit_of_one_side_travels_once_and_never_comes_back(
    data: st.DataObject, one: Habit, other: Habit, rule: Take
) -> None:
    kind = data.draw(kinds)
    if kind is rows:
        one = other = HABITS["as it is"]
    forth, back = _pair(data.draw(kind), one, other, rule)
    for _ in range(3):
        side, goes, comes = data.draw(
            st.sampled_from([(forth.source, forth, back), (back.source, back, forth)])
        )
        side.hold(data.draw(kind))
        said, came = side.value, comes.writes

        writes = _rest(forth, back)

        assert (side.value, comes.writes) == (said, came), "our own write comes back in another form"
        assert writes <= 1
        assert goes.conflict is None
        assert comes.conflict is None
        if writes:
            assert goes.target.habit(goes.target.value) == goes.target.habit(said)


@given(data=st.data(), one=habits, other=habits, rule=takes)
def test_any_edits_on_both_sides_come_to_rest_and_nobodys_edit_is_lost_unseen(
    data: st.DataObject, one: Habit, other: Habit, rule: Take
) -> None:
    kind = data.draw(kinds)
    forth, back = _pair(data.draw(kind), one, other, rule)
    for moment in range(1, 5):
        before = (forth.source.value, back.source.value)
        waits = forth.conflict is not None
        for side in data.draw(
            st.sets(st.sampled_from([0, 1]), min_size=1).map(sorted), label="sides that are edited"
        ):
            way = (forth, back)[side]
            way.source.hold(data.draw(kind))
            way.source.edited = 2 * moment + side
        edited = (forth.source.value, back.source.value)

        _rest(forth, back)

        if kind is rows:
            continue
        now = (forth.source.value, back.source.value)
        both = all(after != then for after, then in zip(edited, before, strict=True))
        if both and edited[0] != edited[1] and rule == "hold" and not waits:
            assert now == edited, "what waits for a person stays as it is on both sides"
            assert forth.conflict is not None
            assert back.conflict is not None
        elif both and edited[0] != edited[1] and rule in ("source", "target") and not waits:
            assert now[0 if rule == "source" else 1] == edited[0 if rule == "source" else 1]
        elif edited[0] == edited[1]:
            assert now == edited


@given(data=st.data(), rule=takes)
def test_of_an_address_only_a_field_that_both_changed_differently_is_a_conflict(
    data: st.DataObject, rule: Take
) -> None:
    keep: Habit = HABITS["as it is"]
    forth, back = _pair([{"City": "Hull", "Phone": "1"}], keep, keep, rule)
    city, phone = data.draw(plain, label="city in the source"), data.draw(plain, label="phone in the target")
    forth.source.hold([{"City": city, "Phone": "1"}])
    back.source.hold([{"City": "Hull", "Phone": phone}])

    _rest(forth, back)

    assert forth.conflict is None
    assert forth.source.value == back.source.value == [{"City": city, "Phone": phone}]


def test_a_value_that_others_set_back_again_and_again_waits_for_a_person() -> None:
    keep: Habit = HABITS["as it is"]
    forth, back = _pair("a", keep, keep, "source")
    for _ in range(3):
        forth.source.hold("b")
        _rest(forth, back)
        forth.target.hold("a")
        _rest(forth, back)
    writes = forth.writes + back.writes
    forth.source.hold("b")

    _rest(forth, back)

    assert forth.writes + back.writes == writes
    conflict = forth.conflict or back.conflict
    assert conflict is not None
    assert (conflict["is_fight"], {conflict["source"], conflict["target"]}) == (True, {"a", "b"})


def test_a_fight_over_a_field_that_its_owner_sets_back_waits_and_ends_when_one_side_gives_way() -> None:
    def look(link: Link, shown: str, version: int) -> tuple[Link, bool]:
        rules = Rules(
            amend="always", on_target_change=lambda _name: "overwrite", same=_same,
            returned=lambda payload, record: {name: record.get(name) for name in payload},
            frozen=lambda _record: None,
        )  # fmt: skip
        made = decide(
            Desired(payload={NAME: "ours"}),
            link,
            None,
            Mirror(version=version, payload={NAME: shown}),
            rules,
        )
        after = _patched(link, made.patch)
        if made.entry is None:
            return after, False
        sent = {"said": {NAME: "ours"}, "returned": {NAME: "ours"}, "version": link.version + 1}
        return _patched(after, sent), True

    link = Link(version=1, target_id="t", said={NAME: "ours"}, returned={NAME: "ours"}, mirror_version=0)

    link, first = look(link, "theirs", 1)
    link, second = look(link, "theirs", 2)
    link, third = look(link, "theirs", 3)
    waits = dict(link.two_way)
    link, ended = look(link, "ours", 4)

    assert (first, second, third, ended) == (True, False, False, False)
    assert waits[NAME]["conflict"]["rule"] == "overwrite"
    assert link.two_way == {}


@given(data=st.data(), rule=takes)
def test_weighing_again_after_storing_the_result_changes_nothing(data: st.DataObject, rule: Take) -> None:
    kind = data.draw(kinds)
    draw = lambda: data.draw(kind)  # noqa: E731
    seen = Seen(
        name=NAME, wanted=draw(), said=draw(), held=draw(), shown=draw(), version=3,
        state=data.draw(st.just({}) | st.builds(lambda value: {"source": value}, kind)),
    )  # fmt: skip
    ways = Ways(same=_same, rule=lambda _name: rule, newer=lambda _name: "source")

    once = weigh(seen, ways)
    again = weigh(
        Seen(
            name=NAME, wanted=seen.wanted, said=once.said, held=once.held, shown=seen.shown, version=3,
            state=once.state,
        ),
        ways,
    )  # fmt: skip

    assert again == once
