"""What to do about one key: a pure function of the model's row, the link, the open entry and the target's record.

In this order: an entry on its way is left alone (its settlement puts the key back); a row that vanished, is skipped or
gone; problems; what others changed in the target; documents that may no longer change; what a person must look at; what
was rejected or declined before; else an entry. The result says everything that is to be stored. Applying a decision and
deciding again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cdc.decision import (
    COUNTING,
    GUARD_CURE,
    IN_FLIGHT,
    MISSING_REFERENCE,
    Decision,
    Desired,
    Drift,
    Held,
    Link,
    Mirror,
    Open,
    Rules,
    Wanted,
)
from cdc.links import after, merged, references, with_path
from cdc.problems import held_by
from cdc.target_change import Judged, judge
from cdc.writing import Operation
from tieout.db import canonical_hash


def decide(
    desired: Desired | None, link: Link, opened: Open | None, mirror: Mirror | None, rules: Rules
) -> Decision:
    """The decision for one key; `desired` is None when the model has no such row."""
    if opened is not None and opened.state in IN_FLIGHT:
        return Decision(verb="leave", why="on its way")
    if desired is None:
        return _vanished(link, opened, rules)
    if desired.skip is not None:
        return Decision(verb="drop", why=desired.skip)
    payload = effective(desired, link)
    if desired.gone is not None:
        return _gone(desired, link, opened, mirror, rules)
    if not desired.problems and rules.line_fields:
        desired = _with_missing_lines(desired, payload, rules)
    if not link.is_live:
        return _create(desired, payload, link, opened, rules)
    if rules.amend == "once":
        return Decision(verb="drop", why="sent once")
    return _update(desired, payload, link, opened, mirror, rules)


def effective(desired: Desired, link: Link) -> dict[str, Any]:
    """The row's payload with the kept choice of `_if_taken`, what we yielded to the target, and what people edited."""
    payload = dict(desired.payload)
    if link.if_taken and desired.if_taken:
        payload |= desired.if_taken
    for path, value in link.yielded.items():
        payload = with_path(payload, path, value)
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


def _vanished(link: Link, opened: Open | None, rules: Rules) -> Decision:
    if not link.is_live:
        return Decision(verb="drop", why="the row vanished before it was sent")
    if rules.on_missing == "keep":
        return Decision(verb="drop", why="the row vanished and the target keeps the record")
    held = Held(
        held_for="vanished",
        cause="row vanished from its model",
        reason="The target has this record, but the model no longer has the row, and nothing says that it is gone.",
        cure="Restore the row (a join, a filter, a lookup?), or accept the record as it is; approving removes it.",
        who="analyst",
    )
    return _settle_on(_removal(link, None, held), link, opened)


def _gone(desired: Desired, link: Link, opened: Open | None, mirror: Mirror | None, rules: Rules) -> Decision:
    if not link.is_live:
        return Decision(verb="drop", why=desired.gone or "")
    wanted = _removal(link, desired, None)
    because = rules.frozen(mirror.payload) if mirror is not None and not mirror.is_deleted else None
    if because is not None and link.approved_hash != wanted.payload_hash:
        held = Held(
            held_for="frozen",
            cause="removal of a settled document",
            reason=f"The source says that it is gone ({desired.gone}), but the target's document is {because}.",
            cure="Correct it in the target (credit note, refund) and accept it as it is; approving removes it all the same.",
            who="accountant",
        )
        wanted = replace(wanted, held=held)
    wanted = replace(wanted, held=wanted.held or _person(desired, link))
    return _settle_on(_approved(wanted, link), link, opened)


def _removal(link: Link, desired: Desired | None, held: Held | None) -> Wanted:
    payload = link.said or {}
    control: dict[str, Any] = {
        "gone": desired.gone if desired is not None else None,
        "refers": [reference.to_json() for reference in references(payload)],
    }
    if desired is not None and desired.total is not None:
        control["total"] = str(desired.total)
    waits_for = after(desired.after) if desired is not None else ()
    return Wanted(
        operation="remove",
        payload=payload,
        payload_hash=fingerprint("remove", payload, control),
        fields=None,
        control={name: value for name, value in control.items() if value is not None},
        waits_for=waits_for,
        held=held,
    )


def _create(
    desired: Desired, payload: dict[str, Any], link: Link, opened: Open | None, rules: Rules
) -> Decision:
    wanted = _wanted("create", desired, payload, None)
    if link.is_gone:
        wanted.control["generation"] = link.generation + 1
    patch = {"identity": desired.identity} if desired.identity and link.identity is None else {}
    held = held_by(desired.problems) or _person(desired, link)
    if held is None and link.is_gone:
        held = Held(
            held_for="hold",
            cause="wanted again after removal",
            reason="The target's record was removed, and the source wants one again.",
            cure="Approve to make a new record, or refuse.",
            who="accountant",
        )
    because = rules.frozen(payload) if held is None else None
    if because is not None:
        held = Held(
            held_for="lock date",
            cause=f"the target's books: {because}",
            reason=f"The document cannot be made: {because}.",
            cure="Move the lock date in the target, or approve to try all the same.",
            who="accountant",
        )
    return _settle_on(_approved(replace(wanted, held=held), link), link, opened, patch)


def _update(
    desired: Desired,
    payload: dict[str, Any],
    link: Link,
    opened: Open | None,
    mirror: Mirror | None,
    rules: Rules,
) -> Decision:
    judged = judge(
        payload,
        link.said,
        link.returned,
        _news(link, mirror),
        rules.same,
        rules.returned,
        rules.on_target_change,
    )
    patch = dict(judged.patch) if mirror is not None else {}
    if patch and mirror is not None:
        patch["mirror_version"] = mirror.version
    if "yielded" in patch:
        link = replace(link, yielded={**link.yielded, **patch["yielded"]}, said=patch["said"])
        patch["yielded"] = dict(link.yielded)
        payload = effective(desired, link)
    said = link.said or {}
    fields = tuple(
        sorted(
            {name for name in payload if payload[name] != said.get(name)} | judged.overwrite | judged.disputed
        )
    )
    if opened is not None and opened.held_for == "answer differs":
        wanted = _wanted("update", desired, payload, fields)
        if opened.payload_hash == wanted.payload_hash and (
            mirror is None or rules.still_differs(payload, mirror.payload)
        ):
            return Decision(verb="keep", why="the target's answer differs", patch=patch)
    if not fields and not judged.is_missing:
        # Fields that the model no longer names are released: ours no more, and left as they are.
        released = {"said": payload} if said.keys() - payload.keys() else {}
        return Decision(verb="drop", why="nothing differs", patch={**patch, **released})
    wanted = _wanted("update", desired, payload, fields)
    held = held_by(desired.problems) or _disputed(judged) or _person(desired, link)
    frozen = _frozen(judged, mirror, rules)
    if frozen is not None and (held is None or held.held_for not in ("problems", "target changed")):
        if rules.amend == "open_only":
            drift = Drift(frozen_because=frozen, desired=payload, fields=fields)
            return Decision(verb="drop", why=f"frozen: {frozen}", patch=patch, drift=drift)
        held = Held(
            held_for="frozen",
            cause="correction of a settled document",
            reason=f"The document is {frozen}; correcting it takes a reversal and a new document.",
            cure="Post the correction in the target and accept it as it is, or approve to send the change all the same.",
            who="accountant",
        )
    if desired.identity and (link.identity is None or link.approved_hash == wanted.payload_hash):
        patch["identity"] = desired.identity
    if held is not None and held.held_for == "target changed":
        wanted.control["target_now"] = judged.now
        wanted.control["paths"] = list(judged.paths)
        wanted.control["target_version"] = mirror.version if mirror is not None else None
    return _settle_on(_approved(replace(wanted, held=held), link), link, opened, patch)


def _news(link: Link, mirror: Mirror | None) -> Mirror | None:
    if mirror is None or (link.mirror_version is not None and mirror.version <= link.mirror_version):
        return None
    return mirror


def _frozen(judged: Judged, mirror: Mirror | None, rules: Rules) -> str | None:
    if mirror is None or mirror.is_deleted or judged.is_missing or rules.amend == "always":
        return None
    return rules.frozen(mirror.payload)


def _wanted(
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


def _with_missing_lines(desired: Desired, payload: Mapping[str, Any], rules: Rules) -> Desired:
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


def _disputed(judged: Judged) -> Held | None:
    if judged.is_missing:
        return Held(
            held_for="target changed",
            cause="deleted in the target",
            reason="Somebody deleted the record in the target.",
            cure="Accept it as it is, or restore it in the target.",
            who="accountant",
        )
    if not judged.disputed:
        return None
    return Held(
        held_for="target changed",
        cause=f"changed in the target: {', '.join(sorted(judged.disputed))}",
        reason="Somebody changed in the target: " + "; ".join(judged.sentences),
        cure="Accept the target's values, or approve to write ours again.",
        who="accountant",
    )


def _person(desired: Desired, link: Link) -> Held | None:
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
            cause="source number used again",
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


def _approved(wanted: Wanted, link: Link) -> Wanted:
    if link.approved_hash != wanted.payload_hash or (
        wanted.held is not None and wanted.held.held_for == "problems"
    ):
        return wanted
    return replace(wanted, held=None, is_approved=True)


def _settle_on(
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
