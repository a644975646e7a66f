"""Many at once: each document once, whoever sent it."""

from __future__ import annotations

import pytest

from tests.faults.fix_faults import Faults


@pytest.mark.parametrize("count", [8])
def test_drains_at_once_of_which_one_is_killed_make_each_document_once(faults: Faults, count: int) -> None:
    for _ in range(count):
        faults.order()
    faults.entries()
    points = ["call sent PUT Invoices", *(None for _ in range(count - 1))]
    crowd = [faults.start("drain", point=point) for point in points]

    ended = [each.wait() for each in crowd]

    assert all(each.get("exit") in (0, 4) or each == {"signal": 9} for each in ended), [
        each.said for each in crowd
    ]
    faults.check()
