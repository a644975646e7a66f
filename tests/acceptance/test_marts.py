"""The examples of docs/marts.md on a played trade, each compared with what the shop's and the ledger's own APIs say; and
marts that follow random changes stay what they would be if they were made anew.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median_low
from zoneinfo import ZoneInfo

import pytest

from cdc import marts
from loaders.stage import RawRecord, merge
from tests.acceptance.fix_world import Json, World
from tests.fix_http import LOCAL
from tests.fix_order import SAYING
from tests.ledger import from_magento as ledger
from tieout.db import json_dumps, next_version
from tieout.settings import package_root

CENT = Decimal("0.01")
LATE = (3, 10, 24)
"""Days after its due date on which the accountant books each cheque and transfer, in turns."""


@pytest.fixture(scope="module", autouse=True)
def traded(world: World) -> None:
    """A trade; the accountant books what people paid late; costs of a mug in the shop and of a lamp in the ledger."""
    world.play(30, seed=11)
    world.stand.ledger(
        "records/Items",
        Code="LAMP-01",
        Name="Lamp",
        PurchaseDetails={"UnitPrice": Decimal("30.00"), "AccountCode": "310"},
    )
    world.first_run()
    unpaid = [each for each in sales_invoices(world) if each["Status"] == "AUTHORISED"]
    for number, invoice in enumerate(sorted(unpaid, key=lambda each: str(each["InvoiceNumber"]))[:-2]):
        world.stand.ledger(
            "records/Payments",
            Invoice={"InvoiceID": invoice["InvoiceID"]},
            Account={"Code": "613"},
            Date=(day(invoice["DueDate"]) + timedelta(days=LATE[number % 3])).isoformat(),
            Amount=invoice["AmountDue"],
        )
    token = ledger.log_in(world.shop.address, *world.administrator)
    LOCAL.post(
        f"{world.shop.address}/rest/all/V1/products/cost",
        json={"prices": [{"sku": "MUG-01", "cost": 4.25, "store_id": 0}]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ).raise_for_status()
    world.sync()


def example(world: World, name: str) -> list[Json]:
    """The rows of an example in docs/marts.md."""
    text = (package_root() / "docs" / "marts.md").read_text(encoding="utf-8")
    (statement,) = re.findall(rf"```sql\n-- {name}\n(.*?);\n```", text, re.DOTALL)
    return world.rows(statement)


def day(text: str) -> date:
    """A business date of Xero."""
    found = re.match(r"/Date\((-?\d+)", text)
    return (
        date(1970, 1, 1) + timedelta(milliseconds=int(found[1])) if found else date.fromisoformat(text[:10])
    )


def local_day(stamp: str) -> date:
    """The calendar day in the shop of one of Magento's stamps, which are UTC."""
    at = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return at.astimezone(ZoneInfo("Europe/London")).date()


def sales_invoices(world: World) -> list[Json]:
    return [each for each in world.xero("Invoices") if each["Type"] == "ACCREC"]


def debtors(world: World, on: str) -> dict[str, Decimal]:
    """What each contact owed by the ledger, by name."""
    answer = LOCAL.get(f"{world.books.address}/_sandbox/ledger", params={"date": on}, timeout=30)
    return {
        each["name"]: Decimal(str(each["base_balance"]))
        for each in json.loads(answer.content, parse_float=Decimal)["debtors"]
    }


def settled_on(world: World) -> dict[str, date]:
    """By the API's payments alone: the day on which each invoice that was paid in full was."""
    days: dict[str, date] = {}
    for payment in world.xero("Payments"):
        if payment["Status"] == "AUTHORISED" and payment.get("Invoice"):
            invoice = payment["Invoice"]["InvoiceID"]
            days[invoice] = max(days.get(invoice, date.min), day(payment["Date"]))
    return days


def test_the_ageing_of_any_day_is_the_debtors_account_of_that_day_by_contact(world: World) -> None:
    for on in ("2026-10-05", "2026-10-20", "2026-11-03", "2026-11-30"):
        found = {
            row["contact_name"]: row["owed"]
            for row in world.rows(
                "select contact_name, sum(base_open_amount) as owed from marts.receivables_on(%s) group by 1",
                on,
            )
            if row["owed"]
        }
        wanted = debtors(world, on)
        assert wanted.keys() == found.keys()
        assert wanted or on == "2026-10-05"
        assert all(abs(wanted[name] - found[name]) <= CENT for name in wanted)
    rows = example(world, "ageing")
    assert {row["contact_name"]: row["owed"] for row in rows if row["owed"]} == debtors(world, "2026-10-20")
    assert all(
        (row["credits"] or 0) + (row["not_due"] or 0) + (row["overdue"] or 0) == row["owed"] for row in rows
    )
    assert example(world, "balances") == [{"owed": sum(debtors(world, "2026-10-20").values())}]
    assert world.rows("select * from marts.receivables where not is_explained") == []
    assert world.rows("select * from marts.receivables_today") == world.rows(
        "select * from marts.receivables_on(current_date)"
    )


def test_the_question_of_a_day_reads_what_was_open_then_by_the_index_of_the_mart(world: World) -> None:
    with world.database.connect() as session:
        session.execute("set enable_seqscan = off")  # in a small table nobody would look into an index
        rows = session.execute(
            "explain select sum(base_open_amount) from marts.receivables_on('2026-10-20')"
        ).fetchall()
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    assert re.search(r"Index Scan (using|on) receivable_balances_bi_", plan)
    assert "Join" not in plan


def test_sales_by_product_channel_and_tax_are_the_shops_own_documents(world: World) -> None:
    rows = example(world, "sales")
    wanted: dict[str, Decimal] = defaultdict(Decimal)
    tax = Decimal(0)
    for entity, sign in (("invoices", 1), ("creditmemos", -1)):
        for document in world.stand.state(entity):
            tax += sign * round(Decimal(str(document["base_tax_amount"])), 2)
            wanted["gross"] += sign * round(Decimal(str(document["base_grand_total"])), 2)
            for line in document["items"]:
                if line["sku"] == "ZERO-01":
                    wanted["ZERO-01"] += sign * Decimal(str(line["base_row_total"]))

    assert sum(row["tax"] for row in rows) == tax
    assert sum(row["net"] + row["tax"] for row in rows) == wanted["gross"]
    zero = [row for row in rows if row["sku"] == "ZERO-01"]
    assert [row["tax"] for row in zero] == [0] * len(zero)
    assert sum(row["net"] for row in zero) == wanted["ZERO-01"]
    assert {row["channel"] for row in rows} == {"UK shop", "EU shop", "Trade shop"}
    assert {(row["tax_code"], row["tax_percent"]) for row in rows if row["sku"] == "BOOK-01"} == {
        ("GB-5", 5),
        (None, None),
    }


def test_a_margin_is_only_where_a_cost_is_known(world: World) -> None:
    rows = {row["sku"]: row for row in example(world, "margin")}
    sold = {
        row["sku"]: row
        for row in world.rows(
            "select sku, sum(quantity) as quantity, sum(base_net_amount) as net, min(cost_source) as source"
            " from marts.sales where line_kind = 'product' group by sku"
        )
    }

    for sku, cost, source in (("MUG-01", Decimal("4.25"), "shop"), ("LAMP-01", Decimal(30), "ledger")):
        assert sold[sku]["source"] == source
        assert rows[sku]["cost"] == sold[sku]["quantity"] * cost
        assert rows[sku]["margin"] == sold[sku]["net"] - sold[sku]["quantity"] * cost
        assert rows[sku]["known_share"] == 1
    assert (rows["BOOK-01"]["cost"], rows["BOOK-01"]["margin"]) == (None, None), "unknown is not nothing"


def test_order_to_cash_counts_orders_and_days(world: World) -> None:
    rows = {row["store_code"]: row for row in example(world, "order_to_cash")}
    orders = [each for each in world.stand.state("orders") if each["state"] != "canceled"]

    assert sum(row["orders"] for row in rows.values()) == len(orders)
    assert sum(row["ordered"] for row in rows.values()) == sum(
        Decimal(str(each["base_grand_total"])) for each in orders
    )
    assert [row["not_in_the_ledger"] for row in rows.values()] == [0] * len(rows)
    waited = [
        (
            local_day(min(str(each["created_at"]) for each in invoices)) - local_day(str(order["created_at"]))
        ).days
        for order in orders
        if (invoices := world.of_order("invoices", int(order["entity_id"])))
    ]
    averages = world.rows(
        "select round(avg(days_to_invoice), 3) as days from marts.order_to_cash where not is_void"
    )
    assert abs(averages[0]["days"] - Decimal(sum(waited)) / len(waited)) < Decimal("0.001")


def test_the_forecast_expects_what_is_open_when_people_usually_pay(world: World) -> None:
    opened = [each for each in sales_invoices(world) if each["Status"] == "AUTHORISED"]
    assert len(opened) == 2
    rows = example(world, "forecast")
    assert sum(row["expected"] for row in rows) == sum(
        round(each["AmountDue"] / each["CurrencyRate"], 2) for each in opened
    )
    assert sum(row["invoices"] for row in rows) == 2

    paid = settled_on(world)
    late = {
        each["InvoiceID"]: (paid[each["InvoiceID"]] - day(each["DueDate"])).days
        for each in sales_invoices(world)
        if each["Status"] == "PAID" and each["InvoiceID"] in paid
    }
    stores = {row["document_id"]: row["store_code"] for row in world.rows("select * from marts.receivables")}
    far = "2027-03-01"
    for row in world.rows("select * from marts.cash_flow_forecast_on(%s)", far):
        days = [each for invoice, each in late.items() if stores[invoice] == row["store_code"]]
        expected = median_low(days) if len(days) >= 5 else median_low(late.values())
        if row["delay_of"] != "contact":
            assert row["expected_delay_days"] == expected
            assert row["delay_of"] == ("store" if len(days) >= 5 else "all")
        assert row["expected_date"] == max(date.fromisoformat(far), row["due_date"])


def test_the_back_test_compares_each_monday_with_what_came(world: World) -> None:
    rows = example(world, "accuracy")
    paid = settled_on(world)
    checked = 0
    for row in rows:
        monday = row["forecast_date"]
        assert monday.weekday() == 0
        forecast = world.rows("select * from marts.cash_flow_forecast_on(%s)", monday)
        assert row["open_documents"] == len(forecast)
        errors = [
            abs((paid[each["document_id"]] - each["expected_date"]).days)
            for each in forecast
            if each["document_id"] in paid
        ]
        if len(errors) == row["settled_documents"] and errors:
            checked += 1
            mean = Decimal(sum(errors)) / len(errors)
            assert abs(row["mean_absolute_days"] - mean) <= Decimal("0.05")
        expected = sum(
            each["base_open_amount"]
            for each in forecast
            if each["expected_date"] < monday + timedelta(days=7)
        )
        assert row["base_expected_amount"] == expected
        assert row["base_absolute_error"] == abs(expected - row["base_settled_amount"])
    assert checked
    assert world.rows("select * from marts.cash_flow_accuracy") == world.rows(
        "select * from marts.cash_flow_accuracy_until(current_date, 13)"
    )


def test_what_was_voided_is_marked_and_owes_nothing(world: World) -> None:
    opened = [each for each in sales_invoices(world) if each["Status"] == "AUTHORISED"]
    invoice = opened[0]
    world.stand.ledger("edit", entity="Invoices", id=invoice["InvoiceID"], fields={"Status": "VOIDED"})
    world.run("load", codes=(0, 5))
    world.run("marts")

    (row,) = world.rows("select * from marts.receivables where document_id = %s", invoice["InvoiceID"])
    assert (row["is_void"], row["is_explained"], row["settled_date"]) == (True, True, None)
    assert (
        world.rows(
            "select * from marts.receivables_on('2027-01-01') where document_id = %s", invoice["InvoiceID"]
        )
        == []
    )


CHANGES: tuple[tuple[str, str, str], ...] = (
    ("shop", "magento", "orders"),
    ("shop", "magento", "invoices"),
    ("shop", "magento", "credit_memos"),
    ("shop", "magento", "products"),
    ("shop", "magento", "store_views"),
    ("books", "xero", "contacts"),
    ("books", "xero", "invoices"),
    ("books", "xero", "credit_notes"),
    ("books", "xero", "payments"),
    ("books", "xero", "items"),
)


def changed(stream: str, payload: Json, others: list[Json], chance: random.Random) -> Json:
    """A record as it may come back: other amounts, days, state, or with the links of another record."""
    other = chance.choice(others)
    payload = dict(payload)
    for name in (
        "base_grand_total", "state", "customer_email", "created_at", "order_id", "custom_attributes", "code", "Name",
        "Status", "Date", "DueDate", "Total", "AmountDue", "Contact", "Allocations", "RemainingCredit", "Amount",
        "Invoice", "CreditNote", "Code", "PurchaseDetails", "store_id", "CurrencyRate", "sku",
    ):  # fmt: skip
        if stream == "store_views" and name == "code":
            continue
        if (name in payload or name in other) and chance.random() < 0.3:
            payload[name] = other.get(name)
    return payload


@pytest.mark.parametrize("seed", range(1, 7))
def test_marts_that_followed_random_changes_equal_marts_made_anew(world: World, seed: int) -> None:
    chance = random.Random(seed)
    with world.database.connect() as session:
        for name, system, stream in CHANGES:
            rows = session.execute(
                f"select id, payload from staging.{system}__{stream} order by {SAYING}"
            ).fetchall()
            picked = chance.sample(rows, min(len(rows), 3))
            records = [
                RawRecord(
                    id=row["id"],
                    raw=json_dumps(
                        changed(stream, row["payload"], [each["payload"] for each in rows], chance)
                    ).encode(),
                )
                for row in picked
            ]
            with session.transaction():
                merge(
                    session,
                    system=system,
                    stream=stream,
                    connection_name=name,
                    records=records,
                    asked_version=next_version(session),
                    told_by="poll",
                )
    done = dict(marts.refresh(world.database))
    # What would be the same again is left alone.
    assert any(done.values())

    for mart in done:
        for one, other in ((f"marts.{mart}", f"marts_live.{mart}"), (f"marts_live.{mart}", f"marts.{mart}")):
            rest = world.rows(
                f"select to_jsonb(one) - 'as_of' as row from {one} as one"
                f" except select to_jsonb(other) - 'as_of' from {other} as other"
            )
            assert rest == [], f"only in {one}"
    assert done.keys() == {"sales", "receivables", "receivable_balances", "order_to_cash"}
