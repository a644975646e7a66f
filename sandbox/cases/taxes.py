"""Taxes: none for businesses and exports, several on a line, fixed ones, discounts on gross and on net, closed periods.

Shipping taxed at two rates of its own is no case: Magento has one tax class for shipping. What can happen is in
`stacked_rates_line`, where two rates stand on goods and shipping alike.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox.people import Shopper
from sandbox.stand import Json, Stand, Teller, item, place, stamp

LOCKED_UNTIL = datetime(2026, 9, 30, tzinfo=UTC)
"""The last day of the period that the accountant has closed; the sample trade begins the day after."""
EXEMPT, BUSINESS, EXEMPT_GROUP = "Tax exempt", "EU business", "Exempt"


def prepare(stand: Stand) -> None:
    """The tax set-up of the shop that only these stories need."""
    if any(group["code"] == BUSINESS for group in stand.state("customer_groups")):
        return
    made = stand.shop("tax_classes", class_name=EXEMPT, class_type="CUSTOMER")
    for code in (BUSINESS, EXEMPT_GROUP):
        stand.shop("customer_groups", code=code, tax_class_id=made["class_id"])
    components = (("CA-GST", Decimal(5)), ("CA-QST", Decimal("9.975")))
    rates = [stand.shop("tax_rates", code=code, rate=rate, tax_country_id="CA") for code, rate in components]
    taxable = _class_of(stand, "Taxable Goods")
    stand.shop(
        "tax_rules",
        code="Canada",
        customer_tax_class_ids=[_class_of(stand, "Retail Customer")],
        product_tax_class_ids=[taxable],
        tax_rate_ids=[rate["id"] for rate in rates],
    )
    goods = next(each["id"] for each in stand.state("categories") if each["name"] == "Goods")
    stand.shop(
        "products",
        sku="FRIDGE-01",
        name="Fridge",
        price=Decimal("199.99"),
        weee={"GB": "2.50"},
        custom_attributes=[{"attribute_code": "tax_class_id", "value": str(taxable)}],
        extension_attributes={"category_links": [{"position": 0, "category_id": str(goods)}]},
    )


def reverse_charge_business(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An Irish company with a VAT id, in a group without tax: reverse charge, at nought, told apart in the VAT return.

    Dr AR, Cr sales, Cr shipping, all with tax type ECZROUTPUT and no VAT; Dr 611, Cr AR.
    """
    buyer = who.in_ireland().of_company("Cork Crafts Ltd", "IE6388047V").mailed("buyer@corkcrafts.example")
    return place(
        stand, buyer, at, [item("LAMP-01", 4)], store="eu", customer=True, group=BUSINESS, taxvat="IE6388047V"
    )


def export_order(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Goods to the United States, where no rate applies.

    Dr AR 30.00, Cr sales 25.00, Cr shipping 5.00, zero rated (export); Dr 611 30.00, Cr AR 30.00.
    """
    return place(stand, who.moved("Portland", "97201", "US"), at, [item("MUG-01", 2)])


def stacked_rates_line(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Goods to Canada with two rates on each line, 5 % and 9.975 %: one composite rate of 14.975 % in Xero.

    Dr AR 48.86, Cr sales 37.50, Cr shipping 5.00, Cr VAT (composite rate) 6.36; Dr 611 48.86, Cr AR 48.86.
    """
    return place(stand, who.moved("Montreal", "H2X 1Y4", "CA"), at, [item("MUG-01", 3)])


def weee_line(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Two fridges, each with a recycling contribution of 2.50 that is no turnover and bears no tax.

    Dr AR 490.98, Cr sales 399.98, Cr shipping 5.00, Cr VAT 81.00, Cr 835 fixed product taxes 5.00; Dr 611, Cr AR.
    """
    return place(stand, who, at, [item("FRIDGE-01", 2)])


def weee_refunded(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A fridge sent back with its contribution.

    As `weee_line` for one; then Dr sales 199.99, Dr shipping 5.00, Dr VAT 41.00, Dr 835 2.50, Cr AR; Dr AR, Cr 611.
    """
    order = place(stand, who, at, [item("FRIDGE-01")])
    stand.shop("refund", order_id=order["entity_id"], online=True, at=stamp(at + timedelta(days=6)))
    return order


def gift_wrapped(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A mug, wrapped for 4.00 with a printed card for 1.00, both with VAT.

    Dr AR 27.00, Cr sales 12.50, Cr shipping 5.00, Cr 204 gift wrapping 5.00, Cr VAT 4.50; Dr 611 27.00, Cr AR.
    """
    wrapping = {"price": 4, "card_price": 1, "taxed": True}
    return place(stand, who, at, [item("MUG-01")], gift_wrap=wrapping)


def gross_discount_on_gross(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Prices with tax, ten percent off the price with tax: the customer's 10 % is 10 % of what they saw.

    Dr AR 161.14, Cr sales, Cr shipping 5.00 net, Cr VAT 24.93; the compensation field makes up for what the discount
    took of the tax.
    """
    return _trade(stand, who, at, discount_on_gross=True)


def gross_discount_on_net(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Prices with tax, ten percent off the price without tax (Magento's default): other cents than on gross.

    Dr AR 163.80, Cr sales, Cr shipping 5.00 net, Cr VAT 25.37.
    """
    return _trade(stand, who, at, discount_on_gross=False)


def discount_after_tax(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """Tax is taken of the full price although the buyer pays less: the VAT in Magento's fields is what is owed.

    Dr AR 33.50, Cr sales 22.50, Cr shipping 5.00, Cr VAT 6.00 (20 % of 30.00, not of 27.50): the document's own tax, by
    the tax type of its code, though it is no 20 % of what was paid. Dr 611 33.50, Cr AR 33.50.
    """
    return place(stand, who, at, [item("MUG-01", 2)], coupon="TEN", tax_before_discount=True)


def late_in_locked_period(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """An invoice of 28 September comes to light when September is closed.

    By the route: held, or booked on 1 October with its true date in the reference: Dr AR 21.00, Cr sales 12.50,
    Cr shipping 5.00, Cr VAT 3.50 in October; Dr 611 21.00, Cr AR 21.00.
    """
    stand.ledger("organisation", PeriodLockDate=LOCKED_UNTIL.date().isoformat())
    return place(stand, who, LOCKED_UNTIL - timedelta(days=2, hours=-11), [item("MUG-01")])


def exempt_group(stand: Stand, who: Shopper, at: datetime, chance: random.Random) -> Json:
    """A charity at home in a group that pays no tax.

    Dr AR 38.33, Cr sales 33.33, Cr shipping 5.00, no VAT, by the tax type that the lookup names; Dr 611, Cr AR.
    """
    return place(stand, who, at, [item("LAMP-01")], customer=True, group=EXEMPT_GROUP)


def _trade(stand: Stand, who: Shopper, at: datetime, *, discount_on_gross: bool) -> Json:
    buyer = who.renamed(who.firstname, f"{who.lastname} Wholesale", f"wholesale.{who.email}")
    cart = [item("LAMP-01", 3), item("PEN-11", 7), item("BOOK-01")]
    order = place(
        stand,
        buyer,
        at,
        cart,
        store="trade_en",
        pay="banktransfer",
        coupon="TEN",
        customer=True,
        discount_on_gross=discount_on_gross,
    )
    stand.shop("invoice", order_id=order["entity_id"], at=stamp(at + timedelta(hours=2)))
    return order


def _class_of(stand: Stand, name: str) -> int:
    return int(next(each["class_id"] for each in stand.state("tax_classes") if each["class_name"] == name))


STORIES: tuple[Teller, ...] = (
    reverse_charge_business,
    export_order,
    stacked_rates_line,
    weee_line,
    weee_refunded,
    gift_wrapped,
    gross_discount_on_gross,
    gross_discount_on_net,
    discount_after_tax,
    late_in_locked_period,
    exempt_group,
)
