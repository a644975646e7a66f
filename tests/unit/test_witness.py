"""The witness file: what a machine remembers of its databases, whatever these forget."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tieout import witness
from tieout.errors import ConfigurationError, ExitCode
from tieout.settings import Settings
from tieout.witness import Witness


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", project_dir=tmp_path, lookups_dir=tmp_path)


def test_the_number_of_a_call_and_the_head_of_the_audit_only_grow(settings):
    witness.note_call(settings, 12)
    witness.note_call(settings, 9)
    witness.note_audit_head(settings, 7, "bb")
    witness.note_audit_head(settings, 5, "aa")

    known = witness.read(settings)

    assert known is not None
    assert (known.last_call, known.audit_position, known.audit_digest) == (12, 7, "bb")
    assert witness.audit_head(settings) == (7, "bb")


def test_each_database_has_its_part_by_an_address_without_user_and_password(settings):
    first = replace(settings, database_url="postgresql://me:secret@db.example:6000/one")
    other = replace(settings, database_url="host=db.example port=6000 dbname=two user=me password=secret")
    witness.note_call(first, 1)
    witness.note_call(other, 2)
    witness.note_call(settings, 3)

    known = witness.everything(settings)

    assert {name: each.last_call for name, each in known.items()} == {
        "db.example:6000/one": 1,
        "db.example:6000/two": 2,
        "embedded": 3,
    }
    assert "secret" not in witness.path(settings).read_text()


def test_processes_at_the_same_time_lose_nothing_of_each_other(settings):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: witness.note_target(settings, f"xero {number}", "books"), range(40)))

    known = witness.read(settings)

    assert known is not None
    assert len(known.targets) == 40


def test_recovering_retires_the_former_installation_wherever_it_stands(settings):
    old = replace(settings, database_url="postgresql://db.example/old")
    witness.put(old, Witness(installation="one", last_call=9))

    witness.put(settings, Witness(installation="two"), retired={"one": "two"})

    assert witness.everything(settings)["db.example:5432/old"].succeeded_by == "two"
    assert witness.read(settings) == Witness(installation="two")


def test_a_file_that_cannot_be_read_is_a_persons_matter_and_never_taken_for_none(settings):
    witness.note_call(settings, 1)
    witness.path(settings).write_text("{")

    with pytest.raises(ConfigurationError) as caught:
        witness.read(settings)

    assert caught.value.exit_code is ExitCode.PERSON
    assert "tieout recover" in caught.value.cure


def test_a_kill_while_it_is_written_leaves_the_former_one(settings, monkeypatch):
    witness.note_call(settings, 1)
    monkeypatch.setattr("tieout.witness.os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))

    with pytest.raises(OSError, match="disk full"):
        witness.note_call(settings, 2)

    assert witness.read(settings) == Witness(last_call=1)
