"""The stand-ins as processes that outlive the command: started once, found again, stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from console import stands
from console.cli import main
from tests.fix_http import LOCAL
from tieout.errors import ConfigurationError


def answer(*words: str, folder: Path) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["sandbox", *words, "--folder", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_stand_ins_are_started_once_found_again_and_stopped(tmp_path: Path) -> None:
    try:
        started = answer("start", folder=tmp_path)
        again = answer("start", "--unlimited", folder=tmp_path)
        found = answer("status", folder=tmp_path)
        organisation = LOCAL.get(f"{started['xero']['address']}/api.xro/2.0/Organisation")
    finally:
        stopped = answer("stop", folder=tmp_path)

    assert started == again == found
    assert set(started) == {"magento", "xero"}
    assert organisation.status_code == 401
    assert stopped == {"stopped": ["magento", "xero"]}
    assert answer("status", folder=tmp_path) == {}
    assert [each["process_id"] for each in started.values() if psutil.pid_exists(each["process_id"])] == []


def test_the_file_with_the_credentials_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stands, "_start_one", lambda folder, system, _options: _standing(system))

    stands.start(tmp_path)

    assert (tmp_path / "sandbox.json").stat().st_mode & 0o077 == 0


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    assert answer("stop", folder=tmp_path) == {"stopped": []}


def test_a_number_that_another_process_has_by_now_is_not_ours(tmp_path: Path) -> None:
    ours = _standing("xero")
    other = {**_plain(ours), "started": ours.started - 100}
    (tmp_path / "sandbox.json").write_text(json.dumps([other]), encoding="utf-8")

    assert stands.status(tmp_path) == []
    assert stands.stop(tmp_path) == []


def test_a_stand_in_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="magento stand-in ended at once") as raised:
        stands.start(tmp_path, options={"magento": {"nonsense": 1}})

    assert str(tmp_path / "magento.log") in raised.value.cure
    assert "nonsense" in (tmp_path / "magento.log").read_text(encoding="utf-8")
    assert stands.status(tmp_path) == []


def _standing(system: str) -> stands.Standing:
    return stands.Standing(
        system=system,
        address="http://127.0.0.1:1",
        credentials={"client_secret": "s"},
        process_id=os.getpid(),
        started=psutil.Process().create_time(),
    )


def _plain(standing: stands.Standing) -> dict[str, object]:
    return {name: getattr(standing, name) for name in standing.__dataclass_fields__}
