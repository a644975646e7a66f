"""Twenty orders of a shop and what belongs to them, as the APIs send them: what `bench.books` copies many times.

Every id, number and e-mail holds MARK, so that a copy is the same text with another mark; every date is DAY.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

Record = dict[str, Any]

MARK = "7000000"
"""Of the twenty orders that are copied; seven digits that begin no other number."""
ORDERS = 20
DAY = "2026-02-01"
PRODUCTS = 24
TOWNS = (("Leeds", "LS1 1AA"), ("Cardiff", "CF10 1EP"), ("Leith", "EH6 6JJ"), ("Bath", "BA1 1SU"))
FIRST = ("Uma", "Dev", "Ada", "Imran", "Wendy", "Carys", "Tom", "Priya")
LAST = ("Abbott", "Patel", "Doyle", "Jones", "Okafor", "Quinn", "Bell", "Hughes")
CUSTOMER_OF = (1, 1, 1, 1, 2, 2, 2, 3)
"""The registered customers of the first orders; the others are guests."""
OPEN = 19
"""An order that is not invoiced yet."""
RETURNED = 18
"""An order that was sent back and refunded."""


def records() -> dict[tuple[str, str], list[Record]]:
    """By system and stream; each record has its id under `id`, `entity_id` or the API's own name."""
    orders = list(range(ORDERS))
    return {
        ("magento", "orders"): [_order(n) for n in orders],
        ("magento", "invoices"): [_invoice(n) for n in orders if n != OPEN],
        ("magento", "credit_memos"): [_memo(RETURNED)],
        ("magento", "customers"): [_customer(n) for n in sorted(set(CUSTOMER_OF))],
    }


def fixed() -> dict[tuple[str, str], list[tuple[str, Record]]]:
    """What there is once however many orders there are, with the ids."""
    stores = (("1", "default", "GBP"), ("2", "eu", "EUR"))
    accounts = {
        "200": "REVENUE", "201": "REVENUE", "202": "REVENUE", "203": "REVENUE", "204": "REVENUE", "611": "CURRENT",
        "612": "CURRENT", "830": "CURRLIAB", "831": "CURRLIAB", "835": "CURRLIAB", "092": "BANK",
    }  # fmt: skip
    options = ("UK shop", "EU shop", "Trade shop")
    return {
        ("magento", "websites"): [("1", {"id": 1, "code": "base", "name": "Main Website", "default_group_id": 1})],
        ("magento", "store_groups"): [
            ("1", {"id": 1, "website_id": 1, "root_category_id": 2, "default_store_id": 1, "name": "Main", "code": "main"})
        ],
        ("magento", "store_views"): [
            (id_, {"id": int(id_), "code": code, "website_id": 1, "store_group_id": 1, "name": code, "is_active": 1})
            for id_, code, _ in stores
        ],
        ("magento", "store_configs"): [
            (
                id_,
                {
                    "id": int(id_), "code": code, "website_id": 1, "locale": "en_GB", "base_currency_code": "GBP",
                    "default_display_currency_code": currency, "timezone": "Europe/London", "weight_unit": "kgs",
                },
            )
            for id_, code, currency in stores
        ],
        ("magento", "categories"): [
            ("2", {"id": 2, "parent_id": 1, "name": "Default Category", "is_active": True, "level": 1, "children_data": []}),
            ("3", {"id": 3, "parent_id": 2, "name": "Goods", "is_active": True, "level": 2, "children_data": []}),
        ],
        ("magento", "products"): [
            (
                str(n),
                {
                    "id": n, "sku": f"SKU-{n:02}", "name": f"Enamel mug {n}", "attribute_set_id": 4, "price": _price(n),
                    "status": 1, "visibility": 4, "type_id": "simple", "weight": Decimal("1.5"),
                    "created_at": "2025-06-01 08:00:00", "updated_at": "2025-06-01 08:00:00",
                    "extension_attributes": {"website_ids": [1], "category_links": [{"position": 0, "category_id": "3"}]},
                    "custom_attributes": [{"attribute_code": "tax_class_id", "value": "2"}],
                },
            )
            for n in range(1, PRODUCTS + 1)
        ],
        ("xero", "organisations"): [
            (
                _guid("0"),
                {
                    "OrganisationID": _guid("0"), "Name": "Demo Trading (UK)", "CountryCode": "GB", "BaseCurrency": "GBP",
                    "OrganisationStatus": "ACTIVE", "IsDemoCompany": True, "FinancialYearEndDay": 31,
                    "FinancialYearEndMonth": 3, "SalesTaxBasis": "ACCRUALS", "Timezone": "GMTSTANDARDTIME",
                },
            )
        ],
        ("xero", "accounts"): [
            (
                _guid("a", code),
                {
                    "AccountID": _guid("a", code), "Code": code, "Name": f"Account {code}", "Status": "ACTIVE", "Type": kind,
                    "TaxType": "NONE", "EnablePaymentsToAccount": True,
                },
            )
            for code, kind in accounts.items()
        ],
        ("xero", "tax_rates"): [
            (
                code,
                {
                    "Name": code, "TaxType": code, "Status": "ACTIVE", "EffectiveRate": rate, "DisplayTaxRate": rate,
                    "CanApplyToRevenue": True,
                },
            )
            for code, rate in (("OUTPUT2", 20), ("RROUTPUT", 5), ("ZERORATEDOUTPUT", 0), ("NONE", 0))
        ],
        ("xero", "currencies"): [("GBP", {"Code": "GBP", "Description": "British Pound"})],
        ("xero", "tracking_categories"): [
            (
                _guid("7"),
                {
                    "TrackingCategoryID": _guid("7"), "Name": "Channel", "Status": "ACTIVE",
                    "Options": [
                        {"TrackingOptionID": _guid("7", str(n)), "Name": name, "Status": "ACTIVE"}
                        for n, name in enumerate(options, 1)
                    ],
                },
            )
        ],
    }  # fmt: skip


def id_of(record: Record) -> str:
    """The id under which the loader keeps a record of the shop."""
    return str(record["entity_id"] if "entity_id" in record else record["id"])


def number_of(order: int) -> int:
    """The id of an order of the block: nine digits, the mark first."""
    return int(f"{MARK}{order:02}")


def target_id(kind: str, number: str) -> str:
    """An id of the ledger that holds the mark."""
    return _guid(kind, number)


def _guid(kind: str, number: str = "") -> str:
    return f"{kind:>08}-0000-4000-8000-{number:>012}".replace(" ", "0")


def _price(product: int) -> Decimal:
    return Decimal("2.50") * (product + 4)


def _lines(order: int) -> Iterator[tuple[int, int, Decimal, Decimal]]:
    """Item id, product, price without tax and tax of the three items of an order."""
    for line in range(1, 4):
        product = (order * 3 + line) % PRODUCTS + 1
        yield int(f"{number_of(order)}{line}"), product, _price(product), _price(product) / 5


def _sums(order: int) -> tuple[Decimal, Decimal, Decimal]:
    """Subtotal, tax with that of the shipping, and what the customer pays."""
    lines = list(_lines(order))
    net, tax = sum(line[2] for line in lines), sum(line[3] for line in lines) + 1
    return Decimal(net), Decimal(tax), Decimal(net + tax + 5)


def _who(order: int) -> tuple[int | None, str, str, str]:
    """Customer id or None, e-mail, first and last name."""
    customer = CUSTOMER_OF[order] if order < len(CUSTOMER_OF) else None
    person = customer if customer is not None else order + 10
    first, last = FIRST[person % len(FIRST)], LAST[person // 2 % len(LAST)]
    mail = f"{first}.{last}.{MARK}{person:02}@example.com".lower()
    return (None if customer is None else number_of(customer)), mail, first, f"{last} {MARK}{person:02}"


def _address(order: int) -> Record:
    customer, mail, first, last = _who(order)
    town, postcode = TOWNS[(customer or order) % len(TOWNS)]
    return {
        "city": town, "email": mail, "street": [f"{order + 10} High Street"], "firstname": first, "lastname": last,
        "postcode": postcode, "telephone": "0113 496 0000", "country_id": "GB", "entity_id": number_of(order),
        "parent_id": number_of(order),
    }  # fmt: skip


def _money(order: int) -> Record:
    net, tax, total = _sums(order)
    plain = {
        "subtotal": net, "tax_amount": tax, "grand_total": total, "shipping_amount": 5, "shipping_tax_amount": 1,
        "shipping_incl_tax": 6, "subtotal_incl_tax": total - 6, "discount_amount": 0,
        "discount_tax_compensation_amount": 0,
    }  # fmt: skip
    return {
        **plain, **{f"base_{name}": value for name, value in plain.items()}, "base_currency_code": "GBP",
        "order_currency_code": "GBP", "store_currency_code": "GBP", "global_currency_code": "GBP", "store_id": 1,
        "base_to_order_rate": 1, "base_to_global_rate": 1, "store_to_base_rate": 0, "store_to_order_rate": 0,
        "shipping_discount_tax_compensation_amount": 0, "base_shipping_discount_tax_compensation_amnt": 0,
        "created_at": f"{DAY} 10:00:00", "updated_at": f"{DAY} 10:00:00",
    }  # fmt: skip


def _item(product: int, price: Decimal, tax: Decimal) -> Record:
    plain = {
        "price": price,
        "row_total": price,
        "tax_amount": tax,
        "row_total_incl_tax": price + tax,
        "price_incl_tax": price + tax,
    }
    return {
        **plain, **{f"base_{name}": value for name, value in plain.items()}, "sku": f"SKU-{product:02}",
        "name": f"Enamel mug {product}", "product_id": product, "discount_amount": 0, "base_discount_amount": 0,
        "discount_tax_compensation_amount": 0, "base_discount_tax_compensation_amount": 0,
    }  # fmt: skip


def _order(order: int) -> Record:
    customer, mail, first, last = _who(order)
    is_open = order == OPEN
    number = number_of(order)
    applied = [{"code": "GB-20", "title": "GB-20", "percent": 20, "amount": 1, "base_amount": 1}]
    _, _, total = _sums(order)
    return {
        **_money(order), "entity_id": number, "increment_id": str(number), "quote_id": number,
        "state": "processing" if is_open else "complete", "status": "processing" if is_open else "complete",
        **({"customer_id": customer} if customer is not None else {}), "customer_is_guest": int(customer is None),
        "customer_email": mail, "customer_firstname": first, "customer_lastname": last, "customer_group_id": 1,
        "is_virtual": 0, "remote_ip": "192.0.2.10", "store_name": "Main Website\nMain Website Store\nDefault Store View",
        "total_item_count": 3, "total_qty_ordered": 3, "protect_code": "59bda3126ff37e046db8777a11fdb146",
        "total_due": total if is_open else 0, "total_paid": 0 if is_open else total,
        "payment": {
            "method": "cardpay", "entity_id": number, "parent_id": number, "amount_ordered": total,
            "amount_paid": None if is_open else total, "last_trans_id": f"cap-{number}", "additional_information": ["Card"],
        },
        "billing_address": {**_address(order), "address_type": "billing"},
        "items": [
            {
                **_item(product, price, tax), "item_id": item, "order_id": number, "product_type": "simple",
                "qty_ordered": 1, "qty_invoiced": int(not is_open), "qty_shipped": int(not is_open),
                "qty_refunded": int(order == RETURNED), "qty_canceled": 0, "tax_percent": 20, "is_virtual": 0,
                "created_at": f"{DAY} 10:00:00", "updated_at": f"{DAY} 10:00:00", "weee_tax_applied": "[]",
            }
            for item, product, price, tax in _lines(order)
        ],
        "status_histories": [
            {
                "status": "processing", "comment": f"Captured amount of £{total} online.", "entity_id": number,
                "parent_id": number, "created_at": f"{DAY} 10:00:00", "entity_name": "invoice", "is_visible_on_front": 0,
                "is_customer_notified": None,
            }
        ],
        "extension_attributes": {
            "applied_taxes": applied,
            "item_applied_taxes": [
                *({"type": "product", "item_id": line[0], "applied_taxes": applied} for line in _lines(order)),
                {"type": "shipping", "applied_taxes": applied},
            ],
            "shipping_assignments": [
                {"shipping": {"method": "flatrate_flatrate", "address": {**_address(order), "address_type": "shipping"}}}
            ],
        },
    }  # fmt: skip


def _document(order: int) -> Record:
    number = number_of(order)
    return {
        **_money(order), "entity_id": number, "increment_id": str(number), "order_id": number, "state": 2,
        "billing_address_id": number, "shipping_address_id": number, "comments": [], "total_qty": 3,
        "items": [
            {**_item(product, price, tax), "entity_id": item, "parent_id": number, "order_item_id": item, "qty": 1}
            for item, product, price, tax in _lines(order)
        ],
    }  # fmt: skip


def _invoice(order: int) -> Record:
    return {**_document(order), "transaction_id": f"cap-{number_of(order)}"}


def _memo(order: int) -> Record:
    return {
        **_document(order), "invoice_id": number_of(order), "transaction_id": f"ref-{number_of(order)}", "adjustment": 0,
        "adjustment_positive": 0, "adjustment_negative": 0, "base_adjustment": 0,
    }  # fmt: skip


def _customer(number: int) -> Record:
    order = CUSTOMER_OF.index(number)
    _, mail, first, last = _who(order)
    id_ = number_of(number)
    return {
        "id": id_, "email": mail, "group_id": 1, "firstname": first, "lastname": last, "store_id": 1, "website_id": 1,
        "created_at": "2025-06-01 08:00:00", "updated_at": "2025-06-01 08:00:00", "created_in": "Default Store View",
        "default_billing": str(id_),
        "addresses": [{**_address(order), "id": id_, "customer_id": id_, "default_billing": True}],
    }  # fmt: skip
