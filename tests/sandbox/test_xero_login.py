"""Login at the Xero stand-in: codes, PKCE, rotation, lifetimes, scopes, tenants."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from tests.sandbox.fix_xero import SCOPES, Books

VERIFIER = "v" * 64


def detail(books: Books) -> str:
    return str(json.loads(books.last.get_data(as_text=True))["Detail"])


def test_code_works_once(books):
    code = books.consent()

    assert books.exchange(code).status_code == 200
    assert books.exchange(code).get_json() == {"error": "invalid_grant"}


def test_code_ends_after_five_minutes(books):
    code = books.consent()
    books.advance(301)

    assert books.exchange(code).get_json() == {"error": "invalid_grant"}


def test_redirect_uri_must_be_the_one_of_the_code(books):
    code = books.consent(redirect_uri="http://localhost:9999/other")

    assert books.exchange(code).get_json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://127.0.0.1:8765/callback"},
        {"redirect_uri": "https://elsewhere.example.com/"},
        {"scope": "accounting.nonsense"},
        {"response_type": "token"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_authorize_parameters_show_a_page(books, wrong):
    query = {
        "response_type": "code",
        "client_id": books.credentials["client_id"],
        "redirect_uri": books.credentials["redirect_uri"],
        "scope": SCOPES,
    } | wrong

    answer = books.http.get("/identity/connect/authorize", query_string=query)

    assert (answer.status_code, answer.mimetype) == (400, "text/html")


def test_wrong_secret_and_grant(books):
    pair = (books.credentials["client_id"], "wrong")

    refused = books.ask_token(basic=pair, grant_type="refresh_token", refresh_token="x")
    unknown = books.ask_token(grant_type="password")

    assert (refused.status_code, refused.get_json()) == (400, {"error": "invalid_client"})
    assert unknown.get_json() == {"error": "unsupported_grant_type"}


def test_pkce_app_proves_itself_by_its_verifier(books):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    more = {"client": "pkce_client_id", "code_challenge": challenge, "code_challenge_method": "S256"}
    form = {"grant_type": "authorization_code", "redirect_uri": books.credentials["redirect_uri"]}
    client = {"client_id": books.credentials["pkce_client_id"]}

    wrong = books.ask_token(
        basic=("", ""), code=books.consent(**more), code_verifier="w" * 64, **form, **client
    )
    secret = books.ask_token(
        basic=("", ""),
        code=books.consent(**more),
        client_secret="s",
        code_verifier=VERIFIER,
        **form,
        **client,
    )
    right = books.ask_token(
        basic=("", ""), code=books.consent(**more), code_verifier=VERIFIER, **form, **client
    )

    assert wrong.get_json() == {"error": "invalid_grant"}
    assert secret.get_json() == {"error": "invalid_client"}
    assert right.get_json()["expires_in"] == 1800


def test_refresh_gives_a_new_pair(books):
    fresh = books.refresh(books.token["refresh_token"]).get_json()

    assert fresh["refresh_token"] != books.token["refresh_token"]
    assert fresh["access_token"] != books.token["access_token"]


def test_replaced_refresh_token_lives_thirty_minutes(books):
    old = books.token["refresh_token"]
    books.refresh(old)

    books.advance(29 * 60)
    assert books.refresh(old).status_code == 200

    books.advance(2 * 60)
    assert books.refresh(old).get_json() == {"error": "invalid_grant"}


def test_unused_refresh_token_ends_after_sixty_days(books):
    token = books.token["refresh_token"]

    books.advance(59 * 86_400)
    fresh = books.refresh(token).get_json()["refresh_token"]
    books.advance(61 * 86_400)

    assert books.refresh(fresh).get_json() == {"error": "invalid_grant"}


def test_no_refresh_token_without_offline_access(books):
    assert "refresh_token" not in books.login("accounting.contacts")


def test_access_token_ends_after_thirty_minutes(books):
    books.advance(1799)
    books.get("Organisation")
    assert books.last.status_code == 200

    books.advance(2)
    books.get("Organisation")

    assert books.last.status_code == 401
    assert detail(books).startswith("TokenExpired: token expired at ")


def test_access_token_carries_the_claims_that_clients_use(books):
    body = books.token["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

    assert {"exp", "client_id", "scope", "xero_userid", "authentication_event_id"} <= set(claims)
    assert "accounting.invoices" in claims["scope"]


def test_garbled_token(books):
    books.get("Organisation", Authorization="Bearer nonsense")

    assert (books.last.status_code, detail(books)) == (401, "AuthenticationUnsuccessful")


@pytest.mark.parametrize("tenant", ["", "5f3b9a1e-0000-4d0a-9a54-2d6a4f1c0b01"])
def test_missing_or_foreign_tenant(books, tenant):
    books.get("Organisation", xero_tenant_id=tenant)

    assert (books.last.status_code, detail(books)) == (403, "AuthenticationUnsuccessful")


def test_each_organisation_has_its_own_books(books):
    books.contact("Only here")

    other = books.credentials["second_tenant_id"]

    assert len(books.get("Contacts", {"where": 'Name=="Only here"'})) == 1
    assert not books.get("Contacts", {"where": 'Name=="Only here"'}, xero_tenant_id=other)
    assert books.get("Organisation", xero_tenant_id=other)[0]["IsDemoCompany"] is False


@pytest.mark.parametrize(
    ("scope", "method", "path", "allowed"),
    [
        ("accounting.contacts.read", "GET", "Contacts", True),
        ("accounting.contacts.read", "PUT", "Contacts", False),
        ("accounting.transactions", "PUT", "Invoices", True),
        ("accounting.transactions.read", "GET", "Payments", True),
        ("accounting.invoices", "GET", "Payments", False),
        ("accounting.payments", "PUT", "CreditNotes", False),
        ("accounting.settings", "GET", "TaxRates", True),
        ("accounting.settings", "PUT", "Items", False),
        ("accounting.settings accounting.invoices", "PUT", "Items", True),
        ("accounting.reports.read", "GET", "Reports/TrialBalance", True),
        ("accounting.settings", "GET", "Reports/TrialBalance", False),
        ("accounting.journals.read", "GET", "Journals", False),
    ],
)
def test_scopes_open_what_they_name(books, scope, method, path, allowed):
    books.login(scope)

    books.call(method, path, {} if method == "PUT" else None)

    assert (books.last.status_code == 401) is not allowed
    if not allowed:
        assert detail(books) == "AuthorizationUnsuccessful"
        assert "insufficient_scope" in books.last.headers["WWW-Authenticate"]


def test_custom_connection_has_one_organisation_and_no_refresh_token(books):
    pair = (books.credentials["custom_client_id"], books.credentials["custom_client_secret"])

    token = books.ask_token(
        basic=pair, grant_type="client_credentials", scope="accounting.contacts"
    ).get_json()
    broad = books.ask_token(basic=pair, grant_type="client_credentials", scope="accounting.transactions")
    books.headers["Authorization"] = f"Bearer {token['access_token']}"

    assert "refresh_token" not in token
    assert broad.get_json() == {"error": "invalid_scope"}
    assert len(books.get("Contacts", xero_tenant_id="")) == 2


def test_web_app_may_not_use_client_credentials(books):
    assert books.ask_token(grant_type="client_credentials").get_json() == {"error": "unauthorized_client"}


def test_broad_scopes_end_in_september_2027(books):
    books.control("clock", {"now": "2027-09-13T00:00:00Z"})
    query = {
        "response_type": "code",
        "client_id": books.credentials["client_id"],
        "redirect_uri": books.credentials["redirect_uri"],
        "scope": "accounting.transactions",
    }

    assert books.http.get("/identity/connect/authorize", query_string=query).status_code == 400


def test_removed_connection_is_forbidden_and_refreshing_still_works(books):
    held = books.http.get("/connections", headers=books.headers).get_json()
    first = next(each for each in held if each["tenantId"] == books.credentials["tenant_id"])

    gone = books.http.delete(f"/connections/{first['id']}", headers=books.headers)
    again = books.http.delete(f"/connections/{first['id']}", headers=books.headers)
    books.get("Organisation")

    assert (gone.status_code, again.status_code, books.last.status_code) == (204, 404, 403)
    assert books.refresh(books.token["refresh_token"]).status_code == 200


def test_revocation_drops_tokens_and_connections(books):
    pair = (books.credentials["client_id"], books.credentials["client_secret"])
    books.http.post("/connect/revocation", data={"token": books.token["refresh_token"]}, auth=pair)

    books.get("Organisation")

    assert books.last.status_code == 401
    assert books.refresh(books.token["refresh_token"]).get_json() == {"error": "invalid_grant"}
