"""The entry that a decision wants: its payload and hash, why a person must look, and whether it is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cdc.corrections import CAUSE, Correction
from cdc.decision import (
    COUNTING,
    GUARD_CURE,
    MISSING_REFERENCE,
    Decision,
    Desired,
    Held,
    Link,
    Open,
    Rules,
    Wanted,
)
from cdc.links import after, merged, references, with_path
from cdc.writing import Operation
from tieout.db import canonical_hash

NUMBER_USED_AGAIN = "source number used again"


def effective(desired: Desired, link: Link) -> dict[str, Any]:
    """The row's payload with the kept choice of `_if_taken`, what we yielded to the target, and what people edited."""
    payload = dict(desired.payload)
    if link.if_taken and desired.if_taken:
        payload |= desired.if_taken
    for path, value in link.yielded.items():
        payload = with_path(payload, path, value)
    return with_overrides(payload, link)


def with_overrides(payload: dict[str, Any], link: Link) -> dict[str, Any]:
    """The payload as people edited it."""
    for path, override in link.overrides.items():
        payload = with_path(payload, path, override["value"])
    return payload


def fingerprint(operation: str, payload: Mapping[str, Any], control: Mapping[str, Any]) -> str:
    """The hash that approvals, rejections and refusals are bound to."""
    total, other = control.get("total"), control.get("if_taken")
    return canonical_hash(
        {
            "remove": operation == "remove",
            "payload": payload,
            "total": None if total is None else Decimal(total),
            # A name that was refused may be tried again once there is another to fall back on.
            **({"if_taken": other} if other else {}),
        }
    )


def entry_for(
    operation: Operation, desired: Desired, payload: dict[str, Any], fields: tuple[str, ...] | None
) -> Wanted:
    named: dict[str, Any] = {
        "total": None if desired.total is None else str(desired.total),
        "if_taken": desired.if_taken or None,
        "expect": desired.expect or None,
        "_problems": list(desired.problems) or None,
    }
    control = {name: value for name, value in named.items() if value is not None}
    return Wanted(
        operation=operation,
        payload=payload,
        payload_hash=fingerprint(operation, payload, control),
        fields=fields,
        control=control,
        waits_for=merged(references(payload), after(desired.after)),
    )


def with_expectation(wanted: Wanted, desired: Desired, link: Link) -> Wanted:
    """What both sides may change is written only while the target still shows what it was compared with."""
    returned, fields = link.returned or {}, set(wanted.fields or ()) & set(desired.both_ways)
    seen = {
        name: returned[name] for name in sorted(fields) if isinstance(returned.get(name), str | int | Decimal)
    }
    if not seen:
        return wanted
    return replace(wanted, control={**wanted.control, "expect": {**(desired.expect or {}), **seen}})


def with_missing_lines(desired: Desired, payload: Mapping[str, Any], rules: Rules) -> Desired:
    missing = [name for name in rules.line_fields if not payload.get(name)]
    if not missing:
        return desired
    problem = {
        "field": missing[0],
        "reason": f"the document has no {missing[0]}",
        "cure": "look at the child model: absent lines are never sent as none",
        "who": "analyst",
        "cause": "document without lines",
    }
    return replace(desired, problems=(problem,))


def asks_a_person(desired: Desired, link: Link) -> Held | None:
    if desired.moved_from is not None:
        return Held(
            held_for="moved",
            cause="the row names another target",
            reason=f"The record is linked in {desired.moved_from}; a linked key never changes its target.",
            cure="Correct the route, or give the new target rows of their own key.",
            who="analyst",
        )
    if link.identity and desired.identity and link.identity != desired.identity:
        return Held(
            held_for="hold",
            cause=NUMBER_USED_AGAIN,
            reason=f"The source's record is another one: {_changes(link.identity, desired.identity)}.",
            cure="Find out whether the source was restored; approve only if it is the same sale.",
            who="shop",
        )
    if desired.hold is not None:
        return Held(
            held_for="hold",
            cause=desired.hold,
            reason=desired.hold,
            cure="Approve or refuse.",
            who="accountant",
        )
    return None


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return ", ".join(f"{name} was {before.get(name)}, is {now.get(name)}" for name in names)


def approved(wanted: Wanted, link: Link) -> Wanted:
    """A person's yes lets exactly its payload through; never bad data, and never what others changed since.

    The payload of a disputed record is the one that was approved when it was made: a yes to writing ours again is known by the
    link, which then says that the target's values were seen.
    """
    if link.approved_hash != wanted.payload_hash or (
        wanted.held is not None and wanted.held.held_for in ("problems", "target changed")
    ):
        return wanted
    return replace(wanted, held=None, is_approved=True)


def settle_on(
    wanted: Wanted, link: Link, opened: Open | None, patch: Mapping[str, Any] | None = None
) -> Decision:
    """The last step: what was declined or rejected before stays so; an entry that is right already is kept."""
    patch = patch or {}
    if link.declined_hash == wanted.payload_hash:
        return Decision(verb="drop", why="declined by a person", patch=patch)
    is_problem = wanted.held is not None and wanted.held.held_for == "problems"
    if link.rejected_hash == wanted.payload_hash and not is_problem:
        return Decision(verb="keep", why="rejected before; nothing it depends on has changed", patch=patch)
    if opened is not None and _is_same(wanted, link, opened):
        return Decision(verb="keep", why="an entry says so already", patch=patch)
    return Decision(verb="put", entry=_guarded(wanted, opened), patch=patch)


def _is_same(wanted: Wanted, link: Link, opened: Open) -> bool:
    if (
        opened.operation != wanted.operation
        or opened.payload_hash != wanted.payload_hash
        or opened.fields != wanted.fields
        or opened.link_version != link.version
        or canonical_hash(dict(opened.control)) != canonical_hash(wanted.control)
    ):
        return False
    if wanted.held is None:
        return opened.state in ("waiting", "ready") or (not wanted.is_approved and _waits_for_guard(opened))
    return opened.held_for == wanted.held.held_for and opened.reason == wanted.held.reason


def _waits_for_guard(opened: Open) -> bool:
    return opened.held_for == "guard" or (opened.held_for == "problems" and opened.cause == MISSING_REFERENCE)


def _guarded(wanted: Wanted, opened: Open | None) -> Wanted:
    """What the guard held stays held when its content changes: approval and release do not pass to a new payload."""
    if wanted.held is not None or wanted.is_approved or opened is None:
        return wanted
    if opened.held_for != "guard" or opened.cause == COUNTING:
        return wanted
    held = Held(
        held_for="guard",
        cause=opened.cause or "",
        reason=opened.reason or "",
        cure=GUARD_CURE,
        who="operator",
    )
    return replace(wanted, held=held)


def correction_for(
    correction: Correction, document: Wanted, fields: tuple[str, ...], drift_hash: str, version: int | None
) -> Wanted:
    """The held entry that proposes a correction: all its parts, under one hash. `version`: the target's document was so."""
    proposed = _proposed(correction, document, drift_hash, version)
    return Wanted(
        operation="update",
        payload=document.payload,
        payload_hash=_proposed_hash(proposed),
        fields=tuple(sorted({*fields, *correction.overrides})),
        control={"correction": proposed},
        waits_for=(),
        held=Held(
            held_for="frozen",
            cause=CAUSE,
            reason=f"It may no longer change. Approving corrects it: {correction.sentence}.",
            cure="Look at `tieout plan` with its key, then approve, or refuse; accept it as is if the target is right.",
            who="accountant",
        ),
    )


def reversal_for(correction: Correction, removal: Wanted, held: Held, version: int | None) -> Wanted:
    """The held removal of a settled document, which only its reversal takes out of the books."""
    proposed = _proposed(correction, None, removal.payload_hash, version)
    return replace(
        removal,
        payload_hash=_proposed_hash(proposed),
        control={**removal.control, "correction": proposed},
        waits_for=(),
        held=replace(
            held,
            reason=f"{held.reason} Approving reverses it: {correction.sentence}.",
            cure="Look at `tieout plan` with its key, then approve, or refuse; accept it as is if the target is right.",
        ),
    )


def _proposed(
    correction: Correction, document: Wanted | None, drift_hash: str, version: int | None
) -> dict[str, Any]:
    parts = [
        {
            **part.to_json(),
            "payload_hash": fingerprint("create", part.payload, {"total": str(part.total)}),
        }
        for part in correction.parts
    ]
    proposed: dict[str, Any] = {
        "number": correction.number,
        "day": correction.day,
        "replaced": correction.replaced,
        "overrides": dict(correction.overrides),
        "parts": parts,
        # Both are approved together; the new document follows once the old one is reversed.
        "waits_for": [
            {"entity": part.entity, "key": part.key, "settled": True} for part in correction.parts[:1]
        ],
        "drift_hash": drift_hash,
        "target_version": version,
    }
    if document is not None:
        proposed["document"] = {
            "payload": document.payload,
            "payload_hash": document.payload_hash,
            "control": document.control,
        }
    return proposed


def _proposed_hash(proposed: Mapping[str, Any]) -> str:
    """Of all that would be posted; not of what it was compared with."""
    return canonical_hash(
        {name: value for name, value in proposed.items() if name not in ("drift_hash", "target_version")}
    )
