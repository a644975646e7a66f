"""What to do about one key: a pure function of the model's row, the link, the open entry and the target's record.

In this order: an entry on its way is left alone (its settlement puts the key back); a row that vanished, is skipped or
gone; problems; what others changed in the target; documents that may no longer change; what a person must look at; what
was rejected or declined before; else an entry. The result says everything that is to be stored. Applying a decision and
deciding again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cdc.decision import IN_FLIGHT, Decision, Desired, Drift, Held, Link, Mirror, Open, Rules, Wanted
from cdc.links import after, merged, references, with_path
from cdc.met import meet, stop_fights
from cdc.problems import held_by
from cdc.taken_back import as_reversal, frozen_after_them, taken_back, waits_for_settlements
from cdc.target_change import Judged, judge
from cdc.wanted import (
    NUMBER_USED_AGAIN,
    approved,
    asks_a_person,
    correction_for,
    effective,
    entry_for,
    fingerprint,
    reversal_for,
    settle_on,
    with_expectation,
    with_missing_lines,
    with_overrides,
)

REMOVED = ("voided", "deleted")
"""What a writer's `frozen` says of a document that counts no more."""
_YIELDING = ("hold", "moved")
"""Holds that say nothing of a document that may not change anyway: its difference is drift."""


def decide(
    desired: Desired | None, link: Link, opened: Open | None, mirror: Mirror | None, rules: Rules
) -> Decision:
    """The decision for one key; `desired` is None when the model has no such row."""
    if opened is not None and opened.state in IN_FLIGHT:
        return Decision(verb="leave", why="on its way")
    if link.is_live and mirror is not None and mirror.survivor is not None:
        return _followed(link, mirror, mirror.survivor)
    payload = effective(desired, link) if desired is not None else {}
    if (back := taken_back(desired, payload, link)) is not None:
        taken = _gone(back[0], link, opened, mirror, rules, lambda wanted: as_reversal(wanted, link))
        return replace(taken, patch={**taken.patch, **back[1]})
    if desired is None:
        return _vanished(link, opened, rules)
    if desired.skip is not None:
        return _skipped(desired, desired.skip, payload, link, rules)
    if desired.gone is not None:
        return _gone(desired, link, opened, mirror, rules)
    if not desired.problems and rules.line_fields:
        desired = with_missing_lines(desired, payload, rules)
    if not link.is_live:
        return _create(desired, payload, link, opened, rules)
    if rules.amend == "once":
        return Decision(verb="drop", why="sent once")
    return _update(desired, payload, link, opened, mirror, rules)


def _followed(link: Link, mirror: Mirror, survivor: str) -> Decision:
    """The target merged the record into another: nothing is written to either, what refers to it uses the survivor."""
    is_known = link.followed_id == survivor and link.mirror_version == mirror.version
    patch = {} if is_known else {"followed_id": survivor, "mirror_version": mirror.version}
    return Decision(verb="drop", why=f"merged in the target into {survivor}", patch=patch)


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
    return settle_on(_removal(link, None, held), link, opened)


def _skipped(desired: Desired, why: str, payload: dict[str, Any], link: Link, rules: Rules) -> Decision:
    """Never sent. What the target has of it (from before the cut-over, say) is frozen: a difference is drift."""
    if not link.is_live or link.said is None or desired.problems or rules.amend in ("always", "once"):
        return Decision(verb="drop", why=why)
    said = link.said
    fields = tuple(sorted(name for name in payload if payload[name] != said.get(name)))
    if not fields or any(not payload.get(name) for name in rules.line_fields):
        return Decision(verb="drop", why=why)
    return _drifting(desired, payload, fields, why, link)


def _drifting(
    desired: Desired,
    payload: dict[str, Any],
    fields: tuple[str, ...],
    frozen: str,
    link: Link,
    patch: Mapping[str, Any] | None = None,
) -> Decision:
    """A difference that is shown and never sent; one that a person accepted as it is comes back when it changes."""
    wanted = entry_for("update", desired, payload, fields)
    if link.declined_hash == wanted.payload_hash:
        return Decision(verb="drop", why="accepted as it is", patch=patch or {})
    drift = Drift(frozen_because=frozen, desired=payload, fields=fields, payload_hash=wanted.payload_hash)
    return Decision(verb="drop", why=f"frozen: {frozen}", patch=patch or {}, drift=drift)


def _gone(
    desired: Desired,
    link: Link,
    opened: Open | None,
    mirror: Mirror | None,
    rules: Rules,
    finish: Callable[[Wanted], Wanted] = lambda wanted: wanted,
) -> Decision:
    if not link.is_live:
        return Decision(verb="drop", why=desired.gone or "")
    wanted = _removal(link, desired, None)
    because, is_settled = None, False
    if mirror is not None and not mirror.is_deleted:
        because, is_settled = frozen_after_them(mirror, link, rules)
    if because is not None and is_settled:
        return settle_on(finish(waits_for_settlements(wanted, desired, because)), link, opened)
    if because is not None and link.approved_hash != wanted.payload_hash:
        held = Held(
            held_for="frozen",
            cause="removal of a settled document",
            reason=f"The source says that it is gone ({desired.gone}), but the target's document is {because}.",
            cure="Credit it in the target with a note dated the first open day, give back what was paid, and accept it as it "
            "is; approving removes it all the same.",
            who="accountant",
        )
        reversal = None if link.is_adopted else rules.reverse(desired)
        if reversal is not None and link.declined_hash != wanted.payload_hash:
            version = mirror.version if mirror is not None else None
            return settle_on(finish(reversal_for(reversal, wanted, held, version)), link, opened)
        wanted = replace(wanted, held=held)
    elif link.is_adopted and link.approved_hash != wanted.payload_hash:
        held = Held(
            held_for="hold",
            cause="removal of what others made",
            reason=f"The source says that it is gone ({desired.gone}), but others made the target's record; it was only linked.",
            cure="Remove it in the target if it is wrong, or accept it as it is; approving removes it.",
            who="accountant",
        )
        wanted = replace(wanted, held=held)
    wanted = replace(wanted, held=wanted.held or asks_a_person(desired, link))
    return settle_on(finish(approved(wanted, link)), link, opened)


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
    wanted = entry_for("create", desired, payload, None)
    if link.is_gone:
        wanted.control["generation"] = link.generation + 1
    if link.correction and link.is_corrected_anew:
        wanted = replace(wanted, waits_for=merged(wanted.waits_for, after(link.correction["waits_for"])))
    patch = {"identity": desired.identity} if desired.identity and link.identity is None else {}
    held = held_by(desired.problems) or asks_a_person(desired, link)
    if held is None and link.is_corrected_anew:
        held = Held(
            held_for="hold",
            cause="corrected document changed",
            reason="The model says something else since the correction was approved; the reversal may be posted already.",
            cure="Look at `tieout plan` with its key, then approve the new document as it is now, or refuse.",
            who="accountant",
        )
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
    return settle_on(approved(replace(wanted, held=held), link), link, opened, patch)


def _update(
    desired: Desired,
    payload: dict[str, Any],
    link: Link,
    opened: Open | None,
    mirror: Mirror | None,
    rules: Rules,
) -> Decision:
    payload, link, patch, judged = _compared(desired, payload, link, mirror, rules)
    patch |= {"identity": desired.identity} if desired.identity and link.identity is None else {}
    said = link.said or {}
    fields = tuple(
        sorted(
            {name for name in payload if payload[name] != said.get(name)} | judged.overwrite | judged.disputed
        )
    )
    if opened is not None and opened.held_for == "answer differs":
        wanted = entry_for("update", desired, payload, fields)
        if opened.payload_hash == wanted.payload_hash and (
            mirror is None or rules.still_differs(payload, mirror.payload)
        ):
            return Decision(verb="keep", why="the target's answer differs", patch=patch)
    if not fields and not judged.is_missing:
        # Fields that the model no longer names are released: ours no more, and left as they are.
        released = {"said": payload} if said.keys() - payload.keys() else {}
        return Decision(verb="drop", why="nothing differs", patch={**patch, **released})
    wanted = with_expectation(entry_for("update", desired, payload, fields), desired, link)
    frozen = _frozen(judged, mirror, rules)
    held = held_by(desired.problems) or _disputed(judged, frozen) or asks_a_person(desired, link)
    if frozen is not None and _may_drift(held):
        settled = _on_frozen(desired, wanted, frozen, link, opened, mirror, rules, patch)
        if settled is not None:
            return settled
        held = Held(
            held_for="frozen",
            cause="change of a settled document",
            reason=f"The document is {frozen}, and it cannot be corrected by a reversal.",
            cure="Post the correction in the target and accept it as it is, or approve to send the change all the same.",
            who="accountant",
        )
    if desired.identity and link.approved_hash == wanted.payload_hash:
        patch["identity"] = desired.identity
    if held is not None and held.held_for == "target changed":
        wanted.control.update(_seen(judged, mirror))
    return settle_on(approved(replace(wanted, held=held), link), link, opened, patch)


def _compared(
    desired: Desired, payload: dict[str, Any], link: Link, mirror: Mirror | None, rules: Rules
) -> tuple[dict[str, Any], Link, dict[str, Any], Judged]:
    """What others changed in the target: the payload and the link after it, what is to be stored, what is disputed."""
    met = meet(desired, payload, link, mirror, rules)
    payload, link, patch = met.payload, met.link, dict(met.patch)
    judged = judge(
        payload,
        link.said,
        link.returned,
        _news(link, mirror),
        rules.same,
        rules.returned,
        rules.on_target_change,
        rules.points_to,
    )
    if judged.patch and mirror is not None:
        patch |= {**judged.patch, "mirror_version": mirror.version}
    if judged.overwrite:
        met, judged = stop_fights(payload, link, judged, rules)
        payload, link = met.payload, met.link
        patch |= met.patch
    if "yielded" in judged.patch:
        yielded = judged.patch["yielded"]
        link = replace(link, yielded={**link.yielded, **yielded}, said=patch["said"])
        patch["yielded"] = dict(link.yielded)
        for path, value in yielded.items():
            payload = with_path(payload, path, value)
        payload = with_overrides(payload, link)
    return payload, link, patch, judged


def _may_drift(held: Held | None) -> bool:
    """No other reason to look comes first. Another record under the key is a person's matter, frozen or not."""
    return held is None or (held.cause != NUMBER_USED_AGAIN and held.held_for in _YIELDING)


def _seen(judged: Judged, mirror: Mirror | None) -> dict[str, Any]:
    """What a person decides about: the target's values as they are now."""
    version = mirror.version if mirror is not None else None
    return {"target_now": judged.now, "paths": list(judged.paths), "target_version": version}


def _on_frozen(
    desired: Desired,
    wanted: Wanted,
    frozen: str,
    link: Link,
    opened: Open | None,
    mirror: Mirror | None,
    rules: Rules,
    patch: Mapping[str, Any],
) -> Decision | None:
    """Drift, or where the model or a person asks for it, a correction that waits for a yes. None: the model asks in vain."""
    fields = wanted.fields or ()
    if link.declined_hash == wanted.payload_hash:
        return Decision(verb="drop", why="accepted as it is", patch=patch)
    asked = bool(link.correction and link.correction.get("asked"))
    correction = rules.correct(desired, wanted.payload) if asked or rules.amend == "correct" else None
    if correction is None:
        if rules.amend == "correct":
            return None
        return _drifting(desired, wanted.payload, fields, frozen, link, patch)
    document = entry_for("create", desired, {**wanted.payload, **correction.overrides}, None)
    version = mirror.version if mirror is not None else None
    proposed = correction_for(correction, document, fields, wanted.payload_hash, version)
    if link.declined_hash == proposed.payload_hash:
        return _drifting(desired, wanted.payload, fields, frozen, link, patch)
    return settle_on(proposed, link, opened, patch)


def _news(link: Link, mirror: Mirror | None) -> Mirror | None:
    if mirror is None or (link.mirror_version is not None and mirror.version <= link.mirror_version):
        return None
    return mirror


def _frozen(judged: Judged, mirror: Mirror | None, rules: Rules) -> str | None:
    if mirror is None or mirror.is_deleted or judged.is_missing or rules.amend == "always":
        return None
    return rules.frozen(mirror.payload)


def _disputed(judged: Judged, frozen: str | None) -> Held | None:
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
    if frozen in REMOVED:
        return Held(
            held_for="target changed",
            cause=f"{frozen} in the target",
            reason=f"Somebody {frozen} the document in the target; what the model says can no longer be written to it.",
            cure="Accept it as it is if it was right; else enter it anew in the target.",
            who="accountant",
        )
    return Held(
        held_for="target changed",
        cause=f"changed in the target: {', '.join(sorted(judged.disputed))}",
        reason="Somebody changed in the target: " + "; ".join(judged.sentences),
        cure="Accept the target's values, or approve to write ours again.",
        who="accountant",
    )
