"""The Xero stand-in without a socket: a login, short calls, and documents with defaults."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlparse

from sandbox.xero import create_app

SCOPES = (
    "openid offline_access accounting.invoices accounting.payments accounting.banktransactions"
    " accounting.manualjournals accounting.contacts accounting.settings accounting.reports.trialbalance.read"
)


class Books:
    """One organisation, seen through the API and through the control page; numbers are Decimal."""

    def __init__(self, **options: Any) -> None:
        self.app = create_app(**({"minute": None, "day": None} | options))
        self.credentials = self.app.config["CREDENTIALS"]
        self.http = self.app.test_client()
        self.headers = {"Accept": "application/json", "xero-tenant-id": self.credentials["tenant_id"]}
        self.token: dict[str, Any] = {}
        self.last: Any = None
        self.login()

    def login(self, scope: str = SCOPES) -> dict[str, Any]:
        """Consent and exchange the code; the token is used from then on."""
        self.token = self.exchange(self.consent(scope)).get_json()
        self.headers["Authorization"] = f"Bearer {self.token['access_token']}"
        return self.token

    def consent(self, scope: str = SCOPES, client: str = "client_id", **more: str) -> str:
        """Let the user consent and return the code."""
        query = {
            "response_type": "code",
            "client_id": self.credentials[client],
            "redirect_uri": self.credentials["redirect_uri"],
            "scope": scope,
            "state": "s",
        } | more
        answer = self.http.get("/identity/connect/authorize", query_string=query)
        return parse_qs(urlparse(answer.headers["Location"]).query)["code"][0]

    def exchange(self, code: str, **more: Any) -> Any:
        """Exchange a code as the web app."""
        redirect = self.credentials["redirect_uri"]
        return self.ask_token(grant_type="authorization_code", code=code, redirect_uri=redirect, **more)

    def refresh(self, token: str) -> Any:
        """Use a refresh token as the web app."""
        return self.ask_token(grant_type="refresh_token", refresh_token=token)

    def ask_token(self, *, basic: tuple[str, str] | None = None, **form: Any) -> Any:
        """Call the token endpoint; the web app's secret unless another pair is given."""
        pair = basic or (self.credentials["client_id"], self.credentials["client_secret"])
        return self.http.post("/connect/token", data=form, auth=pair if pair[0] else None)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call the API; the answer's JSON, or its text."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | str) else None if body is None else dumps(body)
        kind = {"Content-Type": "application/json"} if body is not None else {}
        self.last = self.http.open(
            f"/api.xro/2.0/{path}", method=method, data=data, headers={**self.headers, **kind, **names}
        )
        text = self.last.get_data(as_text=True)
        return json.loads(text, parse_float=Decimal) if text.startswith("{") else text

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
        """Read; the rows of the answer."""
        answer = self.call("GET", f"{path}?{urlencode(query)}" if query else path, **headers)
        return rows(answer) if self.last.status_code == 200 else answer

    def put(self, path: str, body: Any, **headers: str) -> Any:
        """Create one record and return it, or return the refusal."""
        return self._first("PUT", path, body, headers)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        """Update one record and return it, or return the refusal."""
        return self._first("POST", path, body, headers)

    def control(self, path: str, body: Any = None) -> Any:
        """Use the control page: a read without a body."""
        if body is None:
            answer = self.http.get(f"/_sandbox/{path}")
        else:
            answer = self.http.post(f"/_sandbox/{path}", data=dumps(body), content_type="application/json")
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return json.loads(answer.get_data(as_text=True), parse_float=Decimal)

    def messages(self) -> list[str]:
        """The validation messages of the last refusal."""
        body = json.loads(self.last.get_data(as_text=True))
        elements = body.get("Elements", [])
        return [each["Message"] for element in elements for each in element["ValidationErrors"]]

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self.control("clock", {"advance_seconds": seconds})

    def contact(self, name: str = "ACME", **more: Any) -> str:
        """A contact's id."""
        return str(self.put("Contacts", {"Name": name, **more})["ContactID"])

    def balances(self) -> dict[str, Decimal]:
        """Base balances by account code, without zeros; the ledger must balance."""
        ledger = self.control("ledger")
        for journal in ledger["journals"]:
            assert sum(line["base_amount"] for line in journal["lines"]) == 0
            assert sum(line["amount"] for line in journal["lines"]) == 0
        found = {each["code"]: each["base_balance"] for each in ledger["accounts"] if each["base_balance"]}
        assert sum(found.values()) == 0
        return found

    def invoice(self, **more: Any) -> Any:
        """An approved sales invoice of 100.00 and 20.00 tax, or what is asked for."""
        return self.put("Invoices?unitdp=4", self.document(**more))

    def document(self, **more: Any) -> dict[str, Any]:
        """The body of such an invoice."""
        if "Contact" not in more:
            held = self.get("Contacts", {"where": 'Name=="ACME"'})
            more["Contact"] = {"ContactID": held[0]["ContactID"] if held else self.contact()}
        return {
            "Type": "ACCREC",
            "Date": "2026-10-01",
            "DueDate": "2026-10-31",
            "Status": "AUTHORISED",
            "LineItems": [line()],
        } | more

    def credit_note(self, **more: Any) -> Any:
        """An approved credit note of 10.00 and 2.00 tax, or what is asked for."""
        body = self.document(Type="ACCRECCREDIT", LineItems=[line(UnitAmount=10)]) | more
        body.pop("DueDate", None)
        return self.put("CreditNotes", body)

    def pay(self, invoice: Any, amount: Any, **more: Any) -> Any:
        """A payment of an invoice into card clearing."""
        body = {
            "Invoice": {"InvoiceID": invoice["InvoiceID"]},
            "Account": {"Code": "611"},
            "Date": "2026-10-02",
            "Amount": amount,
        }
        return self.put("Payments", body | more)

    def _first(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        answer = self.call(method, path, body, **headers)
        return rows(answer)[0] if self.last.status_code == 200 else answer


def line(**more: Any) -> dict[str, Any]:
    """One line of 100.00 at 20 %."""
    return {
        "Description": "Widget",
        "Quantity": 1,
        "UnitAmount": 100,
        "AccountCode": "201",
        "TaxType": "OUTPUT2",
    } | more


def rows(answer: Any) -> Any:
    """The elements of an envelope."""
    return next(value for value in answer.values() if isinstance(value, list))


def dumps(value: Any) -> str:
    """JSON with Decimals written as numbers."""
    return json.dumps(value, default=lambda each: _Number(str(each)))


class _Number(float):
    """A number that json writes as the text it was made of."""

    def __new__(cls, text: str) -> _Number:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text
