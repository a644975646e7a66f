"""Connections to Postgres, and values that survive the way there and back.

Every connection commits by itself (a unit of work is `with connection.transaction():`), gives rows as
dictionaries, runs in UTC and reads jsonb numbers as Decimal: psycopg would give floats, and a cent would be
lost. Locks of a session whose process is gone must come free: a peer that vanishes is noticed after ten seconds, by us and
by the server; a process that sleeps (stopped, suspended) loses an open transaction after two minutes, and a session that
holds locks after its lease.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, NoReturn

import msgspec
import psycopg
from psycopg import postgres, pq, sql
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_dumps, set_json_loads

from tieout import embedded
from tieout.errors import ConfigurationError, DatabaseDown
from tieout.hush import know
from tieout.queries import compose, query
from tieout.settings import Settings

CONNECT_TIMEOUT_SECONDS = 10
PEER_TIMEOUT_SECONDS = 10
TRANSACTION_SECONDS = 120
"""No transaction of ours waits longer than that for its own process."""
LEASE_SECONDS = 600
"""A session past the pooler, which may hold locks, ends when its process has said nothing for so long: longer than any
wait of a process that lives."""

# How the server notices that we are gone: its own default is two hours (PostgreSQL: runtime-config-connection).
_SERVER_SIDE = {
    "tcp_keepalives_idle": PEER_TIMEOUT_SECONDS,
    "tcp_keepalives_interval": 3,
    "tcp_keepalives_count": 3,
    "idle_in_transaction_session_timeout": TRANSACTION_SECONDS * 1000,
}

SESSION_LOST = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)
"""The session is gone: the server, the way to it, or our own sleep."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ORDERED = msgspec.json.Encoder(decimal_format="number", order="sorted")
_CANONICAL = msgspec.json.Encoder(order="sorted")
_FAST = msgspec.json.Decoder(float_hook=Decimal)
_PLAIN = frozenset({str, int, bool, type(None)})
"""Types of which any value is exact."""
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is; `connect` opens a session."""

    url: str = field(repr=False)
    direct_url: str | None = field(default=None, repr=False)
    """Past a pooler, for sessions that hold locks."""

    def connect(
        self, *, direct: bool = False, lease_seconds: int | None = LEASE_SECONDS
    ) -> psycopg.Connection[dict[str, Any]]:
        """A session of its own, to be closed by the caller (`with database.connect() as connection:`).

        `direct`: past a pooler; then the server ends it when it is idle for `lease_seconds` (None: never).
        Raises DatabaseDown when nobody answers, ConfigurationError when the server refuses user, password or
        name.
        """
        url = (self.direct_url or self.url) if direct else self.url
        know(_password(url))
        try:
            connection: psycopg.Connection[DictRow] = psycopg.connect(
                url,
                autocommit=True,
                row_factory=dict_row,
                **_session_parameters(url, lease_seconds if direct else None),
            )
        except psycopg.OperationalError as error:
            _explain(error, url)
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(
                f"The database URL is not valid: {_without_secret(str(error), url)}.",
                cure="Write database.url as postgresql://user@host:5432/name.",
            ) from None  # the cause quotes the part of the URL that it does not understand
        set_json_loads(json_loads, connection)
        set_json_dumps(json_dumps, connection)
        return connection


def open_database(settings: Settings) -> Database:
    """The database of the settings; starts the embedded server when no URL is set. DatabaseDown when not
    reachable.
    """
    if settings.database_url is None:
        return Database(embedded.ensure_running(settings.data_dir))
    database = Database(settings.database_url, settings.database_direct_url)
    database.connect().close()
    return database


@contextmanager
def together(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Statements inside leave at once, and only who fetches waits for the answers up to there; the end waits for all.

    Each still begins when the one before it is done, and sees what that one did or waited for. No COPY, and no `rowcount`
    before something later was fetched. Outside a transaction they are one of their own.
    """
    try:
        with connection.pipeline():
            yield
    except psycopg.errors.PipelineAborted as aborted:
        # What the server passed over because an earlier statement had failed: that one says why.
        cause = aborted.__context__
        raise (cause if isinstance(cause, psycopg.Error) else aborted) from None


def copy_rows(
    connection: psycopg.Connection[Any],
    table: sql.Composable,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> int:
    """COPY rows into a table; values in the order of `columns`, jsonb as text. The number of rows."""
    statement = compose(
        "database",
        "copy_in",
        table=table,
        columns=sql.SQL(", ").join(sql.Identifier(name) for name in columns),
    )
    count = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def copy_binary(
    connection: psycopg.Connection[Any],
    table: sql.Composable,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object]],
) -> None:
    """COPY rows into a table in Postgres' own format; `columns`: name and type of each, jsonb as the bytes of its text.

    Nothing of a payload is decoded or escaped on the way.
    """
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    statement = compose("database", "copy_in_binary", table=table, columns=names)
    with connection.cursor() as cursor:
        cursor.adapters.register_dumper(bytes, _JsonbBytes)
        with cursor.copy(statement) as copy:
            copy.set_types(list(columns.values()))
            for row in rows:
                copy.write_row(row)


class _JsonbBytes(Dumper):
    """The text of a JSON value, as bytes, in the binary format of jsonb: a version before the text."""

    format = pq.Format.BINARY
    oid = postgres.types["jsonb"].oid

    def dump(self, obj: Any) -> bytes:
        return b"\x01" + bytes(obj)


def array_text(texts: Sequence[str]) -> str:
    """Texts as Postgres writes an array of them: a fraction of the time that adapting each takes. For a parameter that is
    cast (`%(ids)s::text []`).
    """
    if not texts:
        return "{}"
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') != 2 * (len(texts) - 1):
        joined = '","'.join(text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return f'{{"{joined}"}}'


def numbers_text(numbers: Iterable[int]) -> str:
    """Whole numbers as Postgres writes an array of them, for a parameter that is cast (`%(entries)s::bigint []`)."""
    return f"{{{','.join(map(str, numbers))}}}"


def next_version(connection: psycopg.Connection[dict[str, Any]]) -> int:
    """The next number of the version sequence, taken before a read or write leaves."""
    row = connection.execute(query("database", "next_version")).fetchone()
    assert row is not None, "select nextval gives one row"  # noqa: S101
    return int(row["version"])


def lock_key(name: str) -> int:
    """The number of an advisory lock, from its name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def try_lock(connection: psycopg.Connection[dict[str, Any]], name: str) -> bool:
    """Take a lock of this session; False when another session has it. It ends with the session."""
    return try_key(connection, lock_key(name))


def lock(connection: psycopg.Connection[dict[str, Any]], name: str) -> None:
    """Take a lock of this session, waiting for it."""
    connection.execute(query("database", "lock"), {"key": lock_key(name)})


def unlock(connection: psycopg.Connection[dict[str, Any]], name: str) -> bool:
    """Give a lock of this session back; False when it did not have it."""
    row = connection.execute(query("database", "unlock"), {"key": lock_key(name)}).fetchone()
    return row is not None and bool(row["unlocked"])


def prove_direct(database: Database) -> None:
    """Raise ConfigurationError unless sessions for locks reach the server past any pooler.

    A pooler that hands out its sessions by transaction gives a lock to whoever comes next. While another session keeps one
    of the pooler's busy, ours must still be on the backend that it began on, hold its lock, and be alone with it.
    """
    key = secrets.randbits(62)
    with database.connect(direct=True) as session, database.connect(direct=True) as other:
        session.execute(query("database", "lock"), {"key": key})
        first = _backend(session)
        with other.transaction():
            is_shared = _backend(other) == first or try_key(other, key)
            with session.transaction():
                is_moved = _backend(session) != first
        row = session.execute(query("database", "unlock"), {"key": key}).fetchone()
        is_lost = row is None or not row["unlocked"]
    if is_shared or is_moved or is_lost:
        raise ConfigurationError(
            "The database is reached through a pooler that shares its sessions: locks would belong to nobody, and two senders "
            "could write the same document.",
            cure="Set database.direct_url (TIEOUT_DATABASE__DIRECT_URL) to the server itself, past the pooler.",
        )


def _backend(connection: psycopg.Connection[dict[str, Any]]) -> int:
    row = connection.execute(query("database", "backend")).fetchone()
    assert row is not None, "a function gives one row"  # noqa: S101
    return int(row["backend"])


def try_key(connection: psycopg.Connection[dict[str, Any]], key: int) -> bool:
    """Take the lock of that number; False when another session has it."""
    row = connection.execute(query("database", "try_lock"), {"key": key}).fetchone()
    return row is not None and bool(row["locked"])


def json_loads(text: bytes | str) -> Any:
    """JSON with exact numbers: fractions as Decimal, whole numbers as int; ValueError for NaN, Infinity."""
    try:
        return _FAST.decode(text)
    except msgspec.DecodeError:
        # Half of a surrogate pair passes here and is refused where it is stored; what is wrong is said in known words.
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)


def json_dumps(value: Any) -> str:
    """JSON text with Decimals written as the numbers they are, digit for digit."""
    return _ENCODER.encode(_checked(value)).decode()


def ordered_dumps(value: Any) -> bytes:
    """The same with the keys of all objects in order: equal values give equal bytes."""
    return _ORDERED.encode(_checked(value))


def canonical_hash(value: Any) -> str:
    """sha256 (hex) of the value as canonical JSON: sorted keys, no blanks, and 1, 1.0 and 1.00 the same
    number.
    """
    return hashlib.sha256(_CANONICAL.encode(_canonical(value))).hexdigest()


def _canonical(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, Decimal)) and Decimal(value).is_finite():
        return _number(value)
    return _checked(value)


@functools.lru_cache(maxsize=4096)
def _number(value: int | Decimal) -> msgspec.Raw:
    """Equal numbers, however they are written, have one text: they may share a place in the cache."""
    number = _EXACT.normalize(Decimal(value))
    return msgspec.Raw(b"0" if number.is_zero() else str(number).encode())


def _checked(value: Any) -> Any:
    """Refuse binary floats and numbers that are none: money must not pass through them.

    Each value of each payload passes here several times: of most only the type is looked at.
    """
    left: list[Iterable[Any]] = [(value,)]
    while left:
        for item in left.pop():
            kind = type(item)
            if kind in _PLAIN:
                continue
            if isinstance(item, Decimal):
                if not item.is_finite():
                    raise TypeError(f"{item!r} is not an exact number; use Decimal")
            elif isinstance(item, dict):
                left.append(item.values())
            elif isinstance(item, (list, tuple)):
                left.append(item)
            elif isinstance(item, float):
                raise TypeError(f"{item!r} is not an exact number; use Decimal")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _session_parameters(url: str, lease_seconds: int | None) -> dict[str, Any]:
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return {}
    # What the URL says comes later and wins, but for the time zone.
    wanted = {
        **_SERVER_SIDE,
        **({"idle_session_timeout": lease_seconds * 1000} if lease_seconds is not None else {}),
    }
    ours = " ".join(f"-c {name}={value}" for name, value in wanted.items())
    options = " ".join(part for part in (ours, str(given.get("options") or ""), "-c timezone=UTC") if part)
    defaults: dict[str, Any] = {
        "application_name": "tieout",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "keepalives": 1,
        "keepalives_idle": PEER_TIMEOUT_SECONDS,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": PEER_TIMEOUT_SECONDS * 1000,
    }
    return {name: value for name, value in defaults.items() if name not in given} | {"options": options}


def _explain(error: psycopg.OperationalError, url: str) -> NoReturn:
    text = _without_secret(" ".join(str(error).split()), url)
    if re.search(r"authentication failed|no password supplied|role .* does not exist", text):
        raise ConfigurationError(
            f"The database refuses the user or password: {text}",
            cure="Correct database.url, or TIEOUT_DATABASE__URL where the password stands.",
        ) from error
    if re.search(r'database ".*" does not exist', text):
        raise ConfigurationError(
            f"The server has no such database: {text}",
            cure="Create it with `createdb`, or correct database.url.",
        ) from error
    raise DatabaseDown(f"The database does not answer: {text}") from error


def _without_secret(text: str, url: str) -> str:
    password = _password(url)
    if password is None:
        # libpq quotes what it does not understand of a URL, and a password is the likeliest part.
        return re.sub(r"://[^@/\s]*@", "://…@", re.sub(r'"[^"]*"', '"…"', text))
    return text.replace(password, "…") if password else text


def _password(url: str) -> str | None:
    """Of a URL; None when it is not valid."""
    try:
        return str(conninfo_to_dict(url).get("password") or "")
    except psycopg.ProgrammingError:
        return None
