"""Tokens at rest: encrypted in the database, with a key that is never there.

The key is TIEOUT_VAULT_KEY or the file `vault.key` in data_dir (made at the first need, readable by its owner
alone). `rotate` puts a new key in its place: the file holds both, the new one first, while all rows are encrypted
anew in one transaction; killed anywhere, everything can be read. A key from the environment is rotated by whoever
sets it: the new one as TIEOUT_VAULT_KEY, the former as TIEOUT_VAULT_OLD_KEY until `rotate` is done.

Tokens that replace each other when used (rotating refresh tokens) are renewed by one process at a
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
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tieout.db import Database, json_dumps, json_loads, lock_key
from tieout.errors import ConfigurationError, CredentialsError, DatabaseDown
from tieout.events import Event, emit
from tieout.http import boottime
from tieout.hush import know
from tieout.queries import query
from tieout.settings import Settings

KEY_FILE = "vault.key"
KEY_LOCK = "tieout.vault.key"
"""Shared by who stores a secret, alone by who changes the key."""
_SAVE_ATTEMPTS = 3

Secret = dict[str, Any]


class Vault:
    """The secrets of one database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._cipher: MultiFernet | None = None
        self._epoch: float | None = None

    def now(self) -> int:
        """Seconds since 1970 by the clock of the database: the ages of tokens are told by the one clock that all hosts share.

        Asked once; from then on a clock counts along that nobody sets.
        """
        if self._epoch is None:
            with self._database.connect() as session:
                row = session.execute(query("vault", "now")).fetchone()
            assert row is not None, "a select without from gives a row"  # noqa: S101
            self._epoch = float(row["now"]) - boottime()
        return int(self._epoch + boottime())

    def get(self, name: str) -> Secret | None:
        """The secret of that name, or None. CredentialsError when it was encrypted with another key."""
        with self._database.connect() as session:
            return self._read(session, name)

    def put(self, name: str, value: Secret) -> None:
        """Store a secret; committed when this returns."""
        with self._database.connect() as session:
            self._write(session, name, value)

    def rotate(self, *, old_key_file: Path | None = None) -> int:
        """Encrypt every secret with a new key; the number of secrets.

        In the file mode the new key is made here. With TIEOUT_VAULT_KEY it is that one, and the former is
        TIEOUT_VAULT_OLD_KEY or stands in `old_key_file`. Raises ConfigurationError when there is no former key,
        CredentialsError when a secret can be read by neither; nothing has changed then but that the file also
        holds the new key.
        """
        file = self._settings.data_dir / KEY_FILE
        with self._database.connect(direct=True) as session:
            with session.transaction():
                # Nobody stores a secret by the former key while rows are encrypted by the new one, or afterwards.
                session.execute(query("vault", "lock"), {"key": lock_key(KEY_LOCK)})
                keys = self._keys_of_rotation(file, old_key_file)
                if self._settings.vault_key is None:
                    _replace_keys(file, keys)
                cipher = self._cipher_of(keys)
                rows = session.execute(query("vault", "all")).fetchall()
                for row in rows:
                    name, before = row["name"], bytes(row["ciphertext"])
                    try:
                        after = cipher.rotate(before)
                    except InvalidToken as error:
                        raise self._unreadable(name) from error
                    session.execute(query("vault", "put"), {"name": name, "ciphertext": after})
            # Committed: the former key opens nothing any more.
            if self._settings.vault_key is None:
                _replace_keys(file, keys[:1])
        self._cipher = None
        emit(Event.VAULT_ROTATED, secrets=len(rows))
        return len(rows)

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
        ciphertext = bytes(row["ciphertext"])
        try:
            text = self._present_cipher().decrypt(ciphertext)
        except InvalidToken:
            # Another process may have changed the key since this one read it.
            self._cipher = None
            try:
                text = self._present_cipher().decrypt(ciphertext)
            except InvalidToken as error:
                raise self._unreadable(name) from error
        value: Secret = json_loads(text)
        _know(value)
        return value

    def _write(self, session: psycopg.Connection[dict[str, Any]], name: str, value: Secret) -> None:
        _know(value)
        with session.transaction():
            session.execute(query("vault", "lock_shared"), {"key": lock_key(KEY_LOCK)})
            # Read under the lock: the key of a minute ago may be the former one.
            self._cipher = None
            ciphertext = self._present_cipher(is_new=True).encrypt(json_dumps(value).encode())
            session.execute(query("vault", "put"), {"name": name, "ciphertext": ciphertext})

    def _present_cipher(self, *, is_new: bool = False) -> MultiFernet:
        # Taken once: another thread may drop it meanwhile, to read the key anew.
        cipher = self._cipher
        if cipher is None:
            settings = self._settings
            keys = (
                [settings.vault_key, *([settings.vault_old_key] if settings.vault_old_key else [])]
                if settings.vault_key
                else _keys_from_file(settings.data_dir / KEY_FILE, make=is_new)
            )
            self._cipher = cipher = self._cipher_of(keys)
        return cipher

    def _keys_of_rotation(self, file: Path, old_key_file: Path | None) -> list[str]:
        """The new key first, then what the secrets may be encrypted with now."""
        settings = self._settings
        old = _keys_from_file(old_key_file, make=False) if old_key_file is not None else []
        if settings.vault_key is None:
            return [Fernet.generate_key().decode(), *_keys_from_file(file, make=True), *old]
        if settings.vault_old_key:
            old = [settings.vault_old_key, *old]
        if not old:
            raise ConfigurationError(
                "The vault's key comes from TIEOUT_VAULT_KEY, and the key before it is not given.",
                cure="Set TIEOUT_VAULT_KEY to the new key and TIEOUT_VAULT_OLD_KEY (or --old-key-file) to the former "
                "one wherever tieout runs, run `tieout vault rotate`, and then remove the former one.",
            )
        return [settings.vault_key, *old]

    def _cipher_of(self, keys: list[str]) -> MultiFernet:
        know(*keys)
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise ConfigurationError(
                f"{self._key_name()} is not a key of the vault.",
                cure="Restore the key that this database was used with (32 bytes in URL-safe base64).",
            ) from error

    def _unreadable(self, name: str) -> CredentialsError:
        return CredentialsError(
            f"The secret {name} was encrypted with another key than {self._key_name()}.",
            cure="Restore that key, or log in again with `tieout connect`.",
        )

    def _key_name(self) -> str:
        return "TIEOUT_VAULT_KEY" if self._settings.vault_key else str(self._settings.data_dir / KEY_FILE)


def _know(secret: Secret) -> None:
    know(*(value for name, value in secret.items() if isinstance(value, str) and "scope" not in name))


def _keys_from_file(path: Path, *, make: bool) -> list[str]:
    """The keys of a file, one a line, the present one first; during a rotation there are two."""
    try:
        return path.read_text().split()
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


def _make_key(path: Path) -> list[str]:
    """Write a new key and give the one that counts: of two processes, the first to put it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = _written_beside(path, [Fernet.generate_key().decode()])
    try:
        os.link(new, path)
    except FileExistsError:
        pass  # The other process's key is the one that counts.
    finally:
        new.unlink()
    return path.read_text().split()


def _replace_keys(path: Path, keys: list[str]) -> None:
    """Put these keys into the file: all at once, and so that they outlive a loss of power."""
    _written_beside(path, keys).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _written_beside(path: Path, keys: list[str]) -> Path:
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return new
