"""One world a process: each test leaves it at rest, and says so at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.fix_setup import build_once
from tests.faults.fix_faults import Faults, new_faults


@pytest.fixture(scope="session")
def built(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database with the models in force, made once a run."""
    return build_once(server_url, tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def faults(server_url: str, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """A shop and its books after a short trade, and victims."""
    with new_faults(server_url, built, tmp_path_factory.mktemp("faults")) as made:
        yield made
