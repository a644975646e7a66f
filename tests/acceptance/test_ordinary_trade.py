"""The ordinary trade, to the cent: every kind of order ends as the right documents, and the books equal a separate ledger."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.fix_world import Json, World

ORDERS = 60


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """The sample trade, bad input included, after the first run."""
    world.play(ORDERS, bad=True, seed=2026)
    world.first_run()


def lines(document: Json) -> list[tuple[str, str, str, str, str]]:
    """Item code or description, net, tax, tax type and account of each line."""
    return [
        (
            line.get("ItemCode") or line["Description"],
            str(line["LineAmount"]),
            str(line["TaxAmount"]),
            line["TaxType"],
            line["AccountCode"],
        )
        for line in document["LineItems"]
    ]


def channels(document: Json) -> set[tuple[str, str]]:
    """Tracking category and option on its lines."""
    return {(each["Name"], each["Option"]) for line in document["LineItems"] for each in line["Tracking"]}


def local_day(stamp: str) -> str:
    """The calendar day in the shop of one of Magento's stamps, which are UTC."""
    at = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return at.astimezone(ZoneInfo("Europe/London")).date().isoformat()


def test_each_invoice_of_the_shop_is_one_of_xero_with_its_number_total_tax_and_dates(world: World) -> None:
    for case in {each.case for each in world.played} - set(world.bad):
        for number in world.stories(case):
            ours, theirs = world.of_order("invoices", number), world.invoices(number)
            assert [each["InvoiceNumber"] for each in theirs] == [
                f"WEB-{each['increment_id']}" for each in ours
            ]
            for shop, xero in zip(ours, theirs, strict=True):
                assert xero["Total"] == round(Decimal(shop["grand_total"]), 2)
                assert xero["TotalTax"] == round(Decimal(shop["tax_amount"]), 2)
                assert xero["CurrencyCode"] == shop["order_currency_code"]
                assert xero["DateString"][:10] == local_day(shop["created_at"])
                assert xero["LineAmountTypes"] == "Exclusive"


def test_a_guest_who_pays_by_card_gets_an_invoice_that_is_paid_into_card_clearing(world: World) -> None:
    number = world.story("card_guest")
    shop, invoice = world.of_order("invoices", number)[0], world.invoice(number)
    pieces = int(shop["total_qty"])
    contact, order = world.contact(invoice), world.order(number)

    assert lines(invoice) == [
        ("MUG-01", str(Decimal("12.50") * pieces), str(Decimal("2.50") * pieces), "OUTPUT2", "201"),
        ("Shipping", "5.00", "1.00", "OUTPUT2", "202"),
    ]
    assert (invoice["Status"], invoice["AmountDue"]) == ("PAID", 0)
    assert channels(invoice) == {("Channel", "UK shop")}
    (payment,) = world.payments(number)
    assert (payment["Account"]["Code"], payment["Amount"]) == ("611", invoice["Total"])
    billing = order["billing_address"]
    assert contact["Name"] == f"{billing['firstname']} {billing['lastname']}"
    assert (contact["FirstName"], contact["LastName"]) == (billing["firstname"], billing["lastname"])
    assert contact["EmailAddress"] == order["customer_email"]
    assert contact["ContactNumber"] == f"shop/guest/{order['customer_email']}"
    assert contact["Addresses"][0]["City"] == billing["city"]


def test_a_cheque_is_no_payment_until_somebody_has_it(world: World) -> None:
    number = world.story("cheque_customer")
    invoice = world.invoice(number)

    assert lines(invoice) == [
        ("TEE-M-RED", "90.00", "18.00", "OUTPUT2", "201"),
        ("Shipping", "5.00", "1.00", "OUTPUT2", "202"),
    ]
    assert invoice["LineItems"][0]["DiscountAmount"] == 10
    assert (invoice["Status"], invoice["AmountDue"]) == ("AUTHORISED", Decimal("114.00"))
    assert date.fromisoformat(invoice["DueDateString"][:10]) == date.fromisoformat(
        invoice["DateString"][:10]
    ) + timedelta(days=14)
    assert world.payments(number) == []


def test_standard_reduced_and_zero_rates_stand_on_lines_of_their_own_tax_type(world: World) -> None:
    number = world.story("several_rates")
    books = int(
        next(line["qty_ordered"] for line in world.order(number)["items"] if line["sku"] == "BOOK-01")
    )

    assert lines(world.invoice(number)) == [
        ("MUG-01", "12.50", "2.50", "OUTPUT2", "201"),
        ("BOOK-01", str(Decimal("18.00") * books), str(Decimal("0.90") * books), "RROUTPUT", "201"),
        ("ZERO-01", "10.00", "0.00", "ZERORATEDOUTPUT", "201"),
        ("Shipping", "5.00", "1.00", "OUTPUT2", "202"),
    ]
    (payment,) = world.payments(number)
    assert payment["Account"]["Code"] == "612"


def test_services_go_to_200_other_goods_to_201_and_shipping_to_202(world: World) -> None:
    alone = world.invoice(world.story("services"))
    both = world.invoice(world.story("goods_and_service"))

    assert {line[4] for line in lines(alone)} == {"200"}
    assert [(line[0], line[4]) for line in lines(both)] == [
        ("LAMP-01", "201"),
        ("SVC-INSTALL", "200"),
        ("Shipping", "202"),
    ]
    assert lines(both)[2] == ("Shipping", "4.50", "0.90", "OUTPUT2", "202"), (
        "a discount on shipping is taken off"
    )


def test_an_invoice_in_euro_keeps_its_currency_rate_tax_and_channel(world: World) -> None:
    number = world.story("euro")
    shop, invoice = world.of_order("invoices", number)[0], world.invoice(number)
    rate = round(Decimal(shop["grand_total"]) / Decimal(shop["base_grand_total"]), 6)

    assert (invoice["CurrencyCode"], invoice["CurrencyRate"]) == ("EUR", rate)
    assert [line[3] for line in lines(invoice)] == ["TAX001", "ZERORATEDOUTPUT", "TAX001"]
    assert channels(invoice) == {("Channel", "EU shop")}
    (payment,) = world.payments(number)
    assert (payment["CurrencyRate"], payment["Amount"]) == (rate, invoice["Total"])


def test_a_trade_account_with_prices_that_include_tax_is_invoiced_to_the_cent(world: World) -> None:
    number = world.story("trade_account")
    invoice = world.invoice(number)

    assert invoice["InvoiceNumber"].startswith("WEB-3")
    assert world.contact(invoice)["ContactNumber"].startswith("shop/customer/")
    assert world.contact(invoice)["Name"].endswith(" Trading")
    assert channels(invoice) == {("Channel", "Trade shop")}
    assert [(line[3], line[4]) for line in lines(invoice)] == [
        ("OUTPUT2", "201"),
        ("OUTPUT2", "201"),
        ("OUTPUT2", "202"),
    ]
    assert world.payments(number) == []


def test_two_partial_invoices_are_two_invoices_each_with_its_own_capture(world: World) -> None:
    number = world.story("two_invoices")
    first, second = world.invoices(number)

    assert lines(first) == [
        ("MUG-01", "25.00", "5.00", "OUTPUT2", "201"),
        ("Shipping", "5.00", "1.00", "OUTPUT2", "202"),
    ]
    assert lines(second) == [
        ("MUG-01", "12.50", "2.50", "OUTPUT2", "201"),
        ("LAMP-01", "66.66", "13.33", "OUTPUT2", "201"),
    ]
    paid = {
        each["Invoice"]["InvoiceNumber"]: (each["Amount"], each["Account"]["Code"])
        for each in world.payments(number)
    }
    assert paid == {
        first["InvoiceNumber"]: (Decimal("36.00"), "611"),
        second["InvoiceNumber"]: (Decimal("94.99"), "611"),
    }


def test_a_bundle_is_billed_where_its_money_stands(world: World) -> None:
    codes = [line[0] for line in lines(world.invoice(world.story("bundles")))]

    assert codes == ["MUG-01", "BOOK-01", "BUNDLE-FIX", "Shipping"]


def test_odd_prices_in_odd_quantities_need_no_rounding_line(world: World) -> None:
    for number in world.stories("pens"):
        assert {line[4] for line in lines(world.invoice(number))} == {"201", "202"}


def test_what_was_paid_by_card_and_sent_back_is_credited_and_refunded_from_clearing(world: World) -> None:
    number = world.story("refunded_card")
    invoice, (note,) = world.invoice(number), world.credit_notes(number)

    assert lines(note) == lines(invoice)
    assert (note["Status"], note["Total"], note["RemainingCredit"]) == ("PAID", invoice["Total"], 0)
    assert (invoice["Status"], invoice["AmountCredited"]) == ("PAID", 0), (
        "the money settled it, not the credit note"
    )
    memo = world.of_order("creditmemos", number)[0]
    assert note["CreditNoteNumber"] == f"WEB-CR-{memo['increment_id']}"
    moved = {
        each["PaymentType"]: (each["Amount"], each["Account"]["Code"]) for each in world.payments(number)
    }
    assert moved == {"ACCRECPAYMENT": (invoice["Total"], "611"), "ARCREDITPAYMENT": (note["Total"], "611")}


def test_a_part_that_comes_back_is_credited_with_its_adjustment_and_without_shipping(world: World) -> None:
    number = world.story("partly_refunded")
    (note,) = world.credit_notes(number)

    assert lines(note) == [
        ("MUG-01", "12.50", "2.50", "OUTPUT2", "201"),
        ("Adjustment", "2.00", "0.00", "NONE", "203"),
    ]
    refund = next(each for each in world.payments(number) if each["PaymentType"] == "ARCREDITPAYMENT")
    assert (refund["Amount"], refund["Account"]["Code"]) == (Decimal("17.00"), "612")


def test_a_credit_before_anybody_paid_settles_the_invoice_and_moves_no_money(world: World) -> None:
    number = world.story("credited_unpaid")
    invoice, (note,) = world.invoice(number), world.credit_notes(number)

    (allocation,) = note["Allocations"]
    assert (allocation["Invoice"]["InvoiceID"], allocation["Amount"]) == (
        invoice["InvoiceID"],
        invoice["Total"],
    )
    assert (invoice["Status"], invoice["AmountCredited"], invoice["AmountPaid"]) == (
        "PAID",
        invoice["Total"],
        0,
    )
    assert world.payments(number) == []


def test_nothing_is_booked_for_orders_that_were_cancelled_or_not_invoiced_yet(world: World) -> None:
    for number in (*world.stories("cancelled"), *world.stories("pending")):
        assert (world.invoices(number), world.credit_notes(number), world.payments(number)) == ([], [], [])


def test_an_order_for_nothing_is_an_invoice_for_nothing_without_a_payment(world: World) -> None:
    number = world.story("free_of_charge")
    invoice = world.invoice(number)

    assert (invoice["Status"], invoice["Total"]) == ("PAID", 0)
    assert world.payments(number) == []


def test_a_contact_that_was_there_is_found_by_email_and_only_completed(world: World) -> None:
    contact = world.contact(world.invoice(world.story("adopted")))

    assert contact["Name"] == "Existing Customer Ltd", "never renamed"
    assert (contact["FirstName"], contact["LastName"]) == ("Alice", "Adopted")
    assert contact["ContactNumber"] == "shop/guest/adopted@example.com"
    assert next(each["City"] for each in contact["Addresses"] if each["AddressType"] == "STREET")


def test_each_email_is_one_contact_and_no_two_guests_are_merged(world: World) -> None:
    contacts = [each for each in world.xero("Contacts", includeArchived="true") if each.get("ContactNumber")]
    addresses = Counter(each["EmailAddress"] for each in contacts)
    buyers = {
        each["customer_email"]
        for each in world.stand.state("orders")
        if int(each["entity_id"]) not in world.bad.values()
        and world.of_order("invoices", int(each["entity_id"]))
    }

    assert set(addresses.values()) == {1}
    assert buyers <= set(addresses)
    assert len(buyers) < len([each for each in world.played if each.case not in world.bad]), (
        "somebody came back"
    )


def test_the_shop_hears_once_of_each_paid_order_and_of_no_other(world: World) -> None:
    told = {
        "card_guest": "complete",
        "pens": "complete",
        "services": "complete",
        "free_of_charge": "complete",
        "several_rates": "paid",
        "goods_and_service": "paid",
        "bundles": "paid",
        "two_invoices": "paid",
        "euro": "paid",
        "partly_refunded": "paid",
        "adopted": "paid",
    }
    for case in {each.case for each in world.played} - set(world.bad):
        for number in world.stories(case):
            key = f"shop/order/{number}/{told[case]}" if case in told else None
            comments = world.comments(number)
            assert [comment.rpartition(" ")[2] for comment in comments] == (
                [f"[tieout:{key}]"] if key else []
            ), case
    shipped = world.order(world.story("card_guest"))
    assert (shipped["status"], shipped["state"]) == ("complete", "complete")
    assert world.order(world.story("several_rates"))["status"] == "processing"


def test_the_books_equal_a_ledger_that_a_separate_script_computes_from_the_shop(world: World) -> None:
    wanted, found = world.ledgers()

    assert found == wanted
    assert {"200", "201", "202", "203", "610", "611", "612", "820"} == set(wanted["accounts"])


def test_a_stranger_can_run_the_script(world: World) -> None:
    done = world.ledger_script()

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["equal"] is True


def test_both_sides_agree_or_a_named_record_explains_the_difference(world: World) -> None:
    proof = world.proof()

    assert proof["proved"] is True
    gross = [total for total in proof["totals"] if total["measure"] == "gross"]
    assert {total["flow"] for total in gross} >= {"invoices", "credit_notes", "payments", "refunds"}
    assert {total["currency"] for total in gross} == {"GBP", "EUR", "USD"}
    for total in gross:
        assert total["equal"] or any(record["explained"] for record in total["records"])


def test_status_names_the_true_head_of_each_chain(world: World) -> None:
    chains = {chain["key"]: chain for chain in world.run("status").data["stopped_chains"]}
    dead = world.dead()

    assert set(chains) <= set(dead)
    assert chains["shop/guest/long.name@example.com"]["entries"] == 2, "its invoice and its payment"


def test_sync_again_at_once_writes_nothing_and_changes_no_row(world: World) -> None:
    world.sync()
    before = fingerprints(world)
    with world.watched() as calls:
        again = world.run("sync")

    assert calls == []
    assert again.code == 0
    assert (again.data["load"]["changed"], again.data["drain"]["calls"]) == (0, 0)
    assert fingerprints(world) == before


def fingerprints(world: World) -> dict[str, str]:
    """Every row that tieout keeps, but for when it looked and what it was asked."""
    tables = world.rows(
        """
        select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_catalog.pg_tables
        where schemaname in ('staging', 'marts')
            or schemaname = 'cdc' and tablename in ('links', 'outbox', 'outbox_done', 'calls', 'changes', 'drift', 'history')
        """
    )
    return {
        table["name"]: world.rows(
            f"select md5(coalesce(string_agg(md5((to_jsonb(t) - 'as_of' - 'loaded_at' - 'seen_at')::text), '' order by to_jsonb(t)::text), '')) as hash from {table['name']} as t"
        )[0]["hash"]
        for table in tables
    }
