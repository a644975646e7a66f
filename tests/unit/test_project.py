"""A user's folder overlays the project that tieout ships, file by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdc.project import assemble
from tieout.errors import BuildError
from tieout.settings import Settings


def settings(folder: Path) -> Settings:
    return Settings(
        environment="test", data_dir=folder, project_dir=folder / "mapping", lookups_dir=folder / "mapping/models/lookups"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("own", "place"),
    [
        ("models/out_xero__items.sql", "models/outbound/xero/out_xero__items.sql"),
        ("models/deep/below/orders.sql", "models/canonical/orders.sql"),
        ("models/lookups/taxes.csv", "models/lookups/taxes.csv"),
        ("models/terms.yml", "models/terms.yml"),
        ("macros/contacts.sql", "sql/macros/contacts.sql"),
        ("tests/mine.sql", "tests/dbt/mine.sql"),
    ],
)
def test_a_file_takes_the_place_of_ours_or_is_added(tmp_path: Path, own: str, place: str) -> None:
    file = tmp_path / "mapping" / own
    file.parent.mkdir(parents=True)
    file.write_text("-- mine\n", encoding="utf-8")

    project = assemble(settings(tmp_path), tmp_path / "work")

    assert (project.folder / place).read_text(encoding="utf-8").startswith("-- mine")
    assert project.origin(place) == str(file)


def test_a_folder_that_is_not_there_is_said_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="There is no folder"):
        assemble(settings(tmp_path), tmp_path / "work")
