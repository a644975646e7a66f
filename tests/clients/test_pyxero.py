"""pyxero (the community's client, which writes XML) against the stand-in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

xero = pytest.importorskip("xero")
auth = pytest.importorskip("xero.auth")
exceptions = pytest.importorskip("xero.exceptions")


@pytest.fixture
def credentials(xero_server, monkeypatch) -> Any:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setattr(auth, "XERO_OAUTH2_TOKEN_URL", f"{xero_server.address}/connect/token")
    made = auth.OAuth2Credentials(
        xero_server.credentials["client_id"],
        xero_server.credentials["client_secret"],
        token=dict(xero_server.token),
        scope=xero_server.token["scope"],
        tenant_id=xero_server.credentials["tenant_id"],
    )
    made.base_url = xero_server.address
    monkeypatch.setattr(
        auth.OAuth2, "__call__", _plain_http(auth.OAuth2.__call__)
    )  # requests-oauthlib refuses plain http
    return made


def _plain_http(call: Any) -> Any:
    def with_header(self: Any, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._client.access_token}"
        return request

    del call
    return with_header


@pytest.fixture
def client(credentials) -> Any:
    return xero.Xero(credentials)


def invoice(contact_id: str, number: str) -> dict[str, Any]:
    return {
        "Type": "ACCREC",
        "Contact": {"ContactID": contact_id},
        "Date": date(2026, 10, 1),
        "DueDate": date(2026, 10, 31),
        "InvoiceNumber": number,
        "Status": "AUTHORISED",
        "LineItems": [
            {
                "Description": "Widget",
                "Quantity": "3",
                "UnitAmount": "19.99",
                "AccountCode": "201",
                "TaxType": "OUTPUT2",
            }
        ],
    }


def test_tenants_are_listed(credentials):
    assert [each["tenantName"] for each in credentials.get_tenants()] == [
        "Demo Trading (UK)",
        "Other Company",
    ]


def test_contact_is_written_as_xml_and_found_again(client):
    made = client.contacts.put({"Name": "ACME", "EmailAddress": "a@example.com", "ContactNumber": "shop/7"})[
        0
    ]

    assert client.contacts.get(made["ContactID"])[0]["ContactNumber"] == "shop/7"
    assert client.contacts.filter(Name="acme")[0]["ContactID"] == made["ContactID"]
    assert client.contacts.filter(Name__contains="CM", page=1)[0]["ContactID"] == made["ContactID"]
    assert client.contacts.filter(IDs=[made["ContactID"]])[0]["Name"] == "ACME"


def test_invoices_come_in_pages(client):
    person = client.contacts.put({"Name": "ACME"})[0]
    client.invoices.put([invoice(person["ContactID"], f"W-{number}") for number in range(12)])

    first, second = (client.invoices.filter(page=page, pageSize=10) for page in (1, 2))

    assert (len(first), len(second)) == (10, 2)
    assert first[0]["LineItems"][0]["AccountCode"] == "201"
    assert Decimal(str(first[0]["Total"])) == Decimal("71.96")
    assert len(client.invoices.filter(Status="AUTHORISED", Contact_ContactID=person["ContactID"])) == 12


def test_http_date_in_modified_since_is_not_understood(client):
    """The header is an ISO time; pyxero sends an HTTP date, and everything comes back (pyxero 261, 305)."""
    client.contacts.put({"Name": "ACME"})

    tomorrow = datetime.now(UTC) + timedelta(days=1)

    assert client.contacts.filter(since=tomorrow)


def test_payment_and_its_deletion(client):
    person = client.contacts.put({"Name": "ACME"})[0]
    made = client.invoices.put(invoice(person["ContactID"], "W-1"))[0]
    payment = {
        "Invoice": {"InvoiceID": made["InvoiceID"]},
        "Account": {"Code": "611"},
        "Date": date(2026, 10, 2),
        "Amount": "71.96",
    }

    paid = client.payments.put(payment)[0]
    status = client.invoices.get(made["InvoiceID"])[0]["Status"]
    client.payments.delete(paid["PaymentID"])

    assert status == "PAID"
    assert client.invoices.get(made["InvoiceID"])[0]["Status"] == "AUTHORISED"


def test_batch_with_one_bad_element(client):
    good, bad = client.contacts.put([{"Name": "New"}, {"Name": "taken name"}], summarize_errors=False)

    assert (good["StatusAttributeString"], bad["StatusAttributeString"]) == ("OK", "ERROR")
    with pytest.raises(exceptions.XeroBadRequest, match="already assigned to another contact"):
        client.contacts.put([{"Name": "Other"}, {"Name": "taken name"}])


def test_sending_an_object_back_is_refused(client):
    """Reading a record and saving it back fails on its error fields (pyxero 105 and 214)."""
    person = client.contacts.put({"Name": "ACME"})[0]
    made = client.invoices.put(invoice(person["ContactID"], "W-1"))[0]
    read = client.invoices.get(made["InvoiceID"])[0]

    with pytest.raises(exceptions.XeroBadRequest, match="was not recognised"):
        client.invoices.save(read)


def test_allocation_by_its_old_field_name(client):
    person = client.contacts.put({"Name": "ACME"})[0]
    made = client.invoices.put(invoice(person["ContactID"], "W-1"))[0]
    note = {
        "Type": "ACCRECCREDIT",
        "Contact": {"ContactID": person["ContactID"]},
        "Date": date(2026, 10, 2),
        "Status": "AUTHORISED",
        "LineItems": [
            {"Description": "Back", "UnitAmount": "10", "AccountCode": "201", "TaxType": "OUTPUT2"}
        ],
    }
    credit = client.creditnotes.put(note)[0]

    client.creditnotes.put_allocation(
        credit["CreditNoteID"], {"Amount": "12.00", "Invoice": {"InvoiceID": made["InvoiceID"]}}
    )

    assert Decimal(str(client.invoices.get(made["InvoiceID"])[0]["AmountDue"])) == Decimal("59.96")


def test_history_note(client):
    person = client.contacts.put({"Name": "ACME"})[0]

    client.contacts.put_history(person["ContactID"], "written by a test")

    assert (
        client.contacts.get_history(person["ContactID"])["HistoryRecords"][0]["Details"]
        == "written by a test"
    )


def test_rate_limit_and_outage(client, xero_server):
    xero_server.control("faults", {"kind": "429", "problem": "day"})
    with pytest.raises(exceptions.XeroRateLimitExceeded, match="day"):
        client.organisations.all()

    xero_server.control("faults", {"kind": "503"})
    with pytest.raises(exceptions.XeroNotAvailable):
        client.organisations.all()


def test_expired_token_is_named_and_refreshed(client, credentials, xero_server):
    xero_server.control("clock", {"advance_seconds": 1801})
    with pytest.raises(exceptions.XeroUnauthorized, match="token expired at") as raised:
        client.organisations.all()

    old = dict(credentials.token)
    credentials.refresh()

    assert raised.value.problem == "TokenExpired"
    assert credentials.token["refresh_token"] != old["refresh_token"]
    assert client.organisations.all()[0]["Name"] == "Demo Trading (UK)"


def test_missing_scope_and_foreign_tenant(client, credentials):
    with pytest.raises(exceptions.XeroUnauthorized, match="AuthorizationUnsuccessful"):
        client.journals.all()

    credentials.tenant_id = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(exceptions.XeroForbidden):
        client.organisations.all()
