"""A database that forgot is found out before anything is sent, and says what happened and what to type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cdc import installation
from cdc.recover import join
from tests.db.fix_engine import Engine, FakeIdentity, engine
from tests.db.fix_recovery import EMPTY, copy_of, forget, moved_to, recovered
from tieout import witness
from tieout.errors import ConfigurationError, ExitCode, RecoveryNeeded

__all__ = ["engine"]


def stopped(engine: Engine) -> str:
    """A drain that wrote nothing, for a person; what it said, with the cure."""
    before = len(engine.target.writes)
    drained = engine.drain()
    assert len(engine.target.writes) == before
    [error] = drained.errors
    assert isinstance(error, RecoveryNeeded)
    assert error.exit_code is ExitCode.PERSON
    return f"{error} {error.cure}"


def one_write(engine: Engine) -> None:
    """A customer in the ledger, and another that is ready."""
    engine.customer("7")
    engine.sync()
    engine.customer("8")
    engine.load()
    engine.diff()


def test_each_call_is_in_the_witness_before_it_leaves(engine: Engine) -> None:
    seen: list[int] = []
    engine.target.on_write = lambda: seen.append(witness.everything(engine.settings).popitem()[1].last_call)
    engine.customer()
    engine.diff()

    engine.drain()

    assert seen == [engine.rows("select number from cdc.calls")[0]["number"]]


def test_nothing_leaves_when_the_witness_cannot_be_written(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.customer()
    engine.diff()

    def full(_settings: object, _number: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("cdc.drain.witness.note_call", full)

    drained = engine.drain()

    assert (engine.target.writes, engine.states()) == ([], {"shop/customer/7": "ready"})
    assert "witness file cannot be written" in str(drained.errors[0])


def test_the_database_that_wrote_last_goes_on(engine: Engine) -> None:
    one_write(engine)

    drained = engine.drain()

    assert (drained.errors, drained.applied) == ((), 1)
    assert installation.problem(engine.connection, engine.settings) is None


_PLACES: dict[str, tuple[str, str]] = {
    "another server": ("update cdc.installation set system_identifier = '1'", "made on another server"),
    # A promoted standby goes on with the same identifier and rows; only its timeline is the next one.
    "promotion": ("update cdc.installation set timeline_id = timeline_id - 1", "a standby was promoted"),
    "restore": (
        "update cdc.installation set restored_at = now(), restored_from = 'monday.dump'",
        "put back from monday.dump",
    ),
    "an older state": ("cdc.calls", "An older state was put back"),
}


@pytest.mark.parametrize("case", _PLACES)
def test_what_is_not_the_database_that_wrote_last_writes_nothing(engine: Engine, case: str) -> None:
    statement, words = _PLACES[case]
    one_write(engine)
    if statement == "cdc.calls":
        forget(engine, statement)
    else:
        engine.connection.execute(statement.encode())

    said = stopped(engine)

    assert words in said
    assert "`tieout recover`" in said
    assert installation.problem(engine.connection, engine.settings) is not None


def test_a_copy_within_the_server_writes_nothing_and_the_original_goes_on(engine: Engine) -> None:
    one_write(engine)
    with copy_of(engine) as database:
        copy = moved_to(engine, database)

        said = stopped(copy)

        copy.connection.close()
    assert "copied, or made anew from a backup" in said
    assert engine.drain().applied == 1


def test_an_empty_database_in_the_place_of_one_that_wrote_writes_nothing(engine: Engine) -> None:
    one_write(engine)
    forget(engine, *EMPTY)
    engine.customer("9")
    engine.diff()

    said = stopped(engine)

    assert "is a new, empty one" in said
    assert "tieout restore" in said


def test_a_second_database_of_this_machine_does_not_write_to_the_same_target(engine: Engine) -> None:
    one_write(engine)
    with copy_of(engine) as database:
        other = moved_to(engine, database)
        forget(other, *EMPTY)
        other.customer("9")
        other.diff()

        said = stopped(other)

        # Another organisation is none of the first one's business.
        other.identity = FakeIdentity(id="org-2")
        other.connection.execute(
            "update cdc.connections set target_identity = 'org-2' where connection = 'books'"
        )
        assert other.drain().errors == ()
        other.connection.close()
    assert "two of them would post everything twice" in said


def test_a_machine_without_a_witness_is_not_trusted_until_a_person_lets_it_in(
    engine: Engine, tmp_path: Path
) -> None:
    one_write(engine)
    engine.settings = replace(engine.settings, data_dir=tmp_path / "second")

    said = stopped(engine)
    join(engine.database, engine.settings, by="jane")

    assert "has never written from this database" in said
    assert "tieout recover --join" in said
    assert engine.drain().applied == 1
    assert [row["recovered_by"] for row in engine.rows("select * from cdc.recoveries")] == ["jane"]


def test_joining_does_not_excuse_a_database_that_was_put_back(engine: Engine, tmp_path: Path) -> None:
    one_write(engine)
    engine.connection.execute("update cdc.installation set restored_at = now(), restored_from = 'x'")
    engine.settings = replace(engine.settings, data_dir=tmp_path / "second")

    with pytest.raises(RecoveryNeeded):
        join(engine.database, engine.settings, by="jane")


def test_production_in_development_is_not_even_recovered(engine: Engine) -> None:
    engine.settings = replace(engine.settings, environment="prod")
    one_write(engine)
    with copy_of(engine) as database:
        copy = moved_to(engine, database)
        copy.settings = replace(copy.settings, environment="dev")

        said = stopped(copy)
        with pytest.raises(ConfigurationError, match="copied") as caught:
            recovered(copy)

        copy.connection.close()
    assert "It is production's, and these settings are those of dev" in said
    assert "demo organisation" in caught.value.cure


def test_development_that_goes_live_is_production_from_then_on(engine: Engine) -> None:
    one_write(engine)
    engine.settings = replace(engine.settings, environment="prod")
    engine.drain()
    engine.settings = replace(engine.settings, environment="test")

    engine.drain()

    assert engine.rows("select environment from cdc.installation") == [{"environment": "prod"}]


def test_a_database_under_a_new_address_takes_its_witness_along(engine: Engine) -> None:
    one_write(engine)
    url = engine.settings.database_url or ""
    engine.settings = replace(engine.settings, database_url=url.replace("127.0.0.1", "localhost"))

    drained = engine.drain()

    assert drained.errors == ()
    assert [name.split(":")[0] for name in witness.everything(engine.settings)] == ["localhost"]


def test_two_drains_at_once_do_not_lower_the_witness(engine: Engine) -> None:
    one_write(engine)
    state = installation.look(engine.connection, engine.settings)
    witness.note_call(engine.settings, 10_000)

    installation.remember(engine.settings, replace(state, known={}))

    known = witness.read(engine.settings)
    assert known is not None
    assert known.last_call == 10_000


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("data_folder", "/elsewhere/data", "was copied or moved: it was /elsewhere/data"),
        ("machine", "another", "was copied from another machine"),
        ("data_inode", 1, "are copies: the folder was put back from a backup"),
    ],
)
def test_a_copied_data_folder_is_known_by_path_machine_and_file(
    engine: Engine, column: str, value: object, words: str
) -> None:
    one_write(engine)
    state = installation.look(engine.connection, engine.settings)
    here: Callable[[str], object] = {"data_folder": "/srv/data", "machine": "m1", "data_inode": 7}.__getitem__
    place = replace(state.place, data_folder="/srv/data", machine="m1", data_inode=7)
    row = {**state.row, **{name: here(name) for name in ("data_folder", "machine", "data_inode")}}

    honest = installation.find_problem(replace(state, place=place, row=row))
    found = installation.find_problem(replace(state, place=place, row={**row, column: value}))

    assert honest is None
    assert found is not None
    assert words in found.what
