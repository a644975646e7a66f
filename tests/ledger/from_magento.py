"""What the ledger must say, computed from Magento's documents alone.

A plain script that shares no code and no SQL with tieout: it reads the shop's documents, books each one the way an
accountant would by hand, and adds up debtors, clearing, sales by account and tax by type in base currency. The books of
the Xero stand-in, asked by HTTP, must equal it to the cent.

    python tests/ledger/from_magento.py --magento http://127.0.0.1:8802 --username … --password … \\
        --xero http://127.0.0.1:8801 [--without 17 --without 23] [--unpaid 40] [--not-ours INVOICE_ID]

`--without ORDER_ID` leaves out an order that ended as a dead letter. Exit code 0 when equal, 1 when not.

How it books (all amounts in the order's currency, converted at the order's own rate = total / base total; the control
account takes a document's total converted once, what is left of a cent goes to the document's largest line):

    invoice        Dr debtors, Cr sales (by category), Cr shipping, Cr VAT
    captured       Dr clearing of the payment method, Cr debtors       (cards and PayPal only: a cheque has not come yet)
    credit memo    Dr sales, shipping, VAT, adjustments, Cr debtors
    refunded       Dr debtors, Cr clearing                             (only where the money had been captured)
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Json = dict[str, Any]

DEBTORS, VAT, SHIPPING, ADJUSTMENTS = "610", "820", "202", "203"
SALES = {"Services": "200", "Gadgets": "209"}
OTHER_SALES = "201"
CLEARING = {"cardpay": "611", "cardauth": "611", "paypal_express": "612", "cryptopay": "613"}
TAX_TYPES = {
    ("GB-20", "20"): "OUTPUT2",
    ("GB-LUXURY", "20"): "OUTPUT2",
    ("GB-5", "5"): "RROUTPUT",
    ("IE-23", "23"): "TAX001",
}
NO_TAX = {"sale": "ZERORATEDOUTPUT", "adjustment": "NONE"}
CUT_OVER = "2026-01-01"
ACCOUNTS = frozenset({DEBTORS, VAT, SHIPPING, ADJUSTMENTS, OTHER_SALES, *SALES.values(), *CLEARING.values()})


@dataclass
class Books:
    """Base-currency balances by account (debit positive), and net and tax by tax type (sales positive)."""

    accounts: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    taxes: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def book(self, account: str, amount: Decimal) -> None:
        """Debit (positive) or credit (negative)."""
        self.accounts[account] += amount

    def tax(self, tax_type: str, net: Decimal, tax: Decimal) -> None:
        """Count a line in the tax return."""
        before = self.taxes.get(tax_type, (Decimal(0), Decimal(0)))
        self.taxes[tax_type] = (before[0] + net, before[1] + tax)

    def plain(self) -> Json:
        """Only what is not nil."""
        return {
            "accounts": {code: amount for code, amount in sorted(self.accounts.items()) if amount},
            "taxes": {name: pair for name, pair in sorted(self.taxes.items()) if any(pair)},
        }


@dataclass
class Line:
    """One line of a document: net and tax in the document's currency."""

    account: str
    tax_type: str
    net: Decimal
    tax: Decimal


def expected(
    orders: Iterable[Json],
    invoices: Iterable[Json],
    memos: Iterable[Json],
    categories: dict[str, str],
    without: frozenset[int] = frozenset(),
    unpaid: frozenset[int] = frozenset(),
) -> Books:
    """Book every document of every order that is not in `without` and not from before the cut-over; no payment in `unpaid`.

    `categories`: product id (as text) to the name of its category.
    """
    books = Books()
    by_id = {int(order["entity_id"]): order for order in orders}
    for document, sign in [*((each, 1) for each in invoices), *((each, -1) for each in memos)]:
        order = by_id[int(document["order_id"])]
        if int(order["entity_id"]) in without or document["created_at"] < CUT_OVER:
            continue
        _book_document(books, order, document, sign, categories, unpaid)
    return books


def _book_document(
    books: Books, order: Json, document: Json, sign: int, categories: dict[str, str], unpaid: frozenset[int]
) -> None:
    rate = _rate(order)
    lines = [line for line in _lines(order, document, categories) if line.net or line.tax]
    total = cents(_number(document["grand_total"]))
    if sum((line.net + line.tax for line in lines), Decimal(0)) != total:
        raise SystemExit(
            f"document {document['increment_id']} of order {order['increment_id']} does not add up to {total}"
        )
    debtors = cents(total / rate)
    parts = [[cents(line.net / rate), cents(line.tax / rate)] for line in lines]
    left = debtors - sum((amount for part in parts for amount in part), Decimal(0))
    if left:
        at, which = max(
            ((at, which) for at in range(len(parts)) for which in (0, 1)),
            key=lambda place: abs(parts[place[0]][place[1]]),
        )
        parts[at][which] += left
    for line, (net, tax) in zip(lines, parts, strict=True):
        books.book(line.account, -sign * net)
        books.book(VAT, -sign * tax)
        books.tax(line.tax_type, sign * net, sign * tax)
    books.book(DEBTORS, sign * debtors)
    clearing = None if int(order["entity_id"]) in unpaid else CLEARING.get(order["payment"]["method"])
    if clearing and total:
        books.book(clearing, sign * debtors)
        books.book(DEBTORS, -sign * debtors)


def _lines(order: Json, document: Json, categories: dict[str, str]) -> Iterator[Line]:
    """Goods and services, then shipping, then adjustments."""
    order_lines = {int(line["item_id"]): line for line in order["items"]}
    item_discounts = item_compensation = Decimal(0)
    for item in document["items"]:
        ordered = order_lines[int(item["order_item_id"])]
        if not _carries_money(ordered, order):
            continue
        discount, compensation = (
            _number(item.get("discount_amount")),
            _number(item.get("discount_tax_compensation_amount")),
        )
        item_discounts += discount
        item_compensation += compensation
        yield Line(
            account=SALES.get(categories[str(ordered["product_id"])], OTHER_SALES),
            tax_type=_tax_type(order, ordered),
            net=cents(_number(item.get("row_total")) - discount + compensation),
            tax=cents(_number(item.get("tax_amount"))),
        )
    shipping = _number(document.get("shipping_amount"))
    header_compensation = _number(document.get("discount_tax_compensation_amount")) + _number(
        document.get("shipping_discount_tax_compensation_amount")
    )
    if shipping:
        shipping_discount = abs(_number(document.get("discount_amount"))) - item_discounts
        net = shipping - shipping_discount + header_compensation - item_compensation
        yield Line(
            account=SHIPPING,
            tax_type=_shipping_tax_type(order),
            net=cents(net),
            tax=cents(_number(document.get("shipping_tax_amount"))),
        )
    adjustment = _number(document.get("adjustment"))
    if adjustment:
        yield Line(account=ADJUSTMENTS, tax_type=NO_TAX["adjustment"], net=cents(adjustment), tax=Decimal(0))


def _carries_money(line: Json, order: Json) -> bool:
    """A configurable's child and a fixed bundle's children are for nothing; a dynamic bundle's parent repeats its children."""
    children = [each for each in order["items"] if each.get("parent_item_id") == line["item_id"]]
    if line["product_type"] == "bundle" and any(
        _number(child.get("row_total_incl_tax")) for child in children
    ):
        return False
    return bool(
        _number(line.get("row_total_incl_tax"))
        or _number(line.get("price"))
        or not line.get("parent_item_id")
    )


def _tax_type(order: Json, line: Json) -> str:
    for entry in order.get("extension_attributes", {}).get("item_applied_taxes") or []:
        if (
            entry.get("type") == "product"
            and entry.get("item_id") == line["item_id"]
            and entry.get("applied_taxes")
        ):
            return _known(entry["applied_taxes"][0])
    return NO_TAX["sale"]


def _shipping_tax_type(order: Json) -> str:
    for entry in order.get("extension_attributes", {}).get("item_applied_taxes") or []:
        if entry.get("type") == "shipping" and entry.get("applied_taxes"):
            return _known(entry["applied_taxes"][0])
    return NO_TAX["sale"]


def _known(applied: Json) -> str:
    return TAX_TYPES[(applied["code"], str(_number(applied["percent"]).normalize()).replace("2E+1", "20"))]


def _rate(order: Json) -> Decimal:
    if order["order_currency_code"] == order["base_currency_code"]:
        return Decimal(1)
    return (_number(order["grand_total"]) / _number(order["base_grand_total"])).quantize(Decimal("0.000001"))


def _number(value: Any) -> Decimal:
    return Decimal(str(value)) if value is not None else Decimal(0)


def cents(amount: Decimal) -> Decimal:
    """Half up, as accountants round."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def fetch(url: str, token: str | None = None) -> Any:
    """JSON with exact decimals."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read(), parse_float=Decimal)


def log_in(magento: str, username: str, password: str) -> str:
    """An administrator's token."""
    body = json.dumps({"username": username, "password": password}).encode()
    request = urllib.request.Request(
        f"{magento}/rest/V1/integration/admin/token", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.loads(answer.read()))


def read_shop(magento: str, token: str) -> tuple[list[Json], list[Json], list[Json], dict[str, str]]:
    """Orders, invoices, credit memos and the category of each product, as the shop's API gives them."""

    def every(path: str) -> list[Json]:
        return list(fetch(f"{magento}/rest/all/V1/{path}?searchCriteria[pageSize]=0", token)["items"] or [])

    names = {str(category["id"]): str(category["name"]) for category in every("categories/list")}
    categories = {}
    for product in every("products"):
        links = (product.get("extension_attributes") or {}).get("category_links") or []
        categories[str(product["id"])] = names[str(links[0]["category_id"])] if links else ""
    return every("orders"), every("invoices"), every("creditmemos"), categories


def read_books(xero: str, accounts: Iterable[str], not_ours: frozenset[str] = frozenset()) -> Books:
    """What the stand-in's journals say of those accounts and of tax, without records that others made."""
    books = Books()
    for journal in fetch(f"{xero}/_sandbox/ledger")["journals"]:
        if journal["source_id"] in not_ours:
            continue
        for line in journal["lines"]:
            amount = _number(line["base_amount"])
            if line["account_code"] in accounts:
                books.book(line["account_code"], amount)
            if line["kind"] == "tax":
                books.tax(line["tax_type"], Decimal(0), -amount)
            elif line["kind"] == "net":
                books.tax(line["tax_type"], -amount, Decimal(0))
    return books


def main() -> int:
    """Compare and print both sides."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--magento", required=True, help="address of the Magento stand-in")
    parser.add_argument("--username", required=True, help="administrator of the Magento stand-in")
    parser.add_argument("--password", required=True)
    parser.add_argument("--xero", required=True, help="address of the Xero stand-in")
    parser.add_argument("--without", action="append", type=int, default=[], metavar="ORDER_ID")
    parser.add_argument(
        "--unpaid",
        action="append",
        type=int,
        default=[],
        metavar="ORDER_ID",
        help="its payment is a dead letter",
    )
    parser.add_argument(
        "--not-ours",
        action="append",
        default=[],
        metavar="ID",
        help="a record in Xero that somebody else made",
    )
    chosen = parser.parse_args()
    token = log_in(chosen.magento, chosen.username, chosen.password)
    wanted = expected(
        *read_shop(chosen.magento, token), without=frozenset(chosen.without), unpaid=frozenset(chosen.unpaid)
    ).plain()
    found = read_books(chosen.xero, ACCOUNTS, frozenset(chosen.not_ours)).plain()
    print(json.dumps({"expected": wanted, "found": found, "equal": wanted == found}, default=str, indent=2))
    return 0 if wanted == found else 1


if __name__ == "__main__":
    sys.exit(main())
