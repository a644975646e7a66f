"""Taking back what a run wrote, as the diff sees it: a mark on the link by which its document counts as gone.

A person asks for it (`cdc/reverse.py`), the diff proposes the removal, and nothing is sent before it is approved. The mark holds
for what the model says at that time: the source must not make the document again at the next diff, but when the model says
something else, a corrected mapping say, it is wanted again, and a person looks first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cdc.decision import Desired, Held, Link, Mirror, Rules, Wanted
from cdc.links import Reference, merged
from cdc.wanted import fingerprint

Record = Mapping[str, Any]
FIRST = "settlements are removed first"


def cause_of(run: str) -> str:
    """By which all entries of one reversal are approved or refused."""
    return f"reversal of run {run[:8]}"


def taken_back(
    desired: Desired | None, payload: Record, link: Link
) -> tuple[Desired, Mapping[str, Any]] | None:
    """The row as one that is gone, and what is to be kept on the link; None: nobody takes it back, or the model moved on."""
    mark = link.reversal
    if mark is None:
        return None
    gone = f"run {str(mark['run'])[:8]} is taken back by {mark['by']}: {mark['reason']}"
    cause = cause_of(str(mark["run"]))
    if desired is None:
        return Desired(payload={}, gone=gone, hold=cause), {}
    now = fingerprint("create", payload, {"total": desired.total})
    if mark.get("said") not in (None, now):
        return None
    patch = {} if mark.get("said") else {"reversal": {**mark, "said": now}}
    return replace(desired, skip=None, problems=(), gone=gone, hold=cause, after=None, identity=None), patch


def settlements_first(link: Link) -> tuple[Reference, ...]:
    """The payments and allocations of the same reversal: they are removed before what they settle."""
    return tuple(
        Reference(entity=each["entity"], key=each["key"], gone=True)
        for each in (link.reversal or {}).get("after", ())
    )


def frozen_after_them(mirror: Mirror, link: Link, rules: Rules) -> tuple[str | None, bool]:
    """Why the document may not be removed once its settlements of this reversal are, and do some of them still stand on it?"""
    left = rules.unsettled(mirror.payload, (link.reversal or {}).get("after", ()))
    return rules.frozen(left), left != mirror.payload


def waits_for_settlements(wanted: Wanted, desired: Desired, why: str) -> Wanted:
    """Frozen for another reason too: it is credited, but only when its settlements are gone, with what is open then."""
    held = Held(
        held_for="hold",
        cause=FIRST,
        reason=f"{desired.gone}. The document is {why}; first what settles it is removed.",
        cure="Approve the removal of its payments and drain; the next diff proposes the credit note.",
        who="accountant",
    )
    return replace(wanted, held=held)


def as_reversal(wanted: Wanted, link: Link) -> Wanted:
    """The removal with the reversal's own cause, so that all of it is approved as one, after what settles it."""
    entry = replace(wanted, waits_for=merged(wanted.waits_for, settlements_first(link)))
    held = entry.held
    if held is None or (held.held_for != "hold" and "correction" not in entry.control):
        return entry
    cause = held.cause if held.cause == FIRST else cause_of(str((link.reversal or {})["run"]))
    reason = str(entry.control["gone"]) if held.reason == cause else held.reason
    return replace(entry, held=replace(held, cause=cause, reason=_sentence(reason)))


def _sentence(reason: str) -> str:
    return reason.replace("The source says that it is gone (", "It is gone (")
