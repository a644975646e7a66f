"""The vendor's own SDK, xero-python, against the stand-in."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

accounting = pytest.importorskip("xero_python.accounting")
api_client = pytest.importorskip("xero_python.api_client")
oauth2 = pytest.importorskip("xero_python.api_client.oauth2")
configuration = pytest.importorskip("xero_python.api_client.configuration")
exceptions = pytest.importorskip("xero_python.exceptions")
identity = pytest.importorskip("xero_python.identity")


class Sdk:
    """The SDK with its token kept here, as an application would keep it."""

    def __init__(self, server: Any) -> None:
        self.token = dict(server.token)
        self.tenant = server.credentials["tenant_id"]
        token = oauth2.OAuth2Token(
            client_id=server.credentials["client_id"], client_secret=server.credentials["client_secret"]
        )
        client = api_client.ApiClient(
            configuration.Configuration(oauth2_token=token),
            oauth2_token_getter=lambda: self.token,
            oauth2_token_saver=self.save,
        )
        self.client = client
        self.accounting = accounting.AccountingApi(client, base_url=f"{server.address}/api.xro/2.0")
        self.identity = identity.IdentityApi(client, base_url=server.address)

    def save(self, token: dict[str, Any]) -> None:
        self.token = token


@pytest.fixture
def sdk(xero_server, monkeypatch) -> Sdk:
    url = f"{xero_server.address}/connect/token"
    monkeypatch.setattr(oauth2.TokenApi, "refresh_token_url", url)
    monkeypatch.setattr(oauth2.TokenApi, "client_credentials_token_url", url)
    return Sdk(xero_server)


def contact(sdk: Sdk, name: str = "ACME", **more: Any) -> Any:
    made = sdk.accounting.create_contacts(
        sdk.tenant, accounting.Contacts(contacts=[accounting.Contact(name=name, **more)])
    )
    return made.contacts[0]


def invoice(contact_id: str, number: str, **more: Any) -> Any:
    line = accounting.LineItem(
        description="Widget",
        quantity=Decimal(3),
        unit_amount=Decimal("19.99"),
        account_code="201",
        tax_type="OUTPUT2",
    )
    fields = {
        "type": "ACCREC",
        "contact": accounting.Contact(contact_id=contact_id),
        "date": date(2026, 10, 1),
        "due_date": date(2026, 10, 31),
        "invoice_number": number,
        "line_items": [line],
        "status": "AUTHORISED",
    }
    return accounting.Invoice(**fields | more)


def test_connections_list_both_organisations(sdk):
    tenants = [each.tenant_name for each in sdk.identity.get_connections()]

    assert tenants == ["Demo Trading (UK)", "Other Company"]


def test_contact_comes_back_as_it_was_created(sdk):
    address = accounting.Address(address_type="STREET", address_line1="1 High St", city="Leeds")
    made = contact(sdk, contact_number="shop/7", email_address="a@example.com", addresses=[address])

    read = sdk.accounting.get_contact(sdk.tenant, made.contact_id).contacts[0]

    assert (read.name, read.contact_number, read.email_address) == ("ACME", "shop/7", "a@example.com")
    assert read.addresses[0].address_line1 == "1 High St"
    assert len(read.phones) == 4


def test_invoice_is_computed_to_the_cent(sdk):
    person = contact(sdk)

    made = sdk.accounting.create_invoices(
        sdk.tenant, accounting.Invoices(invoices=[invoice(person.contact_id, "W-1")])
    ).invoices[0]

    assert (made.sub_total, made.total_tax, made.total) == (
        Decimal("59.97"),
        Decimal("11.99"),
        Decimal("71.96"),
    )
    assert made.date == date(2026, 10, 1)
    assert made.updated_date_utc.tzinfo is not None


def test_pages_hold_every_invoice_once(sdk):
    person = contact(sdk)
    batch = [invoice(person.contact_id, f"W-{number}") for number in range(25)]
    sdk.accounting.create_invoices(sdk.tenant, accounting.Invoices(invoices=batch))

    pages = [sdk.accounting.get_invoices(sdk.tenant, page=page, page_size=10) for page in (1, 2, 3, 4)]

    assert [len(page.invoices) for page in pages] == [10, 10, 5, 0]
    assert len({each.invoice_id for page in pages for each in page.invoices}) == 25
    assert pages[0].pagination.item_count == 25
    assert all(len(each.line_items) == 1 for each in pages[0].invoices)


def test_modified_since_returns_what_changed(sdk, xero_server):
    person = contact(sdk)
    sdk.accounting.create_invoices(
        sdk.tenant, accounting.Invoices(invoices=[invoice(person.contact_id, "old")])
    )
    now = sdk.accounting.get_invoices(sdk.tenant, page=1).invoices[0].updated_date_utc
    xero_server.control("clock", {"advance_seconds": 60})
    sdk.accounting.create_invoices(
        sdk.tenant, accounting.Invoices(invoices=[invoice(person.contact_id, "new")])
    )

    read = sdk.accounting.get_invoices(
        sdk.tenant, if_modified_since=f"{now + timedelta(seconds=30):%Y-%m-%dT%H:%M:%S}", page=1
    )

    assert [each.invoice_number for each in read.invoices] == ["new"]


def test_payment_settles_and_its_deletion_opens_the_invoice(sdk):
    person = contact(sdk)
    made = sdk.accounting.create_invoices(
        sdk.tenant, accounting.Invoices(invoices=[invoice(person.contact_id, "W-1")])
    ).invoices[0]
    payment = accounting.Payment(
        invoice=accounting.Invoice(invoice_id=made.invoice_id),
        account=accounting.Account(code="611"),
        date=date(2026, 10, 2),
        amount=Decimal("71.96"),
    )

    paid = sdk.accounting.create_payments(sdk.tenant, accounting.Payments(payments=[payment])).payments[0]
    after = sdk.accounting.get_invoice(sdk.tenant, made.invoice_id).invoices[0]
    sdk.accounting.delete_payment(sdk.tenant, paid.payment_id, accounting.PaymentDelete(status="DELETED"))
    opened = sdk.accounting.get_invoice(sdk.tenant, made.invoice_id).invoices[0]

    assert (after.status, after.amount_due) == ("PAID", Decimal("0.00"))
    assert (opened.status, opened.amount_due) == ("AUTHORISED", Decimal("71.96"))


def test_bad_element_refuses_the_whole_batch(sdk):
    with pytest.raises(exceptions.AccountingBadRequestException) as raised:
        sdk.accounting.create_contacts(
            sdk.tenant,
            accounting.Contacts(
                contacts=[accounting.Contact(name="New"), accounting.Contact(name="taken name")]
            ),
        )

    assert "already assigned to another contact" in str(raised.value.error_data["Elements"])
    assert not sdk.accounting.get_contacts(sdk.tenant, where='Name=="New"', page=1).contacts


def test_bad_element_is_marked_when_errors_are_not_summarised(sdk):
    good, bad = sdk.accounting.create_contacts(
        sdk.tenant,
        accounting.Contacts(contacts=[accounting.Contact(name="New"), accounting.Contact(name="taken name")]),
        summarize_errors=False,
    ).contacts

    assert (good.name, good.has_validation_errors) == ("New", False)
    assert bad.contact_id == "00000000-0000-0000-0000-000000000000"
    assert bad.validation_errors[0].message.startswith("The contact name taken name is already assigned")


def test_rate_limit_names_its_problem(sdk, xero_server):
    """Only a limit without Retry-After reaches the caller: the SDK's transport sleeps through the others."""
    xero_server.control("faults", {"kind": "429", "problem": "concurrent"})

    with pytest.raises(exceptions.RateLimitException) as raised:
        sdk.accounting.get_organisations(sdk.tenant)

    assert raised.value.rate_limit == "concurrent"


def test_expired_token_is_refreshed_and_both_parts_change(sdk):
    old = dict(sdk.token)
    sdk.token["expires_at"] = 0

    sdk.accounting.get_organisations(sdk.tenant)

    assert sdk.token["access_token"] != old["access_token"]
    assert sdk.token["refresh_token"] != old["refresh_token"]


def test_credit_note_is_allocated(sdk):
    person = contact(sdk)
    made = sdk.accounting.create_invoices(
        sdk.tenant, accounting.Invoices(invoices=[invoice(person.contact_id, "W-1")])
    ).invoices[0]
    line = accounting.LineItem(
        description="Back",
        quantity=Decimal(1),
        unit_amount=Decimal(10),
        account_code="201",
        tax_type="OUTPUT2",
    )
    note = accounting.CreditNote(
        type="ACCRECCREDIT",
        contact=accounting.Contact(contact_id=person.contact_id),
        date=date(2026, 10, 3),
        line_items=[line],
        status="AUTHORISED",
    )
    credit = sdk.accounting.create_credit_notes(
        sdk.tenant, accounting.CreditNotes(credit_notes=[note])
    ).credit_notes[0]

    allocation = accounting.Allocation(
        invoice=accounting.Invoice(invoice_id=made.invoice_id),
        amount=Decimal("12.00"),
        date=date(2026, 10, 3),
    )
    sdk.accounting.create_credit_note_allocation(
        sdk.tenant, credit.credit_note_id, accounting.Allocations(allocations=[allocation])
    )

    after = sdk.accounting.get_invoice(sdk.tenant, made.invoice_id).invoices[0]
    assert (after.amount_credited, after.amount_due) == (Decimal("12.00"), Decimal("59.96"))
    assert sdk.accounting.get_credit_note(sdk.tenant, credit.credit_note_id).credit_notes[0].status == "PAID"


def test_deposit_is_received_allocated_and_refunded(sdk):
    """Dr 092 80 Cr 832 80; allocated 71.96: Dr 832 Cr 610; the rest paid back: Dr 832 8.04 Cr 092 8.04."""
    person = contact(sdk)
    made = sdk.accounting.create_invoices(
        sdk.tenant, accounting.Invoices(invoices=[invoice(person.contact_id, "W-1")])
    ).invoices[0]
    line = accounting.LineItem(
        description="Deposit",
        quantity=Decimal(1),
        unit_amount=Decimal("80.00"),
        account_code="832",
        tax_type="NONE",
    )
    received = accounting.BankTransaction(
        type="RECEIVE-PREPAYMENT",
        contact=accounting.Contact(contact_id=person.contact_id),
        bank_account=accounting.Account(code="092"),
        date=date(2026, 10, 1),
        reference="shop/order/1/deposit/1",
        line_amount_types=accounting.LineAmountTypes("NoTax"),
        line_items=[line],
    )
    transaction = sdk.accounting.create_bank_transactions(
        sdk.tenant, accounting.BankTransactions(bank_transactions=[received])
    ).bank_transactions[0]

    allocation = accounting.Allocation(
        invoice=accounting.Invoice(invoice_id=made.invoice_id),
        amount=Decimal("71.96"),
        date=date(2026, 10, 3),
    )
    sdk.accounting.create_prepayment_allocations(
        sdk.tenant, transaction.prepayment_id, accounting.Allocations(allocations=[allocation])
    )
    held = sdk.accounting.get_prepayment(sdk.tenant, transaction.prepayment_id).prepayments[0]
    assert (held.remaining_credit, held.status) == (Decimal("8.04"), "AUTHORISED")
    assert sdk.accounting.get_invoice(sdk.tenant, made.invoice_id).invoices[0].status == "PAID"

    refund = accounting.Payment(
        prepayment=accounting.Prepayment(prepayment_id=transaction.prepayment_id),
        account=accounting.Account(code="092"),
        date=date(2026, 10, 4),
        amount=Decimal("8.04"),
    )
    sdk.accounting.create_payments(sdk.tenant, accounting.Payments(payments=[refund]))
    held = sdk.accounting.get_prepayment(sdk.tenant, transaction.prepayment_id).prepayments[0]
    assert (held.remaining_credit, held.status) == (Decimal("0.00"), "PAID")

    report = sdk.accounting.get_report_trial_balance(sdk.tenant).reports[0]
    shown = {row.cells[0].value: row.cells for part in report.rows if part.rows for row in part.rows}
    assert shown["Card deposits (092)"][3].value == "71.96"


def test_settings_are_read(sdk):
    rates = {
        each.tax_type: each.effective_rate for each in sdk.accounting.get_tax_rates(sdk.tenant).tax_rates
    }
    accounts = {each.code: each for each in sdk.accounting.get_accounts(sdk.tenant).accounts}
    organisation = sdk.accounting.get_organisations(sdk.tenant).organisations[0]

    assert rates["OUTPUT2"] == 20
    assert accounts["611"].enable_payments_to_account
    assert (organisation.base_currency.value, organisation.is_demo_company) == ("GBP", True)
