"""The fields of one record that both sides may change, or that are fought over: what the decision does about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cdc.both_ways import Seen, Ways, Weighed, as_conflict, fight, weigh
from cdc.decision import Desired, Link, Mirror, Rules
from cdc.links import LINE, with_path
from cdc.target_change import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """The payload and the link with these fields settled; `patch` is what of it is to be stored."""

    payload: dict[str, Any]
    link: Link
    patch: Mapping[str, Any]


def meet(desired: Desired, payload: dict[str, Any], link: Link, mirror: Mirror | None, rules: Rules) -> Met:
    """Compare agreed, source and target of every field that both sides send, and of those that wait for a person."""
    waiting = {name for name, state in link.two_way.items() if "conflict" in state}
    names = sorted((set(desired.both_ways) | waiting) & payload.keys())
    if link.said is None or (not names and not link.two_way):
        return Met(payload=payload, link=link, patch={})
    said = dict(link.said)
    payload, link, given_up = _without_yield(desired, payload, link)
    stale = {name for name in link.two_way if name not in payload}
    if link.returned is None or mirror is None or mirror.is_deleted:
        # The target's values are not known at the moment: what was agreed to say instead of the source's still holds.
        return Met(payload=_as_agreed(payload, link, names), link=link, patch=given_up)
    returned, two_way = dict(link.returned), dict(link.two_way)
    for name in stale:
        two_way.pop(name)
    number = mirror.version
    shown = rules.returned({name: payload[name] for name in names}, mirror.payload)
    for name in names:
        weighed = weigh(
            _seen(name, payload, link, shown, number, is_shared=name in desired.both_ways), _ways(rules)
        )
        payload = with_path(payload, name, weighed.value)
        _store(name, weighed, said, returned, two_way)
    return _changed(payload, link, said, returned, two_way, given_up)


def stop_fights(payload: dict[str, Any], link: Link, judged: Judged, rules: Rules) -> tuple[Met, Judged]:
    """Fields that their owner sets back and others change again and again wait for a person instead."""
    said, returned, two_way = dict(link.said or {}), dict(link.returned or {}), dict(link.two_way)
    calm: set[str] = set()
    for name in sorted(judged.overwrite):
        value = payload.get(name)
        if value is None or _has_lines(value) or rules.amend != "always":
            continue
        seen = _seen(name, payload, link, judged.now, 0, is_shared=False)
        two_way[name], is_fight = fight(seen, value)
        if is_fight:
            weighed = as_conflict(seen, rules.on_target_change(name), two_way[name]["turns"])
            payload = with_path(payload, name, weighed.value)
            _store(name, weighed, said, returned, two_way)
            calm.add(name)
    met = _changed(payload, link, said, returned, two_way, {})
    return met, replace(judged, overwrite=judged.overwrite - calm) if calm else judged


def _without_yield(
    desired: Desired, payload: dict[str, Any], link: Link
) -> tuple[dict[str, Any], Link, dict[str, Any]]:
    """What was left to the target when it was linked is shared from now on, until one side changes it."""
    taken_over = [name for name in desired.both_ways if name in link.yielded and name in desired.payload]
    if not taken_over:
        return payload, link, {}
    two_way = dict(link.two_way)
    for name in taken_over:
        two_way[name] = {"source": desired.payload[name]}
        if name not in link.overrides:
            payload = {**payload, name: desired.payload[name]}
    yielded = {name: value for name, value in link.yielded.items() if name not in taken_over}
    return (
        payload,
        replace(link, yielded=yielded, two_way=two_way),
        {"yielded": yielded, "two_way": two_way},
    )


def _as_agreed(payload: dict[str, Any], link: Link, names: list[str]) -> dict[str, Any]:
    for name in names:
        state, said = link.two_way.get(name, {}), (link.said or {}).get(name)
        if "conflict" in state or state.get("source") == payload[name]:
            payload = {**payload, name: state.get("value", said)}
    return payload


def _seen(
    name: str,
    payload: Mapping[str, Any],
    link: Link,
    shown: Mapping[str, Any],
    number: int,
    *,
    is_shared: bool,
) -> Seen:
    return Seen(
        name=name,
        wanted=payload[name],
        said=(link.said or {}).get(name),
        held=(link.returned or {}).get(name),
        shown=shown.get(name),
        state=link.two_way.get(name, {}),
        version=link.version,
        number=number,
        is_shared=is_shared,
    )


def _ways(rules: Rules) -> Ways:
    return Ways(
        same=rules.same,
        rule=rules.on_both_changed,
        newer=rules.newer,
        is_echo=rules.is_echo,
        taken_back=rules.taken_back,
        agreed_there=rules.agreed_there,
    )


def _store(
    name: str,
    weighed: Weighed,
    said: dict[str, Any],
    returned: dict[str, Any],
    two_way: dict[str, Any],
) -> None:
    if weighed.said is not None:
        said[name] = weighed.said
    returned[name] = weighed.held
    two_way.pop(name, None)
    if weighed.state:
        two_way[name] = weighed.state


def _changed(
    payload: dict[str, Any],
    link: Link,
    said: dict[str, Any],
    returned: dict[str, Any],
    two_way: dict[str, Any],
    before: Mapping[str, Any],
) -> Met:
    patch: dict[str, Any] = dict(before)
    known = {"said": link.said, "returned": link.returned, "two_way": link.two_way}
    now = {"said": said, "returned": returned, "two_way": two_way}
    patch |= {name: value for name, value in now.items() if value != known[name]}
    return Met(
        payload=payload, link=replace(link, said=said, returned=returned, two_way=two_way), patch=patch
    )


def _has_lines(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, Mapping) and LINE in row for row in value)
