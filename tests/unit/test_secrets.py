"""Secrets are planted wherever a user or a vendor may put them; none may come out in words: of a representation, an error
with everything that caused it, or an event."""

from __future__ import annotations

import base64
import io
import json
import traceback
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.fix_http import Server, breaks_off, resets, says
from tieout import events, hush
from tieout.clients import magento, xero
from tieout.clients.identity import parse_options
from tieout.clients.xero_login import Login, Tokens
from tieout.db import Database
from tieout.errors import Rejected, TieoutError
from tieout.events import Event, emit
from tieout.http import Http, boottime
from tieout.settings import Connection, Settings
from tieout.vault import Secret, Vault

PLANTED = "PLANTED-s3cret-0123456789"
"""Part of every secret here."""


def everything(error: BaseException) -> str:
    """What a traceback prints of an error and of all that led to it."""
    return "".join(traceback.format_exception(error)) + repr(error) + getattr(error, "cure", "")


@pytest.fixture
def written() -> io.StringIO:
    """Where events go."""
    stream = io.StringIO()
    events.configure(stream, json=True)
    return stream


def options(**values: str) -> Connection:
    system = values.pop("system")
    return Connection(name="books", system=system, options=values)


XERO = {"system": "xero", "flow": "custom", "client_id": "app", "client_secret": f"{PLANTED}-client"}
MAGENTO = {
    "system": "magento",
    "base_url": "https://shop.example",
    "consumer_key": "key",
    "consumer_secret": f"{PLANTED}-consumer",
    "access_token": f"{PLANTED}-access",
    "access_token_secret": f"{PLANTED}-access-secret",
}


def test_settings_and_options_do_not_show_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tieout.toml"
    file.write_text(
        f"""
        [database]
        url = "postgresql://me:{PLANTED}@127.0.0.1/books"
        [connections.books]
        system = "xero"
        client_secret = "{PLANTED}"
        """,
        encoding="utf-8",
    )
    monkeypatch.setenv("TIEOUT_VAULT_KEY", PLANTED)
    monkeypatch.setenv("TIEOUT_VAULT_OLD_KEY", PLANTED)
    settings = Settings.load(file)

    shown = [
        settings,
        settings.connections,
        settings.connection("books"),
        Database(f"postgresql://me:{PLANTED}@127.0.0.1/books"),
        parse_options(xero.Options, options(**XERO)),
        parse_options(magento.Options, options(**MAGENTO)),
        magento._signer(parse_options(magento.Options, options(**MAGENTO))),
    ]

    assert settings.vault_old_key == PLANTED
    assert [repr(each) for each in shown if PLANTED in f"{each!r}{each}"] == []


@pytest.mark.parametrize(
    "text",
    [
        f'[connections.books]\nsystem = "xero"\nclient_secret = {PLANTED}',
        f'[databas]\nurl = "postgresql://me:{PLANTED}@host/books"',
        f'vault_key = "{PLANTED}"',
    ],
    ids=["not-toml", "misspelt-section", "key-in-the-file"],
)
def test_a_settings_file_with_a_mistake_is_explained_without_its_values(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tieout.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TieoutError) as caught:
        Settings.load(file)

    assert PLANTED not in everything(caught.value)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (xero.Options, XERO | {"client_secrt": PLANTED}),
        (xero.Options, XERO | {"calls_a_day": PLANTED}),
        (magento.Options, MAGENTO | {"consumer_key": ""}),
        (magento.Options, MAGENTO | {"base_url": f"ftp://me:{PLANTED}@shop"}),
    ],
    ids=["misspelt", "in-the-wrong-place", "one-missing", "in-the-address"],
)
def test_wrong_options_are_explained_without_their_values(model: type, values: dict[str, str]) -> None:
    with pytest.raises(TieoutError) as caught:
        parse_options(model, options(**values))

    assert PLANTED not in everything(caught.value)


@pytest.mark.parametrize(
    "url",
    [f"postgresql://me:{PLANTED}@127.0.0.1:1/books", f"postgresql://me:{PLANTED}%zz@127.0.0.1/books"],
    ids=["nobody-there", "not-valid"],
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(url: str) -> None:
    with pytest.raises(TieoutError) as caught:
        Database(url).connect()

    assert PLANTED not in everything(caught.value)


class Memory(Vault):
    """A vault without a database."""

    def __init__(self, stored: Secret | None) -> None:
        self.stored = stored

    def now(self) -> int:
        return 1_790_000_000

    def get(self, name: str) -> Secret | None:
        return self.stored

    def renew(self, name: str, refresher: Callable[[Secret | None], Secret]) -> Secret:
        self.stored = refresher(self.stored)
        return self.stored


@pytest.mark.parametrize(
    "script",
    [
        says(200, f"{PLANTED}-raw"),
        says(200, json.dumps({"access_token": PLANTED})),
        says(200, json.dumps([PLANTED])),
        says(400, json.dumps({"error": "invalid_grant", "error_description": PLANTED})),
        says(503, PLANTED),
        resets,
        breaks_off,
    ],
    ids=["raw", "without-a-time", "a-list", "refused", "down", "reset", "broken"],
)
def test_a_login_that_fails_tells_neither_what_was_sent_nor_what_came(
    scripted_server: Server, written: io.StringIO, script: Callable[..., None]
) -> None:
    scripted_server.scripts = [script]
    login = Login(
        flow="web",
        client_id="app",
        client_secret=f"{PLANTED}-client",
        token_url=f"{scripted_server.address}/token",
        login_url="",
        connections_url="",
        redirect_uri="",
        scopes=(),
    )
    stored = {"access_token": f"{PLANTED}-old", "refresh_token": f"{PLANTED}-refresh", "expires_at": 0}
    tokens = Tokens(name="books", vault=Memory(stored), login=login, tenant_id="t")

    with pytest.raises(TieoutError) as caught:
        tokens.access_token()

    sent = b"".join(scripted_server.received)
    assert f"{PLANTED}-refresh".encode() in sent
    assert base64.b64encode(f"app:{PLANTED}-client".encode()) in sent
    assert PLANTED not in everything(caught.value) + written.getvalue() + repr(login) + repr(tokens)


@pytest.mark.parametrize(
    "script",
    [
        says(200, f"{PLANTED}-token"),
        says(200, json.dumps({"token": PLANTED})),
        says(401, f'{{"message": "wrong password {PLANTED}-password"}}'),
        says(400, f"<h1>{PLANTED}-password</h1>"),
        says(500, f"{PLANTED}-password"),
        resets,
    ],
    ids=["not-json", "an-object", "refused", "not-possible", "failed", "reset"],
)
def test_a_shop_that_refuses_an_administrator_is_told_of_without_password_or_token(
    scripted_server: Server, script: Callable[..., None]
) -> None:
    connection = options(
        system="magento",
        base_url=scripted_server.address,
        auth="admin",
        username="me",
        password=f"{PLANTED}-password",
    )
    parsed = parse_options(magento.Options, connection)
    scripted_server.scripts = [script]

    with pytest.raises(TieoutError) as caught:
        magento.AdminToken("shop", Memory(None), parsed).token()

    assert b"-password" in b"".join(scripted_server.received)
    assert PLANTED not in everything(caught.value) + repr(parsed)


@pytest.mark.parametrize(
    "script",
    [
        says(400, f'{{"Message": "bad header: {PLANTED}-access"}}'),
        says(401, f"token {PLANTED}-access is unknown"),
        says(500, f"<pre>Authorization: Bearer {PLANTED}-access</pre>"),
        says(200, f"not JSON {PLANTED}-access"),
        resets,
        breaks_off,
    ],
    ids=["refused", "unknown", "failed", "not-json", "reset", "broken"],
)
def test_a_vendor_that_quotes_our_token_is_told_of_without_it(
    scripted_server: Server, written: io.StringIO, script: Callable[..., None]
) -> None:
    hush.know(f"{PLANTED}-access")

    def sign(request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {PLANTED}-access"

    client = Http(base_url=scripted_server.address, authorise=sign, refusals=xero.refusals, name="books")
    told = []
    for attempt in (
        lambda: client.read("things", params={"token": PLANTED}),
        lambda: client.write(
            "PUT", "things", slot=client.ready_to_write(), content=b"{}", deadline=boottime() + 60
        ),
    ):
        scripted_server.scripts = [script]
        try:
            answer = attempt()
            told.append(repr(answer))
        except TieoutError as error:
            told.append(everything(error))
            if isinstance(error, Rejected):
                told.extend(error.messages)
    client.close()

    assert f"{PLANTED}-access".encode() in b"".join(scripted_server.received)
    assert [words for words in told if f"{PLANTED}-access" in words] == []
    assert PLANTED not in written.getvalue()


def test_a_secret_that_was_met_is_blanked_in_events_and_errors_wherever_it_stands(
    written: io.StringIO,
) -> None:
    hush.know(PLANTED, f"{PLANTED}/+longer", "short", None)

    emit(Event.LOAD_RECORD_REFUSED, connection="books", stream="x", id="1", reason=f"odd {PLANTED}/+longer!")
    emit(Event.CONNECTION_STOPPED, connection="short", reason=f"in a URL: {PLANTED}%2F%2Blonger")

    assert PLANTED not in written.getvalue() + str(Rejected(messages=(f"no {PLANTED}",)))
    assert "longer" not in written.getvalue()
    assert '"short"' in written.getvalue()
