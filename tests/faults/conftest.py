"""One world a module, as in the acceptance tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.fix_setup import build_once
from tests.faults.fix_faults import Faults, new_faults, new_faults_on_own_server


@pytest.fixture(scope="session")
def built(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database with the models in force, made once a run."""
    return build_once(server_url, tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def faults(server_url: str, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """A shop and its books after a short trade, and victims."""
    with new_faults(server_url, built, tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture(scope="module")
def own_server(server_url: str, built: str) -> Iterator[Faults]:
    """The same on an embedded server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tieout-faults-"))
    folder.chmod(0o711)  # as root the server runs as another user, who must pass through
    try:
        with new_faults_on_own_server(folder, f"{server_url.rpartition('/')[0]}/{built}") as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
