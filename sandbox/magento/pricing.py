"""The totals of a cart: subtotal, discount, shipping, tax, grand total, once in base and once in order
currency.

Each currency is calculated by itself from converted unit prices, so the two differ by cents from a plain
conversion. Order of the collectors and the rounding of discounts as on Magento Open Source 2.4.4 (`Tax`,
`SalesRule` and `Quote` total models; recorded orders A to J).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.magento.render import ZERO, cents
from sandbox.magento.taxes import Calculator, Rate, Taxed, total_percent


@dataclass(slots=True, kw_only=True)
class Line:
    """One line of a cart: a parent with children (configurable, bundle) or a product by itself."""

    sku: str
    qty: Decimal
    unit: Decimal
    """Catalogue price in base currency, tax included where the website's prices are."""
    rates: list[Rate] = field(default_factory=list)
    origin_percent: Decimal = ZERO
    children: list[Line] = field(default_factory=list)
    by_children: bool = False
    """Money is on the children (dynamic bundle); otherwise children carry none."""

    def money_lines(self) -> list[Line]:
        """The lines that carry money."""
        return self.children if self.by_children else [self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A cart price rule with a coupon: percent off the items, and off shipping if said so."""

    id: int
    code: str
    percent: Decimal
    shipping: bool


@dataclass(slots=True, kw_only=True)
class Cart:
    """What is priced."""

    lines: list[Line]
    included: bool
    discount_on_gross: bool
    rule: Rule | None
    shipping: Decimal
    shipping_rates: list[Rate]
    shipping_origin_percent: Decimal
    tax_before_discount: bool = False


@dataclass(slots=True, kw_only=True)
class Priced:
    """The cart in one currency; `discounts` and `taxed` by the line's identity."""

    taxed: dict[int, Taxed]
    discounts: dict[int, Decimal]
    shipping: Taxed
    shipping_discount: Decimal
    subtotal: Decimal
    subtotal_incl_tax: Decimal
    discount: Decimal
    tax: Decimal
    compensation: Decimal
    grand_total: Decimal


def price(cart: Cart, rate: Decimal) -> Priced:
    """All totals in the currency that `rate` leads to."""
    lines = [line for parent in cart.lines for line in parent.money_lines()]
    bare = Calculator()
    before = {id(line): _tax(bare, cart, line, rate, ZERO) for line in lines}
    discounts = _discounts(cart, lines, before)
    alone = _shipping(Calculator(), cart, rate, ZERO)
    basis = alone.row_total_incl_tax if cart.discount_on_gross and cart.included else alone.row_total
    shipping_discount = ZERO
    if cart.rule is not None and cart.rule.shipping:
        shipping_discount = min(cents(basis * cart.rule.percent / 100), basis)
    calculator = Calculator()
    taxed = {id(line): _tax(calculator, cart, line, rate, discounts[id(line)]) for line in lines}
    shipping = _shipping(calculator, cart, rate, shipping_discount)
    for parent in cart.lines:
        if parent.by_children:
            taxed[id(parent)] = _parent(parent, taxed)
            discounts[id(parent)] = ZERO
    subtotal = sum((taxed[id(line)].row_total for line in lines), ZERO)
    discount = sum((discounts[id(line)] for line in lines), ZERO) + shipping_discount
    tax = sum((taxed[id(line)].tax for line in lines), ZERO) + shipping.tax
    compensation = sum((taxed[id(line)].compensation for line in lines), ZERO)
    return Priced(
        taxed=taxed,
        discounts=discounts,
        shipping=shipping,
        shipping_discount=shipping_discount,
        subtotal=subtotal,
        subtotal_incl_tax=sum((taxed[id(line)].row_total_incl_tax for line in lines), ZERO),
        discount=discount,
        tax=tax,
        compensation=compensation,
        grand_total=subtotal + shipping.row_total + tax - discount + compensation + shipping.compensation,
    )


def _tax(calculator: Calculator, cart: Cart, line: Line, rate: Decimal, discount: Decimal) -> Taxed:
    return calculator.line(
        unit=cents(line.unit * rate),
        qty=line.qty,
        discount=ZERO if cart.tax_before_discount else discount,
        rates=line.rates,
        included=cart.included,
        origin_percent=line.origin_percent,
    )


def _shipping(calculator: Calculator, cart: Cart, rate: Decimal, discount: Decimal) -> Taxed:
    return calculator.line(
        unit=cents(cart.shipping * rate),
        qty=Decimal(1),
        discount=ZERO if cart.tax_before_discount else discount,
        rates=cart.shipping_rates,
        included=cart.included,
        origin_percent=cart.shipping_origin_percent,
    )


def _discounts(cart: Cart, lines: list[Line], before: dict[int, Taxed]) -> dict[int, Decimal]:
    """Percent of unit price times quantity; what rounding took is carried to the next line."""
    if cart.rule is None:
        return {id(line): ZERO for line in lines}
    carried = ZERO
    found: dict[int, Decimal] = {}
    for line in lines:
        taxed = before[id(line)]
        unit = taxed.price_incl_tax if cart.discount_on_gross and cart.included else taxed.price
        amount = unit * line.qty * cart.rule.percent / 100 + carried
        rounded = cents(amount)
        carried = amount - rounded
        found[id(line)] = min(rounded, taxed.row_total_incl_tax) if cart.rule.percent == 100 else rounded
    return found


def _parent(parent: Line, taxed: dict[int, Taxed]) -> Taxed:
    children = [taxed[id(child)] for child in parent.children]
    row = sum((child.row_total for child in children), ZERO)
    gross = sum((child.row_total_incl_tax for child in children), ZERO)
    return Taxed(
        price=cents(row / parent.qty),
        price_incl_tax=cents(gross / parent.qty),
        row_total=row,
        row_total_incl_tax=gross,
        tax=sum((child.tax for child in children), ZERO),
        compensation=ZERO,
        percent=total_percent(parent.rates),
        applied=[],
    )
