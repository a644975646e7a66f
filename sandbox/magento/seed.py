"""The shop every stand-in starts with: two websites, three store views, taxes, groups, categories and a
small catalogue.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.magento.options import Options
from sandbox.magento.pricing import Rule
from sandbox.magento.shop import Doc, Shop, StoreView

TAXABLE, CUSTOMER, REDUCED, ZERO_RATED = 2, 3, 4, 5
GOODS, SERVICES, BOOKS, UNCHARTED = 3, 4, 5, 6
EURO_RATE = Decimal("1.1535")
COLOR_ATTRIBUTE = "93"

RULES = {
    "TEN": Rule(id=1, code="TEN", percent=Decimal(10), shipping=False),
    "TENSHIP": Rule(id=2, code="TENSHIP", percent=Decimal(10), shipping=True),
    "FREE100": Rule(id=3, code="FREE100", percent=Decimal(100), shipping=True),
}

VIEWS = (
    StoreView(
        id=1,
        code="default",
        name="Default Store View",
        website_id=1,
        website="base",
        website_name="Main Website",
        group_id=1,
        group_name="Main Website Store",
        currency="GBP",
        rate_text="1",
        timezone="Europe/London",
        prices_include_tax=False,
    ),
    StoreView(
        id=2,
        code="eu",
        name="Euro view",
        website_id=1,
        website="base",
        website_name="Main Website",
        group_id=1,
        group_name="Main Website Store",
        currency="EUR",
        rate_text=str(EURO_RATE),
        timezone="Europe/Dublin",
        prices_include_tax=False,
    ),
    StoreView(
        id=3,
        code="trade_en",
        name="Trade view",
        website_id=2,
        website="trade",
        website_name="Trade Website",
        group_id=2,
        group_name="Trade Store",
        currency="GBP",
        rate_text="1",
        timezone="Europe/London",
        prices_include_tax=True,
    ),
)

# sku, name, type, price, tax class, category, weight
_SIMPLES: tuple[tuple[str, str, str, str, int, int, str], ...] = (
    ("MUG-01", "Enamel mug", "simple", "12.50", TAXABLE, GOODS, "1.5"),
    ("TEE-M-RED", "Tee M Red", "simple", "50", TAXABLE, GOODS, "1.5"),
    ("TEE-L-BLUE", "Tee L Blue", "simple", "50", TAXABLE, GOODS, "1.5"),
    ("BOOK-01", "Field guide", "simple", "18", REDUCED, BOOKS, "1.5"),
    ("ZERO-01", "Untaxed thing", "simple", "10", ZERO_RATED, GOODS, "1.5"),
    ("SVC-INSTALL", "Installation", "virtual", "80", TAXABLE, SERVICES, "0"),
    ("SVC-CONSULT", "Consulting", "virtual", "120", TAXABLE, SERVICES, "0"),
    ("ODD-01", "Odd thing", "simple", "9.99", TAXABLE, UNCHARTED, "1.5"),
    ("LAMP-01", "Desk lamp", "simple", "33.33", TAXABLE, GOODS, "1"),
)
_PENS = [
    "0.37",
    "1.19",
    "0.03",
    "0.07",
    "2.49",
    "3.33",
    "0.99",
    "1.01",
    "4.45",
    "0.15",
    "7.77",
    "0.05",
    "1.15",
    "2.35",
    "0.45",
    "6.66",
    "0.01",
    "5.55",
    "1.85",
    "9.95",
]
_CATEGORIES = (
    (1, "Root Catalog", 0, 0, "1"),
    (2, "Default Category", 1, 1, "1/2"),
    (GOODS, "Goods", 2, 2, "1/2/3"),
    (SERVICES, "Services", 2, 2, "1/2/4"),
    (BOOKS, "Books", 2, 2, "1/2/5"),
    (UNCHARTED, "Uncharted", 2, 2, "1/2/6"),
    (7, "Gadgets", 2, 2, "1/2/7"),
)


def fill(shop: Shop, options: Options) -> None:
    """Put the seed into an empty shop."""
    at = shop.stamp()
    shop.views = VIEWS
    _table(shop, "customer_groups", "id", [_group(number, code) for number, code in enumerate(_GROUPS)])
    classes = [(TAXABLE, "Taxable Goods", "PRODUCT"), (CUSTOMER, "Retail Customer", "CUSTOMER")]
    if options.seed:
        classes += [(REDUCED, "Reduced", "PRODUCT"), (ZERO_RATED, "Zero", "PRODUCT")]
    _table(
        shop,
        "tax_classes",
        "class_id",
        [{"class_id": key, "class_name": name, "class_type": kind} for key, name, kind in classes],
    )
    shop.settings["shipping_tax_class"] = TAXABLE
    _table(
        shop,
        "categories",
        "id",
        [_category(*entry, at) for entry in _CATEGORIES[: None if options.seed else 2]],
    )
    if options.seed:
        _taxes(shop)
        _catalogue(shop, at)
    if options.seed and options.edition == "commerce":
        _product(shop, at, "GIFT-CARD", "Gift card", "giftcard", Decimal(0), 0, GOODS)


_GROUPS = ("NOT LOGGED IN", "General", "Wholesale", "Retailer")


def _table(shop: Shop, name: str, key: str, rows: list[Doc]) -> None:
    for row in rows:
        shop.rows[name][row[key]] = row
        shop.sequences[name] = max(shop.sequences[name], row[key])


def _group(number: int, code: str) -> Doc:
    return {"id": number, "code": code, "tax_class_id": CUSTOMER, "tax_class_name": "Retail Customer"}


def _category(number: int, name: str, parent: int, level: int, path: str, at: str) -> Doc:
    return {
        "id": number,
        "parent_id": parent,
        "name": name,
        "is_active": True,
        "position": number,
        "level": level,
        "created_at": at,
        "updated_at": at,
        "path": path,
        "include_in_menu": True,
    }


def _taxes(shop: Shop) -> None:
    rates = (("GB-20", "20", "GB"), ("GB-5", "5", "GB"), ("IE-23", "23", "IE"))
    _table(
        shop,
        "tax_rates",
        "id",
        [
            {
                "id": number,
                "tax_country_id": country,
                "tax_region_id": 0,
                "tax_postcode": "*",
                "rate": Decimal(rate),
                "code": code,
                "titles": [],
            }
            for number, (code, rate, country) in enumerate(rates, start=1)
        ],
    )
    rules: tuple[tuple[str, int, list[int]], ...] = (
        ("Standard VAT", TAXABLE, [1, 3]),
        ("Reduced VAT", REDUCED, [2]),
        ("Zero VAT", ZERO_RATED, []),
    )
    _table(
        shop,
        "tax_rules",
        "id",
        [
            {
                "id": number,
                "code": code,
                "priority": 0,
                "position": number - 1,
                "customer_tax_class_ids": [CUSTOMER],
                "product_tax_class_ids": [tax_class],
                "tax_rate_ids": list(rate_ids),
                "calculate_subtotal": False,
            }
            for number, (code, tax_class, rate_ids) in enumerate(rules, start=1)
        ],
    )


def _catalogue(shop: Shop, at: str) -> None:
    for sku, name, kind, amount, tax_class, category, weight in _SIMPLES:
        _product(shop, at, sku, name, kind, Decimal(amount), tax_class, category, weight=Decimal(weight))
    options = [
        {
            "id": 1,
            "attribute_id": COLOR_ATTRIBUTE,
            "label": "Color",
            "position": 0,
            "values": [{"value_index": 4}, {"value_index": 5}],
        }
    ]
    children = {"TEE-M-RED": 4, "TEE-L-BLUE": 5}
    ids = [_find(shop, sku)["id"] for sku in children]
    for sku, value in children.items():
        row = _find(shop, sku)
        row["visibility"] = 1
        row["attributes"]["color"] = str(value)
    more: Doc = {"configurable_product_options": options, "configurable_product_links": ids}
    _product(shop, at, "TEE", "Tee", "configurable", Decimal(0), TAXABLE, GOODS, extension=more)
    for sku, name, price in (("BUNDLE-DYN", "Bundle dynamic", "0"), ("BUNDLE-FIX", "Bundle fixed", "40")):
        kind = "0" if sku == "BUNDLE-DYN" else "1"
        row = _product(
            shop,
            at,
            sku,
            name,
            "bundle",
            Decimal(price),
            TAXABLE,
            GOODS,
            extension={"bundle_product_options": _bundle(shop, sku)},
        )
        row["attributes"] |= {"price_type": kind, "shipment_type": "0", "sku_type": "1"}
    for number, amount in enumerate(_PENS, start=1):
        _product(
            shop,
            at,
            f"PEN-{number:02d}",
            f"Pen {number}",
            "simple",
            Decimal(amount),
            TAXABLE,
            GOODS,
            weight=Decimal("0.1"),
        )


def _bundle(shop: Shop, sku: str) -> list[Doc]:
    found = []
    for position, (child, qty) in enumerate((("MUG-01", 2), ("BOOK-01", 1)), start=1):
        option_id = shop.next_id("bundle_options")
        link = {
            "id": str(shop.next_id("bundle_selections")),
            "sku": child,
            "option_id": option_id,
            "qty": qty,
            "position": position,
            "is_default": True,
            "price": Decimal(0),
            "price_type": 0,
            "can_change_quantity": 0,
        }
        found.append(
            {
                "option_id": option_id,
                "title": child,
                "required": True,
                "type": "select",
                "position": position,
                "sku": sku,
                "product_links": [link],
            }
        )
    return found


def _find(shop: Shop, sku: str) -> Doc:
    return next(row for row in shop.rows["products"].values() if row["sku"] == sku)


def _product(
    shop: Shop,
    at: str,
    sku: str,
    name: str,
    kind: str,
    price: Decimal,
    tax_class: int,
    category: int,
    *,
    weight: Decimal = Decimal(0),
    extension: dict[str, Any] | None = None,
) -> Doc:
    number = shop.next_id("products")
    row: Doc = {
        "id": number,
        "sku": sku,
        "name": name,
        "attribute_set_id": 4,
        "price": price,
        "status": 1,
        "visibility": 4,
        "type_id": kind,
        "created_at": at,
        "updated_at": at,
        "extension": {"website_ids": [1, 2], **(extension or {})},
        "attributes": {
            "options_container": "container2",
            "msrp_display_actual_price_type": "0",
            "url_key": name.lower().replace(" ", "-"),
            "required_options": "0",
            "has_options": "0" if kind in ("simple", "virtual") else "1",
            "tax_class_id": str(tax_class),
            "category_ids": [str(category)],
        },
        "tier_prices": [],
        "scoped": {},
    }
    if kind not in ("virtual", "giftcard"):
        row["weight"] = weight
    shop.rows["products"][number] = row
    if kind in ("simple", "virtual"):
        shop.rows["source_items"][shop.next_id("source_items")] = {
            "sku": sku,
            "source_code": "default",
            "quantity": Decimal(1000),
            "status": 1,
        }
    return row
