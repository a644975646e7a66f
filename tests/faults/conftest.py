"""One world a process: each test leaves it at rest, and says so at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import built
from tests.faults.fix_faults import Faults, new_faults

__all__ = ["built"]


@pytest.fixture(scope="session")
def faults(server_url: str, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """A shop and its books after a short trade, and victims."""
    with new_faults(server_url, built, tmp_path_factory.mktemp("faults")) as made:
        yield made
