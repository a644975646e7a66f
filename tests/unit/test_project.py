"""A user's folder overlays the project that tieout ships, file by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdc.project import assemble, refuse_repeated_keys
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "version: 2\nmodels:\n  - name: terms\n    name: other\n",
            r"terms\.yml, line 4: the key name stands twice",
        ),
        ("a:\n  dirty:\n    x: sweep\n    y: sweep\n    x: {column: id}\n", "line 5: the key x stands twice"),
        ("a: {b: 1, c: 2, b: 3}\n", "line 1: the key b stands twice"),
    ],
)
def test_a_key_that_stands_twice_in_a_mapping_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    project = assemble(settings(_with_yml(tmp_path, text)), tmp_path / "work")

    with pytest.raises(BuildError, match=said):
        refuse_repeated_keys(project)


@pytest.mark.parametrize(
    "text", ["", "a: {b: 1}\nc: {b: 1}\nd: [{b: 1}, {b: 1}]\n", "models: [", "- \u00e4\n"]
)
def test_what_stands_once_in_each_mapping_is_taken_and_what_nobody_can_read_is_left_to_dbt(
    tmp_path: Path, text: str
) -> None:
    refuse_repeated_keys(assemble(settings(_with_yml(tmp_path, text)), tmp_path / "work"))


def _with_yml(folder: Path, text: str) -> Path:
    file = folder / "mapping/models/terms.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return folder
