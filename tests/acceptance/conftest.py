"""One world a module: the tests of a module are one story, told in order.

With several workers each file belongs to one of them: `pytest -n auto --dist loadfile`, as `make test` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.fix_setup import build_once, clear_shelf, new_world
from tests.acceptance.fix_world import World


@pytest.fixture(scope="session")
def built(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The database with the models in force, made once a run."""
    yield build_once(server_url, tmp_path_factory.mktemp("build"))
    clear_shelf()


@pytest.fixture(scope="module")
def world(server_url: str, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A shop without orders and books without documents, connected."""
    with new_world(server_url, built, tmp_path_factory.mktemp("world")) as world:
        yield world
