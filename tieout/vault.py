"""Tokens at rest: encrypted in the database, with a key that is never there.

The key is TIEOUT_VAULT_KEY or the file `vault.key` in data_dir (made at the first need, readable by its owner
alone). Tokens that replace each other when used (rotating refresh tokens) are renewed by one process at a
time: the lock is taken, the stored value is read again, the vendor is asked, and the answer is committed
before anybody uses it. If the process dies between the vendor's answer and the commit, the stored token is
the replaced one; vendors accept it for a while for this reason (Xero: 30 minutes,
developer.xero.com/documentation/guides/oauth2/token-types, checked 2026-03).
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from cryptography.fernet import Fernet, InvalidToken

from tieout.db import Database, json_dumps, json_loads, lock_key
from tieout.errors import ConfigurationError, CredentialsError, DatabaseDown
from tieout.events import Event, emit
from tieout.queries import query
from tieout.settings import Settings

KEY_FILE = "vault.key"
_SAVE_ATTEMPTS = 3

Secret = dict[str, Any]


class Vault:
    """The secrets of one database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._fernet: Fernet | None = None

    def get(self, name: str) -> Secret | None:
        """The secret of that name, or None. CredentialsError when it was encrypted with another key."""
        with self._database.connect() as session:
            return self._read(session, name)

    def put(self, name: str, value: Secret) -> None:
        """Store a secret; committed when this returns."""
        with self._database.connect() as session:
            self._write(session, name, value)

    def remove(self, name: str) -> None:
        """Forget a secret."""
        with self._database.connect() as session:
            session.execute(query("vault", "remove"), {"name": name})

    def renew(self, name: str, refresher: Callable[[Secret | None], Secret]) -> Secret:
        """Replace a secret under a lock of its name, and give the value that is now stored.

        `refresher` gets the stored value, which another process may just have renewed: it returns it as it is
        when it is still good, else asks the vendor. Whatever it raises leaves the stored value alone.
        """
        started = time.monotonic()
        with self._database.connect(direct=True) as session, session.transaction():
            session.execute(query("vault", "lock"), {"key": lock_key(f"tieout.vault.{name}")})
            stored = self._read(session, name)
            value = refresher(stored)
            if value == stored:
                return value
            self._save(name, value)
        emit(Event.VAULT_RENEWED, name=name, seconds=round(time.monotonic() - started, 3))
        return value

    def _save(self, name: str, value: Secret) -> None:
        """Commit in a session of its own.

        The vendor has already replaced the old token, so one lost session must not lose the new one.
        """
        for attempt in range(_SAVE_ATTEMPTS):
            try:
                with self._database.connect() as other:
                    self._write(other, name, value)
                return
            except (psycopg.OperationalError, DatabaseDown) as error:
                if attempt == _SAVE_ATTEMPTS - 1:
                    raise DatabaseDown(
                        f"The renewed token of {name} could not be stored: the database went away.",
                        cure="Run the command again within half an hour; later, `tieout connect`.",
                    ) from error

    def _read(self, session: psycopg.Connection[dict[str, Any]], name: str) -> Secret | None:
        row = session.execute(query("vault", "get"), {"name": name}).fetchone()
        if row is None:
            return None
        try:
            text = self._cipher(is_new=False).decrypt(bytes(row["ciphertext"]))
        except InvalidToken as error:
            raise CredentialsError(
                f"The secret {name} was encrypted with another key than {self._key_name()}.",
                cure="Restore that key, or log in again with `tieout connect`.",
            ) from error
        value: Secret = json_loads(text)
        return value

    def _write(self, session: psycopg.Connection[dict[str, Any]], name: str, value: Secret) -> None:
        ciphertext = self._cipher(is_new=True).encrypt(json_dumps(value).encode())
        session.execute(query("vault", "put"), {"name": name, "ciphertext": ciphertext})

    def _cipher(self, *, is_new: bool) -> Fernet:
        if self._fernet is None:
            key = self._settings.vault_key or _key_from_file(self._settings.data_dir / KEY_FILE, make=is_new)
            try:
                self._fernet = Fernet(key)
            except ValueError as error:
                raise ConfigurationError(
                    f"{self._key_name()} is not a key of the vault.",
                    cure="Restore the key that this database was used with (32 bytes in URL-safe base64).",
                ) from error
        return self._fernet

    def _key_name(self) -> str:
        return "TIEOUT_VAULT_KEY" if self._settings.vault_key else str(self._settings.data_dir / KEY_FILE)


def _key_from_file(path: Path, *, make: bool) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        if not make:
            raise CredentialsError(
                f"The vault's key {path} is missing.",
                cure="Restore it from where you keep it, or log in again with `tieout connect`.",
            ) from error
        return _make_key(path)
    except OSError as error:
        raise ConfigurationError(
            f"The vault's key {path} cannot be read: {error}.", cure="Run as the user who owns it."
        ) from error


def _make_key(path: Path) -> str:
    """Write a new key and give the one that counts: of two processes, the first to put it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(new, path)
    except FileExistsError:
        pass  # The other process's key is the one that counts.
    finally:
        new.unlink()
    return path.read_text().strip()
