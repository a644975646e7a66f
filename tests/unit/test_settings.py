"""Settings: what a person wrote, or one sentence about the line that is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tieout.errors import ConfigurationError, ExitCode
from tieout.settings import Settings, package_root

GOOD = """
environment = "prod"
data_dir = "data"

[limits]
creates = 7

[connections.Shop]
system = "magento"
base_url = "https://shop.example"

[connections.books]
system = "xero"
writes = "on"
"""


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "my.toml"
    file.write_text(text)
    return Settings.load(file)


def test_a_file_gives_its_values_and_the_defaults_of_the_rest(tmp_path):
    settings = load(tmp_path, GOOD)

    assert settings.environment == "prod"
    assert settings.data_dir == tmp_path / "data"
    assert (settings.limits.creates, settings.limits.updates) == (7, 200)
    assert settings.connections["shop"].options["base_url"] == "https://shop.example"
    assert (settings.connections["shop"].writes, settings.connections["books"].writes) == ("off", "on")
    assert settings.database_url is None
    assert settings.project_dir == package_root()
    assert settings.lookups_dir == package_root() / "models" / "lookups"


def test_addresses_of_alerts_are_a_list_in_the_file_and_separated_by_blanks_in_the_environment(
    tmp_path, monkeypatch
):
    text = '[alerts]\nurls = ["json://a/x,y", "mailtos://u:secret@b"]\nstale_hours = 3\n'
    from_file = load(tmp_path, text).alerts
    monkeypatch.setenv("TIEOUT_ALERTS__URLS", "json://c  json://d")

    assert from_file.urls == ("json://a/x,y", "mailtos://u:secret@b")
    assert (from_file.stale_hours, from_file.chain_minutes) == (3, 60)
    assert load(tmp_path, text).alerts.urls == ("json://c", "json://d")
    assert "secret" not in repr(from_file)


def test_calls_at_once_of_a_drain_are_set_in_the_file_or_the_environment(tmp_path, monkeypatch):
    text = "[drain]\ncalls_at_once = 2\n"
    from_file = load(tmp_path, text).draining
    monkeypatch.setenv("TIEOUT_DRAIN__CALLS_AT_ONCE", "3")

    assert (from_file.calls_at_once, load(tmp_path, text).draining.calls_at_once) == (2, 3)
    monkeypatch.setenv("TIEOUT_DRAIN__CALLS_AT_ONCE", "0")
    with pytest.raises(ConfigurationError, match="calls_at_once"):
        load(tmp_path, text)


def test_without_a_file_there_are_defaults_and_no_connections():
    settings = Settings.load()

    assert settings.connections == {}
    assert settings.environment == "dev"
    assert settings.source is None


def test_the_file_of_the_working_folder_is_read_and_the_variable_names_another(tmp_path, monkeypatch):
    (tmp_path / "tieout.toml").write_text('environment = "test"')
    (tmp_path / "other.toml").write_text('environment = "prod"')

    here = Settings.load().environment
    monkeypatch.setenv("TIEOUT_SETTINGS", str(tmp_path / "other.toml"))

    assert (here, Settings.load().environment) == ("test", "prod")


def test_the_environment_wins_and_stays_text(tmp_path, monkeypatch):
    monkeypatch.setenv("TIEOUT_CONNECTIONS__SHOP__ACCESS_TOKEN", "0123")
    monkeypatch.setenv("TIEOUT_CONNECTIONS__BOOKS__WRITES", "off")
    monkeypatch.setenv("TIEOUT_DATABASE__URL", "postgresql://db.example/books")
    monkeypatch.setenv("TIEOUT_ENVIRONMENT", "dev")
    monkeypatch.setenv("TIEOUT_LIMITS__CREATES", "3")

    settings = load(tmp_path, GOOD)

    assert settings.connections["shop"].options["access_token"] == "0123"
    assert settings.connections["books"].writes == "off"
    assert settings.database_url == "postgresql://db.example/books"
    assert settings.environment == "dev"
    assert settings.limits.creates == 3


def test_a_secret_may_stand_in_a_file_that_its_variable_names(tmp_path, monkeypatch):
    held = {
        "TIEOUT_VAULT_KEY": "key",
        "TIEOUT_CONNECTIONS__SHOP__ACCESS_TOKEN": "0123",
        "TIEOUT_DATABASE__URL": "postgresql://db/books",
    }
    for variable, value in held.items():
        (tmp_path / variable).write_text(f"{value}\n")
        monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / variable))

    settings = load(tmp_path, GOOD)

    assert settings.vault_key == "key"
    assert settings.connections["shop"].options["access_token"] == "0123"
    assert settings.database_url == "postgresql://db/books"


def test_a_secret_in_a_file_and_in_the_environment_or_in_no_file_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TIEOUT_DATABASE__URL_FILE", str(tmp_path / "nowhere"))

    with pytest.raises(ConfigurationError, match="TIEOUT_DATABASE__URL_FILE names cannot be read"):
        load(tmp_path, GOOD)

    monkeypatch.setenv("TIEOUT_DATABASE__URL", "postgresql://me:tell-nobody@db.example/books")
    with pytest.raises(ConfigurationError, match="URL and TIEOUT_DATABASE__URL_FILE are both set") as refused:
        load(tmp_path, GOOD)
    assert "tell-nobody" not in f"{refused.value}"


def test_variables_of_command_options_are_not_settings(monkeypatch):
    monkeypatch.setenv("TIEOUT_DRAIN_LIMIT", "5")

    assert Settings.load().connections == {}


def test_no_secret_is_shown_when_settings_are_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("TIEOUT_CONNECTIONS__SHOP__ACCESS_TOKEN", "tell-nobody")
    monkeypatch.setenv("TIEOUT_DATABASE__URL", "postgresql://me:tell-nobody@db.example/books")
    monkeypatch.setenv("TIEOUT_VAULT_KEY", "tell-nobody")

    assert "tell-nobody" not in repr(load(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('environment = "dev"\nenviron', "my.toml line 2: not valid TOML", id="half-a-line"),
        pytest.param('[connections.shop]\nsystem = "mag', "my.toml line 2: not valid TOML", id="open-quote"),
        pytest.param("[connections.shop", "my.toml line 1: not valid TOML", id="open-section"),
        pytest.param("\nenvironment =", "my.toml line 2: not valid TOML", id="no-value"),
        pytest.param(
            '[connections.shop]\nbase_url = "x"',
            r"my.toml line 1: connections.shop.system is missing",
            id="no-system",
        ),
        pytest.param(
            '[connections.shop]\nsystem = "magenta"',
            r"line 2: connections.shop.system: .*'magenta'",
            id="system",
        ),
        pytest.param(
            '[connections.shop]\nsystem = "xero"\nwrites = true',
            r"line 3: connections.shop.writes",
            id="writes",
        ),
        pytest.param('environment = "live"', r"line 1: environment", id="environment"),
        pytest.param("[limits]\ncreates = -1", r"line 2: limits.creates", id="negative"),
        pytest.param("[limit]\ncreates = 1", r"line 1: there is no setting limit", id="misspelt-section"),
        pytest.param(
            "[limits]\n\ncreate = 1", r"line 3: there is no setting limits.create", id="misspelt-field"
        ),
        pytest.param('[connections."my shop"]\nsystem = "xero"', "lower-case letters", id="name"),
        pytest.param('[connections]\nshop = "magento"', r"line 2: connections.shop", id="not-a-section"),
    ],
)
def test_a_half_written_file_is_named_with_line_field_and_cure(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(tmp_path, text)

    assert caught.value.exit_code == ExitCode.PERSON
    assert caught.value.cure


def test_a_misspelt_variable_is_noticed(monkeypatch):
    monkeypatch.setenv("TIEOUT_CONECTIONS__SHOP__TOKEN", "x")

    with pytest.raises(ConfigurationError, match="there is no setting conections"):
        Settings.load()


def test_a_wrong_value_is_not_repeated_because_it_may_be_a_secret(monkeypatch):
    monkeypatch.setenv("TIEOUT_DATABASE", "tell-nobody")
    monkeypatch.setenv("TIEOUT_CONNECTIONS__SHOP", "tell-nobody")

    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert "tell-nobody" not in f"{caught.value} {caught.value.cure}"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="no settings file"):
        Settings.load(tmp_path / "none.toml")


def test_an_unknown_connection_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigurationError, match=r"have: books, shop"):
        load(tmp_path, GOOD).connection("bank")


def test_the_file_alone_counts_where_that_is_asked_for(tmp_path, monkeypatch):
    """The demo must never run in the database that a user's environment names."""
    file = tmp_path / "tieout.toml"
    file.write_text('data_dir = "mine"\n')
    monkeypatch.setenv("TIEOUT_DATABASE__URL", "postgresql://books.example/real")

    assert Settings.load(file).database_url == "postgresql://books.example/real"
    assert Settings.load(file, environment=False).database_url is None


def test_a_connection_is_found_by_its_system_where_it_is_the_only_one(tmp_path):
    """`tieout connect xero` is what people type first."""
    file = tmp_path / "tieout.toml"
    file.write_text(
        '[connections.books]\nsystem = "xero"\n[connections.uk]\nsystem = "magento"\n[connections.eu]\nsystem = "magento"\n'
    )
    settings = Settings.load(file)

    assert settings.connection("xero").name == "books"
    with pytest.raises(ConfigurationError, match="no connection 'magento'"):
        settings.connection("magento")


LIMITED = """
[limits]
updates_share = 0.25

[limits.amounts]
eur = 50000.10

[limits.models.out_xero__items]
updates = 5000
"""


def test_limits_of_money_are_exact_and_by_currency_and_a_model_changes_only_what_it_names(tmp_path):
    limits = load(tmp_path, LIMITED).limits

    assert limits.amounts == {"EUR": Decimal("50000.10")}
    assert (limits.updates_share, limits.removals_share) == (Decimal("0.25"), Decimal("0.1"))
    items = limits.of("out_xero__items")
    assert (items.updates, items.updates_share, items.amounts) == (5000, Decimal("0.25"), limits.amounts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("[limits]\nupdates_share = 1.5", r"limits.updates_share", id="more than all"),
        pytest.param("[limits.amounts]\nEURO = 5", r"limits.amounts", id="no currency"),
        pytest.param("[limits.models.out_x]\nupdate = 5", r"limits.models.out_x.update", id="misspelt"),
    ],
)
def test_limits_that_make_no_sense_are_told_with_their_name(tmp_path, text, words):
    with pytest.raises(ConfigurationError, match=words):
        load(tmp_path, text)


def test_retention_is_for_ever_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    plain = load(tmp_path, GOOD).retention
    assert (plain.history_months, plain.entries_months, plain.audit_months) == (0, 0, 0)
    said = load(tmp_path, GOOD + '[retention]\nfolder = "old"\nhistory_months = 6\n').retention
    assert (said.history_months, said.folder) == (6, tmp_path / "old")


def test_an_audit_that_is_gone_before_what_it_proves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the audit proves the entries"):
        load(tmp_path, GOOD + "[retention]\nentries_months = 12\naudit_months = 6\n")
