"""A short run of the machine; `make chaos` runs it long."""

from __future__ import annotations

import os

from tests.faults import machine
from tests.fix_databases import Pool


def test_whatever_happens_in_whatever_order_each_document_exists_once_or_is_named(databases: Pool) -> None:
    examples = int(os.environ.get("TIEOUT_TEST_MACHINE", "8"))

    machine.run(databases, examples=examples, shrink="TIEOUT_TEST_SHRINK" in os.environ)
