"""Which entries of a diff are held for a person."""

from __future__ import annotations

import pytest

from cdc.guard import stops
from tieout.settings import Limits

LIMITS = Limits(creates=10, updates=5, removals=1)


@pytest.mark.parametrize(
    ("counts", "is_new", "is_changed", "held"),
    [
        pytest.param({}, True, True, {}, id="nothing made"),
        pytest.param({"create": 10, "update": 5, "remove": 1}, False, False, {}, id="within the limits"),
        pytest.param(
            {"create": 11, "update": 1},
            False,
            False,
            {"create": "over the limit of creates"},
            id="too many creates",
        ),
        pytest.param(
            {"remove": 2}, False, False, {"remove": "over the limit of removals"}, id="too many removals"
        ),
        pytest.param(
            {"create": 1, "update": 1},
            True,
            False,
            {"create": "first run of a new model", "update": "first run of a new model"},
            id="new model",
        ),
        pytest.param(
            {"create": 1, "update": 1, "remove": 1},
            False,
            True,
            {"update": "changed model", "remove": "changed model"},
            id="changed model lets creates pass",
        ),
        pytest.param(
            {"create": 11, "update": 6},
            False,
            True,
            {"create": "over the limit of creates", "update": "changed model"},
            id="changed model and too many creates",
        ),
    ],
)
def test_which_operations_are_held(
    counts: dict[str, int], is_new: bool, is_changed: bool, held: dict[str, str]
) -> None:
    found = stops(counts, LIMITS, is_new=is_new, is_changed=is_changed)

    assert {operation: stop.cause for stop in found for operation in stop.operations} == held
