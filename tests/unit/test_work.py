"""For whom a call is made: what nobody says, the surroundings say."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from console.frame import App, command
from console.report import Report
from tieout.budget import Work, present_work, working_for


@pytest.mark.parametrize(
    ("name", "work"), [("sync", Work.FRESH), ("load", Work.FRESH), ("check", Work.PERSON)]
)
def test_a_command_that_a_scheduler_runs_lets_those_go_first_that_a_person_waits_for(
    name: str, work: Work
) -> None:
    seen = []

    @command(name, help="Look.")
    def look(_app: App) -> Report:
        seen.append(present_work())
        with working_for(Work.BACKFILL):
            seen.append(present_work())
        return Report(data={}, shown=[])

    done = CliRunner().invoke(look, ["--json"])

    assert done.exit_code == 0
    assert seen == [work, Work.BACKFILL]
    assert present_work() is Work.FRESH
