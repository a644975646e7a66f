"""Secrets at rest: never in clear, renewed by one at a time, stored before they are used."""

from __future__ import annotations

import dataclasses
import stat
import threading
from collections import Counter

import pytest
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tieout import vault as vault_module
from tieout.db import Database
from tieout.errors import ConfigurationError, CredentialsError, RetryLater
from tieout.vault import KEY_FILE, Vault


class Died(BaseException):
    """As a killed process: nothing catches it."""


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


def rows_open_with(database: Database, key: str) -> bool:
    with database.connect() as connection:
        rows = connection.execute("select ciphertext from cdc.vault").fetchall()
    try:
        return all(Fernet(key).decrypt(bytes(row["ciphertext"])) for row in rows)
    except InvalidToken:
        return False


def test_a_new_key_opens_every_secret_and_the_old_one_none(database, settings):
    vault, file = Vault(database, settings), settings.data_dir / KEY_FILE
    vault.put("books", SECRET)
    vault.put("shop", {"password": "tell-nobody-either"})
    old = file.read_text().strip()

    assert vault.rotate() == 2

    assert file.read_text().strip() != old
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir()] == [KEY_FILE]
    assert rows_open_with(database, file.read_text().strip())
    assert not rows_open_with(database, old)
    assert vault.get("books") == Vault(database, settings).get("books") == SECRET


def test_a_process_that_read_the_former_key_goes_on_with_the_new_one(database, settings):
    running = Vault(database, settings)
    running.put("books", SECRET)

    Vault(database, settings).rotate()

    assert running.get("books") == SECRET
    writer = Vault(database, settings)
    writer.get("books")
    Vault(database, settings).rotate()
    writer.put("books", {"refresh_token": "newer"})
    assert rows_open_with(database, (settings.data_dir / KEY_FILE).read_text().strip())


@pytest.mark.parametrize("dies", ["before", "within", "after"])
def test_a_rotation_that_dies_leaves_every_secret_readable_and_is_repeated(
    database, settings, monkeypatch, dies
):
    """Before the rows are touched, between two rows, and after the commit before the former key is forgotten."""
    vault, file = Vault(database, settings), settings.data_dir / KEY_FILE
    for name in ("books", "shop"):
        vault.put(name, SECRET)
    old = file.read_text().strip()
    calls = Counter[str]()

    def replace(path, keys, real=vault_module._replace_keys):
        calls["file"] += 1
        if dies == "before" or (dies == "after" and calls["file"] == 2):
            raise Died
        real(path, keys)

    def rotate(cipher, token, real=MultiFernet.rotate):
        calls["rows"] += 1
        if dies == "within" and calls["rows"] == 2:
            raise Died
        return real(cipher, token)

    with monkeypatch.context() as patch:
        patch.setattr(vault_module, "_replace_keys", replace)
        patch.setattr(MultiFernet, "rotate", rotate)
        with pytest.raises(Died):
            Vault(database, settings).rotate()

    assert Vault(database, settings).get("shop") == vault.get("books") == SECRET
    Vault(database, settings).put("new", SECRET)
    assert Vault(database, settings).rotate() == 3
    assert len(file.read_text().split()) == 1
    assert not rows_open_with(database, old)
    assert Vault(database, settings).get("new") == Vault(database, settings).get("books") == SECRET


def test_a_key_of_the_environment_is_replaced_by_the_one_that_its_owner_set(database, settings):
    former, new = (Fernet.generate_key().decode() for _ in range(2))
    before = dataclasses.replace(settings, vault_key=former)
    between = dataclasses.replace(settings, vault_key=new, vault_old_key=former)
    after = dataclasses.replace(settings, vault_key=new)
    Vault(database, before).put("books", SECRET)

    assert Vault(database, between).get("books") == SECRET
    with pytest.raises(ConfigurationError, match="key before it is not given") as caught:
        Vault(database, after).rotate()
    assert "TIEOUT_VAULT_OLD_KEY" in caught.value.cure
    assert Vault(database, between).rotate() == 1

    assert Vault(database, after).get("books") == SECRET
    with pytest.raises(CredentialsError):
        Vault(database, before).get("books")
    assert not (settings.data_dir / KEY_FILE).exists()


def test_a_key_moves_from_its_file_to_the_environment(database, settings):
    Vault(database, settings).put("books", SECRET)
    after = dataclasses.replace(settings, vault_key=Fernet.generate_key().decode())

    assert Vault(database, after).rotate(old_key_file=settings.data_dir / KEY_FILE) == 1

    assert Vault(database, after).get("books") == SECRET


def test_a_rotation_that_cannot_read_a_secret_changes_none(database, settings):
    vault = Vault(database, settings)
    vault.put("books", SECRET)
    with database.connect() as connection:
        connection.execute(
            "insert into cdc.vault (name, ciphertext) values ('shop', %s)",
            [Fernet(Fernet.generate_key()).encrypt(b"{}")],
        )

    with pytest.raises(CredentialsError, match="shop"):
        vault.rotate()

    assert Vault(database, settings).get("books") == SECRET


def test_a_secret_can_be_forgotten(database, settings):
    vault = Vault(database, settings)
    vault.put("books", SECRET)

    vault.remove("books")

    assert vault.get("books") is None
