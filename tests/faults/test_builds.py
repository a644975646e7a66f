"""`tieout build`, killed at its statements: a whole set is in force afterwards, the old one or the new one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.db.fix_build import Place, built, built_template
from tests.faults.fix_victims import Launcher

__all__ = ["built", "built_template"]

KILLED = {"signal": 9}
POINTS = (
    ("dbt before", 3, "old"),
    ("dbt after", 30, "old"),
    ("commit before cdc.switch.switch", 1, "old"),
    ("commit after cdc.switch.switch", 1, "new"),
)
"""Where, the how manieth time, and which set is in force afterwards."""


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Victims that build have dbt imported already."""
    made = Launcher(tmp_path_factory.mktemp("victims"), with_dbt=True)
    yield made
    made.close()


def test_a_whole_set_is_in_force_wherever_a_build_is_killed_and_the_next_one_clears_up(
    built: Place, launcher: Launcher, tmp_path: Path
) -> None:
    settings = settings_of(built, tmp_path)
    account = "0201"
    for number, (point, nth, expected) in enumerate(POINTS):
        before, wanted = in_force(built), f"03{number:02}"
        built.edit("models/lookups/accounts.csv", account, wanted)
        account = wanted

        victim = launcher.start("build", settings=settings, point=point, nth=nth)

        assert victim.wait() == KILLED, (point, victim.said)
        assert (in_force(built) == before) == (expected == "old"), point
        assert all_is_readable(built), point
        diff = launcher.start("diff", settings=settings)
        assert diff.wait().get("exit") in (0, 4, 5), (point, diff.said)

    last = launcher.start("build", settings=settings)

    assert last.wait() == {"exit": 0}, last.said
    assert json.loads(last.out.read_text(encoding="utf-8"))["unchanged"] is True
    assert left_over(built) == []
    assert account in str(built.rows("select * from lookups.accounts"))


def settings_of(place: Place, folder: Path) -> Path:
    """The settings of a place as a file."""
    file = folder / "tieout.toml"
    lines = [
        'environment = "test"',
        f"data_dir = '{place.settings.data_dir}'",
        f"database.url = '{place.database.url}'",
        f"models.project_dir = '{place.project}'",
        f"models.lookups_dir = '{place.settings.lookups_dir}'",
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def in_force(place: Place) -> str:
    """The one set that all models are of."""
    rows = place.rows("select distinct build from cdc.models")
    assert len(rows) == 1, rows
    return str(rows[0]["build"])


def all_is_readable(place: Place) -> bool:
    """Every view of the set in force is there and can be read."""
    views = place.rows(
        "select schemaname, viewname from pg_views where schemaname in ('canonical', 'outbound', 'proofs')"
    )
    for view in views:
        place.rows(f'select * from "{view["schemaname"]}"."{view["viewname"]}"')
    return len(place.rows("select 1 from outbound.out_xero__invoices")) == 4


def left_over(place: Place) -> list[str]:
    """Schemas of sets that are not in force."""
    rows = place.rows(r"select nspname from pg_namespace where nspname ~ '^(build|old)__' order by nspname")
    return [row["nspname"] for row in rows]
