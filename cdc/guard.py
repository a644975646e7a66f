"""No flood: when a diff makes more entries than its limits allow, or a model is new or changed, a person looks first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tieout.settings import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Operations of one model that are held, and why."""

    operations: tuple[str, ...]
    cause: str
    reason: str


def stops(counts: Mapping[str, int], limits: Limits, *, is_new: bool, is_changed: bool) -> tuple[Stop, ...]:
    """Which operations of a model are held, by how many entries of each its diff made.

    A new model is held whole. A changed one holds what it does to documents that are in the target already; what it
    creates passes, so that a cured lookup delivers by itself. Beyond a limit all entries of that operation are held.
    """
    made = {operation for operation, count in counts.items() if count}
    if not made:
        return ()
    if is_new:
        reason = "No entry of this model was ever approved."
        return (Stop(operations=tuple(sorted(made)), cause="first run of a new model", reason=reason),)
    found: list[Stop] = []
    if is_changed and (touching := tuple(sorted(made & {"update", "remove"}))):
        reason = (
            "The model or a lookup was changed, and this would change records that are in the target already."
        )
        found.append(Stop(operations=touching, cause="changed model", reason=reason))
    held = {operation for stop in found for operation in stop.operations}
    for operation, setting in (("create", "creates"), ("update", "updates"), ("remove", "removals")):
        limit: int = getattr(limits, setting)
        count = counts.get(operation, 0)
        if count > limit and operation not in held:
            reason = f"The diff made {count} entries of this kind; the limit ({setting}) is {limit}."
            found.append(Stop(operations=(operation,), cause=f"over the limit of {setting}", reason=reason))
    return tuple(found)
