"""Secrets at rest: never in clear, renewed by one at a time, stored before they are used."""

from __future__ import annotations

import dataclasses
import stat
import threading

import pytest
from cryptography.fernet import Fernet

from tieout.db import Database
from tieout.errors import ConfigurationError, CredentialsError, RetryLater
from tieout.vault import KEY_FILE, Vault

SECRET = {"refresh_token": "tell-nobody", "generation": 1}


def stored(database: Database) -> bytes:
    with database.connect() as connection:
        rows = connection.execute("select name, ciphertext from cdc.vault order by name").fetchall()
        return b"".join(row["name"].encode() + bytes(row["ciphertext"]) for row in rows)


def test_a_secret_comes_back_and_another_process_reads_it(database, settings):
    Vault(database, settings).put("books", SECRET)

    assert Vault(database, settings).get("books") == SECRET
    assert Vault(database, settings).get("shop") is None


def test_no_secret_stands_in_the_database_in_clear(database, settings):
    Vault(database, settings).put("books", SECRET)

    assert b"books" in stored(database)
    assert b"tell-nobody" not in stored(database)
    assert b"generation" not in stored(database)


def test_the_same_secret_twice_does_not_look_the_same(database, settings):
    vault = Vault(database, settings)
    vault.put("a", SECRET)
    vault.put("b", SECRET)

    with database.connect() as connection:
        rows = connection.execute("select count(distinct ciphertext) as count from cdc.vault").fetchone()

    assert rows == {"count": 2}


def test_the_key_is_a_file_for_its_owner_alone_and_not_in_the_database(database, settings):
    Vault(database, settings).put("books", SECRET)
    file = settings.data_dir / KEY_FILE

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip().encode() not in stored(database)
    assert [path.name for path in settings.data_dir.iterdir() if "vault" in path.name] == [KEY_FILE]


def test_the_key_of_the_settings_comes_before_the_file(database, settings):
    settings = dataclasses.replace(settings, vault_key=Fernet.generate_key().decode())

    Vault(database, settings).put("books", SECRET)

    assert Vault(database, settings).get("books") == SECRET
    assert not (settings.data_dir / KEY_FILE).exists()


def test_looking_for_a_secret_makes_no_key(database, settings):
    Vault(database, settings).get("books")

    assert not (settings.data_dir / KEY_FILE).exists()


def test_processes_that_make_the_key_at_once_agree_on_one(database, settings):
    vaults = [Vault(database, settings) for _ in range(6)]
    threads = [
        threading.Thread(target=vault.put, args=(f"s{number}", SECRET)) for number, vault in enumerate(vaults)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [Vault(database, settings).get(f"s{number}") for number in range(6)] == [SECRET] * 6


@pytest.mark.parametrize("lose", [True, False], ids=["key-missing", "another-key"])
def test_a_secret_of_another_key_asks_for_the_key_or_a_new_login(database, settings, lose):
    Vault(database, settings).put("books", SECRET)
    file = settings.data_dir / KEY_FILE
    file.unlink()
    if not lose:
        file.write_bytes(Fernet.generate_key())

    with pytest.raises(CredentialsError, match="key") as caught:
        Vault(database, settings).get("books")

    assert "tieout connect" in caught.value.cure


def test_a_key_that_is_none_is_a_matter_of_settings(database, settings):
    settings = dataclasses.replace(settings, vault_key="short")

    with pytest.raises(ConfigurationError, match="TIEOUT_VAULT_KEY is not a key") as caught:
        Vault(database, settings).put("books", SECRET)

    assert "short" not in str(caught.value)


def test_renewing_gives_the_refresher_what_is_stored_and_stores_what_it_gives(database, settings):
    vault = Vault(database, settings)
    vault.put("books", SECRET)
    seen = []

    def refresher(current):
        seen.append(current)
        return {"refresh_token": "new", "generation": current["generation"] + 1}

    value = vault.renew("books", refresher)

    assert seen == [SECRET]
    assert value == Vault(database, settings).get("books") == {"refresh_token": "new", "generation": 2}


def test_a_first_token_is_made_under_the_lock_too(database, settings):
    assert Vault(database, settings).renew("books", lambda current: {"first": current is None}) == {
        "first": True
    }


def test_of_many_that_renew_at_once_one_asks_the_vendor(database, settings):
    Vault(database, settings).put("books", SECRET)
    asked = []
    everybody = threading.Barrier(5)

    def refresher(current):
        if current["generation"] > 1:
            return current  # somebody has just renewed it
        asked.append(current["refresh_token"])
        return {"refresh_token": "new", "generation": 2}

    def process() -> None:
        everybody.wait()
        Vault(database, settings).renew("books", refresher)

    threads = [threading.Thread(target=process) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert asked == ["tell-nobody"]


def test_a_refresher_that_fails_leaves_the_stored_token(database, settings):
    vault = Vault(database, settings)
    vault.put("books", SECRET)

    def refresher(_current):
        raise RetryLater("the vendor is down")

    with pytest.raises(RetryLater):
        vault.renew("books", refresher)

    assert vault.get("books") == SECRET


def test_a_token_is_stored_although_the_session_that_held_the_lock_is_lost(database, settings):
    """The vendor has replaced the old token by then: losing the new one would mean a new login."""
    vault = Vault(database, settings)
    vault.put("books", SECRET)

    def refresher(_current):
        with database.connect() as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_locks"
                " where locktype = 'advisory' and pid <> pg_backend_pid()"
                " and database = (select oid from pg_database where datname = current_database())"
            )
        return {"refresh_token": "new", "generation": 2}

    with pytest.raises(Exception, match="terminat"):
        vault.renew("books", refresher)

    assert vault.get("books") == {"refresh_token": "new", "generation": 2}


def test_a_secret_can_be_forgotten(database, settings):
    vault = Vault(database, settings)
    vault.put("books", SECRET)

    vault.remove("books")

    assert vault.get("books") is None
