"""What other models or lookups would change is shown row by row, and nothing is put in force."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from cdc.against import compare
from tests.db.fix_build import PROJECT, Place
from tieout.errors import BuildError


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "other"))


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_changed_lookup_shows_the_lines_that_it_changes(built: Place, other: Path) -> None:
    _edit(other / "models/lookups/accounts.csv", "0201", "0299")

    found = compare(built.settings, built.database, project_dir=other)

    assert [(row.model, row.key, row.line, row.kind) for row in found.rows] == [
        ("out_xero__invoice_lines", "shop/order/2/1", "1", "changed"),
        ("out_xero__invoice_lines", "shop/order/4/1", "1", "changed"),
    ]
    assert [(field.name, field.before, field.after) for field in found.rows[0].fields] == [
        ("AccountCode", "0201", "0299")
    ]
    assert built.rows("select account_code from lookups.accounts order by 1")[1] == {"account_code": "0201"}
    assert built.rows("select nspname from pg_namespace where nspname like 'against%'") == []


def test_what_an_edit_would_do_to_posted_documents_is_told_by_account_and_month(
    built: Place, other: Path
) -> None:
    """Order 2 is in the target and still open, order 4 is paid there, the others are not there."""
    for number, status in (("2", "AUTHORISED"), ("4", "PAID")):
        built.rows(
            "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, said) "
            f"values ('books', 'invoices', 'shop/order/{number}/1', 'out_xero__invoices', 'shop', '{number}', 't{number}', '{{}}') "
            "returning key"
        )
        built.rows(
            "insert into staging.xero__invoices (connection, id, payload, content_hash, version) "
            f"""values ('books', 't{number}', '{{"Status": "{status}"}}', 'h', 1) returning id"""
        )
    _edit(other / "models/lookups/accounts.csv", "0201", "0299")

    found = compare(built.settings, built.database, project_dir=other)

    told = [(one.is_frozen, one.posting.account, one.posting.amount, one.documents) for one in found.posted]
    amounts = {frozen: amount for frozen, account, amount, _ in told if account == "0299"}
    assert sorted(told) == sorted(
        (frozen, account, sign * amounts[frozen], 1)
        for frozen in (True, False)
        for account, sign in (("0201", -1), ("0299", 1))
    )
    assert all(amount > 0 for amount in amounts.values())


def test_rows_and_money_that_would_come_and_go_are_counted(built: Place, other: Path) -> None:
    _edit(
        other / "models/outbound/out_xero__invoices.sql",
        "from {{ ref('orders') }} as orders",
        "from {{ ref('orders') }} as orders\nwhere orders.order_id <> '2'",
    )
    _edit(
        other / "models/outbound/out_xero__invoices.sql",
        "orders.total as _total",
        "orders.total + 1 as _total",
    )

    found = compare(built.settings, built.database, project_dir=other, shown=1)

    invoices = next(model for model in found.models if model.model == "out_xero__invoices")
    assert (invoices.new, invoices.gone, invoices.changed) == (0, 1, 3)
    assert (invoices.total_before, invoices.total_after) == ({"EUR": Decimal("100.5")}, {"EUR": Decimal(83)})
    assert len(found.rows) == 1
    assert not found.is_same


def test_the_same_models_change_nothing(built: Place) -> None:
    found = compare(built.settings, built.database)

    assert found.is_same
    assert found.rows == ()


def test_a_set_that_cannot_be_built_is_refused_and_leaves_the_one_in_force(built: Place, other: Path) -> None:
    _edit(other / "models/outbound/out_xero__invoices.sql", '"InvoiceNumber"', '"InvoiceNumbr"')

    with pytest.raises(BuildError, match="did you mean 'InvoiceNumber'"):
        compare(built.settings, built.database, project_dir=other)

    assert len(built.rows("select * from outbound.out_xero__invoices")) == 4
