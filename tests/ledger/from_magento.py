"""What the ledger must say, computed from Magento's documents alone.

A plain script that shares no code and no SQL with tieout: it reads the shop's documents, books each one the way an
accountant would by hand, and adds up debtors, clearing, sales by account and tax by type in base currency. The books of
the Xero stand-in, asked by HTTP, must equal it to the cent.

    python tests/ledger/from_magento.py --magento http://127.0.0.1:8802 --username … --password … \\
        --xero http://127.0.0.1:8801 [--without 17 --without 23] [--unpaid 40] [--not-ours INVOICE_ID]

`--without ORDER_ID` leaves out an order that ended as a dead letter. Exit code 0 when equal, 1 when not.

How it books (all amounts in the order's currency, converted at each document's own rate = total / base total; the control
account takes a document's total converted once, what is left of a cent goes to the document's largest line):

    invoice        Dr debtors, Cr sales (by category), Cr shipping, Cr VAT; a gift card sold, a recycling contribution and
                   wrapping on accounts of their own
    captured       Dr clearing of the payment method, Cr debtors       (cards and PayPal only: a cheque has not come yet)
    redeemed       Dr gift cards and store credit, Dr points, Cr debtors: they lower Magento's total, but they are payments
    credit memo    Dr sales, shipping, VAT, adjustments, Cr debtors
    refunded       Dr debtors, Cr clearing                             (only where the money had been captured)
                   Dr debtors, Cr gift cards, store credit, points     (what went back to where it came from, or was turned
                                                                       into store credit)
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Json = dict[str, Any]

DEBTORS, VAT, SHIPPING, ADJUSTMENTS = "610", "820", "202", "203"
SALES = {"Services": "200", "Gadgets": "209"}
OTHER_SALES = "201"
LIABILITIES, POINTS, CONTRIBUTIONS, WRAPPING, GAINS = "830", "831", "835", "204", "499"
CLEARING = {
    "cardbase": "611",
    "cardpay": "611",
    "cardauth": "611",
    "paypal_express": "612",
    "cryptopay": "613",
}
TAX_TYPES = {
    ("GB-20", "20"): "OUTPUT2",
    ("GB-LUXURY", "20"): "OUTPUT2",
    ("GB-5", "5"): "RROUTPUT",
    ("IE-23", "23"): "TAX001",
}
STACKED = {frozenset({"CA-GST", "CA-QST"}): "TAX002"}
NO_TAX = {"sale": "ZERORATEDOUTPUT", "adjustment": "NONE"}
EU = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HU",
        "IE",
        "IT",
        "LV",
        "LT",
        "LU",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SK",
        "SI",
        "ES",
        "SE",
    ]
)
EXEMPT_GROUP = "Exempt"
CUT_OVER = "2026-01-01"
CANCELLED = 3
MOST_ROUNDING = Decimal("0.05")
BANK = "090"
ACCOUNTS = frozenset(
    {DEBTORS, VAT, SHIPPING, ADJUSTMENTS, OTHER_SALES, *SALES.values(), *CLEARING.values()}
    | {LIABILITIES, POINTS, CONTRIBUTIONS, WRAPPING, GAINS}
)


class Unexplained(SystemExit):
    """An amount on a document that nothing on it explains: no accountant would book it."""


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
    orders: Sequence[Json],
    invoices: Iterable[Json],
    memos: Iterable[Json],
    categories: dict[str, str],
    exempt: frozenset[int] = frozenset(),
    without: frozenset[int] = frozenset(),
    unpaid: frozenset[int] = frozenset(),
) -> Books:
    """Book every document of every order that is not in `without` and not from before the cut-over; no payment in `unpaid`.

    `categories`: product id (as text) to the name of its category. `exempt`: groups of customers that pay no tax.
    """
    books = Books()
    turned = {
        int(order["entity_id"]): _number(_more(order).get("customer_balance_total_refunded"))
        for order in orders
    }
    by_id = {int(order["entity_id"]): order for order in orders}
    memos = sorted(memos, key=lambda memo: int(memo["entity_id"]))
    for document, sign in [*((each, 1) for each in invoices), *((each, -1) for each in memos)]:
        order = by_id[int(document["order_id"])]
        if (
            int(order["entity_id"]) in without
            or document["created_at"] < CUT_OVER
            or document["state"] == CANCELLED
        ):
            continue
        lines = [line for line in _lines(order, document, categories, exempt) if line.net or line.tax]
        lines += _rounding(order, document, lines)
        _book_document(books, document, sign, lines)
        if int(order["entity_id"]) not in unpaid:
            total = sum((line.net + line.tax for line in lines), Decimal(0))
            _book_settlement(books, order, document, sign, total, turned)
    return books


def _rounding(order: Json, document: Json, lines: Sequence[Line]) -> list[Line]:
    """A cent or five that the shop's own rounding leaves over; more than that nobody may explain away."""
    total = sum((line.net + line.tax for line in lines), Decimal(0))
    left = cents(_number(document["grand_total"])) + sum(_redeemed(order, document, total)) - total
    if not left:
        return []
    if abs(left) > MOST_ROUNDING:
        raise Unexplained(
            f"{left} of document {document['increment_id']} of order {order['increment_id']} is not explained"
        )
    return [Line(account=ADJUSTMENTS, tax_type=NO_TAX["adjustment"], net=left, tax=Decimal(0))]


def _book_document(books: Books, document: Json, sign: int, lines: Sequence[Line]) -> None:
    rate = _rate(document)
    total = sum((line.net + line.tax for line in lines), Decimal(0))
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


def _book_settlement(
    books: Books, order: Json, document: Json, sign: int, total: Decimal, turned: dict[int, Decimal]
) -> None:
    """What was redeemed, and the money: in at the capture, out with a refund, or turned into store credit."""
    rate, left = _rate(document), cents(total / _rate(document))
    is_settled = document["state"] == 2
    if not is_settled:
        return
    liability, points = _redeemed(order, document, total)
    cash = cents(_number(document["grand_total"]))
    if sign < 0 and not document.get("invoice_id") and not document.get("transaction_id"):
        kept = min(cash, turned[int(order["entity_id"])])
        turned[int(order["entity_id"])] -= kept
        liability, cash = liability + kept, cash - kept
    for account, amount in ((LIABILITIES, liability), (POINTS, points)):
        part = cents(amount / rate)
        books.book(account, sign * part)
        books.book(DEBTORS, -sign * part)
        left -= part
    clearing = CLEARING.get(order["payment"]["method"])
    if clearing and cash:
        arrived = left
        if order["payment"]["method"] == "cardbase":
            arrived = cents(_number(document["base_grand_total"]))
        books.book(clearing, sign * arrived)
        books.book(GAINS, sign * (left - arrived))
        books.book(DEBTORS, -sign * left)


def _redeemed(order: Json, document: Json, total: Decimal) -> tuple[Decimal, Decimal]:
    """Gift cards and store credit; and points, which REST shows on the order alone: what is left of the document's total."""
    more = _more(document)
    liability = cents(_number(more.get("gift_cards_amount")) + _number(more.get("customer_balance_amount")))
    points = total - cents(_number(document["grand_total"])) - liability
    if not 0 <= points <= _number(_more(order).get("reward_currency_amount")):
        points = Decimal(0)
    return liability, points


def _more(record: Json) -> Json:
    return record.get("extension_attributes") or {}


def _lines(order: Json, document: Json, categories: dict[str, str], exempt: frozenset[int]) -> Iterator[Line]:
    """Goods and services, what they carry by law, then wrapping, shipping, adjustments."""
    untaxed = _untaxed(order, exempt)
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
        is_gift_card = ordered["product_type"] == "giftcard"
        yield Line(
            account=LIABILITIES
            if is_gift_card
            else SALES.get(categories[str(ordered["product_id"])], OTHER_SALES),
            tax_type=NO_TAX["adjustment"] if is_gift_card else _tax_type(order, ordered, untaxed),
            net=cents(_number(item.get("row_total")) - discount + compensation),
            tax=cents(_number(item.get("tax_amount"))),
        )
        contribution = cents(_number(ordered.get("weee_tax_applied_amount")) * _number(item["qty"]))
        yield Line(account=CONTRIBUTIONS, tax_type=NO_TAX["adjustment"], net=contribution, tax=Decimal(0))
    more = _more(document)
    wrapping = sum(_number(more.get(f"gw_{what}price")) for what in ("", "items_", "card_"))
    tax = sum(_number(more.get(f"gw_{what}tax_amount")) for what in ("", "items_", "card_"))
    yield Line(
        account=WRAPPING,
        tax_type="OUTPUT2" if tax else untaxed,
        net=cents(Decimal(wrapping)),
        tax=cents(Decimal(tax)),
    )
    shipping = _number(document.get("shipping_amount"))
    header_compensation = _number(document.get("discount_tax_compensation_amount")) + _number(
        document.get("shipping_discount_tax_compensation_amount")
    )
    # What the header's discount has more (or, by a fault of the shop's, less) than the items is shipping's.
    shipping_discount = -_number(document.get("discount_amount")) - item_discounts
    net = cents(shipping - shipping_discount + header_compensation - item_compensation)
    yield Line(
        account=SHIPPING,
        tax_type=_shipping_tax_type(order, untaxed),
        net=net,
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


def _tax_type(order: Json, line: Json, untaxed: str) -> str:
    return _applied(order, "product", line["item_id"], untaxed)


def _shipping_tax_type(order: Json, untaxed: str) -> str:
    return _applied(order, "shipping", None, untaxed)


def _applied(order: Json, kind: str, item_id: int | None, untaxed: str) -> str:
    """The tax type of all rates on one line together; each rate may come in an entry of its own."""
    entries = [
        each
        for each in _more(order).get("item_applied_taxes") or []
        if each.get("type") == kind and (item_id is None or each.get("item_id") == item_id)
    ]
    applied = [tax for entry in entries for tax in entry.get("applied_taxes") or []]
    return _known(applied) if applied else untaxed


def _untaxed(order: Json, exempt: frozenset[int]) -> str:
    """Why nothing is charged: exempt at home, reverse charge of a business in the EU, else zero rated."""
    addresses = [each["shipping"].get("address") for each in _more(order).get("shipping_assignments") or []]
    ship_to = (next((each for each in addresses if each), None) or order["billing_address"])["country_id"]
    if ship_to == "GB" and int(order.get("customer_group_id") or 0) in exempt:
        return "EXEMPTOUTPUT"
    is_business = order.get("customer_taxvat") or order["billing_address"].get("vat_id")
    return "ECZROUTPUT" if ship_to in EU and is_business else NO_TAX["sale"]


def _known(applied: Sequence[Json]) -> str:
    if len(applied) > 1:
        return STACKED[frozenset(str(each["code"]) for each in applied)]
    (only,) = applied
    return TAX_TYPES[(only["code"], str(_number(only["percent"]).normalize()).replace("2E+1", "20"))]


def _rate(document: Json) -> Decimal:
    if document["order_currency_code"] == document["base_currency_code"]:
        return Decimal(1)
    total, base = cents(_number(document["grand_total"])), cents(_number(document["base_grand_total"]))
    return (total / base).quantize(Decimal("0.000001")) if base else _number(document["base_to_order_rate"])


def _number(value: Any) -> Decimal:
    return Decimal(str(value)) if value not in (None, "") else Decimal(0)


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


def read_shop(
    magento: str, token: str
) -> tuple[list[Json], list[Json], list[Json], dict[str, str], frozenset[int]]:
    """Orders, invoices, credit memos, the category of each product and the exempt groups, as the shop's API gives them."""

    def every(path: str) -> list[Json]:
        return list(fetch(f"{magento}/rest/all/V1/{path}?searchCriteria[pageSize]=0", token)["items"] or [])

    names = {str(category["id"]): str(category["name"]) for category in every("categories/list")}
    categories = {}
    for product in every("products"):
        links = (product.get("extension_attributes") or {}).get("category_links") or []
        categories[str(product["id"])] = names[str(links[0]["category_id"])] if links else ""
    exempt = frozenset(
        int(group["id"]) for group in every("customerGroups/search") if group["code"] == EXEMPT_GROUP
    )
    return every("orders"), every("invoices"), every("creditmemos"), categories, exempt


def by_order(xero: str, orders: Iterable[Json]) -> dict[int, Books]:
    """What the stand-in's journals say of each order: its invoices and credit notes, and what settles them.

    Documents bear the order's number in their Reference. Money that an accountant received at the bank (account 090) and
    entered by hand is no business of the shop's and left out.
    """
    numbers = {str(order["increment_id"]): int(order["entity_id"]) for order in orders}
    owner = _owners(xero, numbers)
    found: dict[int, Books] = defaultdict(Books)
    for journal in fetch(f"{xero}/_sandbox/ledger")["journals"]:
        if journal["source_id"] in owner:
            _count(found[owner[journal["source_id"]]], journal, ACCOUNTS)
    return found


def _owners(xero: str, numbers: dict[str, int]) -> dict[str, int]:
    """The order of each document and each payment, by its id."""
    owner: dict[str, int] = {}
    for plural in ("Invoices", "CreditNotes"):
        for document in fetch(f"{xero}/_sandbox/state/{plural}"):
            number = str(document.get("Reference") or "").partition(" ")[0]
            if number in numbers:
                owner[str(document[f"{plural[:-1]}ID"])] = numbers[number]
    codes = {str(each["AccountID"]): each.get("Code") for each in fetch(f"{xero}/_sandbox/state/Accounts")}
    for payment in fetch(f"{xero}/_sandbox/state/Payments"):
        if payment["_document"] in owner and codes[str(payment["_account"])] != BANK:
            owner[str(payment["PaymentID"])] = owner[str(payment["_document"])]
    return owner


def _count(books: Books, journal: Json, accounts: Iterable[str]) -> None:
    for line in journal["lines"]:
        amount = _number(line["base_amount"])
        if line["account_code"] in accounts:
            books.book(line["account_code"], amount)
        if line["kind"] == "tax":
            books.tax(line["tax_type"], Decimal(0), -amount)
        elif line["kind"] == "net":
            books.tax(line["tax_type"], -amount, Decimal(0))


def read_books(xero: str, accounts: Iterable[str], not_ours: frozenset[str] = frozenset()) -> Books:
    """What the stand-in's journals say of those accounts and of tax, without records that others made."""
    books = Books()
    for journal in fetch(f"{xero}/_sandbox/ledger")["journals"]:
        if journal["source_id"] in not_ours:
            continue
        _count(books, journal, accounts)
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
