"""References in payloads, and paths."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.links import Reference, Target, Unlinked, get_path, merged, references, resolved, with_path

LINKED = {"$linked": {"entity": "contacts", "key": "k1"}}
SETTLED = {"$linked": {"entity": "contacts", "key": "k1", "settled": True}}


def test_references_are_found_anywhere_once_and_settled_wins() -> None:
    payload = {
        "Contact": {"ContactID": LINKED},
        "Lines": [{"Item": SETTLED}, {"Item": {"$linked": {"entity": "items", "key": "i"}}}],
    }

    assert references(payload) == (
        Reference(entity="contacts", key="k1", settled=True),
        Reference(entity="items", key="i"),
    )


def test_references_are_replaced_by_the_target_s_id_or_a_field_of_it() -> None:
    payload = {
        "Contact": {"ContactID": LINKED},
        "Code": {"$linked": {"entity": "contacts", "key": "k1", "give": "Code"}},
    }
    targets = {("contacts", "k1"): Target(target_id="c-1", returned={"Code": "X"})}

    assert resolved(payload, targets) == {"Contact": {"ContactID": "c-1"}, "Code": "X"}


def test_a_reference_that_is_not_linked_says_which() -> None:
    with pytest.raises(Unlinked, match="contacts k1"):
        resolved([LINKED], {})


def test_groups_of_references_are_merged() -> None:
    assert merged(references(LINKED), references(SETTLED)) == references(SETTLED)


def test_the_form_of_a_reference_in_waits_for_is_contained_in_its_settled_form() -> None:
    assert references(LINKED)[0].to_json() == {"entity": "contacts", "key": "k1"}
    assert references(SETTLED)[0].to_json() == {"entity": "contacts", "key": "k1", "settled": True}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("Name", "n", id="field"),
        pytest.param("Lines/2/Code", "c", id="field of a line"),
        pytest.param("Lines/sales/201/OUTPUT2/Code", "c", id="field of a line whose name has slashes"),
    ],
)
def test_a_path_is_written_and_read_and_the_original_stays(path: str, value: str) -> None:
    payload: dict[str, Any] = {
        "Name": "x",
        "Lines": [{"_line": "1", "Code": "a"}, {"_line": "2", "Code": "b"}],
    }
    payload["Lines"].append({"_line": "sales/201/OUTPUT2", "Code": "b"})

    changed = with_path(payload, path, value)

    assert get_path(changed, path) == value
    assert get_path(payload, path) in ("x", "b")
    assert get_path(with_path(payload, path, None), path) is None
    assert with_path(payload, "Lines/9/Code", "z") == payload
