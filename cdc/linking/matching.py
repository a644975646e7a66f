"""What a system's linking module says about each of its entities, and how it is found.

`cdc/linking/<system>.py` has MATCHERS: one line an entity that people may link. A system or an entity without one is never
proposed for, and its first drain needs nobody's look.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from cdc.linking.faces import Face

Record = dict[str, Any]

BEFORE_CUT_OVER = "before cut-over"
"""The one reason of `_skip` whose rows may be linked: they are never sent, but what follows may refer to them."""


class Known(Protocol):
    """What is known about records that a row refers to, by links and by what this run has chosen."""

    def target_of(self, entity: str, key: str) -> str | None:
        """The target's id."""

    def name_of(self, entity: str, key: str) -> str | None:
        """What it is called on our side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRow:
    """A row of an outbound model that has no record in its target."""

    model: str
    connection: str
    key: str
    source_connection: str
    source_id: str
    skip: str | None
    total: Decimal | None
    currency: str | None
    day: date | None
    payload: Record
    """As the diff would send it, references as keys."""
    control: Record
    """`_if_taken` and the like."""
    target_id: str | None = None
    """The record that it is linked with."""
    origins: tuple[str, ...] = ()
    """Keys of this target's own records that the source's record was made from, in the other direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """How records of one entity are recognised."""

    entity: str
    stream: str
    """The stream whose staging table shows the target's records."""
    needs: tuple[str, ...]
    """Top-level fields of a record that `theirs` reads."""
    ours: Callable[[OurRow, Known], Face]
    theirs: Callable[[str, Record], Iterable[Face]]
    """The faces that a staging row shows: none for what is no candidate (voided, of another type)."""
    held: Callable[[OurRow, Record, frozenset[str]], frozenset[str]]
    """Of the fields that differ those about which a person must decide (money, tax, date, contact); the target keeps the
    others as they are."""
    origin: str | None = None
    """The entity that a source of these rows calls them, where the target may have been its source before."""
    pick: Callable[[Record, str], Record | None] = lambda record, _target_id: record
    """The record itself, where the staging row only contains it."""
    line_ids: Callable[[OurRow, Record], dict[str, str]] = lambda _row, _record: {}
    """Our `_line` to the target's line id, where the record shows our lines one to one."""


def matchers(system: str) -> Mapping[str, Matcher]:
    """The matchers of a system by entity; none for a system that has no linking module."""
    name = f"cdc.linking.{system}"
    if importlib.util.find_spec(name) is None:
        return {}
    found: tuple[Matcher, ...] = importlib.import_module(name).MATCHERS
    return {matcher.entity: matcher for matcher in found}
