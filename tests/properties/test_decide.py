"""Laws of `decide`: whatever the row, the link, the entry and the target are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdc.corrections import Correction, Part
from cdc.decide import decide
from cdc.decision import COUNTING, Decision, Desired, Held, Link, Mirror, Open, Rules, Wanted
from cdc.outbound import Amend, OnTargetChange
from cdc.wanted import fingerprint

CORRECTION = Correction(
    number=1,
    day="2026-11-01",
    replaced="k/replaced/1",
    overrides={"Reference": "r-R1"},
    parts=(
        Part(entity="credit_notes", key="k/reversal/1", payload={"a": 1}, total=Decimal(1), day="2026-11-01"),
    ),
)
FIELDS = ("Name", "Total", "Reference")
values = st.sampled_from(["a", "b", Decimal("1.0"), Decimal("1.00"), 2])
payloads = st.dictionaries(st.sampled_from(FIELDS), values, min_size=1)
maybe_text = st.none() | st.sampled_from(["because", "other"])
rule_names: st.SearchStrategy[OnTargetChange] = st.sampled_from(["hold", "overwrite", "yield"])
amends: st.SearchStrategy[Amend] = st.sampled_from(["open_only", "always", "correct", "once"])


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    by_field = {name: draw(rule_names) for name in FIELDS}
    frozen = draw(maybe_text)

    def returned(payload: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        return {name: record.get(name) for name in payload}

    return Rules(
        amend=draw(amends),
        on_missing=draw(st.sampled_from(["hold", "keep"])),
        on_target_change=lambda name: by_field.get(name, "hold"),
        same=lambda _field, sent, held: sent == held,
        returned=returned,
        frozen=lambda _record: frozen,
        still_differs=lambda payload, record: any(
            record.get(name) != value for name, value in payload.items()
        ),
    )


desired_rows = st.builds(
    Desired,
    payload=payloads,
    skip=st.none() | st.just("test order"),
    hold=maybe_text,
    gone=maybe_text,
    problems=st.just(()) | st.just(({"field": "Name", "reason": "bad"},)),
    total=st.none() | st.just(Decimal("1.00")),
    if_taken=st.none() | st.just({"Name": "other"}),
    identity=st.none() | st.sampled_from([{"created": 1}, {"created": 2}]),
    moved_from=st.none() | st.just("elsewhere"),
)
unlinked = st.builds(
    Link,
    version=st.integers(0, 3),
    approved_hash=st.none(),
    if_taken=st.booleans(),
    overrides=st.just({}) | st.just({"Name": {"value": "edited"}}),
)
linked = st.builds(
    Link,
    version=st.integers(0, 3),
    target_id=st.just("t1"),
    said=payloads,
    returned=st.none() | payloads,
    mirror_version=st.none() | st.integers(0, 5),
    is_gone=st.booleans(),
    identity=st.none() | st.just({"created": 1}),
    yielded=st.just({}) | st.just({"Reference": "theirs"}),
)
links = unlinked | linked
mirrors = st.none() | st.builds(Mirror, version=st.integers(0, 9), payload=payloads, is_deleted=st.booleans())


@given(desired=st.none() | desired_rows, link=links, mirror=mirrors, rule=rules())
def test_deciding_again_after_applying_changes_nothing(
    desired: Desired | None, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    first = decide(desired, link, None, mirror, rule)
    after, opened = _applied(link, None, first)

    second = decide(desired, after, opened, mirror, rule)

    assert second.entry is None
    assert second.verb == ("keep" if opened is not None else "drop") or (
        opened is None and second.verb == "keep"
    )
    assert second.drift == first.drift


@given(
    desired=st.none() | desired_rows,
    link=links,
    mirror=mirrors,
    rule=rules(),
    state=st.sampled_from(["sending", "in_doubt"]),
)
def test_an_entry_on_its_way_is_never_touched(
    desired: Desired | None, link: Link, mirror: Mirror | None, rule: Rules, state: str
) -> None:
    opened = Open(
        entry=1,
        operation="create",
        state=state,
        held_for=None,
        payload_hash="x",
        fields=None,
        link_version=0,
        control={},
    )

    assert decide(desired, link, opened, mirror, rule) == Decision(verb="leave", why="on its way")


@given(desired=desired_rows, link=links, mirror=mirrors, rule=rules())
def test_only_the_row_s_own_evidence_removes(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    made = decide(desired, link, None, mirror, rule)

    if made.entry is not None and made.entry.operation == "remove":
        assert desired.gone is not None
        assert link.is_live


@given(link=links, mirror=mirrors, rule=rules())
def test_a_vanished_row_never_removes_by_itself(link: Link, mirror: Mirror | None, rule: Rules) -> None:
    made = decide(None, link, None, mirror, rule)

    assert made.entry is None or (made.entry.held is not None and made.entry.held.held_for == "vanished")


@given(desired=desired_rows, link=links, mirror=mirrors, rule=rules())
def test_a_row_with_problems_is_never_let_through(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    bad = replace(desired, problems=({"field": "Name", "reason": "bad"},), gone=None)

    made = decide(bad, link, None, mirror, rule)

    assert made.entry is None or made.entry.held is not None
    if made.entry is not None:
        approved = replace(link, approved_hash=made.entry.payload_hash)
        again = decide(bad, approved, None, mirror, rule)
        assert again.entry is None or again.entry.held is not None or made.entry.held is None


@given(desired=desired_rows, link=links, mirror=mirrors, rule=rules())
def test_a_linked_record_is_never_created_again(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    made = decide(desired, link, None, mirror, rule)

    if made.entry is not None and made.entry.operation == "create":
        assert not link.is_live


@given(desired=desired_rows, link=linked, mirror=mirrors, rule=rules())
def test_a_settled_document_is_never_changed_unseen(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    settled = replace(rule, frozen=lambda _record: "paid", amend="open_only")
    link = replace(link, is_gone=False)

    made = decide(desired, link, None, mirror, settled)

    if mirror is not None and not mirror.is_deleted and made.entry is not None:
        assert made.entry.held is not None


@given(
    desired=desired_rows,
    link=linked,
    mirror=mirrors,
    rule=rules(),
    amend=st.sampled_from(["open_only", "correct"]),
    asked=st.booleans(),
    can=st.booleans(),
    approved=st.booleans(),
)
def test_nothing_is_written_to_a_frozen_document_that_nobody_approved(
    desired: Desired,
    link: Link,
    mirror: Mirror | None,
    rule: Rules,
    amend: Amend,
    asked: bool,
    can: bool,
    approved: bool,
) -> None:
    """A proposed correction is held, however often it is decided; even its own hash as an approval lets nothing go."""
    link = replace(link, is_gone=False, correction={"asked": {"by": "ada"}} if asked else None)
    settled = replace(
        rule,
        frozen=lambda _record: "paid",
        amend=amend,
        correct=lambda _desired, _payload: CORRECTION if can else None,
    )
    plain = replace(desired, gone=None)
    made = decide(plain, link, None, mirror, settled)
    if mirror is None or mirror.is_deleted or made.entry is None:
        return

    is_proposed = "correction" in made.entry.control
    assert made.entry.held is not None
    assert is_proposed <= (can and (asked or amend == "correct"))
    if approved and is_proposed:
        again = decide(plain, replace(link, approved_hash=made.entry.payload_hash), None, mirror, settled)
        assert again.entry is not None
        assert again.entry.held is not None


@given(desired=desired_rows, link=linked, mirror=mirrors, rule=rules())
def test_drift_ends_when_the_model_says_what_was_agreed(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    settled = replace(rule, frozen=lambda _record: "paid", amend="open_only")
    calm = replace(link, is_gone=False, yielded={}, overrides={}, if_taken=False, returned=None)
    agrees = replace(desired, payload=dict(calm.said or {}), gone=None)

    assert decide(agrees, calm, None, mirror, settled).drift is None


@given(desired=desired_rows, link=linked, mirror=mirrors, rule=rules())
def test_drift_that_was_accepted_is_silent_and_a_refused_correction_is_drift(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    plain = replace(desired, gone=None, skip=None)
    link = replace(link, is_gone=False)
    settled = replace(rule, frozen=lambda _record: "paid", amend="open_only")
    drift = decide(plain, link, None, mirror, settled).drift
    if drift is None:
        return

    accepted = decide(plain, replace(link, declined_hash=drift.payload_hash), None, mirror, settled)
    correcting = replace(settled, amend="correct", correct=lambda _desired, _payload: CORRECTION)
    proposed = decide(plain, link, None, mirror, correcting).entry
    assert proposed is not None
    refused = decide(plain, replace(link, declined_hash=proposed.payload_hash), None, mirror, correcting)

    assert (accepted.entry, accepted.drift) == (None, None)
    assert (refused.entry, refused.drift) == (None, drift)


@given(desired=desired_rows, link=linked, mirror=mirrors, rule=rules())
def test_another_record_under_a_key_is_never_mere_drift(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    known = replace(link, is_gone=False, identity={"created": 1})
    other = replace(desired, identity={"created": 2}, gone=None, skip=None, moved_from=None)
    settled = replace(rule, frozen=lambda _record: "paid", amend="open_only")

    assert decide(other, known, None, mirror, settled).drift is None


@given(desired=desired_rows, link=links, mirror=mirrors, rule=rules())
def test_a_declined_payload_makes_no_entry_and_another_one_does(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    made = decide(desired, link, None, mirror, rule)
    if made.entry is None:
        return

    declined = decide(desired, replace(link, declined_hash=made.entry.payload_hash), None, mirror, rule)
    other = decide(desired, replace(link, declined_hash="another payload"), None, mirror, rule)

    assert declined.entry is None
    assert other.entry == made.entry


@given(desired=desired_rows, link=links, mirror=mirrors, rule=rules())
def test_an_approval_lets_exactly_its_payload_through(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    made = decide(desired, link, None, mirror, rule)
    if (
        made.entry is None
        or made.entry.held is None
        or made.entry.held.held_for in ("problems", "vanished", "target changed")
    ):
        return

    approved = decide(desired, replace(link, approved_hash=made.entry.payload_hash), None, mirror, rule)

    if approved.entry is not None:
        assert (approved.entry.held, approved.entry.is_approved) == (None, True)
        assert approved.entry.payload_hash == made.entry.payload_hash


@given(desired=desired_rows, link=linked, mirror=mirrors, rule=rules())
def test_the_approval_of_a_record_s_making_never_writes_over_what_others_changed_in_it(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    made = decide(desired, link, None, mirror, rule)
    if made.entry is None or made.entry.held is None or made.entry.held.held_for != "target changed":
        return

    again = decide(desired, replace(link, approved_hash=made.entry.payload_hash), None, mirror, rule)

    assert again.entry is not None
    assert again.entry.held == made.entry.held


TAKEN_BACK = {
    "run": "0f81c91c-e04a-42f4-af7c-43e7218efd26",
    "by": "ann",
    "reason": "wrong prices",
    "after": [],
}


@given(desired=st.none() | desired_rows, link=linked, mirror=mirrors, rule=rules(), can=st.booleans())
def test_what_a_person_takes_back_is_proposed_once_and_never_sent_unseen(
    desired: Desired | None, link: Link, mirror: Mirror | None, rule: Rules, can: bool
) -> None:
    asked = replace(link, is_gone=False, reversal=TAKEN_BACK)
    reversing = replace(rule, reverse=lambda _desired: CORRECTION if can else None)

    made = decide(desired, asked, None, mirror, reversing)
    after, opened = _applied(asked, None, made)

    assert made.entry is None or (made.entry.operation == "remove" and made.entry.held is not None)
    assert decide(desired, after, opened, mirror, reversing).entry is None


@given(desired=desired_rows, link=linked, mirror=mirrors, rule=rules())
def test_what_was_taken_back_is_not_made_again_unless_the_model_says_something_else_and_a_person_agrees(
    desired: Desired, link: Link, mirror: Mirror | None, rule: Rules
) -> None:
    live = replace(link, is_gone=False, yielded={}, overrides={}, reversal=TAKEN_BACK)
    after, _ = _applied(live, None, decide(desired, live, None, mirror, rule))
    gone = replace(after, is_gone=True, said=None)
    other = replace(desired, payload={**desired.payload, "Total": "corrected"}, skip=None, gone=None)

    assert decide(desired, gone, None, mirror, rule).entry is None
    again = decide(other, gone, None, mirror, rule).entry
    assert again is None or (again.operation == "create" and again.held is not None)


@given(payload=payloads)
def test_decimals_of_equal_value_have_one_fingerprint(payload: dict[str, Any]) -> None:
    spelled = {name: Decimal("1.000") if value == 1 else value for name, value in payload.items()}

    assert fingerprint("create", payload, {}) == fingerprint("update", spelled, {})
    assert fingerprint("remove", payload, {}) != fingerprint("update", payload, {})


@given(desired=desired_rows, held=st.sampled_from(["first run of a new model", COUNTING]), rule=rules())
def test_what_the_guard_holds_stays_held_when_it_changes(desired: Desired, held: str, rule: Rules) -> None:
    plain = replace(desired, skip=None, gone=None, hold=None, problems=(), moved_from=None)
    lenient = replace(rule, frozen=lambda _record: None)
    opened = Open(
        entry=1, operation="create", state="held", held_for="guard", payload_hash="other", fields=None, link_version=0,
        control={}, cause=held, reason="r",
    )  # fmt: skip

    made = decide(plain, Link(), opened, None, lenient)

    assert made.entry is not None
    assert (made.entry.held is not None) == (held != COUNTING)


def _applied(link: Link, opened: Open | None, decision: Decision) -> tuple[Link, Open | None]:
    """What the diff stores."""
    after = replace(link, **decision.patch) if decision.verb != "leave" else link
    if decision.verb == "drop":
        return after, None
    if decision.entry is None:
        return after, opened
    return after, _open(decision.entry, link)


def _open(wanted: Wanted, link: Link) -> Open:
    held: Held | None = wanted.held
    return Open(
        entry=1,
        operation=wanted.operation,
        state="held" if held is not None or not wanted.is_approved else "ready",
        held_for=held.held_for if held is not None else None if wanted.is_approved else "guard",
        payload_hash=wanted.payload_hash,
        fields=wanted.fields,
        link_version=link.version,
        control=wanted.control,
        cause=held.cause if held is not None else None if wanted.is_approved else COUNTING,
        reason=held.reason if held is not None else None,
    )
