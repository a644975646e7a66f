"""Logging in, and keeping tokens: stored before use, one refresher, nothing lost with a lost answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox import magento as magento_stand_in
from sandbox import xero as xero_stand_in
from sandbox.serving import Running
from tests.fix_http import LOCAL
from tieout.clients import magento, xero
from tieout.db import Database
from tieout.errors import ConfigurationError, ConnectionRefused, CredentialsError, RetryLater
from tieout.settings import Connection, Settings
from tieout.vault import Vault


@pytest.fixture
def xero_server() -> Iterator[Running]:
    """A Xero stand-in without limits."""
    running = xero_stand_in.start(minute=None, day=None, concurrent=None, appminute=None)
    yield running
    running.stop()


@pytest.fixture
def magento_server() -> Iterator[Running]:
    """A Magento stand-in whose integration also works as a plain bearer."""
    running = magento_stand_in.start(race_window_ms=0, integration_as_bearer=True)
    yield running
    running.stop()


@pytest.fixture
def vault(database: Database, settings: Settings) -> Vault:
    """The vault of this test."""
    return Vault(database, settings)


def control(running: Running, action: str, **body: Any) -> None:
    """Do something to the stand-in."""
    LOCAL.post(f"{running.address}/_sandbox/{action}", json=body, timeout=30).raise_for_status()


def books(running: Running, database: Database, vault: Vault, **options: Any) -> xero.Client:
    """A client of the stand-in."""
    values: dict[str, Any] = {
        "flow": "pkce",
        "client_id": running.credentials["pkce_client_id"],
        "tenant_id": running.credentials["tenant_id"],
        "api_url": f"{running.address}/api.xro/2.0",
        "identity_url": f"{running.address}/connect/token",
        "login_url": f"{running.address}/identity/connect/authorize",
        "redirect_uri": running.credentials["redirect_uri"],
    }
    connection = Connection(name="books", system="xero", options=MappingProxyType(values | options))
    return xero.open_client(connection, database, vault)


def shop(running: Running, database: Database, vault: Vault, **options: Any) -> magento.Client:
    """A client of the stand-in."""
    values = {"base_url": running.address, **options}
    return magento.open_client(
        Connection(name="shop", system="magento", options=MappingProxyType(values)), database, vault
    )


def consent(client: xero.Client) -> str:
    """The person agrees: the address that the browser is sent back to."""
    return LOCAL.get(client.login_url(), follow_redirects=False, timeout=30).headers["location"]


@pytest.mark.parametrize("flow", ["pkce", "web"])
def test_a_person_logs_in_and_the_organisation_is_known(
    xero_server: Running, database: Database, vault: Vault, flow: str
) -> None:
    credentials = xero_server.credentials
    options = {"client_id": credentials["client_id"], "client_secret": credentials["client_secret"]}
    client = books(xero_server, database, vault, flow=flow, **(options if flow == "web" else {}))

    client.finish_login(consent(client))

    identity = client.identity()
    assert identity.id == credentials["tenant_id"]
    assert identity.is_demo
    assert identity.base_currency == "GBP"


def test_the_code_alone_finishes_a_login_too(xero_server: Running, database: Database, vault: Vault) -> None:
    client = books(xero_server, database, vault)
    code = parse_qs(urlsplit(consent(client)).query)["code"][0]

    client.finish_login(code)

    assert client.identity().name


@pytest.mark.parametrize("query", ["error=access_denied", "code=x&state=another"])
def test_a_refused_or_foreign_answer_is_no_login(
    xero_server: Running, database: Database, vault: Vault, query: str
) -> None:
    client = books(xero_server, database, vault)
    client.login_url()

    with pytest.raises(CredentialsError):
        client.finish_login(f"http://localhost:8765/callback?{query}")


def test_without_a_login_the_cure_names_the_command(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    client = books(xero_server, database, vault)

    with pytest.raises(CredentialsError) as missing:
        client.identity()

    assert "tieout connect" in missing.value.cure


def test_a_login_that_reaches_two_organisations_asks_which(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    client = books(xero_server, database, vault, tenant_id=None)
    client.finish_login(consent(client))

    with pytest.raises(ConfigurationError, match="several organisations"):
        client.identity()


def test_a_wrong_secret_is_told_with_its_cure(xero_server: Running, database: Database, vault: Vault) -> None:
    client = books(
        xero_server,
        database,
        vault,
        flow="custom",
        client_id=xero_server.credentials["custom_client_id"],
        client_secret="wrong",
    )

    with pytest.raises(CredentialsError) as refused:
        client.identity()

    assert "client_secret" in refused.value.cure


def test_another_organisation_than_the_logins_is_refused(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    client = books(xero_server, database, vault, tenant_id="5f3b9a1e-7c1d-4d0a-9a54-000000000000")
    client.finish_login(consent(client))

    with pytest.raises(ConnectionRefused):
        client.identity()


def test_tokens_rotate_and_two_processes_share_them(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    one, other = books(xero_server, database, vault), books(xero_server, database, vault)
    one.finish_login(consent(one))
    assert one.identity() == other.identity()
    first = vault.get("books.xero")

    control(xero_server, "clock", advance_seconds=1900)

    assert one.identity() == other.identity()
    second = vault.get("books.xero")
    assert first is not None
    assert second is not None
    assert second["refresh_token"] != first["refresh_token"]
    assert one.tokens.access_token() == other.tokens.access_token() == second["access_token"]


def test_a_lost_answer_to_a_refresh_costs_nothing(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    client = books(xero_server, database, vault)
    client.finish_login(consent(client))
    control(xero_server, "clock", advance_seconds=1900)
    control(xero_server, "faults", kind="reset_after", path="/connect/token", times=1)

    assert client.identity().name


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_host_whose_clock_is_off_shares_tokens_as_if_it_were_right(
    xero_server: Running, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Ages are told by the database's clock: no needless renewal, no token used beyond its time, and the half hour of the
    spent refresh token counts alike on every host."""
    right = books(xero_server, database, Vault(database, settings))
    right.finish_login(consent(right))
    first = right.tokens.access_token()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    skewed = Vault(database, settings)

    shared = books(xero_server, database, skewed).tokens.access_token()
    control(xero_server, "clock", advance_seconds=1900)
    control(xero_server, "faults", kind="reset_after", path="/connect/token", times=1000)
    with pytest.raises(RetryLater):
        books(xero_server, database, skewed).identity()
    LOCAL.delete(f"{xero_server.address}/_sandbox/faults", timeout=30)

    assert shared == first
    assert books(xero_server, database, skewed).identity().name


def test_a_process_that_died_with_the_new_pair_is_followed_by_one_that_logs_in_with_the_old(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    client = books(xero_server, database, vault)
    client.finish_login(consent(client))
    control(xero_server, "clock", advance_seconds=1900)
    control(xero_server, "faults", kind="reset_after", path="/connect/token", times=1000)
    with pytest.raises(RetryLater):
        client.identity()
    LOCAL.delete(f"{xero_server.address}/_sandbox/faults", timeout=30)

    assert books(xero_server, database, vault).identity().name


def test_no_token_is_readable_in_the_database(xero_server: Running, database: Database, vault: Vault) -> None:
    client = books(xero_server, database, vault)
    client.finish_login(consent(client))
    token = client.tokens.access_token()

    with database.connect() as session:
        row = session.execute("select ciphertext from cdc.vault").fetchone()

    assert row is not None
    assert token.encode() not in bytes(row["ciphertext"])


def test_every_way_into_magento_works(magento_server: Running, database: Database, vault: Vault) -> None:
    credentials = magento_server.credentials
    oauth = {name: credentials[name] for name in ("consumer_key", "consumer_secret", "access_token")}
    ways: list[dict[str, Any]] = [
        {"auth": "oauth1", "access_token_secret": credentials["access_token_secret"], **oauth},
        {"auth": "bearer", "bearer_token": credentials["bearer_token"]},
        {
            "auth": "admin",
            "username": credentials["admin_username"],
            "password": credentials["admin_password"],
        },
    ]

    identities = {shop(magento_server, database, vault, **way).identity() for way in ways}

    assert len(identities) == 1
    assert identities.pop().is_demo


def test_magento_accepts_our_signature_beyond_ten_filters(
    magento_server: Running, database: Database, vault: Vault
) -> None:
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    client = shop(
        magento_server, database, vault, **{name: magento_server.credentials[name] for name in names}
    )
    params: dict[str, str] = {}
    for index in range(12):
        name = f"searchCriteria[filter_groups][{index}][filters][0]"
        params |= {
            f"{name}[field]": "entity_id",
            f"{name}[value]": "a b+c/d",
            f"{name}[condition_type]": "neq",
        }

    assert client.http.read("orders", params=params).status == 200


def test_an_admin_token_that_ended_is_made_anew_once(
    magento_server: Running, database: Database, vault: Vault
) -> None:
    credentials = magento_server.credentials
    way = {"username": credentials["admin_username"], "password": credentials["admin_password"]}
    client = shop(magento_server, database, vault, auth="admin", **way)
    client.identity()
    control(magento_server, "clock", advance_seconds=3700)

    assert client.identity().name


def test_a_permission_that_lacks_is_not_asked_for_again_and_again(database: Database, vault: Vault) -> None:
    running = magento_stand_in.start(race_window_ms=0, admin_resources=["Magento_Backend::store"])
    try:
        credentials = running.credentials
        way = {"username": credentials["admin_username"], "password": credentials["admin_password"]}
        client = shop(running, database, vault, auth="admin", **way)

        with pytest.raises(ConnectionRefused, match="Magento_Sales::actions_view"):
            client.http.read("orders", params={"searchCriteria": ""})

        logs = LOCAL.get(f"{running.address}/_sandbox/requests", timeout=30).json()["requests"]
        assert len([entry for entry in logs if entry["path"].endswith("/token")]) == 2
        assert len([entry for entry in logs if entry["path"].endswith("/orders")]) == 2
    finally:
        running.stop()


def test_a_wrong_password_is_tried_once(magento_server: Running, database: Database, vault: Vault) -> None:
    username = magento_server.credentials["admin_username"]
    client = shop(magento_server, database, vault, auth="admin", username=username, password="wrong")

    with pytest.raises(CredentialsError) as refused:
        client.identity()

    assert "half an hour" in refused.value.cure
    logs = LOCAL.get(f"{magento_server.address}/_sandbox/requests", timeout=30).json()["requests"]
    assert len(logs) == 1


def test_an_access_that_a_person_took_away_stops_the_connection_and_a_new_login_finds_the_same_books(
    xero_server: Running, database: Database, vault: Vault
) -> None:
    client = books(xero_server, database, vault)
    client.finish_login(consent(client))
    before = client.identity()
    control(xero_server, "disconnect")

    with pytest.raises(ConnectionRefused, match="AuthenticationUnsuccessful") as refused:
        client.identity()
    client.finish_login(consent(client))

    assert "tieout connect" in refused.value.cure
    assert "tieout resume" in refused.value.cure
    assert client.identity() == before
