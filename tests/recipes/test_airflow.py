"""Airflow's DAGs, by Airflow's own commands: parsed without an error, run by `airflow dags test` against a set of books.

Airflow lives in an environment of its own: TIEOUT_TEST_AIRFLOW names it, else `.venv-airflow` beside the repository's files
(`python -m venv .venv-airflow && .venv-airflow/bin/pip install 'apache-airflow>=3,<4'`, a minute). Without one these tests skip.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.fix_world import World
from tests.recipes.fix_recipes import RECIPES, SECRETS, install, set_up, stub
from tieout.settings import package_root

PLACE = Path(os.environ.get("TIEOUT_TEST_AIRFLOW", package_root() / ".venv-airflow")) / "bin"
pytestmark = pytest.mark.skipif(
    not (PLACE / "airflow").exists(),
    reason="Airflow is not installed: python -m venv .venv-airflow && .venv-airflow/bin/pip install 'apache-airflow>=3,<4'",
)


class Airflow:
    """An Airflow with its metadata in a SQLite of its own and the recipe as its folder of DAGs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            "PATH": f"{PLACE}:/usr/bin:/bin",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(RECIPES / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "TIEOUT_BACKUPS": str(home),
        }
        self.run("airflow", "db", "migrate")

    def run(self, *command: str, code: int = 0) -> str:
        """What a command says."""
        done = subprocess.run(
            [PLACE / command[0], *command[1:]],
            env=self.env,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == code, done.stdout[-5000:]
        return done.stdout

    def dags(self) -> set[str]:
        """The DAGs that it found."""
        listed = self.run("airflow", "dags", "list", "--output", "json", "--local")
        return {each["dag_id"] for each in json.loads(listed[listed.index("[{") :])}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    return Airflow(tmp_path_factory.mktemp("airflow"))


def test_airflow_parses_the_recipe_into_two_dags_a_set_of_books(airflow):
    errors = airflow.run("airflow", "dags", "list-import-errors", "--local")

    assert "No data found" in errors
    assert airflow.dags() == {"tieout_alpha", "tieout_alpha_night", "tieout_beta", "tieout_beta_night"}


def test_airflow_runs_a_sync_of_a_set_of_books_and_a_night(airflow, world: World, tmp_path):
    for name in ("shop", "books"):
        world.run("connect", name)
    world.sync(codes=(0, 5))
    set_up(world, tmp_path / "alpha")
    books = tmp_path / "books.toml"
    books.write_text(f'[alpha]\nsettings = "{tmp_path / "alpha" / "tieout.toml"}"\n')
    secrets = {
        variable: (tmp_path / "alpha" / "secrets" / file).read_text().strip()
        for file, variable in SECRETS.items()
    }
    airflow.env |= {
        "TIEOUT_BOOKS": str(books),
        "TIEOUT_COMMAND": str(install(tmp_path / "bin") / "tieout"),
        "TIEOUT_DATA_DIR": str(tmp_path / "state"),
        "AIRFLOW_VAR_TIEOUT_ALPHA_SECRETS": json.dumps(secrets),
    }

    minutes = airflow.run("airflow", "dags", "test", "tieout_alpha")
    night = airflow.run("airflow", "dags", "test", "tieout_alpha_night")

    for said in (minutes, night):
        assert '"command": "sync", "exit_code": 0' in said
        assert "state:success" in said or "successful" in said
        assert not [value for value in secrets.values() if value in said]
    runs = [row["command"] for row in world.rows("select command from cdc.runs order by started_at")]
    assert runs[-3:] == ["sync", "load", "sync"]
    assert len(list(airflow.home.glob("alpha-*.dump"))) == 1


def test_airflow_tries_again_what_time_can_cure_and_fails_at_once_what_a_person_must(airflow, tmp_path):
    made = stub(tmp_path / "bin", "exit $1")
    airflow.env |= {
        "TIEOUT_BOOKS": str(RECIPES / "airflow" / "books.toml"),
        "TIEOUT_COMMAND": str(made / "tieout"),
    }
    asked = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tieout_dags\n"
        "for code in range(7):\n"
        "    try: tieout_dags.tieout.function('alpha', 'tieout.toml', str(code)); said = 'success'\n"
        "    except Exception as error: said = type(error).__name__\n"
        "    print('CODE', code, said)\n"
    )

    said = airflow.run("python", "-c", asked, str(RECIPES / "airflow"))

    told = {int(line.split()[1]): line.split()[2] for line in said.splitlines() if line.startswith("CODE")}
    fails = dict.fromkeys((1, 2, 3, 5, 6), "AirflowFailException")
    assert told == {0: "success", 4: "AirflowException", **fails}
