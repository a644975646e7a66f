"""Killed at a point, whatever it is: one document, nothing lost, nothing stuck, and no hand was needed."""

from __future__ import annotations

import pytest

from tests.faults.fix_faults import Faults

DRAIN = (
    "commit before cdc.calls.claim",
    "commit after cdc.calls.claim",
    "call before PUT Invoices",
    "call leaving PUT Invoices",
    "call sent PUT Payments",
    "call answered PUT Payments",
    "commit before cdc.settle.settle",
    "commit after cdc.settle.settle",
)


@pytest.mark.parametrize("point", DRAIN)
def test_a_drain_that_is_killed_leaves_each_document_once(faults: Faults, point: str) -> None:
    faults.order()

    assert faults.struck("sync", point=point)

    faults.check()
