"""One record for one row: which of the pairs that look right are proposed, and which are only shown. Pure.

The best pair is settled first and takes both its ends out. A pair is chosen when it is sure enough and nothing else comes
near it: another record for the row, or another row for the record, that has no better place itself. What comes near is
shown as unsure, never chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

SURE = Decimal("0.80")
MARGIN = Decimal("0.05")
BETTER = Decimal("0.02")
SHOWN = 5
"""Most unsure pairs that are shown for one row."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pair:
    """A row of ours and a record of the target that may be one."""

    score: Decimal
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What becomes of pairs; in the order of their score."""

    chosen: tuple[Pair, ...]
    unsure: tuple[Pair, ...]


def assign(pairs: Iterable[Pair], *, sure: Decimal = SURE) -> Assigned:
    """Choose one to one; every pair with a free row and a free record that is not chosen is unsure."""
    ordered = sorted(pairs, key=lambda pair: (-pair.score, pair.ours, pair.theirs))
    by_ours, by_theirs = _index(ordered)
    taken: tuple[set[str], set[str]] = (set(), set())
    chosen: list[Pair] = []
    disputed: set[str] = set()
    for pair in ordered:
        if pair.score < sure:
            break
        if pair.ours in taken[0] or pair.theirs in taken[1] or pair.ours in disputed:
            continue
        rivals = _rivals(pair, by_ours, by_theirs, taken)
        if rivals:
            disputed |= {pair.ours, *(rival.ours for rival in rivals)}
            continue
        chosen.append(pair)
        taken[0].add(pair.ours)
        taken[1].add(pair.theirs)
    shown: dict[str, int] = defaultdict(int)
    unsure = []
    for pair in ordered:
        if pair.ours in taken[0] or pair.theirs in taken[1] or shown[pair.ours] >= SHOWN:
            continue
        shown[pair.ours] += 1
        unsure.append(pair)
    return Assigned(chosen=tuple(chosen), unsure=tuple(unsure))


def best(pairs: Iterable[Pair]) -> dict[str, str]:
    """The best one-to-one assignment there is, ours to theirs: for a comparison, in which a tie does no harm."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for pair in sorted(pairs, key=lambda pair: (-pair.score, pair.ours, pair.theirs)):
        if pair.ours not in found and pair.theirs not in used:
            found[pair.ours] = pair.theirs
            used.add(pair.theirs)
    return found


def _index(pairs: Iterable[Pair]) -> tuple[Mapping[str, list[Pair]], Mapping[str, list[Pair]]]:
    by_ours: dict[str, list[Pair]] = defaultdict(list)
    by_theirs: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_ours[pair.ours].append(pair)
        by_theirs[pair.theirs].append(pair)
    return by_ours, by_theirs


def _rivals(
    pair: Pair,
    by_ours: Mapping[str, list[Pair]],
    by_theirs: Mapping[str, list[Pair]],
    taken: tuple[set[str], set[str]],
) -> list[Pair]:
    """Pairs that come near it and whose other end has no better place."""
    near = [
        *(
            (other, by_theirs[other.theirs], 0)
            for other in by_ours[pair.ours]
            if other.theirs != pair.theirs and other.theirs not in taken[1]
        ),
        *(
            (other, by_ours[other.ours], 1)
            for other in by_theirs[pair.theirs]
            if other.ours != pair.ours and other.ours not in taken[0]
        ),
    ]
    return [
        other
        for other, elsewhere, side in near
        if other.score > pair.score - MARGIN
        and not any(
            place.score >= other.score + BETTER
            for place in elsewhere
            if place is not other
            and (place.ours not in taken[0] if side == 0 else place.theirs not in taken[1])
        )
    ]
